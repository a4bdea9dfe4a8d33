"""The plan of a comparison: the runs of several optimizers, as those of a sweep over which optimizer it is."""

from __future__ import annotations

import bisect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from downslope import checks
from downslope.rules import Optimizer
from downslope.rules.text import code_text, value_text
from downslope.sweeps.job import Job, settled
from downslope.sweeps.keys import code_of, functions_of, settings_of
from downslope.sweeps.ranges import Range

__all__ = [
    "LEVELS",
    "ComparisonJob",
    "labelled",
    "level_above",
    "numbered",
    "plan_comparison",
]

# Round losses of which a run notes when it first reached them, so that one can be chosen when all runs are done, and
# the epoch is still exact: from 9.9 million down to a millionth of a millionth, all of two digits and, below 5 of the
# first digit, some between: 1.01, 1.02, …, 2, 2.05, …, 5, 5.1, …, 9.9.
MANTISSAS = (*range(100, 200), *range(200, 500, 5), *range(500, 1000, 10))
LEVELS = tuple(
    float(f"{digits // 100}.{digits % 100:02}e{power}") for power in range(6, -13, -1) for digits in MANTISSAS[::-1]
)
SHORT = {"learning_rate": "lr"}


@dataclass(frozen=True)
class ComparisonJob(Job):
    """A job whose cells are optimizers: run = place of the optimizer · (number of seeds) + (place of the seed).

    Attributes
    ----------
    optimizers : tuple of Optimizer
        The compared ones; `over` holds their places. `optimizer` is the first of them.
    codes, told : tuple
        What stands for each one's code, and for its settings that are functions; as `code` and `functions`.
    reach : float or None
        A loss besides `LEVELS` of which each run notes when it first reached it.
    """

    optimizers: tuple[Optimizer, ...]
    codes: tuple[str | None, ...]
    told: tuple[dict[str, str], ...]
    reach: float | None

    @cached_property
    def levels(self) -> tuple[float, ...]:
        """`LEVELS`, with `reach` in its place among them."""
        return tuple(sorted({*LEVELS, *(() if self.reach is None else (self.reach,))}, reverse=True))

    def rule_of(self, settings: Mapping[str, Any]) -> Optimizer:
        """Return the optimizer of a cell."""
        place: int = settings["optimizer"]
        return self.optimizers[place]

    def batch_size_of(self, settings: Mapping[str, Any]) -> int | None:
        """Return how many rows an update takes, the same for all; None for all rows."""
        return self.batch_size

    def _rule(self, rule: Optimizer) -> dict[str, Any]:
        place = self.optimizers.index(rule)
        return {
            "rule": type(rule).__name__,
            "settings": settings_of(rule, self.told[place]),
            "code": self.codes[place],
        }

    def _described(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        compared = [{**self._rule(rule), "text": code_text(rule)} for rule in self.optimizers]
        return {
            "rule": ", ".join(dict.fromkeys(one["rule"] for one in compared)),
            "text": ", ".join(one["text"] for one in compared),
            "compared": compared,
            "reach": self.reach,
        }


def plan_comparison(
    network: Any, data: Any, optimizers: Sequence[Optimizer], *, reach: float | None = None, **shared: Any
) -> ComparisonJob:
    """Return the checked plan of a comparison; the other parameters are those of `plan`.

    Raises
    ------
    InputError
        If an argument is not legal, or network, data and loss do not fit together.
    """
    if isinstance(optimizers, (Optimizer, str)) or not isinstance(optimizers, Sequence) or not optimizers:
        raise checks.refuse("optimizers", "one optimizer or more, such as [SGD(0.1, momentum=0.9), Adam()]", optimizers)
    for place, one in enumerate(optimizers):
        if not isinstance(one, Optimizer):
            raise checks.refuse(f"optimizers[{place}]", "an optimizer such as SGD(learning_rate=0.1)", one)
    if reach is not None:
        reach = checks.real("reach", reach, checks.Interval(above=0))
    fields = settled(network, data, {"optimizer": Range(tuple(range(len(optimizers))))}, **shared)
    codes, told = tuple(map(code_of, optimizers)), tuple(map(functions_of, optimizers))
    return ComparisonJob(
        optimizer=optimizers[0],
        code=codes[0],
        functions=told[0],
        optimizers=tuple(optimizers),
        codes=codes,
        told=told,
        reach=None if reach is None or reach in LEVELS else reach,
        **fields,
    )


def level_above(loss: float) -> float | None:
    """Return the least of `LEVELS` that is not below a loss; None where there is none."""
    place = bisect.bisect_right(LEVELS, -loss, key=lambda level: -level)
    return LEVELS[place - 1] if place else None


def labelled(optimizers: Sequence[Optimizer]) -> list[str]:
    """Return a short name for each optimizer: its rule's, and of several of one rule the settings in which they differ.

    A learning rate is called lr, as in the lines a run prints. Those that differ in nothing are numbered.

    Examples
    --------
    >>> from downslope.rules import SGD, Adam
    >>> labelled([SGD(0.1), SGD(0.5, momentum=0.9), Adam()])
    ['sgd lr=0.1 momentum=0', 'sgd lr=0.5 momentum=0.9', 'adam']
    """
    found: list[str] = []
    for one in optimizers:
        alike = [other for other in optimizers if type(other) is type(one)]
        differing = [name for name in one.settings if len({repr(getattr(other, name)) for other in alike}) > 1]
        told = (f"{SHORT.get(name, name)}={_short(getattr(one, name))}" for name in differing)
        found.append(" ".join([one.name(), *told]))
    return numbered(found)


def numbered(texts: Sequence[str]) -> list[str]:
    """Return the texts, with a number behind each of those that are the same: adam (1), adam (2)."""
    counts: dict[str, int] = {}
    found = []
    for text in texts:
        counts[text] = counts.get(text, 0) + 1
        found.append(text if texts.count(text) == 1 else f"{text} ({counts[text]})")
    return found


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    return re.sub(r"(\d)\.0\b", r"\1", value_text(value))
