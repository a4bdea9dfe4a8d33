"""`downslope resume`: a saved run goes on, as it was or with other settings."""

from __future__ import annotations

from typing import Any

import click

from downslope.cli.changes import asks_for_changes, change_options, changes_from, loaded, rule_texts
from downslope.cli.directories import autosave_option, autosave_seconds, held, plan, planned, saved_run
from downslope.cli.guarding import guarded
from downslope.cli.options import Number, SectionedCommand, option, whole
from downslope.cli.output import counted, tell
from downslope.cli.problem import TRAINING
from downslope.cli.running import Output, go_on, output_options
from downslope.cli.saved import Saved
from downslope.training import Run

__all__ = ["command"]


@click.command("resume", cls=SectionedCommand)
@click.argument("directory", metavar="RUN")
@option(
    TRAINING,
    "--epochs",
    type=Number(),
    metavar="N",
    help="Passes over the data, from where it stands; 0 only shows it. Default: what is left of the last command's.",
)
@change_options
@autosave_option
@output_options
def command(*, directory: str, epochs: Any, autosave: Any, **options: Any) -> None:
    """Go on with a saved run, as it was or with other settings.

    RUN is a directory that `downslope train --save` or `Run.save` wrote. Data, network and all that training goes by
    are stored in it: it goes on with the bits it would have had in one go. What is changed here holds from the next
    update on and is written into the run's log. With --epochs 0 nothing is trained: printed is where the run stands,
    and its log. Epochs that are made again after a rollback are printed again: of two lines with one number the later
    one holds.

    \b
    downslope resume runs/wine --epochs 500
    downslope resume runs/wine --epochs 200 --set learning_rate=0.001 --set momentum=0.5
    downslope resume runs/wine --epochs 200 --guard rollback
    downslope resume runs/wine --epochs 0
    """
    output = Output.taken(options)
    if epochs is not None:
        whole("epochs", epochs)
    seconds = autosave_seconds(autosave)
    path = saved_run(directory)
    if epochs == 0 and not asks_for_changes(options):
        run = loaded(path, options)
        go_on(run, 0, output, told=run.log)
        return
    with held(path):
        run = loaded(path, options)
        changes = changes_from(run, options)
        entries = [run.change(**changes)] if changes else []
        entries += guarded(run, options["guard"])
        left = _left(run, planned(path)) if epochs is None else epochs
        if not (left or entries):
            go_on(run, 0, output, told=run.log)
            tell(f"It has done the {counted(run.epoch, 'epoch')} it was asked for; to go on, give --epochs.")
            return
        if entries:  # the change is on the disk before the plan is: a kill leaves no plan that goes on without it
            run.save(path)
        plan(path, run.epoch + left)
        go_on(run, left, output, Saved(path, seconds, rule_texts(options)), told=entries)


def _left(run: Run, epochs: int | None) -> int:
    """Return how many epochs a run still has to do; of an unknown number none."""
    return 0 if epochs is None else max(epochs - run.epoch, 0)
