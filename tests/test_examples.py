"""What the README and the docstrings show is what happens."""

import doctest
import importlib
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import downslope

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
MODULES = sorted(
    name
    for _, name, _ in pkgutil.walk_packages([str(Path(downslope.__file__).parent)], "downslope.")
    if not name.endswith("__main__")
)


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples(name):
    assert doctest.testmod(importlib.import_module(name)).failed == 0


def _downslope(arguments, folder):
    return subprocess.run(
        [sys.executable, "-m", "downslope", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


@pytest.fixture(scope="module")
def readme_folder(tmp_path_factory):
    """A folder in which every command line of the README was run, in order."""
    folder = tmp_path_factory.mktemp("readme")
    lines = re.findall(r"^    (downslope (?:train|data|rules|schedules|resume|branch|tree|find-rate).*)$", README, re.M)
    results = {line: _downslope(shlex.split(line)[1:], folder) for line in lines}
    return folder, results


def test_the_readmes_commands_work(readme_folder):
    folder, results = readme_folder
    assert len(results) >= 6
    assert {line: done.stderr for line, done in results.items() if done.returncode != 0} == {}
    for line in results:
        for name in re.findall(r"--(?:plot|write) (\S+)", line):
            assert (folder / name).stat().st_size > 0


def test_the_readmes_printed_lines_are_what_is_printed(readme_folder):
    _, results = readme_folder
    chapter = next(done for line, done in results.items() if "--data-seed chapter" in line)
    shown = re.findall(r"^    (epoch: .*)$", README, re.M)
    assert shown == chapter.stdout.splitlines()[: len(shown)]
    assert len(shown) == 3


def test_the_readmes_wrong_input(tmp_path):
    [(line, sentence)] = re.findall(r"^    \$ (downslope .*)\n    (downslope: .*)$", README, re.M)
    done = _downslope(shlex.split(line)[1:], tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", sentence + "\n")


@pytest.mark.parametrize("place", range(README.count("```python")))
def test_the_readmes_python_runs(tmp_path, place):
    block = re.findall(r"```python\n(.*?)```", README, re.S)[place]
    (tmp_path / "script.py").write_text(block, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "script.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_no_committed_file_names_a_registry():
    """Versions are pinned without addresses: what installs them decides where they come from."""
    address = re.compile(r"https?://[^\s)\"']*(pypi|pythonhosted|npmjs|debian)", re.I)
    files = [ROOT / "pyproject.toml", ROOT / "Makefile", ROOT / ".ci" / "run", *(ROOT / "requirements").iterdir()]
    assert [str(file) for file in files if address.search(file.read_text(encoding="utf-8"))] == []
    pins = [line for file in (ROOT / "requirements").iterdir() for line in file.read_text().splitlines()]
    assert all(re.fullmatch(r"#.*|-r \w+\.txt|[a-z0-9.-]+==[\w.]+|", line) for line in pins)
