"""Masks: as many superpixels as the policy says, of those an image has, and whole ones."""

import dataclasses

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tests.workflow.training.pretraining.small_network import masking
from workflow.config.sections import Policy, Pretraining
from workflow.training.pretraining.masking import draw


def policy(superpixels, masked):
    return Policy(superpixels=superpixels, masked=masked)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def strips(*counts, size=24):
    """Label maps of so many vertical strips."""
    return torch.stack([(torch.arange(size) * n // size + 1).expand(size, size) for n in counts])


@pytest.mark.parametrize("masked", [1, 3, 4])
def test_as_many_ids_are_drawn_as_the_policy_says(masked):
    chosen = draw(strips(8, 12), 12, masked, generator())
    assert chosen.shape == (2, 13)
    assert chosen.sum(1).tolist() == [masked, masked]
    assert not chosen[:, 0].any()
    assert not chosen[0, 9:].any()  # the first image has no such ids


def test_never_more_than_half_of_what_an_image_has():
    chosen = draw(strips(1, 2, 6, 7, 24), 24, 5, generator())
    assert chosen.sum(1).tolist() == [0, 1, 3, 3, 5]


def test_every_id_is_as_likely_as_another():
    chosen = draw(strips(*[6] * 3000), 6, 2, generator())
    share = chosen[:, 1:].float().mean(0)
    assert torch.allclose(share, torch.full((6,), 1 / 3), atol=0.04)
    assert len({tuple(row.tolist()) for row in chosen}) == 15  # every pair occurs


def test_a_mask_is_made_of_whole_superpixels_and_covers_the_ids_drawn():
    made = masking()
    rows = torch.tensor([4, 0, 7])
    _, mask = made.masked(rows, policy(9, 3), generator(), moved=False)
    assert mask.shape == (3, 1, 32, 32)
    for image, row in zip(mask[:, 0], rows, strict=True):
        labels = made.pool.labels[9][row]
        covered = set(labels[image].tolist())
        assert len(covered) == min(3, int(labels.max()) // 2)
        assert torch.equal(image, torch.isin(labels, torch.tensor(sorted(covered))))


def test_images_as_they_are_keep_their_pixels():
    made = masking()
    images, _ = made.masked(torch.tensor([2]), policy(9, 3), generator(), moved=False)
    assert torch.equal(images, made.pool.images[2:3].float() / 255 * 2 - 1)
    assert images.min() >= -1
    assert images.max() <= 1


def test_grey_images_get_three_channels():
    made = masking()
    grey = dataclasses.replace(made.pool, images=made.pool.images[:, :1])
    made = dataclasses.replace(made, pool=grey)
    for moved in (False, True):
        images, _ = made.masked(torch.tensor([0, 1]), policy(9, 3), generator(), moved=moved)
        assert images.shape == (2, 3, 32, 32)


def test_in_a_training_view_the_mask_moves_with_the_image():
    """An image that shows its own label map: where it is masked tells which ids are."""
    made = masking()
    for k in made.pool.labels:
        made.pool.labels[k] = strips(8, size=32).expand(15, 32, 32).to(torch.int16)
    made.pool.images[:] = (strips(8, size=32) * 20).to(torch.uint8)
    images, mask = made.masked(torch.arange(15), policy(9, 3), generator(), moved=True)
    shown = ((images.mean(1) + 1) / 2 * 255 / 20 - 0.5).round()  # brightness is jittered a little
    for image, covered in zip(shown, mask[:, 0], strict=True):
        means = image[covered]
        spread = [m for m in image.unique().tolist() if (means == m).float().mean() > 0.02]
        assert len(spread) <= 6  # three strips, and what is blended between them


def test_the_share_that_is_masked_is_the_policys():
    made = masking()
    shares = []
    for seed in range(40):
        _, mask = made.masked(torch.arange(15), policy(16, 4), generator(seed), moved=True)
        shares.append(mask.float().mean().item())
    ids = made.pool.labels[16].amax(dim=(1, 2)).float()
    assert np.mean(shares) == pytest.approx((4 / ids).mean().item(), abs=0.04)


def test_a_fifth_is_held_out_and_the_seed_decides_which():
    learned, held_out = masking(0).rows()
    assert (len(learned), len(held_out)) == (12, 3)
    assert sorted(torch.cat([learned, held_out]).tolist()) == list(range(15))
    assert torch.equal(masking(0).rows()[1], held_out)
    assert not torch.equal(masking(1).rows()[1], held_out)


def test_random_numbers_are_apart_by_purpose_and_seed():
    def first(seed, purpose):
        return torch.rand(1, generator=masking(seed).generator(purpose)).item()

    drawn = {first(seed, purpose) for seed in range(3) for purpose in ("order", "views")}
    assert len(drawn) == 6
    assert first(0, "order") == first(0, "order")


def test_a_policy_masks_at_most_half():
    assert policy(20, 10).masked == 10
    with pytest.raises(ValidationError, match="at most half"):
        policy(20, 11)
    with pytest.raises(ValidationError):
        policy(20, 0)


def test_the_base_policy_must_be_on_the_grid():
    settings = masking().settings.model_dump()
    with pytest.raises(ValidationError, match=r"`base\.superpixels` must be one of"):
        Pretraining.model_validate(settings | {"superpixels": [4, 16]})
    with pytest.raises(ValidationError, match="once"):
        Pretraining.model_validate(settings | {"superpixels": [4, 9, 9]})
