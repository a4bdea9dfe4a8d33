"""What `rollback` makes of explosions: whether the run comes back to the loss it had before the jump or the ramp.

Ours goes back to the last state that its judge calls good. For the usual detectors, which know of none, the same policy
goes back 50 steps before their alarm, as many quiet ones as ours asks of a good state; everything else is the same.
"""

from __future__ import annotations

import math
import warnings
from typing import Any, NamedTuple

import numpy as np
from corpus import Case, is_held_out
from detectors import DETECTORS, OURS, Detector
from labels import UNSETTLED, Label
from recording import Recording

import downslope as ds
from downslope.engines.judge import ALARM, LIMITS, SIGNALS
from downslope.engines.problem import Alert, Problem, State, Watch
from downslope.errors import ExplosionError, NonFiniteError
from downslope.rules import Optimizer
from downslope.training.guard import Guard

__all__ = ["Saved", "save"]

MORE_STEPS = 1000  # after the corpus's own, since a lowered rate needs its time
BACK = int(next(limit.default for limit in LIMITS if limit.name == "settle"))


class Saved(NamedTuple):
    """What became of a run that rolls back.

    Attributes
    ----------
    detector : str
        Whose alarms it went by.
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

    detector: str
    name: str
    family: str
    held_out: bool
    is_back: bool
    rollbacks: int
    stopped: bool
    level: float
    lowest: float


def save(case: Case, label: Label, detector: str = OURS) -> Saved:
    """Train a case that exploded again, with a guard that rolls back, for as many steps and 1,000 more."""
    network, data = case.parts()
    guard = Guard("rollback") if detector == OURS else Guard("rollback", limits=DEAF)
    run = ds.Run(network, data, case.rule, batch_size=case.batch_size, seed=case.number, guard=guard)
    if detector != OURS:
        run._engine = Heard(run._engine, DETECTORS[detector])  # type: ignore[assignment]
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
    is_back = lowest <= label.level
    return Saved(
        detector, case.name, case.family, is_held_out(case), is_back, len(back), stopped, label.level, lowest
    )  # fmt: skip


UNKNOWN = Label(UNSETTLED, None, 0, math.nan, 0)  # what comes of a run that is under way
# With these nothing that is finite is an alarm of our own judge.
DEAF = {"pattern": 1e300, "first_rise": 1e300, "votes": 1e300}


class Heard:
    """An engine whose steps are watched by a detector in place of our judge.

    It asks the detector after the steps are made, of all signals since the run began, and then tells its first alarm as
    if the steps had ended there: a run that goes back forgets what came later.
    """

    def __init__(self, engine: Any, detector: Detector) -> None:
        self._engine, self._detector, self.name = engine, detector, engine.name
        self._signals = np.empty((0, len(SIGNALS)))

    def advance(
        self, problem: Problem, rule: Optimizer, state: State, steps: int, control: Any, keep: Any, watch: Watch
    ) -> None:
        """Make so many steps, as the engine does; a way back that is made again is nobody's concern."""
        if not watch.halt:
            self._engine.advance(problem, rule, state, steps, control, keep, watch)
            return
        watch.trace, failed = np.full((steps, len(SIGNALS) + 1), math.nan), None
        try:
            self._engine.advance(problem, rule, state, steps, control, keep, watch)
        except NonFiniteError as error:
            failed = error.step
        made = int(np.isfinite(watch.trace[:, 0]).sum()) if failed is None else failed - 1 - state.step
        self._signals = np.concatenate([self._signals[: state.step], watch.trace[:made, :-1]])
        told = self._detector(Recording(self._signals, np.empty(0, dtype=np.int64), failed, UNKNOWN))
        watch.alarm = None
        if len(told := told[told > state.step]):
            step = int(told[0])
            seen = self._signals[step - 1] if step != failed else np.full(len(SIGNALS), math.nan)
            watch.alarm = Alert(step, ALARM, max(step - 1 - BACK, 0), tuple(float(number) for number in seen))
