"""The panels as Python sees them; how they look and behave in JupyterLab is in `test_jupyter.py`."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest

from mnist_helpers.drawing import picture_of
from mnist_helpers.model import build_model
from mnist_helpers.panels import (
    PanelError,
    RetrainPanel,
    changed_settings,
    draw_panel,
    duration,
    explore_panel,
    model_of,
    progress_of,
    retrain_panel,
    view_of_session,
    view_of_trial,
)
from mnist_helpers.recipe import ARTICLE, RecipeError
from mnist_helpers.session import Trial
from mnist_helpers.training import train

SMALL = replace(ARTICLE, hidden_layers=1, units=16, epochs=2)
WIDGET = "application/vnd.jupyter.widget-view+json"
SEVEN = [[(0.2, 0.15), (0.8, 0.15), (0.45, 0.9)]]


@pytest.fixture(scope="module")
def run(mnist):
    return train(replace(SMALL, units=32), mnist, progress=False)


@pytest.fixture
def panel(mnist, tmp_path):
    panel = retrain_panel(SMALL, mnist, store=tmp_path)
    yield panel
    panel.session.stop()
    panel.session.wait()


def html(widget):
    return widget._repr_mimebundle_()[0]["text/html"]


def test_a_panel_has_two_faces(panel, run, mnist):
    for widget in (panel, draw_panel(run, mnist), explore_panel(mnist, run)):
        bundle, _ = widget._repr_mimebundle_()
        assert bundle[WIDGET]["model_id"] == widget.model_id
        assert '<figure class="panel-still">' in bundle["text/html"]
        assert "run this notebook on your own machine" in bundle["text/html"]


def test_the_still_is_the_last_result(panel, mnist, tmp_path):
    assert "Nothing has been trained" in html(panel)
    panel._do_train()
    panel.session.wait()
    accuracy = panel.runs[-1].history["val_accuracy"][-1]
    assert (
        f"The article's network with hidden layers 1, units 16, epochs 2, seed 0: validation accuracy {accuracy:.1%}"
        in (html(panel).replace("&#x27;", "'"))
    )
    assert '<img src="data:image/png;base64,' in html(panel)
    # In a new kernel, as when the book is built, it comes from the store.
    assert html(retrain_panel(SMALL, mnist, store=tmp_path)) == html(panel)


def test_the_stills_of_the_other_panels_show_what_the_network_says(run, mnist):
    assert "the answer to the first validation image" in html(draw_panel(run, mnist))
    assert "The ten validation images with the highest loss" in html(explore_panel(mnist, run))


def test_what_is_shown_is_json_at_every_stage(panel):
    def shown():
        return json.loads(json.dumps([panel.state, panel.trials, panel.live, panel.setup]))

    assert shown()[0]["expected"].endswith(" s")
    assert shown()[0]["parameters"] == f"{785 * 16 + 17 * 10:,}"
    seen = []
    panel.observe(lambda change: seen.append(change.new), "live")
    panel._do_train()
    panel.session.wait()
    live = [trial for trial in seen if trial]
    assert len(live[-1]["curve"][0]) == len(live[-1]["curve"][2]) > len(live[0]["curve"][0])
    state, (trial,), now, _ = shown()
    assert now is None
    assert not state["training"]
    assert trial["best"].endswith("%")
    assert trial["openable"]
    panel._do_set("units", "many")
    assert shown()[0]["problem"]["name"] == "units"
    assert shown()[0]["expected"] is None
    panel._do_reset()
    panel._do_set("seed", None)  # an empty field
    assert shown()[0]["problem"]["sentence"].startswith("seed is empty; expected a whole number")


def test_the_clicks_reach_the_session(panel, monkeypatch):
    for message in (
        {"do": "set", "name": "epochs", "value": 1},
        {"do": "automatic", "on": False},
        {"do": "train"},
        {"do": "stop"},
        {"do": "reset"},
        {"do": "hello"},
    ):
        panel._obey(message)
    panel.session.wait()
    panel._obey({"do": "train"})
    panel.session.wait()
    number = panel.trials[-1]["number"]
    panel._obey({"do": "change", "number": number, "name": "mine", "pinned": True})
    panel._obey({"do": "test", "number": number})
    panel._obey({"do": "use", "number": number})
    assert panel.trials[-1]["title"] == "mine"
    assert panel.trials[-1]["test"].endswith("%")
    panel._obey({"do": "clear"})
    assert len(panel.trials) == 1
    sent = []
    monkeypatch.setattr(panel, "send", sent.append)
    panel._obey({"do": "program"})
    assert "model.fit(" in sent[0]["program"]


def test_only_the_named_controls_are_set_up(mnist, tmp_path):
    panel = retrain_panel(SMALL, mnist, ["epochs", "units"], store=tmp_path)
    groups = {name: [control["name"] for control in controls] for name, controls in panel.setup["groups"].items()}
    assert groups == {"Network": ["units"], "Training": ["epochs"]}
    assert panel.setup["reset"] == "Reset to the start"
    with pytest.raises(RecipeError, match="there is no control 'width'"):
        retrain_panel(SMALL, mnist, ["width"])


def test_a_drawing_is_answered(run, mnist):
    panel = draw_panel(run, mnist)
    assert panel.result["blank"]
    panel._do_draw(SEVEN, still=False)
    assert panel.result["closest"] == []
    panel._do_draw(SEVEN, still=True)
    logits = run.model.predict(picture_of(SEVEN).reshape(1, -1) / np.float32(255), verbose=0)
    assert panel.result["probabilities"] == pytest.approx(keras.ops.softmax(logits)[0].numpy(), abs=1e-4)
    assert len(panel.result["closest"]) == 5
    assert "7" in [image["label"] for image in panel.result["closest"]]
    seen = []
    panel.observe(seen.append, "result")
    for _ in range(2):  # the sheet waits for an answer even if it is the same
        panel._do_draw([], still=True)
    assert panel.result["blank"]
    assert len(seen) == 2


def test_a_move_that_changes_nothing_is_answered_too(panel):
    seen = []
    panel.observe(seen.append, "state")
    panel._do_set("units", 16)
    assert panel.state["settings"]["units"] == 16
    assert len(seen) == 1


def test_clearing_the_runs_leaves_the_other_panels_their_network(panel, mnist):
    panel._do_train()
    panel.session.wait()
    drawing, exploring = draw_panel(panel, mnist), explore_panel(mnist, panel)
    panel._do_clear()
    drawing._do_draw(SEVEN, still=False)
    exploring._do_again()
    assert len(drawing.result["probabilities"]) == 10


def test_exploring_finds_the_images_of_a_cell_and_the_most_wrong_first(run, mnist):
    panel = explore_panel(mnist, run)
    logits = run.model.predict(mnist.validation.flat, verbose=0)
    answers, labels = logits.argmax(axis=1), mnist.validation.labels
    assert np.array(panel.confusion).sum() == 6_000
    assert panel.confusion[4][9] == np.sum((labels == 4) & (answers == 9))

    losses = keras.losses.sparse_categorical_crossentropy(labels, logits, from_logits=True).numpy()
    assert [image["index"] for image in panel.images["images"][:3]] == list(np.argsort(-losses)[:3])

    panel._do_show("validation", label=4, said=9)
    assert panel.images["total"] == panel.confusion[4][9]
    assert all((image["label"], image["said"], image["right"]) == ("4", "9", False) for image in panel.images["images"])
    panel._do_show("validation", label=3, order="index")
    assert [image["index"] for image in panel.images["images"]] == list(np.flatnonzero(labels == 3)[:40])
    panel._do_show("training", order="index", start=53_999)
    assert panel.images["images"][-1]["index"] == 53_999
    panel._do_show("validation", order="index", start=-5)
    assert panel.images["start"] == 0


def test_units_are_shown_page_by_page(mnist, run):
    panel = explore_panel(mnist, build_model(replace(ARTICLE, units=118)))
    assert (len(panel.weights["units"]), panel.weights["total"]) == (24, 118)
    panel._do_units(100)
    assert (len(panel.weights["units"]), panel.weights["start"]) == (22, 96)
    panel._do_units(9_999)
    assert panel.weights["start"] == 96


def test_the_network_of_a_panel_is_the_one_it_shows(panel, run, mnist):
    assert model_of(run)[0] is run.model
    assert model_of(run.model)[0] is run.model
    with pytest.raises(PanelError, match=r"holds no trained network yet; expected one\. Press Train"):
        draw_panel(panel, mnist)
    panel._do_train()
    panel.session.wait()
    assert model_of(panel)[0] is panel.runs[-1].model
    with pytest.raises(PanelError, match="has no model; expected a run with its model, a Keras model, or a retrain"):
        draw_panel(replace(run, model=None), mnist)
    with pytest.raises(PanelError, match="'mnist' has no model"):
        explore_panel(mnist, "mnist")


def test_asking_again_takes_the_newest_network(panel, mnist):
    panel._do_train()
    panel.session.wait()
    explorer = explore_panel(mnist, panel)
    before = explorer.weights["units"]
    panel._do_set("seed", 1)
    panel._do_train()
    panel.session.wait()
    assert explorer.network["name"].startswith("Run 1, ")
    assert explorer.network["newer"].startswith("Run 2, ")
    assert explorer.weights["units"] == before
    explorer._do_again()
    assert explorer.weights["units"] != before
    assert explorer.network["name"].startswith("Run 2, ")
    assert explorer.network["newer"] is None


def test_a_drawing_is_answered_by_the_newest_network(panel, mnist):
    panel._do_train()
    panel.session.wait()
    drawing = draw_panel(panel, mnist)
    panel._do_set("seed", 1)
    panel._do_train()
    panel.session.wait()
    assert drawing.network["name"].startswith("Run 2, ")
    drawing._do_draw(SEVEN, still=False)
    logits = panel.runs[-1].model.predict(picture_of(SEVEN).reshape(1, -1) / np.float32(255), verbose=0)
    assert drawing.result["probabilities"] == pytest.approx(keras.ops.softmax(logits)[0].numpy(), abs=1e-4)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (4.24, "4.2 s"), (42.4, "42 s"), (130, "2 min"), (3_600, "60 min"), (36_000, "10.0 h")],
)
def test_times_are_written_as_one_would_say_them(seconds, text):
    assert duration(seconds) == text


def test_a_trial_says_what_differs_and_how_far_it_is():
    trial = Trial(4, replace(ARTICLE, units=30, shift=2.0), 7)
    start = (ARTICLE, 0)
    assert changed_settings(trial, (ARTICLE, 7)) == "units 30, augmentation shifts"
    assert view_of_trial(trial, start)["differs"] == "units 30, seed 7, augmentation shifts"
    assert view_of_trial(Trial(1, ARTICLE, 0), start)["differs"] == ""
    odd = replace(ARTICLE, batch_norm=True, learning_rate=1e-5, training_images=1_000, activation="leaky_relu")
    assert changed_settings(Trial(1, odd, 0), start) == (
        "activation leaky relu, batch norm on, training images 1,000, learning rate 0.00001"
    )
    assert progress_of(trial, 10.0) == {"fraction": 0.0, "text": "Run 4 is getting ready"}
    trial.fraction, trial.name = 0.25, "wide"
    assert progress_of(trial, 8.0)["text"] == "wide: epoch 3 of 10, 6.0 s left"
    view = view_of_trial(trial, start)
    assert (view["best"], view["openable"], view["curve"]) == (None, False, [[], [], []])


def test_a_panel_and_its_session_show_the_same(panel):
    assert isinstance(panel, RetrainPanel)
    assert panel.state == view_of_session(panel.session) | {"moves": 0}
    assert repr(panel) == f"RetrainPanel({SMALL}; 0 runs)"
