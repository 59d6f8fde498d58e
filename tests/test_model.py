"""The model is the one that the recipe describes."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_helpers.model import build_model, compile_model
from mnist_helpers.recipe import ARTICLE, Recipe


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


def test_the_article_network_is_the_one_in_chapter_three():
    model = build_model(ARTICLE)
    activations = [layer.activation.__name__ for layer in model.layers if type(layer).__name__ == "Activation"]
    assert activations == 5 * ["relu"] + ["leaky_relu"]
    assert kinds(model) == 6 * ["Dense", "Activation"] + ["Dense"]
    assert model.count_params() == 130_010
    assert model.output_shape == (None, 10)


def test_batch_norm_stands_before_and_dropout_after_the_activation():
    model = build_model(Recipe(hidden_layers=2, batch_norm=True, dropout=0.3))
    assert kinds(model) == 2 * ["Dense", "BatchNormalization", "Activation", "Dropout"] + ["Dense"]


def test_without_hidden_layers_it_is_softmax_regression():
    assert build_model(Recipe(hidden_layers=0)).count_params() == 784 * 10 + 10


@settings(max_examples=10, deadline=None)
@given(depth=st.integers(1, 8), width=st.integers(1, 64))
def test_parameters_are_inputs_times_units_plus_biases(depth, width):
    sizes = [784, *depth * [width], 10]
    expected = sum(inputs * units + units for inputs, units in pairwise(sizes))
    assert build_model(Recipe(hidden_layers=depth, units=width)).count_params() == expected


def test_compiling_takes_learning_rate_and_weight_decay_from_the_recipe():
    recipe = replace(ARTICLE, learning_rate=0.02, weight_decay=0.3)
    optimizer = compile_model(build_model(recipe), recipe).optimizer
    assert float(optimizer.learning_rate) == pytest.approx(0.02)
    assert optimizer.weight_decay == 0.3
