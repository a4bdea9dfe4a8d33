"""Optimizers you can see, steer and take with you.

    import downslope as ds

    data = ds.data.spiral(samples=100, classes=3, seed=0)
    run = ds.Run(ds.MLP([2, 64, 3]), data, ds.SGD(learning_rate=ds.InverseTime(1.0, decay=1e-3), momentum=0.9))
    run.train(epochs=10_001)
    run.history.loss[-1]

Names are loaded when they are first used, so that importing the package costs almost nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from downslope._version import __version__

if TYPE_CHECKING:
    from downslope import data as data
    from downslope import landscapes as landscapes
    from downslope import network as network
    from downslope import rules as rules
    from downslope import schedules as schedules
    from downslope import sweeps as sweeps
    from downslope.engines.descent import Descent as Descent
    from downslope.engines.descent import descend as descend
    from downslope.engines.rule_check import check_rule as check_rule
    from downslope.engines.tuning import tuned as tuned
    from downslope.errors import DownslopeError as DownslopeError
    from downslope.errors import ExplosionError as ExplosionError
    from downslope.errors import GuardWarning as GuardWarning
    from downslope.errors import InputError as InputError
    from downslope.errors import MissingExtraError as MissingExtraError
    from downslope.errors import NonFiniteError as NonFiniteError
    from downslope.errors import RuleError as RuleError
    from downslope.figures import MapAxis as MapAxis
    from downslope.figures import comparison_picture as comparison_picture
    from downslope.figures import descent_animation as descent_animation
    from downslope.figures import descent_picture as descent_picture
    from downslope.figures import find_rate_picture as find_rate_picture
    from downslope.figures import landscape_picture as landscape_picture
    from downslope.figures import map_picture as map_picture
    from downslope.figures import rates_picture as rates_picture
    from downslope.figures import schedule_picture as schedule_picture
    from downslope.figures import training_animation as training_animation
    from downslope.figures import training_picture as training_picture
    from downslope.landscapes import Landscape as Landscape
    from downslope.landscapes import landscape as landscape
    from downslope.network import MLP as MLP
    from downslope.network import BinaryCrossEntropy as BinaryCrossEntropy
    from downslope.network import CrossEntropy as CrossEntropy
    from downslope.network import Dense as Dense
    from downslope.network import Dropout as Dropout
    from downslope.network import Huber as Huber
    from downslope.network import MeanAbsoluteError as MeanAbsoluteError
    from downslope.network import MeanSquaredError as MeanSquaredError
    from downslope.network import Network as Network
    from downslope.rules import SGD as SGD
    from downslope.rules import Adadelta as Adadelta
    from downslope.rules import Adagrad as Adagrad
    from downslope.rules import Adam as Adam
    from downslope.rules import Adamax as Adamax
    from downslope.rules import AdamW as AdamW
    from downslope.rules import AdEMAMix as AdEMAMix
    from downslope.rules import AMSGrad as AMSGrad
    from downslope.rules import Lion as Lion
    from downslope.rules import NAdam as NAdam
    from downslope.rules import Optimizer as Optimizer
    from downslope.rules import RAdam as RAdam
    from downslope.rules import RMSprop as RMSprop
    from downslope.rules import setting as setting
    from downslope.schedules import Constant as Constant
    from downslope.schedules import Cosine as Cosine
    from downslope.schedules import Exponential as Exponential
    from downslope.schedules import InverseTime as InverseTime
    from downslope.schedules import LinearWarmup as LinearWarmup
    from downslope.schedules import OneCycle as OneCycle
    from downslope.schedules import Piecewise as Piecewise
    from downslope.schedules import Polynomial as Polynomial
    from downslope.schedules import Schedule as Schedule
    from downslope.schedules import Step as Step
    from downslope.sweeps import Comparison as Comparison
    from downslope.sweeps import SweepResult as SweepResult
    from downslope.sweeps import compare as compare
    from downslope.sweeps import linear as linear
    from downslope.sweeps import log as log
    from downslope.sweeps import open_sweep as open_sweep
    from downslope.sweeps import parse_range as parse_range
    from downslope.sweeps import sweep as sweep
    from downslope.sweeps import values as values
    from downslope.training import Entry as Entry
    from downslope.training import Guard as Guard
    from downslope.training import History as History
    from downslope.training import Log as Log
    from downslope.training import RateTest as RateTest
    from downslope.training import ReduceOnPlateau as ReduceOnPlateau
    from downslope.training import Run as Run
    from downslope.training import find_rate as find_rate
    from downslope.training.checkpoint import CheckpointWarning as CheckpointWarning

ROOMS = ("data", "landscapes", "network", "rules", "schedules", "sweeps")

HOMES = {
    "downslope.engines.descent": ("Descent", "descend"),
    "downslope.engines.rule_check": ("check_rule",),
    "downslope.engines.tuning": ("tuned",),
    "downslope.errors": (
        *("DownslopeError", "ExplosionError", "GuardWarning"),
        *("InputError", "MissingExtraError", "NonFiniteError", "RuleError"),
    ),
    "downslope.figures": (
        *("MapAxis", "comparison_picture", "descent_animation", "descent_picture", "find_rate_picture"),
        *(
            "landscape_picture",
            "map_picture",
            "rates_picture",
            "schedule_picture",
            "training_animation",
            "training_picture",
        ),
    ),
    "downslope.landscapes": ("Landscape", "landscape"),
    "downslope.network": (
        *("BinaryCrossEntropy", "CrossEntropy", "Dense", "Dropout", "Huber"),
        *("MLP", "MeanAbsoluteError", "MeanSquaredError", "Network"),
    ),
    "downslope.rules": (
        *("AMSGrad", "AdEMAMix", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "Lion", "NAdam"),
        *("Optimizer", "RAdam", "RMSprop", "SGD", "setting"),
    ),
    "downslope.schedules": (
        *("Constant", "Cosine", "Exponential", "InverseTime", "LinearWarmup", "OneCycle"),
        *("Piecewise", "Polynomial", "Schedule", "Step"),
    ),
    "downslope.sweeps": (
        *("Comparison", "SweepResult", "compare", "linear", "log", "open_sweep", "parse_range", "sweep", "values"),
    ),
    "downslope.training.checkpoint": ("CheckpointWarning",),
    "downslope.training": ("Entry", "Guard", "History", "Log", "RateTest", "ReduceOnPlateau", "Run", "find_rate"),
}

_HOME_OF = {name: home for home, names in HOMES.items() for name in names}

__all__ = ["__version__", "data", "landscapes", "network", "rules", "schedules", "sweeps"]
__all__ += list(_HOME_OF)


def __getattr__(name: str) -> Any:
    if name in ROOMS:
        return importlib.import_module(f"downslope.{name}")
    if name in _HOME_OF:
        value = getattr(importlib.import_module(_HOME_OF[name]), name)
    elif name[:1].isupper() and name in (rules := importlib.import_module("downslope.rules")).__all__:
        value = getattr(rules, name)  # a rule added as one new file needs no line here
    else:
        raise AttributeError(f"module 'downslope' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
