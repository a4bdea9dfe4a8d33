"""Ctrl-C as a request: training finishes its step, keeps everything, and only then is interrupted."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

__all__ = ["Stages", "Terminated", "deferred_interrupt", "in_stages", "terminations"]

# What ends a command in an orderly way; a terminal that is closed sends SIGHUP, which Windows does not have.
TERMINATIONS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, which a command takes like Ctrl-C; `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    def __str__(self) -> str:
        return signal.Signals(self.number).name


def _terminate(number: int, _frame: FrameType | None) -> None:
    raise Terminated(number)


USUAL: dict[int, Any] = {signal.SIGINT: signal.default_int_handler, **dict.fromkeys(TERMINATIONS, _terminate)}


@contextmanager
def terminations() -> Iterator[None]:
    """Let SIGTERM and SIGHUP be taken like Ctrl-C in the block: they raise `Terminated`, a KeyboardInterrupt.

    For programs that are all our own. One that ignores such a signal (as under `nohup`) or handles it goes on to.
    """
    taken = [number for number in TERMINATIONS if _is_main() and signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, _terminate)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


class _Request:
    """A handler that passes the first signal on as a wish to stop, and at the second gives up its place."""

    def __init__(self) -> None:
        self.number = 0
        self.stops: list[Callable[[], None]] = []

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        if self.number:
            signal.signal(number, USUAL[number])
            self.interrupt()
        self.number = number
        for stop in self.stops:
            stop()

    def interrupt(self) -> None:
        """Raise what the first signal would have raised by itself."""
        USUAL[self.number](self.number, None)


@contextmanager
def deferred_interrupt(stop: Callable[[], None]) -> Iterator[None]:
    """At the first Ctrl-C call `stop`, and raise KeyboardInterrupt when the block ends, however it ends.

    A second Ctrl-C interrupts at once. Nothing is changed outside the main thread, where Python delivers no signals,
    and where the program handles or ignores Ctrl-C in a way of its own. A block inside another shares its request.
    SIGTERM and SIGHUP are such a request too where `terminations` takes them.
    """
    held = {number: signal.getsignal(number) for number in USUAL if _is_main()}
    before = {number: now for number, now in held.items() if now is USUAL[number] or isinstance(now, _Request)}
    outer = next((now for now in before.values() if isinstance(now, _Request)), None)
    request = outer or _Request()
    request.stops.append(stop)
    if request.number:
        stop()
    for number in before:
        signal.signal(number, request)
    try:
        yield
    finally:
        request.stops.remove(stop)
        if request is not outer:
            for number, handler in before.items():
                signal.signal(number, handler)
        if request.number:
            request.interrupt()


class Stages(_Request):
    """A handler of a command that works in stages: an interrupt ends the stage under way, never those after it.

    The first one is a wish where the stage takes it as such (`deferred_interrupt`). Between two stages an interrupt is
    only remembered.

    Attributes
    ----------
    ended_by : KeyboardInterrupt or None
        What ended a stage, the first that did.
    """

    def __init__(self) -> None:
        super().__init__()
        self.ended_by: KeyboardInterrupt | None = None
        self._is_open = False

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        """Take a signal."""
        if not self.number:
            self.number = number
            for stop in self.stops:
                stop()
            if self.stops:
                return
        if self._is_open:
            self.interrupt()

    def tried(self, work: Callable[[], object]) -> bool:
        """Do the work of one stage; return whether it was done, and not interrupted."""
        try:
            self._is_open = True
            work()
        except KeyboardInterrupt as interrupt:
            self.ended_by = self.ended_by or interrupt
            return False
        finally:
            self._is_open = False
        return True


@contextmanager
def in_stages() -> Iterator[Stages]:
    """Let interrupts end a stage of the block, not the block; what ended one is raised again when the block ends well.

    Where the program handles or ignores Ctrl-C in a way of its own, and outside the main thread, it goes on to.
    """
    stages = Stages()
    before = {number: signal.getsignal(number) for number in USUAL if _is_main()}
    before = {number: handler for number, handler in before.items() if handler is USUAL[number]}
    for number in before:
        signal.signal(number, stages)
    try:
        yield stages
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stages.ended_by is not None:
        raise stages.ended_by
    if stages.number:
        stages.interrupt()


def _is_main() -> bool:
    return threading.current_thread() is threading.main_thread()
