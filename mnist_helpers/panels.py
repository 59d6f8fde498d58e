"""The panels of the notebooks: move a slider and retrain, draw a digit, look into the data and the network.

Each is a widget with two faces: JupyterLab shows the live one, whose look is in the folder ``views``; a
page without a kernel shows a still picture of the last result. What happens on a click is in ``session`` and
``drawing``. Floor 6 of the package.
"""

import base64
import html
import io
import json
import os
import re
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import mnist_helpers.quiet  # noqa: F401  (before keras)
import anywidget
import keras
import numpy as np
import traitlets

from mnist_helpers import plots
from mnist_helpers.controls import CONTROLS, settings_of
from mnist_helpers.data import Mnist, Split, load_mnist
from mnist_helpers.drawing import closest, picture_of
from mnist_helpers.recipe import ARTICLE, Recipe, RecipeError, parameter_count
from mnist_helpers.run import Run
from mnist_helpers.session import Session, Trial, title

VIEWS = Path(__file__).with_name("views")
IMAGES_ON_A_PAGE = 40
UNITS_ON_A_PAGE = 24


class PanelError(ValueError):
    """A panel was given something that it cannot show; the message says what it takes."""


def retrain_panel(
    recipe: Recipe = ARTICLE,
    data: Mnist | None = None,
    controls: Iterable[str] | None = None,
    seed: int = 0,
    store: str | os.PathLike | None = None,
) -> "RetrainPanel":
    """Show sliders and menus for a recipe, and retrain the network in the background on a click.

    Parameters
    ----------
    recipe : Recipe
        The setting at the start. If the store has its run, the panel begins with that.
    data : Mnist, optional
        What to train on; by default the MNIST of this package.
    controls : iterable of str, optional
        Names of the controls to show, those of ``mnist_helpers.controls.CONTROLS``; all by default. What no control
        shows stays as in the recipe.
    seed : int
        The seed at the start.
    store : path, optional
        Folder of the runs, as for ``sweep``.

    Returns
    -------
    RetrainPanel
        A widget, shown where it is the last line of a cell.

    Raises
    ------
    RecipeError
        If a name is that of no control, or the seed is out of range.
    """
    return RetrainPanel(Session(recipe, data or load_mnist(), seed, store, controls))


def draw_panel(run_or_model: "Run | keras.Model | RetrainPanel", data: Mnist | None = None) -> "DrawPanel":
    """Draw a digit with mouse, pen, finger or arrow keys, and see what a network makes of it.

    Parameters
    ----------
    run_or_model : Run, keras.Model or RetrainPanel
        The network, from pixels of shape (n, 784) to logits of shape (n, 10). With a retrain panel it is
        the one that the panel trained last.
    data : Mnist, optional
        Whose training images and class names are shown; by default the MNIST of this package.

    Raises
    ------
    PanelError
        If there is no model in what was given.
    """
    return DrawPanel(run_or_model, data or load_mnist())


def explore_panel(data: Mnist, run: "Run | keras.Model | RetrainPanel") -> "ExplorePanel":
    """Browse the training and validation images, the confusion matrix, and the weights of the first layer.

    Parameters
    ----------
    data : Mnist
        The images; the test set stays closed.
    run : Run, keras.Model or RetrainPanel
        The network, as for ``draw_panel``.

    Raises
    ------
    PanelError
        If there is no model in what was given.
    """
    return ExplorePanel(run, data)


def _view(name: str) -> str:
    """Join a view and what it needs into one module, because a widget cannot import what lies beside it."""
    texts = [(VIEWS / f"{file}.js").read_text(encoding="utf-8") for file in ("blocks", "pictures", "widget", name)]
    joined = re.sub("^(import .*\n|export )", "", "".join(texts), flags=re.MULTILINE)
    return f"{joined}\nexport default widget({name}View);\n"


class _Panel(anywidget.AnyWidget):
    """A widget whose other face is HTML, for pages without a kernel; a click arrives as a message ``{"do": …}``."""

    _css = VIEWS / "panels.css"
    setup = traitlets.Dict().tag(sync=True)

    def __init__(self, **traits):
        super().__init__(**traits)
        self.on_msg(lambda _, message, __: self._obey(message))

    def _obey(self, message: dict) -> None:
        arguments = {name: value for name, value in message.items() if name != "do"}
        getattr(self, f"_do_{message['do']}")(**arguments)

    def _do_hello(self) -> None:
        """A view has opened."""

    def _repr_mimebundle_(self, **options):
        bundle, metadata = super()._repr_mimebundle_(**options)
        return bundle | {"text/plain": repr(self), "text/html": self._still()}, metadata


class RetrainPanel(_Panel):
    """The widget that ``retrain_panel`` gives.

    Attributes
    ----------
    session : Session
        Settings and trials; what the controls do can be done through it in code too.
    """

    _esm = _view("retrain")
    state = traitlets.Dict().tag(sync=True)
    trials = traitlets.List().tag(sync=True)
    live = traitlets.Dict(None, allow_none=True).tag(sync=True)

    def __init__(self, session: Session):
        self.session = session
        self._showing = threading.Lock()
        self._moves = 0
        groups = {}
        for control in session.controls:
            groups.setdefault(control.group, []).append(asdict(control))
        origin = "article" if session.base == ARTICLE else "start"
        super().__init__(setup={"groups": groups, "origin": origin, "reset": f"Reset to the {origin}"})
        session.recall()
        session.listener = self._show
        self._show()

    @property
    def runs(self) -> list[Run]:
        """The runs of at least one finished epoch, oldest first; those that were cleared are gone."""
        return [trial.run for trial in self.session.trials if trial.run is not None and trial.history["val_loss"]]

    def __repr__(self) -> str:
        return f"RetrainPanel({self.session.base}; {len(self.session.trials)} runs)"

    def _show(self) -> None:
        with self._showing:
            self.state = view_of_session(self.session) | {"moves": self._moves}
            self.trials = [view_of_trial(trial, self.session.origin) for trial in self.session.trials]
            running = self.session.running
            self.live = running and {
                "progress": progress_of(running, self.session.expected_seconds(running.recipe)),
                **view_of_trial(running, self.session.origin),
            }

    def _do_hello(self):
        self.session.warm_up()

    def _do_set(self, name, value):
        self._moves += 1  # so that the control hears of it even if nothing else has changed
        self.session.set(name, value)
        self.session.warm_up(delay=0.05)

    def _do_automatic(self, on):
        self.session.automatic = bool(on)
        self._show()

    def _do_train(self):
        self.session.train()

    def _do_stop(self):
        self.session.stop()

    def _do_reset(self):
        self.session.reset()

    def _do_change(self, number, **what):
        self.session.change(number, **what)

    def _do_use(self, number):
        self.session.recipe_of_trial(number)

    def _do_clear(self):
        self.session.clear()

    def _do_test(self, number):
        self.session.open_test_set(number)

    def _do_program(self):
        self.send({"program": self.session.program()})

    def _still(self) -> str:
        names = [control.name for control in self.session.controls]
        attributes = {
            "recipe": json.dumps(_changed_fields(self.session.base)),
            "seed": self.session.origin[1],
            **({"controls": " ".join(names)} if len(names) < len(CONTROLS) else {}),
        }
        trial = self.session.shown
        if trial is None or not trial.history["val_loss"]:
            return _lab_html("retrain", _figure_html("", "Nothing has been trained in this panel yet."), attributes)
        accuracy = trial.history["val_accuracy"][-1]
        changed = changed_settings(trial, (ARTICLE, trial.seed))
        text = (
            f"The article's network{f' with {changed}' if changed else ''}, seed {trial.seed}: "
            f"validation accuracy {accuracy:.1%} after {len(trial.history['val_loss'])} epochs."
        )
        picture = _image_html(
            plots.learning_curves({"": [trial.history]}),
            f"Training and validation loss and accuracy by epoch; the validation accuracy ends at {accuracy:.1%}.",
        )
        return _lab_html("retrain", _figure_html(picture, text), attributes)


def view_of_session(session: Session) -> dict:
    """Give all that a retrain panel shows of its session, but for the trials, as JSON takes it."""
    try:
        recipe, problem = session.job()[0], None
    except RecipeError as error:
        recipe, problem = None, error
    return {
        "settings": dict(session.settings),
        "problem": problem and {"name": problem.name, "sentence": str(problem).replace(" is None;", " is empty;")},
        "parameters": recipe and f"{parameter_count(recipe):,}",
        "expected": recipe and duration(session.expected_seconds(recipe)),
        "training": session.running is not None,
        "changed": session.changed,
        "automatic": session.automatic,
        "message": session.message,
        "shown": session.shown and session.shown.number,
    }


def progress_of(trial: Trial, expected: float) -> dict:
    """Give how far a trial is, as a share and in words, if it was expected to take so many seconds."""
    if not trial.fraction:
        return {"fraction": 0.0, "text": f"{title(trial)} is getting ready"}
    epoch = min(int(trial.fraction * trial.recipe.epochs) + 1, trial.recipe.epochs)
    left = duration(trial.seconds_left(expected))
    return {"fraction": trial.fraction, "text": f"{title(trial)}: epoch {epoch} of {trial.recipe.epochs}, {left} left"}


def view_of_trial(trial: Trial, origin: tuple[Recipe, int]) -> dict:
    """Give all that a retrain panel shows of a trial, as JSON takes it; ``origin`` is what it is compared with."""
    curve = list(zip(*trial.curve, strict=True)) or [(), (), ()]
    return {
        "number": trial.number,
        "title": title(trial),
        "state": trial.state,
        "stored": trial.stored,
        "differs": changed_settings(trial, origin),
        "epochs": trial.recipe.epochs,
        "curve": [[round(value, 5) for value in values] for values in curve],
        "validation": [[round(value, 5) for value in trial.history[name]] for name in ("val_loss", "val_accuracy")],
        "best": trial.best_accuracy and f"{trial.best_accuracy:.2%}",
        "seconds": duration(trial.seconds),
        "test": trial.test_accuracy and f"{trial.test_accuracy:.2%}",
        "openable": trial.run is not None and trial.run.model is not None,
        "pinned": trial.pinned,
        "hidden": trial.hidden,
    }


def changed_settings(trial: Trial, origin: tuple[Recipe, int]) -> str:
    """Say in which controls a trial differs from a recipe and a seed; empty if in none."""
    first = settings_of(*origin)
    changed = {name: value for name, value in settings_of(trial.recipe, trial.seed).items() if value != first[name]}
    return ", ".join(f"{name.replace('_', ' ')} {_written(value)}" for name, value in changed.items())


def _written(value) -> str:
    """Write a value as the controls do."""
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, float):
        return np.format_float_positional(value, trim="-")
    return f"{value:,}" if isinstance(value, int) else value.replace("_", " ")


def duration(seconds: float) -> str:
    """Write a time as a person would say it."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{seconds / 3600:.1f} h"


class _NetworkPanel(_Panel):
    """A panel that asks a network; if that is a retrain panel's, it says when there is a newer one."""

    network = traitlets.Dict().tag(sync=True)

    def __init__(self, network, data: Mnist, **traits):
        self._network, self._data = network, data
        self._take_newest()
        super().__init__(network=self._named(), **traits)
        if isinstance(network, RetrainPanel):
            network.observe(lambda _: self._follow(), names=["state", "trials"])

    def _take_newest(self) -> None:
        self._model, self._name = model_of(self._network)

    def _named(self) -> dict:
        newer = None
        with suppress(PanelError):  # all runs of the retrain panel may have been cleared
            model, name = model_of(self._network)
            newer = name if model is not self._model else None
        return {"name": self._name, "newer": newer}

    def _follow(self) -> None:
        self.network = self._named()


class DrawPanel(_NetworkPanel):
    """The widget that ``draw_panel`` gives; it asks the newest network."""

    _esm = _view("draw")
    result = traitlets.Dict().tag(sync=True)

    def __init__(self, network, data: Mnist):
        self._answers = 0
        super().__init__(network, data, setup={"names": list(data.class_names)})
        self._do_draw([], still=True)

    def __repr__(self) -> str:
        return "DrawPanel()"

    def _follow(self) -> None:
        with suppress(PanelError):  # then the network of before goes on answering
            self._take_newest()
        self.network = self._named()

    def _do_draw(self, strokes, still):
        """Answer a drawing; ``still`` tells that the pen is up, and there is time to look for similar images."""
        picture = picture_of(strokes)
        blank = not picture.any()
        self._answers += 1  # two answers are never equal, and so each of them reaches the sheet
        result = {"answer": self._answers, "picture": _encoded(picture), "blank": blank, "closest": []}
        if not blank:
            logits = self._model(picture.reshape(1, -1).astype(np.float32) / 255, training=False)
            result["probabilities"] = keras.ops.softmax(logits)[0].numpy().astype(float).round(4).tolist()
            if still:
                nearest = closest(picture, self._data.train.flat)
                result["closest"] = [
                    {
                        "pixels": _encoded(self._data.train.images[i]),
                        "label": self._data.class_names[self._data.train.labels[i]],
                    }
                    for i in nearest
                ]
        self.result = result

    def _still(self) -> str:
        picture = self._data.validation.images[:1]
        logits = self._model(picture.reshape(1, -1).astype(np.float32) / 255, training=False)
        shares = keras.ops.softmax(logits)[0].numpy()
        figure = plots.bars({"probability": shares}, self._data.class_names, "probability", percent=True)
        said = self._data.class_names[int(shares.argmax())]
        picture = _image_html(
            figure, f"Bars of the ten probabilities that the network gives for one image; highest for {said}."
        )
        text = (
            "Here you draw a digit and watch these ten bars move. Shown: the answer to the first validation image, "
            f"a {self._data.class_names[self._data.validation.labels[0]]}."
        )
        return _lab_html("draw", _figure_html(picture, text))


class ExplorePanel(_NetworkPanel):
    """The widget that ``explore_panel`` gives; it stays with its network until the reader asks a newer one."""

    _esm = _view("explore")
    images = traitlets.Dict().tag(sync=True)
    confusion = traitlets.List().tag(sync=True)
    weights = traitlets.Dict().tag(sync=True)

    def __init__(self, network, data: Mnist):
        self._answers = {}
        super().__init__(network, data, setup={"names": list(data.class_names)})
        self._do_show("validation")
        self._do_units(0)

    def __repr__(self) -> str:
        return "ExplorePanel()"

    def _do_show(self, split, label=None, said=None, order="wrong", start=0):
        """Show a page of a split: all images or those of one label, of one answer; by index or by how wrong."""
        chosen = {"training": self._data.train, "validation": self._data.validation}[split]
        loss, answers = self._answered(chosen)
        wanted = np.ones(len(chosen), bool)
        if label is not None:
            wanted &= chosen.labels == label
        if said is not None:
            wanted &= answers == said
        places = np.flatnonzero(wanted)
        if order == "wrong":
            places = places[np.argsort(-loss[places], kind="stable")]
        start = int(np.clip(start, 0, max(0, len(places) - 1))) // IMAGES_ON_A_PAGE * IMAGES_ON_A_PAGE
        names = self._data.class_names
        self.images = {
            "split": split, "label": label, "said": said, "order": order,
            "start": start, "total": len(places), "page": IMAGES_ON_A_PAGE,
            "images": [
                {
                    "index": int(i), "pixels": _encoded(chosen.images[i]), "label": names[chosen.labels[i]],
                    "said": names[answers[i]], "right": bool(answers[i] == chosen.labels[i]),
                }
                for i in places[start : start + IMAGES_ON_A_PAGE]
            ],
        }  # fmt: skip
        counts = np.zeros((10, 10), int)
        np.add.at(counts, (chosen.labels, answers), 1)
        self.confusion = counts.tolist()

    def _do_units(self, start):
        """Show a page of the first layer's units, each one's weights as an image."""
        matrices = [w.numpy() for w in self._model.weights if len(w.shape) == 2 and w.shape[0] == 784]
        units = matrices[0].T if matrices else np.zeros((0, 784))
        start = int(np.clip(start, 0, max(0, len(units) - 1))) // UNITS_ON_A_PAGE * UNITS_ON_A_PAGE
        page = units[start : start + UNITS_ON_A_PAGE]
        scale = np.abs(page).max(axis=1, keepdims=True) + 1e-12
        scaled = np.rint(127 * page / scale).astype(np.int8)
        self.weights = {
            "start": start, "total": len(units), "page": UNITS_ON_A_PAGE,
            "units": [_encoded(unit) for unit in scaled],
        }  # fmt: skip

    def _do_again(self):
        """Ask the newest network."""
        self._answers.clear()
        with suppress(PanelError):
            self._take_newest()
        self._follow()
        shown = self.images
        self._do_show(shown["split"], shown["label"], shown["said"], shown["order"], shown["start"])
        self._do_units(self.weights["start"])

    def _answered(self, split: Split) -> tuple[np.ndarray, np.ndarray]:
        if split not in self._answers:
            logits = self._model.predict(split.flat, batch_size=1000, verbose=0)
            shifted = logits - logits.max(axis=1, keepdims=True)
            right = shifted[np.arange(len(split)), split.labels]
            self._answers[split] = np.log(np.exp(shifted).sum(axis=1)) - right, logits.argmax(axis=1)
        return self._answers[split]

    def _still(self) -> str:
        loss, answers = self._answered(self._data.validation)
        worst = np.argsort(-loss)[:10]
        names, labels = self._data.class_names, self._data.validation.labels
        figure = plots.digit_grid(
            self._data.validation.images[worst],
            [f"{names[labels[i]]}, said {names[answers[i]]}" for i in worst],
            columns=5,
        )
        picture = _image_html(
            figure, "The ten validation images with the highest loss, each with its label and the network's answer."
        )
        wrong = int((answers != labels).sum())
        text = f"The ten validation images with the highest loss; {wrong} are misread in all."
        return _lab_html("explore", _figure_html(picture, text))


def model_of(network: "Run | keras.Model | RetrainPanel") -> tuple[keras.Model, str]:
    """Find the model in what a panel was given, and how to name it in a sentence.

    Raises
    ------
    PanelError
        If there is none.
    """
    if isinstance(network, RetrainPanel):
        session = network.session
        candidates = [session.shown, *reversed(session.trials)]
        trained = [t for t in candidates if t is not None and t.run is not None and t.run.model is not None]
        if not trained:
            raise PanelError("the retrain panel holds no trained network yet; expected one. Press Train in it first.")
        trial = trained[0]
        return trial.run.model, title(trial) + (" (stopped)" if trial.state == "stopped" else "") + _score(trial.run)
    model = network.model if isinstance(network, Run) else network
    if not isinstance(model, keras.Model):
        raise PanelError(
            f"{network!r} has no model; expected a run with its model, a Keras model, or a retrain panel. "
            "Runs of train, trained_runs and load_run have one."
        )
    if isinstance(network, Run):
        return model, f"the run with {network.recipe} and seed {network.seed}{_score(network)}"
    return model, f"the model named {model.name}"


def _score(run: Run) -> str:
    accuracies = run.history["val_accuracy"]
    return f", {accuracies[-1]:.1%} on the validation set" if accuracies else ", not a whole epoch trained"


def _encoded(pixels: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(pixels).tobytes()).decode()


def _image_html(figure, alt: str) -> str:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=200)
    source = base64.b64encode(file.getvalue()).decode()
    return f'<img src="data:image/png;base64,{source}" alt="{html.escape(alt)}">'


def _figure_html(picture: str, text: str) -> str:
    how = (
        "This is a still: where JavaScript runs, the page trains the network itself; "
        "or run this notebook on your own machine (<code>make lab</code>)."
    )
    caption = f'{html.escape(text)} <span class="panel-how">{how}</span>'
    return f'<figure class="panel-still">{picture}<figcaption>{caption}</figcaption></figure>'


def _lab_html(view: str, still: str, attributes: dict[str, object] | None = None) -> str:
    """Wrap a still in the element that the pages of the book make into a live panel (``book/lab/lab.js``)."""
    written = "".join(f' {name}="{html.escape(str(value))}"' for name, value in (attributes or {}).items())
    return f'<mnist-lab view="{view}"{written}>{still}</mnist-lab>'


def _changed_fields(recipe: Recipe) -> dict:
    article = asdict(ARTICLE)
    return {name: value for name, value in asdict(recipe).items() if value != article[name]}
