"""`downslope tree`: which saved run came from which, with what was changed, and which is best."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import click

from downslope.cli.lines import loss_text, print_json
from downslope.cli.options import SectionedCommand, option
from downslope.cli.output import say
from downslope.cli.problem import OUTPUT
from downslope.training.tree import Forest, Node, read_forest

__all__ = ["command"]

LONGEST_NAME = 28
GUIDES = ("├─ ", "└─ ", "│  ", "   ")
PLAIN_GUIDES = ("|- ", "`- ", "|  ", "   ")
SCORES = ("accuracy", "r2")
SHORT = {"learning_rate": "lr", "batch_size": "batch"}


@click.command("tree", cls=SectionedCommand)
@click.argument("directory", metavar="DIR", default=".")
@option(
    OUTPUT, "--json", "as_json", is_flag=True, help="Print one JSON object a run, with everything that is cut here."
)
def command(*, directory: str, as_json: bool) -> None:
    """Show which saved run came from which, and what was changed.

    DIR is a directory with runs that `downslope train --save` or `Run.save` wrote; left out, the present one. A line
    for each: how far it is, its last loss and accuracy (of the validation part where it has one), and the rule of a
    run that began here, or the step at which a branch
    left the run above it, and with what change. The best of those that minimize
    the same on the same data has a star.

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
    }  # fmt: skip


def _print(forest: Forest) -> None:
    """Print the tree as columns that fit the terminal, or 80 characters."""
    guides = GUIDES if _can_print("".join(GUIDES)) else PLAIN_GUIDES
    known = {node.id for node in forest.walk()}
    rows, steps = list(_rows(forest, guides)), any(n.header["epoch"] != n.header["step"] for n in forest.walk())
    validated = any("validation_loss" in node.header["numbers"] for node in forest.walk())
    heads = ["", "epoch", *(["step"] * steps), *(["val_loss", "val_acc"] if validated else ["loss", "acc"])]
    lines = [heads]
    for name, node in rows:
        numbers = [f"{node.header['epoch']}", *([f"{node.header['step']}"] * steps)]
        lines.append([name, *numbers, *_measured(node)])
    wide = shutil.get_terminal_size((80, 24)).columns
    for cells in lines:  # of branches that lead very far the nearest are shown
        cells[0] = cells[0] if len(cells[0]) <= wide // 3 else f"…{cells[0][1 - wide // 3 :]}"
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for cells, told in zip(lines, ["", *(_told(node, known) for _, node in rows)], strict=True):
        padded = [cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True)]
        say(_cut("  ".join([cells[0].ljust(widths[0]), *padded, told]).rstrip(), wide))
    if any(node.best for _, node in rows):
        say(f"\n* the lowest {'loss on the validation part' if validated else 'loss'} on the same data")
    for name, reason in forest.broken:
        say(f"{name} cannot be read: {reason}")
    for _, node in rows:
        for sentence in node.skipped:
            say(f"{node.name}: {sentence}")


def _rows(forest: Forest, guides: tuple[str, str, str, str]) -> Iterator[tuple[str, Node]]:
    """Yield each run with its name behind the branches that lead to it."""
    more, last, beside, empty = guides

    waiting = [(root, "", "") for root in reversed(forest.roots)]
    while waiting:
        node, lead, before = waiting.pop()
        yield f"{lead}{_cut(node.name, LONGEST_NAME)}{' *' * node.best}", node
        for child in reversed(node.children):
            ends = child is node.children[-1]
            waiting.append((child, before + (last if ends else more), before + (empty if ends else beside)))


def _measured(node: Node) -> list[str]:
    numbers = node.header["numbers"]
    part = "validation_" if "validation_loss" in numbers else ""
    score = next((numbers[part + name] for name in SCORES if part + name in numbers), None)
    loss = numbers.get(f"{part}loss")
    return ["–" if loss is None else loss_text(loss), "–" if score is None else f"{score:.3f}"]


def _told(node: Node, known: set[str]) -> str:
    """Return where a run came from and what acted on it."""
    if node.copy_of is not None:
        return f"the same run as {node.copy_of}"
    parts = []
    if node.parent is None:
        parts.append(node.header["optimizer"].replace("learning_rate=", "lr="))
    else:
        gone = "" if node.parent.id in known else f"{node.parent.id[:8]}, which is not here, "
        changed = node.parent.told and next(
            (_changes(one) for one in node.log if (one["step"], one["told"]) == (node.parent.step, node.parent.told)),
            node.parent.told,
        )
        parts.append(f"from {gone}{node.parent.step}{': ' * bool(changed)}{changed}")
    parts += [f"{one['step']}: {_changes(one)}" for one in node.own_log]
    return "; ".join(parts)


def _changes(entry: Mapping[str, Any]) -> str:
    """Return what an entry of a log changed, in few words: `lr=0.05`."""
    if entry["kind"] != "change":
        return str({"reduce": "rate reduced", "stop": "stopped"}.get(entry["kind"], entry["kind"]))
    changed: dict[str, str] = {SHORT.get(name, name): after for name, (_, after) in entry["settings"].items()}
    return ", ".join(f"{name}={after}" for name, after in changed.items()) or str(entry["told"])


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _can_print(text: str) -> bool:
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
