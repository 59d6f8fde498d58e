"""The runs that the later chapters rest on: too long to be done while a page is built, so they come with the package.

Each group has a ``make`` target that trains it anew and writes its files in ``mnist_helpers/data/``
(``book/tools/train_published.py``); ``make help`` says how long each takes. A file carries the digest of the code that
made it. Floor 2 of the package.
"""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from mnist_helpers.code_version import TRAINING_CODE, digest_of

FOLDER = Path(__file__).with_name("data")
SEEDS = range(10)

REMEDIES = ("dropout", "weight decay", "batch norm")  # how the names of chapter 6's begin

# ---------------------------------------------------------------- how the frozen recipes are judged

CORRUPTIONS = {"shift": (1, 2, 3, 4, 5), "rotation": (10, 20, 30, 40, 50), "noise": (0.1, 0.2, 0.3, 0.4, 0.5)}
COPIES = 16


def corrupted(images: np.ndarray, kind: str, strength: float) -> np.ndarray:
    """Spoil images in a given way and strength, each in a direction of its own; the same on each call.

    Parameters
    ----------
    images : numpy.ndarray
        Grey values, uint8, shape (n, 28, 28).
    kind : str
        ``"shift"``: moved by ``strength`` whole pixels up, down, left or right. ``"rotation"``: turned by so many
        degrees to either side. ``"noise"``: Gaussian noise of this standard deviation is added to the grey
        values, on their scale from 0 to 1.
    strength : float
        See there.

    Returns
    -------
    numpy.ndarray
        Float32 from 0 to 1, shape (n, 28, 28).
    """
    generator = np.random.default_rng(0)
    if kind == "noise":
        noisy = images / np.float32(255) + generator.normal(0, strength, images.shape).astype(np.float32)
        return noisy.clip(0, 1)
    direction = generator.integers(4 if kind == "shift" else 2, size=len(images))
    changed = np.zeros(images.shape, np.float32)
    for number, (image, towards) in enumerate(zip(images, direction, strict=True)):
        if kind == "shift":
            padded = np.pad(image, strength)
            row, column = strength + strength * np.array([(1, 0), (-1, 0), (0, 1), (0, -1)])[towards]
            changed[number] = padded[row : row + len(image), column : column + len(image)]
        else:
            changed[number] = Image.fromarray(image).rotate(strength * (-1, 1)[towards], Image.Resampling.BILINEAR)
    return changed / 255


# ---------------------------------------------------------------- the files

GROUPS = ("building", "batches", "overfitting", "ideas", "crack", "best", "convolution")


def read(group: str) -> pd.DataFrame:
    """Give a group's runs as a table, one row a run.

    Parameters
    ----------
    group : str
        One of ``GROUPS``.

    Returns
    -------
    pandas.DataFrame
        Each with ``name``, ``seed`` and ``recipe`` (the hyperparameters, or None). Those of the first three groups have
        ``history`` (for ``loss``, ``accuracy``, ``val_loss`` and ``val_accuracy`` a value an epoch), ``training_loss``
        (after training, on up to 6,000 of the training images) and, where the test set was opened, ``test_accuracy``.
        The others have ``val_accuracy`` and ``seconds`` and, where the test set was opened, ``test_accuracy``,
        ``parameters``, ``corrupted`` (for each of ``CORRUPTIONS`` five test accuracies) and ``val_accuracy_copies`` (by
        the mean probability over ``COPIES`` slightly distorted copies of each image). ``seconds`` is the time of the
        whole run, that of ``BEST_DENSE`` worked out from a few epochs with the machine to themselves. ``attrs`` holds
        ``versions``, ``hardware`` and ``date``, if they were kept the digests of the code that made the runs (``code``)
        and of the code by which one of them came out the same to the last bit (``checked``), and which.

    Raises
    ------
    ValueError
        If there is no such group.
    """
    content = json.loads(_existing(group, "json").read_text(encoding="utf-8"))
    table = pd.DataFrame(content.pop("runs"))
    table.attrs = content
    return table


def code_of(group: str) -> str:
    """Give the digest of the code that trains a group today."""
    return digest_of((*TRAINING_CODE, "convolution") if group == "convolution" else TRAINING_CODE)


def is_of_this_code(group: str) -> bool:
    """Tell whether today's code made a group's runs, or has made one of them again, the same to the last bit."""
    made = read(group).attrs
    return code_of(group) in (made.get("code"), made.get("checked", {}).get("code"))


def read_logits(group: str) -> dict[str, np.ndarray]:
    """Give what a group's models answered, in the order of the rows of ``read``.

    Returns
    -------
    dict of str to numpy.ndarray
        For ``"validation"`` and ``"test"`` the logits, float32, shape (runs, images, 10), rounded to half precision
        when they were kept.

    Raises
    ------
    ValueError
        If there is no such group, or it keeps no logits.
    """
    with np.load(_existing(group, "npz")) as kept:
        return {split: kept[split].astype(np.float32) for split in ("validation", "test")}


def _existing(group: str, kind: str) -> Path:
    path = FOLDER / f"{group}.{kind}"
    if group not in GROUPS or not path.exists():
        raise ValueError(
            f"there is no file {path.name} of published runs; expected one of the groups {', '.join(GROUPS)}. "
            "The make target of the same name trains a group."
        )
    return path
