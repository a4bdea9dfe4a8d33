"""What a row of `downslope tree` tells, in few words: from descriptions, so that a rule of one's own needs no code."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from typing import Any

from downslope.rules import RULES
from downslope.schedules.text import number_text, schedule_words
from downslope.training.tree import Node

__all__ = ["entry_words", "node_words", "printable", "rule_words"]

SHORT = {"learning_rate": "lr", "batch_size": "batch"}
KINDS = {"reduce": "rate reduced", "stop": "stopped"}
UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # controls, marks of direction, halves of characters, ends of lines


def printable(text: str) -> str:
    r"""Return a text in which what moves the cursor or cannot be seen, as in a directory's name, stands as an escape.

    Examples
    --------
    >>> print(printable("a\x1b[31m\nθ"))
    a\x1b[31m\nθ
    """
    return "".join(
        one.encode("unicode_escape").decode() if unicodedata.category(one) in UNSEEN else one for one in text
    )


def node_words(node: Node, known: Collection[str]) -> list[str]:
    """Return where a run came from and what was done to it, one text for each; `known` are the ids that are here."""
    if node.copy_of is not None:
        return [f"the same run as {node.copy_of}"]
    parts, own = [], node.own_log
    if node.parent is not None:
        gone = "" if node.parent.id in known else f"{node.parent.id[:8]}, which is not here, "
        begins = (node.parent.step, node.parent.told)
        changed = node.parent.told and next(
            (entry_words(one) for one in node.log if (one["step"], one["told"]) == begins), node.parent.told
        )
        if not changed and own and (own[0]["kind"], own[0]["step"]) == ("guard", node.parent.step):
            changed = entry_words(own.pop(0))  # it began with another guard, and with no other change
        parts.append(f"from {gone}step {node.parent.step}{': ' * bool(changed)}{changed}")
    elif node.began:
        parts.append(rule_words(node.began))
    return parts + [f"step {one['step']}: {entry_words(one)}" for one in own]


def entry_words(entry: Mapping[str, Any]) -> str:
    """Return what an entry of a log did: `lr=0.05`, `rollback, lr 50→25`."""
    kind, settings, rule = entry["kind"], entry.get("settings", {}), entry.get("optimizer") or {}
    if kind in ("change", "guard"):
        words = [
            rule_words(rule, entry["step"])
            if name == "optimizer"
            else f"{SHORT.get(name, name)}={_value(rule[name], entry['step']) if name in rule else after}"
            for name, (_, after) in settings.items()
        ]
        return ", ".join(words) or str(entry["told"])
    told = str(KINDS.get(kind, kind))
    if "learning_rate" not in settings:
        return told
    before, now = (_read(text) for text in settings["learning_rate"])
    if now is None:  # a schedule goes on, and its text would hide what became of it
        factor = _factor(rule.get("learning_rate"))
        return told if factor is None else f"{told}, lr {number_text(factor)} × its schedule"
    if before is None:
        return f"{told}, lr held at {number_text(now)}"
    return f"{told}, lr {number_text(before)}→{number_text(now)}"


def rule_words(described: Mapping[str, Any], step: int = 0) -> str:
    """Return an optimizer without the settings that are at their defaults.

    Examples
    --------
    >>> rule_words({"name": "sgd", "learning_rate": 0.5, "momentum": 0.9, "nesterov": False})
    'SGD(lr=0.5, momentum=0.9)'
    """
    known = RULES.get(described["name"])
    defaults = {} if known is None else {name: one.default for name, one in known.settings.items()}
    shown = [
        f"{SHORT.get(name, name)}={_value(value, step)}"
        for name, value in described.items()
        if name != "name" and (name == "learning_rate" or name not in defaults or value != defaults[name])
    ]
    return f"{described['name'] if known is None else known.__name__}({', '.join(shown)})"


def _value(value: Any, step: int) -> str:
    if isinstance(value, Mapping):
        return schedule_words(value, step)
    return number_text(value) if isinstance(value, float) else str(value)


def _read(text: str) -> float | None:
    """Return the number a text stands for, or None."""
    try:
        return float(text)
    except ValueError:
        return None


def _factor(described: Any) -> float | None:
    return described.get("factor") if isinstance(described, Mapping) and described["name"] == "scaled" else None
