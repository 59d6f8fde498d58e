"""Training without the overhead: a whole epoch is one compiled loop over data that stay in memory.

It does what ``model.fit`` does, batch for batch (a test holds it to the same weights), in about a third of the
time, because ``fit`` goes through Python and ``tf.data`` for each of its steps. Left out on purpose: callbacks,
class weights, several metrics; for those, and wherever Keras itself is the subject, the chapters call ``fit``.

Floor 3 of the package.
"""

import math
import os
import platform
import threading
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mnist_helpers.quiet import XLA_WORKS  # before tensorflow and keras
import keras
import numpy as np
import tensorflow as tf
from tqdm import tqdm

from mnist_helpers.augment import distort, even_noise
from mnist_helpers.data import Mnist, Split
from mnist_helpers.model import build_model, compile_model
from mnist_helpers.recipe import (
    ARTICLE,
    CLASSES,
    DISTORTIONS,
    LEAKING_BUFFER,
    PIXELS,
    SIZES,
    Recipe,
    checked_seed,
    distorts,
    has_many_steps,
    shape_of,
)
from mnist_helpers.run import HISTORY, Run


class TrainingError(RuntimeError):
    """The loss is no longer a finite number; the message names the epoch, the step and the learning rate."""


@dataclass(frozen=True)
class Report:
    """Where a run stands, several times an epoch.

    Attributes
    ----------
    epoch, step : int
        The epoch, from 1, and the weight updates made in it.
    epochs, steps : int
        How many epochs there are at most, and how many steps in each.
    loss, accuracy : float
        Means over this epoch's training batches so far.
    history : dict of str to list of float
        ``Run.history`` of the epochs that are finished; when ``step`` equals ``steps`` this epoch is among them.
    gradients : list of float, optional
        For each layer, the output's last, the norm of the gradient of the loss with respect to its weights, on the
        first batch since the last report, before its update; None if they are not measured.
    """

    epoch: int
    step: int
    epochs: int
    steps: int
    loss: float
    accuracy: float
    history: dict[str, list[float]]
    gradients: list[float] | None = None


def train(
    recipe: Recipe,
    data: Mnist,
    seed: int = 0,
    report: Callable[[Report], object] | None = None,
    stop: threading.Event | None = None,
    progress: bool = True,
    measure: threading.Event | None = None,
) -> Run:
    """Train a recipe's network once; the same recipe, data and seed on the same machine give the same weights.

    Parameters
    ----------
    recipe : Recipe
        What to train. The first run of a shape (layers, units, activations, batch size, and which of the other
        options are in use) waits a second for compilation; later ones, whatever their other values, do not.
    data : Mnist
        Only the training and the validation split are read.
    seed : int
        0 to 2,147,483,647.
    report : callable, optional
        Is given a ``Report`` every 70 ms or so, and at the end of each epoch.
    stop : threading.Event, optional
        Once it is set, by ``report`` or by another thread, training stops after a few more steps, and
        the run holds the epochs that were finished and the weights as they stand.
    progress : bool
        Whether to show a progress bar, which vanishes at the end.
    measure : threading.Event, optional
        As long as it is set, each report has the ``gradients``, for which one batch more is computed; the weights are
        the same with and without.

    Returns
    -------
    Run
        History and the trained model.

    Raises
    ------
    TrainingError
        If the loss becomes infinite or not a number.
    RecipeError
        If the seed is out of range.
    """
    seed = checked_seed(seed)
    model = build_model(recipe, seed)
    loop, examples = _begin(recipe, data, seed)

    bar = tqdm(
        total=recipe.epochs,
        unit="epoch",
        leave=False,
        disable=not progress,
        bar_format="{l_bar}{bar}| {n:.1f}/{total} [{elapsed}<{remaining}{postfix}]",
    )
    with loop.lock, bar:
        loop.start(model, recipe, seed)
        listeners = [report, lambda now: _show(bar, now)]
        history = _train(loop, recipe, examples, listeners, stop or threading.Event(), measure or threading.Event())
        _copy_variables(loop.model, model)
    # An optimiser that is not built cannot be saved.
    compile_model(model, recipe).optimizer.build(model.trainable_variables)
    return Run(recipe, seed, history, data.digest, versions(), hardware(), model)


def prepare(recipe: Recipe, data: Mnist) -> None:
    """Compile what a recipe needs, so that the first run of its shape reports as soon as any other."""
    loop, examples = _begin(recipe, data, seed=0)
    with loop.lock:
        loop.start(build_model(recipe, seed=0), recipe, seed=0)
        rates = learning_rates(recipe, 0, recipe.steps_per_epoch)
        next(loop.train_epoch(examples, examples.draw_training(), rates, epoch=1, measure=threading.Event()))
        loop.evaluate(examples.validation_images, examples.validation_labels, examples.draw_validation())


def _begin(recipe, data, seed):
    with _BEGINNING:
        return _loop_for(recipe), _Examples(recipe, data, seed)


def _train(loop, recipe, examples, listeners, stop, measure):
    history = {name: [] for name in HISTORY}
    steps = recipe.steps_per_epoch
    best_loss, best_epoch, best_weights = math.inf, 0, None
    for epoch in range(1, recipe.epochs + 1):
        started = time.perf_counter()
        rates = learning_rates(recipe, first=(epoch - 1) * steps, number=steps)
        order = examples.draw_training()
        for step, loss, accuracy, gradients in loop.train_epoch(examples, order, rates, epoch, measure):
            if step < steps:
                _tell(listeners, Report(epoch, step, recipe.epochs, steps, loss, accuracy, history, gradients))
            if stop.is_set():
                break
        if step < steps:
            break
        validation = examples.validation_images, examples.validation_labels, examples.draw_validation()
        loop.swap_averages()
        val_loss, val_accuracy = loop.evaluate(*validation)
        loop.swap_averages()
        values = (loss, accuracy, float(val_loss), float(val_accuracy), float(rates[-1]), time.perf_counter() - started)
        if not math.isfinite(values[2]):
            raise _diverged("validation loss", values[2], epoch, recipe, steps, steps, rates[-1])
        for name, value in zip(HISTORY, values, strict=True):
            history[name].append(value)
        _tell(listeners, Report(epoch, steps, recipe.epochs, steps, loss, accuracy, history, gradients))
        if recipe.patience and values[2] < best_loss:
            best_loss, best_epoch, best_weights = values[2], epoch, loop.weights()
        if stop.is_set() or (recipe.patience and epoch - best_epoch >= recipe.patience):
            break
    loop.swap_averages()
    if best_weights is not None:
        loop.restore(best_weights)
    return history


def _tell(listeners, report: Report) -> None:
    for listener in listeners:
        if listener is not None:
            listener(report)


def _show(bar: tqdm, now: Report) -> None:
    bar.set_postfix_str(f"loss {now.loss:.3f}", refresh=False)
    bar.update(now.epoch - 1 + now.step / now.steps - bar.n)


def _diverged(what, value, epoch, recipe, step, steps, rate) -> TrainingError:
    return TrainingError(
        f"the {what} is {value} in epoch {epoch} of {recipe.epochs}, at step {step:,} of {steps:,}, where the learning "
        f"rate is {rate:.3g}; expected a finite number. A lower learning rate usually helps."
    )


def learning_rates(recipe: Recipe, first: int, number: int) -> np.ndarray:
    """Give the learning rate of ``number`` steps from the ``first`` on, counted from 0; float32, shape (number,)."""
    if recipe.schedule == "constant":
        return np.full(number, recipe.learning_rate, np.float32)
    step = np.arange(first, first + number)
    warmup = recipe.warmup_epochs * recipe.steps_per_epoch
    falling = recipe.epochs * recipe.steps_per_epoch - warmup
    rising = step / max(1, warmup)
    cosine = 0.5 * (1 + np.cos(np.pi * (step - warmup) / falling))
    return (recipe.learning_rate * np.where(step < warmup, rising, cosine)).astype(np.float32)


def versions() -> dict[str, str]:
    """Give the versions of Python and of the libraries that compute a run."""
    return {
        "python": platform.python_version(),
        "tensorflow": tf.__version__,
        "keras": keras.__version__,
        "numpy": np.__version__,
    }


@lru_cache(maxsize=1)
def hardware() -> str:
    """Name the processor, its cores, TensorFlow's GPUs and the operating system."""
    cpuinfo = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else [])
        if line.startswith("model name")
    ]
    processor = names[0] if names else platform.processor() or platform.machine()
    gpus = len(tf.config.list_physical_devices("GPU"))
    return f"{processor}, {os.cpu_count()} cores, {f'{gpus} GPU, ' if gpus else ''}{platform.system()}"


# One run at a time looks for its loop, which another may be making, and sets TensorFlow's global seed.
_BEGINNING = threading.Lock()
# For each split that is in use, its tensors; so that a second run need not copy 42 MB.
_TENSORS = weakref.WeakKeyDictionary()


class _Examples:
    """The arrays of a run as tensors, and the order in which each epoch takes them."""

    def __init__(self, recipe: Recipe, data: Mnist, seed: int):
        self._number = recipe.training_images
        self._generator = np.random.default_rng(seed)
        self._shuffled_pool = None
        self.images, self.labels = _tensors(data.train)
        self.validation_images, self.validation_labels = _tensors(data.validation)
        if recipe.validation == "leaking":
            self.images = self.validation_images = tf.concat([self.images, self.validation_images], axis=0)
            self.labels = self.validation_labels = tf.concat([self.labels, self.validation_labels], axis=0)
            # The very pipeline that leaks, run over indices: each iteration over it shuffles anew.
            tf.random.set_seed(seed)
            pool = tf.data.Dataset.range(len(self.labels), output_type=tf.int32)
            self._shuffled_pool = pool.shuffle(LEAKING_BUFFER, seed=seed).batch(len(self.labels))

    def draw_training(self) -> np.ndarray:
        """Give this epoch's order of the training images."""
        if self._shuffled_pool is None:
            return self._generator.permutation(self._number).astype(np.int32)
        # `skip` and `take` each make an iteration, and so a shuffled order, of their own.
        (order,) = self._shuffled_pool
        return order[len(self.labels) - self._number :].numpy()

    def draw_validation(self) -> tf.Tensor:
        """Give the indices of this epoch's validation images."""
        if self._shuffled_pool is None:
            return tf.range(len(self.validation_labels))
        (order,) = self._shuffled_pool
        return order[: len(self.labels) - self._number]


def _tensors(split: Split) -> tuple[tf.Tensor, tf.Tensor]:
    if split not in _TENSORS:
        # Bytes, not floats: a quarter of the memory, and scaling a batch as it is gathered costs nothing measurable.
        images, labels = split.images.reshape(-1, PIXELS), split.labels.astype(np.int32)
        _TENSORS[split] = tf.constant(images), tf.constant(labels)
    return _TENSORS[split]


_REPORT_SECONDS = 0.07
_MOST_IMAGES = ARTICLE.training_images
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-7  # as Keras's Adam has them


def _loop_for(recipe: Recipe) -> "_Loop":
    shape, partial, _ = shape_of(recipe)
    return _loop(shape, partial, XLA_WORKS and has_many_steps(recipe))


# A compiled program for each shape; an option that is not used costs it nothing.
@lru_cache(maxsize=16)
def _loop(recipe: Recipe, partial: bool, compiled: bool) -> "_Loop":
    return _Loop(recipe, partial, compiled)


# Each loop is traced once, which TensorFlow takes for one function that is traced again and again.
tf.get_logger().addFilter(lambda record: "_Loop." not in record.getMessage())


class _Loop:
    """A model, Adam's moments, and the compiled loops over them; reused by all runs of the same shape.

    One run at a time may use it, the one that holds its lock.
    """

    def __init__(self, recipe: Recipe, partial: bool, compiled: bool):
        self.lock = threading.Lock()
        self.model = build_model(recipe, seed=0)
        self._variables = [variable.value for variable in self.model.trainable_variables]
        self._moments = [[tf.Variable(tf.zeros_like(value)) for value in self._variables] for _ in range(2)]
        averaged = self._variables if recipe.ema_momentum else []
        self._averages = [(variable, tf.Variable(tf.zeros_like(variable))) for variable in averaged]
        self._recipe, self._partial = recipe, partial
        # One function a loop, because TensorFlow warns of a function that is traced for many of them.
        self._steps = tf.function(self._several_steps, jit_compile=compiled)
        self.evaluate = tf.function(self._evaluate, reduce_retracing=True)
        self._gradient_norms = tf.function(self._norms_at_a_step)
        self._steps_at_once = 1

    def start(self, model: keras.Model, recipe: Recipe, seed: int) -> None:
        """Begin a run: another model's weights, an optimiser that has seen no gradient, the recipe's sizes."""
        _copy_variables(model, self.model)
        for moment in [*self._moments[0], *self._moments[1]]:
            moment.assign(tf.zeros_like(moment))
        for variable, average in self._averages:
            average.assign(variable)
        self._sizes = {name: tf.constant(getattr(recipe, name), tf.float32) for name in SIZES}
        self._seed = tf.constant(seed)
        self._number = recipe.training_images
        self._run = recipe
        self._steps_at_once = min(self._steps_at_once, 4)

    def swap_averages(self) -> None:
        """Exchange the weights for their running averages, if there are any; a second call undoes it."""
        for variable, average in self._averages:
            value = variable.numpy()
            variable.assign(average)
            average.assign(value)

    def weights(self) -> list[np.ndarray]:
        """Copy all variables of the model as they stand."""
        return [variable.numpy() for variable in self.model.variables]

    def restore(self, weights: list[np.ndarray]) -> None:
        """Put copied variables back."""
        for variable, value in zip(self.model.variables, weights, strict=True):
            variable.assign(value)

    def train_epoch(self, examples, order, rates, epoch, measure):
        """Update the weights batch by batch; yield, every 70 ms, the steps done, and what a ``Report`` has of them."""
        size, steps = self._recipe.batch_size, len(rates)
        # Filled up to one length, because XLA compiles anew for another.
        places = -(-_MOST_IMAGES // size)
        order = tf.constant(np.pad(order, (0, places * size - len(order))))
        padded_rates = tf.constant(np.pad(rates, (0, places - steps)))
        sums, done = tf.zeros(2), 0
        steps_before = tf.constant((epoch - 1) * steps)
        arrays, values = (examples.images, examples.labels, order), (tf.constant(self._number), self._seed, self._sizes)
        while done < steps:
            gradients = self._measured(*arrays, tf.constant(done), steps_before, *values) if measure.is_set() else None
            started = time.perf_counter()
            last = min(steps, done + self._steps_at_once)
            bounds = tf.constant(done), tf.constant(last)
            reached, sums = self._steps(*arrays, padded_rates, *bounds, steps_before, *values, sums)
            loss_sum, right = sums.numpy()
            if not math.isfinite(loss_sum):
                rate = rates[int(reached) - 1]
                raise _diverged("training loss", loss_sum, epoch, self._run, int(reached), steps, rate)
            seconds = time.perf_counter() - started
            fitting = int((last - done) * _REPORT_SECONDS / seconds)
            self._steps_at_once = max(1, min(fitting, 4 * self._steps_at_once))
            done = last
            seen = min(done * size, self._number)
            yield done, float(loss_sum / seen), float(right / seen), gradients

    def _measured(self, *step):
        # A step of batch norm moves its averages, which a measurement must not.
        before = [(variable, variable.numpy()) for variable in self.model.non_trainable_variables]
        norms = self._gradient_norms(*step).numpy().tolist()
        for variable, value in before:
            variable.assign(value)
        return norms

    def _norms_at_a_step(self, images, labels, order, step, steps_before, number, seed, sizes):
        """Give the norms of a step's gradients; in double precision, because of the squares of those that vanish."""
        gradients, _ = self._gradients(images, labels, *self._batch(order, step, steps_before, number, seed), sizes)
        return tf.stack([tf.norm(tf.cast(part, tf.float64)) for part in gradients if len(part.shape) == 2])

    def _several_steps(self, images, labels, order, rates, first, last, steps_before, number, seed, sizes, sums):
        step = first
        while tf.logical_and(step < last, tf.math.is_finite(sums[0])):
            batch = self._batch(order, step, steps_before, number, seed)
            sums += self._step(images, labels, *batch, sizes, rates[step], steps_before + step + 1)
            step += 1
        return step, sums

    def _batch(self, order, step, steps_before, number, seed):
        """Give the places of a step's images, how many of them count, and the seeds of its random numbers."""
        size = self._recipe.batch_size
        batch = tf.slice(order, [step * size], [size])
        left = tf.minimum(number - step * size, size) if self._partial else size
        return batch, left, tf.stack([seed, steps_before + step])

    def _step(self, images, labels, batch, number, seeds, sizes, rate, step):
        """Update the weights from a batch's first ``number`` images; give the sums of losses and of right answers."""
        gradients, sums = self._gradients(images, labels, batch, number, seeds, sizes)
        self._update(gradients, rate, tf.cast(step, tf.float32), sizes["weight_decay"])
        # After the first step the average is what that step gave, as Keras has it.
        momentum = tf.where(step == 1, 0.0, sizes["ema_momentum"])
        for variable, average in self._averages:
            average.assign(momentum * average + (1 - momentum) * variable)
        return sums

    def _gradients(self, images, labels, batch, number, seeds, sizes):
        """Give the gradients of a batch's mean loss, and the sums of its losses and of right answers."""
        pixels, truth = _pixels(images, batch), tf.gather(labels, batch)
        if distorts(self._recipe):
            *affine, elastic = (sizes[name] for name in DISTORTIONS)
            pixels = distort(pixels, tf.bitwise.invert(seeds), *affine, elastic if self._recipe.elastic else None)
        counts = tf.range(self._recipe.batch_size) < number if self._partial else None
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(self._variables)
            logits = self._logits(pixels, counts, seeds, sizes["dropout"])
            loss_sum = _sum(self._losses(truth, logits, sizes["label_smoothing"]), counts)
            loss = loss_sum / tf.cast(number, tf.float32)
        right = _sum(_right(truth, logits), counts)
        return tape.gradient(loss, self._variables), tf.stack([loss_sum, right])

    def _logits(self, pixels, counts, seeds, dropout):
        """Call the model layer by layer, so that the share of dropped units can be an argument."""
        layers = self._recipe.hidden_layers
        shape = (layers + layers % 2, tf.shape(pixels)[0], self._recipe.units)
        # noise from -1 to 1 lies above 2 × dropout - 1 with the probability 1 - dropout
        kept = iter(tf.unstack(even_noise(shape, seeds) >= 2 * dropout - 1) if self._recipe.dropout else ())
        outputs = pixels
        for layer in self.model.layers:
            if isinstance(layer, keras.layers.Dropout):
                outputs = tf.where(next(kept), outputs / (1 - dropout), 0.0)
            elif isinstance(layer, keras.layers.BatchNormalization):
                outputs = layer(outputs, training=True, mask=counts)
            else:
                outputs = layer(outputs)
        return outputs

    def _losses(self, truth, logits, smoothing):
        if not self._recipe.label_smoothing:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
        targets = tf.one_hot(truth, CLASSES) * (1 - smoothing) + smoothing / CLASSES
        return tf.nn.softmax_cross_entropy_with_logits(targets, logits)

    def _update(self, gradients, rate, step, weight_decay):
        """Adam's step (Kingma and Ba 2015), weight decay decoupled from it, in Keras's order."""
        step_size = rate * tf.sqrt(1 - tf.pow(_BETA_2, step)) / (1 - tf.pow(_BETA_1, step))
        for variable, mean, square, gradient in zip(self._variables, *self._moments, gradients, strict=True):
            if self._recipe.weight_decay:
                variable.assign_sub(rate * weight_decay * variable)
            mean.assign_add((1 - _BETA_1) * (gradient - mean))
            square.assign_add((1 - _BETA_2) * (gradient * gradient - square))
            variable.assign_sub(step_size * mean / (tf.sqrt(square) + _EPSILON))

    def _evaluate(self, images, labels, chosen):
        """Give the mean loss and the accuracy on the chosen images, as the weights stand."""
        truth = tf.gather(labels, chosen)
        logits = self.model(_pixels(images, chosen), training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(truth, logits)
        return tf.reduce_mean(losses), tf.reduce_mean(_right(truth, logits))


def _pixels(images, chosen):
    return tf.cast(tf.gather(images, chosen), tf.float32) * (1 / 255)


def _sum(values, counts):
    return tf.reduce_sum(values if counts is None else tf.where(counts, values, 0.0))


def _right(truth, logits):
    return tf.cast(tf.equal(tf.argmax(logits, axis=1, output_type=tf.int32), truth), tf.float32)


def _copy_variables(source: keras.Model, target: keras.Model) -> None:
    for ours, theirs in zip(target.variables, source.variables, strict=True):
        ours.assign(theirs)
