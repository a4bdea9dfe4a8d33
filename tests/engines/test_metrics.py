import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import r2_score

from downslope.engines import metrics
from downslope.engines.metrics import labels, score, stopped, tally
from downslope.engines.problem import Part
from downslope.network import loss

norm = np.errstate(all="ignore")(metrics.norm)
FINITE = partial(st.floats, allow_nan=False, allow_infinity=False)


@given(hnp.arrays(np.float64, st.integers(0, 20), elements=FINITE(-1e150, 1e150)))
def test_norm_is_the_exactly_summed_one(vector):
    # Subnormal squares are not asked for: fsum of them has lost its digits before the norm has.
    exact = math.hypot(*vector.tolist()) if len(vector) else 0.0
    assert norm(vector) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize(
    ("values", "dtype", "expected"),
    [
        ([3, 4], "float32", 5.0),
        ([0, 0], "float32", 0.0),
        ([3e38, -3e38], "float32", 4.2426406e38),
        ([3e200, 4e200], "float64", 5e200),
        ([3e-200, -4e-200], "float64", 5e-200),
        ([1, math.inf], "float32", math.inf),
        ([-math.inf, 0], "float64", math.inf),
        ([1e300, math.nan], "float64", math.nan),
        ([math.inf, math.nan], "float32", math.nan),
        ([], "float32", 0.0),
    ],
)
def test_norm_at_the_ends_of_the_range(values, dtype, expected):
    assert norm(np.array(values, dtype=dtype)) == pytest.approx(expected, rel=1e-7, nan_ok=True)


def test_norm_of_float32_is_summed_in_float64():
    vector = np.full(300_000, 0.1, dtype=np.float32)
    assert norm(vector) == pytest.approx(math.sqrt(300_000) * float(np.float32(0.1)), rel=1e-12)


def test_labels_are_the_largest_output_or_the_sign_of_the_only_one():
    assert labels(np.array([[0.1, 0.3, 0.2], [5.0, -1.0, 5.0]])).tolist() == [1, 0]
    # 1e-30 above zero is class 1, although its probability rounds to one half.
    assert labels(np.array([[1e-30], [0.0], [-2.0]])).tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("outputs", "targets", "name", "expected"),
    [
        ([[1, 0], [0, 1], [2, 1], [0, 3]], [0, 1, 1, 1], "cross-entropy", 0.75),
        ([[1], [-1], [2], [3]], [1, 1, 1, 0], "bce", 0.5),
        ([[-1], [-1]], [0, 0], "bce", 1.0),
    ],
)
def test_accuracy(outputs, targets, name, expected):
    part = Part(np.zeros((len(targets), 1)), np.array(targets))
    chosen = loss(name)
    assert score(chosen, tally(chosen, np.array(outputs, dtype=np.float32), part.targets), part) == expected


@given(st.data(), st.integers(2, 12), st.integers(1, 3))
def test_r2_is_scikit_learns_whatever_the_units(data, rows, targets):
    numbers = hnp.arrays(np.float64, (rows, targets), elements=st.integers(-1000, 1000).map(float))
    y, predicted = data.draw(numbers), data.draw(numbers)
    scored = score(loss("mse"), tally(loss("mse"), predicted, y), Part(y, y))
    if (y == y[0]).all(axis=0).any():
        assert math.isnan(scored)
        return
    assert scored == pytest.approx(r2_score(y, predicted), rel=1e-9, abs=1e-9)
    unit = np.array([1.0, 1e-6, 1e6])[:targets]
    other = score(loss("mse"), tally(loss("mse"), predicted * unit, y * unit), Part(y, y * unit))
    assert other == pytest.approx(scored, rel=1e-9, abs=1e-9)


def test_tallies_of_batches_add_up():
    y, predicted = np.arange(12.0).reshape(6, 2), np.arange(12.0).reshape(6, 2)[::-1] / 3
    mse = loss("mse")
    parts = tally(mse, predicted[:4], y[:4]) + tally(mse, predicted[4:], y[4:])
    assert parts == pytest.approx(tally(mse, predicted, y))


def test_a_constant_target_whose_mean_is_rounded_has_no_r2():
    y = np.full((10, 1), 0.1, dtype=np.float32).astype(np.float64) + 0.7
    y = np.concatenate([y] * 7)
    mae = loss("mae")
    assert math.isnan(score(mae, tally(mae, y + 1, y), Part(y, y)))


def test_r2_of_errors_beyond_float64_is_minus_infinity_and_silent():
    mae, y = loss("mae"), np.array([[0.0], [1.0]])
    assert score(mae, tally(mae, y + 1e200, y), Part(y, y)) == -math.inf


@pytest.mark.parametrize(
    ("what", "rate", "names"),
    [
        ("loss", math.nan, ["epoch 3 (step 12)", "a loss is not finite", "before any update", "standardize"]),
        ("weight", 0.25, ["a weight is not finite", "lower learning_rate, which was 0.25."]),
        ("slot (v)", 1e300, ["a slot (v) is not finite", "lower learning_rate, which was 1e+300."]),
    ],
)
def test_the_guard_names_epoch_setting_and_the_value_that_did_it(what, rate, names):
    message = str(stopped(what, 3, 12, rate))
    assert message.startswith("Training stopped at ")
    for name in names:
        assert name in message
