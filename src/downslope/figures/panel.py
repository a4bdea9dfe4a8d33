"""A part of a picture that can show another moment of the same run: what a picture and an animation share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.artist import Artist

    from downslope.training import Run

__all__ = ["Blend", "Detail", "Panel"]

# From colours (…, 3) that are due, red, green and blue in 0 … 1, to those shown, in 0 … 255.
Blend: TypeAlias = Callable[[NDArray[Any]], NDArray[np.uint8]]


@dataclass(frozen=True)
class Panel:
    """What was drawn of a run: `artists` are all that depend on the moment, and `show` brings them to another one.

    Scales, layout and whatever else must not jump stay those of the run the panel was drawn from.
    """

    artists: Sequence[Artist]
    show: Callable[[Run], None]


@dataclass(frozen=True)
class Detail:
    """How finely a panel is drawn, and how its fields of colour change.

    Attributes
    ----------
    cells : int
        The most cells a side of an image over two inputs.
    points : int
        The most points of a curve.
    blend : callable, optional
        Makes what each field of colour passes through before it is shown; left out, they show what is due.
    """

    cells: int = 300
    points: int = 2000
    blend: Callable[[], Blend] | None = None
