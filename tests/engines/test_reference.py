import math
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest

from downslope.engines.metrics import tally
from downslope.engines.problem import Control, Part, Problem, State
from downslope.engines.reference import Reference
from downslope.engines.update import apply_update
from downslope.errors import InputError, NonFiniteError
from downslope.network import MLP, Loss, loss
from downslope.rules import SGD, Adam
from downslope.schedules import InverseTime
from downslope.streams import Stream


class Recording(MLP):
    """A network that remembers the rows it was trained on."""

    def forward(self, flat, inputs, *, dropout=None):
        if dropout is not None:
            self.seen.append(inputs[:, 0].tolist())
        return super().forward(flat, inputs, dropout=dropout)

    seen: list[list[float]]


def make(rows=10, batch_size=4, *, name="cross-entropy", validation=False, seed=3, network=None, targets=None):
    regression = loss(name).kind == "regression"
    draw = Stream(1, "data")
    inputs = np.concatenate([np.arange(rows)[:, None], draw.normal((rows, 1))], axis=1) / rows
    if targets is None:
        targets = draw.normal((rows, 3)) if regression else np.arange(rows) % 3
    part = Part(inputs, targets)
    network = network or MLP([2, 5, targets.shape[1] if regression else 3], "tanh", l1=0.01, l2=0.02, dropout=0.3)
    held = Part(inputs[::2] + 0.5, targets[::2]) if validation else None
    return Problem(network, loss(name), part, held, min(batch_size, rows), seed)


def start(problem, rule):
    return State.start(problem.network.initial_parameters(0, np.float64), rule)


def train(problem, rule, epochs, state=None):
    """Return every state and the records."""
    first = state or start(problem, rule)
    states, records = [first], []

    def keep(state, epoch, ended):
        states.append(state)
        assert epoch == (state.step - 1) // problem.steps_per_epoch
        assert len(ended) == (state.step % problem.steps_per_epoch == 0)
        assert (state.epoch, state.batch) == divmod(state.step, problem.steps_per_epoch)
        records.extend(ended)

    steps = epochs * problem.steps_per_epoch - first.step
    control = Control()
    Reference().advance(problem, rule, first, steps, control, keep)
    assert control.cells.tolist() == [0, epochs * problem.steps_per_epoch]
    return states, records


@pytest.mark.parametrize(
    ("rows", "batch_size", "sizes"),
    [(10, 4, [4, 4, 2]), (10, 5, [5, 5]), (10, 1, [1] * 10), (10, 9, [9, 1]), (1, 1, [1])],
)
def test_every_epoch_takes_every_row_once_in_an_order_of_its_own(rows, batch_size, sizes):
    network = Recording([2, 3, 3])
    network.seen = []
    problem = make(rows, batch_size, network=network)
    train(problem, SGD(0.1), 3)
    assert [len(batch) for batch in network.seen] == sizes * 3
    epochs = [list(chain(*network.seen[i : i + len(sizes)])) for i in range(0, 3 * len(sizes), len(sizes))]
    for epoch, seen in enumerate(epochs):
        order = Stream(3, "shuffle", epoch).permutation(rows) if batch_size < rows else np.arange(rows)
        assert seen == problem.training.inputs[order, 0].tolist()
        assert sorted(seen) == problem.training.inputs[:, 0].tolist()
    if rows > 1:
        assert epochs[0] != epochs[1] != epochs[2]


@pytest.mark.parametrize("batch_size", [10, 11, 1000])
def test_a_full_batch_is_never_shuffled(batch_size):
    network = Recording([2, 3, 3])
    network.seen = []
    problem = make(10, batch_size, network=network)
    train(problem, SGD(0.1), 2)
    assert problem.steps_per_epoch == 1
    assert network.seen == [problem.training.inputs[:, 0].tolist()] * 2


def test_another_seed_gives_another_order():
    assert make(seed=3).order(0).tolist() != make(seed=4).order(0).tolist()


def one_by_one(chosen, outputs, targets):
    return [chosen.forward(outputs[i : i + 1], targets[i : i + 1]).item() for i in range(len(outputs))]


@pytest.mark.parametrize("name", ["cross-entropy", "mse", "mae", "huber"])
@pytest.mark.parametrize("batch_size", [10, 4, 1])
def test_records_are_those_of_a_plain_loop(name, batch_size):
    problem, rule = make(batch_size=batch_size, name=name, validation=True), Adam(InverseTime(0.1, decay=0.5))
    _, records = train(problem, rule, 3)
    network, chosen, rows = problem.network, problem.loss, 10
    state = start(problem, rule)
    flat, slots, step = state.parameters, state.slots, 0
    steps = math.ceil(rows / batch_size)
    for epoch, record in enumerate(records):
        outputs, _ = network.forward(flat, problem.validation.inputs)
        held = one_by_one(chosen, outputs, problem.validation.targets)
        assert record.validation_loss == pytest.approx(sum(held) / 5 + network.penalty(flat), rel=1e-12)
        order = list(range(rows)) if batch_size == rows else Stream(3, "shuffle", epoch).permutation(rows).tolist()
        losses, penalties, norms, ratios, counted = [], [], [], [], 0.0
        for batch in range(steps):
            step += 1
            chosen_rows = order[batch * batch_size : (batch + 1) * batch_size]
            x, y = problem.training.inputs[chosen_rows], problem.training.targets[chosen_rows]
            outputs, trace = network.forward(flat, x, dropout=(3, step))
            losses += one_by_one(chosen, outputs, y)
            counted = counted + tally(chosen, outputs, y)
            penalties.append(network.penalty(flat))
            gradient = network.backward(flat, trace, chosen.backward(outputs, y))
            network.add_penalty_gradient(flat, gradient)
            norms.append(math.hypot(*gradient))
            new, slots = apply_update(rule, step, flat, gradient, slots)
            ratios.append(math.hypot(*(new - flat)) / math.hypot(*flat))
            flat = new
        assert record.penalty == pytest.approx(sum(penalties) / steps, rel=1e-12)
        assert record.penalty > 0
        assert record.loss == pytest.approx(sum(losses) / rows + record.penalty, rel=1e-12)
        assert record.gradient_norm == pytest.approx(sum(norms) / steps, rel=1e-12)
        assert record.update_ratio == pytest.approx(sum(ratios) / steps, rel=1e-12)
        assert record.learning_rate == pytest.approx(0.1 / (1 + 0.5 * max(epoch * steps - 1, 0)), rel=1e-15)
        if name == "cross-entropy":
            assert record.score == counted / rows
        else:
            y = problem.training.targets
            assert record.score == pytest.approx(float(np.mean(1 - counted / ((y - y.mean(axis=0)) ** 2).sum(axis=0))))


def test_states_hold_the_update_and_are_never_written_again():
    problem, rule = make(validation=True), Adam(0.1)
    snapshots = []

    def keep(state, epoch, records):
        snapshots.append((state, state.parameters.copy(), {k: v.copy() for k, v in state.slots.items()}))

    first = start(problem, rule)
    Reference().advance(problem, rule, first, 6, Control(), keep)
    with pytest.raises(ValueError, match="read-only"):
        first.parameters[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        snapshots[-1][0].slots["m"][0] = 1
    before = first.parameters
    for step, (state, parameters, slots) in enumerate(snapshots, start=1):
        assert state.step == step
        assert np.array_equal(state.parameters, parameters)
        assert all(np.array_equal(state.slots[name], slots[name]) for name in ("m", "v"))
        assert np.array_equal(state.last_update, state.parameters - before)
        before = state.parameters


def test_training_stops_when_told_and_goes_on_with_the_same_bits():
    problem, rule = make(validation=True), Adam(0.1)
    states, records = train(problem, rule, 4)
    for at in range(1, 12):
        kept, control = [], Control()

        def keep(state, epoch, ended, kept=kept, at=at, control=control):
            kept.append((state, ended[0] if ended else None))
            if state.step == at:
                control.stop()

        Reference().advance(problem, rule, start(problem, rule), 12, control, keep)
        assert kept[-1][0].step == at
        rest, later = train(problem, rule, 4, kept[-1][0])
        assert np.array_equal(rest[-1].parameters, states[-1].parameters)
        assert [record for _, record in kept if record] + later == records


def test_without_validation_its_numbers_are_nan():
    _, records = train(make(), SGD(0.1), 1)
    assert math.isnan(records[0].validation_loss)
    assert math.isnan(records[0].validation_score)


def test_measure_leaves_dropout_out_and_adds_the_penalty():
    problem = make(name="mse")
    flat = problem.network.initial_parameters(0, np.float64)
    scores = Reference().measure(problem, flat, problem.training)
    outputs, _ = problem.network.forward(flat, problem.training.inputs)
    expected = np.square(outputs - problem.training.targets).mean() + problem.network.penalty(flat)
    assert scores.loss == pytest.approx(expected, rel=1e-12)
    assert Reference().measure(problem, flat, problem.training) == scores


def test_all_zero_parameters_have_an_infinite_update_ratio():
    problem = make(
        name="mse", network=MLP([2, 1], initial_weights={"name": "normal", "std": 0}), targets=np.ones((10, 1))
    )
    _, records = train(problem, SGD(0.1), 1)
    assert records[0].update_ratio == math.inf


class WrongGradient(Loss):
    """A loss whose gradient overflows while the loss does not."""

    name = "wrong"
    kind = "regression"

    def _rows(self, outputs, targets):
        return np.zeros(len(outputs), dtype=outputs.dtype)

    def _gradient(self, outputs, targets):
        return np.full_like(outputs, np.inf)


class Forgetful(SGD):
    """Its slot overflows while its parameters do not move."""

    slots = ("velocity",)

    def slots_in_use(self):
        return self.slots

    @staticmethod
    def update(xp, parameter, gradient, velocity, learning_rate, momentum, nesterov):
        return parameter + velocity * momentum, velocity + learning_rate / (gradient - gradient)


@pytest.mark.parametrize(
    ("change", "rule", "what"),
    [
        ({"training": Part(np.full((10, 2), 1e30), np.ones((10, 3)) * 1e200)}, SGD(0.1), "loss"),
        ({"loss": WrongGradient()}, SGD(0.1), "gradient"),
        ({}, SGD(1e308), "weight"),
        ({}, Forgetful(0.1), r"slot \(velocity\)"),
    ],
)
def test_what_is_not_finite_stops_before_the_step_is_kept(change, rule, what):
    problem = replace(make(name="mse"), **change)
    if what == "weight":
        problem = replace(problem, training=Part(problem.training.inputs, problem.training.targets * 1e6))
    states = []
    with pytest.raises(NonFiniteError, match=rf"^Training stopped at epoch 0 \(step 1\): a {what} is not finite; "):
        Reference().advance(problem, rule, start(problem, rule), 5, Control(), lambda state, *_: states.append(state))
    assert states == []


def test_another_batch_size_in_mid_run_goes_on_with_the_next_epoch():
    problem, rule = make(rows=10, batch_size=2), SGD(0.1)
    states, _ = train(problem, rule, 3)
    numbers = []
    larger = replace(problem, batch_size=10)
    Reference().advance(larger, rule, states[-1], 2, Control(), lambda state, first, records: numbers.append(first))
    assert (states[-1].step, states[-1].epoch) == (15, 3)
    assert numbers == [3, 4]


def test_slots_that_the_settings_do_not_use_are_refused():
    problem = make()
    states, _ = train(problem, SGD(0.1), 1)
    with pytest.raises(InputError, match=r"slots must be those SGD\(.*\) uses: velocity\. Received: none"):
        Reference().advance(problem, SGD(0.1, momentum=0.5), states[-1], 1, Control(), lambda *_: None)


def test_new_slots_are_corrected_for_their_own_start_while_schedules_go_by_the_run():
    problem, rule = make(), Adam(InverseTime(1.0, decay=0.5))
    old, _ = train(problem, SGD(0.1), 1)
    fresh = replace(State.start(old[-1].parameters, rule), step=3, epoch=1, slots_since=3)
    after = []
    Reference().advance(problem, rule, fresh, 1, Control(), lambda state, *_: after.append(state))
    # the first step of fresh Adam slots is the rate for every weight that has a gradient, to a part in epsilon
    sizes = np.abs(after[0].last_update[after[0].slots["m"] != 0])
    assert after[0].learning_rate == 1 / (1 + 0.5 * 3)
    assert sizes == pytest.approx(np.full(len(sizes), after[0].learning_rate), rel=1e-3)
