import dataclasses
import math
import re
import signal

import numpy as np
import pytest

import downslope as ds
from downslope.data import Dataset
from downslope.errors import InputError
from downslope.rules import RULES
from downslope.training.rate_test import RateTest, find_rate
from downslope.training.rate_trials import CLOSE, Copy, Trial, trials


def spiral_run(optimizer=None, **settings):
    return ds.Run(
        ds.MLP([2, 16, 3]), ds.data.spiral(samples=20), optimizer or ds.SGD(momentum=0.9), **{"guard": None, **settings}
    )


def made_test(smoothed, rates=None, tried=(), level=1.0):
    smoothed = np.array(smoothed)
    rates = 10.0 ** np.arange(len(smoothed)) if rates is None else np.array(rates)
    return RateTest(rates, smoothed, smoothed, "whole", tuple(tried), True, ds.SGD(), 0, level, 200, "", "")


def held(rate):
    return Trial(rate, False, 0.5, 0.5, 200)


def exploded(rate):
    return Trial(rate, True, math.inf, math.inf, 3)


@pytest.mark.parametrize("engine", ["compiled", "reference"])
@pytest.mark.parametrize(
    ("settings", "optimizer"),
    [
        ({"guard": "warn"}, ds.Adam(0.05)),
        ({"batch_size": 16, "validation": 0.2}, ds.SGD(ds.InverseTime(0.5, 0.01), momentum=0.9)),
    ],
)
def test_the_run_is_untouched(settings, optimizer, engine, bits):
    """Neither its state, history, log and optimizer change, nor the bits of what it does next."""
    run, twin = (spiral_run(optimizer, engine=engine, **settings) for _ in range(2))
    for one in (run, twin):
        one.train(7)
    state, before, entries = run.state, bits(run), list(run.log)
    found = find_rate(run, steps=60, hold=40)
    assert run.state is state
    assert bits(run) == before
    assert list(run.log) == entries
    assert run.optimizer is optimizer
    assert len(found.rates) > 10
    for one in (run, twin):
        one.train(5)
    assert bits(run) == bits(twin)


@pytest.mark.parametrize("done", [0, 5])
def test_the_losses_are_those_of_training_with_that_schedule(done):
    ramp = ds.Exponential(1e-4, rate=1e4, steps=49)
    rate = ds.Constant(0.5).for_steps(done).then(ramp) if done else ramp
    trained = spiral_run(ds.SGD(rate, momentum=0.9))
    trained.train(done + 50)
    run = spiral_run(ds.SGD(0.5, momentum=0.9))
    run.train(done)
    test = find_rate(run, low=1e-4, high=1.0, steps=50, stop=1e9, hold=0)
    assert test.losses.tolist() == trained.history.loss[done:].tolist()
    assert test.rates.tolist() == [ramp(k) for k in range(50)]
    assert (test.ended, test.trials, test.threshold, test.held) == ("whole", (), None, None)
    assert test.step == done
    assert test.rates[[0, -1]].tolist() == [1e-4, 1.0]


def test_the_losses_of_mini_batches_are_those_of_the_reference_engine():
    one, other = (
        find_rate(spiral_run(batch_size=16, dtype="float64", engine=engine), steps=50, hold=0)
        for engine in ("compiled", "reference")
    )
    size = min(len(one.losses), len(other.losses)) - 3  # rounding grows where training explodes
    assert size > 30
    np.testing.assert_allclose(one.losses[:size], other.losses[:size], rtol=1e-6)
    assert len(set(one.losses[:10])) == 10


def test_smoothing_is_a_weighted_mean_of_what_was_seen():
    test = find_rate(spiral_run(batch_size=16), steps=40, smoothing=0.8, stop=1e9, hold=0)
    for place in (0, 1, 7, len(test.losses) - 1):
        weights = 0.8 ** np.arange(place, -1, -1)
        np.testing.assert_allclose(test.smoothed[place], weights @ test.losses[: place + 1] / weights.sum(), rtol=1e-12)


def test_the_ramp_ends_where_the_smoothed_loss_has_risen():
    test = find_rate(spiral_run(), stop=2.0, hold=0)
    lowest = np.minimum.accumulate(test.smoothed)
    assert test.ended == "risen"
    assert (test.smoothed[:-1] <= 2.0 * lowest[:-1]).all()
    assert test.smoothed[-1] > 2.0 * lowest[-1]


def test_the_ramp_ends_at_a_number_that_is_not_finite():
    run = ds.Run(ds.MLP([10, 1]), ds.data.diabetes(), ds.SGD())
    test = find_rate(run, low=1.0, high=1e30, steps=20, smoothing=0.0, stop=1e300, hold=0)
    assert test.ended == "not finite"
    assert np.isfinite(test.losses).all()
    assert 0 < len(test.losses) < 20


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_on_linear_regression_the_threshold_is_what_theory_says(momentum):
    """Gradient descent with heavy-ball momentum on a quadratic diverges above (2 + 2·momentum) / largest eigenvalue."""
    run = ds.Run(ds.MLP([10, 1]), ds.data.diabetes(), ds.SGD(momentum=momentum), dtype="float64")
    inputs = run.problem.training.inputs
    design = np.column_stack([inputs, np.ones(len(inputs))])
    largest = np.linalg.eigvalsh(2 * design.T @ design / len(design)).max()
    test = find_rate(run)
    assert test.held < test.threshold <= CLOSE * test.held
    assert test.threshold == pytest.approx((2 + 2 * momentum) / largest, rel=0.06)


def test_what_trials_say_is_what_a_run_does():
    test = find_rate(spiral_run())
    ends = []
    for rate in (test.held, test.threshold):
        run = spiral_run(ds.SGD(rate, momentum=0.9))
        run.train(test.hold)
        trial = next(trial for trial in test.trials if trial.rate == rate)
        assert trial.loss == pytest.approx(run.history.loss[-20:].mean(), rel=1e-12)
        ends.append(trial.loss)
    assert ends[0] < 2 * test.level <= ends[1]


@pytest.mark.parametrize("begin", [1.0, 3.0, 50.0])
def test_trials_close_in_on_the_threshold(begin):
    found = list(trials(lambda rate: exploded(rate) if rate >= 3.7 else held(rate), begin, 1e-3, 1e3))
    above, below = ([trial.rate for trial in found if trial.exploded == which] for which in (True, False))
    assert min(above) <= CLOSE * max(below)
    assert max(below) < 3.7 <= min(above)
    assert found[0].rate == begin
    assert len(found) < 12


@pytest.mark.parametrize("scale", [1e300, 1e-300])
def test_trials_close_in_where_the_product_of_two_rates_is_no_number(scale):
    found = list(trials(lambda rate: exploded(rate) if rate >= 3.7 * scale else held(rate), scale, scale, 1e3 * scale))
    assert max(trial.rate for trial in found if not trial.exploded) > 3.7 / CLOSE * scale
    assert min(trial.rate for trial in found if trial.exploded) < 3.7 * CLOSE * scale
    assert len(found) < 20


def test_trials_end_at_the_ends_of_the_range():
    assert [trial.rate for trial in trials(held, 1.0, 0.1, 5.0)] == [1.0, 2.0, 4.0, 5.0]
    assert [trial.rate for trial in trials(exploded, 1.0, 0.3, 5.0)] == [1.0, 0.5, 0.3]
    assert list(trials(lambda _: None, 1.0, 0.1, 5.0)) == []


def test_the_suggestion_is_where_nine_tenths_of_the_fall_are_made():
    assert made_test([1.0, 0.9, 0.5, 0.18, 0.1, 4.0]).suggestion == 1e3
    assert made_test([1.0, 0.9, 0.5, 0.2, 0.1, 4.0]).suggestion == 1e4
    # The fall begins at the run's loss: a first batch that happens to be easy does not hide it.
    assert made_test([0.2, 0.9, 0.5, 0.18, 0.1], level=1.0).suggestion == 1e3


def test_the_suggestion_is_at_most_half_of_what_holds():
    losses = [1.0, 0.9, 0.5, 0.18, 0.1]
    assert made_test(losses, tried=[held(1200.0), exploded(1250.0)]).suggestion == 600.0
    assert made_test(losses, tried=[held(1200.0)]).suggestion == 1000.0  # nothing exploded
    assert made_test(losses, tried=[exploded(10.0)]).suggestion is None


@pytest.mark.parametrize(
    ("losses", "settings", "bound"),
    [
        ([1.0, 0.9, 0.5, 0.3, 0.1], {}, True),
        ([1.0, 0.9, 0.5, 0.1, 0.11], {}, False),  # it has turned
        ([*np.linspace(1, 0.1, 50), 0.1001], {}, True),  # the last batch of many ends no fall
        ([*np.linspace(1, 0.1, 50), 0.5], {}, False),  # a rise does
        ([1.0, 0.9, 0.5, 0.3, 0.1], {"ended": "risen"}, False),
        ([1.0, 0.9, 0.5, 0.3, 0.1], {"ended": "stopped"}, False),
        ([1.0, 0.9, 0.5, 0.3, 0.1], {"trials": (held(2e4),)}, True),
        ([1.0, 0.9, 0.5, 0.3, 0.1], {"trials": (held(1200.0), exploded(1250.0))}, False),  # its half limits it
        ([1.0, 1.0, 1.0], {}, False),
        ([], {}, False),
    ],
)
def test_a_loss_that_still_falls_makes_the_suggestion_a_lower_bound(losses, settings, bound):
    test = dataclasses.replace(made_test(losses), **settings)
    assert test.lower_bound is bound
    assert test.describe()["lower_bound"] is bound


def test_a_larger_range_suggests_more_than_a_lower_bound():
    short, long = (find_rate(spiral_run(), high=high, hold=0) for high in (0.01, 100.0))
    assert (short.lower_bound, long.lower_bound) == (True, False)
    assert short.suggestion < long.suggestion


@pytest.mark.parametrize("losses", [[1.0, 1.1, 1.2], [1.0, 1.0, 1.0], [1.5, 1.2], [1.0], []])
def test_a_loss_that_never_fell_suggests_nothing(losses):
    test = made_test(losses, level=1.0)
    assert (test.suggestion, test.lowest) == ((None, None) if losses != [1.5, 1.2] else (10.0, 10.0))


@pytest.mark.parametrize("level", [1.0, 1e-6, 1e6])
def test_a_fall_is_more_than_rounding(level):
    eps = float(np.finfo(np.float32).eps)
    for share, fell in ((4 * eps, False), (20 * eps, True)):
        found = made_test([level, level * (1 - share), level], level=level)
        assert (found.suggestion is not None) is fell


def test_a_ramp_that_was_stopped_suggests_nothing():
    test = dataclasses.replace(made_test([1.0, 0.9, 0.8]), ended="stopped", finished=False)
    assert (test.suggestion, test.lowest) == (None, 100.0)


def test_what_holds_is_below_everything_that_exploded():
    test = made_test([1.0, 0.5], tried=[held(1.0), exploded(4.0), held(8.0), exploded(2.0)])
    assert (test.held, test.threshold) == (1.0, 2.0)


@pytest.mark.parametrize("name", RULES)
def test_every_rule_learns_at_what_is_suggested(name):
    run = spiral_run(RULES[name](), batch_size=20)
    test = find_rate(run)
    better = spiral_run(RULES[name](test.suggestion), batch_size=20)
    better.train(40)
    assert better.evaluate()["loss"] < 0.97 * test.level
    assert test.threshold is None or test.suggestion <= test.held / 2


def test_the_same_run_gives_the_same_numbers():
    one, other = (find_rate(spiral_run(batch_size=16)) for _ in range(2))
    assert one.describe() == other.describe()
    assert one.losses.tobytes() == other.losses.tobytes()


def test_data_to_compare_with_play_no_part():
    """A validation part only takes rows away; its own are never measured."""
    run = spiral_run(validation=ds.data.spiral(samples=5, seed=3))
    assert find_rate(run).describe() == find_rate(spiral_run()).describe()


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (ds.Run(ds.MLP([2, 3]), ds.data.spiral(samples=20), ds.SGD()), math.log(3)),
        (ds.Run(ds.MLP([2, 1]), ds.data.moons(), ds.SGD(), loss="bce"), math.log(2)),
        (ds.Run(ds.MLP([1, 1]), Dataset("d", [[0.0], [1.0], [2.0]], [[0.0], [0.0], [3.0]], ("x",), None, ("y",)),
                ds.SGD(), standardize=False), 2.0),
        (ds.Run(ds.MLP([1, 1]), Dataset("d", [[0.0], [1.0], [2.0]], [[0.0], [0.0], [3.0]], ("x",), None, ("y",)),
                ds.SGD(), loss="mae", standardize=False), 1.0),
    ],
    ids=["cross-entropy", "bce", "mse", "mae"],
)  # fmt: skip
def test_constant_outputs_reach_the_loss_of_shares_means_and_medians(run, expected):
    assert Copy(run).constant == pytest.approx(expected, rel=1e-6)


def test_it_tells_what_was_tested():
    run = spiral_run(batch_size=16, seed=7)
    run.train(2)
    test = find_rate(run, steps=20, hold=0)
    assert test.title == "spiral"
    assert test.details.split("  ·  ") == [
        "MLP([2, 16, 3])", "cross-entropy loss", "batches of 16", f"after {run.step} updates", "seed=7"
    ]  # fmt: skip


def test_found_so_far_is_told_and_grows():
    told = []
    test = find_rate(spiral_run(), steps=40, hold=20, on_progress=told.append)
    assert [one.finished for one in told] == [False] * (len(told) - 1) + [True]
    assert told[-1] is test
    assert [len(one.rates) for one in told] == sorted(len(one.rates) for one in told)
    assert [len(one.trials) for one in told[-len(test.trials) - 1 : -1]] == list(range(1, len(test.trials) + 1))


@pytest.mark.parametrize("when", ["in the ramp", "in a trial"])
def test_ctrl_c_leaves_what_was_found(when, bits):
    run, told = spiral_run(), []
    before = bits(run)

    def interrupt(test):
        told.append(test)
        if len(told) == 1 if when == "in the ramp" else len(test.trials) == 2:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        find_rate(run, on_progress=interrupt)
    last = told[-1]
    assert not last.finished
    assert (last.ended == "stopped") == (when == "in the ramp")
    assert len(last.trials) == (0 if when == "in the ramp" else 2)
    assert bits(run) == before


def test_the_table_and_the_description_hold_what_was_found():
    test = find_rate(spiral_run(), steps=40, hold=20)
    frame = test.frame()
    assert frame.columns == ["learning_rate", "loss", "smoothed_loss"]
    assert frame["loss"].to_list() == test.losses.tolist()
    described = test.describe()
    assert described["suggestion"] == test.suggestion
    assert [trial["rate"] for trial in described["trials"]] == [trial.rate for trial in test.trials]
    assert dataclasses.replace(test, trials=(exploded(1.0),)).describe()["trials"][0]["loss"] is None
    assert f"suggestion {test.suggestion:.3g}" in repr(test)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"low": 0}, "low must be above 0. Received: low=0"),
        ({"high": "x"}, "high must be a number above 0. Received: high='x'"),
        ({"low": 1, "high": 1.0}, "high must be above low, which is 1. Received: high=1.0"),
        (
            {"low": 1e-320, "high": 1e308},
            "high must be at most 1.8e+308 times low, which is 9.99989e-321. Received: high=1e+308",
        ),
        ({"steps": 1}, "steps must be a whole number at least 2. Received: steps=1"),
        ({"hold": -1}, "hold must be a whole number at least 0. Received: hold=-1"),
        ({"smoothing": 1.0}, "smoothing must be at least 0 and below 1. Received: smoothing=1.0"),
        ({"stop": 1}, "stop must be above 1. Received: stop=1"),
        ({"on_progress": 3}, "on_progress must be a function of what was found so far. Received: on_progress=3"),
    ],
)
def test_wrong_input_is_one_sentence(settings, sentence):
    with pytest.raises(InputError, match=f"^{re.escape(sentence)}$"):
        find_rate(spiral_run(), **settings)


def test_only_a_run_with_a_finite_loss_can_be_tested():
    with pytest.raises(InputError, match=r"^run must be a run such as"):
        find_rate(ds.SGD())
    far = Dataset("far", [[0.0], [1.0]], [[1e30], [-1e30]], ("x",), None, ("y",))
    run = ds.Run(ds.MLP([1, 1]), far, ds.SGD(), standardize=False)
    with pytest.raises(InputError, match=r"^the run must have a finite loss to be tested\. Received: a loss of inf$"):
        find_rate(run)
