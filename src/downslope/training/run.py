"""A run: a network, data and an optimizer, trained as far as one likes, and asked at any time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from downslope import checks
from downslope.data import Dataset, split
from downslope.engines.problem import Control, Engine, EpochRecord, Problem, State
from downslope.engines.reference import Reference
from downslope.engines.update import FloatArray
from downslope.errors import InputError
from downslope.network import Loss, Network
from downslope.network import loss as loss_named
from downslope.rules import Optimizer
from downslope.training.history import History
from downslope.training.interrupt import deferred_interrupt
from downslope.training.preparation import Preparation
from downslope.training.progress import progress_bar

__all__ = ["Run", "output_width"]

_one_call = threading.Lock()

ENGINES: dict[str, Callable[[], Engine]] = {"reference": Reference}


class Run:
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
    engine : "reference"
        What executes the steps.

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
        engine: str = "reference",
    ) -> None:
        _expect("network", network, Network, "a network such as MLP([2, 64, 3])")
        _expect("data", data, Dataset, "a data set such as downslope.data.spiral()")
        _expect("optimizer", optimizer, Optimizer, "an optimizer such as SGD(learning_rate=0.1)")
        self.network, self.data, self.optimizer = network, data, optimizer
        self.loss = _fitting_loss(loss, data)
        self.seed = _seed(seed, data)
        self.dtype = np.dtype(checks.one_of("dtype", getattr(dtype, "__name__", dtype), ["float32", "float64"]))
        _check_widths(network, data, self.loss)

        number = 0 if self.seed == "chapter" else self.seed
        other = validation if isinstance(validation, Dataset) else None
        rows, held_out = split(data, 0.0 if isinstance(validation, Dataset) else validation, number)
        wanted = data.standardize if standardize is None else checks.flag("standardize", standardize)
        self.preparation = Preparation.learn(data, rows, wanted)
        training = self.preparation.part(data, rows, self.dtype)
        self.loss.check_targets(network.outputs, training.targets)
        measured = None
        if other is not None:
            measured = self.preparation.part(other, slice(None), self.dtype)
        elif len(held_out):
            measured = self.preparation.part(data, held_out, self.dtype)

        size = len(rows) if batch_size is None else checks.whole("batch_size", batch_size, at_least=1)
        self.problem = Problem(network, self.loss, training, measured, min(size, len(rows)), number)
        self.history = History(data.kind, validation=measured is not None)
        self._engine = ENGINES[checks.one_of("engine", engine, ENGINES)]()
        skip = data.normals_drawn if self.seed == "chapter" else 0
        self._state = State.start(network.initial_parameters(self.seed, self.dtype, skip), optimizer)
        self._training = False

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy is made of: a copy has a history of its own, and is not in training."""
        return {**self.__dict__, "history": self.history.copy(), "_training": False}

    def __repr__(self) -> str:
        return f"<Run of {self.network!r} on {self.data.name} with {self.optimizer!r}: {self.epoch} epochs done>"

    @property
    def state(self) -> State:
        """Parameters, slots and step: everything that training changes."""
        return self._state

    @property
    def epoch(self) -> int:
        """How many epochs are complete."""
        return self._state.epoch

    @property
    def step(self) -> int:
        """How many updates were made."""
        return self._state.step

    @property
    def parameters(self) -> FloatArray:
        """All weights and biases as one vector (a copy)."""
        return self._state.parameters.copy()

    def train(
        self,
        epochs: int,
        *,
        progress: bool | None = None,
        on_epoch: Callable[[Run, int], None] | None = None,
        every: int = 1,
    ) -> None:
        """Train for so many epochs more; in pieces or at once, the bits are the same.

        Ctrl-C lets the step under way finish, keeps everything, and raises KeyboardInterrupt; a second one
        interrupts at once, and the last finished step is kept. The next `train` goes on where this one stopped. An
        epoch cut short is then finished first, as the first of its epochs. Whatever else ends training early, an
        error in `on_epoch` or NonFiniteError, leaves the run as whole.

        Parameters
        ----------
        epochs : int
            How many passes over the training rows, at least 0.
        progress : bool, optional
            Whether to show a progress bar on stderr; left out, where stderr is a terminal.
        on_epoch : callable, optional
            Called with this run and the epoch's number when an epoch is done and recorded in the history. It may
            ask the run anything and copy it, but not train it.
        every : int
            Call `on_epoch` for the epochs 0, every, 2·every, … only, at least 1. Epochs in between run on without a
            stop, so a large number is quicker.

        Raises
        ------
        NonFiniteError
            If a loss, gradient, weight or slot is infinite or NaN; the run keeps the state before that step.
        InputError
            If an argument is not legal, or the run is trained by two calls at a time.
        """
        last = self.epoch + checks.whole("epochs", epochs)
        checks.whole("every", every, at_least=1)
        if progress is not None:
            checks.flag("progress", progress)
        if on_epoch is not None and not callable(on_epoch):
            raise checks.refuse("on_epoch", "a function of the run and the epoch", on_epoch)
        with _one_call:
            if self._training:
                raise InputError("a run must be trained by one call at a time. Received: a call of train in another")
            self._training = True
        control = Control()
        try:
            with (
                deferred_interrupt(control.stop),
                progress_bar(progress, self.epoch, last, self.history) as show,
            ):
                while self.epoch < last and not control.stopping:
                    due = -(-self.epoch // every) * every
                    target = last if on_epoch is None else min(due + 1, last)
                    self._advance(target, control, show)
                    if on_epoch is not None and self.epoch == due + 1:
                        on_epoch(self, due)
        finally:
            self._training = False

    def _advance(self, target: int, control: Control, show: Callable[[int], None]) -> None:
        """Train until `target` epochs are complete, or `control` asks for a stop."""

        def keep(state: State, first: int, records: Sequence[EpochRecord] | NDArray[np.float64]) -> None:
            if len(records):
                self.history.extend(np.arange(first, first + len(records)), records)
            self._state = state  # one assignment, after the history: whenever this is interrupted, the run is whole
            if len(records):
                show(state.epoch)

        state = self._state
        steps = (target - state.epoch) * self.problem.steps_per_epoch - state.batch
        self._engine.advance(self.problem, self.optimizer, state, steps, control, keep)

    def outputs(self, rows: Any) -> FloatArray:
        """Return the network's raw outputs (logits, or standardized values) for rows as `predict` takes them."""
        return self._forward(self.preparation.inputs_of(rows, self.dtype))

    def predict(self, rows: Any) -> NDArray[Any]:
        """Return a prediction for each row.

        Parameters
        ----------
        rows : array, shape (n, features), data frame or Dataset
            In the data's own units; of a data frame or Dataset the feature columns are taken by name.

        Returns
        -------
        array, shape (n,)
            Labels as the data gave them (text, whole numbers or truth values); in regression, values in the target's
            units, of shape (n, targets) where there are several. Values and probabilities are as infinite or NaN as
            the outputs of a run that diverged; its labels are then arbitrary.

        Raises
        ------
        InputError
            If a column is missing, the width differs, or a value is not a finite number.
        """
        return self.preparation.predictions(self.outputs(rows))

    def predict_proba(self, rows: Any) -> FloatArray:
        """Return the probability of each class, shape (n, classes), in the order of `data.classes`."""
        return self.preparation.probabilities(self.loss, self.outputs(rows))

    def evaluate(self, on: Literal["training", "validation"] | Dataset = "training") -> dict[str, float]:
        """Measure the present state.

        Parameters
        ----------
        on : "training", "validation" or Dataset
            The training rows, the validation part, or other data with the same columns (by name).

        Returns
        -------
        dict
            `loss` (penalty included) and `accuracy`; in regression `loss`, `r2`, and `rmse` and `mae` in the
            target's own units. Of several targets r2, rmse and mae are the means.
        """
        if isinstance(on, Dataset):
            part = self.preparation.part(on, slice(None), self.dtype)
        elif checks.one_of("on", on, ["training", "validation"]) == "training":
            part = self.problem.training
        elif self.problem.validation is not None:
            part = self.problem.validation
        else:
            raise InputError("on must be 'training' where the run has no validation part. Received: on='validation'")
        scores = self._engine.measure(self.problem, self._state.parameters, part)
        result = {"loss": scores.loss, self.history.score_name: scores.score}
        if self.preparation.classes is None:
            values = self.preparation.values
            with np.errstate(all="ignore"):
                error = values(self._forward(part.inputs)) - values(part.targets)
                result["rmse"] = float(np.sqrt(np.mean(np.square(error), axis=0)).mean())
                result["mae"] = float(np.abs(error).mean())
        return result

    def _forward(self, inputs: FloatArray) -> FloatArray:
        outputs, _ = self.network.forward(self._state.parameters, inputs)
        return outputs


def output_width(data: Dataset, loss: str | Loss | None = None) -> int:
    """Return how many outputs a network needs for this data and loss."""
    if data.classes is None:
        return len(data.target)
    return 1 if _fitting_loss(loss, data).name == "bce" else len(data.classes)


def _expect(name: str, value: Any, kind: type, rule: str) -> None:
    if not isinstance(value, kind):
        raise checks.refuse(name, rule, value)


def _seed(seed: Any, data: Dataset) -> int | Literal["chapter"]:
    if seed is None:
        return "chapter" if data.seed == "chapter" else 0
    if isinstance(seed, str) and seed == "chapter":
        return "chapter"
    if isinstance(seed, str):
        raise checks.refuse("seed", 'a whole number at least 0, or "chapter"', seed)
    return checks.whole("seed", seed, at_most=2**64 - 1)


def _fitting_loss(loss: str | Loss | None, data: Dataset) -> Loss:
    if loss is None:
        loss = "cross-entropy" if data.kind == "classification" else "mse"
    chosen = loss if isinstance(loss, Loss) else loss_named(loss)
    if chosen.kind != data.kind:
        other = f"; with kind={chosen.kind!r} its target is read the other way" if data.seed is None else ""
        raise InputError(
            f"loss must be one for {data.kind}, as {data.name} needs{other}. Received: loss={chosen.name!r}"
        )
    if chosen.name == "bce" and data.classes is not None and len(data.classes) != 2:
        raise InputError(f"loss 'bce' must have exactly 2 classes. Received: {len(data.classes)} in {data.name}")
    return chosen


def _check_widths(network: Network, data: Dataset, loss: Loss) -> None:
    width = output_width(data, loss)
    for side, has, needs in (("input", network.inputs, len(data.features)), ("output", network.outputs, width)):
        if has != needs:
            plural = "s" * (needs != 1)
            raise InputError(
                f"the network must have {needs} {side}{plural} for {data.name}. Received: {has} in {network!r}"
            )
