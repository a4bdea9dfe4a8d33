"""Is a gradient right? Compare it with central differences, coordinate by coordinate, in float64.

Reference: Nocedal & Wright (2006), "Numerical optimization", section 8.1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from downslope import checks
from downslope.errors import DownslopeError, InputError
from downslope.network.losses import Loss
from downslope.network.network import Network
from downslope.network.parts import Array
from downslope.streams import Stream

__all__ = ["GradientMismatchError", "GradientReport", "check_gradient", "check_network_gradient"]

# Large steps suffer from the function's curvature, small ones from rounding; the step that agrees best decides.
STEPS = (1e-3, 1e-4, 1e-5, 1e-6)


class GradientMismatchError(DownslopeError, AssertionError):
    """A gradient that differs from what differences of the function give."""


@dataclass(frozen=True)
class GradientReport:
    """What `check_gradient` found.

    Parameters
    ----------
    largest_error : float
        Largest relative error |analytic − numeric| / max(|analytic|, |numeric|, r), where r keeps a difference that
        rounding explains within the tolerance.
    coordinate : tuple of int
        Where it is.
    analytic, numeric : float
        The gradient's value and the central difference there.
    checked, skipped : int
        How many coordinates were compared, and how many lie on a kink.
    """

    largest_error: float
    coordinate: tuple[int, ...]
    analytic: float
    numeric: float
    checked: int
    skipped: int


def check_gradient(
    function: Callable[[Array], Any],
    gradient: Callable[[Array], Array],
    point: Any,
    *,
    tolerance: float = 1e-6,
    most_skipped: float = 0.1,
) -> GradientReport:
    """Compare `gradient` with central differences (f(x + h) − f(x − h)) / 2h of `function`, for several h.

    Where the function has a kink (ReLU or |x| at 0) the differences to the right and to the left stay apart however
    small h is, and any value between them is a valid (sub)gradient; such a coordinate is skipped and counted.

    Parameters
    ----------
    function : callable
        Takes a float64 array of the shape of `point`, returns a number.
    gradient : callable
        Takes the same, returns an array of that shape.
    point : array
        Where to compare, not empty.
    tolerance : float, default 1e-6
        Largest relative error that passes, above 0.
    most_skipped : float, default 0.1
        Largest fraction of skipped coordinates that passes, from 0 to 1.

    Returns
    -------
    GradientReport

    Raises
    ------
    GradientMismatchError
        If a coordinate is off by more, the gradient's shape is another, or too many coordinates were skipped.
    InputError
        If the point is empty, or it or the function there is not finite.
    """
    tolerance = checks.real("tolerance", tolerance, checks.Interval(above=0))
    most_skipped = checks.real("most_skipped", most_skipped, checks.Interval(at_least=0, at_most=1))
    x = np.array(point, dtype=np.float64)
    if x.size == 0 or not np.isfinite(x).all():
        raise checks.refuse("point", "at least one number, all finite", point)
    analytic = np.asarray(gradient(x.copy()), dtype=np.float64)
    if analytic.shape != x.shape:
        raise GradientMismatchError(f"gradient must have the point's shape {x.shape}. Received: shape {analytic.shape}")

    skipped, worst = 0, GradientReport(-1.0, (), 0.0, 0.0, 0, 0)
    for coordinate in np.ndindex(x.shape):
        value = float(analytic[coordinate])
        error, numeric, kink = _compare(function, x, coordinate, value, tolerance)
        if error > tolerance and kink:
            skipped += 1
        elif error > worst.largest_error:
            worst = GradientReport(error, coordinate, value, numeric, 0, 0)
    if worst.largest_error > tolerance:
        raise GradientMismatchError(
            f"gradient must agree with central differences to a relative error of {tolerance:g}. Received: at "
            f"{worst.coordinate} the gradient {worst.analytic!r}, the difference {worst.numeric!r}, "
            f"a relative error of {worst.largest_error:.3g}"
        )
    if skipped > most_skipped * x.size:
        raise GradientMismatchError(
            f"at most {most_skipped:.0%} of the coordinates must lie on a kink. Received: {skipped} of {x.size}"
        )
    return GradientReport(
        max(worst.largest_error, 0.0), worst.coordinate, worst.analytic, worst.numeric, x.size - skipped, skipped
    )


def check_network_gradient(
    network: Network,
    loss: Loss,
    inputs: Any,
    targets: Any,
    seed: int = 0,
    *,
    dropout: tuple[int, int] | None = None,
    tolerance: float = 1e-6,
) -> GradientReport:
    """Check a whole network's gradient, of the mean loss over rows plus the penalty, in float64.

    The point is the initial parameters for `seed` with a little noise, which moves the biases away from 0 and so away
    from the kinks of their penalties. Cost: 8 forward passes per parameter, so meant for small networks.

    Parameters
    ----------
    network, loss
        What to check.
    inputs : array, shape (rows, inputs)
    targets : array
        As the loss takes them.
    seed : int
        Of the initial parameters.
    dropout : (seed, step) or None
        The key of the masks, which stay the same throughout; None checks without dropout.
    tolerance : float
        As for `check_gradient`, which also says what is returned and raised.
    """
    loss.check_targets(network.outputs, targets)
    noise = Stream(seed, "gradient check").uniform(network.parameter_count) - 0.5

    def total(flat: Array) -> float:
        outputs, _ = network.forward(flat, inputs, dropout=dropout)
        return float(loss.forward(outputs, targets).mean()) + network.penalty(flat)

    def gradient(flat: Array) -> Array:
        outputs, trace = network.forward(flat, inputs, dropout=dropout)
        result = network.backward(flat, trace, loss.backward(outputs, targets))
        network.add_penalty_gradient(flat, result)
        return result

    point = network.initial_parameters(seed, np.float64) + 0.2 * noise
    return check_gradient(total, gradient, point, tolerance=tolerance)


def _compare(
    function: Callable[[Array], Any], x: Array, coordinate: tuple[int, ...], analytic: float, tolerance: float
) -> tuple[float, float, bool]:
    """Return the least relative error over all steps, its central difference, and whether a kink explains the rest."""

    def at(value: float) -> float:
        moved = x.copy()
        moved[coordinate] = value
        result = float(function(moved))
        if not math.isfinite(result):
            raise InputError(f"function must be finite near the point. Received: {result} at {coordinate} = {value!r}")
        return result

    centre, here = float(x[coordinate]), at(float(x[coordinate]))
    best, kink = (math.inf, math.nan), False
    for relative in STEPS:
        right_x, left_x = (centre + side * relative * max(1.0, abs(centre)) for side in (1.0, -1.0))
        right, left = at(right_x), at(left_x)
        numeric = (right - left) / (right_x - left_x)
        # Each value of the function carries a rounding error of a few ulps, which the division by h enlarges.
        rounding = 32.0 * math.ulp(1.0) * max(abs(right), abs(left), abs(here)) / (right_x - left_x)
        scale = max(abs(analytic), abs(numeric), rounding / tolerance)
        best = min(best, (abs(analytic - numeric) / scale if scale else 0.0, numeric))
        # Only the last, smallest step decides here: the larger ones may just reach across a kink some way off.
        slopes = sorted([(right - here) / (right_x - centre), (here - left) / (centre - left_x)])
        slack = 0.01 * (slopes[1] - slopes[0]) + 2.0 * rounding
        kink = slopes[0] - slack <= analytic <= slopes[1] + slack
    return *best, kink
