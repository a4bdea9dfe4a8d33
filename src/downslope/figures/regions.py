"""Data with one or two inputs: decision regions, fields and curves, as what the network answers everywhere."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from downslope.figures.page import Box, Page
from downslope.figures.panel import Detail, Panel
from downslope.figures.sample import Sample, class_key, in_pieces, marker_size, samples, scatter, titled
from downslope.figures.scales import LEAST, limits_of, linear_axis
from downslope.figures.style import SMALL, TEXT, Style, shortened

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

    from downslope.training import Run

__all__ = ["draw_curve", "draw_field", "draw_probability_curves", "draw_regions", "grid_points", "region_image"]

DETAIL = Detail()
MULTIPLICATIONS = 6e9  # for one image; a wide network gets a coarser one
PALEST, STRONGEST = 0.10, 0.42  # share of a class's colour at chance and at certainty
MOST_TARGETS = 4


def grid_points(x: tuple[float, float], y: tuple[float, float], cells: int) -> NDArray[np.float64]:
    """Return the centres of cells × cells pixels, shape (cells², 2), the lowest row first."""
    place = (np.arange(cells) + 0.5) / cells
    across, up = np.meshgrid(x[0] + place * (x[1] - x[0]), y[0] + place * (y[1] - y[0]))
    return np.column_stack([across.ravel(), up.ravel()])


def region_image(probabilities: NDArray[Any], style: Style) -> NDArray[np.float64]:
    """Return a colour for each row of probabilities, shape (n, 3): the likeliest class's, stronger where surer.

    Certainty runs from 0 at chance, p = 1/classes, to 1 at p = 1. Where no probability is a number, the page shows.
    """
    from matplotlib.colors import to_rgb

    classes = probabilities.shape[1]
    known = np.isfinite(probabilities).all(axis=1)
    likeliest = np.where(known[:, np.newaxis], probabilities, 0.0)
    best = likeliest.max(axis=1)
    certainty = np.clip((best - 1 / classes) / (1 - 1 / classes), 0.0, 1.0)
    share = np.where(known, PALEST + (STRONGEST - PALEST) * certainty, 0.0)[:, np.newaxis]
    colours = np.array([to_rgb(style.class_colour(label)) for label in range(classes)])
    return np.asarray((1 - share) * np.array(to_rgb(style.background)) + share * colours[likeliest.argmax(axis=1)])


def draw_regions(page: Page, run: Run, box: Box, baseline: float, detail: Detail = DETAIL) -> Panel:
    """Draw points over decision regions of two inputs."""
    style, parts = page.style, samples(run)
    titled(page, box, baseline, "Decision regions", parts)
    class_key(page, box, baseline + 0.17, run)
    axes, x, y, cells = _plane(page, run, box, parts, detail.cells)
    points, blend = grid_points(x, y, cells), detail.blend and detail.blend()

    def colours(moment: Run) -> NDArray[np.float64]:
        image = region_image(in_pieces(moment, moment.predict_proba, points), style)
        return image.reshape(cells, cells, 3)

    image = axes.imshow(colours(run), extent=(*x, *y), origin="lower", aspect="auto", interpolation="bilinear")
    artists: list[Artist] = [image, *axes.spines.values()]
    for part in parts:
        for label in np.unique(part.targets):
            colour, marker = style.class_colour(label), style.class_marker(label)
            x_of, y_of = part.inputs[part.targets == label].T
            artists.append(scatter(axes, style, part, x_of, y_of, colour=colour, marker=marker))

    def show(moment: Run) -> None:  # what is drawn before is not of the animation: blending begins here
        due = colours(moment)
        image.set_data(blend(due) if blend else due)

    return Panel(artists, show)


def draw_field(page: Page, run: Run, box: Box, baseline: float, detail: Detail = DETAIL) -> Panel:
    """Draw the predicted value over two inputs as colour, with the rows in the colours of their true values."""
    import matplotlib as mpl
    from matplotlib.colors import Normalize

    style, parts, names = page.style, samples(run), run.preparation.target
    several = f" (1 of {len(names)} targets)" if len(names) > 1 else ""
    titled(page, box, baseline, "Predicted value", parts, mark="squares")
    page.text(box.left, baseline + 0.17, f"points: true value{several}", SMALL, colour=style.muted)
    bar = Box(round(box.right - 0.56, 2), box.top, 0.1, box.height)
    inner = Box(box.left, box.top, round(bar.left - 0.12 - box.left, 2), box.height)
    axes, x, y, cells = _plane(page, run, inner, parts, detail.cells)
    points, blend = grid_points(x, y, cells), detail.blend and detail.blend()

    def values(moment: Run) -> NDArray[np.float64]:
        return in_pieces(moment, moment.predict, points).reshape(len(points), -1)[:, 0].astype(np.float64)

    field = values(run)
    true = np.concatenate([part.targets[:, 0] for part in parts])
    low, high = limits_of(np.concatenate([true, _central(field, true)]), 0.0, LEAST)
    scale = Normalize(low, high, clip=True)
    image = axes.imshow(
        np.ma.masked_invalid(field.reshape(cells, cells)),
        extent=(*x, *y),
        origin="lower",
        aspect="auto",
        cmap=style.field,
        norm=scale,
        interpolation="nearest",
    )
    artists: list[Artist] = [image, *axes.spines.values()]
    for part in parts:
        drawn = axes.scatter(
            part.inputs[:, 0],
            part.inputs[:, 1],
            c=part.targets[:, 0],
            cmap=style.field,
            norm=scale,
            s=marker_size(part.crowd) * 1.4,
            marker="s" if part.name == "validation" else "o",
            edgecolors="#ffffff",  # shows on every colour of the field, in both styles
            linewidths=0.7,
            rasterized=part.crowd > 1000,
        )
        artists.append(drawn)
    side = page.axes(bar, "", "", frame=True)
    side.imshow(np.linspace(0, 1, 256)[:, np.newaxis], extent=(0, 1, low, high), origin="lower", aspect="auto",
                cmap=style.field)  # fmt: skip
    side.yaxis.tick_right()
    side.set_xticks([])
    linear_axis(side.yaxis, low, high)
    page.text(box.right, baseline + 0.17, shortened(names[0], 1.2, TEXT), TEXT, colour=style.muted, align="right")

    def show(moment: Run) -> None:
        due = np.ma.masked_invalid(values(moment).reshape(cells, cells))
        if blend is None:
            image.set_data(due)
            return
        shades = mpl.colormaps[style.field](scale(due))  # where there is no value, the page shows
        shown = shades[..., :3] * shades[..., 3:] + np.array(mpl.colors.to_rgb(style.background)) * (
            1 - shades[..., 3:]
        )
        image.set_data(blend(shown))

    return Panel(artists, show)


def draw_curve(page: Page, run: Run, box: Box, baseline: float, detail: Detail = DETAIL) -> Panel:
    """Draw the fitted curve of each target over the rows."""
    style, parts, names = page.style, samples(run), run.preparation.target
    shown = names[:MOST_TARGETS]
    titled(page, box, baseline, "Fitted curve", parts)
    everything = np.concatenate([part.targets[:, : len(shown)] for part in parts])
    axes, x = _line_axes(page, run, box, parts, names[0] if len(names) == 1 else "target")
    at = np.linspace(*x, detail.cells)[:, np.newaxis]

    def values(moment: Run) -> NDArray[np.float64]:
        return in_pieces(moment, moment.predict, at).reshape(len(at), -1)[:, : len(shown)].astype(np.float64)

    curves = values(run)
    low, high = limits_of(np.concatenate([everything.ravel(), _central(curves, everything)]), 0.06, LEAST)
    linear_axis(axes.yaxis, low, high)

    def note(curves: NDArray[np.float64]) -> str:
        outside = "" if ((curves >= low) & (curves <= high)).all() else ", partly outside"
        return f"line: prediction{outside}"

    left = box.left
    lines, points, notes = [], [], []
    for place, name in enumerate(shown):
        colour = style.class_colour(place)
        points += [
            scatter(axes, style, part, part.inputs[:, 0], part.targets[:, place], colour=colour) for part in parts
        ]
        line = _finite(curves[:, place])
        lines += axes.plot(at[:, 0], line, color=style.ink if len(names) == 1 else colour, linewidth=1.8, zorder=4)
        if len(names) > 1:
            page.text(left, baseline + 0.17, shortened(name, 0.55, SMALL), SMALL, colour=style.class_ink(place))
            left += 0.62
    if len(names) > len(shown):
        page.text(left, baseline + 0.17, f"+{len(names) - len(shown)} more", SMALL, colour=style.muted)
    if len(names) == 1:
        notes = [page.text(box.left, baseline + 0.17, note(curves), SMALL, colour=style.muted)]

    def show(moment: Run) -> None:
        curves = values(moment)
        for line, heights in zip(lines, curves.T, strict=True):
            line.set_ydata(_finite(heights))
        for text in notes:
            text.set_text(note(curves))

    return Panel([*points, *lines, *notes, *axes.spines.values()], show)


def draw_probability_curves(page: Page, run: Run, box: Box, baseline: float, detail: Detail = DETAIL) -> Panel:
    """Draw each class's probability over one input, and every row at the probability of its true class."""
    style, parts = page.style, samples(run)
    titled(page, box, baseline, "Probability of each class", parts)
    class_key(page, box, baseline + 0.17, run)
    axes, x = _line_axes(page, run, box, parts, "probability; points: of the true class")
    linear_axis(axes.yaxis, -0.03, 1.03)
    at = np.linspace(*x, detail.cells)[:, np.newaxis]

    def own(moment: Run, part: Sample) -> NDArray[Any]:
        chances = in_pieces(moment, moment.predict_proba, part.inputs)
        return np.asarray(chances[np.arange(len(part.inputs)), part.targets])

    curves, lines, points = in_pieces(run, run.predict_proba, at), [], []
    for label in range(curves.shape[1]):
        lines += axes.plot(at[:, 0], curves[:, label], color=style.class_colour(label), linewidth=1.4, zorder=2)
    for part in parts:
        heights = own(run, part)
        for label in np.unique(part.targets):
            of_class = part.targets == label
            colour, marker = style.class_colour(label), style.class_marker(label)
            x_of = part.inputs[of_class, 0]
            drawn = scatter(axes, style, part, x_of, heights[of_class], colour=colour, marker=marker)
            points.append((drawn, part, of_class))

    def show(moment: Run) -> None:
        for line, heights in zip(lines, in_pieces(moment, moment.predict_proba, at).T, strict=True):
            line.set_ydata(heights)
        of_part = {part.name: own(moment, part) for part in parts}
        for drawn, part, of_class in points:
            drawn.set_offsets(np.column_stack([part.inputs[of_class, 0], of_part[part.name][of_class]]))

    return Panel([*lines, *(drawn for drawn, _, _ in points), *axes.spines.values()], show)


def _plane(
    page: Page, run: Run, box: Box, parts: list[Sample], finest: int
) -> tuple[Axes, tuple[float, float], tuple[float, float], int]:
    """Return axes over both inputs, their limits, and how many pixels a side an image of them has."""
    inputs = np.concatenate([part.inputs for part in parts])
    x, y = (limits_of(inputs[:, column], 0.05, LEAST) for column in (0, 1))
    spread = (x[1] - x[0]) / box.width, (y[1] - y[0]) / box.height
    if max(spread) <= 3 * min(spread):  # comparable ranges: one unit is as long across as up
        x = _widened(x, max(spread) * box.width)
        y = _widened(y, max(spread) * box.height)
    names = run.preparation.features
    axes = page.axes(box, shortened(names[0], box.width, TEXT), shortened(names[1], box.height, TEXT), frame=True)
    linear_axis(axes.xaxis, *x)
    linear_axis(axes.yaxis, *y)
    cells = int(np.clip(math.sqrt(MULTIPLICATIONS / run.network.parameter_count), 40, finest))
    return axes, x, y, cells


def _line_axes(page: Page, run: Run, box: Box, parts: list[Sample], label: str) -> tuple[Axes, tuple[float, float]]:
    x = limits_of(np.concatenate([part.inputs[:, 0] for part in parts]), 0.04, LEAST)
    feature = shortened(run.preparation.features[0], box.width, TEXT)
    axes = page.axes(box, feature, shortened(label, box.height, TEXT), frame=True)
    linear_axis(axes.xaxis, *x)
    return axes, x


def _widened(limits: tuple[float, float], length: float) -> tuple[float, float]:
    middle = (limits[0] + limits[1]) / 2
    return middle - length / 2, middle + length / 2


def _finite(heights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return heights with a gap where one is not finite."""
    return np.where(np.isfinite(heights), heights, np.nan)


def _central(predicted: NDArray[Any], true: NDArray[Any]) -> NDArray[Any]:
    """Return predictions near the true values: a fit far off must not press the data flat."""
    low, high = limits_of(true, 1.0, LEAST)
    return np.asarray(np.clip(predicted[np.isfinite(predicted)], low, high))
