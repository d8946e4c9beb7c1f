"""MetaImage volumes (.mhd beside a voxel file, or .mha), read strictly and by this module alone.

Two readers of one header may understand different things by it: ITK takes `:` for `=`, and the
first or the last of two equal keys. So the header is read once, a line that could be understood in
two ways is refused, and the voxels are read from where the checks found them, never through another
reader's eyes. The format: https://itk.org/Wiki/ITK/MetaIO/Documentation.
"""

import difflib
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from workflow.base.errors import DataError

# Longest header and line; real ones have a few hundred bytes.
LONGEST_HEADER, LONGEST_LINE = 2**18, 2**15
# Each side of a volume, and its voxels in memory.
LARGEST_SIDE, MOST_BYTES = 2**31 - 1, 2**36
# Deflate makes at most 1032 bytes of one.
MOST_INFLATION = 1032
_BLOCK = 2**20
# What ElementType may say: the words for it, and the type of a voxel.
ELEMENT_TYPES = {
    "MET_UCHAR": ("8-bit unsigned integer", "u1"),
    "MET_CHAR": ("8-bit signed integer", "i1"),
    "MET_USHORT": ("16-bit unsigned integer", "u2"),
    "MET_SHORT": ("16-bit signed integer", "i2"),
    "MET_UINT": ("32-bit unsigned integer", "u4"),
    "MET_INT": ("32-bit signed integer", "i4"),
    "MET_ULONG_LONG": ("64-bit unsigned integer", "u8"),
    "MET_LONG_LONG": ("64-bit signed integer", "i8"),
    "MET_FLOAT": ("32-bit float", "f4"),
    "MET_DOUBLE": ("64-bit float", "f8"),
}
# Keys that say how the voxels are stored; others describe the patient or the place in space.
KNOWN = (
    "ObjectType", "NDims", "DimSize", "ElementType", "ElementNumberOfChannels", "ElementDataFile",
    "ElementSpacing", "ElementSize", "BinaryData", "BinaryDataByteOrderMSB", "ElementByteOrderMSB",
    "CompressedData", "CompressedDataSize", "HeaderSize", "HeaderSizePerSlice",
    "ElementToIntensityFunctionSlope", "ElementToIntensityFunctionOffset",
)  # fmt: skip
# Of each of these only one may be given, since they mean the same.
SAME = (("ElementSpacing", "ElementSize"), ("BinaryDataByteOrderMSB", "ElementByteOrderMSB"))
# Keys that are read with this value alone, which they also have where they are not there.
ONLY = {
    "ElementNumberOfChannels": 1.0,
    "HeaderSize": 0.0,
    "HeaderSizePerSlice": 0.0,
    "ElementToIntensityFunctionSlope": 1.0,
    "ElementToIntensityFunctionOffset": 0.0,
}


class MetaImage(NamedTuple):
    """One volume whose header has been read and found to promise what its file holds.

    Attributes:
        header: the .mhd or .mha file.
        voxels: the file with the voxels, which is the header itself where that holds them.
        start: position of the first byte of the voxels.
        compressed: whether they are deflated.
        dtype: of a voxel as stored, with its byte order.
        shape: slices, rows and columns.
        spacing: mm along slices, rows and columns; None where the header does not say.
        advice: what to do about a file that cannot be used.
    """

    header: Path
    voxels: Path
    start: int
    compressed: bool
    dtype: np.dtype
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float] | None
    advice: str

    @property
    def files(self) -> tuple[Path, ...]:
        """The voxel file and the header, or the header alone where it holds the voxels."""
        return (self.header,) if self.voxels == self.header else (self.voxels, self.header)

    @classmethod
    def open(cls, header: Path, allowed: str, types: tuple[str, ...], advice: str) -> "MetaImage":
        """Read a header and check it and the size of what it describes.

        Args:
            header: a file that exists.
            allowed: the types of voxels that can be used, in words.
            types: those types, as numpy calls them without byte order (`u1`, `i2`, ...).
            advice: what to do where the file cannot be used, such as `unpack it again`.

        Raises:
            DataError: the header is none, says something in two ways or something that is not
                supported, or its file does not hold what it promises.
        """
        keys, end = _read_header(header, advice)
        for key, value in ONLY.items():
            if key in keys and _numbers(keys[key]) != [value]:
                _refuse(header, f"found {key} {keys[key]!r}; expected {value:g}", advice)
        size = _size(header, keys, advice)
        spacing = _spacing(header, keys, advice)
        dtype = _dtype(header, keys, allowed, types, advice)
        voxels, start = _place(header, keys["ElementDataFile"], end, advice)
        compressed = _true(header, keys, "CompressedData", advice)
        shape = (size[2], size[1], size[0])
        found = cls(header, voxels, start, compressed, dtype, shape, spacing, advice)
        found._check_size(keys.get("CompressedDataSize"))
        return found

    def load(self) -> np.ndarray:
        """The voxels `[slices, rows, columns]` in this machine's byte order.

        Raises:
            DataError: the file cannot be read, or no longer holds what it did.
        """
        count = math.prod(self.shape)
        try:
            if self.compressed:
                content = np.empty(count * self.dtype.itemsize, np.uint8)
                if self._inflate(content) != content.size:
                    raise self._unreadable()
                flat = content.view(self.dtype)
            else:
                flat = np.fromfile(self.voxels, self.dtype, count, offset=self.start)
        except OSError as error:
            raise self._unreadable() from error
        if flat.size != count:
            raise self._unreadable()
        return flat.reshape(self.shape).astype(self.dtype.newbyteorder("="), copy=False)

    def _unreadable(self) -> DataError:
        return DataError(f"{self.header}: its voxels cannot be read; {self.advice}")

    def _damaged(self) -> DataError:
        return DataError(f"{self.voxels}: its compressed voxels are damaged; {self.advice}")

    def _check_size(self, told: str | None) -> None:
        """See that the voxel file holds as many bytes as the header promises."""
        stored = self.voxels.stat().st_size - self.start
        promised = math.prod(self.shape) * self.dtype.itemsize
        if told is not None:
            expected = stored if self.compressed else 0
            if _numbers(told) != [float(expected)]:
                _refuse(
                    self.header,
                    f"found CompressedDataSize {told!r}, but {self.voxels.name} has "
                    + (f"{stored} bytes of" if self.compressed else "no")
                    + " compressed voxels",
                    self.advice,
                )
        if not self.compressed:
            found = stored
        elif promised > MOST_BYTES or promised > MOST_INFLATION * stored + _BLOCK:
            self._refuse_size(f"{stored} bytes of compressed voxels", promised)
        else:
            found = self._inflate(None)
        if found != promised:
            self._refuse_size(f"{found} bytes of voxels", promised)

    def _refuse_size(self, found: str, promised: int) -> NoReturn:
        slices, rows, columns = self.shape
        native = self.dtype.newbyteorder("=")
        raise DataError(
            f"{self.voxels}: found {found}; {self.header.name} promises {promised} "
            f"({columns} × {rows} × {slices} of {native}). The file is damaged or belongs to "
            f"another volume; {self.advice}"
        )

    def _inflate(self, into: np.ndarray | None) -> int:
        """Inflate the voxels, never more than the header promises and one byte; says how many.

        Args:
            into: takes the bytes, as uint8; None to count them only.
        """
        limit = math.prod(self.shape) * self.dtype.itemsize + 1
        found, inflater = 0, zlib.decompressobj(wbits=47)  # zlib or gzip, as ITK writes and reads
        with self.voxels.open("rb") as stream:
            stream.seek(self.start)
            try:
                while not inflater.eof and found < limit:
                    block = inflater.unconsumed_tail or stream.read(_BLOCK)
                    if not block and found + 1 < limit:
                        return found
                    if not block:
                        raise self._damaged()
                    part = inflater.decompress(block, min(_BLOCK, limit - found))
                    if into is not None and found + len(part) < limit:
                        into[found : found + len(part)] = np.frombuffer(part, np.uint8)
                    found += len(part)
                more = inflater.unused_data or stream.read(1)
            except zlib.error as error:
                raise self._damaged() from error
        if inflater.eof and more:
            raise DataError(
                f"{self.voxels}: found more behind the end of its compressed voxels; the file is "
                f"damaged; {self.advice}"
            )
        return found


def _refuse(header: Path, found: str, advice: str) -> NoReturn:
    raise DataError(f"{header}: {found}. {advice[0].upper()}{advice[1:]}")


def _read_header(header: Path, advice: str) -> tuple[Mapping[str, str], int]:
    """The keys of a header with their values, and the position behind its last line.

    `ElementDataFile` is the last key; behind it come the voxels, or nothing.
    """
    keys: dict[str, str] = {}
    with header.open("rb") as stream:
        number = 0
        while "ElementDataFile" not in keys:
            line, number = stream.readline(LONGEST_LINE), number + 1
            too_long = len(line) == LONGEST_LINE or stream.tell() > LONGEST_HEADER
            if not line or too_long:
                _no_header(header, advice)
            text = line.decode("latin-1").removesuffix("\n").removesuffix("\r").strip(" \t")
            if text:
                key, value = _key_and_value(header, text, number, advice)
                _check_new(header, key, keys, advice)
                keys[key] = value
        end = stream.tell()
        local = keys["ElementDataFile"].upper() == "LOCAL"
        if not local and stream.read(LONGEST_LINE).strip():
            _refuse(header, "found more behind ElementDataFile, which is the last key", advice)
    for key in ("NDims", "DimSize", "ElementType"):
        if key not in keys:
            _no_header(header, advice)
    if keys.get("ObjectType", "Image") != "Image":
        _refuse(header, f"found ObjectType {keys['ObjectType']!r}; expected Image", advice)
    return keys, end


def _no_header(header: Path, advice: str) -> NoReturn:
    raise DataError(f"{header}: not the header of a MetaImage volume; {advice}")


def _key_and_value(header: Path, text: str, number: int, advice: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    key, value = key.strip(" \t"), value.strip(" \t")
    if not text.replace("\t", " ").isprintable() or (number == 1 and not equals):
        _no_header(header, advice)
    odd = not key.isascii() or ":" in key or len(key.split()) != 1
    if not equals or odd:
        _refuse(header, f"found {text[:60]!r} in line {number}; expected `key = value`", advice)
    return key, value


def _check_new(header: Path, key: str, keys: Mapping[str, str], advice: str) -> None:
    """Refuse a key that is there already, also in other letters or under its other name."""
    folded = key.lower()
    if folded in {other.lower() for other in keys}:
        _refuse(header, f"found {key} twice; expected each key once", advice)
    for known in KNOWN:
        if known.lower() == folded and known != key:
            _refuse(header, f"found key {key}; expected {known}", advice)
    for names in SAME:
        if key in names and any(name in keys for name in names):
            _refuse(header, f"found both {' and '.join(names)}, which mean the same", advice)
    if key not in KNOWN and (near := difflib.get_close_matches(key, KNOWN, 1, 0.9)):
        _refuse(header, f"found key {key}; expected {near[0]}", advice)


def _numbers(text: str) -> list[float]:
    """The numbers of a value; none where it holds something else."""
    try:
        return [float(word) for word in text.split() if "_" not in word]
    except ValueError:
        return []


def _size(header: Path, keys: Mapping[str, str], advice: str) -> list[int]:
    """Columns, rows and slices."""
    words = keys["DimSize"].split()
    whole = all(word.lstrip("+-").isdecimal() and len(word) < 20 for word in words)
    if not keys["NDims"].isdecimal() or not words or not whole:
        _refuse(
            header,
            f"found NDims {keys['NDims'][:40]!r} and DimSize {keys['DimSize'][:80]!r}; expected 3, "
            "and columns, rows and slices",
            advice,
        )
    size = [int(word) for word in words]
    right = keys["NDims"] == "3" and len(size) == 3
    if not right or not all(0 < side <= LARGEST_SIDE for side in size):
        shown = f"({', '.join(map(str, size[:5]))})"
        dimensions = "" if keys["NDims"] == f"{len(size)}" else f" with NDims {keys['NDims'][:9]}"
        _refuse(
            header, f"found size {shown}{dimensions}; expected columns, rows and slices", advice
        )
    return size


def _spacing(
    header: Path, keys: Mapping[str, str], advice: str
) -> tuple[float, float, float] | None:
    key = next((name for name in SAME[0] if name in keys), None)
    if key is None:
        return None
    steps = _numbers(keys[key])
    if len(steps) != 3 or not all(step > 0 and math.isfinite(step) for step in steps):
        found = f"({', '.join(map(str, steps))})" if steps else repr(keys[key][:80])
        _refuse(header, f"found {key} {found}; expected three positive lengths in mm", advice)
    return steps[2], steps[1], steps[0]


def _dtype(
    header: Path, keys: Mapping[str, str], allowed: str, types: tuple[str, ...], advice: str
) -> np.dtype:
    """The type of a voxel as it is stored."""
    if keys["ElementType"] not in ELEMENT_TYPES:
        _no_header(header, advice)
    words, name = ELEMENT_TYPES[keys["ElementType"]]
    if name not in types:
        _refuse(header, f"found voxels of type {words}; expected {allowed}", advice)
    # Without this key ITK takes the voxels for text.
    if not _true(header, keys, "BinaryData", advice):
        _refuse(header, "found voxels as text (BinaryData); expected BinaryData = True", advice)
    swapped = any(_true(header, keys, key, advice) for key in SAME[1])
    return np.dtype(f"{'>' if swapped else '<'}{name}")


def _true(header: Path, keys: Mapping[str, str], key: str, advice: str) -> bool:
    word = keys.get(key, "False")
    if word.lower() not in ("true", "false"):
        _refuse(header, f"found {key} {word[:40]!r}; expected True or False", advice)
    return word.lower() == "true"


def _place(header: Path, name: str, end: int, advice: str) -> tuple[Path, int]:
    """The file with the voxels, and where in it they begin."""
    if name in ("LOCAL", "Local", "local"):
        return header, end
    plain = (
        name != ""
        and Path(name).name == name
        and not set("%\\:") & set(name)
        and name != header.name
    )
    if not plain or name[:4].upper() == "LIST" or name.upper() == "LOCAL":
        _refuse(
            header,
            f"found ElementDataFile {name!r}; expected the name of one file beside it, or LOCAL",
            advice,
        )
    path = header.parent / name
    if not path.is_file():
        raise DataError(f"{path}: missing, but {header.name} names it as its voxels; {advice}")
    # A tool that keeps large files elsewhere makes a link of every file; one link is suspicious.
    inside = path.resolve().parent == header.resolve().parent
    if not inside and not header.is_symlink():
        _refuse(
            header,
            f"found a link to {path.resolve()} in the place of {name}; expected the file itself",
            advice,
        )
    return path, 0
