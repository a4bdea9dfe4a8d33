"""The fingerprint of a function's behaviour: equal for equal code, in every process, and another after every edit.

What is compiled once and kept on disk is found again by it, so that a changed rule never runs stale code. Where a
function reaches something that cannot be told apart for certain, it has no fingerprint, and nothing of it may be kept.
"""

from __future__ import annotations

import builtins
import dis
import hashlib
import importlib
import importlib.util
import struct
import sys
from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from itertools import takewhile
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

__all__ = ["code_fingerprint", "written_in"]

LOCAL = {"LOAD_DEREF", "LOAD_CLASSDEREF"}  # of this function, or of one around it
LOADS = {"LOAD_GLOBAL", "LOAD_NAME", *LOCAL}
ATTRIBUTES = {"LOAD_ATTR", "LOAD_METHOD"}
# Code that changes what its names stand for, or comes by objects on ways that its text does not show.
OPAQUE = {
    "STORE_GLOBAL", "DELETE_GLOBAL", "IMPORT_FROM", "LOAD_BUILD_CLASS", "LOAD_LOCALS",
    "LOAD_FROM_DICT_OR_GLOBALS", "LOAD_FROM_DICT_OR_DEREF",
}  # fmt: skip
REBINDING = {"STORE_DEREF", "DELETE_DEREF"}
DYNAMIC = {"__import__", "compile", "eval", "exec", "getattr", "globals", "input", "locals", "open", "vars"}
PLAIN_LOADS = {"LOAD_FAST", "LOAD_FAST_BORROW", "LOAD_FAST_CHECK"}
# Libraries whose functions are told by their names and the library's version; all others' by their code.
LIBRARIES = {"math", "numpy"}
LRU_CACHE = type(lru_cache(len))
CODE = (FunctionType, staticmethod, classmethod, property)
JUMPS = {*dis.hasjrel, *dis.hasjabs}
CONSTANT: dict[type, Callable[[Any], bytes | str]] = {
    type(None): repr,
    type(...): repr,
    bool: repr,
    int: repr,
    float: partial(struct.pack, "<d"),
    complex: lambda z: struct.pack("<dd", z.real, z.imag),
    str: str,
    bytes: bytes,
}
PASSED_OVER = {"CACHE", "EXTENDED_ARG", "NOP", "RESUME"}
# Of a code object's flags those that say how it is called: *args, **kwargs, generator, coroutine.
CALLING = 0x04 | 0x08 | 0x20 | 0x80 | 0x200
HEAP_TYPE = 1 << 9  # a class that Python code made and may have changed


def code_fingerprint(function: Any, known: Sequence[type] = ()) -> str | None:
    """Return a digest of what a function does, or None where that cannot be told for certain.

    Parameters
    ----------
    function : function
        A Python function, or one that Numba compiles; also a class, or a value that never changes.
    known : sequence of class
        Classes that the caller tells apart by other means: of them only the position here is part of it.

    Returns
    -------
    str or None
        40 hexadecimal digits (BLAKE2b). They change with the function's instructions, constants and defaults, and with
        everything that it reaches by name, however far: variables of its module and of the functions around it, helper
        functions, attributes of modules (`math.pi`), the versions of libraries whose compiled functions it calls, and
        the version of Python's bytecode. They do not change with file, line numbers, docstrings, annotations, the
        function's own name, object addresses or hash seed.
        None where the function reaches a list, a dictionary, an array or an object, changes a variable that is not its
        own, imports something else than `math` or `numpy`, or calls the likes of `eval`. What its arguments
        are, and their methods, is not part of it.

    Examples
    --------
    >>> HALF = 0.5
    >>> def halved(x):
    ...     return HALF * x
    >>> before = code_fingerprint(halved)
    >>> before == code_fingerprint(halved)
    True
    >>> HALF = 0.25
    >>> before == code_fingerprint(halved)
    False
    """
    reader = _Reader()
    reader.met.update((id(value), (number, value)) for number, value in enumerate(known))
    try:
        reader.member(function)
    except (_UnknownError, RecursionError):
        return None
    return reader.digest.hexdigest()


def written_in(value: type) -> list[tuple[str, Any]]:
    """Return what a class's author wrote in it, by name: all but what Python notes there about the class."""
    return [
        (name, member)
        for name, member in sorted(vars(value).items())
        if isinstance(member, CODE) or not (name.startswith("__") and name.endswith("__"))
    ]


class _UnknownError(Exception):
    """What the function reaches cannot be told apart for certain."""


class _Reader:
    """Feeds everything that a function is made of to one digest, each thing with its kind and length."""

    def __init__(self) -> None:
        self.digest = hashlib.blake2b(digest_size=20)
        self.met: dict[int, tuple[int, Any]] = {}  # by address; held, so that no address comes twice
        self.put("python", sys.implementation.name.encode() + importlib.util.MAGIC_NUMBER)

    def put(self, kind: str, content: bytes | str = b"") -> None:
        """Feed one thing."""
        self.digest.update(_fed(kind, content))

    def value(self, value: Any) -> None:
        """Feed a value that never changes, a function or a class."""
        kind = type(value)
        if id(value) in self.met:  # also a class that is known
            self.put("met", str(self.met[id(value)][0]))
        elif kind is tuple:
            self.put("tuple", str(len(value)))
            for one in value:
                self.value(one)
        elif kind is frozenset:
            self.put("frozenset", b"".join(sorted(_digest(one) for one in value)))
        elif kind is FunctionType:
            self.function(value)
        elif _is_compiled_by_numba(value):
            self.put("numba")
            for name, option in sorted(value.targetoptions.items()):
                self.put("option", name)
                self.value(option)
            self.value(value.py_func)
        elif kind is LRU_CACHE:
            self.put("cached")
            self.value(value.__wrapped__)
        elif kind is type and value.__flags__ & HEAP_TYPE:
            self.class_(value)
        elif kind in CONSTANT:
            self.put(kind.__name__, CONSTANT[kind](value))
        else:
            self.native(value)

    def native(self, value: Any) -> None:
        """Feed what is compiled into Python or a library, by its name and the library's version."""
        kind = type(value)
        if kind is BuiltinFunctionType and isinstance(value.__self__, ModuleType | None):
            room = value.__module__ or ""
        elif isinstance(value, type) and not value.__flags__ & HEAP_TYPE:
            room = value.__module__
        elif (kind.__module__, kind.__name__) == ("numpy", "ufunc"):
            room = "numpy"
            if getattr(sys.modules["numpy"], value.__name__, None) is not value:  # somebody's own, such as frompyfunc's
                raise _UnknownError
        elif _is_numpy_number(value):
            self.put(kind.__name__, value.tobytes())
            return
        else:
            raise _UnknownError
        name = getattr(value, "__qualname__", value.__name__)
        if room == "builtins" and name in DYNAMIC:
            raise _UnknownError
        version = getattr(sys.modules.get(room.partition(".")[0]), "__version__", "")
        self.put("native", f"{room}.{name} {version}")

    def class_(self, value: type) -> None:
        """Feed a class: a standard library's by its name, any other with everything in it and its bases."""
        if value.__module__.partition(".")[0] in sys.stdlib_module_names:
            if getattr(sys.modules.get(value.__module__), value.__name__, None) is not value:
                raise _UnknownError
            self.put("native", f"{value.__module__}.{value.__name__}")
            return
        self.met[id(value)] = len(self.met), value
        self.put("class", str(len(value.__bases__)))
        for base in value.__bases__:
            self.value(base)
        for name, member in written_in(value):
            self.put("member", name)
            self.member(member)

    def member(self, member: Any) -> None:
        """Feed what stands in a class."""
        if isinstance(member, staticmethod | classmethod):
            self.put(type(member).__name__)
            self.value(member.__func__)
        elif type(member) is property:
            self.put("property")
            for one in (member.fget, member.fset, member.fdel):
                self.value(one)
        else:
            self.value(member)

    def function(self, function: FunctionType) -> None:
        """Feed a Python function."""
        self.met[id(function)] = len(self.met), function
        if set(function.__dict__) - {"__wrapped__"}:
            raise _UnknownError  # attributes, which the code may read
        self.put("function")
        self.value(function.__defaults__)
        for name, value in sorted((function.__kwdefaults__ or {}).items()):
            self.put("default", name)
            self.value(value)
        cells = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
        self.code(function.__code__, cells, ChainMap(function.__globals__, vars(builtins)))

    def code(self, code: CodeType, cells: Mapping[str, CellType], names: Mapping[str, Any]) -> None:
        """Feed instructions with what they name: positions in place of addresses, values in place of numbers."""
        text = _text(code)
        if any(name in cells for name in text.rebound):
            raise _UnknownError
        modules = {local: importlib.import_module(name) for local, name in text.imported.items()}
        for part in text.parts:
            if isinstance(part, bytes):
                self.digest.update(part)
            elif isinstance(part, _Name):
                if part.kind == "import":
                    self.reached(modules[part.name], part.attributes)
                elif part.name in cells:
                    self.reached(_content(cells[part.name]), part.attributes)
                elif part.kind == "global":
                    if part.name not in names:
                        raise _UnknownError
                    self.reached(names[part.name], part.attributes)
            elif isinstance(part.value, CodeType):
                inside = {free: cells[free] for free in part.value.co_freevars if free in cells}
                self.code(part.value, inside, names)
            else:
                self.value(part.value)

    def reached(self, value: Any, attributes: Sequence[str]) -> None:
        """Feed what a name stands for; of a module, the attribute that the next instructions ask for."""
        i, library = 0, value.__name__ if isinstance(value, ModuleType) else ""
        while isinstance(value, ModuleType) and i < len(attributes):
            try:
                value = getattr(value, attributes[i])
            except AttributeError as error:
                raise _UnknownError from error
            i += 1
        if library in LIBRARIES and callable(value):
            # What a library offers under a name is told by the library's version.
            path = ".".join(attributes[:i])
            self.put("library", f"{library}.{path} {getattr(sys.modules[library], '__version__', '')}")
            return
        if i < len(attributes) and type(value) not in (*CONSTANT, tuple, type) and id(value) not in self.met:
            # Any other than a class, which is fed with all its attributes, may have been given some.
            raise _UnknownError
        self.value(value)


class _Name(NamedTuple):
    """A name that code asks for: an "import" of its own, a "local" variable of a function, or a "global" one."""

    kind: str
    name: str
    attributes: tuple[str, ...]  # what is asked of it at once


class _Constant(NamedTuple):
    """A constant of code, which may be code itself."""

    value: Any


class _Text(NamedTuple):
    """What stands in a code object: it never changes, whatever its names come to stand for."""

    parts: tuple[bytes | _Name | _Constant, ...]  # bytes are fed as they are
    rebound: tuple[str, ...]  # variables of functions that it changes
    imported: Mapping[str, str]  # modules by the local name that they are bound to


_TEXTS: dict[int, tuple[CodeType, _Text]] = {}  # by address; held, so that no address comes twice
MOST_TEXTS = 1024


def _text(code: CodeType) -> _Text:
    """Return what stands in a code object, which is read once."""
    known = _TEXTS.get(id(code))
    if known is None:
        if len(_TEXTS) >= MOST_TEXTS:
            _TEXTS.clear()
        known = _TEXTS[id(code)] = code, _read(code)
    return known[1]


def _read(code: CodeType) -> _Text:
    instructions = list(dis.get_instructions(code))
    kept = [one for one in instructions if one.opname not in PASSED_OVER]
    if any(one.opname in OPAQUE for one in kept):
        raise _UnknownError
    places, place = {}, 0
    for one in instructions:
        places[one.offset] = place
        place += one.opname not in PASSED_OVER
    imported = _imported(kept)
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & CALLING)
    fed = bytearray(_fed("code", f"{counts} {code.co_varnames[: sum(counts[::2])]}"))
    fed += _fed("handlers", code.co_exceptiontable)
    parts: list[bytes | _Name | _Constant] = []
    for i, one in enumerate(kept):
        name = one.opname
        then: _Name | _Constant | None = None
        if one.opcode in dis.hasconst:
            fed += _fed(name)
            then = _Constant(code.co_consts[one.arg or 0] if name == "KW_NAMES" else one.argval)
        else:
            fed += _fed(name, str(places[one.argval]) if one.opcode in JUMPS else f"{one.argval} {one.argrepr}")
            kind = "import" if one.argval in imported and name.startswith("LOAD_FAST") else ""
            if kind or name in LOADS:
                asked = takewhile(lambda following: following.opname in ATTRIBUTES, kept[i + 1 :])
                kind = kind or ("local" if name in LOCAL else "global")
                then = _Name(kind, one.argval, tuple(following.argval for following in asked))
        if then is not None:
            parts += [bytes(fed), then]
            fed.clear()
    rebound = tuple(one.argval for one in kept if one.opname in REBINDING)
    return _Text((*parts, bytes(fed)), rebound, imported)


def _fed(kind: str, content: bytes | str = b"") -> bytes:
    content = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    return f"{kind} {len(content)} ".encode() + content


def _imported(instructions: list[dis.Instruction]) -> dict[str, str]:
    """Return the modules that `import name as local` binds to local names; those are bound in no other way."""
    bound: dict[str, str] = {}
    stores: list[str] = []
    for i, one in enumerate(instructions):
        if one.opname == "IMPORT_NAME":
            nothing, following = instructions[i - 1], instructions[i + 1]
            if nothing.argval is not None or one.argval not in LIBRARIES or following.opname != "STORE_FAST":
                raise _UnknownError
            bound[following.argval] = one.argval
        elif "FAST" in one.opname and one.opname not in PLAIN_LOADS:
            stores.extend(one.argval if isinstance(one.argval, tuple) else [one.argval])
    if any(stores.count(name) > 1 for name in bound):
        raise _UnknownError
    return bound


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError as error:  # the variable has no value yet
        raise _UnknownError from error


def _digest(value: Any) -> bytes:
    reader = _Reader()
    reader.value(value)
    return reader.digest.digest()


def _is_compiled_by_numba(value: Any) -> bool:
    """Whether Numba compiles a Python function; told without loading Numba."""
    return (
        type(value).__module__.partition(".")[0] == "numba"
        and type(getattr(value, "py_func", None)) is FunctionType
        and type(getattr(value, "targetoptions", None)) is dict
        and not getattr(value, "locals", None)
    )


def _is_numpy_number(value: Any) -> bool:
    """Whether a value is one of NumPy's numbers; told without loading NumPy."""
    return any((base.__module__, base.__name__) == ("numpy", "number") for base in type(value).__mro__)
