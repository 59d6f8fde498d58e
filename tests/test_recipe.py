"""A recipe holds what it was given, or says in one sentence why it cannot."""

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_helpers.recipe import (
    ARTICLE,
    HIGHEST_SEED,
    SIZES,
    XLA_PAYS_FROM,
    Recipe,
    RecipeError,
    checked_seed,
    distorts,
    has_many_steps,
    shape_of,
)

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


# Of every hyperparameter that is a number the ends of its range, and whether they are accepted themselves.
ENDS = {
    "hidden_layers": (0, 50),
    "units": (1, 8_192),
    "dropout": (0.0, 1.0),
    "weight_decay": (0.0, math.inf),
    "batch_size": (1, 54_000),
    "epochs": (1, 10_000),
    "learning_rate": (0.0, math.inf),
    "warmup_epochs": (0, 10_000),
    "patience": (0, 10_000),
    "ema_momentum": (0.0, 1.0),
    "label_smoothing": (0.0, 1.0),
    "rotation": (0.0, 180.0),
    "zoom": (0.0, 1.0),
    "shift": (0.0, 28.0),
    "shear": (0.0, 1.0),
    "elastic": (0.0, 28.0),
    "training_images": (10, 54_000),
}
REFUSED_ENDS = {
    *(("dropout", 1.0), ("ema_momentum", 1.0), ("label_smoothing", 1.0), ("zoom", 1.0), ("learning_rate", 0.0)),
    *(("weight_decay", math.inf), ("learning_rate", math.inf)),
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


@pytest.mark.parametrize("name", ENDS)
def test_a_range_ends_where_it_says(name):
    def is_refused(value):
        try:
            Recipe(**{name: value})
        except RecipeError as error:
            return "; expected a whole number from" in str(error) or "; expected a finite number" in str(error)
        return False

    lowest, highest = ENDS[name]
    step = 1 if isinstance(lowest, int) else 1e-9
    assert is_refused(lowest - step) and is_refused(highest + step)
    assert not is_refused(lowest + step) and not is_refused(min(highest, 1e300) - step)
    assert [is_refused(end) for end in (lowest, highest)] == [(name, end) in REFUSED_ENDS for end in (lowest, highest)]


def test_the_documentation_says_what_is_accepted():
    text = " ".join(Recipe.__doc__.split())
    for words in (
        "Number of hidden layers, 0 to 50.",
        "Width of each hidden layer, 1 to 8,192.",
        "hidden layer but the last: one of ``'relu'``, ``'leaky_relu'``, ``'sigmoid'``, ``'tanh'``.",
        "in a training step, at least 0 and below 1.",
        "in pixels, from 0 to 28.",
        "Step size of Adam, above 0;",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("value", "nearest"),
    [
        *(("rleu", "relu"), ("leaky relu", "leaky_relu"), ("sigmoyd", "sigmoid"), ("smooth relu", "relu")),
        ("TANH", None),
    ],
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


@pytest.mark.parametrize("name", ENDS)
def test_a_number_in_quotation_marks_is_none(name):
    with pytest.raises(RecipeError, match=f"{name} is '0'; expected a"):
        Recipe(**{name: "0"})


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


def test_one_epoch_of_warm_up_less_than_the_epochs_is_accepted():
    assert Recipe(schedule="cosine", warmup_epochs=4, epochs=5).warmup_epochs == 4


def test_numbers_are_written_with_their_thousands():
    with pytest.raises(RecipeError, match=r"^warmup_epochs is 2,000 of 1,000 epochs; expected fewer than epochs"):
        Recipe(schedule="cosine", warmup_epochs=2_000, epochs=1_000)
    with pytest.raises(RecipeError, match=r"expected 54,000, because that split is drawn anew from all images"):
        Recipe(validation="leaking", training_images=1_000)


@pytest.mark.parametrize("name", ["rotation", "zoom", "shift", "shear", "elastic"])
def test_each_distortion_alone_distorts(name):
    assert not distorts(ARTICLE)
    assert distorts(dataclasses.replace(ARTICLE, **{name: 0.5}))


def test_xla_is_used_from_so_many_steps_on():
    of_steps = [Recipe(training_images=steps * 100, batch_size=100) for steps in (XLA_PAYS_FROM - 1, XLA_PAYS_FROM)]
    assert [has_many_steps(recipe) for recipe in of_steps] == [False, True]


SHAPE = {
    "hidden_layers": 2,
    "units": 30,
    "activation": "tanh",
    "last_activation": "tanh",
    "batch_norm": True,
    "batch_size": 250,
    "validation": "leaking",
    **dict.fromkeys(("dropout", "weight_decay", "ema_momentum", "label_smoothing"), 0.3),
    **dict.fromkeys(("rotation", "zoom", "shift", "shear", "elastic"), 0.3),
}
NO_SHAPE = {"epochs": 3, "learning_rate": 0.1, "patience": 2, "training_images": 50_000, **dict.fromkeys(SIZES, 0.2)}


@pytest.mark.parametrize("name", SHAPE)
def test_what_is_part_of_a_shape_makes_another_one(name):
    assert shape_of(dataclasses.replace(ARTICLE, **{name: SHAPE[name]}))[0] != shape_of(ARTICLE)[0]


@pytest.mark.parametrize("name", NO_SHAPE)
def test_what_is_no_part_of_a_shape_makes_none(name):
    used = dataclasses.replace(ARTICLE, **{name: 0.3}) if name in SIZES else ARTICLE
    assert shape_of(dataclasses.replace(used, **{name: NO_SHAPE[name]})) == shape_of(used)


def test_a_smaller_last_batch_and_many_steps_are_part_of_a_shape():
    assert shape_of(ARTICLE)[1:] == (False, True)
    assert shape_of(dataclasses.replace(ARTICLE, batch_size=499))[1:] == (True, True)
    assert shape_of(dataclasses.replace(ARTICLE, batch_size=5_000))[1:] == (True, False)


def test_a_seed_is_a_whole_number_that_tensorflow_takes():
    assert [checked_seed(seed) for seed in (0, np.int64(7), HIGHEST_SEED)] == [0, 7, 2_147_483_647]
    for seed in (-1, 2_147_483_648, True, 1.0, "1"):
        with pytest.raises(RecipeError, match=r"expected a whole number from 0 to 2,147,483,647\."):
            checked_seed(seed)
