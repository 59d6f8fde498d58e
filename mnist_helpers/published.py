"""The runs that chapters 7 and 8 rest on: too long to be done while a page is built, so they come with the package.

Each group has a ``make`` target that trains it anew and writes its files in ``mnist_helpers/data/``; ``make help``
says how long each takes. What was chosen was chosen on the validation set; the test set is opened for the
frozen recipes only. Floor 5 of the package.
"""

import json
import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import mnist_helpers.quiet  # noqa: F401  (before keras)
import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import layers
from PIL import Image
from tqdm import tqdm

from mnist_helpers.augment import distort
from mnist_helpers.data import Mnist, load_mnist
from mnist_helpers.plots import mean_and_deviation
from mnist_helpers.recipe import ARTICLE, BEST_DENSE, CRACK_99, Recipe
from mnist_helpers.sweep import load_run, sweep
from mnist_helpers.training import hardware, train, versions

FOLDER = Path(__file__).with_name("data")
SEEDS = range(5)

# ---------------------------------------------------------------- one idea at a time

START = "the post's run, leaking split"
SHIFT = {"shift": 1.5}
AFFINE = SHIFT | {"rotation": 10.0, "zoom": 0.1, "shear": 0.1}
# What each idea changes in a recipe. All train for the post's ten epochs.
IDEAS = {
    "a fair split": {"validation": "held_out"},
    "a learning-rate schedule": {"schedule": "cosine", "warmup_epochs": 1, "learning_rate": 3e-3},
    "smaller batches": {"batch_size": 250},
    "width": {"hidden_layers": 3, "units": 384, "last_activation": "relu"},
    "batch norm": {"batch_norm": True},
    "dropout": {"dropout": 0.1},
    "label smoothing": {"label_smoothing": 0.05},
    "weight decay": {"weight_decay": 0.1},
    "shifts": SHIFT,
    "full affine distortion": AFFINE,
    "elastic distortion": {"elastic": 0.7},
    "weight averaging": {"ema_momentum": 0.995},
}
# Without the first one no number is to be believed; it is kept whatever it costs.
ALWAYS_KEPT = ("a fair split",)


def one_idea_at_a_time(
    recipe: Recipe, out: bool, data: Mnist, store: str
) -> Iterator[tuple[str, Recipe, bool, pd.DataFrame]]:
    """Try each idea in turn on what has been chosen so far; choose it if the mean validation accuracy rises.

    Parameters
    ----------
    recipe : Recipe
        Where to begin.
    out : bool
        Whether each idea that the recipe has is taken out; otherwise each that it has not is added.

    Yields
    ------
    tuple
        Name, recipe with that change, whether it is chosen, and the runs' last epochs, one row a seed.
    """
    outcome = _last_epochs(recipe, data, store)
    for name, change in IDEAS.items():
        always = name in ALWAYS_KEPT
        candidate = replace(recipe, **({field: getattr(ARTICLE, field) for field in change} if out else change))
        part_of_affine = name == "shifts" and recipe.rotation
        if candidate == recipe or part_of_affine or (out and always):
            continue
        tried = _last_epochs(candidate, data, store)
        chosen = always or bool(tried.val_accuracy.mean() > outcome.val_accuracy.mean())
        yield name, candidate, chosen, tried
        if chosen:
            recipe, outcome = candidate, tried


def _last_epochs(recipe: Recipe, data: Mnist, store: str) -> pd.DataFrame:
    table = sweep([recipe], SEEDS, data, store, progress=False)
    seconds = table.groupby("seed").seconds.sum()
    last = table[table.epoch == recipe.epochs].set_index("seed")
    return last.assign(seconds=seconds).reset_index()


def train_ideas(data: Mnist, store: str = "runs") -> None:
    """Climb with one idea more at a time, then one less, then again one more; write the group ``ideas``."""
    records = []
    columns = ["seed", "accuracy", "val_accuracy", "val_loss", "seconds"]

    def note(direction, steps, recipe):
        for name, candidate, chosen, outcome in steps:
            accuracy = mean_and_deviation(outcome.val_accuracy, ".2%")
            print(f"{direction:<8}{name:<32}{accuracy}{'  *' if chosen else ''}", flush=True)
            shared = {"direction": direction, "name": name, "chosen": chosen, "recipe": asdict(candidate)}
            records.extend(shared | row for row in outcome[columns].to_dict("records"))
            recipe = candidate if chosen else recipe
        return recipe

    recipe = replace(ARTICLE, validation="leaking")
    note("start", [(START, recipe, True, _last_epochs(recipe, data, store))], recipe)
    for direction in ("more", "less", "again"):
        recipe = note(direction, one_idea_at_a_time(recipe, direction == "less", data, store), recipe)
    _write("ideas", records)


# ---------------------------------------------------------------- the frozen recipes, judged

CORRUPTIONS = {"shift": (1, 2, 3, 4, 5), "rotation": (10, 20, 30, 40, 50), "noise": (0.1, 0.2, 0.3, 0.4, 0.5)}
SMALL_DISTORTION = {"rotation": 5.0, "zoom": 0.05, "shift": 0.75}
COPIES = 16


def corrupted(images: np.ndarray, kind: str, strength: float) -> np.ndarray:
    """Spoil images in a given way and strength, each in a direction of its own; the same on each call.

    Parameters
    ----------
    images : numpy.ndarray
        Grey values, uint8, shape (n, 28, 28).
    kind : str
        ``"shift"``: moved by ``strength`` whole pixels up, down, left or right. ``"rotation"``: turned by so many
        degrees to either side. ``"noise"``: Gaussian noise of this standard deviation is added to the grey
        values, on their scale from 0 to 1.
    strength : float
        See there.

    Returns
    -------
    numpy.ndarray
        Float32 from 0 to 1, shape (n, 28, 28).
    """
    generator = np.random.default_rng(0)
    if kind == "noise":
        noisy = images / np.float32(255) + generator.normal(0, strength, images.shape).astype(np.float32)
        return noisy.clip(0, 1)
    direction = generator.integers(4 if kind == "shift" else 2, size=len(images))
    changed = np.zeros(images.shape, np.float32)
    for number, (image, towards) in enumerate(zip(images, direction, strict=True)):
        if kind == "shift":
            padded = np.pad(image, strength)
            row, column = strength + strength * np.array([(1, 0), (-1, 0), (0, 1), (0, -1)])[towards]
            changed[number] = padded[row : row + len(image), column : column + len(image)]
        else:
            changed[number] = Image.fromarray(image).rotate(strength * (-1, 1)[towards], Image.Resampling.BILINEAR)
    return changed / 255


def convolutional_network() -> keras.Sequential:
    """Build the small convolutional network of chapter 8: from images of shape (n, 28, 28, 1) to logits."""
    stack = [keras.Input((28, 28, 1))]
    for filters in (24, 48):
        stack += [
            layers.Conv2D(filters, 3, use_bias=False),
            layers.MaxPooling2D(),  # first, so that the next two have a quarter of the work
            layers.BatchNormalization(),
            layers.Activation("relu"),
        ]
    return keras.Sequential([*stack, layers.Flatten(), layers.Dropout(0.3), layers.Dense(10)])


def train_convolutional(distorted: bool, data: Mnist, seed: int) -> keras.Sequential:
    """Train the small convolutional network with Keras's ``fit``, on the images as they are or distorted."""
    epochs = 8
    keras.utils.set_random_seed(seed)
    model = convolutional_network()
    steps = -(-len(data.train) // 100)
    rate = keras.optimizers.schedules.CosineDecay(0.0, (epochs - 1) * steps, warmup_target=3e-3, warmup_steps=steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    images, labels = data.train.flat, data.train.labels.astype("int32")
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(labels), seed=seed).batch(100)
    if distorted:
        sizes = {name: getattr(CRACK_99, name) for name in ("rotation", "zoom", "shift", "shear")}
        seeds = tf.data.Dataset.random(seed).batch(2)
        batches = tf.data.Dataset.zip(batches, seeds).map(
            lambda batch, drawn: (distort(batch[0], tf.cast(drawn % 2**31, tf.int32), **sizes), batch[1]), 2
        )
    batches = batches.map(lambda flat, label: (tf.reshape(flat, (-1, 28, 28, 1)), label)).prefetch(2)
    validation = data.validation.flat.reshape(-1, 28, 28, 1), data.validation.labels
    options = {"validation_data": validation, "validation_batch_size": 1000, "shuffle": False, "verbose": 0}
    model.fit(batches, epochs=epochs, **options)
    return model


def _judged(name: str, seed: int, recipe: Recipe | None, model: keras.Model, seconds: float, data: Mnist) -> dict:
    """Say how good a trained model is; the test set is opened for it, once."""
    test = data.open_test_set(f"to judge {name}, seed {seed}")

    def logits(images):
        return model.predict(images.reshape(-1, *model.input_shape[1:]), batch_size=1000, verbose=0)

    answers = {"validation": logits(data.validation.flat), "test": logits(test.flat)}
    spoilt = {
        kind: [_accuracy(logits(corrupted(test.images, kind, strength)), test.labels) for strength in strengths]
        for kind, strengths in CORRUPTIONS.items()
    }
    copies = np.zeros_like(answers["validation"])
    for number in range(COPIES):
        flat = distort(tf.constant(data.validation.flat), tf.constant([0, number]), **SMALL_DISTORTION)
        copies += keras.activations.softmax(logits(flat.numpy())).numpy()
    record = {
        "name": name,
        "seed": seed,
        "recipe": recipe and asdict(recipe),
        "parameters": model.count_params(),
        "seconds": seconds,
        "val_accuracy": _accuracy(answers["validation"], data.validation.labels),
        "val_accuracy_copies": _accuracy(copies, data.validation.labels),
        "test_accuracy": _accuracy(answers["test"], test.labels),
        "corrupted": spoilt,
    }
    return record | {split: answer.astype(np.float16) for split, answer in answers.items()}


def _accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    return float((logits.argmax(axis=1) == labels).mean())


def _cracked(seed: int) -> dict:
    data = load_mnist()
    data.digest  # noqa: B018  (so that it is not timed)
    started = time.perf_counter()
    run = train(CRACK_99, data, seed, progress=False)
    return _judged("CRACK_99", seed, CRACK_99, run.model, time.perf_counter() - started, data)


def train_crack(seeds: range = range(10)) -> None:
    """Train ``CRACK_99`` from ten seeds, each in a process of its own so that its time holds compilation."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, max_tasks_per_child=1) as pool:
        results = list(tqdm(pool.map(_cracked, seeds), total=len(seeds), unit="seed", leave=False))
    _write("crack", results)
    accuracies = [result["test_accuracy"] for result in results]
    enough = sum(accuracy >= 0.99 for accuracy in accuracies)
    print(f"CRACK_99 on the test set, {len(seeds)} seeds: accuracy {mean_and_deviation(accuracies, '.2%')}")
    print(f"worst seed {min(accuracies):.2%}; at or above 99.0%: {enough} of {len(seeds)}")
    print(f"time, compilation included: {statistics.median(result['seconds'] for result in results):.1f} s (median)")


def train_best(data: Mnist, seeds: range = range(3), store: str = "runs") -> None:
    """Train ``BEST_DENSE``, one run a core at a time, and write the group ``best``; interrupted, it goes on later."""
    sweep([BEST_DENSE], seeds, data, store, models=True)
    # The runs had to share the machine, so the time of one that has it for itself is worked out from a few epochs.
    few = train(replace(BEST_DENSE, epochs=4), data, progress=False).history["seconds"]
    seconds = BEST_DENSE.epochs * statistics.median(few[1:])
    results = []
    for seed in seeds:
        run = load_run(BEST_DENSE, seed, data, store)
        results.append(_judged("BEST_DENSE", seed, BEST_DENSE, run.model, seconds, data))
    _write("best", results)
    _print_accuracies(results)


def train_convolution(data: Mnist) -> None:
    """Train the small convolutional network, with and without distorted images, and write ``convolution``."""
    results = []
    for seed in tqdm(range(3), unit="seed", leave=False):
        for name, distorted in {"CNN": False, "CNN, distorted images": True}.items():
            started = time.perf_counter()
            model = train_convolutional(distorted, data, seed)
            results.append(_judged(name, seed, None, model, time.perf_counter() - started, data))
    _write("convolution", results)
    _print_accuracies(results)


def _print_accuracies(results: list[dict]) -> None:
    for name, rows in pd.DataFrame(results).groupby("name"):
        accuracies = rows.test_accuracy.tolist()
        print(f"{name} on the test set: {mean_and_deviation(accuracies, '.2%')}, {len(accuracies)} seeds")


# ---------------------------------------------------------------- the files

GROUPS: dict[str, Callable[[], None]] = {
    "ideas": lambda: train_ideas(load_mnist()),
    "crack": train_crack,
    "best": lambda: train_best(load_mnist()),
    "convolution": lambda: train_convolution(load_mnist()),
}


def read(group: str) -> pd.DataFrame:
    """Give a group's runs as a table, one row a run.

    Parameters
    ----------
    group : str
        One of ``GROUPS``.

    Returns
    -------
    pandas.DataFrame
        Each with ``name``, ``seed``, ``recipe`` (the hyperparameters, or None), ``val_accuracy`` and ``seconds``. Where
        the test set was opened, also ``test_accuracy``, ``parameters``, ``corrupted`` (for each of ``CORRUPTIONS`` five
        test accuracies) and ``val_accuracy_copies`` (by the mean probability over ``COPIES`` slightly distorted copies
        of each image). ``seconds`` is the time of the whole run, that of ``BEST_DENSE`` worked out from a few epochs
        with the machine to themselves. ``attrs`` holds the versions and the machine.

    Raises
    ------
    ValueError
        If there is no such group.
    """
    content = json.loads(_existing(group, "json").read_text(encoding="utf-8"))
    table = pd.DataFrame(content.pop("runs"))
    table.attrs = content
    return table


def read_logits(group: str) -> dict[str, np.ndarray]:
    """Give what a group's models answered, in the order of the rows of ``read``.

    Returns
    -------
    dict of str to numpy.ndarray
        For ``"validation"`` and ``"test"`` the logits, float32, shape (runs, images, 10), rounded to half precision
        when they were kept.

    Raises
    ------
    ValueError
        If there is no such group, or it keeps no logits.
    """
    with np.load(_existing(group, "npz")) as kept:
        return {split: kept[split].astype(np.float32) for split in ("validation", "test")}


def _existing(group: str, kind: str) -> Path:
    path = FOLDER / f"{group}.{kind}"
    if group not in GROUPS or not path.exists():
        raise ValueError(
            f"there is no file {path.name} of published runs; expected one of the groups {', '.join(GROUPS)}. "
            "The make target of the same name trains a group."
        )
    return path


def _write(group: str, results: list[dict]) -> None:
    logits = {
        split: np.stack([result.pop(split) for result in results])
        for split in ("validation", "test")
        if split in results[0]
    }
    if logits:
        np.savez_compressed(FOLDER / f"{group}.npz", **logits)
    content = {"versions": versions(), "hardware": hardware(), "runs": results}
    (FOLDER / f"{group}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in GROUPS:
        sys.exit(f"expected one of {', '.join(GROUPS)}, for example: python -m mnist_helpers.published crack")
    GROUPS[sys.argv[1]]()
