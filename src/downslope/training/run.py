"""A run: a network, data and an optimizer, trained as far as one likes, steered, and asked at any time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from downslope import checks
from downslope.data import Dataset
from downslope.engines.choice import engine_name
from downslope.engines.problem import Control
from downslope.errors import DownslopeError, InputError
from downslope.interrupt import deferred_interrupt
from downslope.network import Loss, Network
from downslope.rules import Optimizer
from downslope.training.changes import changed_rule, differing_settings, told
from downslope.training.guard import Guard, guard_from
from downslope.training.history import History
from downslope.training.log import Entry
from downslope.training.progress import progress_bar
from downslope.training.setup import expect, set_up
from downslope.training.stored import Stored

__all__ = ["Run"]


class Run(Stored):
    """A network in training.

    Parameters
    ----------
    network : Network
        Such as `MLP([2, 64, 3])`: as many inputs as the data has features, as many outputs as it has classes (one
        with loss "bce") or targets.
    data : Dataset
        From `downslope.data`.
    optimizer : Optimizer
        Such as `SGD(learning_rate=0.1, momentum=0.9)`.
    loss : str or Loss, optional
        "cross-entropy" (the default for classification), "bce", "mse" (the default for regression), "mae", "huber".
    batch_size : int, optional
        Rows an update; all of them when left out. Mini-batches are drawn anew each epoch, keyed by (seed, epoch).
    validation : float or Dataset
        The share of rows kept from training and measured at every epoch, or other data to be measured.
    seed : int or "chapter", optional
        Of weights, batches, dropout and split. "chapter": weights as the chapter draws them, from NumPy's legacy
        generator with seed 0, after what the data drew from it (with data that drew nothing there, from its start);
        batches, dropout and split as with 0. Left out: "chapter" for data drawn with seed "chapter", else 0.
    dtype : "float32" or "float64"
        Of parameters, slots and all arithmetic of training.
    standardize : bool, optional
        Whether inputs, and the targets of a regression, are brought to mean 0 and standard deviation 1 over the
        training rows. Left out: as the data set suggests. Losses are then in standardized units.
    engine : "compiled", "blas" or "reference", optional
        What executes the steps. Left out: the fastest that can, see `engine`.
    guard : str, Guard or None
        What watches every step: "warn" says what it sees and changes nothing; "stop", "rollback" and "clip" act, see
        `Guard`; None watches nothing. `run.guard = …` puts another in place.

    Raises
    ------
    InputError
        If a setting is not legal, or network, data and loss do not fit together.

    Examples
    --------
    >>> import downslope as ds
    >>> run = ds.Run(ds.MLP([2, 64, 3]), ds.data.spiral(), ds.SGD(0.5, momentum=0.9))
    >>> run.train(epochs=50)
    >>> bool(run.history.loss[-1] < run.history.loss[0])
    True
    >>> run.change(learning_rate=0.1).told
    'learning_rate=0.1 (was 0.5)'
    """

    def __init__(
        self,
        network: Network,
        data: Dataset,
        optimizer: Optimizer,
        *,
        loss: str | Loss | None = None,
        batch_size: int | None = None,
        validation: float | Dataset = 0.0,
        seed: int | Literal["chapter"] | None = None,
        dtype: str = "float32",
        standardize: bool | None = None,
        engine: str | None = None,
        guard: str | bool | Guard | None = "warn",
    ) -> None:
        expect("optimizer", optimizer, Optimizer, "an optimizer such as SGD(learning_rate=0.1)")
        watching = guard_from(guard)
        setup = set_up(
            network,
            data,
            loss=loss,
            batch_size=batch_size,
            validation=validation,
            seed=seed,
            dtype=dtype,
            standardize=standardize,
        )
        problem = setup.problem
        self.network, self.data = network, data
        self.preparation, self.loss = setup.preparation, problem.loss
        self.seed, self.dtype = setup.seed, setup.dtype
        self.history = History(data.kind, validation=problem.validation is not None)
        name = engine_name(engine, network, self.loss, problem.batch_size)
        self.given = {
            "loss": self.loss, "batch_size": batch_size, "validation": validation, "seed": setup.seed,
            "dtype": setup.dtype.name, "standardize": setup.standardize, "engine": name, "guard": watching,
        }  # fmt: skip
        self._begin(problem, setup.parameters, optimizer, name, watching)

    def train(
        self,
        epochs: int,
        *,
        progress: bool | None = None,
        on_epoch: Callable[[Run, int], None] | None = None,
        every: int = 1,
        on_event: Callable[[Run, Entry], None] | None = None,
    ) -> None:
        """Train for so many epochs more; in pieces or at once, the bits are the same.

        Ctrl-C lets the step under way finish, keeps everything, and raises KeyboardInterrupt; a second one
        interrupts at once, and the last finished step is kept. The next `train` goes on where this one stopped. An
        epoch cut short is then finished first, as the first of its epochs. Whatever else ends training early, an
        error in `on_epoch` or an explosion, leaves the run as whole.

        Parameters
        ----------
        epochs : int
            How many passes over the training rows, at least 0.
        progress : bool, optional
            Whether to show a progress bar on stderr; left out, where stderr is a terminal.
        on_epoch : callable, optional
            Called with this run and the epoch's number when an epoch is done and recorded in the history. It may
            ask the run anything, copy and change it, but not train it. An epoch made again after a rollback is told
            again.
        every : int
            Call `on_epoch` for the epochs 0, every, 2·every, … only, at least 1. Epochs in between run on without a
            stop, so a large number is quicker.
        on_event : callable, optional
            Called with this run and each entry that the guard writes into the log, soon after; it may do what
            `on_epoch` may. Left out, the first alarm and the first rollback are a `GuardWarning` each.

        Raises
        ------
        KeyboardInterrupt
            After Ctrl-C, as told above.
        ExplosionError
            If the guard's policy, or the last of its rollbacks, is to stop; the run stands at its last good state.
        NonFiniteError
            If a loss, gradient, weight or slot is infinite or NaN; the run keeps the state before that step.
        InputError
            If an argument is not legal, or the run is trained by two calls at a time.
        """
        last = self.epoch + checks.whole("epochs", epochs)
        every = checks.whole("every", every, at_least=1)
        if progress is not None:
            checks.flag("progress", progress)
        for name, called in (("on_epoch", on_epoch), ("on_event", on_event)):
            if called is not None and not callable(called):
                raise checks.refuse(name, f"a function of the run and the {name.removeprefix('on_')}", called)
        control = Control()
        self._requests.begin(control)
        try:
            self._listener, self._warned = on_event, set()
            with (
                self._saved_at_the_end(),
                deferred_interrupt(control.stop),
                progress_bar(progress, self.epoch, last, self.history) as show,
            ):
                while self.epoch < last and not control.stopping:
                    self._requests.serve()
                    due = -(-self.epoch // every) * every
                    target = last if on_epoch is None else min(due + 1, last)
                    self._advance(self._step_of(self._reduce_or(target)), control, show)
                    if on_epoch is not None and self.epoch == due + 1 and not self.state.batch:
                        with self._requests.calling():
                            on_epoch(self, due)
        finally:
            self.history.cut(self.epoch)  # what an interrupt came between: a record and the state it is of
            self._requests.end()

    def stop(self) -> None:
        """Let the training under way, in this thread or another, end after its step as if all its epochs were done."""
        self._requests.stop()

    def change(
        self,
        *,
        optimizer: Optimizer | None = None,
        schedule: Callable[[int], float] | None = None,
        batch_size: int | None = None,
        **settings: Any,
    ) -> Entry:
        """Change settings from the next update on; from any thread, while it trains too.

        Each change is an entry of `log`; made again with the same changes at the same steps, a run has the same bits.
        What becomes of the slots: as long as the rule stays they keep their values, and a slot that comes into use
        begins at zero. The learning rate is inside a velocity, so what already moves is not rescaled. Another rule
        begins with slots at zero, unless both are of the Adam family, where slots of the same name are kept.

        Parameters
        ----------
        optimizer : Optimizer, optional
            Another one.
        schedule : Schedule or function, optional
            Of the learning rate. Every schedule given here begins here: it sees k = 0 at the next update.
        batch_size : int, optional
            Rows an update, from the next epoch on (at once where none is under way).
        settings
            Such as `learning_rate=0.05, momentum=0.5`, of `optimizer` where that is given too.

        Returns
        -------
        Entry
            What was written into the log, with the step. In another thread than the one that trains, the call waits
            until the step under way is done; so nothing that training waits for, such as `on_epoch`, may wait for it.
            From a signal handler the change is made right after that step, and what is returned tells when it was asked
            for.

        Raises
        ------
        InputError
            If nothing is to be changed, the optimizer has no such setting, or a value is not legal.
        """
        given = (optimizer, schedule, batch_size, settings)
        return self._requests.ask(lambda: self._act(self._asked(*given)), lambda: self._asked(*given))

    def _asked(self, optimizer: Any, schedule: Any, batch_size: Any, settings: dict[str, Any]) -> Entry:
        if optimizer is None and schedule is None and batch_size is None and not settings:
            raise InputError("change must be given what to change, such as learning_rate=0.1. Received: nothing")
        rule, size, changed = None, None, {}
        if batch_size is not None:
            size = min(checks.whole("batch_size", batch_size, at_least=1), self.problem.rows)
            held = self._now.pending or self._now.batch_size
            if size == held:
                size = None
            else:
                changed["batch_size"] = (str(held), str(size))
        if optimizer is not None or schedule is not None or settings:
            rule = changed_rule(self.optimizer, self.step, optimizer, schedule, settings)
            _try(rule, self.step + 1)
            differing = differing_settings(self.optimizer, rule)
            rule, changed = rule if differing else None, {**differing, **changed}
        sentence = told(changed) or "nothing differs"
        return Entry(self.step, self.epoch, "change", "user", sentence, rule, size, settings=changed)

    def at(self, step: int | None = None, *, epoch: int | None = None) -> Run:
        """Return a run of its own that stands at a past step, with the bits it had: state, history and log.

        Moments are kept thinly; from the nearest before it the step is made again, with every change of the log.

        Parameters
        ----------
        step : int
            The updates made, from 0 to `run.step`. A past step is given as it was before anything was changed there;
            the present one as it is now.
        epoch : int, in place of step
            The epochs complete.

        Returns
        -------
        Run
            With the settings, the guard and the log of this one up to there, and this one as its `parent`.

        Raises
        ------
        InputError
            If this run was never there.
        """
        if (step is None) == (epoch is None):
            raise InputError(f"at must be given a step or an epoch. Received: step={step!r}, epoch={epoch!r}")
        other = self._copied()
        last = other.step
        if epoch is not None:
            where = other._began(checks.whole("epoch", epoch, at_most=other.epoch))
        else:
            where = checks.whole("step", step, at_most=last)
        found = other._copy_at(where, before=where < last)
        found._become_another(where)
        return found

    def branch(self, at: int | None = None, **changes: Any) -> Run:
        """Return a run of its own that shares the past up to a step and goes another way from there.

        Parameters
        ----------
        at : int, optional
            The step; left out, the present one.
        changes
            What `change` takes, such as `learning_rate=0.1`.

        Returns
        -------
        Run
            As `at` returns it, changed. It is not saved anywhere until it is told to be.

        Raises
        ------
        InputError
            As `at` and `change` raise it; this run is untouched.

        Examples
        --------
        >>> import downslope as ds
        >>> run = ds.Run(ds.MLP([2, 8, 3]), ds.data.spiral(30), ds.SGD(0.5))
        >>> run.train(epochs=100)
        >>> other = run.branch(at=40, momentum=0.9)
        >>> other.train(epochs=60)
        >>> len(other.history), other.parent.step, other.parent.told
        (100, 40, 'momentum=0.9 (was 0.0)')
        """
        other = self.at(self.step if at is None else checks.whole("at", at, at_most=self.step))
        other._set_out(changes)
        return other

    def _set_out(self, changes: Mapping[str, Any]) -> list[Entry]:
        """Make the changes a branch begins with, of which its parent tells; return what that wrote into the log."""
        if not changes:
            return []
        assert self.parent is not None
        entry = self.change(**changes)
        self.parent = self.parent._replace(told=entry.told)
        return [entry]

    def at_start(self) -> Run:
        """Return a run of its own that stands where this one began; trained as far, it has the same bits.

        What acted on this run acts on it too, at the same steps, until it is changed itself.
        """
        other = self._copied()
        other._become_another(0)
        other._log = other.log.copy()  # of a run that is made again itself, what acted so far
        other._now, other._coming, other._quiet_until = other._moments.first, other._log.acting(), other.step
        other._moments.cut(0)
        other.history = other.history.empty()
        return other

    def replayed(self) -> Run:
        """Return this run made again from its start by its log, with the same bits."""
        other = self.at_start()
        other._reach(other._quiet_until)
        other._catch_up()
        return other


def _try(rule: Optimizer, step: int) -> None:
    """Raise InputError where a schedule's first value is not legal, or its code fails."""
    try:
        rule.at(step)
    except DownslopeError:
        raise
    except Exception as error:
        told = f"a schedule must give a number for update {step}. Received: {type(error).__name__}: {error}"
        raise InputError(told) from error
