"""What came of a run, read off its whole course: the truth that guards are measured against.

A run's **loss** here is its batch's, and in mini-batches the mean of the last five steps.

- **Level**: its mean over the 20 steps before the change; in runs without a change, the lowest 20-step mean so far (at
  the start, the first step's loss).
- **Explosion**: the loss reaches ten times the level and at least the level of chance, and never again comes below
  twice the level within the run; or a number is not finite. Chance is what a network that knows nothing gets:
  ln(classes) for cross-entropy, the targets' variance for squared error. Without it a loss that grows from 1e-4 to
  1e-3 would count. Cross-entropy cannot pass 16.1 (probabilities are clipped at 1e-7), and a network that says one
  class with certainty gets about 16.1 × the share of the others: there five times chance is enough where ten times the
  level is more.
- **Spike**: it reaches that, and comes back.
- **Unsettled**: neither, but the loss at some time was above twice the level and above a tenth of chance.
- **Healthy**: all others. Steps before the change are healthy in every run whose loss was calm until then.

The **tenfold step** is the first of the five steps' batch losses that lies above.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["EXPLOSION", "HEALTHY", "SPIKE", "UNSETTLED", "Label", "label"]

EXPLOSION, SPIKE, UNSETTLED, HEALTHY = "explosion", "spike", "unsettled", "healthy"
SHORT, LONG = 5, 20
TENFOLD, TWICE, CHANCES = 10.0, 2.0, 5.0


class Label(NamedTuple):
    """What came of a run.

    Attributes
    ----------
    kind : str
        "explosion", "spike", "unsettled" or "healthy".
    tenfold : int or None
        The step whose loss was the first above the mark, or at which a number was not finite.
    healthy_steps : int
        How many steps from the start were healthy: all, those before the change, or none.
    level : float
        The loss before the change.
    change : int
        The last step before the change; 0 without one, and where the run did not live to see it.
    """

    kind: str
    tenfold: int | None
    healthy_steps: int
    level: float
    change: int


def label(
    losses: NDArray[np.float64], failed: int | None, change: int, mini: bool, chance: float, capped: bool
) -> Label:
    """Return what came of a run from its batch losses, one a step.

    Parameters
    ----------
    losses : array, shape (steps,)
        Of step 1, 2, …; as far as the run came.
    failed : int or None
        The step at which a number was not finite.
    change : int
        The last step before a setting changed; 0 without one.
    mini : bool
        Whether they are mini-batches' losses.
    chance : float
        The loss of a network that knows nothing.
    capped : bool
        Whether the loss is a cross-entropy.
    """
    if not len(losses):
        return Label(EXPLOSION, failed, 0, chance, 0)
    if change >= len(losses):
        change = 0
    smooth = _trailing_mean(losses, SHORT) if mini else losses
    calm = _trailing_mean(losses, LONG)
    levels = np.minimum.accumulate(calm)
    if change:
        levels[change:] = calm[change - 1]
    marks = np.maximum(TENFOLD * levels, chance)
    if capped:
        marks = np.minimum(marks, CHANCES * chance)
    level = float(levels[change])

    def first_over(start: int) -> int | None:
        over = np.flatnonzero(smooth[start:] >= marks[start:])
        return start + int(over[0]) if len(over) else None

    unsettled = smooth >= np.maximum(TWICE * levels, 0.1 * chance)
    quiet_before = change if change and not unsettled[:change].any() else 0
    over = first_over(change)
    if over is None and failed is None:
        if unsettled.any():
            return Label(UNSETTLED, None, quiet_before, level, change)
        return Label(HEALTHY, None, len(losses), level, change)
    tenfold = failed
    if over is not None:
        inside = np.flatnonzero(losses[max(over - SHORT + 1, 0) : over + 1] >= marks[over])
        tenfold = max(over - SHORT + 1, 0) + int(inside[0]) + 1
        came_back = bool((smooth[over:] < TWICE * levels[over]).any())
        if failed is None and came_back:
            return Label(SPIKE, tenfold, quiet_before, level, change)
    return Label(EXPLOSION, tenfold, quiet_before, level, change)


def _trailing_mean(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Return the mean of each value and those before it, at most `width` of them."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - width, 0)
    means: NDArray[np.float64] = (sums[ends] - sums[starts]) / (ends - starts)
    return means
