"""`downslope tree`: which saved run came from which, with what was changed, and which is best."""

from __future__ import annotations

import shutil
import sys
import textwrap
from collections.abc import Iterator
from typing import Any, NamedTuple

import click

from downslope.cli.lines import loss_text, print_json
from downslope.cli.options import SectionedCommand, option
from downslope.cli.output import say
from downslope.cli.problem import OUTPUT
from downslope.cli.tree_words import node_words, printable
from downslope.training.tree import Forest, Node, read_forest

__all__ = ["command"]

LONGEST_NAME = 28
LEAST = 40  # columns: in a narrower terminal lines are broken by that
GUIDES = ("├─ ", "└─ ", "│  ", "   ")
PLAIN_GUIDES = ("|- ", "`- ", "|  ", "   ")
DROPPED = ("step", "acc", "on")  # columns that are left out, in this order, where a terminal is too narrow


@click.command("tree", cls=SectionedCommand)
@click.argument("directory", metavar="DIR", default=".")
@option(
    OUTPUT, "--json", "as_json", is_flag=True, help="Print one JSON object a run, with everything that is cut here."
)
def command(*, directory: str, as_json: bool) -> None:
    """Show which saved run came from which, and what was changed.

    DIR is a directory with runs that `downslope train --save` or `Run.save` wrote; left out, the present one. A line
    for each: how far it is; loss and accuracy (R² for numbers) of the state that is saved, as its command printed them
    at its end, on its validation part where it has one ("val"), else on the rows it was trained on; and the rule a run
    began with, or the step at which a branch left the run above it, with what was changed there; then what was done to
    it since. A star marks the lowest loss among runs that minimize the same and are measured on the same rows.

    \b
    downslope tree runs
    """
    forest = read_forest(directory)
    if as_json:
        for node in forest.walk():
            print_json(_described(node, forest))
        for name, reason in forest.broken:
            print_json({"name": name, "broken": reason})
        return
    _print(forest)


def _described(node: Node, forest: Forest) -> dict[str, Any]:
    names = {other.id: other.name for other in forest.walk() if other.copy_of is None}
    parent = None if node.parent is None else {**node.parent._asdict(), "name": names.get(node.parent.id)}
    return {
        "name": node.name, "path": str(node.path), **node.header, "parent": parent, "best": node.best,
        "copy_of": node.copy_of, "log": list(node.log), "skipped": list(node.skipped),
        "lacking": list(node.lacking),
    }  # fmt: skip


class _Row(NamedTuple):
    """A run, its name behind the branches that lead to it, and the branches that pass below it."""

    node: Node
    name: str
    below: str


def _print(forest: Forest) -> None:
    """Print the tree as columns that fit the terminal, or 80 characters."""
    guides = GUIDES if _can_print("".join(GUIDES)) else PLAIN_GUIDES
    rows = list(_rows(forest, guides))
    wide = max(shutil.get_terminal_size((80, 24)).columns, LEAST)
    if rows:
        _print_rows(rows, wide)
    _print_notes(forest, [row.node for row in rows], wide)


def _print_rows(rows: list[_Row], wide: int) -> None:
    known = {row.node.id for row in rows}
    room = wide // 3
    names = [_end(row.name, room, len(row.name)) for row in rows]
    first = max(map(len, names))
    table = _numbers(rows, wide - first)
    beside = first + sum(2 + len(head) for head in table[0]) + 2
    say("  ".join([" " * first, *table[0]]).rstrip())
    for row, name, numbers in zip(rows, names, table[1:], strict=True):
        below = _end(row.below, room, len(row.name))
        line = "  ".join([name.ljust(first), *numbers])
        told = [printable(text) for text in node_words(row.node, known)]
        whole = "; ".join(told)
        if beside + len(whole) <= wide:
            say(f"{line}  {whole}".rstrip())
            continue
        say(line.rstrip())
        indent = min(len(below) + 2, room)
        for more in _wrapped(told, wide - indent):
            say(f"{below.ljust(indent)}{more}")


def _print_notes(forest: Forest, nodes: list[Node], wide: int) -> None:
    """Print what has to be said of the runs beside their rows."""
    notes = ["* the lowest loss among runs that are measured on the same rows"] * any(node.best for node in nodes)
    if older := [node.name for node in nodes if not node.is_measured and node.scores]:
        told = "Saved in mid-training, or by an older version: what is told is of the last epoch, and not compared"
        notes.append(printable(f"{told}: {', '.join(older[:5])}{', …' * (len(older) > 5)}"))
    for line in ["", *(line for note in notes for line in textwrap.wrap(note, wide))] if notes else []:
        say(line)
    for name, reason in forest.broken:
        say(printable(f"{name} cannot be read: {reason}"))
    for node in nodes:
        for sentence in node.skipped:
            say(printable(f"{node.name}: {sentence}"))
        if node.lacking:
            told = f"{node.name} cannot go on: the data stored with it must be whole"
            say(printable(f"{told}, where {', '.join(node.lacking)}"))


def _rows(forest: Forest, guides: tuple[str, str, str, str]) -> Iterator[_Row]:
    """Yield each run with the branches that lead to it."""
    more, last, beside, empty = guides
    waiting = [(root, "", "") for root in reversed(forest.roots)]
    while waiting:
        node, lead, before = waiting.pop()
        yield _Row(
            node,
            f"{lead}{_cut(printable(node.name), LONGEST_NAME)}{' *' * node.best}",
            before + (beside if node.children else empty),
        )
        for child in reversed(node.children):
            ends = child is node.children[-1]
            waiting.append((child, before + (last if ends else more), before + (empty if ends else beside)))


def _numbers(rows: list[_Row], wide: int) -> list[list[str]]:
    """Return heads and numbers as columns that fit `wide` characters: as many as do."""
    columns = {"epoch": [f"{row.node.header['epoch']}" for row in rows]}
    if any(row.node.header["epoch"] != row.node.header["step"] for row in rows):
        columns["step"] = [f"{row.node.header['step']}" for row in rows]
    losses, scores = zip(*(_measured(row.node) for row in rows), strict=True)
    columns |= {"loss": list(losses), "acc": list(scores)}
    if any(row.node.part == "validation" for row in rows):
        columns["on"] = [{"validation": "val", "training": "train"}[row.node.part] for row in rows]
    padded = {
        head: [text.ljust(width) if head == "on" else text.rjust(width) for text in (head, *texts)]
        for head, texts in columns.items()
        for width in [max(map(len, (head, *texts)))]
    }
    for head in DROPPED:
        if sum(2 + len(texts[0]) for texts in padded.values()) > wide:
            padded.pop(head, None)
    return [list(line) for line in zip(*padded.values(), strict=True)]


def _measured(node: Node) -> tuple[str, str]:
    scores = node.scores
    loss, score = scores.get("loss"), scores.get("accuracy", scores.get("r2"))
    return "–" if loss is None else loss_text(loss), "–" if score is None else _score_text(score)


def _score_text(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:.2g}"


def _wrapped(told: list[str], width: int) -> list[str]:
    """Return texts joined by semicolons as lines, broken between two of them where that is possible."""
    lines: list[str] = []
    for place, text in enumerate(told):
        part = text + ";" * (place < len(told) - 1)
        if lines and len(lines[-1]) + 1 + len(part) <= width:
            lines[-1] += f" {part}"
        else:
            lines += textwrap.wrap(part, width, subsequent_indent="  ", break_on_hyphens=False)
    return lines


def _end(text: str, room: int, whole: int) -> str:
    """Return what is shown of a text in the first column, where that is too narrow for one of `whole` characters.

    Of branches that lead very far the nearest are shown.
    """
    return text if whole <= room else f"…{text[whole - room + 1 :]}"


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _can_print(text: str) -> bool:
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
