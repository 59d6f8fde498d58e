"""Measure the seconds from untrained weights to 99% on the validation images, and write a page of the book.

Run it with ``make bench-99`` on a machine that does nothing else. Every run has a fresh process, so that each candidate
compiles anew; they take turns, so that a machine that slows down slows all of them down.
"""

import argparse
import datetime
import math
import os
import statistics
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from run import PROCESSES, machine, markdown

from mnist_helpers.data import load_mnist
from mnist_helpers.recipe import CRACK_99, parameter_count

PAGE = Path(__file__).parents[2] / "book" / "time_to_99.md"
ROUNDS = 5
VALIDATION_IMAGES = 6_000
ENOUGH = 0.99
CNN_FILTERS, CNN_BATCH, CNN_EPOCHS, CNN_RATE = 24, 125, 5, 3e-3

WARMUP = CRACK_99.warmup_epochs * CRACK_99.steps_per_epoch
FALLING = CRACK_99.epochs * CRACK_99.steps_per_epoch - WARMUP

# Each function imports its library and gives another one, which trains from untrained weights: it calls `finished`
# with the validation accuracy after each epoch, stops once that returns True, and gives the number of parameters.


def ours():
    from mnist_helpers.training import train

    def learn(mnist, seed, finished):
        stop = threading.Event()

        def listen(report):
            if report.step == report.steps and finished(report.history["val_accuracy"][-1]):
                stop.set()

        train(CRACK_99, mnist, seed, report=listen, stop=stop, progress=False)
        return parameter_count(CRACK_99)

    return learn


def keras_layers():
    from mnist_helpers.model import build_model, keras

    def learn(mnist, seed, finished):
        keras.utils.set_random_seed(seed)
        zeros = {"fill_mode": "constant"}
        model = keras.Sequential(
            [
                keras.Input((28, 28, 1)),
                keras.layers.Rescaling(1 / 255),
                keras.layers.RandomRotation(CRACK_99.rotation / 360, **zeros),
                keras.layers.RandomZoom(CRACK_99.zoom, CRACK_99.zoom, **zeros),
                keras.layers.RandomTranslation(CRACK_99.shift / 28, CRACK_99.shift / 28, **zeros),
                keras.layers.RandomShear(x_factor=CRACK_99.shear, **zeros),
                keras.layers.Flatten(),
                *build_model(CRACK_99).layers,
            ]
        )
        rate = keras.optimizers.schedules.CosineDecay(
            0.0, FALLING, warmup_target=CRACK_99.learning_rate, warmup_steps=WARMUP
        )
        model.compile(
            optimizer=keras.optimizers.Adam(rate, weight_decay=CRACK_99.weight_decay),
            loss=keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=CRACK_99.label_smoothing),
            metrics=["accuracy"],
        )
        fit(model, mnist, CRACK_99.batch_size, CRACK_99.epochs, stopping(model, finished))
        return model.count_params()

    return learn


def torch_eager():
    import torch
    import torch._dynamo  # which the first optimiser would import
    from torch import nn
    from torch.optim.lr_scheduler import LambdaLR

    torch.set_num_threads(os.cpu_count())
    functional = nn.functional

    def distort(images):
        """Rotate, zoom, slant and shift as `mnist_helpers.augment.distort` does, in one interpolation."""

        def even(size):
            return size * (2 * torch.rand(len(images)) - 1)

        angle, shift = even(math.radians(CRACK_99.rotation)), CRACK_99.shift / 13.5  # 1 is half an image
        height, width = 1 + even(CRACK_99.zoom), 1 + even(CRACK_99.zoom)
        columns = angle.cos() / width, angle.sin() / width + even(CRACK_99.shear), even(shift)
        rows = -angle.sin() / height, angle.cos() / height, even(shift)
        grid = functional.affine_grid(
            torch.stack([*columns, *rows], dim=1).reshape(-1, 2, 3), images.shape, align_corners=True
        )
        return functional.grid_sample(images, grid, align_corners=True)

    def network():
        layers, inputs = [nn.Flatten()], 784
        for _ in range(CRACK_99.hidden_layers):
            norm = nn.BatchNorm1d(CRACK_99.units, eps=1e-3, momentum=0.01)  # as Keras has it
            layers += [nn.Linear(inputs, CRACK_99.units), norm, nn.ReLU()]
            inputs = CRACK_99.units
        model = nn.Sequential(*layers, nn.Linear(inputs, 10))
        for layer in model:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)
        return model

    def learn(mnist, seed, finished):
        torch.manual_seed(seed)
        images, held_out = (torch.tensor(split.images)[:, None] / 255 for split in (mnist.train, mnist.validation))
        labels, truth = (torch.tensor(split.labels).long() for split in (mnist.train, mnist.validation))
        model = network()
        as_in_keras = {"weight_decay": CRACK_99.weight_decay, "eps": 1e-7}
        optimizer = torch.optim.AdamW(model.parameters(), CRACK_99.learning_rate, fused=True, **as_in_keras)
        rates = LambdaLR(optimizer, share_of_highest_rate)
        for _ in range(CRACK_99.epochs):
            for batch in torch.randperm(len(labels)).split(CRACK_99.batch_size):
                optimizer.zero_grad()
                logits = model(distort(images[batch]))
                functional.cross_entropy(logits, labels[batch], label_smoothing=CRACK_99.label_smoothing).backward()
                optimizer.step()
                rates.step()
            model.eval()
            with torch.no_grad():
                accuracy = (model(held_out).argmax(1) == truth).float().mean()
            model.train()
            if finished(float(accuracy)):
                break
        variables = [*model.parameters(), *(buffer for buffer in model.buffers() if buffer.is_floating_point())]
        return sum(variable.numel() for variable in variables)

    return learn


def share_of_highest_rate(step):
    """The recipe's cosine schedule, without `mnist_helpers.training`, whose TensorFlow makes PyTorch crash."""
    return step / WARMUP if step < WARMUP else 0.5 * (1 + math.cos(math.pi * (step - WARMUP) / FALLING))


def small_cnn():
    from mnist_helpers.model import keras

    def block(filters):
        return [
            keras.layers.Conv2D(filters, 3, use_bias=False),
            keras.layers.MaxPooling2D(),  # first, so that the next two have a quarter of the work
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
        ]

    def learn(mnist, seed, finished):
        keras.utils.set_random_seed(seed)
        layers = [*block(CNN_FILTERS), *block(2 * CNN_FILTERS), keras.layers.Flatten(), keras.layers.Dense(10)]
        model = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Rescaling(1 / 255), *layers])
        steps = len(mnist.train) // CNN_BATCH
        model.compile(
            optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(CNN_RATE, CNN_EPOCHS * steps)),
            loss=keras.losses.CategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        fit(model, mnist, CNN_BATCH, CNN_EPOCHS, stopping(model, finished))
        return model.count_params()

    return learn


def fit(model, mnist, batch_size, epochs, stop):
    """Keras's own training, on the images as bytes and labels as vectors."""
    from keras.utils import to_categorical

    images, held_out = (split.images[..., None] for split in (mnist.train, mnist.validation))
    labels, truth = (to_categorical(split.labels) for split in (mnist.train, mnist.validation))
    model.fit(
        *(images, labels, batch_size, epochs),
        validation_data=(held_out, truth),
        validation_batch_size=1_000,
        verbose=0,
        callbacks=[stop],
    )


def stopping(model, finished):
    """A callback that ends ``fit`` once ``finished`` says so."""
    from keras.callbacks import LambdaCallback

    def check(_, logs):
        model.stop_training = finished(logs["val_accuracy"])

    return LambdaCallback(on_epoch_end=check)


CANDIDATES = {
    "ours, `train`": ours,
    "Keras `fit`, its own augmentation": keras_layers,
    "PyTorch eager, the same recipe": torch_eager,
    "small Keras CNN, `fit`": small_cnn,
}


@dataclass(frozen=True)
class Outcome:
    """One run: its parameters, and after each epoch the seconds since the start and the validation accuracy."""

    parameters: int
    seconds: list[float]
    accuracies: list[float]

    @property
    def best_accuracy(self):
        """Of a run that reached 99%, and so ended, this is the accuracy at its end."""
        return max(self.accuracies)

    @property
    def epochs(self):
        """Epochs needed to 99%; infinitely many if it was not reached."""
        return len(self.seconds) if is_enough(self.best_accuracy) else math.inf

    @property
    def seconds_needed(self):
        return self.seconds[-1] if is_enough(self.best_accuracy) else math.inf

    @property
    def seconds_an_epoch(self):
        return self.seconds[-1] / len(self.seconds)


def is_enough(accuracy):
    # In whole images, because 5,940 of 6,000 in single precision may lie below 0.99.
    return round(accuracy * VALIDATION_IMAGES) >= ENOUGH * VALIDATION_IMAGES


def run_once(name, seed):
    """Train a candidate until it has reached 99% or used up its epochs."""
    learn, mnist = CANDIDATES[name](), load_mnist()
    seconds, accuracies = [], []

    def finished(accuracy):
        seconds.append(time.perf_counter() - started)
        accuracies.append(float(accuracy))
        return is_enough(accuracy)

    started = time.perf_counter()
    return Outcome(learn(mnist, seed, finished), seconds, accuracies)


def measure(rounds):
    """Run every candidate once a round, in a process of its own, with the number of the round as the seed."""
    outcomes = {name: [] for name in CANDIDATES}
    for seed in range(rounds):
        for name, results in outcomes.items():
            with ProcessPoolExecutor(1, mp_context=PROCESSES) as process:
                outcome = process.submit(run_once, name, seed).result()
            print(f"{name}, seed {seed}: {outcome.seconds[-1]:.1f} s, {outcome.best_accuracy:.2%}", flush=True)
            results.append(outcome)
    return outcomes


def table(outcomes):
    head = ["candidate", "seconds to 99%", "from", "to", "times ours", "epochs", "seconds an epoch"]
    lines = [[*head, "parameters", "validation accuracy", "reached 99%"]]
    reference = median_of("seconds_needed", next(iter(outcomes.values())))
    for name, results in outcomes.items():
        seconds = [outcome.seconds_needed for outcome in results]
        median = statistics.median(seconds)
        spans = [in_figures(value, 1) for value in (median, min(seconds), max(seconds))]
        epochs = in_figures(median_of("epochs", results), 0)
        pace = in_figures(median_of("seconds_an_epoch", results), 1)
        accuracy = f"{median_of('best_accuracy', results):.2%}"
        reached = f"{sum(map(math.isfinite, seconds))} of {len(seconds)}"
        ratio = in_figures(median / reference, 2)
        lines.append([name, *spans, ratio, epochs, pace, f"{results[0].parameters:,}", accuracy, reached])
    return lines


def median_of(name, outcomes):
    return statistics.median(getattr(outcome, name) for outcome in outcomes)


def in_figures(value, digits):
    return f"{value:.{digits}f}" if math.isfinite(value) else "not reached"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    rounds = parser.parse_args().rounds
    text = PAGE_TEXT.format(
        date=datetime.date.today().isoformat(),
        machine=machine("tensorflow", "keras", "torch"),
        seeds=f"{rounds} seeds" if rounds > 1 else "one seed",
        table=markdown(table(measure(rounds))),
    )
    print(text)
    PAGE.write_text(text, encoding="utf-8")


PAGE_TEXT = f"""\
# How long it takes to 99%

How many seconds are there between untrained weights and the first epoch after which at least 99.0% of the
{VALIDATION_IMAGES:,} validation images are classified rightly? `make bench-99` measured it on {{date}}, from
{{seeds}}; each figure is the median over the seeds by itself, so that those of one
row may belong to different runs. The test set is not opened.

*Machine and versions:* {{machine}}. Other machines give other seconds, and may give other ratios.

Each run has a fresh process, and the candidates take turns. In the seconds are compilation, the copying of the
images into the library's own arrays, and the validation after each epoch; not in them are the import of the libraries
and the reading of the data. A run ends when it reaches 99%, and one that never does counts as taking for ever.
*Validation accuracy* is the best after any epoch of the run. *Seconds an epoch* is the whole time over the number of
epochs, so it has a share of the compilation in it.

{{table}}

- **Ours** is `train` with `CRACK_99`: {CRACK_99.hidden_layers} hidden layers of {CRACK_99.units} units, distorted
  images and smoothed labels. Its learning rate falls along a cosine that ends after {CRACK_99.epochs} epochs. The
  wait is the number of epochs times the time of one, and a candidate can lose by either. Runs of this recipe end
  little above 99% ({{{{doc}}}}`notebooks/08_cracking`), so it is partly chance when they pass it, and whether.
- **Keras** trains the same network with `model.fit`: the same optimiser, schedule, batch size, label smoothing and
  weight decay, and four of its own layers, in the model, for the same ranges of rotation, zoom, shift and shear.
  They interpolate one after the other, so its images are more blurred than ours, which are interpolated once; and
  `RandomShear` slants about the top row and not the middle, which moves a digit by up to {CRACK_99.shear * 13.5:.2f}
  pixels more.
- **PyTorch** trains the same recipe, distortions included, in eager mode (each operation is carried out when Python
  comes to it, and nothing is compiled) with all threads; each batch is distorted at once by `affine_grid` and
  `grid_sample`.
- **The small CNN** has two blocks of 3 × 3 convolution, max pooling, batch normalisation and ReLU, with {CNN_FILTERS}
  and {2 * CNN_FILTERS} filters, and a dense output layer. It is trained by `model.fit` on undistorted images in batches
  of {CNN_BATCH}, with Adam's rate falling from {CNN_RATE} along a cosine of {CNN_EPOCHS} epochs.
"""


if __name__ == "__main__":
    main()
