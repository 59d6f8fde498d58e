"""A sweep of 200 runs whose workers are killed again and again ends as one that nobody disturbed.

Of the two processes that train, one is killed every few seconds, at moments that a seed decides. The call that this
ends is made again until it is complete; each run must then be there once, with the same losses to the last bit.
"""

import random
import sys
import time

import psutil
import pytest
from figures import keep

from mnist_helpers.run import Run

RUNS = 200
SECONDS_BETWEEN = (1, 8)
SHARE_THAT_WAITS = (
    0.8  # of the calls, which are spared until they have finished a run; the others may be killed as they begin
)
SWEEP = """
import sys
from dataclasses import replace
from mnist_helpers.data import load_mnist
from mnist_helpers.recipe import ARTICLE
from mnist_helpers.sweep import sweep
# One shape, so that each run is written when it is finished.
recipes = [replace(ARTICLE, hidden_layers=2, units=20, epochs=2, learning_rate=rate * 1e-3) for rate in range(1, 11)]
table = sweep(recipes, range(20), load_mnist(), store=sys.argv[1], workers=2, progress=False)
print("complete with", table.key.nunique())
"""


class Sweep:
    """A call of ``sweep`` in a process; what it says goes to a file, which workers may keep open after its end."""

    def __init__(self, store):
        self._log = store.with_suffix(".log")
        with self._log.open("w") as file:
            self.process = psutil.Popen([sys.executable, "-c", SWEEP, str(store)], stdout=file, stderr=file)

    def workers(self):
        try:
            return [child for child in self.process.children(True) if "LokyProcess" in " ".join(child.cmdline())]
        except psutil.NoSuchProcess:
            return []

    def said(self):
        self.process.wait()
        return self._log.read_text()


def number_in(store):
    return len(list(store.glob("*.json")))


def losses(store):
    runs = {path.name: Run.from_json(path.read_text(encoding="utf-8")) for path in store.glob("*.json")}
    return {name: run.history | {"seconds": None} for name, run in runs.items()}


@pytest.mark.timeout(3_600)
def test_a_sweep_whose_workers_are_killed_ends_like_one_that_is_left_alone(tmp_path):
    chance = random.Random(21)
    store, calls, kills, began = tmp_path / "killed", 0, 0, time.monotonic()
    complete = False
    while not complete:
        calls += 1
        sweep, before = Sweep(store), number_in(store)
        due, waits = time.monotonic() + chance.uniform(*SECONDS_BETWEEN), chance.random() < SHARE_THAT_WAITS
        while sweep.process.poll() is None:
            time.sleep(0.05)
            if waits and number_in(store) > before:
                due, waits = time.monotonic() + chance.uniform(*SECONDS_BETWEEN), False
            if not waits and time.monotonic() > due and (workers := sweep.workers()):
                chance.choice(workers).kill()
                kills += 1
                due = time.monotonic() + chance.uniform(*SECONDS_BETWEEN)
        said = sweep.said()
        complete = said.endswith(f"complete with {RUNS}\n")
        assert complete or "SweepError: a worker process was killed" in said, said
    seconds = time.monotonic() - began
    assert kills > 2

    alone = tmp_path / "alone"
    assert Sweep(alone).said().endswith(f"complete with {RUNS}\n")
    assert losses(store) == losses(alone)
    assert not [path for path in store.iterdir() if path.suffix != ".json"]
    outcome = f"{kills} kills, {calls} calls until it was complete; all losses are those of a sweep that was left alone"
    keep("A sweep whose workers are killed", f"{RUNS} runs", seconds, outcome)
