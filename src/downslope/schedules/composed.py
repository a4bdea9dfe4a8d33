"""Schedules made of schedules: one after the other, with a length, later, or multiplied."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, ClassVar

from downslope import checks
from downslope.exact import maximum, where
from downslope.schedules.base import (
    Schedule,
    a_schedule,
    count,
    missing_length,
    nested,
    number,
    several,
)

__all__ = ["Chain", "ForSteps", "Scaled", "Shifted"]


class ForSteps(Schedule):
    """A schedule with a length, made by `Schedule.for_steps`.

    The length says when the next schedule of a chain begins; without a next one, this one simply goes on.

    Formula: η_k = schedule(k).

    Parameters
    ----------
    schedule : Schedule
        What gives the learning rate.
    steps : int
        Its length in updates, at least 1.

    Examples
    --------
    >>> from downslope.schedules import Constant
    >>> ForSteps(Constant(0.1), steps=100).length
    100
    """

    formula: ClassVar[str] = "η_k = schedule(k)"
    schedule: Schedule = nested()
    steps: int = count()

    def inside(self) -> tuple[Schedule, ...]:
        """Return the schedule this one is made of."""
        return (self.schedule,)

    @property
    def length(self) -> int | None:
        """`steps`."""
        return self.steps

    def _rate(self, k: Any) -> Any:
        return self.schedule._rate(k)


class Chain(Schedule):
    """Schedules one after the other, made by `Schedule.then`; each sees its own k from 0.

    Formula: η_k = part_i(k − c_i) for c_i ≤ k < c_{i+1}, where c_i is the sum of the lengths before part i. The last
    part goes on for ever. A chain inside a chain becomes part of it.

    Parameters
    ----------
    parts : sequence of Schedule
        At least one; all but the last must have a length.

    Examples
    --------
    >>> from downslope.schedules import Constant, LinearWarmup
    >>> schedule = Chain([LinearWarmup(0.1, steps=100), Constant(0.1)])
    >>> schedule(50), schedule(1000)
    (0.05, 0.1)
    >>> schedule
    Chain((LinearWarmup(0.1, steps=100), Constant(0.1)))
    """

    formula: ClassVar[str] = "η_k = part_i(k − c_i) for c_i ≤ k < c_{i+1}"
    parts: Sequence[Schedule] = several("schedules", a_schedule)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.parts:
            raise checks.refuse("parts", "a sequence of at least one schedule", self.parts)
        flat: list[Schedule] = []
        for part in self.parts:
            flat.extend(part.parts if isinstance(part, Chain) else [part])
        for part in flat[:-1]:
            if part.length is None:
                raise missing_length(part)
        object.__setattr__(self, "parts", tuple(flat))

    def inside(self) -> tuple[Schedule, ...]:
        """Return the parts."""
        return tuple(self.parts)

    @property
    def length(self) -> int | None:
        """The sum of the parts' lengths, or None if the last has none."""
        lengths = [part.length for part in self.parts]
        return None if lengths[-1] is None else sum(length or 0 for length in lengths)

    def _rate(self, k: Any) -> Any:
        rate, start = self.parts[0]._rate(k), 0
        for before, part in pairwise(self.parts):
            start += before.length or 0
            rate = where(k >= start, part._rate(maximum(k - start, 0)), rate)
        return rate


class Scaled(Schedule):
    """A schedule with every rate multiplied by a number, made by `Schedule.scaled`.

    Formula: η_k = factor · schedule(k).

    Parameters
    ----------
    schedule : Schedule
        What gives the learning rate.
    factor : float
        What it is multiplied by, above 0.

    Examples
    --------
    >>> from downslope.schedules import InverseTime
    >>> InverseTime(1.0, decay=0.1).scaled(0.5)(10)
    0.25
    """

    formula: ClassVar[str] = "η_k = factor · schedule(k)"
    schedule: Schedule = nested()
    factor: float = number(above=0)

    def inside(self) -> tuple[Schedule, ...]:
        """Return the schedule this one is made of."""
        return (self.schedule,)

    @property
    def length(self) -> int | None:
        """That of the schedule."""
        return self.schedule.length

    def _rate(self, k: Any) -> Any:
        return self.factor * self.schedule._rate(k)


class Shifted(Schedule):
    """A schedule that begins later, made by `Schedule.shifted`; before, its first rate holds.

    So a run that gets a schedule in the middle goes through it from its beginning.

    Formula: η_k = schedule(max(k − start, 0)).

    Parameters
    ----------
    schedule : Schedule
        What gives the learning rate.
    start : int
        The number of updates after which it begins, at least 0.

    Examples
    --------
    >>> from downslope.schedules import InverseTime
    >>> later = InverseTime(1.0, decay=0.1).shifted(1000)
    >>> later(0), later(1000), later(1010)
    (1.0, 1.0, 0.5)
    """

    formula: ClassVar[str] = "η_k = schedule(max(k − start, 0))"
    schedule: Schedule = nested()
    start: int = count(at_least=0)

    def inside(self) -> tuple[Schedule, ...]:
        """Return the schedule this one is made of."""
        return (self.schedule,)

    @property
    def length(self) -> int | None:
        """That of the schedule, and `start` more."""
        return None if self.schedule.length is None else self.start + self.schedule.length

    def _rate(self, k: Any) -> Any:
        return self.schedule._rate(maximum(k - self.start, 0))
