"""Every setting that the panel offers makes a recipe, and every recipe a setting."""

from dataclasses import fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_helpers.controls import AUGMENTATIONS, CONTROLS, OWN_AUGMENTATION, chosen_controls, recipe_of, settings_of
from mnist_helpers.recipe import ARTICLE, Recipe, RecipeError


@given(st.fixed_dictionaries({c.name: st.sampled_from(c.choices) for c in CONTROLS}))
def test_a_setting_survives_the_way_to_a_recipe_and_back(settings):
    if settings["validation"] == "leaking":
        settings["training_images"] = 54_000
    assert settings_of(*recipe_of(settings, ARTICLE)) == settings


def test_every_control_is_a_hyperparameter_and_its_choices_are_accepted():
    names = {field.name for field in fields(Recipe)} | {"seed", "augmentation"}
    for control in CONTROLS:
        assert control.name in names
        assert control.help.endswith(".")
        for choice in control.choices:
            recipe_of(settings_of(ARTICLE, 0) | {control.name: choice}, replace(ARTICLE, validation="held_out"))


def test_the_ranges_are_those_that_were_asked_for():
    choices = {control.name: control.choices for control in CONTROLS}
    assert choices["hidden_layers"] == tuple(range(9))
    assert (choices["units"][0], choices["units"][-1]) == (8, 512)
    assert (choices["batch_size"][0], choices["batch_size"][-1]) == (1, 10_000)
    assert 500 in choices["batch_size"]


def test_what_no_control_sets_is_kept():
    base = replace(ARTICLE, schedule="cosine", warmup_epochs=1, rotation=3.0)
    settings = settings_of(base, 5)
    assert settings["augmentation"] == OWN_AUGMENTATION
    assert recipe_of(settings | {"units": 50}, base) == (replace(base, units=50), 5)
    assert recipe_of(settings | {"augmentation": "none"}, base)[0] == replace(base, rotation=0.0)


def test_a_constant_rate_takes_the_warm_up_away():
    base = replace(ARTICLE, schedule="cosine", warmup_epochs=1)
    settings = settings_of(base, 5)
    assert recipe_of(settings | {"schedule": "constant"}, base)[0] == ARTICLE
    assert recipe_of(settings, base)[0] == base


def test_a_control_offers_the_recipes_own_value_too():
    (units,) = chosen_controls(["units"], replace(ARTICLE, units=30))
    assert list(units.choices) == sorted({*units.choices, 30})
    (augmentation,) = chosen_controls(["augmentation"], replace(ARTICLE, shift=7.0))
    assert augmentation.choices == (*AUGMENTATIONS, OWN_AUGMENTATION)


def test_the_named_controls_come_in_the_panels_order():
    assert [c.name for c in chosen_controls(("epochs", "units"), ARTICLE)] == ["units", "epochs"]
    assert [c.name for c in chosen_controls("epochs", ARTICLE)] == ["epochs"]
    assert len(chosen_controls(None, ARTICLE)) == len(CONTROLS)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"validation": "leaking", "training_images": 1000}, "training_images"),
        ({"units": "many"}, "units"),
        ({"seed": -1}, "seed"),
        ({"seed": None}, "seed"),
        ({"augmentation": "mirrors"}, "augmentation"),
    ],
)
def test_a_bad_setting_names_its_control(settings, name):
    with pytest.raises(RecipeError, match=f"{name} is .*; expected") as caught:
        recipe_of(settings_of(ARTICLE, 0) | settings, ARTICLE)
    assert caught.value.name == name


def test_an_unknown_control_is_refused():
    with pytest.raises(RecipeError, match="there is no control 'depth'; expected some of hidden_layers, units"):
        chosen_controls(["depth"], ARTICLE)
