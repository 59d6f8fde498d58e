"""Pages that are light and have nothing to fear: what they weigh, whether anything moves, and what may run in them."""

import gzip
import re
import shutil
from urllib.parse import urlsplit

import light
import pytest
from browsing import Visit, wait_for
from fontTools.ttLib import TTFont
from PIL import Image

MEGABYTE = 1_000_000
IMAGES = (".png", ".svg", ".jpg")
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
OF_EACH_KIND = ["index.html", "what_held_up.html", "notebooks/07_many_runs.html"]


# ---------------------------------------------------------------- what the extension does

OLD_PAGE = """<html><head><meta charset="utf-8" />
<title>{title}</title><script data-cfasync="false">dataset.theme = localStorage.getItem("theme")</script>
<link href="{root}_static/styles/theme.css?digest=1" rel="stylesheet" />
<link rel="stylesheet" type="text/css" href="{root}_static/own.css?v=1" />
<link rel="preload" as="script" href="{root}_static/shared.js" />
<script src="{root}_static/options.js?v=2"></script><script src="{root}_static/shared.js?v=3"></script>
<script>let word = 'Show';</script><script>DOCUMENTATION_OPTIONS.pagename = '{title}';</script>
<script src="{root}_static/searchtools.js"></script></head>
<body><button onclick="window.print()">.pdf</button><img alt="Mark" src="{root}_static/mark.svg">
<article class="used"><p>First.</p><img src="{root}_images/a.png"><p>{text}</p>
<img alt="Late" src="{root}_images/a.png"></article>{own}
<script type="application/vnd.jupyter.widget-state+json">{{}}</script>
<script type="application/json">{{"a": 1}}</script></body></html>"""
FILES = {
    "_static/styles/theme.css": '@import "../basic.css"; :root { --a: var(--b); --b: 1px; --lost: 2px } '
    ".used { width: var(--a); animation: turn 1s } .by-script { color: red } .lost { width: var(--lost) }"
    "@keyframes turn { from { top: 0 } } @keyframes lost { from { top: 0 } }",
    "_static/basic.css": "article { background: url(paper.svg) }",
    "_static/own.css": '@font-face { font-family: Own; src: url("fonts/own.woff2") } p { font-family: Own }',
    "_static/paper.svg": "<svg/>",
    "_static/mark.svg": '<svg viewBox="0 0 30 20"/>',
    "_static/options.js": "const DOCUMENTATION_OPTIONS = {};",
    "_static/shared.js": "document.body.classList.add('by-script', word);",
    "_static/searchtools.js": "search();",
    "_static/sphinx_highlight.js": "",
    "_static/language_data.js": "",
    "_static/shared.js.map": "{}",
    "search.html": OLD_PAGE.format(title="search", root="", text="", own="<script>focus()</script>"),
    "notebooks/one.html": OLD_PAGE.format(title="one", root="../", text="word " * 300, own=""),
}


class Application:
    """What the extension reads of Sphinx's application."""

    class builder:
        name = "html"

    def __init__(self, folder):
        self.outdir, self.doctreedir = folder / "html", folder


@pytest.fixture
def small(tmp_path):
    """The folder of a site of two pages that was made light."""
    site = tmp_path / "html"
    for name, text in FILES.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_text(text, encoding="utf-8")
    for folder in ("_images", "_static/fonts"):
        (site / folder).mkdir()
    Image.new("L", (40, 30)).save(site / "_images" / "a.png")
    shutil.copy(light.HERE.parent / "assets/fonts/atkinson-hyperlegible-mono.woff2", site / "_static/fonts/own.woff2")
    for face in light.PRELOADED:
        shutil.copy(site / "_static/fonts/own.woff2", site / f"_static/fonts/{face}.woff2")
    light.lighten(Application(tmp_path), None)
    return site


def test_the_style_sheet_has_what_pages_and_scripts_name(small):
    sheet = (small / "_static/light/book.css").read_text(encoding="utf-8")
    assert all(part in sheet for part in (".used", ".by-script", "--a:", "--b:", "@keyframes turn", "article{"))
    assert "lost" not in sheet
    for address in re.findall(r'url\("?([^")]*)', sheet):
        assert (small / "_static/light" / urlsplit(address).path).exists(), address


def test_a_page_loads_one_style_sheet_and_one_script_that_waits(small):
    for name in ("search.html", "notebooks/one.html"):
        page = (small / name).read_text(encoding="utf-8")
        assert page.index(light.HEAD) < page.index("<meta charset")
        assert re.findall(r'rel="stylesheet" href="[./]*([^"?]*)', page) == ["_static/light/book.css"]
        blocking = re.findall(r'<script src="[./]*([^"?]*)', page)
        assert blocking == ["_static/light/first_paint.js"]
        assert '<script type="application/json">{"a": 1}</script>' in page
        assert "<button data-print>" in page
        assert not re.search(r"widget-state|<script>| on\w+=|\?v=\"", page)
    waiting = re.findall(r'<script defer src="([^"?]*)', (small / "search.html").read_text(encoding="utf-8"))
    assert waiting == ["_static/light/book.js", *light.SEARCH, "_static/light/search.js"]
    assert "searchtools" not in (small / "notebooks/one.html").read_text(encoding="utf-8")
    program = (small / "_static/light/book.js").read_text(encoding="utf-8")
    assert program.index("DOCUMENTATION_OPTIONS") < program.index("Show") < program.index("by-script")
    assert "pagename" not in program


def test_images_have_their_sizes_and_wait_unless_they_are_seen_at_first(small):
    page = (small / "notebooks/one.html").read_text(encoding="utf-8")
    mark, first, late = re.findall("<img[^>]*>", page)
    assert mark == '<img width="30" height="20" loading="lazy" alt="Mark" src="../_static/mark.svg">'
    assert first == '<img width="40" height="30" src="../_images/a.png">'
    assert late == '<img width="40" height="30" loading="lazy" alt="Late" src="../_images/a.png">'


def test_a_face_has_the_characters_and_weights_that_are_used(small):
    font = TTFont(small / "_static/light/own.woff2")
    assert {ord("a"), ord("~")} < set(font.getBestCmap())
    assert ord("€") not in font.getBestCmap()
    axis = font["fvar"].axes[0]
    assert (axis.minValue, axis.maxValue) == light.WEIGHTS


def test_a_file_that_nothing_names_is_taken_away(small):
    left = {path.relative_to(small / "_static").as_posix() for path in (small / "_static").rglob("*.*")}
    own = {path for path in left if path.startswith("light/")}
    search = {name.removeprefix("_static/") for name in light.SEARCH[:-1]}
    assert left - own == {"mark.svg", "paper.svg", *search}


def test_a_page_of_an_earlier_build_gets_the_versions_of_this_one(small, tmp_path):
    old = (small / "notebooks/one.html").read_text(encoding="utf-8")
    for name, text in FILES.items():
        if not name.startswith("notebooks"):
            (small / name).parent.mkdir(parents=True, exist_ok=True)
            (small / name).write_text(text.replace("color: red", "color: blue"), encoding="utf-8")
    light.lighten(Application(tmp_path), None)
    new = (small / "notebooks/one.html").read_text(encoding="utf-8")
    assert new != old
    assert re.sub(r"\?v=\w+", "", new) == re.sub(r"\?v=\w+", "", old)
    sheet = (small / "_static/light/book.css").read_bytes()
    assert f'book.css?v={light.digest(sheet)}"' in new


# ---------------------------------------------------------------- the site


def packed(path):
    return len(gzip.compress(path.read_bytes()))


@pytest.mark.parametrize("page_name", OF_EACH_KIND)
def test_a_page_is_light_before_its_images_and_nothing_in_it_moves(browser, address, site, page_name):
    context = browser.new_context(**PHONE)
    page = context.new_page()
    asked, faces = [], []
    page.on("request", lambda request: asked.append(urlsplit(request.url)))
    # The faces come when the page has been painted without them, as on a slow network.
    page.route("**/*.woff2*", lambda route: faces.append(route))
    page.add_init_script(
        """window.moved = 0;
        new PerformanceObserver(list => list.getEntries().forEach(entry => (window.moved += entry.value)))
            .observe({type: 'layout-shift', buffered: true});"""
    )
    page.goto(address + page_name, wait_until="domcontentloaded")
    wait_for(page, "performance.getEntriesByName('first-contentful-paint').length")
    wait_for(page, "document.fonts.status === 'loading'")
    assert faces
    page.route("**/*.woff2*", lambda route: route.continue_())
    for face in faces:
        face.continue_()
    wait_for(page, "document.fonts.status === 'loaded'")
    page.wait_for_load_state("networkidle")
    page.evaluate("new Promise(resolve => requestAnimationFrame(() => requestAnimationFrame(resolve)))")
    assert page.evaluate("document.fonts.check('16px \"Atkinson Hyperlegible Next\"')")
    assert page.evaluate("window.moved") < 0.02
    root = urlsplit(address).path
    files = {site / url.path.removeprefix(root) for url in asked if url.path.startswith(root)}
    before_images = [path for path in files if path.suffix not in IMAGES and ".bin" not in path.name]
    assert sum(map(packed, before_images)) < 250_000
    context.close()


def test_the_whole_site_is_small(site):
    """Without what a reader asks for: the lab's images, the downloads, and the chapters as notebooks among them."""
    files = [path for path in site.rglob("*") if path.is_file() and path.suffixes != [".bin", ".gz"]]
    rest = [path for path in files if path.relative_to(site).parts[0] not in ("downloads", "_sources")]
    assert sum(path.stat().st_size for path in rest) < 10 * MEGABYTE


def test_every_page_begins_with_the_policy_and_has_no_script_of_its_own(site):
    for path in light.pages_of(site):
        page = path.read_text(encoding="utf-8")
        assert light.HEAD in page, path
        assert not re.search(r"<script(?![^>]*(?:\bsrc=|type=\"application/(?:ld\+)?json))", page), path
        assert not re.search(r"<[^>]* on\w+=|javascript:", page), path
        for tag in re.findall("<img[^>]*>", page):
            assert " width=" in tag and " height=" in tag, tag
    slides = (site / "downloads/cracking-99-slides.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in slides[: slides.index("<title>")]


def test_no_script_but_the_sites_own_runs(browser, address):
    context = browser.new_context()
    page = context.new_page()
    page.goto(address + "index.html", wait_until="networkidle")
    page.evaluate(
        """() => {
            window.broken = [];
            document.addEventListener('securitypolicyviolation', event => broken.push(event.effectiveDirective));
            const put = (name, values) => document.body.append(Object.assign(document.createElement(name), values));
            put('script', {textContent: 'window.ran = 1'});
            put('script', {src: 'data:text/javascript,window.ran = 2'});
            put('div', {innerHTML: '<img src="x" onerror="window.ran = 3">'});
            put('iframe', {srcdoc: '<script>parent.ran = 4</script>'});
            put('img', {src: 'https://example.org/a.png'});
            put('base', {href: 'https://example.org/'});
            fetch('https://example.org/').catch(() => {});
        }"""
    )
    wait_for(page, "window.broken.length >= 5")
    assert page.evaluate("window.ran") is None
    expected = {"script-src-elem", "script-src-attr", "img-src", "base-uri", "connect-src"}
    assert expected <= set(page.evaluate("window.broken"))
    context.close()


def test_buttons_work_without_scripts_in_the_page(browser, address):
    visit = Visit(browser, address, permissions=["clipboard-read", "clipboard-write"])
    page = visit.open(address + "notebooks/07_many_runs.html")
    cell = page.locator("div.highlight", has=page.locator("button.copybtn")).first
    cell.hover()
    cell.locator("button.copybtn").click()
    wait_for(page, "navigator.clipboard.readText().then(text => text.length > 10)")
    page.evaluate("window.print = () => (window.printed = true)")
    page.locator("button.dropdown-toggle:visible").first.click()
    page.locator("[data-print]:visible").click()
    assert page.evaluate("window.printed")
    page.keyboard.press("Control+k")
    assert page.locator("#pst-search-dialog input").is_visible()
    assert visit.faults == []
    visit.page.context.close()
