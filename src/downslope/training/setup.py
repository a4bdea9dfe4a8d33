"""What training begins with, whatever the rule: the problem, the scales, the initial parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from downslope import checks
from downslope.data import Dataset, split
from downslope.engines.problem import Problem
from downslope.engines.update import FloatArray
from downslope.errors import InputError
from downslope.network import Loss, Network
from downslope.network import loss as loss_named
from downslope.training.preparation import Preparation

__all__ = ["Seed", "Setup", "expect", "output_width", "set_up"]

Seed = int | Literal["chapter"]


@dataclass(frozen=True)
class Setup:
    """Everything a run has before it meets its rule; runs that differ only in their rule may share one.

    Attributes
    ----------
    seed : int or "chapter"
        Of weights, batches, dropout and split.
    dtype : numpy.dtype
        Of parameters, slots and all arithmetic of training.
    preparation : Preparation
        What was learned from the training rows.
    problem : Problem
        What the engine is given.
    parameters : array
        The initial weights and biases; never written into.
    standardize : bool
        Whether inputs, and the targets of a regression, are standardized.
    """

    seed: Seed
    dtype: np.dtype[Any]
    preparation: Preparation
    problem: Problem
    parameters: FloatArray
    standardize: bool


def set_up(
    network: Network,
    data: Dataset,
    *,
    loss: str | Loss | None = None,
    batch_size: int | None = None,
    validation: float | Dataset = 0.0,
    seed: Seed | None = None,
    dtype: str = "float32",
    standardize: bool | None = None,
) -> Setup:
    """Return what `Run` begins with; the parameters are those of `Run`.

    Raises
    ------
    InputError
        If a setting is not legal, or network, data and loss do not fit together.
    """
    expect("network", network, Network, "a network such as MLP([2, 64, 3])")
    expect("data", data, Dataset, "a data set such as downslope.data.spiral()")
    chosen = _fitting_loss(loss, data)
    settled = _seed(seed, data)
    kind = np.dtype(checks.one_of("dtype", getattr(dtype, "__name__", dtype), ["float32", "float64"]))
    _check_widths(network, data, chosen)

    number = settled if isinstance(settled, int) else 0
    other = validation if isinstance(validation, Dataset) else None
    rows, held_out = split(data, 0.0 if isinstance(validation, Dataset) else validation, number)
    wanted = data.standardize if standardize is None else checks.flag("standardize", standardize)
    preparation = Preparation.learn(data, rows, wanted)
    training = preparation.part(data, rows, kind)
    chosen.check_targets(network.outputs, training.targets)
    measured = None
    if other is not None:
        measured = preparation.part(other, slice(None), kind)
    elif len(held_out):
        measured = preparation.part(data, held_out, kind)

    size = len(rows) if batch_size is None else checks.whole("batch_size", batch_size, at_least=1)
    problem = Problem(network, chosen, training, measured, min(size, len(rows)), number)
    skip = data.normals_drawn if settled == "chapter" else 0
    return Setup(settled, kind, preparation, problem, network.initial_parameters(settled, kind, skip), wanted)


def output_width(data: Dataset, loss: str | Loss | None = None) -> int:
    """Return how many outputs a network needs for this data and loss."""
    if data.classes is None:
        return len(data.target)
    return 1 if _fitting_loss(loss, data).name == "bce" else len(data.classes)


def expect(name: str, value: Any, kind: type, rule: str) -> None:
    """Raise InputError unless `value` is a `kind`."""
    if not isinstance(value, kind):
        raise checks.refuse(name, rule, value)


def _seed(seed: Any, data: Dataset) -> Seed:
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
