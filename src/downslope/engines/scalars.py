"""The scalars of many steps at once: a table with one row a step, which a compiled loop reads from top to bottom."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from downslope.errors import DownslopeError, RuleError
from downslope.rules import Optimizer
from downslope.schedules import is_built_in

__all__ = ["ScalarTable", "array_scalars", "is_quick", "scalar_table"]


class ScalarTable(NamedTuple):
    """What `update` takes at each of n consecutive steps.

    Attributes
    ----------
    values : float64 array, shape (n, len(rule.scalar_names))
        Row i is `rule.scalars` of the i-th step; True is 1.0 and False 0.0.
    learning_rate : float64 array, shape (n,)
        The learning rate in force at each step.
    error : DownslopeError or None
        Why the table ends before the steps that were asked for: what the step after its last one would raise.
    """

    values: NDArray[np.float64]
    learning_rate: NDArray[np.float64]
    error: DownslopeError | None

    def first(self, count: int) -> ScalarTable:
        """Return the table of the first so many of its steps."""
        return ScalarTable(self.values[:count], self.learning_rate[:count], None)


def scalar_table(rule: Optimizer, first: int, count: int, since: int = 0) -> ScalarTable:
    """Return the scalars of the steps `first` … `first` + `count` − 1, each row with the bits `rule.scalars` gives.

    The package's own schedules are called once, and so is a `per_step` that takes arrays (`Optimizer.steps_as_arrays`).
    Any other function in the place of a schedule, and any other `per_step`, is called once a step.

    Parameters
    ----------
    rule : Optimizer
        The rule with its settings.
    first, count : int
        The first step, from 1, and how many follow one another.
    since : int
        The step at which the slots were zero, below `first`: corrections for that start go by the steps since.

    Returns
    -------
    ScalarTable
        Shorter than asked for, and with an error, where a schedule gives an illegal value or the rule's code fails.
    """
    steps = np.arange(first, first + count)
    with np.errstate(all="ignore"):  # as with Python's own numbers: what is too large is infinite, and nobody warns
        if _goes_its_own_way(rule):
            return _asked(rule, steps, since)
        settings, reached, error = _scheduled(rule, steps)
        ages = steps[:reached] - since
        values = None
        if rule.steps_as_arrays:
            try:
                values = array_scalars(rule.unchecked(settings), ages)
            except Exception:  # each step is then asked alone, which finds the one that fails
                values = None
        if values is None:
            values, failed = _step_by_step(rule, settings, ages)
            error = failed or error
        if "learning_rate" not in settings:
            settings["learning_rate"] = np.full(len(values), rule.learning_rate)
        return ScalarTable(values, settings["learning_rate"][: len(values)], error)


def array_scalars(rule: Optimizer, ages: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the scalars of all steps from one call of `per_step`, which takes arrays; one row a step.

    Parameters
    ----------
    rule : Optimizer
        Its scheduled settings hold numbers, or arrays of one number a step.
    ages : int64 array, shape (n,)
        The steps since the slots were zero.
    """
    values = np.empty((len(ages), len(rule.scalar_names)))
    for column, value in enumerate(rule.named_scalars(ages).values()):
        values[:, column] = value
    return values


def _scheduled(
    rule: Optimizer, steps: NDArray[np.int64]
) -> tuple[dict[str, NDArray[np.float64]], int, DownslopeError | None]:
    """Return the values of every scheduled setting, how many steps they all reach, and why they end there."""
    settings: dict[str, NDArray[np.float64]] = {}
    reached, error = len(steps), None
    for name, schedule in rule.values().items():
        if callable(schedule):
            settings[name], failed = _setting(rule, name, schedule, steps[:reached])
            if failed is not None:
                reached, error = len(settings[name]), failed
    return {name: values[:reached] for name, values in settings.items()}, reached, error


def _setting(
    rule: Optimizer, name: str, schedule: Callable[[Any], Any], steps: NDArray[np.int64]
) -> tuple[NDArray[np.float64], DownslopeError | None]:
    """Return a schedule's values up to the first that is not legal, and the error that one is owed."""
    record = rule.settings[name]
    ends, largest = record.closed, sys.float_info.max
    low = -largest if ends.at_least is None else ends.at_least
    high = largest if ends.at_most is None else ends.at_most
    if is_built_in(schedule):
        values = schedule(steps - 1)
        legal = (values >= low) & (values <= high)
        if legal.all():
            return values, None
        steps = steps[: int(np.flatnonzero(~legal)[0]) + 1]
    found = []
    for step in steps.tolist():
        try:
            value = schedule(step - 1)
            plain = type(value) is float and low <= value <= high  # most are, and this is soon told
            found.append(value if plain else record.check_at(step, value))
        except Exception as error:
            return np.array(found, dtype=np.float64), _told(f"{name} at step {step}", error)
    return np.array(found, dtype=np.float64), None


def _step_by_step(
    rule: Optimizer, settings: Mapping[str, NDArray[np.float64]], ages: NDArray[np.int64]
) -> tuple[NDArray[np.float64], DownslopeError | None]:
    """Return the scalars from one call of `per_step` a step, and the error of the step that fails."""
    moving = {name: values.tolist() for name, values in settings.items()}
    rows: list[list[float]] = []
    for i, age in enumerate(ages.tolist()):
        try:
            now = rule.unchecked({name: values[i] for name, values in moving.items()}) if moving else rule
            rows.append([float(value) for value in now.named_scalars(age).values()])
        except Exception as error:  # the rule's own code may raise anything
            return _table(rule, rows), _told(f"{type(rule).__name__}.update", error)
    return _table(rule, rows), None


def _asked(rule: Optimizer, steps: NDArray[np.int64], since: int) -> ScalarTable:
    """Return the table of a rule with methods of its own, which is asked for every step."""
    rows: list[list[float]] = []
    rates: list[float] = []
    failed = None
    for step in steps.tolist():
        try:
            rate = float(rule.at(step).learning_rate)
            rows.append([float(value) for value in rule.scalars(step, step - since)])
        except Exception as error:  # the rule's own code may raise anything
            failed = _told(f"{type(rule).__name__}.update", error)
            break
        rates.append(rate)
    return ScalarTable(_table(rule, rows), np.array(rates, dtype=np.float64), failed)


def is_quick(rule: Optimizer) -> bool:
    """Return whether a table of many steps is one calculation: no function has to be called for each of them."""
    moving = [value for value in rule.values().values() if callable(value)]
    return rule.steps_as_arrays and not _goes_its_own_way(rule) and all(is_built_in(value) for value in moving)


def _goes_its_own_way(rule: Optimizer) -> bool:
    """Whether a rule has methods of its own in the place of those whose work is done here for many steps."""
    done_here = ("at", "named_scalars", "scalars", "values")
    return any(getattr(type(rule), name) is not getattr(Optimizer, name) for name in done_here)


def _table(rule: Optimizer, rows: list[list[float]]) -> NDArray[np.float64]:
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(rule.scalar_names))


def _told(what: str, error: Exception) -> DownslopeError:
    """Return the package's own error as it is, and any other as the one `apply_update` makes of it."""
    if isinstance(error, DownslopeError):
        return error
    told = RuleError(f"{what} failed: {type(error).__name__}: {error}")
    told.__cause__ = error
    return told
