"""Animations of descents: which steps are frames, what a frame shows, and the files."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from PIL import Image

import downslope as ds
from downslope.engines.descent import descend
from downslope.errors import InputError
from downslope.figures.descent_movie import Scene, descent_animation, shown_steps
from downslope.figures.drawing import drawing
from downslope.figures.style import STYLES, styled
from downslope.landscapes import landscape

RULES = (ds.SGD(0.001), ds.Adam(0.1), ds.SGD(5.0))


def on(name, *rules, steps=60):
    return [descend(landscape(name), rule, steps=steps) for rule in rules or RULES]


def scene(descents, style="light", title="A title", labels=None):
    with drawing():
        return Scene(descents, styled(style), title, labels)


SCENES = {
    "a race": lambda: on("rosenbrock"),
    "one path": lambda: on("himmelblau", ds.Adam(0.1)),
    "one ball": lambda: on("hills", ds.SGD(0.02, momentum=0.9)),
    "balls": lambda: on("hills"),
    "no step": lambda: on("saddle", steps=0),
    "twelve": lambda: on("beale", *(ds.Adam(0.01 * k) for k in range(1, 13))),
}


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("name", SCENES)
def test_texts_have_room_at_the_start_on_the_way_and_at_the_end(name, style, misplaced):
    drawn = scene(SCENES[name](), style)
    for step in (0, 7, 60):
        pixels = drawn.at(step)
        assert misplaced(drawn.figure) == []
    assert pixels.dtype == np.uint8
    assert pixels.shape[1:] == (800, 3)
    assert pixels.shape[0] % 2 == 0


@pytest.mark.parametrize("steps", [0, 1, 9, 89, 90, 200, 1000, 100_000])
@pytest.mark.parametrize("frames", [2, 3, 90])
def test_steps_shown_are_early_ones_each_and_then_ever_wider(steps, frames):
    shown = shown_steps(steps, frames)
    strides = np.diff(shown)
    assert (shown[0], shown[-1]) == (0, steps)
    assert len(shown) == min(steps + 1, frames)
    assert (strides >= 1).all()
    if frames == 90:
        assert (np.diff(strides) >= -1).all()  # rounding may take one off
        assert shown[: min(len(shown), 5)].tolist() == list(range(min(len(shown), 5))) or steps > 1000


def test_a_frame_shows_the_path_up_to_its_step(texts):
    descents = on("rosenbrock")
    drawn = scene(descents)
    for step in (0, 13, 60):
        drawn.at(step)
        map_axes, gap_axes = (axes for axes in drawn.figure.axes if axes.axison)
        for index, path in enumerate(descents):
            last = min(step, path.steps)
            colour = STYLES["light"].class_colour(index)
            trail, ball = (line for line in map_axes.lines if line.get_color() == colour)
            assert np.array_equal(trail.get_xydata(), path.points[: last + 1])
            assert np.array_equal(ball.get_xydata(), path.points[last : last + 1])
            gap = next(line for line in gap_axes.lines if line.get_color() == colour)
            assert np.array_equal(gap.get_ydata(), path.values[: last + 1] - path.landscape.minimum)
        assert f"step {step}" in [text.get_text() for text in texts(drawn.figure)]


def test_one_descent_is_coloured_by_step():
    [path] = descents = on("hills", ds.SGD(0.02, momentum=0.9))
    drawn = scene(descents)
    drawn.at(20)
    ground = drawn.figure.axes[0]
    [line] = [one for one in ground.collections if isinstance(one, LineCollection)]
    assert len(line.get_segments()) == 20
    assert len(np.unique(line.get_colors(), axis=0)) > 10
    assert np.array_equal(line.get_segments()[-1][1], [path.points[20, 0], path.values[20]])


def test_the_result_is_told_when_a_descent_is_over(texts):
    drawn = scene(on("rosenbrock"))

    def told():
        return [text.get_text() for text in texts(drawn.figure)]

    drawn.at(0)
    assert "exploded at step 2" not in told()
    drawn.at(30)
    assert "exploded at step 2" in told()
    assert "not reached" not in told()
    drawn.at(60)
    assert "not reached" in told()


def test_what_does_not_move_is_not_drawn_again():
    drawn = scene(on("rosenbrock"))
    first, later = drawn.at(0).copy(), drawn.at(40)
    changed = (first != later).any(axis=-1)
    assert 0.001 < changed.mean() < 0.1
    assert np.array_equal(drawn.at(0), first)


def test_frames_are_held_at_the_start_and_the_end(monkeypatch):
    written = []

    def kept(paths, frames, **told):
        written.append((paths, list(frames), told))

    monkeypatch.setattr(importlib.import_module("downslope.figures.descent_movie"), "write_movies", kept)
    descent_animation(on("rosenbrock"), "race.gif", frames=12, title="Race")
    [(_, frames, told)] = written
    assert told == {"title": "Race", "style": "light"}
    assert [frame.label for frame in frames[:3]] == ["step 0", "step 1", "step 2"]
    assert frames[-1].label == "step 60"
    assert len(frames) == 12
    assert frames[-1].seconds >= 2
    assert all(0.04 <= frame.seconds < 1 for frame in frames[:-1])


def test_files_of_every_kind_come_from_one_pass(tmp_path):
    files = [tmp_path / "a.gif", tmp_path / "a.html"]
    descent_animation(on("hills"), files, frames=6, style="dark")
    with Image.open(files[0]) as gif:
        assert gif.n_frames == 6
        assert gif.width == 800
    assert "step 60" in files[1].read_text()
    assert all(file.stat().st_size < 6e6 for file in files)
    assert sorted(tmp_path.iterdir()) == files


REFUSED = [
    (lambda: descent_animation([], "a.gif"), "descents must be a descent"),
    (lambda: descent_animation(on("hills"), "a.png"), r"path must be a file ending in \.gif"),
    (lambda: descent_animation(on("hills"), []), "path must be a file ending in"),
    (lambda: descent_animation(on("hills"), "a.gif", frames=1), "frames must be a whole number at least 2"),
    (lambda: descent_animation(on("hills"), "a.gif", style="x"), "style must be one of"),
    (lambda: descent_animation(on("hills"), "a.gif", labels=["a"]), "labels must be 3 texts"),
    (lambda: descent_animation(on("hills"), "a.gif", title=1), "title must be a text"),
]


@pytest.mark.parametrize(("call", "sentence"), REFUSED)
def test_wrong_input_is_one_sentence_and_writes_nothing(call, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=sentence):
        call()
    assert not list(tmp_path.iterdir())


def test_a_stop_on_the_way_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "a.gif"
    file.write_bytes(b"old")
    whole = Scene.at

    def stopped(self, step):
        if step > 2:
            raise KeyboardInterrupt
        return whole(self, step)

    monkeypatch.setattr(Scene, "at", stopped)
    with pytest.raises(KeyboardInterrupt):
        descent_animation(on("hills"), [file, tmp_path / "b.html"])
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]
