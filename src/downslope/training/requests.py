"""What other threads and signal handlers ask of a run in training: done by the thread that trains it, between steps."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from downslope.engines.problem import Control
from downslope.errors import InputError

__all__ = ["Requests"]

T = TypeVar("T")


class Requests:
    """The door to a run: one call of train at a time, and everybody else's wishes between its steps."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._waiting: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._control: Control | None = None
        self._trainer: int | None = None
        self._is_calling = self._is_acting = False

    def begin(self, control: Control) -> None:
        """Let this thread train, or raise InputError where a call of train is under way."""
        with self._lock:
            if self._control is not None:
                raise InputError("a run must be trained by one call at a time. Received: a call of train in another")
            self._control, self._trainer = control, threading.get_ident()

    def end(self) -> None:
        """Give the door free; wishes that came too late are done now."""
        with self._lock:
            self._control = self._trainer = None
            self._do()

    def ask(self, action: Callable[[], T], foretold: Callable[[], T] | None = None) -> T:
        """Do something to the run now, or between two steps where another thread trains it; return what it returns.

        A signal handler comes in the midst of anything, and what it interrupted cannot go on until it returns. What
        would change the run is then done as soon as it can be, and what `foretold` returns is returned; an action
        without that only looks at the run, and is done at once.
        """
        with self._lock:
            mine = self._control is None or self._trainer == threading.get_ident()
            free = (self._control is None or self._is_calling) and not self._is_acting
            if self._control is not None:
                self._control.pause()
            if mine and (free or foretold is None):
                return self._act(action)
            answer: Future[T] = Future()
            if mine and foretold is not None:
                told = foretold()  # or its error is raised, and nothing waits
                self._waiting.append((action, answer))
                return told
            self._waiting.append((action, answer))
        return answer.result()

    @contextmanager
    def calling(self) -> Iterator[None]:
        """Let what is called meanwhile change the run at once: no engine is at work, and nothing is half done."""
        self._is_calling = True
        try:
            yield
        finally:
            self._is_calling = False

    def stop(self) -> None:
        """Ask for the end of the training under way, if any."""
        with self._lock:
            if self._control is not None:
                self._control.stop()

    def serve(self) -> None:
        """Do what others wait for; only the thread that trains calls it, between two calls of the engine."""
        if self._control is not None:
            self._control.resume()  # first: what comes after this pauses the engine again
        if self._waiting:
            with self._lock:
                self._do()

    def _act(self, action: Callable[[], T]) -> T:
        before, self._is_acting = self._is_acting, True
        try:
            return action()
        finally:
            self._is_acting = before
            if self._control is None and not before:
                self._do()  # what a signal handler asked for meanwhile

    def _do(self) -> None:
        while self._waiting:
            action, answer = self._waiting.popleft()
            try:
                answer.set_result(self._act(action))
            except BaseException as error:  # it is the asker's
                answer.set_exception(error)
