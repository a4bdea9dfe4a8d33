"""Squares for every weight and bias, and for the update just made: red positive, blue negative."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from downslope.figures.page import Box, Page
from downslope.figures.style import HEADING, SMALL, diverging, number, shortened, text_width

if TYPE_CHECKING:
    from downslope.training import Run

__all__ = ["Arrangement", "aggregated", "arranged", "draw_parameters"]

LARGEST_CELL, SQUARE_CELL, SMALLEST_CELL = 0.16, 0.04, 0.01  # inches; from SQUARE_CELL on, gaps tell squares apart
BAND_GAP, BIAS_GAP = 0.35, 0.7  # in cells
MOST_LAYERS, MOST_BANDS = 4, 64
LAYER_GAP = 0.12  # inches


@dataclass(frozen=True)
class Arrangement:
    """How a layer's weights (short side down) and biases are laid out: in bands of so many columns, stacked.

    A long matrix is cut into bands, as a long line of text is; the biases follow below in the same way.
    """

    rows: int
    length: int
    biases: int
    columns: int
    cell: float

    @classmethod
    def fitting(
        cls, rows: int, length: int, biases: int, *, width: float, height: float, most_bands: int = 1
    ) -> Arrangement:
        """Return the arrangement with the largest cells, then the fewest bands, in a box of so many inches."""

        def made(bands: int) -> Arrangement:
            columns = -(-length // bands)
            bare = cls(rows, length, biases, columns, 1.0)
            cell = min(width / columns, height / bare.edges()[-1], LARGEST_CELL)
            whole = math.floor(cell * 100 + 1e-9) / 100  # whole pixels at 100 dots an inch, where there are some
            return cls(rows, length, biases, columns, whole if whole >= 0.02 else cell)

        return max((made(bands) for bands in range(1, most_bands + 1)), key=lambda each: each.cell)

    def edges(self) -> list[float]:
        """Return the horizontal edges of all rows and of the gaps between bands, downwards, in cells."""
        edges = [0.0]
        blocks = [(self.rows, BAND_GAP)] * (self._bands - 1) + [(self.rows, BIAS_GAP)]
        for rows, gap in [*blocks, (-(-self.biases // self.columns), 0.0)]:
            edges += [edges[-1] + row + 1 for row in range(rows)]
            if gap:
                edges.append(edges[-1] + gap)
        return edges

    def grid(self, weights: NDArray[Any], biases: NDArray[Any]) -> NDArray[np.float64]:
        """Return the values between the edges, shape (rows and gaps, columns); NaN where there is nothing."""
        grid = np.full((len(self.edges()) - 1, self.columns), np.nan)
        row = 0
        for band in range(self._bands):
            part = weights[:, band * self.columns : (band + 1) * self.columns]
            grid[row : row + self.rows, : part.shape[1]] = part
            row += self.rows + 1
        for start in range(0, self.biases, self.columns):
            line = biases[start : start + self.columns]
            grid[row, : len(line)] = line
            row += 1
        return grid

    @property
    def _bands(self) -> int:
        return -(-self.length // self.columns)


def aggregated(values: NDArray[Any], side: int) -> NDArray[np.float64]:
    """Return the value of largest magnitude in each square of side × side cells."""
    rows, columns = (-(-size // side) for size in values.shape)
    padded = np.zeros((rows * side, columns * side))
    padded[: values.shape[0], : values.shape[1]] = values
    squares = padded.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(rows, columns, side * side)
    places = np.abs(squares).argmax(axis=2)[:, :, np.newaxis]
    return np.asarray(np.take_along_axis(squares, places, axis=2)[:, :, 0])


def arranged(weights: NDArray[Any], biases: NDArray[Any], width: float, height: float) -> tuple[Arrangement, int]:
    """Return how a layer of this shape is laid out in a box, and how many cells of each side make one square."""
    short, long = sorted(weights.shape)
    side = 1
    while True:
        rows, length, count = (-(-size // side) for size in (short, long, biases.size))
        bands = min(length, MOST_BANDS) if side == 1 else 1  # a large matrix is easier to read in one piece
        arrangement = Arrangement.fitting(rows, length, count, width=width, height=height, most_bands=bands)
        if arrangement.cell >= SMALLEST_CELL:
            return arrangement, side
        side += 1


def draw_parameters(page: Page, run: Run, box: Box, headings: tuple[float, float], gap: float) -> None:
    """Draw two rows of blocks, one block a layer: the parameters above, the last update below.

    `gap` is that between two blocks, in inches; more blocks stand closer.
    """
    views = zip(run.network.views(run.state.parameters), run.network.views(run.state.last_update), strict=True)
    numbered = list(enumerate(((view, change) for view, change in views if "weights" in view), start=1))
    shown = numbered if len(numbered) <= MOST_LAYERS else [*numbered[: MOST_LAYERS - 1], numbered[-1]]
    left_out = len(numbered) - len(shown)
    note = f"{left_out} of {len(numbered)} layers left out" if left_out else ""
    muted = page.style.muted
    page.heading(box.left, headings[0], "Weights and biases", [("biases below the gap", muted)])
    page.heading(box.left, headings[1], "Last update", [] if run.step else [("none yet", muted)])
    page.text(box.right, headings[1], note, SMALL, colour=muted, align="right")
    _key(page, box.right, headings[0])

    gap = gap if len(shown) == 2 else LAYER_GAP
    width = (box.width - gap * (len(shown) - 1)) / len(shown)
    height = (box.bottom - headings[1] - 0.25) // 0.01 * 0.01
    for place, (count, (view, change)) in enumerate(shown):
        left = round(box.left + place * (width + gap), 2)
        arrangement, side = arranged(view["weights"], view["biases"], width, height)
        inputs, outputs = view["weights"].shape
        title = f"{'Layer ' if len(shown) < MOST_LAYERS else ''}{count}: {inputs}×{outputs}"
        page.text(left, headings[0] + 0.17, shortened(title, width, SMALL), SMALL, colour=muted)
        if side > 1:
            below = headings[1] + 0.25 + arrangement.cell * arrangement.edges()[-1]
            page.text(left, below + 0.13, "square: largest", SMALL, colour=muted)
            page.text(left, below + 0.25, f"of {side}×{side} weights", SMALL, colour=muted)
        for top, values in ((headings[0] + 0.4, view), (headings[1] + 0.25, change)):
            largest = max(float(np.abs(part).max()) for part in values.values())
            if largest > 0:
                text = shortened(f"largest {number(largest, 3, largest=1e5)}", width, SMALL)
                page.text(left, top - 0.09, text, SMALL, colour=muted)
            _squares(page, (left, round(top, 2)), arrangement=arrangement, side=side, values=values, largest=largest)


def _squares(
    page: Page,
    place: tuple[float, float],
    *,
    arrangement: Arrangement,
    side: int,
    values: dict[str, NDArray[Any]],
    largest: float,
) -> None:
    weights, biases = values["weights"], values["biases"].reshape(1, -1)
    if weights.shape[0] > weights.shape[1]:
        weights = weights.T
    if side > 1:
        weights, biases = aggregated(weights, side), aggregated(np.repeat(biases, side, axis=0), side)
    grid = arrangement.grid(np.asarray(weights, dtype=np.float64), np.asarray(biases[0], dtype=np.float64))
    edges = arrangement.edges()
    cell = arrangement.cell
    axes = page.bare_axes(Box(*place, cell * arrangement.columns, cell * edges[-1]))
    apart = cell >= SQUARE_CELL
    axes.pcolormesh(
        np.arange(arrangement.columns + 1),
        edges,
        np.ma.masked_invalid(grid / largest if largest > 0 else grid),
        cmap=diverging(page.style),
        vmin=-1,
        vmax=1,
        edgecolors=page.style.background if apart else "none",
        linewidth=min(1.0, 72 * cell * 0.13) if apart else 0,
        antialiased=apart,
        rasterized=not apart,
    )
    axes.set(xlim=(0, arrangement.columns), ylim=(edges[-1], 0))


def _key(page: Page, right: float, baseline: float) -> None:
    """Explain the two colours at the right end of a heading."""
    entries: Sequence[tuple[str, str]] = (("negative", page.style.negative), ("positive", page.style.positive))
    for text, colour in reversed(entries):
        right -= text_width(text, SMALL)
        page.text(right, baseline, text, SMALL, colour=page.style.muted)
        right -= text_width("■", HEADING) + 0.04
        page.text(right, baseline, "■", HEADING, colour=colour)
        right -= 0.1
