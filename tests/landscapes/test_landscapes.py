import hashlib
import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from downslope.errors import InputError
from downslope.landscapes import LANDSCAPES, Landscape, landscape

EACH = pytest.mark.parametrize("ground", LANDSCAPES.values(), ids=LANDSCAPES)
INSIDE = st.lists(st.floats(0.0, 1.0), min_size=2, max_size=2)


def grid(ground, count=41):
    axes = np.meshgrid(*(np.linspace(low, high, count) for low, high in ground.limits))
    return np.stack(axes, axis=-1)


def test_their_names():
    assert list(LANDSCAPES) == [
        "hills", "rosenbrock", "himmelblau", "beale", "rastrigin", "saddle", "valley", "bowl",
    ]  # fmt: skip
    assert landscape("Rosenbrock") is LANDSCAPES["rosenbrock"]
    assert [name for name, one in LANDSCAPES.items() if one.dimensions == 1] == ["hills"]


@pytest.mark.parametrize(("name", "told"), [("rosenbrok", "Did you mean 'rosenbrock'?"), (3, "landscape=3")])
def test_an_unknown_name(name, told):
    with pytest.raises(InputError, match="landscape must be one of hills, rosenbrock") as caught:
        landscape(name)
    assert told in str(caught.value)


@EACH
@given(where=INSIDE)
def test_the_gradient_is_that_of_the_function(ground, where):
    low, high = np.array(ground.limits).T
    point = low + (high - low) * np.array(where[: ground.dimensions])
    near = 1e-5
    differences = [
        (ground.value(point + step) - ground.value(point - step)) / (2 * near)
        for step in near * np.eye(ground.dimensions)
    ]
    # Fourth derivatives and rounding: steep walls have large ones.
    size = max(1.0, abs(ground.gradient(point)).max(), abs(float(ground.value(point))))
    np.testing.assert_allclose(ground.gradient(point), differences, atol=2e-6 * size, rtol=0)


@EACH
def test_the_minima_are_lowest_points(ground):
    for point in (*ground.minima, *ground.local_minima):
        assert abs(ground.gradient(point)).max() < 1e-10
        for step in 0.02 * np.vstack([np.eye(ground.dimensions), -np.eye(ground.dimensions)]):
            assert ground.value(np.array(point) + step) > ground.value(point)
    for point in ground.minima:
        assert ground.value(point) == pytest.approx(ground.minimum, abs=1e-12)
    for point in ground.local_minima:
        assert ground.value(point) > ground.minimum + 0.1
    assert ground.value(grid(ground)).min() >= ground.minimum - 1e-12


@EACH
def test_start_and_minima_are_in_the_picture_and_apart(ground):
    low, high = np.array(ground.limits).T
    for point in (ground.start, *ground.minima, *ground.local_minima):
        assert ((low < point) & (point < high)).all()
    first = ground.value(ground.start) - ground.minimum
    assert first > 0.9
    # Not at a point of symmetry, where a descent is blind to one direction.
    assert (abs(ground.gradient(ground.start)) > 1e-3).all()


KNOWN = {
    "rosenbrock": ([0.0, 2.0], 401.0),
    "himmelblau": ([0.0, 0.0], 170.0),
    "beale": ([0.0, 0.0], 1.5**2 + 2.25**2 + 2.625**2),
    "rastrigin": ([0.5, 1.0], 20.25 + 1),
    "saddle": ([1.0, 1.0], 0.25),
    "valley": ([7.0, -24.0], 0.5 * (9 + 100 * 25.0**2)),
    "bowl": ([4.0, 3.0], 12.5),
    "hills": ([0.0], 0.75 + 1.2),
}


@EACH
def test_values_by_hand(ground):
    point, value = KNOWN[ground.name]
    assert ground.value(point) == pytest.approx(value, rel=1e-14)


@EACH
def test_a_point_alone_has_the_bits_it_has_among_others(ground):
    points = grid(ground, 7)
    values, gradients = ground.value(points), ground.gradient(points)
    assert (values.shape, gradients.shape) == (points.shape[:-1], points.shape)
    assert values.dtype == gradients.dtype == np.float64
    for place in np.ndindex(values.shape):
        assert ground.value(points[place]) == values[place]
        assert (ground.gradient(points[place]) == gradients[place]).all()
    assert ground.value(points[:0]).shape == points[:0].shape[:-1]


@EACH
def test_far_outside_nothing_is_raised(ground):
    for far in (1e9, -1e200, np.inf, np.nan):
        point = np.full(ground.dimensions, far)
        assert ground.value(point).shape == ()
        assert ground.gradient(point).shape == (ground.dimensions,)


def test_the_hills_are_those_of_the_chapter():
    hills = landscape("hills")
    lowest = hills.minima[0][0]
    left = [x for (x,) in hills.local_minima if x < lowest]
    assert len(left) >= 4
    assert len(hills.local_minima) > len(left)
    assert lowest > 0
    # Every minimum that is listed can be seen, and no other is there.
    xs = np.linspace(*hills.limits[0], 20_001)
    values = hills.value(xs[:, None])
    falls, rises = values[1:-1] < values[:-2], values[1:-1] <= values[2:]
    found = xs[1:-1][falls & rises]
    np.testing.assert_allclose(found, sorted([lowest, *(x for (x,) in hills.local_minima)]), atol=1e-3)
    for a, b in itertools.pairwise(found):
        ridge = values[(xs > a) & (xs < b)].max()
        assert ridge - max(hills.value([a]), hills.value([b])) > 0.5
    assert hills.value(hills.start) > max(float(hills.value(one)) for one in hills.local_minima) + 3
    # The walls rise so steeply that a step may be thrown further than it came.
    assert (abs(hills.gradient([[-6.6], [6.6]])) > 30).all()


def own(**changed):
    given = {
        "name": "mine", "title": "Mine", "formula": "f(x) = x²", "limits": ((-1.0, 1.0),), "start": (0.5,),
        "minima": ((0.0,),), "function": lambda x: x * x, "slopes": lambda x: (2 * x,),
    }  # fmt: skip
    return Landscape(**{**given, **changed})


def test_a_landscape_of_ones_own():
    mine = own()
    assert (mine.dimensions, mine.minimum) == (1, 0.0)
    assert mine.gradient([[3.0], [-1.0]]).tolist() == [[6.0], [-2.0]]


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"limits": ()}, "limits must be given for 1 or 2 variables. Received: limits=()"),
        ({"limits": ((1.0, 1.0),)}, "limits must each be (low, high) with low below high. Received: (1.0, 1.0)"),
        ({"minima": ()}, "minima must hold at least one point. Received: none"),
        ({"start": (0.0, 0.0)}, "start must have 1 coordinates, as limits has. Received: (0.0, 0.0)"),
        ({"minima": ((),)}, "minima must have 1 coordinates, as limits has. Received: ()"),
    ],
)
def test_a_wrong_landscape(changed, told):
    with pytest.raises(InputError) as caught:
        own(**changed)
    assert str(caught.value) == told


@pytest.mark.parametrize("points", [3.0, [1.0], [[1.0, 2.0, 3.0]]])
def test_points_of_another_shape(points):
    with pytest.raises(InputError, match="points must have 2 coordinates on their last axis, as bowl has variables"):
        landscape("bowl").value(points)


def test_the_room_is_entered_without_numpy():
    code = "import sys, downslope.landscapes; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


DIGESTS = {
    "hills": "0df255a3d3673a19",
    "rosenbrock": "63ddb2325d177e64",
    "himmelblau": "21d74a85228884b6",
    "beale": "1ff817539486ffe1",
    "rastrigin": "a7e72dd7944735c3",
    "saddle": "81b1028c240cf7de",
    "valley": "86782ffe4a68fdb5",
    "bowl": "773696fb7b31b196",
}


@EACH
def test_the_same_digits_on_every_machine(ground):
    points = grid(ground, 33)
    bits = ground.value(points).astype("<f8").tobytes() + ground.gradient(points).astype("<f8").tobytes()
    assert hashlib.blake2b(bits, digest_size=8).hexdigest() == DIGESTS[ground.name]
