"""Train the small network that the front page brings along, and write its file: ``make small-network``.

The file is gzip. Unpacked, it begins with a line of JSON: ``validation_accuracy``, what the rounded network reaches,
``names`` of the classes, and ``layers``, each with how many ``inputs`` it has, its ``step`` and its ``biases``. Then
come the weights in the order of the layers, for each input one for each unit: a signed byte, which says how many steps
of its layer the weight is. Between layers stands ReLU.
"""

import gzip
import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

import mnist_helpers.quiet  # noqa: F401  (before keras)
from mnist_helpers.data import Split, load_mnist
from mnist_helpers.recipe import CRACK_99
from mnist_helpers.training import train

FILE = Path(__file__).parents[1] / "lab" / "generated" / "small_network.bin"
LARGEST = 25_000  # bytes of the file
# Chosen on the validation set, one seed each, with the weights rounded to what fits: two layers of 64 units, 60 epochs.
# 32, 72, 80 and 96 units, three layers, 30 epochs, elastic distortions, more weight decay and averaged weights gave
# less, or nothing more that a seed could not. The forty drawings of the tests were read after that, to judge it.
RECIPE = replace(CRACK_99, hidden_layers=2, units=64, epochs=60)


def dense_layers(model: keras.Model) -> list[tuple[np.ndarray, np.ndarray]]:
    """Give weights and biases of each dense layer, with the batch normalisation behind it as a part of them."""
    found = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dense):
            found.append(tuple(layer.get_weights()))
        elif isinstance(layer, keras.layers.BatchNormalization):
            (weights, biases), (gamma, beta, mean, variance) = found[-1], layer.get_weights()
            factor = gamma / np.sqrt(variance + layer.epsilon)
            found[-1] = weights * factor, (biases - mean) * factor + beta
    return found


def rounded(layers: list[tuple[np.ndarray, np.ndarray]], coarseness: float) -> list[dict]:
    """Round the weights of each layer to whole steps, of so many of their standard deviations."""
    found = []
    for weights, biases in layers:
        step = to_four_digits(coarseness * weights.std())
        steps = np.clip(np.rint(weights / step), -127, 127).astype(np.int8)
        found.append({"weights": steps, "step": step, "biases": [to_four_digits(bias) for bias in biases]})
    return found


def to_four_digits(number: float) -> float:
    """Round a number as it is written."""
    return float(f"{number:.4g}")


def logits(layers: list[dict], images: np.ndarray) -> np.ndarray:
    """Give what a rounded network says of images, shape (n, 784), before the softmax; shape (n, 10)."""
    values = images
    for layer in layers:
        values = np.maximum(values, 0) @ layer["weights"] * layer["step"] + layer["biases"]
    return values


def accuracy(layers: list[dict], split: Split) -> float:
    """Give the share of images that a rounded network reads."""
    return float(np.mean(logits(layers, split.flat).argmax(axis=1) == split.labels))


def packed(layers: list[dict], **about: object) -> bytes:
    """Write a rounded network as its file."""
    described = [{"inputs": len(each["weights"]), "step": each["step"], "biases": each["biases"]} for each in layers]
    line = json.dumps(about | {"layers": described}, separators=(",", ":")).encode() + b"\n"
    return gzip.compress(b"".join([line, *(each["weights"].tobytes() for each in layers)]), 9, mtime=0)


def main() -> None:
    """Train the network, and write it in the finest rounding with which its file is small enough."""
    mnist = load_mnist()
    run = train(RECIPE, mnist)
    layers = dense_layers(run.model)
    for coarseness in np.arange(0.05, 2, 0.01):
        network = rounded(layers, coarseness)
        reached = accuracy(network, mnist.validation)
        file = packed(network, validation_accuracy=reached, names=mnist.class_names)
        if len(file) <= LARGEST:
            break
    FILE.write_bytes(file)
    print(f"Validation accuracy {run.history['val_accuracy'][-1]:.2%} as trained, and {reached:.2%} with weights")
    print(f"rounded to {coarseness:.2f} of their standard deviation: {len(file):,} bytes in {FILE}")


if __name__ == "__main__":
    main()
