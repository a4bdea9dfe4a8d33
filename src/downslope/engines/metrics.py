"""Numbers that describe a step: score, norms, and the sentence for a value that is no longer finite."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from downslope.engines.problem import Part
from downslope.engines.update import FloatArray
from downslope.errors import NonFiniteError
from downslope.network import Loss

__all__ = ["labels", "norm", "score", "scores", "stopped", "tally"]


def norm(vector: FloatArray) -> float:
    """Return the Euclidean norm √Σx², in float64; it is finite only if every element is.

    Called several times a step, so silencing NumPy's overflow warnings is left to the caller.
    """
    wide = vector.astype(np.float64, copy=False)
    square = float(np.square(wide).sum())  # not BLAS, whose threads cost more than they bring on a busy machine
    if 1e-280 < square < math.inf:
        return math.sqrt(square)
    # Zero, NaN or infinite, or squares that leave the range of float64 where the norm itself need not.
    largest = float(np.abs(wide).max(initial=0.0))
    return largest * norm(wide / largest) if 0.0 < largest < math.inf else largest


def labels(outputs: FloatArray) -> NDArray[np.int64]:
    """Return the label each row of outputs stands for: the largest, or with one output whether it is above 0."""
    if outputs.shape[1] == 1:
        return (outputs[:, 0] > 0).astype(np.int64)
    return np.asarray(outputs.argmax(axis=1), dtype=np.int64)


def tally(loss: Loss, outputs: FloatArray, targets: FloatArray | NDArray[np.int64]) -> FloatArray:
    """Return what `score` needs to know of some rows, summed over them: how many are right, or Σ(y − ŷ)² by target."""
    if loss.kind == "classification":
        return np.asarray(np.count_nonzero(labels(outputs) == targets), dtype=np.float64)
    with np.errstate(all="ignore"):
        return np.asarray(np.square(outputs - targets, dtype=np.float64).sum(axis=0))


def score(loss: Loss, tallied: FloatArray, part: Part) -> float:
    """Return the accuracy, or R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)², averaged over targets; NaN where a target is constant.

    Averaged so, R² does not depend on the targets' units.
    """
    return float(scores(loss, tallied, part))


def scores(loss: Loss, tallied: FloatArray, part: Part) -> NDArray[np.float64]:
    """Return the score of each of several tallies: one number each, or one row of numbers by target."""
    if loss.kind == "classification":
        return np.asarray(tallied, dtype=np.float64) / len(part.inputs)
    targets = np.asarray(part.targets, dtype=np.float64)
    with np.errstate(all="ignore"):
        spread = np.square(targets - targets.mean(axis=0)).sum(axis=0)
        # Asked of the targets, not of the spread: the mean of equal numbers can be one rounding away from them.
        constant = (targets == targets[0]).all(axis=0)
        return np.asarray(np.where(constant, math.nan, 1.0 - tallied / spread).mean(axis=-1))


def stopped(what: str, epoch: int, step: int, learning_rate: float) -> NonFiniteError:
    """Return the error for a `what` that is infinite or NaN, with the setting to lower and its value.

    `learning_rate` is that of the update to which it is owed; NaN where there was none.
    """
    if math.isnan(learning_rate):
        advice = "before any update: standardize the data, use smaller initial weights or dtype='float64'"
    else:
        advice = f"lower learning_rate, which was {learning_rate:g}"
    return NonFiniteError(f"Training stopped at epoch {epoch} (step {step}): a {what} is not finite; {advice}.", step)
