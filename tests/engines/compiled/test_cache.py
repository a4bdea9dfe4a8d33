"""Compiled code on disk: found again by what it does, never run where it does not belong, and never needed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from downslope.engines.compiled import machine

CODE = bytes(range(256)) * 3


class Building:
    """Makes object code, and counts how often."""

    def __init__(self, code=CODE):
        self.times, self.code = 0, code

    def __call__(self):
        self.times += 1
        return "symbol", self.code


@pytest.fixture
def directory(tmp_path, monkeypatch):
    path = tmp_path / "not" / "yet" / "there"
    monkeypatch.setenv("DOWNSLOPE_CACHE", str(path))
    return path


def only(directory):
    (file,) = directory.iterdir()
    return file


def test_code_is_built_once_and_found_again(directory):
    build = Building()
    assert machine.stored("name", "key", build) == ("symbol", CODE)
    assert machine.stored("name", "key", build) == ("symbol", CODE)
    assert build.times == 1
    assert only(directory).name.startswith("name-")


@pytest.mark.parametrize("other", [("name", "other"), ("other", "key")])
def test_another_name_or_key_is_another_file(directory, other):
    machine.stored("name", "key", Building())
    build = Building(b"other")
    assert machine.stored(*other, build) == ("symbol", b"other")
    assert build.times == 1
    assert len(list(directory.iterdir())) == 2


def test_without_a_key_nothing_is_kept(directory):
    build = Building()
    for _ in "ab":
        assert machine.stored("name", None, build) == ("symbol", CODE)
    assert build.times == 2
    assert not directory.exists()


def test_an_empty_name_of_the_directory_keeps_nothing(directory, monkeypatch, tmp_path):
    monkeypatch.setenv("DOWNSLOPE_CACHE", "")
    monkeypatch.chdir(tmp_path)
    assert machine.cache_directory() is None
    build = Building()
    for _ in "ab":
        assert machine.stored("name", "key", build) == ("symbol", CODE)
    assert build.times == 2
    assert list(tmp_path.iterdir()) == []


def broken(whole):
    """Yield contents that differ from a whole file."""
    yield b""
    yield b"\n"
    yield b"{}\n"
    yield b"[]\n"
    yield b"null\n" + CODE
    yield b"\xff\xfe\n" + CODE
    for length in (1, 20, len(whole) // 2, len(whole) - 1):
        yield whole[:length]
    yield whole + b"\0"
    for place in range(0, len(whole), 7):
        yield whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]
    # Also each letter of the symbol: a function of that name would not be there, and a call would end the process.
    at = whole.index(b'"symbol": "') + len(b'"symbol": "')
    for place in range(at, at + len("symbol")):
        yield whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :]


def test_a_broken_file_is_built_anew(directory):
    machine.stored("name", "key", Building())
    file = only(directory)
    whole = file.read_bytes()
    for content in broken(whole):
        file.write_bytes(content)
        build = Building()
        assert machine.stored("name", "key", build) == ("symbol", CODE)
        assert build.times == 1, content[:80]
        assert file.read_bytes() == whole
    assert machine.stored("name", "key", build) == ("symbol", CODE)
    assert build.times == 1


def test_a_file_made_for_another_key_is_not_taken_for_this_ones(directory):
    machine.stored("name", "key", Building())
    mine = only(directory)
    machine.stored("name", "other", Building(b"other"))
    (other,) = set(directory.iterdir()) - {mine}
    mine.write_bytes(other.read_bytes())
    build = Building()
    assert machine.stored("name", "key", build) == ("symbol", CODE)
    assert build.times == 1


def no_directory(path):
    path.parent.mkdir(parents=True)
    path.write_text("a file")


def no_writing(path):
    path.mkdir(parents=True)
    path.chmod(0o500)


def no_file(path):
    machine.stored("name", "key", Building())
    file = only(path)
    file.unlink()
    file.mkdir()  # in its place is what cannot be read or replaced


@pytest.mark.parametrize("hinder", [no_directory, no_writing, no_file])
def test_a_disk_that_refuses_does_not_matter(directory, hinder):
    hinder(directory)
    build = Building()
    for _ in "ab":
        assert machine.stored("name", "key", build) == ("symbol", CODE)
    if not (hinder is no_writing and os.access(directory, os.W_OK)):  # root may write anywhere
        assert build.times == 2


def test_the_files_used_longest_ago_are_removed(directory, monkeypatch):
    monkeypatch.setattr(machine, "MOST_FILES", 3)
    for number in range(3):
        machine.stored(f"n{number}", "key", Building())
    for age, number in enumerate((1, 2, 0)):
        (file,) = directory.glob(f"n{number}-*")
        os.utime(file, (1000 + age, 1000 + age))
    machine.stored("n1", "key", Building())  # used again: now the newest
    machine.stored("n3", "key", Building())
    assert sorted(file.name[:2] for file in directory.iterdir()) == ["n0", "n1", "n3"]


def test_the_key_tells_the_processor_the_versions_and_every_source(monkeypatch, tmp_path):
    def key():
        machine.machine_key.cache_clear()
        return machine.machine_key()

    keys = [key()]
    assert key() == keys[0]
    try:
        for name, features in (("znver4", None), ("haswell", None), ("znver4", "+avx2"), (None, "+avx")):
            for variable, value in (("NUMBA_CPU_NAME", name), ("NUMBA_CPU_FEATURES", features)):
                monkeypatch.delenv(variable, raising=False)
                if value is not None:
                    monkeypatch.setenv(variable, value)
            keys.append(key())
        with monkeypatch.context() as patch:
            patch.setattr(machine, "version", lambda package: {"numba": "0.1", "llvmlite": "0.2"}[package])
            keys.append(key())
        folder = Path(machine.__file__).parent
        sources = [*folder.glob("*.py"), *(machine.PACKAGE / name for name in machine.OTHER_SOURCES)]
        assert {"training.py", "products.py", "vocabulary.py", "streams.py", "exact.py"} <= {s.name for s in sources}
        read = Path.read_bytes
        for edited in sources:
            with monkeypatch.context() as patch:
                patch.setattr(Path, "read_bytes", lambda path, edited=edited: read(path) + b"#" * (path == edited))
                keys.append(key())
    finally:
        machine.machine_key.cache_clear()
    assert len(set(keys)) == len(keys)


def processes(program, count=1, **environment):
    """Run a program in some processes at once; return what each printed."""
    running = [
        subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(program)],
            env={**os.environ, "PYTHONWARNINGS": "error", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(count)
    ]
    printed = []
    for process in running:
        out, err = process.communicate(timeout=300)
        assert (process.returncode, err) == (0, "")
        printed.append(out)
    return printed


TRAIN = """
    import sys
    import downslope as ds
    run = ds.Run(ds.MLP([2, 5, 3], dropout=0.1), ds.data.spiral(9), ds.Adam(), batch_size=5, validation=0.2)
    run.train(3)
    run.evaluate()
    print(run.engine, "numba" in sys.modules, run.parameters.tobytes().hex())
"""


def test_a_second_process_compiles_nothing():
    first, second = (processes(TRAIN)[0].split() for _ in "ab")
    assert first[0] == "compiled"
    assert second == ["compiled", "False", first[2]]


def test_a_broken_file_among_the_kernels(compiled_cache, tmp_path):
    expected = processes(TRAIN)[0].split()
    files = sorted(compiled_cache.glob("row_sums-float32-*.o")) + sorted(compiled_cache.glob("update-adam-float32-*.o"))
    assert len(files) >= 2
    for file in compiled_cache.glob("[!.]*.o"):  # none that another process is writing
        (tmp_path / file.name).write_bytes(file.read_bytes())
    for file in files:
        copied = tmp_path / file.name
        copied.write_bytes(copied.read_bytes()[:-100])
    mended = processes(TRAIN, DOWNSLOPE_CACHE=str(tmp_path))[0].split()
    assert mended == ["compiled", "True", expected[2]]
    assert processes(TRAIN, DOWNSLOPE_CACHE=str(tmp_path))[0].split() == expected


RULE = """
    import sys
    import numpy as np
    from mine import {name}
    from downslope.engines.compiled import fused_update
    x = np.ones(5)
    fused_update({name}(0.5), 1, x, np.full(5, 4.0), {{}})
    assert len(set(x.tolist())) == 1
    print(x[0], "numba" in sys.modules)
"""
MINE = """
import numba
from downslope import Optimizer
from downslope.rules import setting

FACTOR = 1.0

@numba.njit
def helper(x):
    return x + x

class Mine(Optimizer):
    learning_rate = setting(0.1, above=0, meaning="size of a step", scheduled=True)

    def update(xp, parameter, gradient, learning_rate):
        return parameter - learning_rate * gradient * FACTOR + helper(gradient)
"""


def test_an_edited_rule_never_runs_stale_code(tmp_path):
    cache, home = tmp_path / "cache", tmp_path / "home"
    home.mkdir()

    def first_number(text):
        for old in home.rglob("*.pyc"):
            old.unlink()
        (home / "mine.py").write_text(text)
        paths = os.pathsep.join([str(home), *filter(None, [os.environ.get("PYTHONPATH")])])
        out = processes(RULE.format(name="Mine"), DOWNSLOPE_CACHE=str(cache), PYTHONPATH=paths)[0]
        return float(out.split()[0])

    assert first_number(MINE) == 1 - 2 + 8
    assert first_number(MINE.replace("gradient * FACTOR", "gradient * FACTOR * FACTOR + gradient")) == 1 - 2 + 8 + 4
    assert first_number(MINE.replace("FACTOR = 1.0", "FACTOR = 2.0")) == 1 - 4 + 8
    assert first_number(MINE.replace("x + x", "x - x")) == 1 - 2
    assert first_number(MINE) == 1 - 2 + 8


def test_two_rules_of_one_name_do_not_mix(tmp_path):
    program = """
        import sys
        import numpy as np
        from downslope import Optimizer
        from downslope.rules import setting
        from downslope.engines.compiled import fused_update

        def made(sign):
            class Twin(Optimizer):
                learning_rate = setting(0.1, above=0, meaning="size of a step")
                def update(xp, parameter, gradient, learning_rate):
                    if sign:
                        return parameter - gradient
                    return parameter + gradient
            return Twin

        for sign in (True, False, True):
            x = np.ones(3)
            fused_update(made(sign)(), 1, x, np.ones(3), {})
            print(x[0])
        print("numba" in sys.modules)
    """
    outs = [processes(program, DOWNSLOPE_CACHE=str(tmp_path))[0].split() for _ in "ab"]
    assert outs == [["0.0", "2.0", "0.0", "True"], ["0.0", "2.0", "0.0", "False"]]


def test_two_processes_fill_one_cache_at_once(tmp_path):
    program = """
        import numpy as np
        import downslope as ds
        from downslope.engines.compiled import fused_update
        x = np.ones(3, np.float32)
        for rule in (ds.SGD(0.5), ds.Lion(0.5)):
            slots = {name: np.zeros(3, np.float32) for name in rule.slots_in_use()}
            fused_update(rule, 1, x, np.ones(3, np.float32), slots)
        print(x[0])
    """
    assert len(set(processes(program, 2, DOWNSLOPE_CACHE=str(tmp_path)))) == 1
    assert sorted(file.name.split("-")[1] for file in tmp_path.iterdir()) == ["lion", "sgd"]
    for file in tmp_path.iterdir():
        header = json.loads(file.read_bytes().partition(b"\n")[0])
        assert set(header) == {"symbol", "digest"}


@pytest.mark.parametrize("cache", ["", "/proc/nowhere", "/dev/null/x"])
def test_training_without_a_cache(cache):
    program = """
        import numpy as np
        import downslope as ds
        from downslope.engines.compiled import fused_update
        x = np.ones(3)
        fused_update(ds.SGD(0.5), 1, x, np.ones(3), {})
        print(x[0])
    """
    assert processes(program, DOWNSLOPE_CACHE=cache) == ["0.5\n"]


def test_code_of_another_processor_is_never_loaded(tmp_path, processors):
    """Also not where a cache is shared over a network."""
    program = """
        import sys
        import numpy as np
        import downslope as ds
        from downslope.engines.compiled import fused_update
        x = np.ones(3)
        fused_update(ds.SGD(0.5), 1, x, np.ones(3), {})
        print(x[0], "numba" in sys.modules)
    """
    names = [name for name, lacking in processors.items() if not lacking][:2]
    if len(names) < 2:
        pytest.skip("this processor runs code of no two names")
    for name in names:
        for compiled in (True, False):
            out = processes(program, DOWNSLOPE_CACHE=str(tmp_path), NUMBA_CPU_NAME=name)
            assert out == [f"0.5 {compiled}\n"]
    assert len(list(tmp_path.iterdir())) == 2
