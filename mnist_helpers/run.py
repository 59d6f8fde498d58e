"""One training run and what it gave, without TensorFlow, so that runs of a store can be read in no time.

Floor 2 of the package.
"""

import json
import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from mnist_helpers.recipe import Recipe, checked_seed

if TYPE_CHECKING:
    import keras

HISTORY = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds")
_ABOUT = {"recipe": dict, "seed": int, "digest": str, "versions": dict, "hardware": str}


@dataclass(frozen=True, eq=False)
class Run:
    """One training run and what it gave.

    Attributes
    ----------
    recipe : Recipe
        What was trained.
    seed : int
        Fixed the initial weights, the order of the images, the dropped units and the distortions.
    history : dict of str to list of float
        One value for each finished epoch, most of them under the names of Keras's own history: ``loss`` and
        ``accuracy`` (means over the epoch's training batches, while the weights changed; the loss is what training
        minimises, label smoothing included), ``val_loss`` and ``val_accuracy`` (at its end, never smoothed),
        ``learning_rate`` (of its last step) and ``seconds`` (wall-clock time, validation included; the first run
        of its shape also waits for compilation). Losses are mean cross-entropies in nats, accuracies shares
        from 0 to 1.
    digest : str
        ``Mnist.digest`` of the data.
    versions : dict of str to str
        Of Python and of the libraries that computed the result.
    hardware : str
        The machine, in words.
    model : keras.Sequential or None
        The trained model, compiled, so that ``evaluate`` and ``predict`` work and ``model.save("name.keras")``
        keeps it. None in a run that was read from JSON.
    """

    recipe: Recipe
    seed: int
    history: dict[str, list[float]]
    digest: str
    versions: dict[str, str]
    hardware: str
    model: "keras.Sequential | None" = None

    @property
    def best_epoch(self) -> int | None:
        """The epoch, from 1, with the lowest validation loss; None before the first one is finished."""
        losses = self.history["val_loss"]
        return losses.index(min(losses)) + 1 if losses else None

    @property
    def about(self) -> dict:
        """All but the history and the model, as JSON takes it."""
        return {name: getattr(self, name) for name in _ABOUT} | {"recipe": asdict(self.recipe)}

    def to_json(self) -> str:
        """Write everything but the model as JSON; numbers are kept exactly."""
        return json.dumps(self.about | {"history": self.history}, indent=1)

    @classmethod
    def from_json(cls, text: str, model: "keras.Sequential | None" = None) -> "Run":
        """Read what ``to_json`` wrote.

        Raises
        ------
        ValueError
            If the text is something else; the message says what is missing or wrong.
        """
        try:
            values = json.loads(text)
            run = cls(**checked_about(values), history=_checked_history(values["history"]), model=model)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(
                f"this is not the JSON of a run ({error!r:.300}); expected what Run.to_json wrote."
            ) from error
        return run

    def __repr__(self) -> str:
        epochs = len(self.history["val_loss"])
        if not epochs:
            return f"Run({self.recipe}; seed {self.seed}; no epoch finished)"
        accuracy, seconds = self.history["val_accuracy"][-1], sum(self.history["seconds"])
        outcome = f"{epochs} epochs in {seconds:.1f} s; validation accuracy {accuracy:.4f}"
        return f"Run({self.recipe}; seed {self.seed}; {outcome})"


def checked_about(values: dict) -> dict:
    """Give the arguments of ``Run``, but for history and model, from its ``about``; raise an error if it is none."""
    for name, kind in _ABOUT.items():
        if not isinstance(values[name], kind):
            raise ValueError(f"its {name} is {values[name]!r:.80}")
    checked_seed(values["seed"])
    return {name: values[name] for name in _ABOUT} | {"recipe": Recipe(**values["recipe"])}


def _checked_history(history: dict) -> dict[str, list[float]]:
    lists = [history[name] for name in HISTORY]
    numbers = all(type(value) is float and math.isfinite(value) for values in lists for value in values)
    if len(history) != len(HISTORY) or len({len(values) for values in lists}) != 1 or not numbers:
        raise ValueError("its history is not one finite number an epoch in each of its lists")
    return history
