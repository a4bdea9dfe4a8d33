"""The compiled engine computes what the reference engine computes."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import downslope as ds
from downslope.engines.problem import EpochRecord
from downslope.errors import InputError
from downslope.network import Activation, Dense, Dropout, Layer, Loss, Network
from downslope.network.losses import MeanSquaredError
from downslope.rules import RULES

_spec = importlib.util.spec_from_file_location("engine_problems", Path(__file__).with_name("engine_problems.py"))
own = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(own)

KINKED = {"relu", "leaky-relu", "mae"}  # where a last bit decides which of two slopes holds
WIDTHS = st.one_of(st.sampled_from([1, 2, 3, 4, 5, 8, 16, 64]), st.integers(1, 70))
SOME_ROWS = st.one_of(st.sampled_from([1, 7, 8, 16, 17, 512, 513, 520, 528]), st.integers(1, 700))
COLUMNS = EpochRecord._fields


class Drawn(NamedTuple):
    """What a random problem is made of."""

    loss: str
    sizes: list[int]
    activations: list[str]
    dropout: float
    penalties: tuple[float, ...]
    rows: int
    batch_size: int | None
    seed: int

    def problem(self, dtype):
        net = own.network(self.sizes, self.activations, dropout=self.dropout, penalties=self.penalties)
        return own.problem(net, self.loss, self.rows, batch_size=self.batch_size, dtype=dtype, seed=self.seed)


@st.composite
def drawn(draw):
    name = draw(st.sampled_from(list(own.LOSSES)))
    outputs = 1 if name == "bce" else draw(st.integers(2 if name == "cross-entropy" else 1, 9))
    sizes = [draw(WIDTHS) for _ in range(draw(st.integers(1, 4)))] + [outputs]
    rows = draw(SOME_ROWS)
    return Drawn(
        name,
        sizes,
        [draw(st.sampled_from(own.ACTIVATION_NAMES)) for _ in sizes[2:]],
        draw(st.sampled_from([0.0, 0.0, 0.3])),
        draw(st.sampled_from([(0, 0, 0, 0), (0.01, 0, 0, 0), (0, 0.02, 0, 0.03), (0.03, 0.01, 0.02, 0.04)])),
        rows,
        draw(st.one_of(st.none(), st.just(1), st.integers(1, rows))),
        draw(st.integers(0, 2**64 - 1)),
    )


def relative(a, b):
    """The largest difference of two vectors, measured by the largest element."""
    return float(np.abs(a.astype(np.float64) - b).max() / max(np.abs(b).max(), 1e-300))


@settings(max_examples=150)
@given(drawn(), st.integers(0, 3))
def test_gradients_in_float64(drawn, before):
    given = drawn.problem(np.float64)
    steps = before % given.steps_per_epoch + 1  # also of a later batch, which may be a smaller one
    seen, expected = (own.train(name, given, own.Echo(), steps).last for name in ("compiled", "reference"))
    assert seen.step == expected.step == steps
    assert relative(seen.slots["seen"], expected.slots["seen"]) < 1e-12


@settings(max_examples=100)
@given(drawn())
def test_gradients_in_float32(drawn):
    given = drawn.problem(np.float32)
    exactly = replace(given, training=given.training._replace(inputs=given.training.inputs.astype(np.float64)))
    first = own.start(given, own.Echo())
    wide = replace(first, parameters=first.parameters.astype(np.float64))
    seen, plain = (own.train(name, given, own.Echo(), 1, first).last.slots["seen"] for name in own.ENGINES)
    expected = own.train("reference", exactly, own.Echo(), 1, wide).last.slots["seen"]
    assert seen.dtype == plain.dtype == np.float32
    # Beside the limit for what is well conditioned: what NumPy loses where outputs nearly meet their targets.
    limit = 1e-2 if {drawn.loss, *drawn.activations} & KINKED else 1e-6
    assert relative(seen, expected) < limit + 8 * relative(plain, expected)


@settings(max_examples=60)
@given(drawn(), st.integers(1, 40), st.sampled_from([0, 1, 40, 600]))
def test_every_number_of_the_history(drawn, steps, held_out):
    given = drawn.problem(np.float64)
    if held_out:
        given = replace(given, validation=own.part(given.network, given.loss.name, held_out, np.float64, 1))
    seen, expected = (own.train(name, given, ds.Adam(0.001), steps) for name in ("compiled", "reference"))
    same_numbers(seen, expected, 1e-7)
    assert seen.cells == expected.cells == [0, steps]


def same_numbers(seen, expected, limit):
    a, b = seen.last, expected.last
    assert (a.step, a.epoch, a.batch, a.slots_since) == (b.step, b.epoch, b.batch, b.slots_since)
    assert a.parameters == pytest.approx(b.parameters, rel=limit, abs=limit)
    assert a.last_update == pytest.approx(b.last_update, rel=1e3 * limit, abs=limit)
    assert seen.records.shape == expected.records.shape
    for column, name in enumerate(COLUMNS):
        got, wanted = seen.records[:, column], expected.records[:, column]
        assert got == pytest.approx(wanted, rel=limit, abs=limit, nan_ok=True), name
    for name in ("loss", "tally", "penalty", "gradient_norm", "update_ratio", "largest_weight", "learning_rate"):
        got, wanted = getattr(a.totals, name), getattr(b.totals, name)
        assert np.shape(got) == np.shape(wanted)
        assert got == pytest.approx(wanted, rel=limit, abs=limit, nan_ok=True), name
    assert (a.totals.before is None) == (b.totals.before is None)
    if b.totals.before is not None:
        assert a.totals.before == pytest.approx(b.totals.before, rel=limit, abs=limit, nan_ok=True)


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
@pytest.mark.parametrize(("dtype", "limit"), [("float32", 5e-3), ("float64", 1e-9)])
@pytest.mark.parametrize("batch_size", [None, 13])
def test_the_first_200_steps_of_every_rule(rule, dtype, limit, batch_size):
    losses = []  # float32's rounding grows along the way: NumPy's own is 1e-3 off after 200 steps of AMSGrad
    for engine in ("compiled", "reference"):
        run = ds.Run(
            ds.MLP([2, 16, 3], "tanh", l2=1e-4),
            ds.data.spiral(20, seed=1),
            rule(ds.InverseTime(0.01, decay=1e-3)),
            batch_size=batch_size,
            validation=0.2,
            dtype=dtype,
            engine=engine,
        )
        run.train(200 if batch_size is None else 50)
        assert run.step == 200
        assert run.engine == engine
        losses.append(run.history.loss)
    assert losses[0] == pytest.approx(losses[1], rel=limit)
    assert losses[0][-1] != losses[0][0]


VARIANTS = [
    ds.SGD(0.05, momentum=0.9),
    ds.SGD(0.05, momentum=ds.InverseTime(0.9, decay=0.1), nesterov=True),
    ds.RMSprop(0.01, momentum=0.5, centered=True),
    ds.Adam(lambda k: 0.01 / (1 + k)),
]


@pytest.mark.parametrize("rule", VARIANTS, ids=repr)
def test_settings_that_switch_slots_or_follow_schedules(rule):
    given = own.problem(own.network([3, 9, 2], ["tanh"]), rows=30, batch_size=8, held_out=5)
    seen, expected = (own.train(name, given, rule, 90) for name in ("compiled", "reference"))
    same_numbers(seen, expected, 1e-9)
    assert set(seen.last.slots) == set(rule.slots_in_use())
    for name, slot in expected.last.slots.items():
        assert seen.last.slots[name] == pytest.approx(slot, rel=1e-9, abs=1e-12)
    assert seen.last.learning_rate == expected.last.learning_rate
    column = COLUMNS.index("learning_rate")
    assert seen.records[:, column].tolist() == expected.records[:, column].tolist()


@pytest.mark.parametrize("kind", ["classification", "regression"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_evaluate(kind, dtype):
    runs = []
    for engine in ("compiled", "reference"):
        data = ds.data.spiral(200, seed=2) if kind == "classification" else ds.data.sine(700, seed=2)
        net = ds.MLP([len(data.features), 9, 3 if kind == "classification" else 1], "gelu", dropout=0.4, l1=1e-3)
        run = ds.Run(net, data, ds.Adam(0.01), validation=0.3, dtype=dtype, engine="reference")
        run.train(3)
        run._engine = own.ENGINES[engine]()
        other = ds.data.spiral(41, seed=3) if kind == "classification" else ds.data.sine(41, seed=3)
        runs.append([run.evaluate(on) for on in ("training", "validation", other)])
    for seen, expected in zip(*runs, strict=True):
        assert seen == pytest.approx(expected, rel=1e-12 if dtype == "float64" else 1e-5)
    assert runs[0][0] != runs[0][1] != runs[0][2]


@pytest.mark.parametrize("order", [["compiled", "reference"], ["reference", "compiled"]], ids=" then ".join)
@pytest.mark.parametrize("name", ["cross-entropy", "mse"])
def test_a_state_is_handed_over_in_the_middle_of_an_epoch(order, name):
    net = own.network([3, 7, own.LOSSES[name]], ["tanh"], dropout=0.2, penalties=(0.01, 0.01, 0, 0))
    given, rule = own.problem(net, name, 30, batch_size=8, held_out=9), ds.Adam(ds.InverseTime(0.01, decay=0.1))
    straight = own.train("reference", given, rule, 4 * 6)
    state, records = own.start(given, rule), []
    for place, steps in enumerate((1, 2, 4, 6, 5, 3, 1, 2)):
        piece = own.train(order[place % 2], given, rule, steps, state)
        state = piece.last
        records.extend(piece.records)
    same_numbers(piece._replace(records=np.array(records)), straight, 1e-9)
    for slot, expected in straight.last.slots.items():
        assert state.slots[slot] == pytest.approx(expected, rel=1e-7, abs=1e-12)
    assert len(records) == 6


def test_slots_that_began_later_are_corrected_for_their_own_start():
    given = own.problem(own.network([3, 5, 2], ["tanh"]))
    rule = ds.Adam(ds.InverseTime(1.0, decay=0.5))
    late = replace(own.start(given, rule), step=60, epoch=60, slots_since=58, learning_rate=0.25)
    seen, expected = (own.train(name, given, rule, 5, late) for name in ("compiled", "reference"))
    same_numbers(seen, expected, 1e-10)
    assert seen.records[0, COLUMNS.index("learning_rate")] == 0.25


def test_a_schedule_is_asked_only_for_the_steps_that_are_made():
    asked = []

    def schedule(k):
        asked.append(k)
        assert k >= 40
        return 0.01

    given, rule = own.problem(own.network([3, 5, 2], ["tanh"])), ds.SGD(schedule)
    late = replace(own.start(given, rule), step=40, epoch=40, learning_rate=0.01)
    assert own.train("compiled", given, rule, 3, late).last.step == 43
    assert set(asked) == {40, 41, 42}


def test_all_zero_parameters_have_an_infinite_update_ratio():
    net = Network([Dense(2, 1)])
    given, rule = own.problem(net), ds.SGD(0.1)
    state = replace(own.start(given, rule), parameters=np.zeros(net.parameter_count))
    assert own.train("compiled", given, rule, 1, state).records[0, COLUMNS.index("update_ratio")] == math.inf


@pytest.mark.parametrize("name", own.LOSSES)
def test_ties_and_outputs_that_meet_their_targets(name):
    """Of equal outputs the first is the label; where an output is the target, no gradient comes from it."""
    given = own.problem(Network([Dense(3, own.LOSSES[name])]), name, 21)
    if given.loss.kind == "regression":
        targets = given.training.targets.copy()
        targets[::2] = 0
    else:
        targets = np.where(np.arange(21) < 13, 0, np.arange(21) % max(2, own.LOSSES[name]))
    given = replace(given, training=given.training._replace(targets=targets))
    state = own.start(given, own.Echo())
    state = replace(state, parameters=np.zeros_like(state.parameters))
    seen, expected = (own.train(engine, given, own.Echo(), 1, state) for engine in ("compiled", "reference"))
    same_numbers(seen, expected, 1e-12)
    assert relative(seen.last.slots["seen"], expected.last.slots["seen"]) < 1e-12


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_norms_whose_squares_leave_the_range_of_float64(scale):
    net = Network([Dense(2, 1)])
    given = own.problem(net, "mae")
    rule = ds.SGD(0.1 * scale)
    state = own.start(given, rule)
    state = replace(state, parameters=state.parameters * scale)
    seen, expected = (own.train(name, given, rule, 4, state).records for name in ("compiled", "reference"))
    assert seen == pytest.approx(expected, rel=1e-12, nan_ok=True)
    assert np.isfinite(seen[:, COLUMNS.index("update_ratio")]).all()


@pytest.mark.parametrize(
    "layers",
    [
        [Dropout(0.4), Dense(3, 4), ds.network.activation("relu"), Dense(4, 2)],
        [ds.network.activation("tanh"), ds.network.activation("relu"), Dense(3, 2)],
        [Dense(3, 4), ds.network.activation("relu"), ds.network.activation("relu"), Dense(4, 2)],
        [Dense(3, 4), ds.network.activation("relu"), Dropout(0.4), Dropout(0.2), Dense(4, 2)],
        [Dense(3, 4), Dense(4, 2), ds.network.activation("relu")],
        [Dense(3, 4), Dense(4, 5), Dense(5, 2), Dropout(0.3)],
        [Dense(3, 4), ds.network.activation({"name": "leaky-relu", "slope": 0.3}), Dense(4, 2)],
        [Dense(3, 4), ds.network.activation({"name": "elu", "alpha": 2.5}), Dense(4, 2)],
    ],
    ids=repr,
)
def test_layers_in_any_order(layers):
    given = own.problem(Network(layers), rows=20, batch_size=9)
    seen, expected = (own.train(name, given, ds.SGD(0.01), 30) for name in ("compiled", "reference"))
    same_numbers(seen, expected, 1e-9)
    assert seen.records[0, 0] != seen.records[-1, 0]


def test_another_distance_of_huber():
    given = own.problem(own.network([3, 5, 2], ["tanh"]))
    losses = []
    for delta in (0.1, 1.0):
        other = replace(given, loss=ds.network.loss({"name": "huber", "delta": delta}))
        seen, expected = (own.train(name, other, ds.SGD(0.1), 5) for name in ("compiled", "reference"))
        same_numbers(seen, expected, 1e-10)
        losses.append(seen.records[-1, 0])
    assert losses[0] != losses[1]


class Doubling(Layer):
    """A layer of one's own, without a name."""

    def forward(self, inputs, parameters, context):
        return inputs * 2, None

    def backward(self, upstream, parameters, saved):
        return upstream * 2, {}


class MyDense(Dense):
    def forward(self, inputs, parameters, context):
        return super().forward(2 * inputs, parameters, context)


class MyDropout(Dropout):
    pass


class MyReLU(Activation):
    name = "relu"

    def function(self, x):
        return 3 * x

    def derivative(self, x):
        return np.full_like(x, 3)


@pytest.mark.parametrize("layer", [Doubling(), MyDense(4, 4), MyDropout(0.5), MyReLU()], ids=repr)
def test_layers_of_ones_own(layer):
    def make(engine):
        net = Network([Dense(2, 4), layer, Dense(4, 3)])
        return ds.Run(net, ds.data.spiral(10), ds.SGD(0.1), engine=engine)

    assert make(None).engine == "reference"
    make(None).train(2)
    with pytest.raises(InputError, match=r"^engine must be 'reference' for a network with a layer of one's own\. Rec"):
        make("compiled").train(1)


class Mine(Loss):
    name = "mine"
    kind = "regression"

    def _rows(self, outputs, targets):
        return np.abs(outputs - targets).mean(axis=1)

    def _gradient(self, outputs, targets):
        return np.sign(outputs - targets) / outputs.size


class MySquares(MeanSquaredError):  # noqa: N818 - no exception
    pass


@pytest.mark.parametrize("loss", [Mine(), MySquares()], ids=repr)
def test_losses_of_ones_own(loss):
    given = replace(own.problem(Network([Dense(2, 1)])), loss=loss)
    error = own.train("compiled", given, ds.SGD(0.1), 1).error
    assert type(error) is InputError
    assert str(error) == f"engine must be 'reference' for a loss of one's own. Received: {loss!r}"


@pytest.mark.parametrize("rules", [(ds.SGD(0.1), ds.Adam()), (ds.Adam(), ds.SGD(0.1)), (ds.Adam(), ds.AMSGrad())])
def test_slots_that_the_settings_do_not_use_are_refused(rules):
    given, (before, rule) = own.problem(Network([Dense(2, 1)])), rules
    errors = [own.train(name, given, rule, 1, own.start(given, before)).error for name in ("compiled", "reference")]
    assert str(errors[0]) == str(errors[1])
    assert str(errors[0]).startswith("slots must be those ")


def test_arrays_of_another_type_or_length_are_refused():
    given, rule = own.problem(Network([Dense(2, 1)])), ds.Adam()
    state = own.start(given, rule)
    narrow = replace(
        state,
        parameters=state.parameters.astype(np.float32),
        slots={name: slot.astype(np.float32) for name, slot in state.slots.items()},
    )
    short = replace(state, slots={**state.slots, "v": np.zeros(2)})
    for wrong, sentence in (
        (narrow, "parameters must be 3 numbers of the data's type, float64. Received: float32 of shape (3,)"),
        (short, "slot (v) must be 3 numbers of the data's type, float64. Received: float64 of shape (2,)"),
    ):
        trained = own.train("compiled", given, rule, 1, wrong)
        assert (str(trained.error), len(trained.states)) == (sentence, 1)
    with pytest.raises(InputError, match="parameters must be 3 numbers"):
        own.ENGINES["compiled"]().measure(given, narrow.parameters, given.training)


def test_states_are_never_written_again():
    given, rule = own.problem(own.network([2, 5, 2], ["tanh"]), rows=20, batch_size=6), ds.Adam(0.1)
    first = own.start(given, rule)
    before = first.parameters.copy()
    one = own.train("compiled", given, rule, 3, first).last
    kept = [array.copy() for array in (one.parameters, one.last_update, *one.slots.values())]
    own.train("compiled", given, rule, 30, one)
    assert np.array_equal(first.parameters, before)
    for array, copied in zip((one.parameters, one.last_update, *one.slots.values()), kept, strict=True):
        assert np.array_equal(array, copied)
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
