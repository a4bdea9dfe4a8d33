from __future__ import annotations

import numpy as np
import pytest

from downslope.errors import DownslopeError, InputError
from downslope.network import (
    MLP,
    CrossEntropy,
    Dense,
    GradientMismatchError,
    MeanSquaredError,
    Network,
    check_gradient,
    check_network_gradient,
)

MATRIX = np.array([[1.0, -2.0], [0.5, 3.0]])


def wavy(x):
    return np.sin(x).sum() + (MATRIX * x * x).sum() + x[0, 0] * x[1, 1]


def wavy_gradient(x):
    gradient = np.cos(x) + 2 * MATRIX * x
    gradient[0, 0] += x[1, 1]
    gradient[1, 1] += x[0, 0]
    return gradient


POINT = np.array([[0.3, -0.7], [1.1, 0.2]])


def test_a_right_gradient_passes_and_is_reported():
    report = check_gradient(wavy, wavy_gradient, POINT)
    assert (report.checked, report.skipped) == (4, 0)
    assert 0 <= report.largest_error < 1e-8
    assert report.analytic == wavy_gradient(POINT)[report.coordinate]
    assert report.numeric == pytest.approx(report.analytic, rel=1e-8)


def one_off(x):
    gradient = wavy_gradient(x)
    gradient[1, 0] *= 1 + 1e-4
    return gradient


@pytest.mark.parametrize(
    ("wrong", "coordinate"),
    [
        (lambda x: -wavy_gradient(x), None),
        (lambda x: 2 * wavy_gradient(x), None),
        (lambda x: wavy_gradient(x) * (1 + 1e-5), None),
        (lambda x: wavy_gradient(x).T.copy(), None),
        (one_off, (1, 0)),
        (np.zeros_like, None),
        (lambda x: wavy_gradient(x) + np.array([[0, np.nan], [0, 0]]), (0, 1)),
        (lambda x: wavy_gradient(x) + np.array([[0, 0], [0, np.inf]]), (1, 1)),
    ],
)
def test_wrong_gradients_are_refused(wrong, coordinate):
    with pytest.raises(GradientMismatchError, match="gradient must agree with central differences") as caught:
        check_gradient(wavy, wrong, POINT)
    if coordinate is not None:
        assert f"at {coordinate} the gradient" in str(caught.value)
    assert isinstance(caught.value, DownslopeError)
    assert isinstance(caught.value, AssertionError)


def test_a_gradient_of_another_shape_is_refused():
    with pytest.raises(GradientMismatchError, match=r"point's shape \(2, 2\). Received: shape \(4,\)"):
        check_gradient(wavy, lambda x: wavy_gradient(x).ravel(), POINT)


def absolute(x):
    return np.abs(x).sum() + (x**2).sum()


def absolute_gradient(x):
    return np.sign(x) + 2 * x


def test_kinks_are_skipped_and_counted_and_near_kinks_are_not():
    point = np.array([0.0, *np.linspace(0.1, 2, 18), -2e-6])
    report = check_gradient(absolute, absolute_gradient, point)
    assert (report.checked, report.skipped) == (20, 0)  # at 0, sign(0) is what the central difference gives
    one_sided = check_gradient(absolute, lambda x: np.where(x > 0, 1.0, -1.0) + 2 * x, point)
    assert (one_sided.checked, one_sided.skipped) == (19, 1)
    with pytest.raises(GradientMismatchError, match=r"at \(0,\) the gradient 1.5"):
        check_gradient(absolute, lambda x: np.where(x == 0, 1.5, absolute_gradient(x)), point)


def test_too_many_kinks_are_refused():
    point, one_sided = np.array([0.0, 0.0, 1.0, 2.0]), lambda x: np.where(x > 0, 1.0, -1.0) + 2 * x
    with pytest.raises(
        GradientMismatchError, match=r"at most 10% of the coordinates must lie on a kink. Received: 2 of 4"
    ):
        check_gradient(absolute, one_sided, point)
    assert check_gradient(absolute, one_sided, point, most_skipped=0.5).skipped == 2


def test_a_wrong_gradient_at_a_smooth_minimum_is_not_taken_for_a_kink():
    with pytest.raises(GradientMismatchError):
        check_gradient(lambda x: (x**2).sum(), lambda x: 2 * x + 1e-4, np.zeros(3), most_skipped=1.0)


def test_a_large_function_value_leaves_room_for_its_rounding():
    check_gradient(lambda x: 1e8 + (x**2).sum(), lambda x: 2 * x, np.array([0.3, 1.0]))


@pytest.mark.parametrize(
    ("function", "point", "settings", "message"),
    [
        (absolute, [], {}, "point must be at least one number, all finite"),
        (absolute, [np.nan], {}, "point must be at least one number, all finite"),
        (lambda x: np.inf, [1.0], {}, r"function must be finite near the point. Received: inf at \(0,\) = 1.0"),
        (absolute, [1.0], {"tolerance": 0}, "tolerance must be above 0. Received: tolerance=0"),
        (absolute, [1.0], {"most_skipped": 2}, "most_skipped must be at least 0 and at most 1"),
    ],
)
def test_what_cannot_be_checked_is_refused(function, point, settings, message):
    with pytest.raises(InputError, match=message):
        check_gradient(function, absolute_gradient, np.array(point), **settings)


class TransposedDense(Network):
    """A network whose backward pass mixes up the rows and columns of its weights' gradient."""

    def backward(self, flat, trace, upstream, gradient=None):
        result = super().backward(flat, trace, upstream, gradient)
        weights = self.views(result)[0]["weights"]
        weights[:] = weights.T.copy()
        return result


class NoPenaltyGradient(Network):
    """A network that forgets the gradient of its penalty."""

    def add_penalty_gradient(self, flat, gradient):
        pass


class SumLoss:
    """The mean squared error with the gradient of the sum over rows."""

    def __getattr__(self, name):
        return getattr(MeanSquaredError(), name)

    def backward(self, outputs, targets):
        return len(outputs) * MeanSquaredError().backward(outputs, targets)


def test_whole_networks_that_are_wrong_are_refused(draw):
    inputs, targets = draw(1, (4, 2)), draw(2, (4, 2))
    layers, loss = [Dense(2, 2, l2=0.1)], MeanSquaredError()
    assert check_network_gradient(Network(layers), loss, inputs, targets).checked == 6
    for network, chosen in (
        (TransposedDense(layers), loss),
        (NoPenaltyGradient(layers), loss),
        (NoPenaltyGradient([Dense(2, 2, bias_l2=0.1)]), loss),
        (Network(layers), SumLoss()),
    ):
        with pytest.raises(GradientMismatchError):
            check_network_gradient(network, chosen, inputs, targets)


def test_check_network_gradient_checks_its_targets(draw):
    with pytest.raises(InputError, match="label must be at least 0 and below 3"):
        check_network_gradient(MLP([2, 3]), CrossEntropy(), draw(1, (2, 2)), np.array([0, 3]))
