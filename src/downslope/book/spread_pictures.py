"""The pictures of spreads and claims: what the rooms of figures draw, filled with the chapter's runs."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from downslope import checks
from downslope.book.printed import EPOCHS, PRINTED, chapter_run
from downslope.book.spread import KINDS, QUANTITIES, Kind, spread, table
from downslope.book.spread_file import PERCENTILES
from downslope.book.spread_runs import EVERY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["claims_picture", "settings_words", "spread_picture"]

BANDS = [PERCENTILES.index(each) for each in (5, 25, 50, 75, 95)]
WORDS: dict[Kind, str] = {"seeds": "other seeds", "ulp": "last bits moved"}


def spread_picture(
    name: str,
    path: str | os.PathLike[str] | None = None,
    *,
    style: Literal["light", "dark"] = "light",
    title: str | None = None,
) -> Figure:
    """Draw one of the chapter's runs inside the spread of many: see `downslope.figures.spread.spread_page`.

    Parameters
    ----------
    name : str
        One of `PRINTED`.
    path : str or path, optional
        Where to write it, by its ending: .png (1600 pixels wide), .svg or .pdf. The file is whole or not there.
    style : "light" or "dark"
        Colours on white or on near black.
    title : str, optional
        In place of the figure's number and the settings.

    Raises
    ------
    InputError
        If an argument is not legal, or the file cannot be written.
    """
    from downslope.figures.drawing import PICTURES
    from downslope.figures.spread import Among, SpreadSheet, spread_page
    from downslope.files import place

    printed = PRINTED[checks.one_of("name", name, PRINTED)]
    if title is not None:
        checks.text("title", title)
    if path is not None:
        place("path", path, PICTURES)
    run = chapter_run(name)
    run.train(EPOCHS, progress=False)
    ours: dict[str, Any] = {of: np.asarray(getattr(run.history, of))[::EVERY] for of in QUANTITIES}
    epochs = np.array([row.epoch for row in printed.rows])
    book: dict[str, Any] = {of: np.array([getattr(row, of) for row in printed.rows]) for of in QUANTITIES}
    among, notes = [], []
    for kind in KINDS:
        runs, beside = spread(name, kind), table(name)
        places: dict[str, Any] = {of: beside[f"{kind}_{of}_percentile"].to_numpy() for of in QUANTITIES}
        curves: dict[str, Any] = {"loss": runs.loss_curves[BANDS], "accuracy": runs.accuracy_curves[BANDS]}
        among.append(Among(f"{runs.runs} runs, {WORDS[kind]}", WORDS[kind], runs.curve_epochs, curves, places))
        losses, accuracies = (int(((places[of] > 0) & (places[of] < 100)).sum()) for of in QUANTITIES)
        notes.append(f"{losses} of the {len(epochs)} printed losses and {accuracies} of the accuracies lie within the")
    sheet = SpreadSheet(
        title or f"{_place(printed.figure)}: {settings_words(name)}",
        (f"With other seeds, {notes[0]} range of the runs.", f"With last bits moved, {notes[1]} range of the runs."),
        epochs,
        book,
        np.asarray(run.history.epoch)[::EVERY],
        ours,
        (among[0], among[1]),
    )
    return spread_page(sheet, path, style=style)


def claims_picture(
    path: str | os.PathLike[str] | None = None,
    *,
    style: Literal["light", "dark"] = "light",
    title: str | None = None,
) -> Figure:
    """Draw how often each of the chapter's claims holds: see `downslope.figures.frequencies.frequencies_page`.

    Parameters
    ----------
    path : str or path, optional
        Where to write it, by its ending: .png (1600 pixels wide), .svg or .pdf. The file is whole or not there.
    style : "light" or "dark"
        Colours on white or on near black.
    title : str, optional
        In place of the usual one.

    Raises
    ------
    InputError
        If an argument is not legal, or the file cannot be written.
    """
    from downslope.book.claims import CLAIMS, check_claims
    from downslope.figures.frequencies import Statement, frequencies_page

    if title is not None:
        checks.text("title", title)
    groups: dict[str, list[Statement]] = {}
    for row in check_claims().iter_rows(named=True):
        shares = tuple((row[f"{kind}_share"], row[f"{kind}_low"], row[f"{kind}_high"]) for kind in KINDS)
        group = "The printed order of the last losses" if CLAIMS[row["claim"]].ordering else "What the chapter says"
        groups.setdefault(group, []).append(Statement(row["says"], row["definition"], shares))
    runs = spread(next(iter(PRINTED)), "seeds").runs
    return frequencies_page(
        title or "The chapter's claims, over many runs",
        f"The share of {runs} runs that fulfil each claim, with the 95 % interval of the true share (Wilson).",
        groups,
        tuple(WORDS[kind] for kind in KINDS),
        path,
        style=style,
    )


def _place(figure: str) -> str:
    return figure.replace("Fig ", "Figure ").replace("after", "After")


def settings_words(name: str) -> str:
    """Return a printed run's settings, but for those at the rule's defaults: "SGD, learning rate 1, momentum 0.9"."""
    from downslope.figures.style import number

    printed = PRINTED[name]
    given = dict(printed.settings)
    rule, defaults = given.pop("optimizer"), printed.optimizer().settings
    told = [
        f"{key.replace('_', ' ')} {number(value)}"
        for key, value in given.items()
        if key == "learning_rate" or key not in defaults or value != defaults[key].default
    ]
    return ", ".join([rule, *told])
