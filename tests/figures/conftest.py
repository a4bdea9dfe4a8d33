from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import suppress
from itertools import combinations
from typing import Any

import numpy as np
import pytest

import downslope as ds
from downslope.data import Dataset
from downslope.errors import NonFiniteError
from downslope.streams import Stream
from downslope.training import Run

LONG = tuple(f"class number {place} has a $long$ name in 漢字" for place in range(7))


def made_classes(rows: int, width: int, count: int, **changes: Any) -> Dataset:
    stream, labels = Stream(1, "data"), np.arange(rows) % count
    inputs = 2.0 * stream.normal((count, width))[labels] + 0.6 * stream.normal((rows, width))
    inputs = inputs * changes.pop("scale", 1.0) + changes.pop("offset", 0.0)
    settled: dict[str, Any] = {
        "features": tuple(f"f{place}" for place in range(width)),
        "classes": tuple(str(place) for place in range(count)),
        "target": ("kind",),
        **changes,
    }
    return Dataset("made", inputs, labels, **settled)


def made_values(rows: int, features: int, targets: tuple[str, ...], scale: float = 1.0) -> Dataset:
    inputs = Stream(2, "data").normal((rows, features))
    values = np.column_stack([np.tanh(inputs.sum(axis=1) + place) for place in range(len(targets))]) * scale
    names = tuple(f"f{place}" for place in range(features))
    return Dataset("made", inputs, values, names, None, targets, standardize=True)


def trained(sizes: list[int], data: Dataset, epochs: int = 5, **settings: Any) -> Run:
    run = Run(ds.MLP(sizes), data, settings.pop("optimizer", ds.Adam(0.01)), **settings)
    run.train(epochs)
    return run


def diverged() -> Run:
    run = Run(ds.MLP([1, 32, 32, 1]), ds.data.line(), ds.SGD(0.4, momentum=0.95), validation=0.3, guard=None)
    with suppress(NonFiniteError):
        run.train(60)
    return run


def with_losses(losses: list[float]) -> Run:
    """Return a run whose recorded losses are these, as a run that explodes records them on its validation part."""
    run = trained([2, 4, 2], ds.data.moons(10), epochs=len(losses), validation=0.3)
    from downslope.engines.problem import EpochRecord

    columns = [getattr(run.history, name.replace("score", "accuracy")) for name in EpochRecord._fields]
    records = np.column_stack(columns)
    records[:, EpochRecord._fields.index("validation_loss")] = losses
    run.history.extend(np.arange(len(losses)), records)
    return run


RUNS: dict[str, Callable[[], Run]] = {
    "spiral": lambda: trained([2, 16, 3], ds.data.spiral(30), 20, optimizer=ds.SGD(ds.InverseTime(1.0, 1.0))),
    "untrained": lambda: trained([2, 64, 3], ds.data.spiral(), 0),
    "one epoch": lambda: trained([2, 16, 3], ds.data.spiral(30), 1),
    "long history": lambda: trained([2, 4, 2], ds.data.moons(20), 2500),
    "eight blobs": lambda: trained([2, 16, 16, 8], ds.data.blobs(20, 8), validation=0.2),
    "forty blobs": lambda: trained([2, 16, 40], ds.data.blobs(4, 40)),
    "binary": lambda: trained([2, 8, 1], ds.data.moons(), loss="bce", validation=0.3),
    "long names": lambda: trained(
        [2, 8, 7], made_classes(70, 2, 7, classes=LONG, features=("the $x$ " * 9, "y\n" * 50))
    ),
    "far from zero": lambda: trained([2, 8, 3], made_classes(60, 2, 3, offset=1e9, standardize=True)),
    "large numbers": lambda: trained([2, 8, 3], made_classes(60, 2, 3, scale=2e5, standardize=True)),
    "many points": lambda: trained([2, 8, 2], ds.data.moons(3000), 1),
    "one input": lambda: trained([1, 8, 3], made_classes(60, 1, 3), validation=0.3),
    "curve": lambda: trained([1, 16, 1], ds.data.sine(), 30, validation=0.2),
    "five curves": lambda: trained([1, 16, 5], made_values(60, 1, ("a name of some length", "b", "c", "d", "e"))),
    "field": lambda: trained([2, 8, 1], made_values(60, 2, ("y",), scale=1e4), validation=0.3),
    "three fields": lambda: trained([2, 8, 3], made_values(60, 2, ("a name of some length " * 4, "b", "c"))),
    "against true": lambda: trained([6, 16, 1], made_values(80, 6, ("progress",)), 20, validation=0.2),
    "far off": lambda: trained([6, 16, 2], made_values(80, 6, ("a", "b")), 2, optimizer=ds.SGD(2.0), guard=None),
    "confusion": lambda: trained([5, 16, 3], made_classes(90, 5, 3), validation=0.3, batch_size=16),
    "long confusion": lambda: trained([5, 16, 7], made_classes(90, 5, 7, classes=LONG, target=("$kind$ " * 9,))),
    "thirty classes": lambda: trained([5, 16, 30], made_classes(300, 5, 30)),
    "hundred classes": lambda: trained(
        [5, 16, 100], made_classes(300, 5, 100, classes=tuple(f"k{i}" for i in range(100)))
    ),
    "deep": lambda: trained([300, 256, 128, 32, 16, 8, 3], made_classes(30, 300, 3), 1),
    "single": lambda: trained([1, 1], Dataset("dot", [[2.0]], [[3.0]], ("x",), None, ("y",)), 2),
    "diverged": diverged,
    "not finite": lambda: with_losses([1.0, 1e3, 1e200, np.inf, np.nan, np.nan]),
    "nothing finite": lambda: with_losses([np.nan, np.inf]),
}


@functools.cache
def _made(name: str) -> Run:
    return RUNS[name]()


@pytest.fixture(scope="session")
def run_of() -> Callable[[str], Run]:
    """A run by name, trained once."""
    return _made


@pytest.fixture(scope="session")
def run_names() -> list[str]:
    return list(RUNS)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "any_run" in metafunc.fixturenames:
        metafunc.parametrize("any_run", list(RUNS), indirect=True)


@pytest.fixture
def any_run(request: pytest.FixtureRequest) -> Run:
    """Every kind of run, one after the other."""
    return _made(request.param)


def overlap(a: Any, b: Any) -> bool:
    return min(a.x1, b.x1) - max(a.x0, b.x0) > 0.5 and min(a.y1, b.y1) - max(a.y0, b.y0) > 1.5


def shown_texts(figure: Any) -> list[Any]:
    from matplotlib.text import Text

    figure.draw_without_rendering()
    hidden = {
        text
        for axes in figure.axes
        if not axes.axison
        for axis in (axes.xaxis, axes.yaxis)
        for text in axis.findobj(Text)
    }
    return [
        text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip() and text not in hidden
    ]


@pytest.fixture(scope="session")
def texts() -> Callable[[Any], list[Any]]:
    """The texts a figure shows."""
    return shown_texts


@pytest.fixture(scope="session")
def misplaced() -> Callable[[Any], list[str]]:
    """What is wrong with the places of texts: on one another, on squares, off the page."""

    def found(figure: Any) -> list[str]:
        boxes = [(text.get_text(), text.get_window_extent()) for text in shown_texts(figure)]
        page = figure.bbox
        outside = [
            f"{text!r} leaves the page"
            for text, box in boxes
            if box.x0 < 1 or box.y0 < 1 or box.x1 > page.x1 - 1 or box.y1 > page.y1 - 1
        ]
        overlaps = [f"{one!r} overlaps {other!r}" for (one, a), (other, b) in combinations(boxes, 2) if overlap(a, b)]
        blocks = [
            axes.get_window_extent()
            for axes in figure.axes
            if any(type(c).__name__ == "QuadMesh" for c in axes.collections)
        ]
        covered = [f"{one!r} overlaps squares" for one, a in boxes for b in blocks if overlap(a, b)]
        return outside + overlaps + covered

    return found
