"""What is random in training, inside compiled code: dropout masks and the order of the rows."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from downslope.engines.compiled.lanes import like, shift
from downslope.engines.compiled.philox import dropout_index, dropout_mask, stable_order, words
from downslope.engines.compiled.tables import CONSTANTS, DROPOUT, FIELDS, INPUTS, KIND, MASK, POSITION
from downslope.streams import purpose_word

__all__ = ["fill_masks", "shuffle"]

DROPOUT_WORD, SHUFFLE_WORD = np.uint64(purpose_word("dropout")), np.uint64(purpose_word("shuffle"))


@numba.njit(error_model="numpy")
def fill_masks(
    operations: Any, constants: Any, count: Any, seed: Any, step: Any, start: Any, valid: Any, rows: Any, workspace: Any
) -> None:
    """Write the mask of every dropout layer for the rows `start` … `start` + `valid` − 1 of the batch of a step."""
    for k in range(count):
        op = shift(operations, k * FIELDS)
        if op[KIND] == DROPOUT:
            mask, inputs = shift(workspace, op[MASK] * rows), op[INPUTS]
            dropout_mask(
                seed, DROPOUT_WORD, dropout_index(step, op[POSITION]), start, valid, inputs, constants[k * CONSTANTS],
                mask, 1, rows,
            )  # fmt: skip
            for j in range(inputs):
                for r in range(valid, rows):
                    mask[j * rows + r] = like(mask, 0.0)


@numba.njit(error_model="numpy")
def shuffle(seed: Any, epoch: Any, count: Any, order: Any, scratch: Any, drawn: Any) -> None:
    """Write the order of the rows in an epoch; `scratch` holds count + 1 numbers, `drawn` count."""
    words(seed, SHUFFLE_WORD, epoch, count, drawn)
    stable_order(count, drawn, order, scratch)
