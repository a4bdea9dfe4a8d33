"""What every engine is given and what it gives back: the problem, the state, the record of an epoch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from downslope.engines.update import FloatArray, Slots, new_slots
from downslope.network import Loss, Network
from downslope.rules import Optimizer
from downslope.streams import Stream

__all__ = ["Engine", "EpochRecord", "Part", "Problem", "Scores", "State", "Totals"]


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
    validation_loss: float
    validation_score: float


@dataclass(frozen=True)
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
    """Sums over the steps of an epoch that is under way, and the validation scores it began with."""

    loss: float = 0.0
    tally: FloatArray | float = 0.0
    penalty: float = 0.0
    gradient_norm: float = 0.0
    update_ratio: float = 0.0
    before: Scores | None = None


@dataclass(frozen=True)
class State:
    """Everything that changes, as plain arrays: a step makes a new one, so it can be stopped at any moment.

    `parameters` and each slot are flat vectors of one type; `step` counts the updates made; `last_update` is the
    difference the last one made. No array is ever written into again, so one may be kept without copying it.
    """

    parameters: FloatArray
    slots: Slots
    last_update: FloatArray
    step: int = 0
    totals: Totals = field(default_factory=Totals)

    @classmethod
    def start(cls, parameters: FloatArray, rule: Optimizer) -> State:
        """Return the state before the first update."""
        return cls(parameters, new_slots(rule, parameters), np.zeros_like(parameters))


class Engine(Protocol):
    """How training steps are executed."""

    name: str

    def advance(
        self,
        problem: Problem,
        rule: Optimizer,
        state: State,
        epochs: int,
        keep: Callable[[State, int, EpochRecord | None], bool],
    ) -> None:
        """Train until `epochs` epochs in all are done.

        After every update `keep(state, epoch, record)` receives the new state, with the epoch's record at the last
        step of an epoch; training stops when it returns False. Raises NonFiniteError at the first loss, gradient,
        weight or slot that is not finite, with the state before the failing step the last one kept.
        """

    def measure(self, problem: Problem, parameters: FloatArray, part: Part) -> Scores:
        """Return loss and score of `parameters` on a part, without dropout."""
