"""Sets drawn from a seed: the spiral and other small pictures, and two curves.

Every set is made from keyed draws and `exact.sin`, so a seed gives the same bits on every machine. They are not
standardized by default: their ranges are already near 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from downslope import checks, exact
from downslope.data.dataset import Dataset, Floats
from downslope.errors import InputError
from downslope.streams import Stream, chapter_normals

__all__ = ["blobs", "circles", "line", "moons", "sine", "spiral", "xor"]

MOST_NUMBERS = 100_000_000  # in one generated table; beyond this a typing slip would fill the memory


def spiral(samples: int = 100, classes: int = 3, seed: int | Literal["chapter"] = 0, noise: float = 0.2) -> Dataset:
    """Return interleaved spiral arms, one a class.

    Point i of class k has radius r = i / (samples − 1) and angle a from 4k to 4(k + 1) in equal steps, plus
    noise · normal; x = r sin(2.5 a), y = r cos(2.5 a).

    Parameters
    ----------
    samples : int
        Points of each class, at least 1.
    classes : int
        Arms, 2 to 1,000.
    seed : int or "chapter"
        "chapter" draws from NumPy's legacy generator with seed 0 and rounds to float32, which gives the very points
        of the source's chapter.
    noise : float
        Standard deviation of the angle before it is multiplied by 2.5, in radians, 0 to 1,000.

    Raises
    ------
    InputError
        If a setting is outside its bounds.

    References
    ----------
    Kinsley and Kukieła, *Neural Networks from Scratch in Python* (2020), chapter 3; after the CS231n case study.
    """
    samples, classes, noise = _settings(samples, noise, classes)
    chapter = isinstance(seed, str)
    if chapter and seed != "chapter":
        raise checks.refuse("seed", 'a whole number at least 0, or "chapter"', seed)
    draw = chapter_normals if chapter else Stream(_seed(seed), "data").normal
    inputs = spiral_points(draw(samples * classes), samples, classes, noise, (exact.sin, exact.cos))
    if chapter:  # sines rounded to float32 are the chapter's, whichever library took them
        inputs = inputs.astype(np.float32).astype(np.float64)
    return _labelled("spiral", inputs, classes, seed, normals_drawn=samples * classes if chapter else 0)


def spiral_points(
    normals: NDArray[Any],
    samples: int,
    classes: int,
    noise: float,
    waves: tuple[Callable[[Any], Any], Callable[[Any], Any]],
) -> Floats:
    """Return the points of `spiral`, shape (samples·classes, 2), from normal numbers and a sine and a cosine."""
    sine, cosine = waves
    radius = np.tile(np.linspace(0.0, 1.0, samples), classes)
    angle = np.concatenate([np.linspace(4 * k, 4 * (k + 1), samples) for k in range(classes)])
    turned = (angle + normals * noise) * 2.5
    return np.column_stack([radius * sine(turned), radius * cosine(turned)])


def moons(samples: int = 100, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Return two interleaved half circles: (cos t, sin t) and (1 − cos t, ½ − sin t), t from 0 to π, plus noise.

    Parameters
    ----------
    samples : int
        Points of each of the two classes, at least 1.
    noise : float
        Standard deviation of both coordinates, 0 to 1,000.
    seed : int
        Of the noise.

    Raises
    ------
    InputError
        If a setting is outside its bounds.
    """
    samples, _, noise = _settings(samples, noise)
    t = np.linspace(0.0, math.pi, samples)
    cosine, sine = exact.cos(t), exact.sin(t)
    points = np.concatenate([np.column_stack([cosine, sine]), np.column_stack([1.0 - cosine, 0.5 - sine])])
    return _labelled("moons", points + noise * Stream(_seed(seed), "data").normal(points.shape), 2, seed)


def circles(samples: int = 100, noise: float = 0.05, seed: int = 0) -> Dataset:
    """Return two rings, of radius 1 (class 0) and ½ (class 1), plus noise.

    Parameters
    ----------
    samples : int
        Points of each of the two classes, at least 1.
    noise : float
        Standard deviation of both coordinates, 0 to 1,000.
    seed : int
        Of the noise.

    Raises
    ------
    InputError
        If a setting is outside its bounds.
    """
    samples, _, noise = _settings(samples, noise)
    t = np.arange(samples) * (2.0 * math.pi / samples)
    ring = np.column_stack([exact.cos(t), exact.sin(t)])
    points = np.concatenate([ring, 0.5 * ring])
    return _labelled("circles", points + noise * Stream(_seed(seed), "data").normal(points.shape), 2, seed)


def blobs(samples: int = 100, classes: int = 3, features: int = 2, noise: float = 1.0, seed: int = 0) -> Dataset:
    """Return one round cloud a class, with centres drawn uniformly from [−5, 5] in each feature.

    Parameters
    ----------
    samples : int
        Points of each class, at least 1.
    classes : int
        Clouds, 2 to 1,000.
    features : int
        Input columns, 1 to 10,000.
    noise : float
        Spread of a cloud: the standard deviation of each feature, 0 to 1,000.
    seed : int
        Of the centres and the points.

    Raises
    ------
    InputError
        If a setting is outside its bounds.
    """
    features = checks.whole("features", features, at_least=1, at_most=10_000)
    samples, classes, noise = _settings(samples, noise, classes, features)
    stream = Stream(_seed(seed), "data")
    centres = 10.0 * stream.uniform((classes, features)) - 5.0
    points = np.repeat(centres, samples, axis=0) + noise * stream.normal((samples * classes, features))
    return _labelled("blobs", points, classes, seed)


def xor(samples: int = 100, noise: float = 0.05, seed: int = 0) -> Dataset:
    """Return the four quadrants of a square: class 1 where x and y have different signs, class 0 where they agree.

    |x| and |y| are uniform in [0, 1); the noise is added afterwards and blurs the borders.

    Parameters
    ----------
    samples : int
        Points of each of the two classes, at least 1; each class takes its two quadrants in turn.
    noise : float
        Standard deviation of both coordinates, 0 to 1,000.
    seed : int
        Of the points and the noise.

    Raises
    ------
    InputError
        If a setting is outside its bounds.
    """
    samples, _, noise = _settings(samples, noise)
    stream = Stream(_seed(seed), "data")
    side = np.where(np.arange(samples) % 2 == 0, 1.0, -1.0)
    signs = np.concatenate([np.column_stack([side, side]), np.column_stack([side, -side])])
    points = signs * stream.uniform(signs.shape)
    return _labelled("xor", points + noise * stream.normal(points.shape), 2, seed)


def line(samples: int = 100, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Return a noisy straight line to fit: y = 2x − 1 + noise · normal, x from −1 to 1 in equal steps.

    Parameters
    ----------
    samples : int
        Points, at least 1.
    noise : float
        Standard deviation of y, 0 to 1,000.
    seed : int
        Of the noise.

    Raises
    ------
    InputError
        If a setting is outside its bounds.
    """
    samples, _, noise = _settings(samples, noise)
    x = np.linspace(-1.0, 1.0, samples)
    return _curve("line", x, 2.0 * x - 1.0, noise, seed)


def sine(samples: int = 100, noise: float = 0.1, seed: int = 0) -> Dataset:
    """Return one noisy period of a sine to fit: y = sin(2πx) + noise · normal, x from 0 to 1 in equal steps.

    Parameters
    ----------
    samples : int
        Points, at least 1.
    noise : float
        Standard deviation of y, 0 to 1,000.
    seed : int
        Of the noise.

    Raises
    ------
    InputError
        If a setting is outside its bounds.
    """
    samples, _, noise = _settings(samples, noise)
    x = np.linspace(0.0, 1.0, samples)
    return _curve("sine", x, exact.sin(2.0 * math.pi * x), noise, seed)


def _settings(samples: int, noise: float, classes: int = 2, width: int = 2) -> tuple[int, int, float]:
    classes = checks.whole("classes", classes, at_least=2, at_most=1_000)
    samples = checks.whole("samples", samples, at_least=1, at_most=MOST_NUMBERS // (classes * width))
    return samples, classes, checks.real("noise", noise, checks.Interval(at_least=0, at_most=1_000))


def _seed(seed: Any) -> int:
    if seed == "chapter" and isinstance(seed, str):
        raise InputError('seed="chapter" draws the chapter\'s own spiral, and no other set is drawn from it')
    return checks.whole("seed", seed, at_least=0, at_most=2**64 - 1)


def _labelled(
    name: str, inputs: Floats, classes: int, seed: int | Literal["chapter"], normals_drawn: int = 0
) -> Dataset:
    width = inputs.shape[1]
    features = ("x", "y") if width == 2 else tuple(f"x{i + 1}" for i in range(width))
    labels: NDArray[np.int64] = np.repeat(np.arange(classes, dtype=np.int64), len(inputs) // classes)
    named = tuple(str(k) for k in range(classes))
    drawn_from: int | Literal["chapter"] = "chapter" if isinstance(seed, str) else int(seed)
    return Dataset(name, inputs, labels, features, named, ("class",), drawn_from, False, normals_drawn)


def _curve(name: str, x: Floats, y: Floats, noise: float, seed: int) -> Dataset:
    noisy = y + noise * Stream(_seed(seed), "data").normal(len(y))
    return Dataset(name, x[:, None], noisy[:, None], ("x",), None, ("y",), int(seed), False)
