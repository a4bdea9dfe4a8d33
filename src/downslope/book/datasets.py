"""The chapter's data, drawn from NumPy's legacy global generator."""

from __future__ import annotations

import numpy as np

from downslope import checks
from downslope.book.initialization import default_dtype, normals
from downslope.data.generated import spiral_points
from downslope.network.parts import Array

__all__ = ["spiral_data", "vertical_data"]


def spiral_data(samples: int, classes: int) -> tuple[Array, Array]:
    """Return interleaved spiral arms, one a class: their points and their labels.

    Class k has `samples` points. Their radius r goes from 0 to 1 in equal steps, their angle a from 4k to 4(k + 1) plus
    0.2·normal; x = r·sin(2.5·a), y = r·cos(2.5·a). After `init()` the points are those of
    `downslope.data.spiral(samples, classes, seed="chapter")`.

    Parameters
    ----------
    samples : int
        Points of each class, at least 1.
    classes : int
        Arms, at least 1.

    Returns
    -------
    X : array, shape (samples·classes, 2)
        float32 after `init()`, else float64.
    y : array, shape (samples·classes,)
        Labels 0 … classes − 1, as uint8 (int64 for more than 256 classes).

    Raises
    ------
    InputError
        If a number is not whole or below 1.

    References
    ----------
    Kinsley & Kukieła (2020), "Neural Networks from Scratch in Python", chapter 3; after the CS231n case study.
    """
    samples, classes = _counts(samples, classes)
    # NumPy's sine, as in the chapter: in float64 the package's own differs in the last bit here and there.
    points = spiral_points(normals((samples * classes,)), samples, classes, 0.2, (np.sin, np.cos))
    return points.astype(default_dtype(), copy=False), _labels(samples, classes)


def vertical_data(samples: int, classes: int) -> tuple[Array, Array]:
    """Return round clouds side by side, one a class: that of class k is at (k/3, 1/2), with a spread of 0.1.

    The book's earlier chapters use them, and scripts often import them beside the spiral.

    Parameters
    ----------
    samples : int
        Points of each class, at least 1.
    classes : int
        Clouds, at least 1.

    Returns
    -------
    X : array, shape (samples·classes, 2)
        float32 after `init()`, else float64.
    y : array, shape (samples·classes,)
        Labels as of `spiral_data`.

    Raises
    ------
    InputError
        If a number is not whole or below 1.
    """
    samples, classes = _counts(samples, classes)
    clouds = [0.1 * normals((2, samples)) for _ in range(classes)]
    points = np.concatenate([np.column_stack([x + k / 3, y + 0.5]) for k, (x, y) in enumerate(clouds)])
    return points, _labels(samples, classes)


def _counts(samples: int, classes: int) -> tuple[int, int]:
    return checks.whole("samples", samples, at_least=1), checks.whole("classes", classes, at_least=1)


def _labels(samples: int, classes: int) -> Array:
    return np.repeat(np.arange(classes, dtype=np.uint8 if classes <= 256 else np.int64), samples)
