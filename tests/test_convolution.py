"""The small convolutional network is built, and trained with Keras's `fit`, as chapter 10 says."""

import numpy as np
import pytest
import tensorflow as tf

from mnist_helpers import convolution
from mnist_helpers.augment import distort
from mnist_helpers.data import Mnist, Split
from mnist_helpers.recipe import CRACK_99

STEPS = 2  # of 100 images and of one


@pytest.fixture(scope="module")
def few(mnist):
    def first(split, number):
        return Split(split.images[:number], split.labels[:number])

    return Mnist(first(mnist.train, 101), first(mnist.validation, 50), None, mnist.class_names)


def test_it_looks_twice_and_reads_with_one_dense_layer():
    network = convolution.convolutional_network()
    shapes = [weights.shape for weights in network.trainable_weights]
    assert shapes == [(3, 3, 1, 24), (24,), (24,), (3, 3, 24, 48), (48,), (48,), (5 * 5 * 48, 10), (10,)]
    names = [type(layer).__name__ for layer in network.layers]
    twice = ["Conv2D", "MaxPooling2D", "BatchNormalization", "Activation"] * 2
    assert names == [*twice, "Flatten", "Dropout", "Dense"]
    assert network.layers[-2].rate == 0.3
    assert network.compute_output_shape((7, 28, 28, 1)) == (7, 10)


@pytest.mark.parametrize("distorted", [False, True])
def test_it_is_trained_for_eight_epochs_distorted_as_the_recipe_that_cracks_99(few, monkeypatch, capfd, distorted):
    seeds, sizes = [], []

    def noted(images, seed, **given):
        sizes.append(given)
        tf.py_function(lambda drawn: seeds.append(drawn.numpy()), [seed], [])
        return distort(images, seed, **given)

    monkeypatch.setattr(convolution, "distort", noted)
    model = convolution.train_convolutional(distorted, few, seed=3)
    assert capfd.readouterr().out == ""
    assert len(model.history.history["val_accuracy"]) == 8
    assert model.history.params["steps"] == STEPS
    schedule = model.optimizer._learning_rate.get_config()
    expected = {"initial_learning_rate": 0.0, "warmup_target": 3e-3, "warmup_steps": STEPS, "decay_steps": 7 * STEPS}
    assert {name: schedule[name] for name in expected} == expected
    if not distorted:
        assert not sizes
        return
    assert sizes[0] == {name: getattr(CRACK_99, name) for name in ("rotation", "zoom", "shift", "shear")}
    drawn = np.ravel(seeds)
    assert len(drawn) == 8 * STEPS * 2 and len(set(drawn)) == STEPS * 2, "no two batches of an epoch are alike"
    assert drawn.min() >= 0 and drawn.max() > 2**30


def test_its_images_are_in_another_order_in_each_epoch_and_the_same_for_the_same_seed(few, monkeypatch):
    class Reader:
        """In the network's place: it reads what it is to be trained on for two epochs."""

        def compile(self, *_, **__):
            self.read = []

        def fit(self, batches, validation_data, **_):
            assert [len(part) for part in validation_data] == [50, 50]
            assert validation_data[0].shape[1:] == (28, 28, 1)
            for _ in range(2):
                images = [images.numpy() for images, _ in batches]
                assert [part.shape for part in images] == [(100, 28, 28, 1), (1, 28, 28, 1)]
                self.read.append(np.concatenate(images).reshape(101, -1))

    def order(seed):
        return convolution.train_convolutional(False, few, seed).read

    monkeypatch.setattr(convolution, "convolutional_network", Reader)

    first, second = order(1)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(np.sort(first, axis=0), np.sort(few.train.flat, axis=0))
    np.testing.assert_array_equal(order(1)[0], first)
    assert not np.array_equal(order(2)[0], first)
