"""`downslope map`, as a person types it."""

import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl
import pytest

import downslope as ds
from downslope.sweeps import log, open_sweep

SMALL = "map spiral --samples 10 --layers 4 --optimizer sgd --epochs 5"
RATES = "--over learning_rate=log:1e-2:1:3"
OVER = f"{RATES} --over momentum=0,0.9"
SLOW = f"{SMALL} --engine reference --epochs 400 --threads 1"  # slow enough to be met on its way


@pytest.fixture(autouse=True)
def _in_a_place_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def directory():
    [found] = Path("maps").iterdir()
    return found


def test_a_map_is_trained_kept_drawn_and_its_best_printed(command):
    printed = command(f"{SMALL} {OVER} --seeds 2 --plot map.png")
    assert printed.status == 0, printed.err
    said = printed.err.splitlines()
    assert said[0] == "spiral, sgd: 3 values of learning_rate × 2 of momentum × 2 seeds = 12 runs of 5 epochs."
    assert re.fullmatch(
        r"Results go to maps/spiral-sgd-[0-9a-f]{8}; after Ctrl-C the same command continues\.", said[1]
    )
    assert re.fullmatch(r"12 runs done \(\d+\.\d s\), kept in maps/spiral-sgd-[0-9a-f]{8}\.", said[2])
    assert said[3] == "Wrote map.png"
    assert Path("map.png").read_bytes()[:4] == b"\x89PNG"
    best = open_sweep(directory()).best
    assert printed.lines[0] == f"best: learning_rate={best['learning_rate']!r}, momentum={best['momentum']!r}"
    assert printed.lines[1] == "the first of 6 cells by median loss:"
    assert printed.lines[2].split() == ["learning_rate", "momentum", "loss", "quartiles", "runs", "exploded"]
    assert len(printed.lines) == 3 + 5
    assert printed.lines[3].split()[2] == f"{best['loss']:.4g}"


def test_every_run_of_the_map_is_the_run_that_train_makes(command):
    """The same options give the same numbers, one by one."""
    options = "--samples 10 --layers 4 --optimizer adam --beta-1 0.8 --batch-size 8 --validation 0.2 --epochs 4"
    printed = command(f"map spiral {options} {RATES} --seeds 3,1 --json")
    assert printed.status == 0, printed.err
    frame = open_sweep(directory()).frame()
    assert frame["seed"].to_list() == [3, 1] * 3
    for rate, seed, loss in frame.select("learning_rate", "seed", "loss").iter_rows():
        data = ds.data.spiral(samples=10)
        optimizer = ds.Adam(rate, beta_1=0.8)
        run = ds.Run(ds.MLP([2, 4, 3]), data, optimizer, batch_size=8, validation=0.2, seed=seed, guard=None)
        run.train(4)
        assert run.evaluate()["loss"] == loss
    assert frame["learning_rate"].unique().sort().to_list() == list(log(0.01, 1, 3).values)


def test_json_is_a_line_a_cell_best_first_and_the_whole_last(command):
    printed = command(f"{SMALL} {OVER} --json --quantity accuracy")
    rows = [json.loads(line) for line in printed.lines]
    assert len(rows) == 6 + 1
    accuracies = [row["accuracy_median"] for row in rows[:-1]]
    assert accuracies == sorted(accuracies, reverse=True)
    final = rows[-1]["final"]
    assert final["best"] == rows[0]
    assert (final["quantity"], final["cells"], final["runs"], final["exploded_cells"]) == ("accuracy", 6, 6, 0)
    assert final["directory"] == str(directory())


def test_the_same_command_trains_nothing_again(command):
    first = command(f"{SMALL} {OVER}")
    files = sorted(path for path in directory().rglob("*.parquet"))
    again = command(f"{SMALL} {OVER}")
    assert again.out == first.out
    assert f"6 of them are done already, in {directory()}." in again.err
    assert sorted(path for path in directory().rglob("*.parquet")) == files
    command(f"{SMALL} {OVER} --momentum 0.5".replace("--over momentum=0,0.9", ""))
    assert len(list(Path("maps").iterdir())) == 2  # another sweep has another place


def test_where_results_go_can_be_said(command):
    assert command(f"{SMALL} {OVER} --out here/there").status == 0
    assert open_sweep("here/there").complete
    other = command(f"{SMALL} {OVER} --seeds 2 --out here/there")
    assert other.status == 2
    assert "directory must be that of this sweep" in other.err


def test_exploded_runs_are_counted_and_a_map_of_nothing_else_says_so(command):
    printed = command("map line --optimizer sgd --epochs 30 --over learning_rate=0.01,1e20 --seeds 2")
    assert printed.status == 0
    assert printed.lines[1] == "the first of 2 cells by median loss, 1 of them exploded:"
    assert len(printed.lines) == 4
    nothing = command("map line --optimizer sgd --epochs 30 --over learning_rate=1e20,1e21 --plot a.png")
    assert (nothing.status, nothing.out) == (0, "no best settings: every run exploded or failed\n")
    assert Path("a.png").exists()


def test_a_table_is_mapped_over_batch_sizes_and_truth_values(command, wine_csv):
    printed = command(
        "map --target class --layers none --optimizer sgd --momentum 0.5 --epochs 3 --validation 0.2 "
        "--over batch_size=16,64 --over nesterov=True,False --quantity validation_accuracy --plot wine.svg",
        wine_csv,
    )
    assert printed.status == 0, printed.err
    assert printed.err.startswith("wine, sgd: 2 values of batch_size × 2 of nesterov = 4 runs of 3 epochs.\n")
    assert re.match(r"best: batch_size=(16|64), nesterov=(True|False)\n", printed.out)
    assert printed.lines[2].split() == ["batch_size", "nesterov", "validation_accuracy", "loss"]
    assert Path("wine.svg").read_text().startswith("<?xml")


def test_the_chapters_data_is_mapped_with_the_chapters_weights(command):
    command(f"map spiral --data-seed chapter --optimizer sgd --epochs 2 {RATES}")
    assert open_sweep(directory()).frame()["seed"].cast(pl.String).to_list() == ["chapter"] * 3


REFUSED = [
    ("", "--over must name a setting and its values, as --over learning_rate=log:1e-3:10:32. Received: none"),
    ("--over learning_rate", r"--over must be given as NAME=RANGE\. Received: --over learning_rate"),
    ("--over =1,2", r"--over must be given as NAME=RANGE\. Received: --over =1,2"),
    ("--over learnin_rate=1,2", "Received: 'learnin_rate'. Did you mean 'learning_rate'"),
    ("--over beta_1=0.1,0.2", "over must name settings to sweep: learning_rate, momentum, nesterov, batch_size, decay"),
    ("--over learning_rate=1:2", "learning_rate must be LOW:HIGH:COUNT, log:LOW:HIGH:COUNT or a list"),
    ("--over learning_rate=log:0:1:3", "learning_rate: low must be above 0"),
    ("--over learning_rate=2:1:3", "learning_rate: high must be above low"),
    ("--over learning_rate=0,1", "learning_rate must be above 0"),
    ("--over momentum=0:1.5:4", r"momentum must be at least 0 and below 1\. Received: momentum=1\.0"),
    ("--over momentum=0,0.5 --over momentum=0.9", "momentum must be swept once"),
    ("--over learning-rate=1,2 --over learning_rate=3", "learning_rate must be swept once"),
    (f"{RATES} --learning-rate 1", "learning_rate must be either given or swept. Received: learning_rate=1 and --over"),
    ("--over batch_size=1,2 --batch-size 3", "batch_size must be either given or swept"),
    ("--over decay=0.1,0.2 --decay 0.3", "decay must be either given or swept"),
    (f"{RATES} --seeds 0", "seeds must be a whole number at least 1"),
    (f"{RATES} --seeds 1,x", r"seeds\[1\] must be a whole number"),
    (f"{RATES} --seeds 1,1", "seeds must differ from one another"),
    (f"{RATES} --quantity acuracy", "quantity must be one of loss, accuracy, .*Did you mean 'accuracy'"),
    (f"{RATES} --quantity validation_loss", "quantity must be one of loss, accuracy"),
    (f"{RATES} --epochs 0", "epochs must be a whole number at least 1"),
    (f"{RATES} --plot a.jpg", r"plot must be a file ending in \.png, \.svg or \.pdf"),
    (f"{RATES} --plot no/a.png", "plot must be a file in a directory that exists"),
    (f"{RATES} --out a-file", r"out must be a directory, not a file\. Received: out='a-file'"),
    (f"{RATES} --out full", "Received: full, which holds something"),
    (f"{RATES} --threads 0", "threads must be a whole number at least 1"),
    (f"{RATES} --seed 3", "No such option '--seed'"),
]


@pytest.mark.parametrize(("options", "sentence"), REFUSED)
def test_wrong_input_is_one_sentence_and_trains_nothing(command, options, sentence):
    Path("a-file").touch()
    Path("full").mkdir()
    Path("full/something").touch()
    printed = command(f"map spiral --samples 5 --layers 4 --optimizer sgd --epochs 2 {options}")
    assert (printed.status, printed.out) == (2, "")
    last = printed.err.splitlines()[-1]
    assert last.startswith("downslope: ")
    assert re.search(sentence, last)
    assert "Traceback" not in printed.err
    assert not list(Path().rglob("*.parquet"))


def test_the_users_own_table_is_never_drawn_over(command, wine_csv):
    link = Path("link.png")
    link.symlink_to(wine_csv)
    before = wine_csv.read_bytes()
    printed = command(f"map --target class {RATES} --plot link.png", wine_csv)
    assert printed.status == 2
    assert "is the data itself" in printed.err
    assert wine_csv.read_bytes() == before


# Its steps take so long, while there is a file of that name, that whoever wants to meets a map of them on its way.
DAWDLER = """
import os
import time
import downslope as ds


class Dawdler(ds.SGD):
    '''Plain descent, in no haste.'''

    def per_step(self, step):
        if os.path.exists("dawdle"):
            time.sleep(0.04)
        return {}
"""


def test_ctrl_c_keeps_what_is_finished_and_the_same_command_continues(command):
    Path("mine.py").write_text(DAWDLER)
    Path("dawdle").touch()
    line = f"{SLOW} --epochs 20 --optimizer mine.py:Dawdler --over learning_rate=log:1e-3:1:20 --over momentum=0:0.9:5"
    line = f"{line} --plot c.png"
    process = subprocess.Popen(
        [sys.executable, "-m", "downslope", *line.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not list(Path().rglob("[!.]*.parquet")):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=300)
    Path("dawdle").unlink()
    assert (process.returncode, out, "Traceback" in err) == (130, "", False)
    kept = open_sweep(directory()).frame()
    assert 0 < len(kept) < 100
    stopped = f"Stopped by Ctrl-C with {len(kept)} of 100 runs done, kept in {directory()}: the same command continues."
    assert stopped in err.splitlines()
    assert Path("c.png").exists()
    again = command(line)
    assert again.status == 0
    assert f"{len(kept)} of them are done already" in again.err
    whole = open_sweep(directory()).frame()
    assert len(whole) == 100
    assert whole.join(kept, on=kept.columns, how="semi", nulls_equal=True).height == len(kept)


def test_the_picture_is_drawn_while_the_map_is_made(command, monkeypatch):
    from downslope.sweeps import SweepResult

    drawn = []

    def plot(result, path, *, quantity):
        drawn.append((result.finished, str(path), quantity))

    monkeypatch.setattr(SweepResult, "plot", plot)
    printed = command(f"{SLOW} --over learning_rate=log:1e-3:1:40 --plot a.png")
    assert printed.status == 0
    assert drawn[0][0] < 40
    assert drawn[0][0] >= 4  # a tenth
    assert drawn[-1] == (40, "a.png", "loss")


def test_a_picture_that_cannot_be_drawn_meanwhile_does_not_end_the_map(command, monkeypatch):
    from downslope.errors import InputError
    from downslope.sweeps import SweepResult

    def plot(*_, **__):
        raise InputError("the disk is full")

    monkeypatch.setattr(SweepResult, "plot", plot)
    printed = command(f"{SLOW} --over learning_rate=log:1e-3:1:40 --plot a.png")
    assert printed.status == 2
    assert printed.err.count("downslope: warning: the disk is full") == 1
    assert open_sweep(directory()).complete


def test_no_setting_of_a_rule_collides_with_an_option_of_the_command():
    from downslope.cli.map import command as map_command

    flags = [flag for parameter in map_command.params for flag in (*parameter.opts, *parameter.secondary_opts)]
    assert sorted(flags) == sorted(set(flags))


def test_help_groups_the_options_of_the_sweep_with_those_of_training(command):
    printed = command("map --help")
    for heading in ("Sweep:", "Data:", "Network:", "Optimizer:", "Training:", "Output:"):
        assert heading in printed.lines
    assert "map" in command("--help").out
