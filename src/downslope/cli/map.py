"""`downslope map`: a network trained over ranges of settings and several seeds, its best settings and its picture."""

from __future__ import annotations

import json
import math
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from downslope import checks
from downslope.cli.options import Number, SectionedCommand, option
from downslope.cli.output import counted, print_columns, say, stopped, tell
from downslope.cli.problem import OUTPUT, not_the_data, problem_from, problem_options, seeds_from
from downslope.errors import InputError
from downslope.files import place

if TYPE_CHECKING:
    import polars

    from downslope.sweeps import Job, SweepResult

__all__ = ["command"]

SWEEP = "Sweep"
LISTED = 5  # cells in the table
FIRST_DRAWING, FIRST_SECONDS = 0.1, 10.0  # the picture is first drawn when so much is done, or after so long
DRAWING_SHARE = 0.05  # of the time that the drawing of it may take


@click.command("map", cls=SectionedCommand)
@click.argument("source")
@option(
    SWEEP,
    "--over",
    metavar="NAME=RANGE",
    multiple=True,
    help="A setting of the optimizer, batch_size or decay, and its values: LOW:HIGH:COUNT evenly spaced, "
    "log:LOW:HIGH:COUNT by factors, or A,B,C; repeat for several, the first runs across.",
)
@option(
    SWEEP,
    "--seeds",
    metavar="N",
    help="How many seeds each cell is trained with, from 0; or which, as 3,5,8. Default: 1.",
)
@option(SWEEP, "--threads", type=Number(), metavar="N", help="Runs at a time. Default: one a core.")
@option(SWEEP, "--workers", type=Number(), metavar="N", help="Train in so many processes of this machine instead.")
@option(SWEEP, "--cluster", metavar="ADDRESS", help="Train on the Dask cluster whose scheduler has this address.")
@problem_options
@option(
    OUTPUT,
    "--out",
    metavar="DIR",
    help="Where results go, and where the same command continues. Default: maps/ and a name of its own.",
)
@option(
    OUTPUT,
    "--quantity",
    default="loss",
    show_default=True,
    metavar="NAME",
    help="What is drawn and ranked: loss, accuracy or r2, best_loss, …; with --validation also validation_loss, ….",
)
@option(OUTPUT, "--plot", metavar="FILE", help="Draw the map, also while it is made: .png, .svg or .pdf.")
@option(OUTPUT, "--json", "as_json", is_flag=True, help="Print one JSON object a cell, and a last one for the whole.")
@option(OUTPUT, "--progress/--no-progress", default=None, help="Progress bar on stderr. Default: in a terminal.")
def command(
    *,
    source: str,
    over: tuple[str, ...],
    seeds: str | None,
    threads: Any,
    workers: Any,
    cluster: str | None,
    out: str | None,
    quantity: str,
    plot: str | None,
    as_json: bool,
    progress: bool | None,
    **options: Any,
) -> None:
    """Train a network over ranges of settings, and draw the map.

    SOURCE is the name of a data set (see `downslope data`) or a .csv, .tsv or .parquet file.

    The whole range is covered coarsely first, then ever finer, and every finished run is kept: Ctrl-C loses only the
    runs under way, and the same command continues. A run that stops at a number that is not finite, or ends with more
    than twice the loss it began with, counts as exploded. Printed are the best settings, by the median over seeds.

    \b
    downslope map spiral --optimizer sgd --over learning_rate=log:1e-3:10:32 --over momentum=0:0.99:32 --plot map.png
    downslope map wine --validation 0.3 --over learning_rate=log:1e-4:1:16 --seeds 8 --quantity validation_loss
    """
    from downslope.figures import PICTURES
    from downslope.sweeps import plan, sweep

    picture = None if plot is None else place("plot", plot, PICTURES)
    if picture is not None:
        not_the_data([picture], source, options)
    ranges = _ranges(over, options)
    described: dict[str, Any] = {
        **problem_from(source, options),
        "over": ranges,
        "epochs": options["epochs"],
        "seeds": seeds_from(seeds, "chapter" if options["data_seed"] == "chapter" else 1),
    }
    job = plan(**described)
    checks.one_of("quantity", quantity, job.quantities)
    directory = _directory(job, out)
    _say_what_is_planned(job, directory)
    drawer = _Drawer(job, picture, quantity)
    started = time.perf_counter()
    try:
        result = sweep(
            **described,
            directory=directory,
            threads=threads,
            workers=workers,
            cluster=cluster,
            progress=progress,
            on_progress=drawer.watch if picture is not None else None,
        )
    except KeyboardInterrupt as interrupt:
        _stopped(stopped(interrupt), directory, drawer)
        raise
    seconds = time.perf_counter() - started
    tell(f"{counted(result.finished, 'run')} done ({seconds:.1f} s), kept in {directory}.")
    drawer.draw(result)
    _print_result(result, quantity, as_json=as_json)


def _ranges(over: tuple[str, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Return the ranges by setting; a setting that is also given a value is refused."""
    from downslope.sweeps import parse_range

    if not over:
        raise InputError(
            "--over must name a setting and its values, as --over learning_rate=log:1e-3:10:32. Received: none"
        )
    ranges: dict[str, Any] = {}
    for text in over:
        key, equals, values = text.partition("=")
        name = key.strip().removeprefix("--").replace("-", "_")
        if not equals or not name:
            raise InputError(f"--over must be given as NAME=RANGE. Received: --over {text}")
        if name in ranges:
            raise InputError(f"{name} must be swept once. Received: --over {text} besides another range of it")
        fixed = options.get(f"setting_{name}", options.get(name) if name in {"batch_size", "decay"} else None)
        if fixed is not None:
            raise InputError(f"{name} must be either given or swept. Received: {name}={fixed!r} and --over {text}")
        ranges[name] = parse_range(values.strip(), name)
    return ranges


def _directory(job: Job, out: str | None) -> Path:
    """Return where the results go: as asked, or a name that the same command has again."""
    if out is not None:
        path = Path(out)
        if not out or (path.exists() and not path.is_dir()):
            raise checks.refuse("out", "a directory, not a file", out)
        return path
    data = re.sub(r"[^\w.-]+", "_", job.data.name).strip(".") or "data"
    return Path("maps") / f"{data}-{job.optimizer.name()}-{job.digest[:8]}"


def _say_what_is_planned(job: Job, directory: Path) -> None:
    first, *others = ((f"{len(values):,}", name) for name, values in job.over.items())
    sizes = [
        f"{first[0]} value{'s' * (first[0] != '1')} of {first[1]}",
        *(f"{many} of {name}" for many, name in others),
    ]
    if len(job.seeds) > 1:
        sizes.append(counted(len(job.seeds), "seed"))
    whole = f"{' × '.join(sizes)} = {counted(job.planned, 'run')} of {counted(job.epochs, 'epoch')}"
    tell(f"{job.data.name}, {job.optimizer.name()}: {whole}.")
    before = _found(directory)
    if before is None or not before.finished:
        tell(f"Results go to {directory}; after Ctrl-C the same command continues.")
    else:
        tell(f"{before.finished:,} of them are done already, in {directory}.")


def _found(directory: Path) -> SweepResult | None:
    """Return what a directory holds, if it is that of a sweep."""
    from downslope.sweeps import open_sweep

    try:
        return open_sweep(directory)
    except InputError:
        return None  # there is nothing yet; what else is wrong, the sweep itself says


def _stopped(told: str, directory: Path, drawer: _Drawer) -> None:
    """Say what is kept, and draw it."""
    result = _found(directory)
    if result is None:
        tell(f"{told} before the first run was done.")
        return
    done = f"{result.finished:,} of {counted(result.planned, 'run')}"
    tell(f"{told} with {done} done, kept in {directory}: the same command continues.")
    drawer.draw(result)


class _Drawer:
    """Draws the picture: now and then while the map is made, and at the end."""

    def __init__(self, job: Job, path: Path | None, quantity: str) -> None:
        self._planned, self._path, self._quantity = job.planned, path, quantity
        self._begun = self._due = time.monotonic()
        self._first = True

    def watch(self, result: SweepResult) -> None:
        """Draw what there is, if it is time."""
        now = time.monotonic()
        if now < self._due:
            return
        if self._first and result.finished < FIRST_DRAWING * self._planned and now < self._begun + FIRST_SECONDS:
            self._due = now + 0.1
            return
        try:
            self._draw(result)
        except InputError as error:  # the map goes on; at the end the picture is tried again
            tell(f"downslope: warning: {error}")
            self._due = math.inf
            return
        self._first = False
        self._due = time.monotonic() + (time.monotonic() - now) / DRAWING_SHARE

    def draw(self, result: SweepResult) -> None:
        """Draw what there is, if a picture was asked for and a run is done, and say so."""
        if self._path is not None and result.finished:
            self._draw(result)
            tell(f"Wrote {self._path}")

    def _draw(self, result: SweepResult) -> None:
        result.plot(self._path, quantity=self._quantity)


def _print_result(result: SweepResult, quantity: str, *, as_json: bool) -> None:
    """Print the best settings and the best cells; as JSON all cells, then the whole."""
    cells = _ranked(result.cells(), quantity)
    median = f"{quantity}_median"
    best = cells.row(0, named=True) if cells[median].null_count() < len(cells) else None
    lost = int(((cells["exploded"] > 0) & (cells["exploded"] + cells["failed"] >= cells["runs"])).sum())
    failed = int(cells["failed"].sum())
    if failed:
        messages = result.frame().filter(result.frame()["outcome"] == "failed")["message"]
        tell(f"{counted(failed, 'run')} failed, the first with: {messages[0]}")
    if as_json:
        for row in cells.iter_rows(named=True):
            say(json.dumps(row))
        whole = {"best": best, "quantity": quantity, "cells": len(cells), "exploded_cells": lost, "failed_runs": failed}
        say(json.dumps({"final": {**whole, "runs": result.finished, "directory": str(result.directory)}}))
        return
    if best is None:
        say("no best settings: every run exploded or failed")
        return
    say(f"best: {', '.join(f'{name}={best[name]!r}' for name in result.over)}")
    exploded = f", {lost:,} of them exploded" if lost else ""
    say(f"the first of {counted(len(cells), 'cell')} by median {quantity}{exploded}:")
    shown = cells.filter(cells[median].is_not_null()).head(LISTED)
    _print_table(shown, list(result.over), [quantity, *(name for name in ("loss",) if name != quantity)])


def _ranked(cells: polars.DataFrame, quantity: str) -> polars.DataFrame:
    """Return the cells, best first: those that lost half of their runs or more after the others, as in `best`."""
    import polars as pl

    from downslope.figures.map_cells import higher_is_better
    from downslope.sweeps.result import sound

    median = pl.col(f"{quantity}_median")
    order = -median if higher_is_better(quantity) else median
    return cells.sort([median.is_null(), ~sound(), order], maintain_order=True)


def _print_table(rows: polars.DataFrame, settings: list[str], quantities: list[str]) -> None:
    """Print rows with right-aligned columns; quartiles where a cell has several runs."""
    several = bool(rows["runs"].max() > 1) if len(rows) else False  # type: ignore[operator]
    heads, columns = list(settings), [[_short(value) for value in rows[name]] for name in settings]
    for name in quantities:
        heads.append(name)
        columns.append([_short(value) for value in rows[f"{name}_median"]])
        if several and name == quantities[0]:
            heads.append("quartiles")
            quartiles = rows.select(f"{name}_low", f"{name}_high").iter_rows()
            columns.append([f"{_short(low)} – {_short(high)}" for low, high in quartiles])
    if several:
        heads += ["runs", "exploded"]
        columns += [[str(value) for value in rows[name]] for name in ("runs", "exploded")]
    print_columns(heads, list(zip(*columns, strict=True)))


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
