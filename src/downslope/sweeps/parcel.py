"""What goes between a sweep and other processes: its job, which they open only if they would train the same runs."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from downslope._version import __version__
from downslope.errors import DownslopeError, InputError
from downslope.rules import Optimizer
from downslope.sweeps.executors import Chunk
from downslope.sweeps.job import Job
from downslope.sweeps.keys import FORMAT, UNTOLD, code_of, functions_of

__all__ = ["ChunkError", "Parcel", "described", "name_of", "opened", "packed"]


class ChunkError(DownslopeError):
    """A chunk of runs could not be executed, whoever tried; the message names it."""


class Parcel(NamedTuple):
    """A job and what holds where it was made; of plain values only, so that any version can read the first part.

    Attributes
    ----------
    made_by : str
        The versions that decide what a run's numbers are.
    rule : str
        The rule's name.
    code : str or None
        The fingerprint of the rule's code; None where it has none, and cannot be compared.
    functions : dict of str
        The fingerprints of settings that are functions or schedules of one's own.
    content : bytes
        The job, pickled.
    """

    made_by: str
    rule: str
    code: str | None
    functions: dict[str, str]
    content: bytes

    @property
    def needs_main(self) -> bool:
        """Whether the job may hold something of the script that was started, which others know as `__main__`."""
        return b"__main__" in self.content


def packed(job: Job, dumps: Callable[[Any], bytes] = pickle.dumps) -> Parcel:
    """Return a job as it is sent to other processes.

    Raises
    ------
    InputError
        If something in it cannot be pickled, such as a function without a name.
    """
    try:
        content = dumps(job)
    except Exception as error:  # whatever the pickling of a user's own objects raises
        raise InputError(
            "a sweep in other processes must be of rules, schedules and layers that can be sent there, written in a "
            f"module or at the top of a script. Received: {described(error)}"
        ) from error
    kind = type(job.optimizer)
    return Parcel(_made_by(), kind.__name__, _code(job.optimizer), _told(job.functions), content)


def opened(parcel: Parcel) -> Job:
    """Return the job in a parcel, in the process that is to train its runs.

    Raises
    ------
    InputError
        If this process has another version or other code, so that its runs would be others, or lacks what the job
        is made of.
    """
    if parcel.made_by != _made_by():
        raise InputError(f"a worker must have {parcel.made_by}, as the sweep has. Received: {_made_by()}")
    try:
        job: Job = pickle.loads(parcel.content)
    except Exception as error:  # whatever the loading of a user's own objects raises
        raise InputError(
            f"a worker must be able to import what {parcel.rule} and the sweep's other parts are made of. "
            f"Received: {described(error)}"
        ) from error
    code, functions = _code(job.optimizer), _told(functions_of(job.optimizer))
    if parcel.code is not None and code != parcel.code:
        raise InputError(f"a worker must have the sweep's own code of {parcel.rule}. Received: other code")
    for name in parcel.functions:
        if functions.get(name) != parcel.functions[name]:
            raise InputError(f"a worker must have the sweep's own code of {name}. Received: other code")
    return job


def name_of(runs: Chunk) -> str:
    """Return what a chunk is called in messages."""
    if len(runs) == 1:
        return f"the chunk of run {runs[0]} alone"
    return f"the chunk of {len(runs)} runs {runs[0]} to {runs[-1]}"


def described(error: BaseException) -> str:
    """Return an error in one line, with its kind where the message alone would not tell."""
    text = " ".join(str(error).split())
    return text if isinstance(error, InputError) else f"{type(error).__name__}{': ' if text else ''}{text}"


def _made_by() -> str:
    python = ".".join(map(str, sys.version_info[:2]))
    return f"Downslope {__version__} (results' format {FORMAT}) on Python {python}"


def _code(optimizer: Optimizer) -> str | None:
    """Return the fingerprint of a rule's code, the package's own included: an edited installation is another."""
    code = code_of(optimizer) or type(optimizer).fingerprint()
    return None if code is None or code.startswith(UNTOLD) else code


def _told(functions: dict[str, str]) -> dict[str, str]:
    return {name: text for name, text in functions.items() if UNTOLD not in text}
