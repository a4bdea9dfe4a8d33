from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from downslope.figures.movies import Frame, write_movies


@pytest.fixture
def frames() -> list[Frame]:
    made = []
    for place in range(4):
        pixels = np.full((40, 60, 3), 255, np.uint8)
        pixels[10:20, 8 * min(place, 2) : 10 + 8 * min(place, 2)] = (33, 102, 172)
        made.append(Frame(pixels, 0.25 * (1 + place), f"step {place} </script>"))
    return made


@pytest.fixture
def page(tmp_path, frames) -> str:
    write_movies(tmp_path / "a.html", frames, title='<b>"title"</b> & more', style="dark")
    return (tmp_path / "a.html").read_text(encoding="utf-8")


def entries(page: str) -> list[list]:
    return json.loads(re.search(r"const frames = (\[.*?\n\]);", page, re.DOTALL)[1])


def picture(entry: list) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(entry[4]))).convert("RGBA")


def test_every_frame_can_be_made_from_the_first_and_its_own_picture(page, frames):
    found = entries(page)
    assert len(found) == len(frames)
    for entry, frame in zip(found, frames, strict=True):
        label, milliseconds, left, top, _ = entry
        shown = picture(found[0])
        if entry is not found[0]:
            shown.alpha_composite(picture(entry), (left, top))
        assert np.array_equal(np.asarray(shown.convert("RGB")), frame.pixels)
        assert label == frame.label
        assert milliseconds == round(frame.seconds * 1000)
    assert picture(found[1]).size < picture(found[0]).size


def test_the_page_needs_nothing_but_itself_and_shows_titles_as_text(page):
    assert not re.search(r"https?://|src=|@import|url\(", page)
    assert "<title>&lt;b&gt;&quot;title&quot;&lt;/b&gt; &amp; more</title>" in page
    assert page.count("</script>") == 1
    assert "{{" not in page
    assert 'data-style="dark"' in page


def test_every_control_has_a_name_and_motion_can_be_declined(page):
    class Controls(HTMLParser):
        found: list[dict] = []  # noqa: RUF012  # of this test alone

        def handle_starttag(self, tag, attributes):
            if tag in {"button", "input", "select", "canvas"}:
                self.found.append({"tag": tag, **dict(attributes)})

    Controls().feed(page)
    controls = Controls.found
    assert [each["tag"] for each in controls].count("button") == 5
    assert all(each.get("aria-label") or each["id"] in {"accept", "size"} for each in controls)
    assert "prefers-reduced-motion" in page
    assert "prefers-color-scheme" in page


def test_marks_of_the_page_in_a_title_are_text(tmp_path, frames):
    title = "a /*FRAMES*/ b {{width}} {{title}} {{none}}"
    write_movies(tmp_path / "a.html", frames, title=title)
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert f"<title>{title}</title>" in page
    assert len(entries(page)) == len(frames)


# The page's own script with a clock, pictures that are decoded when told, and elements that do nothing.
BROWSER = """
const made = {}, timers = new Map(), decoding = [];
let ids = 0;
const thing = (id) => made[id] ??= { id, value: "1", listeners: {}, classList: {}, setAttribute() {}, focus() {},
  addEventListener(name, what) { this.listeners[name] = what; }, getContext: () => ({ drawImage() {} }) };
globalThis.document = { getElementById: thing, addEventListener() {} };
globalThis.matchMedia = () => ({ matches: false });
globalThis.setTimeout = (what) => { timers.set(++ids, what); return ids; };
globalThis.clearTimeout = (id) => timers.delete(id);
globalThis.Image = class { decode() { return new Promise((done) => decoding.push(done)); } };
const rest = async () => { for (let turn = 0; turn < 20; turn++) await null; };
const decoded = async () => { while (decoding.length) decoding.pop()(); await rest(); };
const tick = async () => { const [[id, what]] = timers; timers.delete(id); what(); await rest(); };
const seen = [];
const look = () => seen.push([timers.size, made.place.value]);
SCRIPT
(async () => {
  await rest(); await decoded(); look();                              // it plays
  await tick(); await decoded(); look();                              // the second frame
  await tick(); made.speed.listeners.change(); await decoded(); look();  // another speed while the third is decoded
  await tick(); made.play.listeners.click(); await decoded(); look();    // a pause while the fourth is decoded
  console.log(JSON.stringify(seen));
})();
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
def test_one_clock_runs_whatever_is_pressed_while_a_frame_is_decoded(page):
    script = re.search(r"<script>(.*)</script>", page, re.DOTALL)[1].replace('"use strict";', "")
    done = subprocess.run(
        ["node", "-"], input=BROWSER.replace("SCRIPT", script), capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[1, 0], [1, 1], [1, 2], [0, 3]]


def test_a_calm_page_has_no_warning(page):
    assert "const flashing = false" in page
    assert "epilepsy" not in page
