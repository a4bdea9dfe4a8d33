"""Complete scripts, as readers write them, print on these classes what they print on plain NumPy."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SCRIPTS = sorted((HERE / "scripts").glob("*.py"))
IMPORTS = re.compile(r"^(import|from) downslope\.book", re.MULTILINE)


def output(script):
    # One thread, so that both processes add up matrix products in the same order.
    environment = {**os.environ, "PYTHONPATH": str(HERE), "OPENBLAS_NUM_THREADS": "1"}
    told = subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stderr
    assert told.stderr == ""
    return told.stdout.splitlines()


def test_there_are_five_scripts():
    assert len(SCRIPTS) == 5


@pytest.mark.parametrize("script", SCRIPTS, ids=[path.stem for path in SCRIPTS])
def test_a_script_prints_what_it_prints_on_plain_numpy(script, tmp_path):
    text = script.read_text(encoding="utf-8")
    exchanged, count = IMPORTS.subn(r"\1 plain_book", text)
    assert count >= 1
    assert "downslope" not in exchanged
    plain = tmp_path / script.name
    plain.write_text(exchanged, encoding="utf-8")
    ours = output(script)
    assert ours == output(plain)
    assert len(ours) > 10
