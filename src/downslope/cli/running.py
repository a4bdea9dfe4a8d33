"""What `train`, `resume` and `branch` share: a run goes on, its lines are printed, and what was asked for is kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from downslope.cli.lines import Lines
from downslope.cli.options import Number, option, whole
from downslope.cli.output import counted, stopped, tell, written
from downslope.cli.problem import OUTPUT
from downslope.cli.saved import Saved
from downslope.errors import ExplosionError, InputError
from downslope.files import TABLES, place, write_table
from downslope.interrupt import Stages, in_stages
from downslope.training import Run
from downslope.training.log import Entry

__all__ = ["Output", "go_on", "output_options"]

Writer: TypeAlias = tuple[Path, Callable[[Run, Path], object]]

_OUTPUT = (
    option(
        OUTPUT, "--every", type=Number(), default=100, show_default=True, metavar="N", help="Print every Nth epoch."
    ),
    option(OUTPUT, "--json", "as_json", is_flag=True, help="Print one JSON object a line."),
    option(OUTPUT, "--progress/--no-progress", default=None, help="Progress bar on stderr. Default: in a terminal."),
    option(OUTPUT, "--plot", metavar="FILE", help="Write the training picture: .png, .svg or .pdf."),
    option(OUTPUT, "--history", metavar="FILE", help="Write every epoch's numbers: .csv, .tsv or .parquet."),
)


def output_options(function: Any) -> Any:
    """Give a command the options that say what of a training is shown and written."""
    for decorate in reversed(_OUTPUT):
        function = decorate(function)
    return function


@dataclass(frozen=True)
class Output:
    """What of a training is shown and written; checked before the training."""

    every: int
    as_json: bool
    progress: bool | None
    writers: tuple[Writer, ...]

    @classmethod
    def taken(cls, options: dict[str, Any]) -> Output:
        """Take what `output_options` gave out of a command's options.

        Raises
        ------
        InputError
            If a file could not be written, or `--every` is no whole number of at least 1.
        """
        every = whole("every", options.pop("every"), at_least=1)
        return cls(
            every, options.pop("as_json"), options.pop("progress"),
            tuple(_writers(options.pop("plot"), options.pop("history"))),
        )  # fmt: skip

    @property
    def paths(self) -> list[Path]:
        """The files that will be written."""
        return [path for path, _ in self.writers]


def go_on(
    run: Run, epochs: int, output: Output, saved: Saved | None = None, *, told: Iterable[Entry] | None = None
) -> None:
    """Train a run so many epochs more, print its lines, and keep what there is however it ends.

    Parameters
    ----------
    run : Run
        As it stands.
    epochs : int
        How many more.
    output : Output
        What is shown and written.
    saved : Saved, optional
        Where it is saved meanwhile and at the end; left out, nowhere.
    told : iterable of Entry, optional
        What is printed first of the log of a run that goes on; left out, the run begins.
    """
    lines = Lines(run, as_json=output.as_json)
    lines.start()
    if told is not None:
        lines.stands()
        for entry in told:
            lines.event(run, entry)
    target = run.epoch + epochs
    started = time.perf_counter()
    if saved is not None:
        run.autosave(saved.directory, saved.seconds)
    explosion, since = None, len(run.log)
    train = partial(
        run.train, epochs, progress=output.progress, on_epoch=lines.epoch, every=output.every, on_event=lines.event
    )
    with in_stages() as stages:
        try:
            if not stages.tried(train) and stages.ended_by is not None:
                tell(f"{stopped(stages.ended_by)} with {counted(run.epoch, 'epoch')} done.")
        except ExplosionError as error:
            explosion = error
            raise
        finally:  # however it ended, what there is is kept
            try:
                _show(stages, run, output, lines, started)
            finally:  # whatever becomes of the output, the last word is where the run is, and how to go on
                if saved is not None:
                    tell(saved.last_word(stages, run, target, explosion=explosion, since=since))


def _show(stages: Stages, run: Run, output: Output, lines: Lines, started: float) -> None:
    """Write the files that were asked for, say how the run stands, and raise what went wrong with the files."""
    seconds = time.perf_counter() - started
    failures: list[InputError | None] = []
    if output.writers and not stages.tried(lambda: failures.append(written(run, output.writers))):
        tell("Interrupted: not every file that was asked for is written.")
    stages.tried(lambda: lines.summary(seconds))
    for failure in failures:
        if failure is not None:
            raise failure


def _writers(plot: str | None, history: str | None) -> list[Writer]:
    """Return what is to be written where, refusing before the training what could not be written after it."""
    writers: list[Writer] = []
    if plot is not None:
        from downslope.figures import PICTURES, training_picture

        writers.append((place("plot", plot, PICTURES), training_picture))
    if history is not None:
        writers.append((place("history", history, TABLES), lambda run, path: write_table(run.history.frame(), path)))
    return writers
