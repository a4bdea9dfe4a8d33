"""Pickling of what a script or a notebook defines, as its code: other machines cannot import it.

cloudpickle does that, but makes a class first and fills it later; a rule is checked the moment it is made, so it is
sent in one piece.
"""

from __future__ import annotations

import io
import pickle
import sys
from typing import Any

from downslope.rules import Optimizer

__all__ = ["dumps"]

# What Python and `Optimizer` add to a class when it is made.
ADDED = {"__dict__", "__weakref__", "__signature__", "settings", "scalar_names"}


def dumps(value: Any) -> bytes:
    """Return a pickle of a value, with the code of all that cannot be imported by its name.

    Raises
    ------
    PicklingError
        If a rule's code names the rule's own class, as `super()` does: such a rule has to stand in a module.
    """
    import cloudpickle

    met: set[type] = set()

    class Pickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle is not typed
        def reducer_override(self, thing: Any) -> Any:
            if isinstance(thing, type) and issubclass(thing, Optimizer) and not _can_be_imported(thing):
                if thing in met:  # again, before it was done
                    raise pickle.PicklingError(f"{thing.__name__}, whose own code names it, in no module")
                met.add(thing)
                own = {name: member for name, member in vars(thing).items() if name not in ADDED}
                return type(thing), (thing.__name__, thing.__bases__, own)
            return super().reducer_override(thing)

    content = io.BytesIO()
    Pickler(content).dump(value)
    return content.getvalue()


def _can_be_imported(kind: type) -> bool:
    if kind.__module__ == "__main__":
        return False
    found: Any = sys.modules.get(kind.__module__)
    for name in kind.__qualname__.split("."):
        found = getattr(found, name, None)
    return found is kind
