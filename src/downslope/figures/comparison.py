"""Several optimizers side by side: their curves with bands over seeds, and every run's final loss."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from downslope import checks
from downslope.errors import InputError
from downslope.figures.comparison_panels import (
    HEADER,
    ROW,
    Line,
    draw_bands,
    draw_names,
    draw_rows,
    ended_at,
)
from downslope.figures.drawing import PICTURES, drawing, save
from downslope.figures.page import Box, Page
from downslope.figures.style import SMALL, TEXT, TITLE, Style, number, printable, shortened, styled, text_width
from downslope.files import place

if TYPE_CHECKING:
    import polars
    from matplotlib.figure import Figure

__all__ = ["comparison_picture"]

WIDTH, LEFT, RIGHT = 8.0, 0.66, 7.74
TICKS = 0.44  # between names and the second panel
PANEL, TOP = 2.35, 0.12  # a panel's height, and its distance from its heading
MOST_COLOURS, MOST_ROWS = 8, 24
WIDEST = 1.75  # of names beside the lines


def comparison_picture(
    table: polars.DataFrame,
    runs: polars.DataFrame,
    curves: Mapping[str, polars.DataFrame],
    path: str | os.PathLike[str] | None = None,
    *,
    style: Literal["light", "dark"] = "light",
    title: str | None = None,
    subtitle: str | None = None,
    planned: int | None = None,
    epochs: int | None = None,
) -> Figure:
    """Draw several optimizers side by side.

    Above, loss and accuracy or R² over the epochs: the median over seeds as a line, the middle half of the seeds as a
    band, and 5 to 95 % of them as a lighter one, where there are several. A line ends with a cross where half of the
    optimizer's runs have ended early, and that of one that lost most of its runs where the median loss has exploded:
    is above twice the first from there on. Below, a row for each optimizer: a dot for every run's final loss, the
    median as a stroke, and in numbers the medians, the epoch by which half of its runs had reached a loss with the
    share of those that did, and the share that exploded.

    Of more than eight optimizers the best eight have colours and names at their lines; the others are thin grey lines
    without bands. Of more than 24 the best 24 have rows. Best is the lowest median loss among those of whose runs more
    than half finished; the others come after them.

    Parameters
    ----------
    table, runs : polars.DataFrame
        As from `Comparison.table()` and `Comparison.frame()`.
    curves : dict of polars.DataFrame
        "loss" and "accuracy" or "r2", each as from `Comparison.curves()`.
    path : str or path, optional
        Where to write it, by its ending: .png (1600 pixels wide), .svg or .pdf. The file is whole or not there.
    style : "light" or "dark"
        Colours on white or on near black.
    title, subtitle : str, optional
        What is compared; and a line below with what else a reader must know.
    planned : int, optional
        How many runs the comparison has in all; left out, all of them are done.
    epochs : int, optional
        How many epochs a run has; left out, as many as the longest curve.

    Returns
    -------
    matplotlib.figure.Figure
        8 inches wide, made without pyplot.

    Raises
    ------
    InputError
        If an argument is not legal, or the file cannot be written.
    """
    for name, text in (("title", title), ("subtitle", subtitle)):
        if text is not None:
            checks.text(name, text)
    if planned is not None:
        checks.whole("planned", planned)
    if epochs is not None:
        checks.whole("epochs", epochs)
    colours = styled(style)
    file = None if path is None else place("path", path, PICTURES)
    score = next((name for name in ("accuracy", "r2") if name in curves), None)
    if score is None or "loss" not in curves:
        raise InputError(f'curves must hold "loss", and "accuracy" or "r2". Received: {", ".join(curves) or "none"}')
    if not len(table) or not len(runs):
        raise InputError("a comparison must have a finished run before it is drawn. Received: none")
    lines = _lines(table, MOST_COLOURS)
    with drawing():
        page = _page(lines, table, runs, curves, score, len(runs) if planned is None else planned, style=colours,
                     title=title or "Optimizers side by side", subtitle=subtitle, epochs=epochs or 0)  # fmt: skip
        if file is not None:
            save(page.figure, file)
    return page.figure


def _page(
    lines: list[Line],
    table: polars.DataFrame,
    runs: polars.DataFrame,
    curves: Mapping[str, polars.DataFrame],
    score: str,
    planned: int,
    *,
    style: Style,
    title: str,
    subtitle: str | None,
    epochs: int,
) -> Page:
    baseline = 1.02 if subtitle is None else 1.2
    lines = _told_apart(lines)
    names = min(WIDEST, max(text_width(line.name, SMALL) for line in lines if line.colour is not None) + 0.24)
    listed = _best_first(lines)[:MOST_ROWS] if len(lines) > MOST_ROWS else lines
    width = (RIGHT - LEFT - names - TICKS) / 2
    left = Box(LEFT, baseline + TOP, width, PANEL)
    right = Box(RIGHT - width, baseline + TOP, width, PANEL)
    rows_at = left.bottom + 0.62
    rows = Box(LEFT, rows_at + HEADER, RIGHT - LEFT, ROW * len(listed))
    notes = [*_key(lines, runs, len(listed)), *_written_out(listed, table)]
    page = Page(WIDTH, rows.bottom + 0.46 + 0.17 * len(notes), style)
    page.text(LEFT, 0.36, shortened(title, (RIGHT - LEFT) / 1.15, TITLE), TITLE, weight="bold")
    page.text(LEFT, 0.58, shortened(_best(table), RIGHT - LEFT, TEXT), TEXT)
    status = shortened(_status(table, planned), RIGHT - LEFT, SMALL)
    page.text(LEFT, 0.75, status, SMALL, colour=style.muted)
    if subtitle is not None:
        page.text(LEFT, 0.91, shortened(subtitle, RIGHT - LEFT, SMALL), SMALL, colour=style.muted)
    first = float(runs["first_loss"].max() or 0.0)  # type: ignore[arg-type]  # a number
    lost = table.filter(2 * table["finished"] < table["runs"])["label"].to_list()
    ended = ended_at(curves["loss"], lost, first)
    ends = draw_bands(page, left, baseline, lines, curves["loss"], "loss", first, last=epochs, ended=ended)
    draw_names(page, left, lines, ends, names)
    draw_bands(page, right, baseline, lines, curves[score], score, last=epochs, ended=ended)
    draw_rows(page, rows, rows_at, listed, table, runs, score)
    for at, note in enumerate(notes):
        line = shortened(note, RIGHT - LEFT, SMALL)
        page.text(LEFT, rows.bottom + 0.5 + 0.17 * at, line, SMALL, colour=style.muted)
    return page


def _lines(table: polars.DataFrame, most: int) -> list[Line]:
    """Return how each optimizer is drawn: in a colour of its own, or in grey behind the best."""
    losses, lost = table["loss_median"].to_list(), (~_sound(table)).to_list()
    ranked = sorted(range(len(losses)), key=lambda at: (losses[at] is None, lost[at], losses[at] or 0.0))
    ranks = {at: rank for rank, at in enumerate(ranked)}
    coloured = sorted(ranked[:most])  # colours follow the order they were given
    return [
        Line(label, printable(label), ranks[at], coloured.index(at) if at in coloured else None)
        for at, label in enumerate(table["label"].to_list())
    ]


def _told_apart(lines: list[Line]) -> list[Line]:
    """Return the lines with numbers before their names where some would look alike, cut to the room there is."""
    cut = [shortened(line.name, WIDEST - 0.24, SMALL) for line in lines]
    if len(set(cut)) == len(cut):
        return lines
    return [line._replace(name=f"{at} {line.name}", number=at) for at, line in enumerate(lines, 1)]


def _written_out(lines: Sequence[Line], table: polars.DataFrame) -> list[str]:
    """Return what each number stands for, where names have numbers."""
    texts = dict(table.select("label", "optimizer").iter_rows())
    return [f"{line.number}: {texts[line.label]}" for line in lines if line.number is not None]


def _best_first(lines: Sequence[Line]) -> list[Line]:
    return sorted(lines, key=lambda line: line.rank)


def _sound(table: polars.DataFrame) -> polars.Series:
    """Return of which optimizers more than half of the runs finished; the others' medians are those of the lucky."""
    return 2 * table["finished"] > table["runs"]


def _best(table: polars.DataFrame) -> str:
    """Return the best optimizer in words: its median loss, the middle half, and what it was."""
    sound = table.filter(_sound(table)).drop_nulls("loss_median").sort("loss_median")
    if not len(sound):
        return "Every optimizer lost half of its runs or more."
    row = sound.row(0, named=True)
    half = f" (middle half {number(row['loss_low'])} to {number(row['loss_high'])})" if row["finished"] > 1 else ""
    word = "Lowest median loss" if row["runs"] > 1 else "Lowest loss"
    return f"{word}: {row['label']}, {number(row['loss_median'])}{half}  ·  {row['optimizer']}"


def _status(table: polars.DataFrame, planned: int) -> str:
    done, most = int(table["runs"].sum()), int(table["runs"].max())  # type: ignore[arg-type]  # a number
    told = [f"{len(table)} optimizer{'s' * (len(table) != 1)} × {most:,} seed{'s' * (most != 1)}"]
    if done < planned:
        told.append(f"{done:,} of {planned:,} runs finished")
    for word in ("exploded", "failed"):
        if count := int(table[word].sum()):
            told.append(f"{count:,} run{'s' * (count != 1)} {word}")
    return "  ·  ".join(told)


def _key(lines: Sequence[Line], runs: polars.DataFrame, listed: int) -> list[str]:
    """Return the lines that say what the marks mean: only those that occur."""
    several = int(runs.group_by("label").len()["len"].max() or 0) > 1  # type: ignore[arg-type]  # a number
    told = []
    if several:
        told.append(
            "Line: median over seeds; bands: the middle half of the seeds, and 5 to 95 %. Dot: a run; stroke: median."
        )
    lost = runs.filter(runs["outcome"] != "finished")
    if len(lost):
        told.append("Exploded: a number was not finite, or the final loss is above twice the first. Such runs count in "
                    "the curves until they end,")  # fmt: skip
        told.append("and have no dot. A line ends with × where half of its runs have ended or exploded.")
    grey = sum(line.colour is None for line in lines)
    if grey:
        more = f"; {len(lines) - listed} more have no row" if listed < len(lines) else ""
        told.append(f"Grey: {grey} optimizers with a higher median loss than the eight in colour, or too few runs that "
                    f"finished{more}.")  # fmt: skip
    return told
