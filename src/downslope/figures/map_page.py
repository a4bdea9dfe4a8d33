"""What every map's page has: title, best cell in words, what was run, colours, and the key's entries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from downslope.figures.map_cells import Cells, MapAxis, Places, Shades, higher_is_better, shown, words
from downslope.figures.page import Page
from downslope.figures.style import SMALL, TEXT, TITLE, Style, number, shortened, text_width

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

__all__ = [
    "LEFT",
    "RIGHT",
    "WIDTH",
    "Sheet",
    "header",
    "header_height",
    "key_entries",
    "key_lines",
    "median_colours",
    "notes_of",
    "width_colours",
]

WIDTH, LEFT, RIGHT = 8.0, 0.66, 7.74


@dataclass(frozen=True)
class Sheet:
    """What is drawn: the settings, where their cells lie, what they hold, and how much was planned."""

    axes: tuple[MapAxis, ...]
    places: tuple[Places, ...]
    cells: Cells
    quantity: str
    seeds: int
    planned: int
    style: Style

    @property
    def name(self) -> str:
        """The quantity in words."""
        return words(self.quantity)

    @property
    def heading(self) -> str:
        """The quantity in words, as a heading."""
        return self.name[:1].upper() + self.name[1:]

    @property
    def best(self) -> tuple[int, ...] | None:
        """The best cell's index; None where no cell has a value, or several have and all are alike."""
        return None if self.alike else self.cells.best(self.quantity)

    @property
    def alike(self) -> bool:
        """Whether several cells have a value and all of them the same."""
        shades = Shades.of(self.cells.median, self.quantity)
        return shades is not None and shades.flat and int(np.count_nonzero(self.cells.valued)) > 1

    @property
    def complete(self) -> bool:
        """Whether every planned run is finished."""
        return int(self.cells.runs.sum()) >= self.planned

    @property
    def of_seeds(self) -> list[str]:
        """What a median is of, as a note; none for one seed."""
        if self.seeds == 1:
            return []
        return [f"median of {self.seeds} seeds" if self.complete else "median of finished seeds"]


def header(page: Page, drawn: Sheet, title: str | None, subtitle: str | None) -> None:
    """Write the title, the best cell, what was run, and the subtitle."""
    width = RIGHT - LEFT
    over = " and ".join(axis.words for axis in drawn.axes[:2])
    if len(drawn.axes) > 2:
        over = ", ".join(axis.words for axis in drawn.axes[:-1]) + f" and {drawn.axes[-1].words}"
    given = title or f"{drawn.heading} over {over}"
    page.text(LEFT, 0.36, shortened(given, width / 1.15, TITLE), TITLE, weight="bold")
    page.text(LEFT, 0.58, _best(drawn, width), TEXT)
    page.text(LEFT, 0.75, shortened(_status(drawn), width, SMALL), SMALL, colour=page.style.muted)
    if subtitle is not None:
        page.text(LEFT, 0.91, shortened(subtitle, width, SMALL), SMALL, colour=page.style.muted)


def header_height(subtitle: str | None) -> float:
    """Return the baseline of the headings below the header."""
    return 1.06 if subtitle is None else 1.22


def _best(drawn: Sheet, width: float) -> str:
    """Return the best cell in words: every setting's value with its unit, the median and the quartiles."""
    cells, index = drawn.cells, drawn.best
    if index is None:
        return _no_best(drawn)
    gave = int(cells.runs[index] - cells.exploded[index] - cells.failed[index])
    told = [f"{drawn.name} {number(float(cells.median[index]))}"]
    if gave > 1:
        low, high = number(float(cells.low[index])), number(float(cells.high[index]))
        told = [f"median {told[0]} over {gave} seeds", f" (middle half {low} to {high})"]
    lost = f"; {cells.exploded[index]} of {cells.runs[index]} runs exploded" if cells.partly[index] else ""
    values = [
        f" {shown(places.values[one])}" + (f" {axis.unit}" if axis.unit else "")
        for axis, places, one in zip(drawn.axes, drawn.places, index, strict=True)
    ]
    start = "Best: " if drawn.complete else "Best so far: "
    line = ""
    # What has no room: first the quartiles go, then names are shortened, the longest first.
    for parts, room in [(told, width)] + [(told[:1], width * share / 20) for share in range(20, 0, -1)]:
        named = [shortened(axis.words, room, TEXT) + value for axis, value in zip(drawn.axes, values, strict=True)]
        line = f"{start}{', '.join(named)}  ·  {''.join(parts)}{lost}"
        if text_width(line, TEXT) <= width:
            return line
    return shortened(line, width, TEXT)


def _no_best(drawn: Sheet) -> str:
    cells, finished = drawn.cells, "" if drawn.complete else "finished "
    if not cells.finished.any():
        return "No run is finished yet."
    if drawn.alike:
        return f"Every {finished}cell with a value has the same: {drawn.name} {number(float(np.nanmax(cells.median)))}."
    if cells.all_exploded[cells.finished].all():
        return f"Every {finished}run exploded."
    return f"No {finished}run has a value."


def _status(drawn: Sheet) -> str:
    cells = drawn.cells
    told = [f"{_counted(cells.runs.size, 'cell')} × {_counted(drawn.seeds, 'seed')}"]
    if not drawn.complete:
        told.append(f"{int(cells.runs.sum()):,} of {_counted(drawn.planned, 'run')} finished")
    whole, partly = int(np.count_nonzero(cells.all_exploded)), int(np.count_nonzero(cells.partly))
    if whole:
        told.append(f"{_counted(whole, 'cell')} exploded" + (f", {partly:,} in part" if partly else ""))
    elif partly:
        told.append(f"{_counted(partly, 'cell')} exploded in part")
    failed = int(cells.failed.sum())
    if failed:
        told.append(f"{_counted(failed, 'run')} failed")
    return "  ·  ".join(told)


def _counted(number_of: int, thing: str) -> str:
    return f"{number_of:,} {thing}{'s' * (number_of != 1)}"


def median_colours(quantity: str) -> Colormap:
    """Return the colours of medians, bright where better in both styles: viridis, perceptually uniform."""
    from matplotlib import colormaps

    return colormaps["viridis" if higher_is_better(quantity) else "viridis_r"]


def width_colours(style: Style) -> Colormap:
    """Return the colours of spreads, quiet near the page's colour where small: magma, perceptually uniform."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    dark = style.background < "#8"
    shares = np.linspace(0.12, 0.97, 256) if dark else np.linspace(0.98, 0.15, 256)
    return ListedColormap(colormaps["magma"](shares))


def key_entries(drawn: Sheet, cells: Cells | None = None, *, with_spread: bool = True) -> list[tuple[str, str]]:
    """Return the marks that occur, each with its meaning."""
    cells = drawn.cells if cells is None else cells
    if not cells.finished.any():
        return []
    entries = []
    if drawn.best is not None:
        entries.append(("best", "best median"))
    if cells.all_exploded.any():
        every = " for every seed" if drawn.seeds > 1 else ""
        entries.append(("exploded", f"exploded{every} (not finite, or final loss above twice the first)"))
    if cells.partly.any():
        entries.append(("partly", "corner: share of the seeds that exploded"))
    if cells.without_value.any():
        entries.append(("failed", "no value"))
    alone = cells.valued & (cells.runs >= drawn.seeds) & np.isnan(cells.spread)
    if drawn.seeds > 1 and with_spread and alone.any():
        entries.append(("blank", "no spread: one run gave a value"))
    if not cells.finished.all():
        entries.append(("unfinished", "not finished: as the nearest finished cell"))
    return entries


def notes_of(drawn: Sheet, shades: Shades | None, *notes: str) -> list[tuple[str, str]]:
    """Return a heading's notes, with how many cells lie beyond the scale; none where there is nothing to see."""
    told = list(notes) if shades is not None else []
    if shades is not None and shades.below + shades.above and not (shades.log and shades.below):
        told.append(f"{shades.below + shades.above:,} beyond the scale")
    return [(" · ".join(told), drawn.style.muted)]


def key_lines(entries: Sequence[tuple[str, str]], width: float) -> int:
    """Return how many lines the key takes, as `draw_key` breaks them."""
    lines, left = 1, 0.0
    for _, text in entries:
        needed = 0.19 + text_width(text, SMALL)
        if left and left + needed > width:
            lines, left = lines + 1, 0.0
        left += needed + 0.22
    return lines if entries else 0
