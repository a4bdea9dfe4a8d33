"""Files that are either whole or not there: written beside their place, then moved into it."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from downslope.errors import InputError

__all__ = ["written_whole"]


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path to write to; when the block ends well, its file takes the place of `path`.

    The content reaches the disk before the name does, so that a full disk, a kill or a power cut leaves the old file
    or the new one, never half of one. If the block fails, the temporary file is removed.

    Raises
    ------
    InputError
        If the directory is missing or not writable, or the disk is full.
    """
    place = Path(path)
    try:
        handle, name = tempfile.mkstemp(suffix=place.suffix, prefix=f".{place.name}.", dir=place.parent)
        os.close(handle)
    except OSError as error:
        raise InputError(f"{place} could not be written: {error.strerror or error}") from error
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(place)
    except OSError as error:
        raise InputError(f"{place} could not be written: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


def _umask() -> int:
    """Return the process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
