import pytest

from downslope.rules import SGD, Adam
from downslope.rules.text import code_text, value_text
from downslope.schedules import Constant, InverseTime


def halved(k):
    return 0.5**k


@pytest.mark.parametrize(
    ("optimizer", "text"),
    [
        (SGD(1.0), "SGD(learning_rate=1.0)"),  # its default
        (SGD(0.5, momentum=0.9, nesterov=True), "SGD(learning_rate=0.5, momentum=0.9, nesterov=True)"),
        (SGD(0.5, momentum=0.0), "SGD(learning_rate=0.5)"),
        (Adam(InverseTime(0.1, decay=0.01)), "Adam(learning_rate=InverseTime(0.1, decay=0.01))"),
        (Adam(halved, beta_1=0.8), "Adam(learning_rate=<function>, beta_1=0.8)"),
    ],
)
def test_an_optimizer_reads_as_code_without_what_goes_without_saying(optimizer, text):
    assert code_text(optimizer) == text


def test_the_learning_rate_may_be_left_out():
    assert code_text(SGD(0.5, momentum=0.9), rate=False) == "SGD(momentum=0.9)"


def test_a_caption_has_short_numbers_and_schedules_in_words():
    rule = SGD(Constant(0.1).for_steps(5).then(Constant(2.0)).scaled(1 / 3), momentum=0.8999999999999999)
    assert code_text(rule, caption=True) == "SGD(learning_rate=0.3333 × (0.1 for 5 steps then 2), momentum=0.9)"
    assert "0.8999999999999999" in code_text(rule)


def test_a_value_reads_as_code():
    texts = [value_text(value) for value in (0.5, True, InverseTime(1.0, decay=0.1), halved, lambda k: 0.1)]
    assert texts == ["0.5", "True", "InverseTime(1.0, decay=0.1)", "<function>", "<function>"]
