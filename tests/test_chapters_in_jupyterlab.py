"""The chapters in a real JupyterLab: the sentences and numbers of the site, and no syntax between them."""

import json
import re
import shutil

import nbformat
import pytest
from browsing import SECONDS, jupyterlab, notebook
from bs4 import BeautifulSoup
from plain_notebooks import quoted_values
from playwright.sync_api import expect
from quotes import QUOTE, is_check, key_of
from test_notebooks import NOTEBOOKS, chapters, notebooks

from mnist_helpers.glue import NOT_SO

SYNTAX = re.compile(r"\{[\w:-]+\}|:::|NameError|```")


def in_one_line(text):
    return " ".join(text.split())


def open_notebook(browser, address, name="opened"):
    page = browser.new_context(viewport={"width": 1400, "height": 1300}).new_page()
    page.goto(address.replace("opened.ipynb", f"{name}.ipynb") + "&reset")  # without the tabs of the last visit
    expect(page.locator(".jp-Notebook .jp-Cell").first).to_be_visible(timeout=60 * SECONDS)
    return page


def render_all(home):
    """Have JupyterLab render what is out of sight too."""
    settings = home / "settings" / "@jupyterlab" / "notebook-extension"
    settings.mkdir(parents=True)
    (settings / "tracker.jupyterlab-settings").write_text(json.dumps({"windowingMode": "none"}))


def with_values(chapter, values):
    """Give a chapter with the values of its expressions, as JupyterLab itself saves them."""
    for cell in chapter.cells:
        if expressions := QUOTE.findall(cell.source) if cell.cell_type == "markdown" else []:
            cell.metadata["user_expressions"] = [
                {
                    "expression": expression,
                    "result": {
                        "status": "ok",
                        "data": {"text/plain": repr("" if is_check(expression) else values[key_of(expression)])},
                        "metadata": {},
                    },
                }
                for expression in expressions
            ]
    return chapter


@pytest.fixture(scope="module")
def server(site, tmp_path_factory):
    """A JupyterLab on all chapters."""
    home = tmp_path_factory.mktemp("chapters")
    render_all(home)
    for path in NOTEBOOKS:
        values = quoted_values(site.parent / "jupyter_execute" / "notebooks" / path.name)
        nbformat.write(with_values(nbformat.read(path, as_version=4), values), home / path.name)
        shutil.copy(site / "_sources" / "notebooks" / path.name, home / f"plain_{path.name}")
    with jupyterlab(home, notebook("")) as (address, _):
        yield address


@notebooks
def test_a_chapter_reads_as_on_the_site(browser, server, site, path):
    page = open_notebook(browser, server, path.stem)
    cells = page.locator(".jp-MarkdownCell")
    expect(cells.locator("h1").first).to_be_visible()
    expect(page.locator(".jp-Notebook .jp-Cell")).to_have_count(len(nbformat.read(path, as_version=4).cells))
    written = """[...document.querySelectorAll(".jp-MarkdownCell")]
        .every((cell) => cell.querySelector(".myst")?.textContent)"""
    page.wait_for_function(written, timeout=30 * SECONDS)
    # A formula in a folded cell gives its TeX away, too.
    texts = page.evaluate(
        """[...document.querySelectorAll(".jp-MarkdownCell .myst")].map((element) => {
            const copy = element.cloneNode(true);
            copy.querySelectorAll(".katex").forEach((formula) => formula.remove());
            return copy.textContent;
        })"""
    )
    assert [text for text in texts if SYNTAX.search(text)] == []

    html = (site / "notebooks" / f"{path.stem}.html").read_text(encoding="utf-8")
    on_the_site = in_one_line(BeautifulSoup(html, "html.parser").find("article").get_text())
    paragraphs = page.evaluate(
        """[...document.querySelectorAll(".jp-MarkdownCell .myst :is(p, td, li > :not(ul))")]
            .filter((element) => !element.querySelector(".katex, svg"))
            .map((element) => element.textContent)"""
    )
    assert len(paragraphs) > 10
    assert [text for text in map(in_one_line, paragraphs) if text not in on_the_site] == []
    page.context.close()


@chapters
def test_solutions_are_folded_away(browser, server, path):
    cells = nbformat.read(path, as_version=4).cells
    solutions = [number for number, cell in enumerate(cells) if cell.source == "#### Solution"]
    assert solutions
    page = open_notebook(browser, server, path.stem)
    for number in solutions:
        expect(page.locator(".jp-Notebook .jp-Cell").nth(number)).to_be_visible()
        expect(page.locator(".jp-Notebook .jp-Cell").nth(number + 1)).to_be_hidden()
    page.context.close()


@pytest.mark.parametrize("name", ["05_training", "plain_05_training"])
def test_an_answer_is_folded_until_it_is_asked_for(browser, server, name):
    page = open_notebook(browser, server, name)
    answers = page.locator(".jp-MarkdownCell details")
    expect(answers).to_have_count(12)
    explanation = answers.first.locator("p")
    expect(explanation).to_be_hidden()
    answers.first.locator("summary").click()
    expect(explanation).to_have_text(re.compile("^(Right|Not quite): "))
    expect(explanation).to_be_visible()
    expect(answers.last.locator("p")).to_be_hidden()
    page.context.close()


def test_a_plain_chapter_has_its_solutions_folded_and_its_pictures_described(browser, server):
    page = open_notebook(browser, server, "plain_05_training")
    cells = page.locator(".jp-Notebook .jp-Cell")
    heading = page.locator(".jp-MarkdownCell h2", has_text="Solutions")
    expect(heading).to_be_visible()
    expect(cells.last).to_be_hidden()
    pictures = page.locator(".jp-OutputArea-output img")
    expect(pictures).to_have_count(6)  # five figures and a still
    assert all(len(picture.get_attribute("alt")) > 40 for picture in pictures.all())
    page.context.close()


def test_a_hint_of_the_plain_lab_is_folded_until_it_is_asked_for(browser, server):
    page = open_notebook(browser, server, "plain_retrain_lab")
    hint = page.locator("details", has_text="A hint").first
    expect(hint.locator("p")).to_be_hidden()
    hint.locator("summary").click()
    expect(hint.locator("p")).to_be_visible()
    page.context.close()


def test_a_sentence_that_ones_own_run_does_not_bear_out_says_so_behind_it(browser, tmp_path):
    few, many = "Few are read{eval}`holds(share < 0.5)`.", "Most are read{eval}`holds(share > 0.5)`."
    chapter = notebook("from mnist_helpers.glue import holds\nshare = 0.3")
    chapter.cells.append(nbformat.v4.new_markdown_cell(f"{few} {many}"))
    with jupyterlab(tmp_path, chapter) as (address, _):
        page = open_notebook(browser, address)
        expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=60 * SECONDS)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        sentences = page.locator(".jp-MarkdownCell p")
        expect(sentences).to_have_text(f"Few are read. Most are read{NOT_SO}.", timeout=60 * SECONDS)
        page.context.close()


@pytest.mark.slow
def test_whoever_changes_a_recipe_reads_about_their_own_run(browser, site, tmp_path):
    (path,) = [path for path in NOTEBOOKS if path.stem == "05_training"]
    chapter = nbformat.read(path, as_version=4)
    (imports,) = [cell for cell in chapter.cells if "import ARTICLE" in cell.source]
    imports.source += "\n\nARTICLE = replace(ARTICLE, units=30)"
    expression = "f\"{by_train.history['val_accuracy'][-1]:.1%}\""
    assert expression in "".join(QUOTE.findall("".join(cell.source for cell in chapter.cells)))
    chapter.cells.append(nbformat.v4.new_code_cell(f"print('it is', {expression})"))
    render_all(tmp_path)
    with jupyterlab(tmp_path, chapter) as (address, _):
        page = open_notebook(browser, address)
        expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=60 * SECONDS)
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
        printed = page.locator(".jp-CodeCell").last.locator(".jp-OutputArea-output")
        expect(printed).to_contain_text("it is", timeout=300 * SECONDS)
        value = printed.inner_text().removeprefix("it is").strip()
        sentence = page.locator(".jp-MarkdownCell p", has_text="after this one epoch")
        expect(sentence.first).to_contain_text(value, timeout=60 * SECONDS)
        assert value not in (site / "notebooks" / "05_training.html").read_text(encoding="utf-8")
        assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']").count() == 0
        assert [text for text in page.locator(".jp-MarkdownCell .myst").all_inner_texts() if SYNTAX.search(text)] == []
        page.context.close()
