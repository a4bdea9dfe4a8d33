"""`spreads.npz`: what is kept of the runs of all spreads, in a format that NumPy reads without pickle.

For each configuration, as `adagrad.seeds.`: `loss` (runs, kept epochs) and `loss_curves` (7, 101) in float32, `right`
and `right_curves` of the same shapes in uint16, how many of the 300 rows are classified correctly. `header` is JSON
as UTF-8 bytes: runs, settings, kept epochs, percentiles and versions.
"""

from __future__ import annotations

import functools
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from downslope._version import __version__
from downslope.book.printed import EPOCHS, PRINTED
from downslope.book.spread_runs import EVERY, KINDS, Kind, Trace
from downslope.errors import InputError
from downslope.files import written_whole

__all__ = [
    "FILE",
    "PERCENTILES",
    "Kept",
    "Spreads",
    "kept_epochs",
    "opened",
    "summed_up",
    "written",
]

FILE = Path(__file__).with_name("spreads.npz")
PERCENTILES = (0, 5, 25, 50, 75, 95, 100)
ROWS = 300


class Kept(NamedTuple):
    """What is kept of the runs of one configuration; see the module's docstring."""

    loss: NDArray[np.float32]
    right: NDArray[np.uint16]
    loss_curves: NDArray[np.float32]
    right_curves: NDArray[np.uint16]

    @property
    def accuracy(self) -> NDArray[np.float64]:
        """The share of rows classified correctly, shape (runs, kept epochs)."""
        return self.right / ROWS

    @property
    def accuracy_curves(self) -> NDArray[np.float64]:
        """The same for the percentiles, shape (7, 101)."""
        return self.right_curves / ROWS


class Spreads(dict[tuple[str, Kind], Kept]):
    """The content of a file by name and kind, and its header."""

    def __init__(self, header: Mapping[str, Any], content: Mapping[tuple[str, Kind], Kept]) -> None:
        super().__init__(content)
        self.header = header


def kept_epochs(name: str) -> tuple[int, ...]:
    """Return the epochs at which every run of a configuration is kept: the printed ones and every thousandth."""
    return tuple(sorted({row.epoch for row in PRINTED[name].rows} | set(range(0, EPOCHS, 1000))))


def summed_up(name: str, traces: Sequence[Trace]) -> Kept:
    """Return what is kept of some runs, in their order."""
    places = [epoch // EVERY for epoch in kept_epochs(name)]
    loss = np.array([trace.loss for trace in traces]).astype(np.float32)
    right = np.rint(ROWS * np.array([trace.accuracy for trace in traces])).astype(np.uint16)

    def curves(values: NDArray[Any]) -> NDArray[Any]:
        # Values that occur, so that nothing is interpolated between an exploded run and the others.
        return np.asarray(np.percentile(values, PERCENTILES, axis=0, method="inverted_cdf"), dtype=values.dtype)

    return Kept(loss[:, places], right[:, places], curves(loss), curves(right))


def written(file: Path, content: Mapping[tuple[str, Kind], Kept]) -> None:
    """Write a file that is whole or not there; the same content gives the same bytes."""
    header = {
        "format": 1,
        "runs": len(next(iter(content.values())).loss),
        "epochs": EPOCHS,
        "every": EVERY,
        "percentiles": PERCENTILES,
        "kept_epochs": {name: kept_epochs(name) for name in PRINTED},
        "settings": {name: dict(printed.settings) for name, printed in PRINTED.items()},
        "versions": {
            "downslope": __version__,
            **{name: metadata.version(name) for name in ("numpy", "numba", "llvmlite")},
        },
    }
    arrays: dict[str, Any] = {"header": np.frombuffer(json.dumps(header, indent=1).encode(), dtype=np.uint8)}
    for (name, kind), kept in content.items():
        arrays |= {f"{name}.{kind}.{field}": values for field, values in kept._asdict().items()}
    with written_whole(file) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **arrays)


def opened(file: Path) -> Spreads:
    """Return the content of a file.

    Raises
    ------
    InputError
        If it is missing or cannot be read.
    """
    return _opened(os.fspath(file))


@functools.cache
def _opened(file: str) -> Spreads:
    try:
        with np.load(file, allow_pickle=False) as arrays:
            header = json.loads(arrays["header"].tobytes())
            return Spreads(header, {
                (name, kind): Kept(*(arrays[f"{name}.{kind}.{field}"] for field in Kept._fields))
                for name in PRINTED
                for kind in KINDS
            })  # fmt: skip
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{file} must be a file of spreads. Received: {error}") from error
