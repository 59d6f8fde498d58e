"""The model is the one that the recipe describes."""

from dataclasses import replace
from itertools import pairwise

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_helpers.model import build_model, compile_model, losses_and_answers
from mnist_helpers.recipe import ARTICLE, Recipe, parameter_count


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


@pytest.mark.parametrize("recipe", [ARTICLE, Recipe(hidden_layers=2, batch_norm=True, dropout=0.3)])
def test_a_seed_gives_the_weights_that_keras_gives_after_set_random_seed(recipe):
    keras.utils.set_random_seed(7)
    stack = [keras.Input((784,))]
    for number in range(recipe.hidden_layers):
        last = number == recipe.hidden_layers - 1
        stack.append(keras.layers.Dense(recipe.units))
        stack += [keras.layers.BatchNormalization()] * recipe.batch_norm
        stack.append(keras.layers.Activation(recipe.last_activation if last else recipe.activation))
        stack += [keras.layers.Dropout(recipe.dropout)] if recipe.dropout else []
    plain = keras.Sequential([*stack, keras.layers.Dense(10)])
    keras.utils.set_random_seed(7)
    by_global_seed = build_model(recipe)
    keras.utils.set_random_seed(8)
    by_own_seed = build_model(recipe, seed=7)
    for ours in (by_global_seed, by_own_seed):
        for expected, weights in zip(plain.get_weights(), ours.get_weights(), strict=True):
            np.testing.assert_array_equal(weights, expected)


@settings(max_examples=10, deadline=None)
@given(depth=st.integers(0, 8), width=st.integers(1, 64), batch_norm=st.booleans())
def test_parameters_are_counted_without_the_model(depth, width, batch_norm):
    recipe = Recipe(hidden_layers=depth, units=width, batch_norm=batch_norm)
    assert parameter_count(recipe) == build_model(recipe).count_params()


@settings(max_examples=10, deadline=None)
@given(depth=st.integers(1, 8), width=st.integers(1, 64))
def test_parameters_are_inputs_times_units_plus_biases(depth, width):
    sizes = [784, *depth * [width], 10]
    expected = sum(inputs * units + units for inputs, units in pairwise(sizes))
    assert build_model(Recipe(hidden_layers=depth, units=width)).count_params() == expected


def test_compiling_takes_learning_rate_and_weight_decay_from_the_recipe():
    recipe = replace(ARTICLE, learning_rate=0.02, weight_decay=0.3)
    optimizer = compile_model(build_model(recipe), recipe).optimizer
    assert optimizer.learning_rate.numpy() == pytest.approx(0.02)
    assert optimizer.weight_decay == 0.3


def test_compiling_takes_schedule_and_averaging_from_the_recipe():
    def rates(recipe, *steps):
        schedule = compile_model(build_model(recipe), recipe).optimizer._learning_rate
        return [float(schedule(step)) for step in steps]

    cosine = replace(ARTICLE, schedule="cosine", learning_rate=0.02)  # ten epochs of 108 steps
    assert rates(cosine, 0, 540, 1080) == pytest.approx([0.02, 0.01, 0], abs=1e-8)
    assert rates(replace(cosine, warmup_epochs=2), 0, 108, 216, 648, 1080) == pytest.approx([0, 0.01, 0.02, 0.01, 0])
    plain, averaged = (
        compile_model(build_model(recipe), recipe).optimizer for recipe in (ARTICLE, replace(ARTICLE, ema_momentum=0.9))
    )
    assert (plain.use_ema, averaged.use_ema, averaged.ema_momentum) == (False, True, 0.9)


def test_a_compiled_model_says_its_loss_and_its_accuracy(mnist):
    model = compile_model(build_model(ARTICLE, seed=0), ARTICLE)
    losses, answers = losses_and_answers(model, mnist.validation)
    said = model.evaluate(mnist.validation.flat, mnist.validation.labels, verbose=0, return_dict=True)
    right = np.mean(answers == mnist.validation.labels)
    assert said == pytest.approx({"loss": losses.mean(), "accuracy": right}, rel=1e-4)


@pytest.mark.parametrize("scale", [1, 1_000])
def test_losses_and_answers_are_those_that_keras_gives_and_are_given_in_silence(mnist, capfd, scale):
    """However sure the network is: of logits in the thousands the largest alone has an exponential."""
    model = build_model(Recipe(hidden_layers=0), seed=0)
    model.layers[0].kernel.assign(scale * model.layers[0].kernel)
    losses, answers = losses_and_answers(model, mnist.validation)
    assert capfd.readouterr() == ("", "")
    logits, labels = model.predict(mnist.validation.flat, verbose=0), mnist.validation.labels
    expected = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    np.testing.assert_allclose(losses, expected, rtol=1e-4, atol=1e-4 * scale)
    np.testing.assert_array_equal(answers, np.argmax(logits, axis=1))
