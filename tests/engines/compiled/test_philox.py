from __future__ import annotations

import ctypes
from pathlib import Path

import numba
import numpy as np
import pytest
from numba import types

from downslope.engines.compiled import philox
from downslope.network.layers import Context, Dropout, dropout_stream
from downslope.streams import Stream, purpose_word

COUNTS = [*range(71), 10_000]
KEYS = [
    (0, "shuffle", 0),
    (2**64 - 1, "shuffle", 2**64 - 1),
    (1, "dropout", 2**63),
    (2**63, "", 7),
    (0xD2E7470EE14C6C93, "weights", 2**32 - 1),
]
every_key = pytest.mark.parametrize(("seed", "purpose", "index"), KEYS)


def key(seed, purpose, index):
    return np.uint64(seed), np.uint64(purpose_word(purpose)), np.uint64(index)


def filled(function, dtype, key, count):
    """Return what a function writes, and see that it writes no further."""
    out = np.full(count + 3, 99, dtype=dtype)
    function(*key, count, out)
    assert (out[count:] == 99).all()
    return out[:count]


@every_key
def test_words_and_uniform_numbers_are_those_of_the_stream(seed, purpose, index):
    for count in COUNTS:
        words = filled(philox.words, np.uint64, key(seed, purpose, index), count)
        assert np.array_equal(words, Stream(seed, purpose, index).words(count))
        uniform = filled(philox.uniform, np.float64, key(seed, purpose, index), count)
        assert np.array_equal(uniform, Stream(seed, purpose, index).uniform(count))


def order_of(key, count):
    words, order, scratch = np.zeros(count, np.uint64), np.full(count + 2, -9), np.full(count + 3, -9)
    philox.permutation(*key, count, words, order, scratch)
    assert (order[count:] == -9).all()
    assert (scratch[count + 1 :] == -9).all()
    return order[:count], words


@every_key
def test_permutation_is_that_of_the_stream(seed, purpose, index):
    for count in COUNTS:
        order, words = order_of(key(seed, purpose, index), count)
        assert np.array_equal(order, Stream(seed, purpose, index).permutation(count))
        assert np.array_equal(words, Stream(seed, purpose, index).words(count))


@pytest.mark.parametrize(
    "words",
    [
        [5, 5, 5, 5],
        [3, 2, 1, 0],
        [2**64 - 1, 0, 2**64 - 1, 0, 2**63, 2**63 - 1],
        [2**63, 2**63 - 1, 2**63, 1, 2**63 + 1, 1],
        list(range(50, 0, -1)),
    ],
)
def test_equal_and_crowded_words_are_ordered_stably(words):
    given = np.array(words, dtype=np.uint64)
    order = np.full(len(words), -9)
    philox.stable_order(len(words), given, order, np.zeros(len(words) + 1, np.int64))
    assert np.array_equal(order, np.argsort(given, kind="stable"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (5, 1), (7, 3), (3, 64), (33, 10)])
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_dropout_mask_is_the_layer_s(dtype, rows, columns, rate):
    seed, step, layer = 2**64 - 1, 2**48 - 1, 2**16 - 1
    inputs = np.ones((rows, columns), dtype=dtype)
    _, wanted = Dropout(rate).forward(inputs, {}, Context((seed, step), layer))
    index = philox.dropout_index(np.uint64(step), np.uint64(layer))
    for first in range(rows):
        shape = (rows - first, columns)
        out = np.full((columns, shape[0] + 2), -9, dtype=dtype)
        philox.dropout_mask(
            *key(seed, "dropout", index), first, shape[0], columns, rate, out.reshape(-1), 1, out.shape[1]
        )
        assert np.array_equal(out[:, :-2].T, wanted[first:])
        assert (out[:, -2:] == -9).all()
    by_row = np.full(rows * columns, -9, dtype=dtype)
    philox.dropout_mask(*key(seed, "dropout", index), 0, rows, columns, rate, by_row, columns, 1)
    assert np.array_equal(by_row.reshape(rows, columns), wanted)


def test_a_number_equal_to_the_rate_is_kept():
    rate = float(Stream(5, "dropout", 0).uniform(6)[4])
    mask = np.empty(6)
    philox.dropout_mask(*key(5, "dropout", 0), 0, 2, 3, rate, mask, 3, 1)
    assert mask[4] == 1 / (1 - rate)


def test_a_stream_of_dropout_is_the_one_of_its_index():
    step, layer = 12_345, 3
    index = philox.dropout_index(step, layer)
    words = filled(philox.words, np.uint64, key(5, "dropout", index), 9)
    assert np.array_equal(words, dropout_stream(5, step, layer).words(9))


def test_whole_numbers_of_python_are_taken_as_keys():
    out = np.empty(9)
    philox.uniform(3, 2**63 + 5, 7, 9, out)
    wanted = np.empty(9)
    philox.uniform(np.uint64(3), np.uint64(2**63 + 5), np.uint64(7), 9, wanted)
    assert np.array_equal(out, wanted)


def test_raw_pointers_and_no_allocation():
    words_pointer, whole_pointer = types.CPointer(types.uint64), types.CPointer(types.int64)

    @numba.cfunc(
        types.void(types.uint64, types.uint64, types.uint64, types.int64, words_pointer, whole_pointer, whole_pointer),
        error_model="numpy",
    )
    def permute(seed, word, index, count, words, order, scratch):
        philox.permutation(seed, word, index, count, words, order, scratch)

    words, order, scratch = np.empty(1000, np.uint64), np.empty(1000, np.int64), np.empty(1001, np.int64)
    places = [
        words.ctypes.data_as(ctypes.POINTER(ctypes.c_uint64)),
        *(array.ctypes.data_as(ctypes.POINTER(ctypes.c_int64)) for array in (order, scratch)),
    ]
    permute.ctypes(7, purpose_word("shuffle"), 3, 1000, *places)
    assert np.array_equal(order, Stream(7, "shuffle", 3).permutation(1000))
    code = permute.inspect_llvm()
    assert "NRT_MemInfo" not in code
    assert "NRT_Alloc" not in code


def test_same_bits_on_every_processor(run_as):
    told = run_as(Path(__file__).with_name("philox_bits.py"))
    stream = lambda: Stream(2**64 - 1, "shuffle", 2**64 - 1)  # noqa: E731
    wanted = [stream().words(1001), stream().uniform(1001), stream().permutation(1001)]
    assert told == [array.tobytes().hex() for array in wanted]
