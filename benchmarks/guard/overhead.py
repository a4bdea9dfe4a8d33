"""What the guard costs: the same steps with it and without it, side by side.

    python benchmarks/guard/overhead.py [--rounds 31] [--seconds 0.1] [--only NAME]
    python benchmarks/guard/overhead.py --corpus 10

Both take turns, each time for about so many seconds, in an order that changes from round to round. Of each pair the
ratio of the processor's times is taken (not of the clock's: a machine may do other things meanwhile); printed are its
median and quartiles, and the time of a step. With --corpus it is the time of all healthy runs in so many rounds of the
guard's own corpus together, in which small networks with small batches are many.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from pathlib import Path

import numpy as np

import downslope as ds
from downslope.engines.choice import ENGINES
from downslope.engines.guard import default_limits
from downslope.engines.problem import Control, Part, Problem, State, Watch
from downslope.network import MLP, loss
from downslope.rules import SGD, Adam, Optimizer
from downslope.streams import Stream
from downslope.training.setup import set_up

sys.path.insert(0, str(Path(__file__).parents[1]))
from corpus import cases as corpus_cases

from machine import describe_machine


def _random(sizes: list[int], rows: int, batch_size: int) -> Problem:
    draw = Stream(0, "data")
    inputs = draw.normal((rows, sizes[0])).astype(np.float32)
    labels = (draw.uniform(rows) * sizes[-1]).astype(np.int64)
    return Problem(MLP(sizes), loss("cross-entropy"), Part(inputs, labels), None, batch_size, 0)


def cases() -> dict[str, tuple[str, Problem, Optimizer]]:
    """Return what is measured: engine, problem and rule by name."""
    spiral = ds.data.spiral(samples=100, classes=3, seed=0)
    chapter = set_up(ds.MLP([2, 64, 3]), spiral, seed=0, dtype="float32").problem
    return {
        "the chapter's 2-64-3, 300 rows, SGD": ("compiled", chapter, SGD(0.1, momentum=0.9)),
        "the chapter's 2-64-3, 300 rows, Adam": ("compiled", chapter, Adam(0.001)),
        "64-64-10, batches of 32, SGD": ("compiled", _random([64, 64, 10], 1797, 32), SGD(0.01, momentum=0.9)),
        "64-64-10, batches of 8, SGD": ("compiled", _random([64, 64, 10], 1797, 8), SGD(0.01, momentum=0.9)),
        "64-64-10, batches of 8, Adam": ("compiled", _random([64, 64, 10], 1797, 8), Adam(0.001)),
        "2-16-3, batches of 8, SGD": ("compiled", _random([2, 16, 3], 300, 8), SGD(0.01)),
        "784-512-512-10, batches of 128, blas, SGD": ("blas", _random([784, 512, 512, 10], 2048, 128), SGD(0.01)),
        "784-512-512-10, batches of 128, blas, Adam": ("blas", _random([784, 512, 512, 10], 2048, 128), Adam(0.001)),
    }


def seconds(engine: str, problem: Problem, rule: Optimizer, steps: int, watch: Watch | None) -> float:
    """Return how long a processor worked at so many steps, whatever else it did meanwhile."""
    state = State.start(problem.network.initial_parameters(0, np.float32), rule)
    started = time.process_time()
    ENGINES[engine]().advance(problem, rule, state, steps, Control(), lambda *_: None, watch)
    return time.process_time() - started


def measure(engine: str, problem: Problem, rule: Optimizer, rounds: int, share: float) -> tuple[list[float], float]:
    """Return the ratios with the guard to without it, and the seconds of a step without."""
    steps = 4
    for watch in (None, Watch(default_limits())):  # which compiles or loads what it needs
        seconds(engine, problem, rule, steps, watch)
    while (took := seconds(engine, problem, rule, steps, None)) < share / 2:
        steps *= 2
    steps = max(4, int(steps * share / took))
    ratios, alone = [], []
    for turn in range(rounds):
        times = {}
        for watched in (turn % 2 == 0, turn % 2 == 1):
            times[watched] = seconds(engine, problem, rule, steps, Watch(default_limits()) if watched else None)
        ratios.append(times[True] / times[False])
        alone.append(times[False] / steps)
    return ratios, statistics.median(alone)


def corpus(rounds: int) -> None:
    """Print what the guard costs over the runs of the corpus that are never steered into trouble."""
    healthy = [case for case in corpus_cases(rounds, 900) if case.family in ("constant", "warm-up", "decay")]
    totals, ratios = [0.0, 0.0], []
    for turn, case in enumerate(healthy):
        problem, steps = case.setup().problem, 20 * case.steps
        took = [0.0, 0.0]
        for watched in (turn % 2, 1 - turn % 2):
            watch = Watch(default_limits()) if watched else None
            seconds("compiled", problem, case.rule, 4, watch)
            took[watched] = seconds("compiled", problem, case.rule, steps, watch)
        totals = [one + other for one, other in zip(totals, took, strict=True)]
        ratios.append(took[1] / took[0])
    low, middle, high = (100 * (ratio - 1) for ratio in statistics.quantiles(ratios, n=4))
    print(
        f"{len(healthy)} runs together: {100 * (totals[1] / totals[0] - 1):+.1f} %; run by run {middle:+.1f} %, ",
        end="",
    )
    print(f"quartiles {low:+.1f} … {high:+.1f} %")


def main() -> None:
    """Print a row for each case."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--seconds", type=float, default=0.1)
    parser.add_argument("--only", default="")
    parser.add_argument("--corpus", type=int, default=0, metavar="ROUNDS")
    arguments = parser.parse_args()
    print(describe_machine())
    if arguments.corpus:
        corpus(arguments.corpus)
        return
    print(f"{'':44} {'a step':>10} {'with the guard':>16}   quartiles")
    for name, case in cases().items():
        if arguments.only not in name:
            continue
        ratios, step = measure(*case, arguments.rounds, arguments.seconds)
        low, middle, high = (100 * (ratio - 1) for ratio in statistics.quantiles(ratios, n=4))
        print(f"{name:44} {step * 1e6:7.1f} µs {middle:+13.1f} %   {low:+.1f} … {high:+.1f}")


if __name__ == "__main__":
    main()
