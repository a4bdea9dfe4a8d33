"""The chapter's layers: a dense layer and two activations, which keep what they saw and gave as attributes."""

# ruff: noqa: N801 - the names are the chapter's

from __future__ import annotations

from typing import Any

import numpy as np

from downslope import checks
from downslope.book.initialization import default_dtype, normals
from downslope.errors import InputError
from downslope.network import Context, Dense, ReLU
from downslope.network.losses import softmax
from downslope.network.parts import Array

__all__ = ["Activation_ReLU", "Activation_Softmax", "Layer_Dense", "kept", "misfit", "numbers"]

# The package's parts are pure functions of the arrays they are given, so one of each serves every layer here.
_DENSE, _RELU, _CONTEXT = Dense(1, 1), ReLU(), Context()


def kept(owner: Any, name: str, before: str) -> Any:
    """Return an attribute that a method sets, or raise InputError naming the method to be called before."""
    try:
        return getattr(owner, name)
    except AttributeError:
        pass
    raise InputError(f"{before} of {type(owner).__name__} must be called first. Received: no {name} yet")


def misfit(name: str, rule: str, value: Array) -> InputError:
    """Return the error for an array of the wrong shape; the caller raises it."""
    return InputError(f"{name} must be {rule}. Received: shape {value.shape}")


def numbers(name: str, values: Any, kinds: str = "fiu", rule: str = "real numbers") -> Array:
    """Return what a script gave as an array, or raise InputError where it is none of numbers.

    Parameters
    ----------
    name : str
        What the caller calls it.
    values : array or anything NumPy makes one of
        An array is returned as it is.
    kinds : str
        NumPy's letters of the types it may have: "f" floating-point, "i" and "u" whole, "b" True and False.
    rule : str
        What to say it must be.
    """
    try:
        found = np.asarray(values)
    except (TypeError, ValueError, OverflowError):  # rows of unequal lengths
        found = np.empty(0, dtype=object)
    if found.dtype.kind in kinds:
        return found
    if isinstance(values, (list, tuple)) and found.dtype.kind == "O":
        rule += ", as many in every row"
    error = checks.refuse(name, rule, values)
    if isinstance(values, np.ndarray) or "\n" in str(error):
        error = InputError(f"{name} must be {rule}. Received: {name} of type {found.dtype}")
    raise error


class Layer_Dense:
    """A fully connected layer: output = inputs·weights + biases (see `downslope.network.Dense`).

    Weights are drawn as 0.01·normal from NumPy's legacy global generator, biases are 0. Both are float32 after
    `init()`, else float64; what is computed from them has their type.

    Parameters
    ----------
    n_inputs, n_neurons : int
        Columns taken and given, at least 1.

    Attributes
    ----------
    weights, biases : array, shapes (n_inputs, n_neurons) and (1, n_neurons)
    inputs, output : array
        What `forward` took and gave.
    dweights, dbiases, dinputs : array
        What `backward` gave.
    """

    def __init__(self, n_inputs: int, n_neurons: int) -> None:
        n_inputs = checks.whole("n_inputs", n_inputs, at_least=1)
        n_neurons = checks.whole("n_neurons", n_neurons, at_least=1)
        self.weights: Array = 0.01 * normals((n_inputs, n_neurons))
        self.biases: Array = np.zeros((1, n_neurons), dtype=default_dtype())

    def forward(self, inputs: Any) -> None:
        """Set `output` for a batch of shape (rows, n_inputs), or one sample of shape (n_inputs,)."""
        weights, biases = self._matrix(), numbers("biases", self.biases)
        self.inputs = values = self._typed("inputs", inputs)
        if values.ndim not in (1, 2) or values.shape[-1] != weights.shape[0]:
            raise misfit("inputs", f"of shape (rows, {weights.shape[0]})", values)
        rows, columns = biases.shape[:-1], biases.shape[-1:]
        if columns not in ((), (1,), weights.shape[1:]) or rows not in ((), (1,), values.shape[:-1]):
            raise misfit("biases", f"of shape (1, {weights.shape[1]})", biases)
        self.output, _ = _DENSE.forward(values, {"weights": weights, "biases": biases}, _CONTEXT)

    def backward(self, dvalues: Any) -> None:
        """Set `dweights`, `dbiases` and `dinputs` from the gradient with respect to `output`, of the same shape."""
        inputs, weights = numbers("inputs", kept(self, "inputs", "forward"), "fiub"), self._matrix()
        upstream = self._typed("dvalues", dvalues)
        if inputs.ndim != 2 or upstream.shape != (len(inputs), weights.shape[1]):
            raise misfit("dvalues", f"of the output's shape (rows, {weights.shape[1]}), rows as in inputs", upstream)
        self.dinputs, gradient = _DENSE.backward(upstream, {"weights": weights}, inputs)
        self.dweights, self.dbiases = gradient["weights"], gradient["biases"]

    def _matrix(self) -> Array:
        weights = numbers("weights", self.weights)
        if weights.ndim != 2:
            raise misfit("weights", "of shape (n_inputs, n_neurons)", weights)
        return weights

    def _typed(self, name: str, values: Any) -> Array:
        """Return `values` in the weights' type, which is what the chapter's default type comes to."""
        found = numbers(name, values, "fiub")
        dtype = getattr(self.weights, "dtype", None)
        return found.astype(dtype, copy=False) if dtype is not None and dtype.kind == "f" else found


class Activation_ReLU:
    """Rectified linear unit: output = max(inputs, 0) (see `downslope.network.ReLU`).

    Attributes
    ----------
    inputs, output : array
        What `forward` took and gave.
    dinputs : array
        What `backward` gave.
    """

    def forward(self, inputs: Any) -> None:
        """Set `output`, of the inputs' shape."""
        self.inputs = numbers("inputs", inputs, "fiub")
        output, _ = _RELU.forward(self.inputs, {}, _CONTEXT)
        self.output = output.astype(self.inputs.dtype, copy=False)  # whole numbers stay whole

    def backward(self, dvalues: Any) -> None:
        """Set `dinputs`: `dvalues` where the input was above 0, else 0."""
        inputs = numbers("inputs", kept(self, "inputs", "forward"), "fiub")
        upstream = numbers("dvalues", dvalues)
        if upstream.shape != inputs.shape:
            raise misfit("dvalues", f"of the inputs' shape {inputs.shape}", upstream)
        gradient, _ = _RELU.backward(upstream, {}, inputs)
        self.dinputs = (gradient + 0.0).astype(upstream.dtype, copy=False)  # no zero is negative, as in the chapter


class Activation_Softmax:
    """Softmax: output = e^z / Σ e^z of each row (see `downslope.network.losses.softmax`).

    Attributes
    ----------
    inputs, output : array, shape (rows, classes)
        What `forward` took and gave; each row of `output` sums to 1.
    dinputs : array
        What `backward` gave.
    """

    def forward(self, inputs: Any) -> None:
        """Set `output`, probabilities, from inputs of shape (rows, classes)."""
        self.inputs = numbers("inputs", inputs)
        if self.inputs.ndim != 2 or not self.inputs.size:
            raise misfit("inputs", "of shape (rows, classes), at least 1 by 1", self.inputs)
        self.output = softmax(self.inputs)

    def backward(self, dvalues: Any) -> None:
        """Set `dinputs` from the gradient with respect to `output`: each row times its Jacobian diag(p) − p·pᵀ."""
        output, upstream = numbers("output", kept(self, "output", "forward")), numbers("dvalues", dvalues)
        if upstream.shape != output.shape:
            raise misfit("dvalues", f"of the output's shape {output.shape}", upstream)
        diagonal = output[:, :, np.newaxis] * np.eye(output.shape[1], dtype=output.dtype)
        jacobians = diagonal - output[:, :, np.newaxis] * output[:, np.newaxis, :]
        self.dinputs = (jacobians @ upstream[:, :, np.newaxis])[:, :, 0].astype(upstream.dtype, copy=False)
