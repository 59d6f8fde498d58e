"""One frozen object that holds every hyperparameter of a training run, checked when it is made.

Floor 1 of the package. Chapters and helpers all speak it, under these names.
"""

import difflib
import math
import operator
from dataclasses import dataclass, fields

ACTIVATIONS = ("relu", "leaky_relu", "sigmoid", "tanh")
VALIDATIONS = ("held_out", "leaking")


class RecipeError(ValueError):
    """A hyperparameter has a value that no training run can use; the message says which are accepted."""


@dataclass(frozen=True)
class Recipe:
    """Everything that is chosen before training starts; only the seed is given apart.

    The defaults are the article's network. Derive a variant with ``dataclasses.replace(ARTICLE, units=30)``.

    Parameters
    ----------
    hidden_layers : int
        Number of hidden layers, 0 to 50. With 0 the model is softmax regression.
    units : int
        Width of each hidden layer, 1 to 8,192. With two layers or more, time and memory grow with its square.
    activation : str
        Activation of every hidden layer but the last: one of ``ACTIVATIONS``. Leaky ReLU's slope below
        zero is Keras's default of 0.2.
    last_activation : str
        Activation of the last hidden layer.
    dropout : float
        Share of each hidden layer's outputs that is set to zero in a training step, at least 0 and below 1.
    weight_decay : float
        Decoupled weight decay (Loshchilov and Hutter 2019): each step shrinks every parameter by
        learning rate × weight decay of its value, at least 0.
    batch_norm : bool
        Whether batch normalisation stands between each hidden layer and its activation.
    batch_size : int
        Images per weight update, 1 to 54,000. Time per epoch grows steeply towards 1.
    epochs : int
        Passes over the training images, 1 to 10,000.
    learning_rate : float
        Step size of Adam, above 0.
    training_images : int
        How many of the training images are used, 10 to 54,000; the first ones, in the order of the data set.
    validation : str
        ``"held_out"``: the 6,000 validation images, never trained on. ``"leaking"``: the mistake of
        chapter 5, in which all 60,000 images are split anew every epoch.

    Raises
    ------
    RecipeError
        If a value is of the wrong type or out of range.
    """

    hidden_layers: int = 6
    units: int = 100
    activation: str = "relu"
    last_activation: str = "leaky_relu"
    dropout: float = 0.0
    weight_decay: float = 0.0
    batch_norm: bool = False
    batch_size: int = 500
    epochs: int = 10
    learning_rate: float = 1e-3
    training_images: int = 54_000
    validation: str = "held_out"

    def __post_init__(self):
        checked = {
            "hidden_layers": _whole(self, "hidden_layers", 0, 50),
            "units": _whole(self, "units", 1, 8192),
            "activation": _one_of(self, "activation", ACTIVATIONS),
            "last_activation": _one_of(self, "last_activation", ACTIVATIONS),
            "dropout": _number(self, "dropout", "at least 0 and below 1", lambda value: 0 <= value < 1),
            "weight_decay": _number(self, "weight_decay", "at least 0", lambda value: value >= 0),
            "batch_norm": _one_of(self, "batch_norm", (False, True)),
            "batch_size": _whole(self, "batch_size", 1, 54_000),
            "epochs": _whole(self, "epochs", 1, 10_000),
            "learning_rate": _number(self, "learning_rate", "above 0", lambda value: value > 0),
            "training_images": _whole(self, "training_images", 10, 54_000),
            "validation": _one_of(self, "validation", VALIDATIONS),
        }
        for name, value in checked.items():
            object.__setattr__(self, name, value)
        if self.validation == "leaking" and self.training_images < 54_000:
            raise RecipeError(
                f"training_images is {self.training_images:,} with a leaking validation set; "
                "expected 54,000, because that split is drawn anew from all images. "
                'Use validation="held_out" for fewer.'
            )

    def __str__(self) -> str:
        """Name what differs from the article's recipe."""
        changed = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) != f.default]
        return ", ".join(changed) or "the article's recipe"


def _refuse(name: str, value: object, expected: str, hint: str = "") -> RecipeError:
    return RecipeError(f"{name} is {value!r}; expected {expected}.{hint}")


def _whole(recipe: Recipe, name: str, lowest: int, highest: int) -> int:
    value = getattr(recipe, name)
    expected = f"a whole number from {lowest:,} to {highest:,}"
    try:
        number = operator.index(value)
    except TypeError:
        raise _refuse(name, value, expected) from None
    if isinstance(value, bool) or not lowest <= number <= highest:
        raise _refuse(name, value, expected)
    return number


def _number(recipe: Recipe, name: str, range_in_words: str, in_range) -> float:
    value = getattr(recipe, name)
    expected = f"a finite number {range_in_words}"
    try:
        number = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and in_range(number)):
        raise _refuse(name, value, expected)
    return number


def _one_of(recipe: Recipe, name: str, accepted: tuple):
    value = getattr(recipe, name)
    if any(value is choice or (isinstance(value, str) and value == choice) for choice in accepted):
        return value
    nearest = difflib.get_close_matches(str(value), [c for c in accepted if isinstance(c, str)], n=1, cutoff=0.5)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    raise _refuse(name, value, "one of " + ", ".join(repr(choice) for choice in accepted), hint)


ARTICLE = Recipe()
