"""What the document of a run looks like: one that somebody else wrote is told from it before anything goes by it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from downslope.schedules.text import schedule_words

__all__ = ["check_shape"]

Shape: TypeAlias = Callable[[Any], bool]

LARGEST = 2**63  # what fits into an array, and into a float


def check_shape(document: Any) -> None:
    """Raise ValueError, or what reading it raises, unless a document has what `load` and `read_forest` read of it.

    What is checked by those who make something of it, such as a network of its description, is only there.
    """
    if not _DOCUMENT(document):
        raise ValueError("this is no document of a run")
    header = document["header"]
    if "validation_loss" in header["numbers"] and "validation" not in header.get("measured", ["validation"]):
        raise ValueError("a run with a validation part is measured on that")
    for entry in ({"step": 0, "optimizer": document["first_optimizer"]}, *document["log"]):
        for value in (entry.get("optimizer") or {}).values():
            if isinstance(value, Mapping):
                schedule_words(value, entry["step"])  # what cannot be told in words is no schedule


def _anything(_value: Any) -> bool:
    return True


def _text(value: Any) -> bool:
    return type(value) is str


def _whole(value: Any) -> bool:
    return type(value) is int and abs(value) < LARGEST


def _number(value: Any) -> bool:
    return type(value) is float or _whole(value)


def _or_none(shape: Shape) -> Shape:
    return lambda value: value is None or shape(value)


def _list_of(shape: Shape) -> Shape:
    return lambda value: isinstance(value, list) and all(map(shape, value))


def _all_of(shape: Shape) -> Shape:
    """Return the shape of a mapping of names to values of one shape."""
    return lambda value: isinstance(value, Mapping) and all(map(shape, value.values()))


def _row_of(*shapes: Shape) -> Shape:
    """Return the shape of a list with a shape for each place."""
    return lambda value: (
        isinstance(value, list)
        and len(value) == len(shapes)
        and all(shape(one) for shape, one in zip(shapes, value, strict=True))
    )


def _with(required: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None) -> Shape:
    """Return the shape of a mapping with these names; `optional` ones may be missing, and there may be others."""
    return lambda value: (
        isinstance(value, Mapping)
        and all(name in value and shape(value[name]) for name, shape in required.items())
        and all(name not in value or shape(value[name]) for name, shape in (optional or {}).items())
    )


_NAMED, _MAPPING, _NUMBERS = _with({"name": _text}), _all_of(_anything), _all_of(_number)

_HEADER = _with(
    {
        "id": _text,
        "parent": _or_none(_row_of(_text, _whole, _text)),
        "created": _text,
        "saved": _text,
        "step": _whole,
        "epoch": _whole,
        "numbers": _NUMBERS,
        "network": _text,
        "loss": _text,
        "data": _with({"name": _text, "rows": _whole, "digest": _text}),
        "optimizer": _text,
        "batch_size": _whole,
        "seed": _anything,
        "engine": _text,
        "guard": _or_none(_text),
        "changes": _whole,
    },
    {"measured": _with({"training": _NUMBERS}, {"validation": _NUMBERS})},
)
_ENTRY = _with(
    {"step": _whole, "epoch": _whole, "kind": _text, "by": _text, "told": _text},
    {
        "optimizer": _or_none(_NAMED),
        "batch_size": _or_none(_whole),
        "back_from": _or_none(_whole),
        "good": _or_none(_whole),
        "guard": _or_none(_MAPPING),
        "settings": _all_of(_row_of(_text, _text)),
        "signals": _all_of(_or_none(_number)),
    },
)
_DOCUMENT = _with(
    {
        "header": _HEADER,
        "network": _MAPPING,
        "data": _with({"name": _text, "rows": _whole, "digest": _text, "normals_drawn": _whole}),
        "given": _with({"loss": _MAPPING, "validation": _anything, "seed": _anything, "guard": _or_none(_MAPPING)}),
        "preparation": _with({"inputs": _MAPPING, "targets": _MAPPING}),
        "start": _text,
        "first_optimizer": _NAMED,
        "optimizer": _NAMED,
        "slots": _list_of(_text),
        "own": _with({"rules": _all_of(_or_none(_text)), "schedules": _all_of(_or_none(_text))}),
        "log": _list_of(_ENTRY),
        "batch_size": _anything,
        "pending_batch_size": _anything,
        "acted": _whole,
        "quiet_until": _whole,
        "engine": _MAPPING,
        "versions": _with({"downslope": _text, "python": _text, "numpy": _text}),
    }
)
