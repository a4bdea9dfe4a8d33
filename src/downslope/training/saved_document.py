"""What a checkpoint says of a run beside its arrays, and whether a run made of it is the one that was saved."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from downslope._version import __version__
from downslope.data import Dataset
from downslope.errors import InputError
from downslope.training.own_code import check_parts, fingerprints, own_classes
from downslope.training.saved_state import digest_of

if TYPE_CHECKING:
    from downslope.training.run import Run
    from downslope.training.timeline import Moment

__all__ = ["check_fits", "check_same", "data_told", "document_of", "now", "same_python", "why_bits_may_differ"]

MOST_PRODUCTS = 10**8  # rows times parameters: a state is measured in some milliseconds

_DIGESTS: WeakKeyDictionary[Dataset, str] = WeakKeyDictionary()  # so that each is computed once


def now() -> str:
    """Return the time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def document_of(run: Run, created: str, start: str, *, measured: bool = False) -> dict[str, Any]:
    """Return all that shapes a run's future and is no array, as values that JSON can hold.

    Parameters
    ----------
    run : Run
        At rest between two steps.
    created : str
        When it was first saved.
    start : str
        The digest of its initial parameters.
    measured : bool
        Whether to measure the state however long that takes; else it is measured where that takes next to no time.

    Raises
    ------
    InputError
        If something in it cannot be saved: a plain function as a schedule, a layer or a loss of one's own.
    """
    check_parts(run.network, run.loss)
    log, given, here = run._log, run.given, run._now
    optimizers = [run.first_optimizer, run.optimizer, *(one.optimizer for one in log if one.optimizer is not None)]
    rules, schedules = own_classes(optimizers)
    validation = given["validation"]
    return {
        "header": _header(run, created) | _measured(run, always=measured),
        "network": run.network.describe(),
        "data": data_told(run.data),
        "given": {
            **given,
            "loss": run.loss.describe(),
            "validation": data_told(validation) if isinstance(validation, Dataset) else float(validation),
            "guard": None if given["guard"] is None else given["guard"].describe(),
        },
        "preparation": {"inputs": run.preparation.inputs.describe(), "targets": run.preparation.targets.describe()},
        "start": start,
        "first_optimizer": run.first_optimizer.describe(),
        "optimizer": run.optimizer.describe(),
        "slots": list(run.state.slots),
        "own": {"rules": fingerprints(rules), "schedules": fingerprints(schedules)},
        "log": [one.describe() for one in log],
        "batch_size": here.batch_size,
        "pending_batch_size": here.pending,
        "acted": here.done,
        "quiet_until": run._quiet_until,
        "engine": run.engine_record(),
        "versions": _versions(),
    }


def _header(run: Run, created: str) -> dict[str, Any]:
    """Return what is shown of a run without opening it."""
    return {
        "id": run.id,
        "parent": None if run.parent is None else list(run.parent),
        "created": created,
        "saved": now(),
        "step": run.step,
        "epoch": run.epoch,
        "numbers": run.history.row(-1) if len(run.history) else {},
        "network": repr(run.network),
        "loss": repr(run.loss),
        "data": {name: value for name, value in data_told(run.data).items() if name in ("name", "rows", "digest")},
        "optimizer": repr(run.optimizer),
        "first_optimizer": repr(run.first_optimizer),
        "batch_size": run.problem.batch_size,
        "seed": run.seed,
        "engine": run.engine,
        "guard": None if run.guard is None else repr(run.guard),
        "changes": sum(one.acts for one in run.log),
    }


def _measured(run: Run, *, always: bool) -> dict[str, Any]:
    """Return loss and score of the state that is saved: the last row of the history is of one update before."""
    problem, parameters = run.problem, run.state.parameters
    parts = {"training": problem.training, "validation": problem.validation}
    products = parameters.size * sum(len(part.inputs) for part in parts.values() if part is not None)
    if products > MOST_PRODUCTS and not always:
        return {}
    found = {name: run._engine.measure(problem, parameters, part) for name, part in parts.items() if part is not None}
    scores = {name: {"loss": one.loss, run.history.score_name: one.score} for name, one in found.items()}
    return {"measured": scores}


def data_told(data: Dataset) -> dict[str, Any]:
    """Return what of a data set is no array."""
    if data not in _DIGESTS:
        _DIGESTS[data] = data.digest
    return {
        "name": data.name,
        "features": list(data.features),
        "classes": None if data.classes is None else list(data.classes),
        "target": list(data.target),
        "seed": data.seed,
        "standardize": data.standardize,
        "normals_drawn": data.normals_drawn,
        "rows": len(data),
        "digest": _DIGESTS[data],
    }


def check_same(run: Run, document: Mapping[str, Any], directory: str | os.PathLike[str]) -> None:
    """Raise InputError unless a run that was made anew begins as the one that was saved began."""
    for name, part in (("inputs", run.preparation.inputs), ("targets", run.preparation.targets)):
        if part.describe() != document["preparation"][name]:
            raise InputError(
                f"the standardization of the {name} must be that of the run saved in {directory}. "
                f"Received: another one of the same data, by {_by(document)}"
            )
    if digest_of(run.state.parameters) != document["start"]:
        raise InputError(
            f"the initial weights must be those of the run saved in {directory}, which its log begins with. "
            f"Received: others of the same seed, by {_by(document)}"
        )


def check_fits(run: Run, moment: Moment, directory: str | os.PathLike[str]) -> None:
    """Raise InputError where what was read is nothing that training can go on from; machine code would not notice.

    Digests tell of every damage, so such a checkpoint was written by somebody else.
    """
    state, like = moment.state, run.state
    sizes = [size for size in (moment.batch_size, moment.pending) if size is not None]
    arrays = {"parameters": state.parameters, "last_update": state.last_update, **state.slots}
    wrong = [
        name
        for name, array in arrays.items()
        if array.dtype != like.parameters.dtype or array.shape != like.parameters.shape
    ]
    if not all(isinstance(size, int) and 1 <= size <= run.problem.rows for size in sizes):
        wrong.append("batch_size")
    elif not 0 <= state.batch < -(-run.problem.rows // moment.batch_size):
        wrong.append("batch")
    wrong += [name for name in ("step", "epoch", "slots_since") if getattr(state, name) < 0]
    if wrong:
        raise InputError(
            f"{os.fspath(directory)} must hold a state that fits its network and data. Received: another {wrong[0]}"
        )


def why_bits_may_differ(run: Run, document: Mapping[str, Any]) -> Iterator[str]:
    """Yield a sentence for each thing because of which a run may go on with other bits than without a break."""
    before, here = document["versions"], _versions()
    if before["downslope"] != here["downslope"]:
        yield (
            f"this run was saved by Downslope {before['downslope']} and goes on with {here['downslope']}, "
            "by which later bits may differ"
        )
    was, is_ = document["engine"], run.engine_record()
    if was != is_ or (run.engine != "compiled" and before["numpy"] != here["numpy"]):
        yield (
            f"the engine {run.engine!r} has the same bits only with the same NumPy and BLAS, so later ones may differ: "
            f"the run was saved with {_text(was, before)} and goes on with {_text(is_, here)}"
        )


def same_python(document: Mapping[str, Any]) -> bool:
    """Return whether a run was saved by this Python, to whose byte code fingerprints refer."""
    here: list[str] = platform.python_version().split(".")
    saved: list[str] = document["versions"]["python"].split(".")
    return saved[:2] == here[:2]


def _versions() -> dict[str, str]:
    installed = {name: version(name) for name in ("numpy", "numba", "llvmlite")}
    return {"downslope": __version__, "python": platform.python_version(), **installed}


def _by(document: Mapping[str, Any]) -> str:
    return f"Downslope {__version__}, where {document['versions']['downslope']} saved it"


def _text(record: Mapping[str, Any], versions: Mapping[str, str]) -> str:
    blas = record.get("blas")
    shown = f", {' '.join(str(one) for one in blas.values())}" if isinstance(blas, Mapping) else ""
    return f"NumPy {versions['numpy']}{shown}"
