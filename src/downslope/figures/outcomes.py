"""Data with many inputs: what was predicted against what is true."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from downslope.figures.page import Box, Page, tick_texts
from downslope.figures.panel import Detail, Panel
from downslope.figures.sample import Sample, in_pieces, samples, scatter, titled
from downslope.figures.scales import LEAST, limits_of, linear_axis
from downslope.figures.style import SMALL, TEXT, printable, shortened, text_width

if TYPE_CHECKING:
    from matplotlib.artist import Artist

    from downslope.training import Run

__all__ = ["confusion", "draw_outcomes", "draw_predicted_against_true"]

DETAIL = Detail()
Shown: TypeAlias = "tuple[Sequence[Artist], Callable[[NDArray[np.int64]], None]]"
MOST_CLASSES, MOST_COUNTED, LISTED = 30, 12, 14


def confusion(run: Run, part: Sample) -> NDArray[np.int64]:
    """Return how many rows of each class (down) were taken for each class (across)."""
    classes = len(run.preparation.classes or ())
    probabilities = in_pieces(run, run.predict_proba, part.inputs)
    taken = np.where(np.isfinite(probabilities), probabilities, -1.0).argmax(axis=1)
    counts = np.bincount(part.targets * classes + taken, minlength=classes * classes)
    return np.asarray(counts.reshape(classes, classes), dtype=np.int64)


def draw_outcomes(page: Page, run: Run, box: Box, baseline: float, detail: Detail = DETAIL) -> Panel:
    """Draw the confusion matrix, of the validation part if there is one; of many classes, the hardest."""
    part = samples(run, most=None)[-1]
    counts = confusion(run, part)
    about = [(f"{part.name} part, {part.total:,} rows", page.style.muted)]
    if len(counts) > MOST_CLASSES:
        page.heading(box.left, baseline, "Hardest classes", about)
        artists, show = _hardest(page, run, box, baseline, counts)
    else:
        page.heading(box.left, baseline, "Confusion matrix", about)
        page.text(box.left, baseline + 0.17, "shade: share of the true class", SMALL, colour=page.style.muted)
        artists, show = _matrix(page, run, box, counts, detail)
    return Panel(artists, lambda moment: show(confusion(moment, part)))


def draw_predicted_against_true(page: Page, run: Run, box: Box, baseline: float, detail: Detail = DETAIL) -> Panel:
    """Draw each row's prediction over its true value, with the line where both agree."""
    style, parts, names = page.style, samples(run), run.preparation.target
    titled(page, box, baseline, "Predicted against true", parts)
    label = shortened(names[0], box.width - 0.7, TEXT)
    axes = page.axes(box, f"true {label}", f"predicted {label}", frame=True)
    true = [part.targets[:, 0] for part in parts]
    edges = limits_of(np.concatenate(true), 1.0, LEAST)  # a prediction far off is drawn at the edge

    def asked(moment: Run) -> tuple[list[NDArray[np.float64]], str]:
        answers = [
            in_pieces(moment, moment.predict, part.inputs).reshape(part.crowd, -1)[:, 0].astype(np.float64)
            for part in parts
        ]
        beyond = sum(int(np.count_nonzero((answer < edges[0]) | (answer > edges[1]))) for answer in answers)
        notes = [f"1 of {len(names)} targets"] if len(names) > 1 else []
        notes += [f"{beyond:,} beyond the edge"] if beyond else []
        return [np.clip(answer, *edges) for answer in answers], "; ".join(["line: exact prediction", *notes])

    answers, told = asked(run)
    note = page.text(box.left, baseline + 0.17, told, SMALL, colour=style.muted)
    low, high = limits_of(np.concatenate(true + answers), 0.04, LEAST)
    axes.plot([low, high], [low, high], color=style.ink, linewidth=0.8, zorder=1)
    points = []
    for part, across, up in zip(parts, true, answers, strict=True):
        held_out = part.name == "validation"
        colour = style.validation if held_out else style.class_colour(0)
        points.append(scatter(axes, style, part, across, up, colour=colour, alpha=None if held_out else 0.6))
    linear_axis(axes.xaxis, low, high)
    linear_axis(axes.yaxis, low, high)

    def show(moment: Run) -> None:
        answers, told = asked(moment)
        note.set_text(told)
        for drawn, across, up in zip(points, true, answers, strict=True):
            drawn.set_offsets(np.column_stack([across, np.clip(up, low, high)]))

    return Panel([*points, note, *axes.spines.values()], show)


def _matrix(page: Page, run: Run, box: Box, counts: NDArray[np.int64], detail: Detail) -> Shown:
    from matplotlib.colors import LinearSegmentedColormap

    style, classes = page.style, len(counts)
    names = run.preparation.classes or ()
    target = shortened(run.preparation.target[0], 1.2, TEXT)
    axes = page.axes(box, f"predicted {target}", f"true {target}", frame=True)
    shades = LinearSegmentedColormap.from_list("share", [style.zero, style.class_colour(0)])
    image = axes.imshow(_shares(counts), cmap=shades, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    edges = np.arange(classes - 1) + 0.5
    lines = axes.hlines(edges, -0.5, classes - 0.5, color=style.background, linewidth=0.8)
    columns = axes.vlines(edges, -0.5, classes - 0.5, color=style.background, linewidth=0.8)
    axes.set(xlim=(-0.5, classes - 0.5), ylim=(classes - 0.5, -0.5))
    size = SMALL if classes > 6 else TEXT
    texts = {
        (row, column): axes.text(column, row, "", ha="center", va="center", fontsize=size)
        for row, column in np.ndindex(counts.shape if classes <= MOST_COUNTED else (0, 0))
    }

    def count(counts: NDArray[np.int64]) -> None:
        shares = _shares(counts)
        for place, text in texts.items():
            text.set_text(f"{counts[place]:,}" if counts[place] else "")
            text.set_color(style.background if shares[place] > 0.55 else style.ink)

    count(counts)
    blend = detail.blend and detail.blend()

    def show(counts: NDArray[np.int64]) -> None:
        image.set_data(blend(shades(_shares(counts))[..., :3]) if blend else _shares(counts))
        count(counts)

    cell = box.width / classes
    every = max(1, round(0.15 / cell + 0.49))
    places = list(range(0, classes, every))
    upright = max(text_width(printable(name), SMALL) for name in names) > cell * every * 0.9
    tick_texts(axes.yaxis, places, [shortened(names[place], 0.38, SMALL) for place in places])
    room = 0.34 if upright else cell * every
    tick_texts(axes.xaxis, places, [shortened(names[place], room, SMALL) for place in places])
    if upright:
        axes.tick_params(axis="x", rotation=90)
    return [image, lines, columns, *texts.values(), *axes.spines.values()], show


def _shares(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return each count as a share of its true class."""
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


def _hardest(page: Page, run: Run, box: Box, baseline: float, counts: NDArray[np.int64]) -> Shown:
    style, names = page.style, run.preparation.classes or ()
    totals = counts.sum(axis=1)
    present = np.flatnonzero(totals)
    accuracy = counts.diagonal()[present] / totals[present]
    order = np.argsort(accuracy, kind="stable")[:LISTED]
    page.text(box.left, baseline + 0.17, f"{len(order)} of {len(counts):,} classes", SMALL, colour=style.muted)
    axes = page.axes(box, "share classified correctly", run.preparation.target[0])
    axes.grid(visible=False)
    bars = axes.barh(np.arange(len(order)), accuracy[order], height=0.62, color=style.class_colour(0))
    axes.set_ylim(len(order) - 0.4, -0.6)
    linear_axis(axes.xaxis, 0.0, 1.0)
    tick_texts(axes.yaxis, range(len(order)), [shortened(names[present[place]], 0.38, SMALL) for place in order])

    def show(counts: NDArray[np.int64]) -> None:
        for bar, share in zip(bars, (counts.diagonal()[present] / totals[present])[order], strict=True):
            bar.set_width(share)

    return [*bars, *axes.spines.values()], show
