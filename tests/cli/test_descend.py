"""`downslope descend`, as a person types it."""

import json
import math
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest
from PIL import Image

import downslope as ds
from downslope.engines.descent import descend
from downslope.engines.tuning import tuned
from downslope.landscapes import LANDSCAPES, landscape


@pytest.fixture(autouse=True)
def _in_a_place_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


TWO = "--optimizer sgd:momentum=0.9,learning_rate=0.001 --optimizer adam:learning_rate=0.1"


@pytest.mark.parametrize("line", ["descend", "descend list"])
def test_landscapes_are_listed(command, line):
    printed = command(line)
    assert (printed.status, printed.err) == (0, "")
    for name, one in LANDSCAPES.items():
        assert re.search(rf"^ +{name} +{re.escape(one.title)}", printed.out, re.MULTILINE)


def test_a_row_for_each_optimizer_is_what_descend_gives(command):
    printed = command(f"descend rosenbrock {TWO} --steps 50")
    assert (printed.status, printed.err) == (0, "")
    ground = landscape("rosenbrock")
    assert re.split("  +", printed.lines[0].strip()) == [
        *("optimizer", "learning rate", "final value", "distance", "steps to the minimum")
    ]
    for line, rule in zip(printed.lines[1:], (ds.SGD(0.001, momentum=0.9), ds.Adam(0.1)), strict=True):
        path = descend(ground, rule, steps=50)
        distance = math.dist(path.points[-1], ground.minima[0])
        told = [f"{rule.learning_rate:g}", f"{path.final_value:.4g}", f"{distance:.3g}", "not reached"]
        assert re.split("  +", line)[1:] == told


def test_without_a_learning_rate_each_has_its_best_and_that_is_said(command):
    printed = command("descend himmelblau --optimizer sgd --optimizer adam:beta_1=0.8 --steps 60")
    assert printed.status == 0
    for line, row, rule in zip(
        printed.err.splitlines(), printed.lines[1:], (ds.SGD(), ds.Adam(beta_1=0.8)), strict=True
    ):
        best, tuning = tuned(landscape("himmelblau"), rule, steps=60)
        assert line.startswith("Tuned: ")
        assert line.endswith(f" learning_rate={best.learning_rate:g} (best of {len(tuning.rates)} rates)")
        path = descend(landscape("himmelblau"), best, steps=60)
        assert row.split()[1:3] == [f"{best.learning_rate:g}", f"{path.final_value:.4g}"]
        assert row.split()[-1] == str(path.reached(tuning.tolerance))


def test_no_optimizer_is_a_race_of_the_usual_ones(command):
    printed = command("descend bowl --steps 20")
    assert [line.split()[0] for line in printed.lines[1:]] == ["sgd", "sgd:momentum=0.9", "rmsprop", "adam"]


def test_json_is_an_object_for_each_optimizer(command):
    printed = command(f"descend bowl {TWO} --optimizer sgd:learning_rate=9,decay=0.1 --steps 30 --start 3,-2 --json")
    rows = [json.loads(line) for line in printed.lines]
    path = descend(landscape("bowl"), ds.Adam(0.1), start=[3, -2], steps=30)
    assert rows[1] == {
        "landscape": "bowl", "optimizer": "adam:learning_rate=0.1", "settings": ds.Adam(0.1).describe(),
        "tuned": False, "start": [3.0, -2.0], "steps": 30, "final_point": path.points[-1].tolist(),
        "final_value": path.final_value, "distance": math.dist(path.points[-1], (1, -1)), "steps_to_minimum": None,
        "exploded": False,
    }  # fmt: skip
    assert rows[2]["exploded"] is True
    assert rows[2]["settings"]["learning_rate"] == {"name": "inverse-time", "base": 9.0, "decay": 0.1}
    assert json.loads(command("descend bowl --optimizer sgd --steps 3 --json").lines[0])["tuned"] is True


def test_an_explosion_and_a_schedule_stand_in_the_table(command):
    printed = command("descend bowl --optimizer sgd:learning_rate=9 --optimizer sgd:learning_rate=1,decay=1 --steps 4")
    assert re.search(r" 9 .* (exploded at step \d+|left at step 1)$", printed.lines[1])
    assert "  1 to 0.25  " in printed.lines[2]


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet"])
def test_the_paths_are_written_point_by_point(command, ending):
    printed = command(f"descend himmelblau {TWO} --steps 9 --write paths.{ending}")
    assert printed.err == f"Wrote paths.{ending}\n"
    read = {"csv": pl.read_csv, "tsv": lambda file: pl.read_csv(file, separator="\t"), "parquet": pl.read_parquet}
    frame = read[ending](f"paths.{ending}")
    assert frame.columns == ["descent", "optimizer", "step", "x", "y", "value", "learning_rate"]
    assert len(frame) == 20
    path = descend(landscape("himmelblau"), ds.Adam(0.1), steps=9)
    second = frame.filter(pl.col("descent") == 1)
    assert second.select("x", "y").to_numpy().tolist() == path.points.tolist()
    assert second["value"].to_list() == path.values.tolist()
    assert second["learning_rate"].to_list() == [None] + [0.1] * 9


def test_one_variable_has_one_column(command):
    command(f"descend hills {TWO} --steps 3 --write paths.csv")
    assert "y" not in pl.read_csv("paths.csv").columns


def test_pictures_and_animations_are_written(command):
    printed = command(f"descend rosenbrock {TWO} --steps 5 --plot a.png --plot b.svg --plot c.gif --plot d.html")
    assert printed.err.splitlines() == ["Wrote a.png", "Wrote b.svg", "Wrote c.gif, d.html"]
    with Image.open("c.gif") as gif:
        assert gif.n_frames == 6
    assert Path("a.png").read_bytes()[:4] == b"\x89PNG"
    assert Path("d.html").stat().st_size > 1000
    dark = command(f"descend rosenbrock {TWO} --steps 5 --plot e.png --style dark")
    assert dark.status == 0
    with Image.open("e.png") as picture:
        assert picture.convert("RGB").getpixel((2, 2)) == (0x15, 0x18, 0x1D)


REFUSED = [
    ("rosenbrok", "landscape must be one of hills, .*Did you mean 'rosenbrock'"),
    ("rosenbrock --optimizer adm", "Did you mean 'adam'"),
    ("rosenbrock --optimizer sgd:momentum=2", "momentum must be at least 0 and below 1"),
    ("rosenbrock --steps 0", "steps must be a whole number at least 1"),
    ("rosenbrock --steps many", "steps must be a whole number"),
    (
        "rosenbrock --steps 1000000000",
        "steps must be a whole number at least 1 and at most 1000000. Received: steps=1000",
    ),
    ("list --steps 5", "--steps must follow the name of a landscape: hills, .*Received: none"),
    ("list --json", "--json must follow the name of a landscape"),
    ("list --style dark", "--style must follow the name of a landscape"),
    ("--start 1,2", "--start must follow the name of a landscape"),
    ("rosenbrock --start 1", r"start must be two numbers, as -1\.5,2\. Received: --start 1"),
    ("rosenbrock --start 1,x", "start must be two numbers"),
    ("rosenbrock --start 1,nan", "start must be two numbers"),
    ("hills --start 1,2", r"start must be a number, as -1\.5"),
    ("rosenbrock --start 1e30,1", "start must be within"),
    ("rosenbrock --plot a.jpg", "plot must be a file ending in .*gif"),
    ("rosenbrock --plot no/a.png", "plot must be a file in a directory that exists"),
    ("rosenbrock --plot a.gif --plot ./a.gif", "--plot must name each file once"),
    ("rosenbrock --write a.txt", "write must be a file ending in"),
    ("rosenbrock --style blue", "'blue' is not one of"),
    ("rosenbrock --plot a.png" + " --optimizer adam" * 13, r"--plot must be of at most 12 optimizers\. Received: 13"),
    ("--plot a.png", "--plot must follow the name of a landscape"),
    ("--write a.csv", "--write must follow the name of a landscape"),
    ("list --optimizer sgd", "--optimizer must follow the name of a landscape"),
]


@pytest.mark.parametrize(("options", "sentence"), REFUSED)
def test_wrong_input_is_one_sentence_and_writes_nothing(command, options, sentence):
    printed = command(f"descend {options}")
    assert (printed.status, printed.out) == (2, "")
    assert re.match("downslope: ", printed.err)
    assert re.search(sentence, printed.err)
    assert printed.err.count("\n") == 1
    assert not list(Path().iterdir())


def test_one_file_is_not_written_twice(command):
    Path("paths.csv").symlink_to("both.png")
    printed = command("descend bowl --optimizer sgd:learning_rate=1 --plot both.png --write paths.csv")
    assert (printed.status, printed.out) == (2, "")
    assert printed.err == "downslope: --plot and --write must name each file once. Received: both.png, paths.csv\n"
    assert not Path("both.png").exists()


@pytest.mark.parametrize(("ground", "dimensions"), [("rosenbrock", 2), ("hills", 1)])
def test_equal_optimizers_are_numbered(command, monkeypatch, ground, dimensions):
    """In the table, the JSON, the file, the legend: of the same settings nothing else tells them apart."""
    legends = []

    def keep(paths, *_, labels, **__):
        legends.append(labels)

    monkeypatch.setattr("downslope.figures.descent.descent_picture", keep)
    monkeypatch.setattr("downslope.figures.descent_movie.descent_animation", keep)
    line = f"descend {ground} --steps 5 --optimizer adam:learning_rate=0.1 --optimizer sgd:learning_rate=0.1"
    twice = f"{line} --optimizer adam:learning_rate=0.1"
    names = ["adam:learning_rate=0.1 (1)", "sgd:learning_rate=0.1", "adam:learning_rate=0.1 (2)"]
    printed = command(f"{twice} --plot a.png --plot b.gif --write paths.csv")
    assert [row.partition("  ")[0] for row in printed.lines[1:]] == names
    assert pl.read_csv("paths.csv")["optimizer"].unique(maintain_order=True).to_list() == names
    assert [json.loads(row)["optimizer"] for row in command(f"{twice} --json").lines] == names
    told = (
        ["Adam (1)", "SGD", "Adam (2)"]
        if dimensions == 2
        else ["Adam, learning rate 0.1 (1)", "SGD, learning rate 0.1", "Adam, learning rate 0.1 (2)"]
    )
    assert legends == [told, told]
    assert command(f"{line} --plot a.png").status == 0
    assert legends[2] is None


def test_a_long_tuning_is_announced_before_it_starts(command, monkeypatch):
    monkeypatch.setattr("downslope.cli.descend.LONG", 50)
    said = command("descend bowl --optimizer sgd --steps 50").err.splitlines()
    assert said[0] == "Tuning: sgd, 50 steps at every rate …"
    assert said[1].startswith("Tuned: sgd learning_rate=1 ")
    assert len(command("descend bowl --optimizer sgd --steps 49").err.splitlines()) == 1


def test_mp4_without_ffmpeg_is_refused_before_any_work(command, monkeypatch):
    monkeypatch.setenv("PATH", "")
    printed = command("descend bowl --plot a.mp4")
    assert (printed.status, printed.out) == (2, "")
    assert "ffmpeg" in printed.err
    assert "Tuned" not in printed.err


def test_ctrl_c_leaves_nothing_half_written():
    line = "descend rosenbrock --steps 3000 --optimizer adam:learning_rate=0.1 --plot a.html"
    process = subprocess.Popen(
        [sys.executable, "-m", "downslope", *line.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    process.stdout.readline()  # the table stands: what remains is the animation
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "Stopped by Ctrl-C" in err
    assert not list(Path().iterdir())


def test_help_says_how_an_optimizer_is_written(command):
    printed = command("descend --help")
    for words in ("Descent:", "Output:", "NAME[:SETTING=VALUE", "script.py:Class", "schedule=TEXT"):
        assert words in printed.out
