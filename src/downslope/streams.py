"""Random draws keyed by (seed, purpose, index), so that no draw depends on what was drawn before it.

The generator is Philox 4×64-10 (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"), whose raw words
NumPy keeps stable. Uniform and normal numbers are made here from + − × ÷ √ alone, so they have the same bits on
every processor and under every NumPy version.
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope import checks, exact

__all__ = ["Stream", "chapter_normals", "purpose_word"]


class Stream:
    """One stream of random numbers.

    Parameters
    ----------
    seed : int
        At least 0 and below 2⁶⁴.
    purpose : str
        What the numbers are for: "data", "weights", "shuffle", "dropout", "split".
    index : int
        Which one of that purpose: the epoch, the step, the layer. At least 0 and below 2⁶⁴.
    """

    def __init__(self, seed: int, purpose: str, index: int = 0) -> None:
        checks.whole("seed", seed, at_least=0, at_most=2**64 - 1)
        checks.whole("index", index, at_least=0, at_most=2**64 - 1)
        key = np.array([seed, purpose_word(purpose)], dtype=np.uint64)
        counter = np.array([0, 0, 0, index], dtype=np.uint64)
        self._words = np.random.Philox(key=key, counter=counter)

    def words(self, count: int) -> NDArray[np.uint64]:
        """Return `count` random 64-bit words."""
        return np.asarray(self._words.random_raw(count), dtype=np.uint64)

    def uniform(self, shape: int | tuple[int, ...]) -> NDArray[np.float64]:
        """Return float64 numbers, uniform in [0, 1), multiples of 2⁻⁵³."""
        return self._fractions(shape) * 2.0**-53

    def normal(self, shape: int | tuple[int, ...]) -> NDArray[np.float64]:
        """Return float64 standard normal numbers (inverse of the distribution, one word each)."""
        # The largest fraction plus a half would round to 1, whose quantile is infinite.
        return _normal_quantile(np.minimum((self._fractions(shape) + 0.5) * 2.0**-53, 1.0 - 2.0**-53))

    def permutation(self, count: int) -> NDArray[np.int64]:
        """Return 0 … count − 1 in random order: the order of `count` random words."""
        return np.argsort(self.words(count), kind="stable").astype(np.int64)

    def _fractions(self, shape: int | tuple[int, ...]) -> NDArray[np.float64]:
        count = shape if isinstance(shape, int) else math.prod(shape)
        return (self.words(count) >> np.uint64(11)).astype(np.float64).reshape(shape)


def purpose_word(purpose: str) -> int:
    """Return the second word of the key of a purpose's streams: 8 bytes of the BLAKE2b hash of its name."""
    return int.from_bytes(hashlib.blake2b(purpose.encode(), digest_size=8).digest(), "little")


def chapter_normals(shape: int | tuple[int, ...], skip: int = 0) -> NDArray[np.float32]:
    """Return standard normal numbers as the chapter draws them, after `skip` others.

    They come from NumPy's legacy generator with seed 0, as float32, its default type. The chapter draws the data first
    and then each layer's weights from this one stream.
    """
    stream = np.random.RandomState(0)
    stream.standard_normal(skip)
    return np.asarray(stream.standard_normal(shape), dtype=np.float32)


# Wichura (1988), "Algorithm AS 241: the percentage points of the normal distribution", routine PPND16:
# rational approximations to about 1 part in 10¹⁶; numerator and denominator, highest power first.
_CENTRE = (
    [2509.0809287301226727, 33430.575583588128105, 67265.770927008700853, 45921.953931549871457,
     13731.693765509461125, 1971.5909503065514427, 133.14166789178437745, 3.387132872796366608],
    [5226.495278852854561, 28729.085735721942674, 39307.89580009271061, 21213.794301586595867,
     5394.1960214247511077, 687.1870074920579083, 42.313330701600911252, 1.0],
)  # fmt: skip
_MIDDLE = (
    [7.7454501427834140764e-4, 0.0227238449892691845833, 0.24178072517745061177, 1.27045825245236838258,
     3.64784832476320460504, 5.7694972214606914055, 4.6303378461565452959, 1.42343711074968357734],
    [1.05075007164441684324e-9, 5.475938084995344946e-4, 0.0151986665636164571966, 0.14810397642748007459,
     0.68976733498510000455, 1.6763848301838038494, 2.05319162663775882187, 1.0],
)  # fmt: skip
_TAIL = (
    [2.01033439929228813265e-7, 2.71155556874348757815e-5, 0.0012426609473880784386, 0.026532189526576123093,
     0.29656057182850489123, 1.7848265399172913358, 5.4637849111641143699, 6.6579046435011037772],
    [2.04426310338993978564e-15, 1.4215117583164458887e-7, 1.8463183175100546818e-5, 7.868691311456132591e-4,
     0.0148753612908506148525, 0.13692988092273580531, 0.59983220655588793769, 1.0],
)  # fmt: skip


def _ratio(coefficients: tuple[list[float], list[float]], x: NDArray[np.float64]) -> Any:
    above, below = (0.0 * x + terms[0] for terms in coefficients)
    for top, bottom in zip(coefficients[0][1:], coefficients[1][1:], strict=True):
        above, below = above * x + top, below * x + bottom
    return above / below


def _normal_quantile(p: NDArray[np.float64]) -> NDArray[np.float64]:
    q = p - 0.5
    centre = q * _ratio(_CENTRE, 0.180625 - q * q)
    r = np.sqrt(-exact.log(np.minimum(p, 1.0 - p)))
    outside = np.where(r <= 5.0, _ratio(_MIDDLE, r - 1.6), _ratio(_TAIL, r - 5.0))
    value: NDArray[np.float64] = np.where(np.abs(q) <= 0.425, centre, np.where(q < 0, -outside, outside))
    return value
