"""The controls of the retrain panel: what each is called, and which values it offers.

Floor 2 of the package.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

from mnist_helpers.recipe import (
    ACTIVATIONS,
    ARTICLE,
    CRACK_99,
    HIGHEST_SEED,
    RULES,
    SCHEDULES,
    VALIDATIONS,
    Recipe,
    RecipeError,
)


@dataclass(frozen=True)
class Control:
    """One slider, menu, switch or number field.

    Attributes
    ----------
    name : str
        A hyperparameter of ``Recipe``, ``"seed"``, or ``"augmentation"``, which stands for five hyperparameters.
    kind : str
        ``"slider"``, ``"menu"``, ``"switch"`` or ``"number"``.
    group, label, help : str
        The heading that it stands under, its name, and what it does, in one line.
    choices : tuple
        The values that it offers, in order; of a number field the lowest and the highest.
    """

    name: str
    kind: str
    group: str
    label: str
    help: str
    choices: tuple


# Each augmentation as the hyperparameters that make it, so that one menu can stand for five sliders.
_NONE = {"rotation": 0.0, "zoom": 0.0, "shift": 0.0, "shear": 0.0, "elastic": 0.0}
AUGMENTATIONS = {
    "none": _NONE,
    "shifts": _NONE | {"shift": 2.0},
    "shifts, turns and zooms": _NONE | {"rotation": 10.0, "zoom": 0.1, "shift": 1.5},
    "shifts, turns, zooms and slants": _NONE | {"rotation": 10.0, "zoom": 0.1, "shift": 1.5, "shear": 0.1},
    "these and elastic bends": _NONE | {"rotation": 10.0, "zoom": 0.1, "shift": 1.5, "shear": 0.1, "elastic": 1.0},
}
OWN_AUGMENTATION = "as the recipe has it"


CONTROLS = (
    Control("hidden_layers", "slider", "Network", "Hidden layers",
            "How deep: layers between pixels and answer.", tuple(range(9))),
    Control("units", "slider", "Network", "Units a layer",
            "How wide: numbers that each hidden layer hands on.",
            (8, 12, 16, 24, 32, 50, 64, 100, 128, 200, 256, 384, 512)),
    Control("activation", "menu", "Network", "Activation",
            "The curve that turns a unit's sum into its output.", ACTIVATIONS),
    Control("last_activation", "menu", "Network", "Last activation",
            "The same, in the last hidden layer alone.", ACTIVATIONS),
    Control("batch_norm", "switch", "Network", "Batch norm",
            "Bring each layer's sums to mean 0 and spread 1, batch by batch.", (False, True)),
    Control("training_images", "slider", "Data", "Training images",
            "How many of the 54,000 are learnt from.",
            (10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 6_000, 10_000, 20_000, 30_000, 40_000, 54_000)),
    Control("validation", "menu", "Data", "Validation split",
            "Held out: never trained on. Leaking: mixed with the training images every epoch.", VALIDATIONS),
    Control("batch_size", "slider", "Training", "Batch size",
            "Images that each update of the weights looks at.",
            (1, 2, 5, 10, 20, 32, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000)),
    Control("learning_rate", "slider", "Training", "Learning rate",
            "How far each update goes.",
            (1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)),
    Control("schedule", "menu", "Training", "Schedule",
            "Constant: all updates go as far. Cosine: ever less far, to 0 at the end.", SCHEDULES),
    Control("epochs", "slider", "Training", "Epochs",
            "How often all training images are gone through.", (1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 30, 40, 60, 100)),
    Control("seed", "number", "Training", "Seed",
            "Where the random numbers start; another one shows what is luck.", (0, HIGHEST_SEED)),
    Control("dropout", "slider", "Against overfitting (learning by heart)", "Dropout",
            "Share of the units switched off in each update.",
            (0.0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)),
    Control("weight_decay", "slider", "Against overfitting (learning by heart)", "Weight decay",
            "How hard each update pulls the weights towards zero.",
            (0.0, 1e-3, 2e-3, 5e-3, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)),
    Control("augmentation", "menu", "Against overfitting (learning by heart)", "Augmentation",
            "Change each image a little whenever it is shown.", tuple(AUGMENTATIONS)),
)  # fmt: skip


def checked_names(names: Iterable[str] | None) -> list[str]:
    """Give names of controls in the order of ``CONTROLS``, all of them for None.

    Raises
    ------
    RecipeError
        If a name is that of no control.
    """
    known = [control.name for control in CONTROLS]
    wanted = known if names is None else [names] if isinstance(names, str) else list(names)
    for name in wanted:
        if name not in known:
            raise RecipeError(str(name), f"there is no control {name!r}; expected some of {', '.join(known)}.")
    return [name for name in known if name in wanted]


def panel_setup() -> dict:
    """Give the controls, the recipes that a panel begins with, and a recipe's rules, as JSON takes them."""
    return {
        "controls": [asdict(control) for control in CONTROLS],
        "augmentations": AUGMENTATIONS,
        "ownAugmentation": OWN_AUGMENTATION,
        "article": asdict(ARTICLE),
        "starts": {"CRACK_99": asdict(CRACK_99)},
        "rules": RULES,
        "fractions": [each.name for each in fields(Recipe) if each.type is float],
    }
