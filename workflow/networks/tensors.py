"""Tensors in a file: safetensors, as this project writes and reads it.

The library makes its files for their owner alone, whatever the umask says, and has an error of its
own for everything; here a full disk is an `OSError`, as it is for all other files.
"""

import errno
import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from workflow.base.digests import damaged, reading, recorded

# What the library says where a disk is full, before and after its version 0.6.
FULL = ("os error 28", "code: 28", "StorageFull", "No space left")


def write_tensors(
    path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None
) -> None:
    """Write tensors that are contiguous, whole or not at all; on disk when this returns.

    Raises:
        OSError: they cannot be written.
    """
    with recorded(path) as temporary:
        temporary.touch()
        mode = temporary.stat().st_mode
        try:
            save_file(dict(tensors), temporary, metadata=metadata)
        except SafetensorError as error:
            full = any(word in str(error) for word in FULL)
            raise OSError(errno.ENOSPC if full else errno.EIO, str(error), str(path)) from error
        temporary.chmod(mode)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())


def read_tensors(path: Path, device: str = "cpu") -> dict[str, Tensor]:
    """Read the tensors of a file that the workflow wrote.

    Raises:
        DataError: the file is damaged, or not there.
    """
    with reading(path):
        try:
            return load_file(path, device=device)
        except SafetensorError as error:
            raise damaged(path, f"cannot be read: {error}") from error
