"""Sweeps train what the store lacks, lose nothing when they are killed, and give the same on a cluster."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace

import joblib
import numpy as np
import pandas as pd
import psutil
import pytest
from distributed import KilledWorker
from distributed.client import FutureCancelledError
from joblib.externals.loky.process_executor import BrokenProcessPool

from mnist_helpers import sweep as sweeping
from mnist_helpers.data import Split, load_mnist
from mnist_helpers.recipe import ARTICLE, RecipeError
from mnist_helpers.sweep import SweepError, load_run, run_key, sweep, trained_runs
from mnist_helpers.training import train

SMALL = replace(ARTICLE, hidden_layers=2, units=20, training_images=2_000, batch_size=100, epochs=3)
RECIPES = {"narrow": SMALL, "wide": replace(SMALL, units=50)}
# Runs of a third of a second each, so that there is time to kill something.
NUMBER = 24
MANY = """
from dataclasses import replace
from mnist_helpers.data import load_mnist
from mnist_helpers.recipe import ARTICLE
from mnist_helpers.sweep import sweep
sweep([replace(ARTICLE, hidden_layers=2, units=20, epochs=2)], range(NUMBER), load_mnist(), store="STORE", workers=2)
print("complete")
"""


def without_seconds(table):
    return table.drop(columns="seconds")


def finished(store):
    return {path.name: path.stat().st_mtime_ns for path in store.glob("*.json")}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def table(mnist, store):
    return sweep(RECIPES, range(2), mnist, store, workers=2, progress=False)


def test_the_table_is_tidy(table, mnist):
    assert len(table) == 2 * 2 * 3
    assert table[["name", "seed", "epoch"]].values.tolist() == [
        [name, seed, epoch] for name in RECIPES for seed in (0, 1) for epoch in (1, 2, 3)
    ]
    assert table.groupby("name").units.unique().map(list).to_dict() == {"narrow": [20], "wide": [50]}
    assert (table.error == "").all()
    assert table.key.nunique() == 4
    best = table[table.epoch == table.best_epoch].set_index("key").val_loss
    pd.testing.assert_series_equal(best.sort_index(), table.groupby("key").val_loss.min().sort_index())


def trained_in_a_worker(recipe):
    return train(recipe, load_mnist(), seed=1, progress=False).history


def test_a_run_of_a_sweep_is_the_run_that_train_gives(table, mnist):
    histories = joblib.Parallel(2)(joblib.delayed(trained_in_a_worker)(recipe) for recipe in RECIPES.values())
    for (name, recipe), exact in zip(RECIPES.items(), histories, strict=True):
        # Here TensorFlow has several threads, and may add up in another order.
        near = train(recipe, mnist, seed=1, progress=False).history
        rows = table[(table.name == name) & (table.seed == 1)]
        for quantity in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"):
            assert rows[quantity].tolist() == exact[quantity]
            assert rows[quantity].tolist() == pytest.approx(near[quantity], rel=1e-3)


def jobs(*recipes, seeds=5):
    return {f"{recipe.units} {seed}": (recipe, seed) for recipe in recipes for seed in range(seeds)}


def test_runs_of_one_shape_go_to_one_worker_while_there_are_shapes_for_all():
    recipes = [replace(SMALL, units=units) for units in (30, 20, 50)]
    given = jobs(*recipes)
    tasks = sweeping.dealt(given, workers=2)
    assert {key: job for task in tasks for key, job in task.items()} == given
    assert [len(task) for task in tasks] == [5, 5, 1, 1, 1, 1, 1]
    assert [next(iter(task.values()))[0].units for task in tasks] == [50, 30, 20, 20, 20, 20, 20]
    # For one worker, or for more than there are shapes, each run is a task, so that none waits for another to be kept.
    for workers in (1, 4):
        assert [len(task) for task in sweeping.dealt(given, workers)] == [1] * 15


def test_options_without_a_shape_do_not_split_a_task():
    recipes = [replace(SMALL, learning_rate=rate, hidden_layers=layers) for layers in (1, 2) for rate in (0.1, 0.2)]
    given = {str(number): (recipe, 0) for number, recipe in enumerate(recipes)}
    assert sorted(map(sorted, sweeping.dealt(given, workers=2))) == [["0", "1"], ["2", "3"]]


def test_long_runs_are_kept_one_by_one():
    long = [replace(ARTICLE, units=units, epochs=20) for units in (100, 101)]
    assert [len(task) for task in sweeping.dealt(jobs(*long), workers=2)] == [1] * 10
    short = [replace(ARTICLE, units=units, epochs=2) for units in (100, 101)]
    assert max(len(task) for task in sweeping.dealt(jobs(*short, seeds=30), workers=2)) < 15


def test_nothing_is_trained_twice(table, mnist, store, monkeypatch):
    before = finished(store)
    monkeypatch.setattr(sweeping, "_run", None)
    pd.testing.assert_frame_equal(sweep(RECIPES, range(2), mnist, store), table)
    assert finished(store) == before
    assert len(before) == 4


def test_a_sweep_may_name_a_recipe_twice_or_not_at_all(table, mnist, store):
    again = sweep([SMALL, SMALL], [0], mnist, store)
    assert "name" not in again
    assert len(again) == 6
    assert again.key.nunique() == 1


def test_a_worker_has_one_tensorflow_thread(table):
    threads = joblib.Parallel(2)(joblib.delayed(os.getenv)("TF_NUM_INTRAOP_THREADS") for _ in range(2))
    assert threads == ["1", "1"]


def test_the_module_leaves_tensorflow_alone():
    script = "import sys, mnist_helpers.sweep; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_store_is_read_without_tensorflow(table, store):
    script = (
        "import sys; from mnist_helpers.data import load_mnist; from mnist_helpers.sweep import sweep; "
        "from mnist_helpers.recipe import Recipe; "
        f"recipe = Recipe(**{asdict(SMALL)}); "
        f"print(len(sweep([recipe], [0, 1], load_mnist(), {str(store)!r})), 'tensorflow' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["6", "False"]


def test_the_name_of_a_run_depends_on_all_that_its_result_depends_on(mnist, monkeypatch):
    images = mnist.train.images.copy()
    images[0, 0, 0] += 1
    other_data = replace(mnist, train=Split(images, mnist.train.labels))
    names = [
        run_key(SMALL, 0, mnist),
        run_key(SMALL, 1, mnist),
        run_key(replace(SMALL, shift=1), 0, mnist),
        run_key(SMALL, 0, other_data),
    ]
    assert run_key(SMALL, 0, mnist) == names[0]
    monkeypatch.setattr(sweeping, "code_version", lambda: "another")
    names.append(run_key(SMALL, 0, mnist))
    assert len(set(names)) == len(names)


DAMAGE = [b"", b'{"recipe": {"un', b"\xff\x00\x01", b"[1, 2]", b'{"seed": 0}', b"[" * 100_000]
NO_FAILURES = [b'{"error": "", "again": false, "recipe": 5, "seed": 0}', b'{"error": "", "again": false, "seed": 0}']


@pytest.mark.parametrize("damage", [*DAMAGE, *NO_FAILURES], ids=lambda damage: damage[-20:].decode(errors="replace"))
def test_a_damaged_file_is_set_aside_and_its_run_done_again(table, mnist, store, damage):
    key = run_key(SMALL, 0, mnist)
    path = store / f"{key}.json"
    path.write_bytes(damage)
    with pytest.warns(UserWarning, match=f"set aside as {key}.json.damaged, and its run done again"):
        again = sweep(RECIPES, range(2), mnist, store, workers=2)
    pd.testing.assert_frame_equal(without_seconds(again), without_seconds(table))
    assert path.with_name(f"{key}.json.damaged").read_bytes() == damage


def test_a_failing_run_is_recorded_and_the_others_go_on(mnist, tmp_path, monkeypatch):
    recipes = {"diverges": replace(SMALL, learning_rate=1e30), "works": SMALL}
    table = sweep(recipes, [0], mnist, tmp_path, workers=2)
    assert table.name.tolist() == ["diverges", "works", "works", "works"]
    failed = table.iloc[0]
    assert failed.epoch == 0
    assert failed.error.startswith("TrainingError: the training loss is ")
    assert np.isnan(failed.val_loss)
    with pytest.raises(SweepError, match="holds, as a failure"):
        load_run(recipes["diverges"], 0, mnist, tmp_path, model=False)
    monkeypatch.setattr(sweeping, "_run", None)
    pd.testing.assert_frame_equal(sweep(recipes, [0], mnist, tmp_path), table)


def test_a_run_that_failed_for_another_reason_is_tried_again(mnist, tmp_path):
    broken = replace(mnist, train=Split(mnist.train.images[:, :5], mnist.train.labels))
    for attempt in (1, 2):
        table = sweep([SMALL], [0], broken, tmp_path, workers=2)
        assert "Error: " in table.error[0]
        (path,) = finished(tmp_path)
        written = finished(tmp_path)[path]
        if attempt == 1:
            first = written
    assert written > first


def test_models_are_kept_on_request(table, mnist, store):
    with pytest.raises(SweepError, match=r"does not hold the run of .* with its model; expected"):
        load_run(SMALL, 1, mnist, store)
    assert load_run(SMALL, 1, mnist, store, model=False).model is None
    runs = trained_runs(RECIPES, range(2), mnist, store, workers=2)
    assert {name: [(run.recipe, run.seed) for run in of_a_name] for name, of_a_name in runs.items()} == {
        name: [(recipe, 0), (recipe, 1)] for name, recipe in RECIPES.items()
    }
    run = runs["narrow"][1]
    _, accuracy = run.model.evaluate(mnist.validation.flat, mnist.validation.labels, verbose=0)
    assert accuracy == pytest.approx(run.history["val_accuracy"][-1], abs=1e-6)


@pytest.mark.parametrize(
    ("recipes", "seeds", "error", "sentence"),
    [
        ([], [0], SweepError, "recipes is empty"),
        ([SMALL, "wide"], [0], SweepError, "recipes holds 'wide'; expected objects of the class Recipe"),
        ([SMALL], [], SweepError, "expected at least one"),
        ([SMALL], [0, 0], SweepError, "none twice"),
        ([SMALL], [-1], RecipeError, "seed is -1; expected a whole number from 0"),
        ([SMALL], [0.5], RecipeError, "seed is 0.5; expected a whole number from 0"),
    ],
)
def test_arguments_of_no_use_are_refused(mnist, tmp_path, recipes, seeds, error, sentence):
    with pytest.raises(error, match=sentence):
        sweep(recipes, seeds, mnist, tmp_path)


def test_a_store_that_is_no_folder_is_refused(mnist, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SweepError, match="cannot be used as a store of runs"):
        sweep([SMALL], [0], mnist, tmp_path / "file")


def test_the_store_is_where_the_variable_says(table, mnist, store, monkeypatch):
    monkeypatch.setenv(sweeping.STORE_VARIABLE, str(store))
    assert load_run(SMALL, 0, mnist, model=False).seed == 0


def test_the_progress_bar_counts_runs(mnist, tmp_path, capfd):
    sweep([SMALL], range(3), mnist, tmp_path, workers=2)
    bar = capfd.readouterr().err
    assert "/3 [" in bar and "run" in bar
    assert "epoch" not in bar  # those of the runs themselves
    assert bar.endswith("\r")


class Many:
    """A process that sweeps; what it says goes to a file, because its workers can outlive it and keep a pipe open."""

    def __init__(self, store, log):
        self._log = log
        with log.open("w") as file:
            command = [sys.executable, "-c", MANY.replace("STORE", store.as_posix()).replace("NUMBER", str(NUMBER))]
            self.process = psutil.Popen(command, stdout=file, stderr=file)

    def workers(self):
        return [child for child in self.process.children(True) if "LokyProcess" in " ".join(child.cmdline())]

    def said(self):
        self.process.wait(timeout=200)
        return self._log.read_text()


def wait_for(holds):
    give_up = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["a worker", "the parent"])
def test_a_killed_sweep_goes_on_where_it_was(tmp_path, victim):
    store = tmp_path / "runs"
    killed = Many(store, tmp_path / "killed.log")
    wait_for(lambda: len(finished(store)) >= 5)
    workers = killed.workers()
    assert len(workers) == 2
    (workers[0] if victim == "a worker" else killed.process).kill()
    said = killed.said()
    assert "complete" not in said
    if victim == "a worker":
        assert "SweepError: a worker process was killed" in said
        assert "Make the same call again" in said

    before = finished(store)
    assert 5 <= len(before) < NUMBER
    assert Many(store, tmp_path / "again.log").said().endswith("complete\n")
    after = finished(store)
    assert len(after) == NUMBER
    assert {name: after[name] for name in before} == before
    for orphan in workers:
        if orphan.is_running():
            orphan.kill()


@pytest.mark.slow
def test_two_sweeps_into_one_store_lose_nothing(tmp_path):
    store = tmp_path / "runs"
    for sweeper in [Many(store, tmp_path / f"{number}.log") for number in (1, 2)]:
        said = sweeper.said()
        assert said.endswith("complete\n")
        assert "set aside" not in said
    assert len(finished(store)) == NUMBER
    assert not list(store.glob("*.part"))


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two worker processes, as one would start them by hand; gives the address file and the three."""
    log = (tmp_path / "dask.log").open("w")

    def start(command, *options):
        local = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", tmp_path / "scheduler.json"]
        arguments = [sys.executable, "-m", f"distributed.cli.{command}", *local, *options]
        return subprocess.Popen(arguments, stdout=log, stderr=log)

    started = [start("dask_scheduler", "--port", "0")]
    for _ in range(2):
        started.append(start("dask_worker", "--nthreads", "1", "--no-nanny", "--local-directory", tmp_path))
    yield tmp_path / "scheduler.json", started
    for process in reversed(started):
        process.kill()
        process.wait()
    log.close()


def kill_when(condition, process):
    def watch():
        give_up = time.monotonic() + 120
        while not condition() and time.monotonic() < give_up:
            time.sleep(0.01)
        process.kill()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


@pytest.mark.slow
def test_dask_gives_what_loky_gives_even_if_a_worker_is_killed(mnist, tmp_path, cluster):
    from distributed import Client

    address_file, (_, *workers) = cluster
    recipes = {"plain": replace(SMALL, epochs=20), "dropout": replace(SMALL, epochs=20, dropout=0.2)}
    store = tmp_path / "on dask"
    store.mkdir()
    with Client(scheduler_file=str(address_file)) as client:
        client.wait_for_workers(2, timeout=60)
        with joblib.parallel_config("dask"):
            killer = kill_when(lambda: len(finished(store)) >= 3, workers[0])
            on_dask = sweep(recipes, range(6), mnist, store, progress=False)
            killer.join()
        wait_for(lambda: len(client.scheduler_info()["workers"]) == 1)  # the client hears of it every two seconds
    assert workers[0].wait() == -signal.SIGKILL
    assert (on_dask.error == "").all()
    assert on_dask.key.nunique() == 12
    on_loky = sweep(recipes, range(6), mnist, tmp_path / "on loky", workers=2, progress=False)
    pd.testing.assert_frame_equal(without_seconds(on_dask), without_seconds(on_loky), check_exact=True)


@pytest.mark.parametrize(
    "error", [BrokenProcessPool("lost"), KilledWorker("task", None, 3), FutureCancelledError("task", "lost")]
)
def test_a_worker_that_is_lost_again_and_again_ends_in_a_sentence(mnist, tmp_path, monkeypatch, error):
    def lose(tasks):
        raise error
        yield

    monkeypatch.setattr(sweeping.joblib, "Parallel", lambda *_, **__: lose)
    with pytest.raises(SweepError, match=r"^a worker process was killed, .* fewer workers if it was the memory\.$"):
        sweep(RECIPES, [0], mnist, tmp_path, workers=2, progress=False)


@pytest.mark.slow
def test_a_sweep_that_loses_the_scheduler_of_its_cluster_says_so_and_keeps_what_was_finished(mnist, tmp_path, cluster):
    from distributed import Client

    address_file, (scheduler, *_) = cluster
    store = tmp_path / "runs"
    store.mkdir()
    with Client(scheduler_file=str(address_file)) as client:
        client.wait_for_workers(2, timeout=60)
        killer = kill_when(lambda: finished(store), scheduler)
        with (
            joblib.parallel_config("dask"),
            pytest.raises(SweepError, match=r"scheduler lost, .* Make the same call"),
        ):
            sweep([replace(SMALL, epochs=20)], range(20), mnist, store, progress=False)
        killer.join()
    assert 1 <= len(finished(store)) < 20
