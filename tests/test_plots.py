"""Figures show what they were given, and leave matplotlib as they found it."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from mnist_helpers import plots

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
    "digit_grid": lambda: plots.digit_grid(np.zeros((7, 28, 28)), [str(i) for i in range(7)], columns=5),
    "pixel_numbers": lambda: plots.pixel_numbers(np.eye(28, dtype=np.uint8), slice(0, 12), slice(4, 16)),
    "bars": lambda: plots.bars({"a": [0.1, 0.2], "b": [0.3, 0.4]}, ["x", "y"], "share", percent=True),
    "function_pairs": lambda: plots.function_pairs(np.arange(3.0), {"f": (np.ones(3), np.zeros(3))}),
    "bands": lambda: plots.bands([1, 10], {"a": np.ones((3, 2))}, "x", "y", "log", "log", reference=(2.0, "two")),
    "learning_curves": lambda: plots.learning_curves({"a": [HISTORY, HISTORY]}),
    "spread": lambda: plots.spread({"a": [0.9, 0.92], "b": [0.8]}, "accuracy"),
    "staircase": lambda: plots.staircase(["a", "b"], [[0.9, 0.92], [0.8, 0.82]], [True, False], "accuracy"),
    "trade_offs": lambda: plots.trade_offs({"seconds": {"a": ([1.0, 2.0], [0.9, 0.92])}}, "accuracy"),
    "reliability": lambda: plots.reliability({"a": (np.linspace(0.5, 1, 50), np.arange(50) % 5 > 0)}, bins=5),
    "small_network": lambda: plots.small_network(np.ones(2), 1, np.eye(2), np.zeros(2), np.eye(2), np.zeros(2)),
    "landscape": lambda: plots.landscape(
        np.arange(20.0).reshape(4, 5), np.arange(5.0), np.arange(4.0), ("one", "other"), [0.0, 5.0, 10.0, 19.0], (1, 2)
    ),
    "heat_table": lambda: plots.heat_table(np.eye(2), "ab", "cd", "row", "column", [["1", "0"], ["0", "1"]]),
    "network": lambda: plots.network(IMAGES[0], LAYERS),
    "dealt_cards": lambda: plots.dealt_cards(IMAGES, {"anew": ([3], [2, 3, 0]), "once": ([1], [3, 0, 2])}),
    "one_window": lambda: plots.one_window(*WINDOW),
    "filters": lambda: plots.filters(*FILTERS, SUMS),
    "schedules": lambda: plots.schedules({"falling": (np.array([0.0, 2.0, 1.0, 0.0]), 2), "flat": (np.ones(2), 1)}),
}


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_narrow_in_the_books_type_and_forgotten_by_pyplot(name):
    before = dict(plt.rcParams)
    figure = FIGURES[name]()
    assert isinstance(figure, Figure)
    assert figure.get_figwidth() == plots.WIDTH
    assert plt.get_fignums() == []
    assert dict(plt.rcParams) == before
    figure.canvas.draw()
    texts = [text for text in figure.findobj(plt.Text) if text.get_text()]
    assert {text.get_fontfamily()[0] for text in texts} <= {"Atkinson Hyperlegible Next"}


def test_every_public_function_is_drawn_here():
    public = {name for name in vars(plots) if hasattr(getattr(plots, name), "__wrapped__")}
    assert public == set(FIGURES)


def test_the_typeface_is_really_found():
    assert "Atkinson" in plots.font_manager.findfont("Atkinson Hyperlegible Next", fallback_to_default=False)


def test_bands_draw_mean_and_deviation():
    values = np.array([[1.0, 4.0], [3.0, 8.0]])
    axis = plots.bands([1, 2], {"a": values}, "x", "y").axes[0]
    np.testing.assert_allclose(axis.lines[0].get_ydata(), [2, 6])
    edges = axis.collections[0].get_paths()[0].vertices[:, 1]
    assert edges.min() == pytest.approx(2 - np.sqrt(2))
    assert edges.max() == pytest.approx(6 + np.sqrt(8))


def test_bands_on_a_logarithmic_axis_use_the_geometric_mean():
    axis = plots.bands([1, 2], {"a": np.array([[1.0, 1.0], [100.0, 100.0]])}, "x", "y", yscale="log").axes[0]
    np.testing.assert_allclose(axis.lines[0].get_ydata(), [10, 10])
    assert axis.collections[0].get_paths()[0].vertices[:, 1].min() > 0


def test_learning_curves_tell_training_from_validation():
    loss, accuracy = plots.learning_curves({"": [HISTORY]}).axes
    np.testing.assert_allclose([line.get_ydata() for line in loss.lines], [HISTORY["loss"], HISTORY["val_loss"]])
    np.testing.assert_allclose(accuracy.lines[1].get_ydata(), HISTORY["val_accuracy"])
    assert [line.get_label() for line in loss.lines] == ["training", "validation"]
    assert loss.lines[0].get_linestyle() != loss.lines[1].get_linestyle()


def test_spread_shows_every_seed():
    axis = plots.spread({"a": [0.90, 0.92, 0.97]}, "accuracy").axes[0]
    np.testing.assert_allclose(axis.lines[0].get_xdata(), [0.90, 0.92, 0.97])


def test_a_staircase_joins_only_the_ideas_that_are_kept():
    values = [[0.90, 0.92], [0.80, 0.82], [0.94, 0.96]]
    axis = plots.staircase(["a", "b", "c"], values, [True, False, True], "accuracy").axes[0]
    joined, *diamonds = (line for line in axis.lines if len(line.get_xdata()))
    assert set(joined.get_ydata()) == {0, 2}
    drawn = {float(line.get_ydata()[0]): line for line in diamonds if line.get_marker() == "D"}
    assert [line.get_xdata()[0] for line in drawn.values()] == pytest.approx([0.91, 0.81, 0.95])
    assert drawn[1].get_markerfacecolor() == plots.PAPER != drawn[0].get_markerfacecolor()


def test_trade_offs_share_what_is_bought():
    networks = {"a": ([1.0, 3.0, 2.0], [0.90, 0.92, 0.94]), "b": ([5.0], [0.8])}
    left, right = plots.trade_offs({"seconds": networks, "parameters": networks}, "accuracy").axes
    assert left.get_ylim() == right.get_ylim()
    assert [line.get_xdata()[0] for line in right.lines if line.get_marker() in "os"] == [2.0, 5.0]
    assert [line.get_ydata()[0] for line in left.lines if line.get_marker() in "os"] == pytest.approx([0.92, 0.8])


def test_reliability_bins_hold_equally_many_answers():
    sure = np.array([0.9, 0.6, 0.7, 0.8])
    axis = plots.reliability({"a": (sure, np.array([True, False, False, False]))}, bins=2).axes[0]
    np.testing.assert_allclose(axis.lines[0].get_xdata(), [0.35, 0.15])
    np.testing.assert_allclose(axis.lines[0].get_ydata(), [1.0, 0.5])


def test_digit_grid_shows_every_image_once():
    images = np.random.default_rng(0).random((7, 28, 28))
    drawn = [axis.images[0].get_array() for axis in plots.digit_grid(images, columns=5).axes if axis.images]
    np.testing.assert_allclose(np.stack(drawn), images)


def written(figure):
    return [text.get_text() for text in figure.findobj(plt.Text) if text.get_text()]


def framed(axis):
    """Give the places, left, top, width and height, that are framed on an axis."""
    frames = [patch for patch in axis.patches if patch.get_edgecolor() == to_rgba(plots.COLOURS[1])]
    return [(*frame.get_xy(), frame.get_width(), frame.get_height()) for frame in frames]


def test_a_function_stands_beside_its_slope():
    output, slope = plots.function_pairs(np.arange(3.0), {"f": (np.arange(3.0) ** 2, 2 * np.arange(3.0))}).axes
    assert (output.get_title(loc="left"), slope.get_title(loc="left")) == ("output", "slope")
    np.testing.assert_allclose(slope.lines[0].get_ydata(), [0, 2, 4])


def test_numbers_are_light_on_dark_cells():
    image = np.zeros((28, 28), dtype=np.uint8)
    image[0, :3] = (255, 160, 60)
    window = plots.pixel_numbers(image, slice(0, 1), slice(0, 4)).axes[1]
    assert [text.get_text() for text in window.texts] == ["255", "160", "60", "0"]
    assert [text.get_color() for text in window.texts] == [plots.PAPER, plots.PAPER, plots.INK, plots.INK]


def test_a_network_is_drawn_with_its_own_weights_and_outputs():
    (axis,) = plots.network(IMAGES[0], LAYERS).axes
    first, last = (edges for edges in axis.collections if isinstance(edges, LineCollection))
    rows = [row for row in axis.collections if not isinstance(row, LineCollection)]
    np.testing.assert_allclose(rows[0].get_array(), LAYERS[0][3][:5])
    np.testing.assert_allclose(rows[1].get_array(), LAYERS[1][3])
    weights = LAYERS[1][1][:5].ravel()
    np.testing.assert_allclose(last.get_linewidths(), 2 * np.abs(weights) / np.abs(weights).max())
    blue = np.all(last.get_colors()[:, :3] == to_rgba(plots.COLOURS[0])[:3], axis=1)
    assert blue.tolist() == (weights > 0).tolist()
    for edges, above, below in ((first, None, rows[0]), (last, rows[0], rows[1])):
        segments = np.array(edges.get_segments())
        np.testing.assert_allclose(np.unique(segments[:, 1], axis=0), below.get_offsets())
        if above is not None:
            np.testing.assert_allclose(np.unique(segments[:, 0], axis=0), above.get_offsets())


def test_a_networks_pixels_are_those_that_are_framed_in_the_image():
    (axis,) = plots.network(IMAGES[0], LAYERS).axes
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
    texts = written(plots.network(IMAGES[0], LAYERS))
    assert [text for text in texts if text.startswith("W")] == ["W 784 × 100\nb 100", "W 100 × 10\nb 10"]
    assert [text for text in texts if "units" in text] == ["100 units\nrelu", "10 units\nlinear"]
    assert [text for text in texts if text.isdecimal()] == list("0123456789")


def test_cards_lie_as_they_were_dealt_and_those_that_come_back_are_framed():
    figure = FIGURES["dealt_cards"]()
    (axis,) = figure.axes
    order = [3, 2, 3, 0, 1, 3, 0, 2]
    assert [text for text in written(figure) if text.isdecimal()] == [str(card) for card in order]
    np.testing.assert_array_equal([card.get_array() for card in axis.images], IMAGES[order])
    left, _, _, top = axis.images[2].get_extent()
    assert [frame[:2] for frame in framed(axis)] == [(left, top)]
    places = [card.get_extent()[0] for card in axis.images]
    backs = [patch for patch in axis.patches if patch.get_fill()]
    assert [back.get_x() for back in backs] == [places[0], places[4]]
    assert places[1] > places[0] and len(set(np.round(places, 6))) == 4


def test_a_window_is_multiplied_by_its_weights_and_framed_wherever_it_goes():
    image, weights, sums, handed_on, row, column = WINDOW
    axes = plots.one_window(*WINDOW).axes
    for axis, expected in zip(axes[:3], (image, sums, handed_on), strict=True):
        np.testing.assert_allclose(axis.images[0].get_array(), expected)
    assert [framed(axis) for axis in axes[:3]] == [[(7.5, 4.5, 3, 3)], [(7.5, 4.5, 1, 1)], [(3.5, 1.5, 1, 1)]]
    window = image[row : row + 3, column : column + 3]
    for axis, expected in zip(axes[3:], (window, weights, window * weights), strict=True):
        numbers = [float(text.get_text().replace("−", "-")) for text in axis.texts]
        np.testing.assert_allclose(numbers, expected.ravel(), atol=0.00501)
    assert axes[5].get_title(loc="left").endswith(f"sum {np.sum(window * weights):.2f}")


def test_filters_stand_before_and_after_above_their_map_and_zero_is_paper():
    (axis,) = plots.filters(*FILTERS, SUMS).axes
    drawn = [axis.images[start::3] for start in range(3)]
    for images, expected in zip(drawn, (*FILTERS, SUMS), strict=True):
        np.testing.assert_allclose(np.stack([image.get_array() for image in images], axis=-1), expected)
    assert {image.get_clim() for image in drawn[0] + drawn[1]} == {(-np.abs(FILTERS).max(), np.abs(FILTERS).max())}
    assert all(sum(image.get_clim()) == 0 for image in axis.images)
    left, right, below = (images[6].get_extent() for images in drawn)
    assert left[1] < right[0] and below[3] > left[2] == right[2]


def test_a_schedule_is_drawn_update_by_update_and_only_a_rise_is_a_warm_up():
    axis = FIGURES["schedules"]().axes[0]
    falling, flat = axis.lines
    np.testing.assert_allclose(falling.get_xydata(), [[1, 0], [2, 2], [3, 1], [4, 0]])
    np.testing.assert_allclose(flat.get_xydata(), [[1, 1], [2, 1]])
    assert [line.get_xdata()[line.get_markevery()].tolist() for line in axis.lines] == [[2, 4], [1, 2]]
    (warm_up,) = axis.patches
    assert (warm_up.get_x(), warm_up.get_width(), warm_up.get_label()) == (0, 2, "warm-up")


def test_a_landscape_marks_its_lowest_point_and_the_start():
    values = np.ones((4, 5))
    values[2, 3] = 0.5
    axis = plots.landscape(values, np.arange(5.0), np.arange(4.0), ("one", "other"), [0.5, 0.7, 1.0], (1.5, 0.5)).axes[
        0
    ]
    diamond, dot = axis.lines
    assert (diamond.get_marker(), *diamond.get_xydata()[0]) == ("D", 3, 2)
    assert (dot.get_marker(), *dot.get_xydata()[0]) == ("o", 1.5, 0.5)
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("one", "other")


def test_a_small_network_has_its_weights_at_the_connections():
    weights = np.array([[1.25, 2.5], [3.75, 5.0]])
    axis = plots.small_network(np.ones(2), 1, weights, np.zeros(2), -weights, np.zeros(2)).axes[0]
    texts = {text.get_text(): text.get_position() for text in axis.texts}
    assert texts["W1[1,1]\n5"] == (1, 1.5) and texts["W2[0,0]\n-1.25"] == (0, 0.5)
    assert texts["W1[0,1]\n2.5"][0] < 0.5 < texts["W1[1,0]\n3.75"][0], "each at its own end of the crossing"
