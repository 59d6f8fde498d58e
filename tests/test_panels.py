"""The panels as Python sees them; how they look and behave in JupyterLab is in `test_jupyter.py`."""

import json
import re
from dataclasses import asdict, replace

import pytest
from traitlets import TraitError

from mnist_helpers import panels
from mnist_helpers.controls import CONTROLS
from mnist_helpers.model import build_model
from mnist_helpers.panels import (
    PanelError,
    RetrainPanel,
    challenge_panel,
    draw_panel,
    explore_panel,
    model_of,
    retrain_panel,
)
from mnist_helpers.recipe import ARTICLE, CRACK_99, RecipeError
from mnist_helpers.sweep import save_run
from mnist_helpers.training import train

SMALL = replace(ARTICLE, hidden_layers=1, units=16, epochs=3)
WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture(scope="module")
def run(mnist):
    return train(SMALL, mnist, progress=False)


@pytest.fixture
def store(run, tmp_path):
    save_run(run, tmp_path)
    return tmp_path


@pytest.fixture
def panel(mnist, store):
    return retrain_panel(SMALL, mnist, store=store)


def html(widget):
    return widget._repr_mimebundle_()[0]["text/html"]


def test_a_panel_has_two_faces(panel, run, mnist):
    for widget in (panel, draw_panel(run, mnist), explore_panel(mnist, run)):
        bundle, _ = widget._repr_mimebundle_()
        assert bundle[WIDGET]["model_id"] == widget.model_id
        assert '<figure class="panel-still">' in bundle["text/html"]
        assert "run this notebook on your own machine" in bundle["text/html"]
        assert bundle["text/plain"] == repr(widget)
    assert repr(panel) == f"RetrainPanel({SMALL}; 1 runs)"


def test_the_still_is_the_last_result(panel, run, mnist, tmp_path):
    assert "Nothing has been trained" in html(retrain_panel(SMALL, mnist, store=tmp_path / "empty"))
    accuracy = run.history["val_accuracy"][-1]
    text = f"The article's network with {SMALL}, seed 0: validation accuracy {accuracy:.1%} after 3 epochs."
    assert text in html(panel).replace("&#x27;", "'")
    assert '<img src="data:image/svg+xml;base64,' in html(panel)


def test_the_stills_of_the_other_panels_show_what_the_network_says(run, mnist):
    assert "the answer to the first validation image" in html(draw_panel(run, mnist))
    assert "The ten validation images with the highest loss" in html(explore_panel(mnist, run))


def test_the_page_is_told_the_recipe_the_seed_and_the_controls(run, mnist, store, tmp_path):
    panel = retrain_panel(SMALL, mnist, ["epochs", "units"], seed=3, store=tmp_path / "empty")
    attributes = dict(re.findall(r'([a-z]+)="([^"]*)"', html(panel).split(">")[0].replace("&quot;", "'")))
    assert attributes["view"] == "retrain" and attributes["seed"] == "3" and attributes["controls"] == "units epochs"
    assert attributes["recipe"] == str({"hidden_layers": 1, "units": 16, "epochs": 3})
    assert "controls=" not in html(retrain_panel(SMALL, mnist, store=store)).split(">")[0]
    # A panel that asks a network of its own tells which; one that asks a retrain panel leaves that to it.
    assert "recipe=" in html(draw_panel(run, mnist)).split(">")[0]
    assert "recipe=" not in html(draw_panel(retrain_panel(SMALL, mnist, store=store), mnist)).split(">")[0]


def test_the_program_is_told_what_it_has_to_know(panel, mnist):
    setup = json.loads(json.dumps(panel.setup))
    assert setup["recipe"] == asdict(SMALL) and setup["seed"] == 0
    assert setup["collections"] == [{"training": 54_000, "validation": 6_000}]
    assert setup["controlNames"] == [control.name for control in CONTROLS]
    # And the run that the store had, with what it takes to follow it.
    (known,) = json.loads(json.dumps(panel.saved))["trials"]
    assert (known["recipe"], known["seed"]) == (asdict(SMALL), 0) and panel.saved["shown"] == known["number"] == 1
    assert panel.runs[0].history["val_loss"]


def test_the_program_holds_each_module_once_and_behind_what_it_needs():
    program = panels._program()
    names = [path.name for path in panels.PROGRAM.glob("*.js")]
    first_lines = {name: (panels.PROGRAM / name).read_text().splitlines()[0] for name in names}
    places = {name: program.index(line) for name, line in first_lines.items()}
    assert all(program.count(line) == 1 for line in first_lines.values())
    assert places["elements.js"] < places["session.js"] < places["jupyter_widget.js"]
    assert not re.search(r"^import ", program, re.M)
    assert re.findall(r"^export .*", program, re.M) == ["export default {"]
    # Joined, the modules share their names, which a browser refuses to have twice.
    named = re.findall(r"^(?:const|let|class|(?:async )?function) (\w+)", program, re.M)
    assert [name for name in set(named) if named.count(name) > 1] == []


def test_a_click_reaches_the_engine_and_its_answer_the_page(mnist, monkeypatch):
    sent = []
    monkeypatch.setattr(RetrainPanel, "send", lambda self, message: sent.append(message))
    retrain_panel(SMALL, mnist)._handle_custom_msg({"do": "load", "question": "q"}, [])
    assert sent == [{"question": "q", "answer": True}]


def test_what_a_front_end_should_not_say_is_refused_and_the_panel_lives_on(panel, run, mnist, caplog, capsys):
    panel._handle_custom_msg({"do": "dance"}, [])
    said = caplog.text + capsys.readouterr().out  # where an earlier test has left a shell, that prints it
    assert "what to do is 'dance'; expected one of prepare, train, measure, stop, forget." in said
    saved = panel.saved
    with pytest.raises(TraitError, match="'saved' trait of a RetrainPanel instance expected a dict"):
        panel.set_state({"saved": "<script>"})
    panel.set_state({"setup": {"name": "another", "recipe": "none"}})
    assert panel.saved == saved
    assert draw_panel(panel, mnist).setup["asks"] == panel.name


def test_only_known_controls_and_seeds_are_taken(mnist):
    with pytest.raises(RecipeError, match="there is no control 'width'"):
        retrain_panel(SMALL, mnist, ["width"])
    with pytest.raises(RecipeError, match="seed is -1"):
        retrain_panel(SMALL, mnist, seed=-1)


def test_the_network_of_a_panel_is_its_newest(panel, run, mnist, tmp_path):
    assert model_of(run)[0] is run.model
    assert model_of(run.model) == (run.model, f"the model named {run.model.name}")
    accuracy = run.history["val_accuracy"][-1]
    assert model_of(run)[1] == f"the run with {SMALL} and seed 0, {accuracy:.1%} on the validation set"
    assert model_of(panel)[0] is panel.runs[-1].model
    assert draw_panel(panel, mnist).setup["asks"] == explore_panel(mnist, panel).setup["asks"] == panel.setup["name"]
    assert "given" in draw_panel(build_model(ARTICLE, 0), mnist).setup
    assert draw_panel(CRACK_99, mnist).setup["recipe"] == asdict(CRACK_99)
    with pytest.raises(PanelError, match=r"holds no trained network yet; expected one\. Press Train"):
        draw_panel(retrain_panel(SMALL, mnist, store=tmp_path / "empty"), mnist)
    with pytest.raises(PanelError, match="has no model; expected a run with its model, a Keras model, or a retrain"):
        draw_panel(replace(run, model=None), mnist)
    with pytest.raises(PanelError, match="'mnist' has no model"):
        explore_panel(mnist, "mnist")


def test_a_challenge_is_named_and_judges_a_retrain_panel(panel, run):
    challenge = challenge_panel("gap", panel)
    assert challenge.setup["asks"] == panel.name
    assert '<mnist-lab view="challenge" which="gap">' in html(challenge)
    with pytest.raises(PanelError, match="there is no challenge 'gape'; expected one of smallest, gap"):
        challenge_panel("gape", panel)
    with pytest.raises(PanelError, match="is no retrain panel; expected the one"):
        challenge_panel("gap", run)
