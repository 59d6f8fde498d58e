"""What a cell printed is one text, wherever the kernel cut it into pieces."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as some
from nbformat.v4 import new_output
from streams import as_printed

TEXT = "one line\n\nand half of\nanother"
FIGURE = new_output("display_data", {"text/plain": "a figure"})


def cut(text, places, name="stdout"):
    edges = [0, *sorted(places), len(text)]
    return [new_output("stream", name=name, text=text[a:b]) for a, b in itertools.pairwise(edges)]


@given(some.sets(some.integers(1, len(TEXT) - 1)), some.integers(0, 3))
def test_where_the_pieces_are_cut_makes_no_difference(places, progress):
    pieces = cut(TEXT, places)
    pieces.insert(min(progress, len(pieces)), new_output("stream", name="stderr", text="a progress bar"))
    assert as_printed(pieces) == [new_output("stream", name="stdout", text=TEXT)]


def test_what_is_printed_before_a_figure_and_after_it_stays_there():
    first, second = (
        new_output("stream", name="stdout", text="before\n"),
        new_output("stream", name="stdout", text="after"),
    )
    assert as_printed([first, FIGURE, second]) == [first, FIGURE, second]


@pytest.mark.parametrize("outputs", [[], [FIGURE], cut("bar", (), "stderr")])
def test_a_cell_that_printed_nothing(outputs):
    assert as_printed(outputs) == [output for output in outputs if output.output_type != "stream"]
