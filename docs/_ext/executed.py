"""Directives that run what a page shows, so that every output on it is what really happened.

`{commands}` runs lines that begin with `$ ` in a folder of the page's own and shows what they print; `{python}` runs
Python, one namespace a page, and shows what is printed and the picture that the last expression is. Code that fails is
a warning, and so ends the build, unless the option `fails` names words of the error that is meant.
"""

from __future__ import annotations

import ast
import contextlib
import io
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

__all__ = ["setup"]

PICTURES = "_pictures"
_folders: dict[str, tempfile.TemporaryDirectory[str]] = {}
_names: dict[str, dict[str, Any]] = {}


class _Executed(SphinxDirective):
    has_content = True
    option_spec: ClassVar[dict[str, Any]] = {
        "lines": directives.nonnegative_int,  # of the output; the others become an ellipsis
        "fails": directives.unchanged_required,  # words of the error that is meant to be shown
        "picture": directives.unchanged,  # a file it wrote, shown after the output
        "alt": directives.unchanged,
        "quiet": directives.flag,  # run, and not shown
    }

    @property
    def folder(self) -> Path:
        page = self.env.docname
        if page not in _folders:
            _folders[page] = tempfile.TemporaryDirectory(prefix="downslope-docs-")
        return Path(_folders[page].name)

    def fitted(self, text: str) -> str:
        """Return the output's first lines, as many as asked for."""
        lines = text.rstrip().splitlines()
        most = self.options.get("lines", len(lines))
        return "\n".join([*lines[:most], *(["…"] if most < len(lines) else [])])

    def shown(self, text: str, language: str) -> nodes.Node:
        block = nodes.literal_block(text, text, language=language)
        self.set_source_info(block)
        return block

    def pictures(self, file: Path | None) -> list[nodes.Node]:
        if file is None:
            return []
        place = Path(self.env.srcdir) / PICTURES
        place.mkdir(exist_ok=True)
        name = f"{self.env.docname.replace('/', '-')}-{self.lineno}{file.suffix}"
        shutil.copyfile(file, place / name)
        image = nodes.image(uri=f"/{PICTURES}/{name}", alt=self.options.get("alt", ""), width="800px")
        image["classes"].append("drawn")
        return [image]

    def named_picture(self) -> Path | None:
        name = self.options.get("picture")
        return None if name is None else self.folder / name

    def failed(self, told: str) -> list[nodes.Node]:
        return [self.state.document.reporter.warning(f"what the page shows did not run: {told}", line=self.lineno)]


class Commands(_Executed):
    """Run command lines and show what they print."""

    def run(self) -> list[nodes.Node]:
        """Return the commands with their outputs as one block."""
        shown: list[str] = []
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
        for command in ("\n" + "\n".join(self.content)).split("\n$ ")[1:]:
            line = f"$ {command}"
            done = subprocess.run(
                command, shell=True, cwd=self.folder, capture_output=True, text=True, check=False,
                env={**os.environ, "PATH": path, "COLUMNS": "100", "NO_COLOR": "1"},
            )  # fmt: skip
            if (done.returncode != 0) != ("fails" in self.options) or self.options.get("fails", "") not in done.stderr:
                return self.failed(f"{line!r} ended with status {done.returncode}: {done.stderr.strip()[-400:]}")
            output = self.fitted(done.stdout + (done.stderr if "fails" in self.options else ""))
            shown += [line, *([output] if output else [])]
        if "quiet" in self.options:
            return self.pictures(self.named_picture())
        block = self.shown("\n".join(shown), "console")
        block["classes"].append("commands")
        return [block, *self.pictures(self.named_picture())]


class Python(_Executed):
    """Run Python and show it, what it prints, and its last value if that is a picture or is worth a line."""

    def run(self) -> list[nodes.Node]:
        """Return the code, its output and its picture."""
        code = "\n".join(self.content)
        names = _names.setdefault(self.env.docname, {"__name__": "__page__"})
        printed, before = io.StringIO(), Path.cwd()
        script = self.folder / f"line-{self.lineno}.py"  # so that `inspect` finds a rule's source
        script.write_text(code, encoding="utf-8")
        value, error = None, ""
        os.chdir(self.folder)
        try:
            with contextlib.redirect_stdout(printed):
                value = _executed(code, str(script), names)
        except Exception as wrong:
            error = f"{type(wrong).__module__}.{type(wrong).__qualname__}: {wrong}"
            if "fails" not in self.options:
                return self.failed(traceback.format_exc(limit=-2))
        finally:
            os.chdir(before)
        if "fails" in self.options and (not error or self.options["fails"] not in error):
            return self.failed(f"it was meant to fail otherwise than {error!r}")
        found: list[nodes.Node] = [] if "quiet" in self.options else [self.shown(code, "python")]
        picture, told = self.named_picture(), printed.getvalue() + error
        if hasattr(value, "savefig"):
            picture = self.folder / f"picture-{self.lineno}.png"
            value.savefig(picture, dpi=200, facecolor=value.get_facecolor())
        elif value is not None:
            told += repr(value)
        if told.strip():
            output = self.shown(self.fitted(told), "text")
            output["classes"].append("output")
            found.append(output)
        return [*found, *self.pictures(picture)]


def _executed(code: str, file: str, names: dict[str, Any]) -> Any:
    """Execute statements and return the value of the last one, if it is an expression."""
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, file, "exec"), names)
    return None if last is None else eval(compile(ast.Expression(last.value), file, "eval"), names)


def _forget(app: Sphinx, env: Any, page: str) -> None:
    """Let a page that is read anew start in an empty folder, with no names."""
    _names.pop(page, None)
    if page in _folders:
        _folders.pop(page).cleanup()


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("commands", Commands)
    app.add_directive("python", Python)
    app.connect("env-purge-doc", _forget)
    return {"version": "1", "parallel_read_safe": False, "parallel_write_safe": True}  # a fork would have no threads
