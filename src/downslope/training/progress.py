"""A progress bar on stderr for a run in a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from downslope.training.history import History

__all__ = ["progress_bar"]

SECONDS_BETWEEN_UPDATES = 0.1


@contextmanager
def progress_bar(wanted: bool | None, first: int, last: int, history: History) -> Iterator[Callable[[int], None]]:
    """Yield a function to be called with the number of epochs done.

    `wanted` None means: only where stderr is a terminal. Asked for elsewhere (a log file), a bar is written when it
    ends, not redrawn.
    """
    if not (sys.stderr.isatty() if wanted is None else wanted):
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("epoch"),
        MofNCompleteColumn(),
        BarColumn(),
        TextColumn("{task.fields[numbers]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    # Lines printed meanwhile pass above the bar, unless they go to a file.
    console = Console(stderr=True)
    with Progress(*columns, console=console, redirect_stdout=sys.stdout.isatty()) as bar:
        task = bar.add_task("", total=last, completed=first, numbers="")
        shown = 0.0

        def show(done: int) -> None:
            nonlocal shown
            now = time.monotonic()
            if now - shown >= SECONDS_BETWEEN_UPDATES or done == last:
                shown = now
                row, score = history.row(-1), history.score_name
                bar.update(task, completed=done, numbers=f"loss {row['loss']:.4g}  {score} {row[score]:.3f}")

        yield show
