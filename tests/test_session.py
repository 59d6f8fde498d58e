"""The panel's logic, without a browser: real training in the background, on the real data."""

import re
import threading
import time
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from mnist_helpers import session as sessions
from mnist_helpers.recipe import ARTICLE, RecipeError
from mnist_helpers.session import Session
from mnist_helpers.sweep import load_run, sweep

SMALL = replace(ARTICLE, hidden_layers=1, units=16, epochs=2)
LONG = replace(SMALL, epochs=1_000)


@pytest.fixture
def session(mnist, tmp_path):
    session = Session(SMALL, mnist, store=tmp_path)
    yield session
    session.stop()
    session.wait()


def until(condition, seconds=60):
    give_up = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < give_up, "it took too long"
        time.sleep(0.005)


def trained(session):
    session.train()
    session.wait()
    return session.trials[-1]


def test_training_goes_on_in_the_background_and_tells_of_it(session):
    told = []
    session.listener = lambda: told.append(
        (threading.current_thread(), len(session.shown.curve) if session.shown else 0)
    )
    session.set("epochs", 8)
    session.train()
    assert session.running is session.shown
    session.wait()
    (trial,) = session.trials
    assert trial.state == "finished"
    assert trial.best_accuracy > 0.8
    assert len(trial.history["val_loss"]) == 8
    assert len({points for thread, points in told if thread is not threading.main_thread()}) > 3
    assert session.running is None
    accuracy = trial.history["val_accuracy"][-1]
    assert session.message == f"Run 1 has finished: validation accuracy {accuracy:.2%} after the last epoch."


def test_the_curve_holds_the_losses_of_the_batches(session):
    trial = trained(session)
    epochs, losses, accuracies = zip(*trial.curve, strict=True)
    assert list(epochs) == sorted(epochs)
    assert 0 < epochs[0] < 0.2
    assert losses[0] == pytest.approx(2.3, abs=0.4)  # ln 10: nothing has been learnt
    assert accuracies[0] < 0.4
    assert losses[-1] < 0.5


def test_the_means_of_the_curve_are_those_of_the_history(mnist):
    trial = sessions.Trial(1, SMALL, 0)
    history = {"val_loss": [], "val_accuracy": []}
    for step, loss in ((10, 2.0), (40, 1.5), (108, 1.0)):
        trial.add(sessions.Report(1, step, 2, 108, loss, 0.5, history), seconds=step)
    # Between the reports the loss was (40 × 1.5 - 10 × 2.0) / 30 and (108 × 1.0 - 40 × 1.5) / 68.
    assert [loss for _, loss, _ in trial.curve] == pytest.approx([2.0, 4 / 3, 48 / 68])
    assert [epoch for epoch, _, _ in trial.curve] == pytest.approx([5 / 108, 25 / 108, 74 / 108])
    assert trial.seconds_left(expected=100.0) == pytest.approx((108 - 10) / (108 - 10) * 216 * 0.5)


def test_a_long_curve_is_thinned_out(mnist):
    trial = sessions.Trial(1, LONG, 0)
    for epoch in range(1, 2_000):
        trial.add(sessions.Report(epoch, 108, 2_000, 108, 1 / epoch, 0.5, {}), seconds=epoch)
    assert len(trial.curve) <= sessions.MOST_POINTS
    epochs = [epoch for epoch, _, _ in trial.curve]
    assert epochs == sorted(epochs)
    assert epochs[0] < 10
    assert epochs[-1] > 1_980
    steps = [second - first for first, second in pairwise(epochs)]
    assert max(steps[:-1]) == pytest.approx(min(steps[:-1]))  # as fine at the beginning as at the end


def test_stop_keeps_what_was_reached(session):
    session.base = LONG
    session.set("epochs", 1_000)
    session.train()
    until(lambda: session.shown.history["val_loss"])
    session.stop()
    session.wait()
    (trial,) = session.trials
    assert trial.state == "stopped"
    assert re.match(r"Run 1 was stopped in epoch \d+ of \d+; what it reached is kept\.", session.message)
    assert 1 <= len(trial.history["val_loss"]) < 1_000
    assert trial.run.model is not None
    assert session.shown is trial


def test_another_setting_takes_the_place_of_the_running_one(session, monkeypatch):
    session.set("epochs", 1_000)
    session.train()
    until(lambda: session.running.curve)
    session.set("epochs", 1)
    assert session.changed
    for units in (12, 24, 32, 8):  # only the last of these is wanted in the end
        session.set("units", units)
        session.train()
    assert not session.changed
    session.wait()
    (trial,) = session.trials
    assert (trial.recipe.units, trial.state) == (8, "finished")


def test_to_train_what_is_training_changes_nothing(session):
    session.train()
    running = session.running
    session.train()
    assert session.running is running
    session.wait()
    assert len(session.trials) == 1


def test_stop_and_train_again_starts_anew(session):
    session.set("epochs", 1_000)
    session.train()
    until(lambda: session.running.curve)
    session.stop()
    session.train()
    until(lambda: session.running is not None and session.running.number == 2 and session.running.curve)
    session.stop()
    session.wait()
    assert [trial.state for trial in session.trials] == ["stopped", "stopped"]


def test_a_known_setting_comes_back_at_once(session):
    first = trained(session)
    session.set("seed", 1)
    trained(session)
    session.set("seed", 0)
    session.train()
    assert session.running is None
    assert session.shown is first
    assert session.message == "Run 1 had this setting already: here it is again, at once."
    assert len(session.trials) == 2


def test_what_finished_is_in_the_store_for_the_next_session(session, mnist, tmp_path):
    trial = trained(session)
    assert load_run(SMALL, 0, mnist, tmp_path).history == trial.history
    later = Session(SMALL, mnist, store=tmp_path)
    assert later.recall()
    assert later.trials[0].stored
    assert later.trials[0].run.model is not None
    assert later.message == "This setting was trained before: here is the run as it was saved."
    assert not Session(replace(SMALL, units=17), mnist, store=tmp_path).recall()


def test_a_run_of_a_sweep_comes_back_without_training_and_its_network_with_it(mnist, tmp_path):
    sweep([SMALL], [0], mnist, tmp_path, workers=1, progress=False)
    session = Session(SMALL, mnist, store=tmp_path)
    trial = trained(session)
    assert trial.stored
    assert "here is its curve. Press Train to get its network too." in session.message
    assert [epoch for epoch, _, _ in trial.curve] == [0.5, 1.5]
    session.open_test_set(1)  # the sweep kept no model
    assert trial.test_accuracy is None
    again = trained(session)
    assert not again.stored
    assert again.run.model is not None
    assert Session(SMALL, mnist, store=tmp_path).recall()


def test_a_damaged_model_in_the_store_is_trained_again(session, mnist, tmp_path):
    trained(session)
    (model,) = tmp_path.glob("*.keras")
    model.write_bytes(model.read_bytes()[:1_000])
    later = Session(SMALL, mnist, store=tmp_path)
    assert later.recall()  # of the curve
    assert trained(later).run.model is not None


def test_a_run_that_was_replaced_can_be_asked_for_again(session):
    first = trained(session)
    session.set("epochs", 1_000)
    session.train()
    until(lambda: session.running.curve)
    session.recipe_of_trial(1)
    session.train()  # known, and shown at once
    assert session.shown is first
    session.set("epochs", 1_000)
    session.train()
    assert session.running.state == "training"
    assert session.shown is session.running
    until(lambda: session.running.number == 3 and session.running.curve)
    session.stop()
    session.wait()
    assert [trial.number for trial in session.trials] == [1, 3]


def test_a_run_that_diverges_says_why_and_leaves_the_session_usable(session):
    session.base = replace(SMALL, learning_rate=1e30)
    session.reset()
    trial = trained(session)
    assert trial.state == "failed"
    assert session.message.startswith("Training failed: the training loss is")
    session.set("learning_rate", 1e-3)
    sessions.prepare(session.job()[0], session.data)  # with weights that are no numbers any more
    assert trained(session).state == "finished"
    assert session.message.startswith("Run 2 has finished: validation accuracy ")


def test_an_unforeseen_error_is_told_too(session, monkeypatch):
    def fail(*_, **__):
        raise MemoryError("no room for it")

    monkeypatch.setattr(sessions, "train", fail)
    session.train()
    session.wait()
    assert session.message == "Training failed: MemoryError: no room for it"
    assert session.running is None


def test_a_store_that_cannot_be_written_costs_no_run(mnist, tmp_path):
    (tmp_path / "file").touch()
    session = Session(SMALL, mnist, store=tmp_path / "file")
    assert trained(session).state == "finished"
    assert session.message.startswith("The run could not be put into the store")


def test_a_bad_setting_is_a_problem_and_no_error(session):
    session.set("validation", "leaking")
    session.set("training_images", 1_000)
    assert session.problem.name == "training_images"
    session.train()
    assert session.running is None
    assert "cannot be trained" in session.message
    assert session.program().startswith("# training_images is 1,000 with a leaking validation set")
    session.reset()
    assert session.problem is None
    with pytest.raises(RecipeError, match="there is no control 'depth'"):
        session.set("depth", 3)


def test_the_test_set_is_opened_once_for_each_run_and_only_on_request(session, mnist):
    trial = trained(session)
    assert "test" not in vars(session)
    assert trial.test_accuracy is None
    session.open_test_set(1)
    test = mnist.open_test_set("to compare with what the session says")
    _, expected = trial.run.model.evaluate(test.flat, test.labels, verbose=0)
    assert trial.test_accuracy == pytest.approx(expected, abs=1e-6)
    trial.run = None  # a second time there is nothing to be measured
    session.open_test_set(1)
    assert trial.test_accuracy == pytest.approx(expected, abs=1e-6)


def test_runs_are_named_pinned_hidden_and_cleared(session):
    trained(session)
    session.set("seed", 1)
    trained(session)
    session.change(1, name="a very good one" * 9, pinned=True)
    session.change(2, hidden=True)
    first, second = session.trials
    assert first.pinned
    assert len(first.name) == 40
    assert sessions.title(first).startswith("a very good one")
    assert second.hidden
    session.clear()
    assert session.trials == [first]
    assert session.shown is None
    session.change(99, name="nobody")
    session.set("seed", 2)
    assert trained(session).number == 3


def test_the_controls_can_go_back_to_a_runs_setting(session):
    trained(session)
    session.set("units", 64)
    session.set("seed", 7)
    session.recipe_of_trial(1)
    assert session.job() == (SMALL, 0)


def test_automatic_training_follows_the_controls(session):
    session.automatic = True
    session.set("units", 24)
    session.set("units", 32)
    session.wait()
    assert [trial.recipe.units for trial in session.trials][-1] == 32


def test_warming_up_compiles_and_nothing_else(session, monkeypatch):
    prepared = []
    monkeypatch.setattr(sessions, "prepare", lambda recipe, data: prepared.append(recipe))
    for units in (12, 24, 50):
        session.set("units", units)
        session.warm_up(delay=0.2)
    until(lambda: prepared)
    assert [recipe.units for recipe in prepared] == [50]
    assert session.trials == []


def test_the_estimate_learns_from_the_runs_before(session):
    before = session.expected_seconds(SMALL)
    assert 0.05 < before < 60
    trial = trained(session)
    # Two epochs as long as the second, because the first waits for compilation.
    assert session.expected_seconds(SMALL) == pytest.approx(2 * trial.history["seconds"][1])
    assert session.expected_seconds(replace(SMALL, epochs=20)) == pytest.approx(10 * session.expected_seconds(SMALL))


SETTINGS = st.one_of(
    st.tuples(st.just("units"), st.sampled_from([8, 16])),
    st.tuples(st.just("epochs"), st.sampled_from([1, 2, 40])),
    st.tuples(st.just("seed"), st.sampled_from([0, 1, -1, None])),
    st.tuples(st.just("training_images"), st.sampled_from([1_000, 20_000, 54_000])),
    st.tuples(st.just("validation"), st.sampled_from(["held_out", "leaking"])),
    st.tuples(st.just("learning_rate"), st.sampled_from([1e-3, 1e30])),
    st.tuples(st.just("batch_size"), st.sampled_from([500, "big", 0.5])),
)
NUMBERS = st.integers(0, 12)


class RandomHands(RuleBasedStateMachine):
    """Someone who presses everything in any order."""

    def __init__(self, mnist, store, monkeypatch):
        super().__init__()
        self.session = Session(SMALL, mnist, store=store)
        self.at_once, self.most, self.finished, self.forgotten = 0, 0, [], []
        counting, plain_train = threading.Lock(), sessions.train

        def counted(*arguments, **named):
            with counting:
                self.at_once += 1
                self.most = max(self.most, self.at_once)
            try:
                run = plain_train(*arguments, **named)
            finally:
                with counting:
                    self.at_once -= 1
            if len(run.history["loss"]) == run.recipe.epochs:
                self.finished.append(run)
            return run

        self.patch = monkeypatch.context()
        self.patch.__enter__().setattr(sessions, "train", counted)

    @rule(setting=SETTINGS)
    def set(self, setting):
        self.session.set(*setting)

    @rule()
    def train(self):
        self.session.train()

    @rule()
    def stop(self):
        self.session.stop()

    @rule()
    def wait_a_little(self):
        time.sleep(0.05)

    @rule()
    def wait_to_the_end(self):
        if self.session.running and self.session.running.recipe.epochs < 40:
            self.session.wait()

    @rule(on=st.booleans())
    def automatic(self, on):
        self.session.automatic = on

    @rule()
    def reset(self):
        self.session.reset()

    @rule()
    def clear(self):
        before = list(self.session.trials)
        self.session.clear()
        self.forgotten += [trial.run for trial in before if trial not in self.session.trials]

    @rule(number=NUMBERS, pinned=st.booleans(), hidden=st.booleans())
    def change(self, number, pinned, hidden):
        self.session.change(number, name="mine", pinned=pinned, hidden=hidden)

    @rule(number=NUMBERS)
    def use(self, number):
        self.session.recipe_of_trial(number)

    @rule(number=NUMBERS)
    def open_test_set(self, number):
        self.session.open_test_set(number)

    @rule()
    def read(self):
        self.session.program()
        assert self.session.problem or self.session.expected_seconds(self.session.job()[0]) > 0

    @invariant()
    def at_most_one_run_trains(self):
        assert self.most <= 1

    def teardown(self):
        self.session.stop()
        self.session.wait()
        self.patch.__exit__(None, None, None)
        kept = [trial.run for trial in self.session.trials] + self.forgotten
        assert [run for run in self.finished if run not in kept] == []
        assert self.session.running is None


def test_two_hundred_random_operations_lose_no_finished_run(mnist, tmp_path_factory, monkeypatch):
    finished = []

    def hands():
        machine = RandomHands(mnist, tmp_path_factory.mktemp("store"), monkeypatch)
        finished.append(machine.finished)
        return machine

    run_state_machine_as_test(
        hands,
        settings=settings(max_examples=3, stateful_step_count=200, phases=[Phase.generate]),
    )
    assert any(finished)  # or nothing was tested
