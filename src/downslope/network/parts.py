"""What layers, losses and initializers share: unchanging settings, a plain description, and a look-up by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, ClassVar, TypeAlias, TypeVar

from numpy.typing import NDArray

from downslope import checks
from downslope.errors import InputError

__all__ = ["Array", "Part", "look_up"]

Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, repr=False)
class Part:
    """An immutable description of one part of a network: a name and its settings.

    Parts compare and hash by their settings, and their `repr` is the code that builds them again.
    """

    name: ClassVar[str]

    def describe(self) -> dict[str, Any]:
        """Return the name and every setting as values that JSON can hold; `look_up` gives back an equal part."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {"name": self.name} | {
            name: value.describe() if isinstance(value, Part) else value for name, value in values.items()
        }

    def __repr__(self) -> str:
        shown = []
        for field in fields(self):
            value = getattr(self, field.name)
            if field.default is MISSING:
                shown.append(repr(value))
            elif value != field.default:
                shown.append(f"{field.name}={value!r}")
        return f"{type(self).__name__}({', '.join(shown)})"

    def _settle(self, **values: Any) -> None:
        """Store checked settings; only `__post_init__` may call this."""
        for name, value in values.items():
            object.__setattr__(self, name, value)


P = TypeVar("P", bound=Part)


def look_up(role: str, kind: type[Any], table: Mapping[str, type[P]], value: Any) -> P:
    """Return the part of `kind` that `value` stands for.

    Parameters
    ----------
    role : str
        What the part is called in an error: "activation", "loss".
    kind : type
        The class that a ready part must have.
    table : mapping of str to type
        The known names.
    value : Part, str or dict
        A part, a name (upper case and underscores are read as lower case and hyphens), or what `describe` gave.

    Raises
    ------
    InputError
        If the name, a setting's name or a setting's value is not known.
    """
    if isinstance(value, kind):
        ready: P = value
        return ready
    settings: dict[str, Any] = {}
    name = value
    if isinstance(value, Mapping):
        settings = {str(key): setting for key, setting in value.items()}
        name = settings.pop("name", None)
    if isinstance(name, str) and name.lower().replace("_", "-") in table:
        name = name.lower().replace("_", "-")
    part = table[checks.one_of(role, name, table)]
    known = {field.name: field for field in fields(part)}
    unknown = sorted(settings.keys() - known.keys())
    missing = [field.name for field in known.values() if field.default is MISSING and field.name not in settings]
    if unknown:
        raise InputError(f"{name} must be described by {list(known)} only. Received: {', '.join(unknown)}")
    if missing:
        raise InputError(f"{name} must be described with {', '.join(missing)}. Received: {role}={value!r}")
    return part(**settings)
