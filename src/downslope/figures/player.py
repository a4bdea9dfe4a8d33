"""An animation as one page: every frame within it, and a player."""

from __future__ import annotations

import base64
import html
import io
import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from downslope.figures.movies_colours import UNCHANGED, Indexed, changed
from downslope.files import written_whole

__all__ = ["player_writer"]

FRAMES = "/*FRAMES*/"


@contextmanager
def player_writer(
    path: Path, size: tuple[int, int], colours: bytes, *, title: str, style: str, warning: Sequence[str] = ()
) -> Iterator[Callable[[Indexed], None]]:
    """Yield a function that takes the frames; the page is there when the block ends well.

    `colours` are the 256 of the palette, red, green and blue of each. Of each frame the page holds what differs from
    the first one, so that any can be shown at once. A warning is a card in front of the player: its heading, then its
    lines.
    """
    before, after = _page(size, title, style, warning)
    table = np.frombuffer(colours, np.uint8).reshape(-1, 3)
    first: NDArray[np.uint8] | None = None
    with written_whole(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(before)

        def add(frame: Indexed) -> None:
            nonlocal first
            left, top, part = (0, 0, frame.places) if first is None else changed(first, frame.places)
            entry = [frame.label, round(frame.seconds * 1000), left, top, base64.b64encode(_webp(part, table)).decode()]
            file.write(("" if first is None else ",\n") + json.dumps(entry).replace("<", "\\u003c"))
            first = frame.places if first is None else first

        yield add
        file.write(after)


def _webp(places: NDArray[np.uint8], table: NDArray[np.uint8]) -> bytes:
    """Return a picture of the places, clear where nothing changed."""
    from PIL import Image

    same = places == UNCHANGED
    pixels = np.where(same[:, :, np.newaxis], 0, table[places])
    if same.any():
        pixels = np.dstack([pixels, np.where(same, 0, 255)])
    made = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(made, "WEBP", lossless=True, quality=20, method=1)
    return made.getvalue()


def _page(size: tuple[int, int], title: str, style: str, warning: Sequence[str]) -> list[str]:
    """Return the page before and after its frames; texts are put in once, so marks within them stay as they are."""
    page = resources.files("downslope.figures").joinpath("player.html").read_text(encoding="utf-8")
    heading, *lines = [html.escape(text) for text in warning] or [""]
    parts = {
        "{{title}}": html.escape(title),
        "{{style}}": style,
        "{{width}}": str(size[0]),
        "{{height}}": str(size[1]),
        "{{flashing}}": "true" if warning else "false",
        "{{warning}}": heading,
        "{{warned}}": "".join(f"<p>{line}</p>" for line in lines),
    }
    return [re.sub(r"{{\w+}}", lambda mark: parts[mark[0]], piece) for piece in page.split(FRAMES)]
