"""Figures show what they were given, and leave matplotlib as they found it."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from mnist_helpers import plots

HISTORY = {"loss": [1.0, 0.5], "accuracy": [0.7, 0.8], "val_loss": [0.9, 0.6], "val_accuracy": [0.72, 0.78]}
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
