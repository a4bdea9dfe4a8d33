"""Learning rates against the step: what schedules do, before any training."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

from downslope import checks
from downslope.figures.curves import thinned
from downslope.figures.drawing import PICTURES, drawing, save
from downslope.figures.page import Box, Page, apart, tick_texts
from downslope.figures.scales import linear_axis, log_axis, spans_more_than, steps_between
from downslope.figures.style import SMALL, TEXT, TITLE, readable, shortened, styled, text_width
from downslope.files import place
from downslope.schedules import Schedule

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["schedule_picture"]

WIDTH, HEIGHT = 8.0, 3.6
MOST_LINES = 8
LINE = 0.17  # inches from one label to the next


def schedule_picture(
    schedules: Schedule | Mapping[str, Schedule],
    path: str | os.PathLike[str] | None = None,
    *,
    steps: int = 1000,
    style: Literal["light", "dark"] = "light",
    title: str | None = None,
) -> Figure:
    """Draw the learning rate of each step, η_k over k = 0 … steps − 1, one line a schedule.

    Parameters
    ----------
    schedules : Schedule or mapping of names to them
        At most eight.
    path : str or path, optional
        Where to write it: .png, .svg or .pdf. The file is whole or not there.
    steps : int
        How many steps, at least 2.
    style : "light" or "dark"
        Colours on white or on near black.
    title : str, optional
        In place of "Learning rate".

    Raises
    ------
    InputError
        If something is not a schedule, there are too many, or the file cannot be written.
    """
    named = {repr(schedules): schedules} if isinstance(schedules, Schedule) else schedules
    if not isinstance(named, Mapping) or not 1 <= len(named) <= MOST_LINES:
        raise checks.refuse("schedules", f"a schedule, or a mapping of 1 to {MOST_LINES} names to schedules", schedules)
    for name, one in named.items():
        if not isinstance(one, Schedule):
            raise checks.refuse(f"schedules[{name!r}]", "a schedule such as InverseTime(1.0, decay=0.1)", one)
    count = checks.whole("steps", steps, at_least=2)
    if title is not None:
        checks.text("title", title)
    colours = styled(style)
    file = None if path is None else place("path", path, PICTURES)
    k = np.unique(np.linspace(0, count - 1, min(count, 4001)).round().astype(np.int64))
    rates = {str(name): np.asarray(one(k), dtype=np.float64) for name, one in named.items()}
    with drawing():
        page = Page(WIDTH, HEIGHT, colours)
        page.text(0.66, 0.36, shortened(title or "Learning rate", WIDTH - 1.0, TITLE), TITLE, weight="bold")
        labels = {name: shortened(name, 2.4, TEXT) for name in rates}
        room = max(text_width(label, TEXT) for label in labels.values()) + 0.3
        box = Box(0.66, 0.6, WIDTH - 0.66 - room - 0.1, HEIGHT - 0.6 - 0.56)
        axes = page.axes(box, "step", "")
        everything = np.concatenate(list(rates.values()))
        if spans_more_than(everything, 2.0) and len(rates) > 1:
            log_axis(axes, everything)
            page.text(box.right, 0.5, "log scale", SMALL, colour=colours.muted, align="right")
        else:
            linear_axis(axes.yaxis, 0.0, 1.05 * float(everything.max()))
        axes.set_xlim(0, count - 1)
        ticks = steps_between(0, count - 1)
        tick_texts(axes.xaxis, ticks, [f"{tick:,.0f}" for tick in ticks])
        few = count <= 60
        if few:
            axes.tick_params(axis="y", pad=5.0)  # clear of the dot at step 0
        ends = []
        for index, (name, values) in enumerate(rates.items()):
            places = thinned(values)
            colour = colours.ink if len(rates) == 1 else colours.class_colour(index)
            marker = "o" if few else None
            axes.plot(k[places], values[places], marker=marker, c=colour, lw=1.6, ms=3.4, clip_on=False)
            height = axes.transAxes.inverted().transform(axes.transData.transform((0, values[-1])))[1]
            ends.append((box.bottom - float(np.clip(height, 0, 1)) * box.height, labels[name], colour))
        ends.sort()
        baselines = apart([end[0] for end in ends], LINE, box.top, HEIGHT - 0.5)
        for baseline, (_, label, colour) in zip(baselines, ends, strict=True):
            page.text(box.right + 0.12, baseline + 0.035, label, TEXT, colour=readable(colour, colours.background))
        if file is not None:
            save(page.figure, file)
    return page.figure
