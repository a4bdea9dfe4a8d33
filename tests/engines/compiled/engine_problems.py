"""Problems of every kind, and both engines' way through them, for the tests of the compiled engine."""

from __future__ import annotations

import threading
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from downslope.engines.compiled.engine import Compiled
from downslope.engines.problem import Control, EpochRecord, Part, Problem, State
from downslope.engines.reference import Reference
from downslope.errors import DownslopeError
from downslope.network import ACTIVATIONS, Dense, Dropout, Network, activation, loss
from downslope.rules import SGD, Optimizer, setting
from downslope.streams import Stream

ENGINES = {"reference": Reference, "compiled": Compiled}
LOSSES = {"cross-entropy": 3, "bce": 1, "mse": 2, "mae": 3, "huber": 1}  # with so many outputs


class Echo(Optimizer):
    """Leaves the parameters alone and shows their gradient."""

    learning_rate = setting(0.1, above=0, meaning="not used", scheduled=True)
    slots = ("seen",)

    def update(xp, parameter, gradient, seen):  # noqa: N805 - a formula
        return parameter, gradient


class Trained(NamedTuple):
    states: list[State]
    records: np.ndarray
    error: DownslopeError | None
    cells: list[int]

    @property
    def last(self) -> State:
        return self.states[-1]


def network(sizes, activations, *, dropout=0.0, penalties=(0.0, 0.0, 0.0, 0.0)):
    """Return a network with an activation for each hidden layer, and penalties on weights and biases."""
    layers: list[Any] = []
    for place, (inputs, outputs) in enumerate(pairwise(sizes)):
        layers.append(Dense(inputs, outputs, *penalties))
        if place < len(activations):
            layers.append(activation(activations[place]))
            if dropout:
                layers.append(Dropout(dropout))
    return Network(layers)


def part(net, name, rows, dtype, index=0):
    """Return random rows that suit a network and a loss."""
    draw = Stream(5, "data", index)
    inputs = draw.normal((rows, net.inputs)).astype(dtype)
    if loss(name).kind == "regression":
        return Part(inputs, draw.normal((rows, net.outputs)).astype(dtype))
    return Part(inputs, (draw.uniform(rows) * max(2, net.outputs)).astype(np.int64))


def problem(net, name="mse", rows=20, *, batch_size=None, held_out=0, dtype=np.float64, seed=3):
    """Return a problem with random data."""
    return Problem(
        net,
        loss(name),
        part(net, name, rows, dtype),
        part(net, name, held_out, dtype, 1) if held_out else None,
        min(batch_size or rows, rows),
        seed,
    )


def start(given, rule, index=0):
    """Return a state before the first update: random weights, and biases that are not zero either."""
    net, dtype = given.network, given.training.inputs.dtype
    flat = net.initial_parameters(index, np.float64)
    flat += 0.1 * Stream(index, "start").normal(flat.size)
    return State.start(flat.astype(dtype), rule)


def train(engine, given, rule, steps, state=None, control=None, watch=None):
    """Return what an engine keeps in so many steps, and how it ends."""
    first = state or start(given, rule)
    states, records, control, error = [first], [], control or Control(), None

    def keep(state, epoch, ended):
        assert epoch == state.epoch - len(ended)
        states.append(state)
        records.extend(ended)

    try:
        ENGINES[engine]().advance(given, rule, first, steps, control, keep, watch)
    except DownslopeError as caught:
        error = caught
    shown = np.array(records, dtype=np.float64).reshape(-1, len(EpochRecord._fields))
    return Trained(states, shown, error, control.cells.tolist())


def bits(trained):
    """Return every bit of the last state and of the records, as values that compare."""
    last = trained.last
    slots = {name: slot.tobytes() for name, slot in last.slots.items()}
    totals = [
        np.asarray(value, dtype=np.float64).tobytes() for value in vars(last.totals).values() if value is not None
    ]
    numbers = (last.step, last.epoch, last.batch, np.float64(last.learning_rate).tobytes())
    return numbers, last.parameters.tobytes(), last.last_update.tobytes(), slots, totals, trained.records.tobytes()


ACTIVATION_NAMES = list(ACTIVATIONS)


def makes_steps_though_paused_often(engine):
    """Assert that long steps are made though another thread asks every few milliseconds for what there is."""
    control, made = Control(), threading.Event()
    long = problem(network([64, 512, 2], ["relu"]), rows=20_000)

    def ask():
        while not made.wait(0.002):
            control.pause()

    state = train(engine, long, SGD(1e-6), 1).last
    thread = threading.Thread(target=ask)
    thread.start()
    try:
        for _ in range(2000):  # as a run does: what was asked is done, and training goes on
            control.resume()
            state = train(engine, long, SGD(1e-6), 3 - state.step, state, control=control).last
            if state.step == 3:
                break
    finally:
        made.set()
        thread.join()
    assert state.step == 3
