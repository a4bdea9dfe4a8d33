"""Whether a run ended worse than it was before, and from where, at which rate, another way has a chance."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from downslope.engines.guard import good_step
from downslope.errors import ExplosionError, NonFiniteError
from downslope.training import Run
from downslope.training.log import Entry

__all__ = ["Wreck", "lower_rate", "wrecked_by"]

# A loss is worse than before from twice it on: the loss of a healthy run ripples, and what the guard takes for an
# alarm now and then is such a ripple. Whoever goes back for less than that loses more than the run did.
WORSE = 2.0
# A state counts as well up to ten times the lowest loss: with mini-batches, losses of the same quality differ.
WELL = 10.0
# Where no rate was ever proven, the next one to try is at most this, and the rule's default: some of those are 1.
USUAL_RATE = 0.1


class Wreck(NamedTuple):
    """What became of a run, and the way back.

    Attributes
    ----------
    loss, before : float
        The training loss as the run stands, and where it was well.
    when : str
        Where that was, in words.
    back : tuple of str
        The same as options of `downslope branch`; empty where it never was.
    rate : float
        A learning rate for the way from there.
    """

    loss: float
    before: float
    when: str
    back: tuple[str, ...]
    rate: float


class _Place(NamedTuple):
    """A place of the past: its loss, the rate there and the one that led to trouble after it."""

    loss: float
    when: str
    back: tuple[str, str]
    rate: float
    failed: float


def wrecked_by(run: Run, entries: Iterable[Entry], explosion: ExplosionError | None = None) -> Wreck | None:
    """Return how a run ended worse than it was; None where it did not.

    Parameters
    ----------
    run : Run
        As it stands.
    entries : iterable of Entry
        What a command wrote into the run's log. Of several alarms the one before which the loss was lowest is told.
    explosion : ExplosionError, optional
        What ended its training.
    """
    loss = run.evaluate()["loss"]
    found = [place for place in _alarms(run, entries) if not loss < WORSE * place.loss]
    if math.isfinite(loss):
        # What a guard stopped stands at its last good state; what stopped by itself may be far beyond it.
        if not found and isinstance(explosion, NonFiniteError):
            found = [place for place in _others(run) if not loss < WORSE * place.loss][:1]
    else:
        found = [place for place in found if _is_well(run, place)] or list(_others(run))[:1]
    if found:
        best = min(found, key=lambda place: place.loss)
        rate = lower_rate(run, best.failed, proven=best.rate, untried=best.back[1] == "0")
        return Wreck(loss, best.loss, best.when, best.back, rate)
    return None if math.isfinite(loss) else Wreck(loss, math.nan, "", (), math.nan)


def lower_rate(run: Run, failed: float, *, proven: float = math.nan, untried: bool) -> float:
    """Return a learning rate that is worth a try where one was too high.

    Parameters
    ----------
    run : Run
        As it stands: a rate that was lowered since is what its user wants to try.
    failed : float
        The rate that was too high; NaN where it is not known.
    proven : float
        One at which all went well.
    untried : bool
        Whether no rate did: then the next one is far below an absurd one at once, not a tenth of it again and again.
    """
    present = float(run.optimizer.at(run.step + 1).learning_rate)
    failed = failed if failed > 0 else present
    for rate in (present, proven):
        if 0 < 2 * rate <= failed:
            return rate
    default = float(type(run.optimizer).settings["learning_rate"].default)
    return min(failed / 10, default, USUAL_RATE) if untried else failed / 10


def _alarms(run: Run, entries: Iterable[Entry]) -> Iterator[_Place]:
    """Yield the places before the alarms among some entries of the log."""
    for entry in entries:
        if entry.kind == "alarm" and entry.good is not None and len(run.history) and entry.good < run.step:
            failed = entry.signals.get("learning_rate", math.nan)
            epoch = entry.epoch - -(-(entry.step - entry.good) // run.problem.steps_per_epoch)
            place = _place(run, epoch, f"before the alarm at step {entry.step}", ("--at", str(entry.good)), failed)
            if math.isfinite(place.loss):
                yield place


def _others(run: Run) -> Iterator[_Place]:
    """Yield places where all was well, as far as is known without an alarm, best first."""
    failed, good = run.state.learning_rate, good_step(run.state)
    if not len(run.history):  # it did not come far: back to the start, if that was well
        loss = run.at(0).evaluate()["loss"]
        if run.step and math.isfinite(loss):
            yield _Place(loss, "at step 0", ("--at", "0"), math.nan, failed)
        return
    if good is not None and good < run.step:
        epoch = run.epoch + (run.state.batch - (run.step - good)) // run.problem.steps_per_epoch
        place = _place(run, epoch, f"at step {good}", ("--at", str(good)), failed)
        if _is_well(run, place):
            yield place
    if math.isfinite(_lowest(run)):
        losses = run.history.loss
        epoch = int(np.argmin(np.where(np.isfinite(losses), losses, np.inf)))
        yield _place(run, epoch, f"at epoch {epoch}", ("--at-epoch", str(epoch)), failed)


def _place(run: Run, epoch: int, when: str, back: tuple[str, str], failed: float) -> _Place:
    row = run.history.row(min(max(epoch, 0), run.epoch - 1))
    return _Place(row["loss"], when, back, row["learning_rate"], failed)


def _is_well(run: Run, place: _Place) -> bool:
    return math.isfinite(place.loss) and place.loss <= WELL * _lowest(run)


def _lowest(run: Run) -> float:
    """Return the lowest loss of the history; infinite where none is finite."""
    losses = run.history.loss
    return float(np.min(losses, where=np.isfinite(losses), initial=math.inf))
