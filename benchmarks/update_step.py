"""How fast one update step is: the fused loop beside NumPy's broadcast of the same rule and the memory's own speed.

    python benchmarks/update_step.py [--parameters 10000000] [--rounds 7]

Prints a table for the documentation: medians over rounds in which all three take turns, so that a busy moment hits
all of them. "of triad" compares bytes a second with a triad a = b + s·c over arrays of the same length, counting what
the formulas read and write. At 1 or above, a loop is as fast as the memory; it is usually above, because the triad's
a has to be fetched before it is overwritten, which is not counted, while a step reads all that it writes.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from downslope.engines.compiled import fused_update
from downslope.engines.update import FloatArray, apply_update, new_slots
from downslope.rules import RULES, SGD, Optimizer, RMSprop
from machine import describe_machine

VARIANTS: list[Optimizer] = [
    *(rule() for rule in RULES.values()),
    SGD(momentum=0.9),
    SGD(momentum=0.9, nesterov=True),
    RMSprop(momentum=0.9, centered=True),
]
STEP = 10  # late enough for every rule's full formula


@numba.njit
def triad(a: FloatArray, b: FloatArray, c: FloatArray, s: Any) -> None:
    """Compute a = b + s·c."""
    for i in range(a.size):
        a[i] = b[i] + s * c[i]


def seconds(action: Callable[[], object]) -> float:
    """Return how long `action` takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def measure(rule: Optimizer, count: int, rounds: int) -> tuple[float, float, float]:
    """Return the median seconds of the fused step, of NumPy's, and of the triad."""
    parameters = np.linspace(-1, 1, count, dtype=np.float32)
    gradient = np.linspace(0.01, -0.02, count, dtype=np.float32)
    slots = new_slots(rule, parameters)
    a, scale = np.zeros(count, np.float32), np.float32(0.5)
    actions: list[Callable[[], object]] = [
        lambda: fused_update(rule, STEP, parameters, gradient, slots),
        lambda: apply_update(rule, STEP, parameters, gradient, slots),
        lambda: triad(a, parameters, gradient, scale),
    ]
    for action in actions:  # compiles, and touches every page once
        action()
    times = [[seconds(action) for action in actions] for _ in range(rounds)]
    fused, numpy, memory = (statistics.median(column) for column in zip(*times, strict=True))
    return fused, numpy, memory


def changed(rule: Optimizer) -> str:
    """Return the settings that differ from the defaults, to tell variants of a rule apart."""
    defaults = type(rule)().values()
    shown = (f"{name}={value}" for name, value in rule.values().items() if value != defaults[name])
    return f"{type(rule).__name__}({', '.join(shown)})"


def main() -> None:
    """Measure every rule and print the table."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--parameters", type=int, default=10_000_000)
    arguments.add_argument("--rounds", type=int, default=7)
    given = arguments.parse_args()
    print(describe_machine())
    print(f"\nOne step over {given.parameters:,} float32 parameters, one thread, median of {given.rounds} rounds.\n")
    print("| rule | fused ms | NumPy ms | NumPy / fused | fused GB/s | of triad |")
    print("|---|---:|---:|---:|---:|---:|")
    for rule in VARIANTS:
        fused, numpy, memory = measure(rule, given.parameters, given.rounds)
        # Parameters and slots are read and written, the gradient is read; the triad reads two arrays and writes one.
        speed = 4 * given.parameters * (3 + 2 * len(rule.slots_in_use())) / fused
        triad_speed = 4 * given.parameters * 3 / memory
        print(
            f"| {changed(rule)} | {fused * 1e3:.1f} | {numpy * 1e3:.1f} | {numpy / fused:.1f} "
            f"| {speed / 1e9:.1f} | {speed / triad_speed:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
