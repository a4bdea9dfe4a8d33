"""The sets that can be had by name, as the command lists and loads them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from downslope import checks
from downslope.data import generated, sklearn_sets
from downslope.data.dataset import Dataset
from downslope.data.sources import ENDINGS
from downslope.errors import InputError

__all__ = ["SETS", "NamedSet", "named"]


@dataclass(frozen=True)
class NamedSet:
    """One entry of the catalogue.

    Parameters
    ----------
    make : callable
        The function that returns the set; its name is the set's.
    size : str
        Rows, features and classes, with the default settings.
    """

    make: Callable[..., Dataset]
    size: str

    @property
    def description(self) -> str:
        """What the set is, in one line."""
        return next(iter((inspect.getdoc(self.make) or "").splitlines()), "").removeprefix("Return ")

    @property
    def settings(self) -> Mapping[str, Any]:
        """The settings the set takes, and their defaults."""
        return {name: parameter.default for name, parameter in inspect.signature(self.make).parameters.items()}


_ALL = (
    NamedSet(generated.spiral, "300 rows, 2 features, 3 classes"),
    NamedSet(generated.moons, "200 rows, 2 features, 2 classes"),
    NamedSet(generated.circles, "200 rows, 2 features, 2 classes"),
    NamedSet(generated.blobs, "300 rows, 2 features, 3 classes"),
    NamedSet(generated.xor, "200 rows, 2 features, 2 classes"),
    NamedSet(generated.line, "100 rows, 1 feature, 1 number to predict"),
    NamedSet(generated.sine, "100 rows, 1 feature, 1 number to predict"),
    NamedSet(sklearn_sets.iris, "150 rows, 4 features, 3 classes"),
    NamedSet(sklearn_sets.wine, "178 rows, 13 features, 3 classes"),
    NamedSet(sklearn_sets.breast_cancer, "569 rows, 30 features, 2 classes"),
    NamedSet(sklearn_sets.digits, "1797 rows, 64 features, 10 classes"),
    NamedSet(sklearn_sets.diabetes, "442 rows, 10 features, 1 number to predict"),
)
SETS: Mapping[str, NamedSet] = MappingProxyType({entry.make.__name__: entry for entry in _ALL})


def named(name: str, **options: Any) -> Dataset:
    """Return the set called `name`, drawn with these settings.

    Raises
    ------
    InputError
        If there is no such set, or it does not take one of the settings.
    """
    if not isinstance(name, str) or name not in SETS:
        raise InputError(
            f"data must be one of {', '.join(SETS)}, or a path to a {', '.join(ENDINGS)} file. "
            f"Received: {name!r}{checks.did_you_mean(name, SETS)}"
        )
    entry = SETS[name]
    for option, value in options.items():
        if option not in entry.settings:
            takes = ", ".join(entry.settings) or "no settings"
            raise InputError(f"the {name} set must be given only what it takes: {takes}. Received: {option}={value!r}")
    return entry.make(**options)
