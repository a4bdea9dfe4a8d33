"""The guard's settings, and what each policy does to a run."""

import copy
import math
import pickle
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import downslope as ds
from downslope.engines.guard import OWN, UNITS
from downslope.engines.judge import ALARM, LIMITS, MEMORY
from downslope.engines.problem import Alert
from downslope.training.guard import POLICIES, Guard, ReduceOnPlateau, after, divisor, guard_from, last_good
from downslope.training.log import Entry

SPIRAL = ds.data.spiral(50)
RATE, JUMP = 0.5, 200.0

pytestmark = pytest.mark.filterwarnings("ignore::downslope.GuardWarning")


def before_the_jump(guard, *, epochs=300, data=SPIRAL, optimizer=None, **options):
    run = ds.Run(ds.MLP([2, 32, 3]), data, optimizer or ds.SGD(RATE, momentum=0.5), guard=guard, **options)
    run.train(epochs)
    return run


def jumped(guard, **options):
    """A run whose rate is four hundred times too large from step 300 on."""
    run = before_the_jump(guard, **options)
    run.change(learning_rate=JUMP)
    return run


def of_kind(run, kind):
    return [entry for entry in run.log if entry.kind == kind]


# Settings


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"policy": "rolback"}, "guard must be one of warn, stop, rollback, clip. Received: guard='rolback'. Did you"),
        ({"factor": 1}, "factor must be above 1. Received: factor=1"),
        ({"most": 0}, "most must be a whole number at least 1. Received: most=0"),
        ({"clip": 0.5}, "clip must be at least 1. Received: clip=0.5"),
        ({"plateau": 0.1}, "plateau must be a policy such as ReduceOnPlateau(patience=20). Received: plateau=0.1"),
        ({"limits": {"update": 1}}, "limit must be one of "),
        ({"limits": {LIMITS[0].name: "x"}}, f"{LIMITS[0].name} must be a number above 0. Received: "),
        ({"limits": 3}, "limits must be a mapping such as "),
    ],
)
def test_a_setting_that_is_not_legal_is_refused(settings, sentence):
    with pytest.raises(ds.InputError) as error:
        Guard(**settings)
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize(
    "guard",
    [
        Guard(),
        Guard("rollback", factor=4, most=2),
        Guard("clip", clip=3, plateau=ReduceOnPlateau(patience=3), limits={LIMITS[0].name: 2}),
    ],
)
def test_a_guard_is_a_value(guard):
    assert Guard.from_description(guard.describe()) == guard
    assert pickle.loads(pickle.dumps(guard)) == guard == copy.deepcopy(guard)
    assert hash(pickle.loads(pickle.dumps(guard))) == hash(guard)
    assert eval(repr(guard), {"Guard": Guard, "ReduceOnPlateau": ReduceOnPlateau}) == guard
    assert guard != Guard("stop")
    with pytest.raises(AttributeError):
        guard.factor = 3


def test_a_description_of_something_else_is_refused():
    with pytest.raises(ds.InputError, match=r"^guard setting must be one of policy, factor"):
        Guard.from_description({"polcy": "warn"})
    with pytest.raises(ds.InputError, match=r"^guard must be what describe\(\) gave"):
        Guard.from_description("warn")


@pytest.mark.parametrize(
    ("given", "guard"),
    [
        (None, None),
        (False, None),
        (True, Guard()),
        ("rollback", Guard("rollback")),
        (Guard("stop"), Guard("stop")),
    ],
)
def test_a_run_takes_a_guard_in_several_forms(given, guard):
    assert guard_from(given) == guard


def test_what_is_no_guard_is_refused():
    with pytest.raises(ds.InputError, match=r"^guard must be one of warn, stop, rollback, clip, a Guard, or None\."):
        guard_from(1.0)


def test_the_engine_is_given_the_limits_in_their_order():
    name = LIMITS[1].name
    watch = Guard("stop", limits={name: 7}).watch()
    expected = [7.0 if limit.name == name else limit.default for limit in LIMITS]
    assert watch.limits.tolist() == expected
    assert [Guard(policy).watch().halt for policy in POLICIES] == [False, True, True, False]
    assert [Guard(policy, clip=4).watch().clip for policy in POLICIES] == [0, 0, 0, 4]


# Policies


def test_warn_tells_and_touches_nothing(bits):
    watched, alone = jumped("warn"), jumped(None)
    with pytest.warns(ds.GuardWarning, match=r"after a change \(learning_rate=200.0"):
        watched.train(20)
    alone.train(20)
    assert of_kind(watched, "alarm")
    assert bits(watched) == bits(alone)
    assert alone.state.guard is None
    assert [entry.kind for entry in alone.log] == ["change"]


def test_each_kind_is_warned_of_once_a_call():
    run = jumped("warn")
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        run.train(60)
    kinds = {entry.kind for entry in run.log if entry.kind != "change"}
    assert "alarm" in kinds
    assert len(told) <= len(kinds)


def test_stop_ends_training_at_the_last_good_state(bits):
    run = jumped("stop")
    with pytest.raises(ds.ExplosionError, match=r"^step 30\d: .*: lower learning_rate \(now 200\)") as error:
        run.train(20)
    last = run.log[-1]
    assert (last.kind, last.by, last.told) == ("stop", "guard", str(error.value))
    assert last.back_from == error.value.step
    assert last.step == run.step <= 300
    assert len(run.history) == run.epoch == run.step
    fresh = before_the_jump("stop", epochs=run.step)
    assert bits(run) == bits(fresh)


@pytest.mark.parametrize("batch_size", [None, 32])
def test_rollback_goes_on_with_a_lower_rate(batch_size):
    run = jumped("rollback", batch_size=batch_size)
    loss = run.history.loss[-1]
    run.train(200)
    made = of_kind(run, "rollback")
    assert made
    assert all(entry.step <= 300 * run.problem.steps_per_epoch < entry.back_from for entry in made[:1])
    assert RATE / 2 <= run.optimizer.learning_rate < JUMP
    assert run.optimizer.momentum == 0.5
    assert run.history.loss[-5:].min() <= loss
    assert run.epoch == 500
    assert run.history.epoch.tolist() == list(range(500))


@pytest.mark.parametrize("factor", [3.0, 10.0, 100.0, 1000.0])
def test_a_jump_is_mended_by_few_rollbacks(factor):
    run = before_the_jump("rollback")
    loss = run.history.loss[-1]
    run.change(learning_rate=RATE * factor)
    run.train(300)
    assert len(of_kind(run, "rollback")) <= 4
    assert run.history.loss[-1] <= loss


def test_momentum_is_at_rest_after_a_rollback():
    seen = []
    run = jumped("rollback")
    run.train(30, on_event=lambda run, entry: seen.append((entry.kind, run.state.slots["velocity"].any())))
    assert ("rollback", False) in seen
    assert "with momentum cleared" in of_kind(run, "rollback")[0].told


@pytest.mark.parametrize("options", [{}, {"batch_size": 32}, {"engine": "reference"}, {"engine": "blas"}], ids=str)
def test_a_run_with_rollbacks_has_the_same_bits_in_pieces_and_replayed(bits, options):
    whole, pieces = jumped("rollback", **options), jumped("rollback", **options)
    whole.train(60)
    for epochs in (1, 2, 30, 27):
        pieces.train(epochs)
    assert of_kind(whole, "rollback")
    assert bits(whole) == bits(pieces)
    assert whole.state.guard.tobytes() == pieces.state.guard.tobytes()
    # A watch in steps that an alarm undid is told only where training stopped in between.
    assert [one.describe() for one in whole.log.acting()] == [one.describe() for one in pieces.log.acting()]
    assert bits(whole.replayed()) == bits(whole)
    assert bits(whole.at(epoch=350)) == bits(pieces.at(epoch=350))


def test_a_saved_run_is_rolled_back_and_reduced_as_one_that_went_on(bits, tmp_path):
    guard = Guard("rollback", plateau=ReduceOnPlateau(patience=3, min_delta=0.02, cooldown=2))
    run = jumped(guard)
    run.save(tmp_path / "run")
    run.train(100)
    assert of_kind(run, "rollback")
    assert [entry.step > 300 for entry in of_kind(run, "reduce")].count(True)
    resumed = ds.Run.load(tmp_path / "run")
    assert resumed.guard == guard
    resumed.train(40)
    resumed.save(tmp_path / "run")
    resumed = ds.Run.load(tmp_path / "run")
    resumed.train(60)
    assert bits(resumed) == bits(run)
    assert [one.describe() for one in resumed.log.acting()] == [one.describe() for one in run.log.acting()]


def test_after_so_many_rollbacks_it_is_a_stop():
    run = before_the_jump(Guard("rollback", most=2), optimizer=ds.SGD(1e300), epochs=0)
    with pytest.raises(
        ds.ExplosionError, match=r"^step 1: a weight is not finite, and 2 rollbacks have not helped: lower"
    ):
        run.train(5)
    assert [entry.kind for entry in run.log] == ["rollback", "rollback", "stop"]
    assert [entry.optimizer and entry.optimizer.learning_rate for entry in run.log] == [5e299, 1.25e299, None]
    assert run.step == 0


def test_the_users_next_change_allows_rollbacks_again():
    run = before_the_jump(Guard("rollback", most=1), optimizer=ds.SGD(1e300), epochs=0)
    with pytest.raises(ds.ExplosionError):
        run.train(5)
    run.change(learning_rate=1e200)
    with pytest.raises(ds.ExplosionError):
        run.train(5)
    assert [entry.kind for entry in run.log] == ["rollback", "stop", "change", "rollback", "stop"]
    run.change(learning_rate=0.1)
    run.train(5)
    assert run.epoch == 5


@pytest.mark.parametrize("policy", ["warn", "clip", None])
def test_a_number_that_is_not_finite_ends_training_without_a_way_back(policy):
    run = before_the_jump(policy, optimizer=ds.SGD(1e300), epochs=0)
    with pytest.raises(ds.NonFiniteError):
        run.train(5)
    assert run.step == 0


@pytest.mark.parametrize("policy", ["stop", "rollback"])
def test_a_number_that_is_not_finite_is_an_alarm(policy):
    run = before_the_jump(Guard(policy, factor=1e100), optimizer=ds.SGD(1e99), epochs=0)
    if policy == "stop":
        with pytest.raises(
            ds.ExplosionError, match=r"^step 1: a \w+ is not finite: lower learning_rate \(now 1e\+99\)"
        ):
            run.train(5)
        assert run.log[-1].kind == "stop"
    else:
        run.train(5)
        assert run.optimizer.learning_rate == pytest.approx(0.1)


def test_a_schedule_goes_on_scaled_after_a_rollback():
    schedule = ds.Piecewise([RATE, JUMP, 0.4], boundaries=[300, 330])
    run = before_the_jump("rollback", optimizer=ds.SGD(schedule, momentum=0.5))
    run.train(100)
    made = of_kind(run, "rollback")
    assert made
    assert made[0].optimizer.learning_rate(340) == pytest.approx(0.2)


def test_a_schedule_that_keeps_rising_is_held():
    ramp = ds.Constant(RATE).for_steps(300).then(ds.Exponential(RATE, rate=1.05))
    run = before_the_jump("rollback", optimizer=ds.SGD(ramp, momentum=0.5))
    loss = run.history.loss[-1]
    run.train(1000)
    assert 2 <= len(of_kind(run, "rollback")) <= 5
    assert not callable(run.optimizer.learning_rate)
    assert run.history.loss[-1] <= loss


def test_what_a_rollback_divides_by():
    """Twice as much each time; the rate that went well is a landmark; later trouble begins anew."""
    run = before_the_jump(Guard("rollback", most=9), epochs=50, optimizer=ds.SGD(1.0))
    alarm = Alert(51, ALARM, 45, (51.0, 5.0, 1.0, -1.0, 2.0, -1.0, 1.0, 1.0, 1.0, 1.0, 0.0))
    assert after(run.guard, run, alarm)[:3] == ("rollback", 45, 0.5)
    run.change(learning_rate=1000.0)
    assert after(run.guard, run, alarm)[:3] == ("rollback", 45, 0.5)

    def rolled_back(rate, from_step):
        rule = run.optimizer.replace(learning_rate=rate)
        run._act(Entry(run.step, run.epoch, "rollback", "guard", "", rule, back_from=from_step))

    rolled_back(500.0, 51)
    assert after(run.guard, run, alarm).factor == pytest.approx(1 / 500)
    rolled_back(1.0, 51)
    assert after(run.guard, run, alarm).factor == 0.125
    assert after(run.guard, run, alarm._replace(step=5000)).factor == 0.5


@pytest.mark.parametrize(
    ("factor", "rate", "healthy", "row", "expected"),
    [
        (2.0, 1.0, 1.0, 0, 2.0),
        (2.0, 1.0, math.inf, 3, 16.0),
        (3.0, 1.0, 2.0, 1, 9.0),
        (2.0, 1000.0, 1.0, 0, 2.0),  # the wish for a larger rate is tried once
        (2.0, 500.0, 1.0, 1, 500.0),  # then the rate that went well
        (2.0, 3.0, 1.0, 1, 4.0),
        (2.0, 3.0, 1.0, 2, 6.0),  # and not further below it than by one factor
        (2.0, 1.0, 0.0, 0, 2.0),  # nothing moved at a rate of 0
        (2.0, 0.0, 1.0, 0, 1.0),
        (1e200, 1.0, math.inf, 4, 1e30),  # a rate stays above 0
    ],
)
def test_what_a_rate_is_divided_by(factor, rate, healthy, row, expected):
    assert divisor(factor, rate, healthy, row) == pytest.approx(expected)


def test_a_number_that_is_not_finite_leads_back_before_the_damage_too():
    memory = np.zeros(UNITS)
    memory[MEMORY.index("good")], memory[len(MEMORY) + OWN.index("step")] = 40, 50
    run = SimpleNamespace(step=50, state=SimpleNamespace(guard=memory, step=50))
    assert last_good(run, ds.NonFiniteError("", 51)) == 40
    run.state.guard = None
    assert last_good(run, ds.NonFiniteError("", 51)) == 50


def test_a_batch_that_alarms_at_any_rate_is_told_of():
    run = before_the_jump(Guard("rollback", most=1), epochs=5, batch_size=16)
    alarm = Alert(51, ALARM, 45, (51.0, 5.0, 1.0, -1.0, 2.0, -1.0, 1.0, 1.0, 1.0, 0.5, 0.0))
    run._act(Entry(run.step, run.epoch, "rollback", "guard", "", run.optimizer.scaled(0.5), back_from=51))
    answer = after(run.guard, run, alarm)
    assert answer.kind == "stop"
    assert "it comes at this step at any rate: look for rows out of proportion in its batch" in answer.told


def test_clip_shortens_gradients_and_tells(bits):
    clipped, pieces, plain = jumped(Guard("clip", clip=2)), jumped(Guard("clip", clip=2)), jumped("warn")
    clipped.train(20)
    plain.train(20)
    for _ in range(4):
        pieces.train(5)
    assert of_kind(clipped, "clip")
    assert not of_kind(plain, "clip")
    assert clipped.history.largest_weight[-1] < plain.history.largest_weight[-1]
    assert bits(pieces) == bits(clipped)
    assert bits(clipped.replayed()) == bits(clipped)
    assert [one.describe() for one in clipped.log] == [one.describe() for one in pieces.log]


# Quiet where all is well

RATES = {
    "SGD": 0.5, "Adagrad": 0.1, "RMSprop": 0.005, "Adam": 0.01, "AdamW": 0.01, "NAdam": 0.01, "AMSGrad": 0.01,
    "Adamax": 0.02, "Adadelta": 1.0, "RAdam": 0.01, "Lion": 0.001, "AdEMAMix": 0.003,
}  # fmt: skip


@pytest.mark.parametrize("name", RATES)
@pytest.mark.parametrize("batch_size", [None, 32])
def test_a_healthy_run_of_every_rule_has_no_alarm_and_its_own_bits(bits, name, batch_size):
    rule = getattr(ds, name)(RATES[name])
    watched = before_the_jump("warn", optimizer=rule, batch_size=batch_size)
    alone = before_the_jump(None, optimizer=rule, batch_size=batch_size)
    assert not of_kind(watched, "alarm")
    assert bits(watched) == bits(alone)
    assert watched.state.guard is not None


def test_the_chapters_runs_have_no_alarm_but_for_the_leap_out_of_tiny_weights(printed_runs):
    for name, optimizer, _ in printed_runs:
        run = ds.Run(ds.MLP([2, 64, 3]), ds.data.spiral(100, seed="chapter"), optimizer)
        run.train(2000)
        assert not [entry for entry in of_kind(run, "alarm") if entry.step > 3], name


# Plateau


def test_a_plateau_lowers_the_rate_in_one_go_and_in_pieces_alike(bits):
    guard = Guard(plateau=ReduceOnPlateau(patience=4, min_delta=0.01, cooldown=3, factor=0.5, lowest=0.05))
    whole = before_the_jump(guard, epochs=200, optimizer=ds.SGD(1.0))
    made = of_kind(whole, "reduce")
    assert made
    assert all(entry.by == "guard" and entry.settings["learning_rate"] for entry in made)
    rates = whole.history.learning_rate
    for entry in made:
        assert rates[entry.epoch] == 2 * rates[entry.epoch + 1] or rates[entry.epoch + 1] == 0.05
    pieces = before_the_jump(guard, epochs=0, optimizer=ds.SGD(1.0))
    for _ in range(50):
        pieces.train(4)
    assert bits(pieces) == bits(whole)
    assert [one.describe() for one in pieces.log] == [one.describe() for one in whole.log]
    assert bits(whole.replayed()) == bits(whole)


def test_a_plateau_of_the_validation_loss_needs_a_validation_part():
    guard = Guard(plateau=ReduceOnPlateau(monitor="validation_loss"))
    before_the_jump(guard, validation=0.2, epochs=5)
    with pytest.raises(ds.InputError, match=r"^monitor must be 'loss' where the run has no validation part\."):
        before_the_jump(guard, epochs=5)


def test_a_past_step_between_rollbacks_goes_the_run_s_own_way():
    """What was undone before a rollback that is kept counts there: how many there were, and how close together."""
    compared = undone = 0
    for seed in range(12):
        guard = Guard("rollback", factor=1.2, most=100, limits={"settle": 10.0})
        run = ds.Run(
            ds.MLP([2, 8, 3]), ds.data.spiral(20), ds.SGD(0.5, momentum=0.9), batch_size=16, seed=seed, guard=guard
        )
        run.train(57)
        run.change(learning_rate=20.0)
        run.train(27)
        run.change(schedule=ds.Exponential(1.0, rate=1e6, steps=50))
        run.train(5)
        run.change(schedule=ds.Exponential(0.1, rate=1e6, steps=20))
        run.train(128)
        for entry in [one for one in run.log if one.kind == "rollback" and one.step + 1 < run.step]:
            past = run.at(entry.step + 1)
            if all(one in past.log for one in run.log if one.by == "user"):
                compared += 1
                undone += any(one.step > past.step for one in past.log)
                past.train(run.epoch - past.epoch)
                assert past.parameters.tobytes() == run.parameters.tobytes()
    assert compared > 20
    assert undone > 5
