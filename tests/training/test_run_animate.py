from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import downslope as ds
from downslope.training import Run


def made(**settings) -> Run:
    run = ds.Run(ds.MLP([2, 8, 3]), ds.data.spiral(20), ds.SGD(0.5, momentum=0.9), **settings)
    run.train(6, progress=False)
    return run


@pytest.mark.parametrize("settings", [{}, {"batch_size": 7, "validation": 0.2}, {"engine": "reference"}])
def test_a_run_at_its_start_trained_as_far_has_the_same_bits(settings):
    run = made(**settings)
    state, history = run.state, run.history.frame()
    other = run.at_start()
    assert (other.epoch, other.step, len(other.history)) == (0, 0, 0)
    assert other.engine == run.engine
    assert np.array_equal(other.parameters, ds.Run(run.network, run.data, run.optimizer, **settings).parameters)
    other.train(6, progress=False)
    assert np.array_equal(other.parameters, run.parameters)
    assert other.history.frame().equals(history)
    assert run.state is state
    assert run.history.frame().equals(history)


def test_a_run_draws_itself(tmp_path):
    run = made()
    figure = run.plot(tmp_path / "a.png", style="dark", title="mine")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    assert figure.get_size_inches().tolist() == [8.0, 6.2]
    run.animate([tmp_path / "a.gif", str(tmp_path / "a.html")], epochs=4, frames=3, style="dark", title="mine")
    with Image.open(tmp_path / "a.gif") as image:
        assert image.n_frames >= 3
    assert "<title>mine</title>" in (tmp_path / "a.html").read_text()


def test_training_knows_nothing_of_pictures_until_it_is_asked():
    code = """
import sys, downslope as ds
run = ds.Run(ds.MLP([2, 4, 3]), ds.data.spiral(5), ds.SGD())
run.train(1, progress=False)
loaded = [name for name in sys.modules if name.startswith(("matplotlib", "PIL", "downslope.figures"))]
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
