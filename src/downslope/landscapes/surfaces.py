"""Surfaces: functions of two variables that descents are compared on."""

from __future__ import annotations

from typing import Any

from downslope.landscapes.record import Landscape, cosine, sine

__all__ = ["BEALE", "BOWL", "HIMMELBLAU", "RASTRIGIN", "ROSENBROCK", "SADDLE", "VALLEY"]

PI = 3.141592653589793
NEAR = (-0.9949586376523348, 0.0, 0.9949586376523348)


def _rosenbrock(x: Any, y: Any) -> Any:
    bend = y - x * x
    return (1 - x) * (1 - x) + 100 * bend * bend


def _rosenbrock_slopes(x: Any, y: Any) -> Any:
    bend = y - x * x
    return -2 * (1 - x) - 400 * x * bend, 200 * bend


ROSENBROCK = Landscape(
    name="rosenbrock",
    title="Rosenbrock's function",
    formula="f(x, y) = (1 − x)² + 100·(y − x²)²",
    limits=((-2.0, 2.0), (-1.0, 3.0)),
    start=(-1.2, 1.0),
    minima=((1.0, 1.0),),
    function=_rosenbrock,
    slopes=_rosenbrock_slopes,
    reference="Rosenbrock (1960), An automatic method for finding the greatest or least value of a function.",
)


def _himmelblau(x: Any, y: Any) -> Any:
    a, b = x * x + y - 11, x + y * y - 7
    return a * a + b * b


def _himmelblau_slopes(x: Any, y: Any) -> Any:
    a, b = x * x + y - 11, x + y * y - 7
    return 4 * x * a + 2 * b, 2 * a + 4 * y * b


HIMMELBLAU = Landscape(
    name="himmelblau",
    title="Himmelblau's function",
    formula="f(x, y) = (x² + y − 11)² + (x + y² − 7)²",
    limits=((-6.0, 6.0), (-6.0, 6.0)),
    start=(-0.5, -1.5),
    minima=(
        (3.0, 2.0),
        (-2.805118086952745, 3.131312518250573),
        (-3.779310253377747, -3.283185991286170),
        (3.584428340330492, -1.848126526964404),
    ),
    function=_himmelblau,
    slopes=_himmelblau_slopes,
    reference="Himmelblau (1972), Applied Nonlinear Programming.",
)


def _beale_parts(x: Any, y: Any) -> Any:
    return 1.5 - x + x * y, 2.25 - x + x * y * y, 2.625 - x + x * y * y * y


def _beale(x: Any, y: Any) -> Any:
    a, b, c = _beale_parts(x, y)
    return a * a + b * b + c * c


def _beale_slopes(x: Any, y: Any) -> Any:
    a, b, c = _beale_parts(x, y)
    along_x = 2 * a * (y - 1) + 2 * b * (y * y - 1) + 2 * c * (y * y * y - 1)
    return along_x, 2 * a * x + 4 * b * x * y + 6 * c * x * y * y


BEALE = Landscape(
    name="beale",
    title="Beale's function",
    formula="f(x, y) = (1.5 − x + xy)² + (2.25 − x + xy²)² + (2.625 − x + xy³)²",
    limits=((-4.5, 4.5), (-4.5, 4.5)),
    start=(1.0, 1.5),
    minima=((3.0, 0.5),),
    function=_beale,
    slopes=_beale_slopes,
    reference=(
        "Beale (1958), On an iterative method for finding a local minimum of a function of more than one variable."
    ),
)


def _rastrigin(x: Any, y: Any) -> Any:
    return 20 + (x * x - 10 * cosine(x)) + (y * y - 10 * cosine(y))


def _rastrigin_slopes(x: Any, y: Any) -> Any:
    return 2 * x + 20 * PI * sine(x), 2 * y + 20 * PI * sine(y)


RASTRIGIN = Landscape(
    name="rastrigin",
    title="Rastrigin's function",
    formula="f(x, y) = 20 + x² − 10·cos(2πx) + y² − 10·cos(2πy)",
    limits=((-5.12, 5.12), (-5.12, 5.12)),
    start=(4.2, -3.3),
    minima=((0.0, 0.0),),
    # Close to every point of whole numbers there is one; these are around the lowest.
    local_minima=tuple((x, y) for x in NEAR for y in NEAR if x or y),
    function=_rastrigin,
    slopes=_rastrigin_slopes,
    reference="Rastrigin (1974), Systems of Extremal Control.",
)


def _saddle(x: Any, y: Any) -> Any:
    return x * x - y * y + y * y * y * y / 4


def _saddle_slopes(x: Any, y: Any) -> Any:
    return 2 * x, y * y * y - 2 * y


SADDLE = Landscape(
    name="saddle",
    title="A saddle",
    formula="f(x, y) = x² − y² + y⁴/4",
    limits=((-2.0, 2.0), (-2.2, 2.2)),
    start=(-1.6, 0.02),
    minima=((0.0, 1.4142135623730951), (0.0, -1.4142135623730951)),
    function=_saddle,
    slopes=_saddle_slopes,
    reference="Dauphin et al. (2014), Identifying and attacking the saddle point problem, on descents near saddles.",
)


def _along_and_across(x: Any, y: Any) -> Any:
    return (24 * x + 7 * y) / 25 - 3, (24 * y - 7 * x) / 25


def _valley(x: Any, y: Any) -> Any:
    along, across = _along_and_across(x, y)
    return (along * along + 100 * across * across) / 2


def _valley_slopes(x: Any, y: Any) -> Any:
    along, across = _along_and_across(x, y)
    return (24 * along - 700 * across) / 25, (7 * along + 2400 * across) / 25


# The lowest points of valley and bowl lie beside the origin, to which weight decay alone would lead.
VALLEY = Landscape(
    name="valley",
    title="A long valley",
    formula="f(x, y) = ((u − 3)² + 100·v²)/2 with u = (24x + 7y)/25 and v = (24y − 7x)/25",
    limits=((-10.0, 10.0), (-5.0, 5.0)),
    start=(-8.0, -1.0),
    minima=((2.88, 0.84),),
    function=_valley,
    slopes=_valley_slopes,
    reference="Polyak (1964), Some methods of speeding up the convergence of iteration methods, on long valleys.",
)


def _bowl(x: Any, y: Any) -> Any:
    return ((x - 1) * (x - 1) + (y + 1) * (y + 1)) / 2


def _bowl_slopes(x: Any, y: Any) -> Any:
    return x - 1, y + 1


BOWL = Landscape(
    name="bowl",
    title="A bowl",
    formula="f(x, y) = ((x − 1)² + (y + 1)²)/2",
    limits=((-3.0, 3.0), (-3.0, 3.0)),
    start=(-1.5, 2.0),
    minima=((1.0, -1.0),),
    function=_bowl,
    slopes=_bowl_slopes,
    reference="Cauchy (1847), Méthode générale pour la résolution des systèmes d'équations simultanées.",
)
