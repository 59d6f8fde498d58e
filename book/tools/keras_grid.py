"""What Keras makes of some two hundred settings, for the lab in the page to draw beside its own runs: ``make grid``.

Every run trains on the page's 10,000 images and is validated on its 2,000. The result is ``keras_results.json``.
"""

import itertools
import json
from dataclasses import replace
from pathlib import Path

from mnist_helpers.controls import AUGMENTATIONS, CONTROLS
from mnist_helpers.data import Mnist, Split, load_mnist
from mnist_helpers.recipe import ACTIVATIONS, ARTICLE, Recipe
from mnist_helpers.sweep import sweep
from mnist_helpers.training import hardware, versions

RESULTS = Path(__file__).parents[1] / "lab" / "generated" / "keras_results.json"
SEEDS = range(3)
# With a constant learning rate a run of 20 epochs begins with each shorter one; with a schedule it does not.
BASE = replace(ARTICLE, training_images=10_000, epochs=20)


def page_mnist(mnist: Mnist) -> Mnist:
    """Give MNIST with the validation images that the page has, every third."""
    validation = Split(mnist.validation.images[::3], mnist.validation.labels[::3])
    return replace(mnist, validation=validation)


def settings() -> list[dict]:
    """List what differs from the article's setting: each control by itself, and pairs that belong together."""
    choices = {control.name: control.choices for control in CONTROLS}
    shown = {"augmentation": [name for name, sizes in AUGMENTATIONS.items() if not sizes["elastic"]]}
    # Batches of one or two images would take longer than all other runs together.
    shown["batch_size"] = [size for size in choices["batch_size"] if size >= 5]
    shown["training_images"] = [number for number in choices["training_images"] if number <= 10_000]
    alone = [name for name in choices if name not in ("epochs", "schedule", "seed", "validation")]
    found = [{}] + [{name: value} for name in alone for value in shown.get(name, choices[name])]
    for pair in (
        {"hidden_layers": (1, 2, 3, 4, 5, 7, 8), "units": (16, 32, 64, 128, 200, 256, 512)},
        {"batch_size": (32, 100, 1_000, 2_000), "learning_rate": (1e-4, 2e-4, 2e-3, 5e-3, 0.01)},
        {"activation": ACTIVATIONS[1:], "hidden_layers": (1, 2, 3)},
        {"activation": ACTIVATIONS[1:], "learning_rate": (2e-4, 2e-3, 0.01)},
        {"batch_norm": (True,), "learning_rate": (1e-4, 1e-2, 0.1)},
        {"batch_norm": (True,), "hidden_layers": (1, 3)},
        {"batch_norm": (True,), "activation": ACTIVATIONS[1:]},
        {"dropout": (0.1, 0.3, 0.5), "hidden_layers": (1, 2, 3)},
        {"dropout": (0.1, 0.3, 0.5), "units": (200, 512)},
        {"last_activation": ("relu", "tanh"), "hidden_layers": (1, 3)},
        {"dropout": (0.3,), "training_images": (100, 1_000)},
        {"augmentation": shown["augmentation"][1:], "units": (200, 512)},
        {"augmentation": shown["augmentation"][1:], "batch_norm": (True,)},
    ):
        found += [dict(zip(pair, values, strict=True)) for values in itertools.product(*pair.values())]
    return found


def recipe_of_setting(setting: dict) -> Recipe:
    """Give the recipe that differs from ``BASE`` in some controls."""
    values = dict(setting)
    return replace(BASE, **AUGMENTATIONS[values.pop("augmentation", "none")], **values)


def main() -> None:
    """Train all that is missing in the store, and write ``keras_results.json``."""
    found = {}
    for setting in settings():
        found.setdefault(recipe_of_setting(setting), setting)
    recipes = {json.dumps(setting): recipe for recipe, setting in found.items()}
    print(f"{len(recipes)} settings, {len(SEEDS)} seeds each")
    table = sweep(recipes, SEEDS, page_mnist(load_mnist()))
    runs = []
    for name, rows in table.groupby("name", sort=False):
        if rows["error"].any():
            print(f"left out, because it diverges: {name}")
            continue
        by_epoch = rows.groupby("epoch")[["val_loss", "val_accuracy"]].agg(["mean", "std"]).round(4)
        curves = {column: by_epoch[column].to_numpy().tolist() for column in ("val_loss", "val_accuracy")}
        runs.append({"settings": json.loads(name)} | curves)
    names = [control.name for control in CONTROLS if control.name != "seed"]
    base = {name: getattr(BASE, name, "none") for name in names}  # augmentation stands for five hyperparameters
    about = {"versions": versions(), "hardware": hardware(), "seeds": len(SEEDS), "most": 10_000, "base": base}
    lines = [json.dumps(run, separators=(",", ":")) for run in runs]
    text = json.dumps(about)[:-1] + ', "runs": [\n' + ",\n".join(lines) + "\n]}\n"
    RESULTS.write_text(text, encoding="utf-8")
    print(f"{len(runs)} settings written")


if __name__ == "__main__":
    main()
