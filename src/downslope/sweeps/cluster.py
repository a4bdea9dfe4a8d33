"""Runs trained by a Dask cluster: its scheduler hands the same chunks to workers on any number of machines.

The job goes to the scheduler once and from there, or from one another, once to each worker, also to those that come
later. Chunks follow a few at a time, so that the scheduler never holds more than the workers are about to take.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
import uuid
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from downslope import checks
from downslope.errors import InputError, MissingExtraError
from downslope.sweeps.by_value import dumps
from downslope.sweeps.executors import Chunk, Results
from downslope.sweeps.job import Job
from downslope.sweeps.parcel import ChunkError, Parcel, described, name_of, opened, packed
from downslope.sweeps.work import Finished, Stop, work

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["DaskExecutor"]

SECONDS_TO_CONNECT = 4.0
SECONDS_TO_STOP = 1.0
SECONDS_BETWEEN_LOOKS = 0.05
SECONDS_BETWEEN_COUNTS = 2.0
SECONDS_WITHOUT_WORKERS = 15.0
CHUNKS_PER_THREAD = 2  # one under way, one waiting beside it
TRIES = 3  # of a chunk that the scheduler has lost sight of
MOST_SWEEPS = 8  # that a worker remembers

T = TypeVar("T")


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
        self.slots = _threads_of(address)

    def execute(self, job: Job, chunks: Iterable[Chunk], stop: Stop) -> Results:
        """Yield each chunk when it is done; see `Executor.execute`.

        A chunk that is lost with its worker is run again by Dask. One that was lost with several (Dask gives up at the
        fourth, unless it is told otherwise) is tried run by run. A run that is lost so again is tried last, with
        nothing beside it, since a worker with several threads takes its other chunks with it; then it is given up.

        Raises
        ------
        InputError
            If the job cannot be sent, a worker has other versions or code, or the scheduler is gone.
        """
        from distributed import Client

        parcel = packed(job, dumps)
        client = Client(self._address, timeout=SECONDS_TO_CONNECT, set_as_default=False, name="downslope")
        errand = _Errand(client, parcel, self._address)
        try:
            yield from self._drive(errand, iter(chunks), stop)
        finally:
            errand.end()
            with suppress(Exception):  # the scheduler may be gone
                client.close(timeout=SECONDS_TO_CONNECT)

    def _drive(self, errand: _Errand, source: Iterator[Chunk], stop: Stop) -> Results:
        suspects: list[Chunk] = []
        more, counted = True, _Every(SECONDS_BETWEEN_COUNTS)
        while not stop.is_set():
            while more and errand.under_way < CHUNKS_PER_THREAD * self.slots:
                chunk = next(source, None)
                more = chunk is not None
                if chunk is not None:
                    errand.send(_Try(chunk))
            if not errand.under_way:
                if not suspects:
                    return
                errand.send(_Try(suspects.pop(), alone=True))
            for tried, outcome in errand.done(SECONDS_BETWEEN_LOOKS):
                if not isinstance(outcome, _LostError):
                    yield tried.runs, outcome
                elif tried.alone and (outcome.deadly or tried.lost + 1 >= TRIES):
                    yield tried.runs, ChunkError(f"{name_of(tried.runs)} was given up: {outcome}")
                else:
                    _try_again(tried, outcome, errand, suspects)
            if counted.due():
                self.slots = max(1, errand.threads())
        yield from errand.stopped()


class _Try(NamedTuple):
    runs: Chunk
    lost: int = 0
    alone: bool = False


def _try_again(tried: _Try, outcome: _LostError, errand: _Errand, suspects: list[Chunk]) -> None:
    """Send a lost chunk again: as it was, or run by run; or keep a run for the end."""
    if not outcome.deadly and tried.lost + 1 < TRIES:
        errand.send(tried._replace(lost=tried.lost + 1))
    elif len(tried.runs) > 1:
        for run in tried.runs:
            errand.send(_Try([run]))
    else:
        suspects.append(tried.runs)


class _LostError(Exception):
    """Why nobody could execute a chunk; deadly where worker after worker was lost with it."""

    def __init__(self, why: str, *, deadly: bool) -> None:
        super().__init__(why)
        self.deadly = deadly


class _Every:
    """Tells when so many seconds have passed again."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._last = seconds, time.monotonic()

    def due(self) -> bool:
        now = time.monotonic()
        if now - self._last < self._seconds:
            return False
        self._last = now
        return True


class _Errand:
    """What the scheduler has been asked to do for one sweep, and its answers. Used by one thread."""

    def __init__(self, client: Client, parcel: Parcel, address: str) -> None:
        self._client, self._parcel, self._address = client, parcel, address
        self._token = uuid.uuid4().hex
        self._number = 0
        self._job: Future | None = None
        self._under_way: dict[Future, _Try] = {}
        self._finished: queue.SimpleQueue[Future | None] = queue.SimpleQueue()
        self._answers: queue.SimpleQueue[tuple[Future, Any]] = queue.SimpleQueue()
        self._heard = time.monotonic()
        self._gatherer = threading.Thread(target=self._gather, name="sweep-gather", daemon=True)
        self._gatherer.start()

    @property
    def under_way(self) -> int:
        """How many chunks have no answer yet."""
        return len(self._under_way)

    def send(self, tried: _Try) -> None:
        """Submit a chunk."""
        self._see_contact()
        self._number += 1
        if self._job is None or self._job.status not in ("pending", "finished"):
            self._job = self._submit_job()
        key = f"downslope-chunk-{self._token}-{self._number}"
        future = self._client.submit(_execute, self._job, self._token, tried.runs, key=key)
        self._under_way[future] = tried
        future.add_done_callback(self._finished.put)

    def _submit_job(self) -> Future:
        """Submit the job as a task, not as data: where all workers that hold it are lost, it is made again."""
        import dask

        key = f"downslope-job-{self._token}-{self._number}"
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 PB"}):  # a data set may be large
            return self._client.submit(_same, self._parcel, key=key)

    def done(self, seconds: float) -> Iterator[tuple[_Try, Finished | Exception]]:
        """Yield what is done by now, or as soon as there is something, but within so many seconds."""
        with suppress(queue.Empty):
            future, answer = self._answers.get(timeout=seconds)
            while True:
                tried = self._under_way.pop(future, None)
                if tried is not None:
                    self._heard = time.monotonic()
                    yield tried, self._outcome(answer, tried.runs)
                future, answer = self._answers.get_nowait()

    def _outcome(self, answer: Any, runs: Chunk) -> Finished | Exception:
        """Return what an answer means."""
        from distributed import KilledWorker

        if isinstance(answer, tuple):
            kind, content = answer
            if kind == "refused":
                raise InputError(content)
            return content if kind == "done" else ChunkError(f"{content}, in {name_of(runs)}")
        if isinstance(answer, KilledWorker):
            return _LostError("each of the workers that tried it was lost", deadly=True)
        if isinstance(answer, ImportError | AttributeError):
            raise InputError(
                f"a worker must have {self._parcel.made_by}, as the sweep has. Received: {described(answer)}"
            )
        self._see_contact()
        return _LostError("it was cancelled" if answer is None else described(answer), deadly=False)

    def _gather(self) -> None:
        """Fetch the results of what is finished, as many at a time as there are. Runs in a thread of its own."""
        while True:
            futures = [self._finished.get()]
            with suppress(queue.Empty):
                while True:
                    futures.append(self._finished.get_nowait())
            good = {i: one for i, one in enumerate(futures) if one is not None and one.status == "finished"}
            answers: dict[int, Any] = {}
            if good:
                with suppress(Exception):  # of a contact that is lost; the chunks then have no answer
                    answers = self._client.gather(good, errors="skip")
            for i, future in enumerate(futures):
                if future is None:
                    return
                answer = answers.get(i)
                if answer is None and future.status == "error":
                    with suppress(Exception):
                        answer = future.exception(timeout=SECONDS_TO_CONNECT)
                self._answers.put((future, answer))

    def _see_contact(self) -> None:
        if self._client.status != "running":
            raise InputError(
                f"cluster must be a Dask scheduler that goes on until the sweep is done; what is finished is kept. "
                f"Received: {self._address}, which has gone away"
            )

    def threads(self) -> int:
        """Return how many threads the workers have together at present."""
        self._see_contact()
        try:
            count = sum(self._client.nthreads().values())
        except Exception:  # a contact that is about to be lost
            return 1
        if count:
            self._heard = max(self._heard, time.monotonic() - SECONDS_WITHOUT_WORKERS / 2)
        elif time.monotonic() - self._heard > SECONDS_WITHOUT_WORKERS:
            self._heard = float("inf")
            warnings.warn(f"the cluster at {self._address} has no workers; waiting for some", stacklevel=2)
        return int(count)

    def stopped(self) -> Iterator[tuple[Chunk, Finished]]:
        """Have the runs under way given up, and yield what was finished of their chunks."""
        self._give_up()
        until = time.monotonic() + SECONDS_TO_STOP
        while self._under_way and time.monotonic() < until:
            for tried, outcome in self.done(SECONDS_BETWEEN_LOOKS):
                if isinstance(outcome, Finished) and len(outcome.summary):
                    yield tried.runs, outcome

    def _give_up(self) -> None:
        """Tell all workers to stop; in a thread, since one of them may just have been lost."""

        def tell() -> None:
            with suppress(Exception):
                self._client.run(_give_up, self._token, on_error="ignore")

        threading.Thread(target=tell, daemon=True).start()

    def end(self) -> None:
        """See that nothing of the sweep goes on."""
        if self._under_way and self._client.status == "running":
            with suppress(Exception):  # the contact may be lost in this moment
                for _ in self.stopped():
                    pass
                self._client.cancel(list(self._under_way), force=True)
        self._under_way.clear()
        self._job = None
        self._finished.put(None)
        self._gatherer.join(timeout=SECONDS_TO_STOP)


def _threads_of(address: str) -> int:
    """Return how many threads a cluster has, at least 1, or raise InputError where no scheduler answers."""
    try:
        from distributed.core import rpc
        from distributed.security import Security
    except ImportError as error:
        raise MissingExtraError("training on a cluster", "dask") from error

    async def ask() -> dict[str, Any]:
        async with asyncio.timeout(SECONDS_TO_CONNECT):
            async with rpc(address, connection_args=Security().get_connection_args("client")) as scheduler:
                return dict(await scheduler.identity())

    try:
        with ThreadPoolExecutor(1) as apart:  # a notebook's thread has an event loop of its own
            told = apart.submit(asyncio.run, ask()).result()
    except Exception as error:  # whatever stands at the other end
        why = f"no answer in {SECONDS_TO_CONNECT:g} s" if isinstance(error, TimeoutError) else described(error)
        raise _no_scheduler(address, why) from error
    if told.get("type") != "Scheduler":
        raise _no_scheduler(address, f"a {str(told.get('type')).lower()} answers there")
    return max(1, sum(int(worker["nthreads"]) for worker in told["workers"].values()))


def _no_scheduler(address: str, why: str) -> InputError:
    rule = "the address of a Dask scheduler that answers, such as tcp://10.0.0.5:8786"
    return InputError(f"cluster must be {rule}. Received: cluster={address!r} ({why})")


# What follows is executed by the workers.

_jobs: OrderedDict[str, Job] = OrderedDict()
_stops: OrderedDict[str, Stop] = OrderedDict()
_lock = threading.Lock()


def _same(parcel: Parcel) -> Parcel:
    return parcel


def _execute(parcel: Parcel, token: str, runs: Chunk) -> tuple[str, Any]:
    """Train a chunk; errors are told in words, which any other process can read."""
    try:
        with _lock:
            stop = _remembered(_stops, token, Stop())
            job = _jobs.get(token) or _remembered(_jobs, token, opened(parcel))
    except InputError as error:
        return "refused", str(error)
    try:
        return "done", work(job, runs, stop)
    except Exception as error:
        return "error", described(error)


def _give_up(token: str) -> None:
    """Stop a sweep's runs in this worker, those under way and those to come."""
    with _lock:
        stop = _remembered(_stops, token, Stop())
    stop.set()


def _remembered(known: OrderedDict[str, T], token: str, new: T) -> T:
    value = known.setdefault(token, new)
    while len(known) > MOST_SWEEPS:
        known.popitem(last=False)
    return value
