"""A recipe holds what it was given, or says in one sentence why it cannot."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_helpers.recipe import ARTICLE, Recipe, RecipeError

REFUSED = {
    "hidden_layers": st.one_of(st.integers(max_value=-1), st.integers(51), st.floats(), st.booleans(), st.text()),
    "units": st.one_of(st.integers(max_value=0), st.integers(8193), st.none()),
    "activation": st.text().filter(lambda text: text not in ("relu", "leaky_relu", "sigmoid", "tanh")),
    "last_activation": st.one_of(st.none(), st.integers()),
    "dropout": st.one_of(st.just(1.0), st.floats(1), st.floats(max_value=-1e-9), st.just(float("nan")), st.text()),
    "weight_decay": st.one_of(st.floats(max_value=-1e-9), st.just(float("inf")), st.booleans()),
    "batch_norm": st.one_of(st.integers(), st.text(), st.none()),
    "batch_size": st.one_of(st.integers(max_value=0), st.integers(54_001), st.just(500.0)),
    "epochs": st.one_of(st.integers(max_value=0), st.integers(10_001)),
    "learning_rate": st.one_of(st.just(0.0), st.floats(max_value=0), st.just(float("nan")), st.just("fast")),
    "schedule": st.text().filter(lambda text: text not in ("constant", "cosine")),
    "warmup_epochs": st.one_of(st.integers(max_value=-1), st.integers(10_001), st.just(0.5)),
    "patience": st.one_of(st.integers(max_value=-1), st.integers(10_001), st.booleans()),
    "ema_momentum": st.one_of(st.just(1.0), st.floats(1), st.floats(max_value=-1e-9), st.booleans()),
    "label_smoothing": st.one_of(st.floats(1), st.floats(max_value=-1e-9), st.none()),
    "rotation": st.one_of(st.floats(180.1), st.floats(max_value=-1e-9), st.text()),
    "zoom": st.one_of(st.floats(1), st.floats(max_value=-1e-9), st.just(float("nan"))),
    "shift": st.one_of(st.floats(28.1), st.floats(max_value=-1e-9), st.booleans()),
    "shear": st.one_of(st.floats(1.01), st.floats(max_value=-1e-9), st.text()),
    "elastic": st.one_of(st.floats(28.1), st.floats(max_value=-1e-9), st.none()),
    "training_images": st.one_of(st.integers(max_value=9), st.integers(54_001)),
    "validation": st.text().filter(lambda text: text not in ("held_out", "leaking")),
}


def test_the_article_is_as_the_article_says():
    assert dataclasses.asdict(ARTICLE) == {
        "hidden_layers": 6,
        "units": 100,
        "activation": "relu",
        "last_activation": "leaky_relu",
        "dropout": 0.0,
        "weight_decay": 0.0,
        "batch_norm": False,
        "batch_size": 500,
        "epochs": 10,
        "learning_rate": 0.001,
        "schedule": "constant",
        "warmup_epochs": 0,
        "patience": 0,
        "ema_momentum": 0.0,
        "label_smoothing": 0.0,
        "rotation": 0.0,
        "zoom": 0.0,
        "shift": 0.0,
        "shear": 0.0,
        "elastic": 0.0,
        "training_images": 54_000,
        "validation": "held_out",
    }


def test_every_field_has_values_that_are_refused():
    assert set(REFUSED) == {field.name for field in dataclasses.fields(Recipe)}


@given(st.data())
def test_nonsense_is_refused_with_a_sentence(choices):
    name = choices.draw(st.sampled_from(sorted(REFUSED)))
    value = choices.draw(REFUSED[name])
    with pytest.raises(RecipeError) as caught:
        Recipe(**{name: value})
    assert str(caught.value).startswith(f"{name} is {value!r}; expected ")


@pytest.mark.parametrize(
    ("value", "nearest"), [("rleu", "relu"), ("leaky relu", "leaky_relu"), ("sigmoyd", "sigmoid"), ("TANH", None)]
)
def test_the_nearest_activation_is_named(value, nearest):
    with pytest.raises(RecipeError) as caught:
        Recipe(activation=value)
    assert (f"Did you mean {nearest!r}?" in str(caught.value)) == (nearest is not None)


def test_leaking_wants_all_images():
    with pytest.raises(RecipeError, match="training_images is 1,000"):
        Recipe(validation="leaking", training_images=1000)


@pytest.mark.parametrize(
    ("other", "case"), [({"patience": 2}, "early stopping"), ({"validation": "leaking"}, "a leaking validation set")]
)
def test_averaging_wants_whole_runs_and_a_held_out_set(other, case):
    with pytest.raises(RecipeError, match=rf"ema_momentum is 0\.9 with {case}; expected 0"):
        Recipe(ema_momentum=0.9, **other)


def test_numbers_from_numpy_become_plain_ones():
    recipe = Recipe(units=np.int64(30), dropout=np.float32(0.5), learning_rate=1)
    assert [type(value) for value in (recipe.units, recipe.dropout, recipe.learning_rate)] == [int, float, float]
    assert recipe == Recipe(units=30, dropout=0.5, learning_rate=1.0)


def test_a_recipe_cannot_be_changed_and_says_what_is_special():
    with pytest.raises(dataclasses.FrozenInstanceError):
        ARTICLE.units = 30
    assert str(ARTICLE) == "the article's recipe"
    assert str(dataclasses.replace(ARTICLE, units=30, batch_norm=True)) == "units=30, batch_norm=True"


def test_the_warm_up_belongs_to_the_cosine_and_is_shorter_than_the_run():
    with pytest.raises(RecipeError, match="warmup_epochs is 2 with a constant learning rate; expected 0"):
        Recipe(warmup_epochs=2)
    with pytest.raises(RecipeError, match="warmup_epochs is 5 of 5 epochs; expected fewer"):
        Recipe(schedule="cosine", warmup_epochs=5, epochs=5)


def test_the_last_partial_batch_counts_as_a_step():
    assert ARTICLE.steps_per_epoch == 108
    assert dataclasses.replace(ARTICLE, batch_size=499).steps_per_epoch == 109
