"""The picture of a comparison."""

import numpy as np
import polars as pl
import pytest

import downslope as ds
from downslope.figures.comparison import _lines, comparison_picture
from downslope.figures.page import apart
from downslope.sweeps import compare

TINY = {"network": ds.MLP([2, 6, 3]), "data": ds.data.spiral(samples=8), "epochs": 30, "seeds": 3, "threads": 2}
EIGHT = [ds.SGD(0.1), ds.SGD(0.5, momentum=0.9), ds.Adam(0.05), ds.AdamW(0.02), ds.RMSprop(0.02), ds.Adagrad(0.3),
         ds.Lion(0.01), ds.Adadelta(1.0)]  # fmt: skip
LONG = [ds.SGD(ds.Cosine(rate, steps=30), momentum=momentum) for rate in (0.1, 0.2) for momentum in (0.0, 0.9)]

CASES = {
    "two": {"optimizers": [ds.SGD(0.5), ds.Adam(0.05)]},
    "one run": {"optimizers": [ds.Adam(0.05)], "seeds": 1, "epochs": 1},
    "eight": {"optimizers": EIGHT, "reach": 1.06},
    "more than eight": {"optimizers": [*EIGHT, *(ds.SGD(rate) for rate in (0.01, 0.02, 0.03))]},
    "more than rows": {"optimizers": [ds.Adam(rate) for rate in np.geomspace(1e-4, 1, 30)], "seeds": 2},
    "long names": {"optimizers": LONG, "tune": [True, False, False, False], "rates": [0.1, 0.5], "tune_epochs": 3},
    "exploded": {"optimizers": [ds.SGD(1e30), ds.SGD(40.0, momentum=0.9), ds.Adam(0.05)]},
    "all exploded": {"optimizers": [ds.SGD(1e30)]},
    "to nothing": {"optimizers": [ds.Adam(0.3), ds.SGD(0.1)], "network": ds.MLP([13, 32, 3]),
                   "data": ds.data.wine(), "epochs": 150},
    "all exploded late": {"optimizers": [ds.SGD(1e6), ds.SGD(1e30)]},
    "regression": {"optimizers": [ds.SGD(0.1), ds.Adam(0.01), ds.SGD(3.0)], "network": ds.MLP([1, 8, 1]),
                   "data": ds.data.sine(), "batch_size": 16, "validation": 0.2},
    "many seeds": {"optimizers": [ds.SGD(0.5), ds.Adam(0.05)], "seeds": 80},
    "strange names": {"optimizers": [ds.SGD(0.5), ds.Adam(0.05)], "labels": ["the $x^2$ rule " * 4, "漢字\nand more"]},
}  # fmt: skip


@pytest.fixture(scope="module")
def made():
    known = {}

    def make(case):
        if case not in known:
            known[case] = compare(**{**TINY, **CASES[case]})
        return known[case]

    return make


@pytest.mark.parametrize("style", ["light", "dark"])
@pytest.mark.parametrize("case", CASES)
def test_no_text_lies_on_another_or_off_the_page(made, case, style, misplaced):
    assert misplaced(made(case).plot(style=style)) == []


def said(texts, figure):
    return [text.get_text() for text in texts(figure)]


def test_the_rows_say_what_the_table_says(made, texts):
    found = made("eight")
    words = said(texts, found.plot())
    table = found.table()
    for row in table.iter_rows(named=True):
        assert row["label"] in words
        assert f"{row['loss_median']:.3g}" in words
    assert "epochs to loss ≤ 1.06" in words
    assert "8 optimizers on spiral" in words
    quick = table.filter(table["reached_share"] == 1.0).row(0, named=True)
    assert f"{quick['reached_median']:,}" in words
    part = table.filter(table["reached_share"] == 0.0).row(0, named=True)
    assert part["reached_median"] is None
    assert "never" in words


def test_every_line_is_drawn_with_its_median_and_bands(made):
    found = made("two")
    figure = found.plot()
    for axes, quantity in ((figure.axes[0], "loss"), (figure.axes[2], "accuracy")):
        curves = found.curves(quantity)
        drawn = [line.get_ydata() for line in axes.lines if len(line.get_ydata()) > 5]
        for label in found.labels:
            median = curves.filter(curves["label"] == label)["median"].to_numpy()
            assert any(np.array_equal(median, line) for line in drawn)
        assert len(axes.collections) == 4  # two bands each


def test_a_dot_a_finished_run(made):
    found = made("exploded")
    strip = found.plot().axes[3]
    dots = [len(part.get_offsets()) for part in strip.collections if len(part.get_offsets())]
    assert dots == [n for n in found.table()["finished"].to_list() if n]
    assert found.table()["exploded"][0] == 3


def test_of_more_than_eight_the_best_have_colours(made, texts):
    found = made("more than eight")
    figure = found.plot()
    losses = dict(found.table().select("label", "loss_median").iter_rows())
    best = sorted(losses, key=losses.get)[:8]
    words = said(texts, figure)
    assert [words.count(label) for label in losses] == [2 if label in best else 1 for label in losses]
    assert any(word.startswith("Grey: 3 optimizers") for word in words)
    colours = {line.get_color() for line in figure.axes[0].lines}
    assert len(colours) == 9


def test_of_more_than_there_are_rows_for_the_best_have_rows(made, texts):
    words = said(texts, made("more than rows").plot())
    assert any("6 more have no row" in word for word in words)


def test_names_that_are_cut_alike_are_numbered(made, texts):
    words = said(texts, made("long names").plot())
    assert sum(word.startswith("1 sgd lr=") for word in words) == 2
    assert "4: SGD(learning_rate=Cosine(0.2, steps=30), momentum=0.9)" in words


def test_a_line_ends_where_half_of_its_runs_have_ended():
    falling = {name: [5.0, 4.0, 3.0, 2.0, 1.0] for name in ("p5", "p25", "median", "p75", "p95")}
    curves = pl.DataFrame({"label": "a", "epoch": range(5), "runs": [4, 4, 2, 1, 1], **falling})
    whole = compare(**{**TINY, "optimizers": [ds.Adam(0.05)], "labels": ["b"], "epochs": 5})
    both = pl.concat([curves, whole.curves()])
    table, runs = whole.table(), whole.frame()
    table = pl.concat([table, table.with_columns(pl.lit("a").alias("label"))])
    figure = comparison_picture(table, runs, {"loss": both, "accuracy": both})
    line = next(line for line in figure.axes[0].lines if line.get_ydata()[0] == 5.0)
    assert line.get_xdata().tolist() == [0, 1, 2]
    [cross] = [line for line in figure.axes[0].lines if line.get_marker() == "x"]
    assert cross.get_xdata().tolist() == [2]


def test_where_all_explode_lines_end_with_a_cross_on_the_axis_of_all_epochs(made):
    found = made("all exploded")
    curves = {name: found.curves(name) for name in ("loss", "accuracy")}
    for axes in comparison_picture(found.table(), found.frame(), curves, epochs=30).axes[:3:2]:
        assert axes.get_xlim() == (0, 30)
        [line] = [line for line in axes.lines if line.get_marker() == "x"]
        assert line.get_xdata().tolist() == [found.curves()["epoch"].max()] == [0]
    with pytest.raises(ds.InputError, match="epochs must be a whole number"):
        comparison_picture(found.table(), found.frame(), curves, epochs=1.5)


def test_a_line_ends_where_its_median_has_exploded(made):
    found = made("all exploded late")
    late = found.frame().filter(pl.col("label") == found.labels[0])
    assert late["outcome"].to_list() == ["exploded"] * 3
    assert late["epochs"].to_list() == [30] * 3  # its numbers stayed finite
    loss, _, accuracy, *_ = found.plot().axes
    assert max(max(line.get_xdata()) for axes in (loss, accuracy) for line in axes.lines) < 5
    for axes in (loss, accuracy):
        assert sum(line.get_marker() == "x" for line in axes.lines) == 2
    assert loss.get_ylim()[0] == 0
    assert loss.get_ylim()[1] > 1.5 * found.frame()["first_loss"].max()


def test_optimizers_that_lost_half_of_their_runs_rank_behind_the_others(made):
    table = made("more than eight").table()
    place = pl.int_range(pl.len())
    lucky = pl.when(place == 3)
    table = table.with_columns(
        lucky.then(1).otherwise(pl.col("finished")).alias("finished"),
        lucky.then(0.001).otherwise(pl.col("loss_median")).alias("loss_median"),
    )
    by_label = {line.label: line for line in _lines(table, 8)}
    worst = by_label[table["label"][3]]
    assert (worst.rank, worst.colour) == (len(table) - 1, None)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ([], []),
        ([1.0, 2.0], [1.0, 2.0]),
        ([1.0, 1.1], [0.8, 1.3]),
        ([0.0, 0.0, 0.0], [0.0, 0.5, 1.0]),
        ([3.0, 3.0], [2.5, 3.0]),
        ([0.9, 1.0, 1.1, 2.9], [0.5, 1.0, 1.5, 2.9]),
    ],
)
def test_names_are_moved_as_little_as_they_must(wanted, found):
    assert apart(wanted, 0.5, 0.0, 3.0) == pytest.approx(found)


@pytest.mark.parametrize("ending", [".png", ".svg", ".pdf"])
def test_the_same_comparison_gives_the_same_file(made, tmp_path, ending):
    first, second = tmp_path / f"a{ending}", tmp_path / f"b{ending}"
    made("two").plot(first)
    made("two").plot(second)
    assert first.read_bytes() == second.read_bytes()
    assert len(first.read_bytes()) > 1000


def test_wrong_arguments_are_refused(made):
    found = made("two")
    with pytest.raises(ds.InputError, match="style must be one of light, dark"):
        found.plot(style="blue")
    with pytest.raises(ds.InputError, match="title must be a text"):
        found.plot(title=3)
    with pytest.raises(ds.InputError, match=r"path must be a file ending in \.png, \.svg or \.pdf"):
        found.plot("picture.gif")
    with pytest.raises(ds.InputError, match=r'curves must hold "loss", and .* Received: loss'):
        comparison_picture(found.table(), found.frame(), {"loss": found.curves()})
    with pytest.raises(ds.InputError, match="a comparison must have a finished run before it is drawn"):
        comparison_picture(found.table(), found.frame().head(0), {"loss": found.curves(), "r2": found.curves()})
