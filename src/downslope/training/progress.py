"""A progress bar on stderr for a run, or any other long work, in a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from downslope.training.history import History

__all__ = ["bar", "progress_bar"]

SECONDS_BETWEEN_UPDATES = 0.1


@contextmanager
def bar(
    wanted: bool | None, unit: str, first: int, last: int, told: Callable[..., str | None], *, left: bool = True
) -> Iterator[Callable[..., None]]:
    """Yield a function to be called with the number done, and whatever else `told` makes its words of.

    Parameters
    ----------
    wanted : bool or None
        None means: only where stderr is a terminal. Asked for elsewhere (a log file, a notebook), the bar is written
        once, when it ends. Without a stderr there is none.
    unit : str
        What is counted.
    first, last : int
        The number done at the start, and in the end.
    told : callable
        Called with what the function was last called with, when the bar is drawn: returns the words behind it, or None
        where it is to stay as it is.
    left : bool
        Whether to estimate how long it still takes.
    """
    if sys.stderr is None or not (sys.stderr.isatty() if wanted is None else wanted):
        yield lambda done, *rest: None
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn(unit),
        progress.MofNCompleteColumn(),
        progress.BarColumn(),
        progress.TextColumn("{task.fields[words]}"),
        progress.TimeElapsedColumn(),
        *((progress.TextColumn("left"), progress.TimeRemainingColumn()) if left else ()),
    )
    # A notebook's widgets are not stderr, and may be missing.
    console = Console(stderr=True, force_jupyter=False)
    # Lines printed meanwhile pass above the bar, unless they go to a file.
    with progress.Progress(*columns, console=console, redirect_stdout=_stdout_is_terminal()) as shown:
        task = shown.add_task("", total=last, completed=first, words="")
        latest: tuple[Any, ...] = (first,)
        drawn, drawn_at = latest, 0.0

        def draw() -> None:
            nonlocal drawn, drawn_at
            drawn, drawn_at = latest, time.monotonic()
            if (words := told(*latest)) is not None:
                shown.update(task, completed=latest[0], words=words)

        def show(done: int, *rest: Any) -> None:
            nonlocal latest
            latest = (done, *rest)
            if time.monotonic() - drawn_at >= SECONDS_BETWEEN_UPDATES:
                draw()

        try:
            yield show
        finally:
            if latest != drawn:  # the end, or wherever it was stopped
                draw()


def progress_bar(
    wanted: bool | None, first: int, last: int, history: History
) -> AbstractContextManager[Callable[[int], None]]:
    """Return a `bar` of epochs, with the last row's loss and score behind it."""

    def told(_: int) -> str | None:
        if not len(history):  # a rollback to the start took them all
            return None
        row, score = history.row(-1), history.score_name
        return f"loss {row['loss']:.4g}  {score} {row[score]:.3f}"

    return bar(wanted, "epoch", first, last, told)


def _stdout_is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()
