"""The command, called in this process: its exit status and what it printed."""

from typing import NamedTuple

import pytest

from downslope.cli import main


class Outcome(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def lines(self):
        return self.out.splitlines()


@pytest.fixture
def command(capsys, monkeypatch):
    """Return a function that runs `downslope LINE …` and gives its Outcome; only the line is split at spaces."""
    import warnings

    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # main replaces it: put it back

    def run(line="", *more):
        arguments = [*line.split(), *more]
        with warnings.catch_warnings():
            warnings.simplefilter("default", UserWarning)
            with pytest.raises(SystemExit) as stop:
                main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return Outcome(stop.value.code, printed.out, printed.err)

    return run


@pytest.fixture
def wine_csv(tmp_path, command):
    """A real table, as the command itself writes it."""
    path = tmp_path / "wine.csv"
    assert command("data wine --write", path).status == 0
    return path
