"""`downslope compare`: several optimizers on one problem over the same seeds, their table, picture and data."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import click

from downslope import checks
from downslope.cli.options import Number, SectionedCommand, option
from downslope.cli.output import counted, print_columns, say, stopped, tell, written
from downslope.cli.problem import (
    OPTIMIZER,
    OUTPUT,
    data_from,
    not_the_data,
    options_around,
    problem_without_optimizer,
    seeds_from,
)
from downslope.cli.specs import SPEC_HELP, optimizer_spec
from downslope.errors import InputError
from downslope.files import TABLES, place
from downslope.rules.text import code_text

if TYPE_CHECKING:
    from downslope.sweeps import Comparison, Range
    from downslope.sweeps.comparison_job import ComparisonJob

__all__ = ["command"]

COMPARISON = "Comparison"
SEEDS = 16


@click.command("compare", cls=SectionedCommand)
@click.argument("source")
@option(
    COMPARISON,
    "--seeds",
    metavar="N",
    help="How many seeds, from 0; or which, as 3,5,8; or chapter, which draws weights as the book's chapter does.  "
    "[default: 16]",
)
@option(
    COMPARISON,
    "--reach",
    type=Number(),
    metavar="X",
    help="Tell when the loss X was first reached. Default: the highest final median of those that come down at least "
    "half as far as the best.",
)
@option(
    COMPARISON,
    "--tune",
    is_flag=True,
    help="First find the best learning rate of every optimizer that is given none, on three other seeds.",
)
@option(
    COMPARISON,
    "--rates",
    metavar="RANGE",
    help="The learning rates --tune tries: log:LOW:HIGH:COUNT or A,B,C.  [default: 1e-4,3e-4,1e-3,…,3,10]",
)
@option(COMPARISON, "--tune-epochs", type=Number(), metavar="N", help="Epochs of the runs of --tune. Default: all.")
@option(COMPARISON, "--threads", type=Number(), metavar="N", help="Runs at a time. Default: one a core.")
@options_around(
    option(
        OPTIMIZER,
        "--optimizer",
        "specs",
        multiple=True,
        metavar="SPEC",
        help=f"{SPEC_HELP}; script.py:Class for a rule of your own; also decay=X, or schedule=TEXT as the last. "
        "Repeat for each.",
    )
)
@option(OUTPUT, "--plot", metavar="FILE", help="Draw curves with bands over seeds: .png, .svg or .pdf.")
@option(OUTPUT, "--style", type=click.Choice(["light", "dark"]), default="light", show_default=True, help="Of --plot.")
@option(OUTPUT, "--save", metavar="FILE", help="Write a row for every run: .csv, .tsv or .parquet.")
@option(OUTPUT, "--curves", metavar="FILE", help="Write the curves' medians and bands: .csv, .tsv or .parquet.")
@option(OUTPUT, "--out", metavar="DIR", help="Keep results there as they come; the same command continues.")
@option(OUTPUT, "--json", "as_json", is_flag=True, help="Print one JSON object an optimizer, and a last one.")
@option(OUTPUT, "--progress/--no-progress", default=None, help="Progress bar on stderr. Default: in a terminal.")
def command(
    *,
    source: str,
    seeds: str | None,
    reach: Any,
    tune: bool,
    rates: str | None,
    tune_epochs: Any,
    threads: Any,
    specs: tuple[str, ...],
    plot: str | None,
    style: str,
    save: str | None,
    curves: str | None,
    out: str | None,
    as_json: bool,
    progress: bool | None,
    **options: Any,
) -> None:
    """Train a network with several optimizers over several seeds, and compare them.

    SOURCE is the name of a data set (see `downslope data`) or a .csv, .tsv or .parquet file.

    The seeds draw weights, batches, dropout and split; the data stay the same. Printed are, for each optimizer, the
    median of the final loss over the seeds with the quartiles, the median accuracy or R², the epoch by which half of
    its runs had reached a loss, the share of runs that did, and the share that exploded: stopped at a number that is
    not finite, or ended with more than twice the loss it began with. Ctrl-C keeps what is done, and prints
    and draws the seeds that every optimizer has finished.

    \b
    downslope compare spiral --optimizer sgd:momentum=0.9 --optimizer adam --seeds 16 --plot compare.png
    downslope compare wine --optimizer sgd --optimizer adam --optimizer lion --tune --validation 0.3 --save runs.csv
    """
    from downslope.sweeps import compare, parse_range
    from downslope.sweeps.comparison_job import plan_comparison
    from downslope.sweeps.comparison_tuning import RATES

    outputs = _outputs(plot, save, curves, style)
    not_the_data((path for path, _ in outputs), source, options)
    if not specs:
        raise InputError(f"--optimizer must be {SPEC_HELP}, once for each optimizer. Received: none")
    for name, value in (("rates", rates), ("tune-epochs", tune_epochs)):
        if value is not None and not tune:
            raise InputError(f"--{name} is for --tune. Received: --{name} {value}")
    optimizers, given = zip(*map(optimizer_spec, specs), strict=True)
    described: dict[str, Any] = {
        **problem_without_optimizer(data_from(source, options), options),
        "optimizers": optimizers,
        "epochs": options["epochs"],
        "seeds": seeds_from(seeds, SEEDS),
        "reach": reach,
    }
    job = plan_comparison(**described)
    flags = [tune and "learning_rate" not in names for names in given]
    tried = parse_range(RATES if rates is None else rates, "rates")
    _check(job, flags, tried, tune_epochs, threads, out)
    _say_what_is_planned(job, len(tried), flags)
    if tune and not any(flags):
        tell("--tune has nothing to tune: every optimizer is given its learning rate.")
    latest: list[Comparison] = []

    def watch(comparison: Comparison) -> None:
        if not latest:
            _say_what_was_chosen(comparison)
        latest[:] = [comparison]

    started = time.perf_counter()
    try:
        found = compare(
            **described, tune=flags, rates=tried, tune_epochs=tune_epochs, directory=out, threads=threads,
            progress=progress, on_progress=watch,
        )  # fmt: skip
    except KeyboardInterrupt as interrupt:
        _stopped(stopped(interrupt), latest, outputs, out, as_json=as_json)
        raise
    if not latest:  # all of them were done before
        _say_what_was_chosen(found)
    tell(f"{counted(found.finished, 'run')} done ({time.perf_counter() - started:.1f} s).")
    _finish(found, outputs, out, as_json=as_json)


Writer: TypeAlias = tuple[Path, Callable[["Comparison", Path], object]]


def _outputs(plot: str | None, save: str | None, curves: str | None, style: Any) -> list[Writer]:
    """Return what is to be written where, refusing before the training what could not be written after it."""
    writers: list[Writer] = []
    if plot is not None:
        from downslope.figures import PICTURES

        writers.append((place("plot", plot, PICTURES), lambda found, path: found.plot(path, style=style)))
    if save is not None:
        writers.append((place("save", save, TABLES), lambda found, path: found.write(path)))
    if curves is not None:
        writers.append((place("curves", curves, TABLES), lambda found, path: found.write(path, "curves")))
    if len({path.resolve() for path, _ in writers}) < len(writers):
        given = {"--plot": plot, "--save": save, "--curves": curves}
        told = " ".join(f"{name} {file}" for name, file in given.items() if file is not None)
        raise InputError(f"--plot, --save and --curves must name different files. Received: {told}")
    return writers


def _check(
    job: ComparisonJob, flags: list[bool], tried: Range, tune_epochs: Any, threads: Any, out: str | None
) -> None:
    """Refuse what `compare` would, before anything is announced."""
    from downslope.sweeps.comparison_tuning import checked_rates
    from downslope.sweeps.executors import ThreadExecutor

    ThreadExecutor(threads)
    if tune_epochs is not None:
        checks.whole("tune_epochs", tune_epochs, at_least=1)
    for optimizer, flag in zip(job.optimizers, flags, strict=True):
        if flag:
            checked_rates(optimizer, tried)
    if out is None:
        return
    path = Path(out)
    nearest = next((one for one in (path, *path.parents) if one.exists()), Path())
    if not out or not nearest.is_dir():
        raise checks.refuse("out", "a directory, not a file", out)
    try:
        with tempfile.TemporaryFile(dir=nearest):
            pass
    except OSError as error:
        raise InputError(f"--out {out} could not be written: {error.strerror or error}") from error


def _say_what_is_planned(job: ComparisonJob, rates: int, flags: list[bool]) -> None:
    many = counted(len(job.optimizers), "optimizer")
    whole = (
        f"{many} × {counted(len(job.seeds), 'seed')} = {counted(job.planned, 'run')} of {counted(job.epochs, 'epoch')}"
    )
    tell(f"{job.data.name}: {whole}.")
    if any(flags):
        from downslope.sweeps.comparison_tuning import SEEDS_OF_TUNING

        tell(f"First the learning rates of {sum(flags)}: {rates} for each × {counted(SEEDS_OF_TUNING, 'seed')}.")


def _say_what_was_chosen(found: Comparison) -> None:
    """Say the learning rates that tuning chose, and where a better one may lie beyond those tried."""
    if found.tuning is None:
        return
    for label, one in zip(found.labels, found.tuning.chosen, strict=True):
        if one is not None and one.learning_rate is None:
            tell(f"{label}: every run of the tuning was lost; it keeps its own learning rate.")
        elif one is not None:
            beyond = ", at the end of those tried" if one.at_edge else ""
            tell(f"{label}: learning rate {one.learning_rate:g}{beyond}.")


def _stopped(told: str, latest: list[Comparison], outputs: list[Writer], out: str | None, *, as_json: bool) -> None:
    """Say what is done, print it and write it."""
    again = "" if out is None else ": the same command continues"
    if not latest:
        tell(f"{told} before the first compared run was done{again}.")
        return
    found = latest[0]
    tell(f"{told} with {found.finished:,} of {counted(found.planned, 'run')} done{again}.")
    if found.seeds:
        tell(f"Compared: {found.seeds_in_words()}, which every optimizer has finished.")
    else:
        tell("No seed is done by every optimizer: the table has all runs.")
    _finish(found, outputs, out, as_json=as_json)


def _finish(found: Comparison, outputs: list[Writer], out: str | None, *, as_json: bool) -> None:
    """Print the table and write the files that were asked for, each whatever becomes of the others."""
    if as_json:
        _print_json(found, out)
    else:
        _print_table(found)
    failed = found.frame().filter(found.frame()["outcome"] == "failed")
    if len(failed):
        tell(f"{counted(len(failed), 'run')} failed, the first with: {failed['message'][0]}")
    if (failure := written(found, outputs)) is not None:
        raise failure


def _print_json(found: Comparison, out: str | None) -> None:
    for row in found.table().iter_rows(named=True):
        say(json.dumps(row, allow_nan=False))
    chosen = found.tuning.chosen if found.tuning is not None else [None] * len(found.labels)
    tuned = {label: one.learning_rate for label, one in zip(found.labels, chosen, strict=True) if one is not None}
    whole = {
        "runs": found.finished,
        "planned": found.planned,
        "seeds": len(found.seeds),
        "reach": found.reach,
        "tuned": tuned,
        "directory": out,
    }
    say(json.dumps({"final": whole}, allow_nan=False))


def _print_table(found: Comparison) -> None:
    """Print a line for each optimizer: its settings, medians with the quartiles, epochs to reach the loss, losses."""
    table, validated = found.table(), f"validation_{found.score}_median"
    reach = found.reach
    scores = [f"{found.score}_median"] + [validated] * (validated in table.columns)
    heads = ["optimizer", "settings", "loss", "quartiles", *(name.removesuffix("_median") for name in scores)]
    heads += [] if reach is None else [f"epochs to {reach:g}", "reached"]
    rows = []
    for row, one in zip(table.iter_rows(named=True), found.optimizers, strict=True):
        low, high = row["loss_low"], row["loss_high"]
        settings = code_text(one).partition("(")[2].removesuffix(")").replace("learning_rate=", "lr=")
        line = [row["label"], settings, _short(row["loss_median"])]
        line.append("–" if low is None else f"{_short(low)} – {_short(high)}")
        line += ["–" if row[name] is None else f"{row[name]:.3f}" for name in scores]
        if reach is not None:
            epochs = row["reached_median"]
            line += ["–" if epochs is None else f"{epochs:,}", _share(row["reached_share"])]
        rows.append([*line, _share(row["exploded_share"]), str(row["runs"]), f"{row['seconds'] or 0:.2f}"])
    print_columns([*heads, "exploded", "runs", "s a run"], rows, left=2)


def _short(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _share(value: float | None) -> str:
    from downslope.figures.style import percent

    return "–" if value is None else percent(value)
