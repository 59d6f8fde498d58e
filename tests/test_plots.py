"""Charts show what they were given."""

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from test_figure import FIGURES, HISTORY

from mnist_helpers import figure, plots


def test_bands_draw_mean_and_deviation():
    values = np.array([[1.0, 4.0], [3.0, 8.0]])
    axis = plots.bands([1, 2], {"a": values, "b": values}, "x", "y").axes[0]
    np.testing.assert_allclose(axis.lines[0].get_ydata(), [2, 6])
    edges = axis.collections[0].get_paths()[0].vertices[:, 1]
    assert edges.min() == pytest.approx(2 - np.sqrt(2))
    assert edges.max() == pytest.approx(6 + np.sqrt(8))
    bands = [to_rgb(band.get_facecolor()[0]) for band in axis.collections]
    lines = [to_rgb(line.get_color()) for line in axis.lines]
    assert bands == lines and len(set(lines)) == 2


def test_bands_on_a_logarithmic_axis_use_the_geometric_mean():
    axis = plots.bands([1, 2], {"a": np.array([[1.0, 1.0], [100.0, 100.0]])}, "x", "y", yscale="log").axes[0]
    np.testing.assert_allclose(axis.lines[0].get_ydata(), [10, 10])
    assert axis.collections[0].get_paths()[0].vertices[:, 1].min() > 0


def test_bars_are_shares_only_if_they_are_said_to_be():
    values = {"a": [0.5, 0.25]}
    written = [plots.bars(values, ["x", "y"], "n", **options).numbers["a"] for options in ({}, {"percent": True})]
    assert written == [["0.5", "0.25"], ["50.00%", "25.00%"]]


def test_learning_curves_tell_training_from_validation():
    loss, accuracy = plots.learning_curves({"": [HISTORY]}).axes
    np.testing.assert_allclose([line.get_ydata() for line in loss.lines], [HISTORY["loss"], HISTORY["val_loss"]])
    np.testing.assert_allclose(accuracy.lines[1].get_ydata(), HISTORY["val_accuracy"])
    assert [line.get_label() for line in loss.lines] == ["training", "validation"]
    assert loss.lines[0].get_linestyle() != loss.lines[1].get_linestyle()


def test_spread_shows_every_seed():
    values = [0.90, 0.92, 0.97]
    axis = plots.spread({"a": values}, "accuracy").axes[0]
    np.testing.assert_allclose(axis.lines[0].get_xdata(), values)
    deviation = np.std(values, ddof=1)
    np.testing.assert_allclose(error_bars(axis), [[np.mean(values) - deviation, np.mean(values) + deviation]])


def error_bars(axis, coordinate=0):
    """Give the ends of each error bar, in the direction of x or of y."""
    return [bar[:, coordinate] for collection in axis.collections for bar in collection.get_segments()]


def test_a_staircase_joins_only_the_ideas_that_are_kept():
    values = [[0.90, 0.92], [0.80, 0.82], [0.94, 0.96]]
    axis = plots.staircase(["a", "b", "c"], values, [True, False, True], "accuracy").axes[0]
    joined, *diamonds = (line for line in axis.lines if len(line.get_xdata()))
    assert set(joined.get_ydata()) == {0, 2}
    drawn = {float(line.get_ydata()[0]): line for line in diamonds if line.get_marker() == "D"}
    assert [line.get_xdata()[0] for line in drawn.values()] == pytest.approx([0.91, 0.81, 0.95])
    assert drawn[1].get_markerfacecolor() == figure.PAPER != drawn[0].get_markerfacecolor()
    np.testing.assert_allclose(
        error_bars(axis), [[mean - 2**0.5 / 100, mean + 2**0.5 / 100] for mean in (0.91, 0.81, 0.95)]
    )
    bottom, top = axis.get_ylim()
    assert bottom > 2 and top < 0, "the first idea is on top, and all are in sight"


def test_trade_offs_share_what_is_bought():
    networks = {"a": ([1.0, 3.0, 2.0], [0.90, 0.92, 0.94]), "b": ([5.0], [0.8])}
    chart = plots.trade_offs({"seconds": networks, "parameters": networks}, "accuracy")
    left, right = chart.axes
    assert [text.get_text() for text in chart.legends[0].get_texts()] == ["a", "b"]
    np.testing.assert_allclose(error_bars(left, 1), [[0.9, 0.94], [0.8, 0.8]])
    assert left.get_ylim() == right.get_ylim()
    assert [line.get_xdata()[0] for line in right.lines if line.get_marker() in "os"] == [2.0, 5.0]
    assert [line.get_ydata()[0] for line in left.lines if line.get_marker() in "os"] == pytest.approx([0.92, 0.8])


def test_reliability_bins_hold_equally_many_answers():
    sure = np.array([0.9, 0.6, 0.7, 0.8])
    axis = plots.reliability({"a": (sure, np.array([True, False, False, False]))}, bins=2).axes[0]
    np.testing.assert_allclose(axis.lines[0].get_xdata(), [0.35, 0.15])
    np.testing.assert_allclose(axis.lines[0].get_ydata(), [1.0, 0.5])


def test_a_function_stands_beside_its_slope():
    output, slope = plots.function_pairs(np.arange(3.0), {"f": (np.arange(3.0) ** 2, 2 * np.arange(3.0))}).axes
    assert (output.get_title(loc="left"), slope.get_title(loc="left")) == ("output", "slope")
    np.testing.assert_allclose(slope.lines[0].get_ydata(), [0, 2, 4])


def test_a_schedule_is_drawn_update_by_update_and_only_a_rise_is_a_warm_up():
    axis = FIGURES["schedules"]().axes[0]
    falling, flat = axis.lines
    np.testing.assert_allclose(falling.get_xydata(), [[1, 0], [2, 2], [3, 1], [4, 0]])
    np.testing.assert_allclose(flat.get_xydata(), [[1, 1], [2, 1]])
    assert [line.get_xdata()[line.get_markevery()].tolist() for line in axis.lines] == [[2, 4], [1, 2]]
    (warm_up,) = axis.patches
    assert (warm_up.get_x(), warm_up.get_width(), warm_up.get_label()) == (0, 2, "warm-up")
