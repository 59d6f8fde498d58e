"""One frozen object that holds every hyperparameter of a training run, checked when it is made.

Floor 1 of the package. Chapters and helpers all speak it, under these names.
"""

import difflib
import json
import math
import operator
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path

ACTIVATIONS = ("relu", "leaky_relu", "sigmoid", "tanh")
SCHEDULES = ("constant", "cosine")
VALIDATIONS = ("held_out", "leaking")
HIGHEST_SEED = 2**31 - 1  # TensorFlow's seeds are int32
PIXELS = 784
CLASSES = 10
DISTORTIONS = ("rotation", "zoom", "shift", "shear", "elastic")
# Shuffle buffer of the leaking split of chapter 6, in images; 10,000 is what many tutorials write.
LEAKING_BUFFER = 10_000
# Options that a compiled training loop takes as numbers; only whether they are in use is part of its shape.
SIZES = ("dropout", "weight_decay", "ema_momentum", "label_smoothing", *DISTORTIONS)
# XLA takes 0.7 to 1.2 s longer to start and makes a step shorter, by 0.8 ms of 5.9 on two threads and 0.5 ms of 6.2 on
# one (batches of 500; more with smaller ones and with distortions), so from here on it pays after 8 and 22 epochs of a
# shape, and sooner where an epoch has more steps. Independent of the epochs, so that a longer run begins as a shorter
# one, and no change of them compiles anything.
XLA_PAYS_FROM = 50  # steps an epoch


# What does not go together: which hyperparameter is refused, in which case, and why. The case is that all of its
# comparisons hold, each of a hyperparameter with a value or with another one; `most` is how many training images there
# are, of which the lab in the page may have fewer.
RULES = json.loads(Path(__file__).with_name("panel").joinpath("recipe_rules.json").read_text(encoding="utf-8"))
_COMPARISONS = {"==": operator.eq, "!=": operator.ne, ">=": operator.ge}


class RecipeError(ValueError):
    """A hyperparameter has a value that no training run can use; the message says which are accepted.

    Attributes
    ----------
    name : str
        The hyperparameter.
    """

    def __init__(self, name: str, message: str):
        super().__init__(name, message)
        self.name = name

    def __str__(self) -> str:
        return self.args[1]


def _refuse(name: str, value: object, expected: str, hint: str = "") -> RecipeError:
    return RecipeError(name, f"{name} is {value!r}; expected {expected}.{hint}")


def _in_whole_range(name: str, value: object, lowest: int, highest: int) -> int:
    expected = f"a whole number from {lowest:,} to {highest:,}"
    try:
        number = operator.index(value)
    except TypeError:
        raise _refuse(name, value, expected) from None
    if isinstance(value, bool) or not lowest <= number <= highest:
        raise _refuse(name, value, expected)
    return number


def _in_range(name: str, value: object, words: str, in_range) -> float:
    expected = f"a finite number {words}"
    try:
        number = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not (math.isfinite(number) and in_range(number)):
        raise _refuse(name, value, expected)
    return number


def _among(name: str, value: object, accepted: tuple):
    if any(value is choice or (isinstance(value, str) and value == choice) for choice in accepted):
        return value
    nearest = difflib.get_close_matches(str(value), [c for c in accepted if isinstance(c, str)], n=1)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    raise _refuse(name, value, "one of " + ", ".join(repr(choice) for choice in accepted), hint)


# A field of a recipe: its default, and what it accepts, as words for the documentation and as a check.
def _whole(default: int, lowest: int, highest: int):
    check = partial(_in_whole_range, lowest=lowest, highest=highest)
    metadata = {"accepts": f"{lowest:,} to {highest:,}", "range": (lowest, highest), "check": check}
    return field(default=default, metadata=metadata)


def _number(default: float, words: str, in_range):
    return field(
        default=default, metadata={"accepts": words, "check": partial(_in_range, words=words, in_range=in_range)}
    )


def _one_of(default, accepted: tuple):
    words = "one of " + ", ".join(f"``{choice!r}``" for choice in accepted)
    check = partial(_among, accepted=accepted)
    return field(default=default, metadata={"accepts": words, "choices": accepted, "check": check})


def _share(default: float):
    return _number(default, "at least 0 and below 1", lambda value: 0 <= value < 1)


def _up_to(default: float, highest: float):
    return _number(default, f"from 0 to {highest:g}", lambda value: 0 <= value <= highest)


@dataclass(frozen=True)
class Recipe:
    """Everything that is chosen before training starts; only the seed is given apart.

    The defaults are the article's network. Derive a variant with ``dataclasses.replace(ARTICLE, units=30)``.

    Parameters
    ----------
    hidden_layers : int
        Number of hidden layers, {hidden_layers}. With 0 the model is softmax regression.
    units : int
        Width of each hidden layer, {units}. With two layers or more, time and memory grow with its square.
    activation : str
        Activation of every hidden layer but the last: {activation}. Leaky ReLU's slope below zero is Keras's default
        of 0.2.
    last_activation : str
        Activation of the last hidden layer.
    dropout : float
        Share of each hidden layer's outputs that is set to zero in a training step, {dropout}.
    weight_decay : float
        Decoupled weight decay (Loshchilov and Hutter 2019): each step shrinks every parameter by
        learning rate × weight decay of its value, {weight_decay}.
    batch_norm : bool
        Whether batch normalisation stands between each hidden layer and its activation.
    batch_size : int
        Images per weight update, {batch_size}. Time per epoch grows steeply towards 1.
    epochs : int
        Passes over the training images, {epochs}.
    learning_rate : float
        Step size of Adam, {learning_rate}; the highest one, where a schedule changes it.
    schedule : str
        ``"constant"``, or ``"cosine"``: the learning rate rises from 0 in proportion to the steps of the
        warm-up, and then falls to 0 along half a cosine (Loshchilov and Hutter 2017).
    warmup_epochs : int
        Length of the cosine schedule's warm-up, {warmup_epochs}, and fewer than ``epochs``.
    patience : int
        Early stopping: after so many epochs without a new lowest validation loss training stops, and the weights
        of the best epoch are restored. With 0 all epochs are trained and the last weights kept.
    ema_momentum : float
        Weight averaging (Polyak and Juditsky 1992): validated and kept are not the weights themselves but their
        running average, of which each step keeps this share, {ema_momentum}. With 0 there is none.
    label_smoothing : float
        Share of the target's probability that is spread evenly over all classes, {label_smoothing}.
    rotation : float
        Augmentation: each time an image is shown, it is turned by an angle drawn evenly from up to so many
        degrees to either side, {rotation}.
    zoom : float
        Augmentation: height and width are scaled by factors drawn evenly from 1 - zoom to 1 + zoom, {zoom}.
    shift : float
        Augmentation: the image is moved by up to so many pixels up or down and left or right, {shift}.
    shear : float
        Augmentation: the image is slanted, each row by up to so many pixels a row of distance from the middle, {shear}.
    elastic : float
        Augmentation: the image is bent by a smooth random field of displacements with this standard deviation,
        in pixels, {elastic}.
    training_images : int
        How many of the training images are used, {training_images}; the first ones, in the order of the data set.
    validation : str
        ``"held_out"``: the 6,000 validation images, never trained on. ``"leaking"``: the mistake of
        chapter 6, in which all 60,000 images are split anew every epoch.

    Raises
    ------
    RecipeError
        If a value is of the wrong type or out of range.
    """

    hidden_layers: int = _whole(6, 0, 50)
    units: int = _whole(100, 1, 8192)
    activation: str = _one_of("relu", ACTIVATIONS)
    last_activation: str = _one_of("leaky_relu", ACTIVATIONS)
    dropout: float = _share(0.0)
    weight_decay: float = _number(0.0, "at least 0", lambda value: value >= 0)
    batch_norm: bool = _one_of(False, (False, True))
    batch_size: int = _whole(500, 1, 54_000)
    epochs: int = _whole(10, 1, 10_000)
    learning_rate: float = _number(1e-3, "above 0", lambda value: value > 0)
    schedule: str = _one_of("constant", SCHEDULES)
    warmup_epochs: int = _whole(0, 0, 10_000)
    patience: int = _whole(0, 0, 10_000)
    ema_momentum: float = _share(0.0)
    label_smoothing: float = _share(0.0)
    rotation: float = _up_to(0.0, 180)
    zoom: float = _share(0.0)
    shift: float = _up_to(0.0, 28)
    shear: float = _up_to(0.0, 1)
    elastic: float = _up_to(0.0, 28)
    training_images: int = _whole(54_000, 10, 54_000)
    validation: str = _one_of("held_out", VALIDATIONS)

    def __post_init__(self):
        values = {each.name: each.metadata["check"](each.name, getattr(self, each.name)) for each in fields(self)}
        for name, value in values.items():
            object.__setattr__(self, name, value)
        values["most"] = 54_000
        for rule in RULES:
            if all(_COMPARISONS[sign](values[name], values.get(other, other)) for name, sign, other in rule["case"]):
                numbers = {name: f"{value:,}" for name, value in values.items() if isinstance(value, (int, float))}
                raise RecipeError(rule["name"], rule["sentence"].format_map(numbers))

    @property
    def steps_per_epoch(self) -> int:
        """Weight updates in an epoch; the last one may have a smaller batch."""
        return -(-self.training_images // self.batch_size)

    def __str__(self) -> str:
        """Name what differs from the article's recipe."""
        changed = [f"{f.name}={getattr(self, f.name)!r}" for f in fields(self) if getattr(self, f.name) != f.default]
        return ", ".join(changed) or "the article's recipe"


if Recipe.__doc__:  # which is not there under python -OO
    Recipe.__doc__ = Recipe.__doc__.format_map({each.name: each.metadata["accepts"] for each in fields(Recipe)})


def parameter_count(recipe: Recipe) -> int:
    """Count the parameters of a recipe's model without building it, running averages of batch norm included."""
    inputs, count = PIXELS, 0
    for _ in range(recipe.hidden_layers):
        count += (inputs + 1) * recipe.units + (4 * recipe.units if recipe.batch_norm else 0)
        inputs = recipe.units
    return count + (inputs + 1) * CLASSES


def distorts(recipe: Recipe) -> bool:
    """Tell whether the images are distorted each time they are shown."""
    return any(getattr(recipe, name) for name in DISTORTIONS)


def has_many_steps(recipe: Recipe) -> bool:
    """Tell whether XLA pays for epochs of so many steps."""
    return recipe.steps_per_epoch >= XLA_PAYS_FROM


def shape_of(recipe: Recipe) -> tuple[Recipe, bool, bool]:
    """Give all that a compiled training loop depends on; recipes of one shape share a loop.

    Returns
    -------
    shape : Recipe
        The article's recipe but for what is part of the shape; an option whose size is not is 0 or 0.5.
    partial : bool
        Whether the last batch of an epoch is smaller than the others.
    compiled : bool
        Whether XLA pays. The weights depend on it, in the last digits.
    """
    names = ("hidden_layers", "units", "activation", "last_activation", "batch_norm", "batch_size", "validation")
    shape = {name: getattr(recipe, name) for name in names}
    in_use = {name: 0.5 if getattr(recipe, name) else 0.0 for name in SIZES}
    partial = bool(recipe.training_images % recipe.batch_size)
    return replace(ARTICLE, **shape, **in_use), partial, has_many_steps(recipe)


def checked_seed(seed: object) -> int:
    """Give a seed as an int, if it is a whole number from 0 to ``HIGHEST_SEED``; otherwise raise ``RecipeError``."""
    return _in_whole_range("seed", seed, 0, HIGHEST_SEED)


ARTICLE = Recipe()
# At least 99.0% on the test set within seconds; chapter 8 says how it was chosen, on the validation set.
CRACK_99 = Recipe(
    hidden_layers=3,
    units=384,
    last_activation="relu",
    weight_decay=0.1,
    batch_norm=True,
    batch_size=250,
    epochs=10,
    learning_rate=3e-3,
    schedule="cosine",
    warmup_epochs=1,
    label_smoothing=0.05,
    rotation=10.0,
    zoom=0.1,
    shift=1.5,
    shear=0.1,
)
# The best dense network found, on the validation set, within half an hour of training; chapter 8 judges it.
BEST_DENSE = Recipe(
    hidden_layers=3,
    units=1024,
    last_activation="relu",
    batch_norm=True,
    batch_size=250,
    epochs=80,
    learning_rate=3e-3,
    schedule="cosine",
    warmup_epochs=2,
    ema_momentum=0.999,
    label_smoothing=0.05,
    rotation=10.0,
    zoom=0.12,
    shift=1.5,
    shear=0.15,
    elastic=1.0,
)
