"""How long a chapter takes to read and to run, worked out when the site is built.

A chapter's box *Before you start* is given a line with both. Other pages ask with ``{reading}`notebooks/…` `` and
``{running}`notebooks/…` ``; pages with commas between them, and those that fit a pattern such as
``notebooks/0[12]_*``, are added up, and ``page#section`` is one section.
"""

import fnmatch
import math
import re

import nbformat
from docutils import nodes
from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.util import logging

WORDS_A_MINUTE = 200
SECONDS_A_CELL = 20  # for the code and for what it shows
BEFORE = "Before you start"
NOT_READ = (nodes.literal_block, nodes.math_block, nodes.raw, nodes.comment, nodes.system_message)


def counted(node: nodes.Node) -> tuple[int, int]:
    """Count the words of the text and the cells of code that are to be read; what is folded away is not."""
    if isinstance(node, nodes.Text):
        return len(re.findall(r"\S*\w\S*", node)), 0
    if isinstance(node, NOT_READ) or "dropdown" in node.get("classes", ()):
        return 0, 0
    if node.get("nb_element") == "cell_code":
        return 0, 1
    counts = [counted(child) for child in node.children]
    return sum(words for words, _ in counts), sum(cells for _, cells in counts)


def reading(words: int, cells: int) -> str:
    """Say how long it takes to read so many words and cells of code."""
    return duration(60 * words / WORDS_A_MINUTE + SECONDS_A_CELL * cells)


def duration(seconds: float) -> str:
    """Say a time in words, rounded up: to tens of seconds, to minutes above 90 s, to tens of them above 90 minutes."""
    if seconds <= 90:
        return f"{10 * max(1, math.ceil(seconds / 10))} seconds"
    minutes = math.ceil(seconds / 60)
    if minutes <= 90:
        return f"{minutes} minutes"
    hours, tens = divmod(math.ceil(minutes / 10), 6)
    return f"{hours} hours" + (f" {10 * tens} minutes" if tens else "") if hours > 1 else f"1 hour {10 * tens} minutes"


class Asked(nodes.inline):
    """Where a page asks for a time, which is known when all pages have been read."""


def role(name, rawtext, text, lineno, inliner, options=None, content=()):
    """Leave a mark for ``{reading}`` or ``{running}``."""
    node = Asked(rawtext, "", kind=name, targets=re.split(r",\s*", text))
    inliner.document.settings.env.metadata[inliner.document.settings.env.docname]["asks for minutes"] = True
    node.source, node.line = inliner.reporter.get_source_and_line(lineno)
    return [node], []


def count_page(app, doctree) -> None:
    """Keep what a page, and each of its sections, has to be read."""
    sections = {name: counted(section) for section in doctree.findall(nodes.section) for name in section["ids"]}
    app.env.metadata[app.env.docname]["to be read"] = sections | {"": counted(doctree)}


def pages_that_ask(app, env) -> list[str]:
    """Name the pages to be written anew, because another one may be longer or slower now."""
    return [page for page, kept in env.metadata.items() if "asks for minutes" in kept]


def seconds_to_run(env, page: str) -> float | None:
    """Give how long a chapter's own execution took; None if it was not measured."""
    executed = NbMetadataCollector.get_exec_data(env, page)
    return executed and executed["runtime"]


def answer(env, kind: str, targets: list[str]) -> str:
    """Add up what was asked for, and say it in words.

    Raises
    ------
    KeyError
        If there is no such page or section, or the page's execution was not measured.
    """
    wanted = []
    for pattern, _, section in (target.partition("#") for target in targets):
        pages = fnmatch.filter(env.found_docs, pattern)
        if not pages:
            raise KeyError(pattern)
        wanted += [(page, section) for page in pages]
    if kind == "reading":
        counts = [env.metadata[page]["to be read"][section] for page, section in wanted]
        return reading(*map(sum, zip(*counts, strict=True)))
    seconds = {page: seconds_to_run(env, page) for page, _ in wanted}
    for page, taken in seconds.items():
        if taken is None:
            raise KeyError(page)
    return duration(sum(seconds.values()))


def line(env, page: str) -> str:
    """Say of a chapter how long it takes to read and, if that was measured, to run."""
    text = f"Reading: about {answer(env, 'reading', [page])}."
    if seconds_to_run(env, page) is None:
        return text
    return f"{text} Running: about {answer(env, 'running', [page])} on the machine that built this page."


def fill_in(app, doctree, docname) -> None:
    """Write the line into the box, and the times that are asked for into their places."""
    for box in doctree.findall(nodes.admonition):
        if box.children and box[0].astext() == BEFORE:
            box += nodes.paragraph("", line(app.env, docname))
    for asked in list(doctree.findall(Asked)):
        try:
            text = answer(app.env, asked["kind"], asked["targets"])
        except KeyError as error:
            logging.getLogger(__name__).warning("There are no minutes of %s.", error, location=asked)
            text = "?"
        asked.replace_self(nodes.Text(text))


def with_line(notebook: nbformat.NotebookNode, text: str) -> nbformat.NotebookNode:
    """Write the line into the box of a chapter as a notebook."""
    cells = [dict(cell) for cell in notebook.cells]
    for cell in cells:
        if cell["cell_type"] == "markdown":
            cell["source"] = re.sub(
                rf"^(:::\{{admonition\}} {BEFORE}\n.*?)\n:::$",
                lambda box: f"{box[1]}\n\n{text}\n:::",
                cell["source"],
                flags=re.DOTALL | re.MULTILINE,
            )
    return nbformat.from_dict(notebook | {"cells": cells})


def setup(app):
    app.add_role("reading", role)
    app.add_role("running", role)
    app.connect("doctree-read", count_page)
    app.connect("env-updated", pages_that_ask)
    app.connect("doctree-resolved", fill_in)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
