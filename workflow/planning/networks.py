"""What a network computes and stores, from `networks.csv`, or counted now if it is not there.

`resformer networks` writes the file anew, for the presets paper, everything
and demo.
Counting needs torch and takes up to seconds a network; the file spares the plan and the Snakefile
both. Rows are looked up by all that decides a network, so that a changed option is counted.
"""

import json
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from workflow.base.files import cache_folder, csv_text, read_csv, read_json, write_json, write_text
from workflow.config.cells import runs
from workflow.config.load import load_config
from workflow.config.model import Config
from workflow.running.fingerprint import digest

FILE = Path(__file__).with_name("networks.csv")


class Network(NamedTuple):
    """A network for one image size and set of outputs.

    Attributes:
        parameters: trainable.
        flops: of one forward pass of one image, two per multiply-add.
        kept: bytes that one image's forward pass keeps for the backward pass, in float32.
    """

    parameters: int
    flops: int
    kept: int


def network_of(config: Config, dataset: str, method: str) -> Network | None:
    """The network of a run; None for a control, which has none."""
    entry = config.methods[method]
    if entry.module is None:
        return None
    key = _key(config, dataset, method)
    if known := _on_record().get(key):
        return known
    kept = cache_folder() / "networks" / f"{digest(key, entry.module)}.json"
    if kept.is_file():
        return Network(**read_json(kept))
    counted = _count(config, dataset, method)
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_json(kept, counted._asdict())
    return counted


def known_network(config: Config, dataset: str, method: str) -> Network | None:
    """The network of a run if it is on record, else the nearest that is; no torch, no counting.

    The nearest is the same module at another size or with other options, its FLOPs and what it
    keeps grown with the number of pixels. None for a control, and if no such module is on record.
    """
    entry, size = config.methods[method], config.datasets[dataset].image_size
    if entry.module is None:
        return None
    key = _key(config, dataset, method)
    if known := _on_record().get(key):
        return known
    wanted = json.loads(key)
    like = [(json.loads(other), network) for other, network in _on_record().items()]
    like = [(of, network) for of, network in like if of[0] == entry.module]
    if not like:
        return None

    def distance(item: tuple[Any, Network]) -> tuple[int, float]:
        of, _ = item
        others = sum(of[i] != wanted[i] for i in (1, 3, 4))  # options and outputs
        return others, abs(math.log(of[2] / size))

    of, nearest = min(like, key=distance)
    factor = (size / of[2]) ** 2
    return Network(nearest.parameters, round(nearest.flops * factor), round(nearest.kept * factor))


def _key(config: Config, dataset: str, method: str) -> str:
    """All that decides a network, as one line."""
    entry, data = config.methods[method], config.datasets[dataset]
    return json.dumps(
        [
            entry.module,
            entry.network_options,
            data.image_size,
            len(data.lesions) if "segmentation" in entry.tasks else None,
            len(data.labels) if "classification" in entry.tasks else None,
        ],
        sort_keys=True,
    )


@cache
def _on_record() -> dict[str, Network]:
    return {
        row["network"]: Network(*(int(row[name]) for name in Network._fields))
        for row in read_csv(FILE)
    }


def _count(config: Config, dataset: str, method: str) -> Network:
    # Here, because most plans need no torch.
    from workflow.planning.counting import count

    return Network(*count(config, dataset, method))


def rows(config: Config) -> Iterator[tuple[str, Network]]:
    """Key and counts of every network of a configuration, counted now, each once."""
    keys: set[str] = set()
    for dataset, method in runs(config):
        key = _key(config, dataset, method)
        if config.methods[method].module is not None and key not in keys:
            keys.add(key)
            yield key, _count(config, dataset, method)


def write_record() -> Path:
    """Count the networks of three presets and write them down; returns the file."""
    counted: dict[str, Network] = {}
    for preset in ("paper", "everything", "demo"):
        counted |= rows(load_config(overrides={"preset": preset}))
    records = ({"network": key, **counts._asdict()} for key, counts in sorted(counted.items()))
    write_text(FILE, csv_text(["network", *Network._fields], records))
    return FILE
