"""What every contender is given and gives back: one problem as plain arrays, the seconds and the loss."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Clock", "Play", "Took", "Trained", "Work", "large", "spiral"]

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-7  # Adam's, everywhere


class Took(NamedTuple):
    """Seconds by the clock on the wall, and the processor's own for all threads, which other work hardly changes."""

    wall: float
    processor: float


class Clock:
    """Runs from where it is made."""

    def __init__(self) -> None:
        self._began = time.perf_counter(), time.process_time()

    def took(self) -> Took:
        """Return the time since then."""
        return Took(time.perf_counter() - self._began[0], time.process_time() - self._began[1])


class Trained(NamedTuple):
    """How long the runs took together, each run's loss in its last epoch, before each update, and what did it."""

    took: Took
    losses: list[float]
    detail: str = ""


Play: TypeAlias = Callable[[Sequence[float], int], Trained]
"""Train one new run for each learning rate, for so many epochs. Building the run is not timed."""


@dataclass(frozen=True)
class Work:
    """A problem: an MLP with ReLU, softmax and cross-entropy, trained by Adam in float32.

    Attributes
    ----------
    inputs, labels : array, shape (n, features) and (n,)
        All training rows.
    weights, biases : list of arrays, shape (inputs, outputs) and (1, outputs)
        What every run starts from.
    batch_size : int
        Rows an update; n for a full batch.
    orders : list of arrays or None
        The order of the rows in each epoch, again from the first when they are used up; None for a full batch.
    """

    name: str
    inputs: NDArray[np.float32]
    labels: NDArray[np.int64]
    weights: list[NDArray[np.float32]]
    biases: list[NDArray[np.float32]]
    batch_size: int
    orders: list[NDArray[np.int64]] | None

    @property
    def sizes(self) -> list[int]:
        """Neurons of every layer, the inputs first."""
        return [len(self.weights[0]), *(weight.shape[1] for weight in self.weights)]

    @property
    def steps_per_epoch(self) -> int:
        """Updates in one pass over the rows."""
        return -(-len(self.inputs) // self.batch_size)

    @property
    def products(self) -> int:
        """Multiply-adds of all matrix products of an epoch: forward, to the weights, and back to all but the inputs."""
        forward = [a * b for a, b in pairwise(self.sizes)]
        return len(self.inputs) * (2 * sum(forward) + sum(forward[1:]))

    def batches(self, epoch: int) -> list[NDArray[np.int64]]:
        """Return the rows of each batch of an epoch."""
        assert self.orders is not None
        order = self.orders[epoch % len(self.orders)]
        return [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]


def spiral() -> Work:
    """Return the chapter's problem: its 300 points, its 2-64-3, its initial weights, full batch."""
    import downslope as ds

    return _work("spiral", ds.Run(ds.MLP([2, 64, 3]), ds.data.spiral(seed="chapter"), ds.Adam(), engine="reference"))


def large() -> Work:
    """Return 784-512-512-10 on 6,400 random rows in batches of 128: the shape of a first network for images."""
    import downslope as ds

    draws = np.random.default_rng(0)
    inputs = draws.standard_normal((6_400, 784), dtype=np.float32)
    labels = draws.integers(10, size=len(inputs))
    data = ds.data.arrays(inputs, labels)
    network = ds.MLP([784, 512, 512, 10])
    return _work("large", ds.Run(network, data, ds.Adam(), batch_size=128, standardize=False, engine="reference"))


def _work(name: str, run: Any) -> Work:
    problem = run.problem
    views = [view for view in run.network.views(run.parameters) if view]
    orders = [problem.order(epoch) for epoch in range(8)]
    return Work(
        name,
        problem.training.inputs,
        problem.training.targets,
        [view["weights"] for view in views],
        [view["biases"].reshape(1, -1) for view in views],
        min(problem.batch_size, problem.rows),
        None if orders[0] is None else orders,
    )
