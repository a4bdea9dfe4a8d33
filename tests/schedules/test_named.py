from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import downslope.schedules
from downslope.errors import InputError
from downslope.schedules import (
    Chain,
    Constant,
    Cosine,
    Exponential,
    ForSteps,
    InverseTime,
    LinearWarmup,
    OneCycle,
    Piecewise,
    Polynomial,
    Scaled,
    Schedule,
    Shifted,
    Step,
    by_name,
    names,
    parse,
)


def test_names_are_those_of_the_command_line():
    assert names() == [
        "constant",
        "inverse-time",
        "exponential",
        "step",
        "piecewise",
        "polynomial",
        "cosine",
        "linear-warmup",
        "one-cycle",
    ]
    public = {getattr(downslope.schedules, name) for name in downslope.schedules.__all__}
    classes = {one for one in public if isinstance(one, type)}
    assert {by_name(name) for name in names()} == classes - {Schedule, Chain, ForSteps, Scaled, Shifted}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("constant", Constant(0.1)),
        ("constant:", Constant(0.1)),
        ("constant:base=0.5", Constant(0.5)),
        ("inverse-time:decay=1e-3", InverseTime(0.1, decay=0.001)),
        ("exponential:rate=0.9,steps=10,staircase=true", Exponential(0.1, 0.9, 10, True)),
        ("exponential:rate=0.9,staircase=False", Exponential(0.1, 0.9)),
        ("step:every=1e3,factor=0.5", Step(0.1, every=1000, factor=0.5)),
        ("piecewise:values=0.5/0.1/0,boundaries=10/20", Piecewise([0.5, 0.1, 0], [10, 20])),
        ("piecewise:values=0.5/0.1,boundaries=10", Piecewise([0.5, 0.1], [10])),
        ("polynomial:steps=9,power=2", Polynomial(0.1, 9, power=2)),
        ("cosine:steps=900,final=0.001", Cosine(0.1, steps=900, final=0.001)),
        (" cosine : steps = 900 , restarts = true ", Cosine(0.1, steps=900, restarts=True)),
        ("linear-warmup:steps=5,start=0.01", LinearWarmup(0.1, steps=5, start=0.01)),
        ("one-cycle:steps=50,shape=linear", OneCycle(0.1, steps=50, shape="linear")),
        (
            "linear-warmup:steps=100 then cosine:steps=900",
            LinearWarmup(0.1, steps=100).then(Cosine(0.1, steps=900)),
        ),
        (
            "constant for 10 then step:every=3 for 9  then constant:base=0.01",
            Chain([Constant(0.1).for_steps(10), Step(0.1, every=3).for_steps(9), Constant(0.01)]),
        ),
        ("cosine:steps=9 for 5", Cosine(0.1, steps=9).for_steps(5)),
    ],
)
def test_text_of_the_command_line(text, expected):
    assert parse(text, 0.1) == expected


KNOWN = "constant, inverse-time, exponential, step, piecewise, polynomial, cosine, linear-warmup, one-cycle"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "schedule must be text such as cosine:steps=900. Received: schedule=None"),
        ("", f"schedule must be one of {KNOWN}. Received: schedule=''"),
        ("cosin:steps=3", f"schedule must be one of {KNOWN}. Received: schedule='cosin'. Did you mean 'cosine'?"),
        ("Cosine:steps=3", f"schedule must be one of {KNOWN}. Received: schedule='Cosine'. Did you mean 'cosine'?"),
        ("cosine", "cosine must be given steps, as in 'cosine:steps=…'. Received: 'cosine'"),
        ("step:factor=0.5", "step must be given every, as in 'step:every=…'. Received: 'step:factor=0.5'"),
        (
            "cosine:stps=3",
            "cosine setting must be one of base, steps, final, restarts, period_factor, peak_factor. "
            "Received: cosine setting='stps'. Did you mean 'steps'?",
        ),
        ("cosine:900", "cosine must have its settings written as setting=value. Received: '900'"),
        ("cosine:steps=9,", "cosine must have its settings written as setting=value. Received: ''"),
        ("cosine:steps=", "cosine must have its settings written as setting=value. Received: 'steps='"),
        ("cosine:steps=9,steps=8", "steps must be given once. Received: steps=9,steps=8"),
        ("cosine:steps=many", "steps must be a whole number at least 1. Received: steps='many'"),
        ("cosine:steps=9.5", "steps must be a whole number at least 1. Received: steps=9.5"),
        ("cosine:steps=nan", "steps must be a whole number at least 1. Received: steps=nan"),
        ("cosine:steps=9,final=x", "final must be a number at least 0. Received: final='x'"),
        ("cosine:steps=9,restarts=1", "restarts must be True or False. Received: restarts=1"),
        ("constant:base=true", "base must be a number above 0. Received: base=True"),
        ("piecewise:values=1/,boundaries=3", "values[1] must be a number at least 0. Received: values[1]=''"),
        (
            "one-cycle:steps=9,shape=cos",
            "shape must be one of cosine, linear. Received: shape='cos'. Did you mean 'cosine'?",
        ),
        (
            "constant then cosine:steps=9",
            "schedule must be given a length before 'then', such as 'constant for 100'. "
            "Received: schedule='constant then cosine:steps=9'",
        ),
        (
            "constant for 9 then",
            "schedule must be text with a schedule on each side of 'then'. Received: schedule='constant for 9 then'",
        ),
        ("constant for", "steps must be a whole number at least 1. Received: steps=''"),
        ("constant for 0 then constant", "steps must be a whole number at least 1. Received: steps=0"),
        (
            "constant for 3 for 4",
            "schedule must be given one length after 'for'. Received: schedule='constant for 3 for 4'",
        ),
    ],
)
def test_wrong_text_gets_one_sentence(text, message):
    with pytest.raises(InputError) as caught:
        parse(text, 0.1)
    assert str(caught.value) == message


def test_the_learning_rate_is_checked():
    with pytest.raises(InputError, match=r"^base must be above 0\. Received: base=0$"):
        parse("constant", 0)


WORDS = st.sampled_from(
    [*names(), "then", "for", ":", ",", "=", "/", " ", "steps", "base", "decay", "1", "0.5", "-", "e", "true", "inf"]
)


@given(st.lists(WORDS, max_size=12).map("".join) | st.text(max_size=30))
def test_any_text_gives_a_schedule_or_an_input_error(text):
    try:
        schedule = parse(text, 0.1)
    except InputError:
        return
    assert isinstance(schedule, Schedule)
    assert schedule(0) >= 0
