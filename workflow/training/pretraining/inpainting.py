"""The masked-image model: superpixels of an image go black, the network paints them back in."""

import functools
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor

from workflow.config.sections import Policy
from workflow.networks.device import autocast
from workflow.training.pretraining.fitting import fit, mean_loss
from workflow.training.pretraining.masking import Masking
from workflow.training.state.saved import Keeper

BLACK = -1.0  # images run from -1 to 1
SCALE = 100.0


class Inpainter(Protocol):
    """What a method's module gives as `build_inpainting(image_size=...)`: a network, and more."""

    def __call__(self, image: Tensor) -> Tensor:
        """Paint images `[B, 3, H, W]`."""
        ...

    def encode(self, image: Tensor) -> Tensor:
        """The encoder's deepest map `[B, C, h, w]`."""
        ...

    def carried_over(self) -> dict[str, Tensor]:
        """What the second stage starts from, by the names of its own parameters."""
        ...


def hide(images: Tensor, mask: Tensor) -> Tensor:
    """Images with the masked pixels black, in the layout that convolutions are fastest in."""
    return images.masked_fill(mask, BLACK).contiguous(memory_format=torch.channels_last)


def inpainting_loss(painted: Tensor, images: Tensor, mask: Tensor) -> Tensor:
    """100 times the mean squared error, over the whole tensor, of what is painted under the mask.

    Args:
        painted: what the network says, `[B, 3, H, W]`, any value.
        images: `[B, 3, H, W]` in [-1, 1].
        mask: bool `[B, 1, H, W]`; what is painted elsewhere counts nothing.
    """
    return SCALE * ((painted.clamp(-1, 1) - images) * mask).square().mean()


def evaluate_inpainting(
    network: Inpainter, masking: Masking, policy: Policy, rows: Tensor
) -> float:
    """The loss under a policy on whole images, as they are."""
    loss = functools.partial(_loss, network, masking, policy, moved=False)
    return mean_loss(masking, loss, rows)


def train_inpainting(
    build: Callable[[], Any],
    masking: Masking,
    policy: Policy,
    report: Callable[[str], None],
    keeper: Keeper | None = None,
) -> tuple[Inpainter, list[float]]:
    """Train a fresh network under a policy.

    Args:
        build: makes an `Inpainter`, a torch module, from torch's default generator.
        masking: its images and settings.
        policy: how images are masked.
        report: gets a line after each epoch.
        keeper: of the state.

    Returns:
        The network, with the weights that validate best, and its validation loss by epoch.
    """
    torch.manual_seed(masking.seed)
    network = build()
    held_out = masking.rows()[1]
    losses = fit(
        network,
        masking,
        masking.settings.epochs,
        functools.partial(_loss, network, masking, policy, moved=True),
        lambda: evaluate_inpainting(network, masking, policy, held_out),
        report,
        keeper,
    )
    return network, losses


def _loss(
    network: Inpainter,
    masking: Masking,
    policy: Policy,
    rows: Tensor,
    generator: torch.Generator,
    *,
    moved: bool,
) -> Tensor:
    images, mask = masking.masked(rows, policy, generator, moved=moved)
    with autocast(masking.device, masking.precision):
        painted = network(hide(images, mask))
    return inpainting_loss(painted.float(), images, mask)
