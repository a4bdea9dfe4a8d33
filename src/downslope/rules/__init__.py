"""Update rules, one file each, and the record they share.

A rule is written once: its `update` is the formula a reader sees and the body every engine runs. A new rule is one
new file in this folder; it is found by name from then on.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from downslope.checks import one_of, refuse
from downslope.rules.optimizer import Optimizer
from downslope.rules.settings import Setting, setting

if TYPE_CHECKING:  # for editors and type checkers; at run time every file in the folder is found by itself
    from downslope.rules.adadelta import Adadelta as Adadelta
    from downslope.rules.adagrad import Adagrad as Adagrad
    from downslope.rules.adam import Adam as Adam
    from downslope.rules.adamax import Adamax as Adamax
    from downslope.rules.adamw import AdamW as AdamW
    from downslope.rules.ademamix import AdEMAMix as AdEMAMix
    from downslope.rules.amsgrad import AMSGrad as AMSGrad
    from downslope.rules.lion import Lion as Lion
    from downslope.rules.nadam import NAdam as NAdam
    from downslope.rules.radam import RAdam as RAdam
    from downslope.rules.rmsprop import RMSprop as RMSprop
    from downslope.rules.sgd import SGD as SGD
    from downslope.schedules import Schedule

SHARED_FILES = {"formula", "optimizer", "settings", "text"}


def _find() -> dict[str, type[Optimizer]]:
    found: dict[str, type[Optimizer]] = {}
    for file in pkgutil.iter_modules(__path__):
        if file.name in SHARED_FILES:
            continue
        module = importlib.import_module(f"{__name__}.{file.name}")
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Optimizer) and value.__module__ == module.__name__:
                found[value.name()] = value
    return found


RULES = _find()
"""Every rule of the package by its name on the command line."""

globals().update({rule.__name__: rule for rule in RULES.values()})

__all__ = ["RULES", "Optimizer", "Setting", "from_description", "rule", "setting"]
__all__ += [found.__name__ for found in RULES.values()]


def rule(name: str) -> type[Optimizer]:
    """Return the rule of that name ("sgd", "Adam", …), in any case, or raise InputError naming the nearest."""
    return RULES[one_of("optimizer", name.lower() if isinstance(name, str) else name, RULES)]


def from_description(
    description: Any,
    known: Mapping[str, type[Optimizer]] | None = None,
    schedules: Mapping[str, type[Schedule]] | None = None,
) -> Optimizer:
    """Return the optimizer that `Optimizer.describe` described.

    Parameters
    ----------
    description : mapping
        The rule's "name" and its settings; one that is missing has its default.
    known, schedules : mapping of str to type, optional
        Rules and schedules that are not of this package, by name.

    Raises
    ------
    InputError
        If a name or a setting's value is not known.

    Examples
    --------
    >>> from_description({"name": "sgd", "learning_rate": {"name": "inverse-time", "base": 1.0, "decay": 0.001}})
    SGD(learning_rate=InverseTime(1.0, decay=0.001), momentum=0.0, nesterov=False)
    """
    from downslope import schedules as all_schedules

    if not isinstance(description, Mapping):
        raise refuse("optimizer", 'a dictionary with "name" and settings', description)
    table = {**RULES, **(known or {})}
    settings = {
        str(name): all_schedules.from_description(value, schedules) if isinstance(value, Mapping) else value
        for name, value in description.items()
    }
    return table[one_of("optimizer", settings.pop("name", None), table)](**settings)


def __getattr__(name: str) -> Any:
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
