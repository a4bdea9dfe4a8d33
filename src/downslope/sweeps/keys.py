"""What names a run: a digest of everything that shapes its numbers, the code of a user's own rule included."""

from __future__ import annotations

import hashlib
import json
import uuid
from typing import Any

from downslope.fingerprint import code_fingerprint
from downslope.rules import Optimizer
from downslope.schedules import Schedule
from downslope.training.own_code import schedule_members, schedule_parts

__all__ = ["FORMAT", "UNTOLD", "canonical", "code_of", "digest_of", "functions_of", "settings_of"]

FORMAT = 1
"""Raised whenever the package's own rules, kernels or records change what a run's numbers are."""

UNTOLD = "untold"
"""Begins what stands for code whose changes cannot be seen; it is different in every process."""
_PROCESS = uuid.uuid4().hex


def canonical(content: Any) -> str:
    """Return JSON that is the same text for equal content."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"))


def digest_of(*texts: str) -> str:
    """Return 32 hexadecimal digits that change with any of the texts."""
    content = hashlib.blake2b(digest_size=16)
    for text in texts:
        encoded = text.encode()
        content.update(f"{len(encoded)}:".encode() + encoded)
    return content.hexdigest()


def code_of(optimizer: Optimizer) -> str | None:
    """Return a digest of the rule's code, so that an edited rule is another; None for the package's own rules."""
    rule = type(optimizer)
    return None if _is_ours(rule) else rule.fingerprint() or _untold(rule)


def functions_of(optimizer: Optimizer) -> dict[str, str]:
    """Return a text for each setting that is not told by its `repr`: functions, and schedules of one's own."""
    told = {}
    for name, value in optimizer.values().items():
        if isinstance(value, Schedule):
            kinds = {type(part) for part in schedule_parts(value)}
            own = sorted((kind for kind in kinds if not _is_ours(kind)), key=lambda kind: kind.__qualname__)
            if own:
                told[name] = " ".join([repr(value), *(_schedule_code(kind) for kind in own)])
        elif callable(value):
            told[name] = f"function {code_fingerprint(value) or _untold(value)}"
    return told


def settings_of(optimizer: Optimizer, functions: dict[str, str]) -> dict[str, str]:
    """Return every setting as text; `functions` are the texts of those that no swept setting changes."""
    return {
        name: functions[name] if callable(value) and name in functions else repr(value)
        for name, value in optimizer.values().items()
    }


def _schedule_code(kind: type) -> str:
    """Return a digest of a schedule's class, without the methods that make it a dataclass."""
    mine = [base for base in kind.__mro__ if base is not object and not _is_ours(base)]
    found = [digest for _, digest in schedule_members(kind, mine)]
    return _untold(kind) if None in found else digest_of(*map(str, found))


def _is_ours(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == "downslope"


def _untold(value: Any) -> str:
    return f"{UNTOLD} {_PROCESS} {id(value)}"
