"""The slides, made from two small pages: each figure with caption and alt text, in one file, on screen and printed."""

import io
import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import wait_for
from bs4 import BeautifulSoup
from pypdf import PdfReader
from slides import slides

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
PAGE = """<html><body><nav><figure id="nav"><img alt="The mark." src="mark.png"></figure></nav><article>
<h1><span class="section-number">{number}. </span>A &amp; B<a class="headerlink" href="#a">#</a></h1>
<div class="question admonition"><p class="admonition-title">The question</p><p>Is <code>x</code> it?</p></div>
<figure id="fig-{number}"><svg viewBox="0 0 4 3" class="figure" role="img" aria-label='It "rises".'><path
style="fill:var(--figure-paper,#fffefa)" d="M0 0L4 0L4 3L0 3z"/></svg>
<figcaption><p><span class="caption-number">Fig. {number}.1 </span><span class="caption-text">A curve of
<code>y</code>.</span><a class="headerlink" href="#fig">#</a></p></figcaption></figure>
<figure class="panel-still" id="still"><img alt="A still." src="data:image/png;base64,{pixel}">
<figcaption>A panel.</figcaption></figure></article></body></html>"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    (folder / "notebooks").mkdir()
    pages = []
    for number in (1, 2):
        pages.append(folder / "notebooks" / f"0{number}.html")
        pages[-1].write_text(PAGE.format(number=number, pixel=PIXEL), encoding="utf-8")
    made = folder / "slides.html"
    made.write_text(slides("A book", "Its authors", pages), encoding="utf-8")
    return made


def test_each_figure_is_a_slide_with_its_caption_as_title_and_its_alt_text(file):
    page = BeautifulSoup(file.read_text(encoding="utf-8"), "html.parser")
    opening, first, figure, *_ = page("section")
    assert [link["href"] for link in opening.select("ol a")] == ["#chapter-1", "#chapter-2"]
    assert (first["id"], first.h2.get_text(), first.p.get_text()) == ("chapter-1", "1. A & B", "Is x it?")
    assert re.sub(r"\s+", " ", figure.h3.get_text()) == "Fig. 1.1 A curve of y."
    assert [drawn["aria-label"] for drawn in page("svg")] == ['It "rises".'] * 2
    assert figure.footer.get_text() == "1. A & B · A book · Its authors, CC BY 4.0"
    assert len(page("section")) == 1 + 2 * 2


def test_the_slides_are_one_file_that_asks_for_nothing(file):
    text = file.read_text(encoding="utf-8")
    sources = re.findall(r'(?:src=|url\(|rel="(?:stylesheet|icon)" href=)"([^"]*)"', text)
    assert len(sources) == 2 and all(source.startswith("data:") for source in sources)


@pytest.mark.parametrize(
    ("viewport", "scheme"),
    [((1280, 720), "light"), ((1280, 720), "dark"), ((390, 844), "light"), ((844, 390), "dark")],
)
def test_arrow_keys_go_from_slide_to_slide_and_each_fills_the_screen(browser, file, viewport, scheme):
    width, height = viewport
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
    page.goto(file.as_uri())
    paper = page.locator("svg path").first.evaluate("path => getComputedStyle(path).fill")
    assert paper == {"light": "rgb(255, 254, 250)", "dark": "rgb(18, 26, 48)"}[scheme]
    for key, at in [("ArrowRight", 1), ("ArrowDown", 2), ("PageDown", 3), ("ArrowLeft", 2), ("ArrowUp", 1)]:
        page.keyboard.press(key)
        wait_for(page, f"Math.abs(scrollY - {at} * innerHeight) < 2")
    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    overflowing = "[...document.querySelectorAll('section')].filter(it => it.scrollHeight > it.clientHeight + 1).length"
    assert page.evaluate(overflowing) == 0
    assert Axe().run(page).response["violations"] == []
    page.close()


def test_each_slide_is_printed_on_a_page_of_its_own(browser, file):
    page = browser.new_page()
    page.goto(file.as_uri())
    printed = PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True)))
    assert len(printed.pages) == page.locator("section").count()
    page.close()
