"""Archives made for tests of unpacking, and what becomes of them."""

import io
import random
import tarfile
import zipfile

import pytest

from workflow.base.errors import DataError
from workflow.data.fetching import unpack as module
from workflow.data.fetching.unpack import unpack

FILES = {
    "set/TRAIN001/oct.raw": random.Random(1).randbytes(1_200_000),
    "set/TRAIN001/oct.mhd": b"NDims = 3\n",
    "set/TRAIN002/reference.raw": bytes(1_300_000),
    "read me.txt": b"",
    "Übersicht.csv": b"id\r\n1\r\n",
}
SUFFIXES = ("zip", "tar", "tar.gz", "tgz", "tar.xz", "txz", "tar.bz2", "tbz2", "ZIP")
MODES = {"gz": "w:gz", "tgz": "w:gz", "xz": "w:xz", "txz": "w:xz", "bz2": "w:bz2", "tbz2": "w:bz2"}
silent = lambda _: None  # noqa: E731


def pack(path, files, folders=(), method=zipfile.ZIP_DEFLATED):
    """Write an archive of the kind that its suffix says."""
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path, "w", method) as archive:
            for name in folders:
                archive.writestr(name + "/", b"")
            for name, data in files.items():
                archive.writestr(name, data)
        return path
    with tarfile.open(path, MODES.get(path.suffix[1:], "w")) as archive:
        for name in folders:
            add(archive, name, type=tarfile.DIRTYPE)
        for name, data in files.items():
            add(archive, name, data)
    return path


def add(archive, name, data=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), 0o755
    for key, value in fields.items():
        setattr(info, key, value)
    archive.addfile(info, io.BytesIO(data))


def contents(folder):
    """Name -> bytes of all files in a folder, the note of unpacking aside."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != module.STAMP
    }


def entries(folder):
    return sorted(path.name for path in folder.iterdir() if path.name != ".lock")


@pytest.fixture
def store(tmp_path):
    return tmp_path / "outer" / "store"


@pytest.fixture
def refused(store, tmp_path):
    """Check that an archive is refused, and that nothing is written or left anywhere."""

    def check(archive, match, limits=module.USUAL):
        before = {path for path in tmp_path.rglob("*") if store not in path.parents}
        with pytest.raises(DataError, match=match) as error:
            unpack(archive, store, limits=limits, say=silent)
        assert str(archive) in str(error.value)
        assert entries(store) == []
        after = {path for path in tmp_path.rglob("*") if store not in path.parents}
        assert after - before <= {store, store.parent}
        return str(error.value)

    return check
