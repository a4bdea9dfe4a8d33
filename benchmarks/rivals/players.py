"""Contenders in processes of their own, which train in turns.

A process for each: libraries that bring thread pools (OpenMP, BLAS, XLA) do not meet, and each has the environment its
number of threads asks for. While one trains, the others wait on a pipe.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import get_context
from typing import Any

from rivals.work import Play, Took, Trained, Work

__all__ = ["Contender", "Player", "missing", "take_turns"]

ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NPROC": "1",  # XLA's pools
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}
AS_IT_COMES: dict[str, str] = {}


@dataclass(frozen=True)
class Contender:
    """One way to train.

    Attributes
    ----------
    name : str
        In the table.
    play : str
        "module:function", of a function from Work to Play.
    needs : tuple of str
        The packages to install, by their names on the package index.
    threads : tuple of dicts
        Environments to choose from: the fastest in a short trial is measured.
    processes : int
        How many share the runs.
    sample : int or None
        How many of many runs are trained and the time per run taken from; None trains all.
    epochs : int or None
        How many epochs of many runs are trained and the time scaled from; None trains all.
    """

    name: str
    play: str
    needs: tuple[str, ...] = ()
    threads: tuple[dict[str, str], ...] = (AS_IT_COMES,)
    processes: int = 1
    sample: int | None = None
    epochs: int | None = None


MODULES = {"scikit-learn": "sklearn"}  # where the package is imported under another name


def missing(contender: Contender) -> list[str]:
    """Return the packages it needs that are not installed."""
    return [package for package in contender.needs if find_spec(MODULES.get(package, package)) is None]


@dataclass
class Player:
    """A contender's processes, ready to train, and what they took so far."""

    contender: Contender
    work: Work
    environment: dict[str, str]
    took: list[Took] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    agrees: bool = True
    detail: str = ""

    def __post_init__(self) -> None:
        spawn = get_context("spawn")
        self._pools = [ProcessPoolExecutor(1, mp_context=spawn) for _ in range(self.contender.processes)]
        with _environment(self.environment):
            for ready in [pool.submit(_prepare, self.contender.play, self.work) for pool in self._pools]:
                ready.result()

    @property
    def threads(self) -> str:
        """The number of threads, where it was chosen."""
        if len(self.contender.threads) == 1:
            return ""
        return "1 thread" if self.environment == ONE_THREAD else "threads as it comes"

    def play(self, rates: Sequence[float], epochs: int) -> Trained:
        """Train one run for each rate; the seconds are the slowest process's own, without building and compiling."""
        shares = [list(rates[place :: len(self._pools)]) for place in range(len(self._pools))]
        turns = [pool.submit(_play, share, epochs) for pool, share in zip(self._pools, shares, strict=True) if share]
        results = [turn.result() for turn in turns]
        losses = [0.0] * len(rates)
        for place, result in enumerate(results):
            losses[place :: len(self._pools)] = result.losses
        walls, processors = zip(*(result.took for result in results), strict=True)
        return Trained(Took(max(walls), sum(processors)), losses, results[0].detail)

    def close(self) -> None:
        """End the processes."""
        for pool in self._pools:
            pool.shutdown(cancel_futures=True)


def take_turns(
    contenders: Sequence[Contender], work: Work, rates: Sequence[float], epochs: int, rounds: int, trial: int = 200
) -> list[Player]:
    """Let all train in turns, `rounds` times, and return them with their seconds, given in seconds for all rates.

    Before, each has its threads chosen by trials of `trial` epochs, and its loss after a quarter of them held against
    the first contender's, to 2 %: whoever does not train the same is marked.
    """
    players = [_ready(contender, work, rates[0], trial) for contender in contenders]
    try:
        checked = -(-trial // 4)  # early, while rounding has not yet driven the trainings apart
        expected = players[0].play(rates[:1], checked).losses[0]
        for player in players:
            loss = player.play(rates[:1], checked).losses[0]
            player.agrees = abs(loss - expected) <= 0.02 * abs(expected)
        for _ in range(rounds):
            for player in players:
                wanted = player.contender
                count, short = min(wanted.sample or len(rates), len(rates)), min(wanted.epochs or epochs, epochs)
                some = [rates[place * len(rates) // count] for place in range(count)]  # spread over the range
                trained = player.play(some, short)
                scale = (len(rates) / count) * (epochs / short)
                player.took.append(Took(*(seconds * scale for seconds in trained.took)))
                player.losses, player.detail = trained.losses, trained.detail
    finally:
        for player in players:
            player.close()
    return players


def _ready(contender: Contender, work: Work, rate: float, epochs: int) -> Player:
    """Return the contender with the number of threads that is fastest in three trials taken in turns."""
    players = [Player(contender, work, environment) for environment in contender.threads]
    if len(players) > 1:
        for turn in range(4):
            for player in players:
                took = player.play([rate] * contender.processes, epochs).took
                if turn:  # the first warms up
                    player.took.append(took)
        players.sort(key=lambda player: statistics.median(took.wall for took in player.took))
        for player in players[1:]:
            player.close()
        players[0].took.clear()
    return players[0]


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


_plays: dict[str, Any] = {}  # in a contender's process: what it plays


def _prepare(path: str, work: Work) -> None:
    module, function = path.split(":")
    _plays["play"] = getattr(import_module(module), function)(work)


def _play(rates: Sequence[float], epochs: int) -> Trained:
    play: Play = _plays["play"]
    return play(rates, epochs)
