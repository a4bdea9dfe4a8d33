"""How every picture is drawn and kept: under settings of its own, and as a file that is whole or not there."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from downslope.figures.style import FONT
from downslope.files import written_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["PICTURES", "drawing", "save"]

DOTS = 200  # an inch of a PNG
PICTURES = (".png", ".svg", ".pdf")
# Matplotlib reads some settings only while it draws or saves, from one place for all threads.
_settings_lock = threading.RLock()  # a picture within a movie is drawn under the movie's


@contextmanager
def drawing() -> Iterator[None]:
    """Draw and save under matplotlib's defaults, whatever the reader has set, one thread at a time."""
    import matplotlib.style

    fixed = {"font.family": FONT, "svg.hashsalt": "downslope", "text.usetex": False}
    with _settings_lock, matplotlib.style.context(["default", fixed]):
        yield


def save(figure: Figure, file: Path) -> None:
    """Write a figure by the file's ending; the same figure gives the same bytes."""
    kind = file.suffix.lower()[1:]
    dates: dict[str, dict[str, Any]] = {
        "png": {"Software": None},
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }
    drawn = io.BytesIO()  # so that the file is there only while it is written, not while it is drawn
    figure.savefig(drawn, format=kind, dpi=DOTS, metadata=dates[kind], facecolor=figure.get_facecolor())
    with written_whole(file) as temporary:
        temporary.write_bytes(drawn.getvalue())
