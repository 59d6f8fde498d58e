"""Chapters as Sphinx reads them: each number that the text quotes is evaluated where it stands.

In a notebook, text quotes a number as an expression, ``{eval}`f"{accuracy:.1%}"```. Before each such cell comes a
hidden one that evaluates it in the kernel and glues its value, and at the end one that evaluates all of them again.
Checks, ``{eval}`holds(…)```, are evaluated likewise, stop the build where they fail, and leave nothing in the text. The
alt text of a figure, which stands in its cell's metadata, quotes and checks in the same way, after its cell has run.
"""

import ast
import os
from pathlib import Path

import nbformat
from quotes import CHECK, QUOTE, alt_of, key_of, title_of


def let_kernels_find_quotes() -> None:
    """Put this folder on the path of the kernels that are started from now on, for the cells that are inserted."""
    paths = [str(Path(__file__).resolve().parent), os.environ.get("PYTHONPATH", "")]
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, paths))


def read(text: str) -> nbformat.NotebookNode:
    """Read a chapter for the site: with cells for its quotes, and links to pages as they lie below `book/`."""
    notebook = with_quotes(nbformat.reads(text, as_version=4))
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = _with_keys(cell.source).replace("](../book/", "](../")
        elif alt := alt_of(cell):
            cell.metadata.mystnb.image.alt = _with_keys(alt)
    return notebook


def _with_keys(text: str) -> str:
    """Take the checks out of a text, and put keys in place of the expressions."""
    return QUOTE.sub(lambda match: f"{{glue:text}}`{key_of(match[1])}`", CHECK.sub("", text))


def with_quotes(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Insert the cells that evaluate what the text quotes, in place and at the end.

    Raises
    ------
    ValueError
        If an expression is no Python. The message names the chapter and the expression.
    """
    title, cells = title_of(notebook.cells), []
    for cell in notebook.cells:
        text = cell.source if cell.cell_type == "markdown" else alt_of(cell)
        around = [cell]
        if quoted := QUOTE.findall(text):
            for expression in quoted:
                _check_syntax(expression, title)
            lines = [f"quote({expression!r}, {title!r})" for expression in dict.fromkeys(quoted)]
            around.insert(0 if cell.cell_type == "markdown" else 1, _hidden("quote", *lines))
        cells += around
    if len(cells) > len(notebook.cells):
        cells.append(_hidden("check_quotes", f"check_quotes({title!r})"))
    return nbformat.from_dict(notebook | {"cells": cells})


def _check_syntax(expression: str, title: str) -> None:
    try:
        ast.parse(expression, mode="eval")
    except SyntaxError as error:
        raise ValueError(f"{title}: the text quotes {expression}, which is no Python: {error.msg}") from None


def _hidden(name: str, *lines: str) -> nbformat.NotebookNode:
    source = "\n".join([f"from quotes import {name}", "", *lines])
    return nbformat.v4.new_code_cell(source, metadata={"tags": ["remove-cell"]})
