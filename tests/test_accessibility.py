"""That the site is open to everybody: whole pages, each loaded once, as axe, a keyboard and a magnified screen meet them.

`book/accessibility.md` says what else was tried by hand. The live panels have tests of their own in `test_lab.py`.
"""

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import SECONDS, Visit
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

# Gives the focus to all that takes it, forwards and backwards, and names what cannot be seen then: what lies outside the
# window or beneath something else, and what has no ring.
WITHOUT_FOCUS_SEEN = """() => {
    const all = [...document.querySelectorAll("a[href], button, input, select, summary, [tabindex='0']")].filter(
        (element) => element.checkVisibility({ visibilityProperty: true }) && !element.disabled && element.tabIndex >= 0
    );
    const unseen = new Set();
    for (const element of [...all, ...all.toReversed()]) {
        element.focus();
        const [box] = element.getClientRects(), x = box.x + box.width / 2, y = box.y + box.height / 2;
        const above = document.elementFromPoint(Math.min(x, innerWidth - 1), y), ring = getComputedStyle(element);
        const hidden = !above || !(element.contains(above) || above.contains(element));
        if (hidden || ring.outlineStyle === "none" || parseFloat(ring.outlineWidth) < 2)
            unseen.add(`${hidden ? "hidden" : "no ring"}: ${element.outerHTML.slice(0, 120)}`);
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
        const style = getComputedStyle(element);
        return parseFloat(style.transitionDuration) || style.animationName !== "none" || style.scrollBehavior !== "auto";
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
        page.wait_for_function(SCROLLERS_ARE_REACHED)
        results = Axe().run(page, options={"resultTypes": ["violations"], "preload": False} | rules)
        found += [
            f"{theme}, {size['width']} px: {broken['id']}: {broken['nodes'][0]['html'][:200]}"
            for broken in results.response["violations"]
        ]
    page.set_viewport_size(DESK)
    assert found == []
