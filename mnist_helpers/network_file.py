"""A run's network, recipe and curve as one ``.npz`` file, written and read here and in the page.

The arrays of the file, which ``numpy.load`` reads:

- ``run``: a text, the JSON object of ``version`` (1), ``recipe``, ``seed``, ``digest``, ``versions`` and ``hardware``,
  each as ``Run`` has it; the last three say nothing where the page trained.
- ``loss``, ``accuracy``, ``val_loss``, ``val_accuracy`` and ``seconds``: float64, one value for each finished epoch.
- ``layer_1_kernel``, ``layer_1_bias`` and so on to the output layer, float32, as Keras has them: the kernel of shape
  (inputs, outputs), all others (outputs,). With batch normalisation each hidden layer has ``gamma``, ``beta``,
  ``moving_mean`` and ``moving_variance`` too.

What does the same for the page is ``book/lab/run_file.js``. Floor 5 of the package.
"""

import io
import json
import os
from pathlib import Path

import mnist_helpers.quiet  # noqa: F401  (before keras)
import keras
import numpy as np

from mnist_helpers.data import read_npz
from mnist_helpers.model import build_model, compile_model
from mnist_helpers.recipe import Recipe, parameter_count
from mnist_helpers.run import Run, checked_about
from mnist_helpers.training import learning_rates
from mnist_helpers.whole_files import write_atomically

VERSION = 1
CURVES = ("loss", "accuracy", "val_loss", "val_accuracy", "seconds")


class NetworkFileError(ValueError):
    """A file does not hold a run with its network, or a run has no network to write; the message says what is wrong."""


def write_network(run: Run, path: str | os.PathLike) -> None:
    """Write a run with its network into one file, for the page or for another machine.

    Parameters
    ----------
    run : Run
        With its model, as ``train``, ``trained_runs`` and a panel's ``runs`` have it.
    path : path
        Where to; a file that is there is replaced once the new one is complete.

    Raises
    ------
    NetworkFileError
        If the run has no model, or the file cannot be written.
    """
    path = Path(path).expanduser()
    content = packed(run)
    try:
        write_atomically(path, content)
    except OSError as error:
        raise NetworkFileError(f"{path}: cannot be written ({error}); expected a place for a file.") from error


def read_network(path: str | os.PathLike) -> Run:
    """Read a run with its network, which ``write_network`` wrote, or the button *Save* of a panel.

    Parameters
    ----------
    path : path
        The ``.npz`` file. Nothing in it is executed.

    Returns
    -------
    Run
        With its model, compiled. ``digest`` and ``hardware`` are empty where the page trained it.

    Raises
    ------
    NetworkFileError
        If the file is missing, damaged, or holds something else; the message says what is wrong with it.
    """
    path = Path(path).expanduser()
    try:
        return unpacked(path.read_bytes())
    except (OSError, NetworkFileError) as error:
        raise NetworkFileError(f"{path}: {error}") from error


def packed(run: Run) -> bytes:
    """Give the content of the file that ``write_network`` writes."""
    if not isinstance(run.model, keras.Model):
        raise NetworkFileError(f"{run!r} has no model; expected a run that train, trained_runs or a panel gave.")
    about = {"version": VERSION} | run.about
    curves = {name: np.array(run.history[name], np.float64) for name in CURVES}
    weights = {name: weight.numpy() for name, weight in _named_weights(run.model)}
    file = io.BytesIO()
    np.savez(file, run=np.array(json.dumps(about)), **curves, **weights)
    return file.getvalue()


def unpacked(content: bytes) -> Run:
    """Read what ``packed`` gave; raises ``NetworkFileError`` too."""
    try:
        arrays = read_npz(io.BytesIO(content))
        about = json.loads(arrays["run"].item())
        if about["version"] != VERSION:
            raise ValueError(f"its version is {about['version']!r:.80}")
        about = checked_about(about)
        recipe = about["recipe"]
        return Run(**about, history=_history(arrays, recipe), model=_model(arrays, recipe))
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        why = f"there is no {error}" if isinstance(error, KeyError) else str(error)
        raise NetworkFileError(
            f"this is not a run with its network ({why}); expected what write_network or a panel's Save wrote."
        ) from error


def _named_weights(model: keras.Model) -> list[tuple[str, keras.Variable]]:
    """Name each weight by its layer, counted from 1, and its kind, in Keras's order."""
    named, number = [], 0
    for layer in model.layers:
        number += isinstance(layer, keras.layers.Dense)
        named += [(f"layer_{number}_{weight.name}", weight) for weight in layer.weights]
    return named


def _model(arrays: dict[str, np.ndarray], recipe: Recipe) -> keras.Model:
    number = sum(array.size for name, array in arrays.items() if name.startswith("layer_"))
    if number != parameter_count(recipe):  # before a network is built that takes all memory
        raise ValueError(f"it has {number:,} parameters; its recipe has {parameter_count(recipe):,}")
    model = build_model(recipe, 0)
    for name, weight in _named_weights(model):
        weight.assign(_checked(arrays, name, np.float32, weight.shape))
    return compile_model(model, recipe)


def _history(arrays: dict[str, np.ndarray], recipe: Recipe) -> dict[str, list[float]]:
    """Check the curves, and add the learning rate of each epoch's last step, which follows from the recipe."""
    epochs = len(arrays["loss"])
    if epochs > recipe.epochs:
        raise ValueError(f"it has {epochs} epochs of {recipe.epochs}")
    curves = {name: _checked(arrays, name, np.float64, (epochs,)).tolist() for name in CURVES}
    lasts = range(recipe.steps_per_epoch - 1, epochs * recipe.steps_per_epoch, recipe.steps_per_epoch)
    rates = [float(learning_rates(recipe, last, 1)[0]) for last in lasts]
    return {name: curves[name] for name in CURVES[:-1]} | {"learning_rate": rates, "seconds": curves["seconds"]}


def _checked(arrays: dict[str, np.ndarray], name: str, dtype: type, shape: tuple[int, ...]) -> np.ndarray:
    array = arrays[name]
    if array.dtype != dtype or array.shape != shape or not np.isfinite(array).all():
        expected = f"finite {np.dtype(dtype)} of shape {shape}"
        raise ValueError(f"{name} is {array.dtype} of shape {array.shape}, or not finite; expected {expected}")
    return array
