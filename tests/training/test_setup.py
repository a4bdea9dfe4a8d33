import numpy as np
import pytest

import downslope as ds
from downslope.errors import InputError
from downslope.training.setup import set_up

SPIRAL = ds.data.spiral(samples=6)
NETWORK = ds.MLP([2, 4, 3])


def test_a_setup_is_what_a_run_begins_with():
    settings = {"batch_size": 5, "validation": 0.3, "seed": 3, "dtype": "float64", "standardize": True}
    setup = set_up(NETWORK, SPIRAL, **settings)
    run = ds.Run(NETWORK, SPIRAL, ds.SGD(), **settings)
    assert (setup.seed, setup.dtype) == (run.seed, run.dtype) == (3, np.float64)
    assert setup.parameters.tobytes() == run.parameters.tobytes()
    assert setup.problem.batch_size == run.problem.batch_size == 5
    for name in ("training", "validation"):
        mine, its = getattr(setup.problem, name), getattr(run.problem, name)
        assert mine.inputs.tobytes() == its.inputs.tobytes()
        assert mine.targets.tobytes() == its.targets.tobytes()


def test_defaults_follow_the_data():
    chapter = set_up(NETWORK, ds.data.spiral(samples=6, seed="chapter"))
    assert (chapter.seed, chapter.problem.seed, chapter.problem.loss.name) == ("chapter", 0, "cross-entropy")
    assert set_up(NETWORK, SPIRAL).problem.batch_size == 18


def test_what_does_not_fit_is_refused():
    with pytest.raises(InputError, match="network must be a network such as"):
        set_up(3, SPIRAL)
    with pytest.raises(InputError, match="data must be a data set such as"):
        set_up(NETWORK, 3)
    with pytest.raises(InputError, match="the network must have 2 inputs"):
        set_up(ds.MLP([3, 3]), SPIRAL)
