"""RetiFluidNet's joint loss: Dice and the connectivity of neighbouring pixels, at five outputs.

Rasti et al., IEEE TMI 2023, after BiconNet (Yang et al., Pattern Recognition 2022): beside class
maps the network predicts, for each pixel and class, whether the pixel and each of its eight
neighbours are both of that class. The weights are those of the authors' code.

Decisions: the edge of a class is taken from the reference, as in BiconNet; the authors' code takes
it from the prediction, and then nearly every pixel is edge. Probabilities in the edge term's
logarithms are cut at 1e-7 as in Keras.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

from resformer.prediction import Prediction

# Row and column of each neighbour: UL, U, UR, L, R, DL, D, DR. The opposite of the k-th is the
# (7 - k)-th, so that flipping the axis turns every direction around.
NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
OUTPUT_WEIGHTS = (1.0, 1.0, 1 / 2, 1 / 4, 1 / 8)  # main output, levels 1 to 4
CONNECTIVITY_WEIGHT = 0.05
EDGE_WEIGHT = 0.5
SMOOTH = 1.0
LEAST_PROBABILITY = 1e-7


def retifluidnet_loss(prediction: Prediction, masks: Tensor) -> Tensor:
    """The sum over outputs k of w_k (Dice_k + 0.05 Bicon_k), in float32 or better.

    In evaluation, where the network evaluates its main head alone, that head's Dice.

    Args:
        prediction: logits `[B, C, H, W]` and, in training, the auxiliary `side`, four logits of
            that shape, and `connectivity`, five logits `[B, C, 8, H, W]`.
        masks: int64 `[B, H, W]`, 0 background, k the k-th lesion.

    Raises:
        ValueError: the network does not segment, or is in training without these outputs.
    """
    main, auxiliary = prediction.segmentation, prediction.auxiliary
    if main is None:
        raise ValueError("the connectivity loss needs a network that segments")
    reference = F.one_hot(masks, main.shape[1]).movedim(-1, 1).to(_wide(main).dtype)
    if auxiliary is None:
        if main.requires_grad:
            raise ValueError(
                "the connectivity loss needs a network with side and connectivity outputs in "
                "training: retifluidnet with the option side_outputs: true"
            )
        return dice_loss(_wide(main), reference)
    connected = mask_connectivity(reference)
    total = torch.zeros((), dtype=reference.dtype, device=reference.device)
    outputs = zip(
        OUTPUT_WEIGHTS, (main, *auxiliary["side"]), auxiliary["connectivity"], strict=True
    )
    for weight, logits, links in outputs:
        joint = dice_loss(_wide(logits), reference)
        joint = joint + CONNECTIVITY_WEIGHT * bicon_loss(_wide(links), reference, connected)
        total = total + weight * joint
    return total


def dice_loss(logits: Tensor, reference: Tensor) -> Tensor:
    """One minus a single soft Dice ratio over batch, pixels and all classes with the background.

    Args:
        logits: `[B, C, H, W]`.
        reference: 0 or 1, `[B, C, H, W]`.
    """
    return 1 - soft_dice(logits.softmax(dim=1), reference, (0, 1, 2, 3))


def bicon_loss(links: Tensor, reference: Tensor, connected: Tensor) -> Tensor:
    """Connectivity loss of one output, summed over classes: BCE + (1 - Dice) + 0.5 edge.

    Args:
        links: connectivity logits, `[B, C, 8, H, W]`.
        reference: class maps of 0 and 1, `[B, C, H, W]`.
        connected: their connectivity, `[B, C, 8, H, W]`.
    """
    classes = links.shape[1]
    # Classes have equally many pixels: the sum of their means is the mean of all times C.
    bce = classes * F.binary_cross_entropy_with_logits(links, connected)
    votes = bilateral_votes(links.sigmoid())
    # amax and amin share the gradient among ties; max and min would scatter it.
    dice = 1 - soft_dice(votes.amax(dim=2), reference, (0, 2, 3))
    return bce + dice.sum() + EDGE_WEIGHT * edge_loss(votes, reference, connected)


def edge_loss(votes: Tensor, reference: Tensor, connected: Tensor) -> Tensor:
    """BCE of a map that joins two readings of the votes, mean over pixels, summed over classes.

    A pixel is on the edge of a class if it is connected to some of its neighbours and not to all;
    a vote for all of them is then wrong, and one minus its smallest vote should be 1. Off the edge
    its largest vote should be the class map's value, inside the class as outside. Pixels at the
    image's border are on the edge too, and cost nothing: the votes for what lies outside are 0.

    Args:
        votes: probabilities, `[B, C, 8, H, W]`.
        reference: class maps of 0 and 1, `[B, C, H, W]`; 1 wherever there is an edge.
        connected: their connectivity, `[B, C, 8, H, W]`.
    """
    count = connected.sum(dim=2)
    edge = (count > 0) & (count < len(NEIGHBOURS))
    decoupled = torch.where(edge, 1 - votes.amin(dim=2), votes.amax(dim=2))
    decoupled = decoupled.clamp(LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    bce = F.binary_cross_entropy(decoupled, reference, reduction="none")
    return bce.mean(dim=(0, 2, 3)).sum()


def mask_connectivity(reference: Tensor) -> Tensor:
    """Say for each pixel, class and direction whether both the pixel and that neighbour belong.

    Args:
        reference: class maps of 0 and 1, `[B, C, H, W]`.

    Returns:
        0 or 1, `[B, C, 8, H, W]`; 0 towards the outside of the image.
    """
    maps = reference.unsqueeze(2).expand(-1, -1, len(NEIGHBOURS), -1, -1)
    return maps * seen_by_neighbours(maps)


def bilateral_votes(links: Tensor) -> Tensor:
    """Multiply each connection by what the neighbour says of it: its opposite direction's value.

    Args:
        links: connectivity probabilities, `[B, C, 8, H, W]`.

    Returns:
        `[B, C, 8, H, W]`; 0 towards the outside of the image.
    """
    return links * seen_by_neighbours(links.flip(2))


def seen_by_neighbours(maps: Tensor) -> Tensor:
    """Read the k-th map at the k-th neighbour of every pixel.

    Args:
        maps: `[B, C, 8, H, W]`.

    Returns:
        `[B, C, 8, H, W]`; 0 where the neighbour lies outside.
    """
    height, width = maps.shape[-2:]
    padded = F.pad(maps, (1, 1, 1, 1))
    shifted = [
        padded[:, :, k, 1 + row : 1 + row + height, 1 + column : 1 + column + width]
        for k, (row, column) in enumerate(NEIGHBOURS)
    ]
    return torch.stack(shifted, dim=2)


def soft_dice(probabilities: Tensor, reference: Tensor, over: tuple[int, ...]) -> Tensor:
    """Dice ratios of maps of one shape, sums running over the given axes, 1 added to both terms."""
    overlap = (probabilities * reference).sum(dim=over)
    size = (probabilities + reference).sum(dim=over)
    return (2 * overlap + SMOOTH) / (size + SMOOTH)


def _wide(x: Tensor) -> Tensor:
    """The tensor in float32, or in its own format if that is wider."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
