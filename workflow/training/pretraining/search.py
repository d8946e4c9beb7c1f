"""The search for a masking policy: hard to paint back in, easy to solve the jigsaw under.

A trial trains nothing: it asks what the base network and its jigsaw head lose under another policy.
Official code: objective = normalised proxy loss - normalised inpainting loss, minimised by TPE, at
most half of the superpixels masked. Its normalisation divides the mean over batches by their norm,
which leaves out how large the losses are: twice the loss gives the same. Decision: each loss is
divided by its value under the base policy.
"""

from collections.abc import Callable
from dataclasses import dataclass

from workflow.config.sections import MaskingPolicy

HIGHEST_RATIO = 0.5


@dataclass(frozen=True)
class Losses:
    """What the base network and its jigsaw head lose under a policy."""

    inpainting: float
    proxy: float


@dataclass(frozen=True)
class PolicyTrial:
    """A policy, what is lost under it, and the number to be lowered."""

    policy: MaskingPolicy
    losses: Losses
    objective: float


def objective(losses: Losses, base: Losses) -> float:
    """Proxy loss minus inpainting loss, each as a multiple of the base policy's; 0 for that one."""
    return losses.proxy / base.proxy - losses.inpainting / base.inpainting


def policy_of(superpixels: int, ratio: float) -> MaskingPolicy:
    """The policy that masks a share of the superpixels: rounded down, and at least one."""
    return MaskingPolicy(superpixels=superpixels, masked=max(1, int(ratio * superpixels)))


def search(
    evaluate: Callable[[MaskingPolicy], Losses],
    base: Losses,
    grid: list[int],
    trials: int,
    seed: int,
    report: Callable[[str], None],
) -> list[PolicyTrial]:
    """Try policies, each chosen by TPE from what the ones before it gave.

    Args:
        evaluate: what is lost under a policy.
        base: what is lost under the base policy.
        grid: the numbers of superpixels to choose from, in any order.
        trials: how many policies to try.
        seed: the seed of the sampler.
        report: gets a line after each trial.

    Returns:
        The trials, in the order in which they were made.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    ordered = sorted(grid)
    made: list[PolicyTrial] = []
    for number in range(trials):
        asked = study.ask()
        # Places on the grid have an order, and steps between them are alike; counts differ widely.
        superpixels = ordered[asked.suggest_int("place", 0, len(ordered) - 1)]
        policy = policy_of(superpixels, asked.suggest_float("ratio", 0, HIGHEST_RATIO))
        losses = evaluate(policy)
        made.append(PolicyTrial(policy, losses, objective(losses, base)))
        study.tell(asked, made[-1].objective)
        report(
            f"trial {number + 1}/{trials}, {policy.masked} of {policy.superpixels} superpixels: "
            f"{made[-1].objective:.4f}"
        )
    return made


def best(trials: list[PolicyTrial]) -> PolicyTrial:
    """The trial with the lowest objective, the earliest of several."""
    return min(trials, key=lambda trial: trial.objective)
