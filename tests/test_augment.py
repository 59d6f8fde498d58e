"""The distortions move ink as they say, and no further."""

import numpy as np
import pytest
import tensorflow as tf

from mnist_helpers.augment import distort, even_noise

SEED = tf.constant([3, 4])


def distorted(images, seed=SEED, rotation=0.0, zoom=0.0, shift=0.0, shear=0.0, elastic=None):
    flat = tf.constant(images.reshape(-1, 784), tf.float32)
    return distort(flat, seed, rotation, zoom, shift, shear, elastic).numpy().reshape(-1, 28, 28)


def blob(row=13.5, column=13.5, number=200):
    """The same round spot in each of many images."""
    rows, columns = np.indices((28, 28))
    spot = np.exp(-0.5 * ((rows - row) ** 2 + (columns - column) ** 2) / 2**2)
    return np.repeat(spot[np.newaxis], number, axis=0).astype(np.float32)


def centres(images):
    rows, columns = np.indices((28, 28))
    ink = images.sum(axis=(1, 2))
    return np.stack([(images * rows).sum(axis=(1, 2)) / ink, (images * columns).sum(axis=(1, 2)) / ink], axis=1)


def test_no_distortion_leaves_the_images_as_they_are(mnist):
    images = mnist.train.flat[:50].reshape(-1, 28, 28)
    np.testing.assert_allclose(distorted(images), images, atol=1e-5)
    np.testing.assert_allclose(distorted(images, elastic=0.0), images, atol=1e-5)


@pytest.mark.parametrize("elastic", [None, 1.5])
def test_the_same_seed_distorts_in_the_same_way(mnist, elastic):
    images = mnist.train.flat[:20]
    options = {"rotation": 20.0, "zoom": 0.2, "shift": 2.0, "shear": 0.2, "elastic": elastic}
    once, again = distorted(images, **options), distorted(images, **options)
    np.testing.assert_array_equal(once, again)
    assert np.abs(once - distorted(images, seed=tf.constant([3, 5]), **options)).max() > 0.1


def test_each_image_is_distorted_in_its_own_way():
    moved = distorted(blob(), shift=3.0)
    assert len(np.unique(moved.round(4), axis=0)) == 200


def test_a_shift_moves_by_up_to_so_many_pixels_either_way():
    moves = centres(distorted(blob(), shift=3.0)) - 13.5
    for axis in (0, 1):
        assert -3.01 < moves[:, axis].min() < -2.7
        assert 2.7 < moves[:, axis].max() < 3.01
    assert abs(np.corrcoef(moves.T)[0, 1]) < 0.2


def test_a_rotation_turns_about_the_centre_by_up_to_the_angle():
    offsets = centres(distorted(blob(row=7.5), rotation=30.0)) - 13.5
    angles = np.degrees(np.arctan2(offsets[:, 1], -offsets[:, 0]))
    assert -30.1 < angles.min() < -27
    assert 27 < angles.max() < 30.1
    np.testing.assert_allclose(np.hypot(*offsets.T), 6, atol=0.05)


def test_a_zoom_scales_height_and_width_apart():
    offsets = centres(distorted(blob(row=8.5, column=8.5), zoom=0.2)) - 13.5
    factors = offsets / -5
    for axis in (0, 1):
        assert 0.79 < factors[:, axis].min() < 0.82
        assert 1.18 < factors[:, axis].max() < 1.21
    assert abs(np.corrcoef(factors.T)[0, 1]) < 0.2


def test_a_shear_slants_the_rows_by_up_to_so_many_columns_a_row():
    above, below = (centres(distorted(blob(row=row), shear=0.5)) for row in (7.5, 19.5))
    slants = (above[:, 1] - below[:, 1]) / 12
    np.testing.assert_allclose(above[:, 0], 7.5, atol=0.05)
    assert -0.5 < slants.min() < -0.4
    assert 0.4 < slants.max() < 0.5


def test_the_elastic_displacement_has_the_deviation_asked_for():
    # A ramp turns displacement into brightness.
    rows, _ = np.indices((28, 28))
    ramp = np.repeat((rows / 100)[np.newaxis], 400, axis=0).astype(np.float32)
    displacement = 100 * (distorted(ramp, elastic=1.0) - ramp)[:, 8:20, 8:20]
    assert displacement.std() == pytest.approx(1, abs=0.05)
    assert displacement.mean() == pytest.approx(0, abs=0.05)
    neighbours = np.corrcoef(displacement[:, 5, 5], displacement[:, 5, 6])[0, 1]
    strangers = np.corrcoef(displacement[:, 0, 0], displacement[:, 11, 11])[0, 1]
    assert neighbours > 0.95
    assert abs(strangers) < 0.25


def test_what_comes_from_outside_is_empty():
    white = np.ones((50, 28, 28), np.float32)
    moved = distorted(white, shift=10.0)
    assert moved.min() == 0
    assert moved.max() <= 1.0001
    assert moved[:, 13:15, 13:15].min() > 0.999


def test_noise_is_even():
    noise = even_noise((2, 50_000), SEED).numpy()
    assert -1 < noise.min() < -0.999
    assert 0.999 < noise.max() < 1
    assert noise.mean() == pytest.approx(0, abs=0.01)
    assert noise.var() == pytest.approx(1 / 3, abs=0.01)
    assert abs(np.corrcoef(noise)[0, 1]) < 0.02
