"""Measure the speed of the training loop and of sweeps, print each table, and write them to a page of the book.

Run it with ``make bench`` on a machine that does nothing else. Every candidate has a process of its own; they
take turns, so that a machine that slows down slows all of them down.
"""

import argparse
import datetime
import json
import multiprocessing
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import joblib
import numpy as np
import psutil
from candidates import CANDIDATES, SIZES

sys.path.insert(0, str(Path(__file__).parents[1]))
from browsing import Lab, jupyterlab, launched, notebook

from mnist_helpers.data import load_mnist
from mnist_helpers.recipe import ARTICLE, Recipe
from mnist_helpers.sweep import sweep

PAGE = Path(__file__).parents[2] / "book" / "speed.md"
ROUNDS = 7
LIBRARIES = ("tensorflow", "keras", "numpy", "jax", "torch", "joblib", "distributed")
PAUSE = 0.3  # seconds before each turn
PROCESSES = multiprocessing.get_context("spawn")


class Turns:
    """A process that does one piece of work whenever it is asked, and says how long it took."""

    def __init__(self, prepare, *arguments):
        self._ours, theirs = PROCESSES.Pipe()
        self._process = PROCESSES.Process(target=_take_turns, args=(theirs, prepare, arguments), daemon=True)
        self._process.start()
        theirs.close()
        self.first = self._answer()

    def take(self):
        self._ours.send("once more")
        return self._answer()

    def _answer(self):
        try:
            return self._ours.recv()
        except EOFError:
            return float("nan")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.join()


def _take_turns(pipe, prepare, arguments):
    work = prepare(*arguments)
    while True:
        pipe.send(work())
        pipe.recv()


def timed_epoch(name, batch_size):
    """Prepare to train one epoch of a candidate and to give the seconds that it took."""
    epoch = CANDIDATES[name](batch_size)

    def work():
        # The threads of some libraries go on spinning for a while after their work.
        time.sleep(PAUSE)
        started = time.perf_counter()
        loss = epoch()
        seconds = time.perf_counter() - started
        assert 0 < loss < 3
        return seconds

    return work


def in_turns(prepared: dict[str, tuple], rounds=ROUNDS) -> dict[str, tuple[float, float]]:
    """Give for each name the seconds of its first turn, and the median of the others."""
    with ExitStack() as stack:
        workers = {name: stack.enter_context(Turns(*arguments)) for name, arguments in prepared.items()}
        for worker in workers.values():
            worker.take()
        seconds = {name: [] for name in workers}
        for _ in range(rounds):
            for name, worker in workers.items():
                seconds[name].append(worker.take())
        return {name: (workers[name].first, statistics.median(seconds[name])) for name in workers}


def sgemm_rate(size=2_000):
    """Floating-point operations a second of this machine's matrix product in single precision."""
    a, b = np.random.default_rng(0).random((2, size, size), dtype=np.float32)
    seconds = []
    for _ in range(7):
        started = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - started)
    return 2 * size**3 / min(seconds)


def epochs():
    """One epoch of the article's network in each library."""
    pairs = list(pairwise(SIZES))
    # Forward, weight gradient and input gradient; the last is not needed for the first layer.
    operations = 54_000 * (6 * sum(a * b for a, b in pairs) - 2 * pairs[0][0] * pairs[0][1])
    limit = operations / sgemm_rate()
    table = [["batch size", "candidate", "seconds an epoch", "times ours", "first epoch more", "share of SGEMM"]]
    for size in (32, 100, 500, 5_000):
        measured = in_turns({name: (timed_epoch, name, size) for name in CANDIDATES})
        for name, (first, median) in measured.items():
            ratio, share = median / measured["ours"][1], limit / median
            table.append(
                [f"{size:,}", name, f"{median:.3f}", f"{ratio:.2f}", f"{max(0, first - median):.1f} s", f"{share:.0%}"]
            )
    return table


def first_point(recipe: Recipe):
    """Prepare to measure how long `train` takes to its first report, seeds and sizes changing from call to call."""
    from mnist_helpers.training import train

    data, seeds = load_mnist(), iter(range(1_000))
    data.digest  # noqa: B018  (computed once for a data set)

    def call():
        stop, waited = threading.Event(), []

        def listen(report):
            waited.append(time.perf_counter() - started)
            stop.set()

        started = time.perf_counter()
        seed = next(seeds)
        moved = replace(recipe, learning_rate=recipe.learning_rate * (1 + seed / 1_000))
        train(moved, data, seed, report=listen, stop=stop, progress=False)
        return waited[0]

    return call


def first_points():
    """Seconds from the call of `train` to its first report."""
    recipes = {
        "the article's": ARTICLE,
        "batch size 32": replace(ARTICLE, batch_size=32),
        "dropout": replace(ARTICLE, dropout=0.2),
        "batch norm": replace(ARTICLE, batch_norm=True),
        "distorted images": replace(ARTICLE, rotation=10, shift=1, elastic=1),
        "1,000 units": replace(ARTICLE, units=1_000, hidden_layers=3),
    }
    table = [["recipe", "first call", "repeated call"]]
    for name, recipe in recipes.items():
        first, again = in_turns({name: (first_point, recipe)})[name]
        table.append([name, f"{first:.2f} s", f"{1_000 * again:.0f} ms"])
    return table


def sixty_runs(how: str):
    """Sweep 60 runs (12 shapes, 5 seeds) in a new store; give runs a minute and the peak memory in GB."""
    data = load_mnist()
    shapes = [
        replace(ARTICLE, hidden_layers=depth, units=units, epochs=2)
        for depth in (1, 3, 6)
        for units in (25, 50, 100, 200)
    ]
    peak, finished = [0], threading.Event()
    sampler = threading.Thread(target=_watch_memory, args=(peak, finished))
    sampler.start()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        if how == "Dask":
            from distributed import Client, LocalCluster

            cluster = stack.enter_context(LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None))
            stack.enter_context(Client(cluster))
            stack.enter_context(joblib.parallel_config("dask"))
        started = time.perf_counter()
        table = sweep(shapes, range(5), data, folder, workers=2 if how == "loky" else 1, progress=False)
        minutes = (time.perf_counter() - started) / 60
    finished.set()
    sampler.join()
    assert table.key.nunique() == 60
    assert (table.error == "").all()
    return 60 / minutes, peak[0] / 1e9


def _watch_memory(peak, finished):
    """Sum what the processes of this tree have for themselves, and their parts of what they share."""
    while not finished.wait(0.5):
        total = 0
        for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
            try:
                memory = process.memory_full_info()
                total += getattr(memory, "pss", memory.uss)
            except psutil.Error:
                pass
        peak[0] = max(peak[0], total)


def sweeps(rounds=3):
    """A sweep of 60 runs, three ways."""
    ways = {"one process": "in here", "loky, 2 workers": "loky", "Dask, 2 workers": "Dask"}
    results = {name: [] for name in ways}
    for _ in range(rounds):
        for name, how in ways.items():
            command = [sys.executable, __file__, "--sixty", how]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            results[name].append(json.loads(done.stdout.splitlines()[-1]))
    table = [["way", "runs a minute", "peak memory"]]
    for name, values in results.items():
        pace, memory = (statistics.median(column) for column in zip(*values, strict=True))
        table.append([name, f"{pace:.0f}", f"{memory:.1f} GB"])
    return table


def epoch_of(recipe: Recipe):
    """Prepare to train one recipe, an epoch at a time, validation included."""
    from mnist_helpers.training import train

    data = load_mnist()
    return lambda: train(replace(recipe, epochs=1), data, progress=False).history["seconds"][0]


def growth():
    """Seconds an epoch as images, width and depth grow."""
    changes = {
        "images": [{"training_images": number} for number in (6_000, 18_000, 54_000)],
        "width": [{"units": units} for units in (50, 100, 200, 400, 800)],
        "depth": [{"hidden_layers": layers} for layers in (1, 3, 6, 12)],
    }
    table = [["what grows", "to", "seconds an epoch", "first epoch more"]]
    for what, steps in changes.items():
        prepared = {f"{next(iter(step.values())):,}": (epoch_of, replace(ARTICLE, **step)) for step in steps}
        for value, (first, median) in in_turns(prepared, rounds=5).items():
            table.append([what, value, f"{median:.3f}", f"{max(0, first - median):.1f} s"])
    return table


def growth_of_sweeps():
    """Seconds for a sweep of the article's network, two epochs a run, as the number of runs grows."""
    data = load_mnist()
    table = [["runs", "seconds", "seconds a run"]]
    for runs in (2, 8, 32):
        seconds = []
        for _ in range(3):
            with tempfile.TemporaryDirectory() as folder:
                started = time.perf_counter()
                sweep([replace(ARTICLE, epochs=2)], range(runs), data, folder, workers=2, progress=False)
                seconds.append(time.perf_counter() - started)
        median = statistics.median(seconds)
        table.append([f"{runs}", f"{median:.1f}", f"{median / runs:.2f}"])
    return table


def panel():
    """The article's ten epochs on a click in JupyterLab, and by `train` in a cell of the same notebook, in turns."""
    cells = [
        "import time\nfrom mnist_helpers.data import load_mnist\nfrom mnist_helpers.panels import retrain_panel\n"
        "from mnist_helpers.recipe import ARTICLE\nfrom mnist_helpers.training import train\nmnist = load_mnist()",
        "lab = retrain_panel(data=mnist)\nlab",
        "started = time.perf_counter()\ntrain(ARTICLE, mnist, len(lab.runs), progress=False)\n"
        "print('seconds', time.perf_counter() - started)",
    ]
    first_points, clicked, called = [], [], []
    with (
        tempfile.TemporaryDirectory() as home,
        jupyterlab(Path(home), notebook(*cells)) as (address, _),
        launched() as browser,
    ):
        lab = Lab(browser, address)
        time.sleep(4)  # a reader needs longer to find the button
        for seed in range(ROUNDS):
            lab.panel.get_by_label("Seed").fill(str(seed))
            started = time.perf_counter()
            lab.button("Train").click()
            lab.page.wait_for_function(
                """run => [...document.querySelectorAll("svg.chart path.shown.training")].some(
                    (path) => path.textContent === `${run}, training` && path.getAttribute("d"))""",
                arg=f"Run {seed + 1}",
            )
            first_points.append(time.perf_counter() - started)
            lab.page.wait_for_function("document.querySelector('.mnist-panel tbody').children.length > " + str(seed))
            clicked.append(time.perf_counter() - started)
            lab.run(2)
            called.append(float(lab.cell(2).locator(".jp-OutputArea-output").inner_text().split()[-1]))
    click, call = statistics.median(clicked), statistics.median(called)
    return [
        ["what", "seconds"],
        ["click to first point, first click", f"{first_points[0]:.2f}"],
        ["click to first point, later clicks", f"{statistics.median(first_points[1:]):.2f}"],
        ["click to the end of ten epochs", f"{click:.2f}"],
        ["`train` without a panel", f"{call:.2f}"],
        ["click over `train`", f"{click / call:.2f} ×"],
    ]


SECTIONS = {
    "One epoch": (
        epochs,
        "One epoch of the article's network over 54,000 images, without validation, in seconds (median of "
        f"{ROUNDS} rounds in which the candidates took turns). *First epoch more* is what the first epoch took in "
        "addition: *tracing*, in which a library goes through the Python code once and notes what is to be computed, "
        "then compilation, then warm-up. *XLA* is the compiler of TensorFlow and JAX, which makes one piece of machine "
        "code of the whole loop; `lax.scan` is how JAX hands it such a loop. *Eager* means that nothing is compiled: "
        "each operation is carried out when Python comes to it. *Share of SGEMM* (the product of two matrices of "
        "32-bit numbers, after its name in the libraries that compute it) is the time that the matrix products alone "
        "would take at the rate of this machine's 2,000 × 2,000 product, over the time measured.",
    ),
    "The first point": (
        first_points,
        "Time from the call of `train` to its first report. In each repeated call another seed and another learning "
        f"rate are used, as if a slider had moved; median of {ROUNDS}.",
    ),
    "Sixty runs": (
        sweeps,
        "A sweep of 60 runs: 3 depths × 4 widths × 5 seeds, two epochs each, starting with no process, no compiled "
        "loop and an empty store; median of 3 sweeps each, which took turns. *loky* is the pool of worker processes "
        "that joblib starts; Dask has workers too, which can be on other machines ({doc}`notebooks/07_many_runs`). The "
        "single process has all TensorFlow threads, a worker has one. Memory is that of all processes together, shared "
        "pages counted once.",
    ),
    "The panel": (
        panel,
        "The article's network in the retrain panel, in JupyterLab in a browser on the same machine, against the same "
        f"training called in a cell of the same notebook; they took turns, median of {ROUNDS} rounds with another seed "
        "each. A panel compiles in the background from the moment it is shown, and the first click came four seconds "
        "later; what a first call of `train` waits for (*The first point*, above) is then mostly done.",
    ),
    "How time grows": (
        growth,
        "Seconds an epoch of `train`, validation included, as one thing grows and the rest is the article's; median of "
        "5 rounds.",
    ),
    "How a sweep grows": (
        growth_of_sweeps,
        "A sweep of the article's network from several seeds, two epochs each, with two workers that had been started "
        "by the sweep before; median of 3.",
    ),
}


def markdown(table) -> str:
    head, *rows = table
    lines = [head, ["---:" if cell[0].isdigit() else "---" for cell in rows[0]], *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine(*libraries: str) -> str:
    code = "from mnist_helpers import training; print(training.hardware())"
    hardware = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    versions = ", ".join(f"{name} {version(name)}" for name in libraries)
    memory = psutil.virtual_memory().total / 2**30
    return f"{hardware}, {memory:.0f} GiB of memory; Python {sys.version.split()[0]}, {versions}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=SECTIONS, help="print one table, and write nothing")
    parser.add_argument("--sixty", choices=("in here", "loky", "Dask"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.sixty:
        print(json.dumps(sixty_runs(options.sixty)))
        return
    text = PAGE_HEAD.format(date=datetime.date.today().isoformat(), machine=machine(*LIBRARIES))
    for title, (measure, explanation) in SECTIONS.items():
        if options.only in (None, title):
            table = markdown(measure())
            print(f"\n{title}\n{table}", flush=True)
            text += f"\n## {title}\n\n{explanation}\n\n{table}\n"
    if options.only is None:
        PAGE.write_text(text, encoding="utf-8")


PAGE_HEAD = """\
# How fast it is

A slider is worth moving only if the answer comes at once. These are the measurements behind the helper package's
training loop and its sweeps, as `make bench` wrote them on {date}.

*Machine and versions:* {machine}. Other machines give other seconds, and may give other ratios.
"""


if __name__ == "__main__":
    main()
