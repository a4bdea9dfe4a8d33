"""The base of every update rule: settings, slots, the scalars of a step, and one pure formula."""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

from downslope.checks import refuse
from downslope.errors import InputError
from downslope.rules.settings import Setting

__all__ = ["Optimizer"]

RESERVED = ("xp", "parameter", "gradient")
DEFAULT: Any = object()  # None is not it: a setting given as None is refused


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

    def values(self) -> dict[str, Any]:
        """Return the settings by name, in the order they were declared."""
        return {name: getattr(self, name) for name in self.settings}

    def replace(self, **settings: Any) -> Self:
        """Return a copy with other settings."""
        return type(self)(**{**self.values(), **settings})

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
        fixed = object.__new__(type(self))
        for name, value in self.values().items():
            now = self.settings[name].check_at(step, value(step - 1)) if name in moving else value
            object.__setattr__(fixed, name, now)
        return fixed

    def per_step(self, step: int) -> Mapping[str, float | bool]:
        """Return what the formula needs besides its settings, in float64, each by its name.

        `step` is the formulas' t: it counts updates from 1 since the slots were zero. The settings are those of the
        moment, with every schedule already replaced by its value.
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
        known = {**now.values(), **now.per_step(step if age is None else age)}
        for name in self.scalar_names:
            if name not in known:
                taker = f"{type(self).__name__}.update"
                raise InputError(f"{name}, which {taker} takes, must be a slot, a setting or returned by per_step")
        return tuple(known[name] for name in self.scalar_names)
