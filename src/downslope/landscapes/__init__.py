"""Functions of one and two variables with known minima, for optimizers to descend on."""

from downslope.checks import one_of
from downslope.landscapes.hills import HILLS
from downslope.landscapes.record import Landscape
from downslope.landscapes.surfaces import BEALE, BOWL, HIMMELBLAU, RASTRIGIN, ROSENBROCK, SADDLE, VALLEY

__all__ = ["LANDSCAPES", "Landscape", "landscape"]

LANDSCAPES: dict[str, Landscape] = {
    one.name: one for one in (HILLS, ROSENBROCK, HIMMELBLAU, BEALE, RASTRIGIN, SADDLE, VALLEY, BOWL)
}
"""Every landscape by its name on the command line."""


def landscape(name: str) -> Landscape:
    """Return the landscape of that name ("rosenbrock"), in any case, or raise InputError naming the nearest.

    Examples
    --------
    >>> landscape("rosenbrock").value([1.0, 2.0])
    array(100.)
    """
    return LANDSCAPES[one_of("landscape", name.lower() if isinstance(name, str) else name, LANDSCAPES)]
