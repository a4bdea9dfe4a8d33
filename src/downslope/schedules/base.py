"""The base of every schedule: checked settings, and one formula that serves a number and an array alike.

The helpers below and those of `downslope.exact` give the same bits for a Python number and for the element of an
array, and load NumPy only for the latter, so that a formula is written once.
"""

from __future__ import annotations

import dataclasses
import numbers
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform, overload

from downslope import checks, exact
from downslope.checks import Interval
from downslope.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Schedule"]

# Whole numbers up to here are exact in float64, so that an array of k and a single k are divided alike.
LARGEST_STEP = 2**53


def whole_step(name: str, value: Any, at_least: int) -> int:
    """Return `value` as a number of updates, or raise InputError."""
    step = checks.whole(name, value, at_least=at_least)
    if step > LARGEST_STEP:
        raise checks.refuse(name, "at most 2**53", value)
    return step


def _field(check: Callable[[str, Any], Any], default: Any, **extra: Any) -> Any:
    return dataclasses.field(default=default, metadata={"check": check, **extra})


def number(
    *,
    default: Any = dataclasses.MISSING,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
) -> Any:
    """Declare a setting that is a real number inside an interval."""
    interval = Interval(at_least, above, at_most, below)
    return _field(lambda name, value: checks.real(name, value, interval), default)


def count(*, default: Any = dataclasses.MISSING, at_least: int = 1) -> Any:
    """Declare a setting that is a number of updates."""
    return _field(lambda name, value: whole_step(name, value, at_least), default)


def switch(*, default: bool) -> Any:
    """Declare a setting that is True or False."""
    return _field(checks.flag, default)


def choice(options: tuple[str, ...], *, default: str) -> Any:
    """Declare a setting that is one of a few words."""
    return _field(lambda name, value: checks.one_of(name, value, options), default)


def several(item: str, check: Callable[[str, Any], Any]) -> Any:
    """Declare a setting that is a sequence; it is kept as a tuple."""

    def each(name: str, value: Any) -> tuple[Any, ...]:
        if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
            raise checks.refuse(name, f"a sequence of {item}", value)
        return tuple(check(f"{name}[{i}]", one) for i, one in enumerate(value))

    return _field(each, dataclasses.MISSING, several=True)


def a_schedule(name: str, value: Any) -> Schedule:
    """Return `value` if it is a schedule, or raise InputError."""
    if not isinstance(value, Schedule):
        raise checks.refuse(name, "a schedule such as Cosine(0.1, steps=900)", value)
    return value


def nested() -> Any:
    """Declare a setting that is itself a schedule."""
    return _field(a_schedule, dataclasses.MISSING)


@dataclass_transform(frozen_default=True, field_specifiers=(number, count, switch, choice, several, nested))
class Schedule(ABC):
    """The learning rate η_k as a function of k, the number of updates already done (k = 0 at the first update).

    Call it with a whole number for a float, or with an array of whole numbers for a float64 array of that shape; both
    have the same bits on every machine. A schedule never changes, compares equal by its settings, can be a dictionary
    key, and its `repr` is code that builds it again.

    A subclass is a frozen dataclass without further ado: it declares its settings, the one-line `formula`, and
    `_rate`, which computes it with + − × ÷, `downslope.exact` and this module's helpers.
    """

    formula: ClassVar[str]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        dataclasses.dataclass(frozen=True, repr=False)(cls)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            object.__setattr__(self, field.name, field.metadata["check"](field.name, getattr(self, field.name)))

    @overload
    def __call__(self, k: int) -> float: ...
    @overload
    def __call__(self, k: NDArray[np.integer[Any]]) -> NDArray[np.float64]: ...
    def __call__(self, k: Any) -> Any:
        """Return the learning rate after k updates.

        Parameters
        ----------
        k : int or array of int
            How many updates are already done, at least 0 and at most 2⁵³.

        Returns
        -------
        float or float64 array
            In the shape of `k`.

        Raises
        ------
        InputError
            If `k` is negative or not whole.
        """
        if isinstance(k, (numbers.Number, str)):
            return float(self._rate(whole_step("k", k, 0)))
        import numpy as np

        steps = _whole_array(k)
        with np.errstate(over="ignore", under="ignore"):
            return np.full(steps.shape, self._rate(steps), dtype=np.float64)

    def __repr__(self) -> str:
        shown = []
        for i, field in enumerate(dataclasses.fields(self)):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if i == 0:
                shown.append(repr(value))
            elif value != field.default:
                shown.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    @classmethod
    def name(cls) -> str:
        """Return the name on the command line and in descriptions: `LinearWarmup` is `linear-warmup`."""
        return re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()

    def describe(self) -> dict[str, Any]:
        """Return name and settings as values that JSON can hold; `from_description` gives back an equal schedule.

        Raises
        ------
        InputError
            If a setting of somebody's own schedule is of a type that JSON does not have.

        Examples
        --------
        >>> from downslope.schedules import Constant, InverseTime
        >>> InverseTime(1.0, decay=0.001).describe()
        {'name': 'inverse-time', 'base': 1.0, 'decay': 0.001}
        """
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}  # type: ignore[arg-type]
        return {"name": self.name(), **{name: _described(name, value) for name, value in values.items()}}

    @property
    def length(self) -> int | None:
        """After how many updates another schedule may follow; None where this one goes on for ever."""
        return None

    def for_steps(self, steps: int) -> Schedule:
        """Return this schedule with a length of `steps` updates, so that another may follow with `then`.

        Examples
        --------
        >>> from downslope.schedules import Constant, Cosine
        >>> schedule = Constant(0.1).for_steps(100).then(Cosine(0.1, steps=900))
        >>> schedule(99), schedule(550)
        (0.1, 0.05)
        """
        from downslope.schedules.composed import ForSteps

        return ForSteps(self, steps=steps)

    def then(self, following: Schedule) -> Schedule:
        """Return this schedule followed by another, which sees its own k from 0.

        Raises
        ------
        InputError
            If this schedule has no known length; `for_steps` gives it one.

        Examples
        --------
        >>> from downslope.schedules import Cosine, LinearWarmup
        >>> schedule = LinearWarmup(0.1, steps=100).then(Cosine(0.1, steps=900))
        >>> schedule(50), schedule(100), schedule(550)
        (0.05, 0.1, 0.05)
        """
        from downslope.schedules.composed import Chain

        return Chain((self, following))

    def scaled(self, factor: float) -> Schedule:
        """Return this schedule with every rate multiplied by `factor`.

        Examples
        --------
        >>> from downslope.schedules import Constant
        >>> Constant(0.1).scaled(0.5)
        Scaled(Constant(0.1), factor=0.5)
        """
        from downslope.schedules.composed import Scaled

        if isinstance(self, Scaled):
            return Scaled(self.schedule, factor=factor * self.factor)
        return Scaled(self, factor=factor)

    def shifted(self, start: int) -> Schedule:
        """Return this schedule as one that begins after `start` updates.

        Examples
        --------
        >>> from downslope.schedules import Cosine
        >>> Cosine(0.1, steps=900).shifted(4000)(4450)
        0.05
        """
        from downslope.schedules.composed import Shifted

        return Shifted(self, start=start) if start else self

    @abstractmethod
    def _rate(self, k: Any) -> Any:
        """Return the formula's value for an int or an int64 array `k`, already checked."""


def _described(name: str, value: Any) -> Any:
    if isinstance(value, Schedule):
        return value.describe()
    if isinstance(value, tuple):
        return [_described(f"{name}[{i}]", one) for i, one in enumerate(value)]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise checks.refuse(name, "a number, a truth value, text or a schedule to be saved", value)


def _whole_array(k: Any) -> NDArray[np.int64]:
    import numpy as np

    try:
        steps = np.asarray(k)
    except ValueError:
        steps = np.asarray(None)
    if not np.issubdtype(steps.dtype, np.integer) or (steps < 0).any():
        raise checks.refuse("k", "an array of whole numbers at least 0", k)
    if (steps > LARGEST_STEP).any():
        raise checks.refuse("k", "at most 2**53", k)
    return steps.astype(np.int64)


def between(low: Any, high: Any, weight: Any) -> Any:
    """Return low·(1 − weight) + high·weight: exactly `low` at weight 0 and exactly `high` at weight 1."""
    return low * (1.0 - weight) + high * weight


def half_cosine(progress: Any) -> Any:
    """Return (1 + cos(π·progress)) / 2: from 1 at progress 0 down to 0 at progress 1."""
    return 0.5 * (1.0 + exact.cos(3.141592653589793 * progress))


def missing_length(schedule: Schedule) -> InputError:
    """Return the error for a schedule that goes on for ever and yet has a follower; the caller raises it."""
    rule = "steps must be given with .for_steps(steps) before another schedule can follow one that goes on for ever."
    return InputError(f"{rule} Received: {schedule!r}")
