"""The fast loop does what Keras does, batch for batch, and nothing else."""

import random
from dataclasses import replace

import keras
import numpy as np
import pytest

from mnist_helpers import training
from mnist_helpers.model import build_model, compile_model
from mnist_helpers.recipe import ARTICLE
from mnist_helpers.training import train

# 1,230 images in batches of 100: the last batch of each epoch is a partial one.
SHORT = replace(ARTICLE, training_images=1_230, batch_size=100, epochs=3)
VARIANTS = {
    "article": SHORT,
    "sigmoid and tanh": replace(SHORT, activation="sigmoid", last_activation="tanh"),
    "weight decay": replace(SHORT, weight_decay=0.5),
    "batch norm": replace(SHORT, batch_norm=True, hidden_layers=2),
    "no hidden layer": replace(SHORT, hidden_layers=0, learning_rate=0.01),
    "batch larger than the data": replace(SHORT, batch_size=5_000),
}


def by_keras(recipe, data, seed):
    """Train with `train_on_batch` from the same initial weights, on the same batches."""
    random.seed(seed)
    model = compile_model(build_model(recipe), recipe)
    order = np.random.default_rng(seed)
    for _ in range(recipe.epochs):
        images = order.permutation(recipe.training_images)
        for first in range(0, len(images), recipe.batch_size):
            batch = images[first : first + recipe.batch_size]
            model.train_on_batch(data.train.flat[batch], data.train.labels[batch])
    return model


def assert_same_weights(ours, theirs, tolerance=2e-4):
    for our, their in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(our, their, atol=tolerance)


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "XLA"])
@pytest.mark.parametrize("name", VARIANTS)
def test_same_weights_as_train_on_batch(mnist, monkeypatch, name, compiled):
    monkeypatch.setattr(training, "_XLA_PAYS_FROM", 0 if compiled else 10**9)
    run = train(VARIANTS[name], mnist, seed=4, progress=False)
    assert_same_weights(run.model, by_keras(VARIANTS[name], mnist, seed=4))


def test_the_seed_gives_the_weights_that_set_random_seed_gives(mnist):
    run = train(replace(SHORT, learning_rate=1e-12, epochs=1), mnist, seed=7, progress=False)
    keras.utils.set_random_seed(7)
    assert_same_weights(run.model, build_model(SHORT), tolerance=1e-9)


@pytest.mark.parametrize(
    "recipe", [SHORT, replace(SHORT, dropout=0.5), replace(ARTICLE, validation="leaking", epochs=1)]
)
def test_the_same_seed_gives_the_same_run_whatever_came_before(mnist, recipe):
    keras.utils.set_random_seed(5)
    first = train(recipe, mnist, seed=1, progress=False)
    keras.utils.set_random_seed(123)
    train(recipe, mnist, seed=2, progress=False)
    again = train(recipe, mnist, seed=1, progress=False)
    assert first.history == again.history
    assert_same_weights(first.model, again.model, tolerance=0)


def test_another_seed_gives_another_run(mnist):
    one, other = (train(SHORT, mnist, seed, progress=False) for seed in (1, 2))
    assert one.history["val_loss"] != other.history["val_loss"]


def test_the_run_says_what_the_model_does(mnist):
    run = train(SHORT, mnist, progress=False)
    loss, accuracy = run.model.evaluate(mnist.validation.flat, mnist.validation.labels, batch_size=6_000, verbose=0)
    assert run.history["val_loss"][-1] == pytest.approx(loss, rel=1e-4)
    assert run.history["val_accuracy"][-1] == pytest.approx(accuracy, abs=1e-4)
    assert {name: len(values) for name, values in run.history.items()} == dict.fromkeys(run.history, 3)
    assert run.history["loss"][0] > run.history["loss"][-1]
    assert run.seconds > 0
    assert "seed 0" in repr(run)


def test_runs_of_one_shape_do_not_share_a_model(mnist):
    first = train(SHORT, mnist, seed=1, progress=False)
    before = first.model.get_weights()
    train(SHORT, mnist, seed=2, progress=False)
    for ours, then in zip(first.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, then)


def test_dropout_is_at_work_in_training_alone(mnist):
    run = train(replace(SHORT, dropout=0.5, epochs=1), mnist, progress=False)
    assert run.history["loss"][0] > train(replace(SHORT, epochs=1), mnist, progress=False).history["loss"][0]
    once, twice = (run.model.predict(mnist.validation.flat[:50], verbose=0) for _ in range(2))
    np.testing.assert_array_equal(once, twice)


def test_the_test_set_is_never_read(mnist):
    blind = replace(mnist, test=None)
    assert train(SHORT, blind, progress=False).history == train(SHORT, mnist, progress=False).history


def test_the_held_out_split_keeps_apart_and_the_leaking_one_does_not(mnist):
    held_out = training._Examples(ARTICLE, mnist, seed=0)
    order, validation = held_out.draw()
    assert sorted(order.numpy()) == list(range(54_000))
    np.testing.assert_array_equal(held_out.validation_images.numpy(), mnist.validation.images.reshape(-1, 784))

    leaking = training._Examples(replace(ARTICLE, validation="leaking"), mnist, seed=0)
    order, validation = (set(indices.numpy()) for indices in leaking.draw())
    assert (len(order), len(validation)) == (54_000, 6_000)
    assert 0.3 < len(order & validation) / 6_000 < 0.9
    assert order != set(leaking.draw()[0].numpy())


def test_the_progress_bar_is_clean_and_can_be_left_out(mnist, capfd):
    train(SHORT, mnist, progress=False)
    assert capfd.readouterr() == ("", "")
    train(SHORT, mnist)
    out, bar = capfd.readouterr()
    assert out == ""
    assert "0/3" in bar
    assert "\n" not in bar
    assert bar.endswith("\r")
