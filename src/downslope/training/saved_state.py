"""State and history as plain arrays by name, and back, to the last bit."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from downslope.engines.problem import EpochRecord, Scores, State, Totals
from downslope.training.history import History

__all__ = ["arrays_of", "digest_of", "history_from", "state_from"]

SUMS = ("loss", "penalty", "gradient_norm", "update_ratio", "largest_weight", "learning_rate")
COUNTS = ("step", "epoch", "batch", "slots_since")


def arrays_of(state: State, history: History) -> dict[str, NDArray[Any]]:
    """Return everything that training changes, by name; of the history the epochs that are complete in `state`."""
    totals = state.totals
    arrays: dict[str, NDArray[Any]] = {
        "parameters": state.parameters,
        "last_update": state.last_update,
        **{f"slots.{name}": slot for name, slot in state.slots.items()},
        "counts": np.array([getattr(state, name) for name in COUNTS], dtype=np.int64),
        "learning_rate": np.array(state.learning_rate, dtype=np.float64),
        "totals": np.array([getattr(totals, name) for name in SUMS], dtype=np.float64),
        "totals.tally": np.array(totals.tally, dtype=np.float64),
    }
    if totals.before is not None:
        arrays["totals.before"] = np.array(totals.before, dtype=np.float64)
    if state.guard is not None:
        arrays["guard"] = state.guard
    complete = int(np.searchsorted(history.epoch, state.epoch))
    return arrays | {f"history.{name}": getattr(history, name)[:complete].copy() for name in history.names}


def state_from(arrays: Mapping[str, NDArray[Any]], slots: tuple[str, ...]) -> State:
    """Return the state that `arrays_of` took apart; `slots` are their names, in the order the rule has them."""
    sums = dict(zip(SUMS, arrays["totals"].tolist(), strict=True))
    tally = arrays["totals.tally"]
    before = arrays.get("totals.before")
    guard = arrays.get("guard")
    return State(
        # Copies, so that each lies in memory as NumPy's own arrays do.
        arrays["parameters"].copy(),
        {name: arrays[f"slots.{name}"].copy() for name in slots},
        arrays["last_update"].copy(),
        **dict(zip(COUNTS, arrays["counts"].tolist(), strict=True)),
        learning_rate=float(arrays["learning_rate"]),
        totals=Totals(
            **sums,
            tally=tally.copy() if tally.ndim else float(tally),
            before=None if before is None else Scores(*before.tolist()),
        ),
        guard=None if guard is None else guard.copy(),
    )


def history_from(arrays: Mapping[str, NDArray[Any]], empty: History) -> History:
    """Return the history that `arrays_of` took apart; `empty` has the same columns."""
    names = [name.replace("score", empty.score_name) for name in EpochRecord._fields]
    epochs = arrays["history.epoch"]
    missing = np.full(len(epochs), math.nan)
    history = empty.empty()
    history.extend(epochs, np.stack([arrays.get(f"history.{name}", missing) for name in names], axis=1))
    return history


def digest_of(array: NDArray[Any]) -> str:
    """Return 32 hexadecimal digits that change with the type, the shape or a bit of an array."""
    plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    content = hashlib.blake2b(f"{plain.dtype.str} {plain.shape}".encode(), digest_size=16)
    content.update(plain.data)
    return content.hexdigest()
