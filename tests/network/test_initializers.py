from __future__ import annotations

import math

import numpy as np
import pytest

from downslope.network import Chapter, Glorot, He, Normal, Uniform, initializer
from downslope.streams import Stream

INPUTS, OUTPUTS = 40, 250
# Each law, its standard deviation, and the bound of its values (None: no bound).
LAWS = [
    (Chapter(), 0.01, None),
    (Glorot(), math.sqrt(2 / (INPUTS + OUTPUTS)), math.sqrt(6 / (INPUTS + OUTPUTS))),
    (He(), math.sqrt(2 / INPUTS), None),
    (Normal(std=0.3), 0.3, None),
    (Uniform(limit=0.6), 0.6 / math.sqrt(3), 0.6),
]


@pytest.mark.parametrize(("law", "std", "bound"), LAWS)
def test_spread_of_each_law(law, std, bound):
    weights = law.weights(Stream(3, "weights"), INPUTS, OUTPUTS)
    assert (weights.shape, weights.dtype) == ((INPUTS, OUTPUTS), np.float64)
    # 10,000 numbers: the standard error of their mean is 1 % of std, that of their spread below 0.8 %.
    assert abs(weights.mean()) < 0.04 * std
    assert weights.std() == pytest.approx(std, rel=0.03)
    # The fourth moment tells a uniform law (9/5) from a normal one (3).
    kurtosis = (weights**4).mean() / (weights**2).mean() ** 2
    assert kurtosis == pytest.approx(3.0 if bound is None else 1.8, rel=0.08)
    if bound is not None:
        assert 0.99 * bound < np.abs(weights).max() <= bound


def test_one_stream_gives_one_set_of_weights():
    first, again, other = (He().weights(Stream(seed, "weights"), 3, 4) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).all()


def test_default_settings():
    assert initializer("normal") == Normal(std=0.05)
    assert initializer("uniform") == Uniform(limit=0.05)
