"""Who trains a sweep's runs: the threads of this process here; other executors keep to the same protocol."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import Any, Protocol, TypeAlias

from downslope import checks
from downslope.processors import cores
from downslope.sweeps.job import Job
from downslope.sweeps.work import Bench, Finished, Stop

__all__ = ["Chunk", "Executor", "Results", "ThreadExecutor"]

Chunk: TypeAlias = list[int]
Results: TypeAlias = Generator[tuple[Chunk, Finished | Exception], None, None]


class Executor(Protocol):
    """What executes chunks of runs, wherever it likes and in any order."""

    slots: int
    """How many chunks it works on at a time."""
    chunk_seconds: float
    """How long a chunk should take: long enough that what surrounds it costs nothing, short enough to lose little."""

    def execute(self, job: Job, chunks: Iterable[Chunk], stop: Stop) -> Results:
        """Yield each chunk with what was made of it, or with the error that kept it from being executed at all.

        Parameters
        ----------
        job : Job
            What the runs are made of; `downslope.sweeps.work.work(job, chunk)` executes one chunk in any process.
        chunks : iterable of lists of run numbers
            Made while it is read, so read no more of it than there is room for; from one thread at a time.
        stop : Stop
            Once `is_set()`, chunks not begun are not to be begun and those under way to be given up. A chunk that is
            cut short may be yielded with the runs it finished, or not at all. When the generator is closed, for
            whatever reason, nothing of the job goes on.
        """


class ThreadExecutor:
    """Trains in the threads of this process, a chunk each; engines let them run beside each other.

    Parameters
    ----------
    threads : int, optional
        How many, at least 1; as many as the process may use cores when left out.
    """

    chunk_seconds = 0.25

    def __init__(self, threads: int | None = None) -> None:
        self.slots = cores() if threads is None else checks.whole("threads", threads, at_least=1, at_most=1024)

    def execute(self, job: Job, chunks: Iterable[Chunk], stop: Stop) -> Results:
        """Yield each chunk when it is done; see `Executor.execute`."""
        bench = Bench(job)
        results: queue.Queue[Any] = queue.Queue(maxsize=4 * self.slots)
        source, one_at_a_time = iter(chunks), threading.Lock()

        def train() -> None:
            try:
                while not stop.is_set():
                    with one_at_a_time:
                        chunk = next(source, None)
                    if chunk is None:
                        return
                    try:
                        outcome: Finished | Exception = bench.work(chunk, stop)
                    except Exception as error:
                        outcome = error
                    results.put((chunk, outcome))
            except BaseException as error:  # the chunks themselves could not be made
                results.put(error)
            finally:
                results.put(None)

        threads = [threading.Thread(target=train, name=f"sweep-{i}", daemon=True) for i in range(self.slots)]
        working = 0
        try:
            for thread in threads:
                thread.start()
                working += 1
            while working:
                result = results.get()
                if result is None:
                    working -= 1
                elif isinstance(result, BaseException):
                    raise result
                else:
                    yield result
        finally:
            if working:
                stop.set()
            while working:  # a thread may be waiting for room
                working -= results.get() is None
            for thread in threads:
                if thread.ident is not None:
                    thread.join()
