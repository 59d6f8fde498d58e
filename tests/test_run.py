"""A run says what it gave, and comes back from its JSON as it was."""

import json
import math
from dataclasses import FrozenInstanceError, replace

import pytest

from mnist_helpers.recipe import ARTICLE
from mnist_helpers.run import HISTORY, Run

HISTORY_OF_THREE = {name: [0.9 + place, 0.2 + place, 0.2 + place] for place, name in enumerate(HISTORY)}
NOTHING_YET = {name: [] for name in HISTORY}
RUN = Run(replace(ARTICLE, units=30), 3, HISTORY_OF_THREE, "a digest", {"python": "3.12"}, "a machine")


def test_a_history_has_kerass_names_and_our_two():
    assert HISTORY == ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")


def test_the_best_epoch_is_the_first_with_the_lowest_validation_loss():
    assert RUN.best_epoch == 2
    assert replace(RUN, history=NOTHING_YET).best_epoch is None


def test_a_run_says_what_came_of_it():
    assert repr(RUN) == "Run(units=30; seed 3; 3 epochs in 16.3 s; validation accuracy 3.2000)"
    assert repr(replace(RUN, history=NOTHING_YET)) == "Run(units=30; seed 3; no epoch finished)"


def test_a_run_cannot_be_changed_and_can_be_looked_up():
    with pytest.raises(FrozenInstanceError):
        RUN.seed = 4
    assert {RUN: "kept"}[RUN] == "kept" and replace(RUN) != RUN


@pytest.mark.parametrize("history", [HISTORY_OF_THREE, NOTHING_YET])
def test_a_run_comes_back_from_its_json_without_its_model(history):
    run = replace(RUN, history=history, model="a model")
    again = Run.from_json(run.to_json())
    assert again.model is None
    for name in ("recipe", "seed", "history", "digest", "versions", "hardware"):
        assert getattr(again, name) == getattr(run, name)
    assert Run.from_json(run.to_json(), model="another").model == "another"
    assert len(run.to_json().splitlines()) > 30, "to be looked at"


SPOILT = {
    "no seed": lambda values: values.pop("seed"),
    "a seed that is none": lambda values: values.update(seed="3"),
    "no recipe": lambda values: values.update(recipe=None),
    "an unknown hyperparameter": lambda values: values["recipe"].update(momentum=0.9),
    "a number beyond all floats": lambda values: values["recipe"].update(learning_rate=10**400),
    "an epoch less": lambda values: values["history"]["loss"].pop(),
    "a list too many": lambda values: values["history"].update(perplexity=[]),
    "a text for a list": lambda values: values.update(history=dict.fromkeys(values["history"], "ab")),
    "an endless loss": lambda values: values["history"].update(loss=[math.inf] * len(values["history"]["loss"])),
}


@pytest.mark.parametrize("spoil", [*SPOILT, "cut", "a list", "too deep"])
def test_json_of_something_else_is_refused(spoil):
    text = RUN.to_json()
    values = json.loads(text)
    if spoil in SPOILT:
        SPOILT[spoil](values)
    broken = {"cut": text[:-20], "a list": "[]", "too deep": "[" * 100_000}.get(spoil, json.dumps(values))
    with pytest.raises(ValueError, match=r"this is not the JSON of a run .*; expected what Run\.to_json wrote\."):
        Run.from_json(broken)
