"""Data as scripts: calls of the image browser's global, in which no text can end the script."""

import base64
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray


def call(name: str, *values: Any) -> str:
    """A call of `MICROSCOPE.<name>` with values as JSON.

    All but ASCII is escaped, and `<`, so that neither `</script>` nor a line separator is in it.
    """
    said = (json.dumps(value, separators=(",", ":"), allow_nan=False) for value in values)
    return f"MICROSCOPE.{name}({','.join(said)});\n".replace("<", "\\u003c")


def packed(values: NDArray[np.uint8]) -> str:
    """Bytes in base64, row by row."""
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
