"""The learning rate is lowered where the loss no longer falls: decided by the history and the log alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from downslope import checks
from downslope.checks import Interval
from downslope.errors import InputError

if TYPE_CHECKING:
    from downslope.training.history import History
    from downslope.training.run import Run

__all__ = ["ReduceOnPlateau"]

MONITORS = ("loss", "validation_loss")
LEAST_RATE = 1e-30  # a rate must stay above 0, and a float32 parameter no longer moves long before
RESTARTS = ("reduce", "change", "rollback")


@dataclass(frozen=True, kw_only=True)
class ReduceOnPlateau:
    """Multiplies the learning rate by `factor` where the loss has not improved for more than `patience` epochs.

    The rule is that of PyTorch's `ReduceLROnPlateau`, looked at when an epoch is complete. A loss is an improvement
    where it is below best·(1 − min_delta); each other epoch, one with a loss that is NaN too, is a bad one. After
    `patience` bad epochs in a row the next bad one lowers the rate, and for `cooldown` epochs from there none counts.
    A schedule goes on, every rate of it multiplied.

    One thing is its own: after a change by the user and after a rollback bad epochs are counted anew. What it does
    depends on the history and the log alone, so a resumed run acts alike.

    Parameters
    ----------
    factor : float
        What the learning rate is multiplied by, above 0 and below 1.
    patience : int
        Epochs without improvement that are let pass.
    monitor : "loss" or "validation_loss"
        Which column of the history is looked at.
    min_delta : float
        The relative fall that counts as an improvement, at least 0 and below 1.
    cooldown : int
        Epochs after a reduction in which nothing is counted.
    lowest : float
        The learning rate is not brought below it (nor below 1e-30).

    Raises
    ------
    InputError
        If a setting is not legal.

    References
    ----------
    PyTorch, `torch.optim.lr_scheduler.ReduceLROnPlateau`, mode "min", threshold_mode "rel". Keras's callback of the
    same name acts one epoch earlier for the same patience, and its min_delta is absolute.

    Examples
    --------
    >>> ReduceOnPlateau(factor=0.2, patience=20).describe()["patience"]
    20
    """

    factor: float = 0.5
    patience: int = 10
    monitor: str = "loss"
    min_delta: float = 1e-4
    cooldown: int = 0
    lowest: float = 0.0

    def __post_init__(self) -> None:
        settled = {
            "factor": checks.real("factor", self.factor, Interval(above=0, below=1)),
            "patience": checks.whole("patience", self.patience),
            "monitor": checks.one_of("monitor", self.monitor, MONITORS),
            "min_delta": checks.real("min_delta", self.min_delta, Interval(at_least=0, below=1)),
            "cooldown": checks.whole("cooldown", self.cooldown),
            "lowest": checks.real("lowest", self.lowest, Interval(at_least=0)),
        }
        for name, value in settled.items():
            object.__setattr__(self, name, value)

    def describe(self) -> dict[str, Any]:
        """Return the settings as values that JSON can hold; `from_description` gives back an equal record."""
        return {
            "factor": self.factor,
            "patience": self.patience,
            "monitor": self.monitor,
            "min_delta": self.min_delta,
            "cooldown": self.cooldown,
            "lowest": self.lowest,
        }

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> ReduceOnPlateau:
        """Return the record that `describe` described, or raise InputError."""
        if not isinstance(description, Mapping):
            raise checks.refuse("plateau", "what describe() gave", description)
        for name in description:
            checks.one_of("plateau setting", name, cls.__dataclass_fields__)
        return cls(**description)

    def due_epoch(self, run: Run) -> int | None:
        """Return the earliest number of complete epochs at which it could act: until then training needs no stop.

        None where the rate is as low as it may become, until somebody changes it.

        Raises
        ------
        InputError
            If it looks at the validation loss of a run without a validation part.
        """
        counts = self._counts(run)
        if self.is_due(run):
            return run.epoch
        if self._rate(run) <= self._least and not callable(run.optimizer.learning_rate):
            return None
        return len(counts.values) + counts.cooling + self.patience + 1 - counts.bad

    def is_due(self, run: Run) -> bool:
        """Return whether it acts on the run as it stands: at the end of an epoch, and once there."""
        if run.state.batch or not self._counts(run).reached or self._rate(run) <= self._least:
            return False
        return not any(entry.epoch == run.epoch and entry.kind in RESTARTS for entry in run.log.acting())

    def factor_now(self, run: Run) -> float:
        """Return what the learning rate is multiplied by when it acts: `factor`, or what just reaches `lowest`."""
        return max(self.factor, self._least / self._rate(run))

    def told(self, run: Run) -> str:
        """Return the sentence for the log when it acts."""
        value, counts, rate = getattr(run.history, self.monitor)[-1], self._counts(run), self._rate(run)
        name = self.monitor.replace("_", " ")
        return (
            f"epoch {run.epoch}: the {name} is {value:.4g} and has not improved on {counts.best:.4g} for more than "
            f"{self.patience} epochs: learning_rate lowered from {rate:g} to {rate * self.factor_now(run):g}"
        )

    @property
    def _least(self) -> float:
        return max(self.lowest, LEAST_RATE)

    @staticmethod
    def _rate(run: Run) -> float:
        return float(run.optimizer.at(run.step + 1).learning_rate)

    def check_monitor(self, run: Run) -> None:
        """Raise InputError where it looks at the validation loss of a run without a validation part."""
        if self.monitor not in run.history.names:
            raise InputError(f"monitor must be 'loss' where the run has no validation part. Received: {self.monitor!r}")

    def _counts(self, run: Run) -> _Counts:
        self.check_monitor(run)
        values: NDArray[np.float64] = getattr(run.history, self.monitor)[: run.epoch]
        restarts = tuple(sorted({one.epoch for one in run.log.acting() if one.kind in RESTARTS[1:]}))
        known = _remembered.get(run.history)
        if known is None or not known.goes_on_as(self, restarts, values):
            known = _Counts(self, restarts)
        if len(known.values) < len(values):
            known = known.after(values, restarts)
            _remembered[run.history] = known
        return known


class _Counts:
    """How far the counting of bad epochs is after some rows of a history; it depends on nothing else."""

    def __init__(self, policy: ReduceOnPlateau, restarts: tuple[int, ...]) -> None:
        self.policy, self.restarts = policy, restarts
        self.values = np.empty(0)
        self.best, self.bad, self.cooling, self.reached = math.inf, 0, 0, False

    def goes_on_as(self, policy: ReduceOnPlateau, restarts: tuple[int, ...], values: NDArray[np.float64]) -> bool:
        """Return whether counting the rows `values` would pass through here."""
        rows = len(self.values)
        return (
            policy == self.policy
            and [at for at in restarts if at < rows] == [at for at in self.restarts if at < rows]
            and values[:rows].tobytes() == self.values.tobytes()
        )

    def after(self, values: NDArray[np.float64], restarts: tuple[int, ...]) -> _Counts:
        """Return the counts after all of `values`, of which the first have been counted here."""
        policy, first = self.policy, len(self.values)
        best, bad, cooling, reached = self.best, self.bad, self.cooling, self.reached
        for epoch, value in enumerate(values[first:].tolist(), first):
            if epoch in restarts:
                bad = 0
            if value < best * (1.0 - policy.min_delta):
                best, bad = value, 0
            else:
                bad += 1
            if cooling:
                cooling, bad = cooling - 1, 0
            reached = bad > policy.patience
            if reached:
                bad, cooling = 0, policy.cooldown
        counts = _Counts(policy, restarts)
        counts.values = values.copy()
        counts.best, counts.bad, counts.cooling, counts.reached = best, bad, cooling, reached
        return counts


# What was counted, so that each row of a long history is looked at once; dropped with the history.
_remembered: WeakKeyDictionary[History, _Counts] = WeakKeyDictionary()
