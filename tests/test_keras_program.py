"""The Keras program of a recipe gives the weights that ``train`` gives."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from mnist_helpers.keras_program import keras_program
from mnist_helpers.recipe import ARTICLE
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
