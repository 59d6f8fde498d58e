"""The site as a reader meets it: built from nothing, served from a folder, opened in a real browser.

The browser is any Chromium, Chrome or Edge of this machine (`tests/conftest.py` looks for it).
"""

import json
import re
import zipfile
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import nbformat
import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import Visit, wait_for
from bs4 import BeautifulSoup
from playwright.sync_api import expect
from pypdf import PdfReader
from test_notebooks import NOTEBOOKS

ROOT = Path(__file__).parents[1]
PAGES = [
    "index.html",
    *(f"notebooks/{path.stem}.html" for path in sorted((ROOT / "notebooks").glob("*.ipynb"))),
    "train_here.html",
    "what_held_up.html",
    "paths.html",
    "teach.html",
    "fashion.html",
    "glossary.html",
    "notation.html",
    "keras_calls.html",
    "bibliography.html",
    "reference.html",
    "status.html",
    "speed.html",
    "lab_speed.html",
    "time_to_99.html",
    "accessibility.html",
    "search.html",
]
CHAPTERS = [page for page in PAGES if page.startswith("notebooks/")]
pages = pytest.mark.parametrize("page_name", PAGES)


@pages
def test_a_page_loads_without_an_error_or_a_request_elsewhere(visit, address, page_name):
    page = visit.open(address + page_name)
    assert "Cracking 99%" in page.title()
    assert page.locator("main h1:visible").count() == 1
    # The mark in the sidebar is an image too. Those that wait until a reader comes to them are asked for here.
    page.evaluate("[...document.images].forEach(image => (image.loading = 'eager'))")
    wait_for(page, "[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert page.evaluate("document.fonts.check('16px \"Atkinson Hyperlegible Next\"')")


@pages
def test_no_link_is_broken(visit, address, site, page_name):
    page = visit.open(address + page_name)
    links = page.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.getAttribute('href'))")
    assert links
    for link in links:
        target = urlsplit(urljoin(f"/{page_name}", link))
        if target.scheme in ("http", "https", "mailto", "javascript"):
            continue
        file = site / target.path.strip("/")
        assert file.exists(), f"{link} leads nowhere"
        if target.fragment and file.suffix == ".html":
            text = file.read_text(encoding="utf-8")
            assert f'id="{target.fragment}"' in text or f'name="{target.fragment}"' in text, f"no anchor for {link}"


@pytest.mark.parametrize("page_name", ["index.html", *CHAPTERS])
def test_every_figure_has_a_caption_and_alt_text(visit, address, page_name):
    page = visit.open(address + page_name)
    figures = page.evaluate(
        """[...document.querySelectorAll('article svg.figure')].map(image => ({
            alt: image.getAttribute('aria-label'),
            caption: image.closest('figure')?.querySelector('figcaption')?.textContent.trim() ?? '',
            still: image.closest('figure')?.classList.contains('panel-still') ?? false,
        }))"""
    )
    assert figures
    for figure in figures:
        assert len(figure["alt"]) > 40, figure
        assert not re.search(r"\{|`|\.svg", figure["alt"]), figure
        if figure["still"]:
            assert "This is a still: where JavaScript runs" in figure["caption"], figure
        else:
            assert figure["caption"].startswith("Fig. "), figure


@pytest.mark.parametrize(
    ("page_name", "stills"),
    [("03_building_the_model", 1), ("05_training", 1), ("06_overfitting", 1), ("retrain_lab", 3)],
)
def test_without_javascript_a_panel_is_a_picture_and_no_dead_widget(browser, address, page_name, stills):
    visit = Visit(browser, address, java_script_enabled=False)
    page = visit.open(f"{address}notebooks/{page_name}.html")
    assert page.locator("figure.panel-still svg:visible").count() == stills
    article = page.locator("article")
    assert "Nothing has been trained" not in article.inner_text()
    assert "Panel(" not in article.inner_text()
    assert article.locator(":is(input, select):not([disabled]):visible").count() == 0  # a still of a slider is disabled
    visit.page.context.close()


@pytest.mark.parametrize("page_name", [page for page in CHAPTERS if "retrain_lab" not in page])
def test_every_number_of_the_text_has_arrived(visit, address, page_name):
    page = visit.open(address + page_name)
    pasted = page.locator("article .pasted-text").all_text_contents()
    assert len(pasted) > 2
    assert all(any(character.isalnum() for character in text) for text in pasted)
    assert "{glue" not in page.locator("article").inner_text()
    assert "np.float64" not in page.locator("article").inner_text()


def test_what_a_chapter_hands_to_other_pages_is_quoted_there(site):
    """The other way round, what is quoted and was not handed over is an error of the build."""
    pages = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "book").glob("*.md"))
    for path in (site.parent / "jupyter_execute" / "notebooks").glob("*.glue.json"):
        for name in json.loads(path.read_text(encoding="utf-8")):
            quoted = f"{path.name.split('.')[0]}.ipynb::{name}:", f"{{chapter-figure}} {name}\n"
            assert name.startswith("quote-") or any(form in pages for form in quoted), name


@pytest.mark.parametrize("page_name", ["index.html", *CHAPTERS])
def test_figures_stand_in_their_page_and_each_id_once(site, page_name):
    text = (site / page_name).read_text(encoding="utf-8")
    page = BeautifulSoup(text, "html.parser").find("article")
    assert page("img") == [] and "<metadata" not in text and "data:image/svg" not in text
    ids = [found["id"] for figure in page("svg") for found in figure.select("[id]")]
    assert len(ids) == len(set(ids))
    for details in page.select("details.numbers"):
        assert details.find_previous_sibling().name == "figure"
        assert 0 < len(details.select("tbody tr")) <= 60


def test_figures_are_dark_where_the_page_is_and_their_numbers_open_by_the_keyboard(browser, address):
    visit = Visit(browser, address, color_scheme="dark", viewport={"width": 390, "height": 844})
    page = visit.open(f"{address}notebooks/01_data_structure.html")
    paper = "element => getComputedStyle(element).fill"
    assert page.locator("#fig-balance svg.figure path").first.evaluate(paper) == "rgb(18, 26, 48)"
    assert page.locator("#fig-balance svg.figure text").first.evaluate(paper) == "rgb(233, 230, 218)"
    digit = page.locator("#fig-classes svg.figure image").first
    assert digit.evaluate("element => getComputedStyle(element).filter") == "invert(1) hue-rotate(180deg)"
    numbers = page.locator("#fig-balance + details.numbers")
    assert not numbers.locator("table").is_visible()
    numbers.locator("summary").focus()
    page.keyboard.press("Enter")
    assert numbers.locator("tbody tr").count() == 10 and numbers.locator("table").is_visible()
    results = Axe().run(page, context="#fig-balance + details.numbers")
    assert results.violations_count == 0, results.generate_report()
    visit.page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_figures_can_be_read_in_a_high_contrast_mode(browser, address, scheme):
    visit = Visit(browser, address, color_scheme=scheme, forced_colors="active")
    page = visit.open(f"{address}notebooks/01_data_structure.html")
    figure = page.locator("#fig-balance svg.figure")
    colours = [
        figure.locator(part).first.evaluate("element => getComputedStyle(element).fill") for part in ("path", "text")
    ]
    assert (
        colours
        == {
            "light": ["rgb(255, 254, 250)", "rgb(23, 38, 79)"],
            "dark": ["rgb(18, 26, 48)", "rgb(233, 230, 218)"],
        }[scheme]
    )
    visit.page.context.close()


def test_the_theme_switch_works_and_is_remembered(visit, address):
    page = visit.open(address + PAGES[0])
    colour = "getComputedStyle(document.body).backgroundColor"
    seen = {}
    for _ in range(3):
        page.locator("button.theme-switch-button:visible").first.click()
        seen[page.evaluate("document.documentElement.dataset.mode")] = page.evaluate(colour)
    assert set(seen) == {"auto", "light", "dark"}
    assert seen["light"] != seen["dark"]
    mode = page.evaluate("document.documentElement.dataset.mode")
    visit.open(address + CHAPTERS[0])
    assert page.evaluate("document.documentElement.dataset.mode") == mode


def test_search_finds_a_word(visit, address):
    page = visit.open(address + "search.html?q=permutation")
    page.wait_for_selector("#search-results li a")
    assert "Flattening" in page.locator("#search-results").inner_text()


def test_search_quotes_the_text_and_not_what_stands_in_figures(visit, address):
    page = visit.open(address + "search.html?q=epoch")
    page.wait_for_selector("#search-results li p.context")
    page.wait_for_load_state("networkidle")
    assert max(map(len, page.locator("#search-results").inner_text().split())) < 60


def test_a_solution_is_folded_away_until_it_is_asked_for(visit, address):
    page = visit.open(address + CHAPTERS[0])
    solution = page.locator(".solution.admonition").first
    code = solution.locator("div.cell_input").first
    assert not code.is_visible()
    solution.locator("button, summary, .admonition-title").first.click()
    page.wait_for_timeout(300)
    assert code.is_visible()


@pytest.mark.parametrize("page_name", [page for page in CHAPTERS if "retrain_lab" not in page])
def test_an_answer_opens_by_the_keyboard_and_says_whether_it_is_right(visit, address, page_name):
    page = visit.open(address + page_name)
    answers = page.locator("#questions > details").all()
    assert len(answers) == 12
    for answer in answers:
        explanation = answer.locator("p")
        assert not explanation.is_visible()
        answer.locator("summary").focus()
        page.keyboard.press("Enter")
        assert re.match("Right: |Not quite: ", explanation.inner_text())


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_answers_can_be_pressed_on_a_phone_and_axe_finds_nothing_to_complain_of(browser, address, scheme):
    visit = Visit(browser, address, viewport={"width": 390, "height": 844}, color_scheme=scheme, has_touch=True)
    page = visit.open(address + CHAPTERS[0])
    bars = page.locator("#questions summary")
    assert min(bar.bounding_box()["height"] for bar in bars.all()) >= 24
    bars.first.tap()
    expect(page.locator("#questions details p").first).to_be_visible()
    for part in ("#questions", ".admonition.tip"):
        results = Axe().run(page, context=part)
        assert results.violations_count == 0, results.generate_report()
    visit.page.context.close()


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_download_of_a_chapter_is_its_plain_notebook_with_the_numbers_of_the_page(site, path):
    notebook = nbformat.read(site / "_sources" / "notebooks" / path.name, as_version=4)
    nbformat.validate(notebook)
    assert any("%pip install" in cell.source for cell in notebook.cells)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    assert re.findall(r"\{[\w:-]+\}`|:::|^```\{", text, re.MULTILINE) == []
    page = BeautifulSoup((site / "notebooks" / f"{path.stem}.html").read_text(encoding="utf-8"), "html.parser")
    for number in page.find("article").select(".pasted-text"):
        assert number.get_text() in text
    captions = [caption.get_text() for caption in page.select("figure figcaption .caption-number")]
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    pictures = [output for output in outputs if "<img" in output.get("data", {}).get("text/html", "")]
    assert len(pictures) == len(page.select("article figure svg.figure"))
    assert [caption.strip().removeprefix("Fig. ") for caption in captions] == re.findall(
        r"\*\*Figure ([\d.]+)\.\*\*", text
    )


def test_all_chapters_come_in_one_file_with_the_helper_package(site):
    with zipfile.ZipFile(site / "downloads" / "cracking-99-notebooks.zip") as everything:
        names = everything.namelist()
        installs = everything.read("05_training.ipynb").decode()
    assert sorted(name for name in names if name.endswith(".ipynb")) == [path.name for path in NOTEBOOKS]
    (wheel,) = [name for name in names if name.endswith(".whl")]
    assert f"%pip install --quiet {wheel}" in installs


@pytest.mark.parametrize("page_name", [page for page in CHAPTERS if "retrain_lab" not in page])
def test_a_chapter_says_how_long_it_takes_on_its_page_and_in_its_notebook(site, page_name):
    page = BeautifulSoup((site / page_name).read_text(encoding="utf-8"), "html.parser")
    (box,) = [box for box in page.select("div.tip.admonition") if "Before you start" in box.p.get_text()]
    line = box("p")[-1].get_text()
    times = r"about \d+ (?:seconds|minutes)"
    assert re.fullmatch(rf"Reading: {times}\. Running: {times} on the machine that built this page\.", line)
    plain = (site / "_sources" / page_name).with_suffix(".ipynb").read_text(encoding="utf-8")
    assert line in plain


def test_the_times_of_the_paths_have_arrived(site):
    for name in ("paths", "teach"):
        text = (
            BeautifulSoup((site / f"{name}.html").read_text(encoding="utf-8"), "html.parser").find("article").get_text()
        )
        assert len(re.findall(r"\d+ (?:seconds|minutes)", text)) > 10
    page = BeautifulSoup((site / "paths.html").read_text(encoding="utf-8"), "html.parser")
    assert int(re.search(r"together they take (\d+) minutes", page.select_one("#an-hour").get_text())[1]) <= 60


def test_every_session_of_the_course_lasts_90_minutes(site):
    page = BeautifulSoup((site / "teach.html").read_text(encoding="utf-8"), "html.parser")
    plans = [[int(row.td.get_text()) for row in table.select("tbody tr")] for table in page.select("article table")]
    assert [sum(plan) for plan in plans] == [90] * 6


def test_the_handout_has_every_exercise_of_the_chapters_and_no_solution(site):
    made = nbformat.read(site / "downloads" / "cracking-99-exercises.ipynb", as_version=4)
    texts = [cell.source for cell in made.cells if cell.cell_type == "markdown"]
    assert texts[0].startswith("# Cracking 99%: exercises\n")
    chapters = [path for path in NOTEBOOKS if path.stem[:2].isdigit()]
    for path in chapters:
        plain = nbformat.read(site / "_sources" / "notebooks" / path.name, as_version=4)
        solved = [cell.source for cell in plain.cells if cell.source.startswith("### Solution: ")]
        for title in (text.removeprefix("### Solution: ") for text in solved):
            assert [text for text in texts if text.startswith(f"### {title}\n")], title
    assert sum(text.startswith("### ") for text in texts) == 3 * len(chapters)
    assert {cell.source for cell in made.cells if cell.cell_type == "code" and "%run" not in cell.source} == {
        "# Your answer"
    }


def test_the_slides_have_every_figure_of_the_chapters_with_its_alt_text(visit, address, site):
    page = visit.open(f"{address}downloads/cracking-99-slides.html")
    shown = page.evaluate(
        """[...document.querySelectorAll('section.figure')].map(
            it => [it.id, it.querySelector('svg').getAttribute('aria-label')]
        )"""
    )
    expected = []
    for name in CHAPTERS:
        chapter = BeautifulSoup((site / name).read_text(encoding="utf-8"), "html.parser")
        if "retrain_lab" not in name:
            expected += [[it["id"], it.svg["aria-label"]] for it in chapter.select("article figure:not(.panel-still)")]
    assert shown == expected
    assert page.evaluate("document.fonts.check('16px \"Atkinson Hyperlegible Next\"')")


def test_the_formulas_are_set_in_a_face_for_formulas(visit, address):
    page = visit.open(address + "notebooks/03_building_the_model.html")
    formulas = page.locator("article math")
    assert formulas.count() > 3
    wait_for(page, "document.fonts.check('16px \"STIX Two Math\"', '=')")
    fraction = formulas.locator("mfrac").first
    above, below = (part.bounding_box() for part in fraction.locator("> *").all())
    assert above["y"] + above["height"] <= below["y"] + 1


def test_a_formula_that_is_too_wide_for_a_phone_is_scrolled_by_the_keyboard(browser, address):
    visit = Visit(browser, address, viewport={"width": 320, "height": 600})
    page = visit.open(address + "notebooks/04_how_it_learns.html")
    wide = page.locator("div.math[tabindex='0']").first
    wide.focus()
    page.keyboard.press("ArrowRight")
    wait_for(page, "document.activeElement.scrollLeft > 0")
    page.set_viewport_size({"width": 1440, "height": 900})
    expect(page.locator("div.math[tabindex='0']")).to_have_count(0)
    visit.page.context.close()


@pytest.mark.parametrize("page_name", [page for page in CHAPTERS if "retrain_lab" not in page])
def test_a_term_reads_as_text_and_leads_to_its_entry(visit, address, page_name):
    page = visit.open(address + page_name)
    links = page.locator("article a.glossary-link")
    assert links.count() > 10
    looks = links.evaluate_all(
        """links => links.map(link => ({
            line: getComputedStyle(link).textDecorationLine + ' ' + getComputedStyle(link).textDecorationStyle,
            coloured: getComputedStyle(link).color !== getComputedStyle(link.parentElement).color,
            set_apart: link.closest('h1, h2, h3, h4, figure, table, pre, code, math, .admonition') !== null,
        }))"""
    )
    assert all(look["line"] == "underline dotted" and not look["coloured"] for look in looks)
    assert not any(look["set_apart"] for look in looks)
    definition, anchor = links.first.get_attribute("title"), links.first.get_attribute("href").partition("#")[2]
    links.first.click()
    page.wait_for_url("**/glossary.html#*")
    assert page.locator(f"[id='{anchor}'] + dd p").first.inner_text() == definition


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_keras_calls_print_on_two_sheets_in_dark_ink(browser, address, tmp_path, scheme):
    visit = Visit(browser, address, color_scheme=scheme)
    page = visit.open(address + "keras_calls.html")
    page.pdf(path=tmp_path / "calls.pdf", format="A4")
    assert len(PdfReader(tmp_path / "calls.pdf").pages) <= 2
    page.emulate_media(media="print")
    ink = page.locator(".keras-calls dd p").first.evaluate("p => getComputedStyle(p).color")
    assert max(int(part) for part in re.findall(r"\d+", ink)) < 128
    assert visit.faults == []
    visit.page.context.close()


def test_no_progress_bar_or_log_line_is_on_a_page(site):
    for page in CHAPTERS:
        text = (site / page).read_text(encoding="utf-8")
        assert "output stderr" not in text
        assert "widget-state" not in text
        assert "WARNING:tensorflow" not in text
        assert "fontawesome.js" not in text


def test_the_ledger_gives_sixteen_claims_a_verdict_and_a_link_to_the_measurement(visit, address):
    page = visit.open(address + "what_held_up.html")
    verdicts = page.locator("main tbody td:nth-child(3)").all_inner_texts()
    assert len(verdicts) == 16
    assert set(verdicts) <= {"holds", "holds in part", "does not hold", "cannot be known"}
    for number, verdict in enumerate(verdicts, 1):
        claim = page.locator(f"section#claim-{number}, section:has(> #claim-{number})").last
        assert claim.locator("strong").last.inner_text() == verdict
        assert "notebooks/" in claim.locator("p a").first.get_attribute("href")
