"""A loss, gradient, weight or slot that is not finite stops the run, which keeps what it had."""

import re

import numpy as np
import pytest

import downslope as ds
from downslope.network import MeanAbsoluteError


def table(inputs, targets, classes=None):
    inputs = np.asarray(inputs, dtype=float).reshape(len(targets), -1)
    targets = np.asarray(targets) if classes else np.asarray(targets, dtype=float).reshape(len(inputs), -1)
    features = tuple(f"x{i}" for i in range(inputs.shape[1]))
    return ds.data.Dataset("table", inputs, targets, features, classes, ("y",))


SPIRAL = ds.data.spiral(20)
LINE = ds.data.line(40)
EXPLODING = [
    # network, data, optimizer, options: what stops it, whether before any update, and the rate that is to be lowered
    ("weight", [2, 8, 3], SPIRAL, ds.SGD(1e300), {}, 0, "1e+300"),
    ("weight", [2, 8, 3], SPIRAL, ds.SGD(1e300), {"batch_size": 7}, 0, "1e+300"),
    ("loss", [2, 8, 3], SPIRAL, ds.SGD(1e30), {}, None, "1e+30"),
    ("loss", [1, 8, 1], LINE, ds.SGD(ds.Step(1e4, every=1, factor=0.5)), {}, None, None),
    ("loss", [1, 8, 1], LINE, ds.SGD(1e4), {"dtype": "float64", "batch_size": 8, "validation": 0.2}, None, "10000"),
    ("gradient", ds.MLP([2, 3], l2=1e10), SPIRAL, ds.SGD(1.0), {}, 3, "1"),
    ("loss", [1, 4, 1], table([1e30] * 2, [0, 1]), ds.SGD(0.1), {}, 0, None),
    ("loss", [1, 4, 1], table([1, 2], [1e30, 0]), ds.SGD(0.1), {}, 0, None),
    ("gradient", ds.MLP([2, 3], l2=3e38), SPIRAL, ds.SGD(1.0), {}, 0, None),
    ("slot (v)", [1, 1], table([1e25, -2e25], [1e25, 1]), ds.Adam(0.1), {"loss": "mae"}, 0, None),
]


@pytest.mark.parametrize(("what", "network", "data", "optimizer", "options", "epoch", "rate"), EXPLODING)
def test_an_explosion_is_named_and_the_last_finite_state_kept(
    bits, what, network, data, optimizer, options, epoch, rate
):
    run = ds.Run(
        network if isinstance(network, ds.Network) else ds.MLP(network), data, optimizer, guard=None, **options
    )
    with pytest.raises(ds.NonFiniteError) as stopped:
        run.train(1000)
    message = str(stopped.value)
    pattern = r"Training stopped at epoch (\d+) \(step (\d+)\): a (.+) is not finite; (.+)\."
    at_epoch, step, thing, advice = re.fullmatch(pattern, message).groups()
    assert int(step) == run.step + 1
    assert int(at_epoch) == run.epoch
    if epoch is not None:
        assert int(at_epoch) == epoch
    assert thing == what
    if run.step == 0 and what != "weight":
        assert advice.startswith("before any update: standardize the data")
    else:
        last = run.step + (what == "weight")
        assert advice == f"lower learning_rate, which was {rate or format(optimizer.at(last).learning_rate, 'g')}"
    # The state, its history and every question still work.
    state = run.state
    for array in (state.parameters, *state.slots.values()):
        assert np.isfinite(array).all()
    assert len(run.history) == run.epoch
    assert np.isfinite(run.history.loss).all()
    assert len(run.predict(data)) == len(data)
    assert set(run.evaluate()) >= {"loss"}
    # Going on gives the same again, and changes nothing.
    kept = bits(run)
    with pytest.raises(ds.NonFiniteError, match=re.escape(message)):
        run.train(1)
    assert bits(run) == kept


def test_an_explosion_in_the_middle_keeps_the_epochs_before_it(bits):
    def rate(step):
        return 0.1 if step < 23 else 1e300

    run, calm = (ds.Run(ds.MLP([2, 8, 3]), SPIRAL, ds.SGD(rule), batch_size=12) for rule in (rate, 0.1))
    with pytest.raises(
        ds.NonFiniteError, match=r"epoch 4 \(step 24\): a weight .* lower learning_rate, which was 1e\+300"
    ):
        run.train(10)
    calm.train(4)
    assert (run.epoch, run.step, len(run.history)) == (4, 23, 4)
    assert run.history.loss.tolist() == calm.history.loss.tolist()
    assert ds.Run(ds.MLP([2, 8, 3]), SPIRAL, ds.SGD(0.1), batch_size=12).train(5) is None


def test_a_schedule_that_leaves_its_bounds_stops_the_run_whole():
    run = ds.Run(ds.MLP([2, 8, 3]), SPIRAL, ds.SGD(lambda step: 0.1 if step < 7 else float("nan")), batch_size=12)
    with pytest.raises(ds.InputError, match="learning_rate"):
        run.train(10)
    assert (run.epoch, run.step, len(run.history)) == (1, 7, 1)


@pytest.mark.parametrize("loss", ["mse", "mae", "huber"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_questions_to_a_run_about_to_explode_are_quiet(loss, dtype):
    """Finite weights whose outputs are not: neither an error nor a warning, but numbers that say so."""
    huge = 1e25 if dtype == "float32" else 1e200

    def rate(step):
        return huge

    run = ds.Run(ds.MLP([1, 8, 1]), LINE, ds.SGD(rate), loss=loss, dtype=dtype, validation=0.2)
    with pytest.raises(ds.NonFiniteError):
        run.train(5)
    assert run.step >= 1
    assert not np.isfinite(run.predict(LINE)).all()
    measured = run.evaluate("validation")
    assert not np.isfinite(measured["rmse"])


def test_questions_to_a_classifier_about_to_explode_are_quiet():
    run = ds.Run(ds.MLP([2, 8, 3]), SPIRAL, ds.SGD(1e30))
    with pytest.raises(ds.NonFiniteError):
        run.train(5)
    assert not np.isfinite(run.predict_proba(SPIRAL)).all()
    assert set(run.predict(SPIRAL)) <= {0, 1, 2}


def test_a_validation_loss_that_is_infinite_is_recorded_and_does_not_stop():
    outlier = table([1, 2], [1e30, 0])
    line = table(np.linspace(-1, 1, 10), np.linspace(0, 1, 10))
    run = ds.Run(ds.MLP([1, 4, 1]), line, ds.SGD(0.01), validation=outlier)
    run.train(3)
    assert run.history.validation_loss.tolist() == [np.inf] * 3
    assert np.isfinite(run.history.loss).all()


def test_large_numbers_that_fit_train_quietly():
    data = table([1e30, -2e30, 1e30], [1, 2, 3])
    run = ds.Run(ds.MLP([1, 4, 1]), data, ds.SGD(1e-3), standardize=True, loss=MeanAbsoluteError())
    run.train(3)
    assert np.isfinite(run.predict([[1.5e30]])).all()
