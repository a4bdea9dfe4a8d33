"""Compiled code on disk and in memory: for which processor, under which key, and how it becomes a function.

Numba turns a kernel into object code once (`build`); later processes load that from disk by llvmlite alone, in a few
milliseconds and without importing Numba. A file's name is a hash of all that shapes the code: the sources of the
kernels, the rule's own behaviour, versions, and the processor. Its content is checked by a digest before it is run.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm

from downslope.errors import InputError
from downslope.files import written_whole

__all__ = ["Machine", "cache_directory", "load", "machine_key", "stored", "target_machine"]

PACKAGE = Path(__file__).parents[2]
# What the kernels are made from, beside this folder: codes come from the order of the tables, keys from the streams.
OTHER_SOURCES = (
    "engines/guard.py", "engines/judge.py", "exact.py", "streams.py", "network/activations.py", "network/losses.py",
)  # fmt: skip
MOST_FILES = 1024

Machine = tuple[str, str]


def machine() -> Machine:
    """Return name and features of the processor to compile for; NUMBA_CPU_NAME and NUMBA_CPU_FEATURES override it."""
    name, features = os.environ.get("NUMBA_CPU_NAME"), os.environ.get("NUMBA_CPU_FEATURES")
    if name is None:
        return llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten() if features is None else features
    return name, features or ""


@lru_cache(maxsize=1)
def target_machine() -> Any:
    """Return what emits and loads machine code here."""
    with suppress(RuntimeError):  # newer versions of llvmlite do it by themselves
        llvm.initialize()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    name, features = machine()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(cpu=name, features=features, opt=3, jit=True, codemodel="jitdefault")


@lru_cache(maxsize=1)
def machine_key() -> str:
    """Return a hash of what shapes all compiled code alike: processor, versions, sources of the kernels."""
    digest = hashlib.blake2b(digest_size=16)
    told = [*machine(), sys.version.split()[0], version("numba"), version("llvmlite"), llvm.get_process_triple()]
    digest.update(json.dumps(told).encode())
    folder = Path(__file__).parent
    for path in (*sorted(folder.glob("*.py")), *(PACKAGE / name for name in OTHER_SOURCES)):
        digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def cache_directory() -> Path | None:
    """Return where compiled code is kept: DOWNSLOPE_CACHE, or the platform's own place; None where "" says nowhere."""
    chosen = os.environ.get("DOWNSLOPE_CACHE")
    if chosen is not None:
        return Path(chosen) if chosen else None
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "downslope"


def stored(name: str, key: str | None, build: Callable[[], tuple[str, bytes]]) -> tuple[str, bytes]:
    """Return symbol and object code from disk, or build them and keep them there.

    Parameters
    ----------
    name : str
        What the code is called in the file's name.
    key : str or None
        What distinguishes it beside the machine; None where it cannot be told, and nothing may be kept.
    build : callable
        Makes symbol and object code. Where the disk refuses, the code is used all the same.
    """
    directory = None if key is None else cache_directory()
    if directory is None or key is None:
        return build()
    told = hashlib.blake2b(f"{machine_key()} {name} {key}".encode(), digest_size=16).hexdigest()
    path = directory / f"{name}-{told}.o"
    found = _read(path, told)
    if found is not None:
        return found
    with _one_builder(path):
        return _read(path, told) or _built(path, told, build)


def _built(path: Path, told: str, build: Callable[[], tuple[str, bytes]]) -> tuple[str, bytes]:
    """Return what `build` makes, and keep it where the disk lets."""
    symbol, code = build()
    directory = path.parent
    header = json.dumps({"symbol": symbol, "digest": _digest(told, symbol, code)}).encode()
    with suppress(OSError, InputError):
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with written_whole(path) as temporary:
            temporary.write_bytes(header + b"\n" + code)
        _prune(directory)
    return symbol, code


def _digest(key: str, symbol: str, code: bytes) -> str:
    return hashlib.blake2b(f"{key} {symbol} ".encode("utf-8", "surrogatepass") + code).hexdigest()


@contextmanager
def _one_builder(path: Path) -> Iterator[None]:
    """Let other processes wait until this one has built a file, which may end however it likes.

    Where the disk or the system has no locks, each builds for itself.
    """
    handle = None
    with suppress(OSError, ImportError):
        import fcntl

        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if handle is not None:
            with suppress(OSError):
                path.with_suffix(".lock").unlink(missing_ok=True)
            os.close(handle)


def _read(path: Path, key: str) -> tuple[str, bytes] | None:
    """Return what a file of the cache holds; None where it is missing, broken or made for another key."""
    try:
        header, _, code = path.read_bytes().partition(b"\n")
        told = json.loads(header)
        symbol: str = told["symbol"]
        if told["digest"] != _digest(key, symbol, code):
            return None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    with suppress(OSError):
        os.utime(path)  # so that what is used is not what is pruned
    return symbol, code


def _prune(directory: Path) -> None:
    """Remove the files used longest ago, where there are too many."""
    files = sorted(directory.glob("*.o"), key=lambda path: path.stat().st_mtime)
    for path in files[:-MOST_FILES]:
        path.unlink(missing_ok=True)


_ENGINES: list[Any] = []  # what was loaded stays: functions point into it
_LOADING = threading.Lock()


def load(symbol: str, code: bytes, arguments: list[Any]) -> tuple[Callable[..., int], int]:
    """Return object code as a function that lets other threads run meanwhile, and its address.

    `arguments` are the ctypes of what the function takes.
    """
    with _LOADING:
        engine = llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine())
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
        engine.finalize_object()
        _ENGINES.append(engine)
        address = engine.get_function_address(symbol)
    # Numba's convention begins with places for a result and an error; neither is ever written to.
    function = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, *arguments)(address)
    nowhere = (ctypes.c_int64 * 2)()
    _ENGINES.append(nowhere)
    place = ctypes.addressof(nowhere)
    return lambda *given: function(place, place + 8, *given), address
