"""Image files that Pillow itself does not write: deep PNGs in colour, tRNS, several of a kind."""

import struct
import zlib
from pathlib import Path

import numpy as np

from tests.workflow.data.bad_cases.case import Action

# Colour types of PNG by their channels.
_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}


def _chunk(name: bytes, content: bytes) -> bytes:
    return (
        struct.pack(">I", len(content))
        + name
        + content
        + struct.pack(">I", zlib.crc32(name + content))
    )


def png(samples: np.ndarray, depth: int, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG file.

    Args:
        samples: whole numbers `[H, W]` or `[H, W, 2 to 4]`, below 2 to the power of `depth`.
        depth: bits of a sample.
        chunks: name and content of each further chunk, ahead of the pixels.
    """
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    kind = 3 if any(name == b"PLTE" for name, _ in chunks) else _TYPES[channels]
    rows = samples.reshape(height, -1).astype(np.uint16)
    bits = (rows[..., None] >> np.arange(depth - 1, -1, -1)) & 1
    packed = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    lines = b"".join(b"\0" + line.tobytes() for line in packed)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        [
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)),
            *(_chunk(*one) for one in chunks),
            _chunk(b"IDAT", zlib.compress(lines)),
            _chunk(b"IEND", b""),
        ]
    )


def trns(*values: int) -> tuple[bytes, bytes]:
    """The chunk that declares a grey or a colour to be transparent."""
    return b"tRNS", struct.pack(f">{len(values)}H", *values)


def palette(*colours: tuple[int, int, int]) -> tuple[bytes, bytes]:
    """The chunk of the colours."""
    return b"PLTE", bytes(part for colour in colours for part in colour)


def alpha(*values: int) -> tuple[bytes, bytes]:
    """The chunk that gives the colours of a palette their alpha."""
    return b"tRNS", bytes(values)


def wrote(path: str, content: bytes) -> Action:
    """A file with this content takes the place of another of its stem, whatever its suffix."""

    def act() -> None:
        for other in Path(path).parent.glob(f"{Path(path).stem}.*"):
            other.unlink()
        Path(path).write_bytes(content)

    return act


def tiff(samples: np.ndarray, photometric: int, *extra: int) -> bytes:
    """An uncompressed TIFF of one strip, little endian.

    Args:
        samples: unsigned integers or floats `[H, W]` or `[H, W, C]`.
        photometric: 0 white is zero, 1 black is zero, 2 RGB.
        extra: what each channel beyond the colours is: 0 nothing, 1 premultiplied alpha, 2 alpha.
    """
    height, width = samples.shape[:2]
    channels = samples.shape[2] if samples.ndim == 3 else 1
    bits, pixels = samples.dtype.itemsize * 8, samples.astype(samples.dtype.newbyteorder("<"))
    kind = {"u": 1, "i": 2, "f": 3}[samples.dtype.kind]
    entries: dict[int, tuple[int, ...]] = {
        256: (width,), 257: (height,), 258: (bits,) * channels, 259: (1,), 262: (photometric,),
        273: (0,), 277: (channels,), 278: (height,), 279: (samples.nbytes,),
        **({338: extra} if extra else {}), 339: (kind,) * channels,
    }  # fmt: skip
    start = 8 + 2 + 12 * len(entries) + 4
    behind = b""
    fields = []
    for tag, values in sorted(entries.items()):
        fields.append((tag, values))
    wide = {tag: struct.pack(f"<{len(v)}H", *v) for tag, v in fields if len(v) > 2}
    offsets = {}
    for tag, content in wide.items():
        offsets[tag] = start + len(behind)
        behind += content
    data = start + len(behind)
    directory = struct.pack("<H", len(fields))
    for tag, values in fields:
        if tag in wide:
            directory += struct.pack("<HHII", tag, 3, len(values), offsets[tag])
        elif tag == 273:
            directory += struct.pack("<HHII", tag, 4, 1, data)
        elif tag == 279:
            directory += struct.pack("<HHII", tag, 4, 1, values[0])
        else:
            directory += struct.pack("<HHI", tag, 3, len(values))
            directory += struct.pack("<HH", *values, *[0] * (2 - len(values)))
    return b"II*\0\x08\0\0\0" + directory + b"\0\0\0\0" + behind + pixels.tobytes()
