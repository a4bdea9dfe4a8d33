"""Schedules by name, and as one line of text for the command line."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

from downslope import checks
from downslope.errors import InputError
from downslope.schedules.base import Schedule
from downslope.schedules.composed import Chain, ForSteps, Scaled, Shifted
from downslope.schedules.cyclic import Cosine, LinearWarmup, OneCycle
from downslope.schedules.decay import Constant, Exponential, InverseTime, Piecewise, Polynomial, Step

__all__ = ["by_name", "from_description", "is_built_in", "names", "parse"]

CLASSES: tuple[type[Schedule], ...] = (
    Constant,
    InverseTime,
    Exponential,
    Step,
    Piecewise,
    Polynomial,
    Cosine,
    LinearWarmup,
    OneCycle,
)
BY_NAME = {cls.name(): cls for cls in CLASSES}
COMPOSED = (Chain, ForSteps, Scaled, Shifted)
DESCRIBED: dict[str, type[Schedule]] = {**BY_NAME, **{cls.name(): cls for cls in COMPOSED}}


def names() -> list[str]:
    """Return the names of the schedules as the command line takes them.

    Examples
    --------
    >>> names()[:2]
    ['constant', 'inverse-time']
    """
    return list(BY_NAME)


def by_name(name: str) -> type[Schedule]:
    """Return the schedule class of that name, or raise InputError with the nearest one suggested."""
    return BY_NAME[checks.one_of("schedule", name, BY_NAME)]


def is_built_in(schedule: Any) -> bool:
    """Return whether a schedule, and every schedule inside it, is of a class of this package.

    Those give each element of an array the bits of the single number; anybody else's may not.
    """
    return type(schedule) in CLASSES or (
        type(schedule) in COMPOSED and all(is_built_in(part) for part in schedule.inside())
    )


def from_description(description: Any, known: Mapping[str, type[Schedule]] | None = None) -> Schedule:
    """Return the schedule that `Schedule.describe` described.

    Parameters
    ----------
    description : mapping
        The schedule's "name" and its settings.
    known : mapping of str to type, optional
        Classes that are not of this package, by name.

    Raises
    ------
    InputError
        If the name, a setting's name or a setting's value is not known.

    Examples
    --------
    >>> from_description({"name": "inverse-time", "base": 1.0, "decay": 0.001})
    InverseTime(1.0, decay=0.001)
    """
    if not isinstance(description, Mapping):
        raise checks.refuse("schedule", 'a dictionary with "name" and settings', description)
    table = {**DESCRIBED, **(known or {})}
    settings = {str(name): _settled(value, known) for name, value in description.items()}
    name = checks.one_of("schedule", settings.pop("name", None), table)
    fields = {field.name: field for field in dataclasses.fields(table[name])}  # type: ignore[arg-type]
    unknown = sorted(settings.keys() - fields.keys())
    missing = [one for one, field in fields.items() if field.default is dataclasses.MISSING and one not in settings]
    if unknown:
        raise InputError(f"{name} must be described by {', '.join(fields)} only. Received: {', '.join(unknown)}")
    if missing:
        raise InputError(f"{name} must be described with {', '.join(missing)}. Received: schedule={description!r}")
    return table[name](**settings)


def _settled(value: Any, known: Mapping[str, type[Schedule]] | None) -> Any:
    """Return a described value with every description inside it replaced by its schedule."""
    if isinstance(value, Mapping):
        return from_description(value, known)
    if isinstance(value, list | tuple):
        return [_settled(one, known) for one in value]
    return value


def parse(text: str, base: float) -> Schedule:
    """Return the schedule a line of text describes.

    A part is written `name:setting=value,setting=value`; `for 100` gives it a length and `then` joins parts. The items
    of a list are separated by slashes: `piecewise:values=0.1/0.01,boundaries=100`.

    Parameters
    ----------
    text : str
        Such as `"linear-warmup:steps=100 then cosine:steps=900"`.
    base : float
        The learning rate, above 0: `base` of every part that does not name its own. (`piecewise` names its values.)

    Raises
    ------
    InputError
        One sentence for the first thing that is wrong.

    Examples
    --------
    >>> parse("cosine:steps=900,final=0.001", 0.1)
    Cosine(0.1, steps=900, final=0.001)
    >>> parse("constant for 100 then inverse-time:decay=0.01", 0.1)
    Chain((ForSteps(Constant(0.1), steps=100), InverseTime(0.1, decay=0.01)))
    """
    if not isinstance(text, str):
        raise checks.refuse("schedule", "text such as cosine:steps=900", text)
    pieces = [piece.strip() for piece in re.split(r"\bthen\b", text)]
    if len(pieces) > 1 and not all(pieces):
        raise checks.refuse("schedule", "text with a schedule on each side of 'then'", text)
    parts = [_part(piece, base) for piece in pieces]
    for piece, part in zip(pieces[:-1], parts[:-1], strict=True):
        if part.length is None:
            raise checks.refuse("schedule", f"given a length before 'then', such as '{piece} for 100'", text)
    return parts[0] if len(parts) == 1 else Chain(parts)


def _part(text: str, base: float) -> Schedule:
    """Return the schedule of one part: `name:setting=value,… for steps`."""
    described, *lengths = re.split(r"\sfor\b", text)
    if len(lengths) > 1:
        raise checks.refuse("schedule", "given one length after 'for'", text)
    name, _, settings = (piece.strip() for piece in described.partition(":"))
    cls = by_name(name)
    fields = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    given: dict[str, Any] = {}
    for item in settings.split(",") if settings else []:
        setting, equals, value = (piece.strip() for piece in item.partition("="))
        if not (setting and equals and value):
            raise InputError(f"{name} must have its settings written as setting=value. Received: {item.strip()!r}")
        checks.one_of(f"{name} setting", setting, fields)
        if setting in given:
            raise InputError(f"{setting} must be given once. Received: {settings}")
        several = fields[setting].metadata.get("several", False)
        given[setting] = [_value(one) for one in value.split("/")] if several else _value(value)
    if "base" in fields:
        given = {"base": base, **given}
    for field in fields.values():
        if field.default is dataclasses.MISSING and field.name not in given:
            raise InputError(f"{name} must be given {field.name}, as in '{name}:{field.name}=…'. Received: {text!r}")
    schedule = cls(**given)
    return schedule.for_steps(_value(lengths[0].strip())) if lengths else schedule


def _value(text: str) -> Any:
    """Return the number or truth value a text stands for, or the text itself: the setting's own check judges it."""
    if text.lower() in {"true", "false"}:
        return text.lower() == "true"
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and abs(number) <= 2**53 else number
