"""The sections of the configuration on methods, tables, figures, scores and statistics."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from workflow.config.metrics import FACTS, METRICS, TableKind, Task
from workflow.config.training import Names, Positive, Section, Share, distinct

if TYPE_CHECKING:
    ColumnName = str
else:
    ColumnName = Literal[(*METRICS, *FACTS)]

# Keys become rule names, folders and words of shell commands.
Key = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]


Seeds = Annotated[list[Annotated[int, Field(ge=0)]], Field(min_length=1), AfterValidator(distinct)]


class Select(Section):
    """Which data sets and methods to make; null is all."""

    datasets: list[str] | None = None
    methods: list[str] | None = None


class Sizes(Section):
    """Which square input sizes a network can take."""

    multiple_of: Positive
    minimum: Positive


class Native(Section):
    """What a method's authors did, as far as it is on record: it replaces the method's `training`.

    Attributes:
        source: the place where it is on record.
        options: options of the network that go with it, over the method's own.
        training: keys of the common protocol that it changes.
    """

    source: str
    options: dict[str, Any] = {}
    training: dict[str, Any]


class MaskingPolicy(Section):
    """How images are masked for pretraining: into how many superpixels they are cut, about, and
    how many of those go black.
    """

    superpixels: Annotated[int, Field(ge=2, le=10_000)]
    masked: Positive

    @model_validator(mode="after")
    def _at_most_half(self) -> Self:
        if 2 * self.masked > self.superpixels:
            raise ValueError("`masked` may be at most half of `superpixels`")
        return self


class Pretraining(Section):
    """Self-supervised pretraining of a method, and the search for its masking policy.

    Attributes:
        epochs: epochs of the inpainting network, before the search and again after it.
        proxy_epochs: epochs of the head that solves the jigsaw.
        trials: the number of trials of the search.
        images: how many training images take part; null is all.
        search_images: how many of the fifth that is held out a trial looks at; null is all.
        superpixels: the numbers of superpixels that the search may choose.
        base: the policy of the first inpainting network, by whose losses those of others count.
        compactness: the compactness of the superpixels.
    """

    epochs: Positive
    proxy_epochs: Positive
    trials: Positive
    images: Annotated[int, Field(ge=5)] | None
    search_images: Positive | None
    batch_size: Annotated[int, Field(ge=2)]
    learning_rate: Annotated[float, Field(gt=0)]
    superpixels: Annotated[
        list[Annotated[int, Field(ge=2, le=10_000)]],
        Field(min_length=1),
        AfterValidator(distinct),
    ]
    base: MaskingPolicy
    compactness: Annotated[float, Field(gt=0)]

    @model_validator(mode="after")
    def _base_is_in_the_grid(self) -> Self:
        if self.base.superpixels not in self.superpixels:
            raise ValueError("`base.superpixels` must be one of `superpixels`")
        return self


class Method(Section):
    """One compared method: the module whose `build` makes the network, and its options.

    Attributes:
        recipe: `unified` trains by the common protocol with the changes of `training`, `native`
            by the authors'.
        pretrained: `none` (random weights), a file of weights, or `hub:` and a name of timm's hub.
        pretraining: the stage before, for a method that makes its own weights to start from.
        tables: keys of tables that get a row of this method below their own rows.
        control: makes predictions without a network, and so stands in place of `module`.
    """

    title: str
    module: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)+$")] | None = None
    control: Literal["oracle", "class_prior", "all_background"] | None = None
    options: dict[str, Any] = {}
    tasks: Annotated[list[Task], Field(min_length=1)]
    sizes: Sizes = Sizes(multiple_of=1, minimum=1)
    training: dict[str, Any] = {}
    recipe: Literal["unified", "native"] = "unified"
    native: Native | None = None
    pretrained: str = "none"
    pretraining: Pretraining | None = None
    tables: list[str] = []

    @model_validator(mode="after")
    def _module_or_control(self) -> Self:
        if (self.module is None) == (self.control is None):
            raise ValueError("a method needs either `module` or `control`, and not both")
        return self

    @model_validator(mode="after")
    def _recipe_is_known(self) -> Self:
        if self.recipe == "native" and self.native is None:
            raise ValueError("recipe: found native, but there is no `native` section; use unified")
        return self

    @property
    def network_options(self) -> dict[str, Any]:
        """The options of `build` under the chosen recipe."""
        native = self.native if self.recipe == "native" else None
        return self.options | (native.options if native else {})

    @property
    def protocol(self) -> dict[str, Any]:
        """The keys of the common protocol that the chosen recipe changes."""
        native = self.native if self.recipe == "native" else None
        return native.training if native else self.training


class ColumnGroup(Section):
    """Columns of a table under one title: one column per metric, or per class or rule of each."""

    title: str
    dataset: str | None = None
    metrics: Annotated[list[ColumnName], Field(min_length=1)]


class Row(Section):
    """A row of a table; `methods` (column group title -> method) where the column chooses."""

    title: str
    group: str | None = None
    dataset: str | None = None
    method: str | None = None
    methods: dict[str, str] | None = None

    @model_validator(mode="after")
    def _one_kind_of_method(self) -> Self:
        if (self.method is None) == (self.methods is None):
            raise ValueError("a row needs either `method` or `methods`, and not both")
        return self


class Table(Section):
    """A table.

    Attributes:
        kind: `results` as in II-IX; `datasets`, the summary I; what training cost (`efficiency`);
            results of each lesion and label (`classes`), or by each convention of a metric
            (`rules`); any metric, without printed values (`metrics`). The last four show only what
            some table of results shows.
        mark: how best and second best are shown.
        compare_within: among which rows; empty is the whole column.
        methods_of: tables of results whose methods have a row each.
        controls: methods whose rows stand at the foot, for comparison with all above: they are
            neither marked nor tested.
    """

    kind: TableKind = "results"
    enabled: bool = True
    caption: str
    mark: Literal["color", "bold"] | None = None
    compare_within: list[Literal["group", "dataset"]] = []
    datasets: list[str] = []
    columns: list[ColumnGroup] = []
    rows: list[Row] = []
    methods_of: list[str] = []
    controls: list[str] = []

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.methods_of and self.kind in ("results", "datasets"):
            raise ValueError(
                "`methods_of` goes with kinds efficiency, classes, rules and metrics only"
            )
        return self


class Figure(Section):
    """A qualitative figure (5-8)."""

    enabled: bool = True
    caption: str
    palette: Literal["classes", "errors"]
    datasets: Names
    methods: Names
    cases_per_dataset: Positive


SegmentationRule = Literal["per_image", "pooled", "per_volume", "empty_is_one", "challenge"]


class Evaluation(Section):
    """How test images are scored.

    Attributes:
        resolution: the size at which pixels are counted: the network's input size, or the raw
            image's.
        boundary: whether HD95 and ASD are measured as well.
        rule: how JI and DSC are averaged; see `workflow.metrics.rules`.
        decision: the rule by which a label counts as predicted: its sigmoid, or its share of the
            softmax, is above `threshold`; or it is the largest of all.
        drop_duplicates: leaves out test images that are also in the training or validation split.
    """

    batch_size: Positive
    resolution: Literal["input", "native"]
    boundary: bool
    rule: SegmentationRule
    decision: Literal["sigmoid", "softmax", "argmax"]
    threshold: Share
    drop_duplicates: bool


class Statistics(Section):
    """How seeds are summarised, and what is claimed of the numbers.

    Attributes:
        level: the level of all intervals; tests are at 1 - level.
        margin: points by which two values may differ and still be called the same; of them, half
            a unit of the printed number is spent on its rounding.
        gain_margin: the same of a gain of one method over another that the text states.
        printed_seeds: over how many seeds each printed number is the mean.
        power: the power of the tests at the smallest detectable difference.
        resamples: how often seeds and groups are drawn where there is no closed form.
        seed: the seed of these draws.
    """

    spread_ddof: Annotated[int, Field(ge=0, le=1)]
    decimals: Annotated[int, Field(ge=0, le=4)]
    level: Annotated[float, Field(ge=0.5, lt=1)]
    margin: Annotated[float, Field(gt=0)]
    gain_margin: Annotated[float, Field(gt=0)]
    printed_seeds: Annotated[int, Field(ge=1)]
    power: Annotated[float, Field(ge=0.5, lt=1)]
    resamples: Annotated[int, Field(ge=100)]
    seed: Annotated[int, Field(ge=0)]


class Report(Section):
    """What the HTML report holds.

    Attributes:
        masks: seeds whose predicted masks the image browser shows; what seeds agree on is there
            either way.
    """

    masks: Literal["first", "all"]
