"""A problem as the compiled engine reads it: tables of numbers, and the data features-major in whole lanes."""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from downslope.engines.compiled import tables as t
from downslope.engines.compiled.kernels import kernel
from downslope.engines.guard import hidden_biases
from downslope.engines.problem import Part, Problem, Totals
from downslope.engines.update import FloatArray
from downslope.errors import InputError
from downslope.network import ACTIVATIONS, LOSSES, Dense, Dropout, Network
from downslope.network.activations import Activation
from downslope.rules import Optimizer

__all__ = ["Plan", "Rows", "aligned", "columns", "plan_of", "whole_lanes"]

MOST_BLOCK, HELD_OUT_BLOCK = 512, 128  # rows of a block at most, and at least where others are measured


class Rows(NamedTuple):
    """A part features-major: inputs (features, stride) and targets (targets, stride), columns of zeros at the end."""

    inputs: FloatArray
    targets: FloatArray
    rows: int
    stride: int


class Split(NamedTuple):
    """The sums of a record: over the training rows and over the held-out rows."""

    loss: NDArray[np.float64]
    tally: NDArray[np.float64]
    held_out_loss: NDArray[np.float64]
    held_out_tally: NDArray[np.float64]


class Plan:
    """What stays the same during training, laid out for the kernels."""

    def __init__(self, problem: Problem) -> None:
        network, loss = problem.network, problem.loss
        if type(loss) is not LOSSES.get(getattr(loss, "name", "")):
            raise InputError(f"engine must be 'reference' for a loss of one's own. Received: {loss!r}")
        self.dtype, self.parameters = problem.training.inputs.dtype, network.parameter_count
        self.lanes = t.LANE_BYTES // self.dtype.itemsize
        self.classification = loss.kind == "classification"
        self.tallies = 1 if self.classification else network.outputs
        self.width = len(t.HEAD) + 2 * (1 + self.tallies)
        self.operations, self.constants, buffers = _operations(network)
        self.ranges, self.strengths = _penalties(network)
        penalties, hidden = len(self.ranges), [(biases.start, biases.stop) for biases in hidden_biases(network)]
        self.ranges = np.concatenate([self.ranges, np.array(hidden, dtype=np.int64).reshape(-1, 2)])
        self.reals = np.array([getattr(loss, "delta", 0.0)], dtype=np.float64)
        self._training, self._held_out = problem.training, problem.validation
        shuffled = problem.batch_size < problem.rows
        targets = self._training.targets.shape[1] if self._training.targets.ndim > 1 else 1
        gather = buffers
        gather_targets = gather + network.inputs * shuffled
        scratch = gather_targets + targets * shuffled
        # Rows come in blocks, so that a block's values stay in the cache however many rows a batch has. Its size must
        # not depend on the machine: it decides in which order the rows are added.
        block = min(MOST_BLOCK, whole_lanes(problem.batch_size, self.lanes))
        if self._held_out is not None:
            block = max(block, HELD_OUT_BLOCK)
        self.workspace = (scratch + 4) * block
        held_out = 0 if self._held_out is None else len(self._held_out.inputs)
        sizes = {
            "operations": len(self.operations), "parameters": network.parameter_count, "outputs": network.outputs,
            "targets": targets, "tallies": self.tallies,
            "last_buffer": self.operations[-1][t.TO], "loss": list(LOSSES).index(loss.name),
            "penalties": penalties, "hidden": len(hidden), "block": block,
            "batch_size": problem.batch_size, "rows": problem.rows,
            "stride": whole_lanes(problem.rows, self.lanes),
            "held_out": held_out, "held_out_stride": whole_lanes(held_out, self.lanes),
            "seed": np.uint64(problem.seed).view(np.int64), "slots": 0, "scalars": 0, "update": 0,
            "shuffled": shuffled, "gather": gather, "gather_targets": gather_targets, "scratch": scratch,
            "watched": 0, "halt": 0, "traced": 0,
        }  # fmt: skip
        # Compiling takes a second each, so only what this network needs; nobody calls what is left at address 0.
        kinds = set(self.operations[:, t.KIND].tolist())
        idle = {
            *(() if t.ACTIVATION in kinds else ("activate", "activate_back")),
            *(() if t.DROPOUT in kinds else ("fill_masks",)),
            *(() if shuffled else ("shuffle",)),
        }
        sizes |= {name: 0 if name in idle else kernel(name, self.dtype).address for name in t.PARTS}
        self._sizes = np.array([int(sizes[name]) for name in t.SIZES], dtype=np.int64)
        self.tables = (self.reals, self.operations, self.constants, self.ranges, self.strengths)
        dense = self.operations[self.operations[:, t.KIND] == t.DENSE]
        # Multiply-adds of one step, forward and back.
        self.products = 3 * problem.batch_size * int((dense[:, t.INPUTS] * dense[:, t.OUTPUTS]).sum())

    @cached_property
    def training(self) -> Rows:
        """The training rows, laid out when they are first asked for: products made elsewhere take them as they are."""
        return columns(self._training, self.lanes)

    @cached_property
    def held_out(self) -> Rows | None:
        """The held-out rows, likewise."""
        return None if self._held_out is None else columns(self._held_out, self.lanes)

    def sizes(self, rule: Optimizer | None = None, update: int = 0) -> NDArray[np.int64]:
        """Return the table of sizes, with what belongs to a rule."""
        sizes = self._sizes.copy()
        if rule is not None:
            sizes[t.SIZES.index("slots")] = len(rule.slots_in_use())
            sizes[t.SIZES.index("scalars")] = len(rule.scalar_names)
            sizes[t.SIZES.index("update")] = update
        return sizes

    def known(self, problem: Problem, part: Part) -> Rows | None:
        """Return the part laid out, where it is one of the problem's own."""
        return self.training if part is problem.training else self.held_out if part is problem.validation else None

    def split(self, sums: NDArray[np.float64]) -> Split:
        """Return losses and tallies of both parts from a record or several."""
        start, count = len(t.HEAD), 1 + self.tallies
        training, held_out = sums[..., start : start + count], sums[..., start + count :]
        return Split(training[..., 0], training[..., 1:], held_out[..., 0], held_out[..., 1:])

    def record_of(self, totals: Totals) -> NDArray[np.float64]:
        """Return the kernels' record of an epoch under way; its held-out scores are not in it."""
        record = np.zeros(self.width)
        record[:4] = totals.penalty, totals.gradient_norm, totals.update_ratio, totals.largest_weight
        record[len(t.HEAD)] = totals.loss
        self.split(record).tally[:] = totals.tally
        return record


_PLANS: WeakKeyDictionary[Problem, Plan] = WeakKeyDictionary()


def plan_of(problem: Problem) -> Plan:
    """Return the problem's plan, made once."""
    plan = _PLANS.get(problem)
    if plan is None:
        plan = _PLANS[problem] = Plan(problem)
    return plan


def aligned(count: int, dtype: np.dtype[Any]) -> FloatArray:
    """Return room for so many numbers that begins on a cache line, where whole lanes are read fastest."""
    room = np.empty(count * dtype.itemsize + t.LANE_BYTES, dtype=np.uint8)
    start = -room.ctypes.data % t.LANE_BYTES
    return room[start : start + count * dtype.itemsize].view(dtype)


def whole_lanes(count: int, lanes: int) -> int:
    """Return a number of rows filled up to whole lanes."""
    return -(-count // lanes) * lanes


def columns(part: Part, lanes: int) -> Rows:
    """Return a part features-major, filled up with zeros to whole lanes."""
    inputs = part.inputs
    count = len(inputs)
    stride = whole_lanes(count, lanes)
    wanted = np.asarray(part.targets, dtype=inputs.dtype).reshape(count, -1)

    def turned(values: NDArray[Any]) -> FloatArray:
        wide = aligned(values.shape[1] * stride, inputs.dtype).reshape(-1, stride)
        wide[:, :count], wide[:, count:] = values.T, 0
        return wide

    return Rows(turned(inputs), turned(wanted), count, stride)


def _operations(network: Network) -> tuple[NDArray[np.int64], NDArray[np.float64], int]:
    """Return the operations, their constants, and how many buffers they need, one for each feature."""
    layers, slices = network.layers, network.parameter_slices()
    rows: list[list[int]] = []
    constants: list[list[float]] = []
    width, source, free = network.inputs, -1, 0
    position, fused = 0, False
    while position < len(layers):
        layer = layers[position]
        row, constant = [0] * t.FIELDS, 0.0
        row[t.INPUTS], row[t.FROM], row[t.TO], row[t.POSITION] = width, source, free, position
        if type(layer) is Dense:  # one of the user's own may do anything
            row[t.KIND], row[t.FUSED] = t.DENSE, fused
            row[t.WEIGHTS], row[t.BIASES] = (slices[f"{position}.{name}"][0].start for name in ("weights", "biases"))
            width = layer.outputs
            # A ReLU between two dense layers costs nothing: it is part of how their products are written to memory.
            following = [getattr(layer, "name", "") for layer in layers[position + 1 : position + 3]]
            fused = following == ["relu", "dense"] and type(layers[position + 1]) is ACTIVATIONS["relu"]
            row[t.CODE] = fused
            position += fused
        elif isinstance(layer, Activation) and type(layer) is ACTIVATIONS.get(layer.name):
            row[t.KIND], row[t.CODE] = t.ACTIVATION, list(ACTIVATIONS).index(layer.name)
            constant = getattr(layer, "slope", getattr(layer, "alpha", 0.0))
        elif type(layer) is Dropout:
            row[t.KIND], row[t.MASK] = t.DROPOUT, free + width
            constant = layer.rate
        else:
            raise InputError(f"engine must be 'reference' for a network with a layer of one's own. Received: {layer!r}")
        row[t.OUTPUTS] = width
        source = free
        free += width * (2 if row[t.KIND] == t.DROPOUT else 1)
        rows.append(row)
        constants.append([constant, 0.0])
        position += 1
    return np.array(rows, dtype=np.int64), np.array(constants, dtype=np.float64), free


def _penalties(network: Network) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return (start, stop) of each penalized range of the parameters, and its (l1, l2)."""
    slices = network.parameter_slices()
    ranges, strengths = [], []
    for position, layer in enumerate(network.layers):
        for name, pair in layer.penalties().items():
            where, _ = slices[f"{position}.{name}"]
            ranges.append((where.start, where.stop))
            strengths.append(pair)
    return np.array(ranges, dtype=np.int64).reshape(-1, 2), np.array(strengths, dtype=np.float64).reshape(-1, 2)
