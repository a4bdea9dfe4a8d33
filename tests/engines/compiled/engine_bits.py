"""Print, for trainings of every kind, the hash of all bits they end with: weights, slots, last update and history.

Run by test_same_bits.py, in processes whose code is made for other processors; the arguments are the types to train in.
"""

from __future__ import annotations

import hashlib
import sys
import warnings

import numpy as np

import downslope as ds
from downslope.errors import GuardWarning
from downslope.rules import RULES

KINDS = {
    "dropout": {"activation": "relu", "dropout": 0.3, "batch_size": 13, "validation": 0.25},
    "gelu": {"activation": ["gelu", "tanh"], "dropout": 0.2, "l2": 1e-3, "batch_size": 16, "validation": 0.2},
    "smooth": {"activation": ["silu", "softplus"], "l1": 1e-4},
    "steps": {"activation": ["elu", "sigmoid"], "batch_size": 1},
    "leaky": {"activation": ["leaky-relu", "identity"], "validation": 0.5},
    "blocks": {"activation": ["tanh", "relu"], "samples": 220, "batch_size": 600},
    "wide": {"activation": "relu", "sizes": [2, 260, 5, 3]},
    "bce": {"activation": "tanh", "sizes": [2, 9, 7, 1], "loss": "bce", "classes": 2, "batch_size": 20},
    "huber": {"data": "sine", "loss": "huber", "sizes": [1, 9, 6, 1], "batch_size": 10, "validation": 0.2},
    "mae": {"data": "sine", "loss": "mae", "sizes": [1, 9, 6, 1], "activation": "gelu"},
    "mse": {"data": "sine", "loss": "mse", "sizes": [1, 9, 6, 1], "activation": "tanh"},
}


def make(kind, dtype, rule=None):
    """Return a run that has not begun."""
    given = {"sizes": [2, 17, 9, 3], "activation": "relu", "samples": 40, "classes": 3, **KINDS.get(kind, {})}
    if given.get("data") == "sine":
        data = ds.data.sine(97, seed=1)
    else:
        data = ds.data.spiral(given["samples"], classes=given["classes"], seed=1)
    parts = {name: given[name] for name in ("dropout", "l1", "l2") if name in given}
    options = {name: given[name] for name in ("loss", "batch_size", "validation") if name in given}
    net = ds.MLP(given["sizes"], given["activation"], **parts)
    return ds.Run(
        net, data, rule or ds.Adam(ds.InverseTime(0.01, decay=1e-2)), seed=7, dtype=dtype, engine="compiled", **options
    )


def rules():
    """Return a rule of every kind and setting that has slots or a branch of its own."""
    rate = ds.InverseTime(0.02, decay=1e-2)
    return {
        **{name: kind(rate) for name, kind in RULES.items()},
        "momentum": ds.SGD(rate, momentum=0.9),
        "nesterov": ds.SGD(rate, momentum=0.9, nesterov=True),
        "centered": ds.RMSprop(rate, momentum=0.5, centered=True),
    }


def cases(dtypes=("float32", "float64")):
    """Return a function that makes each run, by name."""
    made = {}
    for dtype in dtypes:
        for name, rule in rules().items():
            made[f"{name} {dtype}"] = lambda rule=rule, dtype=dtype: make("", dtype, rule)
        for kind in KINDS:
            made[f"{kind} {dtype}"] = lambda kind=kind, dtype=dtype: make(kind, dtype)
    return made


def digest(run):
    """Return a hash of every bit that training changes."""
    state, whole = run.state, hashlib.blake2b(digest_size=16)
    whole.update(repr((state.step, state.epoch, state.batch, state.learning_rate)).encode())
    guard = np.empty(0) if state.guard is None else state.guard
    for array in (state.parameters, state.last_update, guard, *(state.slots[name] for name in sorted(state.slots))):
        whole.update(array.tobytes())
    for name in run.history.names:
        whole.update(getattr(run.history, name).tobytes())
    return whole.hexdigest()


EPOCHS = 40


def main():
    warnings.simplefilter("ignore", GuardWarning)
    for name, new in cases(sys.argv[1:]).items():
        run = new()
        run.train(EPOCHS)
        sys.stdout.write(f"{name}: {digest(run)}\n")


if __name__ == "__main__":
    main()
