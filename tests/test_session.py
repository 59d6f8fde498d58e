"""What a panel is, without its looks: the session of the panels, over the page's worker, in a real browser."""

import json
import re
from dataclasses import asdict, replace
from itertools import pairwise

import numpy as np
import pytest
from browsing import blank_page
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Error

from mnist_helpers.recipe import ARTICLE

SMALL = replace(ARTICLE, hidden_layers=1, units=16, epochs=2, training_images=2_000, batch_size=100)
SLOW = {"units": 512, "hidden_layers": 4, "epochs": 100}  # half a minute, so that it is not over before it is asked
OPEN = """async (base) => {
    const modules = ["session", "drawn_digit", "network_asked"].map((name) => import(`${base}lab/panel/${name}.js`));
    const [setup, worker, ...panel] = await Promise.all([
        fetch(`${base}lab/setup.json`).then((response) => response.json()),
        import(`${base}lab/worker_engine.js`), ...modules]);
    setup.collections.forEach((collection) => (collection.address = `${base}lab/${collection.file}`));
    Object.assign(window, ...panel, worker, { setup });
    window.ended = () => new Promise((resolve) => {
        const look = () => session.running || resolve();
        session.listen(look);
        look();
    });
    window.trained = async (answer) => {
        session.train(answer);
        await ended();
        return session.message;
    };
}"""


@pytest.fixture(scope="module")
def opened(browser, lab_address):
    with blank_page(browser, lab_address, OPEN) as page:
        yield page


class Session:
    """A session in the page, with the setting of a recipe; `evaluate` calls JavaScript on it."""

    def __init__(self, page, recipe):
        self.page = page
        page.evaluate("(recipe) => { window.session = new Session(setup, recipe, 0, engine); }", asdict(recipe))

    def evaluate(self, script, argument=None):
        return self.page.evaluate(f"async (argument) => {script}", argument)

    def set(self, **values):
        for name, value in values.items():
            self.evaluate("session.set(...argument)", [name, value])

    def trained(self, answer=None):
        return self.evaluate("trained(argument)", answer)

    @property
    def state(self):
        return self.evaluate("session.state")

    @property
    def trials(self):
        return self.evaluate("session.trials.map((trial) => session.view(trial))")


@pytest.fixture
def session(opened):
    session = Session(opened, SMALL)
    yield session
    session.evaluate("(session.setAutomatic(false), session.stop(), ended())")


def test_a_run_goes_through_its_states_and_tells_of_them(session):
    session.evaluate(
        "{ window.told = []; session.listen((what) => told.push([what, session.shown?.curve.length ?? 0])); }"
    )
    assert (
        session.trained()
        == f"Run 1 has finished: validation accuracy {session.trials[0]['best']} after the last epoch."
    )
    told = session.evaluate("told")
    assert told[0] == ["all", 0] and told[-1][0] == "all"
    assert sum(what == "live" for what, _ in told) >= 4
    (trial,) = session.trials
    assert (trial["state"], trial["stored"], trial["openable"]) == ("finished", False, True)
    assert [len(values) for values in trial["validation"]] == [2, 2]
    assert len(set(map(len, trial["curve"]))) == 1
    assert not session.state["training"]


def test_a_known_setting_comes_back_at_once(session):
    session.trained()
    session.set(seed=1)
    session.trained()
    session.evaluate("session.change(1, {name: 'the first', hidden: true})")
    session.set(seed=0)
    assert session.trained() == "the first had this setting already: here it is again, at once."
    assert len(session.trials) == 2 and session.state["shown"] == 1 and not session.trials[0]["hidden"]


def test_another_setting_takes_the_place_of_the_running_one(session):
    session.set(**SLOW)
    session.evaluate("session.train()")
    assert session.state["training"] and not session.state["changed"]
    session.evaluate("session.train()")  # of what is training already, nothing comes
    session.set(units=16, hidden_layers=1, epochs=1)
    assert session.state["changed"]
    session.trained()
    (trial,) = session.trials
    assert (trial["number"], trial["epochs"]) == (2, 1)
    session.set(epochs=2)
    session.trained()
    assert [trial["epochs"] for trial in session.trials] == [1, 2]


def test_stop_and_train_again_starts_anew(session):
    session.set(**SLOW)
    session.evaluate("session.train()")
    session.page.wait_for_function("session.shown.history.val_loss.length > 1")
    session.evaluate("(session.stop(), ended())")
    message = session.state["message"]
    assert re.fullmatch(r"Run 1 was stopped in epoch \d+ of 100; what it reached is kept\.", message)
    session.set(epochs=2)
    session.set(epochs=100)
    session.evaluate("session.train()")
    assert session.state["shown"] == 2
    session.evaluate("(session.stop(), ended())")
    assert [trial["state"] for trial in session.trials] == ["stopped", "stopped"]


def test_a_run_that_diverges_says_why_and_leaves_the_session_usable(session):
    session.set(learning_rate=1e30)
    assert re.match(r"Training failed: the training loss is .* expected a finite number", session.trained())
    session.set(learning_rate=0.001)
    assert "Run 2 has finished" in session.trained()


def test_a_run_without_gradients_is_trained_again_when_they_are_wanted(session):
    session.evaluate(STORE, True)  # an engine that gives none, and says what it hears
    session.evaluate("{ session.engine.measure = (id, on) => (window.measured = [id, on]); }")
    session.trained()
    assert "was trained without measuring its gradients" in session.evaluate("session.gradients.none")
    assert session.evaluate("session.gradients.points") == []
    session.evaluate("session.setMeasuring(true)")
    session.evaluate("{ session.engine = engine; }")
    assert "Run 2 has finished" in session.trained()
    points = session.evaluate("session.gradients.points")
    assert len(points) >= 2 and {len(point) for point in points} == {3 + 2}
    assert "had this setting already" in session.trained()
    assert session.evaluate("JSON.parse(JSON.stringify(session.saved)).measuring")
    session.evaluate("{ session.engine = { ...engine, measure: (...told) => (window.told = told) }; }")
    session.evaluate("{ session.running = session.trials[1]; session.setMeasuring(false); session.running = null; }")
    assert session.evaluate("told") == [session.evaluate("session.trials[1].id"), False]
    session.evaluate("{ session.engine = engine; }")


def test_a_bad_setting_is_a_problem_and_no_error(session):
    session.set(seed=None)
    assert session.state["problem"] == {
        "name": "seed", "sentence": "seed is empty; expected a whole number from 0 to 2,147,483,647.",
    }  # fmt: skip
    session.evaluate("session.train()")
    assert session.state["message"] == "This setting cannot be trained."
    assert session.evaluate("session.program()") == f"# {session.state['problem']['sentence']}\n"
    session.set(depth=3)  # there is no such control
    session.evaluate("session.reset()")
    assert session.state["problem"] is None and "depth" not in session.state["settings"]


def test_with_early_stopping_the_accuracy_is_that_of_the_weights_that_are_kept(opened):
    session = Session(opened, replace(SMALL, epochs=60, patience=2, learning_rate=0.01, training_images=1_000))
    said = session.trained()
    losses, accuracies = session.trials[0]["validation"]
    best = int(np.argmin(losses))
    assert len(losses) == best + 3
    when = f"after epoch {best + 1}, whose weights are kept."
    assert said == f"Run 1 has finished: validation accuracy {accuracies[best]:.2%} {when}"
    name = session.evaluate("session.networkName")
    assert name == f"Run 1, {accuracies[best]:.1%} on the validation set"
    session.set(seed=1)
    said = session.trained("100")
    losses, accuracies = session.trials[1]["validation"]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1 and accuracies[best] != max(accuracies)  # or this would be no test
    came = f"validation accuracy {accuracies[best]:.2%} (epoch {best + 1})"
    assert said == f"Run 2: {came}, you predicted 100.00%, {100 - 100 * accuracies[best]:.2f} points too high."


def test_who_wants_to_predict_is_asked_before_a_run_and_told_how_far_off_it_was(session):
    session.evaluate("(session.setPredicting(true), session.train(''))")
    assert session.state["asking"] and not session.state["training"]
    assert session.trained("97,4 %") == said(session.trials[0])
    assert session.trials[0]["predicted"] == 0.974 and not session.state["asking"]


@pytest.mark.parametrize(
    "answer", ["", " ", "high", "9 7", "-0.1", "100.01", "97.4.1", "0,9,7", "NaN", "Infinity", "%", "97".zfill(21)]
)
def test_what_is_no_percentage_is_refused_with_a_sentence(session, answer):
    for _ in "ab":
        session.evaluate("session.train(argument)", answer)
    assert session.state["message"] == "Enter a number from 0 to 100, or press Skip."
    assert session.state["asking"] and not session.state["training"]
    session.trained()  # which is to skip
    assert session.trials[0]["predicted"] is None and session.evaluate("session.score") == ""


@pytest.mark.parametrize(
    ("answer", "share"),
    [("0", 0), ("100%", 1), (" 97 ", 0.97), (".5", 0.005), ("97.456", 0.9746), ("97".zfill(20), 0.97)],
)
def test_what_is_a_percentage_is_taken(session, answer, share):
    session.trained(answer)
    assert session.trials[0]["predicted"] == pytest.approx(share, abs=1e-9)


def test_another_setting_takes_the_question_away(session):
    session.evaluate("(session.setPredicting(true), session.train(''))")
    session.set(units=24)
    assert not session.state["asking"]
    session.evaluate("(session.train(''), session.train('high'), session.setPredicting(false))")
    assert not session.state["asking"] and session.state["message"] == ""


def test_nothing_is_asked_that_is_known_or_that_trains_by_itself(session):
    session.evaluate("session.setPredicting(true)")
    session.trained("50")
    session.evaluate("session.train('')")
    assert "had this setting already" in session.state["message"] and not session.state["asking"]
    session.evaluate("{ session.trials[0].weights = null; }")  # a curve that was kept without its network
    assert (
        session.trained("60")
        == f"Run 2 has finished: validation accuracy {session.trials[1]['best']} after the last epoch."
    )
    assert session.trials[1]["predicted"] is None
    session.evaluate("session.setAutomatic(true)")
    session.set(units=24)
    session.page.wait_for_function("session.trials.length === 3")
    assert session.trials[2]["predicted"] is None


def test_what_trains_goes_on_while_the_question_stands(session):
    session.set(**SLOW)
    session.evaluate("session.train()")
    session.set(units=16, hidden_layers=1, epochs=1)
    session.evaluate("session.train('')")
    assert session.state["asking"] and session.state["training"]
    session.trained("88")
    assert [trial["predicted"] for trial in session.trials] == [0.88]


def said(trial):
    """What is said of a run of which a percentage was predicted."""
    miss = 100 * trial["predicted"] - float(trial["best"].rstrip("%"))
    way = f"{abs(miss):.2f} points too {'high' if miss > 0 else 'low'}" if abs(miss) > 1e-9 else "exactly right"
    return f"Run {trial['number']}: validation accuracy {trial['best']}, you predicted {trial['predicted']:.2%}, {way}."


def test_the_score_counts_the_predictions_of_finished_runs(session):
    def score():
        return session.evaluate("session.score")

    def pretend(*runs):
        """Runs that reached a percentage, each with what was predicted of it and how it ended."""
        session.evaluate(
            """(session.trials = argument.map(([came, predicted, state]) => ({
                state, predicted: predicted === null ? null : predicted / 100,
                history: {val_accuracy: [came / 100], val_loss: [1]}, recipe: {patience: 0} })))""",
            runs,
        )

    assert score() == ""
    pretend([97, None, "finished"], [50, 97, "stopped"], [10, 97, "failed"])
    assert score() == ""
    pretend([97.42, 97, "finished"], [50, 97, "stopped"])
    assert score() == "1 finished run predicted: 0.42 points too low."
    pretend([97.42, 97.42, "finished"])
    assert score() == "1 finished run predicted: exactly right."
    pretend([97.42, 97, "finished"], [97.3, 97.9, "finished"])
    assert score() == (
        "2 finished runs predicted: off by 0.51 points in the median; 1 too high, 1 too low; "
        "0 of 1 nearer than what the run before had reached."
    )
    pretend(
        [96, None, "finished"], [98, 97.5, "finished"], [90, 91, "stopped"], [97, 99, "finished"], [97, 97, "finished"]
    )
    assert score() == (
        "3 finished runs predicted: off by 0.50 points in the median; 1 too high, 1 too low; "
        "1 of 3 nearer than what the run before had reached."
    )


def test_a_prediction_is_among_what_is_saved_and_comes_back(session):
    session.evaluate("session.setPredicting(true)")
    session.trained("91")
    saved = session.evaluate("JSON.parse(JSON.stringify(session.saved))")
    session.evaluate("{ session.trials[0].predicted = null; session.predicting = false; session.message = 'Before.'; }")
    session.evaluate("session.restore(argument)", saved)
    assert session.state["message"] == "Before." and session.state["predicting"] and not session.state["asking"]
    assert session.trials[0]["predicted"] == 0.91
    session.evaluate("session.restore({trials: []})")
    assert not session.state["predicting"]


# An engine with a store, which has the run that is ordered, its network too if it kept that.
STORE = """{
    const history = { epoch: 1, loss: 0.5, accuracy: 0.85, val_loss: 0.3, val_accuracy: 0.91, seconds: 2 };
    const end = { ended: "finished", stored: true, weights: argument ? "stored" : null };
    const point = { at: 0.5, fraction: 1, loss: 0.5, accuracy: 0.85 };
    const reports = [point, history, end].map((report) => ({ ...report, elapsed: 2 }));
    const follow = async (id, tell) => reports.map(tell).length > 0;
    const train = (order, tell) => (setTimeout(() => reports.forEach(tell)), "stored");
    const { costs, loaded, loading } = engine;
    session.engine = { costs, loaded, loading, train, follow, prepare() {}, forget() {}, stop() {} };
}"""
BROUGHT = "This setting was trained before: here is its curve. Press Train to get its network too."


@pytest.mark.parametrize("with_network", [True, False])
def test_a_predicted_run_that_comes_from_the_store_is_judged_and_comes_back_so(session, with_network):
    session.evaluate(STORE, with_network)
    said = "Run 1: validation accuracy 91.00%, you predicted 90.50%, 0.50 points too low." if with_network else BROUGHT
    assert session.trained("90.5") == said
    (trial,) = session.trials
    assert (trial["stored"], trial["predicted"], trial["openable"]) == (True, 0.905, with_network)
    score = "1 finished run predicted: 0.50 points too low."
    assert session.evaluate("session.score") == score
    # The page is opened again, and the engine has lived on.
    saved = session.evaluate("JSON.parse(JSON.stringify(session.saved))")
    session.evaluate(
        "{ session = new Session(setup, session.base, 0, session.engine); return session.restore(argument); }", saved
    )
    assert session.state["message"] == said
    assert session.trials == [trial] and session.evaluate("session.score") == score


@pytest.mark.parametrize("with_network", [True, False])
def test_a_run_that_comes_from_the_store_is_said_to_and_asked_if_its_network_came(session, with_network):
    session.evaluate(STORE, with_network)
    saved = "This setting was trained before: here is the run as it was saved."
    assert session.trained() == (saved if with_network else BROUGHT)
    name = "Run 1, 91.0% on the validation set" if with_network else "no network yet"
    assert session.evaluate("session.networkName") == name


def test_a_run_that_begins_while_the_earlier_ones_come_back_goes_on(session):
    session.evaluate(STORE, True)
    session.evaluate(
        """{
            const begun = { at: 0.5, fraction: 0.2, loss: 1, accuracy: 0, elapsed: 1 }, [recipe, seed] = session.job;
            Object.assign(session.engine, { train: () => "of now", follow: async (id, tell) => (tell(begun), true) });
            const back = session.restore({ trials: [{ id: "of then", number: 5, recipe, seed, name: "" }] });
            session.train();
            session.message = "Said before.";
            await back;
        }"""
    )
    now = session.evaluate("[session.running.id, session.shown.id, session.shown.number, session.message]")
    assert now == ["of now", "of now", 6, "Said before."]
    session.evaluate("{ session.running = null; }")


def test_a_test_set_that_cannot_be_opened_says_why(session):
    session.trained()
    session.evaluate("{ session.ask = async () => { throw new Error('It is locked.'); }; }")
    session.evaluate("session.openTestSet(1)")
    assert session.state["message"] == "It is locked." and session.trials[0]["test"] is None


def test_what_has_not_come_of_the_images_is_said_and_what_waits_for_them_too(session):
    address = session.evaluate("session.images.address")

    def has_come(share):
        session.evaluate("engine.hear({ loading: argument[0], share: argument[1] })", [address, share])

    has_come(0)
    assert session.state["missing"] == "2.3 MB" and session.state["expected"] and session.state["parameters"]
    session.evaluate("{ engine.post = () => {}; session.train(); }")
    assert session.state["message"] == "The images come first."
    session.evaluate("{ window.heard = []; session.listen((what) => heard.push(what)); }")
    has_come(0.25)
    assert session.state["missing"] == "1.7 MB"
    assert session.evaluate("session.progress") == {"fraction": 0.25, "text": "Run 1: 25% of 2.3 MB of images loaded"}
    has_come(1)
    assert session.evaluate("heard") == ["live", "all"]
    assert session.state["missing"] == session.state["message"] == ""
    assert session.evaluate("session.progress.text") == "Run 1 is getting ready"
    session.evaluate("{ delete engine.post; engine.lose('as a test ends'); }")


def test_runs_are_named_pinned_hidden_and_cleared(session):
    session.trained()
    session.set(seed=1)
    session.trained()
    session.evaluate("session.change(1, {name: 'a very good one'.repeat(9), pinned: true})")
    session.evaluate("session.change(2, {hidden: true})")
    first, second = session.trials
    assert first["pinned"] and len(first["title"]) == 40 and second["hidden"]
    session.evaluate("session.clear()")
    assert session.trials == [first] and session.state["shown"] is None
    session.evaluate("session.change(99, {name: 'nobody'})")
    session.set(seed=2)
    session.trained()
    assert [trial["number"] for trial in session.trials] == [1, 3]


def test_the_controls_can_go_back_to_a_runs_setting(session):
    session.trained()
    before = session.state["settings"]
    session.set(units=64, seed=7, augmentation="shifts")
    assert session.state["settings"] != before
    session.evaluate("session.takeSettingsOf(1)")
    assert session.state["settings"] == before


def test_a_run_says_what_it_changed(session):
    session.set(units=32, seed=7, augmentation="shifts", batch_norm=True, learning_rate=1e-5, activation="leaky_relu")
    session.trained()
    differs = "units 32, activation leaky relu, batch norm on, learning rate 0.00001, seed 7, augmentation shifts"
    assert session.trials[0]["differs"] == differs


def test_automatic_training_follows_the_controls(session):
    session.evaluate("session.setAutomatic(true)")
    session.set(units=24)
    session.set(units=32)
    session.page.wait_for_function("session.trials.length > 0")
    assert [trial["differs"] for trial in session.trials] == ["units 32"]


def test_the_estimate_learns_from_the_runs_before(session):
    expected = "session.expectedSeconds({...session.job[0], epochs: argument})"
    before = session.evaluate(expected, 20)
    assert 0.05 < before < 60
    session.set(epochs=20)
    session.trained()
    later = session.evaluate("session.trials[0].history.seconds")[1:]
    assert session.evaluate(expected, 19) == pytest.approx(sum(later), rel=1e-4)
    assert session.evaluate(expected, 40) == pytest.approx(2 * session.evaluate(expected, 20))


def test_a_long_curve_is_thinned_out_and_keeps_its_mean(opened):
    session = Session(opened, replace(SMALL, epochs=500, training_images=100, batch_size=100))
    session.trained()
    (trial,) = session.trials
    epochs, losses, _ = map(np.array, trial["curve"])
    assert 200 <= len(epochs) <= 400
    assert (np.diff(epochs) > 0).all() and epochs[0] < 5 and epochs[-1] > 490
    steps = [second - first for first, second in pairwise(epochs)]
    assert max(steps[:-1]) == pytest.approx(min(steps[:-1]))  # as fine at the beginning as at the end
    history = np.array(session.evaluate("session.trials[0].history.loss"))
    assert losses.mean() == pytest.approx(history.mean(), rel=0.02)


def test_of_many_runs_the_oldest_that_is_not_pinned_goes(opened):
    session = Session(opened, replace(SMALL, epochs=1, training_images=100, units=8))
    for seed in range(43):
        session.set(seed=seed)
        session.trained()
        if seed == 0:
            session.evaluate("session.change(1, {pinned: true})")
    numbers = [trial["number"] for trial in session.trials]
    assert len(numbers) == 40 and numbers[:2] == [1, 5] and numbers[-1] == 43
    session.evaluate("session.trials.forEach((trial) => (trial.pinned = true))")
    session.set(seed=43)
    session.trained()
    numbers = [trial["number"] for trial in session.trials]
    assert len(numbers) == 40 and numbers[:2] == [5, 6] and numbers[-1] == 44


def test_what_is_expected_counts_steps_calculations_distortions_and_epochs(session):
    """Each for itself: what a run of 20 steps, three epochs and 2,000 images takes, where only one thing takes time."""
    session.set(epochs=3, augmentation="these and elastic bends")
    parameters = 784 * 16 + 16 + 16 * 10 + 10
    counts = {"step": 20, "calculation": 6 * parameters * (2_000 + 2_000 / 3), "distortion": 2 * 2_000, "epoch": 1}
    costs = session.evaluate("session.engine.costs")
    for name, count in counts.items():
        session.evaluate("session.engine.costs = argument", dict.fromkeys(counts, 0) | {name: 1})
        assert session.evaluate("session.expectedSeconds(session.job[0])") == pytest.approx(3 * count), name
    session.evaluate("session.engine.costs = argument", costs)


# A run that trains in its second epoch of two, as a panel sees it.
RUNNING = """{
    const [recipe] = session.job, { images } = session;
    session.running = { number: 7, name: "", recipe, state: "training", curve: [], images, ...argument };
}"""


def test_what_is_left_follows_the_pace_so_far_and_at_first_what_was_expected(session):
    session.evaluate(RUNNING, {"fraction": 0, "first": None, "seconds": 0})
    assert session.evaluate("session.progress") == {"fraction": 0, "text": "Run 7 is getting ready"}
    session.evaluate(RUNNING, {"fraction": 0.6, "first": [10, 0.2], "seconds": 30})
    assert session.evaluate("session.progress") == {"fraction": 0.6, "text": "Run 7: epoch 2 of 2, 20 s left"}
    costs = session.evaluate("session.engine.costs")
    session.evaluate("session.engine.costs = { step: 0, calculation: 0, distortion: 0, epoch: 80 }")
    session.evaluate(RUNNING, {"fraction": 0.25, "first": [10, 0.23], "seconds": 30})
    assert session.evaluate("session.progress.text") == "Run 7: epoch 1 of 2, 2 min left"
    session.evaluate("{ session.engine.costs = argument; session.running = null; }", costs)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (4.24, "4.2 s"), (42.4, "42 s"), (130, "2 min"), (3_600, "60 min"), (36_000, "10.0 h")],
)
def test_times_are_written_as_one_would_say_them(session, seconds, text):
    before = session.evaluate("session.engine.costs")
    session.evaluate("session.engine.costs = {step: 0, calculation: 0, distortion: 0, epoch: argument}", seconds)
    session.set(epochs=1)
    assert session.state["expected"] == text
    session.evaluate("session.engine.costs = argument", before)


SETTINGS = st.one_of(
    st.tuples(st.just("units"), st.sampled_from([8, 16])),
    st.tuples(st.just("epochs"), st.sampled_from([1, 2, 40])),
    st.tuples(st.just("seed"), st.sampled_from([0, 1, -1, None])),
    st.tuples(st.just("training_images"), st.sampled_from([1_000, 10_000])),
    st.tuples(st.just("validation"), st.sampled_from(["held_out", "leaking"])),
    st.tuples(st.just("learning_rate"), st.sampled_from([1e-3, 1e30])),
)
NUMBERS = st.integers(0, 12)
PRESSES = st.one_of(
    SETTINGS.map(lambda setting: ["set", *setting]),
    st.sampled_from(
        [
            ["train"],
            ["train", ""],
            ["train", "97.4"],
            ["stop"],
            ["reset"],
            ["clear"],
            ["program"],
            ["wait", 50],
            ["wait to the end"],
        ]
    ),
    st.tuples(st.sampled_from(["setAutomatic", "setPredicting", "setMeasuring"]), st.booleans()).map(list),
    st.tuples(NUMBERS, st.booleans(), st.booleans()).map(
        lambda c: ["change", c[0], {"name": "mine", "pinned": c[1], "hidden": c[2]}]
    ),
    NUMBERS.map(lambda number: ["takeSettingsOf", number]),
    NUMBERS.map(lambda number: ["openTestSet", number]),
)
PRESS = """async ([presses, recipe]) => {
    session = new Session(setup, recipe, 0, engine);
    const finished = new Set(), forgotten = new Set();
    session.listen(() => session.trials.forEach((trial) => trial.state === "finished" && finished.add(trial.number)));
    for (const [what, ...more] of presses) {
        if (what === "wait") await new Promise((resolve) => setTimeout(resolve, more[0]));
        else if (what === "wait to the end") session.running?.recipe.epochs < 40 && (await ended());
        else {
            const before = session.trials;
            await session[what](...more);
            if (what === "clear")
                before.forEach((trial) => session.trials.includes(trial) || forgotten.add(trial.number));
        }
        const shown = session.trials.map((trial) => session.view(trial));
        JSON.stringify([session.state, session.progress, shown, session.score, session.saved]);
        if (engine.busy && !session.running) throw new Error("a run goes on that nobody knows of");
    }
    session.setAutomatic(false);
    session.stop();
    await ended();
    const kept = session.trials.map(({ number }) => number);
    const lost = [...finished].filter((number) => !kept.includes(number) && !forgotten.has(number));
    return { finished: finished.size, lost };
}"""


def test_random_presses_lose_no_finished_run(opened):
    seen = []

    @settings(max_examples=12)
    @given(st.lists(PRESSES, min_size=30, max_size=60))
    def press(presses):
        result = opened.evaluate(PRESS, [presses, asdict(SMALL)])
        seen.append(result["finished"])
        assert result["lost"] == []

    press()
    assert any(seen)  # or nothing was tested


# ---------------------------------------------------------------- a drawing as a picture

SEVEN = [[(0.2, 0.15), (0.8, 0.15), (0.45, 0.9)]]
BOX, SIDE = 20, 28
points = st.tuples(st.floats(0, 1), st.floats(0, 1))
drawings = st.lists(st.lists(points, max_size=12), max_size=4)


@pytest.fixture(scope="module")
def picture_of(opened):
    return lambda strokes: np.array(
        opened.evaluate("strokes => Array.from(pictureOf(strokes))", strokes), np.uint8
    ).reshape(SIDE, SIDE)


def centre_of_mass(picture):
    return np.array([(np.indices(picture.shape)[axis] * picture).sum() / picture.sum() for axis in (0, 1)])


@given(drawings)
def test_any_drawing_makes_a_picture_that_fits_the_box_and_lies_in_the_middle(picture_of, strokes):
    picture = picture_of(strokes)
    assert picture.any() == any(strokes)
    if not picture.any():
        return
    rows, columns = np.flatnonzero(picture.any(axis=1)), np.flatnonzero(picture.any(axis=0))
    # A faint row more at either end, where the pen's edge does not fall on that of a pixel.
    assert np.ptp(rows) <= BOX + 1 and np.ptp(columns) <= BOX + 1
    for inked, place in zip((rows, columns), centre_of_mass(picture), strict=True):
        assert abs(place - SIDE / 2) <= 0.5 + 1e-9 or inked[0] == 0 or inked[-1] == SIDE - 1


@pytest.mark.parametrize(("heavy", "edge"), [(0.0, -1), (1.0, 0)], ids=["left", "right"])
def test_a_drawing_with_all_its_weight_on_one_side_stops_at_the_edge(picture_of, heavy, edge):
    lopsided = picture_of([[(heavy, 0.0), (heavy, 1.0)], [(1 - heavy, 0.0)]])
    assert lopsided[:, edge].any() and not lopsided[:, -1 - edge].any()
    assert np.ptp(np.flatnonzero(lopsided.any(axis=0))) >= BOX - 1


@pytest.mark.parametrize("strokes", [[[(0.0, 0.0), (0.0, 1.0)]], [[(0.0, 0.0), (1.0, 0.0)]]], ids=["upright", "level"])
def test_a_line_is_inked_alike_on_both_sides(picture_of, strokes):
    picture = picture_of(strokes)
    inked = picture[np.ix_(picture.any(axis=1), picture.any(axis=0))].astype(int)
    for turned in (np.flipud(inked), np.fliplr(inked)):
        np.testing.assert_allclose(inked, turned, atol=32)  # two of a pixel's 16 samples, which lie on the pen's edge


@given(st.floats(0.05, 3), st.floats(-2, 2), st.floats(-2, 2))
def test_size_and_place_of_the_drawing_do_not_matter(picture_of, size, right, down):
    moved = [[(x * size + right, y * size + down) for x, y in stroke] for stroke in SEVEN]
    # But for one pixel, where the centre of mass is rounded; and of 255, since a pixel is the mean of 16 on an edge.
    shifts = [(down, right) for down in (0, 1, -1) for right in (0, 1, -1)]
    differences = [np.roll(picture_of(moved), by, axis=(0, 1)).astype(int) - picture_of(SEVEN) for by in shifts]
    assert min(np.abs(difference).max() for difference in differences) <= 100


def test_a_drawing_is_as_bold_as_mnist(picture_of, mnist):
    def ink_a_pixel_of_stroke(picture):
        return picture.sum() / max(picture.any(axis=0).sum(), picture.any(axis=1).sum())

    sevens = mnist.train.images[mnist.train.labels == 7][:500]
    low, high = np.quantile([ink_a_pixel_of_stroke(image) for image in sevens], [0.1, 0.9])
    assert low < ink_a_pixel_of_stroke(picture_of(SEVEN)) < high


LOAD = """async ([header, labels]) => {
    const address = URL.createObjectURL(new Blob([`${header}\n`, new Uint8Array(784), new Uint8Array(labels)]));
    return engine.ask({ do: "load", address });
}"""
NUMBERS = {"training": 1, "validation": 0, "test": 0}


@pytest.mark.parametrize(
    ("numbers", "labels"),
    [(NUMBERS, [10]), (NUMBERS | {"training": "1"}, [1]), ({"training": 1, "validation": 0}, [1]), ({}, [])],
)
def test_images_that_say_something_else_of_themselves_are_refused(opened, numbers, labels):
    header = {"version": 1, "pixels": 784, "splits": numbers}
    with pytest.raises(Error, match="The images arrived damaged"):
        opened.evaluate(LOAD, [json.dumps(header), labels])
    assert opened.evaluate(LOAD, [json.dumps(header | {"splits": NUMBERS}), [9]])


# ---------------------------------------------------------------- who asks a session's network


def test_a_given_network_is_asked_by_its_own_name_and_told_once(opened):
    told, asked = opened.evaluate(
        """() => {
            const told = [], given = new GivenNetwork("Mine", { ask: (message) => message });
            follow(given, 0, (name) => told.push(name))();
            return [told, given.ask("split", given.network, { split: "validation" })];
        }"""
    )
    assert told == ["Mine"]
    assert asked == {"do": "split", "id": "given", "split": "validation"}


def test_who_follows_a_network_hears_of_each_change_but_not_too_often(opened):
    heard = opened.evaluate(
        """async () => {
            const heard = [], wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
            const listen = (look) => ((session.look = look), () => heard.push("left"));
            const session = { networkName: "none", listen };
            const change = (network) => {
                Object.assign(session, { network, networkName: network.name });
                session.look();
            };
            const leave = follow(session, 600, (name) => heard.push(name));
            await wait(100);
            change({ number: 1, state: "running", fraction: 0.1, name: "too soon" });
            await wait(100);
            heard.push("quiet");
            change({ number: 1, state: "running", fraction: 0.2, name: "a" });
            await wait(800);
            session.look();
            await wait(800);
            heard.push("nothing new");
            change({ number: 1, state: "finished", fraction: 1, name: "a" });
            await wait(100);
            change({ number: 2, state: "running", fraction: 0, name: "b" });
            leave();
            await wait(800);
            return heard;
        }"""
    )
    assert heard == ["none", "quiet", "a", "nothing new", "a", "left"]


COUNTING_WORKERS = """async (base) => {
    window.workers = [];
    window.Worker = class {
        constructor() { workers.push(this); }
        postMessage({ id }) { this.id = id; }
        terminate() { this.ended = true; }
    };
    window.told = [];
    Object.assign(window, await import(`${base}lab/worker_engine.js`));
}"""


def test_a_worker_that_falls_silent_while_it_trains_is_lost_and_one_that_has_nothing_to_do_is_not(browser, lab_address):
    with blank_page(browser, lab_address, COUNTING_WORKERS) as page:
        page.clock.install()
        train = "engine.train({}, (report) => told.push(report))"
        page.evaluate(train)
        page.clock.run_for(19_000)
        page.evaluate("workers[0].onmessage({ data: { loading: 'images', share: 1 } })")
        page.evaluate("workers[0].onmessage({ data: { id: workers[0].id, epoch: 1 } })")
        page.clock.run_for(19_000)
        assert page.evaluate("told.map(({ epoch }) => epoch)") == [1]
        page.clock.run_for(2_000)
        assert page.evaluate("workers.map(({ ended }) => ended)") == [True]
        assert page.evaluate("engine.loaded.size") == 0  # another one has to load the images again
        [_, lost] = page.evaluate("told")
        assert lost["ended"] == "failed" and lost["why"].startswith("The page's training stopped answering")
        page.evaluate("engine.post({ do: 'prepare' })")
        page.clock.run_for(60_000)
        assert page.evaluate("workers.map(({ ended }) => ended ?? false)") == [True, False]
        page.evaluate(train)
        page.clock.run_for(19_000)
        assert page.evaluate("told.length") == 2
        page.clock.run_for(2_000)
        assert page.evaluate("workers.map(({ ended }) => ended)") == [True, True]
