"""A directory of saved runs, read as a forest: which run came from which, and with what changed."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from downslope import checks
from downslope.errors import InputError
from downslope.training.arrays_file import BrokenError, Piece, check_there
from downslope.training.checkpoint import read_document
from downslope.training.checkpoint_place import DOCUMENT
from downslope.training.log import DONE, Parent
from downslope.training.saved_shape import check_shape

__all__ = ["Forest", "Node", "holds_run", "read_forest"]


@dataclass(eq=False)
class Node:
    """A saved run, and those that came from it.

    Attributes
    ----------
    name : str
        Its directory, seen from the one that was asked for.
    path : Path
        Its directory.
    header : mapping
        Its id, epoch, step, loss, …; see `downslope.training.saving.header`.
    parent : Parent or None
        The id of the run it branched off, the step they share, and what was changed there.
    log : tuple of mapping
        The entries of its log, described.
    children : list of Node
        Those that branched off it, by step and name.
    copy_of : str or None
        The name of another directory that holds the same run.
    best : bool
        Whether it has the lowest loss of at least two runs whose losses can be compared: of one kind, and on the same
        rows; of runs with a validation part, on that.
    skipped : tuple of str
        A sentence for each newer checkpoint that is broken.
    lacking : tuple of str
        What its stored data lack, in words: it can be read, but not gone on with unless they are given.
    began : mapping
        The optimizer it began with, described.
    rows : str
        What its loss is measured on, beside the data: equal where losses can be compared.
    """

    name: str
    path: Path
    header: Mapping[str, Any]
    parent: Parent | None
    log: tuple[Mapping[str, Any], ...] = ()
    children: list[Node] = field(default_factory=list)
    copy_of: str | None = None
    best: bool = False
    skipped: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()
    began: Mapping[str, Any] = field(default_factory=dict)
    rows: str = ""

    @property
    def id(self) -> str:
        """The run's own name, which no other run has."""
        return str(self.header["id"])

    @property
    def own_log(self) -> list[Mapping[str, Any]]:
        """What was done to it since it branched off, beside the change it began with."""
        done = [one for one in self.log if one["kind"] in DONE]
        if self.parent is None:
            return done
        since = [one for one in done if one["step"] >= self.parent.step]
        begins = bool(since) and (since[0]["step"], since[0]["told"]) == (self.parent.step, self.parent.told)
        return since[1:] if begins else since

    @property
    def part(self) -> Literal["training", "validation"]:
        """The part it is judged by: the validation part where it has one."""
        measured = self.header.get("measured", {})
        return "validation" if "validation" in measured or "validation_loss" in self.header["numbers"] else "training"

    @property
    def is_measured(self) -> bool:
        """Whether what is told of it is of the state that is saved; else it is of its last epoch, before the update."""
        return "measured" in self.header

    @property
    def scores(self) -> Mapping[str, float]:
        """Loss, and accuracy or r2, on the part it is judged by; empty where nothing is known yet."""
        if self.is_measured:
            found: Mapping[str, float] = self.header["measured"][self.part]
            return found
        before = "validation_" if self.part == "validation" else ""
        numbers = self.header["numbers"]
        return {name: numbers[before + name] for name in ("loss", "accuracy", "r2") if before + name in numbers}

    @property
    def loss(self) -> float:
        """The loss it is judged by; NaN where none is known yet."""
        return float(self.scores.get("loss", math.nan))

    def walk(self) -> Iterator[Node]:
        """Yield it and everything that came from it, each parent before its children."""
        waiting = [self]  # no recursion: a chain of branches may be longer than Python's stack
        while waiting:
            node = waiting.pop()
            yield node
            waiting += reversed(node.children)


@dataclass(frozen=True)
class Forest:
    """What a directory holds.

    Attributes
    ----------
    roots : tuple of Node
        Runs that came from none, or from one that is not here, by name.
    broken : tuple of (str, str)
        The directories that cannot be read, or whose run cannot, each with the reason.
    """

    roots: tuple[Node, ...]
    broken: tuple[tuple[str, str], ...]

    def walk(self) -> Iterator[Node]:
        """Yield every run, each parent before its children."""
        for root in self.roots:
            yield from root.walk()


def holds_run(directory: Path) -> bool:
    """Whether a directory holds a checkpoint, whole or not."""
    try:
        return any(map(DOCUMENT.fullmatch, os.listdir(directory)))  # noqa: PTH208 - names alone
    except OSError:
        return False


def read_forest(directory: str | os.PathLike[str]) -> Forest:
    """Return the runs saved in a directory and everywhere below it.

    Hidden directories are passed over. Links are followed to a run, and no further. Of large files only names and sizes
    are looked at.

    Parameters
    ----------
    directory : str or path
        Such as "runs"; or the directory of one run.

    Raises
    ------
    InputError
        If there is no such directory, it cannot be read, or no run is in it.
    """
    if not isinstance(directory, (str, os.PathLike)):
        raise checks.refuse("directory", "a directory with saved runs", directory)
    top = Path(directory)
    if not top.is_dir():
        found = "is a file" if top.exists() else "does not exist"
        shown = str(directory) or repr(directory)
        raise InputError(f"directory must be one with saved runs. Received: {shown}, which {found}")
    nodes: list[Node] = []
    broken: list[tuple[str, str]] = []
    for path, reason in sorted(_directories(top), key=lambda one: _natural(str(one[0]))):
        name = path.name or str(path) if path == top else str(path.relative_to(top))
        try:
            if reason:
                raise InputError(reason)
            nodes.append(_node(name, path))
        except InputError as error:
            broken.append((name, str(error)))
    if not (nodes or broken):
        raise InputError(f"directory must hold saved runs, as `downslope train --save` writes them. Received: {top}")
    real_first = sorted(nodes, key=lambda node: node.path.is_symlink())  # a link is another name of what it leads to
    _mark_best(real_first)
    return Forest(tuple(_joined(nodes, real_first)), tuple(broken))


def _directories(top: Path) -> Iterator[tuple[Path, str]]:
    """Yield each directory that holds a run, and each that cannot be read with the reason."""
    closed: list[tuple[Path, str]] = []

    def note(error: OSError) -> None:
        reason = error.strerror or str(error)
        if Path(error.filename) == top:
            raise InputError(f"{top} could not be read: {reason}") from error
        closed.append((Path(error.filename), reason))

    for path, names, files in os.walk(top, onerror=note):
        names[:] = [name for name in names if not name.startswith(".")]
        if any(map(DOCUMENT.fullmatch, files)):
            yield Path(path), ""
        # The walk goes into no link, so that none leads it in a circle or out of here.
        yield from ((link, "") for name in names if (link := Path(path, name)).is_symlink() and holds_run(link))
    yield from closed


def _node(name: str, path: Path) -> Node:
    found = read_document(path, check_shape)
    document = found.document
    header, log = document["header"], tuple(document["log"])
    rows = _rows(document["given"], document["preparation"])
    began = document["first_optimizer"]
    lacking = tuple(_lacking(path, found.lasting.values()))
    return Node(
        name, path, header, Parent.of(header), log, skipped=found.skipped, lacking=lacking, began=began, rows=rows
    )


def _lacking(path: Path, pieces: Iterable[Piece]) -> Iterator[str]:
    for piece in pieces:
        try:
            check_there(path, piece)
        except BrokenError as reason:
            yield str(reason)
        except OSError as error:
            yield f"{piece.file} could not be read: {error.strerror or error}"


def _rows(given: Mapping[str, Any], preparation: Mapping[str, Any]) -> str:
    """Return what the rows a loss is measured on are chosen by, and the units of their targets."""
    share = given["validation"]
    drawn_by = given["seed"] if isinstance(share, float) and share else None
    return json.dumps([share, drawn_by, preparation["targets"]], sort_keys=True)


def _joined(nodes: Iterable[Node], by_rank: Iterable[Node]) -> list[Node]:
    """Return the roots, after every other run was given to the one it came from.

    Of several directories with one run the first in `by_rank` is that run, and the others are copies.
    """
    first: dict[str, Node] = {}
    for node in by_rank:
        other = first.setdefault(node.id, node)
        if other is not node:
            node.copy_of = other.name
    roots = []
    for node in nodes:
        origin = None if node.parent is None else first.get(node.parent.id)
        if origin is None or _came_from(origin, node, first):
            roots.append(node)
        else:
            origin.children.append(node)
    for node in nodes:
        node.children.sort(key=lambda one: (one.parent.step if one.parent else 0, _natural(one.name)))
    return roots


def _came_from(node: Node, other: Node, known: Mapping[str, Node]) -> bool:
    """Whether `node` is `other` or came from it: parents that lead in a circle were written by nobody here."""
    seen: set[str] = set()
    at: Node | None = node
    while at is not None and at.id not in seen:
        if at.id == other.id:
            return True
        seen.add(at.id)
        at = known.get(at.parent.id) if at.parent else None
    return False


def _mark_best(nodes: Iterable[Node]) -> None:
    groups: dict[tuple[Any, ...], list[Node]] = {}
    for node in nodes:
        if node.is_measured:
            groups.setdefault((node.header["data"]["digest"], node.header["loss"], node.rows), []).append(node)
    for group in groups.values():
        found = [node for node in group if math.isfinite(node.loss)]
        if len({node.id for node in group}) > 1 and found:
            min(found, key=lambda node: node.loss).best = True


def _natural(name: str) -> list[Any]:
    """Return a key that sorts wine-2 before wine-10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]
