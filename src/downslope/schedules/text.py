"""A schedule, and any other value of a setting, in few words: for captions, not to be read back."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from downslope.schedules.base import Schedule
from downslope.schedules.composed import Chain, ForSteps, Scaled, Shifted
from downslope.schedules.decay import Constant

__all__ = ["in_words"]

DIGITS = 4


def in_words(value: Any) -> str:
    """Return a setting's value for a caption: numbers in four digits, what schedules are made of in plain words.

    A number that needs no more digits reads as code does. Schedules follow one another with "then", as the command
    line takes them.

    Examples
    --------
    >>> in_words(1.0899999999999999), in_words(1.0)
    ('1.09', '1.0')
    >>> in_words(Constant(0.02).for_steps(500).then(Constant(20.0)).scaled(0.001))
    '0.001 × (0.02 for 500 steps then 20)'
    """
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, tuple):
        return f"({', '.join(map(in_words, value))}{',' * (len(value) == 1)})"
    if isinstance(value, Schedule):
        return _schedule(value)
    # The address in the text of a function is another one every time.
    return "<function>" if callable(value) and " at 0x" in repr(value) else repr(value)


def _schedule(schedule: Schedule) -> str:
    if isinstance(schedule, Constant):
        return in_words(schedule.base).removesuffix(".0")
    if isinstance(schedule, Chain):
        return " then ".join(in_words(part) for part in schedule.parts)
    if isinstance(schedule, ForSteps):
        return f"{_joined(schedule.schedule)} for {schedule.steps} step{'s' * (schedule.steps != 1)}"
    if isinstance(schedule, Shifted):
        return f"{_joined(schedule.schedule)} from step {schedule.start}"
    if isinstance(schedule, Scaled):
        return f"{in_words(schedule.factor)} × {_joined(schedule.schedule)}"
    fields = dataclasses.fields(schedule)  # type: ignore[arg-type]  # every schedule is a dataclass
    given = [(field, getattr(schedule, field.name)) for field in fields]
    shown = [in_words(one) for _, one in given[:1]]
    shown += [f"{field.name}={in_words(one)}" for field, one in given[1:] if one != field.default]
    return f"{type(schedule).__name__}({', '.join(shown)})"


def _joined(schedule: Schedule) -> str:
    """Return a schedule's words in brackets where what follows would else belong to a part of them."""
    words = in_words(schedule)
    return f"({words})" if isinstance(schedule, Chain | ForSteps | Shifted | Scaled) else words


def _number(value: float) -> str:
    short = f"{value:.{DIGITS}g}"
    if not math.isfinite(value) or float(short) == value:
        return repr(value)
    return f"{value:.0f}" if 10**DIGITS <= abs(value) < 1e7 else short
