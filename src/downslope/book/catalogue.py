"""Everything of the chapter that can be run here: its figures by number, its printed runs and listings by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Literal

from downslope import checks

__all__ = ["Entry", "entries", "entry"]

Kind = Literal["training", "landscape", "rates", "class", "schedule", "claims"]


@dataclass(frozen=True)
class Entry:
    """One figure or listing.

    Attributes
    ----------
    key : str
        What it is asked for by: "fig10.19", or a name where it has no number.
    title, about : str
        A line, and one or two sentences on what there is to see.
    kind : str
        How it is made: "training", "landscape" (a function, with or without a descent), "rates" (values against
        steps), "class" (one of the chapter's optimizers), "schedule" or "claims".
    settings : mapping
        Of a training: the chapter's optimizer and its arguments, as `scripts.script` takes them.
    printed : str or None
        The name of the run whose rows the chapter prints.
    also : tuple of str
        Other names it answers to.
    animated : bool
        Whether there is an animation of it.
    """

    key: str
    title: str
    about: str
    kind: Kind
    settings: Mapping[str, Any] = field(default_factory=dict)
    printed: str | None = None
    also: tuple[str, ...] = ()
    animated: bool = False

    @property
    def number(self) -> str | None:
        """The figure's number, "10.19"; None for a listing."""
        return self.key.removeprefix("fig") if self.key.startswith("fig") else None


_NOTES = {
    "sgd_lr_0.85": "Plain descent with a rate of 0.85: it makes way, and the loss jumps about to the end.",
    "sgd_decay_1e-2": "The rate falls so fast that the training is stuck near where it began.",
    "sgd_decay_1e-3": "A tenth of that decay leaves the training room to move.",
    "sgd_momentum_0.5": "The same with half of each update carried over into the next.",
    "sgd_momentum_0.9": "Nine tenths carried over: the training escapes where it was stuck before.",
    "adagrad": "Each weight has a rate of its own, which only ever falls: slow, and steadily downwards.",
    "rmsprop": "Each weight's rate follows its latest gradients; with these settings it is slow.",
    "rmsprop_tuned": "The same rule with a larger rate, less decay and a longer memory.",
}


_CLASSES = {
    "SGD": "Plain descent, with decay and with momentum: its arguments, what it leaves on a layer, and its rule.",
    "Adagrad": "A rate for each weight, divided by the root of the sum of its squared gradients.",
    "RMSprop": "The same with a running mean in place of the sum, so that rates can rise again.",
    "Adam": "Momentum and RMSProp together, both corrected for their start at zero.",
}


@cache
def entries() -> dict[str, Entry]:
    """Return all entries by key: figures in the order of their numbers, then listings."""
    from downslope.book.descents import DESCENTS
    from downslope.book.printed import PRINTED

    found = [
        Entry(
            "fig10.01",
            "A training run in one picture",
            "Points over decision regions, a square for every weight and bias and for its last update, and three "
            "graphs: plain descent with a rate of 1.",
            "training",
            {"optimizer": "SGD", "learning_rate": 1.0},
            animated=True,
        )
    ]
    for number, record in DESCENTS.items():
        kinds: dict[str, Kind] = {"function": "landscape", "descent": "landscape", "rates": "rates"}
        found.append(
            Entry(f"fig{number}", record.title, record.caption, kinds[record.kind], animated=record.kind == "descent")
        )
    for name, run in PRINTED.items():
        figure = re.search(r"^Fig (\d+\.\d+)$", run.figure)
        key = f"fig{figure[1]}" if figure else name
        also = (name,) if figure else ()
        found.append(
            Entry(key, _named(run.settings), _NOTES[name], "training", run.settings, name, also, animated=True)
        )
    adam = {"optimizer": "Adam", "learning_rate": 0.02, "decay": 1e-5}
    for name, told in _CLASSES.items():
        found.append(
            Entry(f"optimizer_{name.lower()}", f"The class Optimizer_{name}", told, "class", {"optimizer": name})
        )
    found += [
        Entry(
            "adam",
            _named(adam),
            "The chapter names Adam as the other main choice and prints no run of it; this is the same network.",
            "training",
            adam,
            animated=True,
        ),
        Entry(
            "decay",
            "A learning rate that decays",
            "The rate of each step, learning_rate / (1 + decay · step): from 1 with a decay of 0.1 it is 0.91 after "
            "one step and a third after twenty. Beside it the decays of the printed runs.",
            "schedule",
        ),
        Entry(
            "claims",
            "What the chapter says of its optimizers, over many runs",
            "Each claim as a statement that a run fulfils or not, and how often it does: over other seeds, and over "
            "the chapter's own weights moved by at most one unit in the last place.",
            "claims",
        ),
    ]
    return {each.key: each for each in found}


def entry(text: str) -> Entry:
    """Return the entry of a key, a figure's number or a run's name, or raise InputError.

    Examples
    --------
    >>> entry("10.19").key, entry("Fig 10.19").key, entry("sgd_momentum_0.9").key
    ('fig10.19', 'fig10.19', 'fig10.19')
    """
    if not isinstance(text, str):
        raise checks.refuse("figure", "a figure or listing of the chapter, such as fig10.19", text)
    asked = re.sub(r"^(?:figure|fig\.?)?\s*(?=10\.)", "fig", text.strip().lower())
    names = {name: each for each in entries().values() for name in (each.key, *each.also)}
    if asked in names:
        return names[asked]
    rule = "a figure from fig10.01 to fig10.21 or a listing (see: downslope chapter list)"
    raise checks.refuse("figure", rule, text)


def _named(settings: Mapping[str, Any]) -> str:
    """Return the optimizer and what was chosen for it, in words."""
    left_out = {"optimizer", "epsilon"}
    told = [f"{name.replace('_', ' ')} {value:g}" for name, value in settings.items() if name not in left_out]
    return f"{settings['optimizer']}: {', '.join(told)}"
