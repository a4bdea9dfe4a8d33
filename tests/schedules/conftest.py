from __future__ import annotations

import pytest

from downslope.schedules import (
    Constant,
    Cosine,
    Exponential,
    InverseTime,
    LinearWarmup,
    OneCycle,
    Piecewise,
    Polynomial,
    Step,
)

SAMPLES = [
    Constant(0.1),
    InverseTime(1.0, decay=0.001),
    InverseTime(0.7, decay=1e308),
    Exponential(1.0, rate=0.96, steps=10),
    Exponential(0.3, rate=0.96, steps=7, staircase=True),
    Exponential(1e-7, rate=1.1),
    Step(1.0, every=13),
    Step(0.3, every=2, factor=3.0),
    Piecewise([0.1], boundaries=[]),
    Piecewise([0.1, 0.0, 0.7], boundaries=[3, 2**40]),
    Polynomial(0.9, steps=100),
    Polynomial(0.9, steps=70, final=0.2, power=3),
    Polynomial(0.3, steps=100, final=0.001, power=2.7),
    Polynomial(0.3, steps=100, power=0.5),
    Cosine(0.1, steps=90),
    Cosine(0.1, steps=90, final=0.003),
    Cosine(0.1, steps=17, restarts=True),
    Cosine(0.1, steps=17, restarts=True, period_factor=3, peak_factor=0.7, final=0.001),
    Cosine(0.1, steps=2**52, restarts=True, period_factor=2**53),
    LinearWarmup(0.3, steps=77),
    LinearWarmup(0.3, steps=77, start=0.01),
    OneCycle(1.0, steps=100),
    OneCycle(0.7, steps=83, start_factor=0.1, final_factor=0.0, rising=0.45, shape="linear"),
    LinearWarmup(0.1, steps=30).then(Cosine(0.1, steps=60)),
    Constant(0.1).for_steps(20).then(LinearWarmup(0.2, steps=5)).then(Cosine(0.3, steps=9, restarts=True)),
    Exponential(0.1, rate=0.5, steps=3).for_steps(50),
]


@pytest.fixture(params=SAMPLES, ids=repr)
def schedule(request):
    return request.param
