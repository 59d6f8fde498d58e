"""Train the published runs anew, a group at a time, and write their files in ``mnist_helpers/data/``: ``make help``.

What was chosen was chosen on the validation set; the test set is opened for the frozen recipes only.
"""

import argparse
import io
import json
import multiprocessing
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from datetime import UTC, datetime

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from tqdm import tqdm

import mnist_helpers.quiet  # noqa: F401  (before keras)
from mnist_helpers import published
from mnist_helpers.augment import distort
from mnist_helpers.convolution import train_convolutional
from mnist_helpers.data import Mnist, Split, load_mnist
from mnist_helpers.ideas import ALWAYS_KEPT, CHOOSING_SEEDS, IDEAS, PARTS, START
from mnist_helpers.published import COPIES, CORRUPTIONS, GROUPS, REMEDIES, SEEDS, corrupted
from mnist_helpers.recipe import ARTICLE, BEST_DENSE, CRACK_99, Recipe
from mnist_helpers.statistics import mean_and_deviation
from mnist_helpers.sweep import load_run, sweep, trained_runs
from mnist_helpers.training import hardware, train, versions
from mnist_helpers.whole_files import write_atomically

# ---------------------------------------------------------------- variations of the post's network

TWO_EPOCHS = replace(ARTICLE, epochs=2)
FEW = replace(ARTICLE, training_images=6_000, epochs=16)
ONE_PASS = replace(ARTICLE, training_images=10_800, epochs=1)
BATCH_SIZES = (1, 10, 100, 500, 5_000)


def _of_twenty_updates(batch_size: int) -> Recipe:
    images, passes = min(20 * batch_size, 50_000), max(1, 20 * batch_size // 50_000)
    return replace(ARTICLE, batch_size=batch_size, training_images=images, epochs=passes)


# The recipes that chapters 3, 5 and 6 compare, by group and name.
VARIATIONS = {
    "building": {
        "6 × 10": replace(TWO_EPOCHS, units=10),
        "6 × 100": TWO_EPOCHS,
        "6 × 200": replace(TWO_EPOCHS, units=200),
        "1 × 100": replace(TWO_EPOCHS, hidden_layers=1),
        "3 × 100": replace(TWO_EPOCHS, hidden_layers=3),
        "12 × 100": replace(TWO_EPOCHS, hidden_layers=12),
        "sigmoid": replace(TWO_EPOCHS, activation="sigmoid", last_activation="sigmoid"),
        "relu": replace(TWO_EPOCHS, last_activation="relu"),
        "leaky_relu": replace(TWO_EPOCHS, activation="leaky_relu"),
        "relu, rate 0.01": replace(TWO_EPOCHS, last_activation="relu", learning_rate=0.01),
        "leaky_relu, rate 0.01": replace(TWO_EPOCHS, activation="leaky_relu", learning_rate=0.01),
    },
    "batches": {f"1 epoch, {size:,}": replace(ONE_PASS, batch_size=size) for size in BATCH_SIZES}
    | {f"20 updates, {size:,}": _of_twenty_updates(size) for size in BATCH_SIZES},
    "overfitting": {
        "the post's": ARTICLE,
        "leaking": replace(ARTICLE, validation="leaking"),
        "54,000 images": replace(ARTICLE, epochs=16),
        "6,000 images": FEW,
        "6,000 images, 144 epochs": replace(FEW, epochs=144),  # as many weight updates as with 54,000
        "1,000 images": replace(FEW, training_images=1_000),
        "10 units": replace(FEW, units=10),
        "200 units": replace(FEW, units=200),
        "400 units": replace(FEW, units=400),
        "dropout 0.1": replace(FEW, dropout=0.1),
        "dropout 0.2": replace(FEW, dropout=0.2),
        "dropout 0.4": replace(FEW, dropout=0.4),
        "weight decay 0.3": replace(FEW, weight_decay=0.3),
        "weight decay 1.0": replace(FEW, weight_decay=1.0),
        "weight decay 3.0": replace(FEW, weight_decay=3.0),
        "batch norm": replace(FEW, batch_norm=True),
        "batches of 100": replace(FEW, batch_size=100),
        "batches of 100, batch norm": replace(FEW, batch_size=100, batch_norm=True),
    },
}


SMALL_DISTORTION = {"rotation": 5.0, "zoom": 0.05, "shift": 0.75}


def train_variations(group: str, data: Mnist, store: str = "runs") -> None:
    """Train the networks of ``VARIATIONS[group]`` and write that group.

    Of the group ``overfitting``, the test set is opened for those that chapter 6 judges: the post's network, its two
    variants on all images, and on 6,000 images the network without a remedy and with each remedy in the strength that
    reads most of the validation images.
    """
    trained = trained_runs(VARIATIONS[group], SEEDS, data, store)
    reached = {name: np.mean([run.history["val_accuracy"][-1] for run in runs]) for name, runs in trained.items()}
    judged = set()
    if group == "overfitting":
        strengths = [[name for name in trained if name.startswith(remedy)] for remedy in REMEDIES]
        judged = {"the post's", "leaking", "54,000 images", "6,000 images"}
        judged |= {max(names, key=reached.get) for names in strengths}
        test = data.open_test_set(f"to judge {', '.join(sorted(judged))}, as chapter 6 leaves them")
    results = []
    for name, runs in trained.items():
        for run in runs:
            number = min(len(data.validation), run.recipe.training_images)
            few = Split(data.train.images[:number], data.train.labels[:number])
            record = {
                "name": name,
                "seed": run.seed,
                "recipe": asdict(run.recipe),
                "history": {each: run.history[each] for each in ("loss", "accuracy", "val_loss", "val_accuracy")},
                "training_loss": _judge(run.model, few)[0],
            }
            results.append(record | ({"test_accuracy": _judge(run.model, test)[1]} if name in judged else {}))
        print(f"{name:<28}validation accuracy {reached[name]:.2%}{', judged' if name in judged else ''}")
    _write(group, results)


def _judge(model: keras.Model, split: Split) -> tuple[float, float]:
    loss, accuracy = model.evaluate(split.flat, split.labels, batch_size=1000, verbose=0)
    return loss, accuracy


# ---------------------------------------------------------------- one idea at a time


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
        chosen = always or _choosing(tried) > _choosing(outcome)
        yield name, candidate, chosen, tried
        if chosen:
            recipe, outcome = candidate, tried


def _choosing(outcome: pd.DataFrame) -> float:
    return float(outcome[outcome.seed.isin(CHOOSING_SEEDS)].val_accuracy.mean())


def _last_epochs(recipe: Recipe, data: Mnist, store: str) -> pd.DataFrame:
    table = sweep([recipe], SEEDS, data, store, progress=False)
    seconds = table.groupby("seed").seconds.sum()
    last = table[table.epoch == recipe.epochs].set_index("seed")
    return last.assign(seconds=seconds).reset_index()


def train_ideas(data: Mnist, store: str = "runs") -> None:
    """Climb with one idea more at a time, then one less, then again one more; write the group ``ideas``."""
    records = []
    columns = ["seed", "accuracy", "val_accuracy", "val_loss", "seconds"]

    def note_one(direction, name, candidate, chosen, outcome):
        accuracy = mean_and_deviation(outcome.val_accuracy, ".2%")
        print(f"{direction:<8}{name:<32}{accuracy}{'  *' if chosen else ''}", flush=True)
        shared = {"direction": direction, "name": name, "chosen": chosen, "recipe": asdict(candidate)}
        records.extend(shared | row for row in outcome[columns].to_dict("records"))

    def note(direction, steps, recipe):
        for name, candidate, chosen, outcome in steps:
            note_one(direction, name, candidate, chosen, outcome)
            for part, change in PARTS.get(name, {}).items() if direction == "more" else ():
                alone = replace(recipe, **change)
                note_one("part", part, alone, False, _last_epochs(alone, data, store))
            recipe = candidate if chosen else recipe
        return recipe

    recipe = replace(ARTICLE, validation="leaking")
    note("start", [(START, recipe, True, _last_epochs(recipe, data, store))], recipe)
    for direction in ("more", "less", "again"):
        recipe = note(direction, one_idea_at_a_time(recipe, direction == "less", data, store), recipe)
    _write("ideas", records)


# ---------------------------------------------------------------- the frozen recipes, judged


def _judged(name: str, seed: int, recipe: Recipe | None, model: keras.Model, seconds: float, data: Mnist) -> dict:
    """Say how good a trained model is; the test set is opened for it, once."""
    test = data.open_test_set(f"to judge {name}, seed {seed}")

    answers = {"validation": _logits(model, data.validation.flat), "test": _logits(model, test.flat)}
    spoilt = {
        kind: [_accuracy(_logits(model, corrupted(test.images, kind, strength)), test.labels) for strength in strengths]
        for kind, strengths in CORRUPTIONS.items()
    }
    copies = np.zeros_like(answers["validation"])
    for number in range(COPIES):
        flat = distort(tf.constant(data.validation.flat), tf.constant([0, number]), **SMALL_DISTORTION)
        copies += keras.activations.softmax(_logits(model, flat.numpy())).numpy()
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


def _logits(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return model.predict(images.reshape(-1, *model.input_shape[1:]), batch_size=1000, verbose=0)


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


def _write(group: str, results: list[dict]) -> None:
    logits = {
        split: np.stack([result.pop(split) for result in results])
        for split in ("validation", "test")
        if split in results[0]
    }
    if logits:
        packed = io.BytesIO()
        np.savez_compressed(packed, **logits)
        write_atomically(published.FOLDER / f"{group}.npz", packed.getvalue())
    made = {"versions": versions(), "hardware": hardware(), "date": _today(), "code": published.code_of(group)}
    _write_json(group, made | {"runs": results})


def _write_json(group: str, content: dict) -> None:
    write_atomically(published.FOLDER / f"{group}.json", (json.dumps(content, indent=1) + "\n").encode())


def _today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


TRAIN: dict[str, Callable[[], None]] = {
    **{group: lambda group=group: train_variations(group, load_mnist()) for group in VARIATIONS},
    "ideas": lambda: train_ideas(load_mnist()),
    "crack": train_crack,
    "best": lambda: train_best(load_mnist()),
    "convolution": lambda: train_convolution(load_mnist()),
}


# ---------------------------------------------------------------- one of them once more

LAST = ["accuracy", "val_accuracy", "val_loss"]  # what is compared of a run whose logits were not kept
# How far a run may be from the published ones on a machine that rounds otherwise, in standard deviations of what their
# seeds reach.
TOLERANCE = 5


def check(group: str, data: Mnist) -> str:
    """Train the first run of a group once more, say what came out, and note in its file if it is the same.

    Raises
    ------
    ValueError
        As by ``once_more``.
    """
    same, sentence = once_more(group, data)
    content = json.loads((published.FOLDER / f"{group}.json").read_text(encoding="utf-8"))
    if same and content.get("code") != published.code_of(group):
        runs = content.pop("runs")
        content["checked"] = {"code": published.code_of(group), "date": _today(), "run": _name_of(runs[0])}
        _write_json(group, content | {"runs": runs})
    return sentence


def once_more(group: str, data: Mnist) -> tuple[bool, str]:
    """Train the first run of a group once more, as the group was trained, and compare it with the published one.

    On a processor of the same kind, with the same versions, it is the same to the last bit; elsewhere it has to reach a
    validation accuracy within ``TOLERANCE`` standard deviations of the mean of its seeds. (Which kind it is cannot be
    asked for: several go by one name.) The test set stays closed.

    Returns
    -------
    tuple of bool and str
        Whether the two are the same to the last bit, and a sentence that says what came out.

    Raises
    ------
    ValueError
        If it reaches another accuracy, or there is no such group.
    """
    table = published.read(group)
    if group in VARIATIONS:
        last = [{name: values[-1] for name, values in history.items()} for history in table.history]
        table = table.join(pd.DataFrame(last))
    first = table.iloc[0]
    if group in (*VARIATIONS, "ideas"):
        again = _swept_once_more(first, data)
        accuracy, same = again.val_accuracy, again[LAST].equals(first[LAST])
    else:
        answers = _logits(_trained_once_more(group, first, data), data.validation.flat)
        accuracy = _accuracy(answers, data.validation.labels)
        same = np.array_equal(answers.astype(np.float16), published.read_logits(group)["validation"][0])
    if same:
        return True, f"{group}: {_name_of(first)}, trained once more, is the same to the last bit."
    reached = table[table["name"] == first["name"]].val_accuracy
    near = f"{reached.mean():.2%} ± {TOLERANCE * reached.std():.2%}"
    apart = (
        f"{group}: {_name_of(first)}, trained once more, reads {accuracy:.2%} of the validation images; the published "
        f"one, on {table.attrs['hardware']}, {first.val_accuracy:.2%}"
    )
    if abs(accuracy - reached.mean()) > TOLERANCE * reached.std():
        raise ValueError(f"{apart}; expected {near}, even on another kind of processor.")
    return False, f"{apart}. On another kind of processor {near} is as expected."


def _name_of(run: pd.Series | dict) -> str:
    return f"{run['name']} with seed {run['seed']}"


def _swept_once_more(run: pd.Series, data: Mnist) -> pd.Series:
    with tempfile.TemporaryDirectory() as store:
        # Two seeds, so that there are two workers, which have one thread each, as when the published runs were trained.
        table = sweep([Recipe(**run.recipe)], [run.seed, run.seed + 1], data, store, workers=2)
    return table[table.seed == run.seed].iloc[-1]


def _trained_once_more(group: str, run: pd.Series, data: Mnist) -> keras.Model:
    if group == "convolution":
        return train_convolutional(False, data, int(run.seed))
    if group == "crack":
        return train(CRACK_99, data, run.seed).model
    with tempfile.TemporaryDirectory() as store:
        return trained_runs({"": BEST_DENSE}, [run.seed, run.seed + 1], data, store, workers=2)[""][0].model


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("group", choices=GROUPS)
    parser.add_argument("--check", action="store_true", help="train its first run once more, and compare")
    arguments = parser.parse_args()
    if not arguments.check:
        TRAIN[arguments.group]()
    else:
        try:
            print(check(arguments.group, load_mnist()))
        except ValueError as error:
            sys.exit(str(error))
