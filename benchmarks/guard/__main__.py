"""How well the guard tells explosions from healthy training, beside the usual detectors.

    python benchmarks/guard [--first 900] [--rounds 100] [--quick] [--saved ours] [--trade-off trade_off.png]

A corpus of labelled, seeded runs (corpus.py) is trained to the end with a guard that only watches; what came of each is
read off its loss (labels.py); detectors read the same signals (detectors.py). The runs that a jump or a ramp exploded
are trained again with `rollback`, by the alarms of each detector (saved.py). Rounds 900 to 1999 took no part in tuning;
from those before and after them the guard's patterns are learnt (learn.py). The same corpus gives the same figures on
every machine. Ctrl-C prints what there is.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from corpus import Case, cases
from detectors import DETECTORS, OURS
from recording import is_caused, record
from report import report, report_saved
from saved import Saved, save
from tally import Tally, Verdict, verdicts

from machine import describe_machine


def main() -> None:
    """Train the corpus and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100, help="of the corpus, of 38 runs each (default: 100)")
    parser.add_argument(
        "--first", type=int, default=900, help="round to begin with (default: 900; 900 to 1999 took no part in tuning)"
    )
    parser.add_argument("--quick", action="store_true", help="2 rounds, to see that it works")
    parser.add_argument("--workers", type=int, default=2, help="processes (default: 2)")
    parser.add_argument(
        "--saved",
        choices=("all", "ours", "none"),
        default="all",
        help="whose rollbacks are tried: of all detectors (default; slow), ours alone, none",
    )
    parser.add_argument("--trade-off", type=Path, help="draw recall against false alarms to this PNG")
    given = parser.parse_args()
    rounds = 2 if given.quick else given.rounds
    print(describe_machine())
    print(f"\nCorpus: {rounds} rounds from round {given.first} on; every run's seed is its number in its family.")
    started = time.perf_counter()
    if given.trade_off is not None:
        from trade_off import trade_off

        trade_off(rounds, given.first, given.trade_off)
        return
    tally, saved = Tally(), []
    rollbacks = {"all": tuple(DETECTORS), "ours": (OURS,), "none": ()}[given.saved]
    pool = ProcessPoolExecutor(given.workers, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
    try:
        jobs = pool.map(_judged, cases(rounds, given.first), repeat(rollbacks), chunksize=8)
        for done, (found, back) in enumerate(jobs, 1):
            tally.verdicts += found
            saved += back
            if done % 38 == 0:
                took = time.perf_counter() - started
                print(f"\r{done // 38} of {rounds} rounds, {took:.0f} s", end="", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print("\nInterrupted: what follows is of the runs until then.", file=sys.stderr)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
    print(file=sys.stderr)
    if tally.verdicts:
        report(tally)
    if saved:
        report_saved(saved)
    print(f"\n{time.perf_counter() - started:.0f} s.")


def _judged(case: Case, rollbacks: Sequence[str]) -> tuple[list[Verdict], list[Saved]]:
    """Return the verdicts on a case, and what rollback by each of some detectors makes of it where it exploded."""
    run = record(case)
    caused = is_caused(case, run.label)
    return list(verdicts(case, run)), [save(case, run.label, name) for name in rollbacks if caused]


if __name__ == "__main__":
    main()
