"""One file over HTTP: resumed where it broke off, tried again, and of the right MD5 in the end.

The unfinished bytes of NAME lie in `.NAME.part` beside it and survive whatever kills the process.
What a server says of its version (ETag, for If-Range) is not kept: the MD5 shows when bytes of two
versions were put together, and the file is then fetched once more from its start, which is all that
If-Range would have done.
"""

import hashlib
import os
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import IO

import requests
import urllib3

CHUNK = 256 * 1024
# What is written must be what the MD5 is of, so the server is asked not to compress it.
HEADERS = {"User-Agent": "dataset-download", "Accept-Encoding": "identity"}
# Of a file of unknown length, bytes after which the free space is looked at again.
UNKNOWN_STEP = 64 * 10**6
# With these, and 5xx, a later request may succeed.
BUSY = (408, 425, 429)
# Errors that no further request can mend.
HOPELESS = (
    requests.exceptions.InvalidSchema,
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.TooManyRedirects,
)


@dataclass(frozen=True)
class DownloadPolicy:
    """How patient a download is; times in seconds.

    Attributes:
        tries: requests in a row that bring nothing new, after which a file is given up.
        first_delay: the pause before a request is repeated; doubled with each that brings nothing.
        longest_delay: the longest such pause.
        longest_retry_after: the longest pause that a server may ask for.
        connect_timeout: how long to wait for a connection.
        read_timeout: how long to wait for the next bytes.
        head_seconds: how long to wait for the whole head of an answer.
        slow_seconds, least_bytes: a connection that brings less in so long is given up.
        most_bytes: bytes of a file whose length the server does not say.
        most_requests: requests for one file, however much they bring.
        most_seconds: the time for one file.
        report_seconds: the time between two lines of progress.
    """

    tries: int = 8
    first_delay: float = 1
    longest_delay: float = 60
    longest_retry_after: float = 600
    connect_timeout: float = 20
    read_timeout: float = 60
    head_seconds: float = 120
    slow_seconds: float = 120
    least_bytes: int = 64 * 1024
    most_bytes: int = 64 * 10**9
    most_requests: int = 1000
    most_seconds: float = 86_400
    report_seconds: float = 5


@dataclass
class RemoteFile:
    """A file to be had, and how far it is.

    Attributes:
        have, total: bytes that are on disk, and that there are in all, where that is known.
        fetched: bytes that came over the network, also those that were thrown away.
        trouble: what it waits for, or is busy with, other than bytes.
    """

    name: str
    md5: str
    url: str
    path: Path
    have: int = 0
    total: int | None = None
    fetched: int = 0
    trouble: str = ""

    @property
    def part(self) -> Path:
        """Where its unfinished bytes are."""
        return self.path.with_name(f".{self.name}.part")

    @property
    def wrong(self) -> Path:
        """Where bytes of a wrong MD5 are kept."""
        return self.path.with_name(f"{self.name}.wrong")


class GivenUp(Exception):
    """A file cannot be had; the message says why."""


class Stopped(Exception):
    """Whoever wanted the file no longer does."""


class _TryAgain(Exception):
    """A request did not bring all that is missing; the message says why."""

    def __init__(self, reason: str, pause: float = 0) -> None:
        super().__init__(reason)
        self.pause = pause


class Transfer:
    """Fetches one file.

    Args:
        file: what to fetch; kept up to date, for whoever reports.
        session: sends the requests, with its proxies.
        policy: how patient to be.
        stop: set by another thread when this one is to end.
        need_space: called before bytes are written, with `have` and `total` as they are then;
            raises GivenUp where there is no space for the rest.
    """

    def __init__(
        self,
        file: RemoteFile,
        session: requests.Session,
        policy: DownloadPolicy,
        stop: threading.Event,
        need_space: Callable[[], None],
    ) -> None:
        self._file, self._session, self._policy = file, session, policy
        self._stop, self._need_space = stop, need_space
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._requests, self._started = 0, time.monotonic()

    def digest(self, path: Path) -> str:
        """The MD5 of a file on this disk, in hexadecimal."""
        self._read(path)
        return self._md5.hexdigest()

    def run(self) -> None:
        """Have the right bytes in the part, on disk.

        Raises:
            GivenUp: they cannot be had; what came is kept, in the part or aside.
            Stopped: `stop` was set.
            OSError: the disk is full, or failed otherwise.
        """
        file, self._md5 = self._file, hashlib.md5(usedforsecurity=False)
        if file.part.exists():
            self._read(file.part)
            file.have = file.part.stat().st_size
        if not (file.part.exists() and self._md5.hexdigest() == file.md5):
            self._complete()
        if self._md5.hexdigest() != file.md5:
            self._start_over()
            self._complete()
        if (found := self._md5.hexdigest()) != file.md5:
            file.part.replace(file.wrong)
            raise GivenUp(
                f"found MD5 {found}, expected {file.md5}, also when fetched again from its start; "
                f"what came is kept as {file.wrong}"
            )
        file.total = file.have
        with file.part.open("rb+") as stream:
            os.fsync(stream.fileno())

    def _read(self, path: Path) -> None:
        """Begin the MD5 with what is on disk."""
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._file.trouble = "checking what is there"
        with path.open("rb") as stream:
            while block := stream.read(CHUNK):
                if self._stop.is_set():
                    raise Stopped
                self._md5.update(block)
        self._file.trouble = ""

    def _start_over(self) -> None:
        self._file.part.open("wb").close()
        self._file.have = 0
        self._md5 = hashlib.md5(usedforsecurity=False)

    def _complete(self) -> None:
        """Send requests until the part is whole, as far as the server says how long it is."""
        file, policy = self._file, self._policy
        furthest, fruitless = file.have, 0
        while True:
            self._requests += 1
            try:
                if self._request():
                    return
                reason, pause = "the connection ended early", 0.0
            except _TryAgain as error:
                reason, pause = str(error), error.pause
            if file.have and self._md5.hexdigest() == file.md5:
                return  # the server promised more than there is
            # Less than at a former try is nothing new: else a server that cannot resume, and
            # breaks off each time, would be asked for ever.
            fruitless = 0 if file.have > furthest else fruitless + 1
            furthest = max(furthest, file.have)
            if fruitless >= policy.tries:
                raise GivenUp(f"{reason}; {fruitless} tries in a row brought nothing new")
            seconds = time.monotonic() - self._started
            if self._requests >= policy.most_requests or seconds >= policy.most_seconds:
                raise GivenUp(
                    f"{reason}; not whole after {self._requests} requests in {seconds:.0f} s"
                )
            delay = min(policy.longest_delay, policy.first_delay * 2 ** max(0, fruitless - 1))
            file.trouble = reason
            # Jitter, so that files that failed together do not come back together.
            if self._stop.wait(max(pause, delay * random.uniform(0.5, 1))):
                raise Stopped
            file.trouble = ""

    def _request(self) -> bool:
        """Ask for what is missing; True if nothing is then."""
        file, policy = self._file, self._policy
        try:
            with self._session.get(
                file.url,
                headers={"Range": f"bytes={file.have}-"} if file.have else {},
                stream=True,
                timeout=(policy.connect_timeout, policy.read_timeout),
            ) as response:
                if not self._has_rest(response):
                    return True
                self._need_space()
                self._receive(response)
        except HOPELESS as error:
            raise GivenUp(str(error)) from error
        except (requests.RequestException, urllib3.exceptions.HTTPError) as error:
            reason = _cause(error)
            if "CERTIFICATE_VERIFY_FAILED" in reason:
                raise GivenUp(
                    f"{reason}; where a proxy has its own certificates, name them in "
                    "REQUESTS_CA_BUNDLE"
                ) from error
            raise _TryAgain(reason) from error
        return file.total is None or file.have >= file.total

    def _has_rest(self, response: requests.Response) -> bool:
        """Whether the response brings bytes that follow those in the part, or all, or none.

        The part is emptied where the response begins at the file's start.
        """
        file, headers = self._file, response.headers
        status = f"HTTP {response.status_code} {response.reason or ''}".strip()
        if response.status_code == 416 and file.have:
            size = re.fullmatch(r"bytes \*/(\S+)", headers.get("Content-Range", ""))
            if size and _whole(size[1]) == file.have:
                file.total = file.have
                return False
            self._start_over()
            raise _TryAgain(f"{status}, so from the start again")
        if response.status_code in BUSY or response.status_code >= 500:
            pause = min(
                _retry_after(headers.get("Retry-After", "")), self._policy.longest_retry_after
            )
            raise _TryAgain(status, pause)
        if response.status_code not in (200, 206):
            raise GivenUp(status)
        if headers.get("Content-Encoding", "identity") != "identity":
            raise GivenUp(
                f"the server compresses it ({headers['Content-Encoding']}) although asked not to"
            )
        if "text/html" in headers.get("Content-Type", ""):
            raise GivenUp("found a web page in its place, perhaps a proxy's or a login")
        if response.status_code == 206:
            span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", ""))
            if span is None or _whole(span[1]) != file.have:
                self._start_over()
                raise _TryAgain("the server sent another range than asked for")
            file.total = _whole(span[2])
        else:
            self._start_over()
            file.total = _whole(headers.get("Content-Length", ""))
        return True

    def _receive(self, response: requests.Response) -> None:
        file, pace = self._file, _Pace(self._policy, self._file.fetched)
        looked = file.have
        with file.part.open("ab", buffering=0) as stream:
            # read1 gives what has come so far, so that a stall loses nothing.
            while block := response.raw.read1(CHUNK, decode_content=False):
                if self._stop.is_set():
                    raise Stopped
                self._require_end(file.have + len(block))
                _write(stream, block)
                self._md5.update(block)
                file.have += len(block)
                file.fetched += len(block)
                pace.require(file.fetched)
                if file.total is None and file.have - looked > UNKNOWN_STEP:
                    looked = file.have
                    self._need_space()

    def _require_end(self, have: int) -> None:
        """Go no further with a file that has become longer, or taken longer, than it may.

        Raises:
            GivenUp: it is too long for a file of no known length, or its time is over.
            _TryAgain: it is longer than the server said.
        """
        file, policy = self._file, self._policy
        if file.total is not None and have > file.total:
            said = file.total
            self._start_over()
            raise _TryAgain(f"more came than the {said} bytes that the server said")
        if file.total is None and have > policy.most_bytes:
            raise GivenUp(
                f"the server does not say how long it is, and {policy.most_bytes} bytes came "
                "without an end"
            )
        seconds = time.monotonic() - self._started
        if seconds >= policy.most_seconds:
            raise GivenUp(f"not whole after {self._requests} requests in {seconds:.0f} s")


class _Pace:
    """Notices a connection that goes on and brings next to nothing."""

    def __init__(self, policy: DownloadPolicy, fetched: int) -> None:
        self._policy, self._fetched, self._since = policy, fetched, time.monotonic()

    def require(self, fetched: int) -> None:
        """Go on with a connection that brings enough.

        Raises:
            _TryAgain: it does not.
        """
        now, policy = time.monotonic(), self._policy
        if now - self._since < policy.slow_seconds:
            return
        if fetched - self._fetched < policy.least_bytes:
            raise _TryAgain(
                f"the server brought {fetched - self._fetched} bytes in {now - self._since:.0f} s"
            )
        self._since, self._fetched = now, fetched


def _write(stream: IO[bytes], block: bytes) -> None:
    """Write all of a block to an unbuffered stream, which may take a piece at a time."""
    rest = memoryview(block)
    while rest:
        rest = rest[stream.write(rest) :]


def _whole(text: str) -> int | None:
    """A number of bytes; None where it is none, or longer than any disk."""
    return int(text) if re.fullmatch(r"\d{1,18}", text, re.ASCII) else None


def _retry_after(value: str) -> float:
    """Seconds that a Retry-After header asks for; 0 where it cannot be read."""
    if value.isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return 0


def _cause(error: Exception) -> str:
    """What lies behind an error, without the layers that passed it on."""
    inner: object = error
    while True:
        deeper = getattr(inner, "reason", None) or next(iter(getattr(inner, "args", ())), None)
        if not isinstance(deeper, Exception):
            break
        inner = deeper
    return f"{type(inner).__name__}: {inner}"
