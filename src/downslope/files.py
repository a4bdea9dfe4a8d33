"""Files that are either whole or not there: written beside their place, then moved into it."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from downslope import checks
from downslope.errors import InputError

if TYPE_CHECKING:
    import polars

__all__ = ["TABLES", "locked", "made_directory", "named", "place", "write_table", "written_whole"]

TABLES = (".csv", ".tsv", ".parquet")
UNSUPPORTED = {errno.EINVAL, errno.ENOTSUP, errno.EBADF}  # of an fsync that a file system has not for directories


def named(name: str, given: str, rule: str) -> str:
    """Return a path's text, or raise InputError where there is none: `Path("")` would be the present directory."""
    if not given:
        raise checks.refuse(name, f"{rule}, not an empty text", given)
    return given


def place(name: str, given: Any, endings: tuple[str, ...]) -> Path:
    """Return the path a file can go to, or raise InputError before the work that makes it.

    Parameters
    ----------
    name : str
        What the caller calls the path.
    given : str or path
        Where the file is to be.
    endings : tuple of str
        The endings it may have, such as (".csv", ".parquet").
    """
    *others, last = endings
    rule = f"a file ending in {', '.join(others)} or {last}" if others else f"a file ending in {last}"
    if not isinstance(given, (str, os.PathLike)):
        raise checks.refuse(name, rule, given)
    path = Path(named(name, given, rule) if isinstance(given, str) else given)
    if path.suffix.lower() not in endings:
        raise checks.refuse(name, rule, str(path))
    if path.is_dir():
        raise checks.refuse(name, "a file, not a directory", str(path))
    if not path.parent.is_dir():
        raise checks.refuse(name, "a file in a directory that exists", str(path))
    try:
        with tempfile.TemporaryFile(dir=path.parent):
            return path
    except OSError as error:
        raise InputError(f"{path} could not be written: {error.strerror or error}") from error


@contextmanager
def written_whole(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path to write to; when the block ends well, its file takes the place of `path`.

    The content reaches the disk before the name does, so that a full disk, a kill or a power cut leaves the old file
    or the new one, never half of one; and the name is on the disk when this returns. If the block fails, the
    temporary file is removed.

    Raises
    ------
    InputError
        If the directory is missing or not writable, or the disk is full.
    """
    final = Path(path).resolve()  # a link stays a link, to the new content
    try:
        handle, name = tempfile.mkstemp(suffix=final.suffix, prefix=f".{final.name}.", dir=final.parent)
        os.close(handle)
    except OSError as error:
        raise InputError(f"{final} could not be written: {error.strerror or error}") from error
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(final.stat().st_mode & 0o777 if final.exists() else 0o666 & ~_umask())
        temporary.replace(final)
        settle_directory(final.parent)
    except OSError as error:
        raise InputError(f"{final} could not be written: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # what went wrong before is what the caller is told
            temporary.unlink(missing_ok=True)


def settle_directory(directory: Path) -> None:
    """Return when the names in a directory are on the disk; at once where the system has no such thing.

    Raises
    ------
    OSError
        If the disk fails.
    """
    if os.name == "nt":  # a directory cannot be opened there
        return
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
    finally:
        os.close(handle)


def made_directory(path: Path) -> list[Path]:
    """Make a directory and those above it where they are missing; return those that were, the deepest first.

    When this returns they are on the disk; where it fails, none of them is left.

    Raises
    ------
    InputError
        If that cannot be done.
    """
    missing: list[Path] = []
    try:
        missing = [one for one in (path, *path.parents) if not one.exists()]
        path.mkdir(parents=True, exist_ok=True)
        for one in reversed(missing):
            settle_directory(one.parent)
    except OSError as error:
        for one in missing:
            with suppress(OSError):
                one.rmdir()
        raise InputError(f"{path} could not be made: {error.strerror or error}") from error
    return missing


def locked(path: Path) -> int | None:
    """Return an open file that no other process can lock until this one closes it or ends, however it ends.

    None where another has it. On a system or a disk without locks, everybody has it.

    Raises
    ------
    OSError
        If the file cannot be opened.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        import fcntl
    except ImportError:
        return handle
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except OSError:  # a file system without locks
        pass
    return handle


def write_table(frame: polars.DataFrame, path: Path) -> None:
    """Write a data frame in the format the path's ending names, one of `TABLES`, or raise InputError."""
    import polars as pl

    try:
        with written_whole(path) as temporary:
            if path.suffix.lower() == ".parquet":
                frame.write_parquet(temporary)
            else:
                frame.write_csv(temporary, separator="\t" if path.suffix.lower() == ".tsv" else ",")
    except pl.exceptions.PolarsError as error:  # a full disk, among others
        raise InputError(f"{path} could not be written: {error}") from error


def _umask() -> int:
    """Return the process's file mode mask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
