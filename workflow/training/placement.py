"""Where the state of a run lies: in a folder named by all that can change the run's result."""

from pathlib import Path

from workflow.base.digests import reading
from workflow.base.files import sha256
from workflow.config import paths
from workflow.config.model import Config
from workflow.networks.device import available_cpus, choose_device, choose_precision
from workflow.running.fingerprint import digest
from workflow.training.state import saved as state
from workflow.training.state.record import processor


def state_folder(
    config: Config, dataset: str, method: str, seed: int | str, fingerprint: str
) -> Path:
    """The folder of one seed's state.

    Args:
        config: the resolved configuration.
        dataset: key of the data set, which is prepared.
        method: key of the method.
        seed: the seed of the run.
        fingerprint: the fingerprint of protocol and code: of the run, or of its pretraining.
    """
    with reading(paths.identity(config, dataset)) as file:
        identity = file.read_text(encoding="utf-8")
    training, lock = config.training_for(dataset, method), Path("uv.lock")
    device = choose_device(training)
    values = [
        state.LAYOUT,
        fingerprint,
        identity,
        sha256(lock) if lock.is_file() else None,
        seed,
        str(choose_precision(training, device)),
    ]
    if training.determinism == "strict":
        # Another kind of processor may give other bits; so may another number of its threads.
        threads = min(training.threads, available_cpus()) if device.type == "cpu" else None
        values += [processor(device), threads]
    return paths.state(config, dataset, method, seed) / digest(values)
