"""Which engine executes a run: the one that was asked for, or the fastest that can."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from downslope import checks
from downslope.engines.problem import Engine
from downslope.engines.reference import Reference
from downslope.network import LAYERS, LOSSES, Dense, Loss, Network

__all__ = ["ENGINES", "engine_name"]

# Weights of a layer, and rows a step, from which on matrix products are a library's: where a layer outgrows the
# cache (1 MB of float32) and there are rows enough for a product rather than a few sums.
LARGE_LAYER, MANY_ROWS = 1 << 18, 16


def _compiled() -> Engine:
    from downslope.engines.compiled.engine import Compiled

    return Compiled()


def _blas() -> Engine:
    from downslope.engines.compiled.blas import Blas

    return Blas()


ENGINES: Mapping[str, Callable[[], Engine]] = {"compiled": _compiled, "blas": _blas, "reference": Reference}


def engine_name(name: Any, network: Network, loss: Loss, batch_size: int) -> str:
    """Return the name of an engine that is known; for None, of the fastest that can train the network.

    That is "compiled" as long as loss and layers are the package's; "blas" where a layer has at least 2¹⁸ weights and
    a step at least 16 rows; "reference" for a loss or layers of one's own.
    """
    if name is not None:
        return checks.one_of("engine", name, ENGINES)
    ours = [type(layer) is LAYERS.get(getattr(layer, "name", "")) for layer in network.layers]
    if not all(ours) or type(loss) is not LOSSES.get(getattr(loss, "name", "")):
        return "reference"
    largest = max(layer.inputs * layer.outputs for layer in network.layers if isinstance(layer, Dense))
    return "blas" if largest >= LARGE_LAYER and batch_size >= MANY_ROWS else "compiled"
