from pathlib import Path

import pytest

from downslope.training.log import Parent
from downslope.training.tree import Node

LOG = (
    {"step": 10, "kind": "watch", "told": "step 10: …"},
    {"step": 20, "kind": "change", "told": "learning_rate=0.1 (was 0.5)"},
    {"step": 40, "kind": "change", "told": "momentum=0.9 (was 0.0)"},
    {"step": 40, "kind": "change", "told": "nothing differs"},
    {"step": 50, "kind": "reduce", "told": "…"},
    {"step": 60, "kind": "alarm", "told": "step 60: …"},
    {"step": 55, "kind": "rollback", "told": "step 60: …"},
    {"step": 70, "kind": "stop", "told": "step 71: …"},
)


@pytest.mark.parametrize(
    ("parent", "shown"),
    [
        (None, [1, 2, 3, 4, 6, 7]),
        (["a", 40, "momentum=0.9 (was 0.0)"], [3, 4, 6, 7]),  # the change it began with stands with its parent
        (["a", 40, ""], [2, 3, 4, 6, 7]),
        (["a", 50, ""], [4, 6, 7]),
    ],
)
def test_what_was_done_to_a_run_itself(parent, shown):
    header = {"id": "b", "parent": parent}
    assert Node("b", Path("b"), header, Parent.of(header), LOG).own_log == [LOG[place] for place in shown]


def test_the_parent_that_a_header_tells_of():
    assert Parent.of({"parent": None}) is None
    assert Parent.of({"parent": ["a", 40, "momentum=0.9 (was 0.0)"]}) == Parent("a", 40, "momentum=0.9 (was 0.0)")
