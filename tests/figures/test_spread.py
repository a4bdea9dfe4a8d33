import numpy as np
import pytest

import downslope as ds
from downslope.book.claims import CLAIMS
from downslope.book.printed import PRINTED
from downslope.book.spread import table
from downslope.book.spread_pictures import claims_picture, settings_words, spread_picture
from downslope.figures.frequencies import Statement, frequencies_page
from downslope.figures.spread import spread_page

STYLES = ("light", "dark")


def drawn_dots(axes, count):
    return [line for line in axes.get_lines() if line.get_linestyle() == "None" and len(line.get_xdata()) == count]


@pytest.mark.parametrize("name", PRINTED)
def test_texts_have_their_places(name, misplaced):
    assert misplaced(spread_picture(name)) == []


@pytest.mark.parametrize("style", STYLES)
def test_the_same_run_gives_the_same_bytes_and_a_readable_width(style, tmp_path):
    from PIL import Image

    for name in ("a.png", "b.png"):
        spread_picture("sgd_momentum_0.9", tmp_path / name, style=style)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    with Image.open(tmp_path / "a.png") as image:
        assert image.width == 1600


def test_the_books_rows_are_drawn_where_they_are_printed():
    rows = PRINTED["adagrad"].rows
    loss_seeds, loss_ulp, loss_strip, accuracy_seeds, accuracy_ulp, accuracy_strip = spread_picture("adagrad").axes[1:]
    for of, panels in (("loss", (loss_seeds, loss_ulp)), ("accuracy", (accuracy_seeds, accuracy_ulp))):
        for axes in panels:
            [book] = drawn_dots(axes, len(rows))
            assert book.get_xdata().tolist() == [row.epoch for row in rows]
            assert book.get_ydata().tolist() == [getattr(row, of) for row in rows]
        assert panels[0].get_ylim() == panels[1].get_ylim()
    found = table("adagrad")
    for axes, of in ((loss_strip, "loss"), (accuracy_strip, "accuracy")):
        places = [line.get_ydata().tolist() for line in drawn_dots(axes, len(rows))]
        assert places == [found[f"{kind}_{of}_percentile"].to_list() for kind in ("seeds", "ulp")]


def test_a_spread_over_a_decade_is_drawn_by_its_logarithm():
    scales = {name: spread_picture(name).axes[1].get_yscale() for name in ("sgd_momentum_0.9", "sgd_decay_1e-2")}
    assert scales == {"sgd_momentum_0.9": "log", "sgd_decay_1e-2": "linear"}


def test_runs_that_exploded_leave_a_gap(misplaced):
    from downslope.figures.spread import Among, SpreadSheet

    epochs = np.arange(0, 1001, 100)
    bands = np.sort(np.linspace(1.0, 0.1, 11) * np.array([1, 2, 3, 4, 5])[:, None], axis=0)
    bands[3:, 5:] = np.inf
    places = {of: np.array([0.0, 100.0]) for of in ("loss", "accuracy")}
    among = Among("5 runs, made up", "made up", epochs, {"loss": bands, "accuracy": np.full((5, 11), 0.5)}, places)
    book = {"loss": np.array([1.0, 0.5]), "accuracy": np.array([0.5, 0.5])}
    ours = {"loss": np.linspace(1, 0.5, 11), "accuracy": np.full(11, 0.5)}
    sheet = SpreadSheet("made up", ("one", "two"), np.array([0, 1000]), book, epochs, ours, (among, among))
    assert misplaced(spread_page(sheet)) == []


@pytest.mark.parametrize("style", STYLES)
def test_every_claim_stands_with_its_share(style, misplaced, texts, tmp_path):
    figure = claims_picture(tmp_path / "claims.png", style=style)
    assert misplaced(figure) == []
    shown = {text.get_text() for text in texts(figure)}
    assert {claim.says for claim in CLAIMS.values()} <= shown
    assert {claim.definition for claim in CLAIMS.values()} <= shown  # nothing is cut short
    assert "4 %" in shown


def test_dots_stand_at_the_shares():
    rows = [Statement("one", "first", ((0.25, 0.1, 0.4), (1.0, 0.9, 1.0)))]
    [axes] = frequencies_page("title", "subtitle", {"group": rows}, ("a", "b")).axes
    drawn = [line.get_xdata() for line in axes.get_lines()]
    assert [list(xs) for xs in drawn] == [[0.1, 0.4], [0.25], [0.9, 1.0], [1.0]]


def test_settings_in_words():
    assert settings_words("rmsprop_tuned") == "RMSprop, learning rate 0.02, decay 1e−5, rho 0.999"
    assert settings_words("sgd_momentum_0.5") == "SGD, learning rate 1, decay 0.001, momentum 0.5"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda folder: spread_picture("adam"), "name must be one of"),
        (lambda folder: spread_picture("adagrad", style="blue"), "style must be one of light, dark"),
        (lambda folder: spread_picture("adagrad", folder / "a.bmp"), "path must be a file ending in"),
        (lambda folder: spread_picture("adagrad", title=3), "title must be a text"),
        (lambda folder: claims_picture(title=3), "title must be a text"),
        (lambda folder: claims_picture(folder / "no" / "a.png"), "path must be a file in a directory that exists"),
        (lambda folder: spread_page("adagrad"), "sheet must be a SpreadSheet"),
        (lambda folder: frequencies_page("a", "b", {}, ("a", "b")), "groups must be headings with"),
    ],
)
def test_wrong_input_is_one_sentence(call, message, tmp_path):
    with pytest.raises(ds.InputError, match=message):
        call(tmp_path)
    assert list(tmp_path.iterdir()) == []
