"""A run and the disk: saved, saved from time to time, and loaded."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from downslope.data import Dataset
from downslope.network import Network
from downslope.rules import Optimizer
from downslope.schedules import Schedule
from downslope.training.course import Course

if TYPE_CHECKING:
    from downslope.training.run import Run

__all__ = ["Stored"]


class Stored(Course):
    """What a run's directory has to do with it; `saving` does it."""

    def save(self, directory: str | os.PathLike[str]) -> None:
        """Write everything that shapes the future to a directory, as its newest checkpoint; two are kept.

        A kill, a power cut or a full disk leaves the last complete one. In another thread than the one that trains,
        the call waits until the step under way is done.

        Raises
        ------
        InputError
            If the directory holds another run, the disk refuses, or something in the run cannot be saved (a plain
            function as a schedule, a layer or loss of one's own).
        """
        from downslope.training.saving import save

        self._requests.ask(lambda: save(self._run, directory))

    def autosave(self, directory: str | os.PathLike[str] | None, seconds: float = 60.0) -> None:
        """Save while it trains, and when training ends, however.

        A save that fails while it trains is a `CheckpointWarning`, and is tried again; training goes on.

        Parameters
        ----------
        directory : str or path, or None
            A new one, or the one this run was saved in; None ends autosaving.
        seconds : float
            Between two saves, at least 0; more where saves would take above a twentieth of the time.

        Raises
        ------
        InputError
            If an argument is not legal or something in the run cannot be saved, as for `save`; from `train`, where the
            save at its end fails.
        """
        from downslope.training.saving import Autosave, check

        if directory is not None:
            check(self._run)
        self._autosave = None if directory is None else Autosave(directory, seconds)

    @classmethod
    def load(
        cls,
        directory: str | os.PathLike[str],
        *,
        data: Dataset | None = None,
        network: Network | None = None,
        rules: Iterable[type[Optimizer]] = (),
        schedules: Iterable[type[Schedule]] = (),
    ) -> Run:
        """Return the run that `save` wrote, to be trained on with the bits it would have had without a break.

        A broken checkpoint is skipped for the one before it, with a `CheckpointWarning` that says why. Another one says
        where the bits may differ from here on: by another version of Downslope, by another NumPy, BLAS or processor
        where those decide them, or by code of one's own that cannot be compared.

        Only the first state and the one it was saved with are read: the first look `at` a step between makes the steps
        before it again.

        Parameters
        ----------
        directory : str or path
            Where it was saved.
        data : Dataset, optional
            The data; left out, those stored with it. Others are refused.
        network : Network, optional
            Likewise, to be held against what is stored.
        rules, schedules : classes, optional
            Those of one's own that the run uses.

        Raises
        ------
        InputError
            If there is no run, none of its checkpoints is whole, they are of a newer format, or data or network are
            others.
        """
        from downslope.training.saving import load

        return load(directory, data=data, network=network, rules=rules, schedules=schedules)

    @contextmanager
    def _saved_at_the_end(self) -> Iterator[None]:
        """Let the autosave have the last word, however training ends."""
        try:
            yield
        except BaseException:
            if (autosave := self._autosave) is not None:
                autosave.finish(self._run, quiet=True)
            raise
        if (autosave := self._autosave) is not None:
            autosave.finish(self._run)
