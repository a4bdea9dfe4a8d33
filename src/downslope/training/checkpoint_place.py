"""The directory of checkpoints: the names in it, who may write there, and what is removed."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from downslope.errors import InputError
from downslope.files import locked, made_directory

__all__ = ["DOCUMENT", "OURS", "document_name", "numbers_in", "one_writer", "tidy"]

LOCK = ".lock"
PATIENCE_SECONDS = 5.0  # with another save under way in the same directory

DOCUMENT = re.compile(r"checkpoint-(\d{8,})\.json")
# Everything that is written here, with the names it has on the way to its place.
OURS = re.compile(r"(checkpoint-\d{8,}\.json|(checkpoint-\d{8,}|[a-z]+)-[0-9a-f]{32}\.safetensors)")
BESIDE = re.compile(rf"\.{OURS.pattern}\.[a-z0-9_]+\.(json|safetensors)")


def document_name(number: int) -> str:
    """Return the name of a checkpoint's document."""
    return f"checkpoint-{number:08d}.json"


def numbers_in(path: Path) -> list[int]:
    """Return the numbers of the documents in a directory, the newest first; none where there is no directory."""
    try:
        names = os.listdir(path)  # noqa: PTH208 - names alone, in one call
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"{path} could not be read: {error.strerror or error}") from error
    found = [match for match in map(DOCUMENT.fullmatch, names) if match]
    return sorted((int(match[1]) for match in found if document_name(int(match[1])) == match[0]), reverse=True)


@contextmanager
def one_writer(path: Path) -> Iterator[None]:
    """Hold a directory, made where it is missing, for one who writes a checkpoint.

    Where the block fails and no checkpoint counts there, what was written is gone again: it would be of no use to
    anybody, and make the directory one of other files.
    """
    made = made_directory(path)
    try:
        new = set() if (path / LOCK).exists() else {LOCK}
        with _locked(path):
            before = None
            try:
                before = set(os.listdir(path)) - new  # noqa: PTH208 - names alone, in one call
                yield
            except BaseException:
                _take_back(path, before, new)
                raise
    except BaseException as error:
        with suppress(OSError):  # one that is not empty stays
            for one in made:
                one.rmdir()
        if isinstance(error, OSError):
            raise InputError(f"{path} could not be written: {error.strerror or error}") from error
        raise


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold the directory's lock, which ends with the process at the latest."""
    until = time.monotonic() + PATIENCE_SECONDS
    while (handle := _lock(path / LOCK)) is None:
        if time.monotonic() > until:
            rule = "written by one process at a time; another one is saving into it"
            raise InputError(f"directory must be {rule}. Received: {path}")
        time.sleep(0.01)
    try:
        yield
    finally:
        os.close(handle)


def _lock(place: Path) -> int | None:
    """Return the open lock, or None where another has it, or took it back: without its name it keeps nobody out."""
    handle = locked(place)
    if handle is None:
        return None
    try:
        if os.name == "nt" or os.path.samestat(os.fstat(handle), place.stat()):
            return handle
    except FileNotFoundError:
        pass
    except OSError:
        os.close(handle)
        raise
    os.close(handle)
    return None


def _take_back(path: Path, before: set[str] | None, new: set[str]) -> None:
    """Remove what a save brought that failed, unless a checkpoint counts: only `new` where it wrote nothing yet."""
    with suppress(OSError):  # what went wrong before is what the caller is told
        names = set(os.listdir(path))  # noqa: PTH208 - names alone, in one call
        if not any(map(DOCUMENT.fullmatch, names)):
            for name in new if before is None else names - before:
                if name == LOCK or OURS.fullmatch(name) or BESIDE.fullmatch(name):
                    (path / name).unlink(missing_ok=True)


def tidy(path: Path, kept: set[str]) -> None:
    """Remove all files but those of two checkpoints: older ones, and what a killed process left."""
    with suppress(OSError):  # the checkpoint is there all the same
        for name in os.listdir(path):  # noqa: PTH208 - names alone, in one call
            if (OURS.fullmatch(name) and name not in kept) or BESIDE.fullmatch(name):
                (path / name).unlink(missing_ok=True)
