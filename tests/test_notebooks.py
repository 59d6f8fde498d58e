"""The chapters keep the house rules; that they run from top to bottom is what nbmake checks."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LINES_IN_A_CELL = 15

chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def cells(path, kind):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def prose(path):
    return "\n\n".join(cell.source for cell in cells(path, "markdown"))


def test_there_are_six_chapters_in_the_order_of_the_contents():
    contents = (ROOT / "book" / "_toc.yml").read_text(encoding="utf-8")
    assert re.findall(r"notebooks/(\w+)", contents) == [path.stem for path in CHAPTERS]
    assert len(CHAPTERS) == 6


@chapters
def test_a_chapter_is_committed_without_outputs(path):
    for cell in cells(path, "code"):
        assert cell.outputs == []
        assert cell.execution_count is None
    kept = subprocess.run(
        [sys.executable, "-m", "nbstripout", "--dry-run", str(path)], capture_output=True, text=True, check=True
    )
    assert "would have stripped" not in kept.stdout + kept.stderr


@chapters
def test_a_chapter_runs_on_any_python_kernel(path):
    assert nbformat.read(path, as_version=4).metadata.kernelspec.name == "python3"


@chapters
def test_a_chapter_has_its_question_its_exercises_and_its_take_away(path):
    first = cells(path, "markdown")[0].source
    assert first.startswith("# ")
    assert ":::{admonition} The question of this chapter" in first
    exercises = re.findall(r"```\{exercise\}\n:label: (\S+)", prose(path))
    solutions = re.findall(r"\{solution-start\} (\S+)\n:class: dropdown", prose(path))
    assert exercises == solutions
    assert 2 <= len(exercises) <= 3
    assert prose(path).count("{solution-end}") == len(solutions)
    assert "## Take-away" in cells(path, "markdown")[-1].source


@chapters
def test_cells_are_short(path):
    for cell in cells(path, "code"):
        assert len([line for line in cell.source.splitlines() if line.strip()]) <= LINES_IN_A_CELL, cell.source


@chapters
def test_every_figure_has_a_caption_and_alt_text(path):
    drawn = [cell for cell in cells(path, "code") if re.search(r"^(plots\.(?!mean)|leak_figure$)", cell.source, re.M)]
    assert drawn
    for cell in drawn:
        options = cell.metadata.mystnb
        assert len(options.image.alt) > 40, cell.source
        assert options.figure.caption.endswith(".")
        assert options.figure.name.startswith("fig-")


@chapters
def test_every_number_that_is_glued_is_used(path):
    """The other way round, a number that is used and was not glued, is an error of the build."""
    glued = set(re.findall(r'glue\(\s*"([^"]+)"', "\n".join(cell.source for cell in cells(path, "code"))))
    text = prose(path) + (ROOT / "book" / "index.md").read_text(encoding="utf-8")
    assert {key for key in glued if not re.search(rf"(`|::|\s){re.escape(key)}\b", text)} == set()
