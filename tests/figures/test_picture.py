from __future__ import annotations

import functools
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from downslope.errors import InputError
from downslope.figures import training_picture

drawn = functools.cache(training_picture)  # looked at, never changed


def test_every_kind_of_run_gives_a_picture_whose_texts_have_room(any_run, misplaced):
    figure = drawn(any_run)
    assert misplaced(figure) == []
    panels = [axes for axes in figure.axes if axes.axison]
    assert len(panels) in {4, 5}  # the data, perhaps a colour bar, three curves
    assert all(axes.get_xlabel() for axes in panels if len(axes.get_xticks()))
    assert panels[0].get_ylabel()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("spiral", ["Decision regions", "x", "y", "After 20 epochs", "SGD(learning_rate=inverse-time:base=1,decay=1)"]),
        ("untrained", ["Before training", "none yet", "before training"]),
        ("one epoch", ["After 1 epoch  "]),
        ("eight blobs", ["hollow: validation", "validation loss", "7"]),
        ("forty blobs", ["more"]),
        ("far from zero", ["f0 − 1,000,000,000"]),
        ("many points", ["4,000 of 6,000 rows"]),
        ("curve", ["Fitted curve", "R² "]),
        ("five curves", ["+1 more"]),
        ("three fields", ["1 of 3 targets"]),
        ("against true", ["predicted progress", "true progress"]),
        ("confusion", ["Confusion matrix", "validation part, 27 rows", "batches of 16"]),
        ("long confusion", ["training part, 90 rows", "…", "$"]),
        ("hundred classes", ["14 of 100 classes"]),
        ("deep", ["2 of 6 layers left out", "square: largest", "of 3×3 weights"]),
        ("not finite", ["log scale", "3 not finite"]),
        ("single", ["R² undefined"]),
    ],
)
def test_the_picture_says(run_of, texts, name, expected):
    said = [text.get_text() for text in texts(drawn(run_of(name)))]
    for words in expected:
        assert any(words in line for line in said), words


def test_the_numbers_under_the_title_are_those_of_the_present_state(run_of, texts):
    run = run_of("confusion")
    line = next(text.get_text() for text in texts(drawn(run)) if text.get_text().startswith("After"))
    for part in ("training", "validation"):
        found = run.evaluate(part)
        assert f"{part} loss {found['loss']:.4g}, accuracy {found['accuracy']:.3f}" in line


def test_a_title_replaces_the_usual_one_as_plain_text(run_of, texts):
    said = [text.get_text() for text in texts(training_picture(run_of("spiral"), title="$\\frac{1}{$ " + "wide " * 50))]
    assert any(line.startswith("$\\frac{1}{$ wide") and line.endswith("…") for line in said)


@pytest.mark.parametrize("style", ["light", "dark"])
@pytest.mark.parametrize("name", ["eight blobs", "confusion", "field"])
def test_texts_stand_out_from_what_is_behind_them(run_of, texts, style, name):
    figure = training_picture(run_of(name), style=style)
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[::-1, :, :3] / 255.0
    for text in [text for text in texts(figure) if text.get_text() != "■"]:
        box = text.get_window_extent()
        behind = pixels[int(box.y0) : int(box.y1) + 1, int(box.x0) : int(box.x1) + 1].reshape(-1, 3)
        values, counts = np.unique(behind, axis=0, return_counts=True)
        from matplotlib.colors import to_rgb

        ratio = contrast(np.array(to_rgb(text.get_color())), values[counts.argmax()])
        assert ratio >= 4.5, (text.get_text(), ratio)


def contrast(one: np.ndarray, other: np.ndarray) -> float:
    """Contrast ratio of WCAG 2.2, section 1.4.3."""

    def luminance(rgb: np.ndarray) -> float:
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("ending", ["png", "svg", "pdf", "PNG"])
def test_the_same_run_gives_the_same_bytes(run_of, tmp_path, ending):
    first, second = tmp_path / f"first.{ending}", tmp_path / f"second.{ending}"
    training_picture(run_of("confusion"), first)
    training_picture(run_of("confusion"), str(second))
    assert first.read_bytes() == second.read_bytes()
    assert b"CreationDate" not in first.read_bytes()
    assert b"dc:date" not in first.read_bytes()
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending.lower()]
    assert first.read_bytes().startswith(start)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([first.name, second.name])


def test_a_png_is_1600_pixels_wide(run_of, tmp_path):
    path = tmp_path / "a.png"
    training_picture(run_of("spiral"), path)
    assert int.from_bytes(path.read_bytes()[16:20], "big") == 1600


def test_drawing_leaves_the_run_and_the_settings_of_matplotlib_alone(run_of):
    import matplotlib as mpl

    run = run_of("spiral")
    state, rows, settings = run.state, len(run.history), dict(mpl.rcParams)
    training_picture(run, style="dark")
    assert (run.state, len(run.history), dict(mpl.rcParams)) == (state, rows, settings)


def test_settings_of_the_reader_do_not_change_the_picture(run_of, tmp_path):
    import matplotlib as mpl

    training_picture(run_of("spiral"), tmp_path / "usual.png")
    with mpl.rc_context({"font.size": 20, "axes.facecolor": "red", "axes.grid": True, "lines.linewidth": 9}):
        training_picture(run_of("spiral"), tmp_path / "other.png")
    assert (tmp_path / "usual.png").read_bytes() == (tmp_path / "other.png").read_bytes()


def test_pictures_can_be_drawn_in_threads(run_of, tmp_path):
    paths = [tmp_path / f"{place}.png" for place in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda path: training_picture(run_of("spiral"), path), paths))
    assert len({path.read_bytes() for path in paths}) == 1


def test_matplotlib_loads_with_the_first_picture_and_pyplot_never():
    code = """
import sys, downslope, downslope.figures
assert not [name for name in sys.modules if name.startswith(("matplotlib", "numba"))], "loaded too early"
import downslope as ds
ds.training_picture(ds.Run(ds.MLP([2, 4, 3]), ds.data.spiral(5), ds.SGD()))
assert "matplotlib" in sys.modules
assert "matplotlib.pyplot" not in sys.modules, "pyplot"
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"path": "a.jpg"}, "path must be a file ending in .png, .svg or .pdf. Received: path='a.jpg'"),
        ({"path": "noending"}, "path must be a file ending in"),
        ({"path": 7}, "path must be a file ending in .png, .svg or .pdf. Received: path=7"),
        ({"path": "missing/a.png"}, "path must be a file in a directory that exists. Received: path='missing/a.png'"),
        ({"path": "folder.png"}, "path must be a file, not a directory"),
        ({"style": "drak"}, "style must be one of light, dark. Received: style='drak'. Did you mean 'dark'?"),
        ({"title": 3}, "title must be a text. Received: title=3"),
        ({"run": "spiral"}, "run must be a run such as"),
    ],
)
def test_wrong_settings_are_refused_in_a_sentence(run_of, tmp_path, monkeypatch, settings, words):
    monkeypatch.chdir(tmp_path)
    Path("folder.png").mkdir()
    with pytest.raises(InputError) as caught:
        training_picture(**{"run": run_of("spiral"), **settings})
    assert words in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]


def test_a_file_that_cannot_be_written_leaves_the_old_one(run_of, tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(InputError, match=r"a\.png could not be written: No space left on device"):
        training_picture(run_of("spiral"), path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
