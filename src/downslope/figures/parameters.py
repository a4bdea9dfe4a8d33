"""Squares for every weight and bias, and for the update just made: red positive, blue negative."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from downslope.figures.page import Box, Page
from downslope.figures.panel import Detail, Panel
from downslope.figures.style import HEADING, SMALL, diverging, number, shortened, text_width

if TYPE_CHECKING:
    from downslope.training import Run

__all__ = ["Arrangement", "aggregated", "arranged", "draw_parameters"]

LARGEST_CELL, SQUARE_CELL, SMALLEST_CELL = 0.16, 0.04, 0.01  # inches; from SQUARE_CELL on, gaps tell squares apart
BAND_GAP, BIAS_GAP = 0.35, 0.7  # in cells
MOST_LAYERS, MOST_BANDS = 4, 64
DETAIL = Detail()
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


def draw_parameters(
    page: Page, run: Run, box: Box, headings: tuple[float, float], gap: float, detail: Detail = DETAIL
) -> Panel:
    """Draw two rows of blocks, one block a layer: the parameters above, the last update below.

    `gap` is that between two blocks, in inches; more blocks stand closer.
    """
    numbered = list(enumerate(_layers(run)))
    shown = numbered if len(numbered) <= MOST_LAYERS else [*numbered[: MOST_LAYERS - 1], numbered[-1]]
    left_out = len(numbered) - len(shown)
    note = f"{left_out} of {len(numbered)} layers left out" if left_out else ""
    muted = page.style.muted
    page.heading(box.left, headings[0], "Weights and biases", [("biases below the gap", muted)])
    none = page.heading(box.left, headings[1], "Last update", [("" if run.step else "none yet", muted)])
    page.text(box.right, headings[1], note, SMALL, colour=muted, align="right")
    _key(page, box.right, headings[0])

    gap = gap if len(shown) == 2 else LAYER_GAP
    width = (box.width - gap * (len(shown) - 1)) / len(shown)
    height = (box.bottom - headings[1] - 0.25) // 0.01 * 0.01
    blocks: list[tuple[_Block, int, int]] = []  # with the layer's place, and 0 for parameters or 1 for their update
    for place, (layer, views) in enumerate(shown):
        left = round(box.left + place * (width + gap), 2)
        arrangement, side = arranged(views[0]["weights"], views[0]["biases"], width, height)
        inputs, outputs = views[0]["weights"].shape
        title = f"{'Layer ' if len(shown) < MOST_LAYERS else ''}{layer + 1}: {inputs}×{outputs}"
        page.text(left, headings[0] + 0.17, shortened(title, width, SMALL), SMALL, colour=muted)
        if side > 1:
            below = headings[1] + 0.25 + arrangement.cell * arrangement.edges()[-1]
            page.text(left, below + 0.13, "square: largest", SMALL, colour=muted)
            page.text(left, below + 0.25, f"of {side}×{side} weights", SMALL, colour=muted)
        for kind, top in enumerate((headings[0] + 0.4, headings[1] + 0.25)):
            block = _Block(page, (left, top), width, arrangement, side, views[kind], detail)
            blocks.append((block, layer, kind))

    def show(moment: Run) -> None:
        for text in none:
            text.set_text("" if moment.step else "none yet")
        layers = _layers(moment)
        for block, layer, kind in blocks:
            block.show(layers[layer][kind])

    return Panel([*none, *(artist for block, _, _ in blocks for artist in (block.text, block.mesh))], show)


def _layers(run: Run) -> list[tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]]:
    """Return the parameters of each layer that has some, and their last update."""
    views = zip(run.network.views(run.state.parameters), run.network.views(run.state.last_update), strict=True)
    return [(view, change) for view, change in views if "weights" in view]


class _Block:
    """The squares of one layer, and the largest value they stand for."""

    def __init__(
        self,
        page: Page,
        place: tuple[float, float],
        width: float,
        arrangement: Arrangement,
        side: int,
        values: dict[str, NDArray[Any]],
        detail: Detail,
    ) -> None:
        left, top = place
        self._width, self._arrangement, self._side = width, arrangement, side
        self._map, self._blend = diverging(page.style), detail.blend and detail.blend()
        share, said = self._shares(values)
        self.text = page.text(left, top - 0.09, said, SMALL, colour=page.style.muted)
        edges, cell = arrangement.edges(), arrangement.cell
        axes = page.bare_axes(Box(left, round(top, 2), cell * arrangement.columns, cell * edges[-1]))
        apart = cell >= SQUARE_CELL
        self.mesh = axes.pcolormesh(
            np.arange(arrangement.columns + 1),
            edges,
            share,
            cmap=self._map,
            vmin=-1,
            vmax=1,
            edgecolors=page.style.background if apart else "none",
            linewidth=min(1.0, 72 * cell * 0.13) if apart else 0,
            antialiased=apart,
            rasterized=not apart,
        )
        axes.set(xlim=(0, arrangement.columns), ylim=(edges[-1], 0))

    def show(self, values: dict[str, NDArray[Any]]) -> None:
        """Show other values of the same layer."""
        share, said = self._shares(values)
        self.text.set_text(said)
        if self._blend is None:
            self.mesh.set_array(share)
            return
        colours = self._map((share + 1) / 2)
        colours[..., :3] = self._blend(colours[..., :3]) / 255
        self.mesh.set_array(None)
        self.mesh.set_facecolor(colours.reshape(-1, 4))

    def _shares(self, values: dict[str, NDArray[Any]]) -> tuple[Any, str]:
        """Return the values as shares of the largest magnitude, laid out, and what says how large that is."""
        largest = max(float(np.abs(part).max()) for part in values.values())
        weights, biases = values["weights"], values["biases"].reshape(1, -1)
        if weights.shape[0] > weights.shape[1]:
            weights = weights.T
        side = self._side
        if side > 1:
            weights, biases = aggregated(weights, side), aggregated(np.repeat(biases, side, axis=0), side)
        grid = self._arrangement.grid(np.asarray(weights, dtype=np.float64), np.asarray(biases[0], dtype=np.float64))
        said = shortened(f"largest {number(largest, 3, largest=1e5)}", self._width, SMALL) if largest > 0 else ""
        return np.ma.masked_invalid(grid / largest if largest > 0 else grid), said


def _key(page: Page, right: float, baseline: float) -> None:
    """Explain the two colours at the right end of a heading."""
    entries: Sequence[tuple[str, str]] = (("negative", page.style.negative), ("positive", page.style.positive))
    for text, colour in reversed(entries):
        right -= text_width(text, SMALL)
        page.text(right, baseline, text, SMALL, colour=page.style.muted)
        right -= text_width("■", HEADING) + 0.04
        page.text(right, baseline, "■", HEADING, colour=colour)
        right -= 0.1
