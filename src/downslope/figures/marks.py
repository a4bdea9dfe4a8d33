"""Marks in the curves of a run: where it was changed, rolled back, lowered, alarmed or stopped, and rates undone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from downslope.figures.page import Box, Page
from downslope.figures.style import SMALL, Style, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.training import Run

__all__ = ["KINDS", "ROWS", "Marks", "Undone", "draw_legend", "draw_marks", "draw_undone", "marks_of"]

MOST_LINES = 20  # places of one kind; more lines would drown the curve, so they become ticks
ROWS = (0.0, 0.075)  # inches above the upper edge: the user's marks, the guard's
EDGE = 0.9  # points
UNDONE_SIZE, UNDONE_EDGE = 32.0, 0.6
WIDTH, GAP = 0.048, 0.014  # inches: of a mark, and between two that stand side by side
TICK = 0.045
DASHES = (2.0, 2.0)


class Kind(NamedTuple):
    """How a kind of mark looks and what it says; the shape tells the kind, the row and the colour who did it."""

    marker: str
    hollow: bool
    row: int
    noun: str
    size: float = 10.0  # points²

    def colour(self, style: Style) -> str:
        """Return the colour of a kind: quiet for the user's, red for the guard's."""
        return style.positive if self.row else style.muted

    def words(self, count: int) -> str:
        """Return what the legend says of so many."""
        if self.noun == "stop":
            return "stopped by the guard" + (f" {count:,} times" if count > 1 else "")
        on = " on a plateau" if self.noun == "reduction" else ""
        return f"{count:,} {self.noun}{'s' * (count != 1)}{on}"


KINDS: Mapping[str, Kind] = {
    "change": Kind("^", False, 0, "change"),
    "rollback": Kind("x", False, 1, "rollback"),
    "reduce": Kind("v", False, 1, "reduction"),
    "alarm": Kind("D", True, 1, "alarm", 8.0),
    "stop": Kind("h", False, 1, "stop", 24.0),
}


class Undone(NamedTuple):
    """A learning rate that a rollback or a stop undid, and the one it went on with; None where that ended it."""

    epoch: int
    rate: float
    after: float | None


@dataclass(frozen=True)
class Marks:
    """What happened to a run, on the way that its history shows: epochs by kind, and the rates undone."""

    epochs: Mapping[str, Sequence[int]]
    undone: Sequence[Undone] = ()

    @property
    def rows(self) -> int:
        """How many rows the marks take: the guard's stand above the user's."""
        return max((KINDS[kind].row + 1 for kind in self.epochs), default=0)

    def crowded(self, kind: str) -> bool:
        """Whether a kind has too many places for a line at each."""
        return len(set(self.epochs[kind])) > MOST_LINES


def marks_of(run: Run) -> Marks:
    """Return the marks of a run; none before its first epoch is complete, as there are no curves to stand in.

    A change that was undone is not marked, and an alarm that led to a way back neither: the mark of that way stands
    for it. Where a way back undid an earlier one, both stand where the later one went to.
    """
    if not len(run.history):
        return Marks({})
    happened: list[tuple[str, int, int]] = []  # kind, step, epoch
    undone: list[tuple[int, Undone]] = []  # with its step
    rules = [(0, run.first_optimizer)]
    for entry in run.log:
        if entry.back_from is not None:
            rate = float(rules[-1][1].at(max(entry.back_from, 1)).learning_rate)
            after = None if entry.optimizer is None else float(entry.optimizer.at(entry.step + 1).learning_rate)
            undone.append((entry.step, Undone(entry.epoch, rate, after)))
            rules = [one for one in rules if one[0] <= entry.step]
            there = (entry.step, entry.epoch)
            happened = [
                (kind, *min((step, epoch), there))
                for kind, step, epoch in happened
                if step <= entry.step or kind in ("rollback", "stop")
            ]
            undone = [(min(step, entry.step), one._replace(epoch=min(one.epoch, entry.epoch))) for step, one in undone]
        if entry.optimizer is not None:
            rules.append((entry.step, entry.optimizer))
        if entry.acts or entry.kind in ("alarm", "stop"):
            happened.append((entry.kind, entry.step, entry.epoch))
    epochs = {kind: [epoch for one, _, epoch in happened if one == kind] for kind in KINDS}
    return Marks({kind: places for kind, places in epochs.items() if places}, tuple(one for _, one in undone))


def draw_marks(page: Page, axes: Axes, box: Box, marks: Marks) -> None:
    """Draw a broken line at every place, and above it, at the upper edge, a mark for each kind.

    Marks of a kind that would touch are one, with their number beside it; of several kinds they stand side by side.
    Very many places of a kind are ticks at the edge.
    """
    low, high = axes.get_xlim()
    inch = (high - low) / box.width
    across = axes.get_xaxis_transform()
    groups: list[tuple[int, str, int]] = []
    for kind, epochs in marks.epochs.items():
        places = sorted(min(max(epoch, int(low)), int(high)) for epoch in epochs)
        look, distinct = KINDS[kind], sorted(set(places))
        bottom, top, crowded = 0.0, 1.0, marks.crowded(kind)
        if crowded:
            bottom = 1 + ROWS[look.row] / box.height
            top = bottom + TICK / box.height
        else:
            groups += [(epoch, kind, count) for epoch, count in _grouped(places, WIDTH * inch)]
        axes.vlines(
            distinct, bottom, top, color=look.colour(page.style), linewidth=0.7, transform=across,
            # The lines of both rows at one place take turns, so that both are seen.
            linestyle="solid" if crowded else (look.row * DASHES[0], DASHES), clip_on=not crowded, zorder=1,
            label=f"_{kind}",
        )  # fmt: skip
    free = [-math.inf] * len(ROWS)  # from where on each row has room
    for epoch, kind, count in sorted(groups, key=lambda group: group[0]):
        look = KINDS[kind]
        half = max(look.size**0.5 / 72, WIDTH) / 2 * inch
        place, height = max(epoch, free[look.row] + half), 1 + ROWS[look.row] / box.height
        _draw_mark(axes, kind, page.style, place, height, across)
        end = place + half + GAP * inch
        if count > 1:
            axes.text(
                end, height, f"{count}", fontsize=SMALL, color=look.colour(page.style), transform=across,
                ha="left", va="center_baseline",
            )  # fmt: skip
            end += (text_width(f"{count}", SMALL) + GAP) * inch
        free[look.row] = end


def _grouped(places: Sequence[int], width: float) -> list[tuple[int, int]]:
    """Return where groups of ascending places stand that are closer than `width` to their first, and how many each."""
    groups: list[tuple[int, int]] = []
    for place in places:
        if groups and place - groups[-1][0] < width:
            groups[-1] = (groups[-1][0], groups[-1][1] + 1)
        else:
            groups.append((place, 1))
    return groups


def _draw_mark(axes: Axes, kind: str, style: Style, x: float, y: float, transform: Any) -> None:
    look = KINDS[kind]
    colour = look.colour(style)
    filling: dict[str, Any] = (
        {"color": colour} if not look.hollow else {"facecolors": style.background, "edgecolors": colour}
    )
    axes.scatter(
        [x], [y], s=look.size, marker=look.marker, linewidths=EDGE, transform=transform, clip_on=False, zorder=4,
        label=f"_{kind}", **filling,
    )  # fmt: skip


def draw_undone(page: Page, axes: Axes, box: Box, marks: Marks) -> None:
    """Draw into the axes of the learning rate a hollow cross at every rate undone, and an arrow to what came after."""
    low, high = axes.get_xlim()
    least = low + (high - low) * UNDONE_SIZE**0.5 / 2 / 72 / box.width  # a cross does not cover the axis's numbers
    arrows: dict[float, tuple[float, float | None]] = {}  # by place, from the highest rate to the last that came after
    crosses = set()
    for one in marks.undone:
        epoch = min(max(float(one.epoch), least), high)
        crosses.add((epoch, one.rate))
        arrows[epoch] = (max(one.rate, arrows.get(epoch, (one.rate,))[0]), one.after)
    for epoch, (rate, after) in arrows.items():
        if after is not None and after != rate:
            axes.annotate(
                "", (epoch, after), (epoch, rate), zorder=2.5,
                arrowprops={
                    "arrowstyle": "-|>", "mutation_scale": 5.5, "color": page.style.positive, "linewidth": 0.8,
                    "shrinkA": 2.5, "shrinkB": 1.0,
                },
            )  # fmt: skip
    if crosses:
        epochs, rates = zip(*sorted(crosses), strict=True)
        axes.scatter(
            epochs, rates, s=UNDONE_SIZE, marker="X", linewidths=UNDONE_EDGE, facecolors=page.style.background,
            edgecolors=page.style.positive, clip_on=False, zorder=4, label="_undone",
        )  # fmt: skip


def draw_legend(page: Page, left: float, baseline: float, marks: Marks) -> None:
    """Explain, in a line, the marks that there are and no others."""
    from matplotlib.lines import Line2D

    def explained(marker: str, size: float, hollow: bool, colour: str, words: str) -> float:
        edge, width = UNDONE_EDGE if marker == "X" else EDGE, max(size**0.5 / 72, WIDTH)
        point = Line2D(
            [(left + width / 2) / page.width], [1 - (baseline - 0.033) / page.height], linestyle="none", marker=marker,
            markersize=size**0.5, markeredgewidth=edge, markeredgecolor=colour,
            markerfacecolor=page.style.background if hollow else colour, transform=page.figure.transFigure,
        )  # fmt: skip
        page.figure.add_artist(point)
        page.text(left + width + 0.04, baseline, words, SMALL, colour=page.style.muted)
        return float(left + width + 0.04 + text_width(words, SMALL) + 0.15)

    for kind, epochs in marks.epochs.items():
        look = KINDS[kind]
        marker = "|" if marks.crowded(kind) else look.marker
        left = explained(marker, look.size, look.hollow, look.colour(page.style), look.words(len(epochs)))
    if marks.undone:
        words = "a rate undone" if len(marks.undone) == 1 else "rates undone"
        explained("X", UNDONE_SIZE, True, page.style.positive, words)
