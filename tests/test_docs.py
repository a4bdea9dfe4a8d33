"""What the documentation makes from the package's records is whole; building it is `make docs`."""

import ast
import importlib
import inspect
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

import downslope
from downslope import schedules
from downslope.rules import RULES, Optimizer, setting

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
if not (DOCS / "conf.py").exists():
    pytest.skip("the documentation is not here", allow_module_level=True)


def _extension(name):
    sys.path.insert(0, str(DOCS / "_ext"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(DOCS / "_ext"))


formula_html = _extension("formula_html")
record_pages = _extension("record_pages")


def _cells(html):
    """Return the text of every cell of a formula, row by row; reading it as XML says that it is whole."""
    tree = ElementTree.fromstring(html.replace("&#160;", " "))
    return [["".join(cell.itertext()) for cell in row.iter("td")] for row in tree.iter("tr")]


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES)
def test_every_rules_formula_is_drawn(rule):
    for section, sign in (("Formula", "←"), ("Where", "=")):
        text = rule.documented(section)
        rows = _cells(formula_html.lines_html(text, sign))
        assert [len(row) for row in rows] == [4] * len([line for line in text.splitlines() if line.strip()])


@pytest.mark.parametrize("name", schedules.names())
def test_every_schedules_formula_is_drawn(name):
    [row] = _cells(formula_html.lines_html(schedules.by_name(name).formula, "="))
    assert row[:2] == ["ηk", "="]


@pytest.mark.parametrize(
    ("line", "drawn"),
    [
        ("v ← beta_1·v + (1 − beta_1)·g²", ["v", "←", "β1·v+(1−β1)·g2", ""]),
        ("x ← (a + b)·(a·b)^(k/2)·(−c)   if not plain and k <= 3",
         ["x", "←", "(a+b)·(a·b)k/2·(−c)", "if not plain and k≤3"]),
        ("y ← |max(u, √(v̂ + 1))|", ["y", "←", "|max(u,v^+1)|", ""]),
    ],
)  # fmt: skip
def test_a_formula_reads_as_it_was_written(line, drawn):
    assert _cells(formula_html.lines_html(line, "←")) == [drawn]


def test_fractions_stand_upright_and_in_exponents_they_lie():
    html = formula_html.lines_html("θ ← a / b^(k/s)", "←")
    assert html.count("<mfrac>") == 1
    assert "<mi>k</mi><mo>/</mo><mi>s</mi>" in html
    assert "<mfrac><mrow><mi>a</mi></mrow>" in html


def test_a_line_that_is_no_formula_is_shown_as_it_was_written():
    [[cell]] = _cells(formula_html.lines_html("θ ← whatever <suits>", "←"))
    assert cell == "θ ← whatever <suits>"


def test_a_new_rule_has_a_page(tmp_path, monkeypatch):
    class Halving(Optimizer):
        """Half of the gradient.

        Formula
        -------
        θ ← θ − learning_rate·g / 2

        References
        ----------
        Nobody (2026), On |halves|.
        """

        learning_rate = setting(0.25, above=0, meaning="size of *two* steps", unit="halves", scheduled=True)

        def update(xp, parameter, gradient, learning_rate):  # noqa: N805 - a static formula
            return parameter - learning_rate * gradient

    monkeypatch.setattr(record_pages, "_pictures_of", lambda rule, folder: iter(()))
    monkeypatch.setitem(RULES, "halving", Halving)
    record_pages._write_optimizers(tmp_path, lambda text: None)
    assert {file.stem for file in tmp_path.glob("*.rst")} == {"index", *RULES}
    page = (tmp_path / "halving.rst").read_text(encoding="utf-8")
    assert ".. py:class:: downslope.Halving(learning_rate=0.25)" in page
    assert "<mfrac>" in page
    assert "size of \\*two\\* steps; may follow a schedule" in page
    assert "     - halves" in page
    assert "Nobody (2026), On \\|halves\\|." in page
    assert "   halving" in (tmp_path / "index.rst").read_text(encoding="utf-8").splitlines()


def test_every_public_name_has_a_place_and_a_docstring(tmp_path):
    record_pages._write_api(tmp_path)
    pages = "\n".join(file.read_text(encoding="utf-8") for file in tmp_path.glob("*.rst"))
    shown = set(re.findall(r"^\.\. auto(?:class|function):: (\S+)$", pages, re.M))
    rules = {f"downslope.{rule.__name__}" for rule in RULES.values()}
    names = {f"downslope.{name}" for name in downslope.__all__ if name not in {"__version__", *downslope.ROOMS}}
    assert names <= shown | rules
    assert [name for name in names if not inspect.getdoc(getattr(downslope, name.removeprefix("downslope.")))] == []


def test_a_page_is_written_again_only_when_it_changes(tmp_path):
    page = tmp_path / "page.rst"
    record_pages._write(page, "one")
    before = page.stat().st_mtime_ns
    record_pages._write(page, "one")
    assert page.stat().st_mtime_ns == before
    record_pages._write(page, "two")
    assert page.read_text(encoding="utf-8") == "two"


@pytest.mark.parametrize("script", sorted((DOCS / "gallery").glob("*.py")), ids=lambda file: file.stem)
def test_gallery_scripts_say_what_they_show_and_name_what_there_is(script):
    tree = ast.parse(script.read_text(encoding="utf-8"))
    title, line, *_ = ast.get_docstring(tree).splitlines()
    assert set(line) == {"="}
    assert len(line) == len(title)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(node.module)
            assert [one.name for one in node.names if not hasattr(module, one.name)] == []
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "ds":
            assert hasattr(downslope, node.attr), node.attr


def test_one_version_of_a_package_in_all_requirements():
    pins = {}
    for file in (ROOT / "requirements").glob("*.txt"):
        for name, version in re.findall(r"^([\w.-]+)==(\S+)$", file.read_text(encoding="utf-8"), re.M):
            pins.setdefault(name, set()).add(version)
    assert {name: versions for name, versions in pins.items() if len(versions) > 1} == {}
