"""The figures of the chapters as slides: one HTML file that needs no network, made from the pages of the built site.

There a figure has its caption, with its number, and its alt text. What a live panel shows is left to the panel.
"""

import base64
import hashlib
import html
import re
from pathlib import Path
from string import Template

from bs4 import BeautifulSoup, Tag

SLIDES = "cracking-99-slides.html"
TEMPLATE = Path(__file__).with_name("slides.html")
FONT = Path(__file__).parents[1] / "assets" / "fonts" / "atkinson-hyperlegible-next.woff2"
FIGURES = "figure:not(.panel-still):has(svg)"
HOW = "Arrow keys or a swipe go from slide to slide; printed, each slide is a page."
LICENCE = '<a rel="license" href="https://creativecommons.org/licenses/by/4.0/">CC BY 4.0</a>'


def slides(book: str, author: str, pages: list[Path]) -> str:
    """Write the slides of a book's chapters.

    Parameters
    ----------
    book, author : str
        Its title, and to whom its figures are credited.
    pages : list of Path
        The pages of its chapters in the built site, in order.
    """
    shown, contents = [], []
    credit = f"{html.escape(book)} · {html.escape(author)}, {LICENCE}"
    for path in pages:
        number = int(path.stem[:2])
        article = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").find("article")
        for link in article.select("a.headerlink"):
            link.decompose()
        title = html.escape(article.h1.get_text().strip())
        question = article.select_one(".question.admonition")
        question.select_one(".admonition-title").decompose()
        contents.append(f'<li><a href="#chapter-{number}">{title}</a></li>')
        shown.append(
            f'<section class="opening" id="chapter-{number}"><h2>{title}</h2>'
            f'<div class="question">{question.decode_contents().strip()}</div></section>'
        )
        shown += [of_figure(figure, f"{title} · {credit}") for figure in article.select(FIGURES)]
    opening = (
        f'<section class="opening"><h1>{html.escape(book)}: the figures</h1><ol>{"".join(contents)}</ol>'
        f'<p class="how">{HOW}</p><p>{credit}</p></section>'
    )
    font = base64.b64encode(FONT.read_bytes()).decode()
    template = TEMPLATE.read_text(encoding="utf-8")
    # The page's policy lets no other script than this one run.
    program = hashlib.sha256(re.search(r"<script>(.*?)</script>", template, re.DOTALL)[1].encode()).digest()
    return Template(template).substitute(
        title=html.escape(book),
        font=font,
        program=f"sha256-{base64.b64encode(program).decode()}",
        slides="\n".join([opening, *shown]),
    )


def of_figure(figure: Tag, foot: str) -> str:
    """Write the slide of a figure: its caption, the figure as it stands in the page, and where it is from."""
    caption = figure.figcaption
    if number := caption.select_one(".caption-number"):
        number.name, number.attrs = "b", {}
    for inner in caption.select("p, span"):
        inner.unwrap()
    return (
        f'<section class="figure" id="{figure["id"]}"><h3>{caption.decode_contents().strip()}</h3>'
        f"{figure.svg}<footer>{foot}</footer></section>"
    )
