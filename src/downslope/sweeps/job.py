"""A sweep's plan: which runs there are, what each is made of, and the digests that name them."""

from __future__ import annotations

import dataclasses
import math
import numbers
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from downslope import checks
from downslope.data import Dataset
from downslope.engines.choice import engine_name
from downslope.errors import InputError
from downslope.network import Loss, Network
from downslope.rules import Optimizer
from downslope.schedules import InverseTime
from downslope.sweeps.keys import FORMAT, canonical, code_of, digest_of, functions_of, settings_of
from downslope.sweeps.ranges import Range, as_range
from downslope.training.setup import Setup, expect, set_up

__all__ = ["CHAPTER", "Job", "plan", "settled"]

MOST_RUNS = 2**31 - 1
MOST_SEED = 2**64 - 1
CHAPTER = ("chapter",)
COLUMNS = {"run", "key", "seed", "epochs", "steps", "outcome", "message", "loss", "accuracy", "r2", "digest", "runs"}


@dataclass(frozen=True)
class Job:
    """Everything a sweep's runs are made of, checked; made by `plan`. It can be pickled and sent to another process.

    Runs are numbered from 0: run = cell · (number of seeds) + (place of the seed), with cells counted row by row, the
    last of the settings fastest.

    Attributes
    ----------
    over : dict of Range
        The swept settings, each value in its setting's own type.
    seeds : sequence of int, or ("chapter",)
        The seeds of every cell.
    engine : str or None
        The name of what executes the steps; None for the fastest that can.
    rows : int
        How many rows there are to train on.
    code, functions : str or None, dict of str
        What stands for the rule's code and for settings that are functions. Told when the plan is made, as only that
        process has the code for certain.
    """

    network: Network
    data: Dataset
    optimizer: Optimizer
    over: Mapping[str, Range]
    seeds: Sequence[Any]
    epochs: int
    loss: Loss
    batch_size: int | None
    validation: float | Dataset
    dtype: str
    standardize: bool
    engine: str | None
    history_every: int | None
    keep_parameters: bool
    rows: int
    code: str | None
    functions: dict[str, str]

    @property
    def shape(self) -> tuple[int, ...]:
        """How many values each setting takes."""
        return tuple(len(one) for one in self.over.values())

    @property
    def cells(self) -> int:
        """How many combinations of settings there are."""
        return math.prod(self.shape)

    @property
    def planned(self) -> int:
        """How many runs there are."""
        return self.cells * len(self.seeds)

    @property
    def score(self) -> str:
        """What is measured beside the loss: "accuracy", or "r2" in regression."""
        return "accuracy" if self.data.kind == "classification" else "r2"

    @property
    def quantities(self) -> tuple[str, ...]:
        """What is measured of every run and summed up for every cell."""
        measured = ["loss", self.score] + ["validation_loss", f"validation_{self.score}"] * self.validated
        return (*measured, "best_loss", "largest_weight")

    @property
    def validated(self) -> bool:
        """Whether there is a validation part."""
        return isinstance(self.validation, Dataset) or self.validation > 0

    @property
    def levels(self) -> tuple[float, ...]:
        """Losses, falling, of which each run notes when it first reached them; none in a sweep."""
        return ()

    def settings_of(self, cell: int) -> dict[str, Any]:
        """Return the swept settings of one cell."""
        chosen = []
        for one in reversed(list(self.over.values())):
            cell, place = divmod(cell, len(one))
            chosen.append(one.values[place])
        return dict(zip(self.over, reversed(chosen), strict=True))

    def seed_of(self, run: int) -> Any:
        """Return the seed of one run."""
        return self.seeds[run % len(self.seeds)]

    def rule_of(self, settings: Mapping[str, Any]) -> Optimizer:
        """Return the optimizer with a cell's settings."""
        own = self.optimizer.settings
        changed = {name: value for name, value in settings.items() if name in own}
        if "learning_rate" in changed and "decay" not in settings:
            changed["learning_rate"] = self.optimizer.with_rate(changed["learning_rate"]).learning_rate
        if "decay" in settings and "decay" not in own:
            base = changed.get("learning_rate", _base_of(self.optimizer.learning_rate))
            changed["learning_rate"] = InverseTime(base, decay=settings["decay"])
        return self.optimizer.replace(**changed)

    def batch_size_of(self, settings: Mapping[str, Any]) -> int | None:
        """Return how many rows an update of this cell takes; None for all."""
        own = "batch_size" in self.optimizer.settings
        chosen: int | None = self.batch_size if own else settings.get("batch_size", self.batch_size)
        return chosen

    def engine_of(self, batch_size: int | None) -> str:
        """Return the name of what executes the steps of runs with this batch size."""
        rows = self.rows if batch_size is None else min(batch_size, self.rows)
        return engine_name(self.engine, self.network, self.loss, rows)

    def set_up(self, seed: Any, batch_size: int | None) -> Setup:
        """Return what the runs of one seed and batch size begin with."""
        return set_up(
            self.network,
            self.data,
            loss=self.loss,
            batch_size=batch_size,
            validation=self.validation,
            seed=seed,
            dtype=self.dtype,
            standardize=self.standardize,
        )

    def key(self, run: int) -> str:
        """Return the digest of everything that shapes this run: equal in every sweep that holds the same run."""
        settings = self.settings_of(run // len(self.seeds))
        return self.key_of(self.rule_of(settings), self.batch_size_of(settings), self.seed_of(run))

    def key_of(self, rule: Optimizer, batch_size: int | None, seed: Any) -> str:
        """Return the key of the run with this rule, batch size and seed."""
        own = {"batch_size": batch_size, "engine": self.engine_of(batch_size), "seed": seed}
        return digest_of(self._shared, canonical({**self._rule(rule), **own}))

    def _rule(self, rule: Optimizer) -> dict[str, Any]:
        return {"rule": type(rule).__name__, "settings": settings_of(rule, self.functions), "code": self.code}

    @cached_property
    def _shared(self) -> str:
        """What shapes all runs alike, as text."""
        return canonical(self._content())

    def _content(self) -> dict[str, Any]:
        validation = self.validation
        content: dict[str, Any] = {
            "format": FORMAT,
            "network": self.network.describe(),
            "data": self.data.digest,
            "loss": self.loss.describe(),
            "validation": {"data": validation.digest} if isinstance(validation, Dataset) else validation,
            "standardize": self.standardize,
            "epochs": self.epochs,
            "dtype": self.dtype,
        }
        if self.seeds == CHAPTER:  # the weights then go on where the data stopped drawing
            content["normals_drawn"] = self.data.normals_drawn
        return content

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The whole plan as values that JSON can hold; equal plans have equal settings."""
        first = self.settings_of(0)  # its rule, so that what is swept over does not count
        return {
            **self._content(),
            "rule": self._described(first),
            "batch_size": self.batch_size,
            "engine": self.engine_of(self.batch_size_of(first)),
            "over": {
                name: {"values": list(one.values), "log": one.log, "unit": self._unit(name)}
                for name, one in self.over.items()
            },
            "seeds": _seeds_described(self.seeds),
            "data_name": self.data.name,
            "quantities": list(self.quantities),
            "history_every": self.history_every,
            "keep_parameters": self.keep_parameters,
        }

    @cached_property
    def digest(self) -> str:
        """32 hexadecimal digits that name the whole sweep: equal plans have equal ones."""
        return digest_of(canonical(self.settings))

    def _described(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return what the plan says of the rule."""
        return {**self._rule(self.rule_of(settings)), "text": self._text()}

    def _text(self) -> str:
        """Return the optimizer as code reads, without the settings whose own value no run has."""
        shown = {name: repr(value) for name, value in self.optimizer.values().items()}
        shown |= {name: "<function>" for name, text in self.functions.items() if text.startswith("function")}
        for name in self.over:
            if not callable(getattr(self.optimizer, name, None)):
                shown.pop(name, None)
        return f"{type(self.optimizer).__name__}({', '.join(f'{name}={text}' for name, text in shown.items())})"

    def _unit(self, name: str) -> str:
        if name in self.optimizer.settings:
            return self.optimizer.settings[name].unit
        return "rows" if name == "batch_size" else ""

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}


def plan(
    network: Network,
    data: Dataset,
    optimizer: Optimizer,
    *,
    over: Mapping[str, Any],
    epochs: int,
    seeds: int | Iterable[int] | Literal["chapter"] = 1,
    loss: str | Loss | None = None,
    batch_size: int | None = None,
    validation: float | Dataset = 0.0,
    dtype: str = "float32",
    standardize: bool | None = None,
    engine: str | None = None,
    history_every: int | None = None,
    keep_parameters: bool = False,
) -> Job:
    """Return the checked plan of a sweep, before any run; its parameters are those of `sweep`.

    Raises
    ------
    InputError
        If a setting is unknown, a value is not legal, or network, data and loss do not fit together.
    """
    expect("optimizer", optimizer, Optimizer, "an optimizer such as SGD(learning_rate=0.1)")
    shared = settled(
        network,
        data,
        _ranges(over, optimizer),
        epochs=epochs,
        seeds=seeds,
        loss=loss,
        batch_size=batch_size,
        validation=validation,
        dtype=dtype,
        standardize=standardize,
        engine=engine,
        history_every=history_every,
        keep_parameters=keep_parameters,
    )
    return Job(optimizer=optimizer, code=code_of(optimizer), functions=functions_of(optimizer), **shared)


def settled(
    network: Network,
    data: Dataset,
    ranges: Mapping[str, Range],
    *,
    epochs: int,
    seeds: int | Iterable[int] | Literal["chapter"],
    loss: str | Loss | None = None,
    batch_size: int | None = None,
    validation: float | Dataset = 0.0,
    dtype: str = "float32",
    standardize: bool | None = None,
    engine: str | None = None,
    history_every: int | None = None,
    keep_parameters: bool = False,
) -> dict[str, Any]:
    """Return the checked fields of a job that do not depend on its rule; see `plan`."""
    expect("network", network, Network, "a network such as MLP([2, 64, 3])")
    expect("data", data, Dataset, "a data set such as downslope.data.spiral()")
    chosen = _seeds(seeds)
    planned = math.prod(len(one) for one in ranges.values()) * len(chosen)
    if planned > MOST_RUNS:
        raise InputError(f"a sweep must have at most {MOST_RUNS:,} runs. Received: {planned:,}")
    if batch_size is not None and "batch_size" in ranges:
        raise InputError(f"batch_size must be either fixed or swept. Received: batch_size={batch_size!r} and a range")
    first = set_up(
        network,
        data,
        loss=loss,
        batch_size=batch_size,
        validation=validation,
        seed=chosen[0],
        dtype=dtype,
        standardize=standardize,
    )
    return {
        "network": network,
        "data": data,
        "over": ranges,
        "seeds": chosen,
        "epochs": checks.whole("epochs", epochs, at_least=1),
        "loss": first.problem.loss,
        "batch_size": None if batch_size is None else checks.whole("batch_size", batch_size, at_least=1),
        "validation": validation if isinstance(validation, Dataset) else float(validation),
        "dtype": first.dtype.name,
        "standardize": bool(data.standardize if standardize is None else standardize),
        "engine": None if engine is None else engine_name(engine, network, first.problem.loss, 1),
        "history_every": None if history_every is None else checks.whole("history_every", history_every, at_least=1),
        "keep_parameters": checks.flag("keep_parameters", keep_parameters),
        "rows": first.problem.rows,
    }


def _ranges(over: Any, optimizer: Optimizer) -> dict[str, Range]:
    """Return the ranges with every value checked by its setting and in its setting's type."""
    if not isinstance(over, Mapping) or not over:
        raise checks.refuse("over", 'settings with their values, such as {"learning_rate": log(0.001, 10, 32)}', over)
    known = list(dict.fromkeys([*optimizer.settings, "batch_size", "decay"]))
    ranges = {}
    for name, given in over.items():
        if name not in known:
            listed = ", ".join(known)
            hint = checks.did_you_mean(name, known)
            raise InputError(f"over must name settings to sweep: {listed}. Received: {name!r}{hint}")
        ranges[name] = _checked(name, as_range(name, given), optimizer)
        if name in COLUMNS:
            raise InputError(f"over must not sweep a setting with the name of a result's column. Received: {name!r}")
    rate = optimizer.learning_rate
    if "decay" in ranges and "decay" not in optimizer.settings:
        _base_of(rate)
    elif "learning_rate" in ranges and callable(rate):
        for value in ranges["learning_rate"].values:
            optimizer.with_rate(value)
    return ranges


def _checked(name: str, given: Range, optimizer: Optimizer) -> Range:
    if name in optimizer.settings:
        record = optimizer.settings[name]
        return given.checked(name, record.check, whole=record.kind is int)
    if name == "batch_size":
        return given.checked(name, lambda value: checks.whole(name, value, at_least=1, at_most=2**62), whole=True)
    return given.checked(name, lambda value: checks.real(name, value, checks.Interval(at_least=0)), whole=False)


def _base_of(rate: Any) -> float:
    """Return the learning rate that a swept decay divides."""
    if isinstance(rate, InverseTime):
        return rate.base
    if callable(rate):
        raise checks.refuse("learning_rate", "a number, or an InverseTime schedule, to sweep its decay", rate)
    return float(rate)


def _seeds(given: Any) -> Sequence[Any]:
    """Return the seeds as a sequence that takes no memory where they are counted."""
    if isinstance(given, str) and given == "chapter":
        return CHAPTER
    if isinstance(given, numbers.Integral):
        return range(checks.whole("seeds", given, at_least=1))
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise checks.refuse("seeds", 'a count, a list of whole numbers, or "chapter"', given)
    listed = tuple(checks.whole(f"seeds[{i}]", seed, at_most=MOST_SEED) for i, seed in enumerate(given))
    if not listed:
        raise checks.refuse("seeds", "at least one whole number", given)
    if len(set(listed)) < len(listed):
        twice = next(seed for place, seed in enumerate(listed) if seed in listed[:place])
        raise InputError(f"seeds must differ from one another. Received: {twice} more than once")
    return range(len(listed)) if listed == tuple(range(len(listed))) else listed


def _seeds_described(seeds: Sequence[Any]) -> Any:
    return {"count": len(seeds)} if isinstance(seeds, range) else list(seeds)
