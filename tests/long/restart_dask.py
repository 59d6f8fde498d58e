"""A sweep on a Dask cluster goes on when a worker is started anew, and where it was when the scheduler is."""

import subprocess
import sys
import threading
import time
from dataclasses import replace

import joblib
import pandas as pd
import pytest
from figures import keep
from test_sweep import SMALL, finished, wait_for, without_seconds

from mnist_helpers.sweep import SweepError, sweep

RECIPES = {"plain": replace(SMALL, epochs=20), "dropout": replace(SMALL, epochs=20, dropout=0.2)}
SEEDS = range(40)
BEFORE_A_WORKER, BEFORE_THE_SCHEDULER = 10, 30  # runs that are finished before one of them ends


class Cluster:
    """A scheduler and two workers, as one would start them by hand, in processes that can be started anew."""

    def __init__(self, folder):
        self._folder, self._log = folder, (folder / "dask.log").open("w")
        self.address_file = folder / "scheduler.json"
        self.processes = {}
        self.start()

    def _begin(self, name, command, *options):
        local = ["--host", "127.0.0.1", "--no-dashboard", "--scheduler-file", self.address_file]
        arguments = [sys.executable, "-m", f"distributed.cli.{command}", *local, *options]
        self.processes[name] = subprocess.Popen(arguments, stdout=self._log, stderr=self._log)

    def start(self):
        self.address_file.unlink(missing_ok=True)
        self._begin("scheduler", "dask_scheduler", "--port", "0")
        for name in ("first", "second"):
            self.start_worker(name)

    def start_worker(self, name):
        self._begin(name, "dask_worker", "--nthreads", "1", "--no-nanny", "--local-directory", self._folder)

    def kill(self, *names):
        for name in names:
            self.processes[name].kill()
            self.processes[name].wait()

    def close(self):
        self.kill(*self.processes)
        self._log.close()


@pytest.fixture
def cluster(tmp_path):
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.close()


def sweep_on(cluster, mnist, store):
    from distributed import Client

    with Client(scheduler_file=str(cluster.address_file)) as client:
        client.wait_for_workers(2, timeout=60)
        with joblib.parallel_config("dask"):
            return sweep(RECIPES, SEEDS, mnist, store, progress=False)


@pytest.mark.timeout(3_600)
def test_a_sweep_lives_through_a_new_worker_and_goes_on_after_a_new_scheduler(mnist, tmp_path, cluster):
    store = tmp_path / "on dask"
    store.mkdir()

    def disturb():
        wait_for(store, BEFORE_A_WORKER)
        cluster.kill("first")
        cluster.start_worker("first")
        wait_for(store, BEFORE_THE_SCHEDULER)
        cluster.kill("scheduler")

    began = time.monotonic()
    disturber = threading.Thread(target=disturb)
    disturber.start()
    with pytest.raises(SweepError, match="Make the same call again to go on"):
        sweep_on(cluster, mnist, store)
    disturber.join()
    before = finished(store)
    cluster.kill("first", "second")
    cluster.start()
    on_dask = sweep_on(cluster, mnist, store)
    seconds = time.monotonic() - began

    runs = len(RECIPES) * len(SEEDS)
    assert BEFORE_THE_SCHEDULER <= len(before) < runs
    after = finished(store)
    assert {name: after[name] for name in before} == before
    on_loky = sweep(RECIPES, SEEDS, mnist, tmp_path / "on loky", workers=2, progress=False)
    pd.testing.assert_frame_equal(without_seconds(on_dask), without_seconds(on_loky), check_exact=True)
    outcome = "the first goes on, the second ends the call with a sentence, and the next call goes on where it was"
    keep("A sweep on Dask: a new worker, a new scheduler", f"{runs} runs", seconds, outcome)
