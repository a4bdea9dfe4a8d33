"""Checks shared by every room, so that wrong input always gets the same kind of sentence.

`momentum must be at least 0 and below 1. Received: momentum=1.5`
"""

from __future__ import annotations

import math
import numbers
import os
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from downslope.errors import InputError

__all__ = ["Interval", "did_you_mean", "flag", "one_of", "path", "real", "refuse", "text", "whole"]


def refuse(name: str, rule: str, value: Any) -> InputError:
    """Return the error for `name` breaking `rule`; the caller raises it."""
    try:
        shown = repr(value)
    except ValueError:  # Python does not print a whole number of more than 4,300 digits
        shown = f"a whole number of {value.bit_length()} bits"
    if len(shown) > 80:
        shown = shown[:77] + "..."
    return InputError(f"{name} must be {rule}. Received: {name}={shown}")


@dataclass(frozen=True, slots=True)
class Interval:
    """The legal values of a number; unset ends are open to infinity (which itself is never legal)."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    def __contains__(self, value: float) -> bool:
        return (
            math.isfinite(value)
            and (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        ends = (
            ("at least", self.at_least),
            ("above", self.above),
            ("at most", self.at_most),
            ("below", self.below),
        )
        shown = (f"{word} {end if isinstance(end, int) else f'{end:g}'}" for word, end in ends if end is not None)
        return " and ".join(shown) or "a finite number"


def path(name: str, value: Any, rule: str) -> str:
    """Return the text of a path, or raise InputError where it is none, empty, or holds what no path can."""
    text = os.fspath(value) if isinstance(value, (str, os.PathLike)) else ""
    if not text or "\0" in str(text):
        raise refuse(name, rule, value)
    return str(text)


def real(name: str, value: Any, interval: Interval | None = None) -> float:
    """Return `value` as a float inside `interval`, or raise InputError."""
    interval = interval or Interval()
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise refuse(name, f"a number {interval}" if str(interval) != "a finite number" else str(interval), value)
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if number not in interval:
        raise refuse(name, str(interval) if math.isfinite(number) else "a finite number", value)
    return number


def whole(name: str, value: Any, *, at_least: int = 0, at_most: int | None = None) -> int:
    """Return `value` as an int within the bounds, or raise InputError."""
    interval = Interval(at_least=at_least, at_most=at_most)
    if (
        isinstance(value, bool)
        or not isinstance(value, numbers.Integral)
        or int(value) < at_least
        or (at_most is not None and int(value) > at_most)
    ):
        raise refuse(name, f"a whole number {interval}", value)
    return int(value)


def flag(name: str, value: Any) -> bool:
    """Return `value` if it is True or False (NumPy's too), or raise InputError."""
    if isinstance(value, bool):
        return value
    if type(value).__name__ in {"bool_", "bool"} and hasattr(value, "item"):
        return bool(value.item())
    raise refuse(name, "True or False", value)


def text(name: str, value: Any) -> str:
    """Return `value` if it is a text, or raise InputError."""
    if not isinstance(value, str):
        raise refuse(name, "a text", value)
    return value


def one_of(name: str, value: Any, options: Iterable[str]) -> str:
    """Return `value` if it is one of `options`, or raise InputError with the nearest one suggested."""
    known = list(options)
    if isinstance(value, str) and value in known:
        return value
    listed = ", ".join(known)
    raise InputError(f"{name} must be one of {listed}. Received: {name}={value!r}{did_you_mean(value, known)}")


def did_you_mean(value: Any, known: Iterable[str]) -> str:
    """Return ". Did you mean 'adam'?" for the nearest of the known names, or "" where none is near."""
    import difflib

    near = difflib.get_close_matches(value, known, n=1) if isinstance(value, str) else []
    return f". Did you mean {near[0]!r}?" if near else ""
