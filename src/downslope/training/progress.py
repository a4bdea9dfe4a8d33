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

    `wanted` None means: only where stderr is a terminal. Asked for elsewhere (a log file, a notebook), the bar is
    written once, when it ends. Without a stderr there is none.
    """
    if sys.stderr is None or not (sys.stderr.isatty() if wanted is None else wanted):
        yield lambda done: None
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("epoch"),
        progress.MofNCompleteColumn(),
        progress.BarColumn(),
        progress.TextColumn("{task.fields[numbers]}"),
        progress.TimeElapsedColumn(),
        progress.TextColumn("left"),
        progress.TimeRemainingColumn(),
    )
    # A notebook's widgets are not stderr, and may be missing.
    console = Console(stderr=True, force_jupyter=False)
    # Lines printed meanwhile pass above the bar, unless they go to a file.
    with progress.Progress(*columns, console=console, redirect_stdout=_stdout_is_terminal()) as bar:
        task = bar.add_task("", total=last, completed=first, numbers="")
        latest, drawn, drawn_at = first, first, 0.0

        def draw() -> None:
            nonlocal drawn, drawn_at
            drawn, drawn_at = latest, time.monotonic()
            if not len(history):  # a rollback to the start took them all
                return
            row, score = history.row(-1), history.score_name
            bar.update(task, completed=drawn, numbers=f"loss {row['loss']:.4g}  {score} {row[score]:.3f}")

        def show(done: int) -> None:
            nonlocal latest
            latest = done
            if time.monotonic() - drawn_at >= SECONDS_BETWEEN_UPDATES:
                draw()

        try:
            yield show
        finally:
            if latest != drawn:  # the end, or wherever training was stopped
                draw()


def _stdout_is_terminal() -> bool:
    return sys.stdout is not None and sys.stdout.isatty()
