"""Animations: frames of pixels, written as GIF, as MP4 and as a page with a player, all in one pass."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from downslope import checks
from downslope.errors import InputError
from downslope.figures.style import TEXT, TITLE, Style, styled
from downslope.files import place

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

    from downslope.figures.movies_colours import Kept

__all__ = ["MOVIES", "Canvas", "Frame", "check_movies", "frame_of", "write_movies"]

MOVIES = (".gif", ".mp4", ".html")
DOTS = 100  # an inch of a frame
CARD_SECONDS = 3.0
LONGEST_SECONDS = 655.35  # a frame of a GIF
WARNING = (
    "Flashing pictures",
    "This animation changes fast and flashes over large areas.",
    "It may trigger seizures in people with photosensitive epilepsy.",
)


class Frame(NamedTuple):
    """One picture of an animation: pixels of shape (height, width, 3), uint8; seconds it stays; what it shows.

    The label is a few words for the player, such as "epoch 1,200".
    """

    pixels: NDArray[np.uint8]
    seconds: float
    label: str


class Canvas:
    """A figure of which only a few artists change: the rest is drawn once.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        At 100 dots an inch, as `Page` makes it.
    artists : sequence of Artist
        What changes from frame to frame, from the lowest to the uppermost; each lies above all that does not change.
        What is invisible now may become visible later.
    """

    def __init__(self, figure: Figure, artists: Sequence[Artist]) -> None:
        self._canvas: Any = _agg(figure)
        self._artists = list(artists)
        visible = [artist.get_visible() for artist in self._artists]
        try:
            for artist in self._artists:
                artist.set_visible(False)
            self._canvas.draw()
        finally:
            for artist, was in zip(self._artists, visible, strict=True):
                artist.set_visible(was)
        self._background = self._canvas.copy_from_bbox(figure.bbox)

    def pixels(self) -> NDArray[np.uint8]:
        """Return the figure as it is now, shape (height, width, 3)."""
        self._canvas.restore_region(self._background)
        renderer = self._canvas.get_renderer()
        for artist in self._artists:
            artist.draw(renderer)
        return _copied(self._canvas)


def frame_of(figure: Figure) -> NDArray[np.uint8]:
    """Return a figure's pixels at 100 dots an inch, shape (height, width, 3)."""
    canvas = _agg(figure)
    canvas.draw()
    return _copied(canvas)


def check_movies(paths: Any) -> list[Path]:
    """Return where the files of an animation can go, or raise InputError before anything is drawn.

    Parameters
    ----------
    paths : str, path, or sequence of them
        Each ending in .gif, .mp4 or .html.

    Raises
    ------
    InputError
        If there is none or one twice, an ending is unknown, a file cannot be written, or MP4 is asked for without
        ffmpeg.
    """
    given = [paths] if isinstance(paths, (str, os.PathLike)) else paths
    if not isinstance(given, Sequence) or isinstance(given, bytes) or not given:
        raise checks.refuse("path", f"a file ending in {' or '.join(MOVIES)}, or several", paths)
    files = [place("path", each, MOVIES) for each in given]
    if len({file.resolve() for file in files}) < len(files):
        raise InputError(f"path must name each file once. Received: {', '.join(map(str, files))}")
    if any(file.suffix.lower() == ".mp4" for file in files):
        from downslope.figures.movies_mp4 import ffmpeg

        ffmpeg()
    return files


def write_movies(
    paths: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    frames: Iterable[Frame],
    *,
    title: str,
    style: Literal["light", "dark"] = "light",
    flashing: bool = False,
) -> None:
    """Write an animation to every path, by its ending, from one pass over the frames.

    A GIF loops and has one palette of 255 colours. An MP4 (H.264, 25 pictures a second; needs ffmpeg) shows each
    frame for its time to the nearest 1/25 s. An HTML page holds every frame and needs nothing but itself: it has a
    scrubber, steps, speeds and keys, and waits for its reader where less motion is asked for. Each file is whole or
    not there, and if this is stopped, what was there before stays.

    Parameters
    ----------
    paths : str, path, or sequence of them
        Files ending in .gif, .mp4 or .html.
    frames : iterable of Frame
        Of one size, each for at most 655.35 seconds; taken one at a time, so they may be drawn as they are asked for.
    title : str
        What the animation shows: the page's heading.
    style : "light" or "dark"
        That of the frames; the page around them follows the reader's own setting.
    flashing : bool
        Whether a warning stands in front: a card of three seconds, in a page one to be clicked away.

    Raises
    ------
    InputError
        If `check_movies` refuses the paths, there is no frame, their sizes or times are not legal, or a file cannot
        be written.
    """
    from downslope.figures.movies_colours import Kept
    from downslope.figures.movies_mp4 import mp4_writer

    files, colours = check_movies(paths), styled(style)
    checks.flag("flashing", flashing)
    checks.text("title", title)
    checked = _checked(frames)
    first = next(checked, None)
    if first is None:
        raise InputError("frames must hold at least one frame. Received: none")
    height, width, _ = first.pixels.shape
    card = [_card((width, height), colours)] if flashing else []
    kept, video = Kept(), [file for file in files if file.suffix.lower() == ".mp4"]
    with ExitStack() as stack:
        writers = [stack.enter_context(mp4_writer(file, (width, height))) for file in video]
        adds = writers if len(video) == len(files) else [*writers, kept.add]
        for frame in chain(card, [first], checked):
            for add in adds:
                add(frame)
    others = [file for file in files if file not in video]
    if others:
        _write_indexed(others, kept, (width, height), title, style, flashing)


def _write_indexed(
    files: list[Path], kept: Kept, size: tuple[int, int], title: str, style: str, flashing: bool
) -> None:
    """Write the files whose frames share a palette."""
    from downslope.figures.movies_gif import gif_writer
    from downslope.figures.player import player_writer

    palette = kept.palette()
    colours = palette.colours.tobytes()
    with ExitStack() as stack:
        gifs, pages = [], []
        for file in files:
            if file.suffix.lower() == ".gif":
                gifs.append(stack.enter_context(gif_writer(file, size, colours)))
            else:
                warning = WARNING if flashing else ()
                page = player_writer(file, size, colours, title=title, style=style, warning=warning)
                pages.append(stack.enter_context(page))
        for place, frame in enumerate(kept.indexed(palette)):
            for add in gifs:
                add(frame)
            if place or not flashing:  # a page has a card of its own
                for add in pages:
                    add(frame)


def _checked(frames: Iterable[Frame]) -> Iterator[Frame]:
    shape = None
    for frame in frames:
        shape = shape or frame.pixels.shape
        if frame.pixels.dtype != np.uint8 or frame.pixels.ndim != 3 or frame.pixels.shape[2] != 3:
            found = f"{frame.pixels.dtype} of shape {frame.pixels.shape}"
            raise InputError(f"pixels must be uint8 of shape (height, width, 3). Received: {found}")
        if frame.pixels.shape != shape:
            raise InputError(f"frames must have one size, here {shape}. Received: one of {frame.pixels.shape}")
        checks.real("seconds", frame.seconds, checks.Interval(above=0, at_most=LONGEST_SECONDS))
        yield frame


def _card(size: tuple[int, int], style: Style) -> Frame:
    """Return the warning as a frame."""
    from downslope.figures.drawing import drawing
    from downslope.figures.page import Page

    with drawing():
        page = Page(size[0] / DOTS, size[1] / DOTS, style)
        middle, top = page.width / 2, page.height / 2 - 0.25
        shrunk = min(1.0, page.width / 5)
        page.text(middle, top, WARNING[0], TITLE * 1.5 * shrunk, weight="bold", align="center")
        for line, text in enumerate(WARNING[1:]):
            page.text(middle, top + 0.35 + 0.24 * line, text, TEXT * 1.4 * shrunk, align="center")
        return Frame(frame_of(page.figure), CARD_SECONDS, "warning")


def _agg(figure: Figure) -> Any:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    if figure.dpi != DOTS:
        figure.set_dpi(DOTS)
    return figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)


def _copied(canvas: Any) -> NDArray[np.uint8]:
    return np.ascontiguousarray(np.asarray(canvas.buffer_rgba())[:, :, :3])
