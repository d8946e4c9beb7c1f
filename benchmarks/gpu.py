"""What a GPU has to prove on its first day, in one table: `python -m benchmarks.gpu [options]`.

Every method takes training steps, in `strict` unless `--determinism fast` is given, at the size and
batch of preset `paper`, each in a process of its own; then it validates and scores. Of each:
  waits      how often a step waits for the device (torch's own count of synchronising calls)
  moved      bytes that the operations of a step read and write, eager, fused operations as one
  peak       of the device's memory, in training and in scoring, beside what the plan says
  same bits  whether two runs of three steps end with the same weights
  TFLOP/s    of the steps that were timed, three times the forward pass counted
Then, on a real GPU: compiled against eager, bf16 against float32, and the benchmarks of the drill,
of several seeds at once and of the loader. It goes on past a failure and says what failed.

`--pretended FOLDER` builds the pretended GPU of that folder and runs beside it: kernels do nothing
there, every value is 0. Waits, bytes and peaks mean something; bits and speed do not, and are left
out. To save time networks are not initialised there.
Example: `python -m benchmarks.gpu --pretended ../shared/pretended_gpu --methods he resformer_seq`.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.learning import METHODS
from workflow.base.files import read_yaml
from workflow.config.load import load_config
from workflow.config.model import Config
from workflow.evaluation.evaluate import predict
from workflow.networks.device import computing
from workflow.planning.cost import cost
from workflow.planning.devices import choose
from workflow.training.trial import StepTrial

ROOT = Path(__file__).parents[1]
STEPS = 3
FAMILIES = ("resformer_seq", "he", "unetpp", "swinunet", "octnet")
OTHERS: tuple[tuple[str, ...], ...] = (
    ("benchmarks.drill", "--kills", "5"),
    ("benchmarks.together", "--quick"),
    ("benchmarks.loader", "--quick"),
)
COLUMNS = {
    "waits": "waits of a step",
    "moved": "moved, GB",
    "training": "peak training, GB",
    "scoring": "peak scoring, GB",
    "plan": "plan, GB",
    "same_bits": "same bits",
    "tflops": "TFLOP/s",
}
# Operations that only look at memory in another way.
VIEWS = (
    *("view", "reshape", "permute", "transpose", "t", "expand", "slice", "select", "detach"),
    *("split", "split_with_sizes", "unsqueeze", "squeeze", "as_strided", "alias", "unbind"),
    *("empty", "empty_like", "empty_strided", "chunk"),
)


class Traffic(TorchDispatchMode):
    """Adds up the bytes of the tensors on a GPU that operations read and write."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Do an operation and count its operands and results."""
        result = func(*args, **(kwargs or {}))
        if str(func).split(".")[1].strip("_") not in VIEWS:
            for value in tree_leaves((args, kwargs, result)):
                if isinstance(value, Tensor) and value.is_cuda:
                    self.bytes += value.numel() * value.element_size()
        return result


def configuration(method: str, changes: dict[str, Any]) -> tuple[Config, str]:
    """Preset `paper` for a method, with changes of its protocol, and a data set that has it."""
    training = {"device": "cuda", "compile": "off", "threads": 1} | changes
    config = load_config(
        ROOT / "config.yaml",
        {"preset": "paper", "training": training},
    )
    tables = [table for table in config.tables.values() if table.enabled]
    for dataset in ("retouch_spectralis", "isic2017"):
        if any((dataset, method) in _pairs(table) for table in tables):
            return config, dataset
    return config, "isic2017"


def _pairs(table: Any) -> set[tuple[str, str]]:
    """The (data set, method) pairs that a table names."""
    rows = [row for row in table.rows or [] if row.method]
    columns = [column.dataset for column in table.columns if column.dataset]
    return {(dataset, row.method) for row in rows for dataset in columns}


def measure(method: str, determinism: str, pretended: bool) -> dict[str, Any]:
    """Everything the first table says of a method; on the GPU of this process."""
    if pretended:
        _leave_weights_alone()
        torch.backends.cuda.enable_cudnn_sdp(False)  # it asks the device for plans
    config, dataset = configuration(method, {"determinism": determinism})
    training = config.training_for(dataset, method)
    with computing(training):
        torch.backends.cudnn.benchmark = False  # its search by measuring needs true kernels
        trial = StepTrial(config, dataset, method, training)
        trial.step()
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        found: dict[str, Any] = {"dataset": dataset, "size": config.datasets[dataset].image_size}
        found["waits"] = waits(trial.step)
        found["training"] = torch.cuda.max_memory_allocated() / 1e9
        with Traffic() as traffic:
            trial.step()
        found["moved"] = traffic.bytes / 1e9
        trainer = trial.trainer
        trainer.validate()
        torch.cuda.reset_peak_memory_stats()
        trainer.model.eval()
        predict(trainer.model, trial.images, config.evaluation.batch_size, trainer.precision)
        found["scoring"] = torch.cuda.max_memory_allocated() / 1e9
        planned = cost(config, dataset, method, choose("H200"))
        found["plan"] = planned.device_bytes / 1e9
        if not pretended:
            found |= _of_a_real_gpu(config, dataset, method, trial)
    return found


def _of_a_real_gpu(config: Config, dataset: str, method: str, trial: StepTrial) -> dict[str, Any]:
    """Whether bits come again, and how fast steps are."""
    training = config.training_for(dataset, method)
    start = time.perf_counter()
    for _ in range(STEPS):
        trial.step()
    torch.cuda.synchronize()
    seconds = (time.perf_counter() - start) / STEPS
    digests = {_digest(StepTrial(config, dataset, method, training)) for _ in range(2)}
    from workflow.planning.networks import network_of

    network = network_of(config, dataset, method)
    assert network is not None
    rate = 3 * network.flops * training.batch_size / seconds / 1e12
    return {"same_bits": len(digests) == 1, "tflops": rate, "seconds": seconds}


def _digest(trial: StepTrial) -> str:
    """A hash of the weights after three steps."""
    torch.manual_seed(0)
    for _ in range(STEPS):
        trial.step()
    values = trial.trainer.model.state_dict().values()
    return hashlib.sha256(b"".join(v.cpu().numpy().tobytes() for v in values)).hexdigest()


def waits(action: Callable[[], object]) -> int:
    """How often an action waits for the device, as torch counts it."""
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            action()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("called a synchronizing" in str(warning.message) for warning in heard)


def _leave_weights_alone() -> None:
    """Spare the time of initial weights, which a pretended GPU forgets."""
    for name in vars(torch.nn.init):
        if name.endswith("_") and not name.startswith("_"):
            setattr(torch.nn.init, name, lambda tensor, *_, **__: tensor)


# ---- comparisons on a real GPU


def losses(method: str, changes: dict[str, Any]) -> list[float]:
    """The losses of some steps under a change of the protocol."""
    config, dataset = configuration(method, changes)
    training = config.training_for(dataset, method)
    with computing(training):
        torch.manual_seed(0)
        trial = StepTrial(config, dataset, method, training)
        (batch,) = trial.images.batches([trial.rows])
        return [trial.trainer.step(0, batch, trial.motions)[0].item() for _ in range(STEPS)]


def compare(method: str, first: dict[str, Any], second: dict[str, Any]) -> str:
    """The largest relative difference of the losses under two protocols."""
    one, other = losses(method, first), losses(method, second)
    largest = max(abs(a - b) / abs(a) for a, b in zip(one, other, strict=True))
    return f"losses differ by {largest:.1e} at most"


# ---- the table


def in_a_process(arguments: Sequence[str], prefix: Sequence[str]) -> dict[str, Any] | str:
    """What a process of its own measured, or the last line of why it could not."""
    command = [*prefix, sys.executable, "-m", "benchmarks.gpu", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    lines = done.stdout.strip().splitlines()
    if done.returncode == 0 and lines:
        return json.loads(lines[-1])
    errors = done.stderr.strip().splitlines() or [f"ended with exit code {done.returncode}"]
    return errors[-1]


def build_pretended(folder: Path, into: Path) -> list[str]:
    """Build the pretended GPU of a folder; what to put before a command that shall see it."""
    subprocess.run(
        [folder / "build.sh", into, sys.executable], check=True, capture_output=True, text=True
    )
    return [str(folder / "with_gpu"), str(into)]


def _row(method: str, found: dict[str, Any] | str) -> str:
    """A line of the table."""
    if isinstance(found, str):
        return f"| {method} | failed: {found} |"
    cells = [_cell(found.get(name)) for name in COLUMNS]
    return f"| {method} | {found['dataset']} | {found['size']} | {' | '.join(cells)} |"


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "NO"
    return str(value) if isinstance(value, int) else f"{value:.1f}"


def table(methods: Sequence[str], determinism: str, pretended: Path | None) -> int:
    """Print the table of all methods; the number of those that failed."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        prefix = build_pretended(pretended.resolve(), Path(folder)) if pretended else []
        mode = ["--pretending"] if pretended else []
        if pretended:
            print("pretended GPU: no bits and no speeds", flush=True)
        print(f"| method | data set | px | {' | '.join(COLUMNS.values())} |")
        print(f"|---|---|---|{'---|' * len(COLUMNS)}", flush=True)
        for method in methods:
            arguments = ["--one", method, "--determinism", determinism, *mode]
            found = in_a_process(arguments, prefix)
            failed += isinstance(found, str)
            print(_row(method, found), flush=True)
    return failed


def on_a_real_gpu() -> int:
    """Comparisons and the other benchmarks; the number of those that failed."""
    failed = 0
    for title, changes in (
        ("compiled against eager", ({"compile": "off"}, {"compile": "on"})),
        ("bf16 against float32", ({"precision": "float32"}, {"precision": "bf16"})),
    ):
        for method in FAMILIES:
            found = in_a_process(["--compare", method, *map(json.dumps, changes)], [])
            said = found if isinstance(found, str) else found["said"]
            failed += isinstance(found, str)
            print(f"{title}: {method}: {said}", flush=True)
    for command in OTHERS:
        print(f"== {' '.join(command)}", flush=True)
        failed += bool(subprocess.run([sys.executable, "-m", *command], cwd=ROOT).returncode)
    return failed


def main() -> int:
    """Print everything; the exit code is 1 if something failed."""
    methods = list(read_yaml(ROOT / "config.yaml")["methods"])
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--methods", nargs="+", choices=methods, default=list(METHODS))
    parser.add_argument("--pretended", type=Path, metavar="FOLDER", help="has build.sh")
    parser.add_argument("--determinism", choices=("strict", "fast"), default="strict")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--compare", nargs=3, help=argparse.SUPPRESS)
    parser.add_argument("--pretending", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given.determinism, given.pretending)), flush=True)
        os._exit(0)  # libraries' last words do not agree with a pretended GPU
    if given.compare:
        method, first, second = given.compare
        print(json.dumps({"said": compare(method, json.loads(first), json.loads(second))}))
        return 0
    if not given.pretended and not torch.cuda.is_available():
        sys.exit("error: torch sees no GPU here; --pretended FOLDER runs what means something")
    failed = table(given.methods, given.determinism, given.pretended)
    if not given.pretended:
        failed += on_a_real_gpu()
    print(f"{failed} failed" if failed else "nothing failed")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
