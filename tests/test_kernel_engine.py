"""What the kernel's engine does beyond the protocol (`test_protocol.py`): its store, and who follows a run."""

import threading
import time
from dataclasses import asdict, replace

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_helpers import kernel_engine
from mnist_helpers.kernel_engine import KernelEngine, MessageError
from mnist_helpers.model import build_model, losses_and_answers
from mnist_helpers.recipe import ARTICLE
from mnist_helpers.sweep import load_run, sweep
from mnist_helpers.training import Report

SMALL = replace(ARTICLE, hidden_layers=1, units=16, epochs=2)
LONG = replace(SMALL, epochs=10_000)


class Listened:
    """An engine, and what it has told."""

    def __init__(self, mnist, store=None, given=None):
        self.told = []
        self.engine = KernelEngine(mnist, self.told.append, store, given)

    def order(self, recipe, seed=0, number="mine", anew=False):
        self.engine.obey({"do": "train", "id": number, "recipe": asdict(recipe), "seed": seed, "anew": anew})

    def ended(self, number="mine"):
        give_up = time.monotonic() + 60
        while not (ended := [m for m in self.told if m.get("id") == number and "ended" in m]):
            assert time.monotonic() < give_up
            time.sleep(0.01)
        return ended[-1]

    def trained(self, recipe, **more):
        self.order(recipe, **more)
        return self.ended(more.get("number", "mine"))

    def ask(self, what, **more):
        self.engine.obey({"do": what, "question": "q"} | more)
        return next(m for m in reversed(self.told) if m.get("question") == "q")


@pytest.fixture
def listened(mnist, tmp_path):
    listened = Listened(mnist, tmp_path)
    yield listened
    for number in list(listened.engine._kept):
        listened.engine.obey({"do": "forget", "id": number})


def test_what_finished_is_in_the_store_for_the_next_engine(listened, mnist, tmp_path):
    ended = listened.trained(SMALL)
    assert not ended.get("stored")
    (run,) = listened.engine.runs
    assert load_run(SMALL, 0, mnist, tmp_path).history == run.history
    again = Listened(mnist, tmp_path)
    assert again.trained(SMALL)["stored"]
    assert again.engine.runs[0].history == run.history
    told = [m["val_loss"] for m in again.told if "epoch" in m]
    assert told == run.history["val_loss"]
    assert again.ended()["elapsed"] == pytest.approx(sum(run.history["seconds"]))
    again.told.clear()
    assert not again.trained(SMALL, number="other", anew=True).get("stored")


def test_a_run_of_a_sweep_comes_without_its_network_if_that_was_not_kept(mnist, tmp_path):
    sweep({"a": SMALL}, [3], mnist, store=tmp_path)
    listened = Listened(mnist, tmp_path)
    ended = listened.trained(SMALL, seed=3)
    assert ended["stored"] and (ended["weights"] is None) == (listened.engine.runs[0].model is None)


def test_a_damaged_run_in_the_store_is_trained_again(listened, mnist, tmp_path):
    listened.trained(SMALL)
    for path in tmp_path.rglob("*"):
        if path.is_file():
            path.write_bytes(b"damaged")
    again = Listened(mnist, tmp_path)
    assert not again.trained(SMALL).get("stored")
    assert again.engine.recall(replace(SMALL, units=20), 0) is None


def test_a_recalled_run_is_followed_like_any_other(listened, mnist, tmp_path):
    listened.trained(SMALL)
    again = Listened(mnist, tmp_path)
    number = again.engine.recall(SMALL, 0)
    reports = again.ask("follow", id=number)["answer"]
    assert [report["epoch"] for report in reports if "epoch" in report] == [1, 2]
    assert reports[-1]["ended"] == "finished" and reports[-1]["weights"] == number
    assert again.ask("follow", id="nobody")["answer"] == []


def test_who_follows_a_run_that_goes_on_misses_no_report(listened):
    listened.order(LONG)
    while not any("epoch" in message for message in listened.told):
        time.sleep(0.01)
    before = listened.ask("follow", id="mine")["answer"]
    place = next(i for i, message in enumerate(listened.told) if message.get("question"))
    listened.engine.obey({"do": "stop", "id": "mine"})
    listened.ended()
    assert before == [message for message in listened.told[:place] if message.get("id")]
    after = [message for message in listened.told[place:] if message.get("id")]
    assert listened.ask("follow", id="mine")["answer"] == before + after


def test_one_run_trains_at_a_time(listened, monkeypatch):
    at_once, most, counting, plain = 0, 0, threading.Lock(), kernel_engine.train

    def counted(*arguments, **named):
        nonlocal at_once, most
        with counting:
            at_once += 1
            most = max(most, at_once)
        try:
            return plain(*arguments, **named)
        finally:
            with counting:
                at_once -= 1

    monkeypatch.setattr(kernel_engine, "train", counted)
    for seed in range(4):
        listened.order(SMALL, seed, f"run {seed}")
    for seed in range(4):
        assert listened.ended(f"run {seed}")["ended"] == "finished"
    assert most == 1
    assert [run.seed for run in listened.engine.runs] == [0, 1, 2, 3]
    listened.engine.obey({"do": "forget", "id": "run 2"})
    assert [run.seed for run in listened.engine.runs] == [0, 1, 3]


def test_an_unforeseen_error_is_told_too(listened, monkeypatch):
    def fail(*_, **__):
        raise MemoryError("no room for it")

    monkeypatch.setattr(kernel_engine, "train", fail)
    ended = listened.trained(SMALL)
    assert (ended["ended"], ended["why"]) == ("failed", "MemoryError: no room for it")
    assert listened.engine.runs == []


def test_a_store_that_cannot_be_written_costs_no_run(mnist, tmp_path):
    (tmp_path / "file").touch()
    listened = Listened(mnist, tmp_path / "file")
    ended = listened.trained(SMALL)
    assert ended["ended"] == "finished"
    assert ended["note"].startswith("The run could not be put into the store")


def test_the_test_set_is_opened_by_a_question_about_it_alone(listened, mnist, caplog):
    opened = []
    spy = replace(mnist)
    object.__setattr__(spy, "open_test_set", lambda why: opened.append(why) or mnist.open_test_set(why))
    listened.engine._data = spy
    listened.trained(SMALL)
    listened.ask("split", id="mine", split="validation")
    listened.ask("images", split="training", places=[0])
    assert opened == []
    answer = listened.ask("split", id="mine", split="test", why="Run 1")["answer"]
    assert opened == ["panel, Run 1"]
    test = mnist.open_test_set("to compare with what the engine says")
    _, expected = listened.engine.runs[0].model.evaluate(test.flat, test.labels, verbose=0)
    assert answer["accuracy"] == pytest.approx(expected, abs=1e-6)


def test_a_given_network_is_asked_under_its_id(mnist):
    model = build_model(replace(ARTICLE, units=30), seed=0)
    listened = Listened(mnist, given=model)
    pixels = mnist.validation.images[0].ravel().tolist()
    answer = listened.ask("probabilities", id="given", pixels=pixels)["answer"]
    logits = model.predict(mnist.validation.flat[:1], verbose=0)
    assert answer == pytest.approx(keras.ops.softmax(logits)[0].numpy().tolist(), abs=1e-6)
    assert listened.ask("pictures", id="given", first=0, number=3)["answer"]["total"] == 30
    other = Listened(mnist, given=keras.Sequential([keras.Input((5,)), keras.layers.Dense(2)]))
    assert other.ask("pictures", id="given", first=0, number=3)["answer"] == {"total": 0, "units": []}
    losses, _ = losses_and_answers(model, mnist.validation)
    expected = keras.losses.sparse_categorical_crossentropy(
        mnist.validation.labels, model.predict(mnist.validation.flat, verbose=0), from_logits=True
    )
    np.testing.assert_allclose(losses, expected, rtol=1e-4, atol=1e-5)


def test_a_saved_run_that_is_opened_has_its_network_under_the_new_id(listened):
    listened.trained(SMALL, seed=4)
    file = listened.ask("file", id="mine")["answer"]
    opened = listened.ask("open", id="other", file=file)["answer"]
    assert (opened["recipe"], opened["seed"], opened["weights"]) == (asdict(SMALL), 4, "other")
    probabilities = [listened.ask("probabilities", id=id, pixels=[9] * 784)["answer"] for id in ("mine", "other")]
    np.testing.assert_allclose(*probabilities, atol=1e-6)


@pytest.mark.parametrize("picture", [[0] * 783, [0] * 783 + [256], [0] * 783 + [-1]])
def test_what_is_no_picture_is_refused(listened, picture):
    listened.trained(replace(SMALL, epochs=1))
    told = listened.ask("probabilities", id="mine", pixels=picture)
    assert told["why"].endswith("expected 784 grey values from 0 to 255.")


def test_a_thousand_pictures_at_most_are_given_at_once(listened):
    assert len(listened.ask("images", split="training", places=[0] * 1_000)["answer"]) == 1_000
    assert "from 0 to 1,000" in listened.ask("images", split="training", places=[0] * 1_001)["why"]


def test_what_is_prepared_is_not_trained(listened, monkeypatch):
    prepared = []
    monkeypatch.setattr(kernel_engine, "prepare", lambda recipe, data: prepared.append(recipe))
    listened.engine.obey({"do": "prepare", "recipe": asdict(SMALL)})
    give_up = time.monotonic() + 20
    while not prepared and time.monotonic() < give_up:
        time.sleep(0.01)
    assert prepared == [SMALL]
    assert listened.told == [] and listened.engine.runs == []


def test_the_points_are_the_means_between_the_reports():
    recipe = replace(SMALL, epochs=2)
    reports = [Report(1, step, 2, 108, loss, 0.5, {}) for step, loss in ((10, 2.0), (40, 1.5), (108, 1.0), (108, 1.0))]
    points = [kernel_engine._point(recipe, now, last) for last, now in zip([None, *reports], reports, strict=False)]
    # Between the reports the loss was (40 × 1.5 - 10 × 2.0) / 30 and (108 × 1.0 - 40 × 1.5) / 68.
    assert [point["loss"] for point in points[:3]] == pytest.approx([2.0, 4 / 3, 48 / 68])
    assert [point["at"] for point in points[:3]] == pytest.approx([5 / 108, 25 / 108, 74 / 108])
    assert [point["fraction"] for point in points[:3]] == pytest.approx([5 / 108, 20 / 108, 0.5])
    assert points[3] is None
    measured = [replace(now, gradients=norms) for now, norms in zip(reports, ([0.1, 2.0], [0.1, np.inf]), strict=False)]
    assert kernel_engine._point(recipe, measured[0], None)["gradients"] == [0.1, 2.0]
    assert "gradients" not in kernel_engine._point(recipe, measured[1], None) | points[0]


# ---------------------------------------------------------------- what no panel would say

HOSTILE = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.sampled_from(
            [2**63, -1, 1e308, "", "given", "stored", "__class__", "../../etc/passwd", "\ud800", "<img src=x>", 10**400]
        ),
        st.floats(),
        st.text(max_size=20),
    ),
    lambda values: st.lists(values, max_size=4) | st.dictionaries(st.text(max_size=9), values, max_size=4),
    max_leaves=6,
)
ORDERS = ("prepare", "train", "measure", "stop", "forget")
QUESTIONS = ("load", "follow", "program", "images", "probabilities", "split", "pictures", "dead")
NAMES = (
    "id",
    "recipe",
    "seed",
    "anew",
    "split",
    "places",
    "like",
    "number",
    "pixels",
    "first",
    "why",
    "address",
    "on",
    "self",
)
RECIPES = st.dictionaries(st.sampled_from(["units", "epochs", "activation", "__class__", "x"]), HOSTILE, min_size=1)
MESSAGES = st.one_of(
    HOSTILE,
    st.builds(
        lambda what, values, asked: values | {"do": what} | ({"question": "q"} if asked else {}),
        st.one_of(st.sampled_from(ORDERS + QUESTIONS), st.sampled_from(["__init__", "_train", "nothing", ""]), HOSTILE),
        st.dictionaries(st.sampled_from(NAMES), HOSTILE | RECIPES, max_size=5),
        st.booleans(),
    ),
)


def test_a_thousand_hostile_messages_are_refused_with_a_sentence_and_do_no_harm(listened, monkeypatch):
    listened.trained(SMALL)
    assert listened.engine.recall(SMALL, 0) == "stored"
    # What is a recipe after all is not trained here.
    monkeypatch.setattr(kernel_engine, "train", lambda *_, **__: (_ for _ in ()).throw(MemoryError("not here")))
    monkeypatch.setattr(kernel_engine, "prepare", lambda *_: None)
    sentences = set()

    @settings(max_examples=1_000)
    @given(MESSAGES)
    def say(message):
        listened.told.clear()
        try:
            listened.engine.obey(message)
        except MessageError as error:
            sentences.add(str(error))
            assert not isinstance(message, dict) or "question" not in message
        told = [answer for answer in list(listened.told) if "question" in answer]
        assert len(told) == (isinstance(message, dict) and "question" in message)
        sentences.update(answer["why"] for answer in told if "why" in answer)
        sentences.update(report["why"] for report in list(listened.told) if report.get("ended") == "failed")

    say()
    assert len(sentences) > 100 and all(" " in sentence for sentence in sentences)
    assert np.isclose(sum(listened.ask("probabilities", id="mine", pixels=[0] * 784)["answer"]), 1)
