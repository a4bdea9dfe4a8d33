"""`downslope find-rate`: the range test of learning rates, and the rate from which on training explodes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from downslope import checks
from downslope.cli.changes import loaded
from downslope.cli.options import Number, SectionedCommand, option
from downslope.cli.output import counted, print_columns, say, stopped, tell, written
from downslope.cli.problem import (
    OUTPUT,
    TRAINING,
    is_table,
    not_the_data,
    problem_from,
    problem_options_without_epochs,
)
from downslope.data import SETS
from downslope.data.sources import ENDINGS
from downslope.errors import InputError
from downslope.files import TABLES, place, write_table
from downslope.training import Run

if TYPE_CHECKING:
    from downslope.training.rate_test import RateTest

__all__ = ["command"]

RATES = "Learning rates"
LISTED = 9  # rates in the table


@click.command("find-rate", cls=SectionedCommand)
@click.argument("source")
@option(
    RATES, "--from", "low", type=Number(), default="1e-6", show_default=True, metavar="X", help="The smallest rate."
)
@option(RATES, "--to", "high", type=Number(), default=100, show_default=True, metavar="X", help="The largest rate.")
@option(
    RATES,
    "--steps",
    type=Number(),
    default=200,
    show_default=True,
    metavar="N",
    help="How many rates the range test goes through, one update each.",
)
@option(
    RATES,
    "--hold",
    type=Number(),
    default=200,
    show_default=True,
    metavar="N",
    help="Updates at each constant rate that is tried for an explosion; 0 looks for none.",
)
@option(
    RATES,
    "--seeds",
    type=Number(),
    default=1,
    show_default=True,
    metavar="N",
    help="Test with so many seeds, from --seed on: all is told of the first, and then the range over them.",
)
@problem_options_without_epochs
@option(TRAINING, "--seed", type=Number(), metavar="N", help="Of weights, batches, dropout and split. Default: 0.")
@option(
    TRAINING,
    "--rule",
    "rules",
    metavar="FILE:CLASS",
    multiple=True,
    help="Where a rule of your own stands that a saved run was trained with: script.py:Class.",
)
@option(OUTPUT, "--plot", metavar="FILE", help="Write the picture: .png, .svg or .pdf.")
@option(OUTPUT, "--table", metavar="FILE", help="Write rates and losses: .csv, .tsv or .parquet.")
@option(OUTPUT, "--json", "as_json", is_flag=True, help="Print one JSON object a rate, and what was found as the last.")
def command(
    *,
    source: str,
    low: Any,
    high: Any,
    steps: Any,
    hold: Any,
    seeds: Any,
    plot: str | None,
    table: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Suggest a learning rate, and find the one from which on training explodes.

    SOURCE is the name of a data set (see `downslope data`), a .csv, .tsv or .parquet file, or the directory of a saved
    run, which is tested as it stands and not changed. The rate of --learning-rate or a schedule plays no part; all
    other settings do.

    Range test: one update at each rate, from small to large; suggested is the one at which the smoothed loss had made
    nine tenths of its fall, and at most half of the largest that holds. A loss that was still falling at --to makes it
    a lower bound.

    Explosion: within --hold updates at one constant rate a number is not finite; or the mean loss reaches ten times
    what it was, and ten times the loss of the best constant outputs; or it ends at twice what it was, and half of
    that of the best constant outputs. So the loss of a trained run, near 0, may grow a lot.

    \b
    downslope find-rate spiral --optimizer sgd --momentum 0.9 --plot rates.png
    downslope find-rate wine.csv --target class --optimizer adam --batch-size 32
    downslope find-rate runs/wine
    """
    from downslope.training.rate_test import find_rate, rate_range

    number = checks.whole("seeds", seeds, at_least=1)
    rate_range(low, high, ("from", "to"))
    writers = _writers(plot, table)
    runs = _runs(source, options, number, [path for path, _ in writers])
    found: list[RateTest] = []
    latest: list[RateTest] = []
    try:
        with _status() as show:

            def progress(test: RateTest) -> None:
                latest[:] = [test]
                tried = f"{counted(len(test.trials), 'constant rate')} tried"
                done = tried if test.trials else f"{counted(len(test.rates), 'rate')} tested"
                show(done if number == 1 else f"seed {len(found) + 1} of {number}: {done}")

            for run in runs:
                latest.clear()
                found.append(find_rate(run, low=low, high=high, steps=steps, hold=hold, on_progress=progress))
    except KeyboardInterrupt as interrupt:
        tell(f"{stopped(interrupt)}: this is what was found so far.")
        _finish([*found, *latest] if len(found) < number else found, writers, as_json=as_json)
        raise
    _finish(found, writers, as_json=as_json)


@contextmanager
def _status() -> Iterator[Callable[[str], None]]:
    """Yield a function that shows on stderr, in a terminal, how far the work is."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda told: None
        return
    from rich.console import Console

    with Console(stderr=True, force_jupyter=False).status("begins") as status:
        yield status.update


def _writers(plot: str | None, table: str | None) -> list[tuple[Path, Any]]:
    """Return what is to be written where, refusing before the work what could not be written after it."""
    writers: list[tuple[Path, Any]] = []
    if plot is not None:
        from downslope.figures import PICTURES
        from downslope.figures.find_rate import find_rate_picture

        writers.append(
            (place("plot", plot, PICTURES), lambda found, path: find_rate_picture(found[0], path, others=found[1:]))
        )
    if table is not None:
        writers.append((place("table", table, TABLES), lambda found, path: write_table(found[0].frame(), path)))
    return writers


def _runs(source: str, options: dict[str, Any], count: int, files: Sequence[Path]) -> Sequence[Run]:
    """Return the runs to be tested: a saved one, or new ones with one seed after the other."""
    if Path(source).is_dir():
        return [_saved(source, count, options)]
    if options["rules"]:
        raise InputError("--rule must be given for a saved run only: a new one takes --optimizer script.py:Class")
    if source not in SETS and not is_table(source):
        raise InputError(
            f"SOURCE must be one of {', '.join(SETS)}, a path to a {', '.join(ENDINGS)} file, or the directory of a "
            f"saved run. Received: {source!r}{checks.did_you_mean(source, SETS)}"
        )
    not_the_data(files, source, options)
    described = problem_from(source, options)
    first = Run(**described, seed=options["seed"])
    if count == 1:
        return [first]
    if not isinstance(first.seed, int):
        raise InputError(f"seeds must be 1 where the seed is no number. Received: --seeds {count} with {first.seed!r}")
    return [first, *(Run(**described, seed=first.seed + more) for more in range(1, count))]


def _saved(source: str, count: int, options: dict[str, Any]) -> Run:
    """Return a saved run; options that describe a new one are refused."""
    from downslope.cli.directories import saved_run

    context = click.get_current_context()
    fine = {"source", "low", "high", "steps", "hold", "seeds", "rules", "plot", "table", "as_json"}
    for parameter in context.command.params:
        name = parameter.name or ""
        if name not in fine and context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
            raise InputError(f"{parameter.opts[0]} must be left out for a saved run, which is tested as it stands")
    if count > 1:
        raise InputError(f"seeds must be 1 for a saved run, which has its own. Received: --seeds {count}")
    try:
        path = saved_run(source)
    except InputError as error:  # `resume` and `branch` call it RUN
        raise InputError(f"SOURCE{str(error).removeprefix('RUN')}") from error
    return loaded(path, options)


def _finish(found: Sequence[RateTest], writers: Sequence[tuple[Path, Any]], *, as_json: bool) -> None:
    """Print what was found, and write the files that were asked for."""
    if not found:
        return
    if as_json:
        _print_json(found)
    else:
        _print(found)
    failure = written(found, writers)
    if failure is not None:
        raise failure


def _print_json(found: Sequence[RateTest]) -> None:
    for row in found[0].frame().iter_rows(named=True):
        say(json.dumps(row))
    final = found[0].describe()
    if len(found) > 1:
        final["seeds"] = [test.describe() for test in found]
    say(json.dumps({"final": final}, allow_nan=False))


def _print(found: Sequence[RateTest]) -> None:
    test = found[0]
    if len(test.rates):
        places = np.unique(np.linspace(0, len(test.rates) - 1, LISTED).round().astype(int))
        columns = (test.rates, test.losses, test.smoothed)
        rows = [[f"{column[place]:.4g}" for column in columns] for place in places]
        print_columns(("learning rate", "loss", "smoothed"), rows)
    say(_suggestion(test))
    if test.hold and (test.trials or test.finished):
        say(_threshold(test))
    if len(found) > 1:
        say(f"{counted(len(found), 'seed')}: {_spread(found)}")


def _suggestion(test: RateTest) -> str:
    if test.suggestion is not None:
        more = ", a lower bound: the loss was still falling at the end, raise --to" if test.lower_bound else ""
        return f"suggested learning rate: {test.suggestion:.2g}{more}"
    told = "the loss never fell" if test.lowest is None else "training exploded at every rate that was tried"
    return f"no suggestion: {told}" if test.ended != "stopped" else "no suggestion yet"


def _threshold(test: RateTest) -> str:
    """Return what is known of explosions, in a line."""
    updates = f"{counted(test.hold, 'update')} at a constant rate"
    if test.threshold is None:
        return "no explosion" + ("" if test.held is None else f" up to {test.held:.3g} ({updates})")
    if test.held is None:
        so_far = ": lower --from" if test.finished else " so far"
        return f"training explodes already at {test.threshold:.3g} ({updates}), the smallest rate tried{so_far}"
    return f"training holds at {test.held:.3g}, explodes from {test.threshold:.3g} on ({updates})"


def _spread(found: Sequence[RateTest]) -> str:
    """Return median and range over seeds, of the suggestions and of the thresholds."""
    told = []
    for word, rates in (
        ("suggested", [test.suggestion for test in found if test.suggestion is not None]),
        ("explodes from", [test.threshold for test in found if test.threshold is not None]),
    ):
        if rates:
            whole = "" if len(rates) == len(found) else f" in {len(rates)} of them"
            told.append(f"{word} {median(rates):.2g} ({min(rates):.2g} to {max(rates):.2g}){whole}")
    return "; ".join(told) or "nothing found"
