"""MetaImage volumes (.mhd header beside .raw voxels) as the RETOUCH challenge hands them out."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from workflow.base.files import replacing, write_text

_ELEMENT_TYPES = {"uint8": "MET_UCHAR", "uint16": "MET_USHORT"}


def write_metaimage(
    header: Path, voxels: NDArray[np.uint8 | np.uint16], spacing: tuple[float, float, float]
) -> None:
    """Write `header` (.mhd) and, beside it, the voxels in a .raw file of the same stem.

    The voxels go first, so that a header on disk always has its data.

    Args:
        header: path ending in .mhd.
        voxels: [slices, rows, columns], uint8 or uint16; stored little endian, columns fastest.
        spacing: millimetres along columns, rows and slices (x, y, z).

    Raises:
        ValueError: the array is not three-dimensional or of another type.
    """
    element_type = _ELEMENT_TYPES.get(voxels.dtype.name)
    if element_type is None or voxels.ndim != 3:
        raise ValueError(
            f"voxels: {voxels.ndim}-dimensional {voxels.dtype.name}; "
            f"a RETOUCH volume is 3-dimensional and one of {', '.join(_ELEMENT_TYPES)}"
        )
    slices, rows, columns = voxels.shape
    data = header.with_suffix(".raw")
    little_endian = np.ascontiguousarray(voxels, dtype=voxels.dtype.newbyteorder("<"))
    with replacing(data) as partial:
        little_endian.tofile(partial)
    lines = [
        "ObjectType = Image",
        "NDims = 3",
        "BinaryData = True",
        "BinaryDataByteOrderMSB = False",
        "CompressedData = False",
        "TransformMatrix = 1 0 0 0 1 0 0 0 1",
        "Offset = 0 0 0",
        "CenterOfRotation = 0 0 0",
        "AnatomicalOrientation = RAI",
        "ElementSpacing = " + " ".join(f"{step:.6g}" for step in spacing),
        f"DimSize = {columns} {rows} {slices}",
        f"ElementType = {element_type}",
        f"ElementDataFile = {data.name}",
    ]
    write_text(header, "\n".join(lines) + "\n")
