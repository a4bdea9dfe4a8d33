from __future__ import annotations

import functools
import itertools
import math

import numpy as np
import polars as pl
import pytest

from downslope.errors import InputError
from downslope.figures import MapAxis, map_picture
from downslope.streams import Stream

RATE = MapAxis("learning_rate", tuple(float(one) for one in np.geomspace(1e-3, 10, 9)), True)
MOMENTUM = MapAxis("momentum", tuple(float(one) for one in np.linspace(0, 0.99, 8)), False)
DECAY = MapAxis("weight_decay", (0.0, 0.001, 0.01, 0.1, 0.2, 0.3, 0.4, 0.5), False)
WARMUP = MapAxis("warmup", (0.0, 50.0), False, unit="steps")
LONG = MapAxis(
    "a_setting_with_a_name_so_long_that_nobody_would_type_it_twice_in_a_row", RATE.values, True, unit="steps"
)
LABELLED = MapAxis("b", (0.0, 10.0, 20.0, 1000.0), False, "a label that has no room beside a panel of this height" * 2)


def valley(values, stream):
    """A loss like that of training: flat at chance, a valley, then nothing finite."""
    rate = values[0] / (1 - (values[1] if len(values) > 1 and values[1] < 1 else 0)) * math.exp(0.7 * stream)
    return None if rate > 10 else 0.02 + 1.1 / (1 + (rate / 0.05) ** 1.1) * math.exp(0.1 * stream)


def rows_of(axes, *, seeds=3, law=valley, quantity="loss", every=1, failed=0):
    draws = iter(Stream(5, "data").normal((200_000,)))
    rows = []
    for place in itertools.product(*(range(len(axis.values)) for axis in axes)):
        if not every or any(one % every for one in place):
            continue
        values = [axis.values[one] for axis, one in zip(axes, place, strict=True)]
        losses = [law(values, next(draws)) for _ in range(seeds)]
        good = [1 - loss if quantity == "accuracy" else loss for loss in losses if loss is not None][failed:]
        quartiles = [float(np.quantile(good, share)) for share in (0.5, 0.25, 0.75)] if good else [None] * 3
        rows.append((*values, seeds, losses.count(None), failed, *quartiles))
    whole = dict.fromkeys(("runs", "exploded", "failed"), pl.Int64)
    names = dict.fromkeys([axis.name for axis in axes], pl.Float64)
    found = dict.fromkeys((f"{quantity}_{part}" for part in ("median", "low", "high")), pl.Float64)
    return pl.DataFrame(rows, schema={**names, **whole, **found}, orient="row")


def case(axes, *, seeds=3, shown=None, quantity="loss", style="light", **made):
    return lambda: map_picture(
        axes,
        rows_of(axes, seeds=made.pop("done", seeds), quantity=quantity, **made),
        seeds=seeds,
        quantity=quantity,
        style=style,
        **(shown or {}),
    )


TWO = (RATE, MOMENTUM)
CASES = {
    "two settings": case(TWO),
    "dark": case(TWO, style="dark"),
    "one seed": case(TWO, seeds=1),
    "titled": case(TWO, shown={"title": "$\\frac{1}$ " + "wide " * 60, "subtitle": "2,000 epochs " * 20}),
    "two by two": case((RATE._replace(values=(0.01, 1.0)), MOMENTUM._replace(values=(0.0, 0.9)))),
    "many cells": case(
        tuple(axis._replace(values=tuple(np.linspace(axis.values[0], 9, 64).tolist())) for axis in TWO), seeds=2
    ),
    "one value": case((RATE, MOMENTUM._replace(values=(0.9,)))),
    "one cell": case((RATE._replace(values=(0.1,)), MOMENTUM._replace(values=(0.9,)))),
    "begun": case(TWO, done=1, every=4),
    "one seed of three": case(TWO, done=1),
    "nothing": case(TWO, every=0),
    "all exploded": case(TWO, law=lambda *_: None),
    "all failed": case(TWO, failed=3, law=lambda *_: 1.0),
    "all alike": case(TWO, law=lambda *_: 1.0986),
    "one terrible": case(TWO, law=lambda values, _: 1e30 if values[0] == 1e-3 and not values[1] else 1 + values[1] / 9),
    "accuracy": case(TWO, quantity="accuracy"),
    "long names": case((LONG, LABELLED)),
    "three settings": case((*TWO, DECAY)),
    "three, one value": case((*TWO, WARMUP._replace(values=(5.0,)))),
    "three, four values": case((*TWO, DECAY._replace(values=DECAY.values[:4])), style="dark"),
    "four settings": case((RATE, MOMENTUM, DECAY, WARMUP), seeds=2),
    "three, all exploded": case((*TWO, DECAY), law=lambda *_: None),
    "curve": case((RATE._replace(values=tuple(np.geomspace(0.001, 30, 30).tolist())),), seeds=9),
    "curve, one seed": case((RATE,), seeds=1, style="dark"),
    "curve, begun": case((RATE,), done=1, every=4),
    "curve, one value": case((WARMUP._replace(values=(5.0,)),)),
    "curve, nothing": case((RATE,), every=0),
    "curve, all exploded": case((RATE,), law=lambda *_: None),
    "curve, accuracy": case((MOMENTUM,), quantity="accuracy"),
}


@functools.cache
def drawn(name):
    return CASES[name]()


@pytest.mark.parametrize("name", CASES)
def test_texts_have_room_in_every_kind_of_map(name, misplaced):
    figure = drawn(name)
    assert misplaced(figure) == []
    assert figure.get_figwidth() == 8


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("two settings", ["Loss over learning rate and momentum", "median of 3 seeds", "Spread over seeds"]),
        ("two settings", ["interquartile range, in loss", "exploded for every seed", "corner: share", "middle half"]),
        ("one seed", ["72 cells × 1 seed", "brighter is better", "exploded (not finite"]),
        ("titled", ["$\\frac{1}$ wide", "…", "2,000 epochs"]),
        ("begun", ["Best so far: ", "6 of 216 runs finished", "not finished: as the nearest finished cell"]),
        ("begun", ["no cell has two finished runs yet"]),
        ("nothing", ["No run is finished yet.", "nothing finished yet"]),
        ("all exploded", ["Every run exploded.", "72 cells exploded"]),
        ("all failed", ["No run has a value.", "216 runs failed", "no value"]),
        ("all alike", ["Every cell with a value has the same: loss 1.099."]),
        ("one terrible", ["1 beyond the scale"]),
        ("accuracy", ["Accuracy over", "interquartile range, in accuracy"]),
        ("long names", ["(steps)", "evenly spaced", "…"]),
        ("three settings", ["6 of 8 values of weight decay", "weight decay 0.5"]),
        ("four settings", [" steps  ·  median loss", "the best's"]),
        ("curve", ["band from lower to upper quartile", "log scale", "grey from above"]),
        ("curve, begun", ["median of finished seeds"]),
    ],
)  # fmt: skip
def test_the_map_says(name, expected, texts):
    said = [text.get_text() for text in texts(drawn(name))]
    for part in expected:
        assert any(part in line for line in said), part


@pytest.mark.parametrize("name", ["all exploded", "all alike", "nothing"])
def test_there_is_no_ring_where_there_is_no_best(name):
    assert not rings(drawn(name))


def rings(figure):
    return [line for axes in figure.axes if axes.axison for line in axes.lines if line.get_markerfacecolor() == "none"]


def test_the_best_is_ringed_in_both_panels_and_named(texts):
    cells = rows_of(TWO)
    sound = cells.filter(2 * pl.col("exploded") < pl.col("runs"))
    best = sound.sort("loss_median", nulls_last=True).row(0, named=True)
    found = rings(drawn("two settings"))
    assert len(found) == 4  # a dark and a white one in each panel
    for line in found:
        assert line.get_xdata()[0] == pytest.approx(best["learning_rate"])
        assert line.get_ydata()[0] == pytest.approx(best["momentum"])
    [line] = [text.get_text() for text in texts(drawn("two settings")) if text.get_text().startswith("Best: ")]
    named = f"Best: learning rate {best['learning_rate']:.4g}, momentum {best['momentum']:.4g}"
    assert line.startswith(f"{named}  ·  median loss {best['loss_median']:.4g} over ")


def pixels_of(figure, panel=0):
    """Return a function that gives the colours of a panel's part, in its data's places."""
    figure.canvas.draw()
    image = np.asarray(figure.canvas.buffer_rgba())[::-1, :, :3] / 255.0
    axes = [one for one in figure.axes if one.axison and one.get_xlabel()][panel]

    def colours(x, y, inches=0.05):
        across, up = axes.transData.transform((x, y))
        reach = round(inches * figure.dpi)
        return image[round(up) - reach : round(up) + reach + 1, round(across) - reach : round(across) + reach + 1]

    return colours


@pytest.mark.parametrize("style", ["light", "dark"])
def test_exploded_cells_are_grey_and_bad_ones_are_not(style):
    bad, lost, partly = (1e-3, 0.0), (10.0, MOMENTUM.values[-1]), (0.1, 0.0)
    law = {bad: 1.1, lost: None}
    figure = map_picture(TWO, rows_of(TWO, law=lambda values, _: law.get(tuple(values), 0.1)), seeds=3, style=style)
    colours = pixels_of(figure)
    grey, coloured = (np.ptp(colours(*cell), axis=2).max() for cell in (lost, bad))
    assert grey < 0.1
    assert coloured > 0.25
    textured, plain = (len(np.unique(colours(*cell).reshape(-1, 3), axis=0)) for cell in (lost, bad))
    assert plain == 1 < textured
    assert len(np.unique(colours(*partly).reshape(-1, 3), axis=0)) == 1


def test_an_unfinished_cell_has_the_colour_of_the_nearest_finished_one_and_a_mark():
    axes = (MapAxis("a", (0.0, 1.0, 2.0, 3.0), False), MapAxis("b", (0.0, 1.0), False))
    cells = rows_of(axes, seeds=1, law=lambda values, _: 1 + values[0], every=3)
    colours = pixels_of(map_picture(axes, cells, seeds=1))
    finished, filled = (np.unique(colours(x, 0.3).reshape(-1, 3), axis=0) for x in (0.0, 1.0))
    other = np.unique(colours(2.0, 1.0).reshape(-1, 3), axis=0)
    assert len(finished) == 1
    assert len(filled) > 1
    assert finished[0].tolist() in filled.tolist()
    assert finished[0].tolist() not in other.tolist()


def test_a_corner_is_as_large_as_the_share_of_runs_that_exploded():
    axes = (MapAxis("a", (0.0, 1.0), False), MapAxis("b", (0.0, 1.0), False))
    for lost in (1, 2, 3):
        cells = rows_of(axes, seeds=4, law=lambda values, _: 1.0 + values[0]).with_columns(
            exploded=pl.when((pl.col("a") == 1) & (pl.col("b") == 1)).then(lost).otherwise(0)
        )
        figure = map_picture(axes, cells, seeds=4)
        inside = pixels_of(figure)(1.0, 1.0, 0.8).reshape(-1, 3)
        whole = pixels_of(figure)(1.0, 1.0, 0.84).reshape(-1, 3)
        assert np.ptp(whole, axis=1).max() > 0.2
        share = np.mean(np.ptp(inside, axis=1) < 0.15)
        assert share == pytest.approx(lost / 4, abs=0.05)


def test_axes_show_the_scale_of_their_settings():
    left = next(axes for axes in drawn("two settings").axes if axes.get_ylabel() == "momentum")
    assert (left.get_xscale(), left.get_yscale()) == ("log", "linear")
    step = (RATE.values[1] / RATE.values[0]) ** 0.5
    assert left.get_xlim() == pytest.approx((RATE.values[0] / step, RATE.values[-1] * step))
    half = MOMENTUM.values[1] / 2
    assert left.get_ylim() == pytest.approx((-half, 0.99 + half))
    assert max(left.get_yticks()) <= 0.99  # no tick at a momentum of 1, which there cannot be


def test_few_values_are_the_ticks():
    left = next(axes for axes in drawn("two by two").axes if axes.get_ylabel() == "momentum")
    assert [text.get_text() for text in left.get_xticklabels()] == ["0.01", "1"]
    assert [text.get_text() for text in left.get_yticklabels()] == ["0", "0.9"]


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_the_same_cells_give_the_same_bytes(tmp_path, ending):
    cells, paths = rows_of(TWO), [tmp_path / f"{place}.{ending}" for place in range(2)]
    for path in paths:
        map_picture(TWO, cells, path, seeds=3)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    if ending == "png":
        assert int.from_bytes(paths[0].read_bytes()[16:20], "big") == 1600


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"path": "a.jpg"}, "path must be a file ending in .png, .svg or .pdf"),
        ({"style": "drak"}, "Did you mean 'dark'?"),
        ({"quantity": "acuracy"}, "quantity must be one of loss. Received: quantity='acuracy'"),
        ({"seeds": 0}, "seeds must be a whole number at least 1"),
        ({"planned": -1}, "planned must be a whole number at least 0"),
        ({"title": 3}, "title must be a text"),
        ({"subtitle": 3}, "subtitle must be a text"),
        ({"axes": ()}, "axes must be one MapAxis or more, each with a value"),
        ({"axes": (RATE, RATE)}, "axes must have different names. Received: learning_rate, learning_rate"),
        ({"cells": 3}, "cells must be a data frame"),
    ],
)
def test_wrong_arguments_are_refused_in_a_sentence(changes, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        map_picture(**{"axes": TWO, "cells": rows_of(TWO), **changes})
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []
