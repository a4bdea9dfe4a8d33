"""The runs that guards are tried on: each drawn from its family's name and a number, the same on every machine.

A family says what is done to a run; what came of it is measured (`labels`), never assumed.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

import downslope as ds
from downslope import rules, schedules
from downslope.training.setup import Setup, set_up

__all__ = ["FAMILIES", "HELD_OUT", "Case", "cases", "is_held_out", "round_of"]

# Rates that train well, by rule; a run draws around them.
GOOD_RATES = {
    "sgd": 0.3, "adagrad": 0.05, "adadelta": 1.0, "rmsprop": 0.002, "adam": 0.005, "adamw": 0.005, "adamax": 0.01,
    "amsgrad": 0.005, "nadam": 0.005, "radam": 0.005, "lion": 0.0007, "ademamix": 0.002,
}  # fmt: skip
FACTORS = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)


@dataclass(frozen=True)
class Case:
    """One run: what trains on what, and the step after which something changes (0: from the start)."""

    family: str
    number: int
    data: str
    batch_size: int | None
    rule: rules.Optimizer
    steps: int
    change: int
    hidden: tuple[int, ...]
    bad_rows: int = 0

    @property
    def name(self) -> str:
        """What it is called in reports."""
        return f"{self.family}-{self.number}"

    def parts(self) -> tuple[ds.Network, ds.Dataset]:
        """Return its network and data."""
        data = _data(self.data, self.number % 16)
        return ds.MLP([len(data.features), *self.hidden, len(data.classes) if data.classes else 1]), data

    def setup(self) -> Setup:
        """Return the run's problem and initial parameters."""
        made = set_up(*self.parts(), batch_size=self.batch_size, seed=self.number)
        if not self.bad_rows:
            return made
        part = made.problem.training
        inputs = part.inputs.copy()
        inputs[np.linspace(0, len(inputs) - 1, self.bad_rows).astype(int)] *= 50
        return replace(made, problem=replace(made.problem, training=part._replace(inputs=inputs)))


@cache
def _data(name: str, seed: int) -> Any:
    match name:
        case "spiral":
            return ds.data.spiral(samples=60, seed=seed)
        case "blobs":
            return ds.data.blobs(samples=60, classes=4, noise=1.5, seed=seed)
        case "line":
            return ds.data.line(seed=seed)
        case "sine":
            return ds.data.sine(seed=seed)
        case "diabetes":
            return ds.data.diabetes()
        case _:
            return ds.data.digits()


HIDDEN = {"spiral": (64,), "blobs": (16,), "line": (16,), "sine": (24, 24), "diabetes": (16,), "digits": (32,)}


def _base(draw: random.Random, family: str, number: int) -> Case:
    data = draw.choice(("spiral", "spiral", "spiral", "blobs", "blobs", "line", "sine", "sine", "diabetes", "digits"))
    whole = data != "digits" and draw.random() < 0.5
    name = draw.choice((*sorted(GOOD_RATES), "sgd", "sgd", "adam", "rmsprop"))
    rate = GOOD_RATES[name] * math.exp(draw.uniform(math.log(0.2), math.log(2.0)))
    if data in ("line", "sine", "diabetes") and name == "sgd":
        rate *= 0.3
    settings: dict[str, Any] = {}
    if name in ("sgd", "rmsprop") and draw.random() < 0.5:
        settings["momentum"] = draw.choice((0.5, 0.8, 0.9))
        rate *= 1.0 - settings["momentum"]
        if name == "sgd":
            settings["nesterov"] = draw.random() < 0.5
    batch = None if whole else draw.choice((16, 32, 64))
    steps, change = draw.choice((900, 1200, 1800)), draw.randrange(60, 400)
    return Case(
        family, number, data, batch, rules.rule(name)(learning_rate=rate, **settings), steps, change, HIDDEN[data]
    )


def _rated(case: Case, schedule: Any, **changes: Any) -> Case:
    return replace(case, rule=case.rule.replace(learning_rate=schedule), **changes)


def _jumped(case: Case, factor: float) -> Case:
    rate = case.rule.learning_rate
    return _rated(case, schedules.Piecewise([rate, rate * factor], [case.change]))


def _constant(draw: random.Random, case: Case) -> Case:
    return replace(case, change=0)


def _large_constant(draw: random.Random, case: Case) -> Case:
    return _rated(case, case.rule.learning_rate * draw.choice(FACTORS), change=0, steps=600)


def _jump(draw: random.Random, case: Case) -> Case:
    return _jumped(case, draw.choice(FACTORS))


def _ramp(draw: random.Random, case: Case) -> Case:
    rate, factor, over = case.rule.learning_rate, draw.choice((3.0, 10.0, 100.0, 1000.0, 1e4)), draw.randrange(20, 501)
    growing = schedules.Exponential(rate, rate=factor ** (1 / over)).for_steps(over)
    before = schedules.Constant(rate).for_steps(case.change)
    steps = max(case.steps, case.change + over + 400)
    return _rated(case, before.then(growing).then(schedules.Constant(rate * factor)), steps=steps)


def _bad_batches(draw: random.Random, case: Case) -> Case:
    return replace(case, batch_size=draw.choice((16, 32)), bad_rows=draw.randrange(1, 5), change=0)


def _pulse(draw: random.Random, case: Case) -> Case:
    rate, end = case.rule.learning_rate, case.change + draw.randrange(1, 4)
    return _rated(case, schedules.Piecewise([rate, rate * draw.choice(FACTORS[1:]), rate], [case.change, end]))


def _edge(draw: random.Random, case: Case) -> Case:
    data = draw.choice(("spiral", "sine", "blobs"))
    rate = {"spiral": 0.8, "sine": 0.1, "blobs": 0.2}[data] * math.exp(draw.uniform(-0.7, 0.7))
    momentum = draw.choice((0.0, 0.0, 0.9))
    rule = rules.SGD(learning_rate=rate * (1 - 0.8 * momentum), momentum=momentum)
    return replace(case, data=data, hidden=HIDDEN[data], batch_size=None, rule=rule, steps=2500, change=0)


def _raise(draw: random.Random, case: Case) -> Case:
    factor = draw.choice((10.0, 30.0, 100.0))
    return _jumped(_rated(case, case.rule.learning_rate / factor), factor)


def _warm_up(draw: random.Random, case: Case) -> Case:
    rate, steps = case.rule.learning_rate, draw.choice((20, 100, 300))
    return _rated(case, schedules.LinearWarmup(rate, steps=steps).then(schedules.Constant(rate)), change=0)


def _decay(draw: random.Random, case: Case) -> Case:
    rate = case.rule.learning_rate
    kinds = (
        schedules.InverseTime(rate, decay=draw.choice((1e-3, 1e-2))),
        schedules.Cosine(rate, steps=case.steps),
        schedules.Step(rate, every=draw.choice((100, 300)), factor=0.5),
        schedules.Cosine(rate, steps=case.steps // 4, restarts=True),
    )
    return _rated(case, draw.choice(kinds), change=0)


def _momentum(draw: random.Random, case: Case) -> Case:
    rate = {"line": 0.01, "sine": 0.01, "diabetes": 0.01}.get(case.data, 0.03) * math.exp(draw.uniform(-1.0, 0.5))
    momentum = schedules.Piecewise([draw.choice((0.1, 0.5)), draw.choice((0.8, 0.9, 0.95))], [case.change])
    return replace(case, rule=rules.SGD(learning_rate=rate, momentum=momentum))


Make = Callable[[random.Random, Case], Case]
FAMILIES: dict[str, tuple[Make, int]] = {
    "constant": (_constant, 4),
    "large constant": (_large_constant, 3),
    "jump": (_jump, 8),
    "ramp": (_ramp, 6),
    "bad batches": (_bad_batches, 2),
    "pulse": (_pulse, 3),
    "edge of stability": (_edge, 2),
    "raised rate": (_raise, 3),
    "warm-up": (_warm_up, 2),
    "decay": (_decay, 3),
    "raised momentum": (_momentum, 2),
}
"""How each family changes a drawn run, and how many of its runs stand in one round of the corpus."""


def cases(rounds: int, first: int = 0) -> Iterator[Case]:
    """Yield the corpus, a round after the other, so that one cut short is still a fair sample."""
    for turn in range(first, first + rounds):
        for family, (make, count) in FAMILIES.items():
            for place in range(count):
                number = turn * count + place
                draw = random.Random(f"{family}/{number}")
                yield make(draw, _base(draw, family, number))


HELD_OUT = range(900, 2000)
"""The rounds that took no part in tuning; those before and after it did (`learn`)."""


def round_of(case: Case) -> int:
    """Return the round of the corpus that a run stands in."""
    return case.number // FAMILIES[case.family][1]


def is_held_out(case: Case) -> bool:
    """Whether the run took no part in tuning."""
    return round_of(case) in HELD_OUT
