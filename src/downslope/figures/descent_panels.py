"""The parts of a picture of descents: paths on a curve or a map, the gap against steps, the keys, the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from downslope.engines.descent import Descent
from downslope.figures.curves import thinned
from downslope.figures.descent_words import (
    gaps,
    last_shown,
    outcome,
    settings_of,
    settled_at,
    step_colours,
)  # fmt: skip
from downslope.figures.landscape import Label, place_labels
from downslope.figures.page import Box, Page, tick_texts
from downslope.figures.scales import linear_axis, log_axis, steps_between
from downslope.figures.style import SMALL, TEXT, Style, number, shortened, text_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

    from downslope.landscapes import Landscape

__all__ = [
    "ROW", "ball_edge", "colours_of_steps", "draw_gap_axes", "draw_gaps", "draw_ground_key", "draw_path", "draw_slide",
    "draw_step_key", "draw_table", "step_axis", "table_height",
]  # fmt: skip

ROW, INDENT = 0.2, 0.32  # inches from one line of the table to the next; before its names
FLOOR = 1e-12  # of the first gap: what is nearer to the minimum is drawn there
CEILING = 1e2  # of the first gap: what is farther leaves the picture
MARKED = 12  # markers on a path, besides its ends


def colours_of_steps(descent: Descent, style: Style) -> list[tuple[float, float, float, float]]:
    """Return a colour for each point that is shown, from the first to where the descent comes to rest."""
    shares = np.arange(last_shown(descent) + 1) / max(settled_at(descent), 1)
    red, green, blue, alpha = np.asarray(step_colours(style)(np.minimum(shares, 1.0))).T.tolist()
    return list(zip(red, green, blue, alpha, strict=True))


def ball_edge(style: Style) -> str:
    """Return the colour around a ball: dark in both styles."""
    return style.background if style.background < "#8" else style.ink


def draw_slide(page: Page, axes: Axes, box: Box, descent: Descent) -> None:
    """Draw a descent on a curve: a ball a step, joined by thin lines, coloured by step; its ends labelled."""
    from matplotlib.collections import LineCollection

    style, count = page.style, last_shown(descent) + 1
    points = np.column_stack([descent.points[:count, 0], descent.values[:count]])
    colours = colours_of_steps(descent, style)
    pieces = np.stack([points[:-1], points[1:]], axis=1)
    axes.add_collection(LineCollection(list(pieces), colors=colours[1:], linewidths=0.8, zorder=3), autolim=False)
    axes.scatter(
        points[:, 0], points[:, 1], s=38 if count <= 30 else 24 if count <= 100 else 17, c=colours,
        edgecolors=ball_edge(style), linewidths=0.4, zorder=4,
    )  # fmt: skip
    (low, high), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    seen = (points[:, 0] >= low) & (points[:, 0] <= high) & (points[:, 1] >= bottom) & (points[:, 1] <= top)
    x = np.linspace(low, high, 400)
    curve = np.column_stack([x, descent.landscape.value(x[:, np.newaxis])])
    minima = np.asarray(descent.landscape.minima, dtype=np.float64).reshape(-1, 1)
    stars = np.column_stack([minima, descent.landscape.value(minima)])
    between = np.linspace(0, 1, int(np.clip(4000 // count, 12, 200)))[:, np.newaxis]
    joined = (points[:-1, np.newaxis] + between * np.diff(points, axis=0)[:, np.newaxis]).reshape(-1, 2)
    labels = [Label(float(points[0, 0]), float(points[0, 1]), "start")] if seen[0] else []
    if count > 1 and seen[-1]:
        labels.append(Label(float(points[-1, 0]), float(points[-1, 1]), f"step {count - 1:,}"))
    crowd = np.concatenate([curve, points, points, joined, np.repeat(stars, 6, axis=0)])
    place_labels(page, axes, box, labels, crowd)


def draw_path(axes: Axes, descent: Descent, style: Style, index: int | None) -> None:
    """Draw a descent on a map: in its own colour with markers, or coloured by step where it is the only one."""
    from matplotlib.collections import LineCollection

    count = last_shown(descent) + 1
    points = np.asarray(descent.points[:count])
    axes.plot(points[:, 0], points[:, 1], color=style.background, linewidth=3.0, alpha=0.55, zorder=2.5)
    if index is None:
        colours = colours_of_steps(descent, style)
        pieces = np.stack([points[:-1], points[1:]], axis=1)
        line = LineCollection(list(pieces), colors=colours[1:], linewidths=1.4, zorder=3)
        axes.add_collection(line, autolim=False)
        axes.scatter(
            points[:, 0], points[:, 1], s=16, c=colours, edgecolors=ball_edge(style), linewidths=0.35, zorder=4
        )
    else:
        every = np.unique(np.linspace(0, count - 1, min(count, MARKED)).round().astype(np.int64))
        axes.plot(
            points[:, 0], points[:, 1], color=style.class_colour(index), marker=style.class_marker(index),
            markevery=every.tolist(), markersize=4.2, markeredgecolor=style.background, markeredgewidth=0.5,
            linewidth=1.5, zorder=3 + index * 0.01,
        )  # fmt: skip
    axes.plot(
        points[:1, 0], points[:1, 1], "o", markersize=7.5, markerfacecolor=style.background,
        markeredgecolor=style.ink, markeredgewidth=1.4, zorder=5,
    )  # fmt: skip


def step_axis(axes: Axes, steps: int, most: int = 4) -> None:
    """Give the x axis whole steps from 0."""
    axes.set_xlim(0, max(steps, 1))
    ticks = [tick for tick in steps_between(0, max(steps, 1), most) if tick == int(tick)]
    tick_texts(axes.xaxis, ticks, [f"{tick:,.0f}" for tick in ticks])


def draw_gap_axes(page: Page, box: Box, baseline: float, descents: Sequence[Descent]) -> tuple[Axes, float]:
    """Return axes under a heading for the gap to the minimum against steps, by factors, and the lowest gap drawn."""
    axes = page.axes(box, "step", "")
    everything = np.concatenate([gaps(one)[: last_shown(one) + 1] for one in descents])
    first = max(float(gaps(one)[0]) for one in descents) or float(everything.max()) or 1.0
    shown = np.clip(everything, FLOOR * first, CEILING * first)
    notes = []
    if not everything.any():
        notes.append("all at the minimum")
        linear_axis(axes.yaxis, 0.0, 1.0)
        tick_texts(axes.yaxis, [0.0], ["0"])
    elif float(shown.min()) == float(shown.max()):
        linear_axis(axes.yaxis, 0.0, 2 * float(shown.max()))
    else:
        log_axis(axes, shown)
        cut = float(everything.min()) < FLOOR * first  # what lies below, as 0, is drawn there
        notes.append(f"log, from {number(FLOOR * first, 2)}" if cut else "log scale")
    page.heading(box.left, baseline, "Value − minimum", [(note, page.style.muted) for note in notes])
    step_axis(axes, max(last_shown(one) for one in descents), max(2, round(box.width * 1.6)))
    return axes, FLOOR * first


def draw_gaps(axes: Axes, floor: float, descents: Sequence[Descent], style: Style) -> None:
    """Draw the gap to the minimum against steps, in the colours of the paths."""
    from matplotlib.collections import LineCollection

    for index, descent in enumerate(descents):
        count = last_shown(descent) + 1
        values = np.maximum(gaps(descent)[:count], floor)
        if len(descents) == 1:
            points = np.column_stack([np.arange(count), values])
            pieces = np.stack([points[:-1], points[1:]], axis=1)
            line = LineCollection(list(pieces), colors=colours_of_steps(descent, style)[1:], linewidths=1.8, zorder=3)
            axes.add_collection(line, autolim=False)
            continue
        places = thinned(values)
        axes.plot(places, values[places], color=style.class_colour(index), linewidth=1.4, zorder=3)
        if values[-1] <= axes.get_ylim()[1]:
            axes.plot(
                [count - 1], values[-1:], style.class_marker(index), color=style.class_colour(index), markersize=4.6,
                markeredgecolor=style.background, markeredgewidth=0.5, zorder=4, clip_on=False,
            )  # fmt: skip


def draw_step_key(page: Page, right: float, baseline: float, descents: Sequence[Descent]) -> None:
    """Write the key of the steps' colours, ending at `right`: step 0, the colours, the last step that moves."""
    style, settled = page.style, settled_at(descents[0])
    last = f"step {settled:,}" + (" and after" if settled < last_shown(descents[0]) else "")
    if len(descents) > 1:
        last = "where it comes to rest"
    width = text_width(last, SMALL)
    bar = Box(right - width - 0.08 - 0.9, baseline - 0.085, 0.9, 0.085)
    axes = page.bare_axes(bar)
    axes.imshow(step_colours(style)(np.linspace(0, 1, 128))[np.newaxis], aspect="auto", extent=(0, 1, 0, 1))
    page.text(bar.left - 0.08, baseline, "step 0", SMALL, colour=style.muted, align="right")
    page.text(right, baseline, last, SMALL, colour=style.muted, align="right")


def draw_ground_key(page: Page, left: float, baseline: float, landscape: Landscape, *, start: bool = True) -> None:
    """Write what the marks on a map mean."""
    style = page.style
    several = len(landscape.minima) > 1
    entries = [("o", "start")] if start else []
    entries.append(("*", f"minim{'a' if several else 'um'}, value {number(landscape.minimum)}"))
    if landscape.dimensions == 2 and landscape.local_minima:
        entries.append(("x", "local minimum" if len(landscape.local_minima) == 1 else "known local minima"))
    axes = page.bare_axes(Box(left, baseline - 0.12, 5.0, 0.16))
    axes.set(xlim=(0, 5.0), ylim=(0, 0.16))
    at = 0.06
    for marker, text in entries:
        axes.plot(
            [at], [0.076], marker, markersize={"o": 5.5, "*": 8.5, "x": 4.5}[marker], color=style.ink,
            markerfacecolor=style.background if marker == "o" else style.ink,
            markeredgecolor=style.muted if marker == "x" else style.ink, markeredgewidth=0.0 if marker == "*" else 1.2,
            clip_on=False,
        )  # fmt: skip
        page.text(left + at + 0.11, baseline, text, SMALL, colour=style.muted)
        at += 0.11 + text_width(text, SMALL) + 0.24


def table_height(descents: Sequence[Descent]) -> float:
    """Return how many inches the table takes below its first baseline."""
    return ROW * len(descents) + 0.06


def draw_table(
    page: Page, box: Box, descents: Sequence[Descent], labels: Sequence[str] | None, *, live: bool = False
) -> list[tuple[Text, Text]]:
    """Write a line a descent: marker, optimizer, settings, last value above the minimum, steps to the minimum.

    The box's top is the baseline of the headings. Returns the texts of the two numbers of each line; `live` leaves
    them to the caller to fill.
    """
    style = page.style
    ends = (box.right - 1.3, box.right)
    heads = ("value − minimum", "steps to the minimum", "optimizer")
    names = [type(one.optimizer).__name__ for one in descents] if labels is None else list(labels)
    settings = [settings_of(one.optimizer) for one in descents]
    room = ends[0] - text_width(heads[0], SMALL) - 0.2 - (box.left + INDENT)
    first = min(max(text_width(name, TEXT) for name in (*names, heads[2])) + 0.25, 0.6 * room)
    page.text(box.left + INDENT, box.top, heads[2], SMALL, colour=style.muted)
    page.text(box.left + INDENT + first, box.top, "settings", SMALL, colour=style.muted)
    for end, head in zip(ends, heads[:2], strict=True):
        page.text(end, box.top, head, SMALL, colour=style.muted, align="right")
    height = table_height(descents)
    axes = page.bare_axes(Box(box.left, box.top, box.width, height))
    axes.set(xlim=(0, box.width), ylim=(height, 0))
    numbers = []
    for index, (descent, name, told) in enumerate(zip(descents, names, settings, strict=True)):
        baseline = box.top + ROW * (index + 1)
        colour = style.class_colour(index) if len(descents) > 1 else style.ink
        axes.plot(
            [0.0, 0.2], [ROW * (index + 1) - 0.036] * 2, color=colour, linewidth=1.6, clip_on=False,
            marker=style.class_marker(index) if len(descents) > 1 else None, markevery=[1], markersize=4.6,
        )  # fmt: skip
        page.text(box.left + INDENT, baseline, shortened(name, first - 0.1, TEXT), TEXT)
        size = TEXT if text_width(told, TEXT) <= room - first else SMALL
        page.text(box.left + INDENT + first, baseline, shortened(told, room - first, size), size)
        value = "" if live else "—" if descent.exploded else number(float(gaps(descent)[-1]), 3)
        end_told = "" if live else outcome(descent)
        numbers.append((
            page.text(ends[0], baseline, value, TEXT, align="right"),
            page.text(ends[1], baseline, end_told, TEXT, align="right"),
        ))  # fmt: skip
    return numbers
