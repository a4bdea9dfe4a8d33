"""The training animation: a run from its start to where it stands, as the training picture of every moment."""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from downslope import checks
from downslope.errors import InputError
from downslope.figures.drawing import drawing
from downslope.figures.movies import Canvas, Frame, check_movies, write_movies
from downslope.figures.page import Page
from downslope.figures.panel import Detail
from downslope.figures.picture import HEIGHT, WIDTH, draw_training
from downslope.figures.style import styled

if TYPE_CHECKING:
    from downslope.figures.panel import Panel
    from downslope.training import Run

__all__ = ["epochs_shown", "training_animation"]

FRAMES, GROWTH = 90, 0.2
FAITHFUL_FRAMES, FAITHFUL_SECONDS = 150, 1 / 25
FIRST_SECONDS, LAST_SECONDS, MOST_SETTLING = 0.5, 3.0, 40
CELLS, POINTS = 142, 600  # an image has half as many cells as pixels, a curve twice as many points


def training_animation(
    run: Run,
    path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    *,
    epochs: int | None = None,
    frames: int | None = None,
    style: Literal["light", "dark"] = "light",
    faithful: bool = False,
    title: str | None = None,
    progress: bool | None = None,
) -> None:
    """Draw a run from its start to where it stands: the training picture, moment after moment.

    The run is trained again from its own initial weights, with the same bits; the run itself is left alone, and may
    meanwhile be trained by another thread. Scales, limits and layout are those of the whole history, so that nothing
    jumps and the last frame is the picture of the run as it stands. With more than two inputs the first panel shows
    the rows on their first two principal axes, coloured by predicted class and ringed where that is wrong; with more
    than eight classes the confusion matrix; in regression predicted against true values.

    Which epochs are shown: each frame is 1, 2, 3, … epochs after the one before, growing by a fifth of the epochs
    done, until the frames that are left can be spaced evenly, see `epochs_shown`.

    It is calm: six frames a second, and no field of colour changes its luminance by more than 0.033 a frame, 0.042 with
    the rounding to bytes, so that there are at most two opposing changes a second, one flash (WCAG 2.2, criterion
    2.3.1, allows three). Regions, squares, shades and the rows on their principal axes so take a few seconds at most to
    follow a sudden change, and the last frame waits for them; numbers, curves and other points are at once as they
    are.

    Parameters
    ----------
    run : Run
        Trained for an epoch or more.
    path : str, path, or sequence of them
        Files ending in .gif, .mp4 (needs ffmpeg) or .html, of 800 × 620 pixels; several are made in one go. Each is
        whole or not there.
    epochs : int, optional
        Only the first so many.
    frames : int, optional
        How many moments are shown, at least 2; left out, 90, and 150 of a faithful one.
    style : "light" or "dark"
        Colours on white or on near black.
    faithful : bool
        25 frames a second, evenly spaced, and every change as sudden as it was. Large areas may flash: a warning
        stands in front.
    title : str, optional
        In place of the data's name and the network.
    progress : bool, optional
        Whether to show a progress bar on stderr; left out, where stderr is a terminal.

    Raises
    ------
    InputError
        If no epoch is complete, an argument is not legal, ffmpeg is missing for .mp4, or a file cannot be written.
    """
    from downslope.training import Run

    if not isinstance(run, Run):
        raise checks.refuse("run", "a run such as Run(MLP([2, 64, 3]), data, SGD())", run)
    run = copy.copy(run)  # as it is now: another thread may train it on
    if not run.epoch:
        raise InputError("run must have finished an epoch to be animated: train it. Received: a run of 0 epochs")
    last = run.epoch if epochs is None else checks.whole("epochs", epochs, at_least=1, at_most=run.epoch)
    checks.flag("faithful", faithful)
    count = FAITHFUL_FRAMES if faithful else FRAMES
    if frames is not None:
        count = checks.whole("frames", frames, at_least=2)
    if title is not None:
        checks.text("title", title)
    if progress is not None:
        checks.flag("progress", progress)
    styled(style)
    files = check_movies(path)
    shown = np.unique(np.linspace(0, last, count).astype(int)).tolist() if faithful else epochs_shown(last, count)
    drawn = _frames(run, shown, style, faithful, title, progress)
    name = title or f"{run.data.name}, {run.network!r}"
    write_movies(files, drawn, title=name, style=style, flashing=faithful)


def epochs_shown(last: int, frames: int) -> list[int]:
    """Return the epochs of at most so many frames, from 0 to `last`: close at first, then evenly spaced.

    From an epoch e the next is e + max(1, ⌊e/5⌋), or e + s where that is less; s is the smallest spacing with which
    the frames suffice. So every frame shows something new of a training whose first epochs change most, and the long
    rest passes evenly.
    """

    def made(spacing: int) -> list[int]:
        epochs = [0]
        while epochs[-1] < last:
            step = min(max(1, int(GROWTH * epochs[-1])), spacing)
            epochs.append(min(epochs[-1] + step, last))
        return epochs

    few, many = 1, max(last, 1)
    if len(made(many)) > frames:  # not even without a largest spacing: by equal factors
        return sorted({round(epoch) for epoch in (np.geomspace(1, last + 1, frames) - 1).tolist()})
    while few < many:
        middle = (few + many) // 2
        few, many = (few, middle) if len(made(middle)) <= frames else (middle + 1, many)
    return made(many)


def _frames(
    run: Run, epochs: list[int], style: str, faithful: bool, title: str | None, progress: bool | None
) -> Iterator[Frame]:
    from downslope.figures.animation_calm import CALM_SECONDS, Calm
    from downslope.training.progress import progress_bar

    seconds = FAITHFUL_SECONDS if faithful else CALM_SECONDS
    replay, last = run.at_start(), epochs[-1]
    whole = run
    if last < run.epoch:  # scales are those of the epochs shown
        whole = run.at_start()
        whole.train(last, progress=False)
    with drawing():
        page, panel = _page(whole, style, Detail(CELLS, POINTS, None if faithful else Calm), title)
        panel.show(replay)
        canvas = Canvas(page.figure, sorted(panel.artists, key=lambda artist: artist.get_zorder()))
    with progress_bar(progress, 0, last, replay.history) as show:
        for epoch in epochs:
            replay.train(epoch - replay.epoch, progress=False)
            with drawing():
                panel.show(replay)
                pixels = canvas.pixels()
            hold = FIRST_SECONDS if epoch == 0 else LAST_SECONDS if faithful and epoch == last else seconds
            yield Frame(pixels, hold, f"epoch {epoch:,}")
            show(epoch)
        if faithful:
            return
        for _ in range(MOST_SETTLING):  # until the fields of colour have arrived
            before = pixels
            with drawing():
                panel.show(replay)
                pixels = canvas.pixels()
            if np.array_equal(before, pixels):
                break
            yield Frame(pixels, seconds, f"epoch {last:,}")
        yield Frame(pixels, LAST_SECONDS, f"epoch {last:,}")


def _page(run: Run, style: str, detail: Detail, title: str | None) -> tuple[Page, Panel]:
    from downslope.figures.projection import MOST_CLASSES, draw_projection

    classes = run.preparation.classes
    page = Page(WIDTH, HEIGHT, styled(style))
    many = draw_projection if classes is not None and len(classes) <= MOST_CLASSES else None
    return page, draw_training(page, run, title, detail, many)
