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
from plain_notebooks import VALUE, quoted_values
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from mnist_helpers.figure import COLOURS, GREY, GRID, INK, PAPER

NAMES = {PAPER: "paper", INK: "ink", GREY: "grey", GRID: "grid"} | {
    colour: f"colour-{number}" for number, colour in enumerate(COLOURS, 1)
}
COLOUR = re.compile(rf"(?:{'|'.join(NAMES)})\b")
STILL = re.compile(r'<img src="data:image/svg\+xml;base64,([\w+/=]+)" alt="([^"]*)">(.*?</figure>)', re.DOTALL)
logger = logging.getLogger(__name__)
SUMMARY = "The numbers of this figure"


class ChapterFigure(SphinxDirective):
    """Show a figure that a chapter glued, with alt text and a caption; myst-nb's own knows no SVG of another page."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {
        "doc": directives.unchanged_required,
        "alt": directives.unchanged_required,
        "name": directives.unchanged,
    }

    def run(self):
        chapter = self.options["doc"].removesuffix(".ipynb")
        figure = nodes.figure(glued=(chapter, self.arguments[0]), alt=self.options["alt"])
        self.set_source_info(figure)
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
    executed = Path(app.outdir).parent / "jupyter_execute"
    for figure in list(doctree.findall(lambda node: "glued" in getattr(node, "attributes", ()))):
        chapter, name = figure["glued"]
        glued = json.loads((executed / f"{chapter}.glue.json").read_text(encoding="utf-8"))
        if name in glued:
            figure.insert(0, nodes.image(alt=figure["alt"]))
            put(figure[0], glued[name]["data"]["image/svg+xml"])
        else:
            logger.warning("%s hands over no figure of the name %s.", chapter, name, location=figure)
    values = quoted_values(executed / f"{docname}.ipynb")
    for image in list(doctree.findall(nodes.image)):
        path = Path(app.srcdir, image["uri"])
        if path.suffix == ".svg" and path.parent.name == "jupyter_execute":
            image["alt"] = VALUE.sub(lambda quoted: str(values[quoted[1]]), image.get("alt", ""))
            put(image, path.read_text(encoding="utf-8"))
    for text in list(doctree.findall(nodes.raw)):
        if "<mnist-lab" in text.astext():
            text.replace_self(raw(STILL.sub(_inline_still, text.astext())))


def put(image: nodes.image, svg: str) -> None:
    """Put an SVG in the place of an image, and its numbers below the figure that this is in."""
    svg, numbers = inline(svg, image["alt"])
    figure = image.parent
    image.replace_self(raw(svg))
    if numbers:
        figure.parent.insert(figure.parent.index(figure) + 1, raw(numbers))


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
