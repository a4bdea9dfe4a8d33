"""How fast one update step is: the fused loop beside NumPy's broadcast of the same rule and the memory's own speed.

    python benchmarks/update_step.py [--parameters 10000000] [--rounds 7]

Prints a table for the documentation: medians over rounds in which all take turns, so that a busy moment hits all of
them; beside them PyTorch's fused optimizers, where PyTorch is installed and has one, with the number of threads that
is fastest. "of triad" compares bytes a second with a triad a = b + s·c over arrays of the same length, counting what
the formulas read and write. At 1 or above, a loop is as fast as the memory; it is usually above, because the triad's
a has to be fetched before it is overwritten, which is not counted, while a step reads all that it writes.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec

import numpy as np

from downslope.engines.compiled import fused_update
from downslope.engines.update import apply_update, new_slots
from downslope.rules import RULES, SGD, Optimizer, RMSprop
from limits import triad
from machine import describe_machine
from rivals.pytorch_update import FusedStep

VARIANTS: list[Optimizer] = [
    *(rule() for rule in RULES.values()),
    SGD(momentum=0.9),
    SGD(momentum=0.9, nesterov=True),
    RMSprop(momentum=0.9, centered=True),
]
FUSED_IN_TORCH = ("SGD", "Adagrad", "Adam", "AMSGrad", "AdamW")
STEP = 10  # late enough for every rule's full formula


def seconds(action: Callable[[], object]) -> float:
    """Return how long `action` takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def measure(rule: Optimizer, count: int, rounds: int) -> dict[str, float]:
    """Return median seconds: "fused", "numpy", "triad", and "torch N" with N threads where PyTorch has the rule."""
    parameters = np.linspace(-1, 1, count, dtype=np.float32)
    gradient = np.linspace(0.01, -0.02, count, dtype=np.float32)
    slots = new_slots(rule, parameters)
    a, scale, compiled_triad = np.zeros(count, np.float32), np.float32(0.5), triad()
    actions: dict[str, Callable[[], float]] = {
        "fused": lambda: seconds(lambda: fused_update(rule, STEP, parameters, gradient, slots)),
        "numpy": lambda: seconds(lambda: apply_update(rule, STEP, parameters, gradient, slots)),
        "triad": lambda: seconds(lambda: compiled_triad(a, parameters, gradient, scale)),
    }
    rivals = {}
    if find_spec("torch") and type(rule).__name__ in FUSED_IN_TORCH:
        rivals = {f"torch {threads}": FusedStep(rule, count, threads) for threads in {1, os.cpu_count() or 1}}
    actions.update({name: rival.seconds for name, rival in rivals.items()})
    for action in actions.values():  # compiles, and touches every page once
        action()
    times = [[action() for action in actions.values()] for _ in range(rounds)]
    for rival in rivals.values():
        rival.close()
    return dict(zip(actions, map(statistics.median, zip(*times, strict=True)), strict=True))


def changed(rule: Optimizer) -> str:
    """Return the settings that differ from the defaults, to tell variants of a rule apart."""
    defaults = type(rule)().values()
    shown = (f"{name}={value}" for name, value in rule.values().items() if value != defaults[name])
    return f"{type(rule).__name__}({', '.join(shown)})"


def table(parameters: int, rounds: int) -> None:
    """Measure every rule and print the table."""
    print(
        f"\nOne step over {parameters:,} float32 parameters, median of {rounds} rounds; two threads at most "
        "(PyTorch: the better of one and two; NumPy and the triad: one).\n"
    )
    columns = ["fused ms", "NumPy ms", "PyTorch fused ms (threads)", "NumPy / fused", "PyTorch / fused", "fused GB/s"]
    print(f"| rule | {' | '.join(columns)} | of triad |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for rule in VARIANTS:
        medians = measure(rule, parameters, rounds)
        fused, numpy = medians["fused"], medians["numpy"]
        theirs_by = [(median, name.split()[1]) for name, median in medians.items() if name.startswith("torch")]
        theirs, threads = min(theirs_by, default=(0.0, ""))
        # Parameters and slots are read and written, the gradient is read; the triad reads two arrays and writes one.
        speed = 4 * parameters * (3 + 2 * len(rule.slots_in_use())) / fused
        triad_speed = 4 * parameters * 3 / medians["triad"]
        beside = (f"{theirs * 1e3:.1f} ({threads})", f"{theirs / fused:.2f}") if theirs else ("–", "–")
        print(
            f"| {changed(rule)} | {fused * 1e3:.1f} | {numpy * 1e3:.1f} | {beside[0]} "
            f"| {numpy / fused:.1f} | {beside[1]} "
            f"| {speed / 1e9:.1f} | {speed / triad_speed:.2f} |",
            flush=True,
        )


def main() -> None:
    """Parse the options and print the table."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--parameters", type=int, default=10_000_000)
    arguments.add_argument("--rounds", type=int, default=7)
    given = arguments.parse_args()
    print(describe_machine("torch"))
    table(given.parameters, given.rounds)


if __name__ == "__main__":
    main()
