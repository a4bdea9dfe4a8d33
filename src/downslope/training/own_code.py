"""Code of a user's own in what is saved: rules and schedules are told by name, and known again by their fingerprint."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from downslope import checks
from downslope.errors import InputError
from downslope.fingerprint import code_fingerprint, written_in
from downslope.network import INITIALIZERS, LAYERS, LOSSES, MLP, Dense, Loss, Network
from downslope.rules import RULES, Optimizer
from downslope.schedules import Schedule
from downslope.schedules.named import DESCRIBED

__all__ = [
    "changed_code",
    "check_parts",
    "fingerprints",
    "given_classes",
    "own_classes",
    "schedule_members",
    "schedule_parts",
]

MADE_BY_DATACLASS = {"__init__", "__eq__", "__hash__", "__setattr__", "__delattr__", "__repr__", "__replace__"}

K = TypeVar("K")


def check_parts(network: Network, loss: Loss) -> None:
    """Raise InputError where the network or the loss is of code of one's own, which no checkpoint holds."""
    if type(network) not in (Network, MLP):
        raise _of_ones_own("network", network)
    for place, layer in enumerate(network.layers):
        if type(layer) is not LAYERS.get(layer.name):
            raise _of_ones_own(f"layer {place}", layer)
        law = layer.initial_weights if isinstance(layer, Dense) else None
        if law is not None and type(law) is not INITIALIZERS.get(law.name):
            raise _of_ones_own(f"initial_weights of layer {place}", law)
    if type(loss) is not LOSSES.get(loss.name):
        raise _of_ones_own("loss", loss)


def own_classes(optimizers: Iterable[Optimizer]) -> tuple[dict[str, type[Optimizer]], dict[str, type[Schedule]]]:
    """Return the rules and the schedules of one's own among some optimizers, by name.

    Raises
    ------
    InputError
        If two of them have one name, or a plain function stands for a schedule: they could not be told again.
    """
    rules: dict[str, type[Optimizer]] = {}
    schedules: dict[str, type[Schedule]] = {}
    for optimizer in optimizers:
        optimizer.describe()  # says what of it cannot be saved
        kind = type(optimizer)
        if kind is not RULES.get(kind.name()):
            _enter("rule", rules, kind)
        for value in optimizer.values().values():
            for part in schedule_parts(value):
                if type(part) not in DESCRIBED.values():
                    _enter("schedule", schedules, type(part))
    return rules, schedules


def fingerprints(classes: Mapping[str, type[Any]]) -> dict[str, str | None]:
    """Return the fingerprint of each class's code; None where it reaches what cannot be told for certain."""
    return {
        name: kind.fingerprint() if issubclass(kind, Optimizer) else _schedule_fingerprint(kind)
        for name, kind in classes.items()
    }


def given_classes(option: str, given: Any, base: type[K]) -> dict[str, type[K]]:
    """Return classes that were given as a list, or by name, as a dictionary by name."""
    rule = f"a list of {base.__name__} classes"
    if isinstance(given, (type, str)) or not isinstance(given, Iterable):
        raise checks.refuse(option, rule, given)
    named = dict(given) if isinstance(given, Mapping) else {getattr(one, "name", str)(): one for one in given}
    for kind in named.values():
        if not (isinstance(kind, type) and issubclass(kind, base)):
            raise checks.refuse(option, rule, kind)
    return named


def changed_code(
    option: str, saved: Mapping[str, str | None], given: Mapping[str, type[Any]], *, comparable: bool
) -> Iterator[str]:
    """Yield a sentence for each class whose code cannot be compared with that of the one that was saved.

    Parameters
    ----------
    option : "rules" or "schedules"
        How they are given.
    saved : mapping of str to str or None
        The fingerprints.
    given : mapping of str to class
        What is there now.
    comparable : bool
        Whether Python is the same; fingerprints are of its byte code.

    Raises
    ------
    InputError
        If one is missing, or has other code.
    """
    what = option.removesuffix("s")
    for name, digest in saved.items():
        if name not in given:
            raise InputError(
                f"{option} must hold the {what} {name!r}, which this run was trained with and which is not of this "
                f"package. Received: {option}={', '.join(given) or 'none'}"
            )
        now = fingerprints({name: given[name]})[name]
        if digest is None or now is None or not comparable:
            yield f"whether the {what} {name!r} is the one this run was trained with cannot be told from its code"
        elif digest != now:
            raise InputError(
                f"the {what} {name!r} must have the code this run was trained with, so that it goes on as before. "
                f"Received: {given[name].__module__}.{given[name].__qualname__}, whose code is another"
            )


def _of_ones_own(what: str, value: Any) -> InputError:
    return InputError(
        f"{what} must be one of this package's for the run to be saved, since a checkpoint holds no code. "
        f"Received: {value!r}"
    )


def _enter(what: str, table: dict[str, Any], kind: Any) -> None:
    if table.setdefault(kind.name(), kind) is not kind:
        raise InputError(
            f"each {what} of one's own must have its own name for the run to be saved. Received: two named "
            f"{kind.name()!r}"
        )


def schedule_parts(value: Any) -> Iterator[Schedule]:
    """Yield a schedule and those it is made of; nothing for what is none."""
    if isinstance(value, Schedule):
        yield value
        for field in dataclasses.fields(value):  # type: ignore[arg-type]  # every schedule is a dataclass
            yield from schedule_parts(getattr(value, field.name))
    elif isinstance(value, tuple):
        for part in value:
            yield from schedule_parts(part)


def schedule_members(kind: type, bases: Iterable[type]) -> list[tuple[str, str | None]]:
    """Return name and digest of all that stands in some bases of a schedule's class, but what makes it a dataclass."""
    return [
        (name, code_fingerprint(member, known=kind.__mro__))
        for base in bases
        for name, member in written_in(base)
        if name not in MADE_BY_DATACLASS and not name.startswith("_abc_")
    ]


def _schedule_fingerprint(kind: type) -> str | None:
    """Return a digest of a schedule's class; None where it reaches what cannot be told for certain."""
    mine = [base for base in kind.__mro__ if base not in (Schedule, object, *DESCRIBED.values())]
    found = schedule_members(kind, mine)
    if any(digest is None for _, digest in found):
        return None
    return hashlib.blake2b(repr(found).encode(), digest_size=20).hexdigest()
