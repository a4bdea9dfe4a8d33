"""Data with many inputs and few classes: rows on their first two principal axes, coloured by what is predicted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from downslope.figures.page import Box, Page
from downslope.figures.panel import Blend, Detail, Panel
from downslope.figures.sample import class_key, in_pieces, marker_size, samples, scatter, titled
from downslope.figures.scales import limits_of, linear_axis

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from downslope.training import Run

__all__ = ["MOST_CLASSES", "Plane", "draw_projection"]

MOST_CLASSES = 8  # as many colours as there are
DETAIL = Detail()


class Plane(NamedTuple):
    """The two directions along which standardized inputs vary most.

    With X the rows less `mean`, over `scale`, and X = U·S·Vᵀ its singular value decomposition, the axes are the first
    two columns of V, each with its largest entry positive, and row x lies at ((x − mean) / scale) · axes.
    Source: Pearson (1901), "On lines and planes of closest fit to systems of points in space".
    """

    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    axes: NDArray[np.float64]
    share: float

    @classmethod
    def of(cls, rows: NDArray[np.float64]) -> Plane:
        """Return the plane of rows of shape (n, d); `share` is how much of their variance lies in it."""
        mean, scale = rows.mean(axis=0), rows.std(axis=0)
        scale = np.where(scale > 0, scale, 1.0)
        _, values, directions = np.linalg.svd((rows - mean) / scale, full_matrices=False)
        axes = np.zeros((rows.shape[1], 2))
        axes[:, : len(directions[:2])] = directions[:2].T
        signs = np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
        total = float(np.square(values).sum())
        return cls(
            mean, scale, axes * np.where(signs == 0, 1, signs), float(np.square(values[:2]).sum()) / (total or 1.0)
        )

    def places(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where rows lie in the plane, shape (n, 2)."""
        return np.asarray((rows - self.mean) / self.scale @ self.axes)


def _blended(axes: Axes, marks: Sequence[Artist], blend: Blend) -> Artist:
    """Return one artist that draws all marks and passes what then stands in the axes through `blend`.

    Marks lie on one another, and rings come and go: only their pixels together can be kept calm.
    """
    from matplotlib.artist import Artist

    class Blended(Artist):
        def draw(self, renderer: Any) -> None:
            if not self.get_visible():
                return
            for mark in marks:
                mark.draw(renderer)
            pixels = np.asarray(renderer.buffer_rgba())
            box = axes.get_window_extent()
            rows = slice(len(pixels) - math.ceil(box.y1), len(pixels) - math.floor(box.y0))
            shown = pixels[rows, math.floor(box.x0) : math.ceil(box.x1), :3]
            shown[...] = blend(shown / 255)

    for mark in marks:
        mark.set_animated(True)  # drawn only here
    whole = Blended()
    whole.set_zorder(max(mark.get_zorder() for mark in marks))
    return whole


def draw_projection(page: Page, run: Run, box: Box, baseline: float, detail: Detail = DETAIL) -> Panel:
    """Draw every row on the first two principal axes of the training inputs: its marker is its true class.

    Its colour is the class it is taken for, and a ring tells where that is wrong.
    """
    from matplotlib.colors import to_rgb

    style, parts = page.style, samples(run)
    plane = Plane.of(parts[0].inputs)
    titled(page, box, baseline, "Predicted classes", parts)
    class_key(page, box, baseline + 0.17, run)
    places = [plane.places(part.inputs) for part in parts]
    axes = page.axes(
        box, "first principal axis; ringed: wrong", f"second; {plane.share:.0%} of variance in both", frame=True
    )
    for axis, column in ((axes.xaxis, 0), (axes.yaxis, 1)):
        linear_axis(axis, *limits_of(np.concatenate([place[:, column] for place in places]), 0.05))
    names = [style.class_colour(label) for label in range(len(run.preparation.classes or ()))]
    colours = np.array([to_rgb(name) for name in names])
    drawn, rings = [], []
    for part, place in zip(parts, places, strict=True):
        ring = axes.scatter([], [], s=marker_size(part.crowd) * 2.6, facecolors="none", edgecolors=style.ink,
                            linewidths=0.8, zorder=4)  # fmt: skip
        rings.append(ring)
        for label in np.unique(part.targets):
            of_class = np.flatnonzero(part.targets == label)
            points = scatter(
                axes, style, part, *place[of_class].T, colour=names[label], marker=style.class_marker(label)
            )
            drawn.append((points, part, of_class))

    def show(moment: Run) -> None:
        taken = {}
        for part, place, ring in zip(parts, places, rings, strict=True):
            chances = in_pieces(moment, moment.predict_proba, part.inputs)
            taken[part.name] = np.where(np.isfinite(chances), chances, -1.0).argmax(axis=1)
            ring.set_offsets(place[taken[part.name] != part.targets])
        for points, part, of_class in drawn:
            shades = colours[taken[part.name][of_class]]
            if part.name == "validation":
                points.set_edgecolor(shades)
            else:
                points.set_facecolor(shades)

    show(run)
    marks: list[Artist] = [*(points for points, _, _ in drawn), *rings]
    if detail.blend:
        marks = [_blended(axes, marks, detail.blend())]
    artists = [*marks, *axes.spines.values()]
    return Panel(artists, show)
