import re

import pytest

from downslope.book.catalogue import entries, entry
from downslope.book.printed import PRINTED
from downslope.errors import InputError

FIGURES = [f"fig10.{number:02d}" for number in range(1, 22)]


def test_every_figure_of_the_chapter_is_there_in_order():
    assert [key for key in entries() if key.startswith("fig")] == FIGURES


def test_every_printed_run_has_an_entry_and_answers_to_its_name():
    assert {one.printed for one in entries().values()} - {None} == set(PRINTED)
    for name, run in PRINTED.items():
        one = entry(name)
        assert one.settings == run.settings
        assert one.key in {name, run.figure.lower().replace(" ", "")}


def test_trainings_and_descents_are_animated():
    """The chapter animates figure 10.01, the descents and every training; a function and a graph stand still."""
    still = {one.key for one in entries().values() if not one.animated}
    classes = {f"optimizer_{name}" for name in ("sgd", "adagrad", "rmsprop", "adam")}
    assert still == {"fig10.02", "fig10.14", "decay", "claims", *classes}


@pytest.mark.parametrize("text", ["fig10.19", "10.19", "Fig 10.19", "figure 10.19", " FIG10.19 ", "sgd_momentum_0.9"])
def test_a_figure_is_found_by_any_of_its_names(text):
    assert entry(text).key == "fig10.19"


@pytest.mark.parametrize("text", ["fig10.22", "10.1", "", "all figures", 10.19, None])
def test_an_unknown_figure_is_one_sentence(text):
    with pytest.raises(InputError, match=re.escape("figure must be")) as caught:
        entry(text)
    assert "Received" in str(caught.value)


def test_titles_are_lines_and_captions_are_sentences():
    titles = [one.title for one in entries().values()]
    assert len(set(titles)) == len(titles)
    for one in entries().values():
        assert "\n" not in one.title + one.about
        assert one.about.endswith(".")
