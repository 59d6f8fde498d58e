"""The exercises of all chapters in one notebook, without their solutions, for a class.

It is made from the plain notebooks, beside which it is put to work: each chapter's part begins by running the chapter.
"""

import re

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell

HANDOUT = "cracking-99-exercises.ipynb"
OPENING = """\
# {book}: exercises

Three exercises for each chapter, without their solutions. Put this notebook beside those of the chapters. Each part
begins with a cell that runs its chapter, which may take some minutes, so that your answers can use what the chapter has
computed."""
RUN = "%%capture\n%run {name}"
ANSWER = "# Your answer"


def handout(book: str, chapters: dict[str, nbformat.NotebookNode]) -> nbformat.NotebookNode:
    """Make one notebook of the exercises.

    Parameters
    ----------
    book : str
        The title of the book.
    chapters : dict of str to NotebookNode
        The plain notebooks by file name, in the order of the book.
    """
    cells = [new_markdown_cell(OPENING.format(book=book), id="opening")]
    for name, chapter in chapters.items():
        stem, number = name.removesuffix(".ipynb"), int(name[:2])
        title = re.match("# (.+)", chapter.cells[0].source)[1]
        cells.append(new_markdown_cell(f"## {number}. [{title}]({name})", id=stem))
        cells.append(new_code_cell(RUN.format(name=name), id=f"{stem}-run"))
        for position, text in enumerate(exercises(chapter), 1):
            cells.append(new_markdown_cell(text, id=f"{stem}-{position}"))
            cells.append(new_code_cell(ANSWER, id=f"{stem}-{position}-answer"))
    kept = {name: chapter.metadata[name] for name in ("kernelspec", "language_info")}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=kept)
    nbformat.validate(notebook)
    return notebook


def exercises(chapter: nbformat.NotebookNode) -> list[str]:
    """Give the texts of a plain notebook's exercises."""
    texts = [cell.source if cell.cell_type == "markdown" else "" for cell in chapter.cells]
    begin = next(number for number, text in enumerate(texts) if text.endswith("## Exercises"))
    end = next(number for number, text in enumerate(texts) if text.startswith("## Take-away"))
    return [text for text in texts[begin:end] if text.startswith("### ")]
