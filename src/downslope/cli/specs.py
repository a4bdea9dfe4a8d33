"""An optimizer in one word, as `descend` and `compare` take several: `sgd:momentum=0.9,learning_rate=0.01`."""

from __future__ import annotations

import re
from typing import Any

from downslope import schedules
from downslope.cli.options import Number, optimizer_from
from downslope.errors import InputError
from downslope.rules import Optimizer

__all__ = ["SPEC_HELP", "optimizer_spec"]

SPEC_HELP = "NAME[:SETTING=VALUE,SETTING=VALUE], as adam or sgd:momentum=0.9,learning_rate=0.01"
_HEAD = re.compile(r"(?P<name>.*?\.py:[^:,=]*|[^:]*)(?::(?P<settings>.*))?", re.IGNORECASE | re.DOTALL)


def optimizer_spec(text: str) -> tuple[Optimizer, set[str]]:
    """Return the optimizer that a word describes, and the names of what was given.

    Parameters
    ----------
    text : str
        `adam`, `sgd:momentum=0.9,learning_rate=0.01`, or `script.py:Class:setting=value` for a rule of one's own.
        Besides the rule's settings there are `decay=X`, and `schedule=TEXT`, which takes the rest of the word and so
        comes last: `sgd:momentum=0.9,schedule=cosine:steps=90,final=0.001`.

    Returns
    -------
    tuple of Optimizer and set of str
        The given names, with underscores. "learning_rate" is among them where the rate is settled: given, or part of
        a schedule that has rates of its own.

    Raises
    ------
    InputError
        One sentence for the first thing that is wrong.

    Examples
    --------
    >>> optimizer, given = optimizer_spec("sgd:momentum=0.9")
    >>> optimizer, given
    (SGD(learning_rate=1.0, momentum=0.9, nesterov=False), {'momentum'})
    """
    head = _HEAD.fullmatch(text.strip())
    if head is None or not head["name"].strip():
        raise InputError(f"--optimizer must be {SPEC_HELP}. Received: --optimizer {text!r}")
    given = _given(text, head["settings"])
    names = set(given)
    decay, schedule = given.pop("decay", None), given.pop("schedule", None)
    if decay is not None and schedule is not None:
        raise InputError(f"the learning rate must change in one way: give decay or schedule. Received: {text}")
    if schedule is not None and _has_rates_of_its_own(schedule):
        if "learning_rate" in names:
            raise InputError(f"schedule {schedule} has rates of its own: leave learning_rate out. Received: {text}")
        names.add("learning_rate")
    rate = given.pop("learning_rate", None)
    optimizer = optimizer_from(
        head["name"].strip(),
        {} if rate is None else {"learning_rate": _number(rate)},
        tuple(f"{key}={value}" for key, value in given.items()),
        decay=None if decay is None else _number(decay),
        schedule=schedule,
    )
    return optimizer, names


def _given(text: str, settings: str | None) -> dict[str, str]:
    """Return the settings a word gives, as they were typed."""
    given: dict[str, str] = {}
    rest = settings
    while rest is not None:
        item, comma, after = rest.partition(",")
        if item.partition("=")[0].strip() == "schedule":  # its own settings are separated by commas too
            item, comma, after = rest, "", ""
        key, equals, value = (part.strip() for part in item.partition("="))
        if not (key and equals and value):
            raise InputError(f"--optimizer must be {SPEC_HELP}. Received: --optimizer {text!r}")
        key = key.replace("-", "_")
        if key in given:
            raise InputError(f"{key} must be given once. Received: --optimizer {text!r}")
        given[key] = value
        rest = after if comma else None
    return given


def _has_rates_of_its_own(schedule: str) -> bool:
    return schedules.parse(schedule, 1.0) == schedules.parse(schedule, 2.0)


def _number(text: str) -> Any:
    return Number().convert(text, None, None)
