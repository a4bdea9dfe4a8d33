"""What a picture says of descents: the optimizer, where it arrived, and the colour of a step."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from downslope import checks
from downslope.engines.descent import Descent
from downslope.errors import InputError
from downslope.figures.style import Style, number
from downslope.rules import Optimizer

if TYPE_CHECKING:
    from matplotlib.colors import Colormap

__all__ = [
    "PathLike",
    "arrival",
    "checked_descents",
    "checked_labels",
    "gaps",
    "inside",
    "last_shown",
    "left_at",
    "outcome",
    "settings_of",
    "settled_at",
    "step_colours",
    "told_apart",
]

PathLike = str | os.PathLike[str]
MOST = 12
BESIDE = 0.01  # of the landscape's width: so near to a minimum a descent ends in it
STILL = 0.004  # of the landscape's width: so near to its last point a descent is at rest
ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def checked_descents(descents: Any) -> list[Descent]:
    """Return the descents, 1 to 12 of them on one landscape, or raise InputError."""
    rule = f"a descent such as descend(landscape('rosenbrock'), Adam(0.01)), or 1 to {MOST} of them"
    found = [descents] if isinstance(descents, Descent) else descents
    if isinstance(found, str) or not isinstance(found, Iterable):
        raise checks.refuse("descents", rule, descents)
    found = list(found)
    if not 1 <= len(found) <= MOST or not all(isinstance(one, Descent) for one in found):
        raise checks.refuse("descents", rule, descents)
    names = list(dict.fromkeys(one.landscape.name for one in found))
    if len(names) > 1:
        raise InputError(f"descents must be on one landscape. Received: {', '.join(names)}")
    return found


def checked_labels(labels: Any, descents: Sequence[Descent]) -> list[str]:
    """Return what each descent is called: as given, or its optimizer's name and settings."""
    if labels is None:
        return [f"{type(one.optimizer).__name__}, {settings_of(one.optimizer)}" for one in descents]
    if isinstance(labels, str) or not isinstance(labels, Sequence) or not all(isinstance(one, str) for one in labels):
        raise checks.refuse("labels", "a text for each descent", labels)
    if len(labels) != len(descents):
        raise checks.refuse("labels", f"{len(descents)} texts, one for each descent", labels)
    return list(labels)


def settings_of(optimizer: Optimizer, names: Sequence[str] | None = None) -> str:
    """Return `learning rate 0.01, momentum 0.9`: the rate, and what differs from its default; or the named settings."""
    told = []
    for name, value in sorted(optimizer.values().items(), key=lambda item: item[0] != "learning_rate"):
        usual = name == "learning_rate" or value != optimizer.settings[name].default
        if usual if names is None else name in names:
            words = re.sub(r"_(?=[a-z])", " ", name)  # but beta_1
            shown = number(value, 3) if isinstance(value, (int, float)) else repr(value)
            told.append(f"{words} {shown}" if not isinstance(value, bool) else words if value else f"not {words}")
    return ", ".join(told)


def told_apart(descents: Sequence[Descent]) -> tuple[str, list[str]]:
    """Return what all optimizers have in common, and what each is called besides: only what differs."""
    rules = [one.optimizer for one in descents]
    names = [name for name, value in rules[0].values().items() if any(one.values().get(name) != value for one in rules)]
    if any(type(one) is not type(rules[0]) for one in rules) or not names:
        return "", checked_labels(None, descents)
    shared = settings_of(rules[0], _given(rules, names))
    return ", ".join(filter(None, (type(rules[0]).__name__, shared))), [settings_of(one, names) for one in rules]


def _given(rules: Sequence[Optimizer], varying: Sequence[str]) -> list[str]:
    """Return the settings all rules share that differ from their defaults; the learning rate always."""
    settings = rules[0].settings
    return [
        name
        for name, value in rules[0].values().items()
        if name not in varying and (name == "learning_rate" or value != settings[name].default)
    ]


def gaps(descent: Descent) -> NDArray[np.float64]:
    """Return how far each value lies above the minimum; 0 where rounding puts it below."""
    return np.maximum(np.asarray(descent.values, dtype=np.float64) - descent.landscape.minimum, 0.0)


def inside(descent: Descent) -> NDArray[np.bool_]:
    """Return which points lie within the landscape's limits."""
    limits = np.asarray(descent.landscape.limits, dtype=np.float64)
    points = np.asarray(descent.points)
    found: NDArray[np.bool_] = np.all((points >= limits[:, 0]) & (points <= limits[:, 1]), axis=1)
    return found


def left_at(descent: Descent) -> int | None:
    """Return the first step outside the picture, or None."""
    outside = np.flatnonzero(~inside(descent))
    return int(outside[0]) if len(outside) else None


def last_shown(descent: Descent) -> int:
    """Return the last step that a picture has something of: an explosion is followed until it has left for good."""
    if not descent.exploded:
        return descent.steps
    within = np.flatnonzero(inside(descent))
    return min(int(within[-1]) + 1, descent.steps) if len(within) else descent.steps


def settled_at(descent: Descent) -> int:
    """Return the first step from which on a picture shows no more movement: up to there colours of steps run."""
    last = last_shown(descent)
    limits = np.asarray(descent.landscape.limits, dtype=np.float64)
    moved = np.abs(descent.points[: last + 1] - descent.points[last]) / (limits[:, 1] - limits[:, 0])
    moving = np.flatnonzero(np.any(~(moved <= STILL), axis=1))
    return int(moving[-1]) + 1 if len(moving) else last


def outcome(descent: Descent) -> str:
    """Return the end in few words: `57`, `exploded at step 4`, `left at step 9`, `not reached`."""
    if descent.exploded:
        return f"exploded at step {descent.steps + 1:,}"
    reached = descent.arrived
    if reached is not None:
        return f"{reached:,}"
    left = left_at(descent)
    if left is None or inside(descent)[-1]:
        return "not reached"
    return f"left at step {left:,}" if left else "outside the map"


def arrival(descent: Descent) -> str:
    """Return the end of a descent in one dimension, for a heading's note."""
    left = left_at(descent)
    if descent.exploded:
        where = f"left the picture at step {left:,}, " if left else ""
        return f"{where}exploded at step {descent.steps + 1:,}"
    if left is not None and not inside(descent)[-1]:
        return f"left the picture at step {left:,}" if left else "outside the picture"
    place, value = float(descent.points[-1, 0]), number(float(descent.values[-1]), 3)
    (low, high), *_ = descent.landscape.limits
    minima = sorted(float(np.ravel(one)[0]) for one in (*descent.landscape.minima, *descent.landscape.local_minima))
    steps = f"{descent.steps:,} step{'s' * (descent.steps != 1)}"
    near = [rank for rank, x in enumerate(minima) if abs(x - place) <= BESIDE * (high - low)]
    spot = f"in the {ORDINALS[near[0]]} minimum from the left" if near else f"at x = {number(place, 3)}"
    if near and any(abs(float(one[0]) - minima[near[0]]) <= BESIDE * (high - low) for one in descent.landscape.minima):
        spot = "at the lowest point"
    return f"after {steps} {spot}, value {value}"


@functools.cache
def step_colours(style: Style) -> Colormap:
    """Return the colours from the first step to the last: green, orange, red, ever darker.

    The lightness falls all the way, so that the order is seen without telling green from red.
    """
    from matplotlib.colors import LinearSegmentedColormap

    dark = style.background < "#8"
    ends = ["#b8f5ae", "#f59a2f", "#d3261f"] if dark else ["#7fd67a", "#e2810f", "#8a0d1d"]
    return LinearSegmentedColormap.from_list("steps", ends, N=256)
