"""The Keras model of a recipe. Floor 2 of the package."""

import random

import mnist_helpers.quiet  # noqa: F401  (before keras, which imports TensorFlow)
import keras
import numpy as np

from mnist_helpers.data import Split
from mnist_helpers.recipe import CLASSES, PIXELS, Recipe


def build_model(recipe: Recipe, seed: int | None = None) -> keras.Sequential:
    """Build the dense network of a recipe, with fresh weights.

    Parameters
    ----------
    recipe : Recipe
        Depth, width, activations, batch normalisation and dropout are read from it.
    seed : int, optional
        Gives the weights that ``keras.utils.set_random_seed(seed)`` just before would give, and touches no global
        state, so that other threads cannot interfere. Without it Keras's global seed decides.

    Returns
    -------
    keras.Sequential
        From float32 pixels, shape (n, 784), to logits, shape (n, 10); not compiled.
    """
    draw = (random if seed is None else random.Random(seed)).randint

    def a_seed() -> int:
        return draw(1, int(1e9))  # as Keras draws one for each layer that has none

    def dense(units: int) -> keras.layers.Dense:
        return keras.layers.Dense(units, kernel_initializer=keras.initializers.GlorotUniform(a_seed()))

    # One list, because a Sequential that layers are added to is built anew with each of them.
    stack = [keras.Input((PIXELS,))]
    for number in range(1, recipe.hidden_layers + 1):
        last = number == recipe.hidden_layers
        stack.append(dense(recipe.units))
        if recipe.batch_norm:
            stack.append(keras.layers.BatchNormalization())
        stack.append(keras.layers.Activation(recipe.last_activation if last else recipe.activation))
        if recipe.dropout:
            stack.append(keras.layers.Dropout(recipe.dropout, seed=a_seed()))
    stack.append(dense(CLASSES))
    return keras.Sequential(stack)


def compile_model(model: keras.Model, recipe: Recipe) -> keras.Model:
    """Give a model the recipe's optimiser, the cross-entropy on logits, and accuracy; return the model.

    Label smoothing is left out, so that ``evaluate`` gives a loss that can be compared.
    """
    learning_rate = recipe.learning_rate
    if recipe.schedule == "cosine":
        warmup = recipe.warmup_epochs * recipe.steps_per_epoch
        falling = recipe.epochs * recipe.steps_per_epoch - warmup
        start, peak = (0.0, learning_rate) if warmup else (learning_rate, None)
        learning_rate = keras.optimizers.schedules.CosineDecay(start, falling, warmup_target=peak, warmup_steps=warmup)
    averaging = {"use_ema": True, "ema_momentum": recipe.ema_momentum} if recipe.ema_momentum else {}
    model.compile(
        optimizer=keras.optimizers.Adam(learning_rate, weight_decay=recipe.weight_decay or None, **averaging),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def losses_and_answers(model: keras.Model, split: Split) -> tuple[np.ndarray, np.ndarray]:
    """Give, for each image, the cross-entropy in nats and the class that the model says; both of shape (n,)."""
    logits = model.predict(split.flat, batch_size=1000, verbose=0)
    shifted = logits - logits.max(axis=1, keepdims=True)
    losses = np.log(np.exp(shifted).sum(axis=1)) - shifted[np.arange(len(split)), split.labels]
    return losses, logits.argmax(axis=1)
