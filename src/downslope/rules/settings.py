"""The record of one setting of a rule: default, legal interval, unit and meaning.

One record feeds everything that speaks of a setting: the error text, the command's option, the docs' table and the
property tests' strategy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from downslope import checks
from downslope.checks import Interval
from downslope.errors import InputError

__all__ = ["Setting", "setting"]


@dataclass(frozen=True, repr=False)
class Setting:
    """What a rule knows about one of its settings; made by `setting`."""

    default: float | int | bool
    interval: Interval
    meaning: str
    unit: str = ""
    scheduled: bool = False
    name: str = ""

    def __set_name__(self, owner: type, name: str) -> None:
        object.__setattr__(self, "name", name)

    def __repr__(self) -> str:
        return f"setting({self.default!r}; {self.legal}: {self.meaning})"

    @property
    def kind(self) -> type:
        """`bool`, `int` or `float`, by the default's type."""
        return type(self.default)

    @property
    def option(self) -> str:
        """The option's name on the command line: `beta_1` is `--beta-1`."""
        return "--" + self.name.replace("_", "-")

    @property
    def legal(self) -> str:
        """The legal values in words: `at least 0 and below 1`."""
        if self.kind is bool:
            return "True or False"
        return f"whole number {self.interval}" if self.kind is int else str(self.interval)

    def check(self, value: Any) -> Any:
        """Return `value` in the setting's own type, or raise InputError; a schedule stays as it is."""
        if self.kind is bool:
            return checks.flag(self.name, value)
        if isinstance(value, type):
            raise checks.refuse(self.name, "a value, not a class", value)
        if callable(value):
            if not self.scheduled:
                raise InputError(f"{self.name} must be a constant, not a schedule. Received: {self.name}={value!r}")
            return value
        if self.kind is int:
            lowest, highest = self.interval.at_least, self.interval.at_most
            return checks.whole(
                self.name, value, at_least=int(lowest or 0), at_most=None if highest is None else int(highest)
            )
        return checks.real(self.name, value, self.interval)

    def check_at(self, step: int, value: Any) -> float:
        """Return a schedule's value as a float, or raise InputError; see `closed`."""
        return checks.real(
            f"{self.name} at step {step}", value.item() if hasattr(value, "item") else value, self.closed
        )

    @property
    def closed(self) -> Interval:
        """What a schedule may give: it may reach the interval's open ends (a rate may end at 0)."""
        ends = self.interval
        return Interval(
            at_least=ends.above if ends.at_least is None else ends.at_least,
            at_most=ends.below if ends.at_most is None else ends.at_most,
        )


def setting(
    default: float | int | bool,
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    meaning: str,
    unit: str = "",
    scheduled: bool = False,
) -> Any:
    """Declare a setting in the body of an `Optimizer`.

    Parameters
    ----------
    default : float, int or bool
        The value when none is given; its type is the setting's type.
    at_least, above, at_most, below : float, optional
        The legal interval; open ends reach to infinity, which itself is never legal. A whole number without a
        lower end counts from 0.
    meaning : str
        One phrase, shown in help and documentation.
    unit : str, optional
        What the number counts, such as "steps".
    scheduled : bool, optional
        Whether a function of k, the number of updates already done, may stand in its place.

    Examples
    --------
    >>> from downslope.rules import Optimizer, setting
    >>> class Descent(Optimizer):
    ...     '''Plain descent.'''
    ...     learning_rate = setting(0.1, above=0, meaning="size of a step", scheduled=True)
    ...     def update(xp, parameter, gradient, learning_rate):
    ...         return parameter - learning_rate * gradient
    >>> Descent(learning_rate=-1)
    Traceback (most recent call last):
    downslope.errors.InputError: learning_rate must be above 0. Received: learning_rate=-1
    """
    if type(default) is int:  # whole numbers have only closed ends
        at_least = at_least if above is None else math.floor(above) + 1
        at_most = at_most if below is None else math.ceil(below) - 1
        return Setting(default, Interval(at_least=at_least or 0, at_most=at_most), meaning, unit, scheduled)
    return Setting(default, Interval(at_least, above, at_most, below), meaning, unit, scheduled)
