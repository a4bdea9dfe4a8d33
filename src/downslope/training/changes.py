"""What a change does: to the optimizer, to its slots, and how it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from downslope import checks
from downslope.engines.problem import State
from downslope.errors import InputError
from downslope.rules import Optimizer
from downslope.schedules import Schedule

__all__ = ["carried", "changed_rule", "differing_settings", "told"]


def changed_rule(rule: Optimizer, step: int, optimizer: Any, schedule: Any, settings: Mapping[str, Any]) -> Optimizer:
    """Return the optimizer in force after `step` updates; a schedule that is given begins there.

    Parameters
    ----------
    rule : Optimizer
        The one in force before.
    step : int
        The updates made.
    optimizer : Optimizer or None
        Another one.
    schedule : Schedule, function or None
        Of the learning rate.
    settings : mapping of str to value
        Settings to be changed, of `optimizer` where that is given.
    """
    if optimizer is not None and not isinstance(optimizer, Optimizer):
        raise checks.refuse("optimizer", "an optimizer such as SGD(learning_rate=0.1)", optimizer)
    given = dict(settings)
    if schedule is not None:
        if "learning_rate" in given:
            raise InputError(
                "the learning rate must change in one way only: give learning_rate or schedule. Received: both"
            )
        if not callable(schedule) or isinstance(schedule, type):
            raise checks.refuse("schedule", "a schedule such as InverseTime(1.0, decay=0.001)", schedule)
        given["learning_rate"] = schedule
    if optimizer is not None:
        given = {**{name: value for name, value in optimizer.values().items() if callable(value)}, **given}
    begun = {name: _begun(value, step) if callable(value) else value for name, value in given.items()}
    return (rule if optimizer is None else optimizer).replace(**begun)


@dataclass(frozen=True)
class Later:
    """Somebody's function of the step, which begins after `start` updates; it can be pickled where that can."""

    function: Callable[[Any], Any]
    start: int

    def __call__(self, k: Any) -> Any:
        """Return the function's value."""
        return self.function(max(k - self.start, 0))


def _begun(schedule: Callable[[Any], Any], step: int) -> Callable[[Any], Any]:
    """Return a schedule, or somebody's function, as one that begins after `step` updates."""
    if isinstance(schedule, Schedule):
        return schedule.shifted(step)
    if isinstance(schedule, type) or not step:
        return schedule
    return Later(schedule, step)


def carried(state: State, before: Optimizer, after: Optimizer, *, clear: bool = False) -> State:
    """Return the state with the slots that `after` goes on with.

    As long as the rule stays, slots that it uses before and after keep their values, whatever setting changes: in the
    form used here the learning rate is inside the velocity, so what already moves is not rescaled. A slot that comes
    into use begins at zero. Another rule begins with all slots at zero, and its corrections for that start count from
    here; unless both are of one `slot_family` (Adam, AdamW, NAdam, RAdam, AMSGrad, AdEMAMix), whose slots of the same
    name mean the same and are kept. With `clear` the slots that hold momentum are set to zero.
    """
    same = type(before) is type(after) or (before.slot_family != "" and before.slot_family == after.slot_family)
    resting = after.momentum_slots if clear else ()
    slots = {
        name: state.slots[name]
        if same and name in state.slots and name not in resting
        else np.zeros_like(state.parameters)
        for name in after.slots_in_use()
    }
    return replace(state, slots=slots, slots_since=state.slots_since if same else state.step)


def differing_settings(before: Optimizer, after: Optimizer) -> dict[str, tuple[str, str]]:
    """Return the settings that differ, as text before and after."""
    if type(before) is not type(after):
        return {"optimizer": (repr(before), repr(after))}
    old, new = before.values(), after.values()
    return {name: (_text(old[name]), _text(new[name])) for name in new if old[name] != new[name]}


def told(settings: Mapping[str, tuple[str, str]]) -> str:
    """Return changed settings as one line: `learning_rate=0.05 (was 1.0)`."""
    return ", ".join(f"{name}={after} (was {before})" for name, (before, after) in settings.items())


def _text(value: Any) -> str:
    return repr(value) if not callable(value) or isinstance(value, Schedule) else "a function"
