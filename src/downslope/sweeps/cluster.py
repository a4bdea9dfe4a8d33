"""Runs trained by a Dask cluster: its scheduler hands the same chunks to workers on any number of machines.

The job goes to the scheduler once and from there, or from one another, once to each worker, also to those that come
later. Chunks follow a few at a time, so that the scheduler never holds more than the workers are about to take.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
import uuid
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from downslope import checks
from downslope.errors import InputError, MissingExtraError
from downslope.sweeps.executors import Chunk, Results
from downslope.sweeps.job import Job
from downslope.sweeps.parcel import Parcel, described, opened, packed
from downslope.sweeps.processes import ChunkError, name_of
from downslope.sweeps.work import Finished, Stop, work

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["DaskExecutor"]

SECONDS_TO_CONNECT = 5
SECONDS_TO_STOP = 1.0
SECONDS_BETWEEN_LOOKS = 0.05
SECONDS_BETWEEN_COUNTS = 2.0
SECONDS_WITHOUT_WORKER = 15.0
CHUNKS_PER_THREAD = 2  # one under way, one waiting beside it
MOST_SWEEPS_OPEN = 4  # in a worker


class DaskExecutor:
    """Trains on the workers of a Dask cluster, in as many threads as they offer.

    Parameters
    ----------
    address : str
        The scheduler's, such as "tcp://10.0.0.5:8786".

    Raises
    ------
    MissingExtraError
        If Dask is not installed.
    InputError
        If no scheduler answers there.
    """

    chunk_seconds = 2.0

    def __init__(self, address: str) -> None:
        if not isinstance(address, str) or not address:
            raise checks.refuse("cluster", "the address of a Dask scheduler, such as tcp://10.0.0.5:8786", address)
        self._address = address
        client = _connected(address)
        try:
            self.slots = _threads(client)
        finally:
            client.close()

    def execute(self, job: Job, chunks: Iterable[Chunk], stop: Stop) -> Results:
        """Yield each chunk when it is done; see `Executor.execute`.

        A chunk that is lost with its worker is run again by Dask. One that was lost with several (Dask gives up at the
        fourth) is tried run by run; a run that is lost so again is tried last, with nothing beside it, since workers
        with several threads take their other chunks with them, and is then given up.

        Raises
        ------
        InputError
            If the job cannot be sent, a worker has other versions or code, or the scheduler is gone.
        """
        import cloudpickle  # comes with Dask; sends what a script or a notebook defines by its code

        parcel = packed(job, cloudpickle.dumps)
        client = _connected(self._address)
        submitted = _Submitted(client, parcel)
        try:
            yield from self._drive(submitted, iter(chunks), stop)
        finally:
            submitted.end()
            client.close()

    def _drive(self, submitted: _Submitted, source: Iterator[Chunk], stop: Stop) -> Results:
        suspects: list[Chunk] = []
        more, counted_at, waits_since = True, time.monotonic(), time.monotonic()
        while not stop.is_set():
            while more and submitted.under_way < CHUNKS_PER_THREAD * self.slots:
                chunk = next(source, None)
                more = chunk is not None
                if chunk is not None:
                    submitted.send(_Try(chunk))
            if not submitted.under_way:
                if not suspects:
                    return
                submitted.send(_Try(suspects.pop(), alone=True))
            for tried, outcome in submitted.done(SECONDS_BETWEEN_LOOKS):
                waits_since = time.monotonic()
                if not isinstance(outcome, _LostError):
                    yield tried.runs, outcome
                elif len(tried.runs) > 1:
                    for run in tried.runs:
                        submitted.send(_Try([run]))
                elif not tried.alone:
                    suspects.append(tried.runs)
                else:
                    yield tried.runs, ChunkError(f"{name_of(tried.runs)} was given up: {outcome}")
            if time.monotonic() - counted_at > SECONDS_BETWEEN_COUNTS:
                counted_at = time.monotonic()
                self.slots = submitted.threads()
                if counted_at - waits_since > SECONDS_WITHOUT_WORKER and not submitted.has_workers:
                    waits_since = float("inf")
                    warnings.warn(f"the cluster at {self._address} has no workers; waiting for some", stacklevel=2)
        yield from submitted.stopped()


class _Try(NamedTuple):
    runs: Chunk
    alone: bool = False


class _LostError(Exception):
    """Why nobody could execute a chunk."""


class _Submitted:
    """What the scheduler has been asked to do, and its answers. Used by one thread."""

    def __init__(self, client: Client, parcel: Parcel) -> None:
        self.has_workers = True
        self._client, self._parcel = client, parcel
        self._token = uuid.uuid4().hex
        self._under_way: dict[Future, _Try] = {}
        self._answers: queue.SimpleQueue[Future] = queue.SimpleQueue()
        self._job: Future | None = None
        self._number = 0

    @property
    def under_way(self) -> int:
        """How many chunks have no answer yet."""
        return len(self._under_way)

    def send(self, tried: _Try) -> None:
        """Submit a chunk."""
        self._number += 1
        if self._job is None or self._job.status in ("error", "cancelled", "lost"):
            # A task, and not scattered data: where all workers that hold it are lost, the scheduler makes it again.
            self._job = self._client.submit(_held, self._parcel, key=f"downslope-job-{self._token}-{self._number}")
        key = f"downslope-chunk-{self._token}-{self._number}"
        future = self._client.submit(_execute, self._job, self._token, tried.runs, key=key)
        self._under_way[future] = tried
        future.add_done_callback(self._answers.put)

    def done(self, seconds: float) -> Iterator[tuple[_Try, Finished | Exception]]:
        """Yield what has been done by now, or in so many seconds."""
        waits = True
        while True:
            try:
                future = self._answers.get(timeout=seconds) if waits else self._answers.get_nowait()
            except queue.Empty:
                return
            waits = False
            tried = self._under_way.pop(future, None)
            if tried is not None:
                yield tried, self._outcome(future, tried)

    def _outcome(self, future: Future, tried: _Try) -> Finished | Exception:
        from distributed import KilledWorker

        if future.status == "finished":
            with suppress(Exception):  # the worker that holds it may be lost in this moment
                kind, content = future.result(timeout=60)
                if kind == "refused":
                    raise _RefusedError(content)
                return content if kind == "done" else ChunkError(f"{content}, in {name_of(tried.runs)}")
        return _LostError("")

    def threads(self) -> int:
        """Return how many threads the workers have now."""
        raise NotImplementedError
