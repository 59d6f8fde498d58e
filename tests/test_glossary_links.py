"""Which words of a chapter lead to the glossary, and to what."""

import pytest
from glossary_links import Entry, Terms
from small_book import build_small_book, built_page
from sphinx.errors import ExtensionError

GLOSSARY = """\
# Glossary

```{glossary}
:sorted:

batch
  The images of one update.

  {forms}`batches`

batch normalisation
  A layer that brings sums
  to mean 0.

gap
  One loss minus another.

  {forms}`not such a gap`

gradient
  All slopes together.

  See [](notebooks/02_two.md#slopes). {forms}`gradients`

loss
  How wrong the answers are.

overfitting
  Learning what does not hold.

  See [](notebooks/03_three.md). {forms}`overfits`
```
"""
APART = """\
# A loss in the title

:::{admonition} A loss in a box's title
Its loss.
:::

## A loss in a heading

`loss`, [a loss](https://example.org), $loss$, <span title="loss">it</span>

    loss

| a loss |
| --- |
| loss |

![The loss.](loss.png)

:::{figure} loss.png
The loss.

Of this loss more is said.
:::

## What is left

The loss.
"""
PAGES = {
    "glossary": GLOSSARY,
    "notebooks/01_one": """\
# One

Batches are
dealt. Such a gap is none. With *batch
normalisation* the *loss*, a batch, the loss.

## Two

The loss. A gap, a lossless one, a loss-less one and LOSS. It overfits.
""",
    "notebooks/02_two": """\
# Two

A gradient, before it is explained.

## Slopes

The gradients.

## After

The gradient and the loss; see {term}`gap`.
""",
    "notebooks/03_three": "# Three\n\nIt overfits.\n\n## More\n\nOverfitting, and the gradient.\n",
    "notebooks/04_four": "# Four\n\n## Slopes\n\nThe gradient, in a section of the same name.\n",
    "notebooks/05_five": APART,
    "notebooks/lab": "# Lab\n\nThe loss.\n",
    "page": "# Page\n\nThe loss.\n",
}


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book")
    (folder / "notebooks").mkdir()
    (folder / "notebooks" / "loss.png").write_bytes(b"")
    build_small_book(folder, PAGES, "glossary_links")
    return folder


def linked(book, name):
    """Give the words of a page that lead to the glossary, in its order."""
    return [" ".join(link.get_text().split()) for link in built_page(book, name).select("a.glossary-link")]


def test_first_place_of_a_term_in_a_chapter_leads_to_its_entry(book):
    assert linked(book, "notebooks/01_one") == ["Batches", "batch normalisation", "loss", "gap", "overfits"]
    page, glossary = built_page(book, "notebooks/01_one"), built_page(book, "glossary")
    for link in page.select("a.glossary-link"):
        place, anchor = link["href"].split("#")
        assert place == "../glossary.html"
        assert glossary.find(id=anchor).name == "dt"
    assert page.select("a.glossary-link")[1].find_parent("em")


def test_a_link_shows_the_definition_as_its_tooltip(book):
    batch, normalisation, *_ = built_page(book, "notebooks/01_one").select("a.glossary-link")
    assert batch["title"] == "The images of one update."
    assert normalisation["title"] == "A layer that brings sums to mean 0."


def test_where_a_term_is_explained_it_is_no_link(book):
    assert linked(book, "notebooks/02_two") == ["gradient", "loss"]
    assert linked(book, "notebooks/03_three") == ["gradient"]
    assert linked(book, "notebooks/04_four") == ["gradient"]


def test_after_the_section_that_explains_it_a_term_is_no_link_either(tmp_path):
    pages = {"glossary": GLOSSARY, "notebooks/02_two": "# Two\n\n## Slopes\n\nThey are.\n\n## After\n\nThe gradient.\n"}
    build_small_book(tmp_path, pages | {"notebooks/03_three": "# Three\n"}, "glossary_links")
    assert linked(tmp_path, "notebooks/02_two") == []


def test_titles_boxes_code_links_formulas_tables_and_figures_are_left_alone(book):
    (link,) = built_page(book, "notebooks/05_five").select("a.glossary-link")
    assert link.find_previous("h2").get_text().startswith("What is left")


def test_only_chapters_are_linked(book):
    assert linked(book, "notebooks/lab") == linked(book, "page") == linked(book, "glossary") == []


def test_the_glossary_shows_no_forms_and_leads_to_the_sections(book):
    glossary = built_page(book, "glossary")
    assert "batches" not in glossary.get_text() and "such a gap" not in glossary.get_text()
    assert [p.get_text() for p in glossary.select("dd p")].count("") == 0
    assert [(link.get_text(), link["href"]) for link in glossary.select("dd a")] == [
        ("Slopes", "notebooks/02_two.html#slopes"),
        ("Three", "notebooks/03_three.html"),
    ]


def test_an_edit_of_the_glossary_reaches_the_chapters(tmp_path):
    pages = {name: PAGES[name] for name in ("notebooks/01_one", "notebooks/02_two", "notebooks/03_three")}
    build_small_book(tmp_path, pages | {"glossary": GLOSSARY}, "glossary_links")
    edited = GLOSSARY.replace("How wrong the answers are.", "A measure of error.").replace(" {forms}`gradients`", "")
    build_small_book(tmp_path, pages | {"glossary": edited}, "glossary_links")
    titles = [link["title"] for link in built_page(tmp_path, "notebooks/01_one").select("a.glossary-link")]
    assert "A measure of error." in titles and "How wrong the answers are." not in titles


def test_a_book_without_a_glossary_has_no_links(tmp_path):
    build_small_book(tmp_path, {"notebooks/01_one": PAGES["notebooks/01_one"]}, "glossary_links")
    assert linked(tmp_path, "notebooks/01_one") == []


def test_a_form_of_two_terms_stops_the_build_with_a_sentence():
    entries = [Entry(f"term-{name}", "", (name, "step"), (), (None, None)) for name in ("update", "stride")]
    with pytest.raises(ExtensionError, match="“step” is a form of two terms"):
        Terms(entries)
