"""Every figure of the book: the SVG that is shown of it, and that matplotlib is left as it was."""

import base64
import functools
import io
import itertools
import json
import re
from xml.etree import ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib import font_manager
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.text import Text
from PIL import Image

from mnist_helpers import figure, pictures, plots

HISTORY = {"loss": [1.0, 0.5], "accuracy": [0.7, 0.8], "val_loss": [0.9, 0.6], "val_accuracy": [0.72, 0.78]}
RANDOM = np.random.default_rng(0)
IMAGES = RANDOM.integers(1, 256, (4, 28, 28), dtype=np.uint8)
LAYERS = [
    ("relu", RANDOM.normal(size=(784, 100)), np.zeros(100), RANDOM.normal(size=100)),
    ("linear", RANDOM.normal(size=(100, 10)), np.zeros(10), RANDOM.normal(size=10)),
]
FILTERS = RANDOM.normal(size=(2, 3, 3, 7))
SUMS = RANDOM.normal(size=(26, 26, 7))
WINDOW = (IMAGES[0] / 255, FILTERS[0, ..., 0], SUMS[..., 0], RANDOM.random((13, 13)), 5, 8)
FIGURES = {
    "digit_grid": lambda: pictures.digit_grid(np.zeros((7, 28, 28)), [str(i) for i in range(7)], columns=5),
    "pixel_numbers": lambda: pictures.pixel_numbers(np.eye(28, dtype=np.uint8), slice(0, 12), slice(4, 16)),
    "bars": lambda: plots.bars({"a": [0.1, 0.2], "b": [0.3, 0.4]}, ["x", "y"], "share", percent=True),
    "function_pairs": lambda: plots.function_pairs(np.arange(3.0), {"f": (np.ones(3), np.zeros(3))}),
    "bands": lambda: plots.bands([1, 10], {"a": np.ones((3, 2))}, "x", "y", "log", "log", reference=(2.0, "two")),
    "learning_curves": lambda: plots.learning_curves({"a": [HISTORY, HISTORY]}),
    "spread": lambda: plots.spread({"a": [0.9, 0.92], "b": [0.8]}, "accuracy"),
    "staircase": lambda: plots.staircase(["a", "b"], [[0.9, 0.92], [0.8, 0.82]], [True, False], "accuracy"),
    "trade_offs": lambda: plots.trade_offs({"seconds": {"a": ([1.0, 2.0], [0.9, 0.92])}}, "accuracy"),
    "reliability": lambda: plots.reliability({"a": (np.linspace(0.5, 1, 50), np.arange(50) % 5 > 0)}, bins=5),
    "small_network": lambda: pictures.small_network(np.ones(2), 1, np.eye(2), np.zeros(2), np.eye(2), np.zeros(2)),
    "landscape": lambda: pictures.landscape(
        np.arange(20.0).reshape(4, 5), np.arange(5.0), np.arange(4.0), ("one", "other"), [0.0, 5.0, 10.0, 19.0], (1, 2)
    ),
    "heat_table": lambda: plots.heat_table(np.eye(2), "ab", "cd", "row", "column", [["1", "0"], ["0", "1"]]),
    "network": lambda: pictures.network(IMAGES[0], LAYERS),
    "dealt_cards": lambda: pictures.dealt_cards(IMAGES, {"anew": ([3], [2, 3, 0]), "once": ([1], [3, 0, 2])}),
    "one_window": lambda: pictures.one_window(*WINDOW),
    "filters": lambda: pictures.filters(*FILTERS, SUMS),
    "schedules": lambda: plots.schedules({"falling": (np.array([0.0, 2.0, 1.0, 0.0]), 2), "flat": (np.ones(2), 1)}),
}
SVG, XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
every_figure = pytest.mark.parametrize("name", FIGURES)


@functools.cache
def shown(name):
    """Give the SVG of a figure."""
    return FIGURES[name]()._repr_svg_()


def test_every_public_function_is_drawn_here():
    drawing = {name for module in (plots, pictures) for name, it in vars(module).items() if hasattr(it, "__wrapped__")}
    assert drawing == set(FIGURES)


@every_figure
def test_a_figure_is_narrow_in_the_books_type_and_changes_no_setting(name):
    before = dict(matplotlib.rcParams)
    drawn = FIGURES[name]()
    assert drawn.get_figwidth() == figure.WIDTH
    root, inches = ElementTree.fromstring(shown(name)), (figure.WIDTH, drawn.get_figheight())
    assert [root.get(side) for side in ("width", "height")] == [f"{96 * length:.0f}" for length in inches], "in pixels"
    drawn._repr_svg_()
    assert dict(matplotlib.rcParams) == before
    texts = [text for text in drawn.findobj(Text) if text.get_text()]
    assert {text.get_fontfamily()[0] for text in texts} <= {"Atkinson Hyperlegible Next"}


def test_the_typeface_is_really_found():
    assert "Atkinson" in font_manager.findfont("Atkinson Hyperlegible Next", fallback_to_default=False)


@every_figure
def test_the_svg_has_no_other_colours_than_those_that_pages_know(name):
    colours = {figure.PAPER, figure.INK, figure.GREY, figure.GRID, figure.BLACK, *figure.COLOURS}
    assert set(re.findall(r"(?:fill|stroke):(#\w+)", shown(name))) <= colours


@every_figure
def test_the_svg_is_small_the_same_each_time_and_needs_nothing_else(name):
    svg = shown(name)
    assert FIGURES[name]()._repr_svg_() == svg
    assert len(svg) < 40_000
    assert not re.search(r"<style|<script|<!--|<defs/>|\d\.\d{5}", svg)
    referred = re.findall(r"(?:href=\"|url\()(.)", svg)
    assert set(referred) <= {"#", "d"}, "to itself, or to a picture within"


def test_ids_are_those_that_are_referred_to_and_no_other_figure_has_them():
    seen = set()
    for name in FIGURES:
        ids = re.findall(r' id="([^"]+)"', shown(name))
        referred = set(re.findall(r"(?:url\(|href=\")#([\w-]+)", shown(name)))
        assert set(ids) == referred and len(ids) == len(referred)
        assert not seen & referred
        seen |= referred


def test_what_is_rounded_stays_where_it_was():
    drawn = plots.bands([1.0, 2.0], {"a": np.array([[0.5, 0.25]])}, "x", "y")
    (axis,), svg = drawn.axes, drawn._repr_svg_()
    (line,) = re.findall(r'd="M([-.\d ]+)L([-.\d ]+)"[^>]*stroke:#1f4bb8;stroke-width:1.6', svg)
    expected = axis.transData.transform(axis.lines[0].get_xydata()) * 72 / drawn.dpi
    expected[:, 1] = 72 * drawn.get_figheight() - expected[:, 1]
    np.testing.assert_allclose([[float(each) for each in place.split()] for place in line], expected, atol=0.006)
    (marker,) = re.findall(r'<path id="[^"]*" d="([^"]*)" style="stroke:#1f4bb8"', svg)
    places = [float(number) for number in re.findall(r"[-.\d]+", marker)]
    assert sum(places[0::2]) == pytest.approx(0, abs=0.03) and 0.5 < max(places) == -min(places) < 3


@every_figure
def test_every_text_is_within_the_figure_and_none_is_over_another(name, monkeypatch):
    drawn, texts, draw = FIGURES[name](), [], Text.draw
    monkeypatch.setattr(Text, "draw", lambda text, renderer: (texts.append(text), draw(text, renderer))[1])
    drawn.draw_without_rendering()
    boxes = {text: text.get_window_extent() for text in texts if text.get_visible() and text.get_text().strip()}
    for text, box in boxes.items():
        assert box.x0 > -1 and box.y0 > -1 and box.x1 < drawn.bbox.x1 + 1 and box.y1 < drawn.bbox.y1 + 1, text
    for one, other in itertools.combinations(boxes, 2):
        assert not boxes[one].padded(-1).overlaps(boxes[other].padded(-1)), (one, other)


def test_axes_are_grey_lines_at_the_left_and_below():
    (axis,) = FIGURES["bars"]().axes
    sides = {side: spine.get_visible() for side, spine in axis.spines.items()}
    assert sides == {"left": True, "bottom": True, "top": False, "right": False}
    assert axis.spines["left"].get_edgecolor() == to_rgba(figure.GREY)


def test_a_figure_as_an_element_is_its_svg_with_an_alt_text():
    element = ElementTree.fromstring(FIGURES["bars"]().as_image('A <b> & "two" bars').replace(">", "/>"))
    assert element.get("alt") == 'A <b> & "two" bars'
    kind, packed = element.get("src").split(";base64,")
    assert (kind, base64.b64decode(packed).decode()) == ("data:image/svg+xml", shown("bars"))


def test_lines_meet_in_round_corners():
    assert ElementTree.fromstring(shown("bands")).get("stroke-linejoin") == "round"


def test_text_is_text():
    texts = [text.text for text in ElementTree.fromstring(shown("bands")).iter(f"{SVG}text")]
    assert {"x", "y", "a", "two"} <= set(texts)


def test_a_label_keeps_its_width_where_its_type_is_missing():
    """A wider one would begin outside of the figure, and be cut off."""
    drawn = plots.spread({"a label that is long": [0.5, 0.6]}, "accuracy")
    drawn.draw_without_rendering()
    width = drawn.axes[0].get_yticklabels()[0].get_window_extent().width * 72 / drawn.dpi
    (text,) = [text for text in ElementTree.fromstring(drawn._repr_svg_()).iter(f"{SVG}text") if "long" in text.text]
    assert float(text.get("textLength")) == pytest.approx(width, rel=0.05)
    assert text.get("lengthAdjust") == "spacingAndGlyphs"


def test_pixels_stay_pixels():
    digit = pictures.digit_grid(IMAGES[:1], columns=1)
    (image,) = ElementTree.fromstring(digit._repr_svg_()).iter(f"{SVG}image")
    assert "pixelated" in image.get("style")
    packed = base64.b64decode(image.get(f"{XLINK}href").partition(",")[2])
    pixels = np.asarray(Image.open(io.BytesIO(packed)).convert("RGB"))
    expected = figure.INK_ON_PAPER(IMAGES[0] / IMAGES[0].max(), bytes=True)[..., :3]
    np.testing.assert_array_equal(pixels, expected)


CHARTS = {
    "bars": {"share": ["x", "y"], "a": ["10.00%", "20.00%"], "b": ["30.00%", "40.00%"]},
    "function_pairs": {"input z": ["0", "1", "2"], "f, output": ["1", "1", "1"], "f, slope": ["0", "0", "0"]},
    "bands": {"x": ["1", "10"], "a": ["1 ×÷ 1.00", "1 ×÷ 1.00"]},
    "learning_curves": {
        "epoch": ["1", "2"],
        "a, training loss": ["1 ± 0", "0.5 ± 0"],
        "a, validation loss": ["0.9 ± 0", "0.6 ± 0"],
        "a, training accuracy": ["70.00% ± 0.00%", "80.00% ± 0.00%"],
        "a, validation accuracy": ["72.00% ± 0.00%", "78.00% ± 0.00%"],
    },
    "spread": {
        "accuracy": ["a", "b"],
        "seeds": ["2", "1"],
        "mean": ["91.00% ± 1.41%", "80.00%"],
        "lowest": ["90.00%", "80.00%"],
        "highest": ["92.00%", "80.00%"],
    },
    "staircase": {"idea": ["a", "b"], "accuracy": ["91.00% ± 1.41%", "81.00% ± 1.41%"], "kept": ["yes", "no"]},
    "trade_offs": {"network": ["a"], "seconds": ["1.5"], "accuracy": ["91.00% ± 1.41%"]},
    "reliability": None,
    "heat_table": {"row (rows), column (columns)": ["a", "b"], "c": ["1", "0"], "d": ["0", "1"]},
    "schedules": {"after epoch": ["1", "2"], "falling": ["2", "0"], "flat": ["1", "1"]},
}


@every_figure
def test_a_chart_carries_its_numbers_and_a_picture_none(name):
    carried = ElementTree.fromstring(shown(name)).find(f"{SVG}metadata")
    assert (carried is not None) == (name in CHARTS)
    if expected := CHARTS.get(name):
        assert json.loads(carried.text) == expected


def test_the_numbers_of_bins_are_shares():
    numbers = plots.reliability({"a": (np.array([0.9, 0.6]), np.array([True, False]))}, bins=2).numbers
    assert numbers == {
        "answers": ["1 of 2", "2 of 2"],
        "a, doubt": ["40.000%", "10.000%"],
        "a, wrong": ["100.000%", "0.000%"],
    }


@pytest.mark.parametrize("shades", [figure.INK_ON_PAPER, figure.SIGNED])
def test_a_number_can_be_read_on_every_shade_in_either_theme(shades):
    """By the contrast that WCAG defines; of the dark theme, what `cracking.css` makes of shades and colours."""

    def luminance(colours):
        colours = np.asarray(colours)
        linear = np.where(colours > 0.04, ((colours + 0.055) / 1.055) ** 2.4, colours / 12.92)
        return linear @ (0.2126, 0.7152, 0.0722)

    def contrasts(backgrounds, texts):
        lighter, darker = np.sort([luminance(backgrounds), luminance(texts)], axis=0)[::-1]
        return (lighter + 0.05) / (darker + 0.05)

    axis = figure.BookFigure(1).subplots()
    axis.imshow(np.arange(64)[None], cmap=shades)
    figure.write_in_cells(axis, [[""] * 64], size=9)
    chosen = [text.get_color() for text in axis.texts]
    cells = shades(np.linspace(0, 1, 64))[:, :3]
    assert contrasts(cells, [to_rgb(colour) for colour in chosen]).min() > 4.5

    half_round = np.array([[-0.574, 1.430, 0.144], [0.426, 0.430, 0.144], [0.426, 1.430, -0.856]])  # hue-rotate(180deg)
    dark = {figure.PAPER: to_rgb("#121a30"), figure.INK: to_rgb("#e9e6da"), figure.BLACK: (0, 0, 0)}
    turned = np.clip((1 - cells) @ half_round.T, 0, 1)
    screened = 1 - (1 - turned) * (1 - np.array(dark[figure.PAPER]))
    assert contrasts(screened, [dark[colour] for colour in chosen]).min() > 3.9
