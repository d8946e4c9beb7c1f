"""The training protocol as the configuration states it: section `training`, and its overlays."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from workflow.config.errors import merge
from workflow.config.metrics import Task

Positive = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Beta = Annotated[float, Field(ge=0, lt=1)]
Weight = Annotated[float, Field(ge=0)]


def distinct(values: list[Any]) -> list[Any]:
    """The values, if each of them is there once."""
    if len(set(values)) < len(values):
        raise ValueError("each value may occur once")
    return values


# `module:name` is a function that makes a logger; see `workflow.training.loggers`.
LoggerName = Annotated[str, Field(pattern=r"^(csv|tensorboard|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$")]
Names = Annotated[list[str], Field(min_length=1), AfterValidator(distinct)]


class Section(BaseModel):
    """A group of keys: unknown ones are refused, values cannot change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class OptimizerNeeds(NamedTuple):
    """What planning and checks have to know of an optimiser before torch is imported.

    Attributes:
        moments: float32 numbers per parameter that it keeps beside the parameter and its gradient.
        tasks: what a method must do to be trained with it; empty if any will do.
    """

    moments: int
    tasks: frozenset[Task] = frozenset()


# The optimisers; `workflow.training.optimisers` makes each of them, and a test holds the two equal.
OPTIMIZERS: dict[str, OptimizerNeeds] = {
    "adamw": OptimizerNeeds(moments=2),
    "adam": OptimizerNeeds(moments=2),
    "sgd": OptimizerNeeds(moments=1),
    "rmsprop": OptimizerNeeds(moments=2),
    "multi_adaptive": OptimizerNeeds(
        moments=4, tasks=frozenset({"segmentation", "classification"})
    ),
}
if TYPE_CHECKING:
    OptimizerName = str
else:
    OptimizerName = Literal[tuple(OPTIMIZERS)]


class Augmentation(Section):
    """Random rotation and flips (paper, section IV)."""

    rotation: Annotated[float, Field(ge=0, le=180)]
    horizontal_flip: Share
    vertical_flip: Share


class Loss(Section):
    """L = lambda1 * weighted multi-label CE + lambda2 * Dice (paper, section III-C), or another.

    Attributes:
        classification_form: `weighted` is the paper's; `conditional` mixes the probabilities of
            labels by how often they occur together, and sums over labels.
        segmentation_form: `overlap` is dice + cross_entropy + focal, each times its weight;
            `connectivity` is RetiFluidNet's own loss of its further outputs.
        dice_form: `linear` divides by the sums of p and t, `squared` by those of p^2 and t.
        dice_over: the pixels of one ratio: of a class in the `batch`, of a class in one `image`,
            or `all`. Dice is the mean over ratios.
        dice_smooth: added above and below the ratio's line; a pair where the two differ.
    """

    classification: Weight
    segmentation: Weight
    classification_form: Literal["weighted", "conditional"]
    class_weights: Literal["inverse_prevalence", "none"] | list[Annotated[float, Field(gt=0)]]
    segmentation_form: Literal["overlap", "connectivity"]
    dice: Weight
    dice_form: Literal["linear", "squared"]
    dice_over: Literal["batch", "image", "all"]
    dice_smooth: Annotated[float, Field(gt=0)] | tuple[Weight, Annotated[float, Field(gt=0)]]
    cross_entropy: Weight
    focal: Weight
    focal_gamma: Annotated[float, Field(ge=0)]

    @model_validator(mode="after")
    def _masks_are_learned(self) -> Self:
        if not (self.dice or self.cross_entropy or self.focal):
            raise ValueError("one of dice, cross_entropy and focal must be above 0")
        return self


class Training(Section):
    """The common protocol (paper, section IV), and what the compared methods' authors did.

    Attributes:
        optimizer: `multi_adaptive` is one Adam per task over the same weights (Hervella).
        betas: the betas of the Adams; the second also smooths the squared gradients of `rmsprop`.
        momentum: the momentum of `sgd` and `rmsprop`.
        weight_decay: decoupled in `adamw` and `multi_adaptive`, a part of the gradient in others.
        decay: factor of `exponential`, every `decay_epochs` epochs.
        restart_epochs: length of the first cosine of `restarts`; each next one is
            `restart_factor` times as long.
        minimum_rate: the rate at which the schedules end, and `exponential` stops falling.
        patience: epochs without a better checkpoint after which a run ends, counted from epoch
            `patience_from` on; null: never.
        compile: `auto` compiles the network on a GPU.
        images_on: the memory in which uint8 images wait; `auto` is the device, if they fit there.
        seeds_at_once: processes that share a job's device.
        save_seconds: seconds between two saves of a run's state; 0 saves after every step.
        log: where the numbers of epochs go: `csv` (history.csv, always written), `tensorboard`,
            or `module:name`, a logger of one's own.
    """

    epochs: Positive
    max_steps: Positive | None
    batch_size: Annotated[int, Field(ge=2)]
    optimizer: OptimizerName
    learning_rate: Annotated[float, Field(gt=0)]
    betas: tuple[Beta, Beta]
    momentum: Beta
    weight_decay: Annotated[float, Field(ge=0)]
    schedule: Literal["polynomial", "cosine", "constant", "exponential", "restarts"]
    power: Annotated[float, Field(gt=0)]
    decay: Annotated[float, Field(gt=0, le=1)]
    decay_epochs: Positive
    restart_epochs: Positive
    restart_factor: Positive
    minimum_rate: Annotated[float, Field(ge=0)]
    warmup: Share
    gradient_clip: Annotated[float, Field(gt=0)] | None
    normalize: Literal["unit", "none"]
    augmentation: Augmentation
    shuffle_labels: bool
    loss: Loss
    checkpoint: Literal["loss", "ji", "dsc"]
    patience: Positive | None
    patience_from: Annotated[int, Field(ge=0)]
    validation: Literal["val", "test"]
    precision: Literal["auto", "bf16", "float32"]
    determinism: Literal["strict", "fast"]
    device: Literal["auto", "cpu", "cuda"]
    compile: Literal["auto", "on", "off"]
    images_on: Literal["auto", "device", "host"]
    threads: Positive
    seeds_per_job: Positive
    seeds_at_once: Positive
    save_seconds: Annotated[float, Field(ge=0)]
    profile: bool
    keep_weights: bool
    log: Annotated[list[LoggerName], AfterValidator(distinct)] = ["csv"]


def overlaid(training: Training, layer: dict[str, Any]) -> Training:
    """The protocol with some of its keys replaced."""
    return Training.model_validate(merge(training.model_dump(), layer))
