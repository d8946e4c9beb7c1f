"""Files fetched by HTTP into a folder, several at a time; `transfer` has how each one is fetched.

Nothing that a user put there is deleted: a wrong file stays until the right one takes its place,
and is then moved aside to `NAME.wrong`.
"""

import errno
import queue
import re
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote

import requests

from workflow.base.errors import DataError
from workflow.base.wording import two_units
from workflow.data.exclusive import locked
from workflow.data.fetching.sessions import patient_session
from workflow.data.fetching.transfer import (
    HEADERS,
    DownloadPolicy,
    GivenUp,
    RemoteFile,
    Stopped,
    Transfer,
)

PATIENT = DownloadPolicy()
# Bytes of free space that a file of unknown length leaves.
RESERVED = 10**9
# Lines of progress over which the speed is averaged.
WINDOW = 6


@dataclass
class _Wanted(RemoteFile):
    """A file and what became of it.

    Attributes:
        placed: the MD5 of a wrong file in its place.
        promised: there was space for all of it, which no other file may take.
    """

    outcome: Literal["kept", "fetched", "failed"] | None = None
    reason: str = ""
    placed: str = ""
    promised: bool = False

    @property
    def missing(self) -> int:
        """Bytes still to come, as far as the server said."""
        return max(0, (self.total or 0) - self.have)


def download(
    files: Mapping[str, str],
    base_url: str,
    folder: Path,
    *,
    source: str,
    workers: int = 4,
    say: Callable[[str], None] = print,
    policy: DownloadPolicy = PATIENT,
    label: str = "download",
) -> None:
    """Have every file in a folder, fetching what is not there; proxy variables are honoured.

    Args:
        files: file name -> MD5, in hexadecimal.
        base_url: what comes before each name in its address.
        folder: the folder that the files are written to.
        source: the public source that they are of; its keys of the configuration are named in
            messages.
        workers: how many are fetched at a time.
        say: takes each line of progress; called from this thread only.
        policy: how patient to be.
        label: begins each line of progress.

    Raises:
        DataError: a name or an MD5 cannot be one; or some files could not be had, after all of
            them were tried.
    """
    for name, md5 in files.items():
        plain = name and Path(name).name == name and name.isprintable()
        if not plain or name.startswith("."):
            raise DataError(f"{name!r}: not a plain file name; correct data.{source}_record")
        if not re.fullmatch(r"[0-9a-fA-F]{32}", md5):
            raise DataError(
                f"{name}: found MD5 {md5!r}, expected 32 hexadecimal digits; correct "
                f"data.{source}_record"
            )
    wanted = [
        _Wanted(name, md5.lower(), base_url + quote(name), folder / name)
        for name, md5 in files.items()
    ]
    with locked(folder, say):
        _Pool(wanted, folder, policy, _DownloadProgress(label, wanted, say)).run(workers)
    failed = [file for file in wanted if file.outcome == "failed"]
    if failed:
        raise DataError(_complaint(failed, len(wanted), folder, source))


def _complaint(failed: Sequence[_Wanted], count: int, folder: Path, source: str) -> str:
    """What failed and why, and what a person can do."""
    reasons = "".join(
        # The address of a mirror may hold a password.
        f"\n  {file.name} from {re.sub(r'//[^/@]*@', '//', file.url)}: {file.reason}"
        + (f" (the file in its place has MD5 {file.placed})" if file.placed else "")
        for file in failed
    )
    names = "".join(f"\n  {file.name}  (MD5 {file.md5})" for file in failed)
    return (
        f"{folder}: {len(failed)} of {count} files could not be fetched:{reasons}\n"
        "Run it again to go on from the bytes that are there. Through a proxy: set HTTPS_PROXY. "
        f"From a mirror: set data.{source}_url. Offline: fetch these files elsewhere and put them, "
        f"under these names, into {folder.resolve()}:{names}"
    )


class _Pool:
    """Threads that work through the files, while the calling thread reports.

    They are daemons, because a thread that waits for a server cannot be told to end.
    """

    def __init__(
        self,
        files: Sequence[_Wanted],
        folder: Path,
        policy: DownloadPolicy,
        progress: "_DownloadProgress",
    ) -> None:
        self._files, self._folder, self._policy, self._progress = files, folder, policy, progress
        self._stop, self._space = threading.Event(), threading.Lock()
        self._waiting: queue.SimpleQueue[_Wanted] = queue.SimpleQueue()
        # Lines that the threads have to say; None is said by one that ends.
        self._news: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def run(self, workers: int) -> None:
        """Have an outcome of every file."""
        for file in self._files:
            self._waiting.put(file)
        count = max(1, min(workers, len(self._files)))
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        try:
            for thread in threads:
                thread.start()
            self._report(count)
        finally:
            self._stop.set()
            deadline = time.monotonic() + 0.5
            for thread in threads:
                thread.join(max(0.0, deadline - time.monotonic()))
        unsettled = [file.name for file in self._files if file.outcome is None]
        if unsettled:
            raise RuntimeError(f"{unsettled[0]}: its thread ended; the traceback above says why")
        self._progress.end()

    def _report(self, running: int) -> None:
        due = time.monotonic() + self._policy.report_seconds
        while running:
            try:
                news = self._news.get(timeout=max(0.0, due - time.monotonic()))
            except queue.Empty:
                self._progress.report()
                due = time.monotonic() + self._policy.report_seconds
            else:
                running -= news is None
                if news is not None:
                    self._progress.tell(news)

    def _work(self) -> None:
        try:
            seconds = self._policy.head_seconds
            # Until no file waits, or the main thread wants to end.
            with suppress(queue.Empty, Stopped), patient_session(seconds) as session:
                session.headers.update(HEADERS)
                session.max_redirects = 10
                while True:
                    self._settle(self._waiting.get_nowait(), session)
        finally:
            self._news.put(None)

    def _settle(self, file: _Wanted, session: requests.Session) -> None:
        transfer = Transfer(file, session, self._policy, self._stop, lambda: self._need_space(file))
        try:
            file.outcome = self._have(file, transfer)
        except GivenUp as error:
            file.reason, file.outcome = str(error), "failed"
        except OSError as error:
            file.reason, file.outcome = f"{error.filename or file.part}: {error.strerror}", "failed"
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                file.reason = (
                    f"no space is left in {self._folder.resolve()}; free some. The "
                    f"{_amount(file.have)} that came are kept"
                )
        if file.reason:
            self._news.put(f"{file.name}: failed: {file.reason}")

    def _have(self, file: _Wanted, transfer: Transfer) -> Literal["kept", "fetched"]:
        """Have a file in its place."""
        if file.path.exists():
            if not file.path.is_file():
                raise GivenUp(f"found {file.path}, which is not a file; move it away")
            found = transfer.digest(file.path)
            if found == file.md5:
                file.have = file.total = file.path.stat().st_size
                return "kept"
            file.placed = found
        transfer.run()
        if file.placed:
            file.path.replace(file.wrong)
            self._news.put(
                f"{file.path}: found MD5 {file.placed}, expected {file.md5}; moved to {file.wrong}"
            )
        file.part.replace(file.path)
        return "fetched"

    def _need_space(self, file: _Wanted) -> None:
        """Promise a file its space, less what is promised to those fetched beside it.

        A file that does not fit takes nothing from one that does, whichever asks first.
        """
        with self._space:
            beside = sum(
                other.missing
                for other in self._files
                if other.promised and other.outcome is None and other is not file
            )
            free = shutil.disk_usage(self._folder).free
            # What has no end must not take all there is.
            free -= RESERVED if file.total is None else 0
            file.promised = file.missing + beside <= free
        if not file.promised and file.total is None:
            raise GivenUp(
                f"the server does not say how long it is, {_amount(file.have)} came, and "
                f"{self._folder.resolve()} is nearly full; free some space, or set data.store to "
                "another disk"
            )
        if not file.promised:
            raise GivenUp(
                f"{_amount(file.missing)} are missing, {_amount(file.missing + beside)} with the "
                f"files fetched at the same time, but {self._folder.resolve()} has "
                f"{_amount(free)} of free space; free some, or set data.store to another disk"
            )


class _DownloadProgress:
    """Says how far all files are together."""

    def __init__(self, label: str, files: Sequence[_Wanted], say: Callable[[str], None]) -> None:
        self._label, self._files, self._say = label, files, say
        self._start = time.monotonic()
        # (time, bytes fetched) at the last lines.
        self._seen = deque([(self._start, 0)], maxlen=WINDOW + 1)

    def tell(self, line: str) -> None:
        """Say a line about one file."""
        self._say(f"{self._label}: {line}")

    def report(self) -> None:
        """Say how much there is, how fast it comes, and how long the rest takes."""
        files = [file for file in self._files if file.outcome != "failed"]
        have, fetched = sum(f.have for f in files), sum(f.fetched for f in self._files)
        total = sum(max(f.total or 0, f.have) for f in files)
        least = "at least " if any(f.total is None and f.outcome is None for f in files) else ""
        now = time.monotonic()
        self._seen.append((now, fetched))
        speed = (fetched - self._seen[0][1]) / max(now - self._seen[0][0], 1e-9)
        unit, name = _unit(total)
        line = f"{have / unit:.1f} of {least}{total / unit:.1f} {name}, {_amount(speed)}/s, "
        if speed and total > have:
            line += f"{least}{two_units((total - have) / speed)} left, "
        line += self._done()
        troubled = [f"{f.name} ({f.trouble})" for f in files if f.trouble and f.outcome is None]
        self.tell(line + "".join(f"; {trouble}" for trouble in troubled))

    def end(self) -> None:
        """Say what was fetched, and how long it took."""
        seconds = time.monotonic() - self._start
        fetched = sum(file.fetched for file in self._files)
        speed = f", {_amount(fetched / max(seconds, 1e-9))}/s" if fetched else ""
        self.tell(f"{self._done()}, {_amount(fetched)} fetched in {two_units(seconds)}{speed}")

    def _done(self) -> str:
        outcomes = [file.outcome for file in self._files]
        failed = outcomes.count("failed")
        done = len(outcomes) - failed - outcomes.count(None)
        return f"{done} of {len(outcomes)} files done" + (f", {failed} failed" if failed else "")


def _unit(amount: float) -> tuple[float, str]:
    return next(((u, n) for u, n in ((1e9, "GB"), (1e6, "MB")) if amount >= u), (1e3, "kB"))


def _amount(amount: float) -> str:
    """Bytes for people, such as 23.1 MB."""
    unit, name = _unit(amount)
    return f"{amount / unit:.1f} {name}"
