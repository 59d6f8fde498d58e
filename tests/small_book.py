"""A small book of Markdown pages, built by Sphinx with some of the real book's extensions."""

from pathlib import Path

from bs4 import BeautifulSoup
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

OPTIONS = {
    "root_doc": "index",
    "myst_enable_extensions": ["colon_fence", "deflist", "dollarmath"],
    "myst_heading_anchors": 3,
}


def build_small_book(folder: Path, pages: dict[str, str], extension: str) -> None:
    """Write pages, given by name and text, into a folder, and build them there; every warning is an error."""
    for name, text in pages.items():
        path = folder / f"{name}.md"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    names = "\n".join(sorted(pages))
    (folder / "index.md").write_text(f"# Contents\n\n```{{toctree}}\n{names}\n```\n", encoding="utf-8")
    options = OPTIONS | {"extensions": ["myst_parser", extension]}
    with docutils_namespace():
        Sphinx(folder, None, folder / "_out", folder / "_trees", "html", options, None, None, False, True).build()


def built_page(folder: Path, name: str) -> BeautifulSoup:
    """Give a page's text as it was built."""
    html = (folder / "_out" / f"{name}.html").read_text(encoding="utf-8")
    return BeautifulSoup(html, "html.parser").select_one("div[role=main]")
