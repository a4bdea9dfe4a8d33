"""The same bits: again, in another process, in pieces, and after being cut short anywhere."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import downslope as ds
from downslope import rules
from downslope.errors import InputError

RULES = sorted(
    name for name in rules.__all__ if isinstance(rule := getattr(rules, name), type) and issubclass(rule, ds.Optimizer)
)
RULES.remove("Optimizer")


def make(rule="Adam", *, rate=0.01, batch_size=16, validation=0.25, dropout=0.2, kind="classification", **options):
    schedule = ds.InverseTime(rate, decay=0.01)
    optimizer = ds.SGD(schedule, momentum=0.9) if rule == "SGD" else getattr(ds, rule)(schedule)
    data = ds.data.spiral(20, seed=1) if kind == "classification" else ds.data.sine(60, seed=1)
    network = ds.MLP([len(data.features), 6, 3 if kind == "classification" else 1], dropout=dropout, l2=1e-3)
    return ds.Run(network, data, optimizer, batch_size=batch_size, validation=validation, seed=4, **options)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_rule_in_pieces(bits, rule, dtype):
    straight, pieces = make(rule, dtype=dtype), make(rule, dtype=dtype)
    straight.train(6)
    for epochs in (1, 0, 3, 2):
        pieces.train(epochs)
    assert bits(pieces) == bits(straight)
    assert straight.step == 6 * 3
    assert {slot.dtype for slot in straight.state.slots.values()} <= {np.dtype(dtype)}
    assert len(straight.history) == straight.epoch == pieces.epoch == 6


@settings(max_examples=25)
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=4),
    st.sampled_from([None, 1, 7, 16, 60, 1000]),
    st.sampled_from([0.0, 0.1, 0.5]),
    st.sampled_from([0.0, 0.5]),
    st.sampled_from(["classification", "regression"]),
)
def test_any_pieces(bits, parts, batch_size, validation, dropout, kind):
    options = {"batch_size": batch_size, "validation": validation, "dropout": dropout, "kind": kind}
    straight, pieces = make(**options), make(**options)
    straight.train(sum(parts))
    for epochs in parts:
        pieces.train(epochs)
    assert bits(pieces) == bits(straight)


def test_each_setting_of_the_run_changes_the_bits(bits):
    """Guards the comparisons above: were `bits` blind to something, they would prove nothing."""
    runs = [
        make(),
        make(rate=0.011),
        make(batch_size=15),
        make(dropout=0.3),
        make(validation=0.3),
        make(dtype="float64"),
        make("AMSGrad"),
    ]
    for run in runs:
        run.train(3)
    assert len({bits(run) for run in runs}) == len(runs)
    assert len({bits(run)[1] for run in runs}) == len(runs)


PROGRAM = """
import hashlib
import downslope as ds
data = ds.data.spiral(30, seed=2)
run = ds.Run(ds.MLP([2, 16, 3], dropout=0.1), data, ds.Adam(0.01), batch_size=13, validation=0.2, seed=9)
run.train(5); run.train(3)
arrays = (run.parameters, run.history.loss, run.history.update_ratio)
print(hashlib.sha256(b"".join(array.tobytes() for array in arrays)).hexdigest())
"""


def test_separate_processes():
    printed = [
        subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True).stdout for _ in "ab"
    ]
    assert printed[0] == printed[1]
    assert len(printed[0].strip()) == 64


class ExpectedError(Exception):
    """Raised on purpose."""


def fail():
    raise ExpectedError


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("validation", [0.0, 0.25])
@pytest.mark.parametrize("step", [1, 2, 3, 4, 8, 9])
def test_an_error_at_any_step_and_on_with_the_same_bits(bits, disturb, step, validation, after):
    straight = make(validation=validation)
    straight.train(4)
    disturb(step, fail, after=after)
    cut = make(validation=validation)
    with pytest.raises(ExpectedError):
        cut.train(4)
    assert cut.step == step - (not after)
    cut.train(4 - cut.epoch)
    assert bits(cut) == bits(straight)


@pytest.mark.parametrize("step", [1, 2, 3, 5, 6, 11, 12])
def test_ctrl_c_keeps_the_step_under_way_and_goes_on_with_the_same_bits(bits, disturb, step):
    straight = make()
    straight.train(4)
    disturb(step)
    cut = make()
    with pytest.raises(KeyboardInterrupt):
        cut.train(4)
    assert cut.step == step
    assert len(cut.history) == cut.epoch == step // 3
    cut.train(4 - cut.epoch)
    assert bits(cut) == bits(straight)
    cut.train(0)
    assert bits(cut) == bits(straight)


def test_an_epoch_cut_short_is_the_first_of_the_next_call(disturb):
    disturb(4)
    run = make()
    with pytest.raises(KeyboardInterrupt):
        run.train(3)
    run.train(1)
    assert (run.epoch, run.step) == (2, 6)


def test_an_error_in_on_epoch_leaves_the_run_whole(bits):
    straight, cut = make(), make()
    straight.train(4)

    def on_epoch(run, epoch):
        if epoch == 1:
            raise ExpectedError

    with pytest.raises(ExpectedError):
        cut.train(4, on_epoch=on_epoch)
    assert (cut.epoch, len(cut.history)) == (2, 2)
    cut.train(2)
    assert bits(cut) == bits(straight)


def test_on_epoch_sees_every_epoch_recorded_and_may_ask_anything():
    run, seen = make(), []

    def on_epoch(given, epoch):
        assert given is run
        seen.append(
            (epoch, run.epoch, run.step, len(run.history), run.evaluate()["loss"], run.history.row(-1)["epoch"])
        )
        assert run.predict(run.data).shape == (60,)

    run.train(2, on_epoch=on_epoch)
    run.train(1, on_epoch=on_epoch)
    assert [row[:4] + row[5:] for row in seen] == [(0, 1, 3, 1, 0), (1, 2, 6, 2, 1), (2, 3, 9, 3, 2)]
    assert len({row[4] for row in seen}) == 3


def test_training_the_run_in_on_epoch_is_refused_and_leaves_it_whole(bits):
    straight, run = make(), make()
    straight.train(6)
    with pytest.raises(InputError, match="trained by one call at a time"):
        run.train(4, on_epoch=lambda run, epoch: run.train(2))
    assert (run.epoch, len(run.history)) == (1, 1)
    run.train(5)
    assert bits(run) == bits(straight)


@pytest.mark.parametrize(("every", "called"), [(1, [0, 1, 2, 3, 4, 5, 6]), (3, [0, 3, 6]), (100, [0])])
def test_on_epoch_every_so_many_epochs_whatever_the_pieces(bits, every, called):
    straight, run, seen = make(), make(), []
    straight.train(7)

    def on_epoch(run, epoch):
        seen.append((epoch, run.epoch, len(run.history)))

    for epochs in (2, 0, 1, 4):
        run.train(epochs, on_epoch=on_epoch, every=every)
    assert seen == [(epoch, epoch + 1, epoch + 1) for epoch in called]
    assert bits(run) == bits(straight)


def test_a_copy_has_a_history_of_its_own_and_can_be_trained(bits):
    straight, run, copies = make(), make(), []
    straight.train(5)
    run.train(2, on_epoch=lambda run, epoch: copies.append(copy.copy(run)))
    copies[0].train(4)
    assert (run.epoch, len(run.history)) == (2, 2)
    assert bits(copies[0]) == bits(straight)


def test_another_run_may_be_trained_in_on_epoch(bits):
    straight, run, other = make(), make(), make()
    straight.train(3)
    run.train(3, on_epoch=lambda *_: other.train(1))
    assert bits(run) == bits(other) == bits(straight)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda run: pickle.loads(pickle.dumps(run))])
@pytest.mark.parametrize("during", [False, True])
def test_a_copy_goes_its_own_way_to_the_same_bits(bits, copied, during):
    straight, run, copies = make(), make(), []
    straight.train(5)
    if during:  # copied from within training
        run.train(2, on_epoch=lambda run, epoch: copies.append(copied(run)) if epoch == 1 else None)
    else:
        run.train(2)
        copies.append(copied(run))
    before = bits(run)
    copies[0].train(3)
    assert bits(run) == before
    run.train(3)
    assert bits(copies[0]) == bits(run) == bits(straight)
    assert copies[0].predict(run.data).tolist() == run.predict(run.data).tolist()
