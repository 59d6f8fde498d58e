"""The small network of the front page: its file, what the page makes of it, and how it is made of a trained one."""

import gzip
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browsing import blank_page

from mnist_helpers.model import build_model

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "book" / "tools"))
import small_network  # noqa: E402

DRAWINGS = json.loads(Path(__file__).with_name("drawings.json").read_text())
OPEN = """async (base) => {
    const names = ["small_network", "panel/drawn_digit"];
    Object.assign(window, ...(await Promise.all(names.map((name) => import(`${base}lab/${name}.js`)))));
    window.network = await load();
}"""
SHARES = "pictures => pictures.map((picture) => probabilities(network.layers, picture))"


@pytest.fixture(scope="module")
def layers():
    """The layers that are in the file, as the tool has them."""
    line, _, weights = gzip.decompress(small_network.FILE.read_bytes()).partition(b"\n")
    weights = np.frombuffer(weights, np.int8)
    found = []
    for layer in json.loads(line)["layers"]:
        own, weights = np.split(weights, [layer["inputs"] * len(layer["biases"])])
        found.append(layer | {"weights": own.reshape(layer["inputs"], -1)})
    assert weights.size == 0
    return found


@pytest.fixture(scope="module")
def page(browser, lab_address):
    """A page with the network and what makes a picture of a drawing."""
    with blank_page(browser, lab_address, OPEN) as page:
        yield page


def test_the_file_is_small_and_reads_as_many_validation_images_as_it_says(page, layers, mnist):
    assert small_network.FILE.stat().st_size <= 25_000
    reached = small_network.accuracy(layers, mnist.validation)
    # But for an image that two machines may round to either side.
    assert page.evaluate("network.validation_accuracy") == pytest.approx(reached, abs=2e-4)
    assert page.evaluate("network.names") == list(mnist.class_names)


def test_the_page_computes_what_the_tool_does(page, layers, mnist):
    images = mnist.validation.images[:100].reshape(100, -1)
    logits = small_network.logits(layers, mnist.validation.flat[:100])
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares = page.evaluate(SHARES, images.tolist())
    np.testing.assert_allclose(shares, powers / powers.sum(axis=1, keepdims=True), atol=1e-5)


def test_logits_that_no_power_can_hold_make_probabilities_too(page):
    logits = [1_000.0, 999.0, -1_000.0]
    layers = [{"weights": [0] * 3, "step": 1, "biases": logits}]
    shares = page.evaluate("(layers) => probabilities(layers, [0])", layers)
    assert shares == pytest.approx([1 / (1 + np.exp(-1)), 1 / (1 + np.e), 0])


def test_of_forty_drawings_it_reads_nine_in_ten(page):
    pictures = "drawings.map(({strokes}) => Array.from(pictureOf(strokes)))"
    shares = page.evaluate(f"drawings => ({SHARES})({pictures})", DRAWINGS)
    right = np.argmax(shares, axis=1) == [drawing["digit"] for drawing in DRAWINGS]
    assert len(right) >= 40
    assert right.mean() >= 0.9


def test_dense_layers_do_what_the_trained_network_does(mnist):
    model = build_model(replace(small_network.RECIPE, units=8), seed=0)
    chance = np.random.default_rng(0)
    model.set_weights([weights + chance.uniform(0.1, 0.5, weights.shape) for weights in model.get_weights()])
    images = mnist.validation.flat[:50]
    layers = [
        {"weights": weights, "step": 1, "biases": biases} for weights, biases in small_network.dense_layers(model)
    ]
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(small_network.logits(layers, images), expected, rtol=1e-4, atol=1e-4)


def test_rounding_moves_a_weight_by_half_a_step_at_most():
    weights = np.random.default_rng(0).normal(scale=0.3, size=(30, 4))
    (layer,) = small_network.rounded([(weights, np.zeros(4))], coarseness=0.5)
    assert layer["step"] == pytest.approx(0.15, rel=0.2)
    assert np.abs(layer["weights"] * layer["step"] - weights).max() <= 0.5 * layer["step"]
