"""Configure Sphinx: sphinx-build -W docs DIRECTORY builds the documentation."""

import re
import sys
from pathlib import Path

import fastmlp

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "fastmlp"
author = "The fastmlp authors"
copyright = author
version = release = fastmlp.__version__

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "sphinx_design",
    "benchmark_results",
    "command_help",
    "figure_gallery",
    "mathml",
]
exclude_patterns = ["_build"]
suppress_warnings = ["config.cache"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

default_role = "code"
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings name types in words
html_math_renderer = "mathml"
numpydoc_show_class_members = False
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "pydata_sphinx_theme"
html_title = "fastmlp"
html_static_path = ["_static"]
html_css_files = ["fastmlp.css"]
html_favicon = "_static/mark.svg"
html_theme_options = {
    "logo": {
        "image_light": "_static/mark.svg",
        "image_dark": "_static/mark.svg",
        "text": "fastmlp",
    },
    "navbar_align": "left",
    "navbar_center": [],  # the sidebar lists all pages
    "navbar_end": ["theme-switcher"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_prev_next": True,
    "secondary_sidebar_items": ["page-toc"],
    "pygments_light_style": "a11y-light",
    "pygments_dark_style": "a11y-dark",
}
templates_path = ["_templates"]
html_sidebars = {"**": ["sidebar-groups.html"]}
html_show_sourcelink = False
html_copy_source = False

copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True


def _plain(app, what, name, obj, options, lines):
    """Escape |w| and val_ in docstrings, which reStructuredText would interpret."""
    for i, line in enumerate(lines):
        if line.lstrip().startswith((">>>", "...")):
            continue
        parts = re.split(r"(``.*?``|`[^`]*`_?)", line)
        parts[::2] = [re.sub(r"\||(?<=\w)_(?!\w)", r"\\\g<0>", part) for part in parts[::2]]
        lines[i] = "".join(parts)


def setup(app):
    """Register the hook after that of numpydoc."""
    app.connect("autodoc-process-docstring", _plain, priority=900)
