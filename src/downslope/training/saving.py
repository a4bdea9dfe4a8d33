"""A run on the disk: everything that shapes its future, so that it goes on as if it had never been interrupted."""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from downslope import checks
from downslope.data import Dataset
from downslope.errors import DownslopeError, InputError
from downslope.network import Network
from downslope.network import loss as loss_described
from downslope.rules import Optimizer, from_description
from downslope.schedules import Schedule
from downslope.training.arrays_file import Arrays, BrokenError, Piece, read_arrays
from downslope.training.checkpoint import (
    Checkpoint,
    CheckpointWarning,
    Writer,
    read_checkpoint,
    read_document,
    write_checkpoint,
)
from downslope.training.guard import Guard
from downslope.training.log import Entry, Log, Parent
from downslope.training.own_code import changed_code, given_classes
from downslope.training.run import Run
from downslope.training.saved_document import check_fits, check_same, document_of, now, same_python, why_bits_may_differ
from downslope.training.saved_shape import check_shape
from downslope.training.saved_state import arrays_of, digest_of, history_from, state_from
from downslope.training.timeline import Moment

__all__ = ["Autosave", "check", "header", "load", "save"]

# A save may take so much of the time between two of them, however short that was asked to be.
SHARE = 0.05


@dataclass
class Known:
    """What is remembered of a run as long as it lives.

    `created` is the time at which it was first saved, `start` the digest of its initial parameters, `writers` what it
    knows of each directory.
    """

    created: str
    start: str
    writers: dict[Path, Writer] = field(default_factory=dict)


_KNOWN: WeakKeyDictionary[Run, Known] = WeakKeyDictionary()
_STORED: WeakKeyDictionary[Dataset, Arrays] = WeakKeyDictionary()


def save(run: Run, directory: str | os.PathLike[str], *, measured: bool = False) -> None:
    """Write a run to a directory, as its newest checkpoint; when this returns, it is on the disk.

    With `measured` its state is measured first, so that a header can tell of it; a small run's always is.

    Raises
    ------
    InputError
        If something in the run cannot be saved, the directory holds another run or has been written to by another
        process since, or the disk refuses. What was there before is then still there.
    """
    checks.path("directory", directory, "a directory for the run")
    known = _known(run)
    document = document_of(run, known.created, known.start, measured=measured)
    lasting = {"data": run.data}
    if isinstance(run.given["validation"], Dataset):
        lasting["validation"] = run.given["validation"]
    write_checkpoint(
        directory,
        arrays_of(run.state, run.history),
        document,
        lasting={name: _stored(data) for name, data in lasting.items()},
        writer=known.writers.setdefault(Path(directory).resolve(), Writer(run.id)),
    )


def check(run: Run) -> None:
    """Raise InputError where something in a run cannot be saved, such as a layer of one's own."""
    document_of(run, now(), "")


def load(
    directory: str | os.PathLike[str],
    *,
    data: Dataset | None = None,
    network: Network | None = None,
    rules: Any = (),
    schedules: Any = (),
) -> Run:
    """Return the run that was saved in a directory; see `Run.load`."""
    own_rules = given_classes("rules", rules, Optimizer)
    own_schedules = given_classes("schedules", schedules, Schedule)  # type: ignore[type-abstract]
    found = read_checkpoint(directory, check_shape)
    try:
        run, notes = _restored(directory, found, data, network, (own_rules, own_schedules))
    except DownslopeError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        # Digests tell of every damage, so this was written by something else.
        told = f"whose checkpoint {found.generation} is no checkpoint of a run ({type(error).__name__}: {error})"
        raise InputError(f"directory must hold a whole checkpoint. Received: {os.fspath(directory)}, {told}") from error
    for note in notes:
        warnings.warn(note, CheckpointWarning, stacklevel=3)
    return run


def _restored(
    directory: str | os.PathLike[str],
    found: Checkpoint,
    data: Dataset | None,
    network: Network | None,
    own: tuple[Mapping[str, type[Optimizer]], Mapping[str, type[Schedule]]],
) -> tuple[Run, Sequence[str]]:
    """Return the run that a checkpoint is of, and what a person should know of it."""
    document, comparable = found.document, same_python(found.document)
    own_rules, own_schedules = own
    notes = [
        *found.skipped,
        *changed_code("rules", document["own"]["rules"], own_rules, comparable=comparable),
        *changed_code("schedules", document["own"]["schedules"], own_schedules, comparable=comparable),
    ]
    given = dict(document["given"])
    given |= {"loss": loss_described(given["loss"]), "guard": Guard.restored(given["guard"])}
    if isinstance(given["validation"], Mapping):
        given["validation"] = _read_data(directory, found.lasting["validation"], given["validation"])
    run = Run(
        _network(document, network),
        _data(directory, found, data),
        from_description(document["first_optimizer"], own_rules, own_schedules),
        **given,
    )
    check_same(run, document, directory)
    told = document["header"]
    run._id, run.parent = told["id"], Parent.of(told)
    run.history = history_from(found.arrays, run.history)
    moment = Moment(
        state_from(found.arrays, tuple(document["slots"])),
        from_description(document["optimizer"], own_rules, own_schedules),
        document["batch_size"],
        document["pending_batch_size"],
        document["acted"],
        run.guard,
    )
    check_fits(run, moment, directory)
    run._log = Log(Entry.from_description(one, own_rules, own_schedules) for one in document["log"])
    guards = [one.guard for one in run._log.acting()[: moment.done] if one.guard is not None]
    run._now = replace(moment, guard=Guard.restored(guards[-1])) if guards else moment
    run._coming, run._quiet_until = run._log.acting()[run._now.done :], document["quiet_until"]
    if all(entry.step < run.step for entry in run._log.acting()[: run._now.done]):  # a moment is as before any change
        run._moments.offer(run._now)
    writer = Writer(run.id, [found.digest])
    _KNOWN[run] = Known(told["created"], document["start"], {Path(directory).resolve(): writer})
    return run, [*notes, *why_bits_may_differ(run, document)]


def header(directory: str | os.PathLike[str]) -> dict[str, Any]:
    """Return what is shown of the run in a directory, without reading its arrays.

    Returns
    -------
    dict
        id; parent (a `Parent`, or None); created, saved (times in UTC); step, epoch; numbers (the last row of the
        history, empty before the first epoch); measured (for "training" and "validation" loss and score of the state
        that is saved; missing where a large run was saved in mid-training); network, loss, optimizer, first_optimizer,
        guard (as text); data (a dictionary of name, rows and digest); batch_size, seed, engine; changes (how many acted
        on it); number (of the checkpoint); skipped (a sentence for each newer one that is broken).

    Raises
    ------
    InputError
        If there is no run, or none of its checkpoints can be read.
    """
    found = read_document(directory, check_shape)
    told = found.document["header"]
    return {**told, "parent": Parent.of(told), "number": found.generation, "skipped": found.skipped}


class Autosave:
    """Saves a run from time to time while it trains.

    Parameters
    ----------
    directory : path
        Where to.
    seconds : float
        Wall time between two saves, at least 0; longer where a save takes so long that they would take more than a
        twentieth of the time.
    """

    def __init__(self, directory: str | os.PathLike[str], seconds: float = 60.0) -> None:
        checks.path("directory", directory, "a directory for the run")
        self.directory = Path(directory)
        self.seconds = checks.real("seconds", seconds, checks.Interval(at_least=0))
        self._due = time.monotonic() + self.seconds
        self._saved: tuple[Moment | None, int] = (None, 0)
        self._failing = False

    def __repr__(self) -> str:
        return f"Autosave({str(self.directory)!r}, seconds={self.seconds:g})"

    def offer(self, run: Run) -> None:
        """Save if it is time to. Where that fails, training goes on, and a warning says so until it succeeds again."""
        if time.monotonic() < self._due:
            return
        try:
            self._save(run, measured=False)
        except (InputError, OSError) as error:
            self._warn(error)

    def finish(self, run: Run, *, quiet: bool = False) -> None:
        """Save unless everything is saved; with `quiet`, because something else is being raised, only warn of errors.

        Raises
        ------
        InputError
            If it cannot be saved.
        """
        if self.holds(run):
            return
        try:
            self._save(run, measured=True)
        except (InputError, OSError) as error:
            if not quiet:
                raise
            self._warn(error)

    def holds(self, run: Run) -> bool:
        """Whether the last save was of the run as it stands now."""
        moment, entries = self._saved
        return moment is run._now and entries == len(run._log)

    def _save(self, run: Run, *, measured: bool) -> None:
        begun, place = time.monotonic(), (run._now, len(run._log))
        try:
            save(run, self.directory, measured=measured)
            self._saved, self._failing = place, False
        finally:
            ended = time.monotonic()
            self._due = ended + max(self.seconds, (ended - begun) * (1 / SHARE - 1))

    def _warn(self, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            warnings.warn(f"the run goes on, but was not saved: {error}", CheckpointWarning, stacklevel=3)


def _known(run: Run) -> Known:
    if run not in _KNOWN:
        _KNOWN[run] = Known(now(), digest_of(run._moments.first.state.parameters))
    return _KNOWN[run]


def _stored(data: Dataset) -> Arrays:
    """Return a data set's arrays as the bytes of a file, whose digest is computed once."""
    if data not in _STORED:
        _STORED[data] = Arrays({"inputs": data.inputs, "targets": data.targets})
    return _STORED[data]


def _network(document: Mapping[str, Any], given: Network | None) -> Network:
    saved = Network.from_description(document["network"])
    if given is not None and not isinstance(given, Network):
        raise checks.refuse("network", "a network such as MLP([2, 64, 3])", given)
    if given is not None and given != saved:
        raise InputError(
            f"network must be the one this run was trained with, {document['header']['network']}. Received: {given!r}"
        )
    return saved if given is None else given


def _data(directory: str | os.PathLike[str], found: Checkpoint, given: Dataset | None) -> Dataset:
    told = found.document["data"]
    if given is None:
        return _read_data(directory, found.lasting["data"], told)
    if not isinstance(given, Dataset):
        raise checks.refuse("data", "a data set such as downslope.data.spiral()", given)
    if given.digest != told["digest"]:
        raise InputError(
            f"data must be what this run was trained on, {told['name']} of {told['rows']} rows and digest "
            f"{told['digest']}. Received: {given!r} of digest {given.digest}"
        )
    if given.normals_drawn != told["normals_drawn"]:  # the same numbers from another place; weights are drawn after it
        return replace(given, normals_drawn=told["normals_drawn"])
    return given


def _read_data(directory: str | os.PathLike[str], piece: Piece, told: Mapping[str, Any]) -> Dataset:
    try:
        arrays = read_arrays(Path(directory), piece)
    except BrokenError as error:
        raise InputError(
            "the data stored with the run must be whole, unless Run.load is given the same as data=…. "
            f"Received: {directory}, where {error}"
        ) from error
    except OSError as error:
        raise InputError(f"{directory} could not be read: {error.strerror or error}") from error
    named = {name: value for name, value in told.items() if name not in ("rows", "digest")}
    return Dataset(**named, inputs=arrays["inputs"], targets=arrays["targets"])
