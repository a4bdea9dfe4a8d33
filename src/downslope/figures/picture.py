"""The training picture: data, parameters, last update and history of a run on one page."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from downslope import checks
from downslope.figures.drawing import PICTURES, drawing, save
from downslope.figures.page import Box, Page
from downslope.figures.panel import Detail, Panel
from downslope.figures.style import SMALL, TEXT, TITLE, number, shortened, styled, text_width
from downslope.files import place
from downslope.rules.text import code_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from downslope.training import Run

__all__ = ["HEIGHT", "WIDTH", "draw_training", "training_picture"]

WIDTH, HEIGHT = 8.0, 6.2  # inches: 1600 × 1240 pixels of a PNG

LEFT, RIGHT = 0.66, 7.74
HEADINGS = 1.02
DATA = Box(LEFT, 1.28, 2.84, 2.84)
PARAMETERS = Box(3.86, 1.28, RIGHT - 3.86, 3.12)
CURVES_HEADING, CURVE_TOP, CURVE_HEIGHT, COLUMN_GAP = 4.82, 4.93, 0.88, 0.44


def training_picture(
    run: Run,
    path: str | os.PathLike[str] | None = None,
    *,
    style: Literal["light", "dark"] = "light",
    title: str | None = None,
) -> Figure:
    """Draw a run as it stands: data and predictions, every weight and bias, the last update, and the history.

    Left, the rows over what the network answers: decision regions or a colour field for two inputs, curves for one,
    a confusion matrix or predicted against true values for more (of the validation part where there is one). Right,
    a square for every weight and bias and for the update just made, red positive and blue negative, each layer scaled
    to its own largest value. Below, loss, accuracy or R², and learning rate against epochs. The numbers under the
    title describe the present state, after the last update; each epoch's point in the curves, the state before it.

    Parameters
    ----------
    run : Run
        Trained for any number of epochs, also none.
    path : str or path, optional
        Where to write it, by its ending: .png (1600 × 1240 pixels), .svg or .pdf. The file is whole or not there.
        The same run gives the same bytes under the same version of matplotlib.
    style : "light" or "dark"
        Colours on white or on near black.
    title : str, optional
        In place of the data's name and the network.

    Returns
    -------
    matplotlib.figure.Figure
        8 by 6.2 inches, made without pyplot.

    Raises
    ------
    InputError
        If the style or the ending is unknown, or the file cannot be written.
    """
    from downslope.training import Run

    if not isinstance(run, Run):
        raise checks.refuse("run", "a run such as Run(MLP([2, 64, 3]), data, SGD())", run)
    if title is not None:
        checks.text("title", title)
    colours = styled(style)
    file = None if path is None else place("path", path, PICTURES)
    with drawing():
        page = Page(WIDTH, HEIGHT, colours)
        draw_training(page, run, title)
        if file is not None:
            save(page.figure, file)
    return page.figure


def draw_training(page: Page, run: Run, title: str | None, detail: Detail | None = None, many: Any = None) -> Panel:
    """Draw a run's page, and return it as a panel that can show another moment of the run.

    `many` draws the first panel where there are more than two inputs, in place of the usual one.
    """
    from downslope.figures.curves import draw_curves
    from downslope.figures.marks import draw_legend, marks_of
    from downslope.figures.parameters import draw_parameters

    detail, width = detail or Detail(), RIGHT - LEFT
    page.text(
        LEFT, 0.36, shortened(title or f"{run.data.name}, {run.network!r}", width / 1.15, TITLE), TITLE, weight="bold"
    )
    marks = marks_of(run)
    below, last = (0.54, 0.68) if marks.epochs else (0.58, 0.75)
    results = page.text(LEFT, below, _results(run), TEXT)
    page.text(LEFT, last, _settings(run, width), SMALL, colour=page.style.muted)
    draw_legend(page, LEFT, last + 0.13, marks)
    data = _drawer(run, many)(page, run, DATA, HEADINGS, detail)
    parameters = draw_parameters(page, run, PARAMETERS, (HEADINGS, HEADINGS + 1.90), COLUMN_GAP, detail)
    # The curves stand under what is above them: the first under the data, the others under two layers' blocks.
    half = (PARAMETERS.width - COLUMN_GAP) / 2
    boxes = (
        Box(LEFT, CURVE_TOP, DATA.width, CURVE_HEIGHT),
        Box(PARAMETERS.left, CURVE_TOP, half, CURVE_HEIGHT),
        Box(PARAMETERS.left + half + COLUMN_GAP, CURVE_TOP, half, CURVE_HEIGHT),
    )
    panels = (data, parameters, draw_curves(page, run, boxes, CURVES_HEADING, detail))

    def show(moment: Run) -> None:
        results.set_text(_results(moment))
        for panel in panels:
            panel.show(moment)

    return Panel([results, *(artist for panel in panels for artist in panel.artists)], show)


def _drawer(run: Run, many: Any) -> Any:
    """Return what draws the first panel."""
    from downslope.figures import outcomes, regions

    classification, inputs = run.preparation.classes is not None, len(run.preparation.features)
    drawers: dict[tuple[bool, int], Any] = {
        (True, 1): regions.draw_probability_curves,
        (True, 2): regions.draw_regions,
        (False, 1): regions.draw_curve,
        (False, 2): regions.draw_field,
    }
    usual = outcomes.draw_outcomes if classification else outcomes.draw_predicted_against_true
    return drawers.get((classification, inputs), many or usual)


def _results(run: Run) -> str:
    """Return the present state in a line: epochs, loss and score of each part."""
    done = "before training" if not run.step else f"after {run.epoch:,} epoch{'s' * (run.epoch != 1)}"
    if run.state.batch:
        done = f"after {run.step:,} steps, in epoch {run.epoch:,}"
    parts = ["training"] if run.problem.validation is None else ["training", "validation"]
    told = [done]
    for part in parts:
        found = run.evaluate(part)  # type: ignore[arg-type]  # the two names it takes
        score = run.history.score_name
        value = f"{found[score]:.3f}" if abs(found[score]) < 100 else number(found[score])
        name = "R²" if score == "r2" else score
        prefix = f"{part} " if len(parts) > 1 else ""
        told.append(f"{prefix}loss {number(found['loss'])}, {name} {value.replace('-', '−')}")
    return "  ·  ".join(told)[:1].upper() + "  ·  ".join(told)[1:]


def _settings(run: Run, width: float) -> str:
    """Return the optimizer as code, leaving out settings at their defaults, and what else is needed to repeat it.

    Where that is wider than `width` inches the code is cut, between two words.
    """
    told = [f"{run.loss.name} loss"]
    if run.problem.steps_per_epoch > 1:
        told.append(f"batches of {run.problem.batch_size:,}")
    told.append(f"seed={run.seed!r}")
    rest = "".join(f" · {part}" for part in told)
    room = max(width - text_width(rest, SMALL) - 0.02, width / 3)
    code = shortened(code_text(run.optimizer, caption=True), room, SMALL, words=True)
    return shortened(code + rest, width, SMALL)
