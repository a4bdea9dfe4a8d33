"""Every rule beside its paper's formula, written once more in plain floats, and beside golden digits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from downslope.engines.update import apply_update, new_slots
from downslope.rules import (
    RULES,
    SGD,
    Adadelta,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    AdEMAMix,
    AMSGrad,
    Lion,
    NAdam,
    RAdam,
    RMSprop,
)


def gradients(count):
    """Gradients of both signs from 1e-8 to 1."""
    return [math.copysign(10.0 ** (-8.0 * ((7 * k + 3) % 17) / 16), math.cos(1.7 * k)) for k in range(count)]


# Each reference is a generator-free loop: it takes the start, the gradients and the settings and returns every θ.
# rates[k] is the rate of update k = 0, 1, …; t = k + 1.


def sgd(x, gs, rates, *, momentum=0.0, nesterov=False):
    v, path = 0.0, []
    for k, g in enumerate(gs):
        v = momentum * v - rates[k] * g
        x += (momentum * v - rates[k] * g) if nesterov else v
        path.append(x)
    return path


def adagrad(x, gs, rates, *, epsilon=1e-7):
    path = []
    for k, g in enumerate(gs):
        x -= rates[k] / (math.sqrt(math.fsum(h * h for h in gs[: k + 1])) + epsilon) * g
        path.append(x)
    return path


def rmsprop(x, gs, rates, *, rho=0.9, epsilon=1e-7, momentum=0.0, centered=False):
    n = mean = v = 0.0
    path = []
    for k, g in enumerate(gs):
        n += (1 - rho) * (g**2 - n)
        mean += (1 - rho) * (g - mean)
        v = momentum * v + rates[k] * g / (math.sqrt(n - mean**2 if centered else n) + epsilon)
        x -= v
        path.append(x)
    return path


def adadelta(x, gs, rates, *, rho=0.95, epsilon=1e-6):
    squares = moves = 0.0
    path = []
    for k, g in enumerate(gs):
        squares = rho * squares + (1 - rho) * g**2
        move = -math.sqrt(moves + epsilon) / math.sqrt(squares + epsilon) * g
        moves = rho * moves + (1 - rho) * move**2
        x += rates[k] * move
        path.append(x)
    return path


def mean(gs, beta):
    """The moving average from zero, as the sum it stands for."""
    return math.fsum((1 - beta) * beta**age * g for age, g in enumerate(reversed(gs)))


def adam(x, gs, rates, *, beta_1=0.9, beta_2=0.999, epsilon=1e-7, weight_decay=0.0):
    path = []
    for k in range(len(gs)):
        m = mean(gs[: k + 1], beta_1) / (1 - beta_1 ** (k + 1))
        v = mean([g * g for g in gs[: k + 1]], beta_2) / (1 - beta_2 ** (k + 1))
        x = (1 - rates[k] * weight_decay) * x - rates[k] * m / (math.sqrt(v) + epsilon)
        path.append(x)
    return path


def adamax(x, gs, rates, *, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    path = []
    for k in range(len(gs)):
        u = max(beta_2**age * abs(g) for age, g in enumerate(reversed(gs[: k + 1])))
        x -= rates[k] / (1 - beta_1 ** (k + 1)) * mean(gs[: k + 1], beta_1) / (u + epsilon)
        path.append(x)
    return path


def amsgrad(x, gs, rates, *, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    path = []
    for k in range(len(gs)):
        v = max(mean([g * g for g in gs[: j + 1]], beta_2) for j in range(k + 1))
        x -= rates[k] * mean(gs[: k + 1], beta_1) / (math.sqrt(v) + epsilon)
        path.append(x)
    return path


def nadam(x, gs, rates, *, beta_1=0.9, beta_2=0.999, epsilon=1e-7, momentum_decay=0.004):
    path = []
    for k, g in enumerate(gs):
        t = k + 1
        mu = [beta_1 * (1 - 0.5 * 0.96 ** (i * momentum_decay)) for i in range(1, t + 2)]
        ahead = mu[t] * mean(gs[:t], beta_1) / (1 - math.prod(mu)) + (1 - mu[t - 1]) * g / (1 - math.prod(mu[:t]))
        v = mean([h * h for h in gs[:t]], beta_2) / (1 - beta_2**t)
        x -= rates[k] * ahead / (math.sqrt(v) + epsilon)
        path.append(x)
    return path


def radam(x, gs, rates, *, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    longest = 2 / (1 - beta_2) - 1
    path = []
    for k in range(len(gs)):
        t = k + 1
        m = mean(gs[:t], beta_1) / (1 - beta_1**t)
        length = longest - 2 * t * beta_2**t / (1 - beta_2**t)
        if length > 4:
            r = math.sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length))
            m *= r / (math.sqrt(mean([g * g for g in gs[:t]], beta_2) / (1 - beta_2**t)) + epsilon)
        x -= rates[k] * m
        path.append(x)
    return path


def lion(x, gs, rates, *, beta_1=0.9, beta_2=0.99, weight_decay=0.0):
    path = []
    for k, g in enumerate(gs):
        c = beta_1 * mean(gs[:k], beta_2) + (1 - beta_1) * g
        x -= rates[k] * ((c > 0) - (c < 0) + weight_decay * x)
        path.append(x)
    return path


def ademamix(
    x, gs, rates, *, beta_1=0.9, beta_2=0.999, beta_3=0.9999, alpha=5.0, epsilon=1e-8, weight_decay=0.0, warmup=0
):
    slow, path = 0.0, []
    for k, g in enumerate(gs):
        t = k + 1
        share = min(t / warmup, 1.0) if warmup else 1.0
        # The half-life grows linearly: 1/ln β runs from 1/ln β₁ to 1/ln β₃.
        beta = min(math.exp(1 / ((1 - share) / math.log(beta_1) + share / math.log(beta_3))), beta_3)
        slow = beta * slow + (1 - beta) * g
        m = mean(gs[:t], beta_1) / (1 - beta_1**t) + alpha * share * slow
        v = mean([h * h for h in gs[:t]], beta_2) / (1 - beta_2**t)
        x -= rates[k] * (m / (math.sqrt(v) + epsilon) + weight_decay * x)
        path.append(x)
    return path


# Rule, reference, settings besides the rate, and the relative difference allowed to rounding: more where a nearly
# equal pair is subtracted (RAdam's lengths, the spread around a mean).
UNDER_TEST = [
    (SGD, sgd, {}, 1e-14),
    (SGD, sgd, {"momentum": 0.9}, 1e-14),
    (SGD, sgd, {"momentum": 0.9, "nesterov": True}, 1e-14),
    (SGD, sgd, {"nesterov": True}, 1e-14),
    (Adagrad, adagrad, {}, 1e-14),
    (Adagrad, adagrad, {"epsilon": 0.1}, 1e-14),
    (RMSprop, rmsprop, {}, 1e-14),
    (RMSprop, rmsprop, {"rho": 0.5, "epsilon": 1e-3, "momentum": 0.8}, 1e-14),
    (RMSprop, rmsprop, {"centered": True}, 1e-12),
    (RMSprop, rmsprop, {"centered": True, "momentum": 0.5}, 1e-12),
    (Adadelta, adadelta, {}, 1e-14),
    (Adadelta, adadelta, {"rho": 0.5, "epsilon": 1e-2}, 1e-14),
    (Adam, adam, {}, 3e-14),
    (Adam, adam, {"beta_1": 0.5, "beta_2": 0.9, "epsilon": 1e-2}, 1e-14),
    (Adam, adam, {"beta_1": 0.0, "beta_2": 0.0}, 1e-14),
    (AdamW, adam, {"weight_decay": 0.01}, 3e-14),
    (AdamW, adam, {"weight_decay": 0.5, "epsilon": 1e-3}, 3e-14),
    (Adamax, adamax, {}, 1e-14),
    (Adamax, adamax, {"beta_1": 0.5, "beta_2": 0.5, "epsilon": 1e-2}, 1e-14),
    (AMSGrad, amsgrad, {}, 1e-14),
    (AMSGrad, amsgrad, {"beta_1": 0.5, "beta_2": 0.5, "epsilon": 1e-2}, 1e-14),
    (NAdam, nadam, {}, 3e-14),
    (NAdam, nadam, {"momentum_decay": 1.0, "beta_1": 0.5, "epsilon": 1e-2}, 3e-14),
    (RAdam, radam, {}, 1e-12),
    (RAdam, radam, {"beta_2": 0.9}, 1e-13),
    (RAdam, radam, {"beta_2": 0.5}, 1e-14),
    (Lion, lion, {}, 1e-14),
    (Lion, lion, {"beta_1": 0.5, "beta_2": 0.9, "weight_decay": 0.3}, 1e-14),
    (AdEMAMix, ademamix, {}, 3e-14),
    (AdEMAMix, ademamix, {"warmup": 40, "beta_3": 0.99, "alpha": 2.0, "weight_decay": 0.1}, 3e-14),
    (AdEMAMix, ademamix, {"warmup": 7, "beta_3": 0.5, "epsilon": 1e-2}, 3e-14),
]


def run(rule, gs, start=0.0, dtype=np.float64):
    """Return θ after every update."""
    x = np.array([start], dtype)
    slots, path = new_slots(rule, x), []
    for step, g in enumerate(gs, 1):
        x, slots = apply_update(rule, step, x, np.array([g], dtype), slots)
        path.append(x.item())
    return path


def test_every_rule_has_a_reference():
    assert {rule for rule, *_ in UNDER_TEST} == set(RULES.values())


@pytest.mark.parametrize("case", UNDER_TEST, ids=str)
@pytest.mark.parametrize("scheduled", [False, True], ids=["constant", "scheduled"])
@pytest.mark.parametrize("start", [0.0, 0.75])
def test_sixty_steps_follow_the_paper(case, scheduled, start):
    rule, reference, settings, rounding = case
    gs = gradients(60)
    rate = rule().learning_rate
    rates = [rate / (1 + 0.1 * k) if scheduled else rate for k in range(60)]
    ours = run(rule(learning_rate=rates.__getitem__ if scheduled else rate, **settings), gs, start)
    theirs = reference(start, gs, rates, **settings)
    size = max(map(abs, theirs))
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) <= rounding * size


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_defaults_are_those_of_the_reference(rule):
    reference = next(one for other, one, *_ in UNDER_TEST if other is rule)
    defaults = dict(reference.__kwdefaults__ or {})
    if rule is AdamW:
        defaults["weight_decay"] = 0.01
    if rule is Adam:
        del defaults["weight_decay"]
    assert {name: record.default for name, record in rule.settings.items() if name != "learning_rate"} == defaults


RATES = {"sgd": 1.0, "adagrad": 1.0, "rmsprop": 0.001, "adadelta": 1.0, "adam": 0.001, "adamw": 0.001, "adamax": 0.002,
         "amsgrad": 0.001, "nadam": 0.002, "radam": 0.001, "lion": 0.0001, "ademamix": 0.001}  # fmt: skip


def test_default_rates():
    assert {name: rule().learning_rate for name, rule in RULES.items()} == RATES


GOLDEN_GRADIENTS = [0.5, -0.25, 1e-3, -1e-8, 0.1, 0.7, -0.3]
# θ after these 7 updates from 2⁻¹⁰ (small, so that the last digits of a step count) in float64 and in float32:
# these digits never change silently.
GOLDEN: dict[str, tuple[str, str]] = {
    "SGD()": ("-0x1.80031218b151cp-1", "-0x1.800312p-1"),
    "SGD(momentum=0.9)": ("-0x1.5ee0d675babbap+1", "-0x1.5ee0d2p+1"),
    "SGD(momentum=0.9, nesterov=True)": ("-0x1.9be7ebf02130ap+1", "-0x1.9be7e8p+1"),
    "SGD(nesterov=True)": ("-0x1.80031218b151cp-1", "-0x1.800312p-1"),
    "Adagrad()": ("-0x1.30c3394675bd6p+0", "-0x1.30c338p+0"),
    "Adagrad(epsilon=0.1)": ("-0x1.047ee8eacdc94p+0", "-0x1.047ee8p+0"),
    "RMSprop()": ("-0x1.80b273b40db50p-9", "-0x1.80b276p-9"),
    "RMSprop(rho=0.5, epsilon=0.001, momentum=0.8)": ("-0x1.588c03ddccfe6p-8", "-0x1.588c04p-8"),
    "RMSprop(centered=True)": ("-0x1.abdd1532c2facp-9", "-0x1.abdd14p-9"),
    "RMSprop(centered=True, momentum=0.5)": ("-0x1.ce2a8c9ad93f6p-8", "-0x1.ce2a8cp-8"),
    "Adadelta()": ("-0x1.25c567e47f374p-8", "-0x1.25c568p-8"),
    "Adadelta(rho=0.5, epsilon=0.01)": ("-0x1.2abb15f7124abp-3", "-0x1.2abb14p-3"),
    "Adam()": ("-0x1.c323664920cdfp-10", "-0x1.c32366p-10"),
    "Adam(beta_1=0.5, beta_2=0.9, epsilon=0.01)": ("-0x1.522af9669a680p-10", "-0x1.522afcp-10"),
    "Adam(beta_1=0.0, beta_2=0.0)": ("-0x1.e8dc579571aa4p-11", "-0x1.e8dc5cp-11"),
    "AdamW(weight_decay=0.01)": ("-0x1.c3217e13d00cep-10", "-0x1.c3217ep-10"),
    "AdamW(weight_decay=0.5, epsilon=0.001)": ("-0x1.c0e9e19c19b36p-10", "-0x1.c0e9e6p-10"),
    "Adamax()": ("-0x1.88d5a3f588938p-9", "-0x1.88d5a4p-9"),
    "Adamax(beta_1=0.5, beta_2=0.5, epsilon=0.01)": ("-0x1.a69b8125f6fe9p-9", "-0x1.a69b84p-9"),
    "AMSGrad()": ("-0x1.7d8054572272fp-7", "-0x1.7d8054p-7"),
    "AMSGrad(beta_1=0.5, beta_2=0.5, epsilon=0.01)": ("-0x1.5748d7c3b0cf1p-11", "-0x1.5748dap-11"),
    "NAdam()": ("-0x1.47a0eed0395c8p-9", "-0x1.47a0f0p-9"),
    "NAdam(momentum_decay=1.0, beta_1=0.5, epsilon=0.01)": ("-0x1.9628c47307f88p-9", "-0x1.9628c8p-9"),
    "RAdam()": ("0x1.e24a986f1e2cdp-13", "0x1.e24a9cp-13"),
    "RAdam(beta_2=0.9)": ("-0x1.6e4ceb879efd0p-18", "-0x1.6e4d00p-18"),
    "RAdam(beta_2=0.5)": ("-0x1.a93dac0ba27b5p-14", "-0x1.a93da6p-14"),
    "Lion()": ("0x1.62b6ae7d566cep-11", "0x1.62b6aep-11"),
    "Lion(beta_1=0.5, beta_2=0.9, weight_decay=0.3)": ("0x1.629f96849c3bfp-11", "0x1.629f98p-11"),
    "AdEMAMix()": ("-0x1.c466c7a071a6cp-10", "-0x1.c466c8p-10"),
    "AdEMAMix(warmup=40, beta_3=0.99, alpha=2.0, weight_decay=0.1)": ("-0x1.e5b3149d18688p-10", "-0x1.e5b314p-10"),
    "AdEMAMix(warmup=7, beta_3=0.5, epsilon=0.01)": ("-0x1.e7fb203c2b55bp-8", "-0x1.e7fb24p-8"),
}


@pytest.mark.parametrize(("rule", "settings"), [(rule, settings) for rule, _, settings, _ in UNDER_TEST], ids=str)
def test_golden_digits(rule, settings):
    one = rule(**settings)
    wide, narrow = (run(one, GOLDEN_GRADIENTS, 2.0**-10, dtype)[-1] for dtype in (np.float64, np.float32))
    written = f"{rule.__name__}({', '.join(f'{name}={value!r}' for name, value in settings.items())})"
    assert (wide, narrow) == tuple(map(float.fromhex, GOLDEN[written]))


@pytest.mark.parametrize(("rule", "settings"), [(rule, settings) for rule, _, settings, _ in UNDER_TEST], ids=str)
def test_where_the_gradient_was_always_zero_only_weight_decay_moves(rule, settings):
    one = rule(**settings)
    decay = getattr(one, "weight_decay", 0.0)
    path = run(one, [0.0, -0.0, 0.0], start=0.75)
    assert path == pytest.approx([0.75 * (1 - one.learning_rate * decay) ** k for k in (1, 2, 3)], rel=1e-15)
    assert decay or path == [0.75] * 3


def test_adam_starts_with_its_rate():
    assert run(Adam(0.25, epsilon=1e-300), [1e-8])[0] == pytest.approx(-0.25, rel=1e-14)
    assert run(Adam(0.25), [-3.0])[0] == pytest.approx(0.25 * 3 / (3 + 1e-7), rel=1e-14)


def test_the_largest_gradient_is_never_forgotten_by_amsgrad():
    rule = AMSGrad(beta_2=0.5)
    x, largest = np.zeros(1), []
    slots = new_slots(rule, x)
    for step, g in enumerate([1.0, 0.0, 0.0, 2.0, 0.0], 1):
        x, slots = apply_update(rule, step, x, np.array([g]), slots)
        largest.append(slots["v_max"].item())
    assert largest == [0.5, 0.5, 0.5, 2.0625, 2.0625]


def test_a_step_of_lion_has_one_size():
    assert run(Lion(0.125), [1e-300, 5.0, -1e9]) == [-0.125, -0.25, -0.125]
    assert run(Lion(0.125), [0.0]) == [0.0]


def test_adadelta_starts_from_epsilon():
    assert run(Adadelta(), [2.0])[0] == pytest.approx(-2 * math.sqrt(1e-6 / (0.05 * 4 + 1e-6)), rel=1e-14)


def test_radam_has_no_denominator_for_four_steps():
    path = run(RAdam(0.5), [1.0] * 6)
    assert path[:4] == pytest.approx([-0.5, -1.0, -1.5, -2.0], rel=1e-14)
    assert -2.02 < path[4] < -2.0


def test_a_constant_gradient_has_no_spread():
    path = run(RMSprop(centered=True, rho=0.0), [0.3, 0.3])
    assert path == pytest.approx([-0.001 * 0.3 / 1e-7, -0.002 * 0.3 / 1e-7])


def test_rules_that_meet():
    gs = gradients(20)
    mixed = AdEMAMix(alpha=0.0, epsilon=1e-7, weight_decay=0.01)
    assert run(mixed, gs, 0.75) == run(AdamW(weight_decay=0.01), gs, 0.75)
    assert run(AdamW(weight_decay=0.0), gs) == pytest.approx(run(Adam(), gs), rel=1e-14)
    assert run(SGD(nesterov=True), gs) == run(SGD(), gs)


def test_a_nan_gradient_is_not_hidden():
    for rule in RULES.values():
        path = run(rule(), [math.nan])
        assert math.isnan(path[0]), rule
