"""A function of one or two variables as the ground of a picture: its curve or its contours, and its minima."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from downslope.figures.page import Box, Page
from downslope.figures.scales import limits_of, linear_axis
from downslope.figures.style import SMALL, Style, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from downslope.landscapes import Landscape

__all__ = ["Label", "draw_contours", "draw_curve", "draw_star", "halo", "place_labels", "to_inches"]

FINE, GRID = 1201, 241
LEVELS = 14
LOG_FROM = 40.0  # the 95th percentile of the values is so many times the 5th: levels are spaced by factors


def halo(style: Style, width: float = 2.4) -> list[Any]:
    """Return the effect that keeps a line or a text apart from what is under it."""
    from matplotlib.patheffects import withStroke

    return [withStroke(linewidth=width, foreground=style.background)]


def draw_star(axes: Axes, x: Any, y: Any, style: Style, size: float = 11.0) -> None:
    """Mark global minima."""
    axes.plot(
        x, y, "*", markersize=size, markerfacecolor=style.ink, markeredgecolor=style.background, markeredgewidth=0.9,
        zorder=6, clip_on=False,
    )  # fmt: skip


def draw_curve(page: Page, box: Box, landscape: Landscape, *, labels: tuple[bool, bool] = (True, True)) -> Axes:
    """Draw a function of one variable over its limits, its global minima starred."""
    style = page.style
    axes = page.axes(box, "x" if labels[0] else "", "f(x)" if labels[1] else "")
    (low, high), *_ = landscape.limits
    x = np.linspace(low, high, FINE)
    values = landscape.value(x[:, np.newaxis])
    bottom, top = limits_of(values, 0.04)
    linear_axis(axes.xaxis, low, high, most=8)
    linear_axis(axes.yaxis, bottom - 0.1 * (top - bottom), top, most=max(2, round(2 * box.height)))
    axes.plot(x, values, color=style.muted, linewidth=1.3, zorder=2)
    minima = np.asarray(landscape.minima, dtype=np.float64).reshape(-1, 1)
    draw_star(axes, minima[:, 0], landscape.value(minima), style)
    if not labels[0]:
        axes.tick_params(axis="x", labelbottom=False)
    return axes


def draw_contours(page: Page, box: Box, landscape: Landscape) -> tuple[Axes, bool]:
    """Draw a function of two variables as filled contours, deeper where lower, its minima marked.

    Returns the axes, and whether the levels are spaced by factors above the minimum.
    """
    from matplotlib.colors import LinearSegmentedColormap

    style = page.style
    axes = page.axes(box, "x", "y", frame=True)
    axes.grid(visible=False)
    axes.tick_params(axis="y", length=2.5)
    (left, right), (bottom, top) = landscape.limits
    linear_axis(axes.xaxis, left, right, most=6)
    linear_axis(axes.yaxis, bottom, top, most=6)
    x, y = np.linspace(left, right, GRID), np.linspace(bottom, top, GRID)
    points = np.stack(np.meshgrid(x, y), axis=-1)
    minima = np.asarray(landscape.minima, dtype=np.float64)
    above = np.maximum(landscape.value(points) - float(landscape.value(minima).min()), 0.0)
    levels, log = _levels(above)
    deep, high = _ground(style)
    colours = LinearSegmentedColormap.from_list("ground", [deep, high])(np.linspace(0, 1, len(levels) - 1))
    axes.contourf(x, y, above, levels=levels, colors=list(colours), zorder=0.5)
    axes.contour(x, y, above, levels=levels[1:-1], colors=style.rule, linewidths=0.35, zorder=0.6)
    known = np.asarray(landscape.local_minima, dtype=np.float64).reshape(-1, 2)
    axes.plot(known[:, 0], known[:, 1], "x", color=style.muted, markersize=4.5, markeredgewidth=1.0, zorder=1)
    draw_star(axes, minima[:, 0], minima[:, 1], style)
    return axes, log


def _levels(above: NDArray[np.float64]) -> tuple[NDArray[np.float64], bool]:
    """Return the contours' levels from 0 to the highest value: even, or by factors where most of the ground is low."""
    high = float(above.max()) * (1 + 1e-9) or 1.0
    low, most = (float(np.quantile(above, share)) for share in (0.05, 0.95))
    if low > 0 and most / low > LOG_FROM:
        first = max(float(np.quantile(above, 0.01)), 1e-6 * high)
        return np.concatenate([[0.0], np.geomspace(first, high, LEVELS)]), True
    return np.linspace(0.0, high, LEVELS + 1), False


def _ground(style: Style) -> tuple[str, str]:
    """Return the colours of the lowest and the highest ground: quiet, so that paths stand out."""
    return ("#0d1117", "#3d4654") if style.background < "#8" else ("#b4c3d6", "#fafbfc")


class Label(NamedTuple):
    """A word at a point, in data."""

    x: float
    y: float
    text: str


def to_inches(axes: Axes, box: Box, points: Any) -> NDArray[np.float64]:
    """Return data points in inches from the box's left and top; the axes are linear."""
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    data = np.asarray(points, dtype=np.float64).reshape(-1, 2)
    across = (data[:, 0] - left) / (right - left) * box.width
    down = (top - data[:, 1]) / (top - bottom) * box.height
    return np.stack([across, down], axis=1)


def place_labels(page: Page, axes: Axes, box: Box, labels: Sequence[Label], obstacles: Any) -> None:
    """Write words beside their points where they cover least: not one another, not the obstacles, not the frame."""
    style, height = page.style, 0.12
    crowd = to_inches(axes, box, obstacles)
    crowd = crowd[((crowd > -1.0) & (crowd < 20.0)).all(axis=1)]
    taken: list[tuple[float, float, float, float]] = []
    for label in labels:
        (x, y), width = to_inches(axes, box, [(label.x, label.y)])[0], text_width(label.text, SMALL)
        best: tuple[float, tuple[float, float, float, float]] | None = None
        for reach in (0.1, 0.18, 0.28, 0.42, 0.6):
            for across in (0.0, 1.0, -1.0):
                for down in (-1.0, 1.0, 0.0):
                    if across == down == 0.0:
                        continue
                    middle = x + across * (reach + width / 2), y + down * (reach + height / 2)
                    place = (
                        middle[0] - width / 2 - 0.03, middle[1] - height / 2 - 0.02,
                        middle[0] + width / 2 + 0.03, middle[1] + height / 2 + 0.02,
                    )  # fmt: skip
                    cost = 8 * reach + _covered(place, crowd) + 1000 * sum(_meet(place, one) for one in taken)
                    cost += 1000 * (place[0] < 0 or place[1] < 0 or place[2] > box.width or place[3] > box.height)
                    if best is None or cost < best[0]:
                        best = (cost, place)
        assert best is not None
        taken.append(best[1])
        written = page.text(
            box.left + (best[1][0] + best[1][2]) / 2, box.top + best[1][3] - 0.04, label.text, SMALL, align="center"
        )
        written.set_path_effects(halo(style))


def _covered(place: tuple[float, float, float, float], crowd: NDArray[np.float64]) -> float:
    within = (crowd[:, 0] > place[0]) & (crowd[:, 0] < place[2]) & (crowd[:, 1] > place[1]) & (crowd[:, 1] < place[3])
    return float(np.count_nonzero(within))


def _meet(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
