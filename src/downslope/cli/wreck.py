"""Whether a run ended worse than it was before an alarm, and where it was well."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from downslope.training import Run
from downslope.training.log import Entry

__all__ = ["Wreck", "wrecked_by"]


class Wreck(NamedTuple):
    """What an alarm foretold.

    Attributes
    ----------
    step : int
        That of the alarm.
    good : int
        The last step before it at which all was well.
    before, loss : float
        The training loss there, and as the run stands.
    rate : float
        A learning rate that is lower than the one of the alarm: that of the good step, or a tenth of it where that
        was more than half as high.
    """

    step: int
    good: int
    before: float
    loss: float
    rate: float


def wrecked_by(run: Run, entries: Iterable[Entry]) -> Wreck | None:
    """Return what came of the alarms among some entries of a run's log; None where its loss has fallen since.

    Of several alarms that is told before which the loss was lowest.
    """
    alarms = [entry for entry in entries if entry.kind == "alarm" and entry.good is not None]
    if not (alarms and len(run.history)):
        return None
    loss, each = run.evaluate()["loss"], run.problem.steps_per_epoch
    found = []
    for entry in alarms:
        assert entry.good is not None
        epoch = entry.epoch - -(-(entry.step - entry.good) // each)
        row = run.history.row(min(max(epoch, 0), run.epoch - 1))
        rate, alarmed = row["learning_rate"], entry.signals.get("learning_rate", math.nan)
        if not loss <= row["loss"]:
            lower = rate if 2 * rate <= alarmed else rate / 10
            found.append(Wreck(entry.step, entry.good, row["loss"], loss, lower))
    return min(found, key=lambda one: one.before, default=None)
