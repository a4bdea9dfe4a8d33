"""The base of every update rule: settings, slots, the scalars of a step, and one pure formula."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

from downslope.checks import refuse
from downslope.errors import InputError
from downslope.fingerprint import code_fingerprint, written_in
from downslope.rules.settings import Setting

__all__ = ["Optimizer"]

RESERVED = ("xp", "parameter", "gradient")
DEFAULT: Any = object()  # None is not it: a setting given as None is refused


@dataclasses.dataclass(frozen=True)
class Times:
    """Somebody's function of the step, multiplied; it can be pickled where that can."""

    factor: float
    function: Callable[[int], float]

    def __call__(self, k: int) -> float:
        """Return the function's value times the factor."""
        return self.factor * self.function(k)


class Optimizer:
    """An update rule with its settings: what turns a gradient into the next parameter.

    A subclass declares its settings (`setting`), the names of its slots (one value for each parameter, zero at the
    start), and `update`, the formula for one element::

        class SignDescent(Optimizer):
            '''Every parameter moves by the same amount.'''

            learning_rate = setting(0.01, above=0, meaning="size of a step", scheduled=True)

            def update(xp, parameter, gradient, learning_rate):
                return parameter - learning_rate * xp.sign(gradient)

    `update(xp, parameter, gradient, *slots, *scalars)` returns the new parameter and the new slots in that order. It
    is called with arrays by the engine that is read and with single numbers inside the compiled loop; both give the
    same bits as long as the body uses + − × ÷ and `xp`: `sqrt`, `absolute`, `sign`, `maximum`, `minimum`,
    `where(condition, a, b)`. No number stands in the body: what the formula needs besides its settings is returned,
    by name, from `per_step`, which works in float64 once a step. A slot that the settings leave unused is None.

    An optimizer never changes; `replace` returns a changed copy.
    """

    settings: ClassVar[Mapping[str, Setting]] = {}
    slots: ClassVar[tuple[str, ...]] = ()
    scalar_names: ClassVar[tuple[str, ...]] = ()
    steps_as_arrays: ClassVar[bool] = True
    """Whether `per_step` takes an array of steps too, and gives each step the bits it has alone. A class with a
    `per_step` of its own says so beside it; else that is called once a step."""
    momentum_slots: ClassVar[tuple[str, ...]] = ()
    """Slots that keep a step or a gradient's direction going; cleared, what moves comes to rest."""
    slot_family: ClassVar[str] = ""
    """Rules of one family mean the same by slots of the same name: a run that changes between them keeps those."""
    update: ClassVar[Callable[..., Any]]
    __signature__: ClassVar[inspect.Signature]
    learning_rate: Any

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = {name: value for name, value in vars(cls).items() if isinstance(value, Setting)}
        for name, record in own.items():
            if hasattr(Optimizer, name):
                raise InputError(f"{cls.__name__} must not call a setting {name!r}: every optimizer has its own {name}")
            record.check(record.default)
        cls.settings = {**cls.settings, **own}
        if "learning_rate" not in cls.settings:
            raise InputError(f"{cls.__name__} must have the setting learning_rate")
        if not isinstance(cls.slots, tuple):
            raise refuse("slots", "a tuple of names, such as ('velocity',)", cls.slots)
        if not callable(getattr(cls, "update", None)):
            raise InputError(f"{cls.__name__} must define update(xp, parameter, gradient, …)")
        if "per_step" in vars(cls) and "steps_as_arrays" not in vars(cls):
            cls.steps_as_arrays = False
        if "update" in vars(cls):
            cls.update = staticmethod(cls.update)
        taken = inspect.signature(cls.update).parameters.values()
        expected = (*RESERVED, *cls.slots)
        names = tuple(one.name if one.kind is one.POSITIONAL_OR_KEYWORD else str(one) for one in taken)
        if names[: len(expected)] != expected:
            raise InputError(
                f"{cls.__name__}.update must take {', '.join(expected)} first. Received: {', '.join(names)}"
            )
        cls.scalar_names = names[len(expected) :]
        # What help, editors and `inspect` show: every setting with its default, the learning rate also by position.
        parameters = [
            inspect.Parameter(
                name,
                inspect.Parameter.POSITIONAL_OR_KEYWORD if name == "learning_rate" else inspect.Parameter.KEYWORD_ONLY,
                default=record.default,
            )
            for name, record in sorted(cls.settings.items(), key=lambda item: item[0] != "learning_rate")
        ]
        cls.__signature__ = inspect.Signature(parameters)

    def __init__(self, learning_rate: Any = DEFAULT, **settings: Any) -> None:
        if type(self) is Optimizer:
            raise InputError("Optimizer is only the base of the rules: use one of them, or write a subclass")
        if learning_rate is not DEFAULT:
            settings["learning_rate"] = learning_rate
        for name, value in settings.items():
            if name not in self.settings:
                raise InputError(
                    f"{name} must be a setting of {self.name()}, which has {', '.join(self.settings)}. "
                    f"Received: {name}={value!r}"
                )
        for name, record in self.settings.items():
            value = record.check(settings[name]) if name in settings else record.default
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"An optimizer does not change; use .replace({name}={value!r})")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"An optimizer does not change; {name} stays")

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.settings)
        return f"{type(self).__name__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and self.values() == getattr(other, "values", dict)()

    def __hash__(self) -> int:
        return hash((type(self), tuple(self.values().items())))

    @classmethod
    def name(cls) -> str:
        """Return the rule's name on the command line: the class's name in lower case."""
        return cls.__name__.lower()

    @classmethod
    def documented(cls, section: str) -> str:
        """Return one section of the docstring ("Formula", "References", …), or "" where there is none."""
        lines = inspect.cleandoc(cls.__doc__ or "").splitlines()
        for i, line in enumerate(lines[:-1]):
            if line == section and set(lines[i + 1]) == {"-"}:
                body = []
                for j in range(i + 2, len(lines)):
                    if j + 1 < len(lines) and lines[j + 1] and set(lines[j + 1]) == {"-"}:
                        break
                    body.append(lines[j])
                return textwrap.dedent("\n".join(body)).strip("\n")
        return ""

    @classmethod
    def fingerprint(cls) -> str | None:
        """Return a digest of all the code a rule is made of, or None where it cannot be told for certain.

        What `code_fingerprint` finds in `update`, `per_step` and everything else that stands in the class and in those
        it is derived from, below `Optimizer`. The settings' values are not part of it: `describe` has them.
        """
        found = [
            (name, code_fingerprint(member, known=cls.__mro__))
            for base in cls.__mro__
            if base not in (Optimizer, object)
            for name, member in written_in(base)
            if name not in ("settings", "scalar_names") and not isinstance(member, Setting)
        ]
        if any(digest is None for _, digest in found):
            return None
        return hashlib.blake2b(repr(found).encode(), digest_size=20).hexdigest()

    def values(self) -> dict[str, Any]:
        """Return the settings by name, in the order they were declared."""
        return {name: getattr(self, name) for name in self.settings}

    def describe(self) -> dict[str, Any]:
        """Return name and settings as values that JSON can hold; `rules.from_description` gives back an equal rule.

        Raises
        ------
        InputError
            If a function that is no `Schedule` stands in the place of a setting: it cannot be saved.

        Examples
        --------
        >>> from downslope.rules import SGD
        >>> SGD(0.5, momentum=0.9).describe()
        {'name': 'sgd', 'learning_rate': 0.5, 'momentum': 0.9, 'nesterov': False}
        """
        described = {"name": self.name(), **self.values()}
        for name, value in self.values().items():
            if callable(value):
                from downslope.schedules import Schedule

                if not isinstance(value, Schedule):
                    rule = "a number or a schedule such as InverseTime(1.0, decay=0.001), not a function, to be saved"
                    raise refuse(name, rule, value)
                described[name] = value.describe()
        return described

    def replace(self, **settings: Any) -> Self:
        """Return a copy with other settings."""
        return type(self)(**{**self.values(), **settings})

    def with_rate(self, rate: float) -> Self:
        """Return a copy with another learning rate; where it follows a schedule, with one that starts from it.

        Raises InputError where the schedule has no `base`.
        """
        schedule = self.values()["learning_rate"]
        if callable(schedule):
            known = dataclasses.is_dataclass(schedule) and not isinstance(schedule, type)
            if not known or "base" not in {field.name for field in dataclasses.fields(schedule)}:
                raise refuse("learning_rate", "a number, or a schedule with a base", schedule)
            return self.replace(learning_rate=dataclasses.replace(schedule, base=rate))
        return self.replace(learning_rate=rate)

    def scaled(self, factor: float) -> Self:
        """Return a copy whose learning rate, or every rate of its schedule, is multiplied by `factor`."""
        rate = self.values()["learning_rate"]
        if hasattr(rate, "scaled"):
            return self.replace(learning_rate=rate.scaled(factor))
        if isinstance(rate, Times):
            factor, rate = factor * rate.factor, rate.function
        return self.replace(learning_rate=Times(factor, rate) if callable(rate) else factor * rate)

    def slots_in_use(self) -> tuple[str, ...]:
        """Return the slots these settings need; a rule overrides it where a setting switches a slot off."""
        return self.slots

    def at(self, step: int) -> Self:
        """Return this rule at one step: every schedule replaced by its value after `step` − 1 updates.

        Raises InputError where a schedule gives no finite number or one outside the setting's interval.
        """
        moving = {name: value for name, value in self.values().items() if callable(value)}
        if not moving:
            return self
        return self.unchecked({
            name: self.settings[name].check_at(step, value(step - 1)) for name, value in moving.items()
        })  # fmt: skip

    def unchecked(self, settings: Mapping[str, Any]) -> Self:
        """Return a copy with other settings, taken as they are: the value a schedule has, or an array of them."""
        copy = object.__new__(type(self))
        for name, value in {**self.values(), **settings}.items():
            object.__setattr__(copy, name, value)
        return copy

    def per_step(self, step: Any) -> Mapping[str, Any]:
        """Return what the formula needs besides its settings, in float64, each by its name.

        `step` is the formulas' t: it counts updates from 1 since the slots were zero. The settings are those of the
        moment, with every schedule already replaced by its value. With `steps_as_arrays`, `step` may be an int64 array
        and a scheduled setting a float64 array of the same length: `downslope.exact` has what serves both.
        """
        return {}

    def scalars(self, step: int, age: int | None = None) -> tuple[float | bool, ...]:
        """Return the scalars of one step in the order `update` takes them.

        Parameters
        ----------
        step : int
            Which update of the run this is, from 1; schedules go by it.
        age : int, optional
            Which update it is since the slots were zero, from 1; corrections for that start go by it. Left out: the
            same, as long as a run keeps its optimizer.
        """
        now = self.at(step)
        return tuple(now.named_scalars(step if age is None else age).values())

    def named_scalars(self, age: Any) -> dict[str, Any]:
        """Return the scalars by name, in the order `update` takes them, for settings among which is no schedule."""
        known = {**self.values(), **self.per_step(age)}
        for name in self.scalar_names:
            if name not in known:
                taker = f"{type(self).__name__}.update"
                raise InputError(f"{name}, which {taker} takes, must be a slot, a setting or returned by per_step")
        return {name: known[name] for name in self.scalar_names}
