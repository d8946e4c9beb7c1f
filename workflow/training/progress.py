"""How far a run has come: its history so far, its best checkpoint, and the epoch under way."""

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple, Self

from torch import Tensor

from workflow.training.state.saved import Snapshot
from workflow.training.state.snapshots import named, unnamed

BEST = "best"


@dataclass(frozen=True)
class Epoch:
    """One line of a run's history; losses are means over images, weights of the parts left out."""

    epoch: int
    steps: int
    learning_rate: float
    train_loss: float
    train_loss_segmentation: float
    train_loss_classification: float
    val_loss: float
    val_ji: float
    val_dsc: float
    seconds: float


class Resumption(NamedTuple):
    """Where a run was taken up again, and the seconds it had trained until then."""

    epoch: int
    step: int
    seconds: float


@dataclass
class RunProgress:
    """What a run has done.

    Attributes:
        losses: sums over the images of the epoch under way: the loss and its two parts, `[3]`.
        step: steps done since the run began.
        images: the images of the epoch under way.
        seconds: spent on the epoch under way by processes that were interrupted.
        spent: seconds of training in all, up to the start of this process.
        saving: the seconds of these that saving states took.
        history: a line for each whole epoch.
        best: the line of the checkpoint that validates best.
        weights: the weights of that checkpoint, in memory.
        resumed: each time the run was taken up again.
    """

    losses: Tensor
    step: int = 0
    images: int = 0
    seconds: float = 0.0
    spent: float = 0.0
    saving: float = 0.0
    history: list[Epoch] = field(default_factory=list)
    best: Epoch | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)
    resumed: list[Resumption] = field(default_factory=list)

    @property
    def epoch(self) -> int:
        """The epoch under way, from 1."""
        return len(self.history) + 1

    def begin_epoch(self) -> None:
        """Nothing is done of the next epoch."""
        self.losses.zero_()
        self.images, self.seconds = 0, 0.0

    def snapshot(self) -> Snapshot:
        """All of it; the tensors are the progress's own."""
        tensors = {"losses": self.losses, **named(BEST, self.weights)}
        facts: dict[str, Any] = {
            name: getattr(self, name) for name in ("step", "images", "seconds", "spent", "saving")
        }
        facts["history"] = [asdict(line) for line in self.history]
        facts["best"] = self.best.epoch if self.best else None
        facts["resumed"] = self.resumed
        return Snapshot(tensors, facts)

    @classmethod
    def restored(cls, state: Snapshot, losses: Tensor) -> Self:
        """The progress of a snapshot, taken up again; `losses` says on which device."""
        facts = dict(state.facts)
        history = [Epoch(**line) for line in facts.pop("history")]
        best = facts.pop("best")
        resumed = [Resumption(*values) for values in facts.pop("resumed")]
        progress = cls(
            losses=losses.copy_(state.tensors["losses"]),
            history=history,
            best=history[best - 1] if best else None,
            weights=unnamed(BEST, state.tensors),
            resumed=resumed,
            **facts,
        )
        again = Resumption(progress.epoch, progress.step, progress.spent)
        progress.resumed.append(again)
        return progress
