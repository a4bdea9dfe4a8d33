"""Descents: the path an optimizer takes on a landscape."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from downslope import checks
from downslope.engines import vocabulary
from downslope.engines.scalars import scalar_table
from downslope.engines.update import FloatArray, apply_update, new_slots
from downslope.errors import DownslopeError
from downslope.landscapes import Landscape
from downslope.rules import Optimizer

__all__ = ["ARRIVED", "MOST_STEPS", "Descent", "arrived_within", "descend", "descents", "first_point"]

# A point so many times as far out as the picture is wide is one that exploded.
FAR = 1e6
# What is left of the first value's height above the minimum where a descent counts as arrived.
ARRIVED = 1e-3
MOST_STEPS = 1_000_000


@dataclass(frozen=True, eq=False)
class Descent:
    """The path of an optimizer on a landscape; made by `descend`.

    Attributes
    ----------
    landscape, optimizer
        Where it went down, and by which rule with which settings.
    points : float64 array, shape (n + 1, d)
        The start and the point after each of the n steps that were made.
    values : float64 array, shape (n + 1,)
        The landscape's value at each point.
    learning_rate : float64 array, shape (n,)
        The rate in force at each step.
    start : tuple of float
        The first point.
    asked : int
        How many steps were asked for.
    exploded : bool
        Whether the next step would have left what is finite, or gone further from the middle of the landscape's limits
        than 1,000,000 times their width. The path then ends at the last point before, and n is below `asked`.
    """

    landscape: Landscape
    optimizer: Optimizer
    points: NDArray[np.float64]
    values: NDArray[np.float64]
    learning_rate: NDArray[np.float64]
    start: tuple[float, ...]
    asked: int
    exploded: bool

    @property
    def steps(self) -> int:
        """How many steps were made."""
        return len(self.points) - 1

    @property
    def final_value(self) -> float:
        """The value at the last point."""
        return float(self.values[-1])

    def reached(self, tolerance: float) -> int | None:
        """Return the first step from which on the value stays within `tolerance` of the global minimum, or None.

        A descent that exploded has stayed nowhere: None.
        """
        within = checks.real("tolerance", tolerance, checks.Interval(at_least=0))
        if self.exploded:
            return None
        outside = np.flatnonzero(~(self.values - self.landscape.minimum <= within))
        first = int(outside[-1]) + 1 if len(outside) else 0
        return first if first < len(self.values) else None

    @property
    def arrived(self) -> int | None:
        """The first step from which on the height above the minimum stays within 0.001 of the first one, or None."""
        return self.reached(arrived_within(self.landscape, self.points[0]))


def arrived_within(landscape: Landscape, start: FloatArray) -> float:
    """Return how far above the minimum a descent that began at `start` counts as arrived."""
    return ARRIVED * max(float(landscape.value(start)) - landscape.minimum, 0.0)


def descend(landscape: Landscape, optimizer: Optimizer, *, start: ArrayLike | None = None, steps: int = 200) -> Descent:
    """Let an optimizer go down a landscape, step by step with the exact gradient.

    Parameters
    ----------
    landscape : Landscape
        One of `downslope.landscapes.LANDSCAPES`, or your own.
    optimizer : Optimizer
        The rule with its settings; a schedule in the place of the learning rate sees k = 0 at the first step.
    start : sequence of float, optional
        The first point; left out, the landscape's own.
    steps : int
        How many steps to make, at most 1,000,000; it ends earlier only where it explodes.

    Returns
    -------
    Descent
        In float64, with the same digits on every machine.

    Raises
    ------
    InputError
        If the start is not one finite number for each variable or lies where an explosion would end, if `steps` is
        negative or above 1,000,000, or if a schedule gives a value that is not legal.
    RuleError
        If the rule's own code fails.

    Examples
    --------
    >>> from downslope.landscapes import landscape
    >>> from downslope.rules import SGD
    >>> path = descend(landscape("bowl"), SGD(0.5), start=[3.0, -1.0], steps=3)
    >>> path.points[:, 0].tolist(), path.final_value
    ([3.0, 2.0, 1.5, 1.25], 0.03125)
    """
    first, asked = first_point(landscape, optimizer, start, steps)
    point: FloatArray = first
    slots = new_slots(optimizer, point)
    points, rates = [point], []
    for step in range(1, asked + 1):
        rate = float(optimizer.at(step).learning_rate)
        point, slots = apply_update(optimizer, step, point, landscape.gradient(point), slots)
        if not _lasts(landscape, point, slots.values()):
            break
        points.append(point)
        rates.append(rate)
    return _descent(landscape, optimizer, np.array(points), np.array(rates, dtype=np.float64), asked)


def descents(
    landscape: Landscape, optimizers: Sequence[Optimizer], *, start: ArrayLike | None = None, steps: int = 200
) -> list[Descent]:
    """Return what `descend` returns for each of several optimizers, sooner where they differ in learning rate only.

    Those of one rule make their steps together, as rows of one array, and each row has the bits it has alone. A rule
    that does not work element by element, as `check_rule` asks, is found out by the first row and goes one by one.

    Parameters
    ----------
    landscape, start, steps
        As for `descend`.
    optimizers : sequence of Optimizer
        Any; where they cannot go together, they go one after another.
    """
    if not optimizers:
        return []
    for optimizer in optimizers:
        first_point(landscape, optimizer, start, steps)
    together = _together(landscape, optimizers, *first_point(landscape, optimizers[0], start, steps))
    one = descend(landscape, optimizers[0], start=start, steps=steps)
    if together is not None and np.array_equal(one.points, together[0].points):
        return together
    return [one, *(descend(landscape, other, start=start, steps=steps) for other in optimizers[1:])]


def first_point(
    landscape: Landscape, optimizer: Optimizer, start: ArrayLike | None, steps: int
) -> tuple[NDArray[np.float64], int]:
    """Return the first point and the number of steps, or raise InputError."""
    if not isinstance(landscape, Landscape):
        raise checks.refuse("landscape", "a Landscape such as landscape('rosenbrock')", landscape)
    if not isinstance(optimizer, Optimizer):
        raise checks.refuse("optimizer", "an optimizer such as SGD(0.1)", optimizer)
    count = landscape.dimensions
    numbers = "one number, for the variable" if count == 1 else "two numbers, one for each variable"
    given = landscape.start if start is None else start
    try:
        point = np.array(given, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        point = np.empty(0)
    if point.shape != (count,) or not np.isfinite(point).all():
        raise checks.refuse("start", f"{numbers} of {landscape.name}, and finite", given)
    if not _inside(landscape, point) or not math.isfinite(landscape.value(point)):
        raise checks.refuse("start", f"within {FAR:,.0f} widths of the limits of {landscape.name}", given)
    return point, checks.whole("steps", steps, at_least=0, at_most=MOST_STEPS)


def _inside(landscape: Landscape, points: FloatArray) -> NDArray[np.bool_]:
    """Whether points of shape (..., d) are finite and not too far out; shape (...)."""
    low, high = np.array(landscape.limits).T
    near: NDArray[np.bool_] = (abs(points - (low + high) / 2) <= FAR * (high - low)).all(axis=-1)
    return near


def _lasts(landscape: Landscape, points: FloatArray, slots: Iterable[FloatArray]) -> NDArray[np.bool_]:
    """Whether descents may go on from points of shape (..., d): inside, and value and slots finite; shape (...)."""
    lasts = _inside(landscape, points) & np.isfinite(landscape.value(points))
    for slot in slots:
        lasts = lasts & np.isfinite(slot).all(axis=-1)
    return lasts


def _descent(
    landscape: Landscape,
    optimizer: Optimizer,
    points: NDArray[np.float64],
    rates: NDArray[np.float64],
    asked: int,
) -> Descent:
    values = landscape.value(points)
    for array in (points, values, rates):
        array.flags.writeable = False
    start = tuple(points[0].tolist())
    return Descent(landscape, optimizer, points, values, rates, start, asked, len(points) <= asked)


def _together(
    landscape: Landscape, optimizers: Sequence[Optimizer], start: NDArray[np.float64], steps: int
) -> list[Descent] | None:
    """Return all descents from one array with a row for each, or None where they cannot go together."""
    rule = optimizers[0]
    used = rule.slots_in_use()
    if any(type(one) is not type(rule) or one.slots_in_use() != used for one in optimizers):
        return None
    tables = [scalar_table(one, 1, steps) for one in optimizers]
    if steps == 0 or any(table.error is not None for table in tables):
        return None
    scalars = np.stack([table.values for table in tables])  # (rows, steps, scalars)
    flags = [isinstance(value, bool) for value in rule.scalars(1)]
    if (scalars[:, :, flags] != scalars[:1, :, flags]).any():
        return None

    points = np.empty((steps + 1, len(optimizers), len(start)))
    points[0] = start
    slots = {name: np.zeros_like(points[0]) for name in used}
    lasting = np.ones(len(optimizers), dtype=bool)
    ends = np.zeros(len(optimizers), dtype=np.int64)
    for step in range(steps):
        columns = [scalars[:, step, j, None] for j in range(len(flags))]
        taken = [bool(one[0, 0]) if is_flag else one for one, is_flag in zip(columns, flags, strict=True)]
        try:
            with np.errstate(all="ignore"):
                held = [slots.get(name) for name in rule.slots]
                result = rule.update(vocabulary, points[step], landscape.gradient(points[step]), *held, *taken)
            point, *rest = result if isinstance(result, tuple) else (result,)
            after = {name: value for name, value in zip(rule.slots, rest, strict=True) if value is not None}
        except DownslopeError:
            raise
        except Exception:  # the rule's own code may raise anything; alone, it is told by name
            return None
        if set(after) != set(used) or any(np.shape(one) != points[0].shape for one in (point, *after.values())):
            return None
        points[step + 1], slots = point, after
        lasting &= _lasts(landscape, points[step + 1], slots.values())
        ends += lasting
        if not lasting.any():
            break
    return [
        _descent(landscape, one, points[: end + 1, row].copy(), table.learning_rate[:end].copy(), steps)
        for row, (one, end, table) in enumerate(zip(optimizers, ends.tolist(), tables, strict=True))
    ]
