"""What every engine is given and what it gives back: the problem, the state, the record of an epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from downslope.engines.update import FloatArray, Slots, new_slots
from downslope.network import Loss, Network
from downslope.rules import Optimizer
from downslope.streams import Stream

__all__ = [
    "Alert",
    "Control",
    "Engine",
    "EpochRecord",
    "Keep",
    "Part",
    "Problem",
    "Scores",
    "State",
    "Totals",
    "Watch",
]


class Part(NamedTuple):
    """Rows to learn from or to be measured on, prepared.

    Inputs have shape (n, features); targets are labels 0 … classes − 1, shape (n,), or numbers, shape (n, targets).
    """

    inputs: FloatArray
    targets: NDArray[np.int64] | FloatArray


class Scores(NamedTuple):
    """How well parameters do on a part: the loss to be minimized (penalty included), and accuracy or R²."""

    loss: float
    score: float


class EpochRecord(NamedTuple):
    """One row of the history; see `downslope.training.History` for what each number means."""

    loss: float
    score: float
    learning_rate: float
    penalty: float
    gradient_norm: float
    update_ratio: float
    largest_weight: float
    validation_loss: float
    validation_score: float


@dataclass(frozen=True, eq=False)
class Problem:
    """Everything that stays the same during training."""

    network: Network
    loss: Loss
    training: Part
    validation: Part | None
    batch_size: int
    seed: int

    @property
    def rows(self) -> int:
        """The number of training rows."""
        return len(self.training.inputs)

    @property
    def steps_per_epoch(self) -> int:
        """Updates in one pass over the training rows; the last batch may be smaller."""
        return -(-self.rows // self.batch_size)

    def order(self, epoch: int) -> NDArray[np.int64] | None:
        """Return the epoch's own order of the rows, or None for a full batch, which is never shuffled."""
        if self.batch_size >= self.rows:
            return None
        return Stream(self.seed, "shuffle", epoch).permutation(self.rows)


@dataclass(frozen=True)
class Totals:
    """Sums over the steps of an epoch that is under way (of the weights the largest), and what held when it began."""

    loss: float = 0.0
    tally: FloatArray | float = 0.0
    penalty: float = 0.0
    gradient_norm: float = 0.0
    update_ratio: float = 0.0
    largest_weight: float = 0.0
    learning_rate: float = math.nan
    before: Scores | None = None


@dataclass(frozen=True)
class State:
    """Everything that changes, as plain arrays: a step makes a new one, so it can be stopped at any moment.

    Attributes
    ----------
    parameters, last_update : array
        Flat vectors of one type: all weights and biases, and the difference the last update made. No array here can
        be written into, so each may be kept without copying it.
    slots : dict of arrays
        One flat vector of the same type for each slot the rule uses.
    step : int
        The updates made.
    epoch, batch : int
        The epochs complete, and the updates made in the one under way.
    slots_since : int
        The step at which the slots were zero: corrections for that start go by the steps since, schedules by `step`.
    learning_rate : float
        The rate of the last update; NaN before the first.
    totals : Totals
        Of the epoch under way.
    guard : float64 array or None
        What the guard remembers (see `engines.guard`); None where nothing was watched yet.
    """

    parameters: FloatArray
    slots: Slots
    last_update: FloatArray
    step: int = 0
    epoch: int = 0
    batch: int = 0
    slots_since: int = 0
    learning_rate: float = math.nan
    totals: Totals = field(default_factory=Totals)
    guard: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        remembered = () if self.guard is None else (self.guard,)
        for array in (self.parameters, self.last_update, *self.slots.values(), *remembered):
            array.flags.writeable = False

    @classmethod
    def start(cls, parameters: FloatArray, rule: Optimizer) -> State:
        """Return the state before the first update."""
        return cls(parameters, new_slots(rule, parameters), np.zeros_like(parameters))


class Control:
    """Two numbers in shared memory between a run and what executes it, which another thread may use at any time.

    `cells[0]` is not 0 when the engine is to return after the step under way: 1 for a stop, for which a long step may
    be given up; 2 for a pause, before which it is made, else it never would be where another thread asks often.
    `cells[1]` is the number of steps made.
    """

    def __init__(self) -> None:
        self.cells = np.zeros(2, dtype=np.int64)
        self._stopped = False

    def stop(self) -> None:
        """Ask for the end of training after the step under way."""
        self._stopped = True
        self.cells[0] = 1

    def pause(self) -> None:
        """Ask for the engine's return after the step under way; training goes on after it."""
        self.cells[0] = 1 if self._stopped else 2

    def resume(self) -> None:
        """Take a pause back; a stop remains, whenever it is asked for."""
        self.cells[0] = 0
        if self._stopped:  # looked at after the cell was cleared: a stop from elsewhere is never lost
            self.cells[0] = 1

    @property
    def stopping(self) -> bool:
        """Whether training is to end."""
        return self._stopped

    @property
    def ending(self) -> bool:
        """Whether the engine is to return, for a stop or a pause."""
        return bool(self.cells[0])


class Alert(NamedTuple):
    """What the guard noticed at a step.

    Attributes
    ----------
    step : int
        The update after which it was noticed.
    codes : int
        What was noticed, as bits (`engines.judge`: WATCH, ALARM, ...).
    good : int
        The last step after whose update all was well.
    signals : tuple of float
        That step's numbers, in the order of `engines.judge.SIGNALS`.
    """

    step: int
    codes: int
    good: int
    signals: tuple[float, ...]


@dataclass(eq=False)
class Watch:
    """What the guard goes by during one call of `Engine.advance`, and what it noticed there.

    Attributes
    ----------
    limits : float64 array
        The thresholds, in the order of `engines.judge.LIMITS`.
    halt : bool
        Whether an alarm ends the call.
    clip : float
        A gradient whose norm is above so many times the running mean of the norms is shortened to that; 0: never.
    trace : float64 array, shape (steps, signals + 1), optional
        Is filled, a row for each step of the call: the signals, then the codes.
    alerts : list of Alert
        What was noticed in the steps that were kept, in order.
    alarm : Alert or None
        The alarm that ended the call, which is not among `alerts`.
    """

    limits: NDArray[np.float64]
    halt: bool = False
    clip: float = 0.0
    trace: NDArray[np.float64] | None = None
    alerts: list[Alert] = field(default_factory=list)
    alarm: Alert | None = None


Keep: TypeAlias = Callable[[State, int, Sequence[EpochRecord] | NDArray[np.float64]], None]


class Engine(Protocol):
    """How training steps are executed."""

    name: str

    def advance(
        self,
        problem: Problem,
        rule: Optimizer,
        state: State,
        steps: int,
        control: Control,
        keep: Keep,
        watch: Watch | None = None,
    ) -> None:
        """Make `steps` updates, or as many as are made when `control` asks for a stop.

        As often as the engine likes, and at the end, `keep(state, first, records)` receives the state and the records
        of the epochs completed since the last call, the first of which is the epoch `first`. Raises NonFiniteError at
        the first loss, gradient, weight or slot that is not finite, with the state before that step the last one kept.

        With a `watch` the guard looks at every step, goes on from `state.guard` (a fresh memory where that is None)
        and changes no bit of the training unless it clips. Where an alarm halts, `watch.alarm` is set, and the state
        before its step is the last one kept. Without a watch `state.guard` is passed on as it is.
        """

    def measure(self, problem: Problem, parameters: FloatArray, part: Part) -> Scores:
        """Return loss and score of `parameters` on a part, without dropout."""

    def describe(self) -> dict[str, Any]:
        """Return its name and what else decides the bits, as values that JSON can hold."""
