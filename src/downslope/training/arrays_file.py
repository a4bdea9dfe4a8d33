"""Arrays in a file: safetensors, written without copying what is large, and known by size and digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from downslope.errors import DownslopeError
from downslope.files import written_whole

__all__ = ["Arrays", "BrokenError", "Piece", "check_there", "digest_of_file", "read_arrays"]

# Safetensors' names of the types that a run has.
TYPES = {"<f4": "F32", "<f8": "F64", "<i8": "I64", "<u8": "U64", "|u1": "U8", "|b1": "BOOL"}
BLOCK = 1 << 22


class BrokenError(DownslopeError):
    """A file is not what was written; the message says in what way."""


class Piece(NamedTuple):
    """A file of arrays as a checkpoint names it: its name, its bytes, and their SHA-256 as 64 hexadecimal digits."""

    file: str
    size: int
    digest: str


class Arrays:
    """Arrays by name, as the bytes of a safetensors file; they must not change from then on.

    The library's own writer copies everything twice and leaves the digest to another pass over the file, so the format
    is written here: the header's length, the header, the arrays one after the other. It is read by the library.

    Parameters
    ----------
    arrays : mapping of str to array
        Of float32, float64, int64, uint64, uint8 or bool.

    References
    ----------
    https://huggingface.co/docs/safetensors, "Format".
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        ordered = sorted(arrays.items(), key=lambda item: (-item[1].itemsize, item[0]))  # so that each lies aligned
        self._arrays = {name: array.astype(array.dtype.newbyteorder("<"), copy=False) for name, array in ordered}
        header, end = {}, 0
        for name, array in self._arrays.items():
            begin, end = end, end + array.nbytes
            header[name] = {
                "dtype": TYPES[array.dtype.str],
                "shape": list(array.shape),
                "data_offsets": [begin, end],
            }
        told = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
        told += b" " * (-len(told) % 8)
        self._head = len(told).to_bytes(8, "little") + told
        self.size = len(self._head) + end

    def __iter__(self) -> Iterator[Any]:
        """Yield the file's bytes in pieces."""
        yield self._head
        for array in self._arrays.values():
            yield np.ascontiguousarray(array).reshape(-1).view(np.uint8)

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the file's bytes, which most processors compute faster than any other of its kind."""
        digest = hashlib.sha256()
        for part in self:
            digest.update(part)
        return digest.hexdigest()

    def piece(self, name: str) -> Piece:
        """Return what a checkpoint names a file of these arrays; `name` is where its own name begins."""
        return Piece(f"{name}-{self.digest[:32]}.safetensors", self.size, self.digest)

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all, and return when it is on the disk; else raise InputError."""
        with written_whole(path) as temporary, temporary.open("wb", buffering=0) as file:
            for part in self:
                rest = memoryview(part)
                while rest:  # a call may write less than it is given
                    rest = rest[file.write(rest) :]


def read_arrays(directory: Path, piece: Piece) -> dict[str, NDArray[Any]]:
    """Return the arrays of a file, all of whose bytes are those that were written.

    Raises
    ------
    BrokenError
        If a byte of it differs, or there is no such file.
    PermissionError
        If it may not be read.
    """
    with _reading(piece):
        content = (directory / piece.file).read_bytes()
    if len(content) != piece.size:
        raise BrokenError(f"{piece.file} has {len(content)} bytes, not {piece.size}")
    if hashlib.sha256(content).hexdigest() != piece.digest:
        raise BrokenError(f"{piece.file} is not what was written: its digest differs")
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return dict(load(content))
    except SafetensorError as error:  # whole, but written by something else
        raise BrokenError(f"{piece.file} is no file of arrays: {error}") from error


def check_there(directory: Path, piece: Piece) -> None:
    """Raise BrokenError unless a file of arrays is there with as many bytes as were written; none of them is read."""
    with _reading(piece):
        size = (directory / piece.file).stat().st_size
    if size != piece.size:
        raise BrokenError(f"{piece.file} has {size} bytes, not {piece.size}")


def digest_of_file(path: Path) -> str | None:
    """Return the SHA-256 of a file, or None where it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb", buffering=0) as file:
            while block := file.read(BLOCK):
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()


@contextmanager
def _reading(piece: Piece) -> Iterator[None]:
    """Let what the system says of a file be a BrokenError, but that it may not be read."""
    try:
        yield
    except PermissionError:
        raise
    except FileNotFoundError:
        raise BrokenError(f"{piece.file} is missing") from None
    except OSError as error:
        raise BrokenError(f"{piece.file} could not be read: {error.strerror or error}") from error
