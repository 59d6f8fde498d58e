"""The chapters keep the house rules; that they run from top to bottom is what nbmake checks."""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CHAPTERS = [path for path in NOTEBOOKS if path.stem[:2].isdigit()]
LINES_IN_A_CELL = 15

notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def cells(path, kind):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def prose(path):
    return "\n\n".join(cell.source for cell in cells(path, "markdown"))


def test_there_are_eight_chapters_in_the_order_of_the_contents():
    contents = (ROOT / "book" / "_toc.yml").read_text(encoding="utf-8")
    assert re.findall(r"notebooks/(\w+)", contents) == [path.stem for path in NOTEBOOKS]
    assert len(CHAPTERS) == 8


@notebooks
def test_a_notebook_is_committed_without_outputs(path):
    for cell in cells(path, "code"):
        assert cell.outputs == []
        assert cell.execution_count is None


def test_nbstripout_has_nothing_to_strip():
    command = [sys.executable, "-m", "nbstripout", "--dry-run", *map(str, NOTEBOOKS)]
    kept = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "would have stripped" not in kept.stdout + kept.stderr


@notebooks
def test_a_notebook_runs_on_any_python_kernel(path):
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


@notebooks
def test_cells_are_short(path):
    for cell in cells(path, "code"):
        assert len([line for line in cell.source.splitlines() if line.strip()]) <= LINES_IN_A_CELL, cell.source


def test_the_panels_stand_where_their_question_arises():
    def controls(name):
        (path,) = (ROOT / "notebooks").glob(f"{name}*")
        (cell,) = [cell.source for cell in cells(path, "code") if re.search(r"^retrain_panel\(", cell.source, re.M)]
        return set(re.findall(r'"(\w+)"', cell.split("controls=")[1]))

    assert controls("03") == {"hidden_layers", "units", "activation", "last_activation", "seed"}
    assert controls("04") == {"batch_size", "epochs", "learning_rate", "seed"}
    assert controls("05") == {"validation", "training_images", "epochs", "dropout", "weight_decay", "seed"}
    assert controls("07") >= {"units", "batch_norm", "epochs", "augmentation", "seed"}


@chapters
def test_every_figure_has_a_caption_and_alt_text(path):
    drawn = [cell for cell in cells(path, "code") if re.search(r"^(plots\.(?!mean)|leak_figure$)", cell.source, re.M)]
    assert drawn
    for cell in drawn:
        options = cell.metadata.mystnb
        assert len(options.image.alt) > 40, cell.source
        assert options.figure.caption.endswith(".")
        assert options.figure.name.startswith("fig-")


@notebooks
def test_every_number_that_is_glued_is_used(path):
    """The other way round, a number that is used and was not glued, is an error of the build."""
    glued = set(re.findall(r'glue\(\s*"([^"]+)"', "\n".join(cell.source for cell in cells(path, "code"))))
    pages = [ROOT / "book" / page for page in ("index.md", "what_held_up.md")]
    text = prose(path) + "".join(page.read_text(encoding="utf-8") for page in pages)
    assert {key for key in glued if not re.search(rf"(`|::|\s){re.escape(key)}\b", text)} == set()


# On a reader's click, which the panel hands on to the session; and for the page, where a reader's click opens it too.
# The published runs are judged once each, when their recipes are frozen.
OPENERS = {
    "mnist_helpers/panels.py": 1,
    "mnist_helpers/session.py": 1,
    "mnist_helpers/published.py": 1,
    "book/_ext/cracking.py": 1,
}
# What says something about the test set: the images, or what published runs have made of them.
OF_THE_TEST_SET = re.compile(r"open_test_set|\.test_accuracy|\bcurves\(|\btest\.|\[\"test\"\]")


def test_the_test_set_is_opened_in_marked_places_only():
    for path in [*ROOT.glob("mnist_helpers/*.py"), *ROOT.glob("book/[_l]*/*.py"), *ROOT.glob("tests/benchmarks/*.py")]:
        name = path.relative_to(ROOT).as_posix()
        text = path.read_text(encoding="utf-8")
        assert text.count(".open_test_set(") == OPENERS.get(name, 0), name
        assert name == "mnist_helpers/data.py" or not re.search(r"\b_test\b|x_test", text), name
    for path in NOTEBOOKS:
        for cell in cells(path, "code"):
            opened = bool(OF_THE_TEST_SET.search(cell.source))
            assert opened == ("test-set" in cell.metadata.get("tags", ())), f"{path.name}: {cell.source}"
            assert not re.search(r"\b_test\b|x_test", cell.source), f"{path.name}: {cell.source}"
