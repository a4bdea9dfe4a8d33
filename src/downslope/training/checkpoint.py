"""Checkpoints: a directory in which the newest whole state is found again, whatever ended the process or the power.

    checkpoint-00000007-DIGEST.safetensors    the arrays of the seventh
    checkpoint-00000007.json                  what they are; with this file, written last, the checkpoint counts
    data-DIGEST.safetensors                   arrays that stay the same, written once for all checkpoints

Each file is written beside its place, brought to the disk and moved into its place; the names are brought to the disk
too. The document holds the digests of the other files, and its own, so that no byte can change unseen. Two checkpoints
are kept; what is older is removed once the newest counts. Nothing here is pickled, so loading runs no code.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from downslope import checks
from downslope.errors import InputError
from downslope.files import written_whole
from downslope.training.arrays_file import Arrays, BrokenError, Piece, check_there, digest_of_file, read_arrays
from downslope.training.checkpoint_place import OURS, document_name, numbers_in, one_writer, tidy

__all__ = [
    "FORMAT",
    "Checkpoint",
    "CheckpointWarning",
    "Writer",
    "read_checkpoint",
    "read_document",
    "write_checkpoint",
]

FORMAT = 1
"""Raised when what a checkpoint holds can no longer be read by what was written for the one before."""

TRIES = 10  # of reading, while another process saves and removes what is older

FRAME = re.compile(rb'\{"digest": "([0-9a-f]{64})",\n"content": (.*)\}\n', re.DOTALL)


class CheckpointWarning(UserWarning):
    """Something about a checkpoint that a person should know, such as that a broken one was skipped."""


class Checkpoint(NamedTuple):
    """What was read of a directory.

    Attributes
    ----------
    arrays : dict of arrays
        As they were written, to the last bit; empty where only the document was read.
    document : dict
        Likewise.
    generation : int
        Its number, from 1.
    skipped : tuple of str
        A sentence for each newer checkpoint that is broken.
    lasting : dict of Piece
        The files of arrays that stay the same; `read_arrays` reads them.
    digest : str
        Of the document, and so of all that it names.
    owner : str
        Of whom it is: `Writer.owner`.
    files : set of str
        The names of all files it is made of.
    """

    arrays: dict[str, NDArray[Any]]
    document: dict[str, Any]
    generation: int
    skipped: tuple[str, ...]
    lasting: dict[str, Piece]
    digest: str
    owner: str
    files: set[str]


@dataclass
class Writer:
    """Who writes to a directory: only one at a time may, and only who knows the newest checkpoint there.

    Attributes
    ----------
    owner : str
        What the checkpoints are of, such as a run's id.
    known : list of str
        The digests of the checkpoints it read or wrote there, the newest last.
    seen : set of Piece
        The lasting files whose content it has seen there.
    """

    owner: str
    known: list[str] = field(default_factory=list)
    seen: set[Piece] = field(default_factory=set)

    def knows(self, digest: str) -> None:
        """Remember a checkpoint."""
        self.known = [*self.known[-7:], digest]


def write_checkpoint(
    directory: str | os.PathLike[str],
    arrays: Mapping[str, NDArray[Any]],
    document: Mapping[str, Any],
    *,
    lasting: Mapping[str, Arrays] | None = None,
    writer: Writer | None = None,
) -> int:
    """Write a checkpoint and return its number; when this returns, it is on the disk.

    Parameters
    ----------
    directory : path
        Made where it is missing.
    arrays : mapping of str to array
        They must not change meanwhile.
    document : mapping
        Values that JSON can hold; a number that is not finite is kept too.
    lasting : mapping of str to Arrays, optional
        What stays the same from one checkpoint to the next, each in a file of its own that is written once.
    writer : Writer, optional
        Who writes; left out, somebody who knows nothing of what is there, so that it has to be new.

    Raises
    ------
    InputError
        If it cannot be written, another process is writing, or the newest checkpoint there is another's. Those that
        were there before are then still there; where none was, nothing is left that this call wrote.
    """
    path, writer = _directory(directory), writer or Writer("")
    encoded = _encoded(document)  # what cannot be written is told before anything is
    with one_writer(path):
        try:
            before = _own_newest(path, writer)
            number = 1 + max(numbers_in(path), default=0)
            pieces = {name: _lasting(path, name, one, writer) for name, one in (lasting or {}).items()}
            settled = Arrays(arrays)
            piece = settled.piece(f"checkpoint-{number:08d}")
            settled.write(path / piece.file)
            content = {
                "format": FORMAT,
                "number": number,
                "owner": writer.owner,
                "arrays": piece._asdict(),
                "lasting": {name: one._asdict() for name, one in pieces.items()},
                "document": encoded,
            }
            framed, digest = _framed(content)
            writer.knows(digest)  # also where the disk fails right after it took it
            with written_whole(path / document_name(number)) as temporary:
                temporary.write_bytes(framed)
            kept = {document_name(number), piece.file, *(one.file for one in pieces.values())}
            tidy(path, kept if before is None else kept | before.files)
        except OSError as error:
            raise InputError(f"{path} could not be written: {error.strerror or error}") from error
    return number


def read_checkpoint(directory: str | os.PathLike[str], check: Callable[[Any], None] | None = None) -> Checkpoint:
    """Return the newest whole checkpoint of a directory.

    With `check` its document has to be one that this takes: it raises a LookupError, TypeError, ValueError or
    AttributeError at any other, and the checkpoint is skipped as one of something else.

    Raises
    ------
    InputError
        If none is whole, the newest is in a newer format, or the directory cannot be read.
    """
    return _newest(_directory(directory), check, with_arrays=True)


def read_document(directory: str | os.PathLike[str], check: Callable[[Any], None] | None = None) -> Checkpoint:
    """Return the newest checkpoint as `read_checkpoint` does, without its arrays: of their file only the size is seen.

    So damage within that file goes unnoticed.
    """
    return _newest(_directory(directory), check, with_arrays=False)


def _directory(given: Any) -> Path:
    path = Path(checks.path("directory", given, "a directory of checkpoints"))
    try:
        if path.exists() and not path.is_dir():
            raise checks.refuse("directory", "a directory, not a file", str(path))
    except OSError as error:
        raise InputError(f"{path} could not be read: {error.strerror or error}") from error
    return path


def _newest(path: Path, check: Callable[[Any], None] | None, *, with_arrays: bool) -> Checkpoint:
    for _ in range(TRIES):
        numbers, found = numbers_in(path), None
        skipped: list[str] = []
        for number in numbers:
            try:
                found = _read(path, number, check, with_arrays=with_arrays)
                break
            except BrokenError as reason:
                skipped.append(f"checkpoint {number} in {path} was skipped: {reason}")
            except OSError as error:
                raise InputError(f"{path} could not be read: {error.strerror or error}") from error
        if skipped and numbers != numbers_in(path):
            continue  # another process has saved meanwhile, and removed what was being read
        if found is not None:
            return found._replace(skipped=tuple(skipped))
        break
    if not skipped:
        what = "holds none" if path.is_dir() else "does not exist"
        raise InputError(f"directory must hold a checkpoint. Received: {path}, which {what}")
    raise InputError(f"directory must hold a whole checkpoint. Received: {path}, where {'; '.join(skipped)}")


def _read(path: Path, number: int, check: Callable[[Any], None] | None = None, *, with_arrays: bool) -> Checkpoint:
    """Return a checkpoint, or raise BrokenError; PermissionError where it may not be read."""
    name = document_name(number)
    try:
        raw = (path / name).read_bytes()
    except PermissionError:
        raise
    except OSError as error:
        raise BrokenError(f"{name} could not be read: {error.strerror or error}") from error
    frame = FRAME.fullmatch(raw)
    if frame is None:
        raise BrokenError(f"{name} is not what was written: it is cut off or changed")
    if hashlib.sha256(frame[2]).hexdigest() != frame[1].decode():
        raise BrokenError(f"{name} is not what was written: its digest differs")
    try:
        content = json.loads(frame[2])
    except (ValueError, RecursionError) as error:
        raise BrokenError(f"{name} is no checkpoint of a run") from error
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        raise BrokenError(f"{name} is no checkpoint of a run")
    if content["format"] > FORMAT:
        raise InputError(
            f"{path / name} must be of format {FORMAT} or older, which this version of Downslope reads. "
            f"Received: format {content['format']}, written by a newer one"
        )
    try:
        told, piece = content["number"], _piece(content["arrays"])
        lasting = {one: _piece(file) for one, file in content["lasting"].items()}
        document, owner = _decoded(content["document"]), content["owner"]
        if check is not None:
            check(document)
    except (LookupError, TypeError, ValueError, AttributeError) as error:  # whole, but written by something else
        raise BrokenError(f"{name} is no checkpoint of a run") from error
    if told != number:
        raise BrokenError(f"{name} was written as number {told}")
    if with_arrays:
        arrays = read_arrays(path, piece)
    else:
        check_there(path, piece)
        arrays = {}
    files = {name, piece.file, *(one.file for one in lasting.values())}
    return Checkpoint(arrays, document, number, (), lasting, frame[1].decode(), owner, files)


def _piece(told: Mapping[str, Any]) -> Piece:
    """Return the file of arrays that a document names, or raise TypeError or ValueError."""
    piece = Piece(**told)
    if not OURS.fullmatch(piece.file):  # of this directory, whatever somebody wrote there
        raise ValueError(f"{piece.file} is no name of a file of arrays")
    return piece


def _framed(content: Mapping[str, Any]) -> tuple[bytes, str]:
    """Return a document's bytes and its digest."""
    body = json.dumps(content, indent=1, allow_nan=False).encode()
    digest = hashlib.sha256(body).hexdigest()
    return b'{"digest": "' + digest.encode() + b'",\n"content": ' + body + b"}\n", digest


def _encoded(value: Any) -> Any:
    """Return a document in which a number that is not finite, which JSON has not, is {"float": "nan"}."""
    if isinstance(value, Mapping):
        return {str(name): _encoded(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_encoded(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(value)}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise checks.refuse("document", "of values that JSON can hold", value)


def _decoded(value: Any) -> Any:
    if isinstance(value, dict):
        if value.keys() == {"float"} and value["float"] in ("nan", "inf", "-inf"):
            return float(value["float"])
        return {name: _decoded(one) for name, one in value.items()}
    return [_decoded(one) for one in value] if isinstance(value, list) else value


def _own_newest(path: Path, writer: Writer) -> Checkpoint | None:
    """Return the newest checkpoint, if it is one that the writer knows; None in a new directory."""
    numbers = numbers_in(path)
    for number in numbers:
        try:
            found = _read(path, number, with_arrays=False)
            if found.digest not in writer.known:
                found = _read(path, number, with_arrays=True)
        except BrokenError:
            continue
        if found.digest in writer.known:
            return found
        if found.owner != writer.owner:
            rule = "new, or that of this run"
            raise InputError(f"directory must be {rule}. Received: {path}, which holds the run {found.owner}")
        raise InputError(
            f"directory must be new, or as this run left it; another process, or a copy of this run, has gone on "
            f"there. Received: {path}, whose checkpoint {number} this run has neither written nor loaded"
        )
    if numbers and not writer.known:
        raise InputError(
            f"directory must be new, or that of this run. Received: {path}, which holds checkpoints that are broken"
        )
    return None


def _lasting(path: Path, name: str, content: Arrays, writer: Writer) -> Piece:
    """Return a file of arrays that stay the same, written unless it is there as it should be."""
    piece = content.piece(name)
    place = path / piece.file
    if piece in writer.seen and place.is_file() and place.stat().st_size == piece.size:
        return piece
    if digest_of_file(place) != piece.digest:
        content.write(place)
    writer.seen.add(piece)
    return piece
