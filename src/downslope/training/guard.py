"""What follows where training goes wrong: the guard's policies."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

import numpy as np

from downslope import checks
from downslope.checks import Interval
from downslope.engines.guard import good_step
from downslope.engines.judge import LIMITS
from downslope.engines.problem import Alert, Watch
from downslope.errors import NonFiniteError
from downslope.rules.settings import Setting
from downslope.training.advice import advice, lower, noticed, rate_at, since
from downslope.training.plateau import LEAST_RATE, ReduceOnPlateau

if TYPE_CHECKING:
    from downslope.training.log import Entry
    from downslope.training.run import Run

__all__ = ["POLICIES", "Answer", "Guard", "ReduceOnPlateau", "advice", "after", "guard_from"]

POLICIES = {
    "warn": "tell of it and leave training alone",
    "stop": "at an alarm go back to the last good state and end",
    "rollback": "at an alarm go back to the last good state and go on with a lower learning rate",
    "clip": "shorten gradients far above their running mean; tell of the rest",
}

# Rollbacks this close to one another are about one thing, and each is stronger than the one before.
SAME_TROUBLE = 1000
MOST_DIVIDED = 1e300


@dataclass(frozen=True)
class Guard:
    """What follows where training goes wrong.

    At every step signals are looked at inside the loop of the engine. One that is out of proportion is a *watch*; an
    *alarm* is a loss, gradient or weight that is not finite, or signals that agree: at a new learning rate two or three
    measures that are large together, else three signals for four steps. Each is told once an episode, as are a plateau,
    oscillation, dead units.

    Parameters
    ----------
    policy : "warn", "stop", "rollback" or "clip"
        "warn": what is noticed is written to the run's log and warned of. Nothing is touched: training has the bits
        it has without a guard. "stop": at an alarm the run goes back to its last good state, and `ExplosionError` ends
        training. "rollback": it goes back likewise, the learning rate is divided by `factor`, momentum is cleared,
        and training goes on; a schedule goes on too, scaled. "clip": a gradient whose norm is above `clip` times its
        running mean is shortened to that; the rest as for "warn".
    factor : float
        What the learning rate is divided by at a rollback, above 1. Rollbacks within 1,000 steps of one another are
        about one thing, and the third divides by factor³, and so on; the second, too, by factor², unless the rate is
        above the one at which all went well before: then it returns to that at once, and none goes further below that
        one than by `factor`. A schedule goes on with every rate divided; one that keeps rising into the same trouble is
        held. Epochs that are undone leave the history.
    most : int
        How many rollbacks there may be, at least 1, counted from the user's last change on; then an alarm is a stop.
    clip : float
        At least 1; used by the policy "clip" alone.
    plateau : ReduceOnPlateau, optional
        Lowers the learning rate where the loss no longer falls; goes with each policy.
    limits : mapping, optional
        Thresholds by name, above 0, in place of the defaults; `downslope.engines.judge.LIMITS` lists them. "pattern",
        1 unless given, is a factor on all that make an alarm at a new rate: above 1 there are fewer alarms, and later.

    Raises
    ------
    InputError
        If a setting is not legal.

    Notes
    -----
    With Δθ the last update, and g the gradient before and after it, r = 1 − (Δθ·g_after) / (Δθ·g_before): 0 where the
    slope along the update did not change, 1 where it ended in the valley, above 2 where it went further up the other
    side than it came down. Full-batch descent trains well with curvature just above 2/η, where r is near 2, so r alone
    is no alarm.

    References
    ----------
    Cohen, Kaur, Li, Kolter, Talwalkar, *Gradient descent on neural networks typically occurs at the edge of stability*,
    arXiv:2103.00065 (2021).

    Examples
    --------
    >>> Guard("rollback", factor=4)
    Guard('rollback', factor=4.0)
    """

    settings: ClassVar[Mapping[str, Setting]] = MappingProxyType({
        "factor": Setting(2.0, Interval(above=1), "what a rollback divides the learning rate by", name="factor"),
        "most": Setting(5, Interval(at_least=1), "rollbacks until an alarm is a stop", name="most"),
        "clip": Setting(5.0, Interval(at_least=1), "longest gradient, in running means of its norm", name="clip"),
    })  # fmt: skip

    policy: str = "warn"
    factor: float = 2.0
    most: int = 5
    clip: float = 5.0
    plateau: ReduceOnPlateau | None = None
    limits: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        settled: dict[str, Any] = {"policy": checks.one_of("guard", self.policy, POLICIES)}
        settled |= {name: record.check(getattr(self, name)) for name, record in self.settings.items()}
        if self.plateau is not None and not isinstance(self.plateau, ReduceOnPlateau):
            raise checks.refuse("plateau", "a policy such as ReduceOnPlateau(patience=20)", self.plateau)
        settled["limits"] = None if self.limits is None else MappingProxyType(_limits(self.limits))
        for name, value in settled.items():
            object.__setattr__(self, name, value)

    def __repr__(self) -> str:
        shown = [repr(self.policy)]
        for field in fields(self)[1:]:
            own = getattr(self, field.name)
            if own != field.default:
                shown.append(f"{field.name}={dict(own) if field.name == 'limits' else own!r}")
        return f"Guard({', '.join(shown)})"

    def __hash__(self) -> int:
        limits = None if self.limits is None else tuple(sorted(self.limits.items()))
        return hash((self.policy, self.factor, self.most, self.clip, self.plateau, limits))

    def __reduce__(self) -> Any:
        """Return how a copy is made: a read-only mapping cannot be sent as it is."""
        return Guard.from_description, (self.describe(),)

    @property
    def halts(self) -> bool:
        """Whether an alarm ends the engine's call, because the run goes back."""
        return self.policy in ("stop", "rollback")

    @property
    def told(self) -> str:
        """It in few words: the policy alone, where all else is at its default."""
        return self.policy if self == Guard(self.policy) else repr(self)

    def watch(self) -> Watch:
        """Return what an engine is given for one call: thresholds, and whether an alarm ends it."""
        limits = self.limits or {}
        values = np.array([limits.get(limit.name, limit.default) for limit in LIMITS])
        return Watch(values, halt=self.halts, clip=self.clip if self.policy == "clip" else 0.0)

    def describe(self) -> dict[str, Any]:
        """Return the settings as values that JSON can hold; `from_description` gives back an equal guard."""
        return {
            "policy": self.policy,
            "factor": self.factor,
            "most": self.most,
            "clip": self.clip,
            "plateau": None if self.plateau is None else self.plateau.describe(),
            "limits": None if self.limits is None else dict(self.limits),
        }

    @classmethod
    def restored(cls, description: Mapping[str, Any] | None) -> Guard | None:
        """Return the guard that `describe` described; None where there was none."""
        return cls.from_description(description) if description else None

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> Guard:
        """Return the guard that `describe` described, or raise InputError."""
        if not isinstance(description, Mapping):
            raise checks.refuse("guard", "what describe() gave", description)
        for name in description:
            checks.one_of("guard setting", name, [field.name for field in fields(cls)])
        given = dict(description)
        if given.get("plateau") is not None:
            given["plateau"] = ReduceOnPlateau.from_description(given["plateau"])
        return cls(**given)


class Answer(NamedTuple):
    """What an alarm leads to.

    `good` is the step to go back to, `factor` what the learning rate is multiplied by there (1 for a stop), `told` the
    sentence for the log and, of a stop, for the error. `held` is the constant rate that takes the place of a schedule
    that keeps rising; None where a schedule is scaled by `factor`.
    """

    kind: Literal["stop", "rollback"]
    good: int
    factor: float
    told: str
    held: float | None = None


def guard_from(value: Any) -> Guard | None:
    """Return the guard that `Run(guard=…)` was given: a policy's name, a `Guard`, or None and False for none."""
    if value is None or value is False:
        return None
    if value is True:
        return Guard()
    if isinstance(value, Guard):
        return value
    if isinstance(value, str):
        return Guard(value)
    raise checks.refuse("guard", f"one of {', '.join(POLICIES)}, a Guard, or None", value)


def after(guard: Guard, run: Run, problem: Alert | NonFiniteError) -> Answer:
    """Return what a halting alarm, or a number that is not finite, leads to.

    Parameters
    ----------
    guard : Guard
        With policy "rollback" it goes on, as often as `most` allows; with another it is a stop.
    run : Run
        As the engine left it.
    problem : Alert or NonFiniteError
        What happened.
    """
    step = run.step + 1 if problem.step is None else problem.step
    what = f"step {step}: {noticed(problem, run)}"
    made = rollbacks(run)
    good = last_good(run, problem)
    rate = rate_at(run, step)
    if guard.policy != "rollback":
        return Answer("stop", good, 1.0, f"{what}{since(run, step)}: {lower(run, step)}; stopped at step {good}")
    if len(made) >= guard.most:
        times = "1 rollback has" if guard.most == 1 else f"{guard.most} rollbacks have"
        advised = lower(run, step)
        if made[-1].back_from == step and run.problem.steps_per_epoch > 1:
            advised = "it comes at this step at any rate: look for rows out of proportion in its batch"
        return Answer("stop", good, 1.0, f"{what}, and {times} not helped: {advised}; stopped at step {good}")
    divided = divisor(guard.factor, rate, healthy_rate(run, good), in_a_row(made, step))
    lowered = rate / divided
    # A schedule that rises goes on rising when it is scaled, and would be here again.
    rising = bool(made) and rate > max(rate_at(run, good), rate_at(run, made[-1].step + 1))
    how = f"divided by {divided:.4g} ({rate:.4g} to {lowered:.4g})"
    if rising:
        how = f"held at {lowered:.4g} (its schedule had raised it to {rate:.4g} again)"
    cleared = set(run.optimizer.momentum_slots) & set(run.optimizer.slots_in_use())
    rest = "with momentum cleared and " if cleared else "with "
    told = f"{what}{since(run, step)}: back to step {good} {rest}learning_rate {how}"
    return Answer("rollback", good, 1.0 / divided, told, lowered if rising else None)


def divisor(factor: float, rate: float, healthy: float, row: int) -> float:
    """Return what a rate is divided by at the rollback after `row` others about the same thing.

    It is factor^(row + 1). Where the rate is above the one at which all went well, the first division that was not
    enough is followed by the way back to that one, and none goes further below it than by `factor`.
    """
    divided = 1.0
    for _ in range(row + 1):
        divided = min(divided * factor, MOST_DIVIDED)
    if 0.0 < healthy < rate:
        above = rate / healthy
        divided = min(max(divided, above if row else 1.0), factor * above)
    return max(min(divided, rate / LEAST_RATE), 1.0)


def last_good(run: Run, problem: Alert | NonFiniteError) -> int:
    """Return the step after which all was well."""
    if isinstance(problem, Alert):
        return problem.good
    good = good_step(run.state)
    return run.step if good is None else min(run.step, good)


def rollbacks(run: Run) -> list[Entry]:
    """Return the guard's rollbacks since the user's last change, of the guard too, in order."""
    found = []
    for entry in reversed(run.log):
        if entry.by == "user" and entry.acts:
            break
        if entry.kind == "rollback":
            found.append(entry)
    return found[::-1]


def in_a_row(made: Sequence[Entry], step: int) -> int:
    """Return how many of the last rollbacks are about the same thing as an alarm at `step`."""
    row = 0
    for entry in reversed(made):
        if entry.back_from is None or abs(step - entry.back_from) > SAME_TROUBLE:
            break
        row, step = row + 1, entry.back_from
    return row


def healthy_rate(run: Run, good: int) -> float:
    """Return the learning rate of the update that led to the good state; infinite where that was another rule's."""
    rule = run.first_optimizer
    for entry in run.log.acting():
        if entry.step < good and entry.optimizer is not None:
            rule = entry.optimizer
    same = good > 0 and type(rule) is type(run.optimizer)
    return float(rule.at(good).learning_rate) if same else math.inf


def _limits(given: Mapping[str, float]) -> dict[str, float]:
    if not isinstance(given, Mapping):
        raise checks.refuse("limits", "a mapping such as {'update_ratio': 0.5}", given)
    known = [limit.name for limit in LIMITS]
    legal = Interval(above=0)
    return {checks.one_of("limit", name, known): checks.real(name, value, legal) for name, value in given.items()}
