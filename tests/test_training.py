"""The fast loop does what Keras does, batch for batch, and nothing else."""

import functools
import io
import math
import os
import platform
import random
import re
import threading
import time
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tqdm import tqdm

from mnist_helpers import training
from mnist_helpers.data import Split
from mnist_helpers.model import build_model, compile_model
from mnist_helpers.recipe import ARTICLE, SIZES
from mnist_helpers.run import Run
from mnist_helpers.training import Report, TrainingError, train

# 1,230 images in batches of 100: the last batch of each epoch is a partial one.
SHORT = replace(ARTICLE, training_images=1_230, batch_size=100, epochs=3)
VARIANTS = {
    "article": SHORT,
    "full batches": replace(SHORT, batch_size=123),
    "sigmoid and tanh": replace(SHORT, activation="sigmoid", last_activation="tanh"),
    "weight decay": replace(SHORT, weight_decay=0.5),
    "batch norm": replace(SHORT, batch_norm=True, hidden_layers=2),
    "batch norm, full batches": replace(SHORT, batch_norm=True, hidden_layers=2, batch_size=123),
    "no hidden layer": replace(SHORT, hidden_layers=0),
    "batch larger than the data": replace(SHORT, batch_size=5_000, hidden_layers=2, units=20),
    "cosine": replace(SHORT, schedule="cosine"),
    "cosine with warm-up": replace(SHORT, schedule="cosine", warmup_epochs=1),
    "label smoothing": replace(SHORT, label_smoothing=0.2, hidden_layers=2),
    "weight averaging": replace(SHORT, ema_momentum=0.9, hidden_layers=2),
}


def smoothed(recipe):
    """Keras's own loss with label smoothing, for labels that are class numbers."""
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=recipe.label_smoothing)
    return lambda labels, logits: loss(keras.ops.one_hot(keras.ops.reshape(labels, (-1,)), 10), logits)


@functools.lru_cache(maxsize=1)
def by_keras(recipe, data, seed):
    """Train with `train_on_batch` from the same initial weights, on the same batches."""
    random.seed(seed)
    model = compile_model(build_model(recipe), recipe)
    if recipe.label_smoothing:
        model.compile(optimizer=model.optimizer, loss=smoothed(recipe))
    order = np.random.default_rng(seed)
    for _ in range(recipe.epochs):
        images = order.permutation(recipe.training_images)
        for first in range(0, len(images), recipe.batch_size):
            batch = images[first : first + recipe.batch_size]
            model.train_on_batch(data.train.flat[batch], data.train.labels[batch])
    model.optimizer.finalize_variable_values(model.trainable_variables)  # as fit does at its end
    return model


def assert_same_weights(ours, theirs, tolerance):
    for our, their in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(our, their, atol=tolerance)


@pytest.mark.slow
@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "XLA"])
@pytest.mark.parametrize("name", VARIANTS)
def test_same_weights_as_train_on_batch_after_200_steps(mnist, monkeypatch, name, compiled):
    """With steps so small that rounding cannot grow: a ReLU that flips early leads two equal programs far apart."""
    monkeypatch.setattr("mnist_helpers.recipe.XLA_PAYS_FROM", 0 if compiled else 10**9)
    recipe = VARIANTS[name]
    epochs = math.ceil(200 / recipe.steps_per_epoch)
    recipe = replace(recipe, epochs=epochs, learning_rate=1e-7, weight_decay=200 * recipe.weight_decay)
    # Each weight moves by up to 200 × 1e-7, a bias before batch normalisation by rounding errors alone.
    tolerance = 1e-6 if recipe.batch_norm else 4e-7
    assert_same_weights(train(recipe, mnist, 4, progress=False).model, by_keras(recipe, mnist, 4), tolerance)


def test_all_options_together_give_keras_weights_after_a_few_steps(mnist):
    options = {"batch_norm": True, "label_smoothing": 0.1, "schedule": "cosine", "warmup_epochs": 1}
    recipe = replace(SHORT, hidden_layers=2, learning_rate=1e-5, weight_decay=50.0, ema_momentum=0.9, **options)
    recipe = replace(recipe, epochs=2)
    assert_same_weights(train(recipe, mnist, 4, progress=False).model, by_keras(recipe, mnist, 4), tolerance=1e-6)


@pytest.mark.parametrize("name", ["cosine", "cosine with warm-up"])
def test_the_learning_rate_of_every_step_is_that_of_keras(name):
    recipe = VARIANTS[name]
    schedule = compile_model(build_model(recipe), recipe).optimizer._learning_rate
    steps = recipe.epochs * recipe.steps_per_epoch
    theirs = [float(schedule(step)) for step in range(steps)]
    np.testing.assert_allclose(training.learning_rates(recipe, 0, steps), theirs, rtol=1e-5, atol=1e-9)
    np.testing.assert_array_equal(
        training.learning_rates(recipe, 5, 7), training.learning_rates(recipe, 0, steps)[5:12]
    )


@pytest.mark.slow
def test_same_weights_as_train_on_batch_with_large_steps(mnist):
    recipe = VARIANTS["sigmoid and tanh"]  # which have no kinks
    assert_same_weights(train(recipe, mnist, 4, progress=False).model, by_keras(recipe, mnist, 4), tolerance=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe",
    [
        SHORT,
        replace(SHORT, dropout=0.5),
        replace(SHORT, rotation=10, shift=1, elastic=1),
        replace(ARTICLE, validation="leaking", epochs=1),
    ],
    ids=["article", "dropout", "augmentation", "leaking"],
)
def test_the_same_seed_gives_the_same_run_whatever_came_before(mnist, recipe):
    keras.utils.set_random_seed(5)
    first = train(recipe, mnist, seed=1, progress=False)
    keras.utils.set_random_seed(123)
    train(recipe, mnist, seed=2, progress=False)
    again = train(recipe, mnist, seed=1, progress=False)
    assert without_seconds(first) == without_seconds(again)
    assert_same_weights(first.model, again.model, tolerance=0)


def test_other_threads_that_draw_random_numbers_change_nothing(mnist):
    """As the threads of a Dask worker do, and cells that run while a panel trains."""
    first = train(SHORT, mnist, seed=1, progress=False)
    done = threading.Event()

    def draw():
        while not done.is_set():
            random.random()

    thread = threading.Thread(target=draw)
    thread.start()
    again = train(SHORT, mnist, seed=1, progress=False)
    done.set()
    thread.join()
    assert_same_weights(first.model, again.model, tolerance=0)


def without_seconds(run):
    return {name: values for name, values in run.history.items() if name != "seconds"}


def test_another_seed_gives_another_run(mnist):
    one, other = (train(SHORT, mnist, seed, progress=False) for seed in (1, 2))
    assert one.history["val_loss"] != other.history["val_loss"]


def test_the_run_says_what_the_model_does(mnist):
    run = train(SHORT, mnist, progress=False)
    loss, accuracy = run.model.evaluate(mnist.validation.flat, mnist.validation.labels, batch_size=6_000, verbose=0)
    assert run.history["val_loss"][-1] == pytest.approx(loss, rel=1e-4)
    assert run.history["val_accuracy"][-1] == pytest.approx(accuracy, abs=1e-4)
    assert {name: len(values) for name, values in run.history.items()} == dict.fromkeys(run.history, 3)
    assert run.history["loss"][0] > run.history["loss"][-1]
    assert min(run.history["seconds"]) > 0
    assert run.history["learning_rate"] == pytest.approx([0.001] * 3)
    assert "seed 0" in repr(run)


def test_runs_of_one_shape_do_not_share_a_model(mnist):
    first = train(SHORT, mnist, seed=1, progress=False)
    before = first.model.get_weights()
    train(SHORT, mnist, seed=2, progress=False)
    for ours, then in zip(first.model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, then)


def test_dropout_is_at_work_in_training_alone(mnist):
    run = train(replace(SHORT, dropout=0.5, epochs=1), mnist, progress=False)
    assert run.history["loss"][0] > train(replace(SHORT, epochs=1), mnist, progress=False).history["loss"][0]
    once, twice = (run.model.predict(mnist.validation.flat[:50], verbose=0) for _ in range(2))
    np.testing.assert_array_equal(once, twice)


def test_the_test_set_is_never_read(mnist):
    blind = replace(mnist, _test=None)
    blind_run, run = (train(SHORT, data, progress=False) for data in (blind, mnist))
    assert without_seconds(blind_run) == without_seconds(run)


def test_the_held_out_split_keeps_apart_and_the_leaking_one_does_not(mnist):
    held_out = training._Examples(ARTICLE, mnist, seed=0)
    assert sorted(held_out.draw_training()) == list(range(54_000))
    np.testing.assert_array_equal(held_out.validation_images.numpy(), mnist.validation.images.reshape(-1, 784))

    leaking = training._Examples(replace(ARTICLE, validation="leaking"), mnist, seed=0)
    order, validation = set(leaking.draw_training()), set(leaking.draw_validation().numpy())
    assert (len(order), len(validation)) == (54_000, 6_000)
    assert 0.3 < len(order & validation) / 6_000 < 0.9
    assert order != set(leaking.draw_training())


def test_the_progress_bar_is_clean_and_can_be_left_out(mnist, capfd):
    train(SHORT, mnist, progress=False)
    assert capfd.readouterr() == ("", "")
    train(SHORT, mnist, report=lambda now: time.sleep(0.2))  # so that the bar has time to be drawn
    out, bar = capfd.readouterr()
    assert out == ""
    assert re.search(r"\b[12]\.\d/3 .*loss \d", bar)
    assert "\n" not in bar
    assert bar.endswith("\r")


@pytest.mark.parametrize(("epoch", "step", "place"), [(1, 0, 0.0), (1, 5, 0.5), (2, 0, 1.0), (3, 10, 3.0)])
def test_the_progress_bar_stands_where_the_run_does(epoch, step, place):
    with tqdm(total=3, file=io.StringIO()) as bar:
        for now in (Report(1, 2, 3, 10, 0.5, 0.9, {}), Report(epoch, step, 3, 10, 0.25, 0.9, {})):
            training._show(bar, now)
        assert bar.n == pytest.approx(place)
        assert bar.postfix == "loss 0.250"


def test_the_machine_is_named():
    named = training.hardware.__wrapped__()
    assert named.endswith(f", {os.cpu_count()} cores, {platform.system()}") or " GPU, " in named
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists() and (found := re.search(r"^model name\s*: (.*)$", cpuinfo.read_text(), re.MULTILINE)):
        assert named.startswith(f"{found[1]}, ")


def test_the_versions_are_those_that_are_imported():
    expected = {"tensorflow": tf.__version__, "keras": keras.__version__, "numpy": np.__version__}
    assert training.versions() == {"python": platform.python_version()} | expected


@pytest.mark.slow
def test_it_reports_within_an_epoch_and_at_its_end(mnist):
    reports, times = [], []

    def listen(report):
        times.append(time.perf_counter())
        reports.append((report.epoch, report.step, len(report.history["val_loss"]), report.loss))

    recipe = replace(ARTICLE, batch_size=32, epochs=2)
    run = train(recipe, mnist, report=listen, progress=False)
    places = [(epoch, step) for epoch, step, *_ in reports]
    assert places == sorted(set(places))
    assert len(places) >= 10
    ends = [(epoch, finished, loss) for epoch, step, finished, loss in reports if step == recipe.steps_per_epoch]
    assert ends == [(1, 1, run.history["loss"][0]), (2, 2, run.history["loss"][1])]


def test_reports_do_not_change_the_run(mnist):
    slow = train(SHORT, mnist, report=lambda report: time.sleep(0.01), progress=False)
    assert without_seconds(slow) == without_seconds(train(SHORT, mnist, progress=False))


@pytest.mark.parametrize("name", ["article", "batch norm", "dropout and distortions"])
def test_measuring_the_gradients_changes_no_bit_of_the_weights(mnist, name):
    recipe = VARIANTS.get(name) or replace(SHORT, dropout=0.2, rotation=10.0, ema_momentum=0.9, hidden_layers=2)
    measure, reports = threading.Event(), []
    weights = []
    for _ in range(2):
        run = train(recipe, mnist, 3, reports.append, progress=False, measure=measure)
        weights.append(run.model.get_weights())
        measure.set()
    for plain, measured in zip(*weights, strict=True):
        np.testing.assert_array_equal(plain, measured)
    lengths = [0 if report.gradients is None else len(report.gradients) for report in reports]
    half = next(place for place, report in enumerate(reports) if place and report.epoch == 1 < reports[place - 1].epoch)
    assert set(lengths[:half]) == {0} and set(lengths[half:]) == {recipe.hidden_layers + 1}


def test_the_first_norms_are_those_of_the_untrained_network(mnist):
    recipe = replace(ARTICLE, training_images=500, epochs=1, activation="sigmoid", last_activation="sigmoid")
    reports, measure = [], threading.Event()
    measure.set()
    train(recipe, mnist, 5, reports.append, progress=False, measure=measure)
    model = build_model(recipe, 5)
    with tf.GradientTape() as tape:  # as chapter 3 measures it
        logits = model(mnist.train.flat[:500])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(mnist.train.labels[:500], logits)
    matrices = [variable for variable in model.trainable_variables if len(variable.shape) == 2]
    norms = [float(tf.norm(part)) for part in tape.gradient(loss, matrices)]
    assert reports[0].gradients == pytest.approx(norms, rel=1e-4)


@pytest.mark.slow
def test_a_stopped_run_returns_what_it_has(mnist):
    stop = threading.Event()

    def listen(report):
        if report.epoch == 2 and report.step > 0:
            stop.set()

    run = train(replace(ARTICLE, batch_size=32, epochs=100), mnist, report=listen, stop=stop, progress=False)
    assert len(run.history["val_loss"]) == 1
    assert run.best_epoch == 1
    loss, _ = run.model.evaluate(mnist.validation.flat, mnist.validation.labels, verbose=0)
    assert loss < 1
    stop.set()
    unfinished = train(replace(ARTICLE, batch_size=32), mnist, stop=stop, progress=False)
    assert unfinished.history["loss"] == []
    assert unfinished.best_epoch is None
    assert "no epoch finished" in repr(unfinished)
    assert without_seconds(Run.from_json(unfinished.to_json())) == without_seconds(unfinished)


def test_early_stopping_restores_the_best_weights(mnist):
    recipe = replace(SHORT, epochs=60, patience=2, batch_norm=True, hidden_layers=2, learning_rate=0.01)
    stopped = train(recipe, mnist, progress=False)
    losses = stopped.history["val_loss"]
    assert 2 < len(losses) == stopped.best_epoch + 2 < 60
    assert losses[stopped.best_epoch - 1] == min(losses)
    best = train(replace(recipe, epochs=stopped.best_epoch, patience=0), mnist, progress=False)
    assert_same_weights(stopped.model, best.model, tolerance=0)


@pytest.fixture
def report_each_step(monkeypatch):
    monkeypatch.setattr(training, "_REPORT_SECONDS", 0)
    training._loop_for(SHORT)._steps_at_once = 1


def test_a_run_that_is_stopped_in_its_second_epoch_keeps_the_first(mnist, report_each_step):
    stop = threading.Event()
    run = train(SHORT, mnist, report=lambda now: (now.epoch, now.step) == (2, 5) and stop.set(), stop=stop)
    assert len(run.history["val_loss"]) == run.best_epoch == 1


def test_a_run_that_is_stopped_at_the_end_of_an_epoch_keeps_it(mnist, report_each_step):
    stop = threading.Event()
    run = train(SHORT, mnist, report=lambda now: (now.epoch, now.step) == (2, 13) and stop.set(), stop=stop)
    assert len(run.history["val_loss"]) == 2


def test_a_report_has_the_means_of_its_epoch_so_far(mnist, report_each_step):
    reports = []
    run = train(SHORT, mnist, 5, reports.append, progress=False)
    assert [(now.epoch, now.step) for now in reports] == [(epoch, step) for epoch in (1, 2, 3) for step in range(1, 14)]
    first, last = reports[0], reports[-1]
    assert (first.epochs, first.steps) == (3, 13)
    with pytest.raises(FrozenInstanceError):
        first.step = 2
    untrained = compile_model(build_model(SHORT, 5), SHORT)
    batch = np.random.default_rng(5).permutation(1_230)[:100]
    loss, accuracy = untrained.evaluate(mnist.train.flat[batch], mnist.train.labels[batch], verbose=0)
    assert (first.loss, first.accuracy) == pytest.approx((loss, accuracy), rel=1e-4)
    assert (last.loss, last.accuracy) == (run.history["loss"][-1], run.history["accuracy"][-1])


def test_a_run_says_the_learning_rate_of_each_epochs_last_step(mnist):
    recipe = VARIANTS["cosine with warm-up"]
    rates = training.learning_rates(recipe, 0, 3 * 13)
    assert train(recipe, mnist, progress=False).history["learning_rate"] == rates[12::13].tolist()


def test_what_was_prepared_compiles_nothing_more(mnist):
    recipe = replace(SHORT, hidden_layers=1, units=37)
    training.prepare(recipe, mnist)
    loop = training._loop_for(recipe)
    train(recipe, mnist, progress=False)
    assert loop._steps.experimental_get_tracing_count() == loop.evaluate.experimental_get_tracing_count() == 1


def test_dropout_drops_its_share_and_scales_the_rest():
    """Of a black image each hidden unit makes sigmoid(0); the output layer takes the mean of what they hand on."""
    recipe = replace(ARTICLE, hidden_layers=1, units=400, last_activation="sigmoid", dropout=0.3)
    loop = training._Loop(recipe, partial=False, compiled=False)
    loop.model.layers[-1].kernel.assign(np.full((400, 10), 1 / 400))
    means = loop._logits(tf.zeros((500, 784)), None, tf.constant([3, 4]), 0.3).numpy()[:, 0]
    shares_kept = means / (0.5 / 0.7)
    assert shares_kept.mean() == pytest.approx(0.7, abs=0.005)
    assert shares_kept.std() == pytest.approx(np.sqrt(0.3 * 0.7 / 400), rel=0.1)


def test_a_validation_loss_that_is_no_number_ends_the_run(mnist, monkeypatch):
    recipe = replace(SHORT, hidden_layers=1)
    monkeypatch.setattr(training._loop_for(recipe), "evaluate", lambda *_: (math.nan, 0.0))
    sentence = r"the validation loss is nan in epoch 1 of 3, at step 13 of 13, where the learning rate is 0\.001;"
    with pytest.raises(TrainingError, match=sentence):
        train(recipe, mnist, progress=False)


def test_it_stops_after_as_many_epochs_as_keras_does(mnist):
    recipe = replace(SHORT, epochs=60, patience=3)
    run = train(recipe, mnist, progress=False)
    callback = keras.callbacks.EarlyStopping("val_loss", patience=3)
    callback.set_model(run.model)
    callback.on_train_begin()
    for epoch, loss in enumerate(run.history["val_loss"]):
        assert not run.model.stop_training
        callback.on_epoch_end(epoch, {"val_loss": loss})
    assert run.model.stop_training


def test_a_loss_that_is_only_as_low_as_before_is_not_better(mnist, monkeypatch):
    recipe = replace(SHORT, hidden_layers=1, epochs=5, patience=2)
    monkeypatch.setattr(training._loop_for(recipe), "evaluate", lambda *_: (0.5, 0.9))
    assert len(train(recipe, mnist, progress=False).history["val_loss"]) == 3


@pytest.mark.parametrize("compiled", [False, True], ids=["graph", "XLA"])
def test_a_diverged_run_says_where(mnist, monkeypatch, compiled):
    monkeypatch.setattr("mnist_helpers.recipe.XLA_PAYS_FROM", 0 if compiled else 10**9)
    with pytest.raises(TrainingError, match=r"in epoch 1 of 3, at step [2-9] of 13, where the learning rate is 1e\+30"):
        train(replace(SHORT, learning_rate=1e30), mnist, progress=False)
    finite = train(SHORT, mnist, progress=False)
    assert np.isfinite(finite.history["loss"]).all()


@pytest.mark.slow
def test_moving_a_slider_that_changes_no_shape_compiles_nothing(mnist):
    options = dict.fromkeys(SIZES, 0.1)
    recipe = replace(SHORT, **options)
    train(recipe, mnist, progress=False)
    loop = training._loop_for(recipe)
    for change in [
        *({name: 0.2} for name in options),
        {"learning_rate": 0.01},
        {"schedule": "cosine"},
        {"epochs": 2},
        {"training_images": 1_170},
    ]:
        moved = replace(recipe, **change)
        assert training._loop_for(moved) is loop
        train(moved, mnist, seed=1, progress=False)
    assert loop._steps.experimental_get_tracing_count() == 1
    plain = replace(recipe, ema_momentum=0.0)  # early stopping and weight averaging exclude each other
    assert training._loop_for(replace(plain, patience=1)) is training._loop_for(plain)


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZES)
def test_every_size_reaches_the_network(mnist, name):
    one, other = (replace(SHORT, **{name: size}) for size in (0.1, 0.6))
    one, other = (train(recipe, mnist, progress=False).history for recipe in (one, other))
    assert one["val_loss"] != other["val_loss"]


def test_runs_in_two_threads_do_not_disturb_each_other(mnist):
    together = [None, None]

    def work(seed):
        together[seed] = train(SHORT, mnist, seed, progress=False)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in (0, 1):
        assert without_seconds(together[seed]) == without_seconds(train(SHORT, mnist, seed, progress=False))


def test_a_run_goes_to_json_and_back(mnist):
    run = train(replace(SHORT, dropout=0.1), mnist, seed=3, progress=False)
    again = Run.from_json(run.to_json())
    assert again.model is None
    for name in ("recipe", "seed", "history", "digest", "versions", "hardware"):
        assert getattr(again, name) == getattr(run, name)
    assert again.digest == mnist.digest
    assert set(again.versions) == {"python", "tensorflow", "keras", "numpy"}
    assert "cores" in again.hardware


def test_the_model_can_be_saved_and_loaded(mnist, tmp_path):
    run = train(replace(SHORT, batch_norm=True, schedule="cosine"), mnist, progress=False)
    run.model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    some = mnist.validation.flat[:100]
    np.testing.assert_array_equal(loaded.predict(some, verbose=0), run.model.predict(some, verbose=0))
    assert loaded.evaluate(some, mnist.validation.labels[:100], verbose=0)[1] > 0.5


@pytest.mark.parametrize("seed", [-1, 1.5, True, "1", 2**31, None])
def test_a_seed_that_is_none_is_refused(mnist, seed):
    with pytest.raises(ValueError, match="expected a whole number from 0 to"):
        train(SHORT, mnist, seed, progress=False)


def test_other_data_have_another_digest(mnist):
    changed = mnist.train.images.copy()
    changed[0, 0, 0] += 1
    assert replace(mnist, train=Split(changed, mnist.train.labels)).digest != mnist.digest
