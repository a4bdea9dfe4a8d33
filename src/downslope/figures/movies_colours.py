"""One palette for all frames of an animation: small files, and of each frame only what changed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from downslope.figures.movies import Frame

__all__ = ["UNCHANGED", "Indexed", "Kept", "Palette", "changed"]

COLOURS, UNCHANGED = 255, 255  # the last place of a palette says that a pixel stays as it was
SAMPLED = 16  # frames the palette is made from
KEPT_EXACTLY, LARGE = 32, 1 / 2000  # so many colours at most, each of which fills this share of the frames


class Indexed(NamedTuple):
    """A frame by the places of its colours in the palette, shape (height, width)."""

    places: NDArray[np.uint8]
    seconds: float
    label: str


class Palette:
    """255 colours for all of these frames.

    The few that fill the page are kept as they are. The others count by the root of their area, so that thin lines
    and small signs keep theirs beside large fields.

    Attributes
    ----------
    colours : array, shape (256, 3), uint8
        The last stands for no colour.
    """

    def __init__(self, frames: list[NDArray[np.uint8]]) -> None:
        from PIL import Image

        found, counts = np.unique(np.concatenate([_packed(frame).ravel() for frame in frames]), return_counts=True)
        order = np.argsort(-counts, kind="stable")[:KEPT_EXACTLY]
        exact = found[order[counts[order] > LARGE * counts.sum()]]
        rest = ~np.isin(found, exact)
        table = _unpacked(exact)
        if rest.any():
            often = np.repeat(found[rest], np.ceil(np.sqrt(counts[rest])).astype(np.int64))
            image = Image.fromarray(_unpacked(often)[np.newaxis])
            made = image.quantize(COLOURS - len(table), Image.Quantize.MEDIANCUT, kmeans=2)
            mixed = np.array(made.getpalette(), np.uint8).reshape(-1, 3)[: COLOURS - len(table)]
            table = np.concatenate([table, mixed])
        self.colours = np.zeros((COLOURS + 1, 3), np.uint8)
        self.colours[: len(table)] = table
        self._nearest = _nearest(table.astype(np.float32))
        self._nearest[exact] = np.arange(len(exact))

    def places(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the place of the nearest colour for each pixel, without dithering, which would stir in what rests."""
        return np.asarray(self._nearest[_packed(pixels)])


class Kept:
    """All frames of an animation, compressed: the palette needs every one before the first can be written."""

    def __init__(self) -> None:
        self._frames: list[tuple[bytes, float, str]] = []
        self._shape = (0, 0, 3)

    def add(self, frame: Frame) -> None:
        """Keep one more frame; all have one size."""
        self._shape = frame.pixels.shape
        self._frames.append((zlib.compress(frame.pixels.tobytes(), 1), frame.seconds, frame.label))

    def palette(self) -> Palette:
        """Return the palette that serves all frames."""
        chosen = np.unique(np.linspace(0, len(self._frames) - 1, SAMPLED).astype(int))
        return Palette([self._pixels(place) for place in chosen])

    def indexed(self, palette: Palette) -> Iterator[Indexed]:
        """Yield each frame in the palette's colours."""
        for place, (_, seconds, label) in enumerate(self._frames):
            yield Indexed(palette.places(self._pixels(place)), seconds, label)

    def _pixels(self, place: int) -> NDArray[np.uint8]:
        return np.frombuffer(zlib.decompress(self._frames[place][0]), np.uint8).reshape(self._shape)


def changed(before: NDArray[np.uint8], places: NDArray[np.uint8]) -> tuple[int, int, NDArray[np.uint8]]:
    """Return where a frame differs (left, top) and its places there, `UNCHANGED` for those that do not."""
    differs = before != places
    rows, columns = np.flatnonzero(differs.any(axis=1)), np.flatnonzero(differs.any(axis=0))
    if not len(rows):
        return 0, 0, np.full((1, 1), UNCHANGED, np.uint8)
    within = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    part = np.where(differs[within], places[within], np.uint8(UNCHANGED))
    return int(columns[0]), int(rows[0]), part


def _packed(pixels: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Return red, green and blue as one number."""
    red, green, blue = (pixels[..., band].astype(np.uint32) for band in range(3))
    return np.asarray(red << 16 | green << 8 | blue)


def _unpacked(packed: NDArray[np.uint32]) -> NDArray[np.uint8]:
    return np.stack([packed >> 16, packed >> 8 & 255, packed & 255], axis=-1).astype(np.uint8)


def _nearest(table: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the place of the nearest colour of the table for each of the 2²⁴, in cells of 4 × 4 × 4 of them."""
    side = np.arange(64, dtype=np.float32) * 4 + 1.5
    lengths = np.square(table).sum(axis=1)
    cells = np.empty((64, 64, 64), np.uint8)
    for place, red in enumerate(side):
        # |c − t|² without |c|², which is the same for all t
        plane = side[:, np.newaxis] * table[:, 1] * -2 + (lengths - 2 * red * table[:, 0])
        line = side[:, np.newaxis] * table[:, 2] * -2
        cells[place] = (plane[:, np.newaxis] + line[np.newaxis]).argmin(axis=2)
    return cells.repeat(4, axis=0).repeat(4, axis=1).repeat(4, axis=2).ravel()
