from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from downslope.errors import InputError
from downslope.streams import Stream, chapter_normals

MANY = 100_000


def test_uniform_numbers_have_the_moments_of_the_uniform_distribution():
    u = Stream(1, "test").uniform(MANY)
    assert u.dtype == np.float64
    assert u.min() >= 0.0
    assert u.max() < 1.0
    assert np.array_equal(u * 2.0**53, np.floor(u * 2.0**53))
    for power in range(1, 5):
        spread = math.sqrt((1 / (2 * power + 1) - 1 / (power + 1) ** 2) / MANY)
        assert abs((u**power).mean() - 1 / (power + 1)) < 4 * spread
    counts = np.bincount((u * 64).astype(int), minlength=64)
    assert ((counts - MANY / 64) ** 2 / (MANY / 64)).sum() < 63 + 4 * math.sqrt(2 * 63)


def test_normal_numbers_have_the_moments_of_the_normal_distribution():
    z = Stream(1, "test").normal(MANY)
    for power, (moment, variance) in {1: (0, 1), 2: (1, 2), 3: (0, 15), 4: (3, 96)}.items():
        assert abs((z**power).mean() - moment) < 4 * math.sqrt(variance / MANY)
    for edge in (0.5, 1.0, 2.0, 3.0):
        share = math.erfc(edge / math.sqrt(2))
        assert abs((np.abs(z) > edge).mean() - share) < 4 * math.sqrt(share / MANY)


def quantile(p):
    """Return the normal quantile of p with 40 digits, by Newton's method."""
    p = mpmath.mpf(p)
    side = -1 if p < 0.5 else 1
    tail = p if p < 0.5 else 1 - p
    z = mpmath.sqrt(-2 * mpmath.log(2 * tail)) if tail < 0.4 else mpmath.mpf(0)
    for _ in range(40):
        move = (mpmath.erfc(z / mpmath.sqrt(2)) / 2 - tail) / mpmath.npdf(z)
        z += move
        if abs(move) < mpmath.mpf(10) ** -35:
            break
    return side * z


def normal_of(monkeypatch, top_bits):
    """Return the normal numbers a stream makes when its words have these upper 53 bits."""
    words = np.array(top_bits, dtype=np.uint64) << np.uint64(11)
    monkeypatch.setattr(Stream, "words", lambda self, count: words[:count])
    return Stream(0, "test").normal(len(top_bits))


def test_normal_is_the_inverse_of_the_distribution(monkeypatch):
    drawn = (Stream(5, "test").words(150) >> np.uint64(11)).tolist()
    edges = [int(p * 2**53) + offset for p in (0.075, 0.925, math.exp(-25)) for offset in (-1, 0, 1)]
    tails = [int(2**power) for power in range(52)] + [2**53 - 1 - 2**power for power in range(1, 52)]
    bits = [*drawn, *edges, *tails, 0, 2**52 - 1, 2**52]
    got = normal_of(monkeypatch, bits)
    with mpmath.workdps(40):
        for top, z in zip(bits, got.tolist(), strict=True):
            expected = quantile((top + 0.5) * 2.0**-53)
            assert abs(z - expected) <= 1e-14 * abs(expected), top


def test_the_extreme_words_give_finite_normal_numbers(monkeypatch):
    lowest, highest = normal_of(monkeypatch, [0, 2**53 - 1]).tolist()
    assert -8.4 < lowest < -8.2
    assert 8.1 < highest < 8.4


def test_the_same_key_gives_the_same_numbers_however_they_are_asked_for():
    assert np.array_equal(Stream(3, "data", 7).normal(20), Stream(3, "data", 7).normal((4, 5)).ravel())
    stream = Stream(3, "data", 7)
    assert np.array_equal(np.concatenate([stream.words(5), stream.words(15)]), Stream(3, "data", 7).words(20))
    assert np.array_equal(Stream(np.int64(3), "data").words(3), Stream(3, "data").words(3))


def test_streams_of_other_keys_are_independent():
    keys = [
        (0, "data", 0),
        (0, "data", 1),
        (0, "data", 2**64 - 1),
        (0, "weights", 0),
        (1, "data", 0),
        (2**64 - 1, "data", 0),
    ]
    drawn = np.array([Stream(*key).normal(20_000) for key in keys])
    correlation = np.corrcoef(drawn) - np.eye(len(keys))
    assert np.abs(correlation).max() < 4.5 / math.sqrt(20_000)
    words = np.concatenate([Stream(*key).words(20_000) for key in keys])
    assert len(np.unique(words)) == words.size


def test_shapes():
    for shape in [0, 3, (0,), (2, 3), (), (2, 0)]:
        expected = (shape,) if isinstance(shape, int) else shape
        assert Stream(0, "data").uniform(shape).shape == expected
        assert Stream(0, "data").normal(shape).shape == expected
    assert Stream(0, "data").words(4).dtype == np.uint64


def test_permutation_is_a_permutation_and_every_order_is_as_likely():
    for count in (0, 1, 2, 100):
        order = Stream(4, "shuffle").permutation(count)
        assert order.dtype == np.int64
        assert sorted(order.tolist()) == list(range(count))
    seen: dict[tuple[int, ...], int] = {}
    for epoch in range(1200):
        order = tuple(Stream(4, "shuffle", epoch).permutation(3).tolist())
        seen[order] = seen.get(order, 0) + 1
    assert len(seen) == 6
    assert sum((times - 200) ** 2 / 200 for times in seen.values()) < 5 + 4 * math.sqrt(10)


@pytest.mark.parametrize(
    ("key", "words", "normals", "order"),
    [
        (
            (0, "data", 0),
            ["393b9b931335eef2", "71a479d0a00ec059", "f54fc71c61896cdd"],
            ["-0x1.8539b192e4593p-1", "-0x1.20ddda3d6a4dbp-3", "0x1.bb100a4ba69f4p+0"],
            [0, 3, 1, 5, 4, 2],
        ),
        (
            (12345, "weights", 2),
            ["a2119e2eef09114f", "a871d0fdd523972e", "f6eed543c84c43e7"],
            ["0x1.5c2fa34955795p-2", "0x1.a0bdf7139380ap-2", "0x1.ce7869ed11a5cp+0"],
            [4, 0, 1, 5, 3, 2],
        ),
        (
            (2**64 - 1, "shuffle", 999),
            ["95eac2a22bf70b3a", "138d9288e006e240", "635c9a45e9618496"],
            ["0x1.baee875bba144p-3", "-0x1.6e0b22add14bcp+0", "-0x1.23032353d0238p-2"],
            [1, 2, 5, 0, 3, 4],
        ),
    ],
)
def test_the_first_values_never_change(key, words, normals, order):
    assert [f"{word:016x}" for word in Stream(*key).words(3).tolist()] == words
    assert [value.hex() for value in Stream(*key).normal(3).tolist()] == normals
    assert Stream(*key).uniform(1)[0] == (int(words[0], 16) >> 11) / 2**53
    assert Stream(*key).permutation(6).tolist() == order


@pytest.mark.parametrize("value", [-1, 2**64, 1.0, "0", None, True])
@pytest.mark.parametrize("name", ["seed", "index"])
def test_seed_and_index_are_whole_numbers(name, value):
    rule = r"must be a whole number at least 0 and at most 18446744073709551615"
    with pytest.raises(InputError, match=rf"^{name} {rule}\. Received: {name}="):
        Stream(**{"seed": 0, "purpose": "data", "index": 0, name: value})


def test_the_chapters_own_generator():
    reference = np.random.RandomState(0)
    first, second = reference.randn(7).astype(np.float32), reference.randn(2, 2).astype(np.float32)
    assert chapter_normals(7).tolist() == first.tolist()
    assert chapter_normals((2, 2), skip=7).tolist() == second.tolist()
    assert chapter_normals(1).dtype == np.float32
    assert chapter_normals(1)[0] == np.float32(1.764052345967664)
