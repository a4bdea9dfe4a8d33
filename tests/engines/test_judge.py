from __future__ import annotations

import math
from collections.abc import Callable

import numba
import numpy as np
import pytest

from downslope.engines import judge as module
from downslope.engines.judge import (
    ALARM,
    ANY,
    DEAD,
    LIMITS,
    MEASURES,
    MEMORY,
    OSCILLATION,
    PATTERNS,
    PLATEAU,
    SIGNALS,
    WATCH,
    judge,
)

GOOD = MEMORY.index("good")
VALUES = {limit.name: limit.default for limit in LIMITS}
SETTLE = int(VALUES["settle"])


class Steps:
    """A run made by hand: calm, unless a step says otherwise."""

    def __init__(self, begun_at: int = 0, **limits: float) -> None:
        self.memory = [float(begun_at)] + [0.0] * (len(MEMORY) - 1)
        self.limits = [limits.get(limit.name, limit.default) for limit in LIMITS]
        self.step = begun_at

    def make(self, **changes: float) -> int:
        self.step += 1
        calm = {
            "loss": 1.0 - 1e-4 * self.step, "gradient_norm": 0.1, "slope_before": -1e-3, "slope_after": -9e-4,
            "slope_now": -1e-3, "update_norm": 0.01, "weight_norm": 5.0, "largest_weight": 1.0, "learning_rate": 0.1,
            "dead": 0.0,
        }  # fmt: skip
        row = {"step": float(self.step), **calm, **changes}
        return judge([row[name] for name in SIGNALS], self.memory, self.limits)

    def calm(self, steps: int, **changes: float) -> int:
        codes = 0
        for _ in range(steps):
            codes |= self.make(**changes)
        return codes

    @property
    def good(self) -> int:
        return int(self.memory[GOOD])


def test_calm_training_says_nothing_and_good_follows_at_a_distance() -> None:
    run = Steps()
    assert run.calm(1000) == 0
    assert 1000 - 2 * SETTLE - 1 <= run.good <= 1000 - SETTLE + 1


def test_the_first_step_without_slopes_says_nothing() -> None:
    assert Steps().make(slope_before=math.nan, slope_after=math.nan) == 0


@pytest.mark.parametrize("name", ["loss", "gradient_norm", "update_norm", "weight_norm", "largest_weight"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_number_that_is_not_finite_is_an_alarm_once_and_is_not_remembered(name: str, value: float) -> None:
    run = Steps()
    run.calm(200)
    good, before = run.good, list(run.memory)
    assert run.make(**{name: value}) == ALARM
    assert run.make(**{name: value}) == 0
    assert run.good == good
    changed = {MEMORY[i] for i, old in enumerate(before) if old != run.memory[i]}
    assert changed <= {"alarm_on", "quiet", "candidate"}
    assert all(math.isfinite(number) for number in run.memory)


def test_a_number_that_is_not_finite_at_the_very_first_step_is_an_alarm() -> None:
    run = Steps(begun_at=7)
    assert run.make(loss=math.nan) == ALARM
    assert run.good == 7
    assert run.make() == 0


LARGE = max(VALUES["large_ratio"], VALUES["update_ratio"]) * 5.0 * 1.1  # the weights' norm is 5


def test_one_signal_is_a_watch_once_an_episode() -> None:
    run = Steps(update_rise=math.inf)
    run.calm(200)
    assert run.make(update_norm=LARGE) == WATCH
    assert run.make(update_norm=LARGE) == 0
    assert run.calm(SETTLE - 2) == 0
    assert run.make(update_norm=LARGE) == 0, "the episode is not over before enough quiet steps"
    run.calm(SETTLE)
    assert run.make(update_norm=LARGE) == WATCH


FAR = {"learning_rate": 10.0, "update_norm": 5.0, "slope_now": -0.5}  # as long as the weights, 500 times the mean


def test_measures_together_out_of_proportion_at_a_new_rate_are_an_alarm_at_that_step() -> None:
    run = Steps()
    run.calm(200)
    assert run.make(**FAR) == ALARM
    assert run.good == 200, "back to the step before the rate rose"
    assert run.make(**FAR) == 0


NEUTRAL = {
    "slope": -0.01, "bend": 0.0, "net": 0.0, "promise": 0.0, "ratio": 1e-3, "update": 1.0, "recent": 1.0, "sharp": 0.0,
    "unrest": 0.01, "leap": 1.3,
}  # fmt: skip


def judged(pattern_limit: float = 1.0, **measures: float) -> int:
    """Return the codes at a step whose measures are these, and of which nothing else is remarkable."""
    wanted = {**NEUTRAL, **measures}
    update, loss, rate, share = 1.0, 1.0, 1.0, 1.0 / VALUES["window"]
    promise = wanted["promise"]
    rise = wanted["net"] + promise if "net" in measures else wanted["bend"]  # the mean loss is 1 too
    memory = dict.fromkeys(MEMORY, 0.0)
    memory |= {
        "seen": 1000.0, "candidate": -1.0, "start": 1.0, "level": loss, "recent": loss, "last_update": update,
        "square": update**2, "update": update / wanted["update"], "level_spread": wanted["unrest"] ** 2,
        "lowest_level": loss / wanted["recent"], "proven_rate": rate / wanted["leap"], "last_rate": rate,
        "slope": (2.0 * rise - share * wanted["slope"]) / (1.0 - share), "slow": 1.0, "lowest": 1.0,
    }  # fmt: skip
    signals = {
        "step": 1001.0, "loss": loss, "gradient_norm": 0.1, "slope_before": wanted["slope"] - 2.0 * wanted["sharp"],
        "slope_after": wanted["slope"], "slope_now": -promise, "update_norm": update,
        "weight_norm": update / wanted["ratio"], "largest_weight": 1.0, "learning_rate": rate, "dead": 0.0,
    }  # fmt: skip
    limits = [pattern_limit if limit.name == "pattern" else limit.default for limit in LIMITS]
    return judge([signals[name] for name in SIGNALS], [memory[name] for name in MEMORY], limits)


@pytest.mark.parametrize("pattern", PATTERNS, ids=range(len(PATTERNS)))
def test_each_pattern_is_an_alarm_and_no_part_of_it(pattern: tuple[float, ...]) -> None:
    numbers = {name: number for name, number in zip(MEASURES, pattern, strict=True) if number != ANY}
    assert len(numbers) >= 2, "two must agree"
    assert min(numbers.values()) > 0.0
    above = {name: 1.01 * number for name, number in numbers.items()}
    assert judged(**above) & ALARM
    for name, number in numbers.items():
        assert not judged(**above | {name: 0.99 * number}) & ALARM
    assert not judged(1.02, **above) & ALARM, "at a factor on all of them"
    assert judged(1.02, **{name: 1.03 * number for name, number in numbers.items()}) & ALARM


def test_nothing_remarkable_is_no_alarm() -> None:
    assert judged() == 0


def test_a_pattern_at_a_proven_rate_is_none() -> None:
    run = Steps()
    run.calm(200)
    assert not run.make(**FAR | {"learning_rate": 0.1}) & ALARM


def test_a_loss_of_nothing_is_judged() -> None:
    nothing = {"loss": 0.0, "slope_before": 0.0, "slope_after": 0.0, "slope_now": 0.0, "update_norm": 0.0}
    run = Steps()
    assert run.calm(200, **nothing) == 0
    assert run.calm(10, **nothing, learning_rate=100.0) == 0


def test_a_rate_too_large_from_the_start_is_told_by_the_loss_alone() -> None:
    run = Steps()
    assert not run.make(update_norm=3.0) & ALARM
    assert not run.make(loss=8.0) & ALARM, "a leap out of small weights, which may come back"
    assert run.make(loss=12.0) & ALARM
    assert run.good == 0
    noisy = Steps()
    noisy.make()
    assert not noisy.calm(3, loss=12.0) & ALARM, "the first batch may have been an easy one"


def test_no_pattern_counts_in_the_first_steps() -> None:
    run = Steps()
    assert not any(run.make(**FAR | {"update_norm": 5.0 * 30.0**k}) & ALARM for k in range(5))
    assert run.make(**FAR | {"update_norm": 5.0 * 30.0**7}) & ALARM


def test_the_same_signals_at_a_proven_rate_are_no_alarm_but_a_watch() -> None:
    run = Steps()
    run.calm(200)
    assert run.make(update_norm=LARGE) == WATCH


def test_an_update_far_above_its_mean_is_nothing_where_the_loss_bends_down_and_the_weights_are_far_larger() -> None:
    """A rate a hundred times as large, where training had been far too slow."""
    run = Steps()
    run.calm(200, learning_rate=0.001, update_norm=1e-4)
    assert run.calm(200, learning_rate=0.1, update_norm=0.01) == 0


def test_at_a_proven_rate_signals_must_agree_for_several_steps() -> None:
    run = Steps()
    run.calm(200)
    good = run.good
    bad = {"loss": 50.0, "slope_after": 100.0, "slope_before": -1.0, "update_norm": LARGE}
    codes = [run.make(**bad) for _ in range(int(VALUES["streak"]))]
    assert codes[0] == WATCH
    assert codes[-1] == ALARM
    assert not any(codes[1:-1])
    assert run.good == good
    one = Steps()
    one.calm(200)
    one.make(**bad)
    assert one.calm(300) == 0, "one bad batch alone is never an alarm"


def test_a_rate_that_was_proven_before_may_return() -> None:
    run = Steps()
    run.calm(300)
    low = {"learning_rate": 1e-4, "update_norm": 1e-5, "slope_before": -1e-6, "slope_after": 1e-6}
    assert run.calm(300, **low) == 0
    assert run.make(**low | {"learning_rate": 0.1, "update_norm": 0.01}) == WATCH, "far above its mean, but one signal"
    assert run.calm(300) == 0


def test_good_stays_before_an_explosion_that_takes_its_time() -> None:
    run = Steps()
    run.calm(200)
    run.make(learning_rate=1.0, update_norm=0.1)
    for i in range(12):
        run.make(learning_rate=1.0, update_norm=0.1 * 2**i, loss=1.0 * 1.5**i)
    assert run.good == 200


def test_the_edge_of_stability_is_no_alarm() -> None:
    """Loss up and down by a few per cent, r near 2 at every step, slowly falling: Cohen et al. (2021)."""
    run = Steps()
    codes = 0
    for k in range(3000):
        wobble = 1.0 + 0.1 * (-1) ** k
        codes |= run.make(loss=math.exp(-k / 2000) * wobble, slope_before=-1e-2, slope_after=1e-2)
    assert codes == 0


def test_a_plateau_is_told_once_until_the_loss_falls_again() -> None:
    run = Steps(patience=500.0)
    assert run.calm(400, loss=1.0) == 0
    assert run.calm(200, loss=1.0) == PLATEAU
    assert run.calm(2000, loss=1.0) == 0
    assert run.calm(100, loss=0.5) == 0
    assert run.calm(3000, loss=0.5) == PLATEAU


def test_a_loss_that_has_arrived_is_no_plateau() -> None:
    run = Steps(patience=500.0)
    run.calm(10, loss=1.0)
    assert run.calm(20_000, loss=1e-4) == 0


def test_a_slow_fall_is_no_plateau() -> None:
    run = Steps(patience=500.0)
    codes = 0
    for k in range(10_000):
        codes |= run.make(loss=math.exp(-k / 100_000))
    assert codes == 0


def test_oscillation_is_told_where_nearly_all_steps_overshoot_and_the_loss_does_not_fall() -> None:
    run = Steps(patience=math.inf)
    over = {"slope_before": -1e-2, "slope_after": 1e-2, "loss": 1.0}
    assert run.calm(1000, **over) == OSCILLATION
    assert run.calm(500, **over) == 0
    run.calm(300, loss=1.0)
    assert run.calm(1000, **over) == OSCILLATION


def test_random_signs_of_mini_batches_are_no_oscillation() -> None:
    run, codes = Steps(patience=math.inf), 0
    for k in range(1500):
        codes |= run.make(loss=1.0, slope_after=1e-3 * (-1) ** (k // 2))
    assert codes == 0


def test_dead_units_are_told_once_with_hysteresis() -> None:
    run, limit = Steps(), VALUES["dead"]
    assert run.calm(10, dead=limit) == 0
    assert run.make(dead=limit + 0.01) == DEAD
    assert run.calm(10, dead=0.9 * limit) == 0
    assert run.make(dead=limit + 0.01) == 0
    run.make(dead=0.7 * limit)
    assert run.make(dead=limit + 0.01) == DEAD


def _wild_rows() -> np.ndarray:
    draw = np.random.default_rng(5)
    rows = np.exp(draw.normal(0.0, 1.5, (4000, len(SIGNALS))))
    rows[:, 0] = np.arange(1, 4001)
    rows[:, 3:6] *= draw.choice([-1.0, 1.0], (4000, 3))
    rows[:, 9] = np.where(np.arange(4000) % 500 < 400, 0.1, 3.0)
    rows[draw.integers(0, 4000, 20), 1] = math.nan
    rows[0, 3:5] = math.nan
    rows[:, 10] = draw.random(4000)
    return rows


def test_plain_python_and_machine_code_give_the_same() -> None:
    compiled: Callable[..., int] = numba.njit(judge)
    limits = np.array([limit.default for limit in LIMITS])
    plain, fast = np.zeros(len(MEMORY)), np.zeros(len(MEMORY))
    told = 0
    for row in _wild_rows():
        codes = judge(row, plain, limits)
        assert codes == compiled(row, fast, limits)
        told |= codes
        assert plain.tobytes() == fast.tobytes()
    assert told & ALARM
    assert told & DEAD


def test_names_and_thresholds_are_complete() -> None:
    assert MEMORY[0] == "good"
    assert len(set(MEMORY)) == len(MEMORY)
    assert len({limit.name for limit in LIMITS}) == len(LIMITS)
    assert all(limit.default > 0 and limit.meaning for limit in LIMITS)
    for names in (SIGNALS, MEMORY):
        for i, name in enumerate(names):
            constant = {"dead": "DEAD_SHARE"}.get(name, name.upper()) if names is SIGNALS else name.upper()
            assert getattr(module, constant) == i


def test_a_steep_slope_at_the_end_of_the_last_update_is_a_signal() -> None:
    run = Steps(predicted_rise=math.inf)
    run.calm(200)
    assert run.make(slope_before=-1.0, slope_after=1.1 * VALUES["slope_rise"]) == WATCH


def test_an_explosion_does_not_soon_look_usual() -> None:
    """Twenty steps of a loss a million times as large leave the running mean within the growth they are cut to."""
    run = Steps()
    run.calm(200)
    level = MEMORY.index("level")
    for _ in range(20):
        run.make(loss=1e6)
    assert run.memory[level] < (1.0 + 1.0 / VALUES["window"]) ** 20


def test_an_update_that_promises_to_take_off_more_than_the_loss_is_a_signal() -> None:
    run, limit = Steps(), VALUES["promised_fall"]
    run.calm(200)
    assert run.make(slope_now=-0.9 * limit) == 0
    assert run.make(slope_now=-1.1 * limit) == WATCH
