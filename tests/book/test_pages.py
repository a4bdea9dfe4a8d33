from html.parser import HTMLParser

import pytest

from downslope.book.making import File, Made, Table
from downslope.book.pages import write_index

MADE = [
    Made(
        "fig10.19",
        "SGD & <momentum>",
        "It escapes where it was stuck.",
        [Table("Printed & here", ["epoch", "loss"], [["0", "1.099"], ["100", "<b>"]], ["A note."])],
        [
            File("fig10.19.png", "picture", "After training."),
            File("fig10.19-spread.png", "picture", "Inside the spread."),
            File("fig10.19.gif", "animation", "Epoch by epoch."),
            File("fig10.19.html", "player", "Epoch by epoch."),
            File("fig10.19.csv", "data", "Every epoch."),
        ],
        "from downslope.book import *\nprint('<hello>')\n",
        1.5,
    ),
    Made("claims", "What is claimed", "How often.", [Table("Claims", ["claim"], [["so"]], [], 1)], [], None, 0.1),
]


class Reader(HTMLParser):
    """Collects what a page refers to and checks that its elements close in order."""

    VOID = ("meta", "img", "link", "br", "input")

    def __init__(self):
        super().__init__()
        self.open, self.references, self.ids, self.texts, self.sources = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        if tag not in self.VOID:
            self.open.append(tag)
        found = dict(attrs)
        self.ids += [found["id"]] if "id" in found else []
        self.references += [found[name] for name in ("href", "src", "data-player") if name in found]
        if tag == "img":
            assert found["alt"]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def read(path):
    reader = Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    assert reader.open == []
    return reader


@pytest.mark.parametrize("style", ["light", "dark"])
def test_the_page_shows_everything_and_needs_nothing_from_elsewhere(tmp_path, style):
    path = write_index(tmp_path, MADE, style)
    reader = read(path)
    assert path == tmp_path / "index.html"
    for one in MADE:
        assert one.key in reader.ids
        assert f"#{one.key}" in reader.references
        for file in one.files:
            assert file.name in reader.references
    names = {file.name for one in MADE for file in one.files} | {f"#{one.key}" for one in MADE}
    assert set(reader.references) == names  # nothing from the network
    text = path.read_text(encoding="utf-8")
    assert "http" not in text
    assert "@import" not in text
    assert f"color-scheme: {style};" in text


def test_what_was_written_in_texts_stays_text(tmp_path):
    reader = read(write_index(tmp_path, MADE))
    for text in ("SGD & <momentum>", "<b>", "from downslope.book import *\nprint('<hello>')\n", "A note."):
        assert text in reader.texts


def test_a_page_of_nothing_is_a_page(tmp_path):
    assert "The chapter, alive" in read(write_index(tmp_path, [])).texts


def test_records_come_back_as_they_were_written():
    for one in MADE:
        assert Made.from_json(one.to_json()) == one


def test_pictures_bring_their_size_so_that_the_page_does_not_move(tmp_path):
    head = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (1600).to_bytes(4, "big") + (1240).to_bytes(4, "big")
    (tmp_path / "fig10.19.png").write_bytes(head)
    page = write_index(tmp_path, MADE).read_text(encoding="utf-8")
    assert '<img src="fig10.19.png" alt="After training." width="1600" height="1240" loading="lazy">' in page
    assert '<img src="fig10.19-spread.png" alt="Inside the spread." loading="lazy">' in page  # not there


def test_a_caption_does_not_repeat_what_stands_above(tmp_path):
    made = Made("fig10.02", "A function", "Five minima.", [], [File("a.png", "picture", "Five minima.")], None, 0.1)
    page = write_index(tmp_path, [made]).read_text(encoding="utf-8")
    assert page.count("<p>Five minima.</p>") == 1
    assert "figcaption>Five" not in page
    assert 'alt="Five minima."' in page
