"""Downloads from servers that fail, and into places where nothing can be written."""

import errno
import functools
import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from tests.workflow.data.bad_cases.case import Case, Group, holds, selected
from tests.workflow.data.bad_cases.isic2017 import HTML, RECORD
from tests.workflow.data.fetching.http_server import Answer, Script, serving
from workflow.data.fetching import download, transfer

ZIP, TABLE = "ISIC-2017_Training_Data.zip", "ISIC-2017_Training_Part3_GroundTruth.csv"
FILES = {ZIP: bytes(range(256)) * 800, TABLE: b"image_id,melanoma,seborrheic_keratosis\n"}
ORIGINAL = "results/store/isic2017/original"
# As patient as a table of many cases can be.
HASTY = download.DownloadPolicy(
    tries=2, first_delay=0.001, longest_delay=0.001, longest_retry_after=0, read_timeout=0.5
)


def _sums(**sums: str) -> str:
    """A record of the files, with other MD5s for some."""
    known = {name: hashlib.md5(content).hexdigest() for name, content in FILES.items()}
    lines = "".join(f"  {name}: {md5}\n" for name, md5 in {**known, **sums}.items())
    return f"files:\n{lines}counts: {{}}\n"


@contextmanager
def _served(answer: Answer | None = None) -> Iterator[str]:
    """Serve the files, the archive always with one answer."""
    script = Script()
    if answer is not None:
        script.always[ZIP] = answer
    with tempfile.TemporaryDirectory() as site:
        for name, content in FILES.items():
            Path(site, name).write_bytes(content)
        hasty = mock.patch.dict(download.download.__kwdefaults__, {"policy": HASTY})
        with serving(Path(site), script) as url, hasty:
            yield url


def answered(**keys: Any) -> Callable[[], AbstractContextManager[str]]:
    """A server that always gives one answer to who asks for the archive."""
    return functools.partial(_served, Answer(**keys))


@contextmanager
def _full() -> Iterator[str]:
    """Neither is there space, nor does the system say so before it is used up."""

    def write(stream: object, block: bytes) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with _served() as url, mock.patch.object(transfer, "_write", write):
        yield url


@contextmanager
def _nearly_full() -> Iterator[str]:
    usage = mock.patch.object(shutil, "disk_usage", return_value=SimpleNamespace(free=1000))
    with _served() as url, usage:
        yield url


@contextmanager
def _nowhere() -> Iterator[str]:
    with _served():
        yield "http://127.0.0.1:9/"


SETTINGS = {
    "preset": "paper",
    "select": selected("isic2017"),
    "data": {"isic2017_url": "URL/", "isic2017_record": RECORD},
    "datasets": {"isic2017": {"image_size": 32, "duplicates": None}},
}
GIVEN_UP = "2 tries in a row brought nothing new"
FAILED = f"{ORIGINAL}: 1 of 2 files could not be fetched:\n  {ZIP} from URL/{ZIP}: "
BUSY = f"{FAILED}HTTP 500 Internal Server Error; {GIVEN_UP}"

SERVERS = Group(
    "Downloads",
    "isic2017",
    holds(RECORD, _sums()),
    SETTINGS,
    [
        Case("a file is not there", f"{FAILED}HTTP 404 Not Found", around=answered(status=404)),
        Case("the server fails for ever", BUSY, around=answered(status=500)),
        Case(
            "the server sends a page to log in",
            f"{FAILED}found a web page in its place",
            around=answered(content=HTML.encode(), headers={"Content-Type": "text/html"}),
        ),
        Case(
            "the server sends to another address for ever",
            f"{FAILED}Exceeded 10 redirects",
            around=answered(status=302, headers={"Location": f"/{ZIP}"}),
        ),
        Case(
            "the server sends another file, twice",
            f"also when fetched again from its start; what came is kept as {ORIGINAL}/{ZIP}.wrong",
            around=answered(content=b"These are not the images."),
        ),
        Case("the server stalls for ever", f"{FAILED}ReadTimeout", around=answered(stall=0)),
        Case(
            "the server breaks off each time",
            f"{FAILED}ProtocolError: ('Connection broken: IncompleteRead(5000 bytes read",
            around=answered(cut=5000, ranges=False),
        ),
        Case(
            "the server compresses what it sends",
            f"{FAILED}the server compresses it (gzip)",
            around=answered(headers={"Content-Encoding": "gzip"}),
        ),
        Case("there is no server", "2 of 2 files could not be fetched", around=_nowhere),
        Case("the disk has too little space", "has 1.0 kB of free space", around=_nearly_full),
        Case("the disk is full", f"no space is left in HERE/{ORIGINAL}", around=_full),
        Case(
            "the user placed another file, and the server fails",
            f"{BUSY} (the file in its place has MD5 0ba787df",
            holds(f"{ORIGINAL}/{ZIP}", "These are not the images."),
            around=answered(status=500),
        ),
        Case(
            "a folder has the name of a file",
            f"{FAILED}found {ORIGINAL}/{ZIP}, which is not a file",
            holds(f"{ORIGINAL}/{ZIP}/mine.txt", "mine"),
            around=answered(),
        ),
        Case(
            "the place for downloads is a file",
            f"{ORIGINAL}: Not a directory",
            holds("results/store/isic2017", "mine"),
            around=answered(),
        ),
        Case(
            "an MD5 on record is none",
            f"{ZIP}: found MD5 'abc'",
            holds(RECORD, _sums(**{ZIP: "abc"})),
            around=answered(),
        ),
        Case(
            "a file on record has a path",
            "'../evil.zip': not a plain file name",
            holds(RECORD, _sums(**{"../evil.zip": "ab" * 16})),
            around=answered(),
        ),
    ],
)
