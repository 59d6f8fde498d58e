"""The minutes that a chapter takes: what is counted, how it is said, and where it is written."""

from collections import defaultdict
from types import SimpleNamespace

import pytest
from docutils import nodes
from minutes import answer, counted, duration, line, reading, with_line
from nbformat.v4 import new_markdown_cell, new_notebook

BOX = ":::{admonition} Before you start\n:class: tip\n**You need** a pen.\n:::"


@pytest.fixture
def env():
    """Two chapters and a page, as Sphinx knows them when all are read: one of the chapters was not timed."""
    counts = {
        "notebooks/01_one": {"": (200, 3), "why": (100, 0)},
        "notebooks/02_two": {"": (400, 0)},
        "page": {"": (200, 0)},
    }
    executed = defaultdict(dict, {"notebooks/01_one": {"exec_data": {"runtime": 61.2}}})
    executed["notebooks/02_two"] = {"exec_data": {"runtime": None}}
    read = {name: {"to be read": sections} for name, sections in counts.items()}
    return SimpleNamespace(metadata=read, found_docs=set(counts), nb_metadata=executed)


def test_words_and_cells_are_counted_and_folded_solutions_code_and_formulas_are_not():
    cell = nodes.container("", nodes.literal_block("", "print(1 + 1)"), nb_element="cell_code")
    solution = nodes.admonition("", nodes.paragraph("", "It is two."), classes=["solution", "dropdown"])
    text = nodes.paragraph("", "Three words, and – a ", nodes.strong("", "fourth"), nodes.Text("."))
    page = nodes.section("", nodes.title("", "Title"), text, cell, solution, nodes.math_block("", "a + b"))
    assert counted(page) == (6, 1)


def test_reading_takes_a_minute_for_200_words_and_20_seconds_for_a_cell():
    assert reading(200, 0) == "60 seconds"
    assert reading(200, 6) == "3 minutes"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.2, "10 seconds"),
        (40, "40 seconds"),
        (61, "70 seconds"),
        (91, "2 minutes"),
        (5_400, "90 minutes"),
        (5_401, "1 hour 40 minutes"),
        (7_200, "2 hours"),
        (9_541, "2 hours 40 minutes"),
    ],
)
def test_a_time_is_said_in_words_and_never_too_short(seconds, said):
    assert duration(seconds) == said


def test_pages_sections_and_patterns_are_added_up(env):
    assert answer(env, "reading", ["notebooks/01_one#why", "page"]) == "90 seconds"
    assert answer(env, "reading", ["notebooks/*"]) == "4 minutes"
    assert answer(env, "running", ["notebooks/01_one"]) == "70 seconds"


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        ("reading", "notebooks/03_three"),
        ("reading", "notebooks/0[45]_*"),
        ("reading", "page#nowhere"),
        ("running", "notebooks/02_two"),
        ("running", "page"),
    ],
)
def test_what_was_not_read_or_not_timed_is_an_error(env, kind, target):
    with pytest.raises(KeyError):
        answer(env, kind, [target])


def test_the_line_of_a_chapter_has_its_running_time_where_that_was_measured(env):
    assert line(env, "notebooks/01_one") == (
        "Reading: about 2 minutes. Running: about 70 seconds on the machine that built this page."
    )
    assert line(env, "notebooks/02_two") == "Reading: about 2 minutes."


def test_the_line_stands_at_the_end_of_the_box_of_a_notebook():
    other = ":::{admonition} A hint\n:class: dropdown\nWider.\n:::"
    notebook = new_notebook(cells=[new_markdown_cell("# One"), new_markdown_cell(BOX), new_markdown_cell(other)])
    title, box, hint = with_line(notebook, "Reading: about 2 minutes.").cells
    assert box.source == BOX.removesuffix(":::") + "\nReading: about 2 minutes.\n:::"
    assert (title.source, hint.source) == ("# One", other)
    assert notebook.cells[1].source == BOX
