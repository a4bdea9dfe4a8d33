"""Advice: one sentence each, which names a setting and a direction, with the numbers."""

import math

import pytest

import downslope as ds
from downslope.engines.judge import ALARM, CLIPPED, DEAD, OSCILLATION, PLATEAU, SIGNALS
from downslope.engines.problem import Alert
from downslope.training.advice import KINDS, Seen, advice, cause, noticed
from downslope.training.guard import Guard


def a_run(optimizer=None, *, epochs=0, network=None, **options):
    run = ds.Run(network or ds.MLP([2, 8, 3]), ds.data.spiral(20), optimizer or ds.SGD(5.0), **options)
    run.train(epochs)
    return run


def alert(codes, step=1, **signals):
    usual = {
        "step": float(step), "loss": 1.0, "gradient_norm": 0.1, "slope_before": -1.0, "slope_after": -0.9,
        "slope_now": -1.0, "update_norm": 0.01, "weight_norm": 1.0, "largest_weight": 1.0, "learning_rate": 5.0,
        "dead": 0.0,
    }  # fmt: skip
    return Alert(step, codes, 0, tuple((usual | signals)[name] for name in SIGNALS))


def sentence(codes, run, step=1, **signals):
    ((_, told),) = advice(alert(codes, step, **signals), run)
    return told


def test_the_signals_are_the_judges():
    assert Seen._fields == SIGNALS
    seen = Seen(slope_before=-2.0, slope_after=4.0, update_norm=1.0, weight_norm=4.0)
    assert (seen.slope_ratio, seen.update_ratio) == (3.0, 0.25)
    assert math.isnan(Seen(slope_before=0.0, slope_after=1.0).slope_ratio)
    assert math.isnan(Seen(update_norm=1.0, weight_norm=0.0).update_ratio)


@pytest.mark.parametrize("codes", range(64))
def test_each_code_has_its_sentence_and_an_alarm_stands_for_the_watch(codes):
    told = advice(alert(codes, 3), a_run())
    expected = [kind for kind, bit in KINDS.items() if codes & bit and not (kind == "watch" and codes & ALARM)]
    assert [kind for kind, _ in told] == expected
    for _, words in told:
        assert words.startswith("step 3: ")
        assert "learning_rate" in words
        assert "nan" not in words


@pytest.mark.parametrize(
    ("signals", "told"),
    [
        (
            {"update_norm": 0.46, "slope_before": -1.0, "slope_after": 2.1},
            "step 1: the update is 0.46 of the weights and the slope turned (r = 3.1): lower learning_rate (now 5)",
        ),
        ({"update_norm": 0.46}, "step 1: the update is 0.46 of the weights: lower learning_rate (now 5)"),
        ({"update_norm": 39.0}, "step 1: the update is 39 times the weights: lower learning_rate (now 5)"),
        ({"loss": math.nan}, "step 1: the loss is not finite: lower learning_rate (now 5)"),
        ({"gradient_norm": math.inf}, "step 1: the gradient is not finite: lower learning_rate (now 5)"),
        ({"update_norm": math.inf}, "step 1: a weight is not finite: lower learning_rate (now 5)"),
        ({"largest_weight": math.nan}, "step 1: a weight is not finite: lower learning_rate (now 5)"),
        (
            {"slope_before": math.nan, "slope_after": math.nan},
            "step 1: the loss is 1, the norm of its gradient 0.1: lower learning_rate (now 5)",
        ),
    ],
)
def test_an_explosion_is_told_by_what_is_out_of_proportion(signals, told):
    assert sentence(ALARM, a_run(), **signals) == told


def test_the_loss_is_compared_with_the_epoch_before_though_the_run_is_further():
    run = a_run(ds.SGD(0.5), epochs=10)
    before = run.history.loss[3]
    told = sentence(ALARM, run, 5, loss=50.0, learning_rate=0.5)
    assert f"the loss is 50 after {before:.3g} in the last epoch" in told
    batches = a_run(ds.SGD(0.5), epochs=10, batch_size=30)
    told = sentence(ALARM, batches, 10, loss=50.0, learning_rate=0.5)
    assert f"the loss is 50 after {batches.history.loss[3]:.3g} in the last epoch" in told
    assert "in the last epoch" not in sentence(ALARM, run, 1, loss=50.0)


def test_the_users_last_change_is_named_where_it_was_made_of_late():
    run = a_run(ds.SGD(0.5), epochs=10)
    run.change(learning_rate=7.0)
    assert sentence(ALARM, run, 11, update_norm=0.5) == (
        "step 11: the update is 0.5 of the weights, right after a change (learning_rate=7.0 (was 0.5)): "
        "lower learning_rate (now 7)"
    )
    assert "4 steps after a change" in sentence(ALARM, run, 14)
    assert "a change" not in sentence(ALARM, run, 111)
    assert "a change" not in sentence(ALARM, run, 9)
    assert cause(run, 11) is run.log[0]


def test_another_setting_changed_of_late_is_the_first_to_be_taken_back():
    run = a_run(ds.SGD(0.5, momentum=0.1), epochs=3)
    run.change(momentum=0.99)
    assert sentence(ALARM, run, 5, update_norm=0.5) == (
        "step 5: the update is 0.5 of the weights, 2 steps after a change (momentum=0.99 (was 0.1)): "
        "take momentum back to 0.1, or lower learning_rate (now 0.5)"
    )


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"learning_rate": 100.0, "momentum": 0.5}, "lower learning_rate (now 100)"),  # momentum is lower than before
        ({"learning_rate": 100.0, "momentum": 0.99}, "lower learning_rate (now 100) or momentum (now 0.99)"),
        ({"learning_rate": 100.0, "batch_size": 5}, "lower learning_rate (now 100) or momentum (now 0.9)"),
        ({"learning_rate": 0.1, "momentum": 0.99}, "take momentum back to 0.9, or lower learning_rate (now 0.1)"),
        ({"momentum": 0.5}, "lower learning_rate (now 0.2)"),
        ({"batch_size": 5}, "take batch_size back to 60, or lower learning_rate (now 0.2)"),
        ({"nesterov": True}, "take nesterov back to False, or lower learning_rate (now 0.2)"),
        (
            {"learning_rate": ds.Constant(0.2), "momentum": 0.99},
            "lower learning_rate (now 0.2) or momentum (now 0.99)",
        ),
    ],
)
def test_what_was_changed_in_the_calmer_direction_is_not_to_be_taken_back(change, told):
    run = a_run(ds.SGD(0.2, momentum=0.9), epochs=3)
    run.change(**change)
    assert sentence(ALARM, run, 5).endswith(f": {told}")


def test_an_update_that_is_long_beside_those_before_is_told_though_the_weights_are_far_larger():
    run = a_run(ds.SGD(0.5), epochs=10)
    ratio = run.history.update_ratio[-1]
    assert "the update is 7 times as long as in the last epoch" in sentence(ALARM, run, 11, update_norm=7 * ratio)
    assert "as long as" not in sentence(ALARM, run, 11, update_norm=2 * ratio)
    assert "as long as" not in sentence(ALARM, run, 1, update_norm=0.09)  # there was no epoch before
    still = a_run(ds.SGD(1e-300), epochs=2)
    assert still.history.update_ratio[-1] == 0.0
    assert "as long as" not in sentence(ALARM, still, 3, update_norm=0.09)  # nor anything to compare with


def test_a_change_that_changed_nothing_is_no_cause():
    run = a_run(ds.SGD(0.5, momentum=0.5), epochs=3)
    run.change(learning_rate=7.0)
    run.change(momentum=0.5)
    assert "a change (learning_rate=7.0 (was 0.5))" in sentence(ALARM, run, 4)


def test_numbers_are_written_out():
    assert "promises a fall of 25,310 times the loss" in sentence(ALARM, a_run(), slope_now=-25310.4)
    assert "promises a fall of 1.2e+07 times the loss" in sentence(ALARM, a_run(), slope_now=-1.2e7)


def test_a_large_momentum_is_named_beside_the_rate():
    assert sentence(ALARM, a_run(ds.SGD(5.0, momentum=0.95))).endswith(
        "lower learning_rate (now 5) or momentum (now 0.95)"
    )
    assert "momentum" not in sentence(ALARM, a_run(ds.SGD(5.0, momentum=0.5)))


@pytest.mark.parametrize(
    ("signals", "told"),
    [
        ({"update_norm": 1e-9}, "the loss stays at 1 and an update is only 1e-09 of the weights: raise learning_rate"),
        ({"slope_after": 0.5}, "the loss stays at 1 and updates overshoot (r = 1.5): lower learning_rate (now 5)"),
        ({"slope_after": -0.9}, "the loss stays at 1 and the slope hardly changes along an update (r = 0.1): raise"),
        ({"slope_after": -0.2}, "the loss stays at 1 at a learning_rate that has not been lowered: lower"),
        (
            {"learning_rate": 0.04},
            "the loss stays at 1 and learning_rate has fallen from 5 to 0.04: "
            "raise learning_rate, or let its schedule fall more slowly",
        ),
    ],
)
def test_a_plateau_names_the_direction_that_its_numbers_point_to(signals, told):
    assert sentence(PLATEAU, a_run(), **signals).startswith(f"step 1: {told}")


def test_oscillation_asks_for_smaller_steps():
    assert sentence(OSCILLATION, a_run()) == (
        "step 1: after most updates the slope along them has turned, while the loss hardly falls: "
        "lower learning_rate (now 5)"
    )


def test_dead_units_are_told_with_their_share_and_the_activation():
    told = (
        "step 1: 38% of the hidden units had no gradient in the last 100 steps: "
        "lower learning_rate (now 5) in a new run"
    )
    assert sentence(DEAD, a_run(), dead=0.375) == f"{told}, or use leaky-relu in place of relu"
    assert sentence(DEAD, a_run(network=ds.MLP([2, 8, 3], activation="tanh")), dead=0.375) == told


def test_a_shortened_gradient_is_told_with_the_policys_setting():
    run = a_run(guard=Guard("clip", clip=3))
    assert sentence(CLIPPED, run, gradient_norm=120.0) == (
        "step 1: a gradient of norm 120 was shortened: lower learning_rate (now 5), or raise clip (now 3) "
        "if such gradients belong to the data"
    )


def test_an_error_of_the_engine_is_told_by_its_cause():
    run = a_run(ds.SGD(1e300))
    with pytest.raises(ds.NonFiniteError) as error:
        run.train(3)
    assert noticed(error.value, run) == "a weight is not finite"
    assert noticed(ds.NonFiniteError("something else"), run) == "a number is not finite"
