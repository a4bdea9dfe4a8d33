"""Strategies for settings, drawn from the setting records themselves."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import strategies as st

from downslope.rules import Optimizer, Setting


def legal(record: Setting) -> st.SearchStrategy[Any]:
    ends = record.interval
    if record.kind is bool:
        return st.booleans()
    if record.kind is int:
        return st.integers(int(ends.at_least or 0), None if ends.at_most is None else int(ends.at_most))
    low = ends.above if ends.at_least is None else ends.at_least
    high = ends.below if ends.at_most is None else ends.at_most
    return st.floats(
        low, high, exclude_min=ends.above is not None, exclude_max=ends.below is not None,
        allow_nan=False, allow_infinity=False,
    )  # fmt: skip


def illegal(record: Setting) -> st.SearchStrategy[Any]:
    others: Any = st.one_of(st.none(), st.text(), st.complex_numbers(), st.lists(st.floats()), st.binary())
    if record.kind is bool:
        return st.one_of(others, st.integers(), st.floats())
    numbers = st.floats() if record.kind is float else st.one_of(st.integers(), st.floats())
    outside = numbers.filter(lambda x: x not in record.interval or (record.kind is int and isinstance(x, float)))
    return st.one_of(others, outside, st.booleans(), st.sampled_from([math.nan, math.inf, -math.inf]))


class Settings:
    legal = staticmethod(legal)
    illegal = staticmethod(illegal)

    @staticmethod
    def of(rule: type[Optimizer]) -> st.SearchStrategy[Optimizer]:
        return st.fixed_dictionaries({name: legal(record) for name, record in rule.settings.items()}).map(
            lambda values: rule(**values)
        )


@pytest.fixture(scope="session")
def settings_of() -> type[Settings]:
    return Settings
