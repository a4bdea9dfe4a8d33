"""The chapter's descents on a function of one variable, figures 10.02 to 10.14, on a function of our own.

The chapter does not print its function, so each figure shows what its own shows on the landscape "hills": the settings
were searched for that, and every number in a caption is read off the path that is drawn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Literal, TypeAlias

from downslope.landscapes import Landscape, landscape

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from downslope.engines.descent import Descent

__all__ = ["DESCENTS", "DescentFigure", "basins"]

# How far beside the start a second descent begins, which ends elsewhere where the path is chaotic.
MOVED = 1e-6

Setting: TypeAlias = tuple[float, float]


@dataclass(frozen=True)
class DescentFigure:
    """One of the chapter's figures of descents.

    Attributes
    ----------
    number, title : str
        "10.06", and a line that says what is shown.
    kind : str
        "function" (the function alone), "descent" (the ball's path on it) or "rates" (values against steps).
    settings : tuple of (learning rate, momentum)
        One pair for each descent.
    steps : int
        How many steps each descent is asked to make.
    names : tuple of str
        What each descent's learning rate is called; empty where there is one descent.
    """

    number: str
    title: str
    kind: Literal["function", "descent", "rates"]
    settings: tuple[Setting, ...]
    steps: int
    told: Callable[[list[Descent]], str] = field(repr=False)
    names: tuple[str, ...] = ()

    @property
    def landscape(self) -> Landscape:
        """The function that is gone down."""
        return landscape("hills")

    @property
    def caption(self) -> str:
        """What there is to see, in one or two sentences, with the numbers of the paths themselves."""
        return self.told(self.descents())

    def descents(self) -> list[Descent]:
        """Return the descents in the order of `settings`; none for the function alone."""
        return list(_descents(self.settings, self.steps))


@cache
def _descents(settings: tuple[Setting, ...], steps: int) -> tuple[Descent, ...]:
    from downslope.engines.descent import descend
    from downslope.rules import SGD

    return tuple(descend(landscape("hills"), SGD(rate, momentum=momentum), steps=steps) for rate, momentum in settings)


def basins(descent: Descent) -> NDArray[np.intp]:
    """Return which minimum each point of a descent in one variable is nearest to, counted from 0 at the left."""
    import numpy as np

    ground = descent.landscape
    minima = np.array(sorted(point[0] for point in (*ground.minima, *ground.local_minima)))
    return np.asarray(abs(descent.points - minima).argmin(axis=1))


COUNT = ("none", "one", "two", "three", "four", "five", "six")
ORDER = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh")


def _function(descents: list[Descent]) -> str:
    ground = landscape("hills")
    lowest = ground.minima[0][0]
    before = sum(point[0] < lowest for point in ground.local_minima)
    return (
        f"A function of one variable with {COUNT[before]} local minima on the way from the left to the lowest point, "
        f"at x = {_number(lowest)} with a value of {_number(ground.minimum)}, and "
        f"{COUNT[len(ground.local_minima) - before]} behind it."
    )


def _stuck(descents: list[Descent]) -> str:
    path = descents[0]
    return (
        f"A learning rate of {path.optimizer.learning_rate:g} and no momentum: the ball comes to rest in the "
        f"{ORDER[basins(path)[-1]]} minimum, at x = {_number(path.points[-1, 0])}, "
        f"{_number(path.final_value - path.landscape.minimum)} above the lowest point."
    )


def _carried(descents: list[Descent]) -> str:
    path = descents[0]
    return (
        f"A small learning rate, {path.optimizer.learning_rate:g}, with a large momentum, {_momentum(path):g}: the "
        "ball rolls over every hill on its way and swings in the lowest basin, at the bottom of which it stays from "
        f"step {path.arrived} on."
    )


def _jumping(descents: list[Descent]) -> str:
    path = descents[0]
    late = path.points[path.steps // 2 :, 0]
    return (
        f"A learning rate of {path.optimizer.learning_rate:g} is too large to settle: the ball changes basin "
        f"{_changes(path)} times in {path.steps} steps, and in the second half of them it still jumps between "
        f"x = {_number(late.min())} and x = {_number(late.max())}."
    )


def _overshooting(descents: list[Descent]) -> str:
    from downslope.engines.descent import descend

    path = descents[0]
    xs = path.points[1:, 0]
    beside = descend(path.landscape, path.optimizer, start=[path.start[0] + MOVED], steps=path.asked)
    return (
        f"A learning rate of {path.optimizer.learning_rate:g} with a momentum of {_momentum(path):g} overshoots at "
        f"random: the ball is thrown about between x = {_number(xs.min())} and x = {_number(xs.max())}. After "
        f"{path.steps} steps it is at x = {_number(xs[-1])}; begun a millionth further right, at "
        f"x = {_number(beside.points[-1, 0])}."
    )


def _exploding(descents: list[Descent]) -> str:
    path = descents[0]
    *_, before, last = path.points[:, 0].tolist()
    slope = float(path.landscape.gradient([last])[0])
    return (
        f"Gradient explosion at a learning rate of {path.optimizer.learning_rate:g}: in step {path.steps} the steep "
        f"wall throws the ball from x = {_number(before)} to x = {_number(last)}. The slope there is "
        f"{_power(slope)}, so the next step would leave every scale."
    )


def _chosen(descents: list[Descent]) -> str:
    path = descents[0]
    return (
        f"Well chosen settings, a learning rate of {path.optimizer.learning_rate:g} and a momentum of "
        f"{_momentum(path):g}: the ball stays at the bottom of the lowest basin from step {path.arrived} on."
    )


def _rates(descents: list[Descent]) -> str:
    very_high, high, good, low = descents
    rate = [f"{path.optimizer.learning_rate:g}" for path in descents]
    return (
        f"Value against steps, with a momentum of {_momentum(good):g}. Very high ({rate[0]}): it explodes after "
        f"{very_high.steps} steps. High ({rate[1]}): it falls fast at first, and stays at {_number(high.final_value)}. "
        f"Good ({rate[2]}): it reaches the lowest value, {_number(good.final_value)}. Low ({rate[3]}): it falls all "
        f"the time, and after {low.steps} steps is only down from {_number(float(low.values[0]))} to "
        f"{_number(low.final_value)}."
    )


def _changes(path: Descent) -> int:
    """Return how many steps lead from one basin into another."""
    found = basins(path)
    return int((found[1:] != found[:-1]).sum())


def _momentum(path: Descent) -> float:
    return float(path.optimizer.values()["momentum"])


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")


def _power(value: float) -> str:
    digits, exponent = f"{value:.0e}".split("e")
    return f"{digits}·10{str(int(exponent)).translate(str.maketrans('-0123456789', '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'))}".replace("-", "−")


DESCENTS: dict[str, DescentFigure] = {
    one.number: one
    for one in (
        DescentFigure("10.02", "A function with local minima", "function", (), 0, _function),
        DescentFigure("10.03", "Stuck in the first minimum", "descent", ((0.01, 0.0),), 40, _stuck),
        DescentFigure("10.04", "Stuck in the second minimum", "descent", ((0.08, 0.0),), 40, _stuck),
        DescentFigure("10.05", "Stuck in the third minimum", "descent", ((0.123, 0.0),), 40, _stuck),
        DescentFigure("10.06", "Momentum: about 200 steps", "descent", ((0.005, 0.965),), 240, _carried),
        DescentFigure("10.07", "Momentum: about 100 steps", "descent", ((0.018, 0.93),), 120, _carried),
        DescentFigure("10.08", "Momentum: about 50 steps", "descent", ((0.047, 0.88),), 60, _carried),
        DescentFigure("10.09", "A rate too large jumps around", "descent", ((0.45, 0.0),), 60, _jumping),
        DescentFigure("10.10", "A rate too large overshoots at random", "descent", ((0.53, 0.1),), 50, _overshooting),
        DescentFigure("10.11", "A gradient explosion", "descent", ((0.54, 0.0),), 60, _exploding),
        DescentFigure("10.12", "Well chosen settings", "descent", ((0.08, 0.75),), 40, _chosen),
        DescentFigure("10.13", "Only a few steps", "descent", ((0.21, 0.4),), 15, _chosen),
        DescentFigure(
            "10.14",
            "Learning rates: very high, high, good and low",
            "rates",
            ((0.6, 0.7), (0.204, 0.7), (0.13, 0.7), (0.0002, 0.7)),
            60,
            _rates,
            ("very high", "high", "good", "low"),
        ),
    )
}
"""Figures 10.02 to 10.14, by number."""
