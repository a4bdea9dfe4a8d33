"""An animation as MP4, by ffmpeg."""

from __future__ import annotations

import functools
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from downslope.errors import InputError
from downslope.files import written_whole

if TYPE_CHECKING:
    from downslope.figures.movies import Frame

__all__ = ["ffmpeg", "mp4_writer"]

RATE = 25  # pictures a second
# By preference; each with what makes flat colours and small text look well.
ENCODERS = {
    "libx264": ("-preset", "veryfast", "-tune", "animation", "-crf", "17", "-threads", "1"),
    "libopenh264": ("-b:v", "3M"),
    "mpeg4": ("-q:v", "2"),
}


def ffmpeg() -> str:
    """Return where ffmpeg is, or raise InputError."""
    found = shutil.which("ffmpeg")
    if found is None:
        raise InputError("MP4 needs ffmpeg, which was not found: install it or write .gif or .html")
    return found


@contextmanager
def mp4_writer(path: Path, size: tuple[int, int]) -> Iterator[Callable[[Frame], None]]:
    """Yield a function that takes the frames; the file is there when the block ends well."""
    program = ffmpeg()
    encoder = _encoder(program)
    width, height = size
    # H.264's colours are stored for squares of 2 × 2 pixels: an odd side is made even.
    pad = ((0, height % 2), (0, width % 2), (0, 0))
    command = [
        program, "-hide_banner", "-loglevel", "error", "-y",
        "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width + width % 2}x{height + height % 2}", "-r", f"{RATE}",
        "-i", "-", "-an",
        "-vf", "scale=out_color_matrix=bt709:flags=accurate_rnd", "-pix_fmt", "yuv420p",
        "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709",
        "-c:v", encoder, *ENCODERS[encoder],
        "-fflags", "+bitexact", "-flags:v", "+bitexact", "-map_metadata", "-1", "-movflags", "+faststart", "-f", "mp4",
    ]  # fmt: skip
    with written_whole(path) as temporary, tempfile.TemporaryFile() as told:
        # In a session of its own, so that Ctrl-C reaches this program alone and it decides what becomes of the file.
        process = subprocess.Popen(
            [*command, str(temporary)], stdin=subprocess.PIPE, stderr=told, start_new_session=True
        )
        pipe = process.stdin
        assert pipe is not None
        shown, elapsed = 0, 0.0

        def add(frame: Frame) -> None:
            nonlocal shown, elapsed
            elapsed += frame.seconds
            until = max(round(elapsed * RATE), shown + 1)
            pixels = np.pad(frame.pixels, pad, mode="edge") if width % 2 or height % 2 else frame.pixels
            raw = pixels.tobytes()
            try:
                for _ in range(until - shown):
                    pipe.write(raw)
            except BrokenPipeError:  # ffmpeg gave up
                process.wait()
                raise _refused(path, told) from None
            shown = until

        try:
            yield add
            with suppress(BrokenPipeError):
                pipe.close()
            if process.wait():
                raise _refused(path, told)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            with suppress(BrokenPipeError):  # what was left to write has nobody to read it
                pipe.close()


def _refused(path: Path, told: IO[bytes]) -> InputError:
    """Return the error that says what ffmpeg said."""
    told.seek(0)
    words = told.read().decode(errors="replace").strip().splitlines() or ["ffmpeg failed"]
    return InputError(f"{path} could not be written: {words[-1]}")


@functools.cache
def _encoder(program: str) -> str:
    """Return the best encoder this ffmpeg was built with."""
    listed = subprocess.run([program, "-hide_banner", "-encoders"], capture_output=True, text=True, check=False).stdout
    known = {line.split()[1] for line in listed.splitlines() if len(line.split()) > 1}
    for name in ENCODERS:
        if name in known:
            return name
    raise InputError("MP4 needs an ffmpeg with libx264, libopenh264 or mpeg4: install one or write .gif or .html")
