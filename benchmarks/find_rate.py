"""How good find-rate's suggestion is: beside the best learning rate of a small sweep, for ways to read the range test.

    python benchmarks/find_rate.py [--seeds 4] [--quick]

For every rule at its defaults (SGD also with momentum 0.9), data set and seed: one range test from the untrained
network, and training at 36 constant rates from 1e-5 to 100. Printed are, over all of them, the ratio of the suggested
rate to the best of the sweep (lowest final training loss), how much of the best rate's fall of the loss is had at the
suggested one (between rates of the sweep by straight lines in log rate), and how often training explodes there.

The constants in `downslope.training.rate_test` were chosen by the first group of data sets; the second was not looked
at before. Last come the rates at which training explodes, as `find_rate` measures them, for SGD beside 2 divided by the
largest eigenvalue on linear regression, where the theory is exact.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import downslope as ds
from downslope.rules import RULES
from downslope.training.rate_test import RateTest, find_rate
from machine import describe_machine

Array = NDArray[np.float64]


class Problem(NamedTuple):
    """A network and data, and for how many epochs it is trained with batches of what size."""

    name: str
    sizes: list[int]
    epochs: int
    batch_size: int | None = None


GROUPS = {
    "chosen by": (
        Problem("spiral", [2, 64, 3], 300),
        Problem("spiral", [2, 64, 3], 30, 32),
        Problem("diabetes", [10, 32, 1], 300),
        Problem("sine", [1, 64, 1], 300),
        Problem("wine", [13, 32, 3], 25, 16),
        Problem("digits", [64, 64, 10], 10, 64),
    ),
    "not looked at before": (
        Problem("moons", [2, 32, 32, 2], 300),
        Problem("iris", [4, 16, 3], 40, 16),
        Problem("breast_cancer", [30, 32, 2], 20, 32),
        Problem("line", [1, 32, 1], 300),
    ),
}
RATES = (1e-5, 100.0, 36)


def rules() -> dict[str, Any]:
    """Return every rule at its defaults, and SGD with momentum."""
    return {**{name: rule() for name, rule in RULES.items()}, "sgd, momentum 0.9": ds.SGD(momentum=0.9)}


def steepest(test: RateTest) -> float:
    """Return the rate at which the smoothed loss falls fastest against the logarithm of the rate, before its lowest."""
    last = int(test.smoothed.argmin()) + 1
    if last < 3:
        return float("nan")
    return float(test.rates[np.gradient(test.smoothed[:last], np.log(test.rates[:last])).argmin()])


def fallen(part: float) -> Callable[[RateTest], float]:
    """Return the candidate that takes the first rate at which the smoothed loss had made a part of its fall."""

    def rate(test: RateTest) -> float:
        limit = test.start - part * (test.start - test.smoothed.min())
        return float("nan") if test.lowest is None else float(test.rates[(test.smoothed <= limit).argmax()])

    return rate


def part_of_lowest(share: float) -> Callable[[RateTest], float]:
    """Return the candidate that takes a share of the rate with the lowest smoothed loss."""
    return lambda test: (test.lowest or float("nan")) / share


CANDIDATES: dict[str, Callable[[RateTest], float]] = {
    "steepest fall": steepest,
    **{f"lowest / {share:g}" if share > 1 else "lowest": part_of_lowest(share) for share in (1, 2, 4, 10)},
    **{f"{part:.0%} of the fall": fallen(part) for part in (0.8, 0.9, 0.95)},
    "test.suggestion": lambda test: test.suggestion or float("nan"),
}


class Found(NamedTuple):
    """A suggestion beside a sweep: log10 of its ratio to the best rate, the share of the fall, whether it explodes."""

    ratio: float
    share: float
    exploded: bool


def compared(rate: float, rates: Array, losses: Array, level: float) -> Found:
    """Return how a suggested rate does in a sweep; losses are NaN where training exploded."""
    best = int(np.nanargmin(losses))
    above = min(int(np.searchsorted(rates, rate)), len(rates) - 1)
    around = losses[[max(above - 1, 0), above]]
    if not np.isfinite(rate):
        return Found(np.nan, 0.0, False)
    if np.isnan(around).any():  # an exploded neighbour: as the nearer one in log rate
        nearer = int(np.abs(np.log(rates / rate)).argmin())
        exploded = bool(np.isnan(losses[nearer]))
        reached = level if exploded else float(losses[nearer])
    else:
        exploded, reached = False, float(np.interp(np.log(rate), np.log(rates), losses))
    return Found(float(np.log10(rate / rates[best])), (level - reached) / (level - losses[best]), exploded)


def swept(problem: Problem, rule: Any, seeds: int) -> Iterator[tuple[int, RateTest, Array, Array, float]]:
    """Yield for each seed the range test, the sweep's rates with their final losses, and the loss at the start."""
    network, data = ds.MLP(problem.sizes), getattr(ds.data, problem.name)()
    same: dict[str, Any] = {"batch_size": problem.batch_size}
    over = {"learning_rate": ds.log(*RATES)}
    result = ds.sweep(network, data, rule, over=over, epochs=problem.epochs, seeds=seeds, progress=False, **same)
    frame = result.frame().sort("seed", "learning_rate")
    for seed in range(seeds):
        rows = frame.filter(frame["seed"] == seed)
        losses = [
            loss if outcome == "finished" else np.nan for loss, outcome in rows.select("loss", "outcome").iter_rows()
        ]
        test = find_rate(ds.Run(network, data, rule, seed=seed, **same))
        yield seed, test, rows["learning_rate"].to_numpy(), np.array(losses), test.level


def report(group: str, problems: tuple[Problem, ...], chosen: dict[str, Any], seeds: int) -> None:
    """Measure a group of data sets and print its tables."""
    found: dict[str, dict[tuple[str, str], list[Found]]] = defaultdict(lambda: defaultdict(list))
    thresholds: dict[tuple[str, str], list[float]] = defaultdict(list)
    for problem in problems:
        label = problem.name if problem.batch_size is None else f"{problem.name}, batches of {problem.batch_size}"
        for name, rule in chosen.items():
            for _, test, rates, losses, level in swept(problem, rule, seeds):
                for way, candidate in CANDIDATES.items():
                    found[way][label, name].append(compared(candidate(test), rates, losses, level))
                thresholds[label, name].append(np.nan if test.threshold is None else test.threshold)
    print(f"\n{group}: {', '.join(dict.fromkeys(label for label, _ in thresholds))}")
    print(f"{len(chosen)} rules, {seeds} seeds; ratio to the best of the sweep, in powers of ten")
    print(f"{'':18}{'10 %':>7}{'median':>8}{'90 %':>7}{'seeds':>8}   {'share of the fall':>17}  {'exploded':>8}")
    for way, by_case in found.items():
        every = [one for cases in by_case.values() for one in cases]
        ratios = np.array([one.ratio for one in every])
        low, middle, high = np.nanpercentile(ratios, [10, 50, 90])
        within = np.nanmedian([np.nanstd([one.ratio for one in cases]) for cases in by_case.values()])
        tenth, share = np.percentile([one.share for one in every], [10, 50])
        lost = np.mean([one.exploded for one in every])
        print(f"{way:18}{low:7.2f}{middle:8.2f}{high:7.2f}{within:8.2f}   {tenth:7.0%} … {share:6.0%}  {lost:10.1%}")
    print("'seeds': median standard deviation over seeds; 'share of the fall': 10th percentile and median")
    print("\nsuggestion / best of the sweep, geometric mean over seeds; in brackets the rate training explodes from")
    labels = list(dict.fromkeys(label for label, _ in thresholds))
    for name in chosen:
        cells = []
        for label in labels:
            ratio = 10 ** np.nanmean([one.ratio for one in found["test.suggestion"][label, name]])
            limit = thresholds[label, name]
            told = "none" if np.isnan(limit).any() else f"{np.median(limit):.3g}"
            cells.append(f"{ratio:8.2g} ({told:>5})")
        print(f"{name:18}{''.join(f'{cell:>18}' for cell in cells)}")


def linear_regression(seeds: int) -> None:
    """Print the measured threshold of plain full-batch SGD beside 2 / largest eigenvalue, and momentum's."""
    print("\nlinear regression on diabetes, full batch: measured threshold / (2 + 2·momentum) · largest eigenvalue")
    data = ds.data.diabetes()
    for momentum in (0.0, 0.5, 0.9):
        ratios = []
        for seed in range(seeds):
            run = ds.Run(ds.MLP([10, 1]), data, ds.SGD(momentum=momentum), seed=seed, dtype="float64")
            inputs = run.problem.training.inputs
            design = np.column_stack([inputs, np.ones(len(inputs))])
            largest = float(np.linalg.eigvalsh(2 * design.T @ design / len(design)).max())
            threshold = find_rate(run).threshold
            assert threshold is not None
            ratios.append(threshold * largest / (2 + 2 * momentum))
        print(f"momentum {momentum:3}: {min(ratios):.3f} … {max(ratios):.3f} over {seeds} seeds")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--quick", action="store_true", help="one data set and three rules of each group")
    arguments = parser.parse_args()
    chosen = rules()
    if arguments.quick:
        chosen = {name: chosen[name] for name in ("sgd", "adam", "lion")}
    print(describe_machine())
    started = time.perf_counter()
    for group, problems in GROUPS.items():
        report(group, problems[:1] if arguments.quick else problems, chosen, arguments.seeds)
    linear_regression(arguments.seeds)
    print(f"\n{time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
