"""What happens behind the retrain panel: settings, runs in the background one at a time, and what they gave.

No widget is in here, so that all of it can be tested without a browser. Floor 5 of the package.
"""

import math
import os
import statistics
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from mnist_helpers.controls import Control, chosen_controls, recipe_of, settings_of
from mnist_helpers.data import Mnist
from mnist_helpers.program import keras_program
from mnist_helpers.recipe import Recipe, RecipeError, distorts, parameter_count
from mnist_helpers.run import Run
from mnist_helpers.sweep import load_run, save_run
from mnist_helpers.training import Report, TrainingError, pays_to_compile, prepare, train

SECONDS_BETWEEN_TELLINGS = 0.1  # what listens, a browser in the end, takes time from the training
MOST_POINTS = 400  # of a training curve, an even number; more cannot be told apart on a screen


@dataclass(eq=False)
class Trial:
    """One run of a session, from its first step on.

    Attributes
    ----------
    number : int
        Counts the trials of a session from 1.
    recipe, seed
        What is trained.
    state : str
        ``"training"``, ``"finished"``, ``"stopped"`` (by the reader), ``"failed"``, or ``"replaced"`` (by another
        setting, and soon forgotten).
    curve : list of tuple of float
        The training curve: epoch (a fraction), loss and accuracy, each a mean over the batches since the last point.
    history : dict of str to list of float
        ``Run.history`` so far.
    run : Run or None
        With its model, once training has ended.
    stored : bool
        Whether it came from the run store.
    seconds : float
        Wall-clock time of the training.
    test_accuracy : float or None
        On the test set, once that has been opened for this trial.
    name, pinned, hidden
        What the reader made of it.
    """

    number: int
    recipe: Recipe
    seed: int
    state: str = "training"
    curve: list = field(default_factory=list)
    history: dict = field(default_factory=lambda: {"loss": [], "val_loss": [], "accuracy": [], "val_accuracy": []})
    run: Run | None = None
    stored: bool = False
    seconds: float = 0.0
    fraction: float = 0.0
    test_accuracy: float | None = None
    name: str = ""
    pinned: bool = False
    hidden: bool = False
    _last: Report | None = None
    _first: tuple[float, float] | None = None
    _reports_a_point: int = 1
    _in_last: int = 1

    def add(self, report: Report, seconds: float) -> None:
        """Take in a report, so many seconds after the start: a new point of the curve, and what epochs are finished."""
        last = self._last if self._last is not None and self._last.epoch == report.epoch else None
        seen = self._images(report.step)
        before, losses, right = 0, 0.0, 0.0
        if last is not None:
            before = self._images(last.step)
            losses, right = last.loss * before, last.accuracy * before
        if seen > before:
            middle = report.epoch - 1 + (before + seen) / 2 / self.recipe.training_images
            new = seen - before
            self._draw((middle, (report.loss * seen - losses) / new, (report.accuracy * seen - right) / new))
        self.history = report.history
        self.fraction = (report.epoch - 1 + report.step / report.steps) / report.epochs
        self._last, self.seconds = report, seconds
        self._first = self._first or (seconds, self.fraction)

    def _draw(self, point: tuple[float, float, float]) -> None:
        """Add a point to the curve; when there are too many, make two into one, then and from then on."""
        if self._in_last < self._reports_a_point:
            means = zip(self.curve[-1], point, strict=True)
            self.curve[-1] = tuple(mean + (new - mean) / (self._in_last + 1) for mean, new in means)
            self._in_last += 1
            return
        if len(self.curve) == MOST_POINTS:
            pairs = zip(self.curve[::2], self.curve[1::2], strict=True)
            self.curve = [tuple((a + b) / 2 for a, b in zip(*pair, strict=True)) for pair in pairs]
            self._reports_a_point *= 2
        self.curve.append(point)
        self._in_last = 1

    def seconds_left(self, expected: float) -> float:
        """Estimate what is left of the training, by its pace since the first report, or by what was expected."""
        if self._first is None or self.fraction - self._first[1] < 0.03:
            return expected * (1 - self.fraction)
        return (self.seconds - self._first[0]) / (self.fraction - self._first[1]) * (1 - self.fraction)

    def _images(self, steps: int) -> int:
        return min(steps * self.recipe.batch_size, self.recipe.training_images)

    @property
    def best_accuracy(self) -> float | None:
        """The highest validation accuracy of a finished epoch."""
        return max(self.history["val_accuracy"], default=None)


class Session:
    """Settings, and the trials made with them; at most one of them is training.

    Parameters
    ----------
    recipe : Recipe
        The first setting, and the one that ``reset`` returns to.
    data : Mnist
        What is trained on. Its test set is opened by ``open_test_set`` alone.
    seed : int
        The first seed.
    store : path, optional
        Folder of the runs, as for ``sweep``: a setting that is in it is not trained again, and what finishes goes
        into it.
    controls : iterable of str, optional
        Names of the controls that the reader is given; all by default.

    Attributes
    ----------
    settings : dict of str to object
        The value of every control.
    trials : list of Trial
        All that have ended, in that order, but for the ones that another setting took the place of.
    shown : Trial or None
        The one whose curve is drawn in full: what is training, or what came last.
    message : str
        What the reader should know of the last thing that was done.
    automatic : bool
        Whether each change of a setting starts training.
    listener : callable or None
        Called without arguments, from any thread, whenever something has changed.
    """

    def __init__(
        self,
        recipe: Recipe,
        data: Mnist,
        seed: int = 0,
        store: str | os.PathLike | None = None,
        controls: Iterable[str] | None = None,
    ):
        self.base, self.data, self._seed, self._store = recipe, data, seed, store
        self.controls: tuple[Control, ...] = chosen_controls(controls, recipe)
        self.settings = settings_of(*recipe_of(settings_of(recipe, seed), recipe))
        self.trials: list[Trial] = []
        self.shown: Trial | None = None
        self.message = ""
        self.automatic = False
        self.listener: Callable[[], object] | None = None
        self._number = 0
        self._lock = threading.RLock()
        self._worker: threading.Thread | None = None
        self._running: Trial | None = None
        self._wanted: Trial | None = None
        self._stop = threading.Event()
        self._warming = threading.Timer(0, self._prepare)
        self._pace = 1.0

    @property
    def origin(self) -> tuple[Recipe, int]:
        """The recipe and the seed at the start."""
        return self.base, self._seed

    @property
    def problem(self) -> RecipeError | None:
        """Why the present setting cannot be trained, or None."""
        try:
            recipe_of(self.settings, self.base)
        except RecipeError as error:
            return error
        return None

    @property
    def running(self) -> Trial | None:
        """The trial that is training or about to, if any."""
        return self._wanted or self._running

    @property
    def changed(self) -> bool:
        """Whether something is training, and the present setting is another one."""
        with self._lock:
            try:
                return self.running is not None and not self._busy_with(self.job())
            except RecipeError:
                return False

    def set(self, name: str, value: object) -> None:
        """Move a control; any value is taken, and one that cannot be trained becomes the session's ``problem``."""
        if name not in self.settings:
            raise RecipeError(name, f"there is no control {name!r}; expected one of {', '.join(self.settings)}.")
        with self._lock:
            self.settings[name] = value
            self.message = ""
        if self.automatic:
            self.train()
        self._tell()

    def reset(self) -> None:
        """Return to the first setting; what was trained stays."""
        with self._lock:
            self.settings = settings_of(self.base, self._seed)
            self.message = ""
        if self.automatic:
            self.train()
        self._tell()

    def train(self) -> None:
        """Train the present setting in the background, in the place of what is training; what is known comes back."""
        with self._lock:
            if self.problem:
                self.message = "This setting cannot be trained."
            elif not self._busy_with(self.job()):
                self._take_the_place_of_the_running_one()
        self._tell()

    def _take_the_place_of_the_running_one(self):
        self._wanted, self.message = None, ""
        self._stop.set()
        if self._running is not None and self._running.state == "training":
            self._running.state = "replaced"
        job = self.job()
        # Without its network, which a sweep may not have kept, a run is not as good as one trained anew.
        known = [t for t in self._finished(job) if t.run.model is not None]
        if known:
            self.shown = known[0]
            known[0].hidden = False
            self.message = f"{title(known[0])} had this setting already: here it is again, at once."
            return
        self._number += 1
        self.shown = self._wanted = Trial(self._number, *job)
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, daemon=True)
            self._worker.start()

    def stop(self) -> None:
        """Stop training after the present steps, 70 ms at most or one batch, and keep what was reached."""
        with self._lock:
            if self.running is not None and self.running.state == "training":
                self.running.state = "stopped"
                if self._wanted is not None:
                    self.shown = self.trials[-1] if self.trials else None
                self._wanted = None
                self._stop.set()
        self._tell()

    def wait(self) -> None:
        """Wait until nothing is training."""
        while (worker := self._worker) is not None:
            worker.join()

    def recall(self) -> bool:
        """Show the present setting's run if the store has it; tell whether it had."""
        trial = Trial(self._number + 1, *self.job())
        found = self._recall_into(trial)
        if found:
            self._number += 1
            self._keep(trial, _FROM_STORE if trial.run.model is not None else _CURVE_FROM_STORE)
        return found

    def warm_up(self, delay: float = 0.0) -> None:
        """Compile the present setting's training in the background, if for so many seconds nobody asks again."""
        self._warming.cancel()
        self._warming = threading.Timer(delay, self._prepare)
        self._warming.daemon = True
        self._warming.start()

    def _prepare(self) -> None:
        with self._lock:
            job = None if self.problem or self.running else self.job()
        if job is not None:
            prepare(job[0], self.data)

    def change(self, number: int, **what) -> None:
        """Give a trial another ``name``, or set whether it is ``pinned`` or ``hidden``."""
        for trial in self._numbered(number):
            trial.name = str(what.get("name", trial.name))[:40]
            trial.pinned = bool(what.get("pinned", trial.pinned))
            trial.hidden = bool(what.get("hidden", trial.hidden))
        self._tell()

    def clear(self) -> None:
        """Forget all trials that are not pinned; the store keeps them."""
        with self._lock:
            self.trials = [trial for trial in self.trials if trial.pinned]
            if self.shown is not self.running and self.shown not in self.trials:
                self.shown = None
            self.message = ""
        self._tell()

    def recipe_of_trial(self, number: int) -> None:
        """Move the controls to where they were for a trial."""
        for trial in self._numbered(number):
            with self._lock:
                self.settings = settings_of(trial.recipe, trial.seed)
                self.shown = self.shown if self.running else trial
        if self.automatic:
            self.train()
        self._tell()

    def open_test_set(self, number: int) -> None:
        """Measure a trial's accuracy on the test set; a second time changes nothing."""
        for trial in self._numbered(number):
            if trial.test_accuracy is None and trial.run is not None and trial.run.model is not None:
                test = self.data.open_test_set(f"panel, {title(trial)}")
                trial.test_accuracy = trial.run.model.evaluate(test.flat, test.labels, batch_size=1000, verbose=0)[1]
        self._tell()

    def program(self) -> str:
        """Give the plain Keras program of the present setting, or the reason why there is none, as a comment."""
        return f"# {self.problem}\n" if self.problem else keras_program(*self.job())

    def expected_seconds(self, recipe: Recipe) -> float:
        """Estimate how long a recipe takes to train, by the pace of what was trained in this session before."""
        return self._pace * predicted_seconds(recipe)

    def job(self) -> tuple[Recipe, int]:
        """Give the recipe and the seed of the present setting.

        Raises
        ------
        RecipeError
            If it cannot be trained.
        """
        return recipe_of(self.settings, self.base)

    def _finished(self, job: tuple[Recipe, int]) -> list[Trial]:
        return [trial for trial in self.trials if (trial.recipe, trial.seed) == job and trial.state == "finished"]

    def _busy_with(self, job: tuple[Recipe, int]) -> bool:
        running = self.running
        return running is not None and running.state == "training" and job == (running.recipe, running.seed)

    def _numbered(self, number) -> list[Trial]:
        with self._lock:
            return [trial for trial in self.trials if trial.number == number]

    def _tell(self) -> None:
        if self.listener is not None:
            self.listener()

    def _work(self) -> None:
        while True:
            with self._lock:
                trial, self._running, self._wanted = self._wanted, self._wanted, None
                self._stop = stop = threading.Event()
                if trial is None:
                    self._worker = None
                    break
            try:
                self._tell()
                self._carry_out(trial, stop)
            except Exception as error:
                # Whatever it is: the panel must stay usable, and the reader must learn of it.
                trial.state = "failed"
                self._keep(trial, f"Training failed: {type(error).__name__}: {error}")
        self._tell()

    def _carry_out(self, trial: Trial, stop: threading.Event) -> None:
        if not self._finished((trial.recipe, trial.seed)) and self._recall_into(trial):
            self._keep(trial, _FROM_STORE if trial.run.model is not None else _CURVE_FROM_STORE)
            return

        def report(now: Report) -> None:
            nonlocal told
            trial.add(now, time.perf_counter() - started)
            if time.perf_counter() - told > SECONDS_BETWEEN_TELLINGS:
                told = time.perf_counter()
                self._tell()

        started, told = time.perf_counter(), -math.inf
        try:
            run = train(trial.recipe, self.data, trial.seed, report=report, stop=stop, progress=False)
        except TrainingError as error:
            trial.state = "failed"
            self._keep(trial, f"Training failed: {error}")
            return
        trial.seconds = time.perf_counter() - started
        trial.run, trial.history = run, run.history
        complete = not stop.is_set() or len(run.history["loss"]) == trial.recipe.epochs
        if not complete and trial.state != "stopped":
            return  # another setting took its place
        if complete:
            trial.state = "finished"
            later_epochs = run.history["seconds"][1:]  # the first may have waited for compilation
            if later_epochs:
                self._pace = statistics.median(later_epochs) / predicted_seconds(replace(trial.recipe, epochs=1))
        self._keep(trial)
        if complete:
            self._save(run)

    def _save(self, run: Run) -> None:
        try:
            save_run(run, self._store)
        except Exception as error:  # the disk may be full, the folder gone; the run is there all the same
            self.message = f"The run could not be put into the store, and lasts as long as this session: {error}"

    def _keep(self, trial: Trial, message: str = "") -> None:
        with self._lock:
            self.trials.append(trial)
            if self.shown in (None, trial):
                self.shown, self.message = trial, message or outcome(trial)
            if self._running is trial:
                self._running = None
        self._tell()

    def _recall_into(self, trial: Trial) -> bool:
        for model in (True, False):
            try:
                run = load_run(trial.recipe, trial.seed, self.data, self._store, model=model)
            except Exception:  # not there, or damaged: then it is trained
                continue
            trial.run, trial.history, trial.state, trial.stored = run, run.history, "finished", True
            trial.seconds, trial.fraction = sum(run.history["seconds"]), 1.0
            trial.curve = [
                (epoch + 0.5, loss, accuracy)
                for epoch, (loss, accuracy) in enumerate(zip(run.history["loss"], run.history["accuracy"], strict=True))
            ]
            return True
        return False


_FROM_STORE = "This setting was trained before: here is the run as it was saved."
_CURVE_FROM_STORE = "This setting was trained before: here is its curve. Press Train to get its network too."


def outcome(trial: Trial) -> str:
    """Say in a sentence how a trial ended."""
    if trial.state == "stopped":
        epoch = min(int(trial.fraction * trial.recipe.epochs) + 1, trial.recipe.epochs)
        return f"{title(trial)} was stopped in epoch {epoch} of {trial.recipe.epochs}; what it reached is kept."
    accuracy = trial.history["val_accuracy"][-1]
    return f"{title(trial)} has finished: validation accuracy {accuracy:.2%} after the last epoch."


def title(trial: Trial) -> str:
    """Give the reader's name for a trial, or its number."""
    return trial.name or f"Run {trial.number}"


def predicted_seconds(recipe: Recipe) -> float:
    """Estimate a run's wall-clock time, by what was measured on one machine; a session corrects it by its own runs."""
    per_step = 0.8e-3 if pays_to_compile(recipe) else 1.8e-3
    per_image = 6 * parameter_count(recipe) / 1.0e11
    if distorts(recipe):
        per_image += 1.5e-5 + (1.5e-5 if recipe.elastic else 0)
    epoch = recipe.steps_per_epoch * per_step + recipe.training_images * per_image + 0.03
    return recipe.epochs * epoch
