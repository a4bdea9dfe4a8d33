from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downslope.errors import InputError
from downslope.network import Context, Dense, Dropout, check_gradient, dropout_stream
from downslope.streams import Stream


def test_dense_is_the_plain_formula():
    parameters = {"weights": np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]), "biases": np.array([[0.5, 0.0, -0.5]])}
    outputs, saved = Dense(2, 3).forward(np.array([[1.0, 10.0], [2.0, 0.0]]), parameters, Context())
    assert outputs.tolist() == [[41.5, 52.0, 62.5], [2.5, 4.0, 5.5]]
    upstream = np.array([[1.0, 0.0, 2.0], [0.0, 3.0, 1.0]])
    d_inputs, gradient = Dense(2, 3).backward(upstream, parameters, saved)
    assert d_inputs.tolist() == [[7.0, 16.0], [9.0, 21.0]]
    assert gradient["weights"].tolist() == [[1.0, 6.0, 4.0], [10.0, 0.0, 20.0]]
    assert gradient["biases"].tolist() == [[1.0, 3.0, 3.0]]


@settings(max_examples=20)
@given(rows=st.integers(1, 4), inputs=st.integers(1, 4), outputs=st.integers(1, 4), seed=st.integers(0, 1000))
def test_dense_backward_agrees_with_differences(rows, inputs, outputs, seed):
    layer, stream = Dense(inputs, outputs), Stream(seed, "test")
    values = {name: stream.normal(shape) for name, shape in layer.shapes().items()} | {
        "inputs": stream.normal((rows, inputs))
    }
    upstream = stream.normal((rows, outputs))

    def total(name, moved):
        moved = values | {name: moved}
        return (upstream * layer.forward(moved["inputs"], moved, Context())[0]).sum()

    d_inputs, gradient = layer.backward(upstream, values, layer.forward(values["inputs"], values, Context())[1])
    assert gradient.keys() == layer.shapes().keys()
    for name, analytic in {**gradient, "inputs": d_inputs}.items():
        report = check_gradient(
            lambda moved, name=name: total(name, moved), lambda _, analytic=analytic: analytic, values[name]
        )
        assert report.skipped == 0


def test_dense_keeps_float32(draw):
    layer = Dense(2, 3)
    parameters = {name: draw(1, shape).astype(np.float32) for name, shape in layer.shapes().items()}
    outputs, saved = layer.forward(draw(2, (4, 2)).astype(np.float32), parameters, Context())
    d_inputs, gradient = layer.backward(outputs, parameters, saved)
    assert {outputs.dtype, d_inputs.dtype, *(part.dtype for part in gradient.values())} == {np.dtype(np.float32)}
    assert {name: part.shape for name, part in gradient.items()} == layer.shapes()


def test_dense_names_only_penalties_that_act():
    assert Dense(2, 3).penalties() == {}
    assert Dense(2, 3, l1=0.1, bias_l2=0.2).penalties() == {"weights": (0.1, 0.0), "biases": (0.0, 0.2)}


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_zeroes_its_rate_and_keeps_the_mean(rate):
    ones = np.ones((200, 100), dtype=np.float32)
    outputs, mask = Dropout(rate).forward(ones, {}, Context((7, 3), 1))
    assert outputs.dtype == np.float32
    assert set(np.unique(outputs).tolist()) == {0.0, float(np.float32(1 / (1 - rate)))}
    # 20,000 values: a standard error of at most 0.0036 in the rate.
    assert (outputs == 0).mean() == pytest.approx(rate, abs=0.015)
    assert outputs.mean() == pytest.approx(1.0, abs=0.015 / (1 - rate))
    upstream = np.full_like(ones, 3.0)
    d_inputs, gradient = Dropout(rate).backward(upstream, {}, mask)
    assert (d_inputs == 3.0 * outputs).all()
    assert (d_inputs.dtype, gradient) == (np.float32, {})


def test_dropout_is_the_identity_in_evaluation(draw):
    inputs = draw(1, (3, 4))
    outputs, saved = Dropout(0.5).forward(inputs, {}, Context(None, 1))
    assert (outputs == inputs).all()
    assert (Dropout(0.5).backward(inputs, {}, saved)[0] == inputs).all()


def test_dropout_masks_repeat_by_key_and_differ_between_keys():
    def mask(seed, step, layer):
        return Dropout(0.5).forward(np.ones((8, 16)), {}, Context((seed, step), layer))[0].tobytes()

    keys = [(seed, step, layer) for seed in (0, 1) for step in (0, 1, 2, 65_536) for layer in (0, 1, 2, 5)]
    masks = [mask(*key) for key in keys]
    assert masks == [mask(*key) for key in keys]
    assert len(set(masks)) == len(keys)


def test_dropout_mask_is_its_public_stream():
    kept = dropout_stream(4, 9, 2).uniform((5, 6)) >= 0.3
    outputs, _ = Dropout(0.3).forward(np.ones((5, 6)), {}, Context((4, 9), 2))
    assert ((outputs > 0) == kept).all()


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ((-1, 0, 0), "seed must be a whole number at least 0"),
        ((0, -1, 0), "step must be a whole number at least 0 and at most .*Received: step=-1"),
        ((0, 2**48, 0), "step must be a whole number"),
        ((0, 0, 2**16), "layer must be a whole number at least 0 and at most 65535. Received: layer=65536"),
    ],
)
def test_dropout_keys_out_of_range_are_refused(key, message):
    with pytest.raises(InputError, match=message):
        dropout_stream(*key)
