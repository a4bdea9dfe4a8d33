"""The page that shows everything made of the chapter in one folder; it needs no network and no script to be read."""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Literal

from downslope.book.making import File, Made, Table
from downslope.files import written_whole

__all__ = ["write_index"]

COLOURS = {
    "light": {"page": "#ffffff", "ink": "#1c2128", "muted": "#59626d", "rule": "#d5dae0", "raised": "#f5f7f9",
              "accent": "#0b62a8"},
    "dark": {"page": "#15181d", "ink": "#e9ebee", "muted": "#a4adb8", "rule": "#343b45", "raised": "#1d2229",
             "accent": "#6cb6f5"},
}  # fmt: skip


def write_index(folder: Path, made: Sequence[Made], style: Literal["light", "dark"] = "light") -> Path:
    """Write `index.html` into a folder, about what was made there; return its path."""
    path = folder / "index.html"
    with written_whole(path) as temporary:
        temporary.write_text(_page(folder, made, style), encoding="utf-8")
    return path


def _page(folder: Path, made: Sequence[Made], style: Literal["light", "dark"]) -> str:
    colours = " ".join(f"--{name}: {colour};" for name, colour in COLOURS[style].items())
    css = f":root {{ color-scheme: {style}; {colours} }}\n{_packaged('index.css')}"
    numbered = [one for one in made if _number(one)]
    named = [one for one in made if not _number(one)]
    links = "".join(_links(group) for group in (numbered, named) if group)
    sections = "\n".join(_section(folder, one) for one in made)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>The chapter, alive</title>
<style>{css}</style>
</head>
<body>
<div class="frame">
<nav aria-label="Figures and listings">{links}</nav>
<main>
<h1>The chapter, alive</h1>
<p>The figures, printed runs and listings of the chapter “Optimizers” of <i>Neural Networks from Scratch in Python</i>
(Kinsley and Kukieła, 2020), made here by Downslope: every picture, table and animation on this page was computed,
none copied.</p>
<p class="muted">All learning rates and the run with decay 0.01 meet the book to every printed digit. The other runs are
chaotic: one rounding leads elsewhere. There the book's rows stand beside ours, and inside the spread of many runs.</p>
{sections}
</main>
</div>
<script>{_packaged("index.js")}</script>
</body>
</html>
"""


def _packaged(name: str) -> str:
    return resources.files("downslope.book").joinpath(name).read_text(encoding="utf-8")


def _number(made: Made) -> str | None:
    return made.key.removeprefix("fig") if made.key.startswith("fig") else None


def _links(group: Sequence[Made]) -> str:
    items = []
    for one in group:
        number, title = _number(one), html.escape(one.title)
        inside = f"<span>{number}</span><span>{title}</span>" if number else f"<span>{title}</span>"
        named = "" if number else ' class="named"'
        items.append(f'<li><a{named} href="#{one.key}">{inside}</a></li>')
    return f"<ol>{''.join(items)}</ol>"


def _section(folder: Path, made: Made) -> str:
    number = _number(made)
    head = f"<small>{number}</small>" if number else ""
    parts = [f"<h2>{head}{html.escape(made.title)}</h2>", f"<p>{html.escape(made.about)}</p>"]
    if not made.complete:
        parts.append('<p class="muted">Stopped before all of it was made.</p>')
    pictures = [file for file in made.files if file.role == "picture"]
    parts += [_figure(folder, file, made.about) for file in pictures[:1]]
    parts.append(_moving(made))
    parts += [_table(table) for table in made.tables]
    parts += [_figure(folder, file, made.about) for file in pictures[1:]]
    if made.script is not None:
        text = html.escape(made.script)
        parts.append(f"<details><summary>{html.escape(made.script_title)}</summary><pre>{text}</pre></details>")
    parts.append(_data(made))
    return f'<section id="{made.key}">\n' + "\n".join(part for part in parts if part) + "\n</section>"


def _figure(folder: Path, file: File, said: str) -> str:
    """Return a picture with its caption, but for one that says what already stands above."""
    about = html.escape(file.about)
    name = html.escape(file.name, quote=True)
    caption = "" if file.about == said else f"<figcaption>{about}</figcaption>"
    return (
        f'<figure><a href="{name}"><img src="{name}" alt="{about}"{_size(folder / file.name)} loading="lazy"></a>'
        f"{caption}</figure>"
    )


def _size(picture: Path) -> str:
    """Return a PNG's width and height as attributes, so that the page does not move while pictures load."""
    try:
        with picture.open("rb") as stream:
            head = stream.read(24)
    except OSError:
        return ""
    if len(head) < 24 or head[:8] != b"\x89PNG\r\n\x1a\n":
        return ""
    return f' width="{int.from_bytes(head[16:20], "big")}" height="{int.from_bytes(head[20:24], "big")}"'


def _moving(made: Made) -> str:
    """Return a button for the player, and links to the other forms; nothing moves before it is asked to."""
    words = {"animation": "GIF", "movie": "MP4", "player": "player"}
    moving = [file for file in made.files if file.role in words]
    if not moving:
        return ""
    player = next((file for file in moving if file.role == "player"), None)
    parts = []
    if player is not None:
        name, title = html.escape(player.name, quote=True), html.escape(f"Animation: {made.title}", quote=True)
        parts.append(
            f'<button type="button" hidden data-player="{name}" data-title="{title}">Show the animation</button>'
        )
    links = ", ".join(f'<a href="{html.escape(file.name, quote=True)}">{words[file.role]}</a>' for file in moving)
    parts.append(f"<span>Animation: {links}</span>")
    return f'<div class="play">{"".join(parts)}</div>'


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{html.escape(text)}</th>' for text in table.columns)
    rows = "".join(f"<tr>{''.join(f'<td>{html.escape(text)}</td>' for text in row)}</tr>" for row in table.rows)
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in table.notes)
    kind = " words" if table.words else ""
    return (
        f"<h3>{html.escape(table.title)}</h3>"
        f'<div class="table{kind}"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        + (f'<ul class="notes">{notes}</ul>' if notes else "")
    )


def _data(made: Made) -> str:
    files = [file for file in made.files if file.role == "data"]
    links = ", ".join(f'<a href="{html.escape(file.name, quote=True)}">{html.escape(file.name)}</a>' for file in files)
    return f'<p class="muted">Files: {links}</p>' if links else ""
