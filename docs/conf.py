"""The documentation site: bash tools/build_docs.sh."""
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "_ext")]

from openmix.version import __version__  # noqa: E402

project = html_title = "openmix"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "method_cards", "stacked_boxes"]
source_suffix = {".md": "markdown", ".rst": "restructuredtext", ".myst": "markdown"}  # .myst: made by method_cards
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
myst_fence_as_directive = ["mermaid"]

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_inherit_docstrings = False
napoleon_use_ivar = True  # the fields of a named tuple are members already

html_theme = "furo"
html_static_path = ["_static"]
html_favicon = "_static/favicon.svg"
html_css_files = ["site.css"]
html_show_copyright = html_show_sphinx = html_copy_source = False
linkcheck_anchors = False
