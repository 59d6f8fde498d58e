"""Finding one's way in the site: the order of its pages, its search, its addresses, and the page of its own state."""

import posixpath
import re
from urllib.parse import urljoin

import pytest
import yaml
from bs4 import BeautifulSoup
from test_site import CHAPTERS, PAGES, ROOT

CONFIG = yaml.safe_load((ROOT / "book" / "_config.yml").read_text(encoding="utf-8"))["sphinx"]["config"]
MOVED = CONFIG["moved_pages"]
THE_STORY = [*[page for page in CHAPTERS if "retrain_lab" not in page], "what_held_up.html", "train_here.html"]


def read(site, name: str) -> BeautifulSoup:
    return BeautifulSoup((site / name).read_text(encoding="utf-8"), "html.parser")


def test_each_page_leads_to_the_next_of_the_story_and_all_pages_are_passed(site):
    passed, name = [], "index.html"
    while name:
        passed.append(name)
        following = read(site, name).select_one("a.right-next")
        name = following and posixpath.normpath(posixpath.join(posixpath.dirname(name), following["href"]))
    assert passed[: len(THE_STORY) + 1] == ["index.html", *THE_STORY]
    assert sorted(passed) == sorted(set(PAGES) - {"search.html"})


def test_the_contents_have_parts_and_what_held_up_ends_the_chapters(site):
    contents = read(site, "index.html").select_one("nav.bd-docs-nav")
    captions = [caption.get_text() for caption in contents.select("p.caption")]
    assert captions == ["The chapters", "Try it", "Beside the chapters", "Behind the book"]
    before = contents.find("p", string="Try it").find_previous("a")
    assert before.get_text() == "What held up"


@pytest.mark.parametrize("term", ["epoch", "learning rate", "Adam", "interval, 95%"])
def test_the_search_leads_to_a_term_of_the_glossary_first(visit, address, term):
    page = visit.open(f"{address}search.html?q={term.replace('%', '%25')}")
    first = page.locator("#search-results li").first
    assert first.locator("a").inner_text() == term
    first.locator("a").click()
    page.wait_for_url(re.compile(r"/glossary\.html.*#term-"))
    assert page.locator(":target").inner_text().startswith(term)


@pytest.mark.parametrize("former", MOVED)
def test_a_former_address_leads_to_the_chapter(visit, address, former):
    page = visit.page
    page.goto(f"{address}{former}.html")
    page.wait_for_url(f"{address}{MOVED[former]}.html")


@pytest.mark.parametrize("former", MOVED)
def test_a_former_address_names_the_present_one_for_machines_and_without_a_refresh(site, former):
    moved, address = read(site, f"{former}.html"), f"/{former}.html"
    present = f"/{MOVED[former]}.html"
    assert urljoin(address, moved.find("link", rel="canonical")["href"]) == present
    assert urljoin(address, moved.a["href"]) == present
    assert moved.h1.get_text() == re.sub(r"^\d+\. ", "", read(site, f"{MOVED[former]}.html").h1.get_text()[:-1])


@pytest.mark.parametrize("name", [page for page in PAGES if page != "search.html"])
def test_no_anchor_is_counted_up_or_depends_on_a_number_that_is_computed(site, name):
    """Such an anchor would lead elsewhere once something came in before it, or other numbers came out."""
    article = read(site, name).find("article")
    assert [tag["id"] for tag in article.select("[id]") if re.fullmatch(r"id\d+", tag["id"])] == []
    assert article.select(":is(h1, h2, h3, h4) .pasted-text") == []


def test_the_status_page_has_a_row_for_each_notebook_and_the_versions(site):
    page = read(site, "status.html")
    sections = [page.select(f"#the-{name} tbody tr") for name in ("notebooks", "versions")]
    notebooks, versions = ([[cell.get_text() for cell in row("td")] for row in rows] for rows in sections)
    assert len(notebooks) == len(CHAPTERS)
    for _, executed, seconds, memory in notebooks:
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d", executed)
        assert re.fullmatch(r"\d+ s", seconds)
        assert re.fullmatch(r"\d+\.\d GB|not known", memory)
    assert {"Python", "tensorflow", "keras", "numpy"} <= {name for name, _ in versions}
    assert all(re.match(r"\d", version) for _, version in versions)
