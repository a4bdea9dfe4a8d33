"""The learning rate as a function of the step.

A schedule is called with k, the number of updates already done: `InverseTime(1.0, decay=0.001)(k)`. Schedules follow
one another with `then`, and `parse` reads one from a line of text.
"""

from downslope.schedules.base import Schedule
from downslope.schedules.composed import Chain, ForSteps, Scaled, Shifted
from downslope.schedules.cyclic import Cosine, LinearWarmup, OneCycle
from downslope.schedules.decay import Constant, Exponential, InverseTime, Piecewise, Polynomial, Step
from downslope.schedules.named import by_name, from_description, is_built_in, names, parse

__all__ = [
    "Chain",
    "Constant",
    "Cosine",
    "Exponential",
    "ForSteps",
    "InverseTime",
    "LinearWarmup",
    "OneCycle",
    "Piecewise",
    "Polynomial",
    "Scaled",
    "Schedule",
    "Shifted",
    "Step",
    "by_name",
    "from_description",
    "is_built_in",
    "names",
    "parse",
]
