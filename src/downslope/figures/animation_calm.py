"""What keeps an animation from flashing, and the measure of it.

A flash is a pair of opposing changes in relative luminance of 10 % or more of the largest, the darker below 0.80, over
a quarter of any 10° of the field of view; more than three of them within a second may trigger seizures.
Source: Web Content Accessibility Guidelines 2.2, criterion 2.3.1 and "general flash and red flash thresholds". Its red
flash, between saturated red and another colour, is not measured here.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CALM_SECONDS", "FLASH_AREA", "Calm", "luminance", "opposing_changes"]

CALM_SECONDS = 1 / 6  # a frame of a calm animation
FLASH_AREA = 341 * 256 // 4  # pixels: a quarter of 10° on a screen of 1024 × 768
FLASH_CHANGE, DARKER_BELOW = 0.10, 0.80
# A calm frame changes luminance by at most this, and rounding to bytes may add 0.009 to any one change: then an
# opposing change takes three frames or more. So there are at most two in a second of six frames, one flash, and four
# where a player shows twelve, two flashes; three are allowed.
LARGEST_CHANGE = 0.033
SHARE = 0.6  # of the difference shown at once where it is small: so colours settle rather than jump
WEIGHTS = np.array([0.2126, 0.7152, 0.0722])


def _linear(colours: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return light for sRGB colours in 0 … 1."""
    return np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)


def _encoded(light: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0.0) ** (1 / 2.4) - 0.055)


_LIGHT = _linear(np.arange(256) / 255)
_LUMINANCE = WEIGHTS[:, np.newaxis] * _LIGHT
_STEPS = 8192
_ENCODED = np.rint(_encoded(np.arange(_STEPS + 1) / _STEPS) * 255).astype(np.uint8)


def luminance(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the relative luminance of sRGB pixels of shape (…, 3): 0 for black, 1 for white."""
    red, green, blue = (_LUMINANCE[band][pixels[..., band]] for band in range(3))
    return np.asarray(red + green + blue)


class Calm:
    """A field of colours that follows what is due, never changing luminance fast: for `Detail.blend`.

    Each call is a frame. The luminance of a place changes by at most `LARGEST_CHANGE` in it, before it is rounded to
    bytes, 0.042 after: so whatever is due, the field cannot flash. Each field needs one of its own; the first call
    shows what is due.
    """

    def __init__(self) -> None:
        self._light: NDArray[np.float64] | None = None

    def __call__(self, colours: NDArray[Any]) -> NDArray[np.uint8]:
        """Return the colours to show, sRGB in 0 … 255, for those that are due, in 0 … 1."""
        due = _LIGHT[np.rint(np.clip(colours, 0, 1) * 255).astype(np.uint8)]
        if self._light is None:
            self._light = due
        else:
            way = due - self._light
            change = np.abs(way @ WEIGHTS)
            share = np.minimum(SHARE, LARGEST_CHANGE / np.maximum(change, 1e-9))
            # What is nearly there arrives, so that a picture at rest is the true one.
            share[(change < LARGEST_CHANGE) & (np.abs(way).max(axis=-1) < 0.02)] = 1.0
            self._light = self._light + share[..., np.newaxis] * way
        return np.asarray(_ENCODED[np.rint(self._light * _STEPS).astype(np.int64)])


def opposing_changes(frames: Iterable[NDArray[np.uint8]], seconds: float, area: int = FLASH_AREA) -> int:
    """Return the most opposing changes of luminance over a large area within any second; two of them are a flash.

    A place changes where its luminance has moved by at least 0.10 from its last turning point, the darker end being
    below 0.80; the change counts where it opposes the place's own one before, or is its first. A frame counts where
    such places take up more than `area` together: brightening and darkening ones, as flashes that occur at the same
    time have their areas combined. The places need not lie together, and those of one frame need not be those of the
    next: that is stricter than the source. Red flashes are not measured.

    Parameters
    ----------
    frames : iterable of arrays, shape (height, width, 3), uint8
    seconds : float
        That a frame is shown.
    area : int
        In pixels.
    """
    turning: NDArray[np.float64] | None = None
    direction = np.zeros(1)
    counted: list[int] = []
    for place, frame in enumerate(frames):
        now = luminance(frame)
        if turning is None:
            turning, direction = now.copy(), np.zeros(now.shape, dtype=np.int8)
            continue
        # The turning point goes along with a change that continues, and is left when it turns.
        turning = np.where((direction > 0) & (now > turning) | (direction < 0) & (now < turning), now, turning)
        moved = now - turning
        turned = (np.abs(moved) >= FLASH_CHANGE - 1e-9) & (np.minimum(now, turning) < DARKER_BELOW)
        if np.count_nonzero(turned & (np.sign(moved) != direction)) > area:
            counted.append(place)
        direction = np.where(turned, np.sign(moved), direction).astype(np.int8)
        turning = np.where(turned, now, turning)
    within = max(1, round(1 / seconds))
    places = np.array(counted)
    return max((int(np.count_nonzero((places >= start) & (places < start + within))) for start in places), default=0)
