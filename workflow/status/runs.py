"""How each run stands: (data set, method, seed) by (data set, method, seed).

Outputs say what is done, and run.json of a run that diverged why it failed. Of the others the log
of the last job and the saved state tell: a run counts as running while one of them is young.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

from workflow.config import cells, paths
from workflow.config.model import Config
from workflow.results.job_logs import Found, SlurmLogs, logs_in, newest_for
from workflow.results.logs import Log, LogSummary, said_of, slurm_reason
from workflow.status.saved import SavedProgress, epochs_of, saved_progress, seconds_left

Stand = Literal["waiting", "running", "stopped", "trained", "done", "failed"]
# A job writes its log when it starts and after epochs, and saves its state every save_seconds from
# then on; in between it imports, loads data and compiles the network.
YOUNG_SECONDS = 300.0


@dataclass(frozen=True)
class Standing:
    """How one run stands.

    Attributes:
        step: what is under way or comes next: pretrain, train, evaluate or control.
        done: whole epochs of training; None for a run that has ended well.
        epochs: of how many; None for a control.
        spent: seconds of training so far.
        left: seconds of training left, of a run that trains; None where nothing tells.
        jaccard: of the last validation.
        saved: whether there is a state to go on from.
        reason: why it failed; empty if it did not.
        log: of the last job of its step.
        slurm_job: the id of that job, if it was in Slurm; None for a run that is done.
    """

    dataset: str
    method: str
    seed: int
    stand: Stand
    step: str
    done: int | None = 0
    epochs: int | None = None
    spent: float = 0.0
    left: float | None = None
    jaccard: float | None = None
    saved: bool = False
    reason: str = ""
    log: str | None = None
    slurm_job: str | None = None

    @property
    def name(self) -> str:
        """How the run is named in logs."""
        return f"{self.dataset} {self.method} seed {self.seed}"

    def as_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)


class _Job(NamedTuple):
    """The last job of a run's step: its logs, and the seeds that it is for."""

    log: Log | None
    slurm: Log | None
    seeds: tuple[int, ...]

    @property
    def changed(self) -> float:
        return max((log.changed for log in (self.log, self.slurm) if log), default=0.0)

    @property
    def id(self) -> str | None:
        """Slurm's: of the log that it keeps, which is the younger one, or as the job's log says."""
        return self.slurm.path.stem if self.slurm else self.log and self.log.slurm_job


class _Seen(NamedTuple):
    """What was found of one run that is not done."""

    seed: int
    step: str
    trained: bool
    left: SavedProgress
    job: _Job
    said: LogSummary


def standings(config: Config, now: float, young: float | None = None) -> list[Standing]:
    """How every run of the tables and figures stands.

    Args:
        config: whose runs.
        now: in seconds since 1970.
        young: seconds without a sign of life after which a run no longer counts as running;
            by default a few minutes more than runs take to save their states.
    """
    if young is None:
        young = YOUNG_SECONDS + 3 * config.training.save_seconds
    slurm = SlurmLogs()
    found = (_Pair(config, run, slurm, now, young).standings() for run in cells.runs(config))
    return [standing for pair in found for standing in pair]


class _Pair:
    """The runs of one data set and method."""

    def __init__(
        self, config: Config, run: cells.Run, slurm: SlurmLogs, now: float, young: float
    ) -> None:
        self.config, self.run, self.now, self.young = config, run, now, young
        self._slurm = slurm
        self._logs: dict[str, list[Found]] = {}
        self.learns = config.methods[run.method].module is not None
        self.training = config.training_for(*run) if self.learns else None

    def standings(self) -> Iterator[Standing]:
        """One by one, in the order of seeds."""
        ended: dict[int, Standing] = {}
        seen: list[_Seen] = []
        for seed in self.config.seeds:
            found = self._look(seed)
            if isinstance(found, Standing):
                ended[seed] = found
            else:
                seen.append(found)
        under_way = {s.seed: self._under_way(s, seen) for s in seen}
        for seed in self.config.seeds:
            yield ended.get(seed) or under_way[seed]

    def _look(self, seed: int) -> Standing | _Seen:
        """The standing of a run that has ended; what there is to see of any other."""
        record = _record(paths.run(self.config, *self.run, seed) / "run.json")
        counts = paths.evaluation(self.config, *self.run, seed) / "counts.parquet"
        if record is not None:
            ended = self._ended(seed, record, counts.is_file())
            if ended:
                return ended
        step = self._step(seed, record is not None)
        left = (
            saved_progress(paths.state(self.config, *self.run, seed))
            if self.learns
            else SavedProgress()
        )
        if record is None and left.record is not None:
            ended = self._ended(seed, left.record, evaluated=False)
            return ended or self._make(seed, "trained", "evaluate", left.record)
        job = self._job(step, seed)
        if record is not None:
            left = left._replace(changed=0.0)  # what training left is no sign of its evaluation
            if job.changed < record["changed"]:
                job = _Job(None, None, ())  # of a training that has been done again since
        lines = job.log.lines if job.log else []
        said = said_of(lines, " ".join(self.run), seed)
        return _Seen(seed, step, record is not None, left, job, said)

    def _ended(self, seed: int, record: dict[str, Any], evaluated: bool) -> Standing | None:
        """Done, or failed as its record or its evaluation says; None if neither."""
        if failure := record.get("failure"):
            return self._make(seed, "failed", "train", record, failure["message"])
        if not evaluated:
            return None
        if not self.learns:
            return self._make(seed, "done", "control", record)
        log = newest_for(self._logs_of("evaluate"), seed)
        said = Log.read(log.path) if log else None
        reason = said_of(said.lines, " ".join(self.run), seed).reason if said else ""
        return self._make(seed, "failed" if reason else "done", "evaluate", record, reason)

    def _make(
        self, seed: int, stand: Stand, step: str, record: dict[str, Any], reason: str = ""
    ) -> Standing:
        """The standing of a run that has a record."""
        log = newest_for(self._logs_of(step), seed)
        said = Log.read(log.path) if log and stand == "failed" else None
        failed_at = (record.get("failure") or {}).get("epoch")
        return Standing(
            *self.run,
            seed,
            stand,
            step,
            done=failed_at - 1 if failed_at else None,
            epochs=self.training.epochs if self.training else None,
            spent=record.get("wall_seconds", 0.0),
            jaccard=(record.get("best_validation") or {}).get("ji"),
            reason=reason,
            log=str(log.path) if log else None,
            slurm_job=said.slurm_job if said else None,
        )

    def _step(self, seed: int, trained: bool) -> str:
        """What a run that is not done needs next."""
        if not self.learns:
            return "control"
        if trained:
            return "evaluate"
        start = paths.all_pretraining(self.config, *self.run, [seed])
        return "train" if all(file.is_file() for file in start) else "pretrain"

    def _job(self, step: str, seed: int) -> _Job:
        """The last job of a step that was for a seed."""
        own = newest_for(self._logs_of(step), seed)
        kept = newest_for(self._slurm.of(step, *self.run), seed)
        if own and kept and kept.changed < own.changed - 1:
            kept = (
                None  # Slurm's log of a job has all that the job's own has, so it is an older one
            )
        last = kept or own
        return _Job(
            Log.read(own.path) if own else None,
            Log.read(kept.path) if kept else None,
            last.seeds if last else (),
        )

    def _logs_of(self, step: str) -> list[Found]:
        if step not in self._logs:
            folder = self.config.results / "logs" / step / self.run.dataset / self.run.method
            self._logs[step] = logs_in(folder)
        return self._logs[step]

    def _under_way(self, seen: _Seen, others: list[_Seen]) -> Standing:
        """The standing of a run that is not done."""
        reason = seen.said.reason
        if not reason and seen.job.slurm and not seen.said.stopped:
            reason = slurm_reason(seen.job.slurm.lines)
        state, stand = seen.left.state, "waiting"
        if reason:
            stand = "failed"
        elif not seen.said.stopped and self._alive(seen, others) and self._in_turn(seen, others):
            stand = "running"
        elif seen.trained:
            stand = "trained"
        elif state or (seen.job.seeds and self._in_turn(seen, others)):
            stand = "stopped"
        log = seen.job.log or seen.job.slurm
        done, epochs, left = self._progress(seen)
        return Standing(
            *self.run,
            seen.seed,
            stand,
            seen.step,
            done=done,
            epochs=epochs,
            spent=state.spent if state else 0.0,
            left=left if stand in ("running", "stopped") else None,
            jaccard=state.jaccard if state else None,
            saved=state is not None,
            reason=reason,
            log=str(log.path) if log else None,
            slurm_job=seen.job.id,
        )

    def _alive(self, seen: _Seen, others: list[_Seen]) -> bool:
        """Whether a run's job has lately written its log, or the state of one of its seeds."""
        of_job = [one.left.changed for one in others if one.seed in seen.job.seeds]
        return self._young(max([seen.job.changed, seen.left.changed, *of_job]))

    def _in_turn(self, seen: _Seen, others: list[_Seen]) -> bool:
        """Whether a job works on this run, or did so last, and not on another of its seeds."""
        of_job = [one for one in others if one.seed in seen.job.seeds]
        begun = [one.seed for one in of_job if one.said.begun or self._young(one.left.changed)]
        turns = begun or [one.seed for one in of_job[:1]]
        return seen.seed in turns or self._young(seen.left.changed)

    def _young(self, changed: float) -> bool:
        return self.now - changed <= self.young

    def _progress(self, seen: _Seen) -> tuple[int, int | None, float | None]:
        """Whole epochs, of how many, and the seconds left now, of a run of training."""
        if self.training is None:
            return 0, None, None
        state, line, log = seen.left.state, seen.said.line, seen.job.log
        if seen.trained:
            return self.training.epochs, self.training.epochs, None
        epochs, done, left, at = self.training.epochs, 0, None, self.now
        if state:
            done, left, at = state.done, seconds_left(state, self.training), state.changed
            epochs = epochs_of(self.training, state.per_epoch) if state.per_epoch else epochs
        if line and log:
            epochs, done = line.epochs, max(done, line.done)
            if left is None or (seen.said.last and log.changed > at):
                left, at = line.left, log.changed
        return done, epochs, left and max(0.0, left - (self.now - at))


def _record(file: Path) -> dict[str, Any] | None:
    """run.json, with the time when it was `changed`; None if it is not there, or being replaced."""
    try:
        return {**json.loads(file.read_text(encoding="utf-8")), "changed": file.stat().st_mtime}
    except (OSError, ValueError):
        return None
