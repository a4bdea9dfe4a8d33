"""Schedules that fall from an initial learning rate: constant, inverse time, exponential, steps, polynomial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from downslope import checks, exact
from downslope.checks import Interval
from downslope.errors import InputError
from downslope.exact import minimum, where
from downslope.schedules.base import (
    Schedule,
    between,
    count,
    number,
    several,
    switch,
    whole_step,
)

__all__ = ["Constant", "Exponential", "InverseTime", "Piecewise", "Polynomial", "Step", "inverse_time"]


class Constant(Schedule):
    """The same learning rate at every update.

    Formula: η_k = η.

    Parameters
    ----------
    base : float
        The learning rate η, above 0.

    Examples
    --------
    >>> Constant(0.1)(1000)
    0.1
    """

    formula: ClassVar[str] = "η_k = η"
    base: float = number(above=0)

    def _rate(self, k: Any) -> Any:
        return self.base


def inverse_time(base: Any, decay: Any, k: Any) -> Any:
    """Return base · (1 / (1 + decay·k)), which gives the chapter's printed digits; for `InverseTime` and the book."""
    return base * (1.0 / (1.0 + decay * k))


class InverseTime(Schedule):
    """The learning rate divided by a number that grows by `decay` at every update.

    Formula: η_k = η / (1 + d·k), computed as η · (1 / (1 + d·k)), which gives the chapter's printed digits.

    Parameters
    ----------
    base : float
        The initial learning rate η, above 0.
    decay : float
        d, at least 0; after 1/d updates half of the learning rate is left.

    References
    ----------
    *Neural Networks from Scratch in Python*, chapter 10, "Learning Rate Decay".

    Examples
    --------
    >>> schedule = InverseTime(1.0, decay=0.1)
    >>> schedule(1), schedule(20)
    (0.9090909090909091, 0.3333333333333333)
    """

    formula: ClassVar[str] = "η_k = η / (1 + d·k)"
    base: float = number(above=0)
    decay: float = number(at_least=0)

    def _rate(self, k: Any) -> Any:
        return inverse_time(self.base, self.decay, k)


class Exponential(Schedule):
    """The learning rate multiplied by `rate` in every `steps` updates, smoothly or (staircase) at once.

    Formula: η_k = η · r^(k/s). It is computed as η · r^⌊k/s⌋ · e^(ln(r)·(k mod s)/s), so that after whole multiples of
    `steps` the smooth form, the staircase and `Step` agree to the last bit.

    Parameters
    ----------
    base : float
        The initial learning rate η, above 0.
    rate : float
        r, above 0. Above 1 the learning rate grows, as in a search for the largest usable one.
    steps : int
        s, at least 1: after how many updates one factor of `rate` is reached.
    staircase : bool
        Whether k/s is rounded down to a whole number.

    Examples
    --------
    >>> schedule = Exponential(1.0, rate=0.25, steps=10)
    >>> schedule(0), schedule(5), schedule(10)
    (1.0, 0.5, 0.25)
    >>> Exponential(1.0, rate=0.25, steps=10, staircase=True)(9)
    1.0
    """

    formula: ClassVar[str] = "η_k = η · r^(k/s)"
    base: float = number(above=0)
    rate: float = number(above=0)
    steps: int = count(default=1)
    staircase: bool = switch(default=False)

    def _rate(self, k: Any) -> Any:
        stair = self.base * exact.power(self.rate, k // self.steps)
        if self.staircase:
            return stair
        return stair * exact.exp(exact.log(self.rate) * ((k % self.steps) / self.steps))


class Step(Schedule):
    """The learning rate multiplied by `factor` after every `every` updates.

    Formula: η_k = η · f^⌊k/n⌋.

    Parameters
    ----------
    base : float
        The initial learning rate η, above 0.
    every : int
        n, at least 1: the number of updates between two changes.
    factor : float
        f, above 0.

    Examples
    --------
    >>> schedule = Step(1.0, every=100, factor=0.5)
    >>> schedule(99), schedule(100), schedule(200)
    (1.0, 0.5, 0.25)
    """

    formula: ClassVar[str] = "η_k = η · f^⌊k/n⌋"
    base: float = number(above=0)
    every: int = count()
    factor: float = number(default=0.1, above=0)

    def _rate(self, k: Any) -> Any:
        return self.base * exact.power(self.factor, k // self.every)


class Piecewise(Schedule):
    """A list of learning rates and the updates at which one gives way to the next.

    Formula: η_k = v_i for b_i ≤ k < b_{i+1}, with b_0 = 0. So the update with k = b_i is the first to use v_i (as in
    PyTorch; Keras's `PiecewiseConstantDecay` still uses the value before).

    Parameters
    ----------
    values : sequence of float
        v, one more than there are boundaries; the first above 0, the others at least 0.
    boundaries : sequence of int
        b, each at least 1 and above the one before.

    Examples
    --------
    >>> schedule = Piecewise([0.1, 0.05, 0.01], boundaries=[100, 200])
    >>> schedule(99), schedule(100), schedule(1000)
    (0.1, 0.05, 0.01)
    """

    formula: ClassVar[str] = "η_k = v_i for b_i ≤ k < b_{i+1}"
    values: Sequence[float] = several("numbers", lambda name, value: checks.real(name, value, Interval(at_least=0)))
    boundaries: Sequence[int] = several("whole numbers", lambda name, value: whole_step(name, value, 1))

    def __post_init__(self) -> None:
        super().__post_init__()
        for i in range(1, len(self.boundaries)):
            if self.boundaries[i] <= self.boundaries[i - 1]:
                rule = f"above the boundary before it, {self.boundaries[i - 1]}"
                raise checks.refuse(f"boundaries[{i}]", rule, self.boundaries[i])
        if len(self.values) != len(self.boundaries) + 1:
            raise InputError(
                "values must hold one number more than boundaries. "
                f"Received: {len(self.values)} values and {len(self.boundaries)} boundaries"
            )
        checks.real("values[0]", self.values[0], Interval(above=0))

    def _rate(self, k: Any) -> Any:
        rate: Any = self.values[0]
        for value, boundary in zip(self.values[1:], self.boundaries, strict=True):
            rate = where(k >= boundary, value, rate)
        return rate


class Polynomial(Schedule):
    """From `base` to `final` along a power of the updates that are left; then it stays at `final`.

    Formula: η_k = f + (η − f) · (1 − min(k, s)/s)^p.

    Parameters
    ----------
    base : float
        The initial learning rate η, above 0.
    steps : int
        s, at least 1: `final` is reached after so many updates.
    final : float
        f, at least 0.
    power : float
        p, above 0; 1 is a straight line.

    Examples
    --------
    >>> schedule = Polynomial(1.0, steps=100)
    >>> schedule(25), schedule(100), schedule(1000)
    (0.75, 0.0, 0.0)
    >>> Polynomial(1.0, steps=100, power=2)(50)
    0.25
    """

    formula: ClassVar[str] = "η_k = f + (η − f) · (1 − min(k, s)/s)^p"
    base: float = number(above=0)
    steps: int = count()
    final: float = number(default=0.0, at_least=0)
    power: float = number(default=1.0, above=0)

    @property
    def length(self) -> int | None:
        """`steps`."""
        return self.steps

    def _rate(self, k: Any) -> Any:
        left = (self.steps - minimum(k, self.steps)) / self.steps
        whole = int(self.power)
        weight = exact.power(left, whole)
        if self.power != whole:
            weight = weight * exact.exp((self.power - whole) * exact.log(left))
        return between(self.final, self.base, weight)
