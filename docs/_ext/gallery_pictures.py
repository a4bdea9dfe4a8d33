"""What a gallery script made: Figures among its names (no pyplot is needed) and animations it wrote."""

from __future__ import annotations

import html
import shutil
from pathlib import Path
from typing import Any

__all__ = ["PLAYERS", "scrape", "start"]

MOVIES = (".gif", ".html")
PICTURES = (".png", ".svg", ".pdf")
PLAYERS = "_players"
_seen: set[int] = set()
_kept: list[Any] = []  # so that no other object takes the identity of a Figure that was seen


def start(gallery_conf: dict[str, Any], file: str, when: str | None = None) -> None:
    """Before each script: nothing was seen of it yet, and nothing of an older run lies beside it."""
    _seen.clear()
    _kept.clear()
    for path in _written(gallery_conf):
        path.unlink()


def scrape(block: tuple[Any, ...], block_vars: dict[str, Any], gallery_conf: dict[str, Any]) -> str:
    """Save what a block of a script made, and return the reStructuredText that shows it."""
    shown = []
    names = block_vars["example_globals"]
    for value in [one for held in names.values() for one in (held if isinstance(held, list | tuple) else [held])]:
        if hasattr(value, "savefig") and id(value) not in _seen:
            _seen.add(id(value))
            _kept.append(value)
            path = Path(next(block_vars["image_path_iterator"]))
            value.savefig(path, dpi=200, facecolor=value.get_facecolor())
            shown.append(_picture(path, gallery_conf))
    for file in _written(gallery_conf):
        if file.suffix in PICTURES:  # what a reader keeps; the page shows the Figure
            file.unlink()
            continue
        if file.suffix == ".gif":
            target = Path(next(block_vars["image_path_iterator"])).with_suffix(file.suffix)
            shown.append(_picture(target, gallery_conf))
        else:
            target = Path(gallery_conf["src_dir"]) / PLAYERS / f"{Path(block_vars['src_file']).stem}-{file.name}"
            shown.append(_player(target, file.name))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(file, target)
    return "\n\n".join(shown)


def _written(gallery_conf: dict[str, Any]) -> list[Path]:
    """Return the pictures and animations that lie beside the scripts, where none belongs."""
    folders = [Path(gallery_conf["src_dir"]) / folder for folder in _listed(gallery_conf["examples_dirs"])]
    return sorted(path for folder in folders for path in folder.iterdir() if path.suffix in MOVIES + PICTURES)


def _listed(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _picture(path: Path, gallery_conf: dict[str, Any]) -> str:
    place = "/" + path.relative_to(gallery_conf["src_dir"]).as_posix()
    return f".. image:: {place}\n   :class: drawn\n   :width: 800px\n   :alt: What the script draws"


def _player(path: Path, name: str) -> str:
    """Return a frame around a player, whose file is copied beside the pages at the end of the build."""
    title = html.escape(f"Animation: {name}")
    frame = f'<iframe class="player" src="../_players/{path.name}" title="{title}" loading="lazy"></iframe>'
    return f".. raw:: html\n\n   {frame}"
