"""`downslope train`, as a person types it."""

import json
import math
import os
import pty
import re
import signal
import subprocess
import sys
import textwrap
import time
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest

import downslope
from downslope.cli.lines import Lines
from downslope.training.log import Entry

GOLDEN = Path(downslope.__file__).with_name("book") / "printed_runs.json"
CHAPTER = "train spiral --data-seed chapter"


def test_the_chapters_rows_to_every_printed_digit(command):
    printed = command(f"{CHAPTER} --optimizer sgd --learning-rate 1 --decay 1e-2 --epochs 10001")
    assert printed.status == 0
    [book] = [run for run in json.loads(GOLDEN.read_text())["runs"] if run["name"] == "sgd_decay_1e-2"]
    assert len(book["printed"]) == 17
    expected = [
        f"epoch: {row['epoch']}, acc: {row['accuracy']:.3f}, loss: {row['loss']:.3f}, lr: {row['learning_rate']}"
        for row in book["printed"]
    ]
    assert [line for line in printed.lines if line in expected] == expected
    assert len(printed.lines) == 101


def test_json_is_one_object_a_line_and_ends_with_the_final_state(command):
    printed = command(f"{CHAPTER} --optimizer sgd --epochs 201 --json --validation 0.2")
    rows = [json.loads(line) for line in printed.lines]
    assert [row["epoch"] for row in rows[:-1]] == [0, 100, 200]
    assert set(rows[0]) == {
        *("epoch", "loss", "accuracy", "learning_rate", "penalty", "gradient_norm", "update_ratio"),
        "largest_weight",
        *("validation_loss", "validation_accuracy"),
    }
    assert rows[-1]["final"]["epochs"] == rows[-1]["final"]["steps"] == 201
    assert set(rows[-1]["final"]["validation"]) == {"loss", "accuracy"}


def test_json_has_null_where_a_number_is_not_finite(command, tmp_path):
    """R² is undefined where the validation targets are all alike."""
    rows = "\n".join(f"{i},{i % 7}.5" for i in range(40))
    (tmp_path / "t.csv").write_text(f"x,y\n{rows}\n")
    (tmp_path / "v.csv").write_text("x,y\n1,2.5\n2,2.5\n")
    printed = command("train --target y --epochs 1 --json", tmp_path / "t.csv", "--validation", tmp_path / "v.csv")
    assert json.loads(printed.lines[0])["validation_r2"] is None
    assert "warning: column 'y' never changes" in printed.err


def test_the_issues_own_line_on_a_table(command, wine_csv, tmp_path):
    plot, history = tmp_path / "wine.png", tmp_path / "wine.parquet"
    printed = command(
        "train --target class --optimizer adam --learning-rate 0.01 --epochs 300 --layers 32,16 --batch-size 32 "
        "--validation 0.2 --every 50",
        *(wine_csv, "--plot", plot, "--history", history),
    )
    assert printed.status == 0
    assert re.fullmatch(
        r"epoch: 0, acc: 0\.\d{3}, loss: \d\.\d{3}, val_acc: .*, val_loss: .*, lr: 0.01", printed.lines[0]
    )
    assert len(printed.lines) == 6
    assert plot.read_bytes()[:4] == b"\x89PNG"
    frame = pl.read_parquet(history)
    assert len(frame) == 300
    assert frame["validation_accuracy"][-1] > 0.9
    assert f"Wrote {plot}" in printed.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wine.csv", "wine.parquet", "wine.png"]


def test_a_regression_from_parquet_reports_r2_and_errors_in_the_targets_units(command, tmp_path):
    n = 120
    size = [50 + i for i in range(n)]
    pl.DataFrame(
        {"size": size, "rooms": [1 + i % 5 for i in range(n)], "price": [3000.0 * s + 500 for s in size]}
    ).write_parquet(tmp_path / "houses.parquet")
    printed = command(
        "train --target price --loss mse --epochs 300 --learning-rate 0.01 --json", tmp_path / "houses.parquet"
    )
    final = json.loads(printed.lines[-1])["final"]["training"]
    assert set(final) == {"loss", "r2", "rmse", "mae"}
    assert final["r2"] > 0.99
    assert 1 < final["rmse"] < 20_000  # in the price's own units, which are some hundred thousands


@pytest.mark.parametrize(
    "options",
    [
        "moons --optimizer rmsprop --centered --momentum 0.5 --loss bce",
        "circles --optimizer sgd --nesterov --momentum 0.9 --learning-rate 0.1 --activation tanh --layers 8,8",
        "blobs --classes 5 --samples 20 --optimizer lion --dropout 0.2 --l2 1e-4 --batch-size 16",
        "xor --optimizer ademamix --warmup 5 --schedule cosine:steps=20 --dtype float64 --seed 3",
        "line --layers none --optimizer adagrad --loss huber --noise 0.5 --data-seed 7",
        "sine --optimizer adadelta --set rho=0.9 --initial-weights glorot --standardize",
        "digits --optimizer adamw --weight-decay 0.1 --validation 0.2 --batch-size 256",
    ],
)
def test_every_kind_of_option_reaches_the_run(command, options):
    printed = command(f"train {options} --epochs 3 --every 1")
    assert printed.status == 0, printed.err
    assert len(printed.lines) == 3


def test_options_of_a_rule_are_those_of_its_record(command):
    """A setting given on the command line is the setting the rule runs with: the same lines as from Python."""
    import downslope as ds

    printed = command(
        "train moons --optimizer nadam --beta-1 0.8 --beta-2 0.95 --epsilon 1e-5 --momentum-decay 0.01 "
        "--learning-rate 0.05 --epochs 41 --every 40 --layers 8 --seed 4"
    )
    optimizer = ds.NAdam(0.05, beta_1=0.8, beta_2=0.95, epsilon=1e-5, momentum_decay=0.01)
    run = ds.Run(ds.MLP([2, 8, 2]), ds.data.moons(), optimizer, seed=4)
    run.train(41)
    row = run.history.row(40)
    assert printed.lines[1] == f"epoch: 40, acc: {row['accuracy']:.3f}, loss: {row['loss']:.3f}, lr: 0.05"


REFUSED = [
    ("spirl", "Did you mean 'spiral'?"),
    ("missing.csv --target y", "missing.csv"),
    ("spiral --optimizer adm", "optimizer must be one of .*Did you mean 'adam'"),
    ("spiral --optimizer sgd --beta-1 0.9", "beta_1 must be a setting of sgd, which has learning_rate, "),
    ("spiral --optimizer sgd --momentum 1.5", r"momentum must be at least 0 and below 1\. Received: momentum=1\.5"),
    ("spiral --learning-rate abc", "learning_rate must be a number above 0. Received: learning_rate='abc'"),
    ("spiral --learning-rate 0", "learning_rate must be above 0"),
    ("spiral --learning-rate nan", "learning_rate must be a finite number"),
    ("spiral --learning-rate=-1", "learning_rate must be above 0"),
    ("spiral --decay=-1", "decay must be"),
    ("spiral --decay 0.1 --schedule cosine:steps=3", "give --decay or --schedule, not both"),
    ("spiral --schedule cosin", "schedule must be one of .*Did you mean 'cosine'"),
    ("spiral --schedule cosine:steps=x", "steps must be"),
    ("spiral --epochs 1.5", "epochs must be a whole number at least 0. Received: epochs=1.5"),
    ("spiral --epochs=-3", "epochs must be a whole number at least 0"),
    ("spiral --every 0", "every must be a whole number at least 1"),
    ("spiral --batch-size 0", "batch_size must be a whole number at least 1"),
    ("spiral --validation 1", "validation must be at least 0 and below 1"),
    ("spiral --validation x", "validation must be"),
    ("spiral --layers 3,x", "layers must be whole numbers of at least 1 separated by commas"),
    ("spiral --layers=-5", "layers must be whole numbers of at least 1"),
    ("spiral --layers 0,5", "layers must be whole numbers of at least 1"),
    ("spiral --dropout 1", "dropout must be at least 0 and below 1"),
    ("spiral --l1=-1", "l1 must be at least 0"),
    ("spiral --seed=-1", "seed must be a whole number at least 0"),
    ("spiral --data-seed x", "seed must be"),
    ("spiral --activation rely", "'rely' is not one of 'relu'"),
    ("spiral --loss mse", "loss must be one for classification"),
    ("spiral --loss bce", "must have exactly 2 classes. Received: 3"),
    ("line --loss bce", "loss must be one for regression"),
    ("spiral --target y", "--target is for tables"),
    ("spiral --noise 1 --samples 0", "noise|samples"),
    ("iris --samples 3", "samples"),
    ("spiral --plot spiral.txt", "plot must be a file ending in .png, .svg or .pdf"),
    ("spiral --plot nowhere/spiral.png", "plot must be a file in a directory that exists"),
    ("spiral --history h.txt", "history must be a file ending in .csv, .tsv or .parquet"),
    ("spiral --set momentum", "--set must be given as name=value"),
    ("spiral --set wings=2", "wings must be a setting of adam"),
    ("spiral --optimizer rule.py:Mine", "no file 'rule.py'"),
    ("spiral --optimizer rule.py", "a rule in a script must be named as script.py:Class. Received: rule.py"),
    ("spiral --set beta_1=0.5 --beta-1 0.6", "beta_1 must be given once"),
    ("spiral --set beta_1=0.5 --set beta-1=0.6", "beta_1 must be given once"),
    ("spiral --learning-rate 5 --schedule piecewise:values=0.1/0.01,boundaries=9", "has rates of its own: leave"),
    ("spiral --learning-rate 5 --schedule cosine:base=0.5,steps=10", "has rates of its own: leave --learning-rate out"),
    ("wine --data-seed 3", "--data-seed is for generated sets, and wine is none"),
    ("spiral --plot /proc/spiral.png", "/proc/spiral.png could not be written"),
    ("spiral --layers 100000,100000000", "memory"),
    ("spiral --epochz 3", "No such option.*--epochs"),
    ("", "Missing argument 'SOURCE'"),
]  # fmt: skip


@pytest.mark.parametrize(("options", "sentence"), REFUSED, ids=[options or "nothing" for options, _ in REFUSED])
def test_wrong_input_gets_one_sentence_and_status_2(command, options, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = command(f"train {options}")
    assert printed.status == 2
    assert printed.out == ""
    assert printed.err.startswith("downslope: ")
    assert printed.err.count("\n") == 1
    assert re.search(sentence, printed.err), printed.err
    assert list(tmp_path.iterdir()) == []


def test_a_table_needs_a_target(command, wine_csv):
    printed = command("train", wine_csv)
    assert (printed.status, printed.err.count("\n")) == (2, 1)
    assert "--target must name the column of wine.csv to predict" in printed.err
    printed = command("train --target klass", wine_csv)
    assert printed.status == 2
    assert "'class'" in printed.err


def test_generated_settings_are_refused_for_a_table(command, wine_csv):
    printed = command("train --target class --samples 3", wine_csv)
    assert printed.status == 2
    assert "--samples is for generated sets, not for a table. Received: --samples 3" in printed.err


def test_a_rule_of_ones_own_from_a_script(command, tmp_path):
    script = tmp_path / "mine.py"
    script.write_text(
        textwrap.dedent("""
        import downslope as ds

        class SignDescent(ds.Optimizer):
            '''Every parameter moves by the same amount.'''
            learning_rate = ds.setting(0.01, above=0, meaning="size of a step", scheduled=True)
            pull = ds.setting(0.0, at_least=0, meaning="pull to zero")

            def update(xp, parameter, gradient, learning_rate, pull):
                return parameter - learning_rate * (xp.sign(gradient) + pull * parameter)
        """)
    )
    printed = command("train moons --set pull=0.1 --epochs 101 --optimizer", f"{script}:SignDescent")
    assert printed.status == 0, printed.err
    losses = [float(line.split("loss: ")[1].split(",")[0]) for line in printed.lines]
    assert losses[1] < losses[0]
    refused = command("train moons --optimizer", f"{script}:Other")
    assert (refused.status, refused.err.count("\n")) == (2, 1)
    broken = tmp_path / "broken.py"
    broken.write_text("import downslope as ds\n1 / 0\n")
    refused = command("train moons --optimizer", f"{broken}:Rule")
    assert (refused.status, refused.err) == (
        2, f"downslope: {broken} could not be run: ZeroDivisionError: division by zero\n"
    )  # fmt: skip
    broken.write_text("import sys\nsys.exit(0)\n")
    refused = command("train moons --optimizer", f"{broken}:Rule")
    assert (refused.status, refused.err) == (2, f"downslope: {broken} could not be run: SystemExit: 0\n")
    (tmp_path / "neighbour.py").write_text("from mine import SignDescent\n")
    assert command("train moons --epochs 1 --optimizer", f"{tmp_path / 'neighbour.py'}:SignDescent").status == 0
    assert "SignDescent" in command("rules", f"{script}:SignDescent").out
    broken.write_text(script.read_text().replace("xp.sign", "xp.tan"))
    refused = command("train moons --optimizer", f"{broken}:SignDescent")
    assert refused.status == 2
    told = "downslope: SignDescent.update cannot be compiled for single numbers: xp has no tan."
    assert refused.err.splitlines()[-1].startswith(told)
    refused = command("train moons --engine reference --optimizer", f"{broken}:SignDescent")
    assert refused.err.splitlines()[-1].startswith("downslope: SignDescent.update failed: AttributeError")
    refused = command("train moons --set pull=-1 --optimizer", f"{script}:SignDescent")
    assert "pull must be at least 0" in refused.err


def test_a_number_that_is_not_finite_stops_with_status_1_and_keeps_the_picture(command, tmp_path):
    plot, history = tmp_path / "line.png", tmp_path / "line.csv"
    printed = command(
        "train line --optimizer sgd --learning-rate 1e6 --epochs 500 --every 1 --plot", plot, "--history", history
    )
    assert printed.status == 1
    last = printed.err.splitlines()[-1]
    assert re.fullmatch(
        r"downslope: Training stopped at epoch \d+ \(step \d+\): a (loss|gradient|weight) is not finite; "
        r"lower learning_rate, which was 1e\+06\.",
        last,
    ), last
    assert plot.exists()
    assert len(pl.read_csv(history)) == len(printed.lines) > 0


def test_a_warning_is_one_line_on_stderr(command, tmp_path):
    rows = "\n".join(f"{i},5,{'ab'[i % 2]}" for i in range(20))
    (tmp_path / "t.csv").write_text(f"x,always,y\n{rows}\n")
    printed = command("train --target y --epochs 1", tmp_path / "t.csv")
    assert printed.status == 0
    assert printed.err.startswith("downslope: warning: column 'always' never changes")


def _environment():
    return {**os.environ, "PYTHONUNBUFFERED": "1"}


def test_ctrl_c_keeps_and_draws_what_there_is(tmp_path):
    arguments = ["train", "spiral", "--epochs", "100000000", "--plot", "p.png", "--history", "h.csv", "--every", "10"]
    lines = tmp_path / "lines.txt"  # not a pipe: readline takes more from it than a line, and communicate has it not
    with lines.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "downslope", *arguments],
            stdout=out, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=_environment(),
        )  # fmt: skip
    while len(lines.read_text().splitlines()) < 3 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "" not in err.splitlines()
    stopped = int(re.search(r"Stopped by Ctrl-C with (\d+) epochs done", err).group(1))
    assert (tmp_path / "p.png").exists()
    history = pl.read_csv(tmp_path / "h.csv")
    assert len(history) == stopped
    assert len(lines.read_text().splitlines()) == math.ceil(stopped / 10)


def test_ctrl_c_has_its_status_also_where_it_comes_inside_an_exec(tmp_path):
    """As when a module is loaded that makes a named tuple."""
    (tmp_path / "interrupted.py").write_text(
        "import downslope.cli.train as train; from downslope.cli import main\n"
        "train.command.callback = lambda **_: exec('raise KeyboardInterrupt')\n"
        "main(['train', 'spiral'])\n"
    )
    assert subprocess.run([sys.executable, "-m", "interrupted"], cwd=tmp_path, check=False).returncode == 130


def test_ctrl_c_while_the_command_itself_is_loaded_is_no_traceback(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Interrupting:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == sys.argv[-1]:\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupting())\n"
    )
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    script = "from downslope.cli import main; main()"
    as_module, as_script = ["-m", "downslope"], ["-c", script]
    modules = ("click", "downslope.cli.group", "downslope.cli.train")
    for how, name in [(as_module, "downslope.cli"), *((as_script, name) for name in modules)]:
        done = subprocess.run(
            [sys.executable, *how, "train", name],
            env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (name, done.returncode, done.stderr) == (name, 130, "")


def test_a_reader_that_leaves_ends_it_quietly_and_the_files_are_written(tmp_path):
    """So many lines that no pipe holds them: the last would be written even if nobody had read."""
    arguments = "train spiral --epochs 100000 --every 1 --plot p.png --history h.csv"
    script = f"set -o pipefail; {sys.executable} -m downslope {arguments} | head -n 1"
    done = subprocess.run(
        ["bash", "-c", script], capture_output=True, text=True, env=_environment(), cwd=tmp_path, check=False
    )
    assert len(done.stdout.splitlines()) == 1
    assert (done.returncode, "Traceback" in done.stderr, "Exception" in done.stderr) == (141, False, False)
    assert (tmp_path / "p.png").exists()
    assert 1 <= len(pl.read_csv(tmp_path / "h.csv")) < 100_000


@pytest.mark.parametrize("arguments", ["rules adam", "rules", "data", "train spiral --epochs 1"])
def test_a_reader_that_has_left_before_the_first_line(tmp_path, arguments):
    theirs, ours = os.pipe()
    os.close(theirs)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "downslope", *arguments.split()],
            stdout=ours, stderr=subprocess.PIPE, text=True, env=_environment(), cwd=tmp_path, check=False,
        )  # fmt: skip
    finally:
        os.close(ours)
    assert done.returncode == 141
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_a_listener_on_stderr_that_fails_is_no_reason_to_stop(tmp_path):
    script = f"{sys.executable} -m downslope train spiral --epochs 3 --plot p.png 2>/dev/full"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0
    assert (tmp_path / "p.png").exists()


def test_one_file_that_fails_does_not_lose_the_other(command, tmp_path, monkeypatch):
    def full(*_):
        raise pl.exceptions.ComputeError("No space left on device")

    monkeypatch.setattr(pl.DataFrame, "write_parquet", full)
    plot, history = tmp_path / "p.png", tmp_path / "h.parquet"
    printed = command("train spiral --epochs 2 --plot", plot, "--history", history)
    assert printed.status == 2
    assert printed.err.splitlines()[-1] == f"downslope: {history} could not be written: No space left on device"
    assert [path.name for path in tmp_path.iterdir()] == ["p.png"]


@pytest.mark.parametrize("options", ["-W error", "-OO", "-X dev"])
@pytest.mark.parametrize("arguments", ["rules adam", "data", "schedules cosine", "train CONST --target y --epochs 1"])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
def test_however_python_was_started(tmp_path, options, arguments, encoding):
    rows = "\n".join(f"{i},5,{'ab'[i % 2]}" for i in range(20))
    (tmp_path / "const.csv").write_text(f"x,always,y\n{rows}\n")
    done = subprocess.run(
        [sys.executable, *options.split(), "-m", "downslope", *arguments.replace("CONST", "const.csv").split()],
        capture_output=True, cwd=tmp_path, env={**_environment(), "PYTHONIOENCODING": encoding}, check=False,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr
    if "train" in arguments and options == "-W error":  # the warning, made an error, is one sentence
        assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    else:
        assert done.returncode == 0, done.stderr
        assert done.stdout


def test_a_full_disk_is_one_sentence():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "downslope", "train", "spiral", "--epochs", "3", "--every", "1"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1] == "downslope: standard output could not be used: No space left on device"


def test_progress_goes_to_a_terminal_on_stderr_and_the_lines_to_stdout():
    terminal, theirs = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "downslope", "train", "spiral", "--epochs", "400"],
        stdout=subprocess.PIPE, stderr=theirs, text=True, env={**_environment(), "TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    while True:
        try:
            block = os.read(terminal, 4096)
        except OSError:
            break
        if not block:
            break
        shown += block
    os.close(terminal)
    out, _ = done.communicate()
    assert done.returncode == 0
    assert [line.split(",")[0] for line in out.splitlines()] == ["epoch: 0", "epoch: 100", "epoch: 200", "epoch: 300"]
    assert b"400/400" in shown
    assert b"After 400 epochs" in shown


def test_a_folder_with_a_data_sets_name_does_not_hide_the_set(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("spiral").mkdir()
    assert command("train spiral --epochs 1").status == 0
    Path("mine").mkdir()
    printed = command("train mine --target y")
    assert (printed.status, printed.err) == (2, "downslope: a table must be a file. Received: 'mine', a folder\n")


def test_a_loss_for_numbers_says_what_the_target_is(command, tmp_path):
    """Whole prices with few different values look like classes; --loss mse says they are numbers."""
    rows = "\n".join(f"{i},{100 * (i % 5)}" for i in range(30))
    (tmp_path / "HOUSES.CSV").write_text(f"size,price\n{rows}\n")
    (tmp_path / "OTHER.CSV").write_text("price,size\n200,1\n100,2\n")
    houses, validation = tmp_path / "HOUSES.CSV", ("--validation", tmp_path / "OTHER.CSV")
    assert "val_acc: " in command("train --target price --epochs 1", houses, *validation).out
    assert "val_r2: " in command("train --target price --epochs 1 --loss mse", houses, *validation).out
    refused = command("train --target price --kind classification --loss mse", houses)
    assert refused.status == 2
    assert "with kind='regression' its target is read the other way" in refused.err


def test_no_setting_of_a_rule_collides_with_an_option_of_the_command():
    from downslope.cli.train import command as train

    flags = [flag for parameter in train.params for flag in (*parameter.opts, *parameter.secondary_opts)]
    assert sorted(flags) == sorted(set(flags))


@pytest.mark.parametrize("option", ["--history", "--plot"])
@pytest.mark.parametrize("role", ["source", "validation"])
def test_the_users_own_table_is_never_written_over(command, wine_csv, option, role, tmp_path):
    table = wine_csv
    if option == "--plot":  # a link with another ending is still the table
        table = tmp_path / "link.png"
        table.symlink_to(wine_csv)
    before = wine_csv.read_bytes()
    source = wine_csv if role == "source" else "wine"
    more = () if role == "source" else ("--validation", wine_csv)
    target = ("--target", "class") if role == "source" else ()
    printed = command("train --epochs 1", source, *target, *more, option, table)
    assert (printed.status, printed.out) == (2, "")
    assert "is the data itself: write to another file" in printed.err
    assert wine_csv.read_bytes() == before


def test_what_was_understood_is_said_first(command, wine_csv):
    printed = command("train --target class --epochs 1 --validation 0.2 --layers 8", wine_csv)
    said = "wine: 142 rows to train, 36 to validate, 13 features, 3 classes; 139 parameters."
    assert printed.err.splitlines()[0] == said
    assert printed.err.splitlines()[1].startswith("After 1 epoch (")


def test_a_schedule_that_ends_long_before_the_run_is_warned_of(command):
    line = "train spiral --epochs 20 --batch-size 25 --schedule cosine:steps="
    said = "warning: the learning rate is 0 from update 20 on, and the run makes 240 updates (20 epochs of 12)"
    assert said in command(f"{line}20").err
    assert "warning" not in command(f"{line}240").err
    assert "warning" not in command(f"{line}20,final=0.001").err


@pytest.mark.parametrize("closing", [">&-", "2>&-", ">&- 2>&-"])
def test_closed_streams_are_no_error(tmp_path, closing):
    script = f"{sys.executable} -m downslope train spiral --epochs 2 --plot p.png {closing}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert (tmp_path / "p.png").exists()


def test_in_one_terminal_lines_pass_above_a_single_bar():
    terminal, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "downslope", "train", "spiral", "--epochs", "1500", "--every", "500"],
        stdout=theirs, stderr=theirs, env={**_environment(), "TERM": "xterm", "COLUMNS": "100"},
    )  # fmt: skip
    os.close(theirs)
    shown = b""
    with suppress(OSError):
        while block := os.read(terminal, 4096):
            shown += block
    os.close(terminal)
    assert process.wait() == 0
    rows = _screen(shown.decode())
    assert [row.split(",")[0] for row in rows if "lr: 0.001" in row] == ["epoch: 0", "epoch: 500", "epoch: 1000"]
    assert sum("━" in row for row in rows) == 1, rows


def _screen(text):
    """Return the rows a terminal shows after `text`: enough of one for carriage return, cursor up and erase."""
    rows, row, column = [""], 0, 0
    for part in re.findall(r"\x1b\[[0-9;?]*[A-Za-z]|\r|\n|[^\x1b\r\n]+", text):
        if part == "\r":
            column = 0
        elif part == "\n":
            row += 1
            rows += [""] * (row + 1 - len(rows))
        elif not part.startswith("\x1b"):
            rows[row] = rows[row][:column].ljust(column) + part + rows[row][column + len(part) :]
            column += len(part)
        elif part.endswith("A"):
            row -= int(part[2:-1] or 1)
        elif part.endswith("K"):
            rows[row] = ""
    return rows


def test_what_the_guard_notices_often_is_printed_ever_more_rarely(capsys):
    run = downslope.Run(downslope.MLP([2, 4, 3]), downslope.data.spiral(samples=5), downslope.SGD(0.1))
    lines = Lines(run, as_json=False)
    for step in range(150):
        lines.event(run, Entry(step, step, "watch", "guard", f"looked at {step}"))
    lines.event(run, Entry(150, 150, "alarm", "guard", "the first of its kind"))
    told = capsys.readouterr().err.splitlines()
    assert [int(re.search(r"looked at (\d+)", line).group(1)) for line in told[:-1]] == [0, 1, 2, 9, 99]
    assert told[4].endswith("(the 100th watch; the run's log has all)")
    assert "the first of its kind" in told[-1]
    for step in range(20):  # what is done to the run is told each time
        lines.event(run, Entry(step, step, "rollback", "guard", "back", cleared=True, back_from=step + 1))
    assert len(capsys.readouterr().err.splitlines()) == 20
