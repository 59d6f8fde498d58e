"""Both engines of the panels speak one protocol: the page's worker, in two browsers, and the kernel's.

What is said and heard is written in `mnist_helpers/panel/engine_protocol.js`.
"""

import itertools
import json
import time
from dataclasses import asdict, replace

import numpy as np
import pytest
from browsing import Visit, blank_page

from mnist_helpers.kernel_engine import KernelEngine
from mnist_helpers.network_file import CURVES
from mnist_helpers.recipe import ARTICLE

SMALL = replace(ARTICLE, hidden_layers=1, units=24, epochs=3, training_images=2_000, batch_size=100)
LONG = replace(SMALL, epochs=10_000)
DIVERGING = replace(SMALL, learning_rate=1e30)


class Spoken:
    """An engine, what it has said so far, and the questions put to it."""

    def __init__(self):
        self.numbers = itertools.count(1)

    def reports(self, number):
        """All that was reported of a run until now."""
        return [message for message in self.heard() if message.get("id") == number]

    def train(self, recipe, seed=0, **more):
        """Order a run, and give its id."""
        number = f"run {next(self.numbers)}"
        self.say(
            {"do": "train", "id": number, "recipe": asdict(recipe), "seed": seed, "anew": False} | self.where | more
        )
        return number

    def until(self, found, seconds=60):
        give_up = time.monotonic() + seconds
        while not (value := found()):
            assert time.monotonic() < give_up, self.heard()[-3:]
            time.sleep(0.02)
        return value

    def trained(self, recipe, **more):
        """Train to the end; give the run's id and all its reports."""
        number = self.train(recipe, **more)
        return number, self.ended(number)

    def ended(self, number):
        return self.until(lambda: (r := self.reports(number)) and "ended" in r[-1] and r)

    def ask(self, what, run=None, /, **more):
        question = f"question {next(self.numbers)}"
        network = {"id": run, "recipe": self.recipes[run], "weights": run} if run else {}
        self.say({"do": what, "question": question} | network | self.where | more)
        (message,) = self.until(lambda: [m for m in self.heard() if m.get("question") == question])
        assert ("answer" in message) != ("why" in message), message
        if "why" in message:
            raise LookupError(message["why"])
        return message["answer"]


class Kernel(Spoken):
    """The kernel's engine."""

    where: dict = {}  # noqa: RUF012
    validation, training = 6_000, 54_000

    def __init__(self, mnist, store):
        super().__init__()
        self.recipes, self.said = {}, []
        self.engine = KernelEngine(mnist, lambda message: self.said.append(json.dumps(message, allow_nan=False)), store)

    def say(self, message):
        if message["do"] == "train":
            self.recipes[message["id"]] = message["recipe"]
        self.engine.obey(json.loads(json.dumps(message)))

    def heard(self):
        return [json.loads(text) for text in list(self.said)]


# Weights stay in the page; a run's id stands for them here.
IN_PAGE = """() => {
    const worker = new Worker("lab/training_worker.js");
    const weights = {};
    window.heard = [];
    worker.onmessage = ({ data }) => {
        if (data.loading) return;
        const given = data.answer?.weights ? data.answer : data;
        if (given.weights) (weights[given.id ?? "another"] = given.weights), (given.weights = given.id);
        const plain = (_, value) => (ArrayBuffer.isView(value) ? Array.from(value) : value);
        heard.push(JSON.parse(JSON.stringify(data, plain)));
    };
    worker.onerror = ({ message }) => heard.push({ id: "worker", why: message });
    window.say = ({ weights: name, ...message }) => worker.postMessage({ ...message, weights: weights[name] });
}"""


class Page(Spoken):
    """The page's worker; `evaluate` calls a JavaScript function in the page."""

    validation, training = 2_000, 10_000

    def __init__(self, evaluate, address):
        super().__init__()
        self.recipes, self.evaluate = {}, evaluate
        self.where = {"address": f"{address}lab/images.bin.gz"}
        evaluate(IN_PAGE)

    def say(self, message):
        if message["do"] == "train":
            self.recipes[message["id"]] = message["recipe"]
        self.evaluate(f"() => say({json.dumps(message)})")

    def heard(self):
        return self.evaluate("() => heard")


@pytest.fixture(params=["kernel", "chromium", "firefox"])
def engine(request, mnist, tmp_path):
    if request.param == "kernel":
        yield Kernel(mnist, tmp_path / "store")
        return
    address = request.getfixturevalue("lab_address")
    if request.param == "firefox":
        page = request.getfixturevalue("firefox")
        page.open(f"{address}blank.html")
        yield Page(page.evaluate, address)
    else:
        page = Visit(request.getfixturevalue("browser"), address)
        yield Page(page.open(f"{address}blank.html").evaluate, address)
        assert page.faults == []
        page.page.context.close()


def points_of(reports):
    return [report for report in reports if "at" in report]


def epochs_of(reports):
    return [report for report in reports if "epoch" in report]


def test_a_run_is_reported_point_by_point_and_epoch_by_epoch(engine):
    number, reports = engine.trained(SMALL)
    epochs, points = epochs_of(reports), points_of(reports)
    assert [report["epoch"] for report in epochs] == [1, 2, 3]
    assert reports[-1]["ended"] == "finished" and reports[-1]["weights"] == number
    assert len(reports) == len(points) + len(epochs) + 1
    assert sorted(report["elapsed"] for report in reports) == [report["elapsed"] for report in reports]
    assert points[-1]["fraction"] == pytest.approx(1)
    assert points[0]["loss"] == pytest.approx(np.log(10), abs=0.4)  # nothing has been learnt
    assert epochs[-1]["val_accuracy"] > 0.75
    # The points lie next to each other, and their means are those of the epochs.
    edge = 0.0
    for epoch in epochs:
        place = reports.index(epoch)
        mine = [point for point in points_of(reports[:place]) if point["at"] > epoch["epoch"] - 1]
        sums = np.zeros(2)
        for point in mine:
            width = 2 * (point["at"] - edge)
            assert width > 0
            sums += width * np.array([point["loss"], point["accuracy"]])
            edge += width
        assert edge == pytest.approx(epoch["epoch"])
        assert sums == pytest.approx([epoch["loss"], epoch["accuracy"]], rel=1e-4)
        assert 0 < epoch["seconds"] <= epoch["elapsed"]


def test_the_same_seed_gives_the_same_run_and_another_one_another(engine):
    recipe = replace(SMALL, epochs=1)
    losses = [epochs_of(engine.trained(recipe, seed=seed, anew=True)[1])[0]["val_loss"] for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]


def test_a_stopped_run_keeps_what_it_has_reached(engine):
    number = engine.train(LONG)
    engine.until(lambda: epochs_of(engine.reports(number)))
    engine.say({"do": "stop", "id": number})
    reports = engine.ended(number)
    assert reports[-1]["ended"] == "stopped"
    assert 1 <= len(epochs_of(reports)) < LONG.epochs
    assert engine.ask("split", number, split="validation")["accuracy"] > 0.3
    time.sleep(0.2)
    assert engine.reports(number) == reports


def test_a_run_that_is_stopped_at_once_ends_too(engine):
    number = engine.train(LONG)
    engine.say({"do": "stop", "id": number})
    assert engine.ended(number)[-1]["ended"] == "stopped"
    engine.say({"do": "stop", "id": number})  # and once more, when there is nothing to stop
    assert engine.trained(replace(SMALL, epochs=1))[1][-1]["ended"] == "finished"


def test_a_forgotten_run_ends_and_the_next_one_trains(engine):
    first = engine.train(LONG)
    engine.until(lambda: points_of(engine.reports(first)))
    engine.say({"do": "forget", "id": first})
    _, reports = engine.trained(replace(SMALL, epochs=1))
    assert reports[-1]["ended"] == "finished"
    assert engine.ended(first)[-1]["ended"] == "stopped"


def orders_of_magnitude(norms):
    return np.log10(max(norms) / min(norms))


@pytest.mark.parametrize(("activation", "low", "high"), [("sigmoid", 3, 12), ("relu", 0, 1.5)], ids=["sigmoid", "ReLU"])
def test_eight_layers_have_gradients_of_many_sizes_with_the_sigmoid_and_of_one_with_relu(engine, activation, low, high):
    recipe = replace(SMALL, hidden_layers=8, units=100, activation=activation, last_activation=activation)
    number = engine.train(recipe)
    engine.say({"do": "measure", "id": number, "on": True})
    measured = [point["gradients"] for point in points_of(engine.ended(number)) if "gradients" in point]
    assert len(measured) >= 3 and {len(norms) for norms in measured} == {9}
    assert all(low < orders_of_magnitude(norms) < high for norms in measured)


def test_a_run_that_diverges_says_why(engine):
    _, reports = engine.trained(DIVERGING)
    assert reports[-1]["ended"] == "failed"
    assert "loss is " in reports[-1]["why"] and "expected a finite number" in reports[-1]["why"]


def test_early_stopping_ends_early(engine):
    recipe = replace(SMALL, epochs=60, patience=2, training_images=1_000, learning_rate=0.01)
    number, reports = engine.trained(recipe)
    losses = [epoch["val_loss"] for epoch in epochs_of(reports)]
    assert len(losses) == int(np.argmin(losses)) + 3 < 60
    assert reports[-1]["ended"] == "finished"
    assert engine.ask("split", number, split="validation")["loss"] == pytest.approx(min(losses), rel=1e-4)


def test_a_network_is_asked(engine, mnist):
    number, reports = engine.trained(SMALL)
    answer = engine.ask("split", number, split="validation")
    last = epochs_of(reports)[-1]
    assert answer["accuracy"] == pytest.approx(last["val_accuracy"], abs=1e-6)
    assert answer["loss"] == pytest.approx(last["val_loss"], rel=1e-4)
    answers, losses, labels = (np.array(answer[name]) for name in ("answers", "losses", "labels"))
    assert answers.shape == losses.shape == labels.shape == (engine.validation,)
    np.testing.assert_array_equal(labels, mnist.validation.labels[:: 6_000 // engine.validation])
    assert (answers == labels).mean() == pytest.approx(answer["accuracy"])
    assert losses.mean() == pytest.approx(answer["loss"], rel=1e-4)

    shares = engine.ask("probabilities", number, pixels=mnist.validation.images[0].ravel().tolist())
    assert sum(shares) == pytest.approx(1, abs=1e-5)
    assert np.argmax(shares) == answers[0]
    assert -np.log(shares[labels[0]]) == pytest.approx(losses[0], rel=1e-3, abs=1e-4)
    assert engine.ask("split", number, split="test", why="a test")["accuracy"] == pytest.approx(
        answer["accuracy"], abs=0.1
    )

    pictures = engine.ask("pictures", number, first=20, number=24)
    assert pictures["total"] == 24 and np.shape(pictures["units"]) == (4, 784)
    assert 0.01 < np.std(pictures["units"]) < 0.2
    assert engine.ask("pictures", number, first=24, number=24)["units"] == []
    assert 0 <= engine.ask("dead", number) < 0.5


def test_units_that_are_0_for_every_image_are_dead(engine):
    number, _ = engine.trained(replace(SMALL, learning_rate=1.0, last_activation="relu", epochs=1))
    assert engine.ask("dead", number) > 0.8


def test_a_network_without_hidden_layers_has_ten_units(engine):
    number, _ = engine.trained(replace(SMALL, hidden_layers=0, epochs=1))
    pictures = engine.ask("pictures", number, first=0, number=24)
    assert pictures["total"] == 10 and np.shape(pictures["units"]) == (10, 784)


def test_images_are_found_by_place_and_by_likeness(engine, mnist):
    assert engine.ask("load")
    first, last = engine.ask("images", split="training", places=[0, engine.training - 1])
    assert [first["place"], last["place"]] == [0, engine.training - 1]
    for image in (first, last):
        np.testing.assert_array_equal(image["pixels"], mnist.train.images[image["place"]].ravel())
        assert image["label"] == mnist.train.labels[image["place"]]
    found = engine.ask("images", split="training", like=last["pixels"], number=5)
    assert found[0] == last and len(found) == 5
    distances = [np.linalg.norm(np.subtract(image["pixels"], last["pixels"])) for image in found]
    assert distances == sorted(distances)


def test_the_program_is_given(engine):
    program = engine.ask("program", recipe=asdict(SMALL), seed=3, total=engine.training)
    assert "seed 3" in program and "model.fit(" in program and "units=24" in program


def test_a_run_goes_into_a_file_and_comes_back_under_another_name(engine):
    recipe = replace(SMALL, batch_norm=True)
    number, reports = engine.trained(recipe, seed=5)
    curves = {name: [epoch[name] for epoch in epochs_of(reports)] for name in CURVES}
    file = engine.ask("file", number, seed=5, history=curves)
    found = engine.ask("open", id="another", file=file)
    assert (found["recipe"], found["seed"], found["history"]) == (asdict(recipe), 5, curves)
    engine.recipes["another"] = asdict(recipe)
    assert engine.ask("split", "another", split="validation") == engine.ask("split", number, split="validation")
    with pytest.raises(LookupError, match=r"This is no whole \.npz file|this is not a run with its network"):
        engine.ask("open", id="a third", file="bm90aGluZw==")


def test_a_question_that_cannot_be_answered_says_why(engine):
    engine.recipes["nobody"] = asdict(SMALL)
    with pytest.raises(LookupError):
        engine.ask("split", "nobody", split="validation")
    assert engine.ask("load")


# ---------------------------------------------------------------- the panel's side, over an engine that says nothing

SILENT = """async (base) => {
    const { Engine } = await import(`${base}lab/panel/engine_protocol.js`);
    class Silent extends Engine {
        said = [];
        post(message) { this.said.push(message); }
    }
    window.fresh = () => {
        Object.assign(window, { engine: new Silent(), told: [] });
        window.tell = (report) => told.push(report);
    };
}"""


@pytest.fixture(scope="module")
def silent(browser, lab_address):
    with blank_page(browser, lab_address, SILENT) as page:
        yield page


@pytest.fixture
def side(silent):
    """Calls JavaScript in a page with a fresh `engine`, `told` by `tell`."""
    silent.evaluate("fresh()")
    return silent.evaluate


def test_the_panel_hears_of_a_run_until_it_has_ended(side):
    run = side("engine.train({ recipe: {}, seed: 3 }, tell)")
    assert side("engine.said") == [{"do": "train", "id": run, "recipe": {}, "seed": 3}] and side("engine.busy")
    reports = [{"id": run, "at": 0.5}, {"id": run, "ended": "finished"}]
    for report in [{"id": "another", "at": 1}, *reports, {"id": run, "at": 2}]:
        side("(report) => engine.hear(report)", report)
    assert side("told") == reports and not side("engine.busy")


def test_the_panel_says_what_to_be_ready_for(side):
    side("engine.prepare({ units: 7 }, 'there')")
    assert side("engine.said") == [{"do": "prepare", "recipe": {"units": 7}, "address": "there"}]


def test_the_panel_stops_and_measures_no_run_that_has_ended_and_forgets_any(side):
    side("(engine.stop('r'), engine.measure('r', true))")
    assert side("engine.said") == []
    run = side("engine.train({}, tell)")
    side("(id) => (engine.measure(id, true), engine.stop(id), engine.forget(id), engine.hear({ id, at: 1 }))", run)
    said = [{"do": "measure", "id": run, "on": True}, {"do": "stop", "id": run}, {"do": "forget", "id": run}]
    assert side("engine.said.slice(1)") == said and side("told") == [] and not side("engine.busy")


def test_each_question_of_the_panel_gets_its_own_answer(side):
    script = "(number) => { engine.ask({ do: 'load', number }).then(tell, ({ message }) => tell(message)); }"
    for number in (1, 2):
        side(script, number)
    first, second = side("engine.said.map(({ question }) => question)")
    assert first != second and side("engine.said.map(({ number }) => number)") == [1, 2]
    side("(question) => engine.hear({ question, why: 'not there' })", second)
    side("(question) => engine.hear({ question, answer: [7] })", first)
    side("(question) => engine.hear({ question, answer: 'once more' })", first)  # which nobody waits for
    assert side("told") == ["not there", [7]]


@pytest.mark.parametrize(
    ("reports", "known", "busy"),
    [([], False, False), ([{"at": 1}, {"ended": "finished"}], True, False), ([{"at": 1}], True, True)],
)
def test_the_panel_follows_a_run_that_another_page_began(side, reports, known, busy):
    side("() => { window.following = engine.follow('r', tell); }")
    assert side("engine.said.map(({ do: what, id }) => [what, id])") == [["follow", "r"]]
    side("(answer) => engine.hear({ question: engine.said[0].question, answer })", reports)
    assert side("following") == known
    assert side("told") == reports and side("engine.busy") == busy
    side("engine.hear({ id: 'r', at: 2 })")
    assert len(side("told")) == len(reports) + busy


def test_the_panel_knows_how_much_of_the_images_has_come(side):
    side("{ engine.loading.add(() => tell([...engine.loaded])); engine.hear({ loading: 'here', share: 0.5 }); }")
    assert side("told") == [[["here", 0.5]]]


def test_an_engine_that_is_lost_ends_all_that_waits_for_it(side):
    side("() => { engine.train({}, tell); engine.ask({ do: 'load' }).catch(({ message }) => tell(message)); }")
    side("engine.lose('It is gone.')")
    assert side("told") == [{"ended": "failed", "why": "It is gone."}, "It is gone."]
    assert not side("engine.busy")
    side("engine.lose('Once more.')")
    assert len(side("told")) == 2
