"""What was measured at every epoch, as arrays and as a data frame."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from downslope import checks
from downslope.engines.problem import EpochRecord

if TYPE_CHECKING:
    import polars

__all__ = ["History"]


class History:
    """One row an epoch, each number an attribute that gives a float64 array: `history.loss[-1]`.

    A row describes the state *before* the epoch's first update, as the chapter prints it. With mini-batches loss and
    accuracy are means over the epoch's rows, each measured just before the update its batch made. Where the network has
    dropout, they are measured with it, as training is; the validation part and `Run.evaluate` are measured without.

    Attributes
    ----------
    epoch
        0, 1, 2, …
    loss
        What is minimized: mean over the rows, plus the penalty.
    accuracy or r2
        Share of rows classified correctly; in regression the coefficient of determination 1 − Σ(y − ŷ)²/Σ(y − ȳ)²,
        averaged over the targets; NaN where a target is constant.
    learning_rate
        The rate in force: the one the last update used; before the first, the one it will use.
    penalty
        The L1 and L2 part of the loss (mean over the epoch's steps, as the two below).
    gradient_norm
        Euclidean norm of the gradient, penalty included.
    update_ratio
        Norm of the update divided by the norm of all parameters before it; infinite while these are all zero.
    largest_weight
        The largest |w| among all parameters after any of the epoch's updates.
    validation_loss, validation_accuracy or validation_r2
        The same on the validation part, without dropout, for the state before the epoch's first update; only with
        such a part.
    """

    def __init__(self, kind: str, *, validation: bool) -> None:
        score = "accuracy" if kind == "classification" else "r2"
        names = [name.replace("score", score) for name in EpochRecord._fields]
        self._columns = {
            name: place for place, name in enumerate(names) if validation or not name.startswith("validation")
        }
        self._epochs, self._values = np.empty(64, dtype=np.int64), np.empty((64, len(names)))
        self._length = 0
        self.score_name = score

    def __len__(self) -> int:
        return self._length

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, `epoch` first."""
        return ("epoch", *self._columns)

    def __getattr__(self, name: str) -> NDArray[Any]:
        columns = self.__dict__.get("_columns", {})
        if name == "epoch" or name in columns:
            whole = self._epochs if name == "epoch" else self._values[:, columns[name]]
            view = whole[: self._length]
            view.flags.writeable = False
            return view
        hint = " It needs a run with validation=…" if name.startswith("validation") else ""
        raise AttributeError(f"this history has no {name!r}; it has {', '.join(('epoch', *columns))}.{hint}")

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self.names]

    def row(self, epoch: int) -> dict[str, float]:
        """Return the numbers of the epoch of that number, by name; −1 is the last row, −2 the one before it.

        Raises
        ------
        InputError
            If the history has no such epoch.
        """
        if not self._length:
            raise checks.refuse("epoch", "asked for after training: the history is empty", epoch)
        last = int(self.epoch[-1])
        asked = checks.whole("epoch", epoch, at_least=-self._length, at_most=last)
        place = asked % self._length if asked < 0 else int(np.searchsorted(self.epoch, asked))
        if asked >= 0 and self.epoch[place] != asked:
            raise checks.refuse("epoch", "one that was recorded", epoch)
        values = self._values[place]
        numbers = {name: float(values[column]) for name, column in self._columns.items()}
        return {"epoch": int(self._epochs[place]), **numbers}

    def frame(self) -> polars.DataFrame:
        """Return everything as a polars data frame."""
        import polars as pl

        return pl.DataFrame({name: np.array(getattr(self, name)) for name in self.names})

    def extend(self, epochs: ArrayLike, records: ArrayLike) -> None:
        """Keep the records of some epochs, in ascending order; they take the place of all from the first of them on.

        Parameters
        ----------
        epochs : array, shape (k,)
            Their numbers.
        records : array, shape (k, 8)
            A row an epoch, in the order of `EpochRecord`.
        """
        numbers, rows = np.asarray(epochs, dtype=np.int64), np.asarray(records, dtype=np.float64)
        if not len(numbers):
            return
        start = int(np.searchsorted(self._epochs[: self._length], numbers[0]))
        end = start + len(numbers)
        if end > len(self._epochs):
            more = max(end, 2 * len(self._epochs)) - len(self._epochs)
            longer = np.concatenate([self._epochs, np.empty(more, dtype=np.int64)])
            wider = np.concatenate([self._values, np.empty((more, self._values.shape[1]))])
            self._epochs, self._values = longer, wider  # at once, whatever interrupts
        self._epochs[start:end], self._values[start:end] = numbers, rows
        self._length = end

    def cut(self, epochs: int) -> None:
        """Forget the epochs from that number on; arrays that were asked for before keep them."""
        length = int(np.searchsorted(self._epochs[: self._length], epochs))
        if length < self._length:
            self._epochs, self._values, self._length = self._epochs.copy(), self._values.copy(), length

    def become(self, other: History) -> None:
        """Hold what another history of the same columns holds."""
        twin = other.copy()
        self._epochs, self._values, self._length = twin._epochs, twin._values, twin._length

    def empty(self) -> History:
        """Return a history of the same columns without rows."""
        twin = copy.copy(self)
        twin._epochs, twin._values, twin._length = np.empty_like(self._epochs[:64]), np.empty_like(self._values[:64]), 0
        return twin

    def copy(self) -> History:
        """Return a history of its own with the same rows."""
        twin = copy.copy(self)
        twin._epochs, twin._values = self._epochs.copy(), self._values.copy()
        return twin

    def __repr__(self) -> str:
        if not self._length:
            return "<History: no epoch yet>"
        last = self.row(-1)
        return (
            f"<History: {self._length} epochs, last loss {last['loss']:.4g}, "
            f"{self.score_name} {last[self.score_name]:.4g}>"
        )
