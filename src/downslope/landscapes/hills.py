"""Hills: one variable, five local minima on the way to the lowest one, one behind it, and steep walls."""

from __future__ import annotations

from typing import Any

from downslope.exact import power
from downslope.landscapes.record import Landscape, cosine, sine

__all__ = ["HILLS"]

PI = 3.141592653589793


def _value(x: Any) -> Any:
    return (x - 3) * (x - 3) / 12 + 1.2 * cosine((63 * x - x * x) / 120) + power(x / 6, 24)


def _slope(x: Any) -> Any:
    wave = PI / 50 * (63 - 2 * x) * sine((63 * x - x * x) / 120)
    return ((x - 3) / 6 - wave + 4 * power(x / 6, 23),)


# The waves grow longer to the right, so a learning rate too large for one minimum may suit those behind it. The walls
# are steep: a descent that is thrown against one at a large rate is thrown back further than it came.
HILLS = Landscape(
    name="hills",
    title="Hills",
    formula="f(x) = (x − 3)²/12 + 1.2·cos(π(63x − x²)/60) + (x/6)²⁴",
    limits=((-6.6, 6.6),),
    start=(-6.4,),
    minima=((2.999999956073947,),),
    local_minima=(
        (-5.848664837017764,),
        (-4.374281699448695,),
        (-2.6761354865600677,),
        (-0.8912637573579093,),
        (0.9945472257308751,),
        (5.137832036928483,),
    ),
    function=_value,
    slopes=_slope,
    reference="Made for this package, with the features of figure 10.02 of Neural Networks from Scratch in Python.",
)
