"""What becomes of a run that a command saves: where it is at last, and how to go on, as the command's last word."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from downslope.cli.directories import beside, plan
from downslope.cli.output import command_line, path_text
from downslope.cli.wreck import lower_rate, wrecked_by
from downslope.errors import ExplosionError, InputError
from downslope.interrupt import Stages
from downslope.training import Run

__all__ = ["Saved"]


@dataclass(frozen=True)
class Saved:
    """Where a run is saved while it trains, how often, and where its rules stand that are the user's own."""

    directory: Path
    seconds: float
    rules: Sequence[str] = ()

    def last_word(
        self, stages: Stages, run: Run, epochs: int, *, explosion: ExplosionError | None = None, since: int = 0
    ) -> str:
        """Save a run unless that is done; return a sentence that says where it is, and how to go on.

        Where the directory does not take the run (another process wrote to it, the disk is full), it is saved beside.

        Parameters
        ----------
        stages : Stages
            An interrupt ends the saving, or the look at the run, and not this.
        run : Run
            As it stands.
        epochs : int
            To which epoch it was to go.
        explosion : ExplosionError, optional
            What ended its training.
        since : int
            How long its log was before this command.
        """
        told: list[str] = []
        places: list[Saved] = []

        def save() -> None:
            places.append(self._kept(run, epochs, told))

        def look() -> None:
            told.append(places[0]._how_to_go_on(run, epochs, explosion, since))

        try:
            if not stages.tried(save) and not places:
                told.append(f"NOT saved: interrupted; {path_text(self.directory)} holds the run as it was before.")
                return " ".join(told)
        except (InputError, OSError) as error:
            return f"NOT saved: {error}"
        if not stages.tried(look):
            told.append(f"Saved in {path_text(places[0].directory)}.")
        return " ".join(told)

    def _kept(self, run: Run, epochs: int, told: list[str]) -> Saved:
        """See that the run is saved; return where, and add why it is elsewhere to what is told."""
        autosave = run._autosave
        if autosave is not None and autosave.holds(run):
            return self
        try:
            run.save(self.directory)
        except (InputError, OSError) as error:
            other = replace(self, directory=beside(self.directory))
            try:
                run.save(other.directory)
                plan(other.directory, epochs)
            except BaseException:
                shutil.rmtree(other.directory, ignore_errors=True)  # it was new, and what is in it is no run
                raise
            told.append(f"Not saved in {path_text(self.directory)}: {error}.")
            return other
        return self

    def _how_to_go_on(self, run: Run, epochs: int, explosion: ExplosionError | None, since: int) -> str:
        """Return a sentence: to the epoch that was asked for, beyond it, or back from a wreck."""
        saved = f"Saved in {path_text(self.directory)}"
        rules = [word for rule in self.rules for word in ("--rule", rule)]
        if (wreck := wrecked_by(run, run.log[since:], explosion)) is not None:
            if not wreck.back:
                return f"{saved}; its loss is {wreck.loss:.3g} from the start: no learning rate helps against that."
            change = ("--set", f"learning_rate={wreck.rate:.2g}")
            way = command_line("branch", self.directory, *wreck.back, *rules, *change)
            told = f"its loss is {wreck.loss:.3g}, and was {wreck.before:.3g} {wreck.when}"
            return f"{saved}; {told}. To go back to there with a lower rate: {way}"
        way = command_line("resume", self.directory, *rules)
        if explosion is not None:
            rate, last = run.optimizer.at(run.step + 1).learning_rate, run.state.learning_rate
            lower = lower_rate(run, rate, proven=last, untried=not run.step)
            return f"{saved}. To go on with a lower rate: {way} --set learning_rate={lower:.2g}"
        if run.epoch < epochs:
            return f"{saved}. To go on to epoch {epochs:,}: {way}"
        return f"{saved}. To go on: {way} --epochs N"
