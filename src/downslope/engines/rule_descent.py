"""Whether an update rule descends: three landscapes whose minimum is known, and a scan of learning rates."""

from __future__ import annotations

import math

import numpy as np

from downslope.engines.descent import Descent, descents
from downslope.errors import RuleError
from downslope.landscapes import landscape
from downslope.rules import Optimizer

__all__ = ["find_minima"]

RATES = [10.0 ** (k / 2) for k in range(-8, 5)]
DESCENT_STEPS, PAUSE = 2000, 100
# Landscapes whose minimum is 0, and the share of the first value that may be left at the end.
KNOWN_MINIMA = {
    "bowl": ("a bowl", 0.01),
    "valley": ("a valley 100 times as steep as long", 0.01),
    "rosenbrock": ("Rosenbrock's function", 0.2),
}


def find_minima(rule_class: type[Optimizer]) -> str:
    """Bring the rule near the minimum of three landscapes, each at one rate or another: rules differ in scale."""
    record = rule_class.settings["learning_rate"]
    rates = [rate for rate in RATES if rate in record.interval] or [record.default]
    rules = [rule_class(learning_rate=rate) for rate in rates]
    for name, (told, enough) in KNOWN_MINIMA.items():
        best = min(_left_over(path) for path in descents(landscape(name), rules, steps=DESCENT_STEPS))
        if not best <= enough:
            sign = " Every rate made it larger: has the step the right sign?" if best > 1 else ""
            raise RuleError(
                f"it does not find the minimum of {told} at any learning rate from {min(rates):g} to {max(rates):g}: "
                f"in {DESCENT_STEPS} steps, {best:.2g} times the first value was left at best, where {enough:g} is "
                f"asked.{sign}"
            )
    return f"of {', '.join(told for told, _ in KNOWN_MINIMA.values())}, each at a rate that suits"


def _left_over(path: Descent) -> float:
    """Return what share of the first value is left in two looks one after the other, where that is least.

    It is looked at every 100 steps: a path that only passes by the minimum has not found it.
    """
    shares = path.values[::PAUSE] / path.values[0]
    return math.inf if path.exploded else float(np.maximum(shares[1:], shares[:-1]).min())
