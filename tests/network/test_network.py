from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from downslope import network as net
from downslope.errors import InputError
from downslope.network import GELU, MLP, Dense, Dropout, Glorot, He, LeakyReLU, Network, Normal, ReLU, Tanh
from downslope.streams import Stream


def plain_forward(layers, row):
    """One row through Dense and Tanh layers, in plain Python: layers are (weights, biases) or None for tanh."""
    for layer in layers:
        if layer is None:
            row = [math.tanh(value) for value in row]
        else:
            weights, biases = layer
            row = [bias + sum(value * weights[i][j] for i, value in enumerate(row)) for j, bias in enumerate(biases)]
    return row


def test_a_deep_network_is_the_plain_loop(draw):
    network = MLP([3, 5, 4, 2], activation="tanh")
    flat = network.initial_parameters(1, np.float64) + 0.1
    inputs = draw(2, (6, 3))
    outputs, _ = network.forward(flat, inputs)
    layers = [(view["weights"].tolist(), view["biases"][0].tolist()) if view else None for view in network.views(flat)]
    assert outputs.tolist() == [pytest.approx(plain_forward(layers, row), rel=1e-12) for row in inputs.tolist()]


@settings(max_examples=15)
@given(
    widths=st.lists(st.integers(1, 4), min_size=2, max_size=4),
    activation=st.sampled_from(sorted(net.ACTIVATIONS)),
    loss=st.sampled_from(["bce", "mse", "mae", "huber"]),
    rows=st.integers(1, 3),
    dropout=st.sampled_from([0.0, 0.4]),
    seed=st.integers(0, 1000),
)
def test_gradients_of_whole_networks(widths, activation, loss, rows, dropout, seed):
    network = MLP(widths, activation=activation, dropout=dropout, l1=0.01, l2=0.02)
    inputs = Stream(seed, "test").normal((rows, widths[0]))
    targets = (Stream(seed, "targets").uniform((rows, widths[-1])) > 0.5).astype(float)
    report = net.check_network_gradient(network, net.loss(loss), inputs, targets, seed, dropout=(seed, 1))
    assert report.checked + report.skipped == network.parameter_count


def test_gradient_with_bias_penalties_and_cross_entropy(draw):
    network = Network([Dense(2, 5, bias_l1=0.1, bias_l2=0.2), GELU(), Dropout(0.3), Dense(5, 3, l1=0.3, l2=0.1)])
    net.check_network_gradient(network, net.CrossEntropy(), draw(1, (4, 2)), np.array([0, 1, 2, 1]), dropout=(0, 5))


def test_penalty_counts_weights_and_biases_as_asked():
    network = Network([Dense(1, 1, l1=1.0, l2=10.0), ReLU(), Dense(1, 1, bias_l1=100.0, bias_l2=1000.0)])
    flat = np.array([2.0, 5.0, 7.0, -3.0], dtype=np.float32)
    assert network.penalty(flat) == 2 + 40 + 300 + 9000
    gradient = np.ones(4, dtype=np.float32)
    network.add_penalty_gradient(flat, gradient)
    assert gradient.tolist() == [1 + 1 + 40, 1, 1, 1 - 100 - 6000]
    assert MLP([2, 3]).penalty(np.ones(9)) == 0.0
    assert MLP([2, 1], l2=0.5).penalty(np.array([1.0, 2.0, 3.0])) == 2.5  # the bias, 3, is left out


def test_views_are_views_in_layer_order():
    network = MLP([2, 3, 1], dropout=0.1)
    flat = np.arange(13, dtype=np.float64)
    views = network.views(flat)
    assert [list(view) for view in views] == [["weights", "biases"], [], [], ["weights", "biases"]]
    assert views[0]["weights"].tolist() == [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]
    assert views[0]["biases"].tolist() == [[6.0, 7.0, 8.0]]
    assert views[3]["weights"].tolist() == [[9.0], [10.0], [11.0]]
    assert views[3]["biases"].tolist() == [[12.0]]
    views[3]["biases"][:] = -1.0
    assert flat[12] == -1.0
    assert all(np.shares_memory(array, flat) for view in views for array in view.values())


def test_named_slices_rebuild_the_flat_vector():
    network = MLP([2, 3, 1])
    slices = network.parameter_slices()
    assert list(slices) == ["0.weights", "0.biases", "2.weights", "2.biases"]
    assert slices["2.weights"] == (slice(9, 12), (3, 1))
    flat = np.arange(network.parameter_count, dtype=np.float32)
    named = {name: flat[where].reshape(shape) for name, (where, shape) in slices.items()}
    rebuilt = np.zeros_like(flat)
    for view, position in zip(network.views(rebuilt), range(3), strict=True):
        for parameter, array in view.items():
            array[:] = named[f"{position}.{parameter}"]
    assert (rebuilt == flat).all()
    assert (network.inputs, network.outputs, network.parameter_count) == (2, 1, 13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("activation", sorted(net.ACTIVATIONS))
def test_the_parameters_dtype_decides(activation, dtype, draw):
    network = MLP([2, 4, 3], activation=activation, dropout=0.5, l1=0.1, l2=0.1)
    flat = network.initial_parameters(0, dtype)
    outputs, trace = network.forward(flat, draw(1, (5, 2)), dropout=(1, 2))
    gradient = network.backward(flat, trace, net.CrossEntropy().backward(outputs, np.zeros(5, dtype=int)))
    network.add_penalty_gradient(flat, gradient)
    assert (flat.dtype, outputs.dtype, gradient.dtype) == (dtype, dtype, dtype)
    assert (flat.shape, outputs.shape, gradient.shape) == ((27,), (5, 3), (27,))


def test_backward_overwrites_the_gradient_it_is_given(draw):
    network = MLP([2, 3, 2])
    flat = network.initial_parameters(0)
    outputs, trace = network.forward(flat, draw(1, (4, 2)))
    given_gradient = np.full_like(flat, 7.0)
    returned = network.backward(flat, trace, outputs, given_gradient)
    assert returned is given_gradient
    assert (given_gradient == network.backward(flat, trace, outputs)).all()


def test_dropout_acts_only_while_training(draw):
    network, inputs = MLP([2, 50, 1], dropout=0.5), draw(1, (3, 2))
    flat = network.initial_parameters(0)
    evaluated = network.forward(flat, inputs)[0]
    assert (evaluated == MLP([2, 50, 1]).forward(flat, inputs)[0]).all()
    first, again, later = (network.forward(flat, inputs, dropout=(3, step))[0] for step in (1, 1, 2))
    assert (first == again).all()
    assert (first != evaluated).any()
    assert (first != later).any()


def test_two_dropout_layers_have_their_own_masks():
    network = Network([Dense(1, 40), Dropout(0.5), Dropout(0.5)])
    flat = np.ones(80)
    outputs, _ = network.forward(flat, np.ones((50, 1)), dropout=(0, 1))
    assert (outputs > 0).mean() == pytest.approx(0.25, abs=0.04)  # 0.5 if the second repeated the first


def test_initial_weights_by_law():
    def spread(network, name="0.weights"):
        where, _ = network.parameter_slices()[name]
        return network.initial_parameters(0, np.float64)[where].std()

    he, glorot = math.sqrt(2 / 50), math.sqrt(2 / 250)
    for name, activation in net.ACTIVATIONS.items():
        expected = he if name in {"relu", "leaky-relu", "elu", "gelu", "silu", "softplus"} else glorot
        assert spread(MLP([50, 200, 200], activation=activation())) == pytest.approx(expected, rel=0.04)
    assert spread(MLP([50, 200, 200]), "2.weights") == pytest.approx(math.sqrt(2 / 400), rel=0.04)
    assert spread(MLP([50, 200, 3], initial_weights="glorot")) == pytest.approx(glorot, rel=0.04)
    assert spread(MLP([50, 200, 3], initial_weights=Normal(std=0.7))) == pytest.approx(0.7, rel=0.04)
    assert spread(Network([Dense(50, 200), Dropout(0.1), ReLU()])) == pytest.approx(he, rel=0.04)


def test_initial_parameters_repeat_and_biases_are_zero():
    network = MLP([2, 4, 3])
    flat = network.initial_parameters(5)
    assert flat.dtype == np.float32
    assert (flat == network.initial_parameters(5)).all()
    assert (flat == network.initial_parameters(5, "float64").astype(np.float32)).all()
    views = network.views(flat)
    assert (views[0]["weights"] != network.views(network.initial_parameters(6))[0]["weights"]).all()
    assert not views[0]["biases"].any()
    assert not views[2]["biases"].any()
    assert (flat == MLP([2, 4, 3], dropout=0.5).initial_parameters(5)).all()
    square = MLP([3, 3, 3], initial_weights="he")
    first, _, second = square.views(square.initial_parameters(5))
    assert (first["weights"] != second["weights"]).all()


@pytest.mark.parametrize("skip", [0, 300])
def test_chapter_weights_are_its_own_to_the_last_bit(skip):
    network = MLP([2, 64, 3], activation="tanh", initial_weights="he")  # whatever the laws
    legacy = np.random.RandomState(0)
    legacy.randn(skip)
    first, second = (0.01 * legacy.randn(*shape).astype(np.float32) for shape in ((2, 64), (64, 3)))
    flat = network.initial_parameters("chapter", skip_normals=skip)
    views = network.views(flat)
    assert flat.dtype == np.float32
    assert (views[0]["weights"] == first.astype(np.float32)).all()
    assert (views[2]["weights"] == second.astype(np.float32)).all()
    assert not views[0]["biases"].any()
    assert not views[2]["biases"].any()


def test_a_diverged_network_gives_infinities_without_a_warning():
    network = MLP([1, 2, 1], activation="softplus", l2=1.0)
    flat = np.full(7, 3e38, dtype=np.float32)
    outputs, trace = network.forward(flat, np.array([[1e38]]))
    assert not np.isfinite(outputs).any()
    gradient = network.backward(flat, trace, net.MeanSquaredError().backward(outputs, np.zeros((1, 1))))
    network.add_penalty_gradient(flat, gradient)
    assert not np.isfinite(gradient).all()


@pytest.mark.parametrize(
    ("network", "code"),
    [
        (MLP([2, 64, 3]), "MLP([2, 64, 3])"),
        (MLP((2, 3), activation="tanh"), "MLP([2, 3])"),
        (MLP([2, 4, 1], activation="tanh", l2=0.1), "MLP([2, 4, 1], activation=Tanh(), l2=0.1)"),
        (
            MLP([2, 4, 4, 1], activation=["relu", LeakyReLU(0.2)], dropout=0.5, initial_weights="he"),
            "MLP([2, 4, 4, 1], activation=[ReLU(), LeakyReLU(slope=0.2)], dropout=0.5, initial_weights=He())",
        ),
        (Network([Dense(2, 3, l1=0.1), Tanh(), Dropout(0.1)]), "Network([Dense(2, 3, l1=0.1), Tanh(), Dropout(0.1)])"),
    ],
)
def test_a_network_comes_back_from_its_description_and_its_repr(network, code):
    described = json.loads(json.dumps(network.describe()))
    assert Network.from_description(described) == network
    assert Network.from_description(described).describe() == network.describe()
    assert hash(Network.from_description(described)) == hash(network)
    assert repr(network) == code
    assert eval(code, vars(net)) == network


def test_equality():
    assert MLP([2, 3, 1]) == Network([Dense(2, 3), ReLU(), Dense(3, 1)])
    for other in (MLP([2, 3, 2]), MLP([2, 3, 1], "tanh"), MLP([2, 3, 1], l2=0.1), MLP([2, 3, 1], dropout=0.1)):
        assert MLP([2, 3, 1]) != other
    assert MLP([2, 3, 1]) != "MLP([2, 3, 1])"
    assert MLP([2, 3, 1], initial_weights=He()) != MLP([2, 3, 1], initial_weights=Glorot())


def test_the_smallest_network(draw):
    network = MLP([1, 1])
    assert network.layers == (Dense(1, 1),)
    outputs, trace = network.forward(np.array([2.0, 1.0]), np.array([[3.0]]))
    assert outputs.tolist() == [[7.0]]
    assert network.backward(np.array([2.0, 1.0]), trace, np.array([[10.0]])).tolist() == [30.0, 10.0]


FLAT = np.zeros(9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Network([]), r"layers must hold at least one Dense layer. Received: \[\]"),
        (lambda: Network([ReLU()]), r"at least one Dense layer. Received: \[ReLU\(\)\]"),
        (lambda: Network(["relu"]), r"layer 0 must be a layer such as Dense\(2, 64\). Received: 'relu'"),
        (
            lambda: Network([Dense(2, 64), ReLU(), Dense(32, 3)]),
            r"layer 2 must take the 64 outputs of layer 0, Dense\(2, 64\). Received: Dense\(32, 3\)",
        ),
        (lambda: MLP([2]), r"sizes must be at least two numbers, the inputs and the outputs. Received: sizes=\[2\]"),
        (lambda: MLP([2, 0]), r"sizes\[1\] must be a whole number at least 1. Received: sizes\[1\]=0"),
        (lambda: MLP("264"), r"sizes\[0\] must be a whole number at least 1. Received: sizes\[0\]='2'"),
        (lambda: MLP(5), r"sizes must be a list of whole numbers such as \[2, 64, 3\]. Received: sizes=5"),
        (lambda: MLP([2, 4, 3], "rely"), "activation must be one of .*Did you mean 'relu'"),
        (lambda: MLP([2, 4, 3], ["relu"] * 2), "activation must be one, or a list of 1, one per hidden layer"),
        (lambda: MLP([2, 4, 3], dropout=1), "dropout must be at least 0 and below 1. Received: dropout=1"),
        (lambda: MLP([2, 4, 3], l1=-1), "l1 must be at least 0. Received: l1=-1"),
        (lambda: MLP([2, 3]).initial_parameters("book"), 'seed must be a whole number at least 0, or "chapter"'),
        (lambda: MLP([2, 3]).initial_parameters(-1), "seed must be a whole number at least 0"),
        (lambda: MLP([2, 3]).initial_parameters(0, np.float16), "dtype must be float32 or float64. Received: dtype=fl"),
        (lambda: MLP([2, 3]).initial_parameters(0, skip_normals=3), 'skip_normals must be zero unless seed="chapter"'),
        (lambda: MLP([2, 3]).views(np.zeros(8)), r"flat must be 9 float32 or .* Received: float64 of shape \(8,\)"),
        (lambda: MLP([2, 3]).views([0.0] * 9), "flat must be 9 float32 or float64 numbers. Received: list"),
        (lambda: MLP([2, 3]).penalty(np.zeros(9, dtype=int)), r"flat must be 9 .* Received: int64 of shape \(9,\)"),
        (lambda: MLP([2, 3]).forward(FLAT, np.zeros((0, 2))), r"at least 1 row. Received: shape \(0, 2\)"),
        (lambda: MLP([2, 3]).forward(FLAT, np.zeros((4, 3))), r"inputs must be of shape \(rows, 2\) .*\(4, 3\)"),
        (lambda: MLP([2, 3]).forward(FLAT, np.zeros(2)), r"inputs must be of shape \(rows, 2\) .*\(2,\)"),
        (
            lambda: MLP([2, 3]).backward(FLAT, [None], FLAT, np.zeros(2)),
            "gradient must be 9 float32 or float64 numbers",
        ),
        (lambda: MLP([2, 3]).add_penalty_gradient(FLAT, np.zeros(2)), "gradient must be 9 float32 or float64 numbers"),
        (lambda: Network.from_description({}), 'description must be a dictionary with a list of "layers"'),
        (lambda: Network.from_description({"layers": [{"name": "conv"}]}), "layer must be one of dense, dropout, relu"),
    ],
)
def test_wrong_input_is_refused_in_one_sentence(make, message):
    with pytest.raises(InputError, match=message):
        make()


@pytest.mark.parametrize(
    "network",
    [
        MLP([2, 64, 3]),
        MLP([2, 3]),
        MLP([2, 8, 8, 3], ["tanh", "gelu"], dropout=0.2, l1=0.1, l2=0.2, initial_weights="normal"),
        Network([Dense(2, 5), Dense(5, 3)]),
        Network([Dense(2, 5, l2=0.1), ReLU(), Dense(5, 3)]),
    ],
)
def test_a_described_network_reads_as_it_did(network):
    again = Network.from_description(network.describe())
    assert again == network
    assert repr(again) == repr(network)
