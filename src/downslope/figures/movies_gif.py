"""An animation as GIF: the palette once, then of each frame what changed."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from downslope.figures.movies_colours import UNCHANGED, Indexed, changed
from downslope.files import written_whole

__all__ = ["gif_writer"]

LONGEST = 65535  # hundredths of a second; `write_movies` refuses longer frames


@contextmanager
def gif_writer(path: Path, size: tuple[int, int], colours: bytes) -> Iterator[Callable[[Indexed], None]]:
    """Yield a function that takes the frames; the file is there when the block ends well.

    `colours` are the 256 of the palette, red, green and blue of each. Frames follow each other at the hundredth of a
    second nearest to the sum of the times before, and the whole begins anew when it ends.
    Source: "Graphics Interchange Format, version 89a" (CompuServe, 1990).
    """
    before: NDArray[np.uint8] | None = None
    shown, elapsed = 0, 0.0
    with written_whole(path) as temporary, temporary.open("wb") as file:
        file.write(b"GIF89a" + struct.pack("<HHBBB", *size, 0xF7, 0, 0) + colours)
        file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01\x00\x00\x00")  # over and over

        def add(frame: Indexed) -> None:
            nonlocal before, shown, elapsed
            elapsed += frame.seconds
            until = max(round(elapsed * 100), shown + 2)  # viewers slow down what is shorter than two hundredths
            until = min(until, shown + LONGEST)  # rounding may ask for one more; the next frame makes up for it
            left, top, part = (0, 0, frame.places) if before is None else changed(before, frame.places)
            height, width = part.shape
            file.write(struct.pack("<BBBBHBB", 0x21, 0xF9, 4, 0x05, until - shown, UNCHANGED, 0))
            file.write(struct.pack("<BHHHHB", 0x2C, left, top, width, height, 0) + _compressed(part, colours))
            before, shown = frame.places, until

        yield add
        file.write(b";")


def _compressed(places: NDArray[np.uint8], colours: bytes) -> bytes:
    """Return places compressed as a GIF has them (LZW): what a picture of its own holds behind palette and box."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(places))
    image.putpalette(colours)
    whole = io.BytesIO()
    image.save(whole, "GIF", optimize=False, interlace=0)
    return whole.getvalue()[13 + len(colours) + 10 : -1]
