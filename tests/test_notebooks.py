"""The chapters keep the house rules; that they run from top to bottom is what nbmake checks."""

import re
import subprocess
import sys
import unicodedata
from pathlib import Path
from xml.etree import ElementTree

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
CHAPTERS = [path for path in NOTEBOOKS if path.stem[:2].isdigit()]
LINES_IN_A_CELL = 15
DIFFICULTIES = ["Warm-up", "Practice", "Challenge"]

notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
chapters = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def cells(path, kind):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == kind]


def prose(path):
    return "\n\n".join(cell.source for cell in cells(path, "markdown"))


def test_the_chapters_stand_in_the_order_of_the_contents():
    contents = (ROOT / "book" / "_toc.yml").read_text(encoding="utf-8")
    assert re.findall(r"notebooks/(\w+)", contents) == [path.stem for path in NOTEBOOKS]
    assert len(CHAPTERS) == 10


@notebooks
def test_a_notebook_is_committed_without_outputs(path):
    for cell in cells(path, "code"):
        assert cell.outputs == []
        assert cell.execution_count is None
    assert not any("user_expressions" in cell.metadata for cell in cells(path, "markdown"))


def test_nbstripout_has_nothing_to_strip():
    command = [sys.executable, "-m", "nbstripout", "--keep-id", "--dry-run", *map(str, NOTEBOOKS)]
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
    headings = re.findall(r"^#{2,} .+", prose(path), re.MULTILINE)
    exercises = headings[headings.index("## Exercises") + 1 : headings.index("## Take-away")]
    titles, solutions = exercises[::2], exercises[1::2]
    assert len(titles) == len(DIFFICULTIES)
    assert all(title.startswith("### ") for title in titles)
    assert solutions == ["#### Solution"] * len(titles)
    assert headings.count("#### Solution") == len(titles)
    take_away, read_on = (cell.source for cell in cells(path, "markdown")[-2:])
    assert take_away.startswith("## Take-away\n")
    assert read_on.startswith("## Read on\n")


@chapters
def test_exercises_are_one_of_each_difficulty_in_that_order(path):
    begin = [cell.source for cell in cells(path, "markdown") if cell.source.startswith("### ")]
    words = [match[1] for text in begin if (match := re.match(r"### .+\n\n\*\*([\w-]+)\.\*\* \S", text))]
    assert words == DIFFICULTIES


def test_the_difficulties_are_explained_once():
    (explained,) = [
        cell.source for path in NOTEBOOKS for cell in cells(path, "markdown") if "three exercises" in cell.source
    ]
    assert re.findall(r"\*\*([\w-]+)\*\*", explained) == [
        DIFFICULTIES[0].lower(),
        DIFFICULTIES[1],
        DIFFICULTIES[2].lower(),
    ]


@chapters
def test_a_chapter_says_at_its_head_what_it_needs_and_what_a_reader_will_be_able_to_do(path):
    (head,) = [cell for cell in cells(path, "markdown") if ":::{admonition} Before you start" in cell.source]
    opening = re.match(
        r":::\{admonition\} Before you start\n:class: tip\n\*\*You need\*\* (?P<needs>.+)\n\n"
        r"\*\*You will be able to\*\*\n\n(?P<aims>(?:\* [a-z].+\n)+):::$",
        head.source,
    )
    assert 2 <= opening["aims"].count("* ") <= 3
    earlier = re.findall(r"\((\w+\.ipynb)\)", opening["needs"])
    assert all(name < path.name for name in earlier)
    assert bool(earlier) == (path != CHAPTERS[0])


@pytest.mark.parametrize("page", ["index", "paths", "teach"])
def test_the_pages_that_go_through_the_book_leave_out_no_chapter(page):
    text = (ROOT / "book" / f"{page}.md").read_text(encoding="utf-8")
    assert [path.stem for path in CHAPTERS if f"{{doc}}`notebooks/{path.stem}`" not in text] == []


@chapters
def test_a_chapter_names_two_or_three_sources_to_read_on(path):
    (*_, last) = cells(path, "markdown")
    entries = re.findall(r"^\* \[[^]]+, \d{4}\]\([^)]+\) \w.+\.$", last.source, re.MULTILINE)
    assert last.source.startswith("## Read on\n\n" + "\n".join(entries))
    assert 2 <= len(entries) <= 3


def questions(path):
    """Give the cells between the heading of a chapter's questions and that of its exercises."""
    chapter = nbformat.read(path, as_version=4).cells
    start, end = (
        next(place for place, cell in enumerate(chapter) if cell.source.startswith(heading))
        for heading in ("## Questions", "## Exercises")
    )
    return chapter[start + 1 : end]


# One on a line and no line left out: all four are one piece of HTML, in which no Markdown is looked for.
OPTION = r"<details><summary>(.+)</summary><p>(.+)</p></details>"
RIGHT, WRONG = "Right: ", "Not quite: "


def options(path):
    """Give the options of each question of a chapter, as pairs of what is to be chosen and what is said about it."""
    found = []
    for number, cell in enumerate(questions(path), 1):
        question, html = cell.source.split("\n\n")
        assert re.fullmatch(rf"\*\*{number}\. .*[Ww]hy\b.*\?\*\*", question), question
        found.append([re.fullmatch(OPTION, line).groups() for line in html.split("\n")])
    return found


@chapters
def test_a_chapter_asks_why_three_times_before_its_exercises(path):
    assert [cell.cell_type for cell in questions(path)] == ["markdown"] * 3
    assert len(options(path)) == 3


def test_the_questions_of_all_chapters_are_introduced_alike():
    first, *others = [
        cell.source for path in CHAPTERS for cell in cells(path, "markdown") if "## Questions" in cell.source
    ]
    assert re.fullmatch(r"## Questions\n\n[^\n]+", first)
    assert set(others) == {first}


@chapters
def test_of_four_answers_one_is_right_and_each_is_explained(path):
    for question in options(path):
        assert [answer[:3] for answer, _ in question] == ["A. ", "B. ", "C. ", "D. "]
        explanations = [explanation for _, explanation in question]
        assert sum(text.startswith(RIGHT) for text in explanations) == 1
        assert all(text.startswith((RIGHT, WRONG)) and len(text) > 60 for text in explanations), explanations
        assert len({text for answer in question for text in answer}) == 8


@chapters
def test_the_right_answer_is_not_given_away_by_its_place_or_its_length(path):
    places, longest = [], []
    for question in options(path):
        (right,) = [place for place, (_, explanation) in enumerate(question) if explanation.startswith(RIGHT)]
        lengths = [len(answer) for answer, _ in question]
        places.append(right)
        longest.append(lengths[right] == max(lengths))
    assert len(set(places)) > 1
    assert not all(longest)


@chapters
def test_answers_are_html_without_markdown_that_every_tool_takes_alike(path):
    for question in options(path):
        for text in (text for answer in question for text in answer):
            parsed = ElementTree.fromstring(f"<p>{text}</p>")  # each tag has its end
            assert {element.tag for element in parsed.iter()} <= {"p", "i", "b", "code", "sub", "sup"}, text
            words = "".join(part for part in parsed.itertext())
            assert not re.search(r"[*`$\[\]{}]|\b_|_\b", words), text


@chapters
def test_a_chapter_asks_for_a_prediction_before_what_it_shows(path):
    chapter = nbformat.read(path, as_version=4).cells
    predictions = [place for place, cell in enumerate(chapter) if "{admonition} Predict first" in cell.source]
    figures = [place for place, cell in enumerate(chapter) if "figure" in cell.metadata.get("mystnb", {})]
    assert len(predictions) == 1 and predictions[0] < figures[-1]
    text = chapter[predictions[0]].source
    assert re.fullmatch(r":::\{admonition\} Predict first\n:class: tip\n\n[^\n]+\?[^\n]+\n:::", text)


@notebooks
def test_cells_are_short(path):
    for cell in cells(path, "code"):
        assert len([line for line in cell.source.splitlines() if line.strip()]) <= LINES_IN_A_CELL, cell.source


def test_the_panel_that_a_reader_builds_has_ten_lines():
    (path,) = [path for path in NOTEBOOKS if path.stem == "retrain_lab"]
    (cell,) = [cell for cell in cells(path, "code") if "ipywidgets.VBox" in cell.source]
    assert len([line for line in cell.source.splitlines() if line.strip()]) == 10
    assert "report=" in cell.source


def test_the_panels_stand_where_their_question_arises():
    def controls(name):
        (path,) = (ROOT / "notebooks").glob(f"{name}*")
        (cell,) = [cell.source for cell in cells(path, "code") if re.search(r"^retrain_panel\(", cell.source, re.M)]
        return set(re.findall(r'"(\w+)"', cell.split("controls=")[1]))

    assert controls("03") == {"hidden_layers", "units", "activation", "last_activation", "seed"}
    assert controls("05") == {"batch_size", "epochs", "learning_rate", "seed"}
    assert controls("06") == {"validation", "training_images", "epochs", "dropout", "weight_decay", "seed"}
    assert controls("08") >= {"units", "batch_norm", "epochs", "augmentation", "seed"}


@chapters
def test_every_figure_has_a_caption_and_alt_text(path):
    drawn = [
        cell for cell in cells(path, "code") if re.search(r"^((plots|pictures)\.|leak_figure$)", cell.source, re.M)
    ]
    assert drawn
    for cell in drawn:
        options = cell.metadata.mystnb
        assert len(options.image.alt) > 40, cell.source
        assert options.figure.caption.endswith(".")
        assert options.figure.name.startswith("fig-")


@notebooks
def test_a_solution_begins_folded_in_jupyterlab(path):
    for cell in cells(path, "markdown"):
        assert (cell.source == "#### Solution") == ("jp-MarkdownHeadingCollapsed" in cell.metadata)


@notebooks
def test_only_expressions_and_admonitions_are_no_plain_markdown(path):
    """What other tools leave unrendered is made plain by `book/_ext/plain_notebooks.py`, which knows only these."""
    syntax = re.findall(r"\{([\w:-]+)\}`|^[:`~]{3,}\{([\w:-]+)\}", prose(path), re.MULTILINE)
    assert {role or directive for role, directive in syntax} <= {"eval", "admonition"}


SOURCES = {
    entry["url"]: entry
    for entry in (
        dict(re.findall(r"(\w+) *= \{(.*)\}", block))
        for block in (ROOT / "book" / "references.bib").read_text(encoding="utf-8").split("\n@")
    )
    if "url" in entry
}


def label(entry):
    """Give author and year as a sentence names them."""
    names = [re.sub(r"\W", "", name.split(",")[0]) for name in unaccented(entry["author"]).split(" and ")]
    who = f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
    return f"{who.replace('Thejoblibdevelopers', 'joblib')}, {entry['year']}"


def unaccented(name):
    """Take TeX's accents and the reader's off a name."""
    bare = re.sub(r"\\\W\{?|\\c|[{}]", "", name)
    return unicodedata.normalize("NFKD", bare).encode("ascii", "ignore").decode()


@notebooks
def test_a_citation_is_author_and_year_with_a_link_to_a_source_in_the_bibliography(path):
    for text, address in re.findall(r"\[([^]]+, \d{4})\]\(([^)]+)\)", prose(path)):
        if text != "Deon, 2023":
            assert unaccented(text) == label(SOURCES[address])


def test_each_source_of_the_bibliography_is_cited():
    text = "".join(map(prose, NOTEBOOKS))
    assert {address for address in SOURCES if f"]({address})" not in text} == set()


@notebooks
def test_a_link_to_another_page_carries_its_title(path):
    for text, target in re.findall(r"\[([^]]+)\]\(((?:\.\./book/)?\w+\.(?:ipynb|md))\)", prose(path)):
        linked = ROOT / "notebooks" / target
        page = prose(linked) if target.endswith(".ipynb") else linked.read_text(encoding="utf-8")
        assert text in (re.search(r"^# (.+)", page, re.MULTILINE)[1], "Deon, 2023")


# On a reader's click, of which the panel asks the engine; and for the page, where a reader's click opens it too.
# The published runs are judged once each, when their recipes are frozen.
OPENERS = {
    "mnist_helpers/kernel_engine.py": 1,
    "book/tools/train_published.py": 2,
    "book/_ext/cracking.py": 1,
}
# What says something about the test set: the images, or what published runs have made of them.
OF_THE_TEST_SET = re.compile(r"open_test_set|\.test_accuracy|\bcurves\(|\btest\.|\[\"test\"\]")


def test_the_test_set_is_opened_in_marked_places_only():
    for path in [
        *ROOT.glob("mnist_helpers/*.py"),
        *ROOT.glob("book/[_t]*/*.py"),
        *ROOT.glob("tests/benchmarks/*.py"),
    ]:
        name = path.relative_to(ROOT).as_posix()
        text = path.read_text(encoding="utf-8")
        assert text.count(".open_test_set(") == OPENERS.get(name, 0), name
        assert name == "mnist_helpers/data.py" or not re.search(r"\b_test\b|x_test", text), name
    for path in NOTEBOOKS:
        for cell in cells(path, "code"):
            opened = bool(OF_THE_TEST_SET.search(cell.source))
            assert opened == ("test-set" in cell.metadata.get("tags", ())), f"{path.name}: {cell.source}"
            assert not re.search(r"\b_test\b|x_test", cell.source), f"{path.name}: {cell.source}"
