"""A number in the text of a chapter is what its cells say, in place and at the end."""

import re

import nbclient
import nbformat
import pytest
from chapters import read, with_quotes
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_markdown_cell
from quotes import key_of

BETTER = "It reads more than the other{eval}`holds(share > 0.4)`."
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
SENTENCE = 'It reads {eval}`f"{share:.1%}"` of them.'


def chapter(*cells, alt=None):
    """Make a chapter of its cells, of which the last draws a figure if there is an alt text."""
    cells = "md:# Training", *cells
    made = [new_markdown_cell(cell[3:]) if cell.startswith("md:") else new_code_cell(cell) for cell in cells]
    if alt:
        made[-1].metadata["mystnb"] = {"image": {"alt": alt}}
    return nbformat.v4.new_notebook(cells=made, metadata=KERNEL)


def executed(notebook, folder):
    """Execute a chapter as the build does, in its own folder."""
    nbformat.write(notebook, folder / "05_training.ipynb")
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


def test_an_alt_text_quotes_what_its_cell_has_computed():
    figure = read(nbformat.writes(chapter("share = 0.5", alt=f"A bar. {SENTENCE}{BETTER}")))
    kinds = [cell.cell_type for cell in figure.cells]
    assert kinds == ["markdown", "code", "code", "code"]
    _, drawn, quotes, last = figure.cells
    assert "quote('f\"{share:.1%}\"', 'Training')" in quotes.source and "quote('holds(share > 0.4)'" in quotes.source
    assert quotes.metadata.tags == last.metadata.tags == ["remove-cell"]
    key = key_of('f"{share:.1%}"')
    assert drawn.metadata.mystnb.image.alt == (
        f"A bar. It reads {{glue:text}}`{key}` of them.It reads more than the other."
    )


def test_an_alt_text_that_is_false_stops_the_build_and_is_named(tmp_path):
    with pytest.raises(CellExecutionError) as failed:
        executed(
            chapter("from mnist_helpers.glue import holds\nshare = 0.3", alt=f"A bar. {BETTER}"),
            tmp_path,
        )
    message = re.sub(r"\x1b\[[0-9;]*m", "", str(failed.value))
    assert "Training: “It reads more than the other.” does not hold in this build: holds(share > 0.4) is" in message


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


def test_a_check_that_holds_leaves_nothing_in_the_text_and_nothing_glued(tmp_path):
    notebook = chapter("from mnist_helpers.glue import holds", "share = 0.5", f"md:{BETTER}")
    assert read(nbformat.writes(notebook)).cells[-2].source == "It reads more than the other."
    made = executed(notebook, tmp_path)
    assert not [output for cell in made.cells for output in cell.get("outputs", ())]


@pytest.mark.parametrize("shares", [("0.3", "0.3"), ("0.5", "0.3")], ids=["where it stands", "at the end"])
def test_a_sentence_that_its_numbers_do_not_bear_out_stops_the_build(tmp_path, shares):
    first, last = (f"share = {share}" for share in shares)
    with pytest.raises(CellExecutionError) as failed:
        executed(
            chapter("from mnist_helpers.glue import holds", first, f"md:First. {BETTER} {SENTENCE}", last), tmp_path
        )
    message = re.sub(r"\x1b\[[0-9;]*m", "", str(failed.value))
    assert "Training: “It reads more than the other.” does not hold in this build: holds(share > 0.4) is" in message


@pytest.mark.parametrize("condition", ["share", "[share]", "np.array([True, True])", "'False'"])
def test_a_check_of_anything_but_true_or_false_stops_the_build(tmp_path, condition):
    imports = "import numpy as np\nfrom mnist_helpers.glue import holds\nshare = 0.0"
    with pytest.raises(CellExecutionError, match="expected True or False, such as a comparison"):
        executed(chapter(imports, f"md:So it is{{eval}}`holds({condition})`."), tmp_path)


def test_a_sentence_of_another_page_that_does_not_hold_stops_the_build(tmp_path):
    pages, chapters = tmp_path / "book", tmp_path / "notebooks"
    pages.mkdir()
    chapters.mkdir()
    sentence = "Wider is better{glue:text}`notebooks/05_training.ipynb::wider:s`."
    (pages / "page.md").write_text(f"# A page\n\nFirst. {sentence} Last.", encoding="utf-8")
    quoted = ["from mnist_helpers.glue import glue, holds\nshare = 0.5", f"md:{SENTENCE}"]
    executed(chapter(*quoted, "glue('wider', holds(share > 0.4), display=False)"), chapters)
    with pytest.raises(CellExecutionError) as failed:
        executed(chapter(*quoted, "glue('wider', holds(share > 0.6), display=False)"), chapters)
    message = re.sub(r"\x1b\[[0-9;]*m", "", str(failed.value))
    assert f"page.md: “{sentence}” does not hold: wider is false in this build." in message


@pytest.mark.parametrize("value", ["np.float64(0.5)", "0.5", "None"])
def test_a_quote_is_a_string_or_a_whole_number(tmp_path, value):
    with pytest.raises(CellExecutionError, match="Quote a string or an int"):
        executed(chapter(f"import numpy as np\nshare = {value}", "md:It is {eval}`share`."), tmp_path)


def test_a_quote_that_is_no_python_stops_the_reading():
    with pytest.raises(ValueError, match=r"^Training: the text quotes share\[, which is no Python"):
        with_quotes(chapter("md:It is {eval}`share[`."))
