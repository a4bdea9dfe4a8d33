"""JAX with optax: whole trainings in one compiled scan, many at a time by vmap, or one compiled step after another.

Compiling is not timed: every `play` compiles for its own number of epochs first, outside the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rivals.work import BETA_1, BETA_2, EPSILON, Clock, Play, Trained, Work


def scan(work: Work) -> Play:
    """Return whole trainings in one `lax.scan` each, the learning rate an argument: one after another."""
    compiled: dict[int, Callable[[Any], Any]] = {}

    def play(rates: Sequence[float], epochs: int) -> Trained:
        if epochs not in compiled:
            compiled[epochs] = jax.jit(_training(work, epochs))
            jax.block_until_ready(compiled[epochs](jnp.float32(rates[0])))
        clock = Clock()
        losses = [jax.block_until_ready(compiled[epochs](jnp.float32(rate))) for rate in rates]
        return Trained(clock.took(), [float(loss) for loss in losses])

    return play


def vmap(work: Work) -> Play:
    """Return the same scan mapped over all learning rates at once."""
    compiled: dict[tuple[int, int], Callable[[Any], Any]] = {}

    def play(rates: Sequence[float], epochs: int) -> Trained:
        given = jnp.asarray(np.asarray(rates, dtype=np.float32))
        key = (len(rates), epochs)
        if key not in compiled:
            # Compiled without being run: a warm-up of hundreds of runs would take as long as the measurement.
            compiled[key] = jax.jit(jax.vmap(_training(work, epochs))).lower(given).compile()
        clock = Clock()
        losses = jax.block_until_ready(compiled[key](given))
        return Trained(clock.took(), [float(loss) for loss in losses])

    return play


def steps(work: Work) -> Play:
    """Return one jitted step a batch, called from Python, with the state donated."""
    update, start_from = _step(work)
    inputs, labels = jnp.asarray(work.inputs), jnp.asarray(work.labels.astype(np.int32))
    batches = [[jnp.asarray(rows) for rows in work.batches(epoch)] for epoch in range(len(work.orders or ()))]

    def one(state: Any, rate: Any, rows: Any) -> Any:
        return update(state, rate, inputs[rows], labels[rows])

    jitted = jax.jit(one, donate_argnums=0)

    def play(rates: Sequence[float], epochs: int) -> Trained:
        state = jax.tree.map(jnp.array, start_from())
        jax.block_until_ready(jitted(state, jnp.float32(rates[0]), batches[0][0]))
        losses = []
        clock = Clock()
        for rate in rates:
            state = jax.tree.map(jnp.array, start_from())
            seen: list[Any] = []
            for epoch in range(epochs):
                seen = []
                for rows in batches[epoch % len(batches)]:
                    state, loss = jitted(state, jnp.float32(rate), rows)
                    seen.append(loss)
            jax.block_until_ready(state)
            losses.append(float(jnp.stack(seen).mean()))
        return Trained(clock.took(), losses)

    return play


def epoch_scan(work: Work) -> Play:
    """Return one compiled scan over the batches of an epoch, called once an epoch."""
    update, start_from = _step(work)
    inputs, labels = jnp.asarray(work.inputs), jnp.asarray(work.labels.astype(np.int32))
    orders = [jnp.asarray(np.stack(work.batches(epoch))) for epoch in range(len(work.orders or ()))]

    def epoch_of(state: Any, rate: Any, order: Any) -> Any:
        return jax.lax.scan(lambda held, rows: update(held, rate, inputs[rows], labels[rows]), state, order)

    jitted = jax.jit(epoch_of, donate_argnums=0)

    def play(rates: Sequence[float], epochs: int) -> Trained:
        state = jax.tree.map(jnp.array, start_from())
        jax.block_until_ready(jitted(state, jnp.float32(rates[0]), orders[0]))
        losses = []
        clock = Clock()
        for rate in rates:
            state, seen = jax.tree.map(jnp.array, start_from()), jnp.zeros(1)
            for epoch in range(epochs):
                state, seen = jitted(state, jnp.float32(rate), orders[epoch % len(orders)])
            jax.block_until_ready(state)
            losses.append(float(seen.mean()))
        return Trained(clock.took(), losses)

    return play


def _training(work: Work, epochs: int) -> Callable[[Any], Any]:
    """Return the full-batch training as a function of the learning rate, giving the loss of its last epoch."""
    update, start_from = _step(work)
    inputs, labels = jnp.asarray(work.inputs), jnp.asarray(work.labels.astype(np.int32))

    def train(rate: Any) -> Any:
        _, losses = jax.lax.scan(lambda state, _: update(state, rate, inputs, labels), start_from(), None, epochs)
        return losses[-1]

    return train


def _step(work: Work) -> tuple[Callable[..., Any], Callable[[], Any]]:
    """Return the pure step (state, rate, rows, labels) → (state, loss), and what gives the state it starts from."""

    def loss_of(parameters: Any, rows: Any, labels: Any) -> Any:
        values = rows
        for weights, biases in parameters[:-1]:
            values = jax.nn.relu(values @ weights + biases)
        weights, biases = parameters[-1]
        return optax.softmax_cross_entropy_with_integer_labels(values @ weights + biases, labels).mean()

    def update(state: Any, rate: Any, rows: Any, labels: Any) -> Any:
        parameters, slots = state
        loss, gradient = jax.value_and_grad(loss_of)(parameters, rows, labels)
        change, slots = optax.adam(rate, b1=BETA_1, b2=BETA_2, eps=EPSILON).update(gradient, slots)
        return (optax.apply_updates(parameters, change), slots), loss

    def start_from() -> Any:
        pairs = [(jnp.asarray(w), jnp.asarray(b[0])) for w, b in zip(work.weights, work.biases, strict=True)]
        return pairs, optax.adam(0.0, b1=BETA_1, b2=BETA_2, eps=EPSILON).init(pairs)

    return update, start_from
