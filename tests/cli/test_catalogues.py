"""`downslope rules`, `downslope data` and the command itself."""

import dataclasses
import re

import polars as pl
import pytest

import downslope as ds
from downslope.cli.group import COMMANDS
from downslope.data import SETS
from downslope.rules import RULES


def test_help_names_every_command(command):
    printed = command("--help")
    assert printed.status == 0
    for name, line in COMMANDS.items():
        assert re.search(rf"^  {name}\s+{re.escape(line)}$", printed.out, re.M)


def test_without_arguments_help_is_shown(command):
    printed = command()
    assert printed.status == 0
    assert "Usage: downslope" in printed.out


def test_version(command):
    assert command("--version").out == f"downslope, version {ds.__version__}\n"


def test_an_unknown_command_is_one_sentence(command):
    printed = command("trian")
    assert (printed.status, printed.out, printed.err.count("\n")) == (2, "", 1)
    assert "trian" in printed.err


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command_is_the_listed_line(command, name):
    printed = command(f"{name} --help")
    assert printed.status == 0
    assert "Usage: downslope" in printed.out


def test_train_help_speaks_from_the_rules_records(command):
    """Every setting of every rule is an option, with the default of each rule that has it."""
    text = " ".join(command("train --help").out.split("\nOptimizer:\n")[1].split())
    for name, rule in RULES.items():
        for record in rule.settings.values():
            told = text.split(f"{record.option} ", 1)[1].split("Default: ", 1)[1]
            groups = re.match(r"(?:\S+ \([^)]*\)(?:; )?)+", told).group()
            holders = dict(re.findall(r"(\S+) \(([^)]*)\)", groups))
            shown = f"{record.default:g}" if record.kind is not bool else str(record.default)
            assert name in holders[shown].split(", ")


def test_the_list_of_rules_names_each_with_its_first_line(command):
    printed = command("rules")
    text = " ".join(printed.out.split())
    for name, rule in RULES.items():
        assert f"{name} {rule.__doc__.splitlines()[0]}" in text


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_explained_from_its_record(command, name):
    printed = command(f"rules {name}")
    assert printed.status == 0
    text = " ".join(printed.out.split())
    rule = RULES[name]
    for section in ("Formula", "References"):
        assert rule.documented(section)
        for line in rule.documented(section).splitlines():
            assert line.rstrip() in printed.out
    for record in rule.settings.values():
        assert record.meaning in text
        assert f"{record.name} {record.default:g}" in text if record.kind is not bool else record.name in text
        assert record.legal in text


def test_an_unknown_rule_suggests_the_nearest(command):
    printed = command("rules adamm")
    assert printed.status == 2
    assert "Did you mean 'adam'?" in printed.err


def test_the_list_of_data_sets(command):
    printed = command("data")
    for name in SETS:
        assert re.search(rf"^  {name} ", printed.out, re.M)


@pytest.mark.parametrize("name", SETS)
def test_a_data_set_is_described_as_it_is(command, name):
    printed = command(f"data {name}")
    assert printed.status == 0
    data = ds.data.named(name)
    text = " ".join(printed.out.split())
    assert f"{len(data)} rows, {len(data.features)} feature" in text
    for column in (*data.features[:3], *data.target):
        assert column in text


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_written_data_reads_back_as_it_was(command, tmp_path, ending):
    path = tmp_path / f"iris.{ending}"
    assert command("data iris --write", path).status == 0
    data = ds.data.iris()
    again = ds.data.read(path, target=data.target[0])
    assert again.digest == data.digest
    assert isinstance(data.frame(), pl.DataFrame)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ("data iriss", "Did you mean 'iris'"),
        ("data iris --write iris.xlsx", "write must be a file ending in .csv, .tsv or .parquet"),
        ("data iris --write no/such/iris.csv", "write must be a file in a directory that exists"),
        ("data --write iris.csv", "--write must follow the name of a data set"),
    ],
)
def test_wrong_requests_are_one_sentence(command, arguments, sentence, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    printed = command(arguments)
    assert (printed.status, printed.out, printed.err.count("\n")) == (2, "", 1)
    assert sentence in printed.err
    assert list(tmp_path.iterdir()) == []


def test_the_list_of_schedules_and_how_they_are_written(command):
    printed = command("schedules")
    text = " ".join(printed.out.split())
    for name in ds.schedules.names():
        assert f"{name} {ds.schedules.by_name(name).__doc__.splitlines()[0]}" in text
    for line in re.findall(r"--schedule '(.*)'", printed.out):
        assert ds.schedules.parse(line, 0.1)(0) >= 0


@pytest.mark.parametrize("name", ds.schedules.names())
def test_a_schedule_is_explained_with_a_line_that_runs(command, name):
    printed = command(f"schedules {name}")
    chosen = ds.schedules.by_name(name)
    assert printed.status == 0
    assert "Formula: η_k = " in printed.out
    for field in dataclasses.fields(chosen):
        assert re.search(rf"^{field.name} : ", printed.out, re.M)
    line = re.search(r"--schedule '(.*)' --plot", printed.out).group(1)
    assert isinstance(ds.schedules.parse(line, 0.1), chosen)


def test_a_rule_without_a_formula_has_no_empty_heading(command, tmp_path):
    (tmp_path / "mine.py").write_text(
        "import downslope as ds\n"
        "class Plain(ds.Optimizer):\n"
        "    learning_rate = ds.setting(0.1, above=0, meaning='size of a step')\n"
        "    def update(xp, parameter, gradient, learning_rate):\n"
        "        return parameter - learning_rate * gradient\n"
    )
    printed = command("rules", f"{tmp_path / 'mine.py'}:Plain")
    assert "Formula" not in printed.out
    assert "learning_rate  0.1 by default" in printed.out
