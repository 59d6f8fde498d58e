"""What a cell printed, as one text, on its page and in its plain notebook.

A kernel sends what is printed in pieces, cut wherever its clock says. myst-nb ends the line after each piece, which is
another page each time.
"""

import nbformat
from myst_nb.core import render
from nbconvert.preprocessors import CoalesceStreamsPreprocessor


def as_printed(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Join the pieces, and leave out the stream of errors: progress bars are for the person who runs the notebook."""
    kept = [output for output in outputs if output.get("name") != "stderr"]
    cell, _ = CoalesceStreamsPreprocessor().preprocess_cell(nbformat.v4.new_code_cell(outputs=kept), {}, 0)
    return cell.outputs


def setup(app):
    render.coalesce_streams = as_printed
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
