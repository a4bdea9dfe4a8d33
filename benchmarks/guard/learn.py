"""Learn the guard's patterns: which measures, large together at a new learning rate, tell an explosion in time.

    python benchmarks/guard/learn.py [--rounds 900] [--workers 2] [--folds 3] [--quick]

A pattern is two or three measures of `judge.MEASURES` that are all above their thresholds. Wanted is an alarm between
the jump or ramp that explodes a run and the step at which its loss is tenfold; every alarm at a healthy step is false,
once an episode. The runs are those of the corpus (corpus.py) but its held-out rounds: as many from round 0 on as from
round 2000 on.

1. **Learning** by separate-and-conquer: the pattern that covers most explosions at the least price in false alarms is
   searched for, condition by condition with a beam; what it covers is put aside; and again, until no pattern is worth
   its price. Only ">" is tried, so that what is larger is never less alarming.
2. **Polishing**: each threshold in turn is moved to where all patterns together are worth most, smoothed over
   neighbouring thresholds; then all are rounded to two digits, and conditions and patterns of little use left out.

Printed are the rows of `judge.PATTERNS`, and with `--folds`, what patterns learnt on the other folds do on each. The
same rounds give the same patterns. Ctrl-C while runs are recorded learns from those there are.

References
----------
Fürnkranz, *Separate-and-conquer rule learning*, Artificial Intelligence Review 13 (1999).
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from corpus import FAMILIES, HELD_OUT, cases
from measures import Measured, Sample, measured, sample_of
from patterns import Counts, Pattern, count, learn, polish

from downslope.engines.judge import MEASURES
from machine import describe_machine

PER_ROUND = sum(count for _, count in FAMILIES.values())
FOLD_ROUNDS = 5  # rounds that follow one another stand in one fold
PER = 100_000


def main() -> None:
    """Record, learn, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rounds", type=int, default=900, help="rounds from 0 and from 2000 on (default: 900, at most)"
    )
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument("--folds", type=int, default=0, help="cross-validate by so many folds (default: do not)")
    parser.add_argument("--quick", action="store_true", help="2 rounds, to see that it works")
    given = parser.parse_args()
    rounds = 2 if given.quick else given.rounds
    if not 1 <= rounds <= HELD_OUT.start:
        parser.error(f"--rounds must be from 1 to {HELD_OUT.start}. Received: {rounds}")
    print(describe_machine())
    started = time.perf_counter()
    runs = list(_recorded(rounds, given.workers))
    if not any(one.wanted.any() for one in runs):
        print("\nThere is no explosion to learn from.")
        return
    sample = sample_of(runs)
    print(
        f"\n{len(runs):,} runs, {sample.healthy_steps:,} healthy steps, {sample.explosions} explosions by a jump or a "
        f"ramp; {len(sample.run):,} steps kept; recorded in {time.perf_counter() - started:.0f} s."
    )
    learnt = learn(sample)
    print(f"\nLearnt {len(learnt)} patterns: {_told(sample, learnt)}.")
    polished = polish(sample, learnt)
    print(f"Polished, {len(polished)} are left: {_told(sample, polished)}.\n")
    print(_table(polished))
    if given.folds:
        print(f"\nCross-validation by {given.folds} folds: {_cross_validated(runs, given.folds)}.")
    print(f"\n{time.perf_counter() - started:.0f} s.")


def _recorded(rounds: int, workers: int) -> Iterator[Measured]:
    """Yield the runs to learn from; fewer where Ctrl-C is pressed."""
    total, done = 2 * rounds * PER_ROUND, 0
    pool = ProcessPoolExecutor(workers, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
    try:
        for one in pool.map(measured, chain(cases(rounds), cases(rounds, HELD_OUT.stop)), chunksize=8):
            yield one
            done += 1
            if done % PER_ROUND == 0:
                _progress(f"\r{done:,} of {total:,} runs recorded")
    except KeyboardInterrupt:
        _progress("\nInterrupted: what follows is of the runs until then.")
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    _progress("\n")


def _told(sample: Sample, patterns: list[Pattern]) -> str:
    return _told_as(count(sample, patterns), sample)


def _told_as(counts: Counts, sample: Sample) -> str:
    told, false = counts.told / max(sample.explosions, 1), PER * counts.false / max(sample.healthy_steps, 1)
    return (
        f"{100 * told:.2f} % of {sample.explosions} explosions in time, {false:.2f} false alarms per {PER:,} steps "
        f"({counts.false})"
    )


def _cross_validated(runs: list[Measured], folds: int) -> str:
    """Return how patterns learnt on all folds but one do on that one, all folds together."""
    told, false = 0, 0
    for fold in range(folds):
        parts: tuple[list[Measured], list[Measured]] = ([], [])
        for run in runs:
            parts[run.turn // FOLD_ROUNDS % folds == fold].append(run)
        others, own = (sample_of(part) for part in parts)
        counts = count(own, polish(others, learn(others)))
        told, false = told + counts.told, false + counts.false
    return _told_as(Counts(told, false), sample_of(runs))


def _table(patterns: list[Pattern]) -> str:
    """Return patterns as the rows of `judge.PATTERNS`."""
    rows = [[f"{float(x)}," if np.isfinite(x) else "ANY," for x in pattern] for pattern in patterns]
    widths = [max(map(len, column)) + 1 for column in zip(MEASURES, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        return "".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip(", ")

    return "\n".join([f"    # {line(MEASURES)}", *(f"    ({line(row)})," for row in rows)])


def _progress(words: str) -> None:
    print(words, end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
