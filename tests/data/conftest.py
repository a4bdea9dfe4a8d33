from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a small file, under a folder with a space in its name."""

    def write_file(content: str | bytes, name: str = "wine.csv") -> Path:
        folder = tmp_path / "my tables"
        folder.mkdir(exist_ok=True)
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file
