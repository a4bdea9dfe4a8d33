"""`downslope train`: from a data set or a table to a trained network, its lines and its picture."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from downslope import checks
from downslope.cli.lines import Lines
from downslope.cli.options import Number, SectionedCommand, option
from downslope.cli.output import counted, tell, written
from downslope.cli.problem import OUTPUT, TRAINING, not_the_data, problem_from, problem_options
from downslope.files import TABLES, place, write_table
from downslope.training import Run

__all__ = ["command"]


@click.command("train", cls=SectionedCommand)
@click.argument("source")
@problem_options
@option(TRAINING, "--seed", type=Number(), metavar="N", help="Of weights, batches, dropout and split. Default: 0.")
@option(OUTPUT, "--every", type=Number(), default=100, show_default=True, metavar="N", help="Print every Nth epoch.")
@option(OUTPUT, "--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@option(OUTPUT, "--progress/--no-progress", default=None, help="Progress bar on stderr. Default: in a terminal.")
@option(OUTPUT, "--plot", metavar="FILE", help="Write the training picture: .png, .svg or .pdf.")
@option(OUTPUT, "--history", metavar="FILE", help="Write every epoch's numbers: .csv, .tsv or .parquet.")
def command(
    *,
    source: str,
    epochs: Any,
    every: Any,
    as_json: bool,
    progress: bool | None,
    plot: str | None,
    history: str | None,
    **options: Any,
) -> None:
    """Train a network on a data set or a table.

    SOURCE is the name of a data set (see `downslope data`) or a .csv, .tsv or .parquet file.

    Every 100th epoch is printed, as it was before that epoch's update: accuracy (R² for numbers), loss, and the
    learning rate of the update before. With --batch-size accuracy and loss are means over the epoch, while it
    learns; those of the validation part (val_) stay what they were before it. Ctrl-C stops after the step under way
    and keeps, and draws, what there is.

    \b
    downslope train spiral --optimizer sgd --learning-rate 1 --decay 1e-2 --epochs 10001
    downslope train wine.csv --target class --validation 0.2 --plot wine.png
    """
    checks.whole("every", every, at_least=1)
    checks.whole("epochs", epochs)
    writers = _writers(plot, history)
    not_the_data((path for path, _ in writers), source, options)
    run = Run(**problem_from(source, options), seed=options["seed"])
    _warn_of_a_rate_of_zero(run, epochs)
    lines = Lines(run, as_json=as_json)
    lines.start()
    started = time.perf_counter()
    try:
        run.train(epochs, progress=progress, on_epoch=lines.epoch, every=every)
    except KeyboardInterrupt:
        tell(f"Stopped by Ctrl-C with {counted(run.epoch, 'epoch')} done.")
        raise
    finally:  # however it ended, what there is is kept
        _finish(run, writers, lines, time.perf_counter() - started)


def _warn_of_a_rate_of_zero(run: Run, epochs: int) -> None:
    """Warn where a schedule ends at 0 long before the run does: steps are often taken for epochs."""
    rate, steps = run.optimizer.learning_rate, epochs * run.problem.steps_per_epoch
    length = getattr(rate, "length", None)
    if length is not None and 10 * length < 9 * steps and rate(steps - 1) == 0:
        told = f"the learning rate is 0 from update {length:,} on, and the run makes {steps:,} updates"
        warnings.warn(f"{told} ({epochs:,} epochs of {run.problem.steps_per_epoch:,})", UserWarning, stacklevel=1)


Writer = tuple[Path, Callable[[Run, Path], object]]


def _writers(plot: str | None, history: str | None) -> list[Writer]:
    """Return what is to be written where, refusing before the training what could not be written after it."""
    writers: list[Writer] = []
    if plot is not None:
        from downslope.figures import PICTURES, training_picture

        writers.append((place("plot", plot, PICTURES), training_picture))
    if history is not None:
        writers.append((place("history", history, TABLES), lambda run, path: write_table(run.history.frame(), path)))
    return writers


def _finish(run: Run, writers: list[Writer], lines: Lines, seconds: float) -> None:
    """Write the files that were asked for, each whatever becomes of the others, and print how the run ended."""
    failure = written(run, writers)
    lines.summary(seconds)
    if failure is not None:
        raise failure
