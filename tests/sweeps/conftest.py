import pytest

import downslope as ds
from downslope.sweeps import linear, log, sweep

TINY = {"network": ds.MLP([2, 6, 3]), "data": ds.data.spiral(samples=6), "engine": "reference"}


@pytest.fixture(scope="session")
def tiny():
    """A function: a sweep of a tiny network over 3 learning rates and 2 momentums, two seeds, 4 epochs."""

    def run(optimizer=None, **changes):
        settings = {
            "over": {"learning_rate": log(0.01, 1, 3), "momentum": linear(0, 0.9, 2)},
            "epochs": 4,
            "seeds": 2,
            "threads": 2,
            **TINY,
            **changes,
        }
        return sweep(optimizer=optimizer or ds.SGD(), **settings)

    return run
