"""The runs a spread is made of: the chapter's settings with other seeds, or with weights moved by their last bit."""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from itertools import islice
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from downslope import data
from downslope.book.printed import EPOCHS, PRINTED
from downslope.engines.choice import ENGINES
from downslope.engines.problem import Control, EpochRecord, State
from downslope.engines.update import FloatArray
from downslope.errors import NonFiniteError
from downslope.network import MLP
from downslope.processors import cores
from downslope.streams import Stream
from downslope.sweeps.work import Stop
from downslope.training.setup import Setup, set_up

__all__ = ["EVERY", "KINDS", "Kind", "Trace", "Which", "begin", "traces", "trained"]

Kind: TypeAlias = Literal["seeds", "ulp"]
KINDS: tuple[Kind, ...] = ("seeds", "ulp")
EVERY = 100  # epochs between two that are kept; every epoch the book prints is among them
SIZES = [2, 64, 3]
COLUMNS = [EpochRecord._fields.index(name) for name in ("loss", "score")]
Which: TypeAlias = tuple[str, Kind, int]


class Trace(NamedTuple):
    """Loss and accuracy of one run at the epochs 0, 100, … 10,000, before that epoch's update.

    Both float64, shape (101,). From the epoch on where a run exploded its loss is infinite and its accuracy 0.
    """

    loss: NDArray[np.float64]
    accuracy: NDArray[np.float64]


def begin(kind: Kind, number: int) -> Setup:
    """Return what the run of that number begins with.

    "seeds": data and weights are drawn by the seed `number`, weights as 0.01 times standard normal numbers.
    "ulp": the chapter's own data and weights, each weight w moved, with probability ⅓ each, to the next float32 above,
    to the next below, or not at all, by draws from Stream(number, "ulp"). Biases stay 0. In both, all rows are
    training rows, and every update takes all of them.
    """
    if kind == "seeds":
        return set_up(MLP(SIZES, initial_weights="chapter"), data.spiral(seed=number), seed=number)
    setup = _chapters()
    return dataclasses.replace(setup, parameters=_moved(setup, number))


def trained(which: Which, control: Control | None = None) -> Trace | None:
    """Train one run for the chapter's 10,001 epochs; None where `control` stopped it on the way."""
    name, kind, number = which
    setup, rule = begin(kind, number), PRINTED[name].optimizer()
    kept = np.full((EPOCHS // EVERY + 1, 2), (np.inf, 0.0))
    done = 0

    def keep(state: State, first: int, records: Sequence[EpochRecord] | NDArray[np.float64]) -> None:
        nonlocal done
        done = state.epoch
        if len(records):
            rows = np.asarray(records, dtype=np.float64)[-first % EVERY :: EVERY, COLUMNS]
            start = -(-first // EVERY)
            kept[start : start + len(rows)] = rows

    control = control or Control()
    try:
        state = State.start(setup.parameters, rule)
        ENGINES["compiled"]().advance(setup.problem, rule, state, EPOCHS, control, keep)
    except NonFiniteError:
        done = EPOCHS
    return Trace(kept[:, 0], kept[:, 1]) if done == EPOCHS else None


def traces(
    wanted: Iterable[Which],
    stop: Stop | None = None,
    threads: int | None = None,
    on_done: Callable[[Which, Trace], None] = lambda which, trace: None,
) -> None:
    """Train runs beside each other and hand over each when it is done, in this thread and in any order.

    Once `stop` is set, the runs under way are given up and no other is begun.
    """
    stop = stop or Stop()
    waiting = iter(wanted)
    slots = cores() if threads is None else threads

    def one(which: Which) -> tuple[Which, Trace | None]:
        with stop.control() as control:
            return which, None if control.stopping else trained(which, control)

    with ThreadPoolExecutor(slots) as pool:
        pending: set[Future[tuple[Which, Trace | None]]] = set()
        try:
            while True:
                if not stop.is_set():
                    pending |= {pool.submit(one, which) for which in islice(waiting, 2 * slots - len(pending))}
                if not pending:
                    return
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in finished:
                    which, trace = future.result()
                    if trace is not None:
                        on_done(which, trace)
        except BaseException:
            stop.set()
            raise


_making = threading.Lock()


def _chapters() -> Setup:
    with _making:
        return _chapters_made()


@functools.cache
def _chapters_made() -> Setup:
    return set_up(MLP(SIZES), data.spiral(seed="chapter"))


def _moved(setup: Setup, number: int) -> FloatArray:
    flat = setup.parameters.copy()
    stream = Stream(number, "ulp")
    towards = np.array([-np.inf, 0.0, np.inf], dtype=np.float32)
    for view in setup.problem.network.views(flat):
        if "weights" in view:
            weights = view["weights"]
            choice = (stream.words(weights.size) % np.uint64(3)).astype(np.int64).reshape(weights.shape)
            view["weights"][:] = np.where(choice == 1, weights, np.nextafter(weights, towards[choice]))
    return flat
