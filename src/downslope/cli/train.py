"""`downslope train`: from a data set or a table to a trained network, its lines and its picture."""

from __future__ import annotations

import warnings
from typing import Any

import click

from downslope.cli.directories import SAVE, autosave_option, autosave_seconds, begun, new_directory
from downslope.cli.guarding import guard_option
from downslope.cli.options import Number, SectionedCommand, option, whole
from downslope.cli.problem import TRAINING, not_the_data, problem_from, problem_options
from downslope.cli.running import Output, go_on, output_options
from downslope.cli.saved import Saved
from downslope.errors import InputError
from downslope.training import Run

__all__ = ["command"]


@click.command("train", cls=SectionedCommand)
@click.argument("source")
@problem_options
@option(TRAINING, "--seed", type=Number(), metavar="N", help="Of weights, batches, dropout and split. Default: 0.")
@guard_option("What follows where the loss explodes.", default="warn", show_default=True)
@option(
    SAVE,
    "--save",
    metavar="DIR",
    help="Keep the run in a new directory, for resume, branch and tree.",
)
@autosave_option
@output_options
def command(*, source: str, epochs: Any, guard: str, save: str | None, autosave: Any, **options: Any) -> None:
    """Train a network on a data set or a table.

    SOURCE is the name of a data set (see `downslope data`) or a .csv, .tsv or .parquet file.

    Every 100th epoch is printed, as it was before that epoch's update: accuracy (R² for numbers), loss, and the
    learning rate of the update before. With --batch-size accuracy and loss are means over the epoch, while it
    learns; those of the validation part (val_) stay what they were before it. After a rollback the epochs that are made
    again are printed again, with --json too, where an object with "event" tells of the rollback: of two lines with one
    number the later one holds. Ctrl-C stops after the step under way and keeps, and draws, what there is. With --save
    the run is on disk from its start on, whatever ends it.

    \b
    downslope train spiral --optimizer sgd --learning-rate 1 --decay 1e-2 --epochs 10001
    downslope train wine.csv --target class --validation 0.2 --plot wine.png --save runs/wine
    """
    output = Output.taken(options)
    whole("epochs", epochs)
    if autosave is not None and save is None:
        raise InputError(f"--autosave is for --save. Received: --autosave {autosave}")
    seconds = autosave_seconds(autosave)
    not_the_data(output.paths, source, options)
    directory = None if save is None else new_directory(save)
    run = Run(**problem_from(source, options), seed=options["seed"], guard=None if guard == "off" else guard)
    _warn_of_a_rate_of_zero(run, epochs)
    if directory is None:
        go_on(run, epochs, output)
        return
    rules = [options["optimizer"]] if ":" in options["optimizer"] else []
    with begun(run, directory, epochs):
        go_on(run, epochs, output, Saved(directory, seconds, rules))


def _warn_of_a_rate_of_zero(run: Run, epochs: int) -> None:
    """Warn where a schedule ends at 0 long before the run does: steps are often taken for epochs."""
    rate, steps = run.optimizer.learning_rate, epochs * run.problem.steps_per_epoch
    length = getattr(rate, "length", None)
    if length is not None and 10 * length < 9 * steps and rate(steps - 1) == 0:
        told = f"the learning rate is 0 from update {length:,} on, and the run makes {steps:,} updates"
        warnings.warn(f"{told} ({epochs:,} epochs of {run.problem.steps_per_epoch:,})", UserWarning, stacklevel=1)
