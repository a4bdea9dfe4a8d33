"""The eight training runs whose output the chapter prints, and ours beside them, digit by digit.

`printed_runs.json` beside this file holds what is printed. All learning rates are met to every digit, and of
`sgd_decay_1e-2` everything. The other runs are chaotic: one rounding that differs in `exp` or in a matrix product grows
until the next printed rows differ. Where the book's rows lie among many such runs is told by `downslope.book.spread`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple

from downslope import checks, rules
from downslope.schedules import InverseTime

if TYPE_CHECKING:
    import polars

    from downslope.rules import Optimizer
    from downslope.training import Run

__all__ = [
    "EPOCHS",
    "PRINTED",
    "PrintedRow",
    "PrintedRun",
    "ReproducedRow",
    "Reproduction",
    "chapter_run",
    "optimizer_of",
    "reproduced",
]

EPOCHS = 10_001
DECIMALS = 3  # of losses and accuracies in the chapter's lines


class PrintedRow(NamedTuple):
    """One line of output: the state before that epoch's update.

    Attributes
    ----------
    epoch : int
    accuracy, loss : float
        With three decimals in the book.
    learning_rate : float or None
        With all its digits; None where the book does not print it.
    """

    epoch: int
    accuracy: float
    loss: float
    learning_rate: float | None

    def line(self) -> str:
        """Return the line as the chapter prints it."""
        rate = "" if self.learning_rate is None else f", lr: {self.learning_rate}"
        return f"epoch: {self.epoch}, acc: {self.accuracy:.3f}, loss: {self.loss:.3f}{rate}"


@dataclass(frozen=True)
class PrintedRun:
    """One of the chapter's runs.

    Attributes
    ----------
    name : str
        Such as "sgd_decay_1e-2".
    figure : str
        Where the chapter shows it: "Fig 10.16".
    settings : dict
        The rule's name under "optimizer", and its settings with the chapter's names.
    rows : tuple of PrintedRow
        What is printed, epochs ascending.
    """

    name: str
    figure: str
    settings: Mapping[str, Any]
    rows: tuple[PrintedRow, ...]

    def optimizer(self) -> Optimizer:
        """Return the rule with these settings; `decay` is the schedule learning_rate / (1 + decay·k)."""
        return optimizer_of(self.settings)

    def row(self, epoch: int) -> PrintedRow:
        """Return the printed row of an epoch, or raise InputError where the book prints none."""
        for row in self.rows:
            if row.epoch == epoch:
                return row
        listed = ", ".join(f"{row.epoch}" for row in self.rows)
        raise checks.refuse("epoch", f"one that the book prints for {self.name} ({listed})", epoch)


class ReproducedRow(NamedTuple):
    """A printed row beside ours.

    Attributes
    ----------
    epoch : int
    book, ours : PrintedRow
        Ours unrounded.
    accuracy_decimals, loss_decimals : int
        How many of the three printed decimals are the same, from the point on; 0 where the whole number differs.
    learning_rate_met : bool or None
        Whether every digit is the same; None where the book prints no learning rate.
    """

    epoch: int
    book: PrintedRow
    ours: PrintedRow
    accuracy_decimals: int
    loss_decimals: int
    learning_rate_met: bool | None

    @property
    def met(self) -> bool:
        """Whether every printed digit is the same."""
        return self.accuracy_decimals == self.loss_decimals == DECIMALS and self.learning_rate_met is not False


@dataclass(frozen=True)
class Reproduction:
    """One of the chapter's runs made here, beside what is printed.

    Attributes
    ----------
    name : str
    rows : tuple of ReproducedRow
        One for each printed row.
    """

    name: str
    rows: tuple[ReproducedRow, ...]

    @property
    def parts_at(self) -> int | None:
        """The epoch of the first printed row that is not met to every digit; None where all are."""
        return next((row.epoch for row in self.rows if not row.met), None)

    @property
    def learning_rates_met(self) -> bool:
        """Whether every printed learning rate is met to every digit."""
        return all(row.learning_rate_met is not False for row in self.rows)

    def frame(self) -> polars.DataFrame:
        """Return a polars data frame, a row for each printed row; columns as the attributes of `ReproducedRow`."""
        import polars as pl

        return pl.DataFrame([
            {
                "epoch": row.epoch,
                "book_accuracy": row.book.accuracy,
                "our_accuracy": row.ours.accuracy,
                "accuracy_decimals": row.accuracy_decimals,
                "book_loss": row.book.loss,
                "our_loss": row.ours.loss,
                "loss_decimals": row.loss_decimals,
                "book_learning_rate": row.book.learning_rate,
                "our_learning_rate": row.ours.learning_rate,
                "learning_rate_met": row.learning_rate_met,
            }
            for row in self.rows
        ], schema_overrides={"book_learning_rate": pl.Float64, "learning_rate_met": pl.Boolean})  # fmt: skip


def _printed() -> dict[str, PrintedRun]:
    content = json.loads(resources.files("downslope.book").joinpath("printed_runs.json").read_text(encoding="utf-8"))
    return {
        run["name"]: PrintedRun(
            run["name"],
            run["figure"],
            run["settings"],
            tuple(
                PrintedRow(row["epoch"], row["accuracy"], row["loss"], row.get("learning_rate"))
                for row in run["printed"]
            ),
        )
        for run in content["runs"]
    }


PRINTED: Mapping[str, PrintedRun] = _printed()
"""The chapter's runs by name, in the order of its figures."""


def optimizer_of(settings: Mapping[str, Any]) -> Optimizer:
    """Return the rule named under "optimizer" with the chapter's settings.

    `decay` makes the learning rate the schedule learning_rate / (1 + decay·k); without it the rate is constant. Every
    other name is the rule's own.

    Raises
    ------
    InputError
        If there is no such rule, or it has no such setting.
    """
    given = dict(settings)
    made = rules.rule(given.pop("optimizer", None))
    if decay := given.pop("decay", 0.0):
        given["learning_rate"] = InverseTime(given.get("learning_rate", made().learning_rate), decay=decay)
    return made(**given)


def chapter_run(which: str | Mapping[str, Any]) -> Run:
    """Return a run with the chapter's data, network and weights, before its first epoch.

    Parameters
    ----------
    which : str or dict
        One of `PRINTED`; or settings for `optimizer_of`, for a run that the chapter does not print.

    Raises
    ------
    InputError
        If the chapter has no run of that name, or the settings are not legal.

    Examples
    --------
    >>> run = chapter_run("sgd_decay_1e-2")
    >>> run.train(201)
    >>> f"{run.history.accuracy[200]:.3f} {run.history.loss[200]:.3f}"
    '0.397 1.084'
    """
    from downslope.data import spiral
    from downslope.network import MLP
    from downslope.training import Run

    settings = which if isinstance(which, Mapping) else PRINTED[checks.one_of("which", which, PRINTED)].settings
    return Run(MLP([2, 64, 3]), spiral(seed="chapter"), optimizer_of(settings), guard=None)


@functools.cache
def reproduced(name: str) -> Reproduction:
    """Return our rows of one of the chapter's runs beside the printed ones; the run takes about a second.

    Raises
    ------
    InputError
        If the chapter has no run of that name.
    """
    run = chapter_run(name)
    run.train(EPOCHS, progress=False)
    return Reproduction(name, tuple(_beside(book, run.history.row(book.epoch)) for book in PRINTED[name].rows))


def _beside(book: PrintedRow, measured: Mapping[str, float]) -> ReproducedRow:
    ours = PrintedRow(book.epoch, measured["accuracy"], measured["loss"], measured["learning_rate"])
    return ReproducedRow(
        book.epoch,
        book,
        ours,
        same_decimals(book.accuracy, ours.accuracy),
        same_decimals(book.loss, ours.loss),
        None if book.learning_rate is None else book.learning_rate == ours.learning_rate,
    )


def same_decimals(printed: float, ours: float) -> int:
    """Return how many of three decimals two numbers share from the point on; 0 where the whole number differs.

    Examples
    --------
    >>> same_decimals(0.173, 0.1749), same_decimals(1.072, 1.0722), same_decimals(0.999, 1.0)
    (2, 3, 0)
    """
    one, other = (f"{value:.{DECIMALS}f}".split(".") for value in (printed, ours))
    if one[0] != other[0]:
        return 0
    return next((place for place in range(DECIMALS) if one[1][place] != other[1][place]), DECIMALS)
