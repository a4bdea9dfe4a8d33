"""The course of a run: its moments one after the other, what acts on it, and the way back."""

from __future__ import annotations

import copy
import dataclasses
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from downslope.data import Dataset
from downslope.engines.choice import ENGINES
from downslope.engines.judge import SIGNALS
from downslope.engines.problem import Alert, Control, EpochRecord, Problem, State, Watch
from downslope.engines.update import FloatArray
from downslope.errors import ExplosionError, GuardWarning, NonFiniteError
from downslope.rules import Optimizer
from downslope.training.changes import differing_settings
from downslope.training.guard import Guard, advice, after, guard_from
from downslope.training.log import Entry, Log, Parent
from downslope.training.requests import Requests
from downslope.training.timeline import Moment, Moments
from downslope.training.trained import Trained

if TYPE_CHECKING:
    from downslope.training.run import Run
    from downslope.training.saving import Autosave

__all__ = ["Course"]

MOST_PROBLEMS = 4  # of as many batch sizes


class Course(Trained):
    """Where a run stands and how it gets on; what a person does with it is `Run`."""

    data: Dataset
    parent: Parent | None
    given: dict[str, Any]

    def _begin(
        self, problem: Problem, parameters: FloatArray, optimizer: Optimizer, engine: str, guard: Guard | None
    ) -> None:
        self.parent = None
        self._id: str | None = None
        self._engine = ENGINES[engine]()
        self._problems = {problem.batch_size: problem}
        self._now = Moment(State.start(parameters, optimizer), optimizer, problem.batch_size, guard=guard)
        self._moments = Moments(self._now)
        self._log = Log()
        # A run that is made again takes what acted on it from here, and is quiet up to where it was before.
        self._coming: list[Entry] = []
        self._quiet_until = 0
        self._requests = Requests()
        self._autosave: Autosave | None = None
        # What is in the log and was not told yet; and whether who was told, or asked, changed the run since.
        self._untold: list[Entry] = []
        self._is_steered = False
        self._listener: Callable[[Run, Entry], None] | None = None
        self._warned: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy is made of: it has a history and a log of its own, and is not in training."""
        state = {name: value for name, value in self.__dict__.items() if name != "_requests"}
        own = {"history": self.history.copy(), "_log": self._log.copy(), "_moments": self._moments.copy()}
        own |= {"_coming": list(self._coming), "_problems": dict(self._problems), "_untold": [], "_is_steered": False}
        own |= {"_autosave": None, "_listener": None, "_warned": set()}
        return state | own

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._requests = Requests()

    def __repr__(self) -> str:
        return f"<Run of {self.network!r} on {self.data.name} with {self.optimizer!r}: {self.epoch} epochs done>"

    @property
    def optimizer(self) -> Optimizer:
        """The optimizer in force."""
        return self._now.optimizer

    @property
    def first_optimizer(self) -> Optimizer:
        """The optimizer the run began with."""
        return self._moments.first.optimizer

    @property
    def problem(self) -> Problem:
        """What the engine is given, with the batch size in force."""
        return self._problem(self._now.batch_size)

    @property
    def pending_batch_size(self) -> int | None:
        """The batch size that holds from the next epoch on, where it differs from the one in force."""
        return self._now.pending

    @property
    def engine(self) -> str:
        """What executes the steps.

        "compiled": machine code made from the rules' and layers' formulas; the same bits on every processor.
        "blas": the same for large layers, with matrix products by NumPy's BLAS; the same bits on one machine with one
        number of threads. "reference": plain NumPy, to be read; likewise.
        """
        return self._engine.name

    def engine_record(self) -> dict[str, Any]:
        """Return what executes the steps and what decides their last bits: `name`, and with BLAS, which one.

        `blas` holds its name, its version, the kind of processor whose kernels it chose, and its number of threads.
        """
        return self._engine.describe()

    @property
    def state(self) -> State:
        """Parameters, slots and step: everything that training changes."""
        return self._now.state

    @property
    def epoch(self) -> int:
        """How many epochs are complete."""
        return self._now.state.epoch

    @property
    def step(self) -> int:
        """How many updates were made."""
        return self._now.state.step

    @property
    def parameters(self) -> FloatArray:
        """All weights and biases as one vector (a copy)."""
        return self.state.parameters.copy()

    @property
    def guard(self) -> Guard | None:
        """What watches every step, or None: set it to what `Run(guard=…)` takes, while it trains too.

        From the next step on the other one decides what an alarm leads to; what the one before did is in the log and
        stays. A past step, and so a branch from there, has the one that was in force then.

        Examples
        --------
        >>> import downslope as ds
        >>> run = ds.Run(ds.MLP([2, 8, 3]), ds.data.spiral(30), ds.SGD(0.5))
        >>> run.train(epochs=20)
        >>> run.guard = "rollback"
        >>> run.guard, str(run.log)
        (Guard('rollback'), 'step 20: guard by user: rollback (was warn)')
        """
        return self._now.guard

    @guard.setter
    def guard(self, value: Guard | str | bool | None) -> None:
        guard = guard_from(value)
        self._requests.ask(lambda: self._set_guard(guard), lambda: self._checked(guard))

    def _checked(self, guard: Guard | None) -> list[Entry]:
        if guard is not None and guard.plateau is not None:
            guard.plateau.check_monitor(self._run)
        return []

    def _set_guard(self, guard: Guard | None) -> list[Entry]:
        """Put another guard in place; return what that wrote into the log."""
        before = self.guard
        if guard == before:
            return []
        self._checked(guard)
        was, is_ = ("off" if one is None else one.told for one in (before, guard))
        described = {} if guard is None else guard.describe()
        settled: dict[str, Any] = {"guard": described, "settings": {"guard": (was, is_)}}
        entry = Entry(self.step, self.epoch, "guard", "user", f"{is_} (was {was})", **settled)
        self._act(entry)  # an alarm that is not acted on yet was the other one's: the step is made again
        return [entry]

    @property
    def log(self) -> Log:
        """What was changed, noticed and undone, each with its step; see `Log`."""
        if not self._coming and self.step >= self._quiet_until:
            return self._log
        is_due = bool(self._coming) and self._coming[0].step <= self.step
        return self._log.until(self.step, before=is_due)

    @property
    def id(self) -> str:
        """32 hexadecimal digits that no other run has."""
        if self._id is None:
            self._id = os.urandom(16).hex()
        return self._id

    @property
    def _run(self) -> Run:
        run: Run = self  # type: ignore[assignment]  # the only class there is of these
        return run

    def _problem(self, batch_size: int) -> Problem:
        if batch_size not in self._problems:
            made = dataclasses.replace(next(iter(self._problems.values())), batch_size=batch_size)
            if len(self._problems) >= MOST_PROBLEMS:  # engines keep the data laid out for each
                del self._problems[next(iter(self._problems))]
            self._problems[batch_size] = made
        return self._problems[batch_size]

    def _step_of(self, epochs: int) -> int:
        """Return the step at which so many epochs are complete, if the batch size stays."""
        state = self.state
        return state.step + (epochs - state.epoch) * self.problem.steps_per_epoch - state.batch

    def _advance(self, step: int, control: Control, show: Callable[[int], None]) -> None:
        """Train to `step`, or to where something comes between: a change, a stop, an alarm."""
        self._catch_up()
        self._is_steered = False
        now, problem, quiet = self._now, self.problem, self.step < self._quiet_until
        ends = [step, *(entry.step for entry in self._coming[:1]), *([self._quiet_until] if quiet else [])]
        if now.pending is not None:
            ends.append(self._step_of(self.epoch + 1))
        guard = now.guard
        watch = None if guard is None else guard.watch()
        if watch is not None and quiet:
            watch.halt = False

        def keep(state: State, first: int, records: Sequence[EpochRecord] | NDArray[np.float64]) -> None:
            if len(records):
                self.history.extend(np.arange(first, first + len(records)), records)
            moment = dataclasses.replace(now, state=state).settled()
            self._now = moment  # one assignment, after the history: whenever this is interrupted, the run is whole
            if state.step > now.state.step:
                self._moments.offer(moment)
            if len(records):
                show(state.epoch)
            if not quiet:
                self._note(watch, now)
            if self._untold:
                control.pause()  # who is told of it may ask and change the run, so no engine may be at work
            if (autosave := self._autosave) is not None:  # another thread may end it
                autosave.offer(self._run)

        cause: Alert | NonFiniteError | None = None
        try:
            self._engine.advance(problem, now.optimizer, now.state, min(ends) - now.state.step, control, keep, watch)
        except NonFiniteError as error:
            cause = error
        self._tell()  # soon after it was written: `keep` asked for the engine's return
        if self._is_steered:  # what was seen belongs to a way that is left
            return
        if isinstance(cause, NonFiniteError) and (quiet or guard is None or not guard.halts):
            raise cause
        if guard is not None and (cause := cause or (None if watch is None else watch.alarm)) is not None:
            self._go_back(guard, cause)

    def _catch_up(self) -> None:
        """Let what acted here before act again, in a run that is made again."""
        while self._coming and self._coming[0].step <= self.step:
            self._now = self._now.after(self._coming.pop(0))

    def _reach(self, step: int) -> None:
        """Make a past of this run again, up to `step`."""
        self._quiet_until = max(self._quiet_until, step)
        while self.step < step:
            self._advance(step, Control(), lambda done: None)

    def _note(self, watch: Watch | None, since: Moment) -> None:
        """Write what the guard noticed since a moment into the log."""
        while watch is not None and watch.alerts:
            alert = watch.alerts.pop(0)
            each = self._problem(since.batch_size).steps_per_epoch
            epoch = since.state.epoch + (since.state.batch + alert.step - since.state.step) // each
            for kind, sentence in advice(alert, self._run, each):
                good = alert.good if kind == "alarm" else None
                self._write(Entry(alert.step, epoch, kind, "guard", sentence, good=good, signals=_named(alert)))

    def _write(self, entry: Entry) -> None:
        self._log.append(entry)
        self._untold.append(entry)

    def _tell(self) -> None:
        """Tell what the guard wrote; whoever is told may ask and change the run."""
        while self._untold:
            entry = self._untold.pop(0)
            if self._listener is not None:
                with self._requests.calling():
                    self._listener(self._run, entry)
            elif entry.kind in ("alarm", "rollback") and entry.kind not in self._warned:
                self._warned.add(entry.kind)
                warnings.warn(entry.told, GuardWarning, stacklevel=_outside())

    def _go_back(self, guard: Guard, cause: Alert | NonFiniteError) -> None:
        """Return to the last good state, as the guard's policy tells, and raise ExplosionError where that ends it."""
        answer = after(guard, self._run, cause)
        seen = self.step + 1 if cause.step is None else cause.step
        batch_size = self._now.pending or self._now.batch_size
        there = self._copy_at(answer.good, before=False)
        rule = None
        if answer.kind == "rollback":
            scaled = answer.held is None
            rule = self.optimizer.scaled(answer.factor) if scaled else self.optimizer.replace(learning_rate=answer.held)
        entry = Entry(
            answer.good,
            there.epoch,
            answer.kind,
            "guard",
            answer.told,
            optimizer=rule,
            batch_size=batch_size if rule and batch_size != (there._now.pending or there._now.batch_size) else None,
            cleared=rule is not None,
            guard=None if there.guard == guard else guard.describe(),  # what goes back stays, though put in place later
            back_from=seen,
            settings={} if rule is None else differing_settings(there.optimizer, rule),
            signals=_named(cause) if isinstance(cause, Alert) else {},
        )
        moment = there._now.after(entry)
        self._moments.cut(answer.good)
        self.history.become(there.history)
        self._write(entry)
        self._now = moment
        self._tell()
        if rule is None:
            raise ExplosionError(answer.told, seen)

    def _reduce_or(self, target: int) -> int:
        """Lower the rate if the loss has ceased to fall; return the epoch up to which that need not be asked again."""
        self._catch_up()
        plateau = None if self.guard is None else self.guard.plateau
        if plateau is None or self.step < self._quiet_until:
            return target
        if plateau.is_due(self._run):
            rule, sentence = self.optimizer.scaled(plateau.factor_now(self._run)), plateau.told(self._run)
            changed = differing_settings(self.optimizer, rule)
            self._act(Entry(self.step, self.epoch, "reduce", "guard", sentence, rule, settings=changed))
            self._tell()
        due = plateau.due_epoch(self._run)
        return target if due is None else min(target, max(due, self.epoch + 1))

    def _act(self, entry: Entry) -> Entry:
        """Let an entry take effect here, and write it into the log."""
        if self._coming or self.step < self._quiet_until:  # another way than the one it was on
            self._log, self._coming, self._quiet_until = self.log.copy(), [], 0
        moment = self._now.after(entry)
        if entry.by == "user":
            self._log.append(entry)
        else:
            self._write(entry)
        self._now, self._is_steered = moment, True
        return entry

    def _copy_at(self, step: int, *, before: bool) -> Run:
        """Return a run of its own that stands at a past step: `before` what was changed right there, or after it."""
        other = copy.copy(self._run)
        moment = other._moments.before(step)
        other._log = self.log.until(step, before=before)
        other._now, other._coming = moment, other._log.acting()[moment.done :]
        other._moments.cut(step)
        other.history.cut(moment.state.epoch)
        other._quiet_until = 0
        other._reach(step)
        other._catch_up()
        return other

    def _copied(self) -> Run:
        """Return a copy with the same id, whole whatever the run does meanwhile in another thread."""
        self._id = self.id
        return self._requests.ask(lambda: copy.copy(self._run))

    def _become_another(self, step: int) -> None:
        """Be a run of its own, which the one it was a copy of is the parent of."""
        self._engine, self.parent, self._id = ENGINES[self._engine.name](), Parent(self.id, step, ""), None

    def _began(self, epoch: int) -> int:
        """Return the step at which an epoch of the past began."""
        if not any(entry.batch_size for entry in self._log):
            return epoch * self.problem.steps_per_epoch
        other = copy.copy(self._run)
        other._now, other._coming = other._moments.first, other._log.acting()
        other._quiet_until = self.step
        while other.epoch < epoch:
            other._catch_up()
            other._advance(other._step_of(epoch), Control(), lambda done: None)
        return other.step


def _named(alert: Alert) -> dict[str, float]:
    return dict(zip(SIGNALS, alert.signals, strict=True))


def _outside() -> int:
    """Return the stack level of the code that called into this package, which a warning is to point at."""
    frame, level = sys._getframe(1), 1
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith("downslope."):
        frame, level = frame.f_back, level + 1
    return level
