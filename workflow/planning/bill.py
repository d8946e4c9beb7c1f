"""The bill of a configuration: per run, method and table, and in all."""

from collections.abc import Iterable
from dataclasses import dataclass

from workflow.config.cells import Run, made_tables, runs, table_runs
from workflow.config.model import Config
from workflow.planning.cost import START, Cost, compiling, cost
from workflow.planning.devices import ASSUMED_SHARE, SHARE_RANGE, Device
from workflow.planning.images import ImageCounts, images_of
from workflow.planning.schedule import wall_seconds

# Tables, figures and report take minutes of a processor, whatever was trained
# (`python -m benchmarks.reporting`: about a minute on two cores at the paper's size).
REPORTING = 120.0
# The share of a device's memory that a run may count on.
USABLE = 0.9


@dataclass(frozen=True)
class Bill:
    """What a configuration costs.

    Attributes:
        device: the device that the bill is for.
        gpus: how many of them.
        costs: run -> cost of one seed.
        seeds: how many.
        images: data set -> images.
        jobs: how many trainings are started, or controls made.
        held: seconds that devices are held, with the starts of jobs.
        wall: seconds until everything is there.
        walls: the least and the most of them that `span` leaves open.
        disk: what -> bytes.
    """

    device: Device
    gpus: int
    costs: dict[Run, Cost]
    seeds: int
    images: dict[str, ImageCounts]
    jobs: int
    held: float
    wall: float
    walls: tuple[float, float]
    disk: dict[str, float]

    def hours(self, of: Iterable[Run]) -> float:
        """Device hours of some runs, over all seeds; a run that occurs twice counts once."""
        return self.seeds * sum(self.costs[run].seconds for run in dict.fromkeys(of)) / 3600

    @property
    def span(self) -> tuple[float, float]:
        """Factors on all hours that the assumed share of the peak leaves open; 1 if measured."""
        return _span(self.device)

    def by_method(self) -> dict[str, list[Run]]:
        """method -> its runs, the most expensive first."""
        found: dict[str, list[Run]] = {}
        for run in self.costs:
            found.setdefault(run.method, []).append(run)
        return dict(sorted(found.items(), key=lambda item: -self.hours(item[1])))

    def at_once(self, run: Run) -> int:
        """How many of a run's seeds the device's memory holds: 0 if not even one."""
        needed = self.costs[run].device_bytes
        fit = int(USABLE * self.device.memory / needed) if needed else self.seeds
        return min(fit, self.seeds)


def make_bill(config: Config, device: Device, gpus: int) -> Bill:
    """Add up what a configuration costs on some devices of a kind.

    Raises:
        ConfigError: a data set's size is not known yet.
    """
    chosen = runs(config)
    costs = {Run(*run): cost(config, *run, device) for run in chosen}
    datasets = dict.fromkeys(run.dataset for run in costs)
    seconds = list(_job_seconds(config, costs, device))
    least, most = (
        wall_seconds(_job_seconds(config, costs, device, factor), gpus) + REPORTING
        for factor in _span(device)
    )
    return Bill(
        device=device,
        gpus=gpus,
        costs=costs,
        seeds=len(config.seeds),
        images={dataset: images_of(config, dataset) for dataset in datasets},
        jobs=len(seconds),
        held=sum(seconds),
        wall=wall_seconds(seconds, gpus) + REPORTING,
        walls=(least, most),
        disk=_disk(config, costs, datasets, gpus),
    )


def table_bill(config: Config, bill: Bill) -> dict[str, list[Run]]:
    """Table -> its runs; tables that only show runs of others in another way are left out."""
    return {
        key: [Run(*run) for run in table_runs(config, key)]
        for key in made_tables(config)
        if config.tables[key].kind == "results"
    }


def _span(device: Device) -> tuple[float, float]:
    if device.rates:
        return 1.0, 1.0
    return ASSUMED_SHARE / SHARE_RANGE[1], ASSUMED_SHARE / SHARE_RANGE[0]


def _job_seconds(
    config: Config, costs: dict[Run, Cost], device: Device, factor: float = 1.0
) -> Iterable[float]:
    """Seconds of each job: packs of seeds, pretraining, training and scoring in turn.

    What a job pays before its first step does not grow with `factor`. They are given to devices as
    one: a pack is scored after it has been trained.
    """
    size = config.training.seeds_per_job
    for run, of_run in costs.items():
        trained = of_run.training > 0
        start = 2 * START + (compiling(config.training_for(*run), device) if trained else 0.0)
        for first in range(0, len(config.seeds), size):
            pack = len(config.seeds[first : first + size])
            yield start + factor * pack * of_run.seconds


def _disk(
    config: Config, costs: dict[Run, Cost], datasets: Iterable[str], gpus: int
) -> dict[str, float]:
    """Bytes by what they are for; downloads and archives are not known beforehand."""
    seeds, prepared = len(config.seeds), 0.0
    for dataset in datasets:
        definition = config.datasets[dataset]
        channels = 4 if definition.color else 2  # a mask is one of them
        prepared += images_of(config, dataset).total * definition.image_size**2 * channels
    weights = seeds * sum(of_run.weights_bytes for of_run in costs.values())
    state = max((of_run.state_bytes for of_run in costs.values()), default=0.0)
    at_once = gpus * config.training.seeds_at_once
    return {
        "prepared arrays": prepared,
        "weights": weights if config.training.keep_weights else 0.0,
        "states of runs under way": 2 * state * at_once,  # the new one beside the old
        "predictions": seeds * sum(of_run.predictions_bytes for of_run in costs.values()),
    }
