"""A run that was saved and loaded goes on with the bits it would have had: parameters, slots, history, log, guard."""

import dataclasses
import warnings

import numpy as np
import pytest

import downslope as ds
from downslope.rules import RULES
from downslope.training.guard import Guard
from downslope.training.saved_state import arrays_of

SPIRAL = ds.data.spiral(41)  # 98 rows train beside a validation part of a fifth, so the last batch is a small one
SINE = ds.data.sine(50)
# A state with one more field is one that is not wholly saved.
STATE = {
    "parameters",
    "last_update",
    "slots",
    "step",
    "epoch",
    "batch",
    "slots_since",
    "learning_rate",
    "totals",
    "guard",
}


def everything(run):
    """Return all that training changes, as one value that can be compared."""
    arrays = arrays_of(run.state, run.history)
    assert {field.name for field in dataclasses.fields(run.state)} == STATE
    bits = {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in arrays.items()}
    log = [entry.describe() for entry in run.log]
    return bits, list(run.state.slots), log, run.optimizer, run.problem.batch_size, run.pending_batch_size


def resumed(run, directory):
    run.save(directory)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        other = ds.Run.load(directory)
    assert everything(other) == everything(run)
    assert (other.id, other.parent, other.first_optimizer) == (run.id, run.parent, run.first_optimizer)
    return other


def train(run, epochs):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ds.GuardWarning)
        run.train(epochs, progress=False)


@pytest.mark.parametrize("name", sorted(RULES))
def test_every_rule_goes_on_in_the_middle_of_an_epoch_as_if_never_interrupted(tmp_path, name):
    network = ds.MLP([2, 8, 8, 3], "tanh", dropout=0.1, l2=1e-4)
    rate = ds.InverseTime(0.02, decay=0.01)
    whole = ds.Run(network, SPIRAL, RULES[name](rate), batch_size=32, validation=0.2, seed=3)
    train(whole, 8)
    other = resumed(whole.at(13), tmp_path)
    assert 0 < other.state.batch < other.problem.steps_per_epoch
    for epochs in (1, 5):
        train(other, epochs)
        other = resumed(other, tmp_path)
    train(whole, other.epoch - whole.epoch)
    assert everything(other) == everything(whole)


VARIANTS = {
    "float64": {"dtype": "float64"},
    "full batch": {"batch_size": None},
    "reference": {"engine": "reference"},
    "blas": {"engine": "blas"},
    "no guard": {"guard": None},
    "clip": {"guard": Guard("clip", clip=1.0)},
    "rollback": {"guard": "rollback"},
    "other validation": {"validation": ds.data.spiral(20, seed=5)},
    "chapter": {"seed": "chapter"},
    "standardized": {"standardize": True},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_every_setting_of_a_run_goes_on(tmp_path, name):
    settings = {"batch_size": 32, "validation": 0.2, "seed": 4, **VARIANTS[name]}
    whole = ds.Run(ds.MLP([2, 8, 3]), SPIRAL, ds.SGD(0.1, momentum=0.9, nesterov=True), **settings)
    train(whole, 6)
    other = resumed(whole.at(5), tmp_path)
    assert other.given["seed"] == whole.given["seed"]
    assert (other.engine, other.dtype, other.guard) == (whole.engine, whole.dtype, whole.guard)
    train(other, whole.epoch - other.epoch)
    assert everything(other) == everything(whole)
    assert other.evaluate() == whole.evaluate()


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
def test_regression_goes_on_and_predicts_in_the_targets_units(tmp_path, loss):
    data = dataclasses.replace(SINE, standardize=True)
    whole = ds.Run(ds.MLP([1, 8, 1]), data, ds.RMSprop(0.01), loss=loss, batch_size=16, validation=0.2, dtype="float64")
    train(whole, 5)
    other = resumed(whole.at(7), tmp_path)
    train(other, whole.epoch - other.epoch)
    assert everything(other) == everything(whole)
    np.testing.assert_array_equal(other.predict(data), whole.predict(data))


def test_a_network_of_every_kind_of_layer_goes_on(tmp_path):
    network = ds.MLP([2, 6, 5, 4, 3], ["gelu", "elu", "softplus"], dropout=0.2, l1=1e-4, initial_weights="normal")
    whole = ds.Run(network, SPIRAL, ds.Adam(0.01), batch_size=50)
    train(whole, 4)
    other = resumed(whole.at(5), tmp_path)
    assert other.network == network
    train(other, whole.epoch - other.epoch)
    assert everything(other) == everything(whole)


def test_changes_go_on_and_those_that_wait_for_the_next_epoch_too(tmp_path):
    def change(run):
        run.change(learning_rate=0.02, momentum=0.5)
        run.change(schedule=ds.Cosine(0.05, steps=100))
        run.change(optimizer=ds.Adam(ds.InverseTime(0.01, decay=1e-3)))
        run.change(batch_size=20)

    whole = ds.Run(ds.MLP([2, 8, 3]), SPIRAL, ds.SGD(0.1, momentum=0.9), batch_size=32, seed=2)
    train(whole, 4)
    begun = whole.at(14)
    change(begun)
    assert begun.pending_batch_size == 20
    other = resumed(begun, tmp_path)
    for run in (begun, other):
        train(run, 4)
        run.change(beta_1=0.8)
    other = resumed(other, tmp_path)
    for run in (begun, other):
        train(run, 3)
    assert len(other.log) >= 5
    assert everything(other) == everything(begun)
    assert other.replayed().parameters.tobytes() == begun.parameters.tobytes()
    assert other.at(9).parameters.tobytes() == begun.at(9).parameters.tobytes()


def test_an_explosion_that_was_rolled_back_goes_on_with_its_log(tmp_path):
    whole = ds.Run(ds.MLP([2, 16, 3]), SPIRAL, ds.SGD(0.5, momentum=0.9), seed=1, guard="rollback")
    train(whole, 60)
    whole.change(learning_rate=500.0)
    train(whole, 40)
    kinds = [entry.kind for entry in whole.log]
    assert "rollback" in kinds
    other = resumed(whole, tmp_path)
    for run in (whole, other):
        run.change(learning_rate=800.0)
        train(run, 40)
    assert everything(other) == everything(whole)


def test_a_branch_remembers_where_it_came_from(tmp_path):
    run = ds.Run(ds.MLP([2, 8, 3]), SPIRAL, ds.SGD(0.1), batch_size=32)
    train(run, 4)
    branch = run.branch(at=6, momentum=0.9)
    other = resumed(branch, tmp_path)
    assert other.parent == branch.parent
    assert other.parent.id == run.id
    for one in (branch, other):
        train(one, 3)
    assert everything(other) == everything(branch)


def test_a_run_that_is_being_made_again_still_meets_what_acted_on_the_first(tmp_path):
    run = ds.Run(ds.MLP([2, 8, 3]), SPIRAL, ds.SGD(0.1), batch_size=32)
    train(run, 3)
    run.change(learning_rate=0.01)
    train(run, 3)
    again = run.at_start()
    train(again, 2)
    other = resumed(again, tmp_path)
    train(other, 4)
    assert everything(other)[0] == everything(run)[0]
    assert other.optimizer == run.optimizer


def test_a_run_that_was_never_trained_is_saved_too(tmp_path):
    run = ds.Run(ds.MLP([2, 8, 3]), SPIRAL, ds.Adam(0.1))
    other = resumed(run, tmp_path)
    for one in (run, other):
        train(one, 2)
    assert everything(other) == everything(run)
