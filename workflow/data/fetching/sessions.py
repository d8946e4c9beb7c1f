"""HTTP sessions that a slow server cannot hold: the head of each answer has a time to come in.

The time-out of a socket is for each wait. A server that sends a byte of its head now and then, or
`100 Continue` again and again, never meets it; so a second clock cuts the connection. `transfer`
looks after what comes below the head.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection


def patient_session(head_seconds: float) -> requests.Session:
    """A session whose connections are cut where the head of an answer takes longer than that."""
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, _WatchedAdapter(head_seconds))
    return session


class _Watched:
    """What a connection has that is cut; comes before urllib3's class of it.

    Attributes:
        head_seconds: how long it may take to connect, and then until the head has come.
    """

    head_seconds: float
    sock: socket.socket | None

    def connect(self) -> None:
        with self._cut_in_time():
            super().connect()  # pyright: ignore[reportAttributeAccessIssue]

    def getresponse(self) -> Any:
        with self._cut_in_time():
            return super().getresponse()  # pyright: ignore[reportAttributeAccessIssue]

    @contextmanager
    def _cut_in_time(self) -> Iterator[None]:
        """Shut the connection down if the block takes too long, and say so as a time-out."""
        late = threading.Event()

        def cut() -> None:
            late.set()
            if (sock := self.sock) is not None:
                with suppress(OSError):
                    socket.socket.shutdown(sock, socket.SHUT_RDWR)

        timer = threading.Timer(self.head_seconds, cut)
        timer.daemon = True
        timer.start()
        # A head that was cut reads like one that ended, or like a connection that broke.
        reason = f"no whole head in {self.head_seconds:g} s"
        try:
            yield
        except Exception:
            if late.is_set():
                raise TimeoutError(reason) from None
            raise
        finally:
            timer.cancel()
        if late.is_set():
            raise TimeoutError(reason)


class _WatchedAdapter(HTTPAdapter):
    """Has connections that are cut, also to and through proxies of HTTP."""

    def __init__(self, head_seconds: float) -> None:
        # Under urllib3's own names, which stand in its messages.
        self._pools = {
            "http": _pool(HTTPConnectionPool, HTTPConnection, head_seconds),
            "https": _pool(HTTPSConnectionPool, HTTPSConnection, head_seconds),
        }
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of connections to servers."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self._pools

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """The pools of connections to a proxy."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = self._pools
        return manager


def _pool(pool: type, connection: type, head_seconds: float) -> type:
    """A class of pools whose connections are cut in time."""
    watched = type(connection.__name__, (_Watched, connection), {"head_seconds": head_seconds})
    return type(pool.__name__, (pool,), {"ConnectionCls": watched})
