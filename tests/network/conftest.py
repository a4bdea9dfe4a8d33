"""What the tests of this room share."""

from __future__ import annotations

import pytest

from downslope.streams import Stream


@pytest.fixture(scope="session")
def draw():
    """Normal numbers for a shape: `draw(seed, (rows, columns))`."""

    def numbers(seed, shape, spread=1.0):
        return spread * Stream(seed, "test").normal(shape)

    return numbers
