"""Whether an update rule descends: three functions whose minimum is known, and a scan of learning rates."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from downslope.engines.update import FloatArray, apply_update, new_slots
from downslope.errors import RuleError
from downslope.rules import Optimizer

__all__ = ["find_minima"]

RATES = [10.0 ** (k / 2) for k in range(-8, 5)]
DESCENT_STEPS, PAUSE = 2000, 100


def find_minima(rule_class: type[Optimizer]) -> str:
    """Bring the rule near the minimum of three functions, each at one learning rate or another.

    Rules differ in scale, so rates from 1e-4 to 100 are tried, those near the rule's own default first. Raises
    RuleError, naming the function whose minimum none of them finds.
    """
    for name, function, start, enough in FUNCTIONS:
        best = math.inf
        record = rule_class.settings["learning_rate"]
        rates = [rate for rate in RATES if rate in record.interval] or [record.default]
        for rate in sorted(rates, key=lambda rate: abs(math.log(rate / abs(record.default or 1)))):
            best = min(best, _left_over(rule_class(learning_rate=rate), function, np.array(start), enough))
            if best <= enough:
                break
        else:
            sign = " Every rate made it larger: has the step the right sign?" if best > 1 else ""
            raise RuleError(
                f"it does not find the minimum of {name} at any learning rate from {min(rates):g} to {max(rates):g}: "
                f"after {DESCENT_STEPS} steps at least {best:.2g} times the first value was left, where {enough:g} "
                f"is asked.{sign}"
            )
    return f"of {', '.join(name for name, *_ in FUNCTIONS)}, each at a rate that suits"


def _left_over(rule: Optimizer, function: Callable[[FloatArray], Any], point: FloatArray, enough: float) -> float:
    """Return what share of the function's first value the descent leaves, where it is looked at every 100 steps.

    It ends early where the share is at most `enough` twice in a row, or where it explodes.
    """
    slots = new_slots(rule, point)
    first, share = function(point)[0], [1.0]
    for step in range(1, DESCENT_STEPS + 1):
        point, slots = apply_update(rule, step, point, function(point)[1], slots)
        if not (abs(point) < 1e9).all():
            return math.inf
        if step % PAUSE == 0:
            share.append(function(point)[0] / first)
            if max(share[-2:]) <= enough:
                break
    return max(share[-2:])


def _bowl(x: FloatArray) -> tuple[float, FloatArray]:
    return float(x @ x) / 2, x


def _valley(x: FloatArray) -> tuple[float, FloatArray]:
    gradient = x * np.array([1.0, 100.0])
    return float(x @ gradient) / 2, gradient


def _rosenbrock(point: FloatArray) -> tuple[float, FloatArray]:
    x, y = (float(one) for one in point)
    bend = y - x * x
    return (1 - x) ** 2 + 100 * bend * bend, np.array([-2 * (1 - x) - 400 * x * bend, 200 * bend])


# Name, function, start, and the share of its first value that may be left at the end.
FUNCTIONS: tuple[tuple[str, Callable[[FloatArray], Any], list[float], float], ...] = (
    ("a bowl", _bowl, [1.0, -2.0], 0.01),
    ("a valley 100 times as steep as long", _valley, [10.0, 1.0], 0.01),
    ("Rosenbrock's function", _rosenbrock, [-1.2, 1.0], 0.2),
)
