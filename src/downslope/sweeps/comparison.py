"""`compare`: several optimizers on one problem over the same seeds, and what came of them side by side."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from downslope import checks
from downslope.data import Dataset
from downslope.errors import InputError
from downslope.network import Loss, Network
from downslope.rules import Optimizer
from downslope.sweeps.comparison_job import ComparisonJob, labelled, plan_comparison
from downslope.sweeps.comparison_result import Comparison
from downslope.sweeps.comparison_tuning import RATES, tuned_flags, tuned_rates
from downslope.sweeps.driver import execute
from downslope.sweeps.executors import ThreadExecutor
from downslope.sweeps.result import SweepResult

__all__ = ["Comparison", "compare"]

KEPT_EPOCHS, KEPT_ROWS = 400, 1_000_000  # at most: of one run, and of all together


def compare(
    network: Network,
    data: Dataset,
    optimizers: Sequence[Optimizer],
    *,
    epochs: int,
    seeds: int | Iterable[int] | Literal["chapter"] = 16,
    labels: Sequence[str] | None = None,
    tune: bool | Sequence[bool] = False,
    rates: Any = RATES,
    tune_epochs: int | None = None,
    reach: float | None = None,
    every: int | None = None,
    loss: str | Loss | None = None,
    batch_size: int | None = None,
    validation: float | Dataset = 0.0,
    dtype: str = "float32",
    standardize: bool | None = None,
    engine: str | None = None,
    directory: str | os.PathLike[str] | None = None,
    threads: int | None = None,
    progress: bool | None = None,
    on_progress: Callable[[Comparison], None] | None = None,
) -> Comparison:
    """Train a network with each of several optimizers and every seed, on the same data.

    Every run has the bits that `Run` gives it alone. The seeds draw initial weights, batches, dropout and the split;
    the data stay the same, and all optimizers begin with the same weights. The first seed of every optimizer is
    trained before the second, so that what is done so far can be compared at any time. A run whose training met a
    value that is not finite, or that ended with a loss above twice its first, counts as exploded.

    Parameters
    ----------
    network, data, loss, batch_size, validation, dtype, standardize, engine
        As of `Run`.
    optimizers : sequence of Optimizer
        The rules and their settings.
    epochs : int
        How many passes over the training rows each run makes, at least 1.
    seeds : int, sequence of int or "chapter"
        How many seeds (0, 1, …) each optimizer is trained with, or which.
    labels : sequence of str, optional
        What each optimizer is called. Left out: its rule's name, with the settings in which several differ.
    tune : bool, or a sequence with one for each optimizer
        Whether each is first given the best learning rate of a sweep over `rates`: the one with the lowest median
        final loss over three seeds other than those compared. Of a schedule the base is swept.
    rates : Range, list or text
        The learning rates that are tried; 11 from 0.0001 to 10 by factors of about 3 when left out.
    tune_epochs : int, optional
        How long these runs are; as long as the others when left out. The best rate of shorter runs is often larger.
    reach : float, optional
        The loss of which the table says when it was first reached. Left out: see `Comparison.reach`.
    every : int, optional
        Keep every so many-th epoch for the curves. Left out: at most 400 epochs a run and a million in all.
    directory : path, optional
        Where the results go as they come. The same call with the same directory continues what an earlier one left.
        Left out, results stay in memory.
    threads : int, optional
        How many runs to train at a time; as many as there are cores when left out.
    progress : bool, optional
        Whether to show a progress bar on stderr; left out, where stderr is a terminal.
    on_progress : callable, optional
        Called with the comparison so far whenever a few more runs are done.

    Returns
    -------
    Comparison

    Raises
    ------
    InputError
        Before any run, if an argument is not legal; later, if results cannot be written.
    KeyboardInterrupt
        At Ctrl-C: runs under way are given up, finished ones are kept, by `directory` and by what `on_progress` got.

    Examples
    --------
    >>> import downslope as ds
    >>> from downslope.sweeps.comparison import compare
    >>> found = compare(ds.MLP([2, 8, 3]), ds.data.spiral(20), [ds.SGD(0.5), ds.Adam(0.05)], epochs=30, seeds=3)
    >>> found.table()["label"].to_list(), found.table()["finished"].to_list()
    (['sgd', 'adam'], [3, 3])
    """
    problem = {
        "network": network, "data": data, "loss": loss, "batch_size": batch_size, "validation": validation,
        "dtype": dtype, "standardize": standardize, "engine": engine,
    }  # fmt: skip
    job = plan_comparison(optimizers=optimizers, epochs=epochs, seeds=seeds, reach=reach, **problem)
    given = None if labels is None else _labels(labels, len(job.optimizers))
    kept = _kept(every, job)
    executor = ThreadExecutor(threads)
    if on_progress is not None and not callable(on_progress):
        raise checks.refuse("on_progress", "a function of the comparison so far", on_progress)
    if directory is not None and not isinstance(directory, (str, os.PathLike)):
        raise checks.refuse("directory", "a path", directory)
    flags = tuned_flags(tune, len(job.optimizers))
    length = job.epochs if tune_epochs is None else checks.whole("tune_epochs", tune_epochs, at_least=1)
    tuning, compared = None, list(job.optimizers)
    if any(flags):
        compared, tuning = tuned_rates(
            compared,
            flags,
            rates,
            seeds=job.seeds,
            epochs=length,
            directory=None if directory is None else Path(directory) / "tuning",
            threads=threads,
            progress=progress,
            **problem,
        )
    job = plan_comparison(
        optimizers=compared, epochs=job.epochs, seeds=seeds, reach=reach, history_every=kept, **problem
    )
    named = labelled(job.optimizers) if given is None else given

    def pass_on(result: SweepResult) -> None:
        if on_progress is not None:
            on_progress(Comparison(job, result, named, tuning, reach))

    where = None if directory is None else Path(directory) / "comparison"
    result = execute(job, executor, where, progress=progress, on_progress=pass_on)
    return Comparison(job, result, named, tuning, reach)


def _labels(given: Any, count: int) -> list[str]:
    if isinstance(given, str) or not isinstance(given, Sequence) or len(given) != count:
        raise checks.refuse("labels", f"a text for each of the {count} optimizers", given)
    for at, one in enumerate(given):
        if not isinstance(one, str) or not one.strip():
            raise checks.refuse(f"labels[{at}]", "a text", one)
        if one in given[:at]:
            raise InputError(f"labels must differ from one another. Received: {one!r} more than once")
    return list(given)


def _kept(every: Any, job: ComparisonJob) -> int:
    if every is not None:
        return checks.whole("every", every, at_least=1)
    return max(-(-job.epochs // KEPT_EPOCHS), -(-job.epochs * job.planned // KEPT_ROWS))
