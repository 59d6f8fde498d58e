"""Pictures show what they were given."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.text import Text
from test_figure import FIGURES, FILTERS, IMAGES, LAYERS, SUMS, WINDOW

from mnist_helpers import pictures
from mnist_helpers.figure import COLOURS, INK, PAPER


def test_digit_grid_shows_every_image_once_in_rows():
    images = np.random.default_rng(0).random((7, 28, 28))
    (axis,) = pictures.digit_grid(images, columns=5).axes
    sheet = np.asarray(axis.images[0].get_array())
    cells = [sheet[row : row + 28, column : column + 28] for row in (0, 30) for column in range(0, 150, 30)]
    np.testing.assert_allclose(cells[:7], images / images.max(axis=(1, 2), keepdims=True))
    assert not np.any(cells[7:])
    (in_tens,) = pictures.digit_grid(images).axes
    assert np.shape(in_tens.images[0].get_array()) == (28, 10 * 30 - 2)


def test_a_caption_of_a_digit_grid_stands_above_its_image():
    (axis,) = pictures.digit_grid(IMAGES, list("abcd"), columns=3).axes
    sheet = np.asarray(axis.images[0].get_array())
    below = [int(text.get_position()[1]) + 2 for text in axis.texts]
    middle = [int(text.get_position()[0]) for text in axis.texts]
    assert [text.get_text() for text in axis.texts] == list("abcd")
    for image, row, column in zip(IMAGES, below, middle, strict=True):
        found = sheet[row : row + 28, column - 14 : column + 14]
        np.testing.assert_allclose(found, image / image.max())


def written(figure):
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def framed(axis):
    """Give the places, left, top, width and height, that are framed on an axis."""
    frames = [patch for patch in axis.patches if patch.get_edgecolor() == to_rgba(COLOURS[1])]
    return [(*frame.get_xy(), frame.get_width(), frame.get_height()) for frame in frames]


def test_numbers_are_light_on_dark_cells():
    image = np.zeros((28, 28), dtype=np.uint8)
    image[0, :3] = (255, 160, 60)
    whole, window = pictures.pixel_numbers(image, slice(0, 1), slice(0, 4)).axes
    (darker,) = pictures.pixel_numbers(image, slice(0, 1), slice(0, 2)).axes[1].images
    assert whole.images[0].get_clim() == window.images[0].get_clim() == darker.get_clim() == (0, 255)
    assert [text.get_text() for text in window.texts] == ["255", "160", "60", "0"]
    assert [text.get_color() for text in window.texts] == [PAPER, PAPER, INK, INK]


def test_a_network_is_drawn_with_its_own_weights_and_outputs():
    (axis,) = pictures.network(IMAGES[0], LAYERS).axes
    first, last = (edges for edges in axis.collections if isinstance(edges, LineCollection))
    rows = [row for row in axis.collections if row.get_array() is not None]
    np.testing.assert_allclose(rows[0].get_array(), LAYERS[0][3][:5])
    np.testing.assert_allclose(rows[1].get_array(), LAYERS[1][3])
    weights = LAYERS[1][1][:5].ravel()
    np.testing.assert_allclose(last.get_linewidths(), 2 * np.abs(weights) / np.abs(weights).max())
    blue = np.all(last.get_colors()[:, :3] == to_rgba(COLOURS[0])[:3], axis=1)
    assert blue.tolist() == (weights > 0).tolist()
    for edges, above, below in ((first, None, rows[0]), (last, rows[0], rows[1])):
        segments = np.array(edges.get_segments())
        np.testing.assert_allclose(np.unique(segments[:, 1], axis=0), below.get_offsets())
        if above is not None:
            np.testing.assert_allclose(np.unique(segments[:, 0], axis=0), above.get_offsets())


def test_a_networks_pixels_are_those_that_are_framed_in_the_image():
    (axis,) = pictures.network(IMAGES[0], LAYERS).axes
    image, *pixels = axis.images
    np.testing.assert_array_equal(image.get_array(), IMAGES[0])
    left, right, *_ = image.get_extent()
    in_image, _ = framed(axis)
    column, row, width, _ = (np.array(in_image) - [left, left, 0, 0]) * 28 / (right - left)
    column, row = round(column), round(row)
    assert round(width) == len(pixels) == 5
    np.testing.assert_array_equal([pixel.get_array().item() for pixel in pixels], IMAGES[0, row, column : column + 5])
    edges = next(edges for edges in axis.collections if isinstance(edges, LineCollection))
    weights = np.abs(LAYERS[0][1][28 * row + column :][:5, :5]).ravel()
    np.testing.assert_allclose(edges.get_linewidths(), 2 * weights / weights.max())


def test_a_network_says_the_shapes_that_its_layers_have():
    texts = written(pictures.network(IMAGES[0], LAYERS))
    assert [text for text in texts if text.startswith("W")] == ["W 784 × 100\nb 100", "W 100 × 10\nb 10"]
    assert [text for text in texts if "units" in text] == ["100 units\nrelu", "10 units\nlinear"]
    assert [text for text in texts if text.isdecimal()] == list("0123456789")


def test_cards_lie_as_they_were_dealt_and_those_that_come_back_are_framed():
    figure = FIGURES["dealt_cards"]()
    (axis,) = figure.axes
    order = [3, 2, 3, 0, 1, 3, 0, 2]
    names = [text for text in written(figure) if not text.isdecimal()]
    assert names == ["anew", "take", "skip", "once", "take", "skip"]
    assert [text for text in written(figure) if text.isdecimal()] == [str(card) for card in order]
    np.testing.assert_array_equal([card.get_array() for card in axis.images], IMAGES[order])
    left, right, bottom, top = axis.images[2].get_extent()
    (frame,) = framed(axis)
    assert frame == pytest.approx((left, top, right - left, bottom - top))
    places = [card.get_extent()[0] for card in axis.images]
    backs = [patch for patch in axis.patches if patch.get_fill()]
    assert [back.get_x() for back in backs] == [places[0], places[4]]
    assert places[1] > places[0] and len(set(np.round(places, 6))) == 4


def test_a_window_is_multiplied_by_its_weights_and_framed_wherever_it_goes():
    image, weights, sums, handed_on, row, column = WINDOW
    axes = pictures.one_window(*WINDOW).axes
    for axis, expected in zip(axes[:3], (image, sums, handed_on), strict=True):
        np.testing.assert_allclose(axis.images[0].get_array(), expected)
    assert [framed(axis) for axis in axes[:3]] == [[(7.5, 4.5, 3, 3)], [(7.5, 4.5, 1, 1)], [(3.5, 1.5, 1, 1)]]
    window = image[row : row + 3, column : column + 3]
    for axis, expected in zip(axes[3:], (window, weights, window * weights), strict=True):
        numbers = [float(text.get_text().replace("−", "-")) for text in axis.texts]
        np.testing.assert_allclose(numbers, expected.ravel(), atol=0.00501)
    assert axes[5].get_title(loc="left").endswith(f"sum {np.sum(window * weights):.2f}")


def test_filters_stand_before_and_after_above_their_map_and_zero_is_paper():
    (axis,) = pictures.filters(*FILTERS, SUMS).axes
    drawn = [axis.images[start::3] for start in range(3)]
    for images, expected in zip(drawn, (*FILTERS, SUMS), strict=True):
        np.testing.assert_allclose(np.stack([image.get_array() for image in images], axis=-1), expected)
    assert {image.get_clim() for image in drawn[0] + drawn[1]} == {(-np.abs(FILTERS).max(), np.abs(FILTERS).max())}
    assert all(sum(image.get_clim()) == 0 for image in axis.images)
    left, right, below = (images[6].get_extent() for images in drawn)
    assert left[1] < right[0] and below[3] > left[2] == right[2]


def test_a_landscape_marks_its_lowest_point_and_the_start():
    values = np.ones((4, 5))
    values[2, 3] = 0.5
    axis = pictures.landscape(
        values, np.arange(5.0), np.arange(4.0), ("one", "other"), [0.5, 0.7, 1.0], (1.5, 0.5)
    ).axes[0]
    diamond, dot = axis.lines
    assert (diamond.get_marker(), *diamond.get_xydata()[0]) == ("D", 3, 2)
    assert (dot.get_marker(), *dot.get_xydata()[0]) == ("o", 1.5, 0.5)
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("one", "other")


def test_a_small_network_has_its_weights_at_the_connections():
    weights = np.array([[1.25, 2.5], [3.75, 5.0]])
    axis = pictures.small_network(np.ones(2), 1, weights, np.zeros(2), -weights, np.zeros(2)).axes[0]
    texts = {text.get_text(): text.get_position() for text in axis.texts}
    assert texts["W1[1,1]\n5"] == (1, 1.5) and texts["W2[0,0]\n-1.25"] == (0, 0.5)
    assert texts["W1[0,1]\n2.5"][0] < 0.5 < texts["W1[1,0]\n3.75"][0], "each at its own end of the crossing"
