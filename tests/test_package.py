"""What holds for the package as a whole: documented names, a light start, one list of public names."""

import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import downslope

SOURCE = Path(downslope.__file__).parent
MODULES = sorted(
    name for _, name, _ in pkgutil.walk_packages([str(SOURCE)], "downslope.") if not name.endswith("__main__")
)
HEAVY = {
    "numba",
    "numpy",
    "matplotlib",
    "polars",
    "rich",
    "click",
    "sklearn",
    "pandas",
    "starlette",
    "uvicorn",
    "sympy",
}


def _public(module_name):
    module = importlib.import_module(module_name)
    for name in getattr(module, "__all__", []):
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            yield f"{module_name}.{name}", value


def _defines(module):
    """Whether a module defines public functions or classes of its own, which then belong into its __all__."""
    return any(
        (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == module.__name__
        for name, value in vars(module).items()
        if not name.startswith("_")
    )


def _members(value):
    """Yield the public methods and properties a class defines itself."""
    for name, member in vars(value).items():
        if name.startswith("_"):
            continue
        plain = member.__func__ if isinstance(member, (staticmethod, classmethod)) else member
        if inspect.isfunction(plain) or isinstance(plain, property):
            yield name


@pytest.mark.parametrize("module_name", ["downslope", *MODULES])
def test_every_public_name_is_documented(module_name):
    missing = []
    for name, value in _public(module_name):
        if not (inspect.getdoc(value) or "").strip():
            missing.append(name)
        if inspect.isclass(value) and value.__module__.startswith("downslope"):
            # a method that overrides a documented one may leave its text to it: getdoc inherits
            missing += [f"{name}.{member}" for member in _members(value) if not inspect.getdoc(getattr(value, member))]
    assert missing == []


@pytest.mark.parametrize("module_name", ["downslope", *MODULES])
def test_every_module_says_what_it_is_and_names_only_what_it_has(module_name):
    module = importlib.import_module(module_name)
    assert (module.__doc__ or "").strip()
    private = module_name.split(".")[-1].startswith("_")
    assert private or "__all__" in vars(module) or not _defines(module)
    for name in getattr(module, "__all__", []):
        assert hasattr(module, name), f"{module_name}.__all__ names {name}, which is not there"


def test_the_list_of_public_names_is_one():
    """What editors see (the imports for type checkers) is what there is at run time."""
    tree = ast.parse((SOURCE / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        (statement.module, alias.asname)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }
    rooms = {("downslope", room) for room in downslope.ROOMS}
    listed = {(home, name) for home, names in downslope.HOMES.items() for name in names}
    assert seen == rooms | listed
    assert set(downslope.__all__) == {"__version__"} | {name for _, name in seen}
    assert set(downslope.rules.RULES.values()) <= {getattr(downslope, name) for name in downslope.__all__}


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Sgd'"):
        _ = downslope.Sgd
    with pytest.raises(AttributeError, match="no attribute 'swep'"):
        _ = downslope.swep


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import downslope", HEAVY),
        ("import downslope; downslope.SGD(0.1), downslope.InverseTime(1.0, decay=0.1)(3)", HEAVY),
        ("import downslope; downslope.MLP([2, 3, 1])", HEAVY - {"numpy"}),
        ("import downslope; downslope.Run, downslope.data.spiral()", HEAVY - {"numpy"}),
        ("import sys; sys.argv = ['downslope', '--help']\nfrom downslope.cli import main\ntry: main()\n"
         "except SystemExit: pass", HEAVY - {"click"}),
    ],
)  # fmt: skip
def test_starting_is_light(statement, heavy):
    """Numba alone takes half a second to import; the command's help and a first look must not wait for it."""
    script = f"{statement}\nimport sys\nprint('LOADED', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split("LOADED")[1].split()}
    assert "downslope" in loaded
    assert loaded & heavy == set()


def test_files_stay_readable():
    long = {
        str(path.relative_to(SOURCE)): lines
        for path in SOURCE.rglob("*.py")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    }
    assert long == {}


def test_the_version_is_the_installed_one():
    from importlib.metadata import version

    assert downslope.__version__ == version("downslope")
