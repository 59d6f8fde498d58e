"""A number in the text of a chapter is what its cells say, in place and at the end."""

import re

import nbclient
import nbformat
import pytest
from chapters import read, with_quotes
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_markdown_cell

from mnist_helpers.glue import key_of

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
SENTENCE = 'It reads {eval}`f"{share:.1%}"` of them.'


def chapter(*cells):
    cells = "md:# Training", *cells
    made = [new_markdown_cell(cell[3:]) if cell.startswith("md:") else new_code_cell(cell) for cell in cells]
    return nbformat.v4.new_notebook(cells=made, metadata=KERNEL)


def executed(notebook, folder):
    """Execute a chapter as the build does, in its own folder."""
    nbformat.write(notebook, folder / "04_training.ipynb")
    made = with_quotes(notebook)
    nbclient.NotebookClient(made, kernel_name="python3", resources={"metadata": {"path": str(folder)}}).execute()
    return made


def test_a_chapter_is_read_with_a_cell_for_what_each_text_quotes_and_one_at_the_end():
    text = nbformat.writes(chapter("share = 0.5", f"md:{SENTENCE} See [it](../book/speed.md).", "md:No number."))
    read_for_the_site = read(text)
    kinds = [cell.cell_type for cell in read_for_the_site.cells]
    assert kinds == ["markdown", "code", "code", "markdown", "markdown", "code"]
    _, _, quotes, shown, _, last = read_for_the_site.cells
    assert "quote('f\"{share:.1%}\"', 'Training')" in quotes.source
    assert "check_quotes('Training')" in last.source
    assert quotes.metadata.tags == last.metadata.tags == ["remove-cell"]
    key = key_of('f"{share:.1%}"')
    assert shown.source == f"It reads {{glue:text}}`{key}` of them. See [it](../speed.md)."


def test_an_edit_of_the_words_around_a_number_leaves_the_code_alone():
    """Otherwise each edit of a sentence would train its chapter again."""
    first = with_quotes(chapter("share = 0.5", f"md:{SENTENCE}"))
    second = with_quotes(chapter("share = 0.5", f"md:Believe it or not: {SENTENCE}"))
    assert [c.source for c in first.cells if c.cell_type == "code"] == [
        c.source for c in second.cells if c.cell_type == "code"
    ]


def test_what_the_text_quotes_arrives_once(tmp_path):
    made = executed(chapter("share = 0.5", f"md:{SENTENCE}", f"md:Again: {SENTENCE}"), tmp_path)
    (output,) = [output for cell in made.cells for output in cell.get("outputs", ())]
    assert output.metadata.scrapbook.name == key_of('f"{share:.1%}"')
    assert output.data["application/papermill.record/text/plain"] == "'50.0%'"


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        (["x = 1", f"md:First. {SENTENCE} Last."], "cannot be evaluated: NameError: name 'share' is not defined"),
        (["share = 0.5", f"md:First. {SENTENCE} Last.", "share = 0.6"], "50.0% there and 60.0% further on"),
        (
            ["share = 0.5", f"md:{SENTENCE}", "share = 0.6", f"md:So: {SENTENCE}", "share = 0.5"],
            "50.0% there and 60.0% further on",
        ),
    ],
    ids=["wrong", "another at the end", "another in a second place"],
)
def test_a_quote_that_cannot_hold_names_chapter_and_sentence(tmp_path, cells, reason):
    with pytest.raises(CellExecutionError) as failed:
        executed(chapter(*cells), tmp_path)
    message = re.sub(r"\x1b\[[0-9;]*m", "", str(failed.value))
    assert f"Training: “{SENTENCE}” quotes" in message
    assert reason in message


@pytest.mark.parametrize("value", ["np.float64(0.5)", "0.5", "None"])
def test_a_quote_is_a_string_or_a_whole_number(tmp_path, value):
    with pytest.raises(CellExecutionError, match="Quote a string or an int"):
        executed(chapter(f"import numpy as np\nshare = {value}", "md:It is {eval}`share`."), tmp_path)


def test_a_quote_that_is_no_python_stops_the_reading():
    with pytest.raises(ValueError, match=r"^Training: the text quotes share\[, which is no Python"):
        with_quotes(chapter("md:It is {eval}`share[`."))
