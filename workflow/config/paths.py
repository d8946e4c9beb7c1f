"""Where everything that the DAG writes lies: one place for rules, steps and report to agree on.

All paths are relative to the repository root and begin with `results/<preset>/`.
"""

from pathlib import Path

from workflow.config.model import Config

TABLE_FORMATS = ("csv", "parquet", "md", "tex", "html")


def store(config: Config, source: str) -> Path:
    """Folder for what is downloaded, unpacked or written of a source's raw files."""
    if config.data.origin == "phantom":
        return config.results / "raw" / source
    return Path(config.data.store) / source


def raw_dir(config: Config, source: str) -> Path:
    """Folder of a public source's raw files: the user's, or else what is downloaded or written."""
    given = config.given_dir(source) if config.data.origin == "local" else None
    return Path(given) if given else store(config, source) / "original"


def raw_roots(config: Config, source: str) -> list[Path]:
    """The folders below which a public source's raw files lie: as given, and unpacked."""
    return [raw_dir(config, source), store(config, source) / "unpacked"]


def downloaded(config: Config, source: str) -> Path:
    """The note that all archives of a source are in the store and have the right checksums."""
    return config.results / "data" / f"{source}_downloaded.txt"


def seen(config: Config, source: str) -> Path:
    """The sizes, times and hashes of the user's raw files when they were last looked at."""
    return store(config, source) / "seen.json"


def listing(config: Config, source: str) -> Path:
    """The list of a source's raw files, written once all archives are unpacked."""
    return config.results / "data" / f"{source}_files.json"


def prepared(config: Config, dataset: str) -> Path:
    """Folder of a data set's inventory, split, manifest and prepared arrays."""
    return config.results / "data" / dataset


def identity(config: Config, dataset: str) -> Path:
    """The hash of a data set's arrays and of what they mean: what training depends on."""
    return prepared(config, dataset) / "identity.txt"


def raw_facts(config: Config, dataset: str) -> Path:
    """What preparing saw of a data set's raw files, and is not in the arrays."""
    return prepared(config, dataset) / "raw.json"


def gates(config: Config, dataset: str) -> Path:
    """What the checks of a prepared data set found."""
    return prepared(config, dataset) / "gates.json"


def run(config: Config, dataset: str, method: str, seed: int | str) -> Path:
    """Folder of one training run: weights.safetensors, history.csv, run.json."""
    return config.results / "runs" / dataset / method / f"seed{seed}"


def exported(dataset: str, method: str, seed: int | str) -> Path:
    """Where an exported run and its card lie, in the folder of its preset's results."""
    return Path("exports") / f"{dataset}_{method}_seed{seed}.safetensors"


def state(config: Config, dataset: str, method: str, seed: int | str) -> Path:
    """Folder of the states that a run of training leaves until it is evaluated."""
    return config.results / "state" / dataset / method / f"seed{seed}"


def profile(config: Config, dataset: str, method: str, seed: int | str) -> Path:
    """Folder of what `training.profile` says of a run: a table of its phases, and a trace."""
    return config.results / "profiles" / dataset / method / f"seed{seed}"


def watched(config: Config, dataset: str, method: str, seed: int | str) -> Path:
    """Folder of what the loggers of `training.log` write while a run trains."""
    return config.results / "watch" / dataset / method / f"seed{seed}"


def superpixels(config: Config, dataset: str, method: str, count: int | str) -> Path:
    """The label maps of one number of superpixels, of the training images."""
    folder = config.results / "pretraining" / dataset / method
    return folder / "superpixels" / f"{count}.npz"


def all_superpixels(config: Config, dataset: str, method: str) -> list[Path]:
    """The label maps of every number of superpixels that a pretraining may choose."""
    settings = config.methods[method].pretraining
    counts = settings.superpixels if settings else []
    return [superpixels(config, dataset, method, count) for count in counts]


def pretraining(config: Config, dataset: str, method: str, seed: int | str) -> Path:
    """Folder of what a run of a pretrained method starts from: weights.safetensors, policy.json."""
    return config.results / "pretraining" / dataset / method / f"seed{seed}"


def all_pretraining(config: Config, dataset: str, method: str, seeds: list[int]) -> list[Path]:
    """What the runs of some seeds start from; no files where the method is not pretrained."""
    if config.methods[method].pretraining is None:
        return []
    folders = [pretraining(config, dataset, method, seed) for seed in seeds]
    names = ("weights.safetensors", "policy.json")
    return [folder / name for folder in folders for name in names]


def evaluation(config: Config, dataset: str, method: str, seed: int | str) -> Path:
    """Folder of one run's test results: counts.parquet, masks.npz."""
    return config.results / "evaluation" / dataset / method / f"seed{seed}"


def table(config: Config, key: str, suffix: str) -> Path:
    """One table in one of TABLE_FORMATS."""
    return config.results / "tables" / f"table_{key}.{suffix}"


def figure(config: Config, key: str, suffix: str) -> Path:
    """One figure in one format (pdf or png)."""
    return config.results / "figures" / f"figure_{key}.{suffix}"


def plot(config: Config, key: str, suffix: str) -> Path:
    """One of the larger figures in one format (pdf or png)."""
    return config.results / "plots" / f"{key}.{suffix}"


def report(config: Config) -> Path:
    """The folder of the HTML report; open its index.html."""
    return config.results / "report"


def report_store(config: Config) -> Path:
    """The pages of the last report a second time, so that the next keeps those that stay."""
    return config.results / "state" / "report"


def report_images(config: Config) -> Path:
    """The pictures and masks of the report, which the next one links to where they stay."""
    return config.results / "state" / "report_images"


def verdicts(config: Config) -> Path:
    """The folder of the verdicts: values, claims, rankings and audit, each as CSV and Markdown."""
    return config.results / "verdicts"
