"""Figures in their page: in the theme's colours, with a name for those who cannot see them, and their numbers below."""

import re
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from page_figures import NAMES, STILL, _inline_still, inline, table
from test_figure import FIGURES, shown

from mnist_helpers import plots

CSS = (Path(__file__).parents[1] / "book" / "assets" / "cracking.css").read_text(encoding="utf-8")
ALT = 'It "rises" <fast> & far.'


def themes():
    """Give the colours of either theme by name; those of the light one are literal, and in no style sheet."""
    dark = CSS[CSS.index('html[data-theme="dark"] {') :].partition("}")[0]
    assert CSS.count("--figure-") == dark.count("--figure-")
    return {
        "light": dict(zip(NAMES.values(), NAMES, strict=True)),
        "dark": dict(re.findall(r"--figure-([\w-]+): (\S+);", dark)),
    }


def contrast(one, other):
    def luminance(colour):
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part < 0.04 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, lighter = sorted(map(luminance, (one, other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_every_colour_is_the_themes_with_the_literal_one_to_fall_back_to():
    for name in FIGURES:
        svg, _ = inline(shown(name), ALT)
        colours = re.findall(r"(?:fill|stroke):([^;\"]+)", svg)
        assert not [colour for colour in colours if colour.startswith("#")], name
        assert "var(--figure-paper,#fffefa)" in colours


def test_the_dark_theme_has_them_all():
    light, dark = themes().values()
    assert light.keys() == dark.keys()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_lines_and_texts_can_be_told_from_the_paper(theme):
    colours = themes()[theme]
    paper = colours.pop("paper")
    assert contrast(paper, colours.pop("ink")) > 4.5
    del colours["grid"]  # it is there to be overlooked
    assert {name for name, colour in colours.items() if contrast(paper, colour) < 3} == set()


def test_a_figure_is_an_image_with_its_alt_text_to_a_screen_reader():
    svg, _ = inline(shown("bars"), ALT)
    drawn = BeautifulSoup(svg, "html.parser").svg
    assert (drawn["class"], drawn["role"], drawn["aria-label"]) == (["figure"], "img", ALT)
    assert drawn["width"] and drawn["height"] and drawn["viewbox"], "nothing moves when it comes"


def test_numbers_are_a_folded_table_and_no_longer_in_the_svg():
    svg, numbers = inline(shown("bars"), ALT)
    assert "metadata" not in svg
    details = BeautifulSoup(numbers, "html.parser").details
    assert details.summary.get_text() == "The numbers of this figure" and not details.has_attr("open")
    rows = [[(cell.name, cell.get("scope"), cell.get_text()) for cell in row(["th", "td"])] for row in details("tr")]
    assert rows == [
        [("th", "col", "share"), ("th", "col", "a"), ("th", "col", "b")],
        [("th", "row", "x"), ("td", None, "10.00%"), ("td", None, "30.00%")],
        [("th", "row", "y"), ("td", None, "20.00%"), ("td", None, "40.00%")],
    ]
    assert inline(shown("network"), ALT)[1] == ""


def test_a_column_may_be_shorter_and_its_title_is_text():
    rows = BeautifulSoup(table({"<x>": ["1", "2"], "y": ["3"]}), "html.parser")("tr")
    assert [cell.get_text() for row in rows for cell in row(["th", "td"])] == ["<x>", "y", "1", "3", "2", ""]


def test_the_still_of_a_panel_becomes_a_figure_of_the_page():
    still = plots.bars({"p": [0.2, 0.8]}, "ab", "probability").as_image(ALT)
    page = f'<mnist-lab view="draw"><figure>{still}<figcaption>A still.</figcaption></figure></mnist-lab>'
    made = BeautifulSoup(STILL.sub(_inline_still, page), "html.parser")
    assert made.img is None and made.figure.svg["aria-label"] == ALT
    assert [it.name for it in made.find("mnist-lab")(recursive=False)] == ["figure", "details"]
