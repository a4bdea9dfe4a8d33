"""How far each kernel of the compiled engine is from the processor's limit, in the shapes of the chapter's network.

    python benchmarks/kernels.py [--rows 304] [--rounds 60]

Each kernel is called many times from machine code and takes turns with a loop of multiply-adds in registers
(`limits.py`), so that a busy moment hits both; a line is the lower quartile of the rounds' ratios. "lanes" is how many
multiply-adds of 16 numbers the register loop makes during one call, "of peak" the share of the kernel's own among
them. The last column says what holds it back.
"""

from __future__ import annotations

import argparse
import ctypes
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from downslope.engines.compiled import build, kernels, machine, plan
from downslope.engines.compiled.lanes import call
from downslope.rules import Adam
from limits import peak_loop
from machine import describe_machine

TYPE = np.dtype("float32")
HIDDEN, CLASSES, FEATURES = 64, 3, 2


def compiled(function: Callable[..., None], signature: str) -> Callable[..., int]:
    """Return a function over raw memory as machine code."""
    symbol, module = build.compiled_module(function, signature, TYPE.name)
    code = machine.target_machine().emit_object(module)
    taken = [kernels.PLAIN.get(letter, ctypes.c_void_p) for letter in signature]
    return machine.load(symbol, code, taken)[0]


def repeated(signature: str) -> Callable[..., int]:
    """Return what calls the kernel at an address `times` times with these arguments."""
    names = [f"a{i}" for i in range(len(signature))]
    taken = ", ".join(names)
    source = f"def many(address, times, {taken}):\n    for _ in range(times):\n        call(address, ({taken},))"
    scope: dict[str, Any] = {"call": call}
    exec(source, scope)
    return compiled(scope["many"], "nn" + signature)


class Case(NamedTuple):
    """A kernel with its arguments, the multiply-adds of one call, and what holds it back."""

    name: str
    kernel: str
    arguments: tuple[Any, ...]
    products: int
    held_by: str


def lined_up(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return a copy in float32 that begins on a cache line, as the engine's own memory does."""
    room = plan.aligned(values.size, TYPE).reshape(values.shape)
    room[...] = values
    return np.asarray(room, dtype=np.float32)


def cases(rows: int, kept: list[Any]) -> list[Case]:
    """Return the kernels of one step, in the order of a step; `kept` keeps their memory alive."""
    random = np.random.default_rng(0)
    x, h, z = (lined_up(random.normal(size=(n, rows))) for n in (FEATURES, HIDDEN, CLASSES))
    first, second = lined_up(random.normal(size=(FEATURES, HIDDEN))), lined_up(random.normal(size=(HIDDEN, CLASSES)))
    bias, labels = lined_up(np.zeros(HIDDEN)), lined_up(random.integers(0, CLASSES, rows).astype(float))
    slope, scratch = lined_up(np.zeros(HIDDEN * CLASSES)), lined_up(np.zeros(4 * rows))
    flat, gradient = lined_up(random.normal(size=387)), lined_up(random.normal(size=387))
    slots = [lined_up(np.full(387, 0.5)) for _ in range(2)]
    addresses = np.array([slot.ctypes.data for slot in slots])
    scalars, tally = np.array(Adam().scalars(10), dtype=np.float32), np.zeros(8)
    kept += [x, h, z, first, second, bias, labels, slope, scratch, flat, gradient, slots, addresses, scalars, tally]
    at = [array.ctypes.data for array in (x, h, z, first, second, bias, labels, slope, scratch)]
    X, H, Z, W1, W2, B, Y, G, S = at  # noqa: N806 - matrices
    r, wide, narrow = rows, FEATURES * HIDDEN * rows, HIDDEN * CLASSES * rows
    return [
        Case("forward 2 → 64, ReLU", "product", (X, r, FEATURES, W1, HIDDEN, 1, B, 1, H, r, HIDDEN, r, 1), wide,
             "stores, and max beside the products: two inputs are too few to hide them"),
        Case("forward 64 → 3", "product", (H, r, HIDDEN, W2, CLASSES, 1, B, 1, Z, r, CLASSES, r, 0), narrow,
             "loads: three outputs share each"),
        Case("softmax, loss, gradient", "loss_pass",
             (0, 0.0, Z, r, CLASSES, r, r - 4, Y, r, 1 / r, S, tally.ctypes.data), 0,
             "exp and log, and their divisions"),
        Case("gradient of 64 → 3", "weight_gradient", (Z, r, CLASSES, H, r, HIDDEN, r, G, 1, CLASSES, B, 0), narrow,
             "the trees of 192 sums over few rows"),
        Case("back 3 → 64, ReLU", "product", (Z, r, CLASSES, W2, 1, CLASSES, B, 0, H, r, HIDDEN, r, 2), narrow,
             "stores and masks"),
        Case("gradient of 2 → 64, biases", "weight_gradient",
             (X, r, FEATURES, H, r, HIDDEN, r, G, HIDDEN, 1, B, 1), wide,
             "the trees of 192 sums, and the biases' additions, which are not counted"),
        Case("Adam, 387 parameters", "update",
             (flat.ctypes.data, gradient.ctypes.data, addresses.ctypes.data, 0, scalars.ctypes.data, 387), 0,
             "divisions and the square root"),
    ]  # fmt: skip


def seconds(action: Callable[[], object]) -> float:
    """Return how long `action` takes."""
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def main() -> None:
    """Measure every kernel and print the table."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--rows", type=int, default=304, help="a multiple of 16")
    arguments.add_argument("--rounds", type=int, default=60)
    given = arguments.parse_args()
    print(describe_machine())
    print(f"\nFloat32, {given.rows} rows, one core; Numba {numba.__version__}.\n")
    print("| kernel | lanes | multiply-adds, of peak | held back by |\n|---|---:|---:|---|")
    loop, turns, times, kept = peak_loop(fused=False), 20_000, 200, list[Any]()
    total = 0.0
    for case in cases(given.rows, kept):
        update = case.kernel == "update"
        found = kernels.update_kernel(Adam(), TYPE) if update else kernels.kernel(case.kernel, TYPE)
        many = repeated(kernels.UPDATE if update else kernels.SIGNATURES[case.kernel])
        registers = partial(loop.call, turns, 0.5, 0.25)
        calls = partial(many, found.address, times, *case.arguments)
        ratios = []
        for _ in range(given.rounds):
            before, called, after = (seconds(action) for action in (registers, calls, registers))
            one = (before + after) / 2 / (turns * loop.chains * loop.lanes / 16)
            ratios.append(called / times / one)
        lanes = sorted(ratios)[len(ratios) // 4]
        total += lanes
        share = f"{case.products / 16 / lanes:.0%}" if case.products else "–"
        print(f"| {case.name} | {lanes:,.0f} | {share} | {case.held_by} |", flush=True)
    least = sum(case.products for case in cases(given.rows, kept)) / 16
    print(f"| all of a step | {total:,.0f} | {least / total:.0%} | |")


if __name__ == "__main__":
    main()
