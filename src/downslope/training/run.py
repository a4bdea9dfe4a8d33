"""A run: a network, data and an optimizer, trained as far as one likes, and asked at any time."""

from __future__ import annotations

import copy
import importlib
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from downslope import checks
from downslope.data import Dataset
from downslope.engines.choice import ENGINES, engine_name
from downslope.engines.problem import Control, EpochRecord, State
from downslope.engines.update import FloatArray
from downslope.errors import InputError
from downslope.network import Loss, Network
from downslope.rules import Optimizer
from downslope.training.history import History
from downslope.training.interrupt import deferred_interrupt
from downslope.training.progress import progress_bar
from downslope.training.setup import expect, set_up

__all__ = ["Run"]

_one_call = threading.Lock()


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
    engine : "compiled", "blas" or "reference", optional
        What executes the steps. Left out: the fastest that can, see `engine`.

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
        engine: str | None = None,
    ) -> None:
        expect("optimizer", optimizer, Optimizer, "an optimizer such as SGD(learning_rate=0.1)")
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
        self.network, self.data, self.optimizer = network, data, optimizer
        self.problem, self.preparation, self.loss = setup.problem, setup.preparation, setup.problem.loss
        self.seed, self.dtype = setup.seed, setup.dtype
        self.history = History(data.kind, validation=self.problem.validation is not None)
        self._engine = ENGINES[engine_name(engine, network, self.loss, self.problem.batch_size)]()
        self._start = self._state = State.start(setup.parameters, optimizer)
        self._training = False

    def __getstate__(self) -> dict[str, Any]:
        """Return what a copy is made of: a copy has a history of its own, and is not in training."""
        return {**self.__dict__, "history": self.history.copy(), "_training": False}

    def __repr__(self) -> str:
        return f"<Run of {self.network!r} on {self.data.name} with {self.optimizer!r}: {self.epoch} epochs done>"

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

    def at_start(self) -> Run:
        """Return a run of its own that stands where this one began; trained as far, it has the same bits."""
        other = copy.copy(self)
        other._state, other.history = self._start, self.history.empty()
        other._engine = ENGINES[self._engine.name]()
        return other

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

    def plot(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        style: Literal["light", "dark"] = "light",
        title: str | None = None,
    ) -> Any:
        """Draw the run as it stands, and write it to `path` (.png, .svg or .pdf): `downslope.training_picture`.

        Returns the matplotlib figure.
        """
        return _figures().training_picture(self, path, style=style, title=title)

    def animate(
        self,
        path: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
        *,
        epochs: int | None = None,
        frames: int | None = None,
        style: Literal["light", "dark"] = "light",
        faithful: bool = False,
        title: str | None = None,
        progress: bool | None = None,
    ) -> None:
        """Draw the run from its start to where it stands, as an animation: `downslope.training_animation`.

        Parameters
        ----------
        path : str, path, or sequence of them
            Files ending in .gif, .mp4 (needs ffmpeg) or .html; several are made in one go.
        epochs : int, optional
            Only the first so many.
        frames : int, optional
            How many moments are shown; left out, about 90, early epochs more closely than later ones.
        style : "light" or "dark"
            Colours on white or on near black.
        faithful : bool
            Fast and evenly, with every change as sudden as it was. It flashes, and a warning stands in front.
        title : str, optional
            In place of the data's name and the network.
        progress : bool, optional
            Whether to show a progress bar on stderr; left out, where stderr is a terminal.

        Raises
        ------
        InputError
            If no epoch is complete, an argument is not legal, or a file cannot be written.
        """
        _figures().training_animation(
            self, path, epochs=epochs, frames=frames, style=style, faithful=faithful, title=title, progress=progress
        )

    def _forward(self, inputs: FloatArray) -> FloatArray:
        outputs, _ = self.network.forward(self._state.parameters, inputs)
        return outputs


def _figures() -> Any:
    """Return the room that draws: this one draws nothing, and knows of it only when a run is asked for a picture."""
    return importlib.import_module("downslope.figures")
