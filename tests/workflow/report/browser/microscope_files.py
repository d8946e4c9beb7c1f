"""What the files of the image browser say, read back as its page does."""

import base64
import io
import json
import re

import numpy as np
from PIL import Image

CALL = re.compile(r"MICROSCOPE\.(\w+)\((.*)\);\n")


def said(file):
    """Name and arguments of the call that a script is."""
    name, values = CALL.fullmatch(file.read_text(encoding="utf-8")).groups()
    return name, json.loads(f"[{values}]")


def unpacked(text, *shape):
    """Bytes of `cases.js`."""
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(shape)


def labels(text):
    """A mask in base64 as a canvas has it: its red channel."""
    with Image.open(io.BytesIO(base64.b64decode(text))) as picture:
        assert picture.format == "PNG"
        return np.asarray(picture.convert("RGBA"))[..., 0]


def all_masks(folder):
    """The masks of a folder of blocks, `[N, H, W]`."""
    files = sorted(folder.iterdir(), key=lambda file: int(file.stem))
    assert [file.name for file in files] == [f"{k}.js" for k in range(len(files))]
    return np.stack([labels(text) for file in files for text in said(file)[1][4]])
