"""Sections of notebooks that another page has too: written once, in the notebook, and taken over when a page is read.

In the page stands ``<!-- the section "Title" of notebooks/name.ipynb -->``. Of the section come all texts, and of
the code the challenges, as the panels that they are in the book's pages.
"""

import re
from pathlib import Path

import nbformat

TAKEN_OVER = re.compile(r'^<!-- the section "(.+)" of (notebooks/\w+\.ipynb) -->$', re.MULTILINE)
CHALLENGE = re.compile(r'challenge_panel\("(\w+)", \w+\)')


def section_of(notebook: nbformat.NotebookNode, title: str) -> str:
    """Give a section of a notebook as a page beside the folder of notebooks writes it."""
    parts = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(re.sub(r"\]\((\w+\.ipynb)", r"](notebooks/\1", cell.source))
        elif found := CHALLENGE.fullmatch(cell.source):
            parts.append(f'<mnist-lab view="challenge" which="{found[1]}"></mnist-lab>')
    (section,) = re.findall(rf"^## {re.escape(title)}\n.*?(?=^## |\Z)", "\n\n".join(parts), re.MULTILINE | re.DOTALL)
    return section.strip()


def take_sections_over(app, docname, source) -> None:
    """Put the sections into a page before it is read."""

    def section(found: re.Match) -> str:
        app.env.dependencies[docname].add(found[2])
        return section_of(nbformat.read(Path(app.srcdir) / found[2], as_version=4), found[1])

    source[0] = TAKEN_OVER.sub(section, source[0])


def setup(app):
    app.connect("source-read", take_sections_over)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
