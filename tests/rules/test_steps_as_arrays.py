"""What `per_step` gives for an array of steps has the bits it gives for each step alone."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from downslope.rules import RULES, AdEMAMix, NAdam, RAdam, nadam
from downslope.rules.optimizer import Optimizer

EACH = pytest.mark.parametrize("rule", RULES.values(), ids=RULES)


def check(rule, steps):
    with np.errstate(all="ignore"):
        together = rule.named_scalars(np.array(steps, dtype=np.int64))
    for i, step in enumerate(steps):
        alone = rule.named_scalars(step)
        assert list(together) == list(alone) == list(rule.scalar_names)
        for name, value in alone.items():
            shared = np.broadcast_to(together[name], len(steps))[i]
            assert float(shared).hex() == float(value).hex(), (rule, step, name)


@EACH
@hypothesis_settings(max_examples=60)
@given(data=st.data())
def test_an_array_of_steps_has_the_bits_of_each_alone(settings_of, rule, data):
    assert rule.steps_as_arrays
    first = data.draw(st.one_of(st.integers(1, 30), st.integers(1, 10**6)))
    nadam._products.cache_clear()  # so that a run of another length before this one plays no part
    one = data.draw(settings_of.of(rule))
    if rule is NAdam and one.beta_1 > 0.999 and first > 30:
        first = first % 30 + 1  # its products go on for ever, one exponential each
    check(one, [*range(first, first + 20), *data.draw(st.lists(st.integers(1, 2000), max_size=5))])


@pytest.mark.parametrize("warmup", [0, 1, 2, 50, 2000])
@pytest.mark.parametrize(("beta_1", "beta_3"), [(0.9, 0.9999), (0.5, 0.1), (np.nextafter(1, 0), 5e-324)])
def test_the_warm_up_of_ademamix_ends_where_it_should(warmup, beta_1, beta_3):
    rule = AdEMAMix(warmup=warmup, beta_1=beta_1, beta_3=beta_3)
    check(rule, [*range(1, 60), *range(1990, 2010)])


def test_the_values_after_the_warm_up_are_the_settings_themselves():
    for beta_3 in [0.9999, *np.linspace(0.01, 0.99, 60).tolist()]:
        rule = AdEMAMix(warmup=50, beta_3=beta_3)
        for step in (50, 51, 1000):
            now = rule.per_step(step)
            assert (now["alpha"], now["beta_3"]) == (rule.alpha, beta_3)
        assert rule.per_step(49)["alpha"] == rule.alpha * 49 / 50


@pytest.mark.parametrize("beta_2", [0.0, 0.5, 0.6, 0.6 + 1e-16, 0.999, 1 - 2**-53])
def test_the_rectification_of_radam_switches_on(beta_2):
    check(RAdam(beta_2=beta_2), [*range(1, 200), 10**4, 10**6])


@given(st.integers(1, 12_000), st.integers(1, 12_000))
@example(5000, 4000)
def test_the_products_of_nadam_do_not_depend_on_what_was_asked_before(before, step):
    nadam._products.cache_clear()
    alone = NAdam().per_step(step)
    nadam._products.cache_clear()
    NAdam().per_step(before)
    NAdam().per_step(np.arange(1, before + 2))
    assert NAdam().per_step(step) == alone


def test_threads_may_ask_for_products_together():
    nadam._products.cache_clear()
    rule = NAdam(beta_1=0.9999)
    found = {}

    def ask(i):
        found[i] = rule.per_step(np.arange(1, 5000 + 100 * i))["weight_of_g"][:4000], rule.per_step(4000 + i)

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    nadam._products.cache_clear()
    for i in range(8):
        assert found[i][0].tolist() == rule.per_step(np.arange(1, 4001))["weight_of_g"].tolist()
        assert found[i][1] == rule.per_step(4000 + i)


def test_a_per_step_of_ones_own_is_taken_to_be_for_one_step_unless_it_says_otherwise():
    class Mine(RAdam):
        def per_step(self, step):
            return super().per_step(step)

    class Other(Mine):
        steps_as_arrays = True

    class Renamed(RAdam):
        pass

    assert Optimizer.steps_as_arrays
    assert (Mine.steps_as_arrays, Other.steps_as_arrays, Renamed.steps_as_arrays) == (False, True, True)
