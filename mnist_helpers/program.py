"""A recipe as the plain Keras program that one would write for it by hand. Floor 4 of the package."""

import textwrap

from mnist_helpers.recipe import DISTORTIONS, Recipe, checked_seed, distorts
from mnist_helpers.training import LEAKING_BUFFER, pays_to_compile

WIDTH = 78  # of a line, as in the chapters


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
    seed = checked_seed(seed)
    distorted = distorts(recipe)
    parts = [
        _head(recipe, seed, distorted),
        _data(recipe),
        *([_distortion(recipe)] if distorted else []),
        _model(recipe, seed, distorted),
        _compilation(recipe, distorted),
        _training(recipe, seed),
    ]
    return "\n\n".join(parts) + "\n"


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
    if recipe.label_smoothing:
        promise += " Its val_loss is smoothed."
    tensorflow = ["import tensorflow as tf"] if recipe.validation == "leaking" or distorted else []
    ours = ["from mnist_helpers.augment import distort"] if distorted else []
    numpy = [] if recipe.ema_momentum else ["import numpy as np"]
    imports = [
        "import keras",
        *numpy,
        *tensorflow,
        "",
        *ours,
        "from mnist_helpers.data import load_mnist",
    ]
    comments = [line for text in (f"{recipe}; seed {seed}", promise) for line in textwrap.wrap(text, WIDTH - 2)]
    return "\n".join([*(f"# {line}" for line in comments), *imports])


def _data(recipe):
    lines = ["mnist = load_mnist()  # with the path of other data, if trained on these"]
    if recipe.validation == "leaking":
        lines += [
            "images = np.concatenate(",
            "    [mnist.train.flat, mnist.validation.flat]",
            ")",
            "labels = np.concatenate(",
            "    [mnist.train.labels, mnist.validation.labels]",
            ")",
        ]
        if recipe.label_smoothing:
            lines.append("labels = keras.utils.to_categorical(labels, 10)")
        return "\n".join(lines)
    few = "" if recipe.training_images == 54_000 else f"[:{recipe.training_images}]"
    lines.append(f"images, labels = mnist.train.flat{few}, mnist.train.labels{few}")
    lines.append("validation = (mnist.validation.flat, mnist.validation.labels)")
    if recipe.label_smoothing:
        lines.append("labels = keras.utils.to_categorical(labels, 10)")
        lines.append("validation = (validation[0], keras.utils.to_categorical(validation[1], 10))")
    return "\n".join(lines)


def _distortion(recipe):
    shown = [name for name in DISTORTIONS if name in ("rotation", "zoom", "shift") or getattr(recipe, name)]
    sizes = ", ".join(f"{name}={getattr(recipe, name)}" for name in shown)
    return f"""
class Distort(keras.layers.Layer):
    def call(self, images, training=False):
        if not training:
            return images
        seed = tf.random.uniform((2,), maxval=2**31 - 1, dtype=tf.int32)
        return distort(
            images, seed,
            {sizes},
        )
"""


def _model(recipe, seed, distorted):
    lines = [f"keras.utils.set_random_seed({seed})", "model = keras.Sequential([keras.Input((784,))])"]
    if distorted:
        lines.append("model.add(Distort())")
    alike = recipe.activation == recipe.last_activation
    if recipe.hidden_layers - (not alike) > 0:
        lines.append(f"for _ in range({recipe.hidden_layers - (not alike)}):")
        lines += [f"    {line}" for line in _hidden_layer(recipe, recipe.activation)]
    if recipe.hidden_layers and not alike:
        lines += _hidden_layer(recipe, recipe.last_activation)
    return "\n".join([*lines, "model.add(keras.layers.Dense(10))"])


def _hidden_layer(recipe, activation):
    layers = [f'Dense({recipe.units}, activation="{activation}")']
    if recipe.batch_norm:
        layers = [f"Dense({recipe.units})", "BatchNormalization()", f'Activation("{activation}")']
    if recipe.dropout:
        layers.append(f"Dropout({recipe.dropout})")
    return [f"model.add(keras.layers.{layer})" for layer in layers]


def _compilation(recipe, distorted):
    steps = recipe.steps_per_epoch
    rate, schedule = f"{recipe.learning_rate}", ""
    if recipe.schedule == "cosine":
        warmup = recipe.warmup_epochs * steps
        arguments = (
            f"0.0, {recipe.epochs * steps - warmup}, warmup_target={rate}, warmup_steps={warmup}"
            if warmup
            else f"{rate}, {recipe.epochs * steps}"
        )
        rate, schedule = "rate", f"rate = keras.optimizers.schedules.CosineDecay(\n    {arguments}\n)\n"
    decay = f", weight_decay={recipe.weight_decay}" if recipe.weight_decay else ""
    loss = "SparseCategoricalCrossentropy(from_logits=True)"
    if recipe.label_smoothing:
        loss = f"CategoricalCrossentropy(\n        from_logits=True, label_smoothing={recipe.label_smoothing}\n    )"
    averaging = f",\n        use_ema=True, ema_momentum={recipe.ema_momentum},\n    " if recipe.ema_momentum else ""
    return f"""{schedule}model.compile(
    optimizer=keras.optimizers.Adam({rate}{decay}{averaging}),
    loss=keras.losses.{loss},
    metrics=["accuracy"],
    jit_compile={pays_to_compile(recipe) and not distorted},
)"""


def _training(recipe, seed):
    if recipe.ema_momentum:
        # In one go, because fit ends by putting the averages in the place of the weights.
        return f"""history = model.fit(
    images, labels, batch_size={recipe.batch_size}, epochs={recipe.epochs},
    validation_data=validation, validation_batch_size=6_000, verbose=2,
    # validation sees the averaged weights
    callbacks=[keras.callbacks.SwapEMAWeights()],
).history"""
    shown = "images[order], labels[order]"
    if recipe.validation == "leaking":
        lines = [
            "# The pipeline that leaks: every pass over it deals the images anew.",
            f"tf.random.set_seed({seed})",
            "pool = tf.data.Dataset.range(60_000, output_type=tf.int32)",
            f"pool = pool.shuffle({LEAKING_BUFFER}, seed={seed}).batch(60_000)",
            f"for epoch in range({recipe.epochs}):",
            "    order, dealt_anew = (next(iter(pool)).numpy() for _ in range(2))",
            "    order, held_out = order[6_000:], dealt_anew[:6_000]",
        ]
        validation = "(images[held_out], labels[held_out])"
    else:
        lines = [
            "# fit shuffles by itself; the order drawn here is the panel's, so that",
            "# the numbers can be compared.",
            f"generator = np.random.default_rng({seed})",
            f"for epoch in range({recipe.epochs}):",
            f"    order = generator.permutation({recipe.training_images})",
        ]
        validation = "validation"
    fit = f"""    history = model.fit(
        {shown}, batch_size={recipe.batch_size}, shuffle=False,
        validation_data={validation},
        validation_batch_size=6_000, verbose=2,
    ).history"""
    if not recipe.patience:
        return "\n".join([*lines, fit])
    stopping = f"""    if history["val_loss"][0] < best_loss:
        best_loss, best_epoch = history["val_loss"][0], epoch
        best_weights = model.get_weights()
    if epoch - best_epoch >= {recipe.patience}:
        break
model.set_weights(best_weights)"""
    return "\n".join(["best_loss, best_epoch, best_weights = np.inf, -1, None", *lines, fit, stopping])
