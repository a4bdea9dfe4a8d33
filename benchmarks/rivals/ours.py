"""Downslope itself, as a user calls it: `Run(...).train(epochs)`, and `sweep` for many runs."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import downslope as ds
from rivals.work import BETA_1, BETA_2, EPSILON, Clock, Play, Trained, Work


def compiled(work: Work) -> Play:
    """Return `Run.train` on the compiled engine, or on the reference engine where this version has no other."""
    return _runs(work, "compiled")


def chosen(work: Work) -> Play:
    """Return `Run.train` on the engine that the package chooses by itself."""
    return _runs(work, None)


def ours_many(work: Work) -> Play:
    """Return all runs at once on all cores: a sweep over learning rates, or a pool of threads where there is none."""
    if importlib.util.find_spec("downslope.sweeps") is None:
        return _threads(work)
    from downslope import sweeps

    network, data, settings = _parts(work)

    def play(rates: Sequence[float], epochs: int) -> Trained:
        # The sweep orders its runs itself; the losses go back in the order of the rates.
        over = {"learning_rate": sweeps.values(list(rates))}
        clock = Clock()
        result = sweeps.sweep(network, data, _adam(1.0), over=over, epochs=epochs, seeds="chapter", progress=False)
        took = clock.took()
        frame = result.frame()
        assert len(frame) == len(rates), "the sweep lost runs"
        found = dict(zip(frame["learning_rate"], frame["loss"], strict=True))
        return Trained(took, [float(found[rate]) for rate in rates], "`sweep`")

    assert not settings, "a sweep of the large network is not measured"
    play([0.05], 3)  # compiles
    return play


def _threads(work: Work) -> Play:
    single, cores = _runs(work, "compiled"), len(os.sched_getaffinity(0))

    def play(rates: Sequence[float], epochs: int) -> Trained:
        clock = Clock()
        with ThreadPoolExecutor(cores) as pool:
            trained = list(pool.map(lambda rate: single([rate], epochs), rates))
        took = clock.took()
        return Trained(took, [one.losses[0] for one in trained], f"threads, {trained[0].detail}")

    return play


def _runs(work: Work, engine: str | None) -> Play:
    network, data, settings = _parts(work)

    def new(rate: float) -> Any:
        return ds.Run(network, data, _adam(rate), engine=engine, **settings)

    def play(rates: Sequence[float], epochs: int) -> Trained:
        runs = [new(rate) for rate in rates]
        clock = Clock()
        for run in runs:
            run.train(epochs, progress=False)
        took = clock.took()
        return Trained(took, [float(run.history.loss[-1]) for run in runs], f"engine {runs[0].engine}")

    play([0.05], 3)  # compiles
    return play


def _parts(work: Work) -> tuple[ds.Network, Any, dict[str, Any]]:
    network = ds.MLP(work.sizes)
    if work.orders is None:
        return network, ds.data.spiral(seed="chapter"), {}
    data = ds.data.arrays(work.inputs, work.labels)
    return network, data, {"batch_size": work.batch_size, "standardize": False}


def _adam(rate: float) -> ds.Adam:
    return ds.Adam(rate, beta_1=BETA_1, beta_2=BETA_2, epsilon=EPSILON)
