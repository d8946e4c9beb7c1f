"""NIfTI-1 volumes in one file (.nii, .nii.gz), whose header is held to the bytes of the file.

Voxels are read here, because ITK puts zeros in the place of numbers that are none, without a word.
The format: https://nifti.nimh.nih.gov/pub/dist/src/niftilib/nifti1.h.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from workflow.base.errors import DataError
from workflow.data.sources.metaimage import MOST_BYTES

ADVICE = "replace the file"
_LENGTH = 348  # of the header in bytes
# What `datatype` may say of a voxel of one number.
_TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8",
    1280: "u8",
}  # fmt: skip
_BLOCK = 2**20


class _Header(NamedTuple):
    """What a header says of the voxels: their type, where they begin, and their scale."""

    dtype: np.dtype
    start: int
    shape: tuple[int, int, int]
    slope: float
    intercept: float

    @property
    def bytes(self) -> int:
        """How many bytes the file has."""
        return self.start + math.prod(self.shape) * self.dtype.itemsize


def read_nifti(path: Path) -> np.ndarray:
    """The voxels `[slices, rows, columns]`, scaled as the header says.

    Raises:
        DataError: the file is damaged, or not one grey volume; never more of it is inflated than
            its header promises.
    """
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    try:
        with opener(path, "rb") as stream:
            first = stream.read(_LENGTH)
            header = _read_header(path, first)
            content = bytearray(first)
            while len(content) <= header.bytes:
                block = stream.read(min(_BLOCK, header.bytes + 1 - len(content)))
                if not block:
                    break
                content += block
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path}: cannot be read ({error}); {ADVICE}") from error
    if len(content) != header.bytes:
        many = "more than" if len(content) > header.bytes else f"{len(content)} of"
        raise DataError(
            f"{path}: found {many} the {header.bytes} bytes that its header promises; the file is "
            f"damaged; {ADVICE}"
        )
    stored = np.frombuffer(content, header.dtype, offset=header.start).reshape(header.shape)
    voxels = stored.astype(header.dtype.newbyteorder("="))
    if header.slope == 0 or (header.slope, header.intercept) == (1, 0):
        return voxels
    return (voxels.astype(np.float64) * header.slope + header.intercept).astype(np.float32)


def _read_header(path: Path, header: bytes) -> _Header:
    order = next((o for o in "<>" if header[:4] == struct.pack(f"{o}i", _LENGTH)), None)
    if order is None or len(header) < _LENGTH or header[344:348] != b"n+1\0":
        raise DataError(
            f"{path}: not a NIfTI-1 file with its voxels in it; {ADVICE}, or store it as .nii.gz"
        )
    dimensions, *size = struct.unpack(f"{order}8h", header[40:56])
    datatype, bits = struct.unpack(f"{order}2h", header[70:74])
    start, slope, intercept = struct.unpack(f"{order}3f", header[108:120])
    sides = size[: max(0, dimensions)]
    if not (3 <= dimensions <= 7 and min(sides) > 0 and set(sides[3:]) <= {1}):
        raise DataError(
            f"{path}: found size ({', '.join(map(str, sides))}); expected columns, rows and slices "
            "of one volume. Store each volume as a file"
        )
    dtype = np.dtype(f"{order}{_TYPES.get(datatype, 'V1')}")
    if datatype not in _TYPES or dtype.itemsize * 8 != bits:
        raise DataError(
            f"{path}: found datatype {datatype} of {bits} bits; expected whole numbers or floating "
            "point numbers, one for each voxel. Convert the file"
        )
    if not (math.isfinite(start) and start == int(start) and 352 <= start < 2**24):
        raise DataError(f"{path}: found voxels from byte {start:g} on; {ADVICE}")
    if not (math.isfinite(slope) and math.isfinite(intercept)):
        slope, intercept = 0.0, 0.0  # as nifti1.h says: not scaled
    found = _Header(dtype, int(start), (sides[2], sides[1], sides[0]), slope, intercept)
    if found.bytes > MOST_BYTES:
        raise DataError(
            f"{path}: promises {found.bytes} bytes; expected at most {MOST_BYTES}. Replace the file"
        )
    return found
