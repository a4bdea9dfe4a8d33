"""Settings changed in mid-run: from when on, what becomes of the slots, and the same bits when made again."""

import threading

import numpy as np
import pytest

import downslope as ds
from downslope.rules import RULES
from downslope.schedules import Scaled, Shifted
from downslope.training.log import Entry

SPIRAL = ds.data.spiral(20)


def a_run(optimizer=None, **options):
    return ds.Run(ds.MLP([2, 8, 3]), SPIRAL, optimizer or ds.SGD(0.5, momentum=0.9), **{"guard": None, **options})


def assert_same(a, b):
    assert (a.step, a.epoch, a.state.batch) == (b.step, b.epoch, b.state.batch)
    assert a.parameters.tobytes() == b.parameters.tobytes()
    assert list(a.state.slots) == list(b.state.slots)
    for name, slot in a.state.slots.items():
        assert slot.tobytes() == b.state.slots[name].tobytes()
    assert (a.state.slots_since, a.state.learning_rate) == (b.state.slots_since, b.state.learning_rate)
    assert a.history.frame().equals(b.history.frame(), null_equal=True)


def test_a_changed_rate_holds_from_the_next_update_on_and_is_logged_with_its_step():
    run = a_run()
    run.train(30)
    entry = run.change(learning_rate=0.05)
    run.train(10)
    assert run.history.learning_rate.tolist() == [0.5] * 31 + [0.05] * 9  # the rate of the update before
    assert (entry.step, entry.epoch, entry.kind, entry.by, entry.told) == (
        30, 30, "change", "user", "learning_rate=0.05 (was 0.5)",
    )  # fmt: skip
    assert list(run.log) == [entry]
    assert run.optimizer == ds.SGD(0.05, momentum=0.9)


def test_the_velocity_is_not_rescaled_by_a_change_of_rate():
    # Our form: v = mu v - rate g. PyTorch's buffer b = mu b + g does the same if it is multiplied by old/new rate.
    run = a_run(engine="reference", dtype="float64")
    run.train(20)
    v, theta = run.state.slots["velocity"].copy(), run.parameters
    run.change(learning_rate=0.05)
    probe = run.branch()
    probe.train(1)
    gradient = (0.9 * v - probe.state.slots["velocity"]) / 0.05
    buffer = (-v / 0.5) * (0.5 / 0.05)  # PyTorch's buffer, rescaled
    np.testing.assert_allclose(probe.parameters, theta - 0.05 * (0.9 * buffer + gradient), rtol=0, atol=1e-13)
    with_the_old_rate = a_run(engine="reference", dtype="float64")
    with_the_old_rate.train(21)
    assert not np.array_equal(with_the_old_rate.parameters, probe.parameters)


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rate_changed_in_mid_epoch_keeps_every_slot(name):
    run = a_run(RULES[name](), batch_size=16)
    run.train(3)
    before = run.state
    run.change(learning_rate=float(RULES[name]().learning_rate) / 2)
    assert run.state.slots.keys() == before.slots.keys()
    assert all(run.state.slots[slot] is before.slots[slot] for slot in before.slots)
    assert run.state.slots_since == 0


def test_another_rule_begins_with_slots_at_zero_and_its_corrections_count_from_there():
    run = a_run()
    run.train(20)
    run.change(optimizer=ds.Adam(0.01))
    assert run.state.slots_since == 20
    assert {name: slot.any() for name, slot in run.state.slots.items()} == {"m": False, "v": False}
    fresh = ds.Run(ds.MLP([2, 8, 3]), SPIRAL, ds.Adam(0.01), guard=None)
    fresh._now = fresh._now.__class__(type(run.state).start(run.parameters, ds.Adam(0.01)), ds.Adam(0.01), 60)
    run.train(15)
    fresh.train(15)
    assert run.parameters.tobytes() == fresh.parameters.tobytes()


def test_rules_of_adams_family_keep_what_they_share():
    run = a_run(ds.Adam(0.01))
    run.train(20)
    m, v = run.state.slots["m"], run.state.slots["v"]
    run.change(optimizer=ds.AMSGrad(0.01))
    assert run.state.slots["m"] is m
    assert run.state.slots["v"] is v
    assert not run.state.slots["v_max"].any()
    assert run.state.slots_since == 0
    run.change(optimizer=ds.RMSprop(0.01))  # its cache is another average
    assert not run.state.slots["cache"].any()
    assert run.state.slots_since == 20


def test_a_slot_that_comes_into_use_begins_at_zero_and_one_out_of_use_is_forgotten():
    run = a_run(ds.SGD(0.5))
    run.train(5)
    run.change(momentum=0.9)
    assert not run.state.slots["velocity"].any()
    run.train(5)
    assert run.state.slots["velocity"].any()
    run.change(momentum=0.0)
    assert run.state.slots == {}


def test_a_schedule_begins_where_it_is_given():
    run = a_run(ds.SGD(ds.InverseTime(1.0, decay=0.1)))
    run.train(10)
    run.change(schedule=ds.InverseTime(0.5, decay=1.0))
    run.train(4)
    assert run.optimizer.learning_rate == Shifted(ds.InverseTime(0.5, decay=1.0), start=10)
    assert run.history.learning_rate[11:].tolist() == [0.5, 0.25, 0.5 * (1 / 3)]
    run.change(optimizer=ds.SGD(ds.Cosine(0.1, steps=4)))
    assert run.optimizer.at(15).learning_rate == 0.1
    run.change(learning_rate=0.3)
    assert run.optimizer.learning_rate == 0.3
    run.change(schedule=lambda k: 1.0 / (1 + k))
    assert [run.optimizer.at(step).learning_rate for step in (15, 16)] == [1.0, 0.5]


def test_a_batch_size_holds_from_the_next_epoch_on():
    run = a_run(batch_size=16)
    run.train(2)
    cut = run.at(run.step - 2)  # in mid-epoch
    assert (cut.epoch, cut.state.batch) == (1, 2)
    cut.change(batch_size=30)
    assert (cut.problem.batch_size, cut.pending_batch_size) == (16, 30)
    cut.train(1)
    assert (cut.epoch, cut.step, cut.problem.batch_size, cut.pending_batch_size) == (2, 8, 30, None)
    cut.train(3)
    assert cut.step == 8 + 3 * 2
    assert_same(cut, cut.replayed())
    assert [cut.at(epoch=epoch).step for epoch in range(6)] == [0, 4, 8, 10, 12, 14]
    run.change(batch_size=10**9)
    assert run.problem.batch_size == 60


CHANGES = [
    (0, {"momentum": 0.5}),
    (7, {"learning_rate": 0.1}),
    (7, {"nesterov": True}),
    (19, {"batch_size": 11}),
    (30, {"optimizer": ds.Adam(0.02)}),
    (41, {"schedule": ds.Step(0.05, every=9, factor=0.5), "batch_size": 60}),
    (55, {"optimizer": ds.RMSprop(0.01, momentum=0.5, centered=True)}),
]


def steered(**options):
    run = a_run(batch_size=16, **options)
    for step, change in CHANGES:
        while run.step < step:
            run._advance(step, ds.engines.problem.Control(), lambda done: None)
        run.change(**change)
    run.train(20)
    return run


@pytest.mark.parametrize("options", [{}, {"engine": "reference"}, {"engine": "blas"}, {"guard": "warn"}])
@pytest.mark.filterwarnings("ignore::downslope.errors.GuardWarning")
def test_a_run_made_again_by_its_log_has_the_same_bits(options):
    run = steered(**options)
    assert [entry.step for entry in run.log if entry.by == "user"] == [step for step, _ in CHANGES]
    assert_same(run, run.replayed())
    start = run.at_start()
    start.train(run.epoch)
    assert_same(run, start)
    assert [entry.told for entry in start.log] == [entry.told for entry in run.log]


def test_every_past_step_is_exact():
    run, states = a_run(ds.Adam(0.05), batch_size=16), {}
    for step in range(1, 48):
        run._advance(step, ds.engines.problem.Control(), lambda done: None)
        states[step] = (run.parameters, run.state.batch, len(run.history))
        if step == 20:
            run.change(learning_rate=0.2)
    for step in range(1, 48):
        past = run.at(step)
        assert past.step == step
        assert past.parameters.tobytes() == states[step][0].tobytes()
        assert (past.state.batch, len(past.history)) == states[step][1:]
        assert past.optimizer.learning_rate == (0.05 if step <= 20 else 0.2)
    assert run.at(run.step).optimizer == run.optimizer


def test_moments_are_bounded_in_number_and_bytes(monkeypatch):
    run = a_run(ds.Adam(0.01))
    run.train(3_000, on_epoch=lambda run, epoch: None)  # a stop at every step
    assert 20 <= len(run._moments) <= 64 + 4
    gaps = np.diff([one.state.step for one in run._moments._kept])
    assert gaps.max() <= 3_000 / 16
    monkeypatch.setattr("downslope.training.timeline.MOST_BYTES", 10 * run._now.nbytes)
    small = a_run(ds.Adam(0.01))
    small.train(300, on_epoch=lambda run, epoch: None)
    assert len(small._moments) <= 10 + 4
    assert small.at(123).parameters.tobytes() == run.at(123).parameters.tobytes()


def test_a_branch_shares_its_past_and_leaves_the_run_alone():
    run = a_run()
    run.train(50)
    bits = run.parameters.tobytes()
    other = run.branch(at=30, learning_rate=0.1, momentum=0.5)
    assert (other.step, other.parent) == (30, (run.id, 30, "learning_rate=0.1 (was 0.5), momentum=0.5 (was 0.9)"))
    assert other.history.loss.tolist() == run.history.loss[:30].tolist()
    other.train(20)
    assert run.parameters.tobytes() == bits
    assert other.parameters.tobytes() != bits
    assert (len(run.log), len(other.log)) == (0, 1)
    again = run.at(30)
    again.train(20)
    assert_same(again, run)
    assert len({run.id, other.id, again.id}) == 3
    assert_same(other, other.replayed())


def test_a_past_step_is_as_it_was_before_what_was_changed_there():
    run = a_run()
    run.train(10)
    run.change(learning_rate=0.1)
    assert run.branch().optimizer.learning_rate == 0.1
    run.train(10)
    run.change(momentum=0.1)
    assert run.at(10).optimizer.learning_rate == 0.5
    assert len(run.at(10).log) == 0
    assert run.at(11).optimizer.learning_rate == 0.1
    assert run.branch(at=20).optimizer.momentum == 0.1
    way = run.at_start()
    way.train(15)
    assert len(way.log) == 1
    assert way.optimizer.learning_rate == 0.1
    way.change(momentum=0.7)  # off the old way: what was to come does not come any more
    way.train(10)
    assert way.optimizer == ds.SGD(0.1, momentum=0.7)
    assert_same(way, way.replayed())


def test_another_thread_changes_a_run_in_training():
    run, entries = a_run(), []

    def steer():
        while run.step < 50:
            pass
        entries.extend(run.change(learning_rate=rate) for rate in (0.4, 0.3, 0.2, 0.1))
        entries.append(run.change(batch_size=20))
        run.stop()

    thread = threading.Thread(target=steer)
    thread.start()
    run.train(10**7)
    thread.join()
    assert len(entries) == 5 == len(run.log)
    steps = [entry.step for entry in entries]
    assert 50 <= steps[0] <= steps[-1] <= run.step < 10**7
    assert steps == sorted(steps)
    assert_same(run, run.replayed())


def test_many_threads_at_once_and_their_errors_come_home():
    run, failures = a_run(), []

    def steer(momentum):
        try:
            run.change(momentum=momentum)
        except ds.InputError as error:
            failures.append(str(error))
        run.at(run.step // 2)

    threads = [threading.Thread(target=steer, args=(0.1 * k,)) for k in range(12)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        run.train(100)
    assert len(run.log) == 10
    assert len(failures) == 2
    assert all(failure.startswith("momentum must be at least 0 and below 1") for failure in failures)
    assert_same(run, run.replayed())


def test_on_epoch_may_change_the_run_but_not_train_it():
    run = a_run()

    def halve(run, epoch):
        run.change(learning_rate=run.optimizer.learning_rate / 2)

    run.train(30, on_epoch=halve, every=10)
    assert [entry.step for entry in run.log] == [1, 11, 21]
    assert_same(run, run.replayed())
    with pytest.raises(ds.InputError, match="trained by one call at a time"):
        run.train(1, on_epoch=lambda run, epoch: run.train(1))
    run.train(1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({}, r"^change must be given what to change, such as learning_rate=0\.1\. Received: nothing$"),
        ({"learning_rate": -1}, r"^learning_rate must be above 0\. Received: learning_rate=-1$"),
        ({"learning_rate": float("nan")}, r"^learning_rate must be a finite number\. Received"),
        ({"beta_1": 0.9}, r"^beta_1 must be a setting of sgd, which has learning_rate, momentum, nesterov\."),
        ({"optimizer": "adam"}, r"^optimizer must be an optimizer such as SGD"),
        ({"optimizer": ds.Adam}, r"^optimizer must be an optimizer such as SGD"),
        ({"schedule": 0.1}, r"^schedule must be a schedule such as InverseTime"),
        ({"schedule": ds.Cosine}, r"^schedule must be a schedule such as InverseTime"),
        ({"schedule": ds.Constant(0.1), "learning_rate": 0.1}, r"^the learning rate must change in one way only"),
        ({"schedule": lambda k: -1.0}, r"^learning_rate at step 6 must be at least 0"),
        ({"batch_size": 0}, r"^batch_size must be a whole number at least 1\. Received: batch_size=0$"),
        ({"batch_size": 2.5}, r"^batch_size must be a whole number at least 1"),
        ({"batch_size": 5, "momentum": 2}, r"^momentum must be at least 0 and below 1"),
    ],
)
def test_a_wrong_change_is_refused_and_nothing_happens(change, message):
    run = a_run()
    run.train(5)
    now = run._now
    with pytest.raises(ds.InputError, match=message):
        run.change(**change)
    assert run._now is now
    assert len(run.log) == 0


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda run: run.at(6), r"^step must be a whole number at least 0 and at most 5\. Received: step=6$"),
        (lambda run: run.at(-1), r"^step must be a whole number at least 0"),
        (lambda run: run.at(2.0), r"^step must be a whole number"),
        (lambda run: run.at(), r"^at must be given a step or an epoch\. Received: step=None, epoch=None$"),
        (lambda run: run.at(1, epoch=1), r"^at must be given a step or an epoch"),
        (lambda run: run.at(epoch=6), r"^epoch must be a whole number at least 0 and at most 5"),
        (lambda run: run.branch(at=9), r"^at must be a whole number at least 0 and at most 5"),
        (lambda run: run.branch(at=2, momentum=3), r"^momentum must be at least 0 and below 1"),
    ],
)
def test_a_wrong_step_is_refused(ask, message):
    run = a_run()
    run.train(5)
    with pytest.raises(ds.InputError, match=message):
        ask(run)


def test_a_log_reads_well_and_comes_back_from_json():
    run = a_run()
    run.train(3)
    run.change(learning_rate=0.1)
    run.change(schedule=ds.Step(0.1, every=5), batch_size=7)
    assert str(run.log).splitlines()[0] == "step 3: change by user: learning_rate=0.1 (was 0.5)"
    again = [type(entry).from_description(entry.describe()) for entry in run.log]
    assert again == list(run.log)
    assert run.log.frame().shape == (2, 6)
    assert repr(run.log) == "<Log: 2 entries>"
    assert str(a_run().log) == "nothing was changed"


def test_every_kind_of_entry_is_told_in_one_form():
    lines = [
        (Entry(400, 400, "change", "user", "momentum=0.9"), "step 400: change by user: momentum=0.9"),
        (
            Entry(390, 390, "rollback", "guard", "step 1402: the loss is 9: back to step 390", back_from=1402),
            "step 1402: rollback: the loss is 9: back to step 390",
        ),
        (
            Entry(60, 12, "reduce", "guard", "epoch 12: the loss is 2: learning_rate lowered"),
            "step 60: reduce: the loss is 2: learning_rate lowered",
        ),
        (Entry(7, 7, "watch", "guard", "step 7: the slope turned"), "step 7: watch: the slope turned"),
    ]
    for entry, line in lines:
        assert entry.line == line


def test_scales_are_kept_by_a_rule():
    assert ds.SGD(0.5).scaled(0.5) == ds.SGD(0.25)
    assert ds.SGD(ds.Constant(0.5)).scaled(0.5).learning_rate == Scaled(ds.Constant(0.5), factor=0.5)
    assert ds.SGD(lambda k: 1.0 + k).scaled(0.5).at(3).learning_rate == 1.5


def test_a_change_that_changes_nothing_does_not_act():
    run = a_run()
    run.train(5)
    run.change(learning_rate=0.5, batch_size=10**6)
    assert [entry.told for entry in run.log] == ["nothing differs"]
    assert run.log.acting() == []
    run.train(5)
    run.change(learning_rate=0.1)  # is not taken for the one before: past steps have it
    run.train(5)
    assert run.at(12).optimizer.learning_rate == 0.1
    assert run.at(15).parameters.tobytes() == run.parameters.tobytes() == run.replayed().parameters.tobytes()


@pytest.mark.parametrize("schedule", [lambda k: 1 / 0, lambda k: np.ones(2), lambda: 0.1])
def test_a_function_that_gives_no_rate_is_refused_and_nothing_changes(schedule):
    run = a_run()
    run.train(5)
    with pytest.raises(ds.InputError, match=r"^a schedule must give a number for update 6\. Received: "):
        run.change(schedule=schedule)
    assert (run.optimizer, len(run.log)) == (a_run().optimizer, 0)


def test_numpys_whole_numbers_are_taken_for_what_they_are():
    run = a_run(batch_size=1)
    run.train(np.uint8(20))
    assert run.at(epoch=np.uint8(19)).epoch == 19
    told = []
    run.train(150, every=np.int8(100), on_epoch=lambda run, epoch: told.append(epoch))
    assert told == [100]


def test_many_batch_sizes_leave_few_problems_behind():
    run = a_run()
    for size in range(1, 30):
        run.change(batch_size=size)
        run.train(1)
    assert len(run._problems) <= 4
    assert run.problem.batch_size == 29


def test_a_rate_by_a_function_may_be_lowered_any_number_of_times():
    plateau = ds.ReduceOnPlateau(factor=0.99, patience=0, min_delta=0.9)
    run = a_run(ds.SGD(steady), guard=ds.Guard(plateau=plateau))
    run.train(1500)
    assert sum(entry.kind == "reduce" for entry in run.log) > 1000
    assert run.optimizer.at(run.step).learning_rate < 0.1 * 0.99**1000


def steady(k):
    return 0.1
