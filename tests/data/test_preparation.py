from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from downslope import data
from downslope.data.dataset import Dataset
from downslope.data.preparation import Standardization, split
from downslope.errors import InputError
from downslope.streams import Stream


def labelled(counts: list[int]) -> Dataset:
    labels = np.repeat(np.arange(len(counts)), counts)
    classes = tuple(str(k) for k in range(len(counts)))
    return Dataset("toy", np.arange(float(len(labels)))[:, None], labels, ("a",), classes, ("class",))


@settings(max_examples=150)
@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=8),
    fraction=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**64 - 1),
)
def test_a_stratified_split(counts: list[int], fraction: float, seed: int) -> None:
    toy, n = labelled(counts), sum(counts)
    wanted = int(np.floor(fraction * n + 0.5))
    possible = n - len(counts)
    if wanted in {0, n} or possible == 0:
        with pytest.raises(InputError, match="validation must leave a row"):
            split(toy, fraction, seed)
        return
    train, validation = split(toy, fraction, seed)
    assert np.array_equal(np.sort(np.concatenate([train, validation])), np.arange(n))
    assert (np.diff(train) > 0).all()
    assert (np.diff(validation) > 0).all()
    assert train.dtype == validation.dtype == np.int64
    assert len(validation) == min(wanted, possible)
    taken = np.bincount(toy.targets[validation], minlength=len(counts))
    assert (taken < np.array(counts)).all()  # every class keeps a row in training
    if wanted <= possible and (fraction * np.array(counts) + 1 <= np.array(counts) - 1).all():
        assert (np.abs(taken - np.array(counts) * wanted / n) < 1).all()
    assert np.array_equal(split(toy, fraction, seed)[1], validation)


def test_a_split_is_drawn_by_its_seed() -> None:
    spiral = data.spiral()
    train, validation = split(spiral, 0.25, seed=0)
    assert (len(train), len(validation)) == (225, 75)
    assert np.bincount(spiral.targets[validation]).tolist() == [25, 25, 25]
    assert validation[:6].tolist() == [0, 4, 5, 7, 10, 11]  # golden: these rows never change
    assert not np.array_equal(validation, split(spiral, 0.25, seed=1)[1])


def test_regression_and_no_validation() -> None:
    train, validation = split(data.line(10), 0.35, seed=3)
    assert (len(train), len(validation)) == (6, 4)
    train, validation = split(data.line(10), 0, seed=3)
    assert train.tolist() == list(range(10))
    assert len(validation) == 0


@pytest.mark.parametrize(
    ("dataset", "fraction", "said"),
    [
        (data.line(10), 0.01, r"validation must leave a row to validate. Received: validation=0.01 of 10 rows"),
        (data.line(10), 0.99, r"validation must leave a row to train. Received: validation=0.99 of 10 rows"),
        (data.line(1), 0.5, "validation must leave a row to train"),
        (data.line(10), 1.0, "validation must be at least 0 and below 1"),
        (data.line(10), -0.1, "validation must be at least 0 and below 1"),
        (data.line(10), float("nan"), "validation must be a finite number"),
        (data.line(10), "half", "validation must be a number"),
        (labelled([1, 1, 1]), 0.4, "no class here has two"),
    ],
)
def test_fractions_that_leave_a_part_empty_are_refused(dataset: Dataset, fraction: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        split(dataset, fraction, 0)


numbers = st.floats(-1e300, 1e300, allow_subnormal=False)
tables = arrays(np.float64, st.tuples(st.integers(2, 12), st.integers(1, 4)), elements=numbers)


@settings(max_examples=150)
@given(tables)
def test_standardizing_and_back(table: np.ndarray) -> None:
    standardization = Standardization.learn(table)
    result = standardization.apply(table)
    changing = table.max(axis=0) > table.min(axis=0)
    assert (standardization.scale[~changing] == 1).all()
    assert (result[:, ~changing] == 0).all()
    back = standardization.invert(result)
    assert np.allclose(back, table, rtol=1e-12, atol=1e-12 * np.abs(table).max())


def test_mean_0_and_deviation_1() -> None:
    wine = data.wine()
    result = Standardization.learn(wine.inputs).apply(wine.inputs)
    assert np.allclose(result.mean(axis=0), 0, atol=1e-12)
    assert np.allclose(result.std(axis=0), 1)


@pytest.mark.parametrize("n", [2, 3, 1_000, 1_001])
def test_a_small_spread_on_a_large_value_is_not_lost(n: int) -> None:
    spread = np.arange(n) * 2.0**-10  # exact beside 2**30, so the exact answer is known
    learned = Standardization.learn((2.0**30 + spread)[:, None])
    assert np.allclose(learned.mean - 2.0**30, spread.mean(), rtol=0, atol=2.0**-22)
    assert np.allclose(learned.scale, spread.std(), rtol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_a_mean_is_rounded_once(seed: int) -> None:
    values = 1e9 * (seed + 1) / 7 + 1e-3 * Stream(seed, "data").normal(2_000 + seed)
    exact = sum(map(Fraction, values.tolist()), Fraction(0)) / len(values)
    found = Standardization.learn(values[:, None]).mean[0]
    assert abs(Fraction(float(found)) - exact) <= Fraction(float(np.spacing(found))) * Fraction(51, 100)


def test_the_largest_and_smallest_numbers() -> None:
    large = np.array([[1.7e308], [-1.7e308], [1.7e308]])
    learned = Standardization.learn(large)
    assert np.allclose(learned.apply(large), [[0.5**0.5], [-(2**0.5)], [0.5**0.5]])
    tiny = np.array([[1e-310], [3e-310]])
    assert np.allclose(Standardization.learn(tiny).apply(tiny), [[-1], [1]])
    fine = Standardization.learn([[0.0], [1e-300]])
    with pytest.raises(InputError, match=r"below the largest float64 .* Received: 1e\+300 in row 1, column 1"):
        fine.apply([[1e300]])
    with pytest.raises(InputError, match="below the largest float64"):
        learned.invert([[10.0]])


def test_a_description_is_json_and_comes_back_to_the_last_bit() -> None:
    learned = Standardization.learn(data.spiral().inputs)
    again = Standardization.from_description(json.loads(json.dumps(learned.describe())))
    assert np.array_equal(again.mean, learned.mean)
    assert np.array_equal(again.scale, learned.scale)
    table = np.array([[1.5, -2.5, 1e9]])
    assert np.array_equal(Standardization.identity(3).apply(table), table)
    with pytest.raises(ValueError, match="read-only"):
        learned.mean[0] = 1


@pytest.mark.parametrize(
    ("attempt", "said"),
    [
        (lambda: Standardization.learn(np.empty((0, 2))), "from at least one row"),
        (lambda: Standardization.learn([1.0, 2.0]), r"must be rows with columns. Received: shape \(2,\)"),
        (lambda: Standardization.learn([[1.0, np.nan]]), "finite numbers. Received: nan in row 1, column 2"),
        (lambda: Standardization.identity(2).apply([[1.0]]), r"rows with 2 columns. Received: shape \(1, 1\)"),
        (lambda: Standardization.identity(1).invert([[np.inf]]), "finite numbers. Received: inf"),
        (lambda: Standardization([0.0], [0.0]), "one scale above 0"),  # type: ignore[arg-type]
        (lambda: Standardization([0.0, 1.0], [1.0]), "one scale above 0"),  # type: ignore[arg-type]
        (lambda: Standardization([np.nan], [1.0]), "one finite mean"),  # type: ignore[arg-type]
    ],
)
def test_wrong_arrays_are_refused(attempt: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        attempt()
