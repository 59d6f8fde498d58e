"""That the site is open to everybody: whole pages, each loaded once, as axe, a keyboard and a large zoom meet them.

`book/accessibility.md` says what else was tried by hand. The live panels have tests of their own in `test_lab.py`.
"""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import SECONDS, Visit, wait_for
from bs4 import BeautifulSoup
from playwright.sync_api import expect
from pypdf import PdfReader
from test_site import PAGES

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1440, "height": 900}
MAGNIFIED = {"width": 320, "height": 256}  # a window of 1280 × 1024 at 400%
CHAPTER = "notebooks/07_many_runs.html"

# Axe's rules, its best practices and the size of targets among them; and those whose answer the theme or the width can
# change while the page stays as it is.
ALL_RULES = {"rules": {"target-size": {"enabled": True}}}
OF_COLOUR = {"runOnly": ["color-contrast", "link-in-text-block"]}
OF_WIDTH = {"runOnly": ["scrollable-region-focusable", "target-size", "region", "heading-order", "button-name"]}

# The theme gives what scrolls a place in the keyboard's order, a moment after the window has another width.
SCROLLERS_ARE_REACHED = """() => [...document.querySelectorAll("pre, .pst-scrollable-table-container")].every(
    (element) => element.scrollWidth <= element.clientWidth || element.tabIndex === 0
)"""
# Leaves one of each kind of token in the code, and the others as text: there are thousands, in a dozen colours.
ONE_TOKEN_OF_A_KIND = """() => {
    const seen = new Set();
    for (const token of document.querySelectorAll("pre span, code span")) {
        if (seen.has(token.className)) token.replaceWith(...token.childNodes);
        else seen.add(token.className);
    }
}"""
SET_THEME = "theme => Object.assign(document.documentElement.dataset, { theme, mode: theme })"

# Gives the focus to all that takes it, forwards and backwards, and names what cannot be seen then: what lies outside
# the window or beneath something else, and what has no ring.
WITHOUT_FOCUS_SEEN = """() => {
    const all = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")].filter(
        (element) => element.checkVisibility({ visibilityProperty: true }) && !element.disabled && element.tabIndex >= 0
    );
    const unseen = new Set();
    for (const element of [...all, ...all.toReversed()]) {
        element.focus();
        const [box] = element.getClientRects(), x = Math.min(box.x + box.width / 2, innerWidth - 1);
        const middle = box.y + box.height / 2, inside = Math.min(Math.max(middle, 80), innerHeight - 2);
        const above = document.elementFromPoint(x, box.height < innerHeight / 2 ? middle : inside);
        const ring = getComputedStyle(element);
        const hidden = !above || !(element.contains(above) || above.contains(element));
        const fault = hidden ? `hidden by ${above?.outerHTML.slice(0, 120)}` : "no ring";
        if (hidden || ring.outlineStyle === "none" || parseFloat(ring.outlineWidth) < 2)
            unseen.add(`${fault}: ${element.outerHTML.slice(0, 120)}`);
    }
    return { all: all.length, unseen: [...unseen] };
}"""


@pytest.fixture(scope="module")
def visitor(browser, address):
    visit = Visit(browser, address, viewport=DESK, reduced_motion="reduce")
    yield visit
    assert visit.faults == []
    visit.page.context.close()


@pytest.fixture(scope="module", params=["search.html?q=epoch" if page == "search.html" else page for page in PAGES])
def page(visitor, address, request):
    """A page of the site, which the tests below take in turns; each leaves it as wide and light as it was."""
    page = visitor.page
    page.goto(address + request.param)
    if page.locator("mnist-lab, #search-results").count():
        page.wait_for_load_state("networkidle")
    page.evaluate(SET_THEME, "light")
    return page


def test_a_page_begins_with_its_heading_and_has_no_other_order_than_its_own(page):
    assert page.evaluate("document.querySelector('main :is(h1, h2, h3, h4)').tagName") == "H1"
    assert page.locator("[tabindex]").evaluate_all("all => all.filter(element => element.tabIndex > 0).length") == 0
    assert page.evaluate("document.querySelector('a[href], button, input').hash") == "#main-content"


@pytest.mark.parametrize("size", [PHONE, MAGNIFIED], ids=["phone", "magnified"])
def test_no_page_scrolls_sideways(page, size):
    page.set_viewport_size(size)
    assert page.evaluate("document.scrollingElement.scrollWidth") <= size["width"]
    page.set_viewport_size(DESK)


@pytest.mark.parametrize("size", [DESK, MAGNIFIED], ids=["desk", "magnified"])
def test_what_has_the_focus_is_seen(page, size):
    page.set_viewport_size(size)
    page.keyboard.press("Tab")  # from now on the browser shows where the focus is
    seen = page.evaluate(WITHOUT_FOCUS_SEEN)
    assert seen["all"] > 5
    assert seen["unseen"] == []
    page.set_viewport_size(DESK)


def test_nothing_moves_where_motion_is_unwelcome(page):
    moving = """[...document.querySelectorAll("*")].filter((element) => {
        const { transitionDuration, animationName, scrollBehavior } = getComputedStyle(element);
        return parseFloat(transitionDuration) || animationName !== "none" || scrollBehavior !== "auto";
    }).length"""
    assert page.evaluate(moving) == 0


def test_axe_finds_nothing_in_either_theme_and_width(page):
    page.evaluate(ONE_TOKEN_OF_A_KIND)
    found = []
    for theme, size, rules in (
        ("light", DESK, ALL_RULES),
        ("dark", DESK, OF_COLOUR),
        ("dark", PHONE, OF_WIDTH),
        ("light", PHONE, OF_WIDTH),
    ):
        page.set_viewport_size(size)
        page.evaluate(SET_THEME, theme)
        wait_for(page, SCROLLERS_ARE_REACHED)
        found += [f"{theme}, {size['width']} px: {rule}" for rule in broken_rules(page, rules)]
    page.set_viewport_size(DESK)
    assert found == []


def broken_rules(page, rules: dict) -> list[str]:
    """Ask axe for the rules that a page breaks, each with the first element that does."""
    results = Axe().run(page, options={"resultTypes": ["violations"], "preload": False} | rules)
    return [f"{rule['id']}: {rule['nodes'][0]['html'][:200]}" for rule in results.response["violations"]]


def test_axe_finds_nothing_in_what_opens_over_a_page(browser, address):
    visit = Visit(browser, address, viewport=PHONE, reduced_motion="reduce")
    page = visit.open(address + "paths.html")
    for button in (".search-button", ".primary-toggle", ".secondary-toggle"):
        page.locator(f"{button}:visible").click()
        expect(page.locator("dialog[open]")).to_be_visible()
        assert broken_rules(page, ALL_RULES) == [], button
        page.keyboard.press("Escape")
        expect(page.locator("dialog[open]")).to_have_count(0)
    assert visit.faults == []
    visit.page.context.close()


def test_a_keyboard_skips_to_the_text(browser, address):
    visit = Visit(browser, address, viewport=DESK, reduced_motion="reduce")
    page = visit.open(address + CHAPTER)
    page.keyboard.press("Tab")
    link = page.get_by_role("link", name="Skip to main content")
    expect(link).to_be_focused()
    assert link.bounding_box()["y"] >= 0
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    assert visit.faults == []
    visit.page.context.close()


@pytest.mark.parametrize("size", [PHONE, MAGNIFIED], ids=["phone", "magnified"])
def test_a_control_that_has_the_focus_is_not_beneath_the_charts_of_its_panel(browser, address, size):
    visit = Visit(browser, address, viewport=size, reduced_motion="reduce")
    page = visit.open(address + "train_here.html")
    page.locator("mnist-lab").first.scroll_into_view_if_needed()
    expect(page.locator(".mnist-panel.retrain .controls input").first).to_be_visible(timeout=20 * SECONDS)
    page.keyboard.press("Tab")
    seen = page.evaluate(WITHOUT_FOCUS_SEEN)
    assert seen["all"] > 40
    assert seen["unseen"] == []
    visit.page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_forced_colours_leave_nothing_out(browser, address, scheme):
    visit = Visit(browser, address, viewport=DESK, color_scheme=scheme, forced_colors="active")
    page = visit.open(address + "train_here.html")
    for view in ("retrain", "draw"):
        page.locator(f'mnist-lab[view="{view}"]').scroll_into_view_if_needed()
        expect(page.locator(f".mnist-panel.{view}")).to_be_visible(timeout=20 * SECONDS)
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.locator(".retrain path.shown.validation").first).to_be_attached(timeout=20 * SECONDS)
    colours = """() => {
        const of = (selector, property) => getComputedStyle(document.querySelector(selector))[property];
        return {
            page: of("body", "backgroundColor"),
            bar: of(".share div", "backgroundColor"),
            curve: of(".retrain path.shown.validation", "stroke"),
            axis: of(".retrain .axes text", "fill"),
            answer: of(".draw .sheet", "backgroundColor") === of(".draw .sheet", "color"),
        };
    }"""
    seen = page.evaluate(colours)
    assert seen["answer"] is False
    for what in ("bar", "curve", "axis"):
        assert contrast(seen[what], seen["page"]) >= 3, (what, seen)
    page.locator("nav.bd-links a").nth(2).focus()
    page.keyboard.press("Tab")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page = visit.open(address + CHAPTER)
    sides = page.evaluate(
        """() => {
            const triangle = getComputedStyle(document.querySelector("#questions summary"), "::before");
            return [triangle.borderTopColor, triangle.borderLeftColor];
        }"""
    )
    assert sides[0] != sides[1]  # or it would be a block
    assert visit.faults == []
    visit.page.context.close()


def contrast(one: str, other: str) -> float:
    """Give the contrast of two colours, as CSS gives them computed, by WCAG's formula."""
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_paper_gets_the_text_alone_in_dark_ink_with_answers_and_solutions(browser, address, site, tmp_path, scheme):
    visit = Visit(browser, address, color_scheme=scheme)
    page = visit.open(address + CHAPTER)
    page.emulate_media(media="print")
    printed = page.locator("article :is(p, pre span, td, h2)")
    ink = printed.evaluate_all("all => all.map(element => getComputedStyle(element).color)")
    assert all(contrast(colour, "rgb(255, 255, 255)") > 4.5 for colour in set(ink))
    page.pdf(path=tmp_path / "chapter.pdf", format="A4")
    text = " ".join("".join(sheet.extract_text() for sheet in PdfReader(tmp_path / "chapter.pdf").pages).split())
    article = BeautifulSoup((site / CHAPTER).read_text(encoding="utf-8"), "html.parser").find("article")
    assert text.startswith(" ".join(article.h1.get_text().split()).removesuffix("#").removeprefix("7. "))
    assert text.count("Right:") == 3
    for solution in article.select(".solution"):
        assert " ".join(solution.pre.get_text().split())[:20] in text
    for word in ("What held up", "Copy to clipboard", "previous", "Contents"):
        assert word not in text
    assert visit.faults == []
    visit.page.context.close()
