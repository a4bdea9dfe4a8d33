"""The compiled engine: the same formulas as fused Numba loops. Nothing outside this folder imports Numba."""

from __future__ import annotations

from downslope.engines.compiled.update import fused_update

__all__ = ["fused_update"]
