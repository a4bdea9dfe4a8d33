"""An optimizer in one word."""

from decimal import Decimal

import pytest

import downslope as ds
from downslope.cli.options import Number
from downslope.cli.specs import optimizer_spec
from downslope.errors import InputError

OWN = """
import downslope as ds

class SignDescent(ds.Optimizer):
    '''Every parameter moves by the same amount.'''
    learning_rate = ds.setting(0.01, above=0, meaning="size of a step", scheduled=True)
    def update(xp, parameter, gradient, learning_rate):
        return parameter - learning_rate * xp.sign(gradient)
"""

UNDERSTOOD = [
    ("adam", ds.Adam(), set()),
    (" SGD ", ds.SGD(), set()),
    ("adam:beta_1=0.8", ds.Adam(beta_1=0.8), {"beta_1"}),
    ("adam:beta-1=0.8", ds.Adam(beta_1=0.8), {"beta_1"}),
    ("sgd:momentum=0.9, learning_rate=1e-2", ds.SGD(0.01, momentum=0.9), {"momentum", "learning_rate"}),
    ("sgd:nesterov=true,momentum=0.5", ds.SGD(momentum=0.5, nesterov=True), {"momentum", "nesterov"}),
    ("sgd:decay=1e-2", ds.SGD(ds.InverseTime(1.0, decay=0.01)), {"decay"}),
    ("sgd:decay=0.1,learning_rate=2", ds.SGD(ds.InverseTime(2.0, decay=0.1)), {"decay", "learning_rate"}),
    (
        "sgd:momentum=0.9,schedule=cosine:steps=90,final=0.001",
        ds.SGD(ds.Cosine(1.0, steps=90, final=0.001), momentum=0.9),
        {"momentum", "schedule"},
    ),
    (
        "sgd:schedule=piecewise:values=0.1/0.01,boundaries=9",
        ds.SGD(ds.Piecewise((0.1, 0.01), boundaries=(9,))),
        {"schedule", "learning_rate"},  # the schedule has rates of its own: there is none to tune
    ),
]


@pytest.mark.parametrize(("text", "optimizer", "given"), UNDERSTOOD)
def test_a_word_is_an_optimizer_and_what_was_given(text, optimizer, given):
    assert optimizer_spec(text) == (optimizer, given)


def test_a_rule_of_ones_own_takes_settings_too(tmp_path):
    script = tmp_path / "mine.py"
    script.write_text(OWN)
    plain, none = optimizer_spec(f"{script}:SignDescent")
    assert (plain.name(), plain.learning_rate, none) == ("signdescent", 0.01, set())
    set_, given = optimizer_spec(f"{script}:SignDescent:learning_rate=0.5")
    assert (set_.learning_rate, given) == (0.5, {"learning_rate"})


@pytest.mark.parametrize("text", ["1e3", "1e16", "9e18", "-1E17", "10000000000000001"])
def test_a_whole_number_is_one_however_it_is_typed(text):
    number = Number().convert(text, None, None)
    assert (type(number), number) == (int, int(Decimal(text)))


FORM = r"--optimizer must be NAME\[:SETTING=VALUE,SETTING=VALUE\], as adam or .* Received: --optimizer "
REFUSED = [
    ("", FORM + "''"),
    (":momentum=1", FORM),
    ("sgd:", FORM),
    ("sgd:momentum", FORM + "'sgd:momentum'"),
    ("sgd:momentum=", FORM),
    ("sgd:momentum=0.9,,nesterov=true", FORM),
    ("adm", "optimizer must be one of .*Did you mean 'adam'"),
    ("adam:momentum=0.9", "momentum must be a setting of adam"),
    ("sgd:momentum=1.5", r"momentum must be at least 0 and below 1\. Received: momentum=1\.5"),
    ("sgd:learning_rate=fast", "learning_rate must be a number above 0. Received: learning_rate='fast'"),
    ("sgd:momentum=0.9,momentum=0.8", "momentum must be given once"),
    ("sgd:learning_rate=1,learning-rate=2", "learning_rate must be given once"),
    ("sgd:decay=1,schedule=constant", "the learning rate must change in one way: give decay or schedule"),
    ("sgd:schedule=cosin:steps=3", "schedule must be one of .*Did you mean 'cosine'"),
    ("sgd:learning_rate=2,schedule=piecewise:values=1/2,boundaries=9", "has rates of its own: leave learning_rate out"),
    ("mine.py", r"a rule in a script must be named as script\.py:Class"),
    ("mine.py:Rule:learning_rate=1", "no file 'mine.py'"),
]


@pytest.mark.parametrize(("text", "sentence"), REFUSED)
def test_wrong_words_are_refused_in_one_sentence(text, sentence):
    with pytest.raises(InputError, match=sentence):
        optimizer_spec(text)
