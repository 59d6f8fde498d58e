"""The small convolutional network of chapter 10, and how its published runs are trained. Floor 3 of the package."""

import mnist_helpers.quiet  # noqa: F401  (before keras)
import keras
import tensorflow as tf
from keras import layers

from mnist_helpers.augment import distort
from mnist_helpers.data import Mnist
from mnist_helpers.recipe import CRACK_99


def convolutional_network() -> keras.Sequential:
    """Build the small convolutional network of chapter 10: from images of shape (n, 28, 28, 1) to logits."""
    stack = [keras.Input((28, 28, 1))]
    for filters in (24, 48):
        stack += [
            layers.Conv2D(filters, 3, use_bias=False),
            layers.MaxPooling2D(),  # first, so that the next two have a quarter of the work
            layers.BatchNormalization(),
            layers.Activation("relu"),
        ]
    return keras.Sequential([*stack, layers.Flatten(), layers.Dropout(0.3), layers.Dense(10)])


def train_convolutional(distorted: bool, data: Mnist, seed: int) -> keras.Sequential:
    """Train the small convolutional network with Keras's ``fit``, on the images as they are or distorted."""
    epochs = 8
    keras.utils.set_random_seed(seed)
    model = convolutional_network()
    steps = -(-len(data.train) // 100)
    rate = keras.optimizers.schedules.CosineDecay(0.0, (epochs - 1) * steps, warmup_target=3e-3, warmup_steps=steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss, metrics=["accuracy"])
    images, labels = data.train.flat, data.train.labels.astype("int32")
    batches = tf.data.Dataset.from_tensor_slices((images, labels)).shuffle(len(labels), seed=seed).batch(100)
    if distorted:
        sizes = {name: getattr(CRACK_99, name) for name in ("rotation", "zoom", "shift", "shear")}
        seeds = tf.data.Dataset.random(seed).batch(2)
        batches = tf.data.Dataset.zip(batches, seeds).map(
            lambda batch, drawn: (distort(batch[0], tf.cast(drawn % 2**31, tf.int32), **sizes), batch[1]), 2
        )
    batches = batches.map(lambda flat, label: (tf.reshape(flat, (-1, 28, 28, 1)), label)).prefetch(2)
    validation = data.validation.flat.reshape(-1, 28, 28, 1), data.validation.labels
    options = {"validation_data": validation, "validation_batch_size": 1000, "shuffle": False, "verbose": 0}
    model.fit(batches, epochs=epochs, **options)
    return model
