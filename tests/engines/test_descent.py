import math

import numpy as np
import pytest

from downslope.engines import descent as room
from downslope.engines import tuning as tuning_module
from downslope.engines.descent import descend, descents
from downslope.engines.tuning import tuned
from downslope.engines.update import apply_update, new_slots
from downslope.errors import InputError, RuleError
from downslope.landscapes import LANDSCAPES, Landscape, landscape
from downslope.rules import RULES, SGD, Adam, Optimizer, setting
from downslope.schedules import Constant, Cosine, InverseTime, Step

BOWL, HILLS, ROSENBROCK = landscape("bowl"), landscape("hills"), landscape("rosenbrock")


def same(a, b):
    """Whether two descents are the same, bit by bit."""
    arrays = ("points", "values", "learning_rate")
    return all(
        getattr(a, name).tobytes() == getattr(b, name).tobytes() and getattr(a, name).shape == getattr(b, name).shape
        for name in arrays
    ) and (a.optimizer, a.start, a.asked, a.exploded) == (b.optimizer, b.start, b.asked, b.exploded)


def test_by_hand():
    path = descend(BOWL, SGD(0.5), start=[3.0, -1.0], steps=3)
    assert path.points.tolist() == [[3, -1], [2, -1], [1.5, -1], [1.25, -1]]
    assert path.values.tolist() == [2.0, 0.5, 0.125, 0.03125]
    assert path.learning_rate.tolist() == [0.5] * 3
    assert (path.steps, path.asked, path.exploded, path.final_value) == (3, 3, False, 0.03125)
    assert path.start == (3.0, -1.0)


@pytest.mark.parametrize("found", RULES.values(), ids=RULES)
def test_each_step_is_the_rules_own(found):
    rule = found()
    path = descend(ROSENBROCK, rule, steps=20)
    point = np.array(ROSENBROCK.start)
    slots = new_slots(rule, point)
    for step in range(1, path.steps + 1):
        point, slots = apply_update(rule, step, point, ROSENBROCK.gradient(point), slots)
        assert path.points[step].tobytes() == point.tobytes()
    assert path.values.tobytes() == ROSENBROCK.value(path.points).tobytes()


def test_without_steps():
    path = descend(HILLS, SGD(0.1), steps=0)
    assert (path.points.shape, path.values.shape, path.learning_rate.shape) == ((1, 1), (1,), (0,))
    assert (path.steps, path.exploded) == (0, False)


def test_a_schedule_sees_k_from_0():
    rate = InverseTime(0.5, decay=1.0)
    path = descend(BOWL, SGD(rate), steps=4)
    assert path.learning_rate.tolist() == [rate(k) for k in range(4)]
    assert path.points[1].tolist() == (np.array(BOWL.start) - 0.5 * BOWL.gradient(BOWL.start)).tolist()


def test_the_arrays_stay_as_they_are():
    path = descend(BOWL, SGD(0.5), steps=3)
    for array in (path.points, path.values, path.learning_rate):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


class TestReached:
    path = descend(BOWL, SGD(0.5), start=[3.0, -1.0], steps=3)

    @pytest.mark.parametrize(
        ("tolerance", "step"), [(2.0, 0), (0.5, 1), (0.2, 2), (0.03125, 3), (0.03, None), (0, None)]
    )
    def test_from_which_step_on(self, tolerance, step):
        assert self.path.reached(tolerance) == step

    def test_passing_by_is_not_arriving(self):
        path = descend(landscape("hills"), SGD(0.021, momentum=0.9), steps=150)
        low = np.flatnonzero(path.values - HILLS.minimum <= 1.0)
        step = path.reached(1.0)
        assert step is not None
        assert low[0] < step  # it was lower before, and left again
        assert (path.values[step:] - HILLS.minimum <= 1.0).all()
        assert path.values[step - 1] - HILLS.minimum > 1.0

    def test_an_explosion_arrives_nowhere(self):
        assert descend(BOWL, SGD(50.0), steps=100).reached(1e300) is None

    def test_a_wrong_tolerance(self):
        with pytest.raises(InputError, match=r"tolerance must be at least 0\. Received: tolerance=-1"):
            self.path.reached(-1)


class TestExplosions:
    def test_the_path_ends_at_the_last_point_inside(self):
        path = descend(BOWL, SGD(11.0), steps=100)  # each step: ten times as far on the other side
        assert path.exploded
        assert path.steps == 6
        assert np.isfinite(path.values).all()
        assert abs(path.points).max() <= 6e6
        assert len(path.learning_rate) == path.steps

    @pytest.mark.parametrize("rate", [1e200, 1e308])
    def test_not_finite(self, rate):
        path = descend(HILLS, SGD(rate), steps=5)
        assert (path.exploded, path.steps) == (True, 0)

    def test_a_value_that_is_not_finite(self):
        def function(x):
            return 1 / (x - 1) ** 2 * x**2

        edge = Landscape(
            "edge", "Edge", "f(x) = x²/(x − 1)²", ((-3.0, 3.0),), (3.0,), ((0.0,),), function, lambda x: (x / x,)
        )
        path = descend(edge, SGD(1.0), steps=5)
        assert path.points.tolist() == [[3.0], [2.0]]
        assert path.exploded

    def test_a_slot_that_is_not_finite(self):
        steep = Landscape(
            "steep", "Steep", "", ((-1.0, 1.0),), (1.0,), ((0.0,),), lambda x: x * x, lambda x: (x * 1e200,)
        )
        assert descend(steep, Adam(0.01), steps=5).exploded

    def test_exploding_at_the_last_step(self):
        assert descend(BOWL, SGD(11.0), steps=7).exploded
        assert not descend(BOWL, SGD(11.0), steps=6).exploded


class TestTogether:
    RATES = (1e-4, 0.003, 0.1, 0.7, 2.5, 100.0)

    @pytest.mark.parametrize("ground", LANDSCAPES.values(), ids=LANDSCAPES)
    @pytest.mark.parametrize("found", RULES.values(), ids=RULES)
    def test_each_has_the_bits_it_has_alone(self, ground, found, monkeypatch):
        rules = [found(learning_rate=rate) for rate in self.RATES]
        alone = [descend(ground, rule, steps=30) for rule in rules]
        asked = []
        monkeypatch.setattr(room, "descend", lambda *given, **more: asked.append(given) or descend(*given, **more))
        together = descents(ground, rules, steps=30)
        assert len(asked) == 1  # all went together, but for the one that is compared
        assert all(same(a, b) for a, b in zip(alone, together, strict=True))

    @pytest.mark.parametrize(
        "rules",
        [
            [SGD(0.1, momentum=0.9, nesterov=True), SGD(0.3, momentum=0.5, nesterov=True)],
            [SGD(0.1, momentum=0.9, nesterov=True), SGD(0.3, momentum=0.9, nesterov=False)],
            [SGD(0.1), SGD(0.1, momentum=0.9)],
            [SGD(0.1), Adam(0.1)],
            [SGD(InverseTime(0.5, decay=0.1)), SGD(0.1)],
            [Adam(Cosine(0.5, steps=20), beta_1=0.8), Adam(0.1)],
            [SGD(lambda k: 0.1 / (k + 1)), SGD(0.1)],
            [SGD(0.1)],
            [],
        ],
        ids=str,
    )
    def test_any_optimizers(self, rules):
        alone = [descend(ROSENBROCK, rule, steps=25) for rule in rules]
        assert all(same(a, b) for a, b in zip(alone, descents(ROSENBROCK, rules, steps=25), strict=True))

    def test_a_flag_stays_a_flag(self, monkeypatch):
        class Signed(Optimizer):
            learning_rate = setting(0.1, above=0, meaning="size of a step", scheduled=True)
            signs = setting(True, meaning="whether only the sign counts")

            def update(xp, parameter, gradient, learning_rate, signs):  # noqa: N805 - a static formula
                return parameter - learning_rate * (xp.sign(gradient) if signs else gradient)

        rules = [Signed(rate) for rate in (0.1, 0.2)]
        alone = [descend(BOWL, rule, steps=5) for rule in rules]
        asked = []
        monkeypatch.setattr(room, "descend", lambda *given, **more: asked.append(given) or descend(*given, **more))
        assert all(same(a, b) for a, b in zip(alone, descents(BOWL, rules, steps=5), strict=True))
        assert len(asked) == 1

    def test_without_steps(self):
        assert [path.steps for path in descents(BOWL, [SGD(0.1), SGD(0.2)], steps=0)] == [0, 0]

    def test_a_rule_that_mixes_elements_goes_one_by_one(self):
        class Normed(Optimizer):
            learning_rate = setting(0.1, above=0, meaning="size of a step", scheduled=True)

            def update(xp, parameter, gradient, learning_rate):  # noqa: N805 - a static formula
                return parameter - learning_rate * gradient / xp.sqrt((gradient * gradient).sum())

        rules = [Normed(rate) for rate in (0.1, 0.2)]
        alone = [descend(BOWL, rule, steps=5) for rule in rules]
        assert all(same(a, b) for a, b in zip(alone, descents(BOWL, rules, steps=5), strict=True))


class TestTuned:
    def test_the_best_of_those_given(self):
        rates = (0.001, 0.5, 1.0, 1.5, 3.0)
        found, tuning = tuned(BOWL, SGD(0.1), rates=rates, steps=100)
        assert found == SGD(1.0)
        assert tuning.learning_rate == 1.0
        assert tuning.rates.tolist() == list(rates)
        assert tuning.tolerance == pytest.approx(1e-3 * float(BOWL.value(BOWL.start)))
        paths = [descend(BOWL, SGD(rate), steps=100) for rate in rates]
        assert tuning.reached == tuple(path.reached(tuning.tolerance) for path in paths)
        assert tuning.reached == (None, 5, 1, 5, None)
        assert tuning.exploded.tolist() == [False, False, False, False, True]
        assert tuning.final_values.tolist() == [*(path.final_value for path in paths[:-1]), math.inf]

    def test_equally_fast_the_lower_one(self):
        _, tuning = tuned(BOWL, SGD(0.1), rates=[0.5, 1.5, 0.52], steps=30)
        assert tuning.reached == (5, 5, 5)
        assert tuning.learning_rate == 0.52

    def test_where_none_arrives_the_lowest(self):
        _, tuning = tuned(BOWL, SGD(0.1), rates=[1e-5, 1e-3, 1e-4, 50.0], steps=30)
        assert tuning.reached == (None,) * 4
        assert tuning.learning_rate == 1e-3

    def test_a_lucky_last_step_is_not_arriving(self):
        # At 0.445 the ball jumps about for ever; asked for as many steps as it needs to pass by the lowest point once.
        jumping = SGD(0.445)
        long = descend(HILLS, jumping, steps=100)
        tolerance = 1e-3 * float(long.values[0] - HILLS.minimum)
        steps = int(np.flatnonzero(long.values - HILLS.minimum <= tolerance)[0])
        assert descend(HILLS, jumping, steps=steps).reached(tolerance) == steps
        _, tuning = tuned(HILLS, jumping, rates=[0.445, 0.2], steps=steps)
        assert tuning.learning_rate == 0.2

    def test_the_rates_of_the_grid_and_finer_ones(self):
        _, tuning = tuned(ROSENBROCK, Adam(), steps=60)
        assert 49 + 14 < len(tuning.rates) <= 49 + 3 * 14
        assert (tuning.rates[0], tuning.rates[-1]) == (1e-4, 100.0)
        assert (np.diff(tuning.rates) > 0).all()
        place = tuning.rates.tolist().index(tuning.learning_rate)
        assert tuning.rates[place + 1] / tuning.rates[place] < 1.04

    def test_finer_rates_beside_the_three_best_of_the_grid(self):
        """On a ground of many valleys the best of the grid has no better neighbour, and the third best has."""
        rastrigin = landscape("rastrigin")
        found, tuning = tuned(rastrigin, Adam())
        grid = [float(f"{1e-4 * 10 ** (k / 8):.4g}") for k in range(49)]
        _, coarse = tuned(rastrigin, Adam(), rates=grid)
        assert coarse.reached == (None,) * 49
        assert descend(rastrigin, found).arrived < 150
        assert abs(math.log10(found.learning_rate / coarse.learning_rate)) > 1 / 8
        beside = [rate for rate in tuning.rates if 0 < abs(math.log10(rate / coarse.learning_rate)) < 1 / 8 - 1e-3]
        assert len(beside) == 14

    def test_the_rates_are_the_same_in_several_goes(self, monkeypatch):
        together = tuned(ROSENBROCK, Adam(), steps=40)[1]
        monkeypatch.setattr(tuning_module, "POINTS_AT_A_TIME", 5 * 41)
        alone = tuned(ROSENBROCK, Adam(), steps=40)[1]
        assert alone.rates.tolist() == together.rates.tolist()
        assert alone.final_values.tolist() == together.final_values.tolist()
        assert (alone.learning_rate, alone.reached) == (together.learning_rate, together.reached)

    @pytest.mark.parametrize("found", RULES.values(), ids=RULES)
    def test_no_rate_of_the_grid_is_better(self, found):
        rule, tuning = tuned(BOWL, found(), steps=100)
        path = descend(BOWL, rule, steps=100)
        arrived = [step for step in tuning.reached if step is not None and step <= 90]
        assert path.reached(tuning.tolerance) == min(arrived)

    def test_the_base_of_a_schedule(self):
        found, tuning = tuned(BOWL, SGD(InverseTime(0.01, decay=0.1)), steps=50)
        assert found == SGD(InverseTime(tuning.learning_rate, decay=0.1))
        assert tuning.learning_rate > 0.5

    @pytest.mark.parametrize("rate", [lambda k: 0.1, Constant(0.1).for_steps(3).then(Step(0.1, every=2, factor=0.5))])
    def test_a_schedule_without_a_base(self, rate):
        with pytest.raises(InputError, match="learning_rate must be a number, or a schedule with a base"):
            tuned(BOWL, SGD(rate))

    def test_a_rule_with_few_legal_rates(self):
        class Careful(Optimizer):
            learning_rate = setting(0.1, above=0.05, below=0.2, meaning="size of a step", scheduled=True)

            def update(xp, parameter, gradient, learning_rate):  # noqa: N805 - a static formula
                return parameter - learning_rate * gradient

        found, tuning = tuned(BOWL, Careful(), steps=20)
        assert tuning.rates.min() > 0.05
        assert tuning.rates.max() < 0.2
        assert found.learning_rate == tuning.rates.max()

    def test_every_rate_explodes(self):
        with pytest.raises(InputError, match=r"learning_rate must be one at which the descent does not explode\. Rec"):
            tuned(BOWL, SGD(0.1), rates=[50.0, 60.0], steps=50)

    @pytest.mark.parametrize(
        ("rates", "told"),
        [
            ([], "rates must hold at least one learning rate. Received: none"),
            ([0.1, -1.0], "learning_rate must be above 0. Received: learning_rate=-1.0"),
            ([0.1, "0.2"], "learning_rate must be a number above 0. Received: learning_rate='0.2'"),
            (0.1, "rates must be a sequence of learning rates. Received: rates=0.1"),
            (
                [InverseTime(0.1, decay=1)],
                "rates must be a sequence of learning rates. Received: rates=[InverseTime(0.1, decay=1.0)]",
            ),
        ],
    )
    def test_wrong_rates(self, rates, told):
        with pytest.raises(InputError) as caught:
            tuned(BOWL, SGD(0.1), rates=rates)
        assert str(caught.value) == told


TWO = "start must be two numbers, one for each variable of bowl, and finite. Received: start="
ONE = "start must be one number, for the variable of hills, and finite. Received: start="
WRONG = [
    (BOWL, {"start": [1.0]}, TWO + "[1.0]"),
    (BOWL, {"start": 1.0}, TWO + "1.0"),
    (BOWL, {"start": [1.0, math.nan]}, TWO + "[1.0, nan]"),
    (BOWL, {"start": [1.0, math.inf]}, TWO + "[1.0, inf]"),
    (BOWL, {"start": ["a", "b"]}, TWO + "['a', 'b']"),
    (BOWL, {"start": [1, 10**400]}, TWO + "[1, 1" + "0" * 72 + "..."),
    (HILLS, {"start": [1, 2]}, ONE + "[1, 2]"),
    (BOWL, {"start": [1e9, 0]}, "start must be within 1,000,000 widths of the limits of bowl. Received: start=[100"),
    (BOWL, {"steps": -1}, "steps must be a whole number at least 0 and at most 1000000. Received: steps=-1"),
    (BOWL, {"steps": 1.5}, "steps must be a whole number at least 0 and at most 1000000. Received: steps=1.5"),
    (BOWL, {"steps": 10**9}, "steps must be a whole number at least 0 and at most 1000000. Received: steps=1000000000"),
    (BOWL, {"optimizer": "sgd"}, "optimizer must be an optimizer such as SGD(0.1). Received: optimizer='sgd'"),
    (BOWL, {"optimizer": SGD}, "optimizer must be an optimizer such as SGD(0.1). Received: optimizer=<class"),
    ("bowl", {}, "landscape must be a Landscape such as landscape('rosenbrock'). Received: landscape='bowl'"),
]


@pytest.mark.parametrize("call", [descend, tuned])
@pytest.mark.parametrize(("ground", "given", "told"), WRONG)
def test_wrong_input(call, ground, given, told):
    more = {name: value for name, value in given.items() if name != "optimizer"}
    with pytest.raises(InputError) as caught:
        call(ground, given.get("optimizer", SGD(0.1)), **more)
    assert str(caught.value).startswith(told)


class Fails(Optimizer):
    learning_rate = setting(0.1, above=0, meaning="size of a step", scheduled=True)

    def update(xp, parameter, gradient, learning_rate):  # noqa: N805 - a static formula
        return parameter - learning_rate * gradient / xp.cosine(parameter)


@pytest.mark.parametrize("call", [descend, tuned])
def test_a_rule_that_raises(call):
    with pytest.raises(RuleError, match=r"Fails\.update failed: AttributeError: .*cosine"):
        call(BOWL, Fails())


def test_a_schedule_that_turns_illegal():
    with pytest.raises(InputError, match=r"learning_rate at step 4 must be at least 0\. Received: .*=-0\.5"):
        descend(BOWL, SGD(lambda k: 1.0 - 0.5 * k), steps=10)
