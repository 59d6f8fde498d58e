"""The book as a PDF and as an EPUB, from the pages of the built site: `python book/printed.py pdf book/_build/html`.

On the site all numbers, references, captions, citations and stills are final. The pages become one document here,
without what is of the screen only; pandoc turns it into an EPUB, or into Typst, whose compiler sets the PDF.
"""

import argparse
import base64
import hashlib
import os
import posixpath
import re
import shutil
import sys
import uuid
from copy import copy
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib
import pypandoc
import typst
import yaml
from bs4 import BeautifulSoup
from fontTools.ttLib import TTFont

from mnist_helpers.whole_files import write_atomically

BOOK = Path(__file__).resolve().parent
ASSETS, PARTS = BOOK / "assets", BOOK / "printed"
NAME = "cracking-99"
SITE_WIDTH = 640  # of the site's column in pixels; a figure takes the same share of the printed one
OF_THE_SCREEN = (
    "script, link, style, button, a.headerlink, .toctree-wrapper, .screen-only, .hero-text > p:last-child, .numbers"
)
WRAPPERS = "div:not(.admonition, .citation, .math), mnist-lab, a.image-reference, td > p, th > p, ul.simple > li > p"
WITHOUT_A_PAGE = ".glossary-link, .keras-calls-in a"  # links that give no page number: there are many, in passing
STILL = "This is a still: on the book's site, the panel is live."
NO_STILL = "On the book's site, a live panel stands here."
HEADING, NAMED = re.compile("^h[1-6]$"), re.compile("^(h[1-6]|figure|table|div)$")
ELSEWHERE = re.compile(r"\w+:")  # an address that is not the site's
FIGURE = re.compile(r'<svg[^>]*class="figure"[^>]*aria-label="([^"]*)".*?</svg>', re.DOTALL)
THEMED = re.compile(r"var\(--[\w-]+,(#\w+)\)")
READ = "html+tex_math_single_backslash"


def read_pages(site: Path):
    """Give path and article of each page of a site in the book's order: each page names the next."""
    path = "index.html"
    if not (site / path).exists():
        sys.exit(f"There is no book in {site}: build the book first, as the README says.")
    while path:
        text = FIGURE.sub(as_image, (site / path).read_text(encoding="utf-8"))
        page = BeautifulSoup(text, "html.parser")
        yield path, page.find("article")
        following = page.find("link", rel="next")
        path = following and posixpath.normpath(posixpath.join(posixpath.dirname(path), following["href"]))


def as_image(figure: re.Match) -> str:
    """Give a figure that stands in its page as an image, in its literal colours, which need no theme."""
    packed = base64.b64encode(THEMED.sub(r"\1", figure[0]).encode()).decode()
    return f'<img alt="{figure[1]}" src="data:image/svg+xml;base64,{packed}">'


def printed(site: Path, folder: Path) -> tuple[str, str]:
    """Make one document of a site's pages, with answers and solutions at its end; its images are copied to a folder.

    Returns
    -------
    tuple of str
        The document as HTML, and the book's subtitle, which stands on the front page.
    """
    whole, solutions, names, subtitle = BeautifulSoup("", "html.parser"), [], {}, ""
    for path, article in read_pages(site):
        if path == "index.html" and (line := article.select_one(".hero-lead strong")):
            subtitle = line.get_text()
            line.parent.decompose()
        simplify(article)
        for image in article("img"):
            image["src"] = copy_image(site / posixpath.dirname(path), image["src"], folder)
        names |= place_names(article, path)
        solutions += take_solutions(article)
        if path == "index.html":
            article.h1.string = "About this book"
        whole.extend(list(article.children))
    if solutions:
        whole.extend([element("<h1>Solutions</h1>"), *solutions])
    for link in whole("a", href=re.compile("^[^#]")):
        if link["href"] in names:
            link["href"] = f"#{names[link['href']]}"
        elif not ELSEWHERE.match(link["href"]):  # a file of the site
            link.unwrap()
    for section in whole("section"):
        section.unwrap()
    return str(whole), subtitle


def element(html: str):
    """Parse one element."""
    return BeautifulSoup(html, "html.parser").contents[0].extract()


def simplify(article) -> None:
    """Leave of an article what is read on paper, in the few elements that pandoc knows."""
    for found in article.select(OF_THE_SCREEN):
        found.decompose()
    for how in article.select(".panel-how"):
        how.string = STILL
    for panel in article("mnist-lab"):
        if panel.get_text(strip=True) and not panel.img:
            panel.replace_with(element(f"<p><em>{NO_STILL}</em></p>"))
    for box in article.select("details.admonition"):
        box.name, box.summary.name = "div", "p"
    for title in article.select("p.admonition-title"):
        title.replace_with(element(f'<p class="admonition-title"><strong>{title.decode_contents()}</strong></p>'))
    for formula in article("math"):
        tex = formula.annotation.get_text()
        if formula["display"] == "block":
            formula.replace_with(rf"\[{tex}\]")
        else:
            formula.parent.string = rf"\({tex}\)"
    for number in article.select("div.math .eqno"):
        formula, text = number.parent, number.extract().get_text(strip=True)
        formula.string = formula.get_text(strip=True).removesuffix(r"\]") + rf"\qquad \text{{{text}}}\]"
    for term in article.select("dt[id]"):  # pandoc keeps no name of a term itself
        name = element(f'<span id="{term["id"]}"></span>')
        name.extend(list(term.children))
        del term["id"]
        term.append(name)
    for pre in article("pre"):
        code = element("<pre></pre>")
        code.string = pre.get_text()
        if pre.find_parent(class_=re.compile("^highlight-i?python")):
            code["class"] = "python"
        pre.replace_with(code)
    for table in article("table"):
        table["class"] = "dense" if len(table.tr(["th", "td"])) > 6 else ""
    for cell in article.select("td, th"):
        cell["style"] = f"text-align: {'right' if 'text-right' in cell.get('class', []) else 'left'}"
    for image in article("img"):
        width = re.search(r"width: (\d+)", image.get("style", ""))
        share = min(100, round(100 * int(width[1]) / SITE_WIDTH)) if width else 100
        image.attrs = {"src": image["src"], "alt": image.get("alt", ""), "width": f"{share}%"}
    for cited in article.select("[role]"):
        del cited["role"]
    for found in article.select(WRAPPERS):
        found.unwrap()


def copy_image(page: Path, source: str, folder: Path) -> str:
    """Copy an image, which a page has in a file or within itself, to a folder, and give its name there."""
    within = re.match(r"data:image/(\w+)[^,]*;base64,", source)
    data = base64.b64decode(source[within.end() :]) if within else (page / source).read_bytes()
    name = hashlib.sha256(data).hexdigest()[:16] + (f".{within[1]}" if within else Path(source).suffix)
    (folder / name).write_bytes(data)
    return name


def place_names(article, path: str) -> dict[str, str]:
    """Make a page's ids the whole document's, and its links addresses within the site; give the ids by address."""
    page = re.sub(r"^\d+_", "", Path(path).stem)
    names = {}
    for named in article.select("[id]"):
        old = named["id"]
        del named["id"]
        # A section goes by its heading's name, and an empty span is another name of what follows. What has none in
        # print is found from the heading above it.
        if named.name == "section" or (named.name == "span" and not named.contents):
            bearer = named.find_next(NAMED)
        else:
            itself = NAMED.match(named.name) or named.parent.name == "dt"
            bearer = named if itself else named.find_previous(HEADING)
        if "id" not in bearer.attrs:
            bearer["id"] = page if bearer.name == "h1" else f"{page}-{old}"
        names[f"{path}#{old}"] = bearer["id"]
    names[path] = page
    in_passing = article.select(WITHOUT_A_PAGE)
    for link in article("a", href=True):
        if not ELSEWHERE.match(link["href"]):
            place, mark, anchor = link["href"].partition("#")
            place = posixpath.normpath(posixpath.join(posixpath.dirname(path), place)) if place else path
            link["href"] = place + mark + anchor
            if link not in in_passing:
                link["class"] = "page" if place != path else ""
    return names


def take_solutions(article) -> list:
    """Take answers and solutions out of a chapter, and give them under its title, linked both ways with their place."""
    taken = []
    if questions := article.select("p:has(+ details)"):
        heading = questions[0].find_previous(HEADING)
        answers = [given for question in questions for given in take_answers(question)]
        link, moved = linked(heading, f"{heading['id']}-answers", "Questions", "Answers", answers)
        questions[-1].find_next("ol").insert_after(link)
        taken += moved
    for number, box in enumerate(article.select("div.solution"), start=1):
        exercise = box.find_previous(HEADING)
        box.select_one(".admonition-title").decompose()
        link, moved = linked(exercise, f"{exercise['id']}-solution-{number}", "Exercise", "Solution", box.contents)
        box.replace_with(link)
        taken += moved
    return [element(f"<h2>{article.h1.get_text()}</h2>"), *taken] if taken else []


def take_answers(question) -> list:
    """Letter the options of a question, take out what is said about each, and give question and options with it."""
    options, answers = element('<ol type="A"></ol>'), element('<ol type="A"></ol>')
    for option in list(takewhile(lambda sibling: sibling.name == "details", question.find_next_siblings(True))):
        text = option.summary.decode_contents().partition(". ")[2]  # without its letter, which the list gives it
        options.append(element(f"<li>{text}</li>"))
        answers.append(element(f"<li><em>{text}</em> {option.p.decode_contents()}</li>"))
        option.decompose()
    question.insert_after(options)
    return [copy(question), answers]


def linked(heading, name: str, back: str, forth: str, contents) -> tuple:
    """Give a link to what is taken from under a heading, and what is taken, under the same heading with a link back."""
    return element(f'<p><a class="page" href="#{name}">{forth}</a></p>'), [
        element(f'<h3 id="{name}">{heading.decode_contents()}</h3>'),
        element(f'<div class="back"><a class="page" href="#{heading["id"]}">{back}</a></div>'),
        *contents,
    ]


def about(subtitle: str) -> dict[str, str]:
    """Give what title page and catalogue say of the book."""
    config = yaml.safe_load((BOOK / "_config.yml").read_text(encoding="utf-8"))
    rights = (
        f"© {config['copyright']} {config['author']}. Text and figures are under CC BY 4.0, code is under the MIT "
        "licence; the images of MNIST, by Yann LeCun and Corinna Cortes, are under the Creative Commons "
        "Attribution-ShareAlike 3.0 licence."
    )
    return {"title": config["title"], "subtitle": subtitle, "author": config["author"], "rights": rights}


def edition() -> int:
    """Give the date that the files bear, in seconds: SOURCE_DATE_EPOCH, or the first day of the copyright's year."""
    year = yaml.safe_load((BOOK / "_config.yml").read_text(encoding="utf-8"))["copyright"]
    return int(os.environ.get("SOURCE_DATE_EPOCH") or datetime(int(year), 1, 1, tzinfo=UTC).timestamp())


def typeset(source: Path, book: dict[str, str], target: Path, **options) -> None:
    """Compile a Typst file with the book's own typeface, and what this machine has installed left aside."""
    folder = source.parent
    shutil.copy(ASSETS / "mark-light.svg", folder)
    for path in (ASSETS / "fonts").glob("*.woff2"):
        font = TTFont(path, recalcTimestamp=False)
        font.flavor = None  # unpacked, as Typst reads it
        font.save(folder / f"{path.stem}.ttf")
    # matplotlib brings a typeface for the letters that the book's own has not.
    fonts = [folder, matplotlib.get_data_path()]
    compiler = typst.Compiler(source, folder, font_paths=fonts, ignore_system_fonts=True, sys_inputs=book)
    compiler.compile(output=target, timestamp=datetime.fromtimestamp(edition(), UTC), **options)


def write_pdf(html: str, book: dict[str, str], folder: Path, target: Path) -> None:
    """Write the document as a PDF, tagged for those who listen to it."""
    shutil.copytree(ASSETS / "digits", folder / "digits")
    shutil.copy(PARTS / "book.typ", folder)
    text = pypandoc.convert_text(html, "typst", READ, [f"--lua-filter={PARTS / 'typst.lua'}", "--wrap=none"])
    source = folder / "main.typ"
    source.write_text(f'#import "book.typ": *\n#show: book\n{text}', encoding="utf-8")
    typeset(source, book, target, pdf_standards="ua-1")


def write_epub(html: str, book: dict[str, str], folder: Path, target: Path) -> None:
    """Write the document as an EPUB."""
    typeset(Path(shutil.copy(PARTS / "cover.typ", folder)), book, folder / "cover.png", format="png", ppi=144)
    metadata = {
        "title": [{"type": "main", "text": book["title"]}, {"type": "subtitle", "text": book["subtitle"]}],
        "creator": [{"role": "author", "text": book["author"]}],
        "identifier": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, NAME)}",
        "lang": "en-GB",
        "rights": book["rights"],
        "accessModes": ["textual", "visual"],
        "accessibilityFeatures": ["alternativeText", "MathML", "structuralNavigation", "tableOfContents"],
    }
    (folder / "metadata.yaml").write_text(yaml.safe_dump(metadata), encoding="utf-8")
    os.environ["SOURCE_DATE_EPOCH"] = str(edition())
    options = {
        "toc-depth": 2,
        "split-level": 1,
        "resource-path": folder,
        "metadata-file": folder / "metadata.yaml",
        "epub-cover-image": folder / "cover.png",
        "css": PARTS / "epub.css",
    }
    fonts = [f"--epub-embed-font={path}" for path in sorted((ASSETS / "fonts").glob("*.woff2"))]
    options = ["--mathml", *(f"--{name}={value}" for name, value in options.items()), *fonts]
    pypandoc.convert_text(html, "epub3", READ, options, outputfile=target)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=["pdf", "epub"])
    parser.add_argument("site", type=Path, help="the folder of the built site")
    arguments = parser.parse_args()
    target = arguments.site / "downloads" / f"{NAME}.{arguments.kind}"
    with TemporaryDirectory() as folder:
        html, subtitle = printed(arguments.site, Path(folder))
        target.parent.mkdir(exist_ok=True)
        write = {"pdf": write_pdf, "epub": write_epub}[arguments.kind]
        whole = Path(folder) / target.name
        write(html, about(subtitle), Path(folder), whole)
        try:
            write_atomically(target, whole.read_bytes())
        except OSError as error:
            sys.exit(f"{target}: cannot be written ({error}); what was there stays. Make room, and print it again.")
    print(f"Written: {target}")


if __name__ == "__main__":
    main()
