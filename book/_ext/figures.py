"""Figures that belong to their page: their SVG stands in it, in the colours of its theme, with their numbers below.

In a notebook a figure has literal colours. Here each becomes a variable, which `assets/cracking.css` gives a value for
either theme, with the literal one to fall back to. What a chart shows lies folded below it as a table.
"""

import base64
import html
import json
import re
from itertools import zip_longest
from pathlib import Path
from typing import ClassVar
from xml.dom import minidom

from docutils import nodes
from docutils.parsers.rst import directives
from myst_nb.ext.glue.utils import create_pending_glue_ref
from plain_notebooks import VALUE, quoted_values
from sphinx.util.docutils import SphinxDirective

from mnist_helpers.figure import COLOURS, GREY, GRID, INK, PAPER

NAMES = {PAPER: "paper", INK: "ink", GREY: "grey", GRID: "grid"} | {
    colour: f"colour-{number}" for number, colour in enumerate(COLOURS, 1)
}
COLOUR = re.compile(rf"(?:{'|'.join(NAMES)})\b")
STILL = re.compile(r'<img src="data:image/svg\+xml;base64,([\w+/=]+)" alt="([^"]*)">(.*?</figure>)', re.DOTALL)
SUMMARY = "The numbers of this figure"


class ChapterFigure(SphinxDirective):
    """Show a figure that a chapter glued, with alt text and a caption; myst-nb's own stays within one page."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {
        "doc": directives.unchanged_required,
        "alt": directives.unchanged_required,
        "name": directives.unchanged,
    }

    def run(self):
        figure = nodes.figure(alt=self.options["alt"])
        source, line = self.get_source_info()
        figure += create_pending_glue_ref(self.state.document, source, line, self.options["doc"], self.arguments[0])
        caption, _ = self.state.inline_text(" ".join(self.content), self.lineno)
        figure += nodes.caption("", "", *caption)
        self.add_name(figure)
        return [figure]


def inline(svg: str, alt: str) -> tuple[str, str]:
    """Give an SVG as it stands in a page, and its numbers as a folded table, or nothing if it has none."""
    root = minidom.parseString(svg).documentElement
    numbers = ""
    for metadata in root.getElementsByTagName("metadata"):
        numbers = table(json.loads(metadata.firstChild.data))
        root.removeChild(metadata)
    for name, value in {"class": "figure", "role": "img", "aria-label": alt}.items():
        root.setAttribute(name, value)
    themed = COLOUR.sub(lambda found: f"var(--figure-{NAMES[found[0]]},{found[0]})", root.toxml())
    return themed, numbers


def table(columns: dict[str, list[str]]) -> str:
    """Write columns as a table that lies folded."""
    titles = "".join(f'<th scope="col">{html.escape(title)}</th>' for title in columns)
    rows = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th>{"".join(f"<td>{html.escape(cell)}</td>" for cell in cells)}</tr>'
        for name, *cells in zip_longest(*columns.values(), fillvalue="")
    )
    return (
        f'<details class="numbers"><summary>{SUMMARY}</summary><div role="region" aria-label="{SUMMARY}" tabindex="0">'
        f"<table><thead><tr>{titles}</tr></thead><tbody>{rows}</tbody></table></div></details>"
    )


def inline_figures(app, doctree, docname) -> None:
    """Put the SVG of each figure, and of each still of a panel, into a page."""
    if app.builder.format != "html":
        return
    values = quoted_values(Path(app.outdir).parent / "jupyter_execute" / f"{docname}.ipynb")
    for image in list(doctree.findall(nodes.image)):
        path = Path(app.srcdir, image["uri"])
        if path.suffix == ".svg" and path.parent.name == "jupyter_execute":
            around = image.parent
            alt = VALUE.sub(lambda quoted: str(values[quoted[1]]), image.get("alt") or around.get("alt", ""))
            svg, numbers = inline(path.read_text(encoding="utf-8"), alt)
            image.replace_self(raw(svg))
            if numbers:
                around.parent.insert(around.parent.index(around) + 1, raw(numbers))
    for text in list(doctree.findall(nodes.raw)):
        if "<mnist-lab" in text.astext():
            text.replace_self(raw(STILL.sub(_inline_still, text.astext())))


def raw(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def _inline_still(found: re.Match) -> str:
    packed, alt, caption = found.groups()
    svg, numbers = inline(base64.b64decode(packed).decode(), html.unescape(alt))
    return f"{svg}{caption}{numbers}"


def setup(app):
    app.add_directive("chapter-figure", ChapterFigure)
    app.connect("doctree-resolved", inline_figures)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
