"""The chapter's own names, with its behaviour, over the package's own layers and rules.

A script written for the chapter runs with its import lines changed::

    import downslope.book as nnfs
    from downslope.book import *
    from downslope.book.datasets import spiral_data

    nnfs.init()

Names are loaded when they are first used, so that what else is in this room starts quickly.

Reference: Kinsley & Kukieła (2020), "Neural Networks from Scratch in Python", chapter 10, "Optimizers".
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from downslope.book import datasets as datasets
    from downslope.book.datasets import spiral_data as spiral_data
    from downslope.book.initialization import init as init
    from downslope.book.layers import Activation_ReLU as Activation_ReLU
    from downslope.book.layers import Activation_Softmax as Activation_Softmax
    from downslope.book.layers import Layer_Dense as Layer_Dense
    from downslope.book.losses import (
        Activation_Softmax_Loss_CategoricalCrossentropy as Activation_Softmax_Loss_CategoricalCrossentropy,
    )
    from downslope.book.losses import Loss as Loss
    from downslope.book.losses import Loss_CategoricalCrossentropy as Loss_CategoricalCrossentropy
    from downslope.book.optimizers import Optimizer_Adagrad as Optimizer_Adagrad
    from downslope.book.optimizers import Optimizer_Adam as Optimizer_Adam
    from downslope.book.optimizers import Optimizer_RMSprop as Optimizer_RMSprop
    from downslope.book.optimizers import Optimizer_SGD as Optimizer_SGD

_HOMES = {
    "datasets": ("spiral_data",),
    "initialization": ("init",),
    "layers": ("Activation_ReLU", "Activation_Softmax", "Layer_Dense"),
    "losses": ("Activation_Softmax_Loss_CategoricalCrossentropy", "Loss", "Loss_CategoricalCrossentropy"),
    "optimizers": ("Optimizer_Adagrad", "Optimizer_Adam", "Optimizer_RMSprop", "Optimizer_SGD"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "Activation_ReLU",
    "Activation_Softmax",
    "Activation_Softmax_Loss_CategoricalCrossentropy",
    "Layer_Dense",
    "Loss",
    "Loss_CategoricalCrossentropy",
    "Optimizer_Adagrad",
    "Optimizer_Adam",
    "Optimizer_RMSprop",
    "Optimizer_SGD",
    "init",
    "spiral_data",
]


def __getattr__(name: str) -> Any:
    if name == "datasets":
        return importlib.import_module("downslope.book.datasets")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'downslope.book' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"downslope.book.{_HOME_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "datasets"])
