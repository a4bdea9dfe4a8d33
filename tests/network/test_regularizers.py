from __future__ import annotations

import numpy as np
import pytest

from downslope.network import check_gradient, regularizers


@pytest.mark.parametrize(("l1", "l2"), [(0.3, 0.0), (0.0, 0.7), (0.3, 0.7)])
def test_penalty_and_gradient(l1, l2, draw):
    values = draw(4, (3, 2))
    plain = sum(l1 * abs(w) + l2 * w * w for w in values.ravel().tolist())
    assert regularizers.penalty(values, l1, l2) == pytest.approx(plain, rel=1e-14)
    report = check_gradient(
        lambda w: regularizers.penalty(w, l1, l2), lambda w: regularizers.penalty_gradient(w, l1, l2), values
    )
    assert (report.checked, report.skipped) == (6, 0)


def test_zero_is_left_at_zero_and_dtype_is_kept():
    values = np.array([[-2.0, 0.0, 3.0]], dtype=np.float32)
    gradient = regularizers.penalty_gradient(values, 0.5, 0.25)
    assert gradient.dtype == np.float32
    assert gradient.tolist() == [[-1.5, 0.0, 2.0]]
    assert regularizers.penalty(values, 0.5, 0.25) == 5.75


def test_the_sum_is_taken_in_float64():
    values = np.full(10_000, 1e30, dtype=np.float32)
    assert regularizers.penalty(values, 0.0, 1.0) == pytest.approx(1e64, rel=1e-6)
