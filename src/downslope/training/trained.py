"""What a trained network can be asked: predictions, measurements, pictures."""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from downslope import checks
from downslope.data import Dataset
from downslope.engines.problem import Engine, Problem, State
from downslope.engines.update import FloatArray
from downslope.errors import InputError
from downslope.network import Loss, Network
from downslope.training.history import History
from downslope.training.preparation import Preparation

__all__ = ["Trained"]


class Trained:
    """A network with its parameters and its data; what trains it is `Run`."""

    network: Network
    loss: Loss
    dtype: np.dtype[Any]
    preparation: Preparation
    history: History
    _engine: Engine

    @property
    def state(self) -> State:
        """Parameters, slots and step: everything that training changes."""
        raise NotImplementedError

    @property
    def problem(self) -> Problem:
        """What the engine is given, with the batch size in force."""
        raise NotImplementedError

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
        scores = self._engine.measure(self.problem, self.state.parameters, part)
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
        outputs, _ = self.network.forward(self.state.parameters, inputs)
        return outputs


def _figures() -> Any:
    """Return the room that draws: this one draws nothing, and knows of it only when a run is asked for a picture."""
    return importlib.import_module("downslope.figures")
