"""Where the book's printed rows fall among many runs with the same settings.

    python -m downslope.book.spread             train all 4,096 runs again and write `spreads.npz`
    python -m downslope.book.spread --check 2   train 2 of each configuration again and compare them bit for bit

All but one of the chapter's runs are chaotic, so each printed run is one draw from a spread. Two kinds of spread are
kept for each: "seeds", where data and weights are drawn anew by a seed, and "ulp", where the chapter's own data and
weights stay and each weight is moved by at most its last bit (see `spread_runs.begin`). The same settings give the same
bits on every machine, so 256 runs of each kind come with the package, and `fresh=True` trains them, or more, here.
"""

from __future__ import annotations

import argparse
import functools
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from downslope import checks
from downslope.book.printed import DECIMALS, PRINTED, reproduced
from downslope.book.spread_file import FILE, Kept, kept_epochs, opened, summed_up, written
from downslope.book.spread_runs import EVERY, KINDS, Kind, Trace, Which, traces
from downslope.errors import InputError
from downslope.interrupt import deferred_interrupt
from downslope.sweeps.progress import progress_bar
from downslope.sweeps.work import Stop

if TYPE_CHECKING:
    import polars

__all__ = ["KINDS", "QUANTITIES", "Kind", "Spread", "differing", "main", "spread", "summary", "table"]

Quantity: TypeAlias = Literal["loss", "accuracy"]
QUANTITIES: tuple[Quantity, ...] = ("loss", "accuracy")
SHIPPED = 256  # runs of each kind

_finished: dict[Which, Trace] = {}  # trained in this process, so that what was stopped goes on


@dataclass(frozen=True, eq=False)
class Spread:
    """Loss and accuracy of many runs with the settings of one of the chapter's runs.

    Attributes
    ----------
    name : str
        One of `PRINTED`.
    kind : "seeds" or "ulp"
    epochs : array, shape (k,)
        The epochs the book prints, and every thousandth; ascending.
    loss, accuracy : array, shape (runs, k)
        At those epochs, before their update; loss rounded to float32. Run i is the one of seed i. A run that exploded
        has an infinite loss and accuracy 0 from there on.
    curve_epochs : array, shape (101,)
        Every hundredth epoch.
    loss_curves, accuracy_curves : array, shape (7, 101)
        The percentiles 0, 5, 25, 50, 75, 95 and 100 over the runs at those epochs (nearest rank: values that occur).
    """

    name: str
    kind: Kind
    epochs: NDArray[np.int64]
    loss: NDArray[np.float64]
    accuracy: NDArray[np.float64]
    curve_epochs: NDArray[np.int64]
    loss_curves: NDArray[np.float64]
    accuracy_curves: NDArray[np.float64]

    @property
    def runs(self) -> int:
        """How many runs there are."""
        return len(self.loss)

    def at(self, epoch: int, of: Quantity = "loss") -> NDArray[np.float64]:
        """Return a quantity of every run at one of `epochs`, shape (runs,)."""
        places = np.flatnonzero(self.epochs == epoch)
        if not len(places):
            listed = ", ".join(map(str, self.epochs.tolist()))
            raise checks.refuse("epoch", f"one that is kept ({listed})", epoch)
        values: NDArray[np.float64] = getattr(self, checks.one_of("of", of, QUANTITIES))[:, places[0]]
        return values

    def range(self, epoch: int, of: Quantity = "loss") -> tuple[float, float]:
        """Return the smallest and the largest value over the runs at one of `epochs`."""
        values = self.at(epoch, of)
        return float(values.min()), float(values.max())

    def percentile(self, value: float, epoch: int, of: Quantity = "loss") -> float:
        """Return the percentage of runs below a printed value, counting half of those equal to it (mid-rank).

        The value is known to three decimals only, so the runs are rounded to three as well: 0 says that all runs print
        more, 100 that all print less, and 50 stands for the middle or for runs that all print the same.

        Parameters
        ----------
        value : float
            As printed.
        epoch : int
            One of `epochs`.
        of : "loss" or "accuracy"
        """
        asked = round(checks.real("value", value), DECIMALS)
        shown = np.array([round(one, DECIMALS) for one in self.at(epoch, of).tolist()])
        below, equal = int(np.count_nonzero(shown < asked)), int(np.count_nonzero(shown == asked))
        return 100.0 * (below + 0.5 * equal) / len(shown)


def spread(
    name: str,
    kind: Kind,
    *,
    runs: int | None = None,
    fresh: bool = False,
    progress: bool | None = None,
    threads: int | None = None,
) -> Spread:
    """Return the spread of one of the chapter's runs: as it comes with the package, or trained here.

    Parameters
    ----------
    name : str
        One of `PRINTED`.
    kind : "seeds" or "ulp"
        Whether data and weights are drawn anew, or only the weights' last bits are moved.
    runs : int, optional
        How many runs to train, at least 1; only with `fresh`. 256 when left out.
    fresh : bool
        Whether to train here: about 0.1 s a run on one core. Ctrl-C stops; the same call then goes on.
    progress : bool, optional
        Whether to show a progress bar on stderr; left out, where stderr is a terminal. Only with `fresh`.
    threads : int, optional
        How many runs to train at a time; as many as there are cores when left out. Only with `fresh`.

    Raises
    ------
    InputError
        If an argument is not legal.

    Examples
    --------
    >>> among = spread("sgd_momentum_0.9", "seeds")
    >>> among.loss.shape[0], 0 < among.percentile(0.173, 10_000) < 100
    (256, True)
    """
    name, kind = checks.one_of("name", name, PRINTED), _kind(kind)
    if not checks.flag("fresh", fresh):
        for given, value in (("runs", runs), ("progress", progress), ("threads", threads)):
            if value is not None:
                raise checks.refuse(given, "left out unless fresh=True", value)
        return _spread(name, kind, opened(FILE)[name, kind])
    count = SHIPPED if runs is None else checks.whole("runs", runs, at_least=1)
    _train([(name, kind, number) for number in range(count)], progress, threads)
    return _spread(name, kind, summed_up(name, [_finished[name, kind, number] for number in range(count)]))


@functools.cache
def table(name: str) -> polars.DataFrame:
    """Return a row for each row the book prints: its numbers, ours, and where its fall among the runs of both kinds.

    Columns: epoch; book_accuracy, our_accuracy, book_loss, our_loss; then for each kind and quantity, as in
    `seeds_loss_…`, the book's percentile (`…_percentile`, see `Spread.percentile`), and the smallest and the largest
    value over the runs (`…_low`, `…_high`).
    """
    import polars as pl

    beside = reproduced(name).frame()
    columns = [beside[column] for column in ("epoch", "book_accuracy", "our_accuracy", "book_loss", "our_loss")]
    for kind in KINDS:
        among = spread(name, kind)
        for of in QUANTITIES:
            values = zip(beside[f"book_{of}"], beside["epoch"], strict=True)
            lows, highs = zip(*(among.range(epoch, of) for epoch in beside["epoch"]), strict=True)
            places = [among.percentile(value, epoch, of) for value, epoch in values]
            columns += [
                pl.Series(f"{kind}_{of}_percentile", places),
                pl.Series(f"{kind}_{of}_low", lows),
                pl.Series(f"{kind}_{of}_high", highs),
            ]
    return pl.DataFrame(columns)


def summary() -> polars.DataFrame:
    """Return a row for each of the chapter's runs: how many of its printed numbers lie within the spreads.

    Columns: name, figure, rows; and for each kind and quantity how many printed values lie between the smallest and the
    largest over the runs, rounded as printed (`seeds_loss_within`), and how many between the percentiles 2.5 and 97.5
    (`seeds_loss_central`).
    """
    import polars as pl

    rows = []
    for name, printed in PRINTED.items():
        beside = table(name)
        row: dict[str, object] = {"name": name, "figure": printed.figure, "rows": len(beside)}
        for kind in KINDS:
            for of in QUANTITIES:
                places = beside[f"{kind}_{of}_percentile"]
                row[f"{kind}_{of}_within"] = int(places.is_between(0, 100, closed="none").sum())
                row[f"{kind}_{of}_central"] = int(places.is_between(2.5, 97.5).sum())
        rows.append(row)
    return pl.DataFrame(rows)


def differing(runs: int, *, progress: bool | None = None, threads: int | None = None) -> list[str]:
    """Train the first runs of each configuration again, and return those that differ from what is shipped.

    Each is named as "adagrad, seeds, run 1". Compared are all kept losses and accuracies, bit for bit.
    """
    count = checks.whole("runs", runs, at_least=1, at_most=SHIPPED)
    wanted = [(name, kind, number) for name in PRINTED for kind in KINDS for number in range(count)]
    _train(wanted, progress, threads)
    shipped, found = opened(FILE), []
    for name, kind, number in wanted:
        made = summed_up(name, [_finished[name, kind, number]])
        kept = shipped[name, kind]
        if made.loss[0].tobytes() != kept.loss[number].tobytes() or (made.right[0] != kept.right[number]).any():
            found.append(f"{name}, {kind}, run {number}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Train all runs again and write them, or check some; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m downslope.book.spread", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--runs", type=int, default=SHIPPED, help="of each kind and configuration (default: 256)")
    parser.add_argument("--check", type=int, metavar="N", help="train N runs of each again, and compare")
    parser.add_argument("--out", type=Path, default=FILE, help="where to write (default: into the package)")
    parser.add_argument("--threads", type=int, help="runs at a time (default: one a core)")
    asked = parser.parse_args(arguments)
    try:
        if asked.check is not None:
            found = differing(asked.check, threads=asked.threads)
            told = "\n".join([f"differs: {one}" for one in found] or ["every bit is the same"])
            sys.stdout.write(f"{told}\n")
            return 1 if found else 0
        count = checks.whole("runs", asked.runs, at_least=1)
        wanted = [(name, kind, number) for name in PRINTED for kind in KINDS for number in range(count)]
        _train(wanted, None, asked.threads)
        content = {
            (name, kind): summed_up(name, [_finished[name, kind, number] for number in range(count)])
            for name in PRINTED
            for kind in KINDS
        }
        written(asked.out, content)
        sys.stdout.write(f"{asked.out}: {len(wanted):,} runs, {asked.out.stat().st_size:,} bytes\n")
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: nothing was written\n")
        return 130
    except InputError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _train(wanted: Sequence[Which], progress: bool | None, threads: int | None) -> None:
    """Train those of the runs that this process has not trained yet."""
    if progress is not None:
        checks.flag("progress", progress)
    if threads is not None:
        checks.whole("threads", threads, at_least=1, at_most=1024)
    left = [which for which in wanted if which not in _finished]
    if not left:
        return
    done, exploded, stop = len(wanted) - len(left), 0, Stop()
    with deferred_interrupt(stop.set), progress_bar(progress, done, len(wanted)) as show:

        def on_done(which: Which, trace: Trace) -> None:
            nonlocal done, exploded
            _finished[which] = trace
            done, exploded = done + 1, exploded + bool(np.isinf(trace.loss[-1]))
            show(done, exploded, 0)

        traces(left, stop, threads, on_done)


def _spread(name: str, kind: Kind, kept: Kept) -> Spread:
    return Spread(
        name,
        kind,
        np.array(kept_epochs(name), dtype=np.int64),
        kept.loss.astype(np.float64),
        kept.accuracy,
        EVERY * np.arange(kept.loss_curves.shape[1]),
        kept.loss_curves.astype(np.float64),
        kept.accuracy_curves,
    )


def _kind(kind: Kind) -> Kind:
    checks.one_of("kind", kind, KINDS)
    return kind


if __name__ == "__main__":
    sys.exit(main())
