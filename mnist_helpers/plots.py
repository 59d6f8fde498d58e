"""The book's figures: pure functions, data in, a matplotlib figure out.

Every function returns a ``matplotlib.figure.Figure`` that pyplot has forgotten, so that a notebook shows it once, as
the value of its cell. No global setting of matplotlib is changed. Figures are drawn narrow with large
letters, to be read on a phone. Floor 4 of the package.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import font_manager
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

WIDTH = 5.6
PAPER, INK, GREY = "#fffefa", "#17264f", "#667085"
COLOURS = ("#1f4bb8", "#d2461e", "#12806a", "#a86f00", "#7b3fa0", "#5b6474")
STYLE = {
    "font.family": ["Atkinson Hyperlegible Next", "DejaVu Sans"],
    "font.size": 9.5,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": plt.cycler(color=COLOURS),
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "figure.constrained_layout.use": True,
    "grid.color": "#e4e2d8",
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
INK_ON_PAPER = LinearSegmentedColormap.from_list("ink_on_paper", [PAPER, "#8fa3d4", "#1f4bb8", INK])

for _font in sorted((Path(__file__).parent / "fonts").glob("*.ttf")):
    font_manager.fontManager.addfont(_font)


def _figure(draw: Callable[..., Figure]) -> Callable[..., Figure]:
    """Draw in the book's style and keep pyplot from showing the figure a second time."""

    @wraps(draw)
    def styled(*arguments, **named) -> Figure:
        with plt.rc_context(STYLE):
            figure = draw(*arguments, **named)
        plt.close(figure)
        return figure

    return styled


@_figure
def digit_grid(images: np.ndarray, captions: Sequence[str] | None = None, columns: int = 10) -> Figure:
    """Draw images in rows, ink on paper.

    Parameters
    ----------
    images : numpy.ndarray
        Shape (n, height, width), any numeric type; each is scaled to its own range from 0 to its maximum.
    captions : sequence of str, optional
        One short text for each image, written above it.
    columns : int
        Images in a row.
    """
    rows = -(-len(images) // columns)
    side = WIDTH / columns
    figure, axes = plt.subplots(
        rows, columns, figsize=(WIDTH, rows * (side + (0.22 if captions else 0.0))), squeeze=False
    )
    for axis in axes.flat:
        axis.axis("off")
    for number, (axis, image) in enumerate(zip(axes.flat, images, strict=False)):
        axis.imshow(image, cmap=INK_ON_PAPER, vmin=0, interpolation="nearest")
        if captions:
            axis.set_title(captions[number], fontsize=9, fontweight="normal", loc="center", pad=3)
    return figure


@_figure
def pixel_numbers(image: np.ndarray, rows: slice, columns: slice) -> Figure:
    """Show a whole image, a window of it framed, and the numbers in that window.

    Parameters
    ----------
    image : numpy.ndarray
        Shape (28, 28), uint8.
    rows, columns : slice
        The window, with start and stop given; twelve rows and columns can still be read.
    """
    figure, (whole, window) = plt.subplots(1, 2, figsize=(WIDTH, 3.3), width_ratios=(1, 1.45))
    whole.imshow(image, cmap=INK_ON_PAPER, vmin=0, vmax=255)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    corner = (columns.start - 0.5, rows.start - 0.5)
    whole.add_patch(plt.Rectangle(corner, width, height, fill=False, color=COLOURS[1], linewidth=1.6))
    whole.set(xticks=(0, 14, 27), yticks=(0, 14, 27), xlabel="column", ylabel="row")

    part = image[rows, columns]
    window.imshow(part, cmap=INK_ON_PAPER, vmin=0, vmax=255)
    for (row, column), value in np.ndenumerate(part):
        colour = PAPER if value > 100 else INK
        window.text(column, row, str(value), ha="center", va="center", color=colour, fontsize=6.6)
    window.set(xticks=range(width), yticks=range(height))
    window.set_xticklabels(range(columns.start, columns.stop), fontsize=7)
    window.set_yticklabels(range(rows.start, rows.stop), fontsize=7)
    return figure


@_figure
def bars(groups: Mapping[str, Sequence[float]], names: Sequence[str], ylabel: str, percent: bool = False) -> Figure:
    """Draw bars side by side: one cluster for each name, one colour for each group.

    Parameters
    ----------
    groups : mapping of str to sequence of float
        For each label in the legend, one value a name.
    names : sequence of str
        What the clusters are.
    ylabel : str
        Quantity and unit.
    percent : bool
        Whether the values are shares to be written as percentages.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 2.7))
    width = 0.8 / len(groups)
    for number, (label, values) in enumerate(groups.items()):
        axis.bar(np.arange(len(names)) - 0.4 + (number + 0.5) * width, values, width * 0.92, label=label)
    axis.set_xticks(range(len(names)), names)
    axis.set_ylabel(ylabel)
    axis.grid(axis="y")
    axis.set_axisbelow(True)
    if percent:
        axis.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    if len(groups) > 1:
        figure.legend(loc="outside upper left", ncols=len(groups))
    return figure


@_figure
def function_pairs(x: np.ndarray, curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Figure:
    """Draw functions on the left and their gradients on the right.

    Parameters
    ----------
    x : numpy.ndarray
        Where they were evaluated, shape (n,).
    curves : mapping of str to pair of numpy.ndarray
        For each name the values and the gradients, each of shape (n,).
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.8))
    for number, (name, (values, gradients)) in enumerate(curves.items()):
        dashes = ("-", "--", "-.", ":")[number % 4]
        left.plot(x, values, dashes, label=name, linewidth=1.8)
        right.plot(x, gradients, dashes, linewidth=1.8)
    left.set(title="output", xlabel="input z")
    right.set(title="gradient", xlabel="input z")
    for axis in (left, right):
        axis.grid()
    figure.legend(loc="outside upper left", ncols=len(curves), columnspacing=1.2, handlelength=1.8)
    return figure


@_figure
def bands(
    x: Sequence[float],
    groups: Mapping[str, np.ndarray],
    xlabel: str,
    ylabel: str,
    xscale: str = "linear",
    yscale: str = "linear",
    reference: tuple[float, str] | None = None,
) -> Figure:
    """Draw the mean over seeds as a line and mean ± standard deviation as a band, for each group.

    On a logarithmic y axis both are taken of the logarithms, so that the band is as wide above as below.

    Parameters
    ----------
    x : sequence of float
        Shape (n,).
    groups : mapping of str to numpy.ndarray
        For each label in the legend, values of shape (seeds, n).
    xlabel, ylabel : str
        Quantity and unit.
    xscale, yscale : str
        ``"linear"`` or ``"log"``.
    reference : pair of float and str, optional
        Height and label of a dotted horizontal line.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 3.1))
    for number, (label, values) in enumerate(groups.items()):
        colour, marker = COLOURS[number % len(COLOURS)], "osD^vP"[number % 6]
        _band(axis, x, np.asarray(values, dtype=float), colour, marker, label, log=yscale == "log")
    if reference is not None:
        height, label = reference
        axis.axhline(height, color=GREY, linestyle=":", linewidth=1.4, label=label)
    axis.set(xlabel=xlabel, ylabel=ylabel, xscale=xscale, yscale=yscale)
    if len(x) <= 12:
        axis.set_xticks(x, [f"{value:,g}" for value in x])
    axis.minorticks_off()
    axis.grid()
    figure.legend(loc="outside upper left", ncols=2, columnspacing=1.4)
    return figure


@_figure
def learning_curves(groups: Mapping[str, Sequence[Mapping[str, Sequence[float]]]]) -> Figure:
    """Draw loss and accuracy over the epochs: training dashed, validation solid, spread over seeds as a band.

    Parameters
    ----------
    groups : mapping of str to sequence of mapping
        For each label one history for each seed: ``Run.history`` or the ``history`` that ``model.fit`` gives.
    """
    figure, axes = plt.subplots(1, 2, figsize=(WIDTH, 3.0))
    for axis, key in zip(axes, ("loss", "accuracy"), strict=True):
        for number, (label, histories) in enumerate(groups.items()):
            for prefix, dashes, marker in (("", "--", ""), ("val_", "-", "o")):
                values = np.array([history[prefix + key] for history in histories])
                epochs = np.arange(1, values.shape[1] + 1)
                name = f"{label}, {'validation' if prefix else 'training'}".strip(", ")
                _band(axis, epochs, values, COLOURS[number % len(COLOURS)], marker, name, dashes)
        axis.set(title=key, xlabel="epoch")
        axis.xaxis.get_major_locator().set_params(integer=True)
        axis.grid()
    axes[1].yaxis.set_major_formatter(PercentFormatter(1))
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=2, columnspacing=1.4)
    return figure


@_figure
def spread(groups: Mapping[str, Sequence[float]], xlabel: str, percent: bool = True) -> Figure:
    """Draw one row a group: each seed as a dot, the mean as a diamond, the standard deviation as a line.

    Parameters
    ----------
    groups : mapping of str to sequence of float
        For each row's name, one value a seed.
    xlabel : str
        Quantity and unit.
    percent : bool
        Whether the values are shares to be written as percentages.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 0.9 + 0.36 * len(groups)))
    for row, values in enumerate(groups.values()):
        colour = COLOURS[row % len(COLOURS)]
        axis.plot(values, np.full(len(values), row), "o", color=colour, alpha=0.4, markersize=5, markeredgewidth=0)
        deviation = np.std(values, ddof=1) if len(values) > 1 else 0.0
        axis.errorbar(np.mean(values), row, xerr=deviation, fmt="D", color=colour, markersize=6, capsize=4)
    axis.set_yticks(range(len(groups)), groups)
    axis.set_ylim(len(groups) - 0.4, -0.6)
    axis.set_xlabel(xlabel)
    axis.locator_params(axis="x", nbins=6)
    axis.grid(axis="x")
    if percent:
        axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    return figure


@_figure
def staircase(names: Sequence[str], values: Sequence[Sequence[float]], kept: Sequence[bool], xlabel: str) -> Figure:
    """Draw a row for each idea, added to those kept above it: mean and standard deviation over seeds.

    A line joins the ideas that are kept, step by step; those that are not are drawn hollow.

    Parameters
    ----------
    names : sequence of str
        From top to bottom.
    values : sequence of sequence of float
        For each name one share a seed, at least two, written as percentages.
    kept : sequence of bool
        Whether the idea is kept.
    xlabel : str
        Quantity and unit.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 0.8 + 0.3 * len(names)))
    means = [float(np.mean(each)) for each in values]
    rows = [row for row, stays in enumerate(kept) if stays]
    axis.step([means[row] for row in rows], rows, where="pre", color=GREY, linewidth=1)
    for row, stays in enumerate(kept):
        colour = COLOURS[0] if stays else COLOURS[1]
        face = colour if stays else PAPER
        deviation = np.std(values[row], ddof=1)
        axis.errorbar(means[row], row, xerr=deviation, fmt="D", color=colour, mfc=face, markersize=6, capsize=4)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set_xlabel(xlabel)
    axis.grid(axis="x")
    axis.xaxis.set_major_formatter(PercentFormatter(1, decimals=None))
    return figure


@_figure
def trade_offs(prices: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]], ylabel: str) -> Figure:
    """Draw what each network reaches against what it costs, one plot a price, prices on a logarithmic axis.

    Parameters
    ----------
    prices : mapping of str to mapping
        For each label of an x axis, by network's name, its price and its share of right answers, one value a seed each.
    ylabel : str
        What is bought.
    """
    figure, axes = plt.subplots(1, len(prices), figsize=(WIDTH, 3.6), sharey=True, squeeze=False)
    for axis, (xlabel, networks) in zip(axes[0], prices.items(), strict=True):
        for number, (name, (price, share)) in enumerate(networks.items()):
            colour, marker = COLOURS[number % len(COLOURS)], "osD^vP"[number % 6]
            deviation = np.std(share, ddof=1) if len(share) > 1 else 0.0
            label = name if axis is axes[0, 0] else None
            middle = np.median(price), np.mean(share)
            axis.errorbar(*middle, yerr=deviation, fmt=marker, color=colour, markersize=7, capsize=4, label=label)
        axis.set(xlabel=xlabel, xscale="log")
        axis.xaxis.set_major_formatter("{x:,.0f}")
        axis.xaxis.set_minor_formatter("")
        axis.grid()
    axes[0, 0].set_ylabel(ylabel)
    axes[0, 0].yaxis.set_major_formatter(_in_per_cent)
    figure.legend(loc="outside upper left", ncols=2, columnspacing=1.4)
    return figure


@_figure
def reliability(groups: Mapping[str, tuple[np.ndarray, np.ndarray]], bins: int = 10) -> Figure:
    """Draw how often answers are right against how sure they are, in bins that hold equally many answers.

    Both axes show the distance from certainty on a logarithmic scale, where a good network's answers lie.

    Parameters
    ----------
    groups : mapping of str to pair of numpy.ndarray
        For each label the probabilities that were given to the answers, and whether each was right; shape (n,) each.
    bins : int
        How many.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 3.6))
    lowest = 1.0
    for number, (label, (sure, right)) in enumerate(groups.items()):
        order = np.array_split(np.argsort(sure), bins)
        doubt = np.array([1 - sure[chosen].mean() for chosen in order])
        wrong = np.array([1 - right[chosen].mean() for chosen in order])
        seen = wrong > 0  # a bin without a mistake has no place on a logarithmic axis
        lowest = min(lowest, doubt[seen].min(), wrong[seen].min())
        colour, marker = COLOURS[number % len(COLOURS)], "osD^vP"[number % 6]
        axis.plot(doubt[seen], wrong[seen], "-", marker=marker, color=colour, label=label, linewidth=1.6)
    axis.plot([lowest, 1], [lowest, 1], ":", color=GREY, label="as sure as right", linewidth=1.4)
    axis.set(xlabel="doubt: 1 − probability of the answer", ylabel="share of wrong answers", xscale="log", yscale="log")
    for each in (axis.xaxis, axis.yaxis):
        each.set_major_formatter(_in_per_cent)
    axis.grid()
    figure.legend(loc="outside upper left", ncols=3, columnspacing=1.4)
    return figure


@_figure
def heat_table(
    values: np.ndarray,
    row_names: Sequence[str],
    column_names: Sequence[str],
    ylabel: str,
    xlabel: str,
    texts: Sequence[Sequence[str]],
) -> Figure:
    """Draw a table whose cells are shaded by value.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (rows, columns).
    row_names, column_names : sequence of str
        Written at the left and below.
    ylabel, xlabel : str
        What rows and columns are.
    texts : sequence of sequence of str
        What each cell says.
    """
    rows, columns = values.shape
    figure, axis = plt.subplots(figsize=(WIDTH, 0.7 + min(0.45, 4.4 / rows) * rows))
    axis.imshow(values, cmap=INK_ON_PAPER, aspect="auto")
    middle = values.min() + 0.45 * (values.max() - values.min())
    size = 9.5 if columns < 8 else 8
    for (row, column), level in np.ndenumerate(values):
        colour = PAPER if level > middle else INK
        axis.text(column, row, texts[row][column], ha="center", va="center", color=colour, fontsize=size)
    axis.set_xticks(range(columns), column_names)
    axis.set_yticks(range(rows), row_names)
    axis.set(xlabel=xlabel, ylabel=ylabel)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return figure


@_figure
def small_network(x: np.ndarray, label: int, W1: np.ndarray, b1: np.ndarray, W2: np.ndarray, b2: np.ndarray) -> Figure:
    """Draw a network of two inputs, two hidden units and two outputs, from top to bottom, with its weights.

    Parameters
    ----------
    x : numpy.ndarray
        The inputs, shape (2,).
    label : int
        Which output is that of the example's class.
    W1, W2 : numpy.ndarray
        Shape (2, 2): from the row's unit to the column's.
    b1, b2 : numpy.ndarray
        Shape (2,).
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 4.2))
    rows = {0: 2.0, 1: 1.0, 2: 0.0}
    texts = {
        0: [f"x[{i}] = {x[i]:.4g}" for i in range(2)],
        1: [f"hidden unit {i}\nb1[{i}] = {b1[i]:.4g}" for i in range(2)],
        2: [f"output {i}, y[{i}] = {int(label == i)}\nb2[{i}] = {b2[i]:.4g}" for i in range(2)],
    }
    for layer, (name, weights) in enumerate({"W1": W1, "W2": W2}.items()):
        for (start, end), weight in np.ndenumerate(weights):
            axis.plot([start, end], [rows[layer], rows[layer + 1]], color=GREY, linewidth=1.2, zorder=1)
            along = 0.5 if start == end else 0.32
            place = start + along * (end - start), rows[layer] - along
            axis.text(*place, f"{name}[{start},{end}]\n{weight:.4g}", ha="center", va="center", fontsize=8.5,
                      bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1.5})  # fmt: skip
    for layer, row in rows.items():
        for unit, text in enumerate(texts[layer]):
            axis.text(unit, row, text, ha="center", va="center", linespacing=1.5,
                      bbox={"boxstyle": "round,pad=0.5", "facecolor": PAPER, "edgecolor": INK})  # fmt: skip
    axis.set(xlim=(-0.4, 1.4), ylim=(-0.25, 2.2))
    axis.axis("off")
    return figure


@_figure
def landscape(
    values: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    names: Sequence[str],
    levels: Sequence[float],
    start: Sequence[float],
) -> Figure:
    """Draw a loss over two weights as a map with lines of equal loss; a dot marks a start, a diamond the lowest point.

    Parameters
    ----------
    values : numpy.ndarray
        Shape (rows, columns).
    x, y : numpy.ndarray
        Where the columns and the rows are, shapes (columns,) and (rows,).
    names : sequence of str
        Of x and of y.
    levels : sequence of float
        The losses of the lines, rising; the first and the last are the lowest and the highest.
    start : sequence of float
        As x and y.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 4.4))
    # As on the panel, each step between two lines takes as much of the colour.
    heights = np.interp(values, levels, np.linspace(0, 0.75, len(levels)))
    axis.pcolormesh(x, y, heights, cmap=INK_ON_PAPER, vmin=0, vmax=1, shading="gouraud", rasterized=True)
    lines = axis.contour(x, y, values, levels=levels[1:-1], colors=INK, linewidths=0.7, linestyles="solid")
    axis.clabel(lines, fmt="%g", fontsize=8)
    row, column = np.unravel_index(values.argmin(), values.shape)
    axis.plot(x[column], y[row], "D", color=COLOURS[2], markeredgecolor=PAPER, markersize=8)
    axis.plot(*start, "o", color=COLOURS[1], markeredgecolor=PAPER, markersize=9)
    axis.set(xlabel=names[0], ylabel=names[1])
    return figure


def _in_per_cent(share, _) -> str:
    return f"{100 * share:g}%"


def _band(axis, x, values, colour, marker, label, dashes="-", log=False):
    there, back = (np.log, np.exp) if log else (np.asarray, np.asarray)
    mean = there(values).mean(axis=0)
    axis.plot(x, back(mean), dashes, color=colour, marker=marker, markersize=4, linewidth=1.6, label=label)
    if len(values) > 1:
        deviation = there(values).std(axis=0, ddof=1)
        axis.fill_between(x, back(mean - deviation), back(mean + deviation), color=colour, alpha=0.16, linewidth=0)
