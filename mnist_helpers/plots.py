"""The book's charts: pure functions, data in, a figure out, with its numbers as a table.

Floor 4 of the package; what all figures have in common is in ``figure``.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.ticker import PercentFormatter

from mnist_helpers.figure import COLOURS, GREY, INK_ON_PAPER, PAPER, BookFigure, book_figure, look, write_in_cells

LEARNT = {
    "loss": "training loss",
    "val_loss": "validation loss",
    "accuracy": "training accuracy",
    "val_accuracy": "validation accuracy",
}


@book_figure
def bars(groups: Mapping[str, Sequence[float]], names: Sequence[str], ylabel: str, percent: bool = False) -> BookFigure:
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
    figure = BookFigure(2.7)
    axis = figure.subplots()
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
    columns = {label: [_written(value, percent) for value in values] for label, values in groups.items()}
    figure.numbers = {ylabel: [str(name) for name in names]} | columns
    return figure


@book_figure
def function_pairs(x: np.ndarray, curves: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> BookFigure:
    """Draw functions on the left and their slopes on the right.

    Parameters
    ----------
    x : numpy.ndarray
        Where they were evaluated, shape (n,).
    curves : mapping of str to pair of numpy.ndarray
        For each name the values and the slopes, each of shape (n,).
    """
    figure = BookFigure(2.8)
    left, right = figure.subplots(1, 2)
    for number, (name, (values, slopes)) in enumerate(curves.items()):
        dashes = ("-", "--", "-.", ":")[number % 4]
        left.plot(x, values, dashes, label=name, linewidth=1.8)
        right.plot(x, slopes, dashes, linewidth=1.8)
    left.set(title="output", xlabel="input z")
    right.set(title="slope", xlabel="input z")
    for axis in (left, right):
        axis.grid()
    figure.legend(loc="outside upper left", ncols=len(curves), handlelength=1.8)
    some = np.unique(np.linspace(0, len(x) - 1, 17).round().astype(int))
    figure.numbers = {"input z": [_written(value) for value in x[some]]}
    for name, pair in curves.items():
        for what, values in zip(("output", "slope"), pair, strict=True):
            figure.numbers[f"{name}, {what}"] = [_written(value) for value in values[some]]
    return figure


@book_figure
def bands(
    x: Sequence[float],
    groups: Mapping[str, np.ndarray],
    xlabel: str,
    ylabel: str,
    xscale: str = "linear",
    yscale: str = "linear",
    reference: tuple[float, str] | None = None,
) -> BookFigure:
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
    figure = BookFigure(3.1)
    axis = figure.subplots()
    for number, (label, values) in enumerate(groups.items()):
        colour, marker = look(number)
        _band(axis, x, np.asarray(values), colour, marker, label, log=yscale == "log")
    if reference is not None:
        height, label = reference
        axis.axhline(height, color=GREY, linestyle=":", linewidth=1.4, label=label)
    axis.set(xlabel=xlabel, ylabel=ylabel, xscale=xscale, yscale=yscale)
    if len(x) <= 12:
        axis.set_xticks(x, [f"{value:,g}" for value in x])
    if yscale == "log":
        axis.yaxis.set_major_formatter("{x:g}")
    axis.minorticks_off()
    axis.grid()
    figure.legend(loc="outside upper left", ncols=2)
    middle = _geometric if yscale == "log" else _middle
    columns = {label: [middle(each) for each in np.asarray(values).T] for label, values in groups.items()}
    figure.numbers = {xlabel: [f"{value:,g}" for value in x]} | columns
    return figure


@book_figure
def learning_curves(groups: Mapping[str, Sequence[Mapping[str, Sequence[float]]]]) -> BookFigure:
    """Draw loss and accuracy over the epochs: training dashed, validation solid, spread over seeds as a band.

    Parameters
    ----------
    groups : mapping of str to sequence of mapping
        For each label one history for each seed: ``Run.history`` or the ``history`` that ``model.fit`` gives.
    """
    figure = BookFigure(3.0)
    axes = figure.subplots(1, 2)
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
    epochs = max(len(history["loss"]) for histories in groups.values() for history in histories)
    figure.numbers = {"epoch": [str(epoch) for epoch in range(1, epochs + 1)]}
    for label, histories in groups.items():
        for key, name in LEARNT.items():
            by_epoch = zip(*(history[key] for history in histories), strict=True)
            figure.numbers[f"{label}, {name}".strip(", ")] = [_middle(each, "acc" in key) for each in by_epoch]
    return figure


@book_figure
def spread(groups: Mapping[str, Sequence[float]], xlabel: str, percent: bool = True) -> BookFigure:
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
    figure = BookFigure(0.9 + 0.36 * len(groups))
    axis = figure.subplots()
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
    figure.numbers = {
        xlabel: [str(name) for name in groups],
        "seeds": [str(len(values)) for values in groups.values()],
        "mean": [_middle(values, percent) for values in groups.values()],
        "lowest": [_written(min(values), percent) for values in groups.values()],
        "highest": [_written(max(values), percent) for values in groups.values()],
    }
    return figure


@book_figure
def staircase(names: Sequence[str], values: Sequence[Sequence[float]], kept: Sequence[bool], xlabel: str) -> BookFigure:
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
    figure = BookFigure(0.8 + 0.3 * len(names))
    axis = figure.subplots()
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
    figure.numbers = {
        "idea": list(names),
        xlabel: [_middle(each, percent=True) for each in values],
        "kept": ["yes" if stays else "no" for stays in kept],
    }
    return figure


@book_figure
def trade_offs(prices: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]], ylabel: str) -> BookFigure:
    """Draw what each network reaches against what it costs, one plot a price, prices on a logarithmic axis.

    Parameters
    ----------
    prices : mapping of str to mapping
        For each label of an x axis, by network's name, its price and its share of right answers, one value a seed each.
    ylabel : str
        What is bought.
    """
    figure = BookFigure(3.6)
    axes = figure.subplots(1, len(prices), sharey=True, squeeze=False)
    for axis, (xlabel, networks) in zip(axes[0], prices.items(), strict=True):
        for number, (name, (price, share)) in enumerate(networks.items()):
            colour, marker = look(number)
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
    networks = next(iter(prices.values()))
    figure.numbers = {"network": list(networks)}
    for xlabel, priced in prices.items():
        figure.numbers[xlabel] = [f"{np.median(price):,.4g}" for price, _ in priced.values()]
    figure.numbers[ylabel] = [_middle(share, percent=True) for _, share in networks.values()]
    return figure


@book_figure
def reliability(groups: Mapping[str, tuple[np.ndarray, np.ndarray]], bins: int = 10) -> BookFigure:
    """Draw how often answers are right against how sure they are, in bins that hold equally many answers.

    Both axes show the distance from certainty on a logarithmic scale, where a good network's answers lie.

    Parameters
    ----------
    groups : mapping of str to pair of numpy.ndarray
        For each label the probabilities that were given to the answers, and whether each was right; shape (n,) each.
    bins : int
        How many.
    """
    figure = BookFigure(3.6)
    axis = figure.subplots()
    figure.numbers = {"answers": [f"{number} of {bins}" for number in range(1, bins + 1)]}
    lowest = 1.0
    for number, (label, (sure, right)) in enumerate(groups.items()):
        order = np.array_split(np.argsort(sure), bins)
        doubt = np.array([1 - sure[chosen].mean() for chosen in order])
        wrong = np.array([1 - right[chosen].mean() for chosen in order])
        seen = wrong > 0  # a bin without a mistake has no place on a logarithmic axis
        lowest = min(lowest, doubt[seen].min(), wrong[seen].min())
        colour, marker = look(number)
        axis.plot(doubt[seen], wrong[seen], "-", marker=marker, color=colour, label=label, linewidth=1.6)
        for what, shares in {"doubt": doubt, "wrong": wrong}.items():
            figure.numbers[f"{label}, {what}"] = [f"{share:.3%}" for share in shares]
    axis.plot([lowest, 1], [lowest, 1], ":", color=GREY, label="as sure as right", linewidth=1.4)
    axis.set(xlabel="doubt: 1 − probability of the answer", ylabel="share of wrong answers", xscale="log", yscale="log")
    for each in (axis.xaxis, axis.yaxis):
        each.set_major_formatter(_in_per_cent)
    axis.grid()
    figure.legend(loc="outside upper left", ncols=3)
    return figure


@book_figure
def heat_table(
    values: np.ndarray,
    row_names: Sequence[str],
    column_names: Sequence[str],
    ylabel: str,
    xlabel: str,
    texts: Sequence[Sequence[str]],
) -> BookFigure:
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
    figure = BookFigure(0.7 + min(0.45, 4.4 / rows) * rows)
    axis = figure.subplots()
    axis.imshow(values, cmap=INK_ON_PAPER, aspect="auto")
    write_in_cells(axis, texts, size=9.5 if columns < 8 else 8)
    axis.set_xticks(range(columns), column_names)
    axis.set_yticks(range(rows), row_names)
    axis.set(xlabel=xlabel, ylabel=ylabel)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    columns = dict(zip(map(str, column_names), np.transpose(texts).tolist(), strict=True))
    figure.numbers = {f"{ylabel} (rows), {xlabel} (columns)": [str(name) for name in row_names]} | columns
    return figure


@book_figure
def schedules(rates: Mapping[str, tuple[np.ndarray, int]]) -> BookFigure:
    """Draw learning rates update by update: a marker after each epoch, and a warm-up shaded.

    Parameters
    ----------
    rates : mapping of str to pair of numpy.ndarray and int
        For each label the learning rate of each update, shape (updates,), and how many updates an epoch has.
    """
    figure = BookFigure(2.9)
    axis = figure.subplots()
    for number, (label, (values, epoch)) in enumerate(rates.items()):
        colour, marker = look(number)
        updates = np.arange(1, len(values) + 1)
        epochs = slice(epoch - 1, None, epoch)
        axis.plot(updates, values, color=colour, marker=marker, markersize=5, markevery=epochs, label=label)
        if values.argmax():
            axis.axvspan(0, updates[values.argmax()], color=colour, alpha=0.16, linewidth=0, label="warm-up")
    axis.set(xlabel="weight updates, with a marker after each epoch", ylabel="learning rate")
    axis.xaxis.set_major_formatter("{x:,.0f}")
    axis.grid()
    figure.legend(loc="outside upper left", ncols=3)
    epochs = max(len(values) // epoch for values, epoch in rates.values())
    figure.numbers = {"after epoch": [str(epoch) for epoch in range(1, epochs + 1)]}
    for label, (values, epoch) in rates.items():
        figure.numbers[label] = [_written(value) for value in values[epoch - 1 :: epoch]]
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


def _written(value: float, percent: bool = False) -> str:
    return f"{value:.2%}" if percent else f"{float(f'{value:.4g}'):g}"


def _middle(values: Sequence[float], percent: bool = False) -> str:
    """Write the mean of some seeds and, if there are several, their standard deviation."""
    mean = _written(np.mean(values), percent)
    if len(values) < 2:
        return mean
    deviation = np.std(values, ddof=1)
    return f"{mean} ± {f'{deviation:.2%}' if percent else f'{deviation:.2g}'}"


def _geometric(values: Sequence[float]) -> str:
    """Write the mean of the logarithms, and their standard deviation as the factor that it is."""
    return f"{np.exp(np.log(values).mean()):.3g} ×÷ {np.exp(np.log(values).std(ddof=1)):.2f}"
