"""The handout: every exercise, no solution, and a cell that computes what the exercises build on."""

import nbclient
import nbformat
import pytest
from handout import exercises, handout
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

NAME = "01_one.ipynb"


@pytest.fixture
def chapter():
    """A chapter as a plain notebook, its solution at the end."""
    cells = [
        new_markdown_cell("# One"),
        new_code_cell("share = 0.5"),
        new_markdown_cell("### No exercise\n\nA section."),
        new_markdown_cell("The last section.\n\n## Exercises"),
        new_markdown_cell("A chapter ends with exercises."),
        new_markdown_cell("### Half of it\n\n**Warm-up.** How much?"),
        new_markdown_cell("### All of it\n\n**Practice.** And now?"),
        new_markdown_cell("## Take-away\n\n* Shares are shares."),
        new_markdown_cell("## Solutions"),
        new_markdown_cell("### Solution: Half of it"),
        new_code_cell("print('A quarter.')"),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def test_the_exercises_of_a_chapter_come_in_order_and_nothing_else(chapter):
    assert exercises(chapter) == ["### Half of it\n\n**Warm-up.** How much?", "### All of it\n\n**Practice.** And now?"]


def test_the_handout_has_a_place_for_each_answer_and_no_solution(chapter):
    made = handout("The book", {NAME: chapter})
    nbformat.validate(made)
    sources = [cell.source for cell in made.cells]
    assert sources[0].startswith("# The book: exercises\n")
    assert sources[1] == "## 1. [One](01_one.ipynb)"
    assert [sources[3], sources[5]] == exercises(chapter)
    assert [cell.cell_type for cell in made.cells[3:]] == ["markdown", "code"] * 2
    assert "quarter" not in nbformat.writes(made) and "### Solution" not in nbformat.writes(made)


def test_beside_its_chapter_the_handout_has_what_the_chapter_computed(chapter, tmp_path):
    nbformat.write(chapter, tmp_path / NAME)
    made = handout("The book", {NAME: chapter})
    made.cells[-1].source = "print(share)"
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(made, kernel_name="python3", resources=resources).execute()
    assert made.cells[-1].outputs[0].text == "0.5\n"
    assert made.cells[2].outputs == []
