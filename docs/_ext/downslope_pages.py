"""The Sphinx extension of this site: pages from records, symbols, a check that every public name is documented."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import record_pages
from docutils import nodes
from formula_html import symbol_html
from gallery_pictures import PLAYERS
from sphinx.application import Sphinx
from sphinx.util import logging

import downslope as ds

__all__ = ["setup"]

OR = re.compile(r"^ *[a-z_0-9]+(, [a-z_0-9]+)* or [a-z_0-9]+$")
logger = logging.getLogger(__name__)


def _write_pages(app: Sphinx) -> None:
    record_pages.write_pages(Path(app.srcdir), lambda text: logger.info("drawing %s", text))


def _symbol(
    name: str, rawtext: str, text: str, lineno: int, inliner: Any, options: Any = None, content: Any = None
) -> Any:
    return [nodes.raw("", symbol_html(text), format="html")], []


def _readable(app: Sphinx, what: str, name: str, value: Any, options: Any, lines: list[str]) -> None:
    """Tell Sphinx what the docstrings mean; it comes before napoleon reads their sections."""
    # |x| is an absolute value, not a substitution.
    lines[:] = [line.replace("|", "\\|") if ">>>" not in line else line for line in lines]
    # "accuracy or r2" names a field of two names, not one of the type "accuracy or".
    lines[:] = [OR.sub(lambda found: re.sub(r", | or ", "/", found[0]), line) for line in lines]
    if what in ("property", "attribute"):  # "The state: everything that changes" begins with no type
        lines.insert(0, "")


def _signature(app: Sphinx, what: str, name: str, value: Any, options: Any, given: str | None, returned: Any) -> Any:
    """Show a default that only marks "not given" as an ellipsis."""
    return (given.replace("<object object>", "…"), returned) if given else None


def _check_names(app: Sphinx, env: Any) -> None:
    """Warn of every public name that no page documents or that has no docstring; warnings end the build."""
    documented = env.domains.python_domain.objects
    for name in (name for names in record_pages.public_names().values() for name in names):
        if f"downslope.{name}" not in documented:
            logger.warning("the public name downslope.%s is on no page", name)
        elif not (getattr(ds, name).__doc__ or "").strip():
            logger.warning("the public name downslope.%s has no docstring", name)


def _copy_players(app: Sphinx, error: Exception | None) -> None:
    """Lay the gallery's players beside the pages that show them."""
    for player in [] if error else sorted((Path(app.srcdir) / PLAYERS).glob("*.html")):
        place = Path(app.outdir) / PLAYERS / player.name
        place.parent.mkdir(exist_ok=True)
        shutil.copyfile(player, place)


def setup(app: Sphinx) -> dict[str, Any]:
    """Connect everything."""
    app.add_role("symbol", _symbol)
    app.connect("builder-inited", _write_pages, priority=400)
    app.connect("autodoc-process-docstring", _readable, priority=400)
    app.connect("autodoc-process-signature", _signature)
    app.connect("env-check-consistency", _check_names)
    app.connect("build-finished", _copy_players)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
