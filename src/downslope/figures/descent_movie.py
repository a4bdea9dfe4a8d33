"""Descents as animations: balls with their trails, and the value against steps as it grows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from downslope import checks
from downslope.engines.descent import Descent
from downslope.figures.descent_panels import (
    ball_edge,
    colours_of_steps,
    draw_gap_axes,
    draw_ground_key,
    draw_step_key,
    draw_table,
    table_height,
)  # fmt: skip
from downslope.figures.descent_words import PathLike, checked_descents, checked_labels, gaps, last_shown, outcome
from downslope.figures.drawing import drawing
from downslope.figures.landscape import draw_contours, draw_curve
from downslope.figures.movies import Canvas, Frame, check_movies, write_movies
from downslope.figures.page import Box, Page
from downslope.figures.style import HEADING, TEXT, TITLE, Style, number, shortened, styled

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

__all__ = ["Scene", "descent_animation", "shown_steps"]

FRAMES = 90
SECONDS = 9.0  # the frames between the first and the last take about so long together
FIRST, LAST = 0.8, 2.5  # seconds the start and the end are held
SLOWEST, FASTEST = 0.35, 0.08  # seconds a frame between them takes
WIDTH, LEFT, RIGHT = 8.0, 0.66, 7.74
TOP = 1.0


def shown_steps(steps: int, frames: int) -> NDArray[np.int64]:
    """Return which steps become frames: at most `frames` of 0 … steps, ascending, with both ends.

    Frame i of n shows step steps · (i/(n − 1))², rounded, and always a later one than the frame before: every early
    step is seen, and the strides grow evenly. Few steps are all shown.
    """
    if steps < frames:
        return np.arange(steps + 1)
    chosen = np.rint(steps * (np.arange(frames) / (frames - 1)) ** 2).astype(np.int64)
    first = np.arange(frames)
    return np.maximum(chosen, first)


def descent_animation(
    descents: Descent | Sequence[Descent],
    paths: PathLike | Sequence[PathLike],
    *,
    style: Literal["light", "dark"] = "light",
    title: str | None = None,
    labels: Sequence[str] | None = None,
    frames: int | None = None,
) -> None:
    """Animate one descent, or several that go down one landscape together.

    Balls with their trails on the function's curve or map, a counter of the steps, and the value above the minimum
    against steps, by factors. One descent is coloured by step, several each in a colour and marker of its own. Early
    steps are each a frame, later ones every few steps; the start is held a little, the end two and a half seconds.

    Parameters
    ----------
    descents : Descent or sequence of Descent
        1 to 12, on one landscape, as from `descend`.
    paths : str, path, or sequence of them
        Files ending in .gif, .mp4 (needs ffmpeg) or .html (a player); 800 pixels wide. Each is whole or not there.
    style : "light" or "dark"
        Colours on white or on near black.
    title : str, optional
        In place of the landscape's.
    labels : sequence of str, optional
        What each descent is called, in place of its optimizer's name.
    frames : int, optional
        At most so many, at least 2; left out, 90.

    Raises
    ------
    InputError
        If the descents are on several landscapes, an argument is not legal, ffmpeg is missing for .mp4, or a file
        cannot be written.
    """
    found = checked_descents(descents)
    if labels is not None:
        checked_labels(labels, found)
    if title is not None:
        checks.text("title", title)
    most = FRAMES if frames is None else checks.whole("frames", frames, at_least=2)
    files, colours = check_movies(paths), styled(style)
    steps = shown_steps(max(last_shown(one) for one in found), most)
    named = found[0].landscape.title if title is None else title
    drawn = _frames(found, colours, named, None if labels is None else list(labels), steps)
    write_movies(files, drawn, title=named, style=style)


def _frames(
    descents: list[Descent], style: Style, title: str, labels: list[str] | None, steps: NDArray[np.int64]
) -> Iterator[Frame]:
    with drawing():
        scene = Scene(descents, style, title, labels)
    between = float(np.clip(SECONDS / max(len(steps) - 2, 1), FASTEST, SLOWEST))
    for place, step in enumerate(steps.tolist()):
        seconds = LAST if step == steps[-1] else FIRST if place == 0 else between
        with drawing():  # only while a frame is drawn: others may draw while this one is written
            pixels = scene.at(step)
        yield Frame(pixels, seconds, f"step {step:,}")


class Scene:
    """The page with everything that stays, and one runner for each descent."""

    def __init__(self, descents: list[Descent], style: Style, title: str, labels: list[str] | None) -> None:
        landscape, alone = descents[0].landscape, len(descents) == 1
        flat = landscape.dimensions == 1
        ground = Box(LEFT, TOP, RIGHT - LEFT, 2.5) if flat else Box(LEFT, TOP, 4.1, 3.7)
        side = Box(LEFT, ground.bottom + 0.8, RIGHT - LEFT, 1.15) if flat else Box(5.36, TOP, RIGHT - 5.36, 3.7)
        key = side.bottom + 0.56
        table = Box(LEFT, key + 0.34, RIGHT - LEFT, table_height(descents))
        height = round(50 * (table.bottom + 0.16)) / 50  # a whole and even number of pixels
        page = Page(WIDTH, height, style)
        width = RIGHT - LEFT
        page.text(LEFT, 0.36, shortened(title, (width - 1.2) / 1.15, TITLE), TITLE, weight="bold")
        page.text(LEFT, 0.58, shortened(landscape.formula, width, TEXT), TEXT, colour=style.muted)
        if flat:
            axes = draw_curve(page, ground, landscape)
        else:
            axes, log = draw_contours(page, ground, landscape)
            told = f"darker is lower{', levels by factors' if log else ''}"
            page.heading(ground.left, TOP - 0.12, "Paths", [(told, style.muted)])
        graph, floor = draw_gap_axes(page, side, side.top - 0.12, descents)
        draw_ground_key(page, LEFT, key, landscape)
        if alone:
            draw_step_key(page, RIGHT, key, descents)
        numbers = draw_table(page, table, descents, labels, live=True)
        self._counter = page.text(RIGHT, 0.36, "", HEADING + 2, weight="bold", align="right")
        self._runners = [
            _Runner(axes, graph, floor, descent, style, None if alone else index, cells)
            for index, (descent, cells) in enumerate(zip(descents, numbers, strict=True))
        ]
        self.figure = page.figure
        artists = [artist for runner in self._runners for artist in runner.artists]
        self._canvas = Canvas(page.figure, [*artists, self._counter])

    def at(self, step: int) -> NDArray[np.uint8]:
        """Return the pixels at a step."""
        self._counter.set_text(f"step {step:,}")
        for runner in self._runners:
            runner.go(step)
        return self._canvas.pixels()


class _Runner:
    """One descent: its trail and ball, its line of values, its numbers in the table."""

    def __init__(
        self, axes: Axes, graph: Axes, floor: float, descent: Descent, style: Style, index: int | None, cells: Any
    ) -> None:
        self._descent, self._last = descent, last_shown(descent)
        count = self._last + 1
        points = np.asarray(descent.points[:count])
        if descent.landscape.dimensions == 1:
            points = np.column_stack([points[:, 0], descent.values[:count]])
        self._gaps = gaps(descent)
        heights = np.column_stack([np.arange(count), np.maximum(self._gaps[:count], floor)])
        self._trail: _Line
        self._graph: _Line
        if index is None:
            shades, edge = colours_of_steps(descent, style), ball_edge(style)
            self._trail = _ColouredLine(axes, points, shades, edge, (1.3, 8.5), dots=True)
            self._graph = _ColouredLine(graph, heights, shades, edge, (1.9, 5.5), dots=False)
        else:
            look = style.class_colour(index), style.class_marker(index), style.ink
            self._trail = _Line(axes, points, *look, (1.3, 8.0))
            self._graph = _Line(graph, heights, *look, (1.4, 5.5))
        self._value, self._end = cells
        axes.plot(
            points[:1, 0], points[:1, 1], "o", markersize=7.5, markerfacecolor=style.background,
            markeredgecolor=style.ink, markeredgewidth=1.4, zorder=5,
        )  # fmt: skip
        self.artists: list[Artist] = [*self._trail.artists, *self._graph.artists, self._value, self._end]

    def go(self, step: int) -> None:
        """Show the descent at a step; after its last one it stays."""
        now = min(step, self._last)
        self._trail.until(now)
        self._graph.until(now)
        lost = self._descent.exploded and step >= self._last
        self._value.set_text("—" if lost else number(float(self._gaps[now]), 3))
        self._end.set_text(outcome(self._descent) if step >= self._last else "")


class _Line:
    """A line in one colour that grows, with the descent's marker at its end."""

    def __init__(
        self, axes: Axes, points: NDArray[np.float64], colour: str, marker: str, edge: str, sizes: tuple[float, float]
    ) -> None:
        self._points, (width, ball) = points, sizes
        (self._grown,) = axes.plot([], [], color=colour, linewidth=width, zorder=3)
        (self._ball,) = axes.plot(
            [], [], marker, color=colour, markersize=ball, markeredgecolor=edge, markeredgewidth=0.8, zorder=6
        )
        self.artists: list[Artist] = [self._grown, self._ball]

    def until(self, step: int) -> None:
        """Grow to a step."""
        self._grown.set_data(*self._points[: step + 1].T)
        self._ball.set_data(*self._points[step : step + 1].T)


class _ColouredLine(_Line):
    """A line coloured by step; with a dot a step where it is a path."""

    def __init__(
        self, axes: Axes, points: NDArray[np.float64], colours: Sequence[tuple[float, float, float, float]], edge: str,
        sizes: tuple[float, float], *, dots: bool,
    ) -> None:  # fmt: skip
        from matplotlib.collections import LineCollection

        super().__init__(axes, points, "none", "o", edge, sizes)
        self._colours, self._pieces = colours, np.stack([points[:-1], points[1:]], axis=1)
        self._line = LineCollection([], linewidths=sizes[0], zorder=3)
        axes.add_collection(self._line, autolim=False)
        self._dots = axes.scatter([], [], s=14.0, edgecolors=edge, linewidths=0.4, zorder=4)
        self.artists = [self._line, *([self._dots] if dots else []), self._ball]

    def until(self, step: int) -> None:
        """Grow to a step."""
        super().until(step)
        self._line.set_segments(list(self._pieces[:step]))
        self._line.set_color(self._colours[1 : step + 1])
        self._dots.set_offsets(self._points[: step + 1])
        self._dots.set_facecolor(self._colours[: step + 1])
        self._ball.set_markerfacecolor(self._colours[step])
