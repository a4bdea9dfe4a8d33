"""How a script of the chapter begins: the seed, the default type, and the one stream everything is drawn from.

Data and weights come from NumPy's legacy global generator, in the order they are asked for, as in the chapter; so
`np.random.seed` in a script works too.
"""

# ruff: noqa: NPY002 - the legacy generator is the chapter's

from __future__ import annotations

from typing import Any

import numpy as np

from downslope import checks
from downslope.errors import InputError
from downslope.network.parts import Array

__all__ = ["default_dtype", "init", "normals"]

_default: dict[str, np.dtype[Any]] = {"dtype": np.dtype(np.float64)}


def init(dot_precision_workaround: bool = True, default_dtype: Any = "float32", random_seed: int | None = 0) -> None:
    """Make runs repeat: seed NumPy's legacy generator, and choose the type of data and weights made from here on.

    Nothing in NumPy is replaced: arrays that a script makes by itself keep NumPy's own type.

    Parameters
    ----------
    dot_precision_workaround : bool
        Taken so that scripts that pass it run; it changes nothing.
    default_dtype : {"float32", "float64"}
        Type of the data and the weights. Without `init` they are float64.
    random_seed : int or None
        Seed of the generator, 0 to 2³² − 1; None leaves the generator as it is.

    Raises
    ------
    InputError
        If the type or the seed is not one of these.

    Examples
    --------
    >>> init()
    >>> spiral = normals((3,))
    >>> spiral.dtype
    dtype('float32')
    """
    checks.flag("dot_precision_workaround", dot_precision_workaround)
    try:
        kind = np.dtype(default_dtype)
    except TypeError:
        kind = np.dtype(object)
    if default_dtype is None or kind not in (np.float32, np.float64):
        raise InputError(f"default_dtype must be float32 or float64. Received: default_dtype={default_dtype!r}")
    if random_seed is not None:
        np.random.seed(checks.whole("random_seed", random_seed, at_least=0, at_most=2**32 - 1))
    _default["dtype"] = kind


def default_dtype() -> np.dtype[Any]:
    """Return the type of new data and weights: float64, or what `init` chose."""
    return _default["dtype"]


def normals(shape: tuple[int, ...]) -> Array:
    """Return the global generator's next standard normal numbers, in the default type."""
    return np.random.standard_normal(shape).astype(default_dtype(), copy=False)
