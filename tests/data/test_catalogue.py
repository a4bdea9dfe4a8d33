from __future__ import annotations

from typing import Any

import pytest

from downslope import data
from downslope.data.catalogue import SETS, named
from downslope.errors import InputError


@pytest.mark.parametrize("name", SETS)
def test_every_entry_says_what_it_makes(name: str) -> None:
    entry, made = SETS[name], named(name)
    n, d = made.inputs.shape
    outcome = "1 number to predict" if made.classes is None else f"{len(made.classes)} classes"
    assert entry.size == f"{n} rows, {d} feature{'s' * (d != 1)}, {outcome}"
    assert entry.description.endswith(".")
    assert "\n" not in entry.description
    assert made.name == name
    assert getattr(data, name) is entry.make


def test_settings_are_passed_on() -> None:
    assert SETS["spiral"].settings == {"samples": 100, "classes": 3, "seed": 0, "noise": 0.2}
    assert SETS["iris"].settings == {}
    made = named("spiral", samples=20, classes=4, seed=5, noise=0.1)
    assert made.digest == data.spiral(20, 4, 5, 0.1).digest


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("spirl", {}, r"a path to a \.csv, \.tsv, \.parquet file\. Received: 'spirl'\. Did you mean 'spiral'\?"),
        ("zzz", {}, r"Received: 'zzz'$"),
        (3, {}, "Received: 3"),
        ("xor", {"classes": 3}, "only what it takes: samples, noise, seed. Received: classes=3"),
        ("iris", {"seed": 1}, "only what it takes: no settings. Received: seed=1"),
    ],
)
def test_unknown_names_and_settings_are_refused(name: Any, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        named(name, **options)
