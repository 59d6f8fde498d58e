"""The Keras program of a recipe gives the weights that ``train`` gives."""

import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from mnist_helpers.keras_program import keras_program
from mnist_helpers.model import build_model, compile_model
from mnist_helpers.recipe import ARTICLE, BEST_DENSE, CRACK_99, distorts, has_many_steps
from mnist_helpers.training import train

FEW = replace(ARTICLE, epochs=2, training_images=5_000, batch_size=50, hidden_layers=3, units=40)
# `few batches` is short enough of steps not to be compiled by XLA; the others are.
EXACT = {
    "article": replace(ARTICLE, epochs=1),
    "few batches": replace(FEW, batch_size=500),
    "batch norm and weight decay": replace(FEW, batch_norm=True, weight_decay=0.5),
    "early stopping": replace(
        FEW, hidden_layers=1, activation="tanh", last_activation="tanh", epochs=30, patience=1, learning_rate=0.01
    ),
    "no hidden layer": replace(FEW, hidden_layers=0),
    "leaking": replace(ARTICLE, epochs=1, validation="leaking", batch_size=2_000),
}
NEAR = {
    "partial batch": replace(FEW, batch_size=64),
    "dropout and augmentation": replace(FEW, dropout=0.1, rotation=10.0, zoom=0.1, shift=1.0, shear=0.1, elastic=1.0),
    "weight averaging": replace(FEW, ema_momentum=0.95),
    "cosine and label smoothing": replace(FEW, schedule="cosine", warmup_epochs=1, label_smoothing=0.1),
}


def run(program, capsys):
    space = {}
    exec(compile(program, "program", "exec"), space)
    assert "accuracy" in capsys.readouterr().out
    return space["model"], space["history"]


@pytest.mark.slow
@pytest.mark.parametrize("name", EXACT)
def test_the_program_gives_the_same_weights_bit_for_bit(mnist, capsys, name):
    program = keras_program(EXACT[name], seed=3)
    assert "# Gives the panel's weights, bit for bit" in program
    model, history = run(program, capsys)
    ours = train(EXACT[name], mnist, seed=3, progress=False)
    for theirs, expected in zip(model.get_weights(), ours.model.get_weights(), strict=True):
        np.testing.assert_array_equal(theirs, expected)
    assert history["val_accuracy"][-1] == pytest.approx(ours.history["val_accuracy"][-1], abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", NEAR)
def test_elsewhere_the_result_is_near_and_the_program_says_so(mnist, capsys, name):
    program = keras_program(NEAR[name], seed=3)
    assert "bit for bit" not in program
    _, history = run(program, capsys)
    ours = train(NEAR[name], mnist, seed=3, progress=False)
    assert history["val_accuracy"][-1] == pytest.approx(ours.history["val_accuracy"][-1], abs=0.05)


def test_the_program_is_in_the_house_style():
    for recipe in [*EXACT.values(), *NEAR.values()]:
        checked = subprocess.run(
            [sys.executable, "-m", "ruff", "check", "--select", "E,F,W", "--line-length", "78", "-"],
            input=keras_program(recipe),
            capture_output=True,
            text=True,
            check=False,
        )
        assert checked.returncode == 0, checked.stdout


# ---------------------------------------------------------------- without training


@pytest.fixture
def dry_run(mnist, monkeypatch):
    """Run programs up to their training; give the model, and what each call of `fit` was given."""

    def run(program, losses=()):
        fits, losses = [], iter(losses)

        def fit(model, *data, **options):
            fits.append((*data, options))
            return SimpleNamespace(history={"val_loss": [next(losses, 0.0)]})

        monkeypatch.setattr("mnist_helpers.data.load_mnist", lambda: mnist)
        monkeypatch.setattr(keras.Sequential, "fit", fit)
        space = {}
        exec(compile(program, "program", "exec"), space)
        return space["model"], fits

    return run


def layers(model):
    """Give kind, size and activation of each layer but one that distorts, an activation as a layer of its own."""
    found = []
    for layer in model.layers:
        config = layer.get_config()
        activation = config.pop("activation", "linear")
        sizes = {name: config[name] for name in ("units", "rate") if name in config}
        if type(layer).__name__ not in ("Activation", "Distort"):
            found.append((type(layer).__name__, sizes))
        if activation != "linear":
            found.append(activation)
    return found


RECIPES = EXACT | NEAR | {"cosine": replace(FEW, schedule="cosine")}
RECIPES |= {name: replace(ours, training_images=5_000) for name, ours in {"99": CRACK_99, "best": BEST_DENSE}.items()}


@pytest.mark.parametrize("name", RECIPES)
def test_the_program_has_the_recipes_layers_optimiser_and_loss(dry_run, name):
    recipe = RECIPES[name]
    model, fits = dry_run(keras_program(recipe, seed=3))
    ours = compile_model(build_model(recipe, seed=3), recipe)
    assert layers(model) == layers(ours)
    theirs, expected = ({**each.optimizer.get_config(), "name": "adam"} for each in (model, ours))
    assert theirs == expected
    assert model.loss.get_config()["from_logits"]
    assert model.loss.get_config().get("label_smoothing", 0.0) == recipe.label_smoothing
    if not recipe.dropout:  # for which Keras draws a seed as well
        for theirs, expected in zip(model.get_weights(), ours.get_weights(), strict=True):
            np.testing.assert_array_equal(theirs, expected)
    for images, labels, options in fits:
        assert images.shape == (recipe.training_images, 784) and len(labels) == len(images)
        assert options["batch_size"] == recipe.batch_size
        held_out, held_out_labels = options["validation_data"]
        assert held_out.shape == (6_000, 784) and len(held_out_labels) == options["validation_batch_size"] == 6_000


@pytest.mark.parametrize("name", RECIPES)
def test_the_program_trains_as_many_epochs_on_the_runs_images_in_the_runs_order(dry_run, mnist, name):
    recipe = RECIPES[name]
    model, fits = dry_run(keras_program(recipe, seed=3), losses=range(recipe.epochs, 0, -1))
    assert sum(options.get("epochs", 1) for *_, options in fits) == recipe.epochs
    assert model.jit_compile == (has_many_steps(recipe) and not distorts(recipe))
    if recipe.validation == "held_out" and not recipe.ema_momentum:
        order = np.random.default_rng(3)
        for images, _, options in fits[:2]:
            np.testing.assert_array_equal(images[:50], mnist.train.flat[order.permutation(recipe.training_images)[:50]])
            assert options["shuffle"] is False


def test_the_program_stops_as_early_as_the_run(dry_run):
    recipe = replace(FEW, epochs=30, patience=2)
    _, fits = dry_run(keras_program(recipe), losses=[0.5, 0.3, 0.4, 0.3, 0.2])
    assert len(fits) == 4


@pytest.mark.parametrize(
    ("recipe", "sizes"),
    [
        (NEAR["dropout and augmentation"], {"rotation": 10.0, "zoom": 0.1, "shift": 1.0, "shear": 0.1, "elastic": 1.0}),
        (replace(FEW, elastic=0.5), {"rotation": 0.0, "zoom": 0.0, "shift": 0.0, "elastic": 0.5}),
    ],
)
def test_the_program_distorts_in_training_alone_and_as_the_recipe_says(dry_run, monkeypatch, recipe, sizes):
    given = []
    monkeypatch.setattr("mnist_helpers.augment.distort", lambda images, _, **sizes: given.append(sizes) or images)
    model, _ = dry_run(keras_program(recipe))
    given.clear()
    model(np.zeros((2, 784), np.float32), training=False)
    assert given == []
    model(np.zeros((2, 784), np.float32), training=True)
    assert given == [sizes]


def test_a_program_for_all_images_cuts_none_off():
    assert "[:" not in keras_program(ARTICLE) and "mnist.train.flat[:5000]" in keras_program(FEW)


@pytest.mark.parametrize(
    ("recipe", "promise"),
    [
        (ARTICLE, "Gives the panel's weights, bit for bit"),
        (replace(ARTICLE, schedule="cosine"), "Gives the panel's result to rounding"),
        (replace(ARTICLE, label_smoothing=0.1), "Gives the panel's result to rounding"),
        (replace(ARTICLE, batch_size=499), "Gives the panel's result to rounding"),
        (replace(ARTICLE, dropout=0.1), "Keras draws other random numbers for dropout:"),
        (replace(ARTICLE, dropout=0.1, shift=1), "Keras draws other random numbers for dropout and augmentation:"),
        (replace(ARTICLE, ema_momentum=0.9), "Keras draws other random numbers for the order of the images:"),
    ],
)
def test_the_head_says_what_was_asked_for_and_what_holds(recipe, promise):
    head = [line[2:] for line in keras_program(recipe, seed=7).splitlines() if line.startswith("# ")]
    text = " ".join(head)
    assert text.startswith(f"{recipe}; seed 7 {promise}")
