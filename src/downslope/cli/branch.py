"""`downslope branch`: back to a step of a saved run, and another way from there."""

from __future__ import annotations

from typing import Any

import click

from downslope import checks
from downslope.cli.changes import change_options, changes_from, loaded, rule_texts
from downslope.cli.directories import (
    SAVE,
    autosave_option,
    autosave_seconds,
    begun,
    beside,
    new_directory,
    planned,
    saved_run,
)
from downslope.cli.guarding import guarded
from downslope.cli.options import Number, SectionedCommand, option, whole
from downslope.cli.problem import TRAINING
from downslope.cli.running import Output, go_on, output_options
from downslope.cli.saved import Saved
from downslope.errors import InputError
from downslope.training import Run

__all__ = ["command"]


@click.command("branch", cls=SectionedCommand)
@click.argument("directory", metavar="RUN")
@option(TRAINING, "--at", type=Number(), metavar="STEP", help="Updates made. Default: where the run stands.")
@option(TRAINING, "--at-epoch", type=Number(), metavar="N", help="The same in epochs.")
@option(
    TRAINING,
    "--epochs",
    type=Number(),
    metavar="N",
    help="Passes over the data, from there. Default: as far as the run it came from is to go.",
)
@change_options
@option(SAVE, "--save", metavar="DIR", help="Where it is kept. Default: beside the other, as runs/wine-2.")
@autosave_option
@output_options
def command(
    *, directory: str, at: Any, at_epoch: Any, epochs: Any, save: str | None, autosave: Any, **options: Any
) -> None:
    """Go back to a step of a saved run, and try another way from there.

    RUN is a directory that `downslope train --save` or `Run.save` wrote. It stays as it is, and may be in training
    meanwhile: the branch is a run of its own that shares its past. `downslope tree` shows which came from which.
    Epochs that are made again after a rollback are printed again.

    \b
    downslope branch runs/wine --at 200 --set learning_rate=0.01 --save runs/wine-slow
    downslope branch runs/wine --at-epoch 100 --optimizer sgd --learning-rate 0.1 --epochs 400
    """
    output = Output.taken(options)
    if at is not None and at_epoch is not None:
        raise InputError(f"give --at or --at-epoch, not both. Received: --at {at} --at-epoch {at_epoch}")
    if epochs is not None:
        whole("epochs", epochs)
    seconds = autosave_seconds(autosave)
    path = saved_run(directory)
    place = beside(path) if save is None else new_directory(save)
    origin = loaded(path, options)
    run = _branched(origin, at, at_epoch)
    entries = [*run._set_out(changes_from(run, options)), *guarded(run, options["guard"])]
    # One that exploded, or was interrupted, stands before where it was to go: the branch goes all the way.
    far = max(origin.epoch, planned(path) or 0)
    left = max(far - run.epoch, 0) if epochs is None else epochs
    with begun(run, place, left):
        go_on(run, left, output, Saved(place, seconds, rule_texts(options)), told=entries)


def _branched(origin: Run, at: Any, at_epoch: Any) -> Run:
    """Return a run of its own that stands at the step or epoch asked for."""
    if at_epoch is not None:
        return origin.at(epoch=checks.whole("at_epoch", at_epoch, at_most=origin.epoch))
    return origin.at(origin.step if at is None else checks.whole("at", at, at_most=origin.step))
