"""A web server on this machine that serves a folder, and misbehaves as told.

    with serving(folder) as base_url:
        ...

serves every file of a folder, with ranges. A `Script` makes the answers to single requests wrong,
and records what was asked.
"""

import os
import re
import threading
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from unittest import mock
from urllib.parse import unquote, urlsplit

# No answer is held back for longer, whatever a test forgot to release.
LONGEST_STALL = 60
PIECE = 16 * 1024


@dataclass(frozen=True)
class Answer:
    """What is unusual in the answer to one request; by default nothing.

    Attributes:
        status: sent instead of a file, with the headers and nothing else.
        headers: sent as well, in place of the usual ones of the same names.
        content: served instead of the file's.
        ranges: whether a Range request is answered with its range.
        shift: added to the start that is both sent and said of a range.
        cut: bytes of the body, after which the connection is closed.
        stall: bytes of the body, after which nothing comes until the server is closed.
        sized: whether Content-Length is sent; if not, the closed connection is the end.
        excess: added to the Content-Length.
    """

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    content: bytes | None = None
    ranges: bool = True
    shift: int = 0
    cut: int | None = None
    stall: int | None = None
    sized: bool = True
    excess: int = 0


NORMAL = Answer()


@dataclass(frozen=True)
class Request:
    """What was asked: a path without its first slash, and the headers in lower case."""

    name: str
    headers: dict[str, str]

    @property
    def start(self) -> int:
        """Where the range asked for starts; 0 if none was asked for."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("range", ""))
        return int(found[1]) if found else 0


class Script:
    """Which answers a server gives, and what it was asked.

    Attributes:
        first: name -> answers to its first requests, one after the other.
        always: name -> answer to all others.
        requests: in the order in which they came.
    """

    def __init__(self) -> None:
        self.first: dict[str, deque[Answer]] = defaultdict(deque)
        self.always: dict[str, Answer] = {}
        self.requests: list[Request] = []
        self.lock = threading.Lock()

    def plan(self, name: str, *answers: Answer) -> None:
        """Answer the first requests for a file so."""
        self.first[name].extend(answers)

    def answer(self, request: Request) -> Answer:
        """Record a request, and choose its answer."""
        with self.lock:
            self.requests.append(request)
            planned = self.first[request.name]
            return planned.popleft() if planned else self.always.get(request.name, NORMAL)

    def starts(self, name: str) -> list[int]:
        """Where each request for a file began."""
        return [request.start for request in self.requests if request.name == name]


@contextmanager
def serving(folder: Path, script: Script | None = None) -> Iterator[str]:
    """Serve a folder until the end; gives the address that comes before each name."""
    script, closing = script or Script(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            # The path of a proxy's request is a whole address.
            name = unquote(urlsplit(self.path).path).lstrip("/")
            headers = {key.lower(): value for key, value in self.headers.items()}
            request = Request(name, headers)
            answer = script.answer(request)
            self.close_connection = True
            file = folder / name
            if answer.status is not None:
                self._head(answer.status, answer.headers)
            elif answer.content is None and not file.is_file():
                self._head(404, {})
            else:
                content = file.read_bytes() if answer.content is None else answer.content
                self._serve(request, answer, content)

        def _serve(self, request: Request, answer: Answer, content: bytes) -> None:
            size, status, headers = len(content), 200, {"Accept-Ranges": "bytes"}
            if answer.ranges and "range" in request.headers:
                if request.start >= size:
                    self._head(416, {"Content-Range": f"bytes */{size}", **answer.headers})
                    return
                begin = max(0, request.start + answer.shift)
                status, content = 206, content[begin:]
                headers["Content-Range"] = f"bytes {begin}-{size - 1}/{size}"
            if answer.sized:
                headers["Content-Length"] = str(len(content) + answer.excess)
            self._head(status, {**headers, **answer.headers})
            stops = [stop for stop in (answer.cut, answer.stall) if stop is not None]
            body = content[: min(stops, default=len(content))]
            for begin in range(0, len(body), PIECE):
                self.wfile.write(body[begin : begin + PIECE])
            if answer.stall is not None:
                closing.wait(LONGEST_STALL)

        def _head(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            usual = {"Connection": "close"} | ({"Content-Length": "0"} if status >= 300 else {})
            for key, value in {**usual, **headers}.items():
                self.send_header(key, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: object, client_address: object) -> None:
            """Say nothing: clients break off, as tests want them to."""

    # A proxy of this machine's is not for addresses of its own.
    direct = mock.patch.dict(os.environ, {"no_proxy": "127.0.0.1"})
    with direct, Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            closing.set()
            server.shutdown()
            thread.join()
