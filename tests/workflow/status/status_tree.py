"""The files that runs leave, for tests of the overview and of the summary at the end."""

import json
import os

import torch
from safetensors.torch import save_file

from tests.workspace import ROOT
from workflow.base.files import write_json, write_text
from workflow.config import paths
from workflow.config.load import load_config
from workflow.status.runs import standings

NOW = 1_800_000_000.0
OLD = NOW - 86400
PAIR = ("isic2017", "unetpp")
CHOSEN = {"datasets": ["isic2017"], "methods": ["unetpp", "autosmim", "control_oracle"]}


class Tree:
    """Writes what runs leave, as old as it is told to."""

    def __init__(self, config):
        self.config = config

    def file(self, path, text, at):
        write_text(path, text)
        os.utime(path, (at, at))
        return path

    def log(self, step, text, seeds="0", at=NOW, pair=PAIR):
        folder = self.config.results / "logs" / step / pair[0] / pair[1]
        return self.file(folder / f"seed{seeds}.log", text, at)

    def slurm(self, step, text, job, seeds="0", at=NOW, pair=PAIR):
        rule = f".snakemake/slurm_logs/rule_{step}_seed{seeds}/{'_'.join(pair)}"
        folder = self.config.results.parents[1] / rule
        return self.file(folder / f"{job}.log", text, at)

    def state(self, epochs=3, step=35, spent=350.0, seed=0, at=NOW, pair=PAIR):
        """A state as training writes it: 10 steps an epoch."""
        file = paths.state(self.config, *pair, seed) / "abc" / "state.safetensors"
        file.parent.mkdir(parents=True, exist_ok=True)
        history = [{"epoch": k + 1, "steps": 10 * (k + 1), "val_ji": 0.5} for k in range(epochs)]
        facts = {"step": step, "spent": spent, "history": history, "resumed": []}
        tensors = {f"model.{number}": torch.zeros(3) for number in range(50)}
        save_file(tensors, file, metadata={"facts": json.dumps(facts)})
        os.utime(file, (at, at))

    def record(self, seed=0, pair=PAIR, at=NOW, folder=None, **facts):
        file = (folder or paths.run(self.config, *pair, seed)) / "run.json"
        write_json(file, {"wall_seconds": 1000.0, **facts})
        os.utime(file, (at, at))

    def counts(self, seed=0, pair=PAIR, at=NOW):
        self.file(paths.evaluation(self.config, *pair, seed) / "counts.parquet", "", at)

    def done(self, seed=0, pair=PAIR, **facts):
        self.record(seed, pair, **facts)
        self.counts(seed, pair)

    def standing(self, seed=0, pair=PAIR, young=None):
        found = standings(self.config, NOW, young)
        return next(x for x in found if (x.dataset, x.method, x.seed) == (*pair, seed))

    def stands(self, pair=PAIR):
        found = standings(self.config, NOW)
        return "".join(x.stand[0] for x in found if (x.dataset, x.method) == pair)


def make_tree(folder, monkeypatch, **changes):
    """A tree in an empty folder, which becomes the current one."""
    config = load_config(ROOT / "config.yaml", {"preset": "paper", "select": CHOSEN, **changes})
    monkeypatch.chdir(folder)
    return Tree(config)


def line(epoch, seed=0, left=700, pair=PAIR):
    return (
        f"{pair[0]} {pair[1]} seed {seed}: epoch {epoch}/100, {epoch * 10} steps, loss 0.5000, "
        f"validation 0.4000, JI 0.612, {left} s left\n"
    )


STOPPED = (
    "isic2017 unetpp seed 0: stopped by SIGUSR1; the state is saved, and the same command goes on "
    "from there\n"
)
CRASH = """Traceback (most recent call last):
  File "train.py", line 1, in <module>
    step()
torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.
"""
