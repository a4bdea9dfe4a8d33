"""The engine that multiplies through BLAS computes what the reference engine computes."""

from __future__ import annotations

import importlib.util
import threading
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import downslope as ds
from downslope.engines.compiled import blas, stretch
from downslope.engines.compiled.blas import Blas
from downslope.engines.problem import Control, EpochRecord
from downslope.network import Dense, Dropout, Network, activation

_spec = importlib.util.spec_from_file_location("engine_problems", Path(__file__).with_name("engine_problems.py"))
own = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(own)
own.ENGINES["blas"] = Blas

TOTALS = ("loss", "tally", "penalty", "gradient_norm", "update_ratio", "largest_weight", "learning_rate")
PENALTIES = (0.03, 0.01, 0.02, 0.04)


@pytest.fixture
def small_blocks(monkeypatch):
    """Take a batch in blocks of 16 rows."""
    monkeypatch.setattr(blas, "LEAST_BLOCK", 16)
    monkeypatch.setattr(blas, "BLOCK_PRODUCTS", 0)


def same_numbers(seen, expected, limit=1e-9):
    a, b = seen.last, expected.last
    assert (a.step, a.epoch, a.batch, a.slots_since) == (b.step, b.epoch, b.batch, b.slots_since)
    assert a.parameters == pytest.approx(b.parameters, rel=limit, abs=limit)
    assert a.last_update == pytest.approx(b.last_update, rel=1e3 * limit, abs=limit)
    assert set(a.slots) == set(b.slots)
    for name, slot in b.slots.items():
        assert a.slots[name] == pytest.approx(slot, rel=1e3 * limit, abs=limit)
    assert seen.records.shape == expected.records.shape
    for column, name in enumerate(EpochRecord._fields):
        got, wanted = seen.records[:, column], expected.records[:, column]
        assert got == pytest.approx(wanted, rel=limit, abs=limit, nan_ok=True), name
    for name in TOTALS:
        got, wanted = getattr(a.totals, name), getattr(b.totals, name)
        assert got == pytest.approx(wanted, rel=limit, abs=limit, nan_ok=True), name
    assert (a.totals.before is None) == (b.totals.before is None)
    if b.totals.before is not None:
        assert a.totals.before == pytest.approx(b.totals.before, rel=limit, abs=limit, nan_ok=True)
    assert seen.cells == expected.cells


def both(problem, rule, steps):
    return (own.train(name, problem, rule, steps) for name in ("blas", "reference"))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(list(own.LOSSES)),
    st.lists(st.sampled_from([1, 2, 5, 16, 33, 70]), min_size=1, max_size=4),
    st.lists(st.sampled_from(own.ACTIVATION_NAMES), min_size=4, max_size=4),
    st.sampled_from([0.0, 0.3]),
    st.sampled_from([(0, 0, 0, 0), PENALTIES]),
    st.integers(1, 90),
    st.sampled_from([None, 1, 7, 16, 40]),
    st.sampled_from([0, 1, 50]),
)
def test_random_problems(small_blocks, name, sizes, activations, dropout, penalties, rows, batch_size, held_out):
    sizes = [*sizes, own.LOSSES[name]]
    net = own.network(sizes, activations[: len(sizes) - 2], dropout=dropout, penalties=penalties)
    seen, expected = both(own.problem(net, name, rows, batch_size=batch_size, held_out=held_out), ds.Adam(1e-3), 11)
    same_numbers(seen, expected, 1e-7)


@pytest.mark.parametrize("name", own.ACTIVATION_NAMES)
def test_every_activation(name):
    net = own.network([6, 40, 30, 3], [name, name])
    seen, expected = both(own.problem(net, "cross-entropy", 70, batch_size=32, held_out=19), ds.SGD(0.1), 8)
    same_numbers(seen, expected)


FIRST = {
    "dropout": [Dropout(0.4), Dense(5, 9), activation("relu"), Dense(9, 2)],
    "activation": [activation("tanh"), Dense(5, 9), activation("relu"), Dropout(0.2), Dense(9, 2)],
    "both": [activation("elu"), Dropout(0.4), Dense(5, 9), Dense(9, 9), activation("relu"), Dense(9, 2)],
    "product": [Dense(5, 9), activation("relu"), activation("relu"), Dense(9, 2), activation("tanh")],
}


@pytest.mark.parametrize("layers", FIRST.values(), ids=FIRST)
@pytest.mark.parametrize("batch_size", [None, 20])
def test_whatever_comes_first_and_last(small_blocks, layers, batch_size):
    problem = own.problem(Network(layers), "mse", 50, batch_size=batch_size, held_out=21)
    seen, expected = both(problem, ds.Adam(0.01), 9)
    same_numbers(seen, expected)


@pytest.mark.parametrize("rows", [15, 16, 17, 32, 100])
def test_blocks_add_up(small_blocks, rows):
    net = own.network([5, 40, 3], ["relu"], dropout=0.2, penalties=PENALTIES)
    seen, expected = both(own.problem(net, "huber", rows, held_out=rows + 1), ds.SGD(0.05, momentum=0.9), 6)
    same_numbers(seen, expected)


def test_float32_stays_float32():
    net = own.network([20, 64, 48, 3], ["relu", "gelu"], dropout=0.2)
    seen, expected = both(own.problem(net, "cross-entropy", 200, batch_size=64, dtype=np.float32), ds.Adam(1e-3), 30)
    assert {seen.last.parameters.dtype, *(slot.dtype for slot in seen.last.slots.values())} == {np.dtype("float32")}
    same_numbers(seen, expected, 1e-3)


@pytest.mark.parametrize("batch_size", [None, 48])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_pieces_have_the_bits_of_one_go(small_blocks, batch_size, dtype):
    net = own.network([7, 60, 50, 3], ["relu", "silu"], dropout=0.3, penalties=PENALTIES)
    problem = own.problem(net, "cross-entropy", 200, batch_size=batch_size, held_out=37, dtype=dtype)
    rule = ds.Adam(ds.InverseTime(0.01, decay=0.1))
    straight = own.train("blas", problem, rule, 40)
    state, records = own.start(problem, rule), []
    for steps in (1, 2, 3, 5, 8, 13, 8):
        piece = own.train("blas", problem, rule, steps, state)
        state = piece.last
        records.extend(piece.records)
    assert own.bits(piece._replace(records=np.array(records))) == own.bits(straight)
    assert own.bits(own.train("blas", problem, rule, 40)) == own.bits(straight)


def test_stretches_of_any_length_have_the_same_bits(monkeypatch):
    net = own.network([7, 60, 50, 3], ["relu", "silu"], dropout=0.3)
    problem = own.problem(net, "cross-entropy", 200, batch_size=48, held_out=37)
    straight = own.train("blas", problem, ds.Adam(0.01), 60)
    monkeypatch.setattr(stretch, "MOST_STEPS", 3)
    cut = own.train("blas", problem, ds.Adam(0.01), 60)
    assert len(cut.states) == 1 + 20  # the first, then three steps at a time
    assert own.bits(cut) == own.bits(straight)


ORDERS = [["blas", "reference"], ["reference", "blas"], ["blas", "compiled"], ["compiled", "blas"]]


@pytest.mark.parametrize("order", ORDERS, ids=" then ".join)
@pytest.mark.parametrize("name", ["cross-entropy", "mse"])
def test_a_state_is_handed_over_in_the_middle_of_an_epoch(order, name):
    net = own.network([3, 30, own.LOSSES[name]], ["tanh"], dropout=0.2, penalties=PENALTIES)
    problem, rule = own.problem(net, name, 30, batch_size=8, held_out=9), ds.Adam(ds.InverseTime(0.01, decay=0.1))
    straight = own.train("reference", problem, rule, 4 * 6)
    state, records = own.start(problem, rule), []
    for place, steps in enumerate((1, 2, 4, 6, 5, 3, 1, 2)):
        piece = own.train(order[place % 2], problem, rule, steps, state)
        state = piece.last
        records.extend(piece.records)
    same_numbers(piece._replace(records=np.array(records)), straight)


class Counting(Control):
    """Asks for a stop at the n-th time it is looked at."""

    def __init__(self, looks):
        super().__init__()
        self.left = looks

    def look(self):
        self.left -= 1
        if self.left < 0:
            self.stop()

    @property
    def ending(self):
        self.look()
        return super().ending

    @property
    def stopping(self):
        self.look()
        return super().stopping


@pytest.mark.parametrize("looks", range(24))
def test_a_stop_at_any_look_loses_nothing(small_blocks, looks):
    net = own.network([7, 40, 3], ["relu"], dropout=0.3)
    problem = own.problem(net, "cross-entropy", 70, batch_size=40, held_out=33)
    straight = own.train("blas", problem, ds.Adam(0.01), 8)
    cut = own.train("blas", problem, ds.Adam(0.01), 8, control=Counting(looks))
    assert cut.last.step < 8
    rest = own.train("blas", problem, ds.Adam(0.01), 8 - cut.last.step, cut.last)
    joined = rest._replace(records=np.array([*cut.records, *rest.records]))
    assert own.bits(joined) == own.bits(straight)


def test_a_stop_is_seen_between_two_blocks(small_blocks):
    problem = own.problem(own.network([5, 40, 3], ["relu"]), "mse", 100)
    control = Counting(4)  # before the stretch, before the step, and before the second and the third of seven blocks
    cut = own.train("blas", problem, ds.Adam(0.01), 1, control=control)
    assert cut.last.step == 0
    assert control.left == -2  # one look asks for the stop, the next ends the stretch
    assert cut.last.parameters.tobytes() == cut.states[0].parameters.tobytes()


def test_a_pause_lets_a_long_step_be_made():
    own.makes_steps_though_paused_often("blas")


def test_another_thread_reads_and_stops():
    problem = own.problem(own.network([30, 64, 3], ["relu"]), "mse", 4096, batch_size=128)
    control = Control()
    trained = []
    thread = threading.Thread(
        target=lambda: trained.append(own.train("blas", problem, ds.Adam(1e-3), 10**9, control=control))
    )
    thread.start()
    deadline = time.monotonic() + 60
    while control.cells[1] < 3 and time.monotonic() < deadline:
        time.sleep(0.001)
    control.stop()
    thread.join(60)
    assert not thread.is_alive()
    assert 3 <= trained[0].last.step < 10**9
    assert trained[0].cells == [1, trained[0].last.step]


BROKEN = {
    "loss": (ds.SGD(1e3), np.float32, 1.0),
    "loss before any update": (ds.SGD(0.1), np.float32, 1e30),
    "gradient": (ds.SGD(1e-3), np.float32, 1e25),
    "weight": (ds.SGD(lambda step: 0.01 if step < 7 else 1e300), np.float64, 1.0),
    "slot": (ds.RMSprop(lambda step: 1e-3 if step < 7 else 1e24), np.float32, 1.0),
}


@pytest.mark.parametrize(("rule", "dtype", "scale"), BROKEN.values(), ids=BROKEN)
def test_what_is_not_finite_stops_with_the_last_good_state(rule, dtype, scale):
    problem = own.problem(own.network([6, 40, 2], ["relu"]), "mse", 50, batch_size=16, dtype=dtype)
    part = problem.training
    inputs = part.inputs * dtype(min(scale, 1e25) if scale != 1e25 else 1.0)
    targets = part.targets * dtype(1e18 if scale == 1e25 else 1.0)
    problem = replace(problem, training=part._replace(inputs=inputs, targets=targets))
    with np.errstate(all="ignore"):
        seen, expected = both(problem, rule, 2000)
    assert expected.error is not None
    assert str(seen.error) == str(expected.error)
    last = seen.last
    assert last.step == expected.last.step
    assert all(np.isfinite(array).all() for array in (last.parameters, *last.slots.values()))
    alone = own.train("blas", problem, rule, last.step)
    assert own.bits(alone) == own.bits(seen)


def test_a_schedule_that_fails_keeps_what_came_before():
    def rate(step):
        return 0.01 if step < 9 else -1.0

    problem = own.problem(own.network([6, 40, 2], ["relu"]), "mse", 50, batch_size=16)
    seen, expected = both(problem, ds.SGD(rate), 100)
    assert str(seen.error) == str(expected.error)
    assert seen.last.step == 9
    same_numbers(seen, expected)


@pytest.mark.parametrize("kind", ["classification", "regression"])
@pytest.mark.parametrize(("dtype", "limit"), [("float32", 1e-5), ("float64", 1e-12)])
def test_a_run_is_measured(kind, dtype, limit):
    data = ds.data.spiral(200, seed=2) if kind == "classification" else ds.data.sine(700, seed=2)
    net = ds.MLP([len(data.features), 40, 3 if kind == "classification" else 1], "gelu", dropout=0.4, l1=1e-3)
    run = ds.Run(net, data, ds.Adam(0.01), validation=0.3, dtype=dtype, batch_size=64, engine="blas")
    assert run.engine == "blas"
    run.train(3)
    seen = [run.evaluate(on) for on in ("training", "validation", data)]
    run._engine = own.ENGINES["reference"]()
    for got, on in zip(seen, ("training", "validation", data), strict=True):
        assert got == pytest.approx(run.evaluate(on), rel=limit)


def test_memory_is_that_of_a_block(monkeypatch):
    monkeypatch.setattr(blas, "BLOCK_PRODUCTS", 1 << 26)
    net = own.network([10, 300, 300, 1], ["relu", "tanh"])
    problem = own.problem(net, "mse", 10_000, held_out=8_000)
    own.train("blas", problem, ds.SGD(0.01), 1)  # loads the kernels
    tracemalloc.start()
    try:
        own.train("blas", problem, ds.SGD(0.01), 2)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 10_000 * 300 * 8 / 2  # half of what one layer's values would take


def test_a_wide_layer_of_few_weights_is_taken_in_few_rows(monkeypatch):
    monkeypatch.setattr(blas, "BLOCK_VALUES", 32 * 200)
    problem = own.problem(own.network([1, 90, 1], ["tanh"]), "mse", 600, held_out=300)
    seen, expected = both(problem, ds.SGD(0.01), 2)
    same_numbers(seen, expected)
    assert blas._Passes(blas.plan_of(problem), problem)._values.size < 32 * 200
