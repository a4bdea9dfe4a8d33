from __future__ import annotations

import io
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from downslope.errors import InputError
from downslope.figures.drawing import drawing
from downslope.figures.movies import MOVIES, Canvas, Frame, check_movies, frame_of, write_movies
from downslope.figures.movies_colours import Kept
from downslope.figures.page import Box, Page
from downslope.figures.style import styled

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
KINDS = [ending if ending != ".mp4" else pytest.param(ending, marks=needs_ffmpeg) for ending in MOVIES]


def frames(count: int = 5, width: int = 60, height: int = 40, seconds: float = 0.2) -> list[Frame]:
    """A red square that walks over a white page."""
    made = []
    for place in range(count):
        pixels = np.full((height, width, 3), 255, np.uint8)
        pixels[10:20, 5 + 8 * place : 15 + 8 * place] = (178, 24, 43)
        made.append(Frame(pixels, seconds, f"step {place}"))
    return made


def decoded(path: Path) -> tuple[list[np.ndarray], list[int]]:
    with Image.open(path) as image:
        pictures, times = [], []
        for place in range(image.n_frames):
            image.seek(place)
            pictures.append(np.asarray(image.convert("RGB")))
            times.append(image.info["duration"])
        assert image.info["loop"] == 0
    return pictures, times


def video(path: Path, width: int, height: int) -> np.ndarray:
    raw = subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def test_a_gif_holds_every_frame_for_its_time(tmp_path):
    given = [frame._replace(seconds=seconds) for frame, seconds in zip(frames(3), (0.166, 0.166, 2.0), strict=True)]
    write_movies(tmp_path / "a.gif", given, title="a")
    pictures, times = decoded(tmp_path / "a.gif")
    assert all(np.array_equal(shown, frame.pixels) for shown, frame in zip(pictures, given, strict=True))
    assert times == [170, 160, 2000]  # the hundredth nearest to the sum, so that rounding does not add up


def test_a_gif_loses_no_time_of_long_frames(tmp_path):
    given = [frame._replace(seconds=seconds) for frame, seconds in zip(frames(3), (0.025, 655.35, 1.0), strict=True)]
    write_movies(tmp_path / "a.gif", given, title="a")
    _, times = decoded(tmp_path / "a.gif")
    assert times == [20, 655350, 1010]


def test_a_gif_writes_only_what_changed_and_frames_that_rest(tmp_path):
    noise = np.random.default_rng(0).integers(0, 200, (200, 200, 1)).astype(np.uint8).repeat(3, axis=2)
    other = noise.copy()
    other[5:9, 7:12] = 255
    write_movies(tmp_path / "one.gif", [Frame(noise, 0.1, "")], title="a")
    write_movies(tmp_path / "a.gif", [Frame(each, 0.1, "") for each in (noise, noise, other)], title="a")
    assert (tmp_path / "a.gif").stat().st_size < (tmp_path / "one.gif").stat().st_size + 1000
    pictures, _ = decoded(tmp_path / "a.gif")
    assert (pictures[0] != pictures[1]).sum() == 0
    assert np.array_equal((pictures[1] != pictures[2]).any(axis=2), (noise != other).any(axis=2))


def test_colours_that_fill_the_page_stay_as_they_are_and_few_others_are_missed():
    gradient = np.linspace(0, 255, 400 * 300 * 3).reshape(300, 400, 3).astype(np.uint8)
    gradient[100:200, 100:300] = (253, 254, 255)
    gradient[10, :4] = (255, 0, 0)  # a small sign
    kept = Kept()
    kept.add(Frame(gradient, 1.0, ""))
    palette = kept.palette()
    (shown,) = kept.indexed(palette)
    colours = palette.colours[shown.places].astype(int)
    assert (colours[100:200, 100:300] == (253, 254, 255)).all()
    assert np.abs(colours - gradient).max() < 24
    assert shown.places.max() < 255


@needs_ffmpeg
def test_an_mp4_shows_frames_for_their_time_at_25_a_second(tmp_path):
    given = frames(5, seconds=1 / 6)
    write_movies(tmp_path / "a.mp4", given, title="a")
    shown = video(tmp_path / "a.mp4", 60, 40)
    assert len(shown) == round(5 / 6 * 25)
    for place, picture in ((0, 0), (4, 1), (len(shown) - 1, 4)):
        assert np.abs(shown[place].astype(int) - given[picture].pixels).mean() < 8


@needs_ffmpeg
def test_an_mp4_of_odd_size_is_made_even_at_its_edges(tmp_path):
    write_movies(tmp_path / "a.mp4", frames(2, 61, 41), title="a")
    shown = video(tmp_path / "a.mp4", 62, 42)
    assert (shown[0, 41, :] > 240).all()
    assert (shown[0, :, 61] > 240).all()


@pytest.mark.parametrize("ending", KINDS)
def test_the_same_frames_give_the_same_bytes_alone_and_together(tmp_path, ending):
    one, other = tmp_path / f"one{ending}", tmp_path / f"other{ending}"
    write_movies(one, iter(frames()), title="a")
    write_movies([tmp_path / "with.gif", other, tmp_path / "with.html"], iter(frames()), title="a")
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("ending", KINDS)
@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError])
def test_what_is_stopped_leaves_the_old_file_and_nothing_else(tmp_path, ending, stop):
    path = tmp_path / f"a{ending}"
    path.write_bytes(b"old")

    def stopped():
        yield from frames(3)
        raise stop

    with pytest.raises(stop):
        write_movies([path, tmp_path / "b.gif"], stopped(), title="a")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"old"


def test_a_warning_stands_in_front(tmp_path):
    names = ["a.gif", "a.html"] + (["a.mp4"] if shutil.which("ffmpeg") else [])
    given = frames(2, 200, 160)
    write_movies([tmp_path / name for name in names], given, title="a", flashing=True)
    pictures, times = decoded(tmp_path / "a.gif")
    assert times == [3000, 200, 200]
    assert len(np.unique(pictures[0].reshape(-1, 3), axis=0)) > 10  # letters
    assert np.array_equal(pictures[1], given[0].pixels)
    page = (tmp_path / "a.html").read_text()
    assert "photosensitive epilepsy" in page
    assert "const flashing = true" in page
    assert page.count("step ") >= 2
    if len(names) == 3:
        assert len(video(tmp_path / "a.mp4", 200, 160)) == 75 + 10


def test_without_ffmpeg_mp4_is_refused_before_anything_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    asked = []
    with pytest.raises(InputError) as caught:
        write_movies([tmp_path / "a.gif", tmp_path / "a.mp4"], (asked.append(1) for _ in range(3)), title="a")
    assert str(caught.value) == "MP4 needs ffmpeg, which was not found: install it or write .gif or .html"
    assert not asked
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo ' V..... libx264 x'; [ $2 = -encoders ] || { echo 'No space left' >&2; exit 1; }", "No space left"),
        ("[ $2 = -encoders ] || exit 0", "libx264, libopenh264 or mpeg4"),
    ],
)
def test_what_ffmpeg_complains_of_is_told(tmp_path, monkeypatch, script, words):
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "ffmpeg").write_text(f"#!/bin/sh\n{script}\n")
    (programs / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(InputError, match=words):
        write_movies(tmp_path / "a.mp4", frames(20, 600, 400), title="a")
    assert [file.name for file in tmp_path.iterdir()] == ["programs"]


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        ("a.png", ".html. Received: path='a.png'"),
        ([], "path must be a file ending in .gif or .mp4 or .html, or several. Received: path=[]"),
        (3, "or several. Received: path=3"),
        (["a.gif", "./a.gif"], "path must name each file once"),
        ("missing/a.gif", "path must be a file in a directory that exists"),
    ],
)
def test_wrong_paths_are_refused_in_a_sentence(tmp_path, monkeypatch, paths, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        check_movies(paths)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], "at least one frame"),
        ([*frames(1), *frames(1, 61)], "frames must have one size"),
        ([Frame(np.zeros((4, 4)), 1.0, "")], "pixels must be uint8"),
        ([frames(1)[0]._replace(seconds=0.0)], "seconds must be above 0"),
        ([frames(1)[0]._replace(seconds=655.4)], r"at most 655\.35\. Received: seconds=655\.4"),
    ],
)
def test_wrong_frames_are_refused_in_a_sentence(tmp_path, given, words):
    with pytest.raises(InputError, match=words):
        write_movies(tmp_path / "a.gif", given, title="a")
    assert not list(tmp_path.iterdir())


def test_a_canvas_draws_what_the_figure_shows_though_most_of_it_is_kept():
    with drawing():
        page = Page(3.0, 2.0, styled("light"))
        axes = page.axes(Box(0.4, 0.3, 2.4, 1.3), "x", "y")
        axes.set(xlim=(0, 1), ylim=(0, 1))
        (line,) = axes.plot([0, 1], [0, 1])
        text = page.text(0.4, 0.2, "")
        text.set_visible(False)
        canvas = Canvas(page.figure, [line, text])
        first = canvas.pixels()
        line.set_data([0, 1], [1, 0])
        text.set_visible(True)
        text.set_text("step 2")
        second = canvas.pixels()
        assert np.array_equal(second, frame_of(page.figure))
        assert second.shape == (200, 300, 3)
        assert (first != second).any()


def test_movies_need_no_matplotlib_until_they_draw():
    code = "import sys, downslope.figures.movies; assert 'matplotlib' not in sys.modules and 'PIL' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_gif_is_read_by_others_as_it_was_meant(tmp_path):
    write_movies(tmp_path / "a.gif", frames(2), title="a")
    data = (tmp_path / "a.gif").read_bytes()
    assert data.startswith(b"GIF89a")
    assert data.endswith(b";")
    with Image.open(io.BytesIO(data)) as image:
        image.seek(image.n_frames - 1)
