from __future__ import annotations

import threading
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import downslope as ds
from downslope.errors import InputError
from downslope.figures import training_animation
from downslope.figures.animation import _frames, epochs_shown
from downslope.figures.animation_calm import FLASH_AREA, LARGEST_CHANGE, Calm, luminance, opposing_changes
from downslope.figures.drawing import drawing
from downslope.figures.movies import frame_of
from downslope.figures.page import Page
from downslope.figures.panel import Detail
from downslope.figures.picture import HEIGHT, WIDTH, draw_training
from downslope.figures.projection import Plane, draw_projection
from downslope.figures.style import styled


def drawn(run, epochs, *, style="light", faithful=False):
    return list(_frames(run, epochs, style, faithful, None, False))


def same(one, other, most=0):
    """Whether pixels are equal, but for the few at which a tick meets its panel, drawn now above, now below it."""
    return np.count_nonzero((np.abs(one.astype(int) - other) > most).any(axis=2)) <= 40


def pictures(path: Path) -> int:
    with Image.open(path) as image:
        assert image.size == (800, 620)
        return image.n_frames


@given(st.integers(1, 200_000), st.integers(2, 300))
def test_epochs_shown_are_close_at_first_then_even(last, frames):
    epochs = epochs_shown(last, frames)
    assert (epochs[0], epochs[-1]) == (0, last)
    assert len(epochs) <= max(frames, 2)
    steps = [after - before for before, after in pairwise(epochs)]
    assert min(steps) >= 1
    if len(epochs) == last + 1:
        return
    assert len(epochs) >= min(frames, last + 1) * 0.5


def test_epochs_of_the_chapter_s_runs():
    epochs = epochs_shown(10_001, 90)
    assert epochs[:16] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 19, 22]
    steps = np.diff(epochs)
    assert len(set(steps[-50:-1])) == 1
    assert (np.diff(steps[:-1]) >= 0).all()
    assert 85 <= len(epochs) <= 90
    assert epochs_shown(20, 90) == list(range(21))


def test_every_kind_of_run_is_shown_from_its_start_to_where_it_stands(any_run):
    if not any_run.epoch:
        return
    state, rows = any_run.state, len(any_run.history)
    frames = drawn(any_run, [0, any_run.epoch], faithful=True)
    assert any_run.state is state
    assert len(any_run.history) == rows
    assert frames[0].label == "epoch 0"
    assert frames[-1].label == f"epoch {any_run.epoch:,}"
    assert (frames[0].pixels != frames[-1].pixels).any()
    # The last is the picture of the run as it stands.
    many = draw_projection if len(any_run.preparation.classes or range(9)) <= 8 else None
    with drawing():
        page = Page(WIDTH, HEIGHT, styled("light"))
        draw_training(page, any_run, None, Detail(142, 600), many)
        assert same(frame_of(page.figure), frames[-1].pixels)


def test_a_calm_animation_ends_when_all_colours_have_arrived(run_of):
    calm = drawn(run_of("spiral"), [0, 20])
    (_, last) = drawn(run_of("spiral"), [0, 20], faithful=True)
    assert same(calm[-1].pixels, last.pixels, 3)
    assert not same(calm[1].pixels, last.pixels, 3)
    assert calm[-1].seconds == 3.0


@pytest.mark.parametrize("name", ["spiral", "curve", "one input", "field", "confusion", "against true", "far off"])
def test_the_first_frame_shows_the_initial_weights_under_the_scales_of_the_whole_history(run_of, name):
    run = run_of(name)
    start = run.at_start()
    frames = drawn(run, [0, run.epoch], faithful=True)
    with drawing():
        page = Page(WIDTH, HEIGHT, styled("light"))
        panel = draw_training(page, run, None, Detail(142, 600), draw_projection if name == "confusion" else None)
        limits = [(axes.get_xlim(), axes.get_ylim()) for axes in page.figure.axes]
        panel.show(start)
        assert [(axes.get_xlim(), axes.get_ylim()) for axes in page.figure.axes] == limits
        assert same(frame_of(page.figure), frames[0].pixels)
        assert any("Before training" in text.get_text() for text in page.figure.texts)
        panel.show(run)
        assert same(frame_of(page.figure), frames[-1].pixels)


@pytest.fixture(scope="module")
def restless():
    """The spiral with SGD at rate 1: regions and updates jump about."""
    run = ds.Run(ds.MLP([2, 64, 3]), ds.data.spiral(), ds.SGD(1.0))
    run.train(2514, progress=False)
    return run


def test_a_calm_animation_does_not_flash_and_a_faithful_one_does(restless):
    epochs = [0, *range(2500, 2514)]
    calm = [frame.pixels[::2, ::2] for frame in drawn(restless, epochs)]
    for area in (FLASH_AREA, FLASH_AREA // 4):
        assert opposing_changes(calm, 1 / 6, area // 4) <= 3
    assert opposing_changes(calm, 1 / 12, FLASH_AREA // 4) <= 3  # a player at twice the speed
    faithful = [frame.pixels[::2, ::2] for frame in drawn(restless, epochs, faithful=True)]
    assert opposing_changes(faithful, 1 / 25, FLASH_AREA // 4) > 3


@pytest.mark.parametrize(("count", "expected"), [(1, 1), (4, 4), (20, 5)])
def test_opposing_changes_are_counted_within_a_second(count, expected):
    dark, light = np.full((200, 200, 3), 60, np.uint8), np.full((200, 200, 3), 160, np.uint8)
    frames = [dark] + [light if place % 2 == 0 else dark for place in range(count)]
    assert opposing_changes(frames, 1 / 5) == expected
    assert opposing_changes(frames, 1 / 5, 200 * 200) == 0


def test_places_that_brighten_and_darken_at_once_are_counted_together():
    dark, light = np.full((200, 200, 3), 60, np.uint8), np.full((200, 200, 3), 160, np.uint8)
    one, other = np.concatenate([dark[:100], light[:100]]), np.concatenate([light[:100], dark[:100]])
    frames = [one if place % 2 else other for place in range(6)]
    assert opposing_changes(frames, 0.2, 100 * 200) == 5  # together the whole, each half alone not more than half
    assert opposing_changes(frames, 0.2, 200 * 200) == 0
    assert opposing_changes(frames, 3.0, 100 * 200) == 1  # a frame that lasts longer than a second


def test_a_calm_animation_opens_with_the_start(run_of):
    for name in ("spiral", "confusion", "field"):
        calm, faithful = (next(iter(drawn(run_of(name), [0, 20 if name == "spiral" else 5], faithful=each)))
                          for each in (False, True))  # fmt: skip
        assert same(calm.pixels, faithful.pixels, 2)


@pytest.fixture(scope="module")
def restless_rows():
    """4,000 rows of three inputs: from epoch to epoch other classes are predicted of most."""
    inputs = np.random.default_rng(0).normal(size=(4000, 3))
    labels = np.floor((np.arctan2(inputs[:, 1], inputs[:, 0]) / np.pi + 1) * 2.999).astype(int)
    names = {"features": ("a", "b", "c"), "classes": tuple("012345"), "target": ("kind",)}
    run = ds.Run(ds.MLP([3, 16, 6]), ds.data.Dataset("made", inputs, labels, **names), ds.SGD(10.0), guard=None)
    run.train(20, progress=False)
    return run


def test_predicted_classes_change_calmly(restless_rows):
    epochs, panel = list(range(21)), (slice(60, 360), slice(0, 330))
    calm = [frame.pixels[panel] for frame in drawn(restless_rows, epochs)]
    faithful = [frame.pixels[panel] for frame in drawn(restless_rows, epochs, faithful=True)]
    for area in (FLASH_AREA // 4, FLASH_AREA // 16):
        assert opposing_changes(calm, 1 / 6, area) <= 3 < opposing_changes(faithful, 1 / 25, area)
    for before, after in pairwise(calm):
        inside = (slice(15, 285), slice(70, 310))
        assert np.abs(luminance(after[inside]) - luminance(before[inside])).max() <= LARGEST_CHANGE + 0.009


def test_small_changes_bright_ones_and_one_way_are_no_flashes():
    def grey(*values):
        return [np.full((200, 200, 3), value, np.uint8) for value in values]

    assert opposing_changes(grey(100, 110, 100, 110), 0.2) == 0  # less than a tenth
    assert opposing_changes(grey(232, 255, 232, 255), 0.2) == 0  # the darker above 0.8
    assert opposing_changes(grey(0, 60, 120, 180, 240), 0.2) == 1  # one change that goes on
    assert opposing_changes(grey(120, 90, 60, 90, 120), 0.2) == 2  # slow, but there and back


def test_luminance_is_that_of_the_source():
    pixels = np.array([[255, 255, 255], [0, 0, 0], [255, 0, 0], [119, 119, 119]], np.uint8)
    assert luminance(pixels) == pytest.approx([1.0, 0.0, 0.2126, 0.1845], abs=1e-4)


def test_a_calm_field_moves_slowly_and_arrives():
    calm, colours = Calm(), np.random.default_rng(0).random((50, 3))
    assert np.array_equal(calm(colours), np.rint(colours * 255))
    other, before = np.random.default_rng(1).random((50, 3)), luminance(calm(colours))
    for _ in range(80):
        shown = calm(other)
        now = luminance(shown)
        assert np.abs(now - before).max() <= LARGEST_CHANGE + 0.009  # the last is the rounding to bytes
        before = now
    assert np.array_equal(shown, np.rint(other * 255))


@pytest.mark.parametrize("period", [1, 2, 3, 4, 5, 6])
def test_a_calm_field_cannot_flash_whatever_is_due(period):
    calm, frames = Calm(), []
    for place in range(40):
        frames.append(calm(np.full((4, 4, 3), float(place // period % 2))))
    assert opposing_changes(frames, 1 / 6, 8) <= 2
    assert opposing_changes(frames, 1 / 12, 8) <= 4  # a player at twice the speed; a flash is two


def test_the_principal_axes_hold_the_most_variance():
    rows = np.random.default_rng(0).normal(size=(200, 5)) @ np.random.default_rng(1).normal(size=(5, 5)) * 3 + 7
    rows = np.column_stack([rows, np.ones(200)])  # a constant column
    plane = Plane.of(rows)
    standard = (rows[:, :5] - rows[:, :5].mean(axis=0)) / rows[:, :5].std(axis=0)
    largest = np.linalg.eigvalsh(np.cov(standard.T))[::-1]
    assert plane.places(rows).var(axis=0, ddof=1) == pytest.approx(largest[:2])
    assert plane.share == pytest.approx(largest[:2].sum() / largest.sum())
    assert Plane.of(rows[:1]).share == 0


def test_the_projection_rings_what_is_wrong_and_colours_by_what_is_predicted(run_of):
    run = run_of("confusion")
    start = run.at_start()
    style = styled("light")
    with drawing():
        page = Page(WIDTH, HEIGHT, style)
        panel = draw_training(page, run, None, None, draw_projection)
        panel.show(start)
    rings = [artist for artist in panel.artists if getattr(artist, "get_zorder", int)() == 4]
    part = run.problem.training
    wrong = start.predict(run.preparation.inputs.invert(part.inputs.astype(float))) != part.targets
    assert len(rings[0].get_offsets()) == wrong.sum() > 0
    shown = {tuple(colour) for artist in panel.artists[1:4] for colour in artist.get_facecolor()}
    assert len(shown) == len(np.unique(start.predict(run.preparation.inputs.invert(part.inputs.astype(float)))))


def test_nothing_is_written_over_another_text(run_of, misplaced):
    for name in ("confusion", "long confusion"):
        with drawing():
            page = Page(WIDTH, HEIGHT, styled("dark"))
            draw_training(page, run_of(name), None, Detail(), draw_projection)
        assert misplaced(page.figure) == []


def test_files_are_written_with_so_many_frames(run_of, tmp_path):
    training_animation(run_of("spiral"), [tmp_path / "a.gif", tmp_path / "a.html"], frames=4, epochs=8, title="<a>")
    assert pictures(tmp_path / "a.gif") >= 4
    assert "&lt;a&gt;" in (tmp_path / "a.html").read_text()
    training_animation(run_of("spiral"), tmp_path / "b.gif", frames=4, faithful=True, style="dark")
    assert pictures(tmp_path / "b.gif") == 1 + 4  # the warning


def test_a_shorter_animation_has_the_scales_of_its_own_epochs(run_of):
    run = run_of("spiral")
    short = run.at_start()
    short.train(5, progress=False)
    frames = drawn(run, [0, 3, 5], faithful=True)
    assert np.array_equal(frames[-1].pixels, drawn(short, [0, 5], faithful=True)[-1].pixels)


def test_a_run_in_training_is_animated_as_it_was(tmp_path):
    run = ds.Run(ds.MLP([2, 16, 3]), ds.data.spiral(20), ds.Adam(0.01))
    run.train(3, progress=False)
    begun, stop = threading.Event(), threading.Event()

    def keep_on(run, epoch):
        begun.set()
        time.sleep(0.01)
        if stop.is_set():
            raise RuntimeError

    def train():
        with pytest.raises(RuntimeError):
            run.train(10**9, progress=False, on_epoch=keep_on)

    thread = threading.Thread(target=train)
    thread.start()
    try:
        assert begun.wait(60)
        training_animation(run, tmp_path / "a.gif", frames=2, faithful=True)
    finally:
        stop.set()
        thread.join()
    assert pictures(tmp_path / "a.gif") == 1 + 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"run": "spiral"}, "run must be a run such as"),
        ({"path": "a.png"}, "path must be a file ending in .gif"),
        ({"epochs": 0}, "epochs must be a whole number at least 1 and at most 20. Received: epochs=0"),
        ({"epochs": 21}, "at most 20. Received: epochs=21"),
        ({"frames": 1}, "frames must be a whole number at least 2. Received: frames=1"),
        ({"style": "drak"}, "Did you mean 'dark'?"),
        ({"faithful": 1}, "faithful must be True or False. Received: faithful=1"),
        ({"title": 3}, "title must be a text. Received: title=3"),
        ({"progress": "yes"}, "progress must be True or False"),
    ],
)
def test_wrong_settings_are_refused_in_a_sentence(run_of, tmp_path, monkeypatch, settings, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        training_animation(**{"run": run_of("spiral"), "path": "a.gif", **settings})
    assert words in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_a_run_without_an_epoch_cannot_be_animated(run_of, tmp_path):
    with pytest.raises(InputError, match="run must have finished an epoch to be animated"):
        training_animation(run_of("untrained"), tmp_path / "a.gif")
