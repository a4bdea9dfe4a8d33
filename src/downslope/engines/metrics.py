"""Numbers that describe a step: score, norms, and the sentence for a value that is no longer finite."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from downslope.engines.problem import Part
from downslope.engines.update import FloatArray
from downslope.errors import NonFiniteError
from downslope.network import Loss
from downslope.rules import Optimizer

__all__ = ["agreement", "all_finite", "norm", "score", "stopped"]


def norm(vector: FloatArray) -> float:
    """Return the Euclidean norm √Σx², summed in float64."""
    return math.sqrt(float(np.sum(np.square(vector, dtype=np.float64))))


def all_finite(vector: FloatArray) -> bool:
    """Whether no element is infinite or NaN."""
    return bool(np.isfinite(vector).all())


def agreement(loss: Loss, outputs: FloatArray, targets: Any) -> float:
    """Return what `score` sums up: rows classified correctly, or the summed squared error with a minus sign."""
    if loss.kind == "regression":
        return -float(np.sum(np.square(outputs - targets.reshape(outputs.shape), dtype=np.float64)))
    if outputs.shape[1] == 1 or loss.name == "bce":  # one logit an output: above 0 means 1
        return float(np.mean((outputs > 0) == (targets.reshape(outputs.shape) > 0.5), axis=1).sum())
    labels = targets if targets.ndim == 1 else targets.argmax(axis=1)
    return float(np.sum(outputs.argmax(axis=1) == labels))


def score(loss: Loss, agreed: float, part: Part) -> float:
    """Return accuracy, or R² = 1 − Σ(y − ŷ)² / Σ(y − mean)²; NaN where the targets do not vary."""
    if loss.kind == "classification":
        return agreed / len(part.inputs)
    targets = np.asarray(part.targets, dtype=np.float64)
    spread = float(np.sum(np.square(targets - targets.mean(axis=0))))
    return 1.0 + agreed / spread if spread > 0 else math.nan


def stopped(what: str, epoch: int, step: int, rule: Optimizer) -> NonFiniteError:
    """Return the error for a `what` (loss, gradient or weight) that is infinite or NaN, with what to change."""
    if step == 1 and what != "weight":
        advice = "before any update: standardize the inputs, or use smaller initial weights"
    else:
        advice = f"lower learning_rate, which was {rule.rate_after(step):g}"
    return NonFiniteError(f"Training stopped at epoch {epoch} (step {step}): a {what} is not finite; {advice}.")
