"""The panels that show how a network learns: step through a small one, and go down a loss as a landscape.

They only show: all that they need is handed over with them, and neither kernel nor worker computes for them. The
arithmetic of their live face is in ``panel/step_view.js`` and ``panel/descent_view.js``. Floor 8 of the package.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator

from mnist_helpers import pictures
from mnist_helpers.panels import Panel, PanelError


@dataclass(frozen=True)
class SmallNetwork:
    """A network that can be followed on paper, with one example: z1 = x W1 + b1, a1 = tanh(z1), z2 = a1 W2 + b2.

    The probabilities are p = softmax(z2), and the loss is the cross-entropy L = −ln p[label].

    Attributes
    ----------
    x : array_like
        The two inputs, shape (2,).
    label : int
        The class of the example: 0 or 1.
    W1, b1 : array_like
        Weights and biases of the two hidden units, shapes (2, 2) and (2,); W1[i, j] goes from input i to unit j.
    W2, b2 : array_like
        Weights and biases of the two outputs, in the same order.

    Raises
    ------
    PanelError
        If a shape is another one, a number is not finite or above 20 in size, or the label is neither 0 nor 1.
    """

    x: Sequence[float] = (0.5, 1.0)
    label: int = 1
    W1: Sequence[Sequence[float]] = ((0.4, -0.6), (0.3, 0.5))
    b1: Sequence[float] = (0.1, 0.0)
    W2: Sequence[Sequence[float]] = ((0.7, -0.2), (-0.4, 0.6))
    b2: Sequence[float] = (0.0, 0.1)

    def __post_init__(self):
        for name, shape in {"x": (2,), "W1": (2, 2), "b1": (2,), "W2": (2, 2), "b2": (2,)}.items():
            values = _finite(name, getattr(self, name), shape)
            if np.abs(values).max() > 20:
                raise PanelError(f"{name} has a value of {np.abs(values).max():g} in size; expected 20 at most.")
            object.__setattr__(self, name, values)
        if self.label not in (0, 1):
            raise PanelError(f"the label is {self.label!r}; expected 0 or 1, because there are two outputs.")
        object.__setattr__(self, "label", int(self.label))


def step_panel(network: SmallNetwork | None = None, learning_rate: float = 0.5) -> "StepPanel":
    """Step through a small network: forward to the loss, backward to every gradient, and to the update.

    Parameters
    ----------
    network : SmallNetwork, optional
        Its weights, its inputs and its label at the start; by default one that begins with the wrong answer.
    learning_rate : float
        η at the start, from 0.01 to 10. A slider changes it.

    Raises
    ------
    PanelError
        If the learning rate is out of range.
    """
    if not 0.01 <= learning_rate <= 10:
        raise PanelError(f"the learning rate is {learning_rate}; expected a number from 0.01 to 10.")
    return StepPanel(network or SmallNetwork(), float(learning_rate))


def descent_panel(
    losses: np.ndarray,
    x: Sequence[float],
    y: Sequence[float],
    names: tuple[str, str],
    start: tuple[float, float],
    learning_rate: float | None = None,
) -> "DescentPanel":
    """Show a loss over two weights as a landscape, and go down it step by step with a learning rate to choose.

    Between the points of the grid the loss is interpolated by smooth curves (Catmull–Rom splines), so that it has a
    slope everywhere.

    Parameters
    ----------
    losses : array_like
        Shape (rows, columns), at least 4 of each: the loss at ``y[row]`` and ``x[column]``.
    x, y : sequence of float
        The values of the weight to the right, shape (columns,), and of the weight upwards, shape (rows,): evenly
        spaced and rising.
    names : pair of str
        What the two weights are called, in the order of x and y; short, as they stand at the axes.
    start : pair of float
        Where the descent begins, as x and y; on the map.
    learning_rate : float, optional
        η at the start. By default a quarter of the rate above which a descent no longer settles in the valley.

    Raises
    ------
    PanelError
        If a shape, a spacing or a number cannot be shown; the message says which.
    """
    x, y = _evenly_spaced("x", x), _evenly_spaced("y", y)
    losses = _finite("losses", losses, (len(y), len(x)))
    if losses.min() == losses.max():
        raise PanelError(f"losses is {losses.min():g} everywhere; expected a landscape with a slope.")
    if len(names) != 2 or isinstance(names, str):
        raise PanelError(f"names is {names!r}; expected two, for x and for y.")
    start = _finite("start", start, (2,))
    for name, axis, place in zip("xy", (x, y), start, strict=True):
        if not axis[0] <= place <= axis[-1]:
            raise PanelError(f"the start has {name} = {place:g}; expected {axis[0]:g} to {axis[-1]:g}, on the map.")
    highest = settling_rate(losses, x, y)
    rate = highest / 4 if learning_rate is None else float(learning_rate)
    if not (np.isfinite(rate) and rate > 0):
        raise PanelError(f"the learning rate is {learning_rate}; expected a number above 0.")
    rates = min(rate, highest / 300), max(rate, highest * 10)
    return DescentPanel(losses, x, y, tuple(map(str, names)), start, rate, rates)


def settling_rate(losses: np.ndarray, x: np.ndarray, y: np.ndarray) -> float:
    """Give the learning rate above which gradient descent leaves the lowest point: two over the largest curvature.

    Parameters
    ----------
    losses : numpy.ndarray
        Shape (rows, columns), over evenly spaced y and x.
    x, y : numpy.ndarray
        Shapes (columns,) and (rows,).
    """
    along_y, along_x = np.gradient(losses, y, x)
    (yy, yx), (_, xx) = np.gradient(along_y, y, x), np.gradient(along_x, y, x)
    row, column = np.unravel_index(losses[1:-1, 1:-1].argmin(), losses[1:-1, 1:-1].shape)
    here = row + 1, column + 1
    curvature = np.linalg.eigvalsh([[xx[here], yx[here]], [yx[here], yy[here]]]).max()
    # A valley as flat as that has its lowest point at the edge: there a step may be as long as the map.
    flattest = np.hypot(along_x, along_y).max() / np.hypot(np.ptp(x), np.ptp(y))
    return float(2 / max(curvature, flattest))


def _finite(name: str, values, shape: tuple[int, ...]) -> np.ndarray:
    """Give values as an array.

    Raises
    ------
    PanelError
        If the shape is another one, or one of them is no finite number.
    """
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError):
        raise PanelError(f"{name} is no array of numbers; expected one of shape {shape}.") from None
    if array.shape != shape:
        raise PanelError(f"{name} has shape {array.shape}; expected {shape}.")
    if not np.isfinite(array).all():
        raise PanelError(f"{name} has a value that is not finite; expected numbers alone.")
    return array


def _evenly_spaced(name: str, values) -> np.ndarray:
    array = _finite(name, values, np.shape(values)[:1] or (4,))
    steps = np.diff(array)
    if len(array) < 4 or steps.min() <= 0 or np.ptp(steps) > 1e-3 * steps.mean():
        raise PanelError(f"{name} does not rise evenly; expected at least 4 numbers, the same step apart.")
    return array


class _ShowingPanel(Panel):
    """A panel that only shows; the page finds what it shows in an attribute of its element."""

    def _attributes(self):
        return {"setup": json.dumps(self._shown, ensure_ascii=False, separators=(",", ":"))}


class StepPanel(_ShowingPanel):
    """The widget that ``step_panel`` gives."""

    _view = "step"
    _live = "you step through the network yourself"

    def __init__(self, network: SmallNetwork, learning_rate: float):
        self._network = network
        arrays = {name: getattr(network, name).tolist() for name in ("x", "W1", "b1", "W2", "b2")}
        self._shown = {"network": arrays | {"label": network.label}, "learningRate": learning_rate}
        super().__init__(self._shown)

    def __repr__(self) -> str:
        return "StepPanel()"

    def _still(self):
        network = self._network
        return (
            pictures.small_network(network.x, network.label, network.W1, network.b1, network.W2, network.b2),
            "A drawing of two inputs, two hidden units and two outputs, with the weight at each connection.",
            "The network at the start. Here you go through it one quantity at a time: forward to the loss, backward to "
            "the gradient of every weight, and to the update.",
        )


class DescentPanel(_ShowingPanel):
    """The widget that ``descent_panel`` gives."""

    _view = "descent"
    _live = "you choose the start and the learning rate and take the steps"

    def __init__(self, losses, x, y, names: tuple[str, str], start, learning_rate: float, rates: tuple[float, float]):
        self._losses, self._x, self._y, self._names, self._start = losses, x, y, names, start
        self._levels = contour_levels(losses)
        self._shown = {
            "losses": [[float(f"{value:.6g}") for value in row] for row in losses],
            "x": [float(x[0]), float(x[-1])],
            "y": [float(y[0]), float(y[-1])],
            "names": list(names),
            "start": start.tolist(),
            "levels": self._levels,
            "learningRate": learning_rate,
            "rates": list(rates),
        }
        super().__init__(self._shown)

    def __repr__(self) -> str:
        return f"DescentPanel({self._names[0]}, {self._names[1]})"

    def _still(self):
        losses, (across, upwards) = self._losses, self._names
        row, column = np.unravel_index(losses.argmin(), losses.shape)
        return (
            pictures.landscape(losses, self._x, self._y, self._names, self._levels, self._start),
            f"The loss over {across} and {upwards} as a map with lines of equal loss; a dot marks the start, a diamond "
            "the lowest point computed.",
            f"The loss over {across} and {upwards}, everything else fixed. It is lowest, {losses.min():.3g}, at "
            f"{self._x[column]:.3g} and {self._y[row]:.3g} (diamond). Here you go down it from the dot, with a "
            "learning rate of your choice.",
        )


def contour_levels(losses: np.ndarray) -> list[float]:
    """Give round losses for the lines of a map, from the lowest to the highest, which stand at both ends.

    Where the highest is more than ten times the lowest, they are about a factor apart, as 1, 2, 5, 10; otherwise they
    are evenly spaced.
    """
    low, high = float(losses.min()), float(losses.max())
    far = low > 0 and high > 10 * low
    if high > 100 * low:
        digits = (1, 2, 5)
    else:
        digits = (1, 1.5, 2, 3, 5, 7) if high > 20 * low else (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
    round_values = (LogLocator(subs=digits, numticks=99) if far else MaxNLocator(9)).tick_values(low, high)
    inner = [float(f"{value:.6g}") for value in round_values if low < value < high]
    return [float(f"{low:.6g}"), *inner, float(f"{high:.6g}")]
