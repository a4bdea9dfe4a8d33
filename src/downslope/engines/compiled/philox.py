"""The random streams of `downslope.streams` inside compiled code: the same words, bit for bit, into given memory.

A stream is (seed, word, index), where `word` is `streams.purpose_word` of what the numbers are for. The functions fill
pointers or arrays that the caller owns, and allocate nothing.

The generator is Philox 4×64-10: block b of four words is ten rounds over the counter (b + 1, 0, 0, index) under the key
(seed, word), as NumPy numbers them.

Reference: Salmon et al. (2011), "Parallel random numbers: as easy as 1, 2, 3", section 3.3 and table 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic as numba_intrinsic

__all__ = ["dropout_index", "dropout_mask", "permutation", "stable_order", "uniform", "words"]

# Numba declares an intrinsic with the arguments of its typing function; it is called with one less.
intrinsic: Any = numba_intrinsic

# A plain whole number beside a uint64 would turn both into float64, so every constant has its type.
_FIRST_FACTOR, _SECOND_FACTOR = np.uint64(0xD2E7470EE14C6C93), np.uint64(0xCA5A826395121157)
_FIRST_STEP, _SECOND_STEP = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBB67AE8584CAA73B)
_ROUNDS = 10
_ZERO, _LAYER_BITS, _SPARE_BITS = np.uint64(0), np.uint64(16), np.uint64(11)
_UNIT = 2.0**-53


def _inlined(function: Callable[..., Any]) -> Any:
    return numba.njit(error_model="numpy", forceinline=True)(function)


def _compiled(function: Callable[..., Any]) -> Any:
    return numba.njit(error_model="numpy", nogil=True)(function)


@intrinsic
def _upper_half(typing_context, a, b):
    """Return the upper 64 bits of the product of two uint64."""

    def code(context, builder, signature, arguments):
        wide = ir.IntType(128)
        product = builder.mul(*(builder.zext(argument, wide) for argument in arguments))
        return builder.trunc(builder.lshr(product, ir.Constant(wide, 64)), ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), code


@_inlined
def _block(seed: Any, word: Any, index: Any, number: Any) -> Any:
    """Return the four words of block `number`, counted from 0."""
    a, b, c, d = np.uint64(number + 1), _ZERO, _ZERO, index
    for _ in range(_ROUNDS):
        a, b, c, d = (
            _upper_half(c, _SECOND_FACTOR) ^ b ^ seed,
            c * _SECOND_FACTOR,
            _upper_half(a, _FIRST_FACTOR) ^ d ^ word,
            a * _FIRST_FACTOR,
        )
        seed, word = seed + _FIRST_STEP, word + _SECOND_STEP
    return a, b, c, d


@_inlined
def _fraction(word: Any) -> Any:
    """Return the upper 53 bits of a word as a number in [0, 1)."""
    # Below 2⁶³ the signed number is the same, and its conversion is one instruction.
    return np.float64(np.int64(word >> _SPARE_BITS)) * _UNIT


@_compiled
def words(seed: Any, word: Any, index: Any, count: Any, out: Any) -> None:
    """Fill out[0] … out[count − 1] with random words (uint64), as `Stream.words`."""
    seed, word, index = np.uint64(seed), np.uint64(word), np.uint64(index)
    for number in range(count // 4):
        a, b, c, d = _block(seed, word, index, number)
        at = 4 * number
        out[at], out[at + 1], out[at + 2], out[at + 3] = a, b, c, d
    at = count - count % 4
    a, b, c, _ = _block(seed, word, index, count // 4)
    if at < count:
        out[at] = a
    if at + 1 < count:
        out[at + 1] = b
    if at + 2 < count:
        out[at + 2] = c


@_compiled
def uniform(seed: Any, word: Any, index: Any, count: Any, out: Any) -> None:
    """Fill out[0] … out[count − 1] with numbers uniform in [0, 1) (float64), as `Stream.uniform`."""
    seed, word, index = np.uint64(seed), np.uint64(word), np.uint64(index)
    for number in range(count // 4):
        a, b, c, d = _block(seed, word, index, number)
        at = 4 * number
        out[at], out[at + 1], out[at + 2], out[at + 3] = _fraction(a), _fraction(b), _fraction(c), _fraction(d)
    at = count - count % 4
    a, b, c, _ = _block(seed, word, index, count // 4)
    if at < count:
        out[at] = _fraction(a)
    if at + 1 < count:
        out[at + 1] = _fraction(b)
    if at + 2 < count:
        out[at + 2] = _fraction(c)


@_inlined
def dropout_index(step: Any, layer: Any) -> Any:
    """Return the index of the stream of one dropout mask, as `network.layers.dropout_stream`."""
    return (np.uint64(step) << _LAYER_BITS) | np.uint64(layer)


@_compiled
def dropout_mask(
    seed: Any, word: Any, index: Any, first: Any, rows: Any, columns: Any, rate: Any,
    out: Any, row_step: Any, column_step: Any,
) -> None:  # fmt: skip
    """Write rows `first` … `first` + `rows` − 1 of a dropout layer's mask: 1 / (1 − rate), or 0 for what is dropped.

    The numbers are drawn row by row from the mask's row 0, as `network.layers.Dropout` does; the value is kept where
    its number is at least `rate`. The one for row first + r (a sample) and column c (an input) is written to
    out[r·row_step + c·column_step], so the caller's memory may lie either way. `rate` is float64; 1 / (1 − rate) is
    taken in float64 and rounded to out's type.
    """
    seed, word, index = np.uint64(seed), np.uint64(word), np.uint64(index)
    kept = 1.0 / (1.0 - rate)
    number = first * columns // 4
    left = 4 - first * columns % 4
    a, b, c, d = _block(seed, word, index, number)
    for _ in range(4 - left):
        a, b, c = b, c, d
    for row in range(rows):
        for column in range(columns):
            if left == 0:
                number, left = number + 1, 4
                a, b, c, d = _block(seed, word, index, number)
            out[row * row_step + column * column_step] = kept if _fraction(a) >= rate else 0.0
            a, b, c = b, c, d
            left -= 1


@_compiled
def stable_order(count: Any, words: Any, order_out: Any, scratch: Any) -> None:
    """Fill order_out[0] … order_out[count − 1] with the order of `count` words; equal ones stay as they are.

    Each word goes to one of `count` bins of equal width, which leaves random words nearly always within a few places
    of where they belong, and one insertion sort finishes. So the time is proportional to `count` for random words,
    and the order is right for any.

    Parameters
    ----------
    words : pointer or array of uint64
    order_out, scratch : pointers or arrays of int64, room for `count` and for `count` + 1
    """
    bins = np.uint64(count)
    for i in range(count + 1):
        scratch[i] = 0
    for i in range(count):
        scratch[np.int64(_upper_half(words[i], bins)) + 1] += 1
    for i in range(count):
        scratch[i + 1] += scratch[i]
    for i in range(count):
        place = np.int64(_upper_half(words[i], bins))
        order_out[scratch[place]] = i
        scratch[place] += 1
    for i in range(1, count):
        item = order_out[i]
        key = words[item]
        at = i
        while at > 0 and words[order_out[at - 1]] > key:
            order_out[at] = order_out[at - 1]
            at -= 1
        order_out[at] = item


@_compiled
def permutation(seed: Any, word: Any, index: Any, count: Any, words_out: Any, order_out: Any, scratch: Any) -> None:
    """Fill order_out[0] … order_out[count − 1] with 0 … count − 1 in random order, as `Stream.permutation`.

    Parameters
    ----------
    words_out : pointer or array of uint64, room for `count`
        Receives the random words whose order it is.
    order_out, scratch : pointers or arrays of int64, room for `count` and for `count` + 1
        The order; working memory.
    """
    words(seed, word, index, count, words_out)
    stable_order(count, words_out, order_out, scratch)
