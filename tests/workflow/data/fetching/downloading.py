"""A server of one file, and what its download leaves, for tests."""

import hashlib
import random

import pytest

from tests.workflow.data.fetching.http_server import Script, serving
from workflow.data.fetching.download import DownloadPolicy, download

# Waits are of milliseconds, but for a server that is slow to answer.
HASTY = DownloadPolicy(
    tries=3,
    first_delay=0.001,
    longest_delay=0.004,
    longest_retry_after=0.05,
    connect_timeout=20,
    read_timeout=20,
    head_seconds=20,
    most_requests=40,
    most_seconds=60,
    report_seconds=0.01,
)
NAME = "a.zip"


def content_of(name, size=300_000):
    return random.Random(name).randbytes(size)


def md5(data):
    return hashlib.md5(data).hexdigest()


@pytest.fixture
def site(tmp_path):
    """A folder to be served, with one file."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / NAME).write_bytes(content_of(NAME))
    return tmp_path / "site"


@pytest.fixture
def script():
    return Script()


@pytest.fixture
def base_url(site, script):
    with serving(site, script) as address:
        yield address


@pytest.fixture
def fetch(site, base_url, tmp_path):
    """Download the file, or given ones; gives the lines that were said."""

    def run(files=None, policy=HASTY, url=base_url, **options):
        lines = []
        files = files or {NAME: md5(content_of(NAME))}
        download(
            files,
            url,
            tmp_path / "store",
            source="isic2017",
            say=lines.append,
            policy=policy,
            **options,
        )
        return lines

    return run


@pytest.fixture
def store(tmp_path):
    return tmp_path / "store"


def visible(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


def is_right(store):
    return visible(store) == [NAME] and (store / NAME).read_bytes() == content_of(NAME)


def leave_part(store, data):
    store.mkdir(exist_ok=True)
    (store / f".{NAME}.part").write_bytes(data)
