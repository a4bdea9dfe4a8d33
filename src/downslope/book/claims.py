"""What the chapter says of its optimizers, as statements that a run fulfils or not, and how often they hold.

A claim that compares optimizers compares runs that begin alike: with the same seed's data and weights ("seeds"), or
with the same last bits moved ("ulp"). Each claim has a definition in numbers, chosen so that the book's printed rows
fulfil it; how often other runs do is counted over the spreads of `downslope.book.spread`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from downslope import checks
from downslope.book.printed import EPOCHS, PRINTED, reproduced
from downslope.book.spread import KINDS, Kind, Quantity, Spread, spread

if TYPE_CHECKING:
    import polars

__all__ = ["CLAIMS", "ORDER", "Claim", "Frequency", "Measured", "check_claims", "frequency"]

LAST = EPOCHS - 1
Truths: TypeAlias = NDArray[np.bool_]
CLEARLY = 0.95  # of the runs, from which on a claim counts as holding
Z = 1.959963984540054  # two-sided 95 % of the standard normal distribution

ORDER = tuple(sorted(PRINTED, key=lambda name: PRINTED[name].row(LAST).loss))
"""The printed runs by their last printed loss, best first."""

WORDS = {
    "sgd_lr_0.85": "SGD, learning rate 0.85",
    "sgd_decay_1e-2": "SGD, decay 0.01",
    "sgd_decay_1e-3": "SGD, decay 0.001",
    "sgd_momentum_0.5": "SGD, momentum 0.5",
    "sgd_momentum_0.9": "SGD, momentum 0.9",
    "adagrad": "AdaGrad",
    "rmsprop": "RMSProp, default",
    "rmsprop_tuned": "RMSProp, tuned",
}


class Measured(Protocol):
    """Something that knows losses and accuracies of runs: of a spread, of the book, of ours."""

    def at(self, name: str, epoch: int, of: Quantity) -> NDArray[np.float64]:
        """Return a quantity at a printed epoch of the run of that name, one number for each beginning."""


@dataclass(frozen=True)
class Claim:
    """One statement about the chapter's optimizers.

    Attributes
    ----------
    key : str
        Such as "momentum_0.9_far_better".
    says : str
        What the chapter shows, in a few words.
    definition : str
        When a run fulfils it.
    holds : callable
        From `Measured` to truth values, one for each beginning.
    ordering : bool
        Whether it is about the order of the last printed losses.
    """

    key: str
    says: str
    definition: str
    holds: Callable[[Measured], Truths]
    ordering: bool = False


class Frequency(NamedTuple):
    """How often something was so, with the Wilson interval that holds the true share with 95 % confidence.

    Reference: Wilson (1927), "Probable inference, the law of succession, and statistical inference".
    """

    holds: int
    runs: int
    share: float
    low: float
    high: float


def frequency(truths: Truths) -> Frequency:
    """Return how often truth values are true; there must be at least one."""
    runs, holds = len(truths), int(np.count_nonzero(truths))
    share, weight = holds / runs, Z * Z / runs
    middle = (share + weight / 2) / (1 + weight)
    half = Z / (1 + weight) * math.sqrt(share * (1 - share) / runs + weight / (4 * runs))
    return Frequency(
        holds, runs, share, middle - half if holds else 0.0, middle + half if holds < runs else 1.0
    )  # fmt: skip


def check_claims(*, runs: int | None = None, fresh: bool = False, progress: bool | None = None) -> polars.DataFrame:
    """Return a row for each claim: how often it holds over the runs of both kinds, and what that means.

    Parameters
    ----------
    runs, fresh, progress
        As of `downslope.book.spread.spread`: the shipped runs, or fresh ones.

    Returns
    -------
    DataFrame
        Columns: claim, says, definition; book and ours, whether the printed rows and our run of the chapter fulfil it;
        for both kinds, as in seeds_…, `holds`, `runs`, `share`, `low` and `high` (see `Frequency`); verdict, one
        sentence.
    """
    import polars as pl

    spreads = {
        kind: _Spreads({name: spread(name, kind, runs=runs, fresh=fresh, progress=progress) for name in PRINTED})
        for kind in KINDS
    }
    rows = []
    for claim in CLAIMS.values():
        counted: dict[Kind, Frequency] = {kind: frequency(claim.holds(spreads[kind])) for kind in KINDS}
        row: dict[str, Any] = {"claim": claim.key, "says": claim.says, "definition": claim.definition}
        row |= {"book": bool(claim.holds(_Rows("book"))[0]), "ours": bool(claim.holds(_Rows("ours"))[0])}
        for kind, one in counted.items():
            row |= {f"{kind}_{field}": value for field, value in one._asdict().items()}
        rows.append({**row, "verdict": verdict(counted["seeds"], counted["ulp"])})
    return pl.DataFrame(rows)


def verdict(seeds: Frequency, ulp: Frequency) -> str:
    """Return one sentence that says how far a claim holds: in at least 95 % of the runs of both kinds, or weaker."""
    own, others = _degree(ulp), _degree(seeds)
    moved, drawn = f"{_count(ulp)} with moved last bits", f"{_count(seeds)} with other seeds"
    if own == others == "true":
        return f"It holds, in {drawn} and {moved}."
    joined = "but" if own == "true" else "and"
    told = f"{others} of others" if own != others else "of others"
    return f"Weaker than the chapter says: {own} of its own data and weights ({moved}), {joined} {told} ({drawn})."


def _degree(counted: Frequency) -> str:
    if counted.share >= CLEARLY:
        return "true"
    if counted.low > 0.5:
        return "only mostly true"
    return "about as often false as true" if counted.high >= 0.5 else "mostly false"


def _count(counted: Frequency) -> str:
    return f"all {counted.runs} runs" if counted.holds == counted.runs else f"{counted.holds} of {counted.runs} runs"


class _Spreads:
    """The runs of one kind of spread."""

    def __init__(self, spreads: Mapping[str, Spread]) -> None:
        self._spreads = spreads

    def at(self, name: str, epoch: int, of: Quantity) -> NDArray[np.float64]:
        return self._spreads[name].at(epoch, of)


class _Rows:
    """The book's printed rows, or ours beside them."""

    def __init__(self, whose: str) -> None:
        self._whose = whose

    def at(self, name: str, epoch: int, of: Quantity) -> NDArray[np.float64]:
        for row in reproduced(name).rows:
            if row.epoch == epoch:
                return np.array([getattr(getattr(row, self._whose), of)])
        raise checks.refuse("epoch", f"one that the book prints for {name}", epoch)


def _loss(measured: Measured, name: str, epoch: int = LAST) -> NDArray[np.float64]:
    return measured.at(name, epoch, "loss")


def _lower(one: str, other: str, by: float = 1.0) -> Callable[[Measured], Truths]:
    """Return whether one run's last loss is below `by` times the other's."""

    def holds(measured: Measured) -> Truths:
        return _loss(measured, one) < by * _loss(measured, other)

    return holds


def _falling(name: str) -> Callable[[Measured], Truths]:
    """Return whether the loss is lower at each epoch that the book prints than at the one before it."""

    def holds(measured: Measured) -> Truths:
        losses = np.array([_loss(measured, name, row.epoch) for row in PRINTED[name].rows])
        return np.asarray((np.diff(losses, axis=0) < 0).all(axis=0))

    return holds


def _accurate(name: str, at_least: float) -> Callable[[Measured], Truths]:
    """Return whether a run's last accuracy is so high."""

    def holds(measured: Measured) -> Truths:
        return measured.at(name, LAST, "accuracy") >= at_least

    return holds


def _stuck_near(measured: Measured) -> Truths:
    return np.abs(_loss(measured, "sgd_decay_1e-2") - 1.07) <= 0.02


def _stuck_since(measured: Measured) -> Truths:
    name = "sgd_decay_1e-2"
    return _loss(measured, name, 1000) - _loss(measured, name) < 0.02


def _escapes(measured: Measured) -> Truths:
    return (_loss(measured, "sgd_momentum_0.9") < 0.5) & (_loss(measured, "sgd_decay_1e-3") > 0.5)


def _between(measured: Measured) -> Truths:
    loss = _loss(measured, "adagrad")
    return (loss > _loss(measured, "sgd_momentum_0.9")) & (loss < _loss(measured, "sgd_momentum_0.5"))


def _slow(measured: Measured) -> Truths:
    return _lower("adagrad", "rmsprop")(measured) & _lower("sgd_momentum_0.5", "rmsprop")(measured)


def _in_order(measured: Measured) -> Truths:
    return np.asarray(np.all([_lower(better, worse)(measured) for better, worse in pairwise(ORDER)], axis=0))


def _claims() -> dict[str, Claim]:
    ends = "its loss at epoch 10,000 is"
    found = [
        Claim("decay_1e-2_stuck", "Decay 0.01 is stuck near a loss of 1.07", f"{ends} within 0.02 of 1.07",
              _stuck_near),
        Claim("decay_1e-2_stays", "Decay 0.01 gets no further after the first tenth",
              "from epoch 1,000 to 10,000 its loss falls by less than 0.02", _stuck_since),
        Claim("decay_1e-3_better", "Decay 0.001 does better than 0.01", f"{ends} lower",
              _lower("sgd_decay_1e-3", "sgd_decay_1e-2")),
        Claim("momentum_0.5_better", "Momentum 0.5 does better still", f"{ends} lower than without momentum",
              _lower("sgd_momentum_0.5", "sgd_decay_1e-3")),
        Claim("momentum_0.9_better", "Momentum 0.9 does better than 0.5", f"{ends} lower",
              _lower("sgd_momentum_0.9", "sgd_momentum_0.5")),
        Claim("momentum_0.9_far_better", "Momentum 0.9 does far better than 0.5", f"{ends} less than half",
              _lower("sgd_momentum_0.9", "sgd_momentum_0.5", by=0.5)),
        Claim("momentum_0.9_accurate", "Momentum 0.9 reaches an accuracy of about 0.93",
              "its accuracy at epoch 10,000 is at least 0.90", _accurate("sgd_momentum_0.9", 0.90)),
        Claim("momentum_0.9_escapes", "Momentum 0.9 escapes where SGD without it is stuck",
              f"{ends} below 0.5, and without momentum above 0.5", _escapes),
        Claim("adagrad_between", "AdaGrad ends between momentum 0.9 and momentum 0.5",
              f"{ends} above the one and below the other", _between),
        Claim("adagrad_falls", "AdaGrad's loss falls throughout",
              "its loss is lower at each of the 12 printed epochs than at the one before", _falling("adagrad")),
        Claim("rmsprop_slow", "RMSProp's default is slow", f"{ends} above AdaGrad's and momentum 0.5's",
              _slow),
        Claim("rmsprop_tuned_better", "Tuned RMSProp does better than the default", f"{ends} lower",
              _lower("rmsprop_tuned", "rmsprop")),
        Claim("rmsprop_tuned_accurate", "Tuned RMSProp reaches an accuracy of about 0.9",
              "its accuracy at epoch 10,000 is at least 0.87", _accurate("rmsprop_tuned", 0.87)),
        *(
            Claim(f"{better}_before_{worse}", f"{WORDS[better]} ends below {WORDS[worse]}", f"{ends} lower",
                  _lower(better, worse), ordering=True)
            for better, worse in pairwise(ORDER)
        ),
        Claim("order", "All eight end in the printed order", "their losses at epoch 10,000 are in that order",
              _in_order, ordering=True),
    ]  # fmt: skip
    return {claim.key: claim for claim in found}


CLAIMS: Mapping[str, Claim] = _claims()
"""The chapter's claims by key; the last eight are the order of the last printed losses, pair by pair and as a whole."""
