import pytest

from downslope.rules import SGD
from downslope.schedules import Constant, Cosine, InverseTime, LinearWarmup, Piecewise, Schedule
from downslope.schedules.text import in_words


class Mine(Schedule):
    """Nothing to be set."""

    formula = "η_k = 1"

    def _rate(self, k):
        return 1.0


def halved(k):
    return 0.5**k


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0899999999999999, "1.09"),
        (0.1 + 0.2, "0.3"),
        (1.0, "1.0"),
        (0.001, "0.001"),
        (1e-7 / 3, "3.333e-08"),
        (12345.678, "12346"),
        (float("inf"), "inf"),
        (12345, "12345"),
        (True, "True"),
        (Constant(20.0), "20"),
        (InverseTime(1.0, decay=0.1 / 3), "inverse-time:base=1,decay=0.03333"),
        (Piecewise([0.1, 0.2 / 3], boundaries=[5]), "piecewise:values=0.1/0.06667,boundaries=5"),
        (
            LinearWarmup(0.1, steps=10).then(Cosine(0.1, steps=9)),
            "linear-warmup:base=0.1,steps=10 then cosine:base=0.1,steps=9",
        ),
        (Constant(0.1).for_steps(1).then(Constant(2.0)), "0.1 for 1 step then 2"),
        (
            Constant(0.1).for_steps(5).then(Constant(2.0)).scaled(1 / 3).shifted(40),
            "(0.3333 × (0.1 for 5 steps then 2)) from step 40",
        ),
        (Cosine(0.1, steps=9).scaled(0.5).for_steps(3), "(0.5 × cosine:base=0.1,steps=9) for 3 steps"),
        (Mine(), "mine"),
        (halved, "<function>"),
        (SGD(halved).scaled(0.5).learning_rate, "<function>"),
    ],
)
def test_a_value_in_words(value, text):
    assert in_words(value) == text
