"""The controls of the retrain panel: what each is called, and which values it offers; and what challenges measure.

Floor 2 of the package.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from mnist_helpers.recipe import ARTICLE, CRACK_99, HIGHEST_SEED, RULES, Recipe, RecipeError

_PANEL = Path(__file__).with_name("panel")
_FILE = json.loads(_PANEL.joinpath("controls.json").read_text(encoding="utf-8"))
# What each challenge of the lab measures, by its name, as ``panel/challenge_view.js`` judges it.
CHALLENGES: dict[str, dict[str, object]] = json.loads(_PANEL.joinpath("challenges.json").read_text(encoding="utf-8"))
# Each augmentation as the hyperparameters that make it, so that one menu can stand for five sliders.
AUGMENTATIONS: dict[str, dict[str, float]] = _FILE["augmentations"]
# Of menus and switches a recipe knows the choices.
_CHOICES = {each.name: each.metadata.get("choices") for each in fields(Recipe)}
_CHOICES |= {"seed": (0, HIGHEST_SEED), "augmentation": tuple(AUGMENTATIONS)}


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


CONTROLS = tuple(
    Control(**control | {"choices": tuple(control.get("choices") or _CHOICES[control["name"]])})
    for control in _FILE["controls"]
)


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
        **_FILE,
        "controls": [asdict(control) for control in CONTROLS],
        "article": asdict(ARTICLE),
        "starts": {"CRACK_99": asdict(CRACK_99)},
        "rules": RULES,
        "fractions": [each.name for each in fields(Recipe) if each.type is float],
        "whole": {each.name: each.metadata["range"] for each in fields(Recipe) if "range" in each.metadata},
    }
