"""Training without the overhead: a whole epoch is one TensorFlow graph over data that stay in memory.

It does what ``model.fit`` does, batch for batch (a test holds it to the same weights), in about a third of the
time, because ``fit`` goes through Python and ``tf.data`` for each of its steps. Left out on purpose: callbacks,
class weights, several metrics; for those, and wherever Keras itself is the subject, the chapters call ``fit``.

Floor 3 of the package.
"""

import random
import time
from dataclasses import dataclass, replace
from functools import lru_cache

from mnist_helpers.quiet import XLA_WORKS  # before tensorflow and keras
import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from mnist_helpers.data import Mnist, Split
from mnist_helpers.model import PIXELS, build_model, compile_model
from mnist_helpers.recipe import ARTICLE, Recipe


# Shuffle buffer of the leaking split of chapter 5, in images; 10,000 is what many tutorials write.
LEAKING_BUFFER = 10_000


@dataclass(frozen=True, eq=False)
class Run:
    """One training run and what it gave.

    Attributes
    ----------
    recipe : Recipe
        What was trained.
    seed : int
        Fixed the initial weights, the order of the images and the dropped units.
    history : dict of str to list of float
        One value an epoch under the names of Keras's own history: ``loss`` and ``accuracy`` (means over the
        epoch's training batches, while the weights changed), ``val_loss`` and ``val_accuracy`` (at its end).
        Losses are mean cross-entropies in nats, accuracies shares from 0 to 1.
    seconds : float
        Wall-clock time of the epochs, validation included; the first run of its shape also waits for tracing.
    model : keras.Sequential
        The trained model, compiled, so that ``evaluate`` and ``predict`` work.
    """

    recipe: Recipe
    seed: int
    history: dict[str, list[float]]
    seconds: float
    model: keras.Sequential

    def __repr__(self) -> str:
        accuracy = self.history["val_accuracy"][-1]
        return f"Run({self.recipe}; seed {self.seed}; validation accuracy {accuracy:.4f} in {self.seconds:.1f} s)"


def train(recipe: Recipe, data: Mnist, seed: int = 0, progress: bool = True) -> Run:
    """Train a recipe's network once; the same recipe, data and seed on the same machine give the same weights.

    Parameters
    ----------
    recipe : Recipe
        What to train. Recipes that differ only in learning rate, batch size, epochs, training images or
        validation share one traced graph, so that only the first of them waits the second that tracing takes.
    data : Mnist
        Only the training and the validation split are read.
    seed : int
        At least 0.
    progress : bool
        Whether to show a progress bar, which vanishes at the end.

    Returns
    -------
    Run
        History, time and the trained model.

    Notes
    -----
    Python's own random generator is seeded anew, because Keras draws its seeds from it.
    """
    # All that Keras draws its seeds from. keras.utils.set_random_seed gives the same weights, but empties
    # TensorFlow's cache of kernels on the way, which costs the next epoch 0.2 s.
    random.seed(seed)
    model = build_model(recipe)
    loop = _loop(replace(ARTICLE, **{name: getattr(recipe, name) for name in _TRACED}))
    loop.reset(model, recipe.learning_rate)

    examples = _Examples(recipe, data, seed)
    steps = recipe.epochs * -(-recipe.training_images // recipe.batch_size)
    train_epoch = loop.train_epoch_compiled if XLA_WORKS and steps >= _XLA_PAYS_FROM else loop.train_epoch
    history = {"loss": [], "accuracy": [], "val_loss": [], "val_accuracy": []}
    seconds = 0.0
    for _ in tqdm(range(recipe.epochs), unit="epoch", leave=False, disable=not progress):
        started = time.perf_counter()
        training_order, validation_order = examples.draw()
        results = [
            *train_epoch(examples.images, examples.labels, training_order, recipe.batch_size),
            *loop.evaluate(examples.validation_images, examples.validation_labels, validation_order),
        ]
        for values, result in zip(history.values(), results, strict=True):
            values.append(float(result))
        seconds += time.perf_counter() - started

    _copy_variables(loop.model, model)
    return Run(recipe, seed, history, seconds, compile_model(model, recipe))


class _Examples:
    """The arrays of a run as tensors, and the order in which each epoch takes them."""

    def __init__(self, recipe: Recipe, data: Mnist, seed: int):
        self._number = recipe.training_images
        self._generator = np.random.default_rng(seed)
        self._shuffled_pool = None
        if recipe.validation == "leaking":
            images = np.concatenate([data.train.images, data.validation.images])
            labels = np.concatenate([data.train.labels, data.validation.labels])
            self.images, self.labels = self.validation_images, self.validation_labels = _tensors(Split(images, labels))
            # The very pipeline that leaks, run over indices: each iteration over it shuffles anew.
            tf.random.set_seed(seed)
            pool = tf.data.Dataset.range(len(labels), output_type=tf.int32)
            self._shuffled_pool = pool.shuffle(LEAKING_BUFFER, seed=seed).batch(len(labels))
        else:
            self.images, self.labels = _tensors(data.train)
            self.validation_images, self.validation_labels = _tensors(data.validation)

    def draw(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Give this epoch's order of the training images and the indices of its validation images."""
        if self._shuffled_pool is None:
            order = self._generator.permutation(self._number).astype(np.int32)
            return tf.constant(order), tf.range(len(self.validation_labels))
        # `skip` and `take` each make an iteration, and so a shuffled order, of their own.
        held_back = len(self.labels) - self._number
        (training,), (validation,) = self._shuffled_pool, self._shuffled_pool
        return training[held_back:], validation[:held_back]


def _tensors(split: Split) -> tuple[tf.Tensor, tf.Tensor]:
    # Bytes, not floats: a quarter of the memory, and scaling a batch as it is gathered costs nothing measurable.
    return tf.constant(split.images.reshape(-1, PIXELS)), tf.constant(split.labels.astype(np.int32))


_IMAGES = tf.TensorSpec((None, PIXELS), tf.uint8)
_INTEGERS = tf.TensorSpec((None,), tf.int32)
_INTEGER = tf.TensorSpec((), tf.int32)
# XLA makes a step about a quarter of a millisecond shorter and takes 1.5 s longer to start, so it pays for many steps.
_XLA_PAYS_FROM = 6_000
# The hyperparameters that are part of a traced graph; all others are its arguments.
_TRACED = ("hidden_layers", "units", "activation", "last_activation", "dropout", "weight_decay", "batch_norm")


@lru_cache(maxsize=32)
def _loop(recipe: Recipe) -> "_Loop":
    return _Loop(recipe)


class _Loop:
    """A model, its optimiser, and the graphs that train and evaluate it; reused by all runs of the same shape."""

    def __init__(self, recipe: Recipe):
        self.model = build_model(recipe)
        self.optimizer = compile_model(self.model, recipe).optimizer
        self.optimizer.build(self.model.trainable_variables)

    def reset(self, model: keras.Model, learning_rate: float) -> None:
        """Start again from another model's weights, with an optimiser that has seen no gradient."""
        _copy_variables(model, self.model)
        for variable in self.optimizer.variables:
            variable.assign(tf.zeros_like(variable))
        self.optimizer.learning_rate = learning_rate

    @tf.function(input_signature=(_IMAGES, _INTEGERS, _INTEGERS, _INTEGER))
    def train_epoch(self, images, labels, order, batch_size):
        """Update the weights batch by batch; give the mean loss and the accuracy over the epoch."""
        number = tf.size(order)
        loss_sum, right = 0.0, 0.0
        for first in tf.range(0, number, batch_size):
            scores = self._step(images, labels, order[first : first + batch_size])
            loss_sum, right = loss_sum + scores[0], right + scores[1]
        return loss_sum / tf.cast(number, tf.float32), right / tf.cast(number, tf.float32)

    def train_epoch_compiled(self, images, labels, order, batch_size):
        """Do the same through XLA, which must know the size of a batch, so that the last, partial one goes apart."""
        full = len(order) // batch_size * batch_size
        if full == 0:
            return self.train_epoch(images, labels, order, batch_size)
        scores = self._full_batches(images, labels, order[:full], batch_size)
        if full < len(order):
            rest = self.train_epoch(images, labels, order[full:], batch_size)
            share = full / len(order)
            scores = [share * score + (1 - share) * other for score, other in zip(scores, rest, strict=True)]
        return scores

    @tf.function(jit_compile=True)
    def _full_batches(self, images, labels, order, batch_size):
        number = len(order)
        loss_sum, right = 0.0, 0.0
        for first in tf.range(0, number, batch_size):
            scores = self._step(images, labels, tf.slice(order, [first], [batch_size]))
            loss_sum, right = loss_sum + scores[0], right + scores[1]
        return loss_sum / number, right / number

    def _step(self, images, labels, batch):
        with tf.GradientTape() as tape:
            loss_sum, right = self._scores(images, labels, batch, training=True)
            loss = loss_sum / tf.cast(tf.size(batch), tf.float32)
        variables = self.model.trainable_variables
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        return loss_sum, right

    @tf.function(input_signature=(_IMAGES, _INTEGERS, _INTEGERS))
    def evaluate(self, images, labels, chosen):
        """Give the mean loss and the accuracy on the chosen images, as the weights stand."""
        number = tf.cast(tf.size(chosen), tf.float32)
        loss_sum, right = self._scores(images, labels, chosen, training=False)
        return loss_sum / number, right / number

    def _scores(self, images, labels, chosen, training):
        pixels = tf.cast(tf.gather(images, chosen), tf.float32) * (1 / 255)
        truth = tf.gather(labels, chosen)
        logits = self.model(pixels, training=training)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
        right = tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), truth)
        return tf.reduce_sum(losses), tf.reduce_sum(tf.cast(right, tf.float32))


def _copy_variables(source: keras.Model, target: keras.Model) -> None:
    for ours, theirs in zip(target.variables, source.variables, strict=True):
        ours.assign(theirs)
