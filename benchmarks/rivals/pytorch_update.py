"""PyTorch's fused optimizers on one flat parameter, in a process of their own.

In one process with the others, OpenMP's threads, which go on spinning for some milliseconds after their work, slow
whoever comes next.
"""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

from downslope.rules import Optimizer

__all__ = ["FusedStep"]

REST = 0.02  # seconds until the threads sleep


class FusedStep:
    """PyTorch's fused optimizer for the same rule, over `count` float32 parameters."""

    def __init__(self, rule: Optimizer, count: int, threads: int) -> None:
        self._pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        name, values = type(rule).__name__, rule.values()
        self._pool.submit(_prepare, name, values, count, threads).result()

    def seconds(self) -> float:
        """Return how long one step takes."""
        return float(self._pool.submit(_step).result())

    def close(self) -> None:
        """End the process."""
        self._pool.shutdown()


_ready: dict[str, Any] = {}  # in the process: the optimizer


def _prepare(name: str, values: dict[str, Any], count: int, threads: int) -> None:
    import torch

    torch.set_num_threads(threads)
    parameter = torch.nn.Parameter(torch.linspace(-1, 1, count))
    parameter.grad = torch.linspace(0.01, -0.02, count)
    rate = 1e-3
    match name:
        case "SGD":
            momentum, nesterov = values["momentum"], values["nesterov"]
            optimizer: Any = torch.optim.SGD([parameter], rate, momentum=momentum, nesterov=nesterov, fused=True)
        case "Adagrad":
            optimizer = torch.optim.Adagrad([parameter], rate, fused=True)
        case "Adam" | "AMSGrad":
            optimizer = torch.optim.Adam([parameter], rate, amsgrad=name == "AMSGrad", fused=True)
        case "AdamW":
            optimizer = torch.optim.AdamW([parameter], rate, fused=True)
        case _:
            raise ValueError(f"PyTorch has no fused {name}")
    optimizer.step()  # touches every page once
    _ready["optimizer"] = optimizer


def _step() -> float:
    started = time.perf_counter()
    _ready["optimizer"].step()
    seconds = time.perf_counter() - started
    time.sleep(REST)
    return seconds
