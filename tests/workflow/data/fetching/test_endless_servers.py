"""Servers that never end what they say: each is cut by a limit of time, of bytes or of digits."""

import hashlib
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from workflow.base.errors import DataError
from workflow.cluster import preflight
from workflow.data.fetching import download as module
from workflow.data.fetching import transfer
from workflow.data.fetching.download import download
from workflow.data.fetching.transfer import DownloadPolicy

OK = b"HTTP/1.1 200 OK\r\n"
DIGITS = b"9" * 5000
CONTENT = b"content"
# As patient as a test is.
BRIEF = DownloadPolicy(
    tries=2,
    first_delay=0,
    longest_delay=0,
    connect_timeout=2,
    read_timeout=2,
    head_seconds=0.3,
    slow_seconds=0.3,
    least_bytes=1000,
    most_bytes=200_000,
    report_seconds=60,
)
Sent = Iterator[bytes]


def dripped(text: bytes) -> Sent:
    for byte in itertools.chain(text, itertools.repeat(ord("x"))):
        time.sleep(0.02)
        yield bytes([byte])


def continued() -> Sent:
    while True:
        time.sleep(0.01)
        yield b"HTTP/1.1 100 Continue\r\n\r\n"


def headed() -> Sent:
    yield OK
    for number in itertools.count():
        time.sleep(0.02)
        yield f"X-{number % 90}: y\r\n".encode() if number < 90 else b"X"


def endless() -> Sent:
    yield OK + b"\r\n"
    while True:
        yield bytes(10_000)


def whole(*headers: bytes, content: bytes = CONTENT) -> Callable[[], Sent]:
    return lambda: iter([OK, *(header + b"\r\n" for header in headers), b"\r\n", content])


@pytest.fixture
def serve():
    """Starts a server that says the same to all; returns its address."""
    over, servers = threading.Event(), []

    def start(sent: Callable[[], Sent]) -> str:
        listening = socket.create_server(("127.0.0.1", 0))
        servers.append(listening)

        def answer(connection: socket.socket) -> None:
            with suppress(OSError), connection:
                connection.recv(65536)
                for part in sent():
                    if over.is_set():
                        return
                    connection.sendall(part)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    threading.Thread(target=answer, args=[connection], daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return f"http://127.0.0.1:{listening.getsockname()[1]}/"

    yield start
    over.set()
    for listening in servers:
        listening.close()


def refused(url: str, folder: Path, policy: DownloadPolicy = BRIEF) -> str:
    with pytest.raises(DataError) as error:
        download(
            {"a.zip": hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()},
            url,
            folder,
            source="isic2017",
            policy=policy,
            say=lambda line: None,
        )
    return str(error.value)


@pytest.mark.parametrize(
    ("sent", "said"),
    [
        (lambda: dripped(OK), "Read timed out"),
        (continued, "Read timed out"),
        (headed, "Read timed out"),
        (lambda: dripped(b""), "Read timed out"),
    ],
    ids=["a head that drips", "100 Continue for ever", "headers for ever", "no line end"],
)
def test_a_head_without_end_is_cut(serve, tmp_path, sent, said):
    message = refused(serve(sent), tmp_path)
    assert said in message
    assert "3 tries in a row brought nothing new" in message or "2 tries in a row" in message


def test_a_body_that_drips_ends_with_its_time(serve, tmp_path):
    def sent() -> Sent:
        yield OK + b"Content-Length: 100000\r\n\r\n"
        yield from dripped(b"")

    policy = DownloadPolicy(**{**vars(BRIEF), "most_seconds": 0.5, "slow_seconds": 60})
    message = refused(serve(sent), tmp_path, policy)
    assert "not whole after" in message


def test_a_connection_that_brings_little_is_left(serve, tmp_path):
    """Without ranges each new one begins at the start, and so brings nothing new."""

    def sent() -> Sent:
        yield OK + b"Content-Length: 100000\r\n\r\n"
        yield from dripped(b"")

    assert "the server brought " in refused(serve(sent), tmp_path)


def test_a_body_without_end_takes_no_more_than_its_bytes(serve, tmp_path):
    message = refused(serve(endless), tmp_path)
    assert "does not say how long it is, and 200000 bytes came without an end" in message
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 200_000


def test_a_body_without_end_leaves_space_on_the_disk(serve, tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "UNKNOWN_STEP", 50_000)
    before = module.shutil.disk_usage(tmp_path)._replace(free=module.RESERVED + 40_000)
    asked = []

    def usage(folder):
        asked.append(folder)
        return before if len(asked) == 1 else before._replace(free=module.RESERVED - 1)

    monkeypatch.setattr(module.shutil, "disk_usage", usage)
    assert "is nearly full" in refused(serve(endless), tmp_path)
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 200_000


@pytest.mark.parametrize(
    "header",
    [
        b"Content-Length: " + DIGITS,
        b"Content-Length: -1",
        b"Retry-After: " + DIGITS,
        b"Content-Range: bytes 0-1/" + DIGITS,
    ],
)
def test_numbers_of_any_length_are_read_or_left(serve, tmp_path, header):
    download(
        {"a.zip": hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()},
        serve(whole(header, b"Connection: close")),
        tmp_path,
        source="isic2017",
        policy=BRIEF,
        say=lambda line: None,
    )
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_range_of_digits_is_another_range(serve, tmp_path):
    (tmp_path / ".a.zip.part").write_bytes(b"con")

    def sent() -> Sent:
        head = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes "
        yield head + DIGITS + b"-" + DIGITS + b"/" + DIGITS + b"\r\n\r\ntent"

    assert "another range" in refused(serve(sent), tmp_path)


def test_more_than_was_said_is_no_file(serve, tmp_path):
    def sent() -> Sent:
        yield b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-6/7\r\n\r\n"
        yield bytes(70_000)

    assert "more came than the 7 bytes that the server said" in refused(serve(sent), tmp_path)


def test_a_server_that_says_nothing_for_ever_is_not_reachable(serve, monkeypatch):
    monkeypatch.setattr(preflight, "SECONDS_TO_REACH", 0.3)
    assert not preflight._reachable(serve(continued))
    assert preflight._reachable(serve(whole(b"Content-Length: 7")))
