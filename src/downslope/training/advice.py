"""What the guard tells a person: one sentence for each thing noticed, with its numbers, a setting and a direction."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from downslope.engines.guard import LEAST_DEAD
from downslope.engines.judge import ALARM, CLIPPED, DEAD, OSCILLATION, PLATEAU, WATCH
from downslope.engines.problem import Alert
from downslope.errors import NonFiniteError
from downslope.network import ReLU

if TYPE_CHECKING:
    from downslope.training.log import Entry
    from downslope.training.run import Run

__all__ = ["KINDS", "Seen", "advice", "cause", "lower", "noticed", "rate_at", "since"]

KINDS = {"watch": WATCH, "alarm": ALARM, "plateau": PLATEAU, "oscillation": OSCILLATION, "dead": DEAD, "clip": CLIPPED}

# An explosion comes within a few steps of its cause; a ramp or a larger momentum takes some tens.
RECENT_STEPS = 100
LARGE_UPDATE = 0.1
TINY_UPDATE = 1e-5
LARGE_PROMISE = 2.0  # −Δθ·g over the loss: more than there is to fall
LARGE_MOMENTUM = 0.8
FAR_UPDATE = 3.0  # an update, over those of the epoch before
LARGER_IS_LONGER = ("learning_rate", "momentum", "beta_1", "beta_2", "beta_3", "rho", "alpha")
LARGER_IS_CALMER = ("batch_size", "epsilon", "weight_decay")


class Seen(NamedTuple):
    """The signals of one step by name; each as `downslope.engines.judge.SIGNALS` says."""

    step: float = math.nan
    loss: float = math.nan
    gradient_norm: float = math.nan
    slope_before: float = math.nan
    slope_after: float = math.nan
    slope_now: float = math.nan
    update_norm: float = math.nan
    weight_norm: float = math.nan
    largest_weight: float = math.nan
    learning_rate: float = math.nan
    dead: float = math.nan

    @property
    def update_ratio(self) -> float:
        """Norm of the update over the norm of the weights before it."""
        return self.update_norm / self.weight_norm if self.weight_norm > 0 else math.nan

    @property
    def slope_ratio(self) -> float:
        """R = 1 − (Δθ·g_after) / (Δθ·g_before) of the update before: above 1 the slope along it has turned."""
        return 1.0 - self.slope_after / self.slope_before if self.slope_before else math.nan


def advice(alert: Alert, run: Run, steps_per_epoch: int | None = None) -> list[tuple[str, str]]:
    """Return what to tell of an alert: a kind and one sentence for each of its codes.

    Kinds are those of `KINDS`. An alarm stands for the watch that it confirms. `steps_per_epoch` are those of the
    alert's epoch, after which another batch size may be in force by now.
    """
    each = steps_per_epoch or run.problem.steps_per_epoch
    codes = alert.codes & ~WATCH if alert.codes & ALARM else alert.codes
    seen = Seen(*alert.signals)
    return [
        (kind, f"step {alert.step}: {_SENTENCES[kind](seen, alert.step, run, each)}")
        for kind, bit in KINDS.items()
        if codes & bit
    ]


def noticed(problem: Alert | NonFiniteError, run: Run) -> str:
    """Return what an alarm, or an error of the engine, was raised for: "the update is 0.46 of the weights, …"."""
    if isinstance(problem, NonFiniteError):
        found = re.search(r": (an? .* is not finite)", str(problem))
        return found[1] if found else "a number is not finite"
    return _excess(Seen(*problem.signals), run, run.problem.steps_per_epoch)


def rate_at(run: Run, step: int) -> float:
    """Return the learning rate that update `step` uses by the run's optimizer as it is now."""
    return float(run.optimizer.at(max(step, 1)).learning_rate)


def cause(run: Run, step: int) -> Entry | None:
    """Return the user's last change, where it was made in the last steps before `step`, to which it points."""
    for entry in reversed(run.log):
        if entry.kind == "change" and entry.by == "user" and entry.acts:
            return entry if step - RECENT_STEPS <= entry.step <= step else None
    return None


def since(run: Run, step: int) -> str:
    """Return the words that name the user's change before `step`, or "" where there was none of late."""
    changed = cause(run, step)
    if changed is None:
        return ""
    steps = step - changed.step
    when = "right after" if steps <= 1 else f"{steps} steps after"
    return f", {when} a change ({changed.told})"


def lower(run: Run, step: int) -> str:
    """Return the advice to take smaller steps.

    Beside the rate stands another setting where the user changed that last, in the direction that can have done it, and
    left the rate alone; and momentum where it makes steps long.
    """
    now = run.optimizer.at(max(step, 1)).values()
    rate = f"lower learning_rate (now {now['learning_rate']:.4g})"
    changed = cause(run, step)
    settings = {} if changed is None else changed.settings
    if not _grew("learning_rate", settings):
        for name, (before, _) in settings.items():
            if name not in ("learning_rate", "optimizer") and _grew(name, settings):
                return f"take {name} back to {before}, or {rate}"
    momentum = now.get("momentum", 0.0)
    return f"{rate} or momentum (now {momentum:g})" if momentum >= LARGE_MOMENTUM else rate


def _grew(name: str, settings: Mapping[str, tuple[str, str]]) -> bool:
    """Return whether a setting was changed in the direction that makes updates longer or rougher, or may have been."""
    if name not in settings:
        return False
    try:
        before, after = (float(text) for text in settings[name])
    except ValueError:  # a schedule, or nothing that has a direction
        return True
    if name in LARGER_IS_CALMER:
        before, after = after, before
    elif name not in LARGER_IS_LONGER:
        return True
    return after > before


def _excess(seen: Seen, run: Run, each: int) -> str:
    """Return what is out of proportion at a step of a run with so many steps an epoch."""
    for name, value in (("loss", seen.loss), ("gradient", seen.gradient_norm)):
        if not math.isfinite(value):
            return f"the {name} is not finite"
    if not math.isfinite(seen.update_norm + seen.largest_weight):
        return "a weight is not finite"
    before, usual = (_before(run, name, seen.step, each) for name in ("loss", "update_ratio"))
    parts = []
    if seen.update_ratio > LARGE_UPDATE:
        of = "of" if seen.update_ratio < 1 else "times"
        parts.append(f"the update is {_number(seen.update_ratio)} {of} the weights")
    elif seen.update_ratio > FAR_UPDATE * usual > 0:
        parts.append(f"the update is {_number(seen.update_ratio / usual)} times as long as in the last epoch")
    if seen.slope_ratio > 1:
        parts.append(f"the slope turned (r = {_number(seen.slope_ratio)})")
    promise = -seen.slope_now / seen.loss if seen.loss > 0 else 0.0
    if promise > LARGE_PROMISE:
        parts.append(f"the slope along the update promises a fall of {_number(promise)} times the loss")
    if seen.loss > 2 * before:
        parts.append(f"the loss is {seen.loss:.3g} after {before:.3g} in the last epoch")
    if not parts:
        parts.append(f"the loss is {seen.loss:.3g}, the norm of its gradient {seen.gradient_norm:.3g}")
    return _joined(parts)


def _number(value: float) -> str:
    """Return two digits of a number, and all before the point: 0.046, 3.1, 182, 25,310."""
    if value < 9.95:
        return f"{value:.2g}"
    return f"{value:,.0f}" if value < 1e6 else f"{value:.2g}"


def _before(run: Run, name: str, step: float, each: int) -> float:
    """Return what the history has of the last epoch complete before update `step`; the run may be further by now."""
    position = run.epoch * each + run.state.batch - (run.step - (int(step) - 1))
    values = getattr(run.history, name)[: max(position // each, 0)]
    return float(values[-1]) if len(values) else math.nan


def _explosive(seen: Seen, step: int, run: Run, each: int) -> str:
    return f"{_excess(seen, run, each)}{since(run, step)}: {lower(run, step)}"


def _plateau(seen: Seen, step: int, run: Run, each: int) -> str:
    rate, ratio, r = seen.learning_rate, seen.update_ratio, seen.slope_ratio
    first = rate_at(run, 1)
    stuck = f"the loss stays at {seen.loss:.4g}" if math.isfinite(seen.loss) else "the loss no longer falls"
    if rate < 0.1 * first:
        return (
            f"{stuck} and learning_rate has fallen from {first:.4g} to {rate:.3g}: "
            "raise learning_rate, or let its schedule fall more slowly"
        )
    if ratio < TINY_UPDATE:
        return f"{stuck} and an update is only {ratio:.1g} of the weights: raise learning_rate (now {rate:.4g})"
    if r > 1:
        return f"{stuck} and updates overshoot (r = {r:.3g}): lower learning_rate (now {rate:.4g})"
    if r < 0.5:
        return (
            f"{stuck} and the slope hardly changes along an update (r = {r:.3g}): raise learning_rate (now {rate:.4g})"
        )
    return f"{stuck} at a learning_rate that has not been lowered: lower learning_rate (now {rate:.4g})"


def _oscillation(seen: Seen, step: int, run: Run, each: int) -> str:
    return f"after most updates the slope along them has turned, while the loss hardly falls: {lower(run, step)}"


def _dead(seen: Seen, step: int, run: Run, each: int) -> str:
    steps = max(int(LEAST_DEAD), each)
    share = f"{seen.dead:.0%} of the hidden units" if math.isfinite(seen.dead) else "many hidden units"
    instead = ", or use leaky-relu in place of relu" if any(isinstance(one, ReLU) for one in run.network.layers) else ""
    return (
        f"{share} had no gradient in the last {steps} steps: "
        f"lower learning_rate (now {seen.learning_rate:.4g}) in a new run{instead}"
    )


def _clip(seen: Seen, step: int, run: Run, each: int) -> str:
    clip = getattr(run.guard, "clip", None)
    raised = "" if clip is None else f", or raise clip (now {clip:g}) if such gradients belong to the data"
    return (
        f"a gradient of norm {seen.gradient_norm:.3g} was shortened: lower learning_rate (now {seen.learning_rate:.4g})"
        f"{raised}"
    )


_SENTENCES = {
    "watch": _explosive,
    "alarm": _explosive,
    "plateau": _plateau,
    "oscillation": _oscillation,
    "dead": _dead,
    "clip": _clip,
}


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
