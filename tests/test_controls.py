"""What the controls of the panels offer is what a recipe accepts."""

from dataclasses import asdict, fields, replace

import pytest

from mnist_helpers.controls import AUGMENTATIONS, CONTROLS, checked_names, panel_setup
from mnist_helpers.recipe import ARTICLE, CRACK_99, HIGHEST_SEED, RULES, Recipe, RecipeError, checked_seed


def test_every_control_is_a_hyperparameter_and_its_choices_are_accepted():
    names = {field.name for field in fields(Recipe)}
    for control in CONTROLS:
        assert control.help.endswith(".")
        for choice in control.choices:
            if control.name == "seed":
                checked_seed(choice)
            elif control.name == "augmentation":
                replace(ARTICLE, **AUGMENTATIONS[choice])
            else:
                assert control.name in names
                replace(ARTICLE, **{control.name: choice})


def test_the_ranges_are_those_that_were_asked_for():
    choices = {control.name: control.choices for control in CONTROLS}
    assert choices["hidden_layers"] == tuple(range(9))
    assert (choices["units"][0], choices["units"][-1]) == (8, 512)
    assert (choices["batch_size"][0], choices["batch_size"][-1]) == (1, 10_000)
    assert 500 in choices["batch_size"]


def test_the_named_controls_come_in_the_panels_order():
    assert checked_names(("epochs", "units")) == ["units", "epochs"]
    assert checked_names("epochs") == ["epochs"]
    assert checked_names(None) == [control.name for control in CONTROLS]
    with pytest.raises(RecipeError, match="there is no control 'depth'; expected some of hidden_layers, units"):
        checked_names(["depth"])


def test_the_panels_are_told_which_hyperparameters_are_fractions():
    fractions = panel_setup()["fractions"]
    assert "dropout" in fractions and "learning_rate" in fractions
    assert not {"units", "epochs", "batch_norm", "activation"} & set(fractions)


def test_the_panels_are_told_the_ends_of_every_whole_number():
    whole = panel_setup()["whole"]
    assert whole["units"] == (1, 8_192) and whole["training_images"] == (10, 54_000)
    assert set(whole) == {field.name for field in fields(Recipe) if field.type is int}


def test_the_panels_are_told_controls_recipes_and_rules():
    setup = panel_setup()
    assert [control["name"] for control in setup["controls"]] == [control.name for control in CONTROLS]
    assert (setup["article"], setup["starts"]) == (asdict(ARTICLE), {"CRACK_99": asdict(CRACK_99)})
    assert (setup["rules"], setup["augmentations"]) == (RULES, AUGMENTATIONS)
    choices = {control.name: control.choices for control in CONTROLS}
    assert choices["seed"] == (0, HIGHEST_SEED) and choices["augmentation"] == tuple(AUGMENTATIONS)
