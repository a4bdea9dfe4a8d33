"""A network: layers in a row, and one flat vector that holds all their parameters."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike

from downslope import checks
from downslope.errors import InputError
from downslope.network import regularizers
from downslope.network.activations import ACTIVATIONS, Activation, activation
from downslope.network.initializers import Glorot, He, Initializer
from downslope.network.layers import Context, Dense, Dropout, Layer
from downslope.network.parts import Array, look_up
from downslope.streams import Stream, chapter_normals

__all__ = ["LAYERS", "MLP", "Network"]

LAYERS: dict[str, type[Layer]] = {Dense.name: Dense, Dropout.name: Dropout, **ACTIVATIONS}


class Network:
    """Layers applied one after the other.

    A network is an unchanging description. Its parameters are one vector: layer by layer, weights (row by row) before
    biases. Parameters are named by the layer's position among all layers, counted from 0, as "2.weights".

    Parameters
    ----------
    layers : sequence of Layer
        At least one of them Dense; each Dense takes as many inputs as the Dense before it gives.

    Raises
    ------
    InputError
        If something is not a layer, no layer is Dense, or widths disagree.
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self._layers = tuple(layers)
        for position, layer in enumerate(self._layers):
            if not isinstance(layer, Layer):
                raise InputError(f"layer {position} must be a layer such as Dense(2, 64). Received: {layer!r}")
        dense = [(position, layer) for position, layer in enumerate(self._layers) if isinstance(layer, Dense)]
        if not dense:
            raise InputError(f"layers must hold at least one Dense layer. Received: {list(self._layers)!r}")
        for (before, giving), (after, taking) in pairwise(dense):
            if taking.inputs != giving.outputs:
                raise InputError(
                    f"layer {after} must take the {giving.outputs} outputs of layer {before}, {giving!r}. "
                    f"Received: {taking!r}"
                )
        self._inputs, self._outputs = dense[0][1].inputs, dense[-1][1].outputs
        self._slices = dict(self._lay_out())
        self._parameter_count = sum(math.prod(shape) for _, shape in self._slices.values())

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The layers in order."""
        return self._layers

    @property
    def inputs(self) -> int:
        """Number of columns the network takes."""
        return self._inputs

    @property
    def outputs(self) -> int:
        """Number of columns the network gives."""
        return self._outputs

    @property
    def parameter_count(self) -> int:
        """Length of the flat vector."""
        return self._parameter_count

    def parameter_slices(self) -> dict[str, tuple[slice, tuple[int, ...]]]:
        """Return where each parameter lies: {"0.weights": (slice of the flat vector, shape), ...}, in order."""
        return dict(self._slices)

    def views(self, flat: Array) -> list[dict[str, Array]]:
        """Return the parameters of each layer by name, as views: writing into them writes into `flat`."""
        self._check_flat("flat", flat)
        views: list[dict[str, Array]] = [{} for _ in self._layers]
        for name, (where, shape) in self._slices.items():
            position, parameter = name.split(".")
            views[int(position)][parameter] = flat[where].reshape(shape)
        return views

    def initial_parameters(
        self, seed: int | Literal["chapter"], dtype: DTypeLike = np.float32, skip_normals: int = 0
    ) -> Array:
        """Return a new flat vector of initial parameters: random weights, zero biases.

        Parameters
        ----------
        seed : int or "chapter"
            A number draws each Dense layer's weights from its own stream, by its law, and by its place among the Dense
            layers, so that adding a dropout layer leaves the weights as they were. "chapter" draws 0.01·normal for
            every layer from NumPy's legacy generator with seed 0, layers in order, whatever their laws.
        dtype : float32 or float64
            The numbers are drawn in float64 and then rounded to it.
        skip_normals : int
            Only with "chapter": how many normal numbers were drawn before, for the data.
        """
        kind = np.dtype(dtype)
        if kind not in (np.float32, np.float64):
            raise InputError(f"dtype must be float32 or float64. Received: dtype={kind}")
        skip_normals = checks.whole("skip_normals", skip_normals)
        if isinstance(seed, str) and seed != "chapter":
            raise checks.refuse("seed", 'a whole number at least 0, or "chapter"', seed)
        if skip_normals and seed != "chapter":
            raise checks.refuse("skip_normals", 'zero unless seed="chapter"', skip_normals)
        flat = np.zeros(self.parameter_count, dtype=kind)
        views = zip(self.layers, self.views(flat), strict=True)
        weights = [view["weights"] for layer, view in views if isinstance(layer, Dense)]
        if isinstance(seed, str):
            for view in weights:
                view[:] = 0.01 * chapter_normals(view.shape, skip_normals)
                skip_normals += view.size
        else:
            for index, (view, (layer, law)) in enumerate(zip(weights, self._laws(), strict=True)):
                view[:] = law.weights(Stream(seed, "weights", index), layer.inputs, layer.outputs)
        return flat

    def forward(self, flat: Array, inputs: Array, *, dropout: tuple[int, int] | None = None) -> tuple[Array, list[Any]]:
        """Return the outputs for a batch, and what `backward` needs of the way there.

        Parameters
        ----------
        flat : array, shape (parameter_count,)
            In float32 or float64; everything is computed in its dtype.
        inputs : array, shape (rows, inputs)
            At least one row.
        dropout : (seed, step) or None
            The key of the dropout masks while training; None evaluates, without dropout.

        Returns
        -------
        outputs : array, shape (rows, outputs)
        trace : list
            One entry per layer, for `backward`.
        """
        values = self._check_inputs(inputs, flat)
        trace: list[Any] = []
        # A run that diverges passes infinity on; whoever trains looks at the numbers, so no warning beside them.
        with np.errstate(over="ignore", invalid="ignore"):
            for position, (layer, parameters) in enumerate(zip(self._layers, self.views(flat), strict=True)):
                values, saved = layer.forward(values, parameters, Context(dropout, position))
                trace.append(saved)
        return values, trace

    def backward(self, flat: Array, trace: list[Any], upstream: Array, gradient: Array | None = None) -> Array:
        """Return the gradient of the data loss with respect to the flat vector, without penalties.

        Parameters
        ----------
        flat, trace
            As given to and by `forward`.
        upstream : array, shape (rows, outputs)
            Gradient of the loss with respect to the outputs: `Loss.backward`.
        gradient : array, shape (parameter_count,), optional
            Where to write; all of it is overwritten. A new array if left out.
        """
        gradient = np.zeros_like(flat) if gradient is None else gradient
        self._check_flat("gradient", gradient)
        with np.errstate(over="ignore", invalid="ignore"):
            steps = list(zip(self._layers, self.views(flat), trace, self.views(gradient), strict=True))
            for layer, parameters, saved, views in reversed(steps):
                upstream, parts = layer.backward(upstream, parameters, saved)
                for name, part in parts.items():
                    views[name][:] = part
        return gradient

    def penalty(self, flat: Array) -> float:
        """Return the sum of all layers' penalties, in float64 (see `regularizers`)."""
        with np.errstate(over="ignore", invalid="ignore"):
            return sum((regularizers.penalty(values, l1, l2) for values, _, l1, l2 in self._penalized(flat)), 0.0)

    def add_penalty_gradient(self, flat: Array, gradient: Array) -> None:
        """Add the gradient of `penalty` to `gradient`, in place."""
        self._check_flat("gradient", gradient)
        with np.errstate(over="ignore", invalid="ignore"):
            for values, where, l1, l2 in self._penalized(flat):
                gradient[where] += regularizers.penalty_gradient(values, l1, l2)

    def describe(self) -> dict[str, Any]:
        """Return the network as values that JSON can hold; `from_description` gives back an equal network."""
        return {"layers": [layer.describe() for layer in self._layers]}

    @staticmethod
    def from_description(description: Mapping[str, Any]) -> Network:
        """Return the network that `describe` described, an `MLP` where it is one, or raise InputError."""
        layers = description.get("layers") if isinstance(description, Mapping) else None
        if not isinstance(layers, Sequence) or isinstance(layers, str):
            raise checks.refuse("description", 'a dictionary with a list of "layers"', description)
        network = Network([look_up("layer", Layer, LAYERS, layer) for layer in layers])
        same = _as_mlp(network)
        return same if same == network else network

    def __eq__(self, other: object) -> bool:
        return self._layers == other._layers if isinstance(other, Network) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._layers)

    def __repr__(self) -> str:
        return f"Network({list(self._layers)!r})"

    def _lay_out(self) -> Iterator[tuple[str, tuple[slice, tuple[int, ...]]]]:
        start = 0
        for position, layer in enumerate(self._layers):
            for name, shape in layer.shapes().items():
                stop = start + math.prod(shape)
                yield f"{position}.{name}", (slice(start, stop), shape)
                start = stop

    def _laws(self) -> Iterator[tuple[Dense, Initializer]]:
        """Yield each Dense layer and the law of its weights: its own, or the one that suits the next activation."""
        for position, layer in enumerate(self._layers):
            if isinstance(layer, Dense):
                following = next(
                    (after for after in self._layers[position + 1 :] if not isinstance(after, Dropout)), None
                )
                rectified = isinstance(following, Activation) and following.rectifier
                yield layer, layer.initial_weights or (He() if rectified else Glorot())

    def _penalized(self, flat: Array) -> Iterator[tuple[Array, slice, float, float]]:
        self._check_flat("flat", flat)
        for position, layer in enumerate(self._layers):
            for name, (l1, l2) in layer.penalties().items():
                where, _ = self._slices[f"{position}.{name}"]
                yield flat[where], where, l1, l2

    def _check_flat(self, name: str, flat: Array) -> None:
        if (
            not isinstance(flat, np.ndarray)
            or flat.shape != (self.parameter_count,)
            or flat.dtype not in (np.float32, np.float64)
        ):
            got = f"{flat.dtype} of shape {flat.shape}" if isinstance(flat, np.ndarray) else type(flat).__name__
            raise InputError(f"{name} must be {self.parameter_count} float32 or float64 numbers. Received: {got}")

    def _check_inputs(self, inputs: Array, flat: Array) -> Array:
        self._check_flat("flat", flat)
        values = np.asarray(inputs, dtype=flat.dtype)
        if values.ndim != 2 or values.shape[1] != self._inputs or len(values) == 0:
            rule = f"of shape (rows, {self._inputs}) with at least 1 row"
            raise InputError(f"inputs must be {rule}. Received: shape {values.shape}")
        return values


class MLP(Network):
    """A multilayer perceptron: Dense layers with an activation after each but the last, which stays linear.

    The loss applies softmax or sigmoid to the last layer's outputs.

    Parameters
    ----------
    sizes : sequence of int
        Inputs, neurons of each hidden layer, outputs: at least two numbers, each at least 1.
    activation : str, Activation, or a sequence of them
        For all hidden layers, or one for each.
    dropout : float, default 0
        Rate of a Dropout layer after every hidden activation; at least 0 and below 1. None is added for 0.
    l1, l2 : float, default 0
        Penalties on the weights (not the biases) of every Dense layer, at least 0.
    initial_weights : str, Initializer or None
        For every Dense layer. None: He's before an activation of the ReLU family, else Glorot's (so in the last layer).

    Examples
    --------
    >>> MLP([2, 64, 3]).parameter_count
    387
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: Any = "relu",
        *,
        dropout: float = 0.0,
        l1: float = 0.0,
        l2: float = 0.0,
        initial_weights: Any = None,
    ) -> None:
        if not isinstance(sizes, Sequence):
            raise checks.refuse("sizes", "a list of whole numbers such as [2, 64, 3]", sizes)
        widths = [checks.whole(f"sizes[{place}]", size, at_least=1) for place, size in enumerate(sizes)]
        if len(widths) < 2:
            raise checks.refuse("sizes", "at least two numbers, the inputs and the outputs", sizes)
        hidden = _hidden_activations(activation, len(widths) - 2)
        drop = Dropout(checks.real("dropout", dropout, checks.Interval(at_least=0, below=1)))
        layers: list[Layer] = []
        for (inputs, outputs), follower in zip(pairwise(widths), [*hidden, None], strict=True):
            layers.append(Dense(inputs, outputs, l1=l1, l2=l2, initial_weights=initial_weights))
            if follower is not None:
                layers += [follower, drop] if drop.rate else [follower]
        super().__init__(layers)

    def __repr__(self) -> str:
        dense = [layer for layer in self.layers if isinstance(layer, Dense)]
        chosen = [layer for layer in self.layers if isinstance(layer, Activation)]
        rate = next((layer.rate for layer in self.layers if isinstance(layer, Dropout)), 0.0)
        shown = [repr([dense[0].inputs, *(layer.outputs for layer in dense)])]
        if len(set(chosen)) > 1:
            shown.append(f"activation={chosen!r}")
        elif chosen and chosen[0] != activation("relu"):
            shown.append(f"activation={chosen[0]!r}")
        settings = {"dropout": rate, "l1": dense[0].l1, "l2": dense[0].l2, "initial_weights": dense[0].initial_weights}
        shown += [f"{name}={value!r}" for name, value in settings.items() if value]
        return f"MLP({', '.join(shown)})"


def _as_mlp(network: Network) -> MLP | None:
    """Return the multi-layer perceptron of the network's sizes and activations, which it may be or not."""
    dense = [layer for layer in network.layers if isinstance(layer, Dense)]
    chosen = [layer for layer in network.layers if isinstance(layer, Activation)]
    if not dense or len(chosen) != len(dense) - 1:
        return None
    first, sizes = dense[0], [dense[0].inputs, *(layer.outputs for layer in dense)]
    rate = next((layer.rate for layer in network.layers if isinstance(layer, Dropout)), 0.0)
    penalties = {"l1": first.l1, "l2": first.l2}
    return MLP(sizes, chosen, dropout=rate, **penalties, initial_weights=first.initial_weights)


def _hidden_activations(value: Any, count: int) -> list[Activation]:
    """Return one activation per hidden layer, from one for all or a sequence of one for each."""
    if isinstance(value, (list, tuple)):
        if len(value) != count:
            raise checks.refuse("activation", f"one, or a list of {count}, one per hidden layer", value)
        return [activation(each) for each in value]
    return [activation(value)] * count
