"""What a run prints: one line per finished run, in place of Snakemake's blocks per job.

    [ 66/120, 55 %, 4 min left] Spectralis · ResFormer (parallel) · DSC 61.2

In a terminal the last line is a live one. Warnings, errors and what else Snakemake has to say stay
as they are; below an error is the end of the job's log. Dry runs, `--verbose`, `--printshellcmds`,
`--debug-dag`, `--quiet progress` or `all` and logger plugins have Snakemake's own output, and its
log in `.snakemake/log` has that of every run.
"""

import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TextIO

from snakemake.logging import DefaultFormatter
from snakemake_interface_logger_plugins.common import LogEvent

from workflow.base.plain import plain
from workflow.base.wording import duration
from workflow.config.cells import Run
from workflow.config.model import Config
from workflow.results.logs import Log
from workflow.status.progress import SnakemakeProgress, Task

# What Snakemake says of every job and of itself; the display says it in its own way or not at all.
NOISE = {
    LogEvent.JOB_INFO,
    LogEvent.GROUP_INFO,
    LogEvent.JOB_STARTED,
    LogEvent.JOB_FINISHED,
    LogEvent.PROGRESS,
    LogEvent.RESOURCES_INFO,
    LogEvent.RUN_INFO,
    LogEvent.SHELLCMD,
    LogEvent.WORKFLOW_STARTED,
}
# The same, where it has no kind.
NOISY = (
    "Assuming unrestricted shared filesystem usage",
    "Building DAG of jobs",
    "Conda environments: ignored",
    "Group jobs: inactive",
    "Removing temporary output",
    "Select jobs to execute",
    "Singularity containers: ignored",
    "Using shell",
)
LOG_LINES = 30
SECONDS_BETWEEN_DRAWINGS = 1.0
SHOWN_SCORES = ("dsc", "sen", "spe")


class Display:
    """Prints the lines of finished runs, and in a terminal what is under way.

    Args:
        stream: the stream to write to.
        describe: what there is to say of a finished run of a seed, such as `Cirrus · UNet++`.
        name: how a job under way is called.
        live: whether the last line is drawn again and again.
        clock: seconds; of tests.
    """

    def __init__(
        self,
        stream: TextIO,
        describe: Callable[[Run, int], str],
        name: Callable[[Task], str],
        live: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stream, self._describe, self._name = stream, describe, name
        self._live, self._clock = live, clock
        self._progress: SnakemakeProgress | None = None
        self._lock = threading.RLock()
        self._drawn = False
        self._ended = threading.Event()

    def begin(self, tasks: Mapping[int, Task]) -> None:
        """Start to count: these are the jobs to be done, by their ids."""
        self._progress = SnakemakeProgress(tasks, self._clock())
        if self._live:
            threading.Thread(target=self._draw_again, daemon=True).start()

    def end(self) -> None:
        """Take the live line away for good."""
        self._ended.set()
        self.clear()

    def clear(self) -> None:
        """Take the live line away, before something else is printed."""
        with self._lock:
            if self._drawn:
                self._stream.write("\r\033[K")
                self._stream.flush()
                self._drawn = False

    def hear(self, record: logging.LogRecord) -> None:
        """Follow Snakemake: jobs that start and end."""
        event, progress = getattr(record, "event", None), self._progress
        if progress is None:
            return
        if event in (LogEvent.JOB_STARTED, LogEvent.GROUP_INFO):
            progress.start(_ids(record), self._clock())
        elif event == LogEvent.JOB_FINISHED:
            task = progress.tasks.get(_ids(record)[0])
            progress.finish(_ids(record)[0], self._clock())
            if task is not None:
                self._tell(task, progress)

    def _tell(self, task: Task, progress: SnakemakeProgress) -> None:
        done = progress.runs_done - len(task.runs)
        for seed in task.runs:
            done += 1
            text = self._describe(Run(task.wildcards[0], task.wildcards[1]), seed)
            with self._lock:
                self.clear()
                self._stream.write(f"{head(progress, self._clock(), done)} {plain(text)}\n")
                self._stream.flush()

    def _draw_again(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN_DRAWINGS):
            self.draw()

    def draw(self) -> None:
        """Draw the live line."""
        progress = self._progress
        if progress is None or self._ended.is_set():
            return
        with self._lock:
            now = self._clock()
            jobs = ", ".join(dict.fromkeys(map(self._name, progress.under_way)))
            text = f"{head(progress, now, progress.runs_done)} … {jobs}"
            width = shutil.get_terminal_size().columns - 1
            self._stream.write(f"\r\033[K{text[:width]}")
            self._stream.flush()
            self._drawn = True


def head(progress: SnakemakeProgress, now: float, done: int) -> str:
    """`[ 66/120, 55 %, 4 min left]`."""
    total, left = str(progress.runs), progress.seconds_left(now)
    share = int(100 * progress.share(now))
    rest = "" if left is None else f", {duration(left)} left"
    return f"[{done:>{len(total) + 1}}/{total}, {share:>2} %{rest}]"


def describe(config: Config) -> Callable[[Run, int], str]:
    """What a line says of a finished run: its names, and its scores or why it failed."""

    def text(run: Run, seed: int) -> str:
        # Here, because they are large and a run that trains nothing needs none of it.
        from workflow.metrics.failures import failure
        from workflow.metrics.metrics import collect

        parts = [config.datasets[run.dataset].title, config.methods[run.method].title]
        if len(config.seeds) > 1:
            parts.append(f"seed {seed}")
        if why := failure(config, run, seed):
            return " · ".join([*parts, f"failed: {why}"])
        found = collect(config.model_copy(update={"seeds": [seed]}), [run])
        values = dict(zip(found["metric"], found["value"], strict=True))
        scores = [f"{name.upper() if name == 'dsc' else name.capitalize()} {values[name]:.1f}"
                  for name in SHOWN_SCORES if name in values]  # fmt: skip
        return " · ".join([*parts, *scores])

    def safe(run: Run, seed: int) -> str:
        try:
            return text(run, seed)
        except Exception as error:  # noqa: BLE001 (no line may end a run that goes well)
            return f"{' '.join(run)} seed {seed}: {error!r}"

    return safe


def name_of(config: Config) -> Callable[[Task], str]:
    """How the live line calls a job under way."""

    def name(task: Task) -> str:
        if len(task.wildcards) < 2 or task.wildcards[1] not in config.methods:
            return " ".join([task.rule.replace("_", " "), *task.wildcards])
        dataset, method = task.wildcards[:2]
        return f"{config.datasets[dataset].title} · {config.methods[method].title}"

    return name


class _Quiet(logging.Filter):
    """Lets through what is not said of every job, and has the display hear the rest."""

    def __init__(self, display: Display) -> None:
        super().__init__()
        self._display = display

    def filter(self, record: logging.LogRecord) -> bool:
        self._display.hear(record)
        if getattr(record, "event", None) in NOISE or str(record.msg).startswith(NOISY):
            return False
        self._display.clear()
        return True


class _WithLogs(DefaultFormatter):
    """Snakemake's format, with the end of a failed job's logs below what it says of the job."""

    def _format_job_error(self, msg: dict[str, Any]) -> list[str]:
        lines = super()._format_job_error(msg)
        for file in msg["log"]:
            log = Log.read(Path(file))
            if log is not None and log.lines:
                lines.append(f"    the end of {file}:")
                lines += [f"        {plain(line)}" for line in log.lines[-LOG_LINES:]]
        return lines


def take_over(logger: logging.Logger, settings: Any, config: Config) -> Display | None:
    """Have a display print in place of Snakemake's handler, unless its own output is asked for.

    Args:
        logger: Snakemake's.
        settings: its output settings.
        config: the resolved configuration.

    Returns:
        None where Snakemake's own output stays.
    """
    quiet = {str(getattr(one, "value", one)).lower() for one in settings.quiet or ()}
    own = settings.dryrun or settings.verbose or settings.printshellcmds or settings.debug_dag
    handler = next((h for h in logger.handlers if h.name == "DefaultStreamHandler"), None)
    if own or {"all", "progress"} & {one.rpartition(".")[2] for one in quiet}:
        return None
    if not isinstance(handler, logging.StreamHandler):
        return None  # a logger plugin has the terminal
    live = bool(getattr(handler, "is_tty", False)) and not getattr(handler, "nocolor", True)
    display = Display(handler.stream, describe(config), name_of(config), live)
    handler.filters.clear()  # `--quiet rules` would hide errors too
    handler.addFilter(_Quiet(display))
    handler.setFormatter(_WithLogs(settings.quiet))
    return display


def _ids(record: logging.LogRecord) -> list[int]:
    """The ids of the jobs that a record is of; of a group, those of its members."""
    jobs = getattr(record, "jobs", None)
    if jobs is None:
        return [record.__dict__.get("job_id", -1)]
    return [getattr(job, "jobid", job) for job in jobs]
