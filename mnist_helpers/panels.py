"""The panels of the notebooks: move a slider and retrain, draw a digit, look into the data and the network.

Each is a widget with two faces: JupyterLab shows the live one, which the program in the folder ``panel`` makes and
decides, with a ``KernelEngine`` to compute for it; a page without a kernel shows a still picture of the last result.
Floor 7 of the package.
"""

import html
import json
import os
import re
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from uuid import uuid4

import mnist_helpers.quiet  # noqa: F401  (before keras)
import anywidget
import keras
import numpy as np
import traitlets

from mnist_helpers import pictures, plots
from mnist_helpers.controls import CHALLENGES, CONTROLS, checked_names, panel_setup
from mnist_helpers.data import Mnist, load_mnist
from mnist_helpers.kernel_engine import KernelEngine
from mnist_helpers.model import losses_and_answers
from mnist_helpers.recipe import ARTICLE, Recipe, checked_seed
from mnist_helpers.run import Run

PROGRAM = Path(__file__).with_name("panel")
HOW = "This is a still: where JavaScript runs, {}; or run this notebook on your own machine (<code>make lab</code>)."


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
    return RetrainPanel(recipe, data or load_mnist(), checked_names(controls), checked_seed(seed), store)


def draw_panel(network: "Run | keras.Model | RetrainPanel | Recipe", data: Mnist | None = None) -> "DrawPanel":
    """Draw a digit with mouse, pen, finger or arrow keys, and see what a network makes of it.

    Parameters
    ----------
    network : Run, keras.Model, RetrainPanel or Recipe
        The network, from pixels of shape (n, 784) to logits of shape (n, 10). With a retrain panel it is
        the one that the panel trained last. With a recipe it is trained, from seed 0, when something is drawn.
    data : Mnist, optional
        Whose training images and class names are shown; by default the MNIST of this package.

    Raises
    ------
    PanelError
        If there is no model in what was given.
    """
    return DrawPanel(network, data or load_mnist())


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


def challenge_panel(which: str, lab: "RetrainPanel") -> "ChallengePanel":
    """Say how far the runs of a retrain panel are in one of the lab's challenges, and what the reader's record is.

    Parameters
    ----------
    which : str
        The name of the challenge, one of ``mnist_helpers.controls.CHALLENGES``.
    lab : RetrainPanel
        The panel whose runs are judged; for ``"fooled"`` the drawings of the page are.

    Raises
    ------
    PanelError
        If there is no such challenge, or what was given is no retrain panel.
    """
    if which not in CHALLENGES:
        raise PanelError(f"there is no challenge {which!r}; expected one of {', '.join(CHALLENGES)}.")
    if not isinstance(lab, RetrainPanel):
        raise PanelError(f"{lab!r} is no retrain panel; expected the one whose runs are to be judged.")
    return ChallengePanel(which, lab)


def _program() -> str:
    """Join the panels' modules into one, because a widget cannot import what lies beside it."""
    texts = {path.name: path.read_text(encoding="utf-8") for path in sorted(PROGRAM.glob("*.js"))}
    joined, waiting = [], ["jupyter_widget.js"]
    while waiting:  # what a module imports comes before it
        needed = re.findall(r'^import .* from "./(.*)";', texts[waiting[-1]], flags=re.MULTILINE)
        if missing := [name for name in needed if name not in joined]:
            waiting += missing
        elif (name := waiting.pop()) not in joined:
            joined.append(name)
    return "".join(re.sub(r"^(import .*\n|export (?!default))", "", texts[name], flags=re.MULTILINE) for name in joined)


class Panel(anywidget.AnyWidget):
    """A widget whose other face is HTML, for pages without a kernel.

    In ``setup`` stand the name of the panel, its view, and what that has to know.
    """

    _esm = _program()
    _css = PROGRAM / "panel.css"
    _live = "the page trains the network itself"  # what the panel does where a page has it instead of its still
    setup = traitlets.Dict().tag(sync=True)

    def __init__(self, setup: dict, **traits):
        self.name = uuid4().hex
        super().__init__(setup={"view": self._view, "name": self.name} | setup, **traits)

    def _repr_mimebundle_(self, **options):
        bundle, metadata = super()._repr_mimebundle_(**options)
        return bundle | {"text/plain": repr(self), "text/html": self._html()}, metadata

    def _attributes(self) -> dict[str, object]:
        """Give what tells the page which network it is, and what to show of it."""
        return {}

    def _html(self) -> str:
        """Wrap the still in the element that the book's pages make into a live panel (``book/lab/lab_element.js``)."""
        figure, alt, text = self._still()
        picture = figure.as_image(alt) if figure else ""
        caption = f'{html.escape(text)} <span class="panel-how">{HOW.format(self._live)}</span>'
        written = "".join(f' {name}="{html.escape(str(value))}"' for name, value in self._attributes().items())
        return (
            f'<mnist-lab view="{self._view}"{written}><figure class="panel-still">{picture}'
            f"<figcaption>{caption}</figcaption></figure></mnist-lab>"
        )


class _ComputingPanel(Panel):
    """A panel for which the kernel computes."""

    saved = traitlets.Dict().tag(sync=True)  # of its runs, what a page that is opened again has to know

    def __init__(self, engine: KernelEngine, setup: dict, **traits):
        self._engine = engine
        super().__init__(setup, **traits)
        self.on_msg(lambda _, message, __: engine.obey(message))


class RetrainPanel(_ComputingPanel):
    """The widget that ``retrain_panel`` gives."""

    _view = "retrain"

    def __init__(self, recipe: Recipe, data: Mnist, controls: list[str], seed: int, store: str | os.PathLike | None):
        self._recipe, self._controls, self._seed = recipe, controls, seed
        setup = _session_setup(recipe, seed, data) | {"controlNames": controls}
        engine = KernelEngine(data, self.send, store)
        stored = engine.recall(recipe, seed)
        known = [{"id": stored, "number": 1, "recipe": asdict(recipe), "seed": seed}] if stored else []
        super().__init__(engine, setup, saved={"trials": known, "shown": len(known)})

    @property
    def runs(self) -> list[Run]:
        """The runs of at least one finished epoch, oldest first; without those that were cleared, and 40 at most."""
        return self._engine.runs

    def __repr__(self) -> str:
        return f"RetrainPanel({self._recipe}; {len(self.runs)} runs)"

    def _attributes(self):
        controls = {"controls": " ".join(self._controls)} if len(self._controls) < len(CONTROLS) else {}
        return _of_network(self._recipe, self._seed) | controls

    def _still(self):
        if not self.runs:
            return None, "", "Nothing has been trained in this panel yet."
        run = self.runs[-1]
        accuracy = run.history["val_accuracy"][-1]
        changed = "" if run.recipe == ARTICLE else f" with {run.recipe}"
        return (
            plots.learning_curves({"": [run.history]}),
            f"Training and validation loss and accuracy by epoch; the validation accuracy ends at {accuracy:.1%}.",
            f"The article's network{changed}, seed {run.seed}: "
            f"validation accuracy {accuracy:.1%} after {len(run.history['val_loss'])} epochs.",
        )


class _AskingPanel(_ComputingPanel):
    """A panel that asks a network: one that it was given, or what a retrain panel's or its own session shows."""

    def __init__(self, network: "Run | keras.Model | RetrainPanel | Recipe", data: Mnist):
        self._network, self._data = network, data
        if isinstance(network, Recipe):
            model, asks = None, _session_setup(network, 0, data)
        else:
            model, name = model_of(network)
            asks = {"asks": network.name} if isinstance(network, RetrainPanel) else {"given": name}
        super().__init__(KernelEngine(data, self.send, given=model), asks | {"names": list(data.class_names)})

    def _attributes(self):
        network = self._network
        if isinstance(network, Recipe):
            return _of_network(network, 0)
        return _of_network(network.recipe, network.seed) if isinstance(network, Run) else {}

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class DrawPanel(_AskingPanel):
    """The widget that ``draw_panel`` gives.

    Attributes
    ----------
    result : dict
        Of what is drawn, ``probabilities``: what the network gives for each class; empty for a blank sheet.
    """

    _view = "draw"
    result = traitlets.Dict().tag(sync=True)

    def _still(self):
        if isinstance(self._network, Recipe):
            return None, "", f"Here you draw a digit, and a network trained with {self._network} says what it reads."
        pixels, label = self._data.validation.flat[:1], self._data.validation.labels[0]
        shares = keras.ops.softmax(model_of(self._network)[0](pixels, training=False))[0].numpy()
        names = self._data.class_names
        return (
            plots.bars({"probability": shares}, names, "probability", percent=True),
            f"Bars of the ten probabilities that the network gives an image; highest for {names[shares.argmax()]}.",
            "Here you draw a digit and watch these ten bars move. Shown: the answer to the first validation image, "
            f"a {names[label]}.",
        )


class ExplorePanel(_AskingPanel):
    """The widget that ``explore_panel`` gives."""

    _view = "explore"

    def _still(self):
        images, labels, names = self._data.validation.images, self._data.validation.labels, self._data.class_names
        losses, answers = losses_and_answers(model_of(self._network)[0], self._data.validation)
        worst = np.argsort(-losses)[:10]
        captions = [f"{names[labels[i]]}, said {names[answers[i]]}" for i in worst]
        wrong = (answers != labels).sum()
        return (
            pictures.digit_grid(images[worst], captions, columns=5),
            "The ten validation images with the highest loss, each with its label and the network's answer.",
            f"The ten validation images with the highest loss; {wrong} are misread in all.",
        )


class ChallengePanel(Panel):
    """The widget that ``challenge_panel`` gives."""

    _view = "challenge"
    _live = "the page judges the runs of its panel"

    def __init__(self, which: str, lab: RetrainPanel):
        self._which = which
        super().__init__({"asks": lab.name, "which": which, "challenge": CHALLENGES[which]})

    def _attributes(self):
        return {"which": self._which}

    def __repr__(self) -> str:
        return f"ChallengePanel({self._which!r})"

    def _still(self):
        return None, "", "Here stands how far you are."


def _session_setup(recipe: Recipe, seed: int, data: Mnist) -> dict[str, object]:
    images = {"training": len(data.train), "validation": len(data.validation)}
    return panel_setup() | {"recipe": asdict(recipe), "seed": seed, "collections": [images]}


def _of_network(recipe: Recipe, seed: int) -> dict[str, object]:
    article = asdict(ARTICLE)
    changed = {name: value for name, value in asdict(recipe).items() if value != article[name]}
    return {"recipe": json.dumps(changed), "seed": seed}


def model_of(network: "Run | keras.Model | RetrainPanel") -> tuple[keras.Model, str]:
    """Find the model in what a panel was given, and how to name it in a sentence.

    Raises
    ------
    PanelError
        If there is none.
    """
    if isinstance(network, RetrainPanel):
        trained = [run for run in network.runs if run.model is not None]
        if not trained:
            raise PanelError("the retrain panel holds no trained network yet; expected one. Press Train in it first.")
        network = trained[-1]
    model = network.model if isinstance(network, Run) else network
    if not isinstance(model, keras.Model):
        raise PanelError(
            f"{network!r} has no model; expected a run with its model, a Keras model, or a retrain panel. "
            "Runs of train, trained_runs and load_run have one."
        )
    if not isinstance(network, Run):
        return model, f"the model named {model.name}"
    accuracies = network.history["val_accuracy"]
    score = f"{accuracies[-1]:.1%} on the validation set" if accuracies else "not a whole epoch trained"
    return model, f"the run with {network.recipe} and seed {network.seed}, {score}"
