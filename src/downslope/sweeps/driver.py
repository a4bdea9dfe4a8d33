"""`sweep`: a plan, an executor, a store, and the loop between them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from downslope import checks
from downslope.data import Dataset
from downslope.interrupt import deferred_interrupt
from downslope.network import Loss, Network
from downslope.rules import Optimizer
from downslope.sweeps.executors import Chunk, Executor, ThreadExecutor
from downslope.sweeps.job import Job, plan
from downslope.sweeps.order import coarse_to_fine
from downslope.sweeps.progress import progress_bar
from downslope.sweeps.result import SweepResult
from downslope.sweeps.store import Store
from downslope.sweeps.work import Finished, Stop, lost

__all__ = ["execute", "sweep"]

MOST_IN_A_CHUNK = 512


def sweep(
    network: Network,
    data: Dataset,
    optimizer: Optimizer,
    *,
    over: Mapping[str, Any],
    epochs: int,
    seeds: int | Iterable[int] | Literal["chapter"] = 1,
    loss: str | Loss | None = None,
    batch_size: int | None = None,
    validation: float | Dataset = 0.0,
    dtype: str = "float32",
    standardize: bool | None = None,
    engine: str | None = None,
    directory: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    workers: int | None = None,
    cluster: str | None = None,
    progress: bool | None = None,
    history_every: int | None = None,
    keep_parameters: bool = False,
    on_progress: Callable[[SweepResult], None] | None = None,
) -> SweepResult:
    """Train a network once for every combination of some settings and every seed.

    Every run has the bits that `Run` gives it alone, whatever the number of threads. The whole range is covered
    coarsely first, then ever finer; cells of the first seed before those of the second. A run whose training met a
    value that is not finite, or that ended with a loss above twice its first, counts as exploded; one that raised
    anything else as failed, and the others go on.

    Parameters
    ----------
    network, data, loss, batch_size, validation, dtype, standardize, engine
        As of `Run`.
    optimizer : Optimizer
        The rule and the settings that all runs share.
    over : dict
        One or more settings of the rule, each with a range (`linear`, `log`, `values`), a list or a text such as
        "log:1e-3:10:32". Also "batch_size", and "decay", with which the learning rate becomes
        InverseTime(learning rate, decay). Where the learning rate is a schedule with a `base`, a swept learning rate
        takes the base's place.
    epochs : int
        How many passes over the training rows each run makes, at least 1.
    seeds : int, sequence of int or "chapter"
        How many seeds (0, 1, …) each cell is trained with, or which.
    directory : path, optional
        Where the results go, at most a second after a run is done. The same call with the same directory continues
        what an earlier one left. Left out, results stay in memory.
    threads : int, optional
        How many runs to train at a time; as many as there are cores when left out.
    workers : int, optional
        Local processes instead of threads.
    cluster : str, optional
        The address of a Dask scheduler whose workers train instead.
    progress : bool, optional
        Whether to show a progress bar on stderr; left out, where stderr is a terminal.
    history_every : int, optional
        Keep every so many-th epoch of each run's history (`SweepResult.history`); none when left out.
    keep_parameters : bool
        Whether to keep each run's final parameters (`SweepResult.parameters`).
    on_progress : callable, optional
        Called with the result so far whenever a few more runs are done.

    Returns
    -------
    SweepResult

    Raises
    ------
    InputError
        Before any run, if an argument is not legal; later, if results cannot be written.
    KeyboardInterrupt
        At Ctrl-C: runs under way are given up, finished ones are kept.

    Examples
    --------
    >>> import downslope as ds
    >>> from downslope.sweeps import linear, log, sweep
    >>> spiral = ds.data.spiral(samples=20)
    >>> over = {"learning_rate": log(0.01, 1, 3), "momentum": linear(0, 0.9, 2)}
    >>> result = sweep(ds.MLP([2, 8, 3]), spiral, ds.SGD(), over=over, epochs=20)
    >>> result.finished, sorted(result.best)[:3]
    (6, ['accuracy', 'best_loss', 'largest_weight'])
    """
    job = plan(
        network,
        data,
        optimizer,
        over=over,
        epochs=epochs,
        seeds=seeds,
        loss=loss,
        batch_size=batch_size,
        validation=validation,
        dtype=dtype,
        standardize=standardize,
        engine=engine,
        history_every=history_every,
        keep_parameters=keep_parameters,
    )
    executor = _executor(threads, workers, cluster)
    return execute(job, executor, directory, progress=progress, on_progress=on_progress)


def execute(
    job: Job,
    executor: Executor,
    directory: str | os.PathLike[str] | None = None,
    *,
    progress: bool | None = None,
    on_progress: Callable[[SweepResult], None] | None = None,
) -> SweepResult:
    """Train what is left of a plan's runs; see `sweep`."""
    if progress is not None:
        checks.flag("progress", progress)
    if on_progress is not None and not callable(on_progress):
        raise checks.refuse("on_progress", "a function of the result so far", on_progress)
    store = Store.begun(job.settings, directory)
    try:
        result = SweepResult(store)
        _run(job, executor, store, result, progress, on_progress)
    finally:
        store.close()
    return result


def _run(
    job: Job,
    executor: Executor,
    store: Store,
    result: SweepResult,
    progress: bool | None,
    on_progress: Callable[[SweepResult], None] | None,
) -> None:
    done = np.zeros(job.planned, dtype=bool)
    counts = {"finished": 0, "exploded": 0, "failed": 0}
    if (before := store.runs(["outcome"])) is not None:
        done[before["run"].to_numpy()] = True
        _count(counts, before["outcome"])
    already = int(done.sum())
    chunks = _Chunks(job, done, executor)
    stop, told = Stop(), False
    with deferred_interrupt(stop.set), progress_bar(progress, already, job.planned) as show:
        try:
            if already < job.planned:
                with closing(executor.execute(job, chunks, stop)) as results:
                    for chunk, outcome in results:
                        made = lost(job, chunk, outcome) if isinstance(outcome, Exception) else outcome
                        chunks.learn(made)
                        store.add(made)
                        _count(counts, made.summary["outcome"])
                        show(sum(counts.values()), counts["exploded"], counts["failed"])
                        # Once at least where something is done, so that whoever stops it soon has what there is.
                        if on_progress is not None and not (told and stop.is_set()):
                            on_progress(result)
                            told = True
        finally:
            stop.set()
            store.flush()


class _Chunks:
    """The runs that are not done yet, in order, in pieces of about the executor's `chunk_seconds`; made while read."""

    def __init__(self, job: Job, done: NDArray[np.bool_], executor: Executor) -> None:
        self._job, self._done, self._executor = job, done, executor
        self._left = job.planned - int(done.sum())
        self._lock = threading.Lock()
        self._seconds, self._runs = 0.0, 0.0

    def learn(self, made: Finished) -> None:
        """Take note of how long some runs took; the latest weigh most."""
        with self._lock:
            self._seconds = 0.5 * self._seconds + made.seconds
            self._runs = 0.5 * self._runs + len(made.summary)

    def __iter__(self) -> Iterator[Chunk]:
        waiting: list[int] = []
        for block in coarse_to_fine(self._job.shape, len(self._job.seeds)):
            waiting += block[~self._done[block]].tolist()
            place = 0
            while (size := self._size()) <= len(waiting) - place:
                yield waiting[place : place + size]
                self._left -= size
                place += size
            waiting = waiting[place:]
        while waiting:
            size = self._size()
            yield waiting[:size]
            self._left -= size
            waiting = waiting[size:]

    def _size(self) -> int:
        """Return how many runs the next chunk takes: one until it is known how long they take, fewer at the end."""
        with self._lock:
            each = self._seconds / self._runs if self._runs else 0.0
        if not each:
            return 1
        fair = -(-self._left // (4 * self._executor.slots))
        return max(1, min(int(self._executor.chunk_seconds / each), fair, MOST_IN_A_CHUNK))


def _count(counts: dict[str, int], outcomes: Any) -> None:
    for word in counts:
        counts[word] += int((outcomes == word).sum())


def _executor(threads: int | None, workers: int | None, cluster: str | None) -> Executor:
    """Return who is to train, as the caller chose."""
    chosen = {"threads": threads, "workers": workers, "cluster": cluster}
    named = [name for name, value in chosen.items() if value is not None]
    if len(named) > 1:
        raise checks.refuse(named[1], f"left out where {named[0]} is given", chosen[named[1]])
    if workers is not None:
        from downslope.sweeps.processes import ProcessExecutor

        return ProcessExecutor(workers)
    if cluster is not None:
        from downslope.sweeps.cluster import DaskExecutor

        return DaskExecutor(cluster)
    return ThreadExecutor(threads)
