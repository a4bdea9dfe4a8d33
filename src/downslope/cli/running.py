"""What `train`, `resume` and `branch` share: a run goes on, its lines are printed, and what was asked for is kept."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

from downslope import checks
from downslope.cli.directories import beside
from downslope.cli.lines import Lines
from downslope.cli.options import Number, option
from downslope.cli.output import counted, stopped, tell, written
from downslope.cli.problem import OUTPUT
from downslope.cli.wreck import wrecked_by
from downslope.errors import ExplosionError, InputError
from downslope.files import TABLES, place, write_table
from downslope.training import Run
from downslope.training.log import Entry

__all__ = ["Output", "Saved", "go_on", "output_options"]

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
        every = checks.whole("every", options.pop("every"), at_least=1)
        return cls(
            every, options.pop("as_json"), options.pop("progress"),
            tuple(_writers(options.pop("plot"), options.pop("history"))),
        )  # fmt: skip

    @property
    def paths(self) -> list[Path]:
        """The files that will be written."""
        return [path for path, _ in self.writers]


@dataclass(frozen=True)
class Saved:
    """Where a run is saved while it trains, how often, and where its rules stand that are the user's own."""

    directory: Path
    seconds: float
    rules: Sequence[str] = ()

    def told(self, run: Run, epochs: int, *, exploded: bool, since: int = 0) -> str:
        """Return a sentence that says how to go on: to the epoch that was asked for, beyond it, or back from a wreck.

        `since` is how long the run's log was before this command. Where the directory does not take the run (another
        process wrote to it, the disk is full), it is saved beside.
        """
        autosave = run._autosave
        if autosave is not None and not autosave.holds(run):
            try:
                run.save(self.directory)
            except (InputError, OSError) as error:
                other = replace(self, directory=beside(self.directory))
                try:
                    run.save(other.directory)
                except (InputError, OSError) as worse:
                    shutil.rmtree(other.directory, ignore_errors=True)  # it was new, and what is in it is no run
                    return f"NOT saved: {worse}"
                run.autosave(None)
                instead = other.told(run, epochs, exploded=exploded, since=since)
                return f"Not saved in {self.directory}: {error}. {instead}"
        rules = [word for rule in self.rules for word in ("--rule", rule)]
        if (wreck := wrecked_by(run, run.log[since:])) is not None:
            words = ["downslope", "branch", str(self.directory), "--at", str(wreck.good), *rules]
            words += ["--set", f"learning_rate={wreck.rate:.2g}"]
            told = f"its loss is {wreck.loss:.3g}, and was {wreck.before:.3g} before the alarm at step {wreck.step}"
            return f"Saved in {self.directory}; {told}. To go back to there with a lower rate: {shlex.join(words)}"
        words = ["downslope", "resume", str(self.directory), *rules]
        if exploded:
            rate, last = run.optimizer.at(run.step + 1).learning_rate, run.state.learning_rate
            words += ["--set", f"learning_rate={last if last < rate else rate / 10:.2g}"]
            return f"Saved in {self.directory}. To go on with a lower rate: {shlex.join(words)}"
        if run.epoch < epochs:
            return f"Saved in {self.directory}. To go on to epoch {epochs:,}: {shlex.join(words)}"
        return f"Saved in {self.directory}. To go on: {shlex.join(words)} --epochs N"


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
    exploded, since = False, len(run.log)
    try:
        run.train(epochs, progress=output.progress, on_epoch=lines.epoch, every=output.every, on_event=lines.event)
    except KeyboardInterrupt as interrupt:
        tell(f"{stopped(interrupt)} with {counted(run.epoch, 'epoch')} done.")
        raise
    except ExplosionError:
        exploded = True
        raise
    finally:  # however it ended, what there is is kept
        failure = written(run, output.writers)
        lines.summary(time.perf_counter() - started)
        if saved is not None:
            tell(saved.told(run, target, exploded=exploded, since=since))
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
