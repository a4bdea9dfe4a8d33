# ruff: noqa: NPY002 - the legacy generator is the chapter's

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from downslope.book import initialization


def _package(path: Path):
    spec = importlib.util.spec_from_file_location(
        path.name, path / "__init__.py", submodule_search_locations=[str(path)]
    )
    sys.modules[path.name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def plain():
    """The chapter's names straight in NumPy: a stand-in for `downslope.book` with none of its code."""
    return _package(Path(__file__).parent / "plain_book")


@pytest.fixture
def fresh():
    """Numbers and types as in a new process, and as they were afterwards: `init` changes both for everybody."""
    state, dtype = np.random.get_state(), initialization.default_dtype()
    initialization._default["dtype"] = np.dtype(np.float64)
    yield
    np.random.set_state(state)
    initialization._default["dtype"] = dtype
