"""The training loop of both networks of pretraining, and means over images that are held out."""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from workflow.training.pretraining.bench import Bench

# The loss of the images in some rows, with random numbers from a generator.
LossOfRows = Callable[[Tensor, torch.Generator], Tensor]


class PretrainingDiverged(ArithmeticError):
    """The loss of a pretraining became infinite or not a number."""


def fit(
    network: nn.Module,
    bench: Bench,
    epochs: int,
    loss: LossOfRows,
    validate: Callable[[], float],
    report: Callable[[str], None],
) -> list[float]:
    """Train with Adam, the rate falling along a cosine; keep the weights that validate best.

    Args:
        network: whose parameters are learned; it ends in evaluation mode.
        bench: its images and settings.
        epochs: passes over the images.
        loss: to be lowered.
        validate: the loss on the images that are held out.
        report: gets a line after each epoch.

    Returns:
        The validation loss after each epoch.

    Raises:
        PretrainingDiverged: a validation loss is not finite.
    """
    settings = bench.settings
    optimizer = torch.optim.Adam(network.parameters(), lr=settings.learning_rate, fused=True)
    learned, _ = bench.rows()
    order, draws = bench.generator("order"), bench.generator("views")
    whole, rest = divmod(len(learned), settings.batch_size)
    batches = whole + (rest > 1)  # batch norm cannot take a last batch of one image
    losses: list[float] = []
    best: dict[str, Tensor] = {}
    for epoch in range(epochs):
        network.train()
        shuffled = learned[torch.randperm(len(learned), generator=order)]
        for batch, rows in enumerate(shuffled.split(settings.batch_size)[:batches]):
            progress = (epoch * batches + batch) / (epochs * batches)
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * (1 + math.cos(math.pi * progress)) / 2
            value = loss(rows, draws)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
        network.eval()
        losses.append(validate())
        if not math.isfinite(losses[-1]):
            raise PretrainingDiverged(
                f"validation loss {losses[-1]} after epoch {epoch + 1}; "
                "lower `pretraining.learning_rate` of this method"
            )
        if losses[-1] < min(losses[:-1], default=math.inf):
            best = {k: v.clone() for k, v in network.state_dict().items()}
        report(f"epoch {epoch + 1}/{epochs}, validation {losses[-1]:.4f}")
    network.load_state_dict(best)
    return losses


@torch.no_grad()
def mean_loss(bench: Bench, loss: LossOfRows, rows: Tensor) -> float:
    """The mean over images of a loss, with the same random numbers each time it is asked for."""
    generator = bench.generator("evaluation")
    total = torch.zeros((), device=bench.device)
    for part in rows.split(bench.settings.batch_size):
        total += loss(part, generator) * len(part)
    return total.item() / len(rows)
