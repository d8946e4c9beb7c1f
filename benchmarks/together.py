"""Several seeds at once or one after the other: `python -m benchmarks.together [--quick]`.

Trains the same seeds of one method twice on whatever device there is, as jobs of the workflow do:
one after the other in one process (`training.seeds_at_once: 1`), and at the same time in processes
of their own. Prints the wall time of both ways, with all that a process has to pay first, and
whether the weights have the same bits.
"""

import argparse
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from benchmarks.cases import BenchmarkCase, engine, lesions
from workflow.base.files import read_json, write_json
from workflow.networks.device import choose_device, choose_precision, computing
from workflow.training.state.record import weights_hash
from workflow.training.together import train_together

METHOD, DATASET = "resformer_seq", "isic2017"


def main() -> int:
    """Measure and print; the exit code is 1 if a seed fails or its bits depend on the way."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.together", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--seeds", type=int, default=3, help="how many (3)")
    parser.add_argument("--size", type=int, default=64, help="of images, in pixels (64)")
    parser.add_argument("--batch", type=int, default=8, help="images of a step (8)")
    parser.add_argument("--steps", type=int, default=12, help="of each seed (12)")
    parser.add_argument("--threads", type=int, default=64, help="of a process, at most (all)")
    parser.add_argument("--quick", action="store_true", help="two seeds of two small steps")
    given = parser.parse_args()
    seeds = [str(seed) for seed in range(2 if given.quick else given.seeds)]
    size, batch = (32, 2) if given.quick else (given.size, given.batch)
    threads, steps = (1, 2) if given.quick else (given.threads, given.steps)
    case = BenchmarkCase(METHOD, DATASET, size, batch)
    seconds, hashes = [], []
    with tempfile.TemporaryDirectory() as folder:
        for parts in ([",".join(seeds)], seeds):  # a process trains each part
            way = Path(folder) / str(len(parts))
            way.mkdir()
            start = time.perf_counter()
            if train_together(partial(_train, case, steps, threads, way), parts, len(parts)):
                return 1
            seconds.append(time.perf_counter() - start)
            hashes.append([read_json(way / f"{seed}.json")["weights"] for seed in seeds])
    one, all_ = seconds
    same = hashes[0] == hashes[1]
    print(
        f"together    {METHOD} {case.size}, batch {case.batch}, {len(seeds)} seeds of {steps} "
        f"steps on {choose_device(case.config().training)}: one after the other in one process "
        f"{one:.1f} s, at once {all_:.1f} s, {one / all_:.2f} times as fast; the weights have "
        f"{'the same bits' if same else 'OTHER BITS'}"
    )
    return int(not same)


def _train(case: BenchmarkCase, steps: int, threads: int, folder: Path, seeds: str) -> None:
    """Train seeds one after the other in this process, and leave the hash of their weights."""
    training = case.config(threads=threads).training
    device = choose_device(training)
    images, precision = lesions(case, device), choose_precision(training, device)
    with computing(training):
        for seed in seeds.split(","):
            trainer = engine(case, images, precision, seed=int(seed), max_steps=steps)
            weights = trainer.run(lambda line, epochs: None).weights
            write_json(folder / f"{seed}.json", {"weights": weights_hash(weights)})


if __name__ == "__main__":
    sys.exit(main())
