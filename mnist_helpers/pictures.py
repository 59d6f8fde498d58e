"""The book's pictures: images, networks and landscapes, drawn by pure functions: data in, a figure out.

Floor 4 of the package; what all figures have in common is in ``figure``.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke

from mnist_helpers.figure import (
    COLOURS,
    GREY,
    INK,
    INK_ON_PAPER,
    MORE_OR_LESS_INK,
    PAPER,
    SIGNED,
    WIDTH,
    BookFigure,
    book_figure,
    look,
    write_in_cells,
)


@book_figure
def digit_grid(images: np.ndarray, captions: Sequence[str] | None = None, columns: int = 10) -> BookFigure:
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
    count, height, width = images.shape
    rows, gap = -(-count // columns), width // 14
    above = round(0.22 * columns * (width + gap) / WIDTH) if captions else 0  # rows of pixels for a caption
    cells = np.zeros((rows * columns, above + height + gap, width + gap))
    cells[:count, above:-gap, :-gap] = images / np.maximum(images.max(axis=(1, 2), keepdims=True), np.spacing(1.0))
    # One picture of all takes a third of the room of one for each.
    sheet = np.block([list(cells[row * columns : (row + 1) * columns]) for row in range(rows)])[:-gap, :-gap]
    figure = BookFigure(WIDTH * sheet.shape[0] / sheet.shape[1])
    axis = figure.subplots()
    axis.axis("off")
    axis.imshow(sheet, cmap=INK_ON_PAPER, vmin=0, vmax=1)
    for number, caption in enumerate(captions or ()):
        row, column = np.divmod(number, columns) * np.array(cells.shape[1:])
        axis.text(column + width / 2, row + above - 2, caption, ha="center", fontsize=9)
    return figure


@book_figure
def pixel_numbers(image: np.ndarray, rows: slice, columns: slice) -> BookFigure:
    """Show a whole image, a window of it framed, and the numbers in that window.

    Parameters
    ----------
    image : numpy.ndarray
        Shape (28, 28), uint8.
    rows, columns : slice
        The window, with start and stop given; twelve rows and columns can still be read.
    """
    figure = BookFigure(3.3)
    whole, window = figure.subplots(1, 2, width_ratios=(1, 1.45))
    whole.imshow(image, cmap=INK_ON_PAPER, vmin=0, vmax=255)
    height, width = rows.stop - rows.start, columns.stop - columns.start
    _mark(whole, columns.start - 0.5, rows.start - 0.5, width, height)
    whole.set(xticks=(0, 14, 27), yticks=(0, 14, 27), xlabel="column", ylabel="row")

    part = image[rows, columns]
    window.imshow(part, cmap=INK_ON_PAPER, vmin=0, vmax=255)
    write_in_cells(window, part.astype(str), size=6.6)
    window.set(xticks=range(width), yticks=range(height))
    window.set_xticklabels(range(columns.start, columns.stop), fontsize=7)
    window.set_yticklabels(range(rows.start, rows.stop), fontsize=7)
    return figure


@book_figure
def network(image: np.ndarray, layers: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray]]) -> BookFigure:
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
        circles = {"x": places, "y": np.full(len(places), top + step), "s": 180}
        axis.scatter(**circles, color=PAPER, zorder=1)  # the lines end at the circles, which can be seen through
        shades = {"cmap": MORE_OR_LESS_INK, "vmin": 0, "vmax": outputs.max()}
        axis.scatter(**circles, c=outputs[drawn], **shades, edgecolors=INK, zorder=2)
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


@book_figure
def dealt_cards(images: np.ndarray, splits: Mapping[str, tuple[Sequence[int], Sequence[int]]]) -> BookFigure:
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
                axis.add_patch(Rectangle(back, side - 0.04, side - 0.04, color=GREY, alpha=0.35, linewidth=0))
            for place, card in enumerate(cards, passed_over):
                x = left + place * side + 0.02
                _picture(axis, images[card], x, y, side - 0.04)
                axis.text(x + side / 2 - 0.02, y - 0.09, str(card), ha="center", va="center", fontsize=9)
                if passed_over and card in taken:
                    _mark(axis, x, y, side - 0.04, side - 0.04)
            y += side + (0.24 if not passed_over else 0.14)
    return figure


@book_figure
def one_window(
    image: np.ndarray, weights: np.ndarray, sums: np.ndarray, handed_on: np.ndarray, row: int, column: int
) -> BookFigure:
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
    figure = BookFigure(4.3)
    places, numbers = figure.subplots(2, 3)
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
        write_in_cells(axis, texts, size=9.5)
    for axis in (*places, *numbers):
        axis.set(xticks=(), yticks=())
        axis.spines[:].set_visible(True)
    return figure


@book_figure
def filters(before: np.ndarray, after: np.ndarray, maps: np.ndarray) -> BookFigure:
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


@book_figure
def small_network(
    x: np.ndarray, label: int, W1: np.ndarray, b1: np.ndarray, W2: np.ndarray, b2: np.ndarray
) -> BookFigure:
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
    figure = BookFigure(4.2)
    axis = figure.subplots()
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


@book_figure
def landscape(
    values: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    names: Sequence[str],
    levels: Sequence[float],
    start: Sequence[float],
    paths: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> BookFigure:
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
    figure = BookFigure(4.4)
    axis = figure.subplots()
    # As on the panel, each step between two lines takes as much of the colour.
    fine_y, fine_x = (np.linspace(each[0], each[-1], 161) for each in (y, x))
    between = np.array([np.interp(fine_x, x, row) for row in values])
    between = np.array([np.interp(fine_y, y, column) for column in between.T]).T
    heights = np.interp(between, levels, np.linspace(0, 0.75, len(levels)))
    surface = {"cmap": INK_ON_PAPER.resampled(256), "vmin": 0, "vmax": 1, "aspect": "auto"}
    axis.imshow(heights, origin="lower", extent=(x[0], x[-1], y[0], y[-1]), **surface)
    lines = axis.contour(x, y, values, levels=levels[1:-1], colors=INK, linewidths=0.7, linestyles="solid")
    axis.clabel(lines, fmt="%g", fontsize=8)
    row, column = np.unravel_index(values.argmin(), values.shape)
    axis.plot(x[column], y[row], "D", color=COLOURS[2], markeredgecolor=PAPER, markersize=8)
    on_paper = withStroke(linewidth=3.2, foreground=PAPER)  # to be seen wherever it leads
    for number, (name, path) in enumerate(paths.items()):
        colour, marker = look(number)
        looks = {"color": colour, "marker": marker, "markersize": 4, "linewidth": 1.6}
        axis.plot(*np.transpose(path), **looks, label=name, path_effects=[on_paper])
    axis.plot(*start, "o", color=COLOURS[1], markeredgecolor=PAPER, markersize=9)
    axis.set(xlabel=names[0], ylabel=names[1])
    if paths:
        axis.set(xlim=(x[0], x[-1]), ylim=(y[0], y[-1]))
        figure.legend(loc="outside upper left", ncols=len(paths))
    return figure


def _sheet(height: float) -> tuple[BookFigure, Axes]:
    """Give a figure, and an axis that is measured in inches from its upper left corner."""
    figure = BookFigure(height)
    axis = figure.subplots()
    axis.set(xlim=(0, WIDTH), ylim=(height, 0), aspect="equal", autoscale_on=False)
    axis.axis("off")
    return figure, axis


def _picture(axis, image, x, y, width, cmap=INK_ON_PAPER, lowest=0, highest=255):
    """Put an image on a sheet, its upper left corner at ``x`` and ``y``."""
    extent = (x, x + width, y + width * image.shape[0] / image.shape[1], y)
    axis.imshow(image, cmap=cmap, vmin=lowest, vmax=highest, extent=extent)
    axis.add_patch(Rectangle((x, y), width, extent[2] - y, fill=False, color=GREY, alpha=0.5, linewidth=0.5))


def _mark(axis, x, y, width, height):
    axis.add_patch(Rectangle((x, y), width, height, fill=False, color=COLOURS[1], linewidth=1.8, zorder=3))
