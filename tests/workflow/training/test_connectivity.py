"""RetiFluidNet's joint loss: 3×3 masks worked by hand, borders, limits, and its gradient."""

import functools
import math

import pytest
import torch

from baselines import retifluidnet
from resformer.prediction import Prediction
from workflow.training.connectivity import (
    LEAST_PROBABILITY,
    NEIGHBOURS,
    bicon_loss,
    bilateral_votes,
    dice_loss,
    edge_loss,
    mask_connectivity,
    retifluidnet_loss,
)

close = functools.partial(pytest.approx, rel=1e-5, abs=1e-6)
UL, U, UR, L, R, DL, D, DR = range(8)
CORNER = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 0]])
COLUMNS = torch.tensor([[1, 1, 0], [1, 1, 0], [1, 1, 0]])
NOTHING = torch.zeros(3, 3, dtype=torch.long)
SPECK = torch.tensor([[0, 0, 0], [0, 1, 0], [0, 0, 0]])


def one_hot(mask, classes=2):
    """Class maps of one mask, `[1, C, H, W]`."""
    return torch.stack([mask == c for c in range(classes)])[None].float()


def perfect(reference):
    """Connectivity logits that are sure of the reference."""
    return 200 * mask_connectivity(reference) - 100


def outputs(seed, *, images=2, classes=3, height=4, width=5, dtype=torch.float32):
    """Main logits, four side logits, five connectivity logits, and masks."""
    generator = torch.Generator().manual_seed(seed)
    draw = functools.partial(torch.randn, generator=generator, dtype=dtype)
    maps = [2 * draw(images, classes, height, width) for _ in range(5)]
    links = [2 * draw(images, classes, 8, height, width) for _ in range(5)]
    masks = torch.randint(0, classes, (images, height, width), generator=generator)
    return maps, links, masks


def prediction_of(maps, links):
    return Prediction(maps[0], None, {"side": tuple(maps[1:]), "connectivity": tuple(links)})


def test_directions_are_in_the_authors_order_and_opposites_mirror():
    assert NEIGHBOURS[UL] == (-1, -1)
    assert NEIGHBOURS[UR] == (-1, 1)
    assert NEIGHBOURS[L] == (0, -1)
    assert NEIGHBOURS[D] == (1, 0)
    for (row, column), opposite in zip(NEIGHBOURS, NEIGHBOURS[::-1], strict=True):
        assert (-row, -column) == opposite


def test_connectivity_of_a_corner_by_hand():
    lesion = mask_connectivity(one_hot(CORNER))[0, 1]
    connected = {
        (0, 0): {R, D, DR},
        (0, 1): {L, DL, D},
        (1, 0): {U, UR, R},
        (1, 1): {UL, U, L},
    }
    for row in range(3):
        for column in range(3):
            found = set(lesion[:, row, column].nonzero().flatten().tolist())
            assert found == connected.get((row, column), set()), (row, column)
    background = mask_connectivity(one_hot(CORNER))[0, 0]
    assert set(background[:, 2, 2].nonzero().flatten().tolist()) == {U, L}
    assert set(background[:, 2, 1].nonzero().flatten().tolist()) == {UR, L, R}


def test_nothing_lies_outside_the_image():
    background, lesion = mask_connectivity(one_hot(NOTHING))[0]
    assert background.sum(0).tolist() == [[3, 5, 3], [5, 8, 5], [3, 5, 3]]
    assert not lesion.any()


def test_a_lone_pixel_is_connected_to_nothing():
    background, lesion = mask_connectivity(one_hot(SPECK))[0]
    assert not lesion.any()
    assert background.sum(0).tolist() == [[2, 4, 2], [4, 0, 4], [2, 4, 2]]


def test_a_vote_takes_both_sides_and_a_neighbour():
    links = torch.zeros(1, 1, 8, 3, 3)
    links[0, 0, R, 1, 0], links[0, 0, L, 1, 1] = 0.5, 0.4  # they agree
    links[0, 0, D, 0, 2] = 0.9  # the pixel below says nothing
    links[0, 0, L, 2, 0] = 0.9  # out of the image
    links[0, 0, UL, 2, 2], links[0, 0, DR, 1, 1] = 0.3, 0.6
    expected = torch.zeros_like(links)
    expected[0, 0, R, 1, 0] = expected[0, 0, L, 1, 1] = 0.2
    expected[0, 0, UL, 2, 2] = expected[0, 0, DR, 1, 1] = 0.18
    torch.testing.assert_close(bilateral_votes(links), expected)


def test_connectivity_and_votes_are_those_of_plain_loops():
    _, (links, *_), masks = outputs(3)
    probabilities, reference = links.sigmoid(), torch.nn.functional.one_hot(masks).movedim(-1, 1)
    connected, votes = mask_connectivity(reference.float()), bilateral_votes(probabilities)
    images, classes, height, width = reference.shape
    for b, c, k, y, x in torch.cartesian_prod(
        *(torch.arange(n) for n in (images, classes, 8, height, width))
    ).tolist():
        row, column = y + NEIGHBOURS[k][0], x + NEIGHBOURS[k][1]
        link = vote = 0.0
        if 0 <= row < height and 0 <= column < width:
            link = float(masks[b, y, x] == c and masks[b, row, column] == c)
            vote = (probabilities[b, c, k, y, x] * probabilities[b, c, 7 - k, row, column]).item()
        assert connected[b, c, k, y, x] == link
        assert votes[b, c, k, y, x] == close(vote)


@pytest.mark.parametrize("mask", [CORNER, COLUMNS, NOTHING], ids=["corner", "columns", "nothing"])
def test_a_perfect_prediction_costs_nothing(mask):
    reference = one_hot(mask)
    connected = mask_connectivity(reference)
    assert bicon_loss(perfect(reference), reference, connected).item() == close(0)
    logits = 200 * reference - 100
    prediction = prediction_of([logits] * 5, [perfect(reference)] * 5)
    assert retifluidnet_loss(prediction, mask[None]).item() == close(0)


def test_a_lone_pixel_cannot_be_voted_for():
    # Its best vote is 0: Dice (0 + 1) / (1 + 1), and off the edge, one pixel in nine, a logarithm
    # that is cut. The background is right.
    reference = one_hot(SPECK)
    loss = bicon_loss(perfect(reference), reference, mask_connectivity(reference))
    assert loss.item() == close(1 / 2 + 0.5 * -math.log(LEAST_PROBABILITY) / 9)


def test_bicon_of_a_coin_toss_by_hand():
    # Every link 1/2, every vote within the image 1/4, and every pixel has such a vote.
    reference = one_hot(COLUMNS)
    # Lesion 6 pixels, background 3; overlap / 4, sizes 9 / 4 and 6 or 3.
    dice = [(2 * n / 4 + 1) / (9 / 4 + n + 1) for n in (3, 6)]
    # The only edge pixel off the image's border is the centre, lesion with 5 links of 8. Pixels
    # that are not of a class are off its edge, where the largest vote, 1/4, should be 0: three of
    # the lesion, six of the background.
    edge = -math.log(3 / 4) * (1 + 3 + 6) / 9
    expected = 2 * math.log(2) + sum(1 - d for d in dice) + edge / 2
    loss = bicon_loss(torch.zeros(1, 2, 8, 3, 3), reference, mask_connectivity(reference))
    assert loss.item() == close(expected)


def test_the_edge_is_the_references_and_sums_over_classes():
    votes = torch.full((1, 2, 8, 3, 3), 0.9)
    votes[0, 1, UL] = 0.4
    # Border pixels' votes are not zero here, so that these count.
    # On the edge: three pixels of the background, whose smallest vote is 0.9, and six of the
    # lesion, 0.4. Off it: the other class's pixels, whose largest vote is 0.9.
    columns = one_hot(COLUMNS)
    one = edge_loss(votes, columns, mask_connectivity(columns))
    wrong = -math.log(0.1)
    assert one.item() == close((3 * wrong + 6 * -math.log(0.6) + 6 * wrong + 3 * wrong) / 9)
    # The centre is inside the background, where 0.9 is nearly right; there is no lesion.
    nothing = one_hot(NOTHING)
    none = edge_loss(votes, nothing, mask_connectivity(nothing))
    assert none.item() == close((8 * wrong - math.log(0.9) + 9 * wrong) / 9)


def test_border_pixels_cost_no_edge_where_votes_are_votes():
    votes = bilateral_votes(torch.full((1, 1, 8, 3, 3), 0.9))
    background = torch.ones(1, 1, 3, 3)
    # The centre alone is off the edge: its largest vote is 0.81, and should be 1.
    loss = edge_loss(votes, background, mask_connectivity(background))
    assert loss.item() == close(-math.log(0.81) / 9)


def test_the_edge_term_is_that_of_plain_loops():
    _, (links, *_), masks = outputs(4)
    reference = torch.nn.functional.one_hot(masks).movedim(-1, 1).float()
    connected, votes = mask_connectivity(reference), bilateral_votes(links.sigmoid())
    total, (images, classes, height, width) = 0.0, reference.shape
    for b, c, y, x in torch.cartesian_prod(
        *(torch.arange(n) for n in (images, classes, height, width))
    ).tolist():
        linked = int(connected[b, c, :, y, x].sum())
        seen = votes[b, c, :, y, x].tolist()
        said = 1 - min(seen) if 0 < linked < 8 else max(seen)
        right = said if reference[b, c, y, x] else 1 - said
        total -= math.log(max(right, LEAST_PROBABILITY)) / (images * height * width)
    assert edge_loss(votes, reference, connected).item() == close(total)


def test_dice_is_one_ratio_over_images_pixels_and_classes():
    # Two images of two pixels. p = (3/4, 1/4); one lesion pixel in four.
    logits = torch.tensor([math.log(3.0), 0.0]).view(1, 2, 1, 1).expand(2, 2, 1, 2)
    masks = torch.tensor([[[0, 0]], [[0, 1]]])
    reference = torch.stack([masks == 0, masks == 1], dim=1).float()
    overlap = 3 * 3 / 4 + 1 / 4
    assert dice_loss(logits, reference).item() == close(1 - (2 * overlap + 1) / (4 + 4 + 1))


@pytest.mark.parametrize(("output", "weight"), list(enumerate([1, 1, 1 / 2, 1 / 4, 1 / 8])))
def test_outputs_are_weighted_by_level(output, weight):
    (maps, links, masks), (other_maps, other_links, _) = outputs(5), outputs(6)
    reference = torch.nn.functional.one_hot(masks).movedim(-1, 1).float()
    connected = mask_connectivity(reference)

    def joint(logits, connectivity):
        bicon = bicon_loss(connectivity, reference, connected)
        return (dice_loss(logits, reference) + 0.05 * bicon).item()

    same = retifluidnet_loss(prediction_of([maps[0]] * 5, [links[0]] * 5), masks).item()
    assert same == close(2.875 * joint(maps[0], links[0]))
    one_map, one_link = [maps[0]] * 5, [links[0]] * 5
    one_map[output], one_link[output] = other_maps[0], other_links[0]
    changed = retifluidnet_loss(prediction_of(one_map, one_link), masks).item()
    difference = joint(other_maps[0], other_links[0]) - joint(maps[0], links[0])
    assert abs(difference) > 1e-2
    assert changed - same == close(weight * difference, rel=1e-3)


def test_gradient_is_that_of_finite_differences():
    maps, links, masks = outputs(7, images=1, classes=2, height=3, width=3, dtype=torch.float64)
    inputs = [maps[0].requires_grad_(), links[0].requires_grad_()]

    def loss(logits, connectivity):
        return retifluidnet_loss(prediction_of([logits] * 5, [connectivity] * 5), masks)

    assert loss(*inputs).dtype == torch.float64
    assert torch.autograd.gradcheck(loss, inputs, eps=1e-6, atol=1e-7)


def test_autocast_outputs_are_computed_on_in_float32():
    maps, links, masks = outputs(8)
    narrow = [[x.bfloat16() for x in group] for group in (maps, links)]
    wide = [[x.float() for x in group] for group in narrow]
    loss = retifluidnet_loss(prediction_of(*narrow), masks)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, retifluidnet_loss(prediction_of(*wide), masks))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(loss, retifluidnet_loss(prediction_of(*narrow), masks))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
@pytest.mark.parametrize("sign", [-1, 1])
def test_the_surest_wrong_answer_is_finite(dtype, sign):
    maps, links, masks = outputs(9)
    maps = [(1e4 * sign * x.sign()).to(dtype).requires_grad_() for x in maps]
    links = [torch.full_like(x, 1e4 * sign, dtype=dtype).requires_grad_() for x in links]
    loss = retifluidnet_loss(prediction_of(maps, links), masks)
    loss.backward()
    assert loss.isfinite()
    assert all(x.grad.isfinite().all() for x in (*maps, *links))


def test_evaluation_scores_the_main_output_alone():
    maps, _, masks = outputs(10)
    reference = torch.nn.functional.one_hot(masks).movedim(-1, 1).float()
    loss = retifluidnet_loss(Prediction(maps[0], None), masks)
    assert torch.equal(loss, dice_loss(maps[0], reference))


def test_a_network_that_does_not_fit_the_loss_is_refused():
    maps, _, masks = outputs(11)
    with pytest.raises(ValueError, match="option side_outputs: true"):
        retifluidnet_loss(Prediction(maps[0].requires_grad_(), None), masks)
    with pytest.raises(ValueError, match="a network that segments"):
        retifluidnet_loss(Prediction(None, torch.zeros(2, 3)), masks)


def test_the_loss_trains_every_parameter_of_the_network():
    torch.manual_seed(0)
    network = retifluidnet.build(image_size=64, n_seg=2, n_cls=None, side_outputs=True).train()
    for conv in network.bottleneck[2].convs:
        # Its ReLU has one channel, which random weights may close for all images at once.
        torch.nn.init.constant_(conv.bias, 10.0)
    masks = torch.randint(0, 3, (2, 64, 64))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        prediction = network(torch.rand(2, 3, 64, 64))
    retifluidnet_loss(prediction, masks).backward()
    untouched = {k for k, p in network.named_parameters() if p.grad is None or not p.grad.any()}
    assert not untouched
    assert all(p.grad.isfinite().all() for p in network.parameters())
