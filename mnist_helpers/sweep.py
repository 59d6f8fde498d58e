"""Many recipes and seeds in parallel, each trained once and kept in a folder of runs.

``joblib`` spreads the runs over processes: over the cores of this machine by default, or over a Dask cluster inside of
``joblib.parallel_config("dask")``. This module does not import TensorFlow by itself, so that a worker process
can still decide how many threads TensorFlow gets. Floor 4 of the package.
"""

import hashlib
import json
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import asdict, fields, replace
from pathlib import Path

import joblib
import pandas as pd
import psutil
from joblib.externals.loky.process_executor import BrokenProcessPool
from joblib.parallel import get_active_backend
from tqdm import tqdm

from mnist_helpers.code_version import code_version
from mnist_helpers.data import Mnist, Split
from mnist_helpers.recipe import Recipe, checked_seed, parameter_count, shape_of
from mnist_helpers.run import Run
from mnist_helpers.whole_files import write_atomically

STORE_VARIABLE = "MNIST_HELPERS_RUNS"
# What a worker process takes at the article's size is 1.0 to 1.3 GB, most of it TensorFlow.
WORKER_MEMORY = 1.5e9
# What a worker does between two reports to the store at most, where it is more than one run: about ten seconds on
# one core, beside which the second that a new shape takes to compile is small.
_TOGETHER = 1.5e11  # multiplications of weights and inputs
# Where Linux tells a container, by either version of its control groups, what it may have and what it holds.
_CONTAINER = Path("/sys/fs/cgroup")
_OF_A_CONTAINER = (
    ("memory.max", "memory.stat", "anon"),
    ("memory/memory.limit_in_bytes", "memory/memory.stat", "total_rss"),
)


class SweepError(RuntimeError):
    """A sweep could not start or go on; the message says what is kept and what to do."""


def sweep(
    recipes: Mapping[str, Recipe] | Iterable[Recipe],
    seeds: Iterable[int],
    data: Mnist,
    store: str | os.PathLike | None = None,
    workers: int | None = None,
    models: bool = False,
    progress: bool = True,
) -> pd.DataFrame:
    """Train every recipe from every seed, unless the store has the run already, and give all results as a table.

    A sweep that was interrupted, even killed, goes on where it was when it is called again: what was finished is kept,
    but for the last ten seconds or so, in which a worker may have finished several short runs of one shape. Several
    sweeps may use one store at the same time.

    Parameters
    ----------
    recipes : mapping of str to Recipe, or iterable of Recipe
        With a mapping the table has a column ``name``.
    seeds : iterable of int
        Each from 0 to 2,147,483,647, all different.
    data : Mnist
        Training and validation set.
    store : path, optional
        Folder of the runs, made if there is none. By default the path in the environment variable
        ``MNIST_HELPERS_RUNS``, and without one ``runs`` in the working folder.
    workers : int, optional
        Number of processes, each with one TensorFlow thread. By default one a core, or fewer where the free memory
        would not do for so many. On a Dask cluster the cluster decides.
    models : bool
        Whether to keep the trained models too, for ``load_run``.
    progress : bool
        Whether to show a progress bar, with the time left.

    Returns
    -------
    pandas.DataFrame
        One row for each run and epoch: every hyperparameter, ``seed``, ``epoch``, the columns of ``Run.history``,
        ``best_epoch``, ``error`` and ``key``, the run's name in the store. A run that failed has one row, with epoch 0
        and the reason in ``error``, which is empty for the others.

    Raises
    ------
    RecipeError
        If a seed is out of range.
    SweepError
        If another argument is of no use, the store cannot be written to, a worker process was killed, or the scheduler
        of a cluster was lost.

    Notes
    -----
    A run whose loss diverged is not tried again; a run that failed for another reason is.

    Whatever the number of workers, and wherever they are, a run gives the same to the last bit on processors of one
    kind, because each worker has one thread. A sweep of one run, or with one worker, trains in this process, with all
    of TensorFlow's threads, which may change last digits.
    """
    named = _named(recipes)
    seeds = _checked_seeds(seeds)
    folder = _folder(store)
    keys = {(recipe, seed): run_key(recipe, seed, data) for recipe in named.values() for seed in seeds}
    outcomes = {key: _read(folder, key, models, again=True) for key in keys.values()}
    missing = {key: job for job, key in keys.items() if outcomes[key] is None}
    if missing:
        with _writing(folder), tempfile.TemporaryFile(dir=folder):
            pass  # it can be written to, which is better known before hours of training than after

    results = _in_parallel(missing, data, folder, workers, models)
    for key, text, model in tqdm(
        results, total=len(missing), unit="run", leave=False, disable=not (progress and missing)
    ):
        _write(folder, key, text, model)

    outcomes |= {key: _read(folder, key, models) for key in missing}
    rows = []
    for name, recipe in named.items():
        for seed in seeds:
            key = keys[recipe, seed]
            rows += _rows({"name": name} if isinstance(recipes, Mapping) else {}, outcomes[key], key)
    return pd.DataFrame(rows)


def trained_runs(
    recipes: Mapping[str, Recipe],
    seeds: Iterable[int],
    data: Mnist,
    store: str | os.PathLike | None = None,
    workers: int | None = None,
    progress: bool = True,
) -> dict[str, list[Run]]:
    """Sweep, keep the models, and give for each name its runs with their models, one a seed.

    Parameters and errors are those of ``sweep``; a run that failed raises ``SweepError`` too.
    """
    seeds = list(seeds)
    sweep(recipes, seeds, data, store, workers, models=True, progress=progress)
    return {name: [load_run(recipe, seed, data, store) for seed in seeds] for name, recipe in recipes.items()}


def load_run(recipe: Recipe, seed: int, data: Mnist, store: str | os.PathLike | None = None, model: bool = True) -> Run:
    """Load one run of an earlier ``sweep``, with its model if that sweep kept the models.

    Parameters
    ----------
    recipe, seed, data, store
        As they were given to ``sweep``.
    model : bool
        Whether the model is wanted.

    Raises
    ------
    SweepError
        If the store does not hold this run, or not its model, or a damaged one; the message says what to call.
    """
    from mnist_helpers.model import build_model, compile_model

    folder, key = _folder(store), run_key(recipe, seed, data)
    outcome = _read(folder, key, model)
    if not isinstance(outcome, Run):
        reason = "does not hold" if outcome is None else f"holds, as a failure ({outcome['error']}),"
        wish = " with its model" if model else ""
        raise SweepError(
            f"{folder}: this store {reason} the run of {recipe} with seed {seed}{wish}; "
            f"expected a finished run. Call sweep with this recipe and seed{' and models=True' if model else ''} first."
        )
    if not model:
        return outcome
    # Twice as fast as to have Keras build and compile the model from the file.
    built, path = build_model(recipe), folder / f"{key}.keras"
    try:
        built.load_weights(path)
    except Exception as error:  # whatever Keras, zip and HDF5 make of a damaged file
        aside = _set_aside(path)
        raise SweepError(
            f"{path}: this file is damaged ({error!s:.200}), and set aside as {aside}; expected a model that sweep "
            "wrote. Call sweep with this recipe and seed and models=True again."
        ) from error
    return replace(outcome, model=compile_model(built, recipe))


def save_run(run: Run, store: str | os.PathLike | None = None) -> None:
    """Keep a run that ``train`` gave, with its model, where ``sweep`` and ``load_run`` find it.

    Parameters
    ----------
    run : Run
        With its model; all its epochs finished.
    store : path, optional
        As for ``sweep``.
    """
    _write(_folder(store), _key(run.recipe, run.seed, run.digest), run.to_json(), _saved(run.model))


def run_key(recipe: Recipe, seed: int, data: Mnist) -> str:
    """Name a run by all that its result depends on: recipe, seed, data, training code and libraries; 24 hex digits."""
    return _key(recipe, seed, data.digest)


def _key(recipe: Recipe, seed: int, digest: str) -> str:
    content = json.dumps([asdict(recipe), int(seed), digest, code_version()], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:24]


def _named(recipes) -> dict[str, Recipe]:
    named = dict(recipes) if isinstance(recipes, Mapping) else dict(enumerate(recipes))
    for recipe in named.values():
        if not isinstance(recipe, Recipe):
            raise SweepError(f"recipes holds {recipe!r}; expected objects of the class Recipe.")
    if not named:
        raise SweepError("recipes is empty; expected at least one.")
    return named


def _checked_seeds(seeds) -> list[int]:
    seeds = [checked_seed(seed) for seed in seeds]
    if not seeds or len(set(seeds)) < len(seeds):
        raise SweepError(f"seeds is {seeds!r}; expected at least one, and none twice.")
    return seeds


def _folder(store) -> Path:
    folder = Path(store or os.environ.get(STORE_VARIABLE) or "runs").expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SweepError(
            f"{folder}: cannot be used as a store of runs ({error}); expected a folder. Name one that can be written "
            f"to, as store or in the environment variable {STORE_VARIABLE}."
        ) from error
    return folder


def _in_parallel(jobs, data, folder, workers, models) -> Iterator[tuple[str, str, bytes | None]]:
    """Run the jobs and yield key, JSON and model of each as soon as it is finished."""
    if not jobs:
        return
    arrays = (data.train.images, data.train.labels, data.validation.images, data.validation.labels)
    backend, _ = get_active_backend()
    on_dask = type(backend).__name__ == "DaskDistributedBackend"
    # One copy on every worker: joblib by itself sends one copy to one of them, and it would be lost with that worker.
    config = joblib.parallel_config("dask", client=backend.client, scatter=arrays) if on_dask else nullcontext()
    number = joblib.effective_n_jobs(-1 if on_dask else min(len(jobs), workers or workers_that_fit()))
    tasks = (
        joblib.delayed(_run_together)(left, *arrays, models)
        for task in dealt(jobs, number)
        # Asked again when its turn comes: another sweep may have done it in the meantime.
        if (left := {key: task[key] for key in task if _read(folder, key, models, again=True) is None})
    )
    with config, warnings.catch_warnings():
        # TensorFlow never gives back all of a compiled loop, so joblib starts a worker anew after some dozen shapes.
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs were given to the executor")
        pool = joblib.Parallel(number, return_as="generator_unordered", batch_size=1)
        try:
            for results in pool(tasks):
                yield from results
        except _of_a_lost_worker() as error:
            lost = (
                "the cluster lost its scheduler, or a worker several times"
                if on_dask
                else "a worker process was killed"
            )
            fewer = "" if on_dask else f", with fewer workers than {number} if it was the memory"
            raise SweepError(
                f"{lost}, most often because the memory was full; the runs that were finished and written are in "
                f"{folder}. Make the same call again to go on{fewer}."
            ) from error


def _of_a_lost_worker() -> tuple[type[Exception], ...]:
    if "distributed" not in sys.modules:
        return (BrokenProcessPool,)
    from distributed import KilledWorker
    from distributed.client import FutureCancelledError

    return BrokenProcessPool, KilledWorker, FutureCancelledError


def dealt(jobs: dict[str, tuple[Recipe, int]], workers: int) -> list[dict[str, tuple[Recipe, int]]]:
    """Split jobs into tasks: runs of one shape together while there is a shape for every worker, then each by itself.

    A worker compiles once for each shape it meets. The longest come first, so that the last ones fill the gaps.
    """
    shapes = {}
    for key, job in jobs.items():
        shapes.setdefault(shape_of(job[0]), {})[key] = job
    by_work = sorted(shapes.values(), key=lambda group: sum(map(_work, group.values())), reverse=True)
    together = len(by_work) // workers * workers if workers > 1 else 0
    tasks = []
    for number, group in enumerate(by_work):
        room = 0
        for key, job in group.items():
            if number >= together or room < _work(job):
                tasks.append({})
                room = _TOGETHER
            tasks[-1][key] = job
            room -= _work(job)
    return tasks


def _work(job: tuple[Recipe, int]) -> float:
    recipe, _ = job
    return recipe.epochs * recipe.training_images * parameter_count(recipe)


def workers_that_fit() -> int:
    """Give how many processes can train here at once: one a core, or fewer where the free memory would not do."""
    return max(1, min(joblib.cpu_count(), int(_free_memory() / WORKER_MEMORY)))


def _free_memory() -> int:
    """Give the bytes that are free; in a container, of those that it may have."""
    free = psutil.virtual_memory().available
    for limit, held, name in _OF_A_CONTAINER:
        with suppress(OSError, ValueError):  # no container, or one without a limit
            (used,) = re.findall(rf"^{name} (\d+)", (_CONTAINER / held).read_text(encoding="utf-8"), flags=re.MULTILINE)
            free = min(free, int((_CONTAINER / limit).read_text(encoding="utf-8")) - int(used))
    return free


_data: dict[str, Mnist] = {}


def _run_together(jobs, *arrays_and_models):
    return [_run(key, recipe, seed, *arrays_and_models) for key, (recipe, seed) in jobs.items()]


def _run(key, recipe, seed, images, labels, validation_images, validation_labels, models):
    """Train once, in a worker process; an error becomes part of the result."""
    if "tensorflow" not in sys.modules:
        os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = "1"
    from mnist_helpers.training import TrainingError, train

    try:
        data = Mnist(Split(images, labels), Split(validation_images, validation_labels), None, ())
        # Kept, so that the next run finds its tensors.
        data = _data.setdefault(data.digest, data)
        run = train(recipe, data, seed, progress=False)
    except Exception as error:
        failure = {"error": f"{type(error).__name__}: {error}", "again": not isinstance(error, TrainingError)}
        return key, json.dumps(failure | {"recipe": asdict(recipe), "seed": seed}, indent=1), None
    return key, run.to_json(), _saved(run.model) if models else None


def _saved(model) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        model.save(path)
        return path.read_bytes()


def _write(folder: Path, key: str, text: str, model: bytes | None) -> None:
    # The JSON file last: it says that the run is complete.
    for suffix, content in ((".keras", model), (".json", text.encode())):
        path = folder / f"{key}{suffix}"
        with _writing(folder):
            try:
                if content is not None:
                    write_atomically(path, content)
            except PermissionError:  # on Windows, while another process reads the same run
                if not path.exists():
                    raise


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise SweepError(
            f"{folder}: this store of runs cannot be written to ({error}); what is in it stays. Make room, or name a "
            "folder that can be written to, and make the same call again."
        ) from error


def _set_aside(path: Path) -> str:
    """Rename a damaged file, and give its new name."""
    return path.replace(path.with_name(f"{path.name}.damaged")).name


def _read(folder: Path, key: str, models: bool, again: bool = False) -> Run | dict | None:
    """Give a run, or what is known of its failure, or None if there is nothing (or a failure worth another try)."""
    path = folder / f"{key}.json"
    if not path.exists():
        return None
    text = path.read_bytes().decode("utf-8", errors="replace")
    try:
        values = json.loads(text)
        if isinstance(values, dict) and {"error", "again", "recipe", "seed"} <= set(values):
            Recipe(**values["recipe"])
            return None if again and values["again"] else values
        run = Run.from_json(text)
    except (ValueError, TypeError, RecursionError) as error:
        warnings.warn(f"{path}: {error} It is set aside as {_set_aside(path)}, and its run done again.", stacklevel=4)
        return None
    return None if models and not path.with_suffix(".keras").exists() else run


def _rows(first: dict, outcome, key: str) -> list[dict]:
    if isinstance(outcome, dict):
        return [
            first | outcome["recipe"] | {"seed": outcome["seed"], "epoch": 0, "error": outcome["error"], "key": key}
        ]
    history = outcome.history
    return [
        first
        | {field.name: getattr(outcome.recipe, field.name) for field in fields(Recipe)}
        | {"seed": outcome.seed, "epoch": epoch}
        | {name: values[epoch - 1] for name, values in history.items()}
        | {"best_epoch": outcome.best_epoch, "error": "", "key": key}
        for epoch in range(1, len(history["loss"]) + 1)
    ]
