"""What `rollback` makes of explosions: whether the run comes back to the loss it had before the jump or the ramp."""

from __future__ import annotations

import math
import warnings
from typing import NamedTuple

import numpy as np
from corpus import Case, is_held_out
from labels import Label

import downslope as ds
from downslope.errors import ExplosionError
from downslope.training.guard import Guard

__all__ = ["Saved", "save"]

MORE_STEPS = 1000  # after the corpus's own, since a lowered rate needs its time


class Saved(NamedTuple):
    """What became of a run that rolls back.

    Attributes
    ----------
    family : str
        "jump" or "ramp".
    held_out : bool
        Whether the run took no part in tuning.
    is_back : bool
        Whether the mean loss of an epoch (in full batches of 20) after the last rollback is at most that before the
        change, of its last 20 steps.
    rollbacks : int
        How many there were.
    stopped : bool
        Whether the guard gave up.
    """

    name: str
    family: str
    held_out: bool
    is_back: bool
    rollbacks: int
    stopped: bool
    level: float
    lowest: float


def save(case: Case, label: Label) -> Saved:
    """Train a case that exploded again, with a guard that rolls back, for as many steps and 1,000 more."""
    network, data = case.parts()
    run = ds.Run(network, data, case.rule, batch_size=case.batch_size, seed=case.number, guard=Guard("rollback"))
    per_epoch = run.problem.steps_per_epoch
    stopped = False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            run.train(-(-(case.steps + MORE_STEPS) // per_epoch), progress=False)
        except ExplosionError:
            stopped = True
    losses = np.asarray(run.history.loss, dtype=np.float64)
    if per_epoch == 1 and len(losses) >= 20:
        losses = np.convolve(losses, np.full(20, 1 / 20), mode="valid")
    back = [entry for entry in run.log if entry.kind == "rollback"]
    since = max([case.change, *(entry.step for entry in back)]) // per_epoch
    later = losses[since:]
    lowest = float(later.min()) if len(later) else math.inf
    return Saved(
        case.name, case.family, is_held_out(case), lowest <= label.level, len(back), stopped, label.level, lowest
    )
