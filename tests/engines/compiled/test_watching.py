"""The guard inside the engines: the same signals and alerts everywhere, and training as without it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from downslope import rules
from downslope.engines.compiled import stretch
from downslope.engines.compiled.blas import Blas
from downslope.engines.guard import UNITS, clipped_steps, default_limits, good_step
from downslope.engines.judge import ALARM, CLIPPED, DEAD, LIMITS, SIGNALS
from downslope.engines.problem import Watch
from downslope.errors import InputError, NonFiniteError
from downslope.rules import SGD, Adam
from downslope.schedules import Piecewise

_spec = importlib.util.spec_from_file_location("engine_problems", Path(__file__).with_name("engine_problems.py"))
own = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(own)
own.ENGINES["blas"] = Blas

ENGINES = ["reference", "compiled", "blas"]
RULES = {**rules.RULES, "sgd with momentum": lambda rate: SGD(rate, momentum=0.9)}
WIDTH = len(SIGNALS) + 1


def layered(dtype=np.float64, *, rows=70, batch_size=16, dropout=0.1, held_out=20, **options):
    net = own.network([2, 16, 8, 3], ["relu", "tanh"], dropout=dropout, penalties=(1e-4, 1e-3, 1e-4, 1e-3))
    return own.problem(net, "cross-entropy", rows, batch_size=batch_size, held_out=held_out, dtype=dtype, **options)


def watched(engine, given, rule, steps, state=None, **options):
    """Return how it went, the trace and the watch."""
    watch = Watch(default_limits(), trace=np.full((steps, WIDTH), -1.0), **options)
    return own.train(engine, given, rule, steps, state, watch=watch), watch


def jump(rate=0.05, factor=1e3, at=60):
    """Return a rule whose rate grows at once."""
    return SGD(Piecewise([rate, rate * factor], [at]))


@pytest.mark.parametrize("engine", ENGINES[1:])
@pytest.mark.parametrize("rule", RULES)
def test_signals_are_those_of_the_reference(engine, rule):
    given, rule = layered(), RULES[rule](0.003)
    expected, wanted = watched("reference", given, rule, 40)
    found, watch = watched(engine, given, rule, 40)
    np.testing.assert_allclose(watch.trace, wanted.trace, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(found.last.guard, expected.last.guard, rtol=1e-7, atol=1e-12)
    assert [alert[:3] for alert in watch.alerts] == [alert[:3] for alert in wanted.alerts]


@pytest.mark.parametrize("engine", ENGINES[1:])
def test_signals_in_float32(engine):
    given, rule = layered(np.float32), Adam(0.01)
    _, wanted = watched("reference", given, rule, 30)
    _, watch = watched(engine, given, rule, 30)
    scale = np.nanmax(np.abs(wanted.trace), axis=0)
    np.testing.assert_allclose(watch.trace, wanted.trace, rtol=1e-3, atol=1e-4 * scale.max())


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("engine", ENGINES)
def test_signals_are_what_their_names_say(engine, dtype):
    """From the states of every step alone; the gradient is shown by a rule that keeps it."""
    given = layered(dtype, dropout=0.0)
    rule, steps, states = SGD(0.05, momentum=0.5), 12, []
    trained = own.train("reference", given, rule, steps)
    states = trained.states if engine == "reference" else []
    state = own.start(given, rule)
    if not states:
        states = [state]
        for _ in range(steps):
            states.append(own.train(engine, given, rule, 1, states[-1]).last)
    gradients = [own.train(engine, given, own.Echo(), 1, echo(given, each)).last.slots["seen"] for each in states[:-1]]
    _, watch = watched(engine, given, rule, steps)
    wide = [np.asarray(g, dtype=np.float64) for g in gradients]
    moved = [np.asarray(s.last_update, dtype=np.float64) for s in states]
    column = dict(zip((*SIGNALS, "codes"), watch.trace.T, strict=True))
    close = {"rtol": 1e-4 if dtype == np.float32 else 1e-10}
    np.testing.assert_array_equal(column["step"], np.arange(1, steps + 1))
    np.testing.assert_allclose(column["gradient_norm"], [np.linalg.norm(g) for g in wide], **close)
    np.testing.assert_allclose(column["slope_now"], [m @ g for m, g in zip(moved[1:], wide, strict=True)], **close)
    np.testing.assert_allclose(
        column["slope_after"][1:], [m @ g for m, g in zip(moved[1:-1], wide[1:], strict=True)], atol=1e-7, **close
    )
    np.testing.assert_array_equal(column["slope_before"][1:], column["slope_now"][:-1])
    assert np.isnan([column["slope_before"][0], column["slope_after"][0]]).all()
    np.testing.assert_allclose(column["update_norm"], [np.linalg.norm(m) for m in moved[1:]], **close)
    np.testing.assert_allclose(column["weight_norm"], [np.linalg.norm(s.parameters) for s in states[:-1]], **close)
    np.testing.assert_array_equal(column["largest_weight"], [np.abs(s.parameters).max() for s in states[1:]])
    np.testing.assert_array_equal(column["learning_rate"], 0.05)
    per_epoch, rows = given.steps_per_epoch, np.array([16, 16, 16, 16, 6])
    records = own.train(engine, given, rule, steps).records
    losses = column["loss"][: 2 * per_epoch].reshape(2, per_epoch)
    # An epoch's record has the mean over rows, and the mean over steps of the penalty, which hardly moves here.
    np.testing.assert_allclose(losses @ rows / 70, records[:2, 0], rtol=1e-4)


def echo(given, state):
    """Return a state from which `Echo` shows the gradient of the same step."""
    fresh = own.start(given, own.Echo())
    return type(state)(
        state.parameters, fresh.slots, fresh.last_update, state.step, state.epoch, state.batch, totals=state.totals
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("engine", ENGINES)
def test_training_is_as_without_it(engine, dtype):
    given, rule = layered(dtype), Adam(0.02)
    with_it, _ = watched(engine, given, rule, 33)
    assert own.bits(with_it) == own.bits(own.train(engine, given, rule, 33))


@pytest.mark.parametrize("parts", [(1,) * 12, (5, 7), (11, 1)])
@pytest.mark.parametrize("clip", [0.0, 1.01])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("engine", ENGINES)
def test_in_pieces(engine, dtype, clip, parts):
    given, rule = layered(dtype), SGD(0.5, momentum=0.9)
    first = own.train(engine, given, rule, 22, watch=Watch(default_limits(), clip=clip)).last
    straight, whole = watched(engine, given, rule, sum(parts), first, clip=clip)
    state, traces, alerts = first, [], []
    for steps in parts:
        piece, watch = watched(engine, given, rule, steps, state, clip=clip)
        state = piece.last
        traces.append(watch.trace)
        alerts += watch.alerts
    assert np.concatenate(traces).tobytes() == whole.trace.tobytes()
    assert state.guard.tobytes() == straight.last.guard.tobytes()
    assert state.parameters.tobytes() == straight.last.parameters.tobytes()
    assert alerts == whole.alerts


@pytest.mark.parametrize("engine", ENGINES)
def test_an_alarm_ends_the_call_where_it_halts(engine):
    given, rule = layered(dropout=0.0), jump()
    going_on, all_of_it = watched(engine, given, rule, 80)
    halted, watch = watched(engine, given, rule, 80, halt=True)
    alarms = [alert for alert in all_of_it.alerts if alert.codes & ALARM]
    assert 60 < alarms[0].step <= 70
    assert watch.alarm == alarms[0]
    assert going_on.last.step == 80 or isinstance(going_on.error, NonFiniteError)
    assert halted.error is None
    assert all_of_it.alarm is None
    assert halted.last.step < watch.alarm.step
    assert watch.alerts == [alert for alert in all_of_it.alerts if alert.step <= halted.last.step]
    assert 0 < watch.alarm.good <= 60
    assert watch.alarm.signals == tuple(watch.trace[watch.alarm.step - 1, :-1])
    back, again = watched(engine, given, rule, watch.alarm.good, halt=True)
    assert (back.last.step, again.alarm) == (watch.alarm.good, None)
    assert own.bits(back) == own.bits(own.train(engine, given, rule, watch.alarm.good))


@pytest.mark.parametrize("engine", ENGINES)
def test_where_a_number_is_not_finite_the_memory_tells_the_good_step(engine):
    given, rule = layered(np.float32, dropout=0.0), jump(factor=1e30)
    trained, watch = watched(engine, given, rule, 80)
    assert isinstance(trained.error, NonFiniteError)
    assert trained.error.step == trained.last.step + 1
    assert 0 < good_step(trained.last) <= 60
    before = own.train(engine, given, rule, trained.last.step, watch=Watch(default_limits()))
    assert before.last.guard.tobytes() == trained.last.guard.tobytes()
    assert len({alert.step for alert in watch.alerts}) == len(watch.alerts)


@pytest.mark.parametrize("engine", ["compiled", "blas"])
def test_a_stretch_ends_where_there_is_no_room_for_alerts(engine, monkeypatch):
    pulses = Piecewise([0.05, 5.0] * 4 + [0.05], [k for at in range(50, 450, 100) for k in (at, at + 3)])
    given, rule = layered(dropout=0.0), SGD(pulses)
    plenty, wanted = watched(engine, given, rule, 450)
    assert len(wanted.alerts) > 3
    monkeypatch.setattr(stretch, "MOST_ALERTS", 1)
    few, watch = watched(engine, given, rule, 450)
    assert len(few.states) == 451  # the first, and one after every step
    assert watch.alerts == wanted.alerts
    assert watch.trace.tobytes() == wanted.trace.tobytes()
    assert own.bits(few) == own.bits(plenty)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("engine", ENGINES)
def test_clipping_shortens_what_is_too_long_and_nothing_else(engine, dtype):
    given = layered(dtype, dropout=0.0)
    rule, factor, steps = SGD(0.05), 1.1, 150
    trained, watch = watched(engine, given, rule, steps, clip=factor)
    norms, mean, told, last, many = watch.trace[:, SIGNALS.index("gradient_norm")], 0.0, [], -np.inf, 0
    for step, norm in enumerate(norms, start=1):
        taken = norm
        if step > 20 and norm > factor * mean:
            taken, many = factor * mean, many + 1
            told += [step] if step - last > 100 else []
            last = step
        mean += (taken - mean) / min(step, 100)
        # The step of plain descent is the rate times the gradient that was taken.
        assert watch.trace[step - 1, SIGNALS.index("update_norm")] == pytest.approx(0.05 * taken, rel=1e-5)
        assert watch.trace[step - 1, SIGNALS.index("slope_now")] == pytest.approx(-0.05 * taken * norm, rel=1e-4)
    assert [alert.step for alert in watch.alerts if alert.codes & CLIPPED] == told
    assert clipped_steps(trained.last) == many
    assert 0 < many < steps
    assert told


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("units", [8, 19])
@pytest.mark.parametrize("engine", ENGINES)
def test_dead_units_are_those_without_a_gradient_for_long(engine, units, dtype):
    net = own.network([2, units, 1], ["relu"])
    given, rule = own.problem(net, "mse", 20, dtype=dtype), SGD(1e-4)
    fresh = own.start(given, rule)
    flat, dead = fresh.parameters.copy(), np.arange(units) % 4 != 1
    flat[2 * units : 3 * units] = np.where(dead, -100, 5)  # the hidden units' biases
    first = type(fresh).start(flat, rule)
    trained, watch = watched(engine, given, rule, 130, first)
    share = watch.trace[:, SIGNALS.index("dead")]
    assert share.tolist() == [0.0] * 99 + [dead.mean()] * 31
    assert trained.last.guard[UNITS:].tolist() == np.where(dead, 0.0, 130.0).tolist()
    assert [alert.step for alert in watch.alerts if alert.codes & DEAD] == [100]


@pytest.mark.parametrize("engine", ENGINES)
def test_an_epoch_longer_than_a_hundred_steps_is_waited_for(engine):
    net = own.network([2, 4, 1], ["relu"])
    given, rule = own.problem(net, "mse", 120, batch_size=1), SGD(1e-6)
    fresh = own.start(given, rule)
    flat = fresh.parameters.copy()
    flat[8:12] = -100
    _, watch = watched(engine, given, rule, 121, type(fresh).start(flat, rule))
    assert watch.trace[:, SIGNALS.index("dead")].tolist() == [0.0] * 119 + [1.0] * 2


@pytest.mark.parametrize("engine", ENGINES)
def test_without_a_watch_the_memory_is_passed_on(engine):
    given, rule = layered(), Adam(0.01)
    first, _ = watched(engine, given, rule, 5)
    passed = own.train(engine, given, rule, 3, first.last).last
    assert passed.guard is first.last.guard
    assert own.train(engine, given, rule, 3).last.guard is None
    _, watch = watched(engine, given, rule, 2, passed)
    before, after = (watch.trace[:, SIGNALS.index(name)] for name in ("slope_before", "slope_after"))
    assert np.isnan([before[0], after[0]]).all()  # the slope of a step nobody watched is not known
    assert np.isfinite([before[1], after[1]]).all()


@pytest.mark.parametrize("engine", ENGINES)
def test_what_does_not_fit_is_refused(engine):
    given, rule = layered(), SGD(0.1)
    few = Watch(default_limits()[1:])
    short = Watch(default_limits(), trace=np.zeros((4, WIDTH)))
    turned = Watch(default_limits(), trace=np.zeros((WIDTH, 5)).T)
    fixed = Watch(default_limits(), trace=np.zeros((5, WIDTH)))
    fixed.trace.flags.writeable = False
    below = Watch(default_limits(), clip=-1.0)
    sentences = {
        f"limits must be {len(LIMITS)} numbers": few,
        "trace must be at least 5 rows": short,
        "trace must be contiguous": turned,
        "contiguous and writable": fixed,
        "clip must be at least 0. Received: clip=-1.0": below,
    }
    for sentence, watch in sentences.items():
        trained = own.train(engine, given, rule, 5, watch=watch)
        assert isinstance(trained.error, InputError)
        assert sentence in str(trained.error)
        assert trained.last.step == 0
