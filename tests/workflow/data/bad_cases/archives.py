"""Archives that are damaged, dangerous, or not the ones on record."""

import gzip
import io
import shutil
import stat
import struct
import tarfile
import warnings
import zipfile
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

from tests.workflow.data.bad_cases import isic2017, retouch
from tests.workflow.data.bad_cases.case import (
    Action,
    Case,
    Group,
    copied,
    cut,
    each_of,
    emptied,
    files_below,
    flipped,
    gone,
    holds,
    moved,
)
from workflow.data.fetching import unpack
from workflow.data.phantom.archives import write_zip

ZIP = "DATA/ISIC-2017_Training_Data.zip"
FOLDER = "ISIC-2017_Training_Data"
TAR = "DATA/RETOUCH-TrainingSet-Cirrus.tar.gz"
VOLUME = "RETOUCH-TrainingSet-Cirrus/TRAIN001"


def _added(
    *names: str, mode: int = stat.S_IFREG | 0o644, method: int = zipfile.ZIP_STORED
) -> Action:
    """The archive has more members."""

    def act() -> None:
        with warnings.catch_warnings(), zipfile.ZipFile(ZIP, "a") as archive:
            warnings.simplefilter("ignore", UserWarning)  # of names that are there
            for name in names:
                entry = zipfile.ZipInfo(name)
                entry.external_attr = mode << 16
                archive.writestr(entry, b"../../elsewhere", method)

    return act


def _directory(offset: int, form: str, value: int) -> Action:
    """A field of the first member in the zip's directory has another value."""

    def act() -> None:
        content = bytearray(Path(ZIP).read_bytes())
        struct.pack_into(form, content, content.index(b"PK\x01\x02") + offset, value)
        Path(ZIP).write_bytes(content)

    return act


def _full() -> AbstractContextManager[object]:
    """No disk has any space left."""
    return mock.patch.object(shutil, "disk_usage", return_value=SimpleNamespace(free=0))


def _few() -> AbstractContextManager[object]:
    """Unpacking takes fewer members than it does, so that no archive need be large."""
    return mock.patch.dict(unpack.unpack.__kwdefaults__, {"limits": unpack.Limits(members=5)})


ISIC2017 = Group(
    "ISIC 2017: archives",
    "isic2017",
    isic2017.write_archives,
    isic2017.SETTINGS,
    [
        Case("an archive is empty", f"{ZIP}: found a damaged archive", holds(ZIP, b"")),
        Case("an archive is a web page", f"{ZIP}: found a damaged", holds(ZIP, isic2017.HTML)),
        Case("an archive ends early", f"{ZIP}: found a damaged archive", cut(ZIP, 9000)),
        Case("a bit of an archive is flipped", f"{ZIP}: found a damaged", flipped(ZIP, 500)),
        Case(
            "a length in an archive is wrong",
            f"{ZIP}: found a damaged archive, or none (File name in directory",
            flipped(ZIP, 27),
        ),
        Case("an archive has no file", f"{ZIP}: found no file", lambda: write_zip(Path(ZIP), [])),
        Case("a member would go outside", "'../evil.jpg': has a path", _added("../evil.jpg")),
        Case("a member has an absolute path", "'/tmp/evil': has an abs", _added("/tmp/evil")),
        Case("a member has a path of Windows", "has a backslash", _added("..\\evil.jpg")),
        Case(
            "a member is a symbolic link",
            f"member '{FOLDER}/link': is a symbolic link",
            _added(f"{FOLDER}/link", mode=stat.S_IFLNK | 0o777),
        ),
        Case("a member is a device", "'tty': is a device", _added("tty", mode=stat.S_IFCHR)),
        Case("a member is encrypted", "is encrypted", _directory(8, "<H", 1)),
        Case(
            "a member is a bomb",
            "member 'zeros': unpacks 1,000 bytes to 4,000,000,000; allowed are 1000 times as many",
            each_of(
                lambda: write_zip(Path(ZIP), [("zeros", bytes(1000))]),
                _directory(24, "<I", 4_000_000_000),
            ),
        ),
        Case(
            "a member is longer than its header says",
            f"{ZIP}: found a damaged archive, or none (",
            _directory(24, "<I", 100),
        ),
        Case(
            "a member is there twice",
            f"member '{FOLDER}/ISIC_9000000.jpg': is there twice",
            _added(f"{FOLDER}/ISIC_9000000.jpg"),
        ),
        Case(
            "two members differ in capitals only",
            f"differs from '{FOLDER}/ISIC_9000000.jpg' only in",
            _added(f"{FOLDER}/isic_9000000.jpg"),
        ),
        Case(
            "a member is a file and a folder",
            f"needs '{FOLDER}/ISIC_9000000.jpg' both as a file and as a folder",
            _added(f"{FOLDER}/ISIC_9000000.jpg/x"),
        ),
        Case(
            "a member is packed by an unusual method",
            "'x': is packed by method 12",
            _added("x", method=zipfile.ZIP_BZIP2),
        ),
        Case("there are too many members", "is one more than the 5 allowed", around=_few),
        Case("the disk is full", "Test_v2_Data.zip: unpacks to 0.0 GB, but HERE", around=_full),
        Case(
            "an archive is not the one on record",
            f"{ZIP}: found MD5 1c95b5b3b81582d2cbb582477ea7169d, on record abab",
            each_of(
                lambda: write_zip(Path(ZIP), [("README.txt", b"These are not the images.")]),
                holds(isic2017.RECORD, f"files: {{{Path(ZIP).name}: {'ab' * 16}}}\ncounts: {{}}\n"),
            ),
            isic2017.RECORDED,
        ),
        Case(
            "an archive has other images than on record",
            "Training images: found 6, on record 7",
            holds(isic2017.RECORD, isic2017.counts(images=7)),
            isic2017.RECORDED,
        ),
        Case(
            "the archives have other names",
            "DATA: found none of ISIC-2017_{Training,",
            each_of(
                *(
                    moved(f"DATA/ISIC-2017_{part}_Data.zip", f"DATA/{part}.zip")
                    for part in ("Training", "Validation", "Test_v2")
                )
            ),
        ),
        Case(
            "an archive holds another's images",
            "split 'official' has nothing in train",
            copied("DATA/ISIC-2017_Validation_Data.zip", ZIP),
        ),
        Case(
            "a folder of the user's lies where an archive would be unpacked",
            f"results/store/isic2017/unpacked/{FOLDER}: found a folder that was not unpacked",
            holds(f"results/store/isic2017/unpacked/{FOLDER}/mine.txt", "mine"),
        ),
        Case(
            "two archives would be unpacked into one folder",
            "DATA/copy/ISIC-2017_Training_Data.zip: would be unpacked into the same folder as",
            each_of(emptied("DATA/copy"), copied(ZIP, f"DATA/copy/{FOLDER}.zip")),
        ),
    ],
)


def _packed() -> None:
    """The volumes in an archive."""
    retouch.write_volumes()
    _pack()
    gone(retouch.SET)()


def _pack(*members: tarfile.TarInfo) -> None:
    """Pack what lies there and more, the same byte for byte each time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for file in files_below(Path("DATA")):
            entry = tarfile.TarInfo(file.relative_to("DATA").as_posix())
            entry.size = file.stat().st_size
            archive.addfile(entry, io.BytesIO(file.read_bytes()))
        for member in members:
            archive.addfile(member)
    Path(TAR).write_bytes(gzip.compress(buffer.getvalue(), 1, mtime=0))


def _member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> Action:
    """The archive has one member more."""
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, link

    def act() -> None:
        with tarfile.open(TAR) as archive:
            archive.extractall("DATA", filter="data")
        Path(TAR).unlink()
        _pack(entry)
        gone(retouch.SET)()

    return act


RETOUCH = Group(
    "RETOUCH: archives",
    "retouch_cirrus",
    _packed,
    retouch.SETTINGS,
    [
        Case("an archive ends early", f"{TAR}: found a damaged archive", cut(TAR, -2000)),
        Case("a bit of an archive is flipped", f"{TAR}: found a damaged", flipped(TAR, -6)),
        Case("an archive is a web page", f"{TAR}: found a damaged", holds(TAR, isic2017.HTML)),
        Case("a member would go outside", "'../x': has a path that", _member("../x")),
        Case("a member is a link", "'x': is a symbolic", _member("x", tarfile.SYMTYPE, "/etc")),
        Case(
            "a member is a hard link",
            "member 'x': is a hard link",
            _member("x", tarfile.LNKTYPE, f"{VOLUME}/oct.raw"),
        ),
        Case("a member is a pipe", "member 'x': is a pipe", _member("x", tarfile.FIFOTYPE)),
        Case(
            "an archive is of a kind that is not unpacked",
            ".7z archives are not unpacked here",
            moved(TAR, TAR.replace(".tar.gz", ".7z")),
        ),
    ],
)
