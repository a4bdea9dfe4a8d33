"""How the documentation is built: `make docs`."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

import downslope  # noqa: E402

project = "Downslope"
author = "The Downslope authors"
copyright = f"2026, {author}"
release = downslope.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_gallery.gen_gallery",
    "downslope_pages",
    "executed",
]
exclude_patterns = [
    "_build",
    "_pictures",
    "_players",
    "_ext",
    "gallery",
    "**/sg_execution_times.rst",
    "examples/*.ipynb",
]
default_role = "literal"  # one backtick in a docstring is code
nitpicky = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "none"  # the docstrings tell types in words
autodoc_member_order = "bysource"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True  # fields of a record are told once
napoleon_custom_sections = ["State", "Where", ("Formula", "notes_style")]
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "Downslope"
html_static_path = ["_static"]
html_css_files = ["downslope.css"]
html_copy_source = False
html_show_sourcelink = False
pygments_style = "friendly"
pygments_dark_style = "github-dark"

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    "filename_pattern": r"\.py$",
    "image_scrapers": ("gallery_pictures.scrape",),
    "reset_modules": ("gallery_pictures.start",),
    "reset_modules_order": "before",
    "within_subsection_order": "FileNameSortKey",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1_000_000,
    "plot_gallery": True,
    "write_computation_times": False,
    "thumbnail_size": (400, 310),
    "nested_sections": False,
}
