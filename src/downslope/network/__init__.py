"""Layers, activations, losses and initial weights: forward and backward, written out to be read."""

from __future__ import annotations

from downslope.network.activations import (
    ACTIVATIONS,
    ELU,
    GELU,
    Activation,
    Identity,
    LeakyReLU,
    ReLU,
    Sigmoid,
    SiLU,
    Softplus,
    Tanh,
    activation,
)
from downslope.network.gradient_check import (
    GradientMismatchError,
    GradientReport,
    check_gradient,
    check_network_gradient,
)
from downslope.network.initializers import (
    INITIALIZERS,
    Chapter,
    Glorot,
    He,
    Initializer,
    Normal,
    Uniform,
    initializer,
)
from downslope.network.layers import Context, Dense, Dropout, Layer, dropout_stream
from downslope.network.losses import (
    LOSSES,
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    loss,
)
from downslope.network.network import LAYERS, MLP, Network
from downslope.network.parts import Array

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "GELU",
    "INITIALIZERS",
    "LAYERS",
    "LOSSES",
    "MLP",
    "Activation",
    "Array",
    "BinaryCrossEntropy",
    "Chapter",
    "Context",
    "CrossEntropy",
    "Dense",
    "Dropout",
    "Glorot",
    "GradientMismatchError",
    "GradientReport",
    "He",
    "Huber",
    "Identity",
    "Initializer",
    "Layer",
    "LeakyReLU",
    "Loss",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "Network",
    "Normal",
    "ReLU",
    "SiLU",
    "Sigmoid",
    "Softplus",
    "Tanh",
    "Uniform",
    "activation",
    "check_gradient",
    "check_network_gradient",
    "dropout_stream",
    "initializer",
    "loss",
]
