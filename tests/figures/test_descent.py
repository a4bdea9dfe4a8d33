"""Pictures of descents: what they show and say, in every kind and both styles."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.colors import to_rgb

import downslope as ds
from downslope.engines.descent import descend
from downslope.errors import InputError
from downslope.figures.descent import descent_picture, landscape_picture, rates_picture
from downslope.figures.descent_panels import draw_gap_axes
from downslope.figures.descent_words import arrival, left_at, outcome, settings_of, step_colours
from downslope.figures.page import Box, Page
from downslope.figures.style import STYLES
from downslope.landscapes import LANDSCAPES, Landscape, landscape

HILLS, ROSENBROCK = landscape("hills"), landscape("rosenbrock")
SLOPE = Landscape(
    "slope", "A parabola", "f(x) = x²", ((-2.0, 2.0),), (-1.5,), ((0.0,),), lambda x: x * x, lambda x: (2 * x,)
)
RULES = (ds.SGD(0.001), ds.SGD(0.001, momentum=0.9), ds.Adam(0.1), ds.RMSprop(0.02), ds.Lion(0.02))


@functools.cache
def on(name, *rules, **settings):
    return [descend(landscape(name), rule, **settings) for rule in rules or RULES]


def bumpy(rate, momentum=0.0, steps=40, **settings):
    return descend(HILLS, ds.SGD(rate, momentum=momentum), steps=steps, **settings)


def parabola(rate, steps=20, start=None):
    return descend(SLOPE, ds.SGD(rate), steps=steps, start=start)


PICTURES = {
    "one ball": lambda **s: descent_picture(bumpy(0.02), **s),
    "with momentum": lambda **s: descent_picture(bumpy(0.005, 0.97, 240), **s),
    "three panels": lambda **s: descent_picture([bumpy(rate) for rate in (0.02, 0.08, 0.12)], **s),
    "twelve panels": lambda **s: descent_picture([bumpy(0.01 * k) for k in range(1, 13)], **s),
    "an explosion": lambda **s: descent_picture(bumpy(5.0), **s),
    "it leaves": lambda **s: descent_picture(parabola(1.02, 60), **s),
    "no step": lambda **s: descent_picture(parabola(0.1, 0), **s),
    "at the minimum": lambda **s: descent_picture(parabola(0.1, 5, [0.0]), **s),
    "from outside": lambda **s: descent_picture(parabola(0.4, 9, [5.0]), **s),
    "long names": lambda **s: descent_picture(
        [bumpy(0.02), bumpy(0.03)], **s, title="$x$ " * 80, labels=["$a$ name " * 40, "b"]
    ),
    **{name: functools.partial(lambda name, **s: descent_picture(on(name), **s), name) for name in LANDSCAPES},
    "one path": lambda **s: descent_picture(on("himmelblau")[2], **s),
    "twelve paths": lambda **s: descent_picture(on("beale", *(ds.Adam(0.01 * k) for k in range(1, 13))), **s),
    "a map and an explosion": lambda **s: descent_picture(on("rosenbrock", ds.SGD(1.0), ds.Adam(0.1)), **s),
    "a map at the minimum": lambda **s: descent_picture(on("bowl", ds.SGD(0.1), start=(1.0, -1.0)), **s),
    "a map, no step": lambda **s: descent_picture(on("saddle", steps=0), **s),
    "a map, all settings": lambda **s: descent_picture(
        on("valley", ds.AdEMAMix(0.01, beta_1=0.8, beta_2=0.99, beta_3=0.99, alpha=3.0, epsilon=1e-6),
           ds.SGD(ds.InverseTime(0.01, decay=0.01), momentum=0.5, nesterov=True)),
        **s,
    ),
    "a map, long names": lambda **s: descent_picture(on("bowl"), **s, title="W" * 300, labels=["W" * 99] * 5),
    "rates": lambda **s: rates_picture([bumpy(rate, 0.7) for rate in (0.6, 0.2, 0.13, 2e-4)], **s),
    "one rate": lambda **s: rates_picture(bumpy(0.1), **s),
    "equal rates": lambda **s: rates_picture([bumpy(0.1)] * 12, **s),
    "rates, long names": lambda **s: rates_picture([bumpy(0.1), bumpy(9.0)], **s, labels=["$W$" * 99, "x\ny"]),
    "rates in two dimensions": lambda **s: rates_picture(on("rastrigin"), **s),
    **{
        f"{name} alone": functools.partial(lambda name, **s: landscape_picture(landscape(name), **s), name)
        for name in LANDSCAPES
    },
}  # fmt: skip


@pytest.mark.parametrize("style", ["light", "dark"])
@pytest.mark.parametrize("name", PICTURES)
def test_texts_have_room_in_every_kind_of_picture(name, style, misplaced):
    figure = PICTURES[name](style=style)
    assert misplaced(figure) == []
    assert figure.get_figwidth() == 8
    assert to_rgb(figure.get_facecolor()) == to_rgb(STYLES[style].background)


def only(figure, kind):
    return [one for axes in figure.axes for one in axes.collections if isinstance(one, kind)]


def test_a_ball_stands_on_the_curve_at_every_step():
    path = bumpy(0.02)
    figure = descent_picture(path)
    [balls], [segments] = only(figure, PathCollection), only(figure, LineCollection)
    assert np.array_equal(balls.get_offsets(), np.column_stack([path.points[:, 0], path.values]))
    assert np.array_equal(np.array(segments.get_segments())[:, 1], balls.get_offsets()[1:])
    curve = figure.axes[-1].lines[0].get_xydata()
    assert np.allclose(HILLS.value(curve[:, :1]), curve[:, 1])
    star = next(line for line in figure.axes[-1].lines if line.get_marker() == "*")
    assert star.get_xydata().tolist() == [[HILLS.minima[0][0], HILLS.minimum]]


def luminance(colours):
    linear = np.asarray(colours)[:, :3] ** 2.2
    return linear @ [0.2126, 0.7152, 0.0722]


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_colours_of_steps_go_from_green_through_orange_to_red_and_ever_darker(style):
    colours = step_colours(style)(np.linspace(0, 1, 33))
    assert (np.diff(luminance(colours)) < 0).all()
    (first, middle, last) = colours[0], colours[16], colours[-1]
    assert first[1] == max(first[:3])
    assert middle[0] > middle[1] > middle[2]
    assert last[0] > 3 * max(last[1:3])


def test_the_last_colour_is_where_the_ball_comes_to_rest(texts):
    figure = descent_picture(bumpy(0.02))
    [balls] = only(figure, PathCollection)
    colours = balls.get_facecolors()
    rest = int(next(k for k in range(41) if (colours[k] == colours[-1]).all()))
    path = bumpy(0.02)
    assert 0 < rest < 40
    assert abs(path.points[rest:] - path.points[-1]).max() < 0.005 * 13
    assert f"step {rest} and after" in [text.get_text() for text in texts(figure)]


def test_a_path_on_a_map_is_the_descents_and_gaps_are_those_of_its_values():
    paths = on("rosenbrock")
    figure = descent_picture(paths)
    map_axes, gap_axes = (axes for axes in figure.axes if axes.axison)
    for index, path in enumerate(paths):
        colour = STYLES["light"].class_colour(index)
        [on_map] = [line for line in map_axes.lines if line.get_color() == colour]
        assert np.array_equal(on_map.get_xydata(), path.points)
        gap, end = (line for line in gap_axes.lines if line.get_color() == colour)
        assert np.array_equal(gap.get_xdata(), np.arange(201))
        assert np.array_equal(gap.get_ydata(), path.values - ROSENBROCK.minimum)
        assert on_map.get_marker() == end.get_marker() == STYLES["light"].class_marker(index)
    assert gap_axes.get_yscale() == "log"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("one ball", ["SGD, learning rate 0.02", "After 40 steps in the first minimum from the left", "start"]),
        ("with momentum", ["After 240 steps at the lowest point, value −1.2"]),
        ("three panels", ["second minimum", "third minimum", "where it comes to rest"]),
        ("an explosion", ["Left the picture at step 1, exploded at step 2"]),
        ("it leaves", ["Left the picture at step 8"]),
        ("from outside", ["After 9 steps at the lowest point"]),
        ("one path", ["steps to the minimum", "minima, value 0", "step 0", "Adam", "learning rate 0.1"]),
        ("rosenbrock", ["Rosenbrock's function", "learning rate 0.001, momentum 0.9", "levels by factors"]),
        ("a map and an explosion", ["exploded at step 2", "—"]),
        ("a map, all settings", ["InverseTime(0.01, decay=0.01), momentum 0.5", "beta_1 0.8, ", "…"]),
        ("rates", ["learning rate 0.6 · exploded", "learning rate 0.13", "value, SGD, momentum 0.7"]),
        ("one rate", ["SGD, learning rate 0.1"]),
        ("hills alone", ["lowest point", "local minimum"]),
        ("rastrigin alone", ["known local minima", "minimum, value 0"]),
    ],
)  # fmt: skip
def test_the_picture_says(name, expected, texts):
    said = [text.get_text() for text in texts(PICTURES[name]())]
    for words in expected:
        assert any(words in line for line in said), words


def test_the_start_is_named_only_where_it_is_seen(texts):
    assert "start" in [text.get_text() for text in texts(PICTURES["it leaves"]())]
    assert "start" not in [text.get_text() for text in texts(PICTURES["from outside"]())]


def test_names_stand_at_the_ends_of_their_lines():
    figure = rates_picture([bumpy(rate, 0.7) for rate in (0.204, 0.13, 2e-4)], labels=["high", "good", "low"])
    axes = figure.axes[0]
    ends = [line.get_ydata()[-1] for line in axes.lines if len(line.get_xdata()) == 41]
    heights = [axes.transData.transform((0, end))[1] for end in ends]
    named = {text.get_text(): figure.transFigure.transform((0, text.get_position()[1]))[1] for text in figure.texts}
    for height, name in zip(heights, ["high", "good", "low"], strict=True):
        assert abs(named[name] - height) < 8  # pixels


def test_names_of_lines_that_end_together_lie_around_their_end():
    figure = rates_picture([bumpy(rate, 0.7) for rate in (0.13, 0.1301, 0.1302)], labels=["a", "b", "c"])
    end = figure.axes[0].transData.transform((0, figure.axes[0].lines[1].get_ydata()[-1]))[1]
    named = [text for text in figure.texts if text.get_text() in "abc"]
    heights = sorted(figure.transFigure.transform((0, text.get_position()[1]))[1] for text in named)
    assert np.diff(heights) == pytest.approx([18, 18], abs=0.1)
    assert abs(heights[0] - end) < 36 + 8  # not all below it, nor all above


@pytest.mark.parametrize("dimensions", [1, 2])
def test_descents_that_start_at_the_minimum_are_told_in_words(dimensions, texts):
    path = on("bowl", ds.SGD(0.1), start=(1.0, -1.0))[0] if dimensions == 2 else parabola(0.1, 5, [0.0])
    page = Page(8.0, 4.0, STYLES["light"])
    axes, _ = draw_gap_axes(page, Box(1.0, 1.0, 3.0, 2.0), 0.8, [path])
    said = [text.get_text() for text in texts(page.figure)]
    assert any("at the minimum" in line for line in said)
    assert not any("log scale" in line or "edge" in line or "e−" in line for line in said)
    assert [text.get_text() for text in axes.get_yticklabels()] == ["0"]


def test_what_lies_below_the_drawn_gaps_is_told(texts):
    path = parabola(0.25, 60)  # the gap falls by the factor 4 a step: below 1e-12 of the first from step 20 on
    page = Page(8.0, 4.0, STYLES["light"])
    _, floor = draw_gap_axes(page, Box(1.0, 1.0, 3.0, 2.0), 0.8, [path])
    assert floor == pytest.approx(1.5**2 * 1e-12)
    assert any("2.2e−12" in text.get_text() for text in texts(page.figure))
    page = Page(8.0, 4.0, STYLES["light"])
    draw_gap_axes(page, Box(1.0, 1.0, 3.0, 2.0), 0.8, [parabola(0.25, 10)])
    assert "log scale" in [text.get_text() for text in texts(page.figure)]


def test_words_of_the_end_follow_the_path():
    assert outcome(parabola(0.25)) == str(parabola(0.25).arrived) == "5"  # each step halves the distance
    assert outcome(parabola(0.001)) == "not reached"
    growing = parabola(1.02, 60)  # the distance grows by the factor 1.04, from 1.5 beyond 2
    assert left_at(growing) == 8
    assert outcome(growing) == "left at step 8"
    exploding = bumpy(5.0)
    assert outcome(exploding) == f"exploded at step {exploding.steps + 1}"
    assert arrival(bumpy(0.02)).startswith("after 40 steps in the first minimum from the left, value ")
    assert arrival(parabola(1.02, 3, [5.0])) == "outside the picture"


def test_settings_are_told_as_the_reader_gave_them():
    assert settings_of(ds.SGD(0.5)) == "learning rate 0.5"
    assert settings_of(ds.SGD(0.5, momentum=0.9, nesterov=True)) == "learning rate 0.5, momentum 0.9, nesterov"
    assert settings_of(ds.Adam()) == "learning rate 0.001"


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_picture_is_written_and_the_same_descent_gives_the_same_bytes(tmp_path, ending):
    files = [tmp_path / f"{name}.{ending}" for name in "ab"]
    for file in files:
        descent_picture(on("rosenbrock")[:2], file)
    first, second = (file.read_bytes() for file in files)
    assert first == second
    assert first.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[ending])


REFUSED = [
    (lambda: descent_picture([]), "descents must be a descent such as descend"),
    (lambda: descent_picture("rosenbrock"), "descents must be a descent such as"),
    (lambda: descent_picture([bumpy(0.1), 3]), "descents must be a descent such as"),
    (lambda: descent_picture([bumpy(0.1)] * 13), "or 1 to 12 of them"),
    (lambda: descent_picture([bumpy(0.1), *on("beale")]), r"must be on one landscape\. Received: hills, beale"),
    (lambda: descent_picture(bumpy(0.1), labels=["a", "b"]), "labels must be 1 texts"),
    (lambda: rates_picture(bumpy(0.1), labels="a"), "labels must be a text for each descent"),
    (lambda: descent_picture(bumpy(0.1), title=3), "title must be a text"),
    (lambda: descent_picture(bumpy(0.1), style="blue"), "style must be one of light, dark"),
    (lambda: descent_picture(bumpy(0.1), "a.gif"), r"path must be a file ending in \.png"),
    (lambda: rates_picture(bumpy(0.1), "no/such/folder.png"), "a directory that exists"),
    (lambda: landscape_picture("hills"), "landscape must be a landscape such as"),
]


@pytest.mark.parametrize(("call", "sentence"), REFUSED)
def test_wrong_input_is_one_sentence(call, sentence):
    with pytest.raises(InputError, match=sentence):
        call()


def test_an_explosion_is_followed_until_it_has_left(texts):
    path = parabola(3.0)  # every step is five times as far out, on the other side
    assert path.exploded
    assert path.steps > 5
    figure = descent_picture(path)
    [balls] = only(figure, PathCollection)
    assert len(balls.get_offsets()) == 2
    assert "step 1" in [text.get_text() for text in texts(figure)]  # the end of the colours


@pytest.mark.parametrize("start", [-6.6, 6.55, 5.0])
def test_the_names_of_a_paths_ends_stay_in_the_frame(start, texts):
    figure = descent_picture(bumpy(0.001, start=[start], steps=3))
    frame = next(axes for axes in figure.axes if axes.get_xlabel() == "x").get_window_extent()
    placed = [text for text in texts(figure) if text.get_path_effects()]  # the key may say "step 3" too
    assert {text.get_text() for text in placed} == {"start", "step 3"}
    ends = [text.get_window_extent() for text in placed]
    assert all(frame.x0 <= end.x0 and end.x1 <= frame.x1 and frame.y0 <= end.y0 and end.y1 <= frame.y1 for end in ends)


def test_a_cut_of_the_scale_is_said_beside_its_heading(texts):
    at_once = descend(landscape("bowl"), ds.SGD(1.0), steps=5)  # the first step lands on the minimum
    figure = descent_picture(at_once)
    (note,) = [text for text in texts(figure) if text.get_text().startswith("log, from ")]
    assert note.get_window_extent(figure.canvas.get_renderer()).x1 <= 7.74 * figure.dpi
    slow = descent_picture(descend(landscape("bowl"), ds.SGD(0.1), steps=5))
    assert "log scale" in [text.get_text() for text in texts(slow)]
