"""The book's figures: pure functions, data in, a matplotlib figure out.

Every function returns a ``matplotlib.figure.Figure`` that pyplot has forgotten, so that a notebook shows it once, as
the value of its cell. No global setting of matplotlib is changed. Figures are drawn narrow with large
letters, to be read on a phone. Floor 4 of the package.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from types import MappingProxyType

import matplotlib.pyplot as plt
import numpy as np
from matplotlib import font_manager
from matplotlib.collections import LineCollection
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
    "legend.columnspacing": 1.4,
    "legend.frameon": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
INK_ON_PAPER = LinearSegmentedColormap.from_list("ink_on_paper", [PAPER, "#8fa3d4", "#1f4bb8", INK])
SIGNED = LinearSegmentedColormap.from_list("signed", [COLOURS[1], PAPER, COLOURS[0]])  # symmetric limits make 0 paper

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
    _mark(whole, columns.start - 0.5, rows.start - 0.5, width, height)
    whole.set(xticks=(0, 14, 27), yticks=(0, 14, 27), xlabel="column", ylabel="row")

    part = image[rows, columns]
    window.imshow(part, cmap=INK_ON_PAPER, vmin=0, vmax=255)
    _write(window, part.astype(str), size=6.6)
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
    """Draw functions on the left and their slopes on the right.

    Parameters
    ----------
    x : numpy.ndarray
        Where they were evaluated, shape (n,).
    curves : mapping of str to pair of numpy.ndarray
        For each name the values and the slopes, each of shape (n,).
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.8))
    for number, (name, (values, slopes)) in enumerate(curves.items()):
        dashes = ("-", "--", "-.", ":")[number % 4]
        left.plot(x, values, dashes, label=name, linewidth=1.8)
        right.plot(x, slopes, dashes, linewidth=1.8)
    left.set(title="output", xlabel="input z")
    right.set(title="slope", xlabel="input z")
    for axis in (left, right):
        axis.grid()
    figure.legend(loc="outside upper left", ncols=len(curves), handlelength=1.8)
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
        colour, marker = _look(number)
        _band(axis, x, np.asarray(values, dtype=float), colour, marker, label, log=yscale == "log")
    if reference is not None:
        height, label = reference
        axis.axhline(height, color=GREY, linestyle=":", linewidth=1.4, label=label)
    axis.set(xlabel=xlabel, ylabel=ylabel, xscale=xscale, yscale=yscale)
    if len(x) <= 12:
        axis.set_xticks(x, [f"{value:,g}" for value in x])
    axis.minorticks_off()
    axis.grid()
    figure.legend(loc="outside upper left", ncols=2)
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
    figure.legend(handles, labels, loc="outside upper left", ncols=2)
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
            colour, marker = _look(number)
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
    figure.legend(loc="outside upper left", ncols=2)
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
        colour, marker = _look(number)
        axis.plot(doubt[seen], wrong[seen], "-", marker=marker, color=colour, label=label, linewidth=1.6)
    axis.plot([lowest, 1], [lowest, 1], ":", color=GREY, label="as sure as right", linewidth=1.4)
    axis.set(xlabel="doubt: 1 − probability of the answer", ylabel="share of wrong answers", xscale="log", yscale="log")
    for each in (axis.xaxis, axis.yaxis):
        each.set_major_formatter(_in_per_cent)
    axis.grid()
    figure.legend(loc="outside upper left", ncols=3)
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
    _write(axis, texts, size=9.5 if columns < 8 else 8)
    axis.set_xticks(range(columns), column_names)
    axis.set_yticks(range(rows), row_names)
    axis.set(xlabel=xlabel, ylabel=ylabel)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    return figure


@_figure
def network(image: np.ndarray, layers: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray]]) -> Figure:
    """Draw a dense network with an image on its way through it, from top to bottom.

    Of up to ten units all are drawn, of more the first five; of the pixels five neighbours with much contrast. A
    unit is the darker the larger its output is, on the scale of its layer, and white from 0 down; a line is the wider
    the larger its weight is, and has one colour for weights above 0 and another below.

    Parameters
    ----------
    image : numpy.ndarray
        Shape (28, 28), uint8.
    layers : sequence of tuple
        For each layer the name of its activation, its weights, shape (inputs, units), its biases, shape (units,), and
        what its units make of the image, shape (units,).
    """
    few, step, left, width = 5, 0.72, 1.38, 2.87
    top, strip, side = 0.58, 0.44, width / (few + 1)
    figure, axis = _sheet(top + step * len(layers) + 0.42)
    runs = np.lib.stride_tricks.sliding_window_view(image, few, axis=1)
    contrast = np.abs(np.diff(runs.astype(float))).sum(axis=2)
    row, column = np.unravel_index(contrast.argmax(), contrast.shape)
    pixel = 1.02 / len(image)
    x, y = 0.02 + pixel * column, 0.02 + pixel * row
    _picture(axis, image, 0.02, 0.02, 1.02)
    _mark(axis, x, y, few * pixel, pixel)
    axis.plot([x + few * pixel, left], [y + pixel / 2, strip], color=COLOURS[1], linewidth=1)
    for number, grey in enumerate(runs[row, column]):
        _picture(axis, grey.reshape(1, 1), left + number * side, strip - side / 2, side)
    _mark(axis, left, strip - side / 2, few * side, side)
    axis.text(left + (few + 0.5) * side, strip, f"…   {image.size} pixels", va="center")

    above, bottom = np.ravel_multi_index((row, column), image.shape) + np.arange(few), strip + side / 2
    places = left + side * (np.arange(few) + 0.5)
    for activation, weights, biases, outputs in layers:
        units, places_above = len(outputs), places
        drawn = np.arange(units if units <= 10 else few)
        places = left + width * (drawn + 0.5) / max(len(drawn), few + 1)
        part = weights[np.ix_(above, drawn)].ravel()
        ends = [[(start, bottom), (end, top + step)] for start in places_above for end in places]
        colours = np.where(part > 0, COLOURS[0], COLOURS[1])
        widths = 2 * np.abs(part) / np.abs(part).max()
        axis.add_collection(LineCollection(ends, colors=colours, linewidths=widths, zorder=0))
        looks = {"cmap": INK_ON_PAPER, "vmin": 0, "vmax": outputs.max(), "edgecolors": INK, "s": 180, "zorder": 2}
        axis.scatter(places, np.full(len(places), top + step), c=outputs[drawn], **looks)
        if len(drawn) < units:
            axis.text(left + (few + 0.5) * side, top + step, "…", va="center")
        axis.text(0.02, top + step, f"{units} units\n{activation}", va="center")
        shapes = f"W {weights.shape[0]} × {weights.shape[1]}\nb {len(biases)}"
        axis.text(left + width + 0.2, top + step / 2, shapes, va="center")
        top += step
        above, bottom = drawn, top
    for place, name in zip(places, above, strict=True):
        axis.text(place, top + 0.26, str(name), ha="center", va="center")
    return figure


@_figure
def dealt_cards(images: np.ndarray, splits: Mapping[str, tuple[Sequence[int], Sequence[int]]]) -> Figure:
    """Draw what a shuffled deck gives to ``take`` and to ``skip``, each in a row of its own.

    The cards that ``skip`` passes over lie face down. In its row those that ``take`` gave as well are framed.

    Parameters
    ----------
    images : numpy.ndarray
        The cards' faces in the order of their numbers, shape (n, 28, 28), uint8.
    splits : mapping of str to pair of sequence of int
        For each title the numbers of the cards that ``take`` gave, and of those that ``skip`` gave, in their order.
    """
    left, side = 0.5, (WIDTH - 0.55) / len(images)
    figure, axis = _sheet(len(splits) * (2 * side + 0.84))
    y = 0.0
    for title, (taken, rest) in splits.items():
        axis.text(0.02, y + 0.12, title, va="center", fontweight="bold")
        y += 0.46
        for name, passed_over, cards in (("take", 0, taken), ("skip", len(taken), rest)):
            axis.text(0.02, y + side / 2, name, va="center")
            for place in range(passed_over):
                back = (left + place * side + 0.02, y)
                axis.add_patch(plt.Rectangle(back, side - 0.04, side - 0.04, color=GREY, alpha=0.35, linewidth=0))
            for place, card in enumerate(cards, passed_over):
                x = left + place * side + 0.02
                _picture(axis, images[card], x, y, side - 0.04)
                axis.text(x + side / 2 - 0.02, y - 0.09, str(card), ha="center", va="center", fontsize=9)
                if passed_over and card in taken:
                    _mark(axis, x, y, side - 0.04, side - 0.04)
            y += side + (0.24 if not passed_over else 0.14)
    return figure


@_figure
def one_window(
    image: np.ndarray, weights: np.ndarray, sums: np.ndarray, handed_on: np.ndarray, row: int, column: int
) -> Figure:
    """Show one window of a convolution in numbers, and where its sum goes: into a map, and into one half as large.

    Parameters
    ----------
    image : numpy.ndarray
        Grey values from 0 to 1, shape (height, width).
    weights : numpy.ndarray
        The filter, shape (n, n).
    sums : numpy.ndarray
        The filter's map, shape (height − n + 1, width − n + 1).
    handed_on : numpy.ndarray
        What the next layer gets of it after pooling 2 × 2, shape (⌊(height − n + 1) / 2⌋, ⌊(width − n + 1) / 2⌋).
    row, column : int
        The window's upper left corner.
    """
    size = len(weights)
    figure, (places, numbers) = plt.subplots(2, 3, figsize=(WIDTH, 4.3))
    most = np.abs(sums).max()
    shown = (
        ("pixels", image, INK_ON_PAPER, 0, 1, (column, row, size)),
        ("sums", sums, SIGNED, -most, most, (column, row, 1)),
        ("handed on", handed_on, INK_ON_PAPER, 0, handed_on.max(), (column // 2, row // 2, 1)),
    )
    for axis, (title, values, colours, lowest, highest, (x, y, side)) in zip(places, shown, strict=True):
        axis.imshow(values, cmap=colours, vmin=lowest, vmax=highest)
        axis.set_title("{1} × {2} {0}".format(title, *values.shape))
        _mark(axis, x - 0.5, y - 0.5, side, side)
    window = image[row : row + size, column : column + size]
    products = window * weights
    tables = (("these pixels", window), ("× weights", weights), (f"= products: sum {products.sum():.2f}", products))
    for axis, (title, values) in zip(numbers, tables, strict=True):
        signed = axis is not numbers[0]
        most = np.abs(values).max() if signed else 1.0
        axis.imshow(values, cmap=SIGNED if signed else INK_ON_PAPER, vmin=-most if signed else 0, vmax=most)
        axis.set_title(title)
        texts = [[f"{value:.2f}".replace("-", "−") for value in line] for line in values.round(2) + 0.0]  # no −0.00
        _write(axis, texts, size=9.5)
    for axis in (*places, *numbers):
        axis.set(xticks=(), yticks=())
        axis.spines[:].set_visible(True)
    return figure


@_figure
def filters(before: np.ndarray, after: np.ndarray, maps: np.ndarray) -> Figure:
    """Draw each filter before and after training, and below the two the map that it gives after training.

    Parameters
    ----------
    before, after : numpy.ndarray
        Weights, shape (n, n, filters); all are drawn on one scale.
    maps : numpy.ndarray
        Sums, shape (height, width, filters); each on a scale of its own.
    """
    columns, side = 6, WIDTH / 6
    rows = -(-maps.shape[-1] // columns)
    figure, axis = _sheet(rows * 1.55 * side)
    weights = max(np.abs(before).max(), np.abs(after).max())
    for number in range(maps.shape[-1]):
        y, x = 1.55 * side * (number // columns) + 0.02, side * (number % columns) + 0.05
        most = np.abs(maps[..., number]).max()
        for image, left, down, width, highest in (
            (before[..., number], 0, 0, 0.42, weights),
            (after[..., number], 0.46, 0, 0.42, weights),
            (maps[..., number], 0, 0.46, 0.88, most),
        ):
            _picture(axis, image, x + left * side, y + down * side, width * side, SIGNED, -highest, highest)
    return figure


@_figure
def schedules(rates: Mapping[str, tuple[np.ndarray, int]]) -> Figure:
    """Draw learning rates update by update: a marker after each epoch, and a warm-up shaded.

    Parameters
    ----------
    rates : mapping of str to pair of numpy.ndarray and int
        For each label the learning rate of each update, shape (updates,), and how many updates an epoch has.
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 2.9))
    for number, (label, (values, epoch)) in enumerate(rates.items()):
        colour, marker = _look(number)
        updates = np.arange(1, len(values) + 1)
        epochs = slice(epoch - 1, None, epoch)
        axis.plot(updates, values, color=colour, marker=marker, markersize=5, markevery=epochs, label=label)
        if values.argmax():
            axis.axvspan(0, updates[values.argmax()], color=colour, alpha=0.16, linewidth=0, label="warm-up")
    axis.set(xlabel="weight updates, with a marker after each epoch", ylabel="learning rate")
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.grid()
    figure.legend(loc="outside upper left", ncols=3)
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
    paths: Mapping[str, np.ndarray] = MappingProxyType({}),
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
    paths : mapping of str to numpy.ndarray
        For each label in the legend the places of a descent, as x and y, shape (steps + 1, 2).
    """
    figure, axis = plt.subplots(figsize=(WIDTH, 4.4))
    # As on the panel, each step between two lines takes as much of the colour.
    heights = np.interp(values, levels, np.linspace(0, 0.75, len(levels)))
    axis.pcolormesh(x, y, heights, cmap=INK_ON_PAPER, vmin=0, vmax=1, shading="gouraud", rasterized=True)
    lines = axis.contour(x, y, values, levels=levels[1:-1], colors=INK, linewidths=0.7, linestyles="solid")
    axis.clabel(lines, fmt="%g", fontsize=8)
    row, column = np.unravel_index(values.argmin(), values.shape)
    axis.plot(x[column], y[row], "D", color=COLOURS[2], markeredgecolor=PAPER, markersize=8)
    for number, (name, path) in enumerate(paths.items()):
        colour, marker = _look(number)
        axis.plot(*np.transpose(path), color=colour, marker=marker, markersize=4, linewidth=1.6, label=name)
    axis.plot(*start, "o", color=COLOURS[1], markeredgecolor=PAPER, markersize=9)
    axis.set(xlabel=names[0], ylabel=names[1])
    if paths:
        axis.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
        figure.legend(loc="outside upper left", ncols=len(paths))
    return figure


def _look(number: int) -> tuple[str, str]:
    """Give the colour and the marker of a group, by its place in the legend."""
    return COLOURS[number % len(COLOURS)], "osD^vP"[number % 6]


def _sheet(height: float) -> tuple[Figure, plt.Axes]:
    """Give a figure, and an axis that is measured in inches from its upper left corner."""
    figure, axis = plt.subplots(figsize=(WIDTH, height))
    axis.set(xlim=(0, WIDTH), ylim=(height, 0), aspect="equal", autoscale_on=False)
    axis.axis("off")
    return figure, axis


def _picture(axis, image, x, y, width, cmap=INK_ON_PAPER, lowest=0, highest=255):
    """Put an image on a sheet, its upper left corner at ``x`` and ``y``."""
    extent = (x, x + width, y + width * image.shape[0] / image.shape[1], y)
    axis.imshow(image, cmap=cmap, vmin=lowest, vmax=highest, extent=extent, interpolation="nearest")
    axis.add_patch(plt.Rectangle((x, y), width, extent[2] - y, fill=False, color=GREY, alpha=0.5, linewidth=0.5))


def _mark(axis, x, y, width, height):
    axis.add_patch(plt.Rectangle((x, y), width, height, fill=False, color=COLOURS[1], linewidth=1.8, zorder=3))


def _write(axis, texts, size):
    """Write a text into each cell of a table that ``imshow`` has drawn, light on dark cells."""
    (table,) = axis.images
    cells = table.cmap(table.norm(table.get_array()))[..., :3]
    brightness = cells**2.2 @ (0.2126, 0.7152, 0.0722)
    for (row, column), bright in np.ndenumerate(brightness):
        colour = INK if bright > 0.22 else PAPER  # where both have the same contrast
        axis.text(column, row, texts[row][column], ha="center", va="center", color=colour, fontsize=size)


def _in_per_cent(share, _) -> str:
    return f"{100 * share:g}%"


def _band(axis, x, values, colour, marker, label, dashes="-", log=False):
    there, back = (np.log, np.exp) if log else (np.asarray, np.asarray)
    mean = there(values).mean(axis=0)
    axis.plot(x, back(mean), dashes, color=colour, marker=marker, markersize=4, linewidth=1.6, label=label)
    if len(values) > 1:
        deviation = there(values).std(axis=0, ddof=1)
        axis.fill_between(x, back(mean - deviation), back(mean + deviation), color=colour, alpha=0.16, linewidth=0)
