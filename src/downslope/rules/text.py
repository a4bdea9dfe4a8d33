"""An optimizer in few words: as code reads, without the settings that go without saying."""

from __future__ import annotations

from typing import Any

from downslope.rules.optimizer import Optimizer
from downslope.schedules.text import in_words

__all__ = ["code_text", "value_text"]


def value_text(value: Any) -> str:
    """Return a setting's value as code reads; of a function only that it is one."""
    return "<function>" if callable(value) and repr(value).startswith("<") else repr(value)


def code_text(optimizer: Optimizer, *, rate: bool = True, caption: bool = False) -> str:
    """Return the optimizer as code reads, without the settings that are at their defaults.

    The learning rate is told always, or with `rate` False never. For a caption numbers have four digits, and schedules
    that are made of others are told in words; without, the text gives every digit.

    Examples
    --------
    >>> from downslope.rules import SGD
    >>> code_text(SGD(1.0, momentum=0.9)), code_text(SGD(0.5), rate=False)
    ('SGD(learning_rate=1.0, momentum=0.9)', 'SGD()')
    >>> code_text(SGD(0.1 + 0.2, momentum=0.9), caption=True)
    'SGD(learning_rate=0.3, momentum=0.9)'
    """
    text = in_words if caption else value_text
    shown = [
        f"{name}={text(value)}"
        for name, value in optimizer.values().items()
        if (rate if name == "learning_rate" else value != optimizer.settings[name].default)
    ]
    return f"{type(optimizer).__name__}({', '.join(shown)})"
