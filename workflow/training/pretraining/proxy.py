"""The proxy task: a jigsaw, solved by a small head on the frozen encoder of the base network.

The official code has three proxies, jigsaw, rotation and colourisation; its search uses the first,
and so it is the only one here (decision). The tiles are those of masked images, so that a policy
shows in the proxy's loss; the head learns under the base policy (decision, the record is silent).
"""

import functools
import itertools
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workflow.config.sections import Policy
from workflow.networks.device import autocast
from workflow.training.pretraining.fitting import fit, mean_loss
from workflow.training.pretraining.inpainting import Inpainter, hide
from workflow.training.pretraining.masking import Masking
from workflow.training.state.saved import Keeper

PERMUTATIONS = torch.tensor(list(itertools.permutations(range(4))))
TILE_FEATURES = 512


class Jigsaw(nn.Module):
    """Which of the 24 orders four tiles are in, from the encoder's maps of them.

    Args:
        channels: of the encoder's maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.tile = nn.Linear(channels, TILE_FEATURES)
        self.order = nn.Linear(4 * TILE_FEATURES, len(PERMUTATIONS))

    def forward(self, maps: Tensor) -> Tensor:
        """Logits `[B, 24]` from maps `[B, 4, C, h, w]`; each tile by itself, then all in a row."""
        return self.order(self.tile(maps.mean(dim=(3, 4))).flatten(1))


def tiles(images: Tensor, orders: Tensor) -> Tensor:
    """The four quarters of images in a given order.

    Args:
        images: `[B, C, H, W]`, H and W even.
        orders: int64 `[B, 4]`; entry i says which quarter comes i-th. Quarters count by row.

    Returns:
        `[B, 4, C, H / 2, W / 2]`.
    """
    batch, channels, height, width = images.shape
    grid = images.reshape(batch, channels, 2, height // 2, 2, width // 2)
    quarters = grid.permute(0, 2, 4, 1, 3, 5).flatten(1, 2)
    return quarters[torch.arange(batch, device=images.device).unsqueeze(1), orders]


def evaluate_jigsaw(
    head: Jigsaw, network: Inpainter, masking: Masking, policy: Policy, rows: Tensor
) -> float:
    """The cross entropy under a policy on whole images, as they are."""
    loss = functools.partial(_loss, head, network, masking, policy, moved=False)
    return mean_loss(masking, loss, rows)


def train_jigsaw(
    network: Inpainter,
    masking: Masking,
    policy: Policy,
    report: Callable[[str], None],
    keeper: Keeper | None = None,
) -> tuple[Jigsaw, list[float]]:
    """Train a fresh head on a network in evaluation mode, which stays as it is.

    Returns:
        The head, with the weights that validate best, and its validation loss by epoch.
    """
    torch.manual_seed(masking.seed)
    size = masking.pool.images.shape[-1] // 2
    with torch.no_grad():
        channels = network.encode(torch.zeros(1, 3, size, size, device=masking.device)).shape[1]
    head = Jigsaw(channels).to(masking.device)
    held_out = masking.rows()[1]
    losses = fit(
        head,
        masking,
        masking.settings.proxy_epochs,
        functools.partial(_loss, head, network, masking, policy, moved=True),
        lambda: evaluate_jigsaw(head, network, masking, policy, held_out),
        report,
        keeper,
    )
    return head, losses


def _loss(
    head: Jigsaw,
    network: Inpainter,
    masking: Masking,
    policy: Policy,
    rows: Tensor,
    generator: torch.Generator,
    *,
    moved: bool,
) -> Tensor:
    images, mask = masking.masked(rows, policy, generator, moved=moved)
    wanted = torch.randint(len(PERMUTATIONS), (len(rows),), generator=generator)
    shuffled = tiles(hide(images, mask), PERMUTATIONS[wanted].to(masking.device))
    with autocast(masking.device, masking.precision):
        with torch.no_grad():
            flat = shuffled.flatten(0, 1).contiguous(memory_format=torch.channels_last)
            maps = network.encode(flat)
        logits = head(maps.unflatten(0, shuffled.shape[:2]))
    return F.cross_entropy(logits.float(), wanted.to(masking.device))
