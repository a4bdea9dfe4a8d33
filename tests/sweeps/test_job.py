import dataclasses
import pickle
from collections.abc import Sequence

import numpy as np
import pytest

import downslope as ds
from downslope.errors import InputError
from downslope.sweeps import linear, log, plan, values
from downslope.sweeps.work import Bench

DATA = ds.data.spiral(samples=6)
NET = ds.MLP([2, 6, 3])


def planned(optimizer=None, network=NET, data=DATA, **settings):
    settings = {"over": {"learning_rate": log(0.01, 1, 3)}, "epochs": 2, **settings}
    return plan(network, data, optimizer or ds.SGD(), **settings)


def test_runs_are_numbered_by_cell_and_seed():
    job = planned(over={"learning_rate": [0.1, 0.2], "momentum": [0, 0.5, 0.9]}, seeds=[7, 3])
    assert (job.shape, job.cells, job.planned) == ((2, 3), 6, 12)
    assert [job.settings_of(cell)["momentum"] for cell in range(6)] == [0.0, 0.5, 0.9] * 2
    assert [job.settings_of(cell)["learning_rate"] for cell in range(6)] == [0.1] * 3 + [0.2] * 3
    assert [job.seed_of(run) for run in range(4)] == [7, 3, 7, 3]
    assert len({job.key(run) for run in range(12)}) == 12


def test_settings_have_their_own_types():
    job = planned(over={"nesterov": [False, True], "batch_size": log(2, 18, 3), "momentum": [0, 0.5]})
    assert job.over["nesterov"].values == (False, True)
    assert job.over["batch_size"].values == (2, 6, 18)
    assert job.over["momentum"].values == (0.0, 0.5)
    assert isinstance(job.over["momentum"].values[0], float)


def test_decay_and_the_base_of_a_schedule():
    both = planned(over={"learning_rate": [0.1, 0.2], "decay": [0, 0.01]})
    assert both.rule_of(both.settings_of(3)) == ds.SGD(ds.InverseTime(0.2, decay=0.01))
    alone = planned(ds.SGD(ds.InverseTime(0.5, decay=1.0)), over={"decay": [0.1]})
    assert alone.rule_of(alone.settings_of(0)) == ds.SGD(ds.InverseTime(0.5, decay=0.1))
    based = planned(ds.Adam(ds.Cosine(1.0, steps=9)), over={"learning_rate": [0.1, 0.2]})
    assert based.rule_of(based.settings_of(1)) == ds.Adam(ds.Cosine(0.2, steps=9))


def test_a_key_is_of_the_run_not_of_the_sweep():
    one = planned(over={"learning_rate": [0.1, 0.2]}, seeds=2)
    other = planned(ds.SGD(0.3), over={"momentum": [0.0, 0.5], "learning_rate": [0.05, 0.2]}, seeds=[4, 1])
    assert one.settings_of(1) | {"momentum": 0.0} == other.settings_of(1)
    assert one.key(3) == other.key(3)
    assert one.digest != other.digest
    assert planned().digest == planned(ds.SGD(0.7)).digest  # what is swept over does not count


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 3},
        {"network": ds.MLP([2, 6, 3], "tanh")},
        {"data": ds.data.spiral(samples=6, seed=1)},
        {"optimizer": ds.SGD(momentum=0.5)},
        {"optimizer": ds.SGD(momentum=lambda k: 0.5)},
        {"batch_size": 5},
        {"validation": 0.3},
        {"validation": DATA},
        {"dtype": "float64"},
        {"standardize": True},
        {"seeds": [1]},
    ],
)
def test_everything_that_shapes_a_run_changes_its_key(change):
    assert planned(**change).key(0) != planned().key(0)
    assert planned(**change).digest != planned().digest


def test_the_same_data_and_its_default_standardization_give_the_same_key():
    assert planned(standardize=False).key(0) == planned().key(0)
    chapter = planned(data=ds.data.spiral(samples=6, seed="chapter"), seeds="chapter")
    assert chapter.seeds == ("chapter",)
    assert chapter.set_up("chapter", None).seed == "chapter"


def test_the_engine_is_that_of_the_run():
    assert planned(engine="reference").key(0) != planned(engine="compiled").key(0)
    assert planned().key(0) == planned(engine="compiled").key(0)
    wide = planned(network=ds.MLP([2, 512, 512, 3]), over={"batch_size": [4, 16, 999]})
    assert [wide.engine_of(size) for size in (4, 15, 16, None)] == ["compiled", "compiled", "blas", "blas"]
    assert wide.rows == 18
    few = planned(network=ds.MLP([2, 512, 512, 3]), data=ds.data.spiral(samples=5), batch_size=999)
    assert few.engine_of(999) == "compiled"  # 15 rows


def test_seeds():
    assert planned(seeds=10**8).planned == 3 * 10**8
    assert planned(seeds=np.int64(3)).seeds == range(3)
    assert planned(seeds=[0, 1]).digest == planned(seeds=2).digest
    assert planned(seeds=np.array([5, 2**63], dtype=np.uint64)).seeds == (5, 2**63)


def test_counted_seeds_are_never_gone_through():
    class Counted(Sequence):
        def __len__(self):
            return 10**7

        def __getitem__(self, place):
            assert place == 3
            return 3

        def __iter__(self):
            raise AssertionError

        def __contains__(self, value):
            raise AssertionError

    job = dataclasses.replace(planned(seeds=4, engine="reference"), seeds=Counted())
    assert job.planned == 3 * 10**7
    assert job.key(3) == planned(seeds=4, engine="reference").key(3)
    assert len(Bench(job).work([3]).summary) == 1


def halving(k):
    return 0.1 * 0.5**k


def test_a_job_can_be_sent():
    job = planned(ds.SGD(momentum=halving), validation=DATA, seeds=2)
    twin = pickle.loads(pickle.dumps(job))
    assert (twin.digest, twin.key(5)) == (job.digest, job.key(5))


class Odd(ds.Optimizer):
    """A rule with settings whose names are taken."""

    learning_rate = ds.setting(0.1, above=0, meaning="size of a step")
    seed = ds.setting(0.1, meaning="something else")
    decay = ds.setting(0.5, at_most=1, meaning="its own")

    def update(xp, parameter, gradient, learning_rate, seed, decay):  # noqa: N805 - a static formula
        return parameter - learning_rate * gradient * seed * decay


def test_a_rules_own_decay_is_its_own():
    job = planned(Odd(), over={"decay": [0.2]})
    assert job.rule_of(job.settings_of(0)) == Odd(decay=0.2)


CHAIN = ds.Cosine(0.1, steps=9).then(ds.Constant(0.1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"over": {}}, "over must be settings with their values, such as"),
        ({"over": None}, "over must be settings with their values, such as"),
        ({"over": ["momentum"]}, "over must be settings with their values, such as"),
        (
            {"over": {"momentun": [0.1]}},
            "over must name settings to sweep: learning_rate, momentum, nesterov, batch_size, decay. "
            "Received: 'momentun'. Did you mean 'momentum'?",
        ),
        ({"over": {3: [0.1]}}, "over must name settings to sweep"),
        ({"over": {"momentum": linear(0, 1, 3)}}, "momentum must be at least 0 and below 1. Received: momentum=1.0"),
        ({"over": {"learning_rate": [0.0]}}, "learning_rate must be above 0. Received: learning_rate=0"),
        ({"over": {"nesterov": [0.5]}}, "nesterov must be True or False. Received: nesterov=0.5"),
        ({"over": {"batch_size": [2.5]}}, "batch_size must be a whole number at least 1"),
        ({"over": {"batch_size": [0, 5]}}, "batch_size must be a whole number at least 1"),
        ({"over": {"decay": [-1]}}, "decay must be at least 0. Received: decay=-1"),
        ({"over": {"momentum": 0.5}}, "momentum must be a range such as linear(0, 0.99, 32), or a list of values"),
        ({"over": {"momentum": "0:1"}}, "momentum must be LOW:HIGH:COUNT"),
        ({"over": {"batch_size": [5]}, "batch_size": 3}, "batch_size must be either fixed or swept."),
        ({"optimizer": ds.SGD(CHAIN)}, "learning_rate must be a number, or a schedule with a base."),
        ({"optimizer": ds.SGD(lambda k: 0.1)}, "learning_rate must be a number, or a schedule with a base. "),
        (
            {"optimizer": ds.SGD(ds.Cosine(0.1, steps=9)), "over": {"decay": [0.1], "learning_rate": [1.0]}},
            "learning_rate must be a number, or an InverseTime schedule, to sweep its decay.",
        ),
        (
            {"optimizer": Odd(), "over": {"seed": [0.1]}},
            "over must not sweep a setting with the name of a result's column. Received: 'seed'",
        ),
        ({"seeds": 0}, "seeds must be a whole number at least 1. Received: seeds=0"),
        ({"seeds": -2}, "seeds must be a whole number at least 1. Received: seeds=-2"),
        ({"seeds": []}, "seeds must be at least one whole number. Received: seeds=[]"),
        ({"seeds": [1, -2]}, "seeds[1] must be a whole number at least 0"),
        ({"seeds": [1, 2, 1]}, "seeds must differ from one another. Received: 1 more than once"),
        ({"seeds": [0.5]}, "seeds[0] must be a whole number"),
        ({"seeds": "chaptr"}, 'seeds must be a count, a list of whole numbers, or "chapter"'),
        ({"seeds": 10**10}, "a sweep must have at most 2,147,483,647 runs. Received: 30,000,000,000"),
        ({"epochs": 0}, "epochs must be a whole number at least 1. Received: epochs=0"),
        ({"epochs": 2.5}, "epochs must be a whole number at least 1"),
        ({"history_every": 0}, "history_every must be a whole number at least 1"),
        ({"keep_parameters": 1}, "keep_parameters must be True or False"),
        ({"engine": "referense"}, "engine must be one of "),
        ({"network": ds.MLP([3, 3])}, "the network must have 2 inputs for spiral"),
        ({"network": 3}, "network must be a network such as"),
        ({"data": 3}, "data must be a data set such as"),
        ({"optimizer": ds.SGD}, "optimizer must be an optimizer such as"),
        ({"loss": "mse"}, "loss must be one for classification"),
        ({"validation": 1.5}, "validation must be at least 0 and below 1"),
        ({"dtype": "float16"}, "dtype must be one of float32, float64"),
    ],
)
def test_bad_plans_are_refused_in_one_sentence(changes, message):
    with pytest.raises(InputError) as error:
        planned(**changes)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_a_whole_setting_of_values():
    with pytest.raises(InputError, match="several round to 2"):
        planned(over={"batch_size": linear(1, 3, 5)})
    assert planned(over={"batch_size": values([4.0, 8.0])}).over["batch_size"].values == (4, 8)
