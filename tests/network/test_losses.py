from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downslope.errors import InputError
from downslope.network import LOSSES, Huber, check_gradient, loss
from downslope.streams import Stream

EVERY = sorted(LOSSES)


def targets_for(name, rows, columns, seed):
    """Targets that suit the loss: labels, zeros and ones, or numbers."""
    numbers = Stream(seed, "targets").uniform((rows, columns))
    if name == "cross-entropy":
        return (numbers[:, 0] * columns).astype(np.int64)
    return (numbers > 0.5).astype(np.int64) if name == "bce" else 4.0 * numbers - 2.0


def plain_huber(error, delta):
    return error * error / 2 if abs(error) <= delta else delta * (abs(error) - delta / 2)


def plain_bce(z, y):
    p = 1 / (1 + math.exp(-z))
    return -(y * math.log(p) + (1 - y) * math.log(1 - p))


# The textbook formula for one row of outputs and targets, in plain floats.
PLAIN = {
    "bce": lambda z, y: sum(map(plain_bce, z, y)) / len(z),
    "mse": lambda z, y: sum((a - b) ** 2 for a, b in zip(z, y, strict=True)) / len(z),
    "mae": lambda z, y: sum(abs(a - b) for a, b in zip(z, y, strict=True)) / len(z),
    "huber": lambda z, y: sum(plain_huber(a - b, 1.0) for a, b in zip(z, y, strict=True)) / len(z),
    "cross-entropy": lambda z, y: -math.log(math.exp(z[y]) / sum(map(math.exp, z))),
}


@pytest.mark.parametrize("name", EVERY)
def test_row_losses_are_the_plain_formulas(name, draw):
    outputs = draw(1, (6, 3), 2.0)
    targets = targets_for(name, 6, 3, 1)
    rows = [PLAIN[name](z, y) for z, y in zip(outputs.tolist(), targets.tolist(), strict=True)]
    assert loss(name).forward(outputs, targets).tolist() == pytest.approx(rows, rel=1e-12)


def test_huber_uses_its_delta():
    outputs, targets = np.array([[3.0], [0.5], [-3.0]]), np.zeros(3)
    assert Huber(delta=2.0).forward(outputs, targets).tolist() == [4.0, 0.125, 4.0]
    assert (3 * Huber(delta=2.0).backward(outputs, targets)).ravel().tolist() == [2.0, 0.5, -2.0]


@settings(max_examples=40)
@given(name=st.sampled_from(EVERY), rows=st.integers(1, 5), columns=st.integers(1, 4), seed=st.integers(0, 1000))
def test_backward_is_the_gradient_of_the_mean(name, rows, columns, seed):
    columns += name == "cross-entropy"
    chosen, outputs = loss(name), Stream(seed, "test").normal((rows, columns))
    targets = targets_for(name, rows, columns, seed)
    report = check_gradient(lambda z: chosen.forward(z, targets).mean(), lambda z: chosen.backward(z, targets), outputs)
    assert (report.checked, report.skipped) == (outputs.size, 0)


def test_backward_for_rows_of_probabilities(draw):
    targets = np.array([[0.2, 0.5, 0.3], [0.0, 0.1, 0.9]])
    chosen = loss("cross-entropy")
    chosen.check_targets(3, targets)
    check_gradient(lambda z: chosen.forward(z, targets).mean(), lambda z: chosen.backward(z, targets), draw(3, (2, 3)))


def test_mae_gradient_is_zero_where_the_output_meets_the_target():
    gradient = loss("mae").backward(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 3.0], [2.0, 4.0]]))
    assert gradient.tolist() == [[0.0, -0.25], [0.25, 0.0]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", EVERY)
def test_dtype_and_shapes(name, dtype, draw):
    outputs = draw(2, (5, 3)).astype(dtype)
    targets = targets_for(name, 5, 3, 2)  # in int64 or float64: they must not widen the result
    chosen = loss(name)
    assert (chosen.forward(outputs, targets).shape, chosen.forward(outputs, targets).dtype) == ((5,), dtype)
    assert (chosen.backward(outputs, targets).shape, chosen.backward(outputs, targets).dtype) == ((5, 3), dtype)
    assert (chosen.predictions(outputs).shape, chosen.predictions(outputs).dtype) == ((5, 3), dtype)
    assert chosen.kind == ("classification" if name in {"cross-entropy", "bce"} else "regression")


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64])
def test_labels_equal_one_hot_rows_to_the_last_bit(dtype, draw):
    outputs = draw(5, (7, 4)).astype(np.float32)
    labels = np.array([0, 1, 2, 3, 3, 1, 0], dtype=dtype)
    one_hot, chosen = np.eye(4)[labels], loss("cross-entropy")
    for targets in (labels, one_hot):
        chosen.check_targets(4, targets)
    assert (chosen.forward(outputs, labels) == chosen.forward(outputs, one_hot)).all()
    assert (chosen.backward(outputs, labels) == chosen.backward(outputs, one_hot)).all()


@pytest.mark.parametrize("name", sorted(set(EVERY) - {"cross-entropy"}))
def test_one_output_takes_flat_targets_without_broadcasting(name, draw):
    outputs, targets = draw(6, (5, 1)), targets_for(name, 5, 1, 6)
    chosen = loss(name)
    for shaped in (targets, targets[:, 0]):
        chosen.check_targets(1, shaped)
    assert chosen.forward(outputs, targets[:, 0]).shape == (5,)
    assert (chosen.forward(outputs, targets[:, 0]) == chosen.forward(outputs, targets)).all()
    assert (chosen.backward(outputs, targets[:, 0]) == chosen.backward(outputs, targets)).all()


@pytest.mark.parametrize("size", [1e4, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_far_logits_are_exact_and_finite(dtype, size):
    logits = np.array([[size, -size], [-size, size]], dtype=dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        for name, targets in (("cross-entropy", np.array([1, 1])), ("bce", np.array([[0, 1], [0, 1]]))):
            chosen = loss(name)
            # Past the public methods, which let a truly infinite loss through in silence.
            rows, gradient = chosen._rows, chosen._gradient
            z, y = chosen._aligned(logits, targets)
            wrong = 2 * logits[0, 0] if name == "cross-entropy" else logits[0, 0]
            assert rows(z, y).tolist() == [wrong, 0.0]
            expected = [[0.5, -0.5], [0, 0]] if name == "cross-entropy" else [[0.25, -0.25], [0, 0]]
            assert gradient(z, y).tolist() == expected
            assert np.isfinite(chosen.predictions(logits)).all()
        for name in ("mae", "huber"):
            assert np.isfinite(loss(name)._rows(logits, -logits)).all()
            assert np.isfinite(loss(name)._gradient(logits, -logits)).all()


def test_a_loss_too_large_for_the_dtype_is_infinite_without_a_warning():
    outputs = np.array([[1e30]], dtype=np.float32)
    assert loss("mse").forward(outputs, np.zeros((1, 1))).tolist() == [math.inf]


def test_small_losses_are_not_rounded_away():
    small = loss("bce").forward(np.array([[50.0], [-50.0]]), np.array([1, 0]))
    assert small.tolist() == pytest.approx([math.exp(-50)] * 2, rel=1e-12, abs=0)


def test_predictions(draw):
    outputs = draw(8, (4, 3))
    p = loss("cross-entropy").predictions(outputs)
    e = [[math.exp(z) for z in row] for row in outputs.tolist()]
    assert p.tolist() == [pytest.approx([z / sum(row) for z in row]) for row in e]
    assert loss("bce").predictions(np.array([[0.0, math.log(3)]])).tolist() == [pytest.approx([0.5, 0.75])]
    for name in ("mse", "mae", "huber"):
        assert (loss(name).predictions(outputs) == outputs).all()


@pytest.mark.parametrize(
    ("name", "width", "targets", "message"),
    [
        ("cross-entropy", 3, [0, 3], "label must be at least 0 and below 3, the outputs. Received: label=3"),
        ("cross-entropy", 3, [0, -1], "label must be at least 0 and below 3, the outputs. Received: label=-1"),
        ("cross-entropy", 3, [0.0, 1.0], "labels must be whole numbers. Received: labels of dtype float64"),
        ("cross-entropy", 3, [True, False], "labels must be whole numbers. Received: labels of dtype bool"),
        ("cross-entropy", 1, [0, 0], "cross-entropy must have a network of at least 2 outputs .* Received: 1"),
        ("cross-entropy", 3, [[1, 0], [0, 1]], r"labels of shape \(rows,\) or probabilities of shape \(rows, 3\). Rec"),
        ("cross-entropy", 2, [[1, 0], [1, 1]], r"whose rows sum to 1. Received: row 1 = \[1, 1\]"),
        ("cross-entropy", 2, [[1.5, -0.5]], r"probabilities, whose rows sum to 1. Received: row 0 = \[1.5, -0.5\]"),
        ("bce", 1, [0, 1, 2], "label must be 0 or 1 for bce. Received: label=2"),
        ("bce", 2, [0, 1], r"targets of bce must be of shape \(rows, 2\). Received: shape \(2,\)"),
        ("bce", 2, [[0, 0.5]], "label must be 0 or 1 for bce. Received: label=0.5"),
        ("mse", 1, [[1, 2]], r"targets of mse must be of shape \(rows, 1\) or \(rows,\). Received: shape \(1, 2\)"),
        ("mae", 1, 3.0, r"targets must have at least 1 row. Received: shape \(\)"),
        ("huber", 1, [], r"targets must have at least 1 row. Received: shape \(0,\)"),
        ("mse", 1, [1.0, math.nan], "targets must be finite numbers. Received: 1 NaN or infinite"),
        ("mse", 1, ["a", "b"], "targets must be numbers. Received: targets of dtype <U1"),
    ],
)
def test_wrong_targets_are_refused(name, width, targets, message):
    with pytest.raises(InputError, match=message):
        loss(name).check_targets(width, targets)


@pytest.mark.parametrize(
    ("name", "outputs", "targets", "message"),
    [
        ("mse", (4, 1), (3,), r"must be of shape \(4, 1\) or \(4,\). Received: shape \(3,\)"),
        ("mse", (4, 4), (4,), r"targets of mse must be of shape \(4, 4\). Received: shape \(4,\)"),
        ("cross-entropy", (4, 3), (5,), r"must be of shape \(4, 3\) or \(4,\). Received: shape \(5,\)"),
        ("cross-entropy", (4, 3), (4, 1), r"must be of shape \(4, 3\). Received: shape \(4, 1\)"),
        ("bce", (0, 1), (0,), r"outputs must be of shape \(rows, outputs\), at least 1 by 1. Received: shape \(0, 1\)"),
        ("cross-entropy", (0, 2), (0,), r"at least 1 by 1. Received: shape \(0, 2\)"),
        ("huber", (3,), (3,), r"outputs must be of shape \(rows, outputs\), at least 1 by 1. Received: shape \(3,\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(name, outputs, targets, message):
    for method in (loss(name).forward, loss(name).backward):
        with pytest.raises(InputError, match=message):
            method(np.zeros(outputs), np.zeros(targets, dtype=np.int64))
