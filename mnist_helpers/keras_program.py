"""A recipe as the plain Keras program that one would write for it by hand. Floor 2 of the package."""

import re
import textwrap
from dataclasses import asdict
from pathlib import Path

from mnist_helpers.recipe import DISTORTIONS, LEAKING_BUFFER, Recipe, checked_seed, distorts, has_many_steps

WIDTH = 78  # of a line, as in the chapters
# The text, which the lab in the page fills in as well. A line that begins with [names] is part of the program if each
# of these has a value that is not 0; with ! before it, if it has not.
_TEMPLATE = Path(__file__).with_name("keras_program.txt").read_text(encoding="utf-8").splitlines()
_LINE = re.compile(r"(?:\[([^\]]*)\] ?)?(.*)")


def keras_program(recipe: Recipe, seed: int = 0) -> str:
    """Write the program that trains a recipe's network with Keras's own ``compile`` and ``fit``.

    With the same seed, on the same machine, it gives the weights of ``train``, bit for bit, with these exceptions:
    for dropout and augmentation Keras draws other random numbers, and with weight averaging another order of the
    images; a cosine schedule, label smoothing and a partial last batch are rounded otherwise. A comment at its head
    says what holds for it.

    Parameters
    ----------
    recipe : Recipe
        What to train.
    seed : int
        As it is given to ``train``.

    Returns
    -------
    str
        Python code, to be run where this package is installed.
    """
    values = asdict(recipe) | _derived(recipe, checked_seed(seed))
    program = []
    for line in _TEMPLATE:
        conditions, text = _LINE.fullmatch(line).groups(default="")
        if all(bool(values[name.lstrip("!")]) is not name.startswith("!") for name in conditions.split()):
            program.append(text.format_map(values))
    return "\n".join(program) + "\n"


def _derived(recipe: Recipe, seed: int) -> dict[str, object]:
    """Give what the program needs besides the recipe's own values."""
    odd = recipe.hidden_layers > 0 and recipe.activation != recipe.last_activation
    cosine, distorted = recipe.schedule == "cosine", distorts(recipe)
    warmup = recipe.warmup_epochs * recipe.steps_per_epoch
    sizes = [name for name in DISTORTIONS if name in ("rotation", "zoom", "shift") or getattr(recipe, name)]
    return {
        "head": "\n".join(_head(recipe, seed, distorted)),
        "seed": seed,
        "leaking": recipe.validation == "leaking",
        "distorted": distorted,
        "distortions": ", ".join(f"{name}={getattr(recipe, name)}" for name in sizes),
        "first": "" if recipe.training_images == 54_000 else f"[:{recipe.training_images}]",
        "third": "",  # the page may have every third validation image
        "alike": recipe.hidden_layers - odd,
        "odd": odd,
        "cosine": cosine,
        "rate": "rate" if cosine else recipe.learning_rate,
        "warmup": warmup,
        "falling": recipe.epochs * recipe.steps_per_epoch - warmup,
        "compiled": str(not distorted and has_many_steps(recipe) and _xla_works()),
        "held": "6_000",
        "all": "60_000",
        "buffer": LEAKING_BUFFER,
    }


def _xla_works() -> bool:
    from mnist_helpers.quiet import XLA_WORKS  # here, because TensorFlow takes seconds

    return XLA_WORKS


def _head(recipe, seed, distorted):
    drawn = {"dropout": recipe.dropout, "augmentation": distorted, "the order of the images": recipe.ema_momentum}
    random = " and ".join(name for name, is_drawn in drawn.items() if is_drawn)
    if random:
        promise = (
            f"Keras draws other random numbers for {random}: expect the panel's result within its spread over seeds."
        )
    elif recipe.schedule == "cosine" or recipe.label_smoothing or recipe.training_images % recipe.batch_size:
        promise = "Gives the panel's result to rounding, which training can carry to the third digit."
    else:
        promise = "Gives the panel's weights, bit for bit, on the same machine with the same versions."
    for text in (f"{recipe}; seed {seed}", promise):
        yield from (f"# {line}" for line in textwrap.wrap(text, WIDTH - 2))
