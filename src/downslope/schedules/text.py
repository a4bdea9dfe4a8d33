"""A schedule, and any other value of a setting, in few words: for captions and rows, not to be read back."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

from downslope.schedules.base import Schedule
from downslope.schedules.named import DESCRIBED

__all__ = ["in_words", "number_text", "schedule_words"]

DIGITS = 4


def in_words(value: Any) -> str:
    """Return a setting's value for a caption: numbers in four digits, schedules as `schedule_words` has them.

    A number that needs no more digits reads as code does.

    Examples
    --------
    >>> from downslope.schedules import Constant
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
        return schedule_words(value.describe())
    # The address in the text of a function is another one every time.
    return "<function>" if callable(value) and " at 0x" in repr(value) else repr(value)


def schedule_words(described: Mapping[str, Any], step: int = 0) -> str:
    """Return a schedule in few words, from its description: much as the command line takes it, a constant as its rate.

    What begins after `step` updates, where it was given, is told as if it began with them.

    Examples
    --------
    >>> schedule_words({"name": "shifted", "schedule": {"name": "cosine", "base": 0.1, "steps": 90}, "start": 40}, 40)
    'cosine:base=0.1,steps=90'
    """
    name = described["name"]
    if name == "constant":
        return number_text(described["base"])
    if name == "chain":
        return " then ".join(schedule_words(part, step) for part in described["parts"])
    if name == "shifted" and described["start"] == step:
        return schedule_words(described["schedule"], step)
    if name in ("for-steps", "scaled", "shifted"):
        return _composed(described, step)
    known = DESCRIBED.get(name)
    defaults = {} if known is None else {one.name: one.default for one in dataclasses.fields(known)}  # type: ignore[arg-type]
    shown = ",".join(
        f"{setting}={_text(value)}"
        for setting, value in described.items()
        if setting != "name" and (setting not in defaults or value != defaults[setting])
    )
    return f"{name}{':' * bool(shown)}{shown}"


def _composed(described: Mapping[str, Any], step: int) -> str:
    """Return the words of a schedule that has another one inside."""
    inside = schedule_words(described["schedule"], step)
    if " " in inside:  # what follows would else belong to a part of it
        inside = f"({inside})"
    if described["name"] == "for-steps":
        return f"{inside} for {described['steps']} step{'s' * (described['steps'] != 1)}"
    if described["name"] == "scaled":
        return f"{number_text(described['factor'])} × {inside}"
    return f"{inside} from step {described['start']}"


def number_text(value: float) -> str:
    """Return a number as short as it can be read: exactly where six digits are enough, else with four."""
    exact = f"{value:g}"
    return exact if float(exact) == value else f"{value:.{DIGITS}g}"


def _text(value: Any) -> str:
    if isinstance(value, list):
        return "/".join(_text(one) for one in value)
    return number_text(value) if isinstance(value, float) else str(value)


def _number(value: float) -> str:
    short = f"{value:.{DIGITS}g}"
    if not math.isfinite(value) or float(short) == value:
        return repr(value)
    return f"{value:.0f}" if 10**DIGITS <= abs(value) < 1e7 else short
