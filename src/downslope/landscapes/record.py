"""The record of a landscape: a function of one or two variables whose lowest points are known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from downslope import exact
from downslope.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["Landscape", "Point", "cosine", "sine"]

Point: TypeAlias = tuple[float, ...]


@dataclass(frozen=True)
class Landscape:
    """A function of one or two variables with its gradient, its lowest points, and where to look and start.

    Everything is computed in float64 with + − × ÷ and `downslope.exact`, element by element, so that a point has the
    same digits alone, among others, and on every machine.

    Parameters
    ----------
    name : str
        What it is called on the command line.
    title : str
        What it is called above a picture.
    formula : str
        f(x) or f(x, y) as plain text.
    limits : tuple of (low, high)
        What a picture shows of each axis; their number is the number of variables, 1 or 2.
    start : tuple of float
        Where a descent begins unless told otherwise.
    minima : tuple of points
        The global minima, all of one value.
    function, slopes : callable
        Take one array for each variable; return f, and one partial derivative for each variable.
    local_minima : tuple of points, optional
        Others that are known; of a function with very many, those that matter to a picture.
    reference : str, optional
        Who made it known.

    Raises
    ------
    InputError
        If limits, start and minima do not have the same 1 or 2 variables, or a limit is not below its other end.
    """

    name: str
    title: str
    formula: str
    limits: tuple[tuple[float, float], ...]
    start: Point
    minima: tuple[Point, ...]
    function: Callable[..., Any] = field(repr=False)
    slopes: Callable[..., Any] = field(repr=False)
    local_minima: tuple[Point, ...] = ()
    reference: str = ""

    def __post_init__(self) -> None:
        if self.dimensions not in (1, 2):
            raise InputError(f"limits must be given for 1 or 2 variables. Received: limits={self.limits!r}")
        for low, high in self.limits:
            if not low < high:
                raise InputError(f"limits must each be (low, high) with low below high. Received: {(low, high)!r}")
        if not self.minima:
            raise InputError("minima must hold at least one point. Received: none")
        for what, point in [("start", self.start), *(("minima", one) for one in (*self.minima, *self.local_minima))]:
            if len(point) != self.dimensions:
                raise InputError(f"{what} must have {self.dimensions} coordinates, as limits has. Received: {point!r}")

    @property
    def dimensions(self) -> int:
        """How many variables it has, 1 or 2."""
        return len(self.limits)

    @property
    def minimum(self) -> float:
        """The lowest value, that of the first of `minima`."""
        return float(self.value(self.minima[0]))

    def value(self, points: ArrayLike) -> NDArray[np.float64]:
        """Return f at points of shape (..., d), as float64 of shape (...).

        Raises
        ------
        InputError
            If the last axis does not have one coordinate for each variable.
        """
        import numpy as np

        with np.errstate(all="ignore"):  # far outside, a value may be infinite
            values: NDArray[np.float64] = np.asarray(self.function(*self._coordinates(points)), dtype=np.float64)
        return values

    def gradient(self, points: ArrayLike) -> NDArray[np.float64]:
        """Return the gradient of f at points of shape (..., d), as float64 of that shape.

        Raises
        ------
        InputError
            If the last axis does not have one coordinate for each variable.
        """
        import numpy as np

        with np.errstate(all="ignore"):
            return np.stack(self.slopes(*self._coordinates(points)), axis=-1).astype(np.float64, copy=False)

    def _coordinates(self, points: ArrayLike) -> list[NDArray[np.float64]]:
        import numpy as np

        array = np.asarray(points, dtype=np.float64)
        if array.ndim == 0 or array.shape[-1] != self.dimensions:
            raise InputError(
                f"points must have {self.dimensions} coordinates on their last axis, as {self.name} has variables. "
                f"Received: shape {array.shape}"
            )
        return [array[..., axis] for axis in range(self.dimensions)]


def cosine(turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return cos(2π·turns) of an array; NaN where it is not finite."""
    return _wave(exact.cos, turns)


def sine(turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sin(2π·turns) of an array; NaN where it is not finite."""
    return _wave(exact.sin, turns)


def _wave(wave: Callable[[Any], Any], turns: NDArray[np.float64]) -> NDArray[np.float64]:
    import numpy as np

    # Whole turns are taken off exactly, so a descent that explodes may come as far out as it likes.
    part = np.where(np.isfinite(turns), turns - np.rint(turns), 0.0)
    found: NDArray[np.float64] = np.where(np.isfinite(turns), wave(6.283185307179586 * part), np.nan)
    return found
