"""What computes for the panels in JupyterLab: runs in the background, and questions to their networks.

A panel's program in the browser decides what happens, and speaks to this as to the engine in the book's page; what
both are told and answer is written in ``panel/engine_protocol.js``. Floor 6 of the package.
"""

import os
import base64
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field

import mnist_helpers.quiet  # noqa: F401  (before keras)
import keras
import numpy as np

from mnist_helpers.data import Mnist
from mnist_helpers.keras_program import keras_program
from mnist_helpers.model import losses_and_answers
from mnist_helpers.network_file import CURVES, packed, unpacked
from mnist_helpers.recipe import PIXELS, Recipe, checked_seed
from mnist_helpers.run import Run
from mnist_helpers.sweep import load_run, save_run
from mnist_helpers.training import Report, TrainingError, prepare, train

MOST_PICTURES = 1_000  # that one question may ask for


class MessageError(ValueError):
    """A panel's program said something that is not in the protocol; the message says what is."""


@dataclass(eq=False)
class _Kept:
    """A run from its order on: what was reported of it, and what it gave."""

    reports: list = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    measure: threading.Event = field(default_factory=threading.Event)
    run: Run | None = None


class KernelEngine:
    """Trains recipes one after the other in the background, and answers questions about their networks.

    Parameters
    ----------
    data : Mnist
        What is trained on. Its test set is opened for a question about it alone.
    tell : callable
        Is given each report and each answer, a dict that JSON takes; from any thread.
    store : path, optional
        Folder of the runs, as for ``sweep``: a run that is in it is not trained again, and what finishes goes into it.
    given : keras.Model, optional
        A network that can be asked under the id ``"given"``.
    """

    def __init__(
        self,
        data: Mnist,
        tell: Callable[[dict], object],
        store: str | os.PathLike | None = None,
        given: "keras.Model | None" = None,
    ):
        self._data, self._tell, self._store, self._given = data, tell, store, given
        self._kept: dict[str, _Kept] = {}
        self._turn = threading.Lock()  # one run at a time
        self._telling = threading.RLock()  # so that who follows a run misses no report

    @property
    def runs(self) -> list[Run]:
        """The runs of at least one finished epoch that were not forgotten, oldest first."""
        runs = [kept.run for kept in self._kept.values()]
        return [run for run in runs if run is not None and run.history["val_loss"]]

    def obey(self, message: dict) -> None:
        """Carry out an order, or answer a question.

        What goes wrong with a run or a question is told to who asked for it, whatever it is.

        Raises
        ------
        MessageError
            If the message is something else that cannot be understood or carried out.
        """
        if not isinstance(message, dict):
            raise MessageError(f"a message is {message!r:.80}; expected what panel/engine_protocol.js says.")
        asked = {"question": message["question"]} if "question" in message else None
        with self._telling if message.get("do") == "follow" else nullcontext():
            try:
                answer = self._carry_out(message, "_answer_" if asked else "_do_")
            except Exception as error:
                why = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
                if asked:
                    self._tell(asked | {"why": why})
                elif message.get("do") == "train":
                    self._tell({"id": message.get("id"), "ended": "failed", "elapsed": 0.0, "why": why})
                else:
                    raise MessageError(why) from error
            else:
                if asked:
                    self._tell(asked | {"answer": answer})

    def _carry_out(self, message, prefix):
        values = {name: value for name, value in message.items() if name not in ("do", "question")}
        what, known = message.get("do"), [name for name in vars(KernelEngine) if name.startswith(prefix)]
        if f"{prefix}{what}" not in known:
            names = ", ".join(name.removeprefix(prefix) for name in known)
            raise MessageError(f"what to do is {what!r:.80}; expected one of {names}.")
        if not isinstance(values.get("id", ""), str):
            raise MessageError(f"an id is {values['id']!r:.80}; expected a text.")
        return getattr(self, f"{prefix}{what}")(**values)

    def recall(self, recipe: Recipe, seed: int) -> str | None:
        """Keep a run that the store has, as if it had been trained here, and give its id; None if it has none."""
        found = self._stored(recipe, seed)
        if found is None:
            return None
        self._kept["stored"] = _Kept()
        self._report_stored(self._kept["stored"], "stored", found)
        return "stored"

    # ---- orders

    def _do_prepare(self, recipe, **_):
        threading.Thread(target=prepare, args=(Recipe(**recipe), self._data), daemon=True).start()

    def _do_train(self, id, recipe, seed, anew=False, **_):
        order = (id, Recipe(**recipe), checked_seed(seed), anew)
        self._kept[id] = _Kept()
        threading.Thread(target=self._run, args=order, daemon=True).start()

    def _do_measure(self, id, on):
        if id in self._kept:
            measure = self._kept[id].measure
            measure.set() if on else measure.clear()

    def _do_stop(self, id):
        if id in self._kept:
            self._kept[id].stop.set()

    def _do_forget(self, id):
        self._do_stop(id)
        self._kept.pop(id, None)

    def _run(self, id, recipe, seed, anew):
        kept = self._kept[id]
        with self._turn:
            try:
                if kept.stop.is_set():
                    self._report(kept, id, ended="stopped", elapsed=0.0)
                elif not anew and (found := self._stored(recipe, seed)) is not None:
                    self._report_stored(kept, id, found)
                else:
                    self._train(kept, id, recipe, seed)
            except Exception as error:  # whatever it is: the panel must stay usable, and the reader must learn of it
                kind = "" if isinstance(error, TrainingError) else f"{type(error).__name__}: "
                self._report(kept, id, ended="failed", why=f"{kind}{error}")

    def _train(self, kept, id, recipe, seed):
        started, last = time.perf_counter(), None

        def report(now: Report) -> None:
            nonlocal last
            elapsed = time.perf_counter() - started
            if point := _point(recipe, now, last):
                self._report(kept, id, **point, elapsed=elapsed)
            if now.step == now.steps:
                self._report(kept, id, **_epoch(now.history, now.epoch), elapsed=elapsed)
            last = now

        run = train(recipe, self._data, seed, report, kept.stop, progress=False, measure=kept.measure)
        kept.run = run
        complete = not kept.stop.is_set() or len(run.history["loss"]) == recipe.epochs
        note = {}
        try:
            if complete:
                save_run(run, self._store)
        except Exception as error:  # the disk may be full, the folder gone; the run is there all the same
            note = {"note": f"The run could not be put into the store, and lasts as long as this kernel: {error}"}
        ended = "finished" if complete else "stopped"
        self._report(kept, id, ended=ended, weights=id, elapsed=time.perf_counter() - started, **note)

    def _stored(self, recipe, seed):
        for model in (True, False):
            try:
                return load_run(recipe, seed, self._data, self._store, model=model)
            except Exception:  # not there, or damaged: then it is trained
                continue
        return None

    def _report_stored(self, kept, id, run):
        kept.run = run
        elapsed, epochs = 0.0, len(run.history["loss"])
        for epoch in range(1, epochs + 1):
            values = _epoch(run.history, epoch)
            elapsed += values["seconds"]
            means = {name: values[name] for name in ("loss", "accuracy")}
            self._report(kept, id, at=epoch - 0.5, **means, fraction=epoch / epochs, elapsed=elapsed)
            self._report(kept, id, **values, elapsed=elapsed)
        weights = id if run.model is not None else None
        self._report(kept, id, ended="finished", weights=weights, stored=True, elapsed=elapsed)

    def _report(self, kept, id, **report):
        with self._telling:
            kept.reports.append({"id": id} | report)
            self._tell(kept.reports[-1])

    # ---- questions

    def _answer_load(self, **_):
        return True  # they are here

    def _answer_follow(self, id):
        return list(self._kept[id].reports) if id in self._kept else []

    def _answer_program(self, recipe, seed, **_):
        return keras_program(Recipe(**recipe), seed)

    def _answer_file(self, id, **_):
        return base64.b64encode(packed(self._run_of(id))).decode()

    def _answer_open(self, id, file, **_):
        run = unpacked(base64.b64decode(file))
        self._kept[id] = _Kept()
        self._report_stored(self._kept[id], id, run)
        about = {"recipe": asdict(run.recipe), "seed": run.seed, "weights": id}
        return about | {"history": {name: run.history[name] for name in CURVES}}

    def _answer_images(self, split, places=None, like=None, number=None, **_):
        split = self._split(split)
        if places is None:
            places = split.closest(_pixels(like), _whole("number", number, MOST_PICTURES)).tolist()
        _whole("the number of places", len(places), MOST_PICTURES)
        places = [_whole("a place", place, len(split) - 1) for place in places]
        return [{"place": i, "pixels": split.images[i].ravel().tolist(), "label": int(split.labels[i])} for i in places]

    def _answer_probabilities(self, id, pixels, **_):
        logits = self._model(id)(_pixels(pixels)[None] / 255, training=False)
        return keras.ops.softmax(logits)[0].numpy().astype(float).tolist()

    def _answer_split(self, id, split, why="", **_):
        split = self._split(split, why)
        losses, answers = losses_and_answers(self._model(id), split)
        return {
            "loss": float(losses.mean(dtype=float)),
            "accuracy": float((answers == split.labels).mean()),
            "answers": answers.tolist(),
            "losses": losses.astype(float).round(5).tolist(),
            "labels": split.labels.tolist(),
        }

    def _answer_pictures(self, id, first, number, **_):
        matrices = [w.numpy() for w in self._model(id).weights if len(w.shape) == 2 and w.shape[0] == PIXELS]
        units = matrices[0].T if matrices else np.zeros((0, PIXELS))
        first = _whole("first", first, 10**9)
        shown = units[first : first + _whole("number", number, MOST_PICTURES)].astype(float).round(4)
        return {"total": len(units), "units": shown.tolist()}

    def _answer_dead(self, id, **_):
        model = self._model(id)
        hidden = [layer.output for layer in model.layers if isinstance(layer, keras.layers.Activation)]
        outputs = keras.Model(model.inputs[0], hidden)(self._data.validation.flat)
        return float(np.mean([(output.numpy() == 0).all(axis=0).mean() for output in outputs]))

    def _model(self, id):
        return self._given if id == "given" and self._given is not None else self._run_of(id).model

    def _run_of(self, id):
        run = self._kept[id].run if id in self._kept else None
        if run is None or run.model is None:
            raise MessageError(f"there is no network {id!r:.80}; expected one of a finished run that was not cleared.")
        return run

    def _split(self, name, why=""):
        if name == "test":
            return self._data.open_test_set(f"panel, {' '.join(str(why).split())[:60]}")
        splits = {"training": self._data.train, "validation": self._data.validation}
        if name not in splits:
            raise MessageError(f"there is no split {name!r:.80}; expected training, validation or test.")
        return splits[name]


def _whole(name, value, highest):
    if type(value) is not int or not 0 <= value <= highest:
        raise MessageError(f"{name} is {value!r:.80}; expected a whole number from 0 to {highest:,}.")
    return value


def _pixels(values):
    """Give a picture's grey values as an array."""
    pixels = np.asarray(values, np.float32)
    if pixels.shape != (PIXELS,) or not ((pixels >= 0) & (pixels <= 255)).all():
        raise MessageError(f"a picture is {values!r:.80}; expected {PIXELS} grey values from 0 to 255.")
    return pixels


def _point(recipe: Recipe, now: Report, last: Report | None) -> dict | None:
    """Give a point of the training curve: means over the images since the last report, None if there are none."""
    seen = min(now.step * recipe.batch_size, recipe.training_images)
    before = losses = right = 0.0
    if last is not None and last.epoch == now.epoch:
        before = min(last.step * recipe.batch_size, recipe.training_images)
        losses, right = last.loss * before, last.accuracy * before
    if seen == before:
        return None
    return {
        "at": now.epoch - 1 + (before + seen) / 2 / recipe.training_images,
        "loss": (now.loss * seen - losses) / (seen - before),
        "accuracy": (now.accuracy * seen - right) / (seen - before),
        "fraction": (now.epoch - 1 + now.step / now.steps) / now.epochs,
        # JSON has no infinity.
        **({"gradients": now.gradients} if now.gradients and np.isfinite(now.gradients).all() else {}),
    }


def _epoch(history: dict[str, list[float]], epoch: int) -> dict:
    return {"epoch": epoch} | {name: history[name][epoch - 1] for name in CURVES}
