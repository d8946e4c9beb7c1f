"""One process at a time writes into a folder that several runs share.

A killed Snakemake leaves its jobs running, so the next run may meet a download or an unpacking of
the one before.
"""

import errno
import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from workflow.base.errors import DataError

# Of file systems without locks: there nothing is locked.
NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)


@contextmanager
def locked(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Make a folder, and wait until no other process holds it; the kernel frees what is killed.

    Raises:
        DataError: the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        stream = (folder / ".lock").open("ab")
    except OSError as error:
        raise DataError(
            f"{folder}: {error.strerror}; expected a folder that can be written to. Change its "
            "permissions, or name another place (data.store)"
        ) from error
    with stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(f"{folder}: another process writes here; waiting until it ends")
            fcntl.flock(stream, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        yield
