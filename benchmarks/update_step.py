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
from typing import Any

import numpy as np

from downslope.engines.compiled import fused_update
from downslope.engines.update import apply_update, new_slots
from downslope.rules import RULES, SGD, Optimizer, RMSprop
from limits import triad
from machine import describe_machine

VARIANTS: list[Optimizer] = [
    *(rule() for rule in RULES.values()),
    SGD(momentum=0.9),
    SGD(momentum=0.9, nesterov=True),
    RMSprop(momentum=0.9, centered=True),
]
STEP = 10  # late enough for every rule's full formula


def seconds(action: Callable[[], object]) -> float:
    """Return how long `action` takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def torch_fused(rule: Optimizer, count: int) -> Any:
    """Return PyTorch's fused optimizer for the same rule, ready to step, or None if it has none."""
    import torch

    parameter = torch.nn.Parameter(torch.linspace(-1, 1, count))
    parameter.grad = torch.linspace(0.01, -0.02, count)
    values: dict[str, Any] = rule.values()
    rate = 1e-3
    match type(rule).__name__:
        case "SGD":
            momentum, nesterov = values["momentum"], values["nesterov"]
            return torch.optim.SGD([parameter], rate, momentum=momentum, nesterov=nesterov, fused=True)
        case "Adagrad":
            return torch.optim.Adagrad([parameter], rate, fused=True)
        case "Adam" | "AMSGrad" as name:
            return torch.optim.Adam([parameter], rate, amsgrad=name == "AMSGrad", fused=True)
        case "AdamW":
            return torch.optim.AdamW([parameter], rate, fused=True)
    return None


def measure(rule: Optimizer, count: int, rounds: int) -> dict[str, float]:
    """Return the median seconds of the fused step, of NumPy's, of the triad, and of PyTorch's where it has one."""
    parameters = np.linspace(-1, 1, count, dtype=np.float32)
    gradient = np.linspace(0.01, -0.02, count, dtype=np.float32)
    slots = new_slots(rule, parameters)
    a, scale, compiled_triad = np.zeros(count, np.float32), np.float32(0.5), triad()
    actions: dict[str, Callable[[], object]] = {
        "fused": lambda: fused_update(rule, STEP, parameters, gradient, slots),
        "numpy": lambda: apply_update(rule, STEP, parameters, gradient, slots),
        "triad": lambda: compiled_triad(a, parameters, gradient, scale),
    }
    if find_spec("torch") and (optimizer := torch_fused(rule, count)) is not None:
        import torch

        def step(threads: int) -> None:
            torch.set_num_threads(threads)
            optimizer.step()

        for threads in dict.fromkeys((1, os.cpu_count() or 1)):
            actions[f"torch {threads}"] = lambda threads=threads: step(threads)  # type: ignore[misc]
    for action in actions.values():  # compiles, and touches every page once
        action()
    times = [[seconds(action) for action in actions.values()] for _ in range(rounds)]
    medians = dict(zip(actions, map(statistics.median, zip(*times, strict=True)), strict=True))
    rivals = [median for name, median in medians.items() if name.startswith("torch")]
    return {**medians, "torch": min(rivals)} if rivals else medians


def changed(rule: Optimizer) -> str:
    """Return the settings that differ from the defaults, to tell variants of a rule apart."""
    defaults = type(rule)().values()
    shown = (f"{name}={value}" for name, value in rule.values().items() if value != defaults[name])
    return f"{type(rule).__name__}({', '.join(shown)})"


def table(parameters: int, rounds: int) -> None:
    """Measure every rule and print the table."""
    print(f"\nOne step over {parameters:,} float32 parameters, one thread, median of {rounds} rounds.\n")
    print("| rule | fused ms | NumPy ms | PyTorch fused ms | NumPy / fused | PyTorch / fused | fused GB/s | of triad |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for rule in VARIANTS:
        medians = measure(rule, parameters, rounds)
        fused, numpy, theirs = medians["fused"], medians["numpy"], medians.get("torch")
        # Parameters and slots are read and written, the gradient is read; the triad reads two arrays and writes one.
        speed = 4 * parameters * (3 + 2 * len(rule.slots_in_use())) / fused
        triad_speed = 4 * parameters * 3 / medians["triad"]
        print(
            f"| {changed(rule)} | {fused * 1e3:.1f} | {numpy * 1e3:.1f} | {f'{theirs * 1e3:.1f}' if theirs else '–'} "
            f"| {numpy / fused:.1f} | {f'{theirs / fused:.2f}' if theirs else '–'} "
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
