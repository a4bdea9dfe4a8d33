"""The learning rate of each compared optimizer: the best of a sweep over seeds that the comparison does not use."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from downslope import checks
from downslope.rules import Optimizer
from downslope.sweeps.comparison_job import plan_comparison
from downslope.sweeps.driver import execute
from downslope.sweeps.executors import ThreadExecutor
from downslope.sweeps.job import CHAPTER
from downslope.sweeps.ranges import Range, as_range
from downslope.sweeps.result import best_cell

if TYPE_CHECKING:
    import polars

__all__ = ["RATES", "SEEDS_OF_TUNING", "Tuned", "Tuning", "checked_rates", "tuned_flags", "tuned_rates"]

RATES = "0.0001,0.0003,0.001,0.003,0.01,0.03,0.1,0.3,1,3,10"
SEEDS_OF_TUNING = 3


class Tuned(NamedTuple):
    """What the sweep said of one optimizer.

    Attributes
    ----------
    learning_rate : float or None
        The rate with the lowest median loss; of a schedule its base. None where every run was lost, and the optimizer
        kept its own.
    at_edge : bool
        Whether it is the smallest or the largest rate tried, so that a better one may lie beyond.
    """

    learning_rate: float | None
    at_edge: bool


class Tuning(NamedTuple):
    """The sweep that chose the learning rates.

    Attributes
    ----------
    chosen : tuple of Tuned or None
        One for each optimizer; None for one that was not tuned.
    epochs : int
        How long each run was trained.
    seeds : tuple of int
        With which seeds.
    cells : DataFrame
        A row for each optimizer and rate: `place` of the optimizer, `learning_rate`, `runs`, `exploded`, `failed`,
        and `loss_median`, `loss_low`, `loss_high` over the runs that neither exploded nor failed.
    """

    chosen: tuple[Tuned | None, ...]
    epochs: int
    seeds: tuple[int, ...]
    cells: polars.DataFrame


def tuned_rates(
    optimizers: Sequence[Optimizer],
    which: Sequence[bool],
    rates: Any,
    *,
    seeds: Sequence[Any],
    directory: str | os.PathLike[str] | None,
    threads: int | None,
    progress: bool | None,
    **problem: Any,
) -> tuple[list[Optimizer], Tuning]:
    """Return the optimizers with their best learning rates, and how these were found.

    All are trained on the same rates, with the first three seeds that are not among `seeds`.

    Parameters
    ----------
    optimizers : sequence of Optimizer
        All that are compared.
    which : sequence of bool
        Which of them to tune; at least one.
    rates : Range, list or text
        The learning rates to try, as `sweep` takes them.
    seeds : sequence
        Those of the comparison.
    directory, threads, progress, **problem
        As of `compare`; `epochs` is the tuning's own.
    """
    grid = as_range("rates", rates)
    candidates: list[Optimizer] = []
    places: list[tuple[int, float]] = []
    for place, one in enumerate(optimizers):
        if which[place]:
            for rate in checked_rates(one, grid).values:
                candidates.append(one.with_rate(rate))
                places.append((place, rate))
    fresh = tuple(_others(seeds))
    job = plan_comparison(optimizers=candidates, seeds=fresh, **problem)
    result = execute(job, ThreadExecutor(threads), directory, progress=progress)
    cells = _named(result.cells(), places)
    chosen = [_best(cells, place, grid) if tune else None for place, tune in enumerate(which)]
    found = [
        one if best is None or best.learning_rate is None else one.with_rate(best.learning_rate)
        for one, best in zip(optimizers, chosen, strict=True)
    ]
    return found, Tuning(tuple(chosen), job.epochs, fresh, cells)


def checked_rates(optimizer: Optimizer, grid: Range) -> Range:
    """Return the learning rates to try in the setting's own type, or raise InputError where one is not legal."""
    record = optimizer.settings["learning_rate"]
    return grid.checked("learning_rate", record.check, whole=record.kind is int)


def _others(seeds: Iterable[Any]) -> list[int]:
    taken = {0} if seeds == CHAPTER else set(seeds)  # batches and split of the chapter's seed are those of 0
    return list(itertools.islice((seed for seed in itertools.count() if seed not in taken), SEEDS_OF_TUNING))


def _named(cells: polars.DataFrame, places: Sequence[tuple[int, float]]) -> polars.DataFrame:
    """Return a sweep's cells with the optimizer's place and the learning rate of each."""
    import polars as pl

    order = cells["optimizer"].to_list()
    return cells.select(
        pl.Series("place", [places[one][0] for one in order], dtype=pl.Int64),
        pl.Series("learning_rate", [float(places[one][1]) for one in order], dtype=pl.Float64),
        *("runs", "exploded", "failed", "loss_median", "loss_low", "loss_high"),
    )


def _best(cells: polars.DataFrame, place: int, grid: Range) -> Tuned:
    row = best_cell(cells.filter(cells["place"] == place))
    if row is None:
        return Tuned(None, at_edge=False)
    rate = float(row["learning_rate"])
    return Tuned(rate, at_edge=len(grid) > 1 and rate in (min(grid.values), max(grid.values)))


def tuned_flags(tune: Any, count: int) -> list[bool]:
    """Return for each optimizer whether it is to be tuned, or raise InputError."""
    if isinstance(tune, (list, tuple)):
        if len(tune) != count:
            raise checks.refuse("tune", f"True, False, or one of them for each of the {count} optimizers", tune)
        return [checks.flag(f"tune[{place}]", one) for place, one in enumerate(tune)]
    return [checks.flag("tune", tune)] * count
