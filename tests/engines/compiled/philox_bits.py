"""Print words, uniform numbers and a permutation of one stream as compiled code draws them. Run by test_philox.py."""

from __future__ import annotations

import sys

import numpy as np

from downslope.engines.compiled import philox
from downslope.streams import purpose_word

COUNT = 1001


def main():
    key = np.uint64(2**64 - 1), np.uint64(purpose_word("shuffle")), np.uint64(2**64 - 1)
    words, uniform, order = np.empty(COUNT, np.uint64), np.empty(COUNT), np.empty(COUNT, np.int64)
    philox.uniform(*key, COUNT, uniform)
    philox.permutation(*key, COUNT, words, order, np.empty(COUNT + 1, np.int64))
    for array in (words, uniform, order):
        sys.stdout.write(f"{array.tobytes().hex()}\n")


main()
