"""Random distortions of the training images, as TensorFlow graph code. Floor 2 of the package.

A distorted image is sampled from the original at displaced places: rotated, zoomed and shifted as a whole (an affine
map), and bent here and there by a smooth random field (elastic distortion, Simard, Steinkraus and Platt 2003).
"""

import mnist_helpers.quiet  # noqa: F401  (before tensorflow)
import numpy as np
import tensorflow as tf

SIDE = 28
CENTRE = (SIDE - 1) / 2
# Width, in pixels, of the Gaussian that smooths the elastic field; Simard, Steinkraus and Platt use 4.
SMOOTHNESS = 4.0

_ROWS, _COLUMNS = np.indices((SIDE, SIDE)).reshape(2, 1, SIDE * SIDE).astype(np.float32) - CENTRE
_GAUSSIAN = np.exp(-0.5 * np.subtract.outer(np.arange(SIDE), np.arange(SIDE)) ** 2 / SMOOTHNESS**2)
# Rows of unit length keep the variance of independent noise at 1.
_SMOOTH = (_GAUSSIAN / np.linalg.norm(_GAUSSIAN, axis=1, keepdims=True)).astype(np.float32)


def distort(images, seed, rotation, zoom, shift, shear=0.0, elastic=None):
    """Distort each image of a batch at random, each in its own way; the same seed distorts in the same way.

    Parameters
    ----------
    images : tf.Tensor
        Float32, shape (n, 784); what lies outside of an image counts as 0.
    seed : tf.Tensor
        Int32, shape (2,).
    rotation : float or tf.Tensor
        Each angle is drawn evenly from −rotation to +rotation, in degrees.
    zoom : float or tf.Tensor
        Each factor is drawn evenly from 1 − zoom to 1 + zoom, for height and width apart.
    shift : float or tf.Tensor
        Each shift is drawn evenly from −shift to +shift, in pixels, for rows and columns apart.
    shear : float or tf.Tensor
        Each slant is drawn evenly from −shear to +shear, in columns a row.
    elastic : float or tf.Tensor, optional
        Standard deviation of the elastic displacement of a pixel, in pixels. None leaves it out.

    Returns
    -------
    tf.Tensor
        Float32, shape (n, 784), bilinearly interpolated.
    """
    number = tf.shape(images)[0]
    even = even_noise((6, number, 1), seed)
    angle = even[0] * (rotation * np.pi / 180)
    height, width = 1 + zoom * even[1], 1 + zoom * even[2]
    cosine, sine = tf.cos(angle), tf.sin(angle)
    # From each place in the new image back to its place in the old one.
    rows = (cosine * _ROWS - sine * _COLUMNS) / height + shift * even[3] + CENTRE
    columns = (sine * _ROWS + cosine * _COLUMNS) / width + shear * even[5] * _ROWS + shift * even[4] + CENTRE
    if elastic is not None:
        # Smoothed along one axis, turned, and smoothed along the other; noise looks the same from all sides.
        noise = even_noise((2 * number * SIDE, SIDE), seed + 1)
        turned = tf.transpose(tf.reshape(noise @ _SMOOTH.T, (-1, SIDE, SIDE)), (0, 2, 1))
        field = tf.reshape(tf.reshape(turned, (-1, SIDE)) @ _SMOOTH.T, (2, number, SIDE * SIDE))
        # Noise from -1 to 1 has variance 1/3.
        rows, columns = rows + 3**0.5 * elastic * field[0], columns + 3**0.5 * elastic * field[1]
    return _sample(images, rows, columns)


def even_noise(shape, seed):
    """Draw float32 numbers evenly from -1 to 1, in 65,536 steps; the same for the same int32 seed of shape (2,).

    The first size of the shape must be even.
    """
    # Drawing is what costs under XLA, so each draw of 32 bits makes two numbers; and the generator that TensorFlow
    # picks by itself is a hundred times slower there.
    half = (shape[0] // 2, *shape[1:])
    bits = tf.random.stateless_uniform(half, seed, minval=None, maxval=None, dtype=tf.uint32, alg="philox")
    halves = tf.concat([tf.bitwise.bitwise_and(bits, 0xFFFF), tf.bitwise.right_shift(bits, 16)], axis=0)
    return (tf.cast(halves, tf.float32) + 0.5) / 2**15 - 1


def _sample(images, rows, columns):
    """Interpolate between the four pixels around each place, in images with a border of zeros."""
    side = SIDE + 2
    bordered = tf.pad(tf.reshape(images, (-1, SIDE, SIDE)), ((0, 0), (1, 1), (1, 1)))
    pixels = tf.reshape(bordered, (-1,))
    rows, columns = (tf.clip_by_value(place + 1, 0.0, side - 1.001) for place in (rows, columns))
    row, column = tf.floor(rows), tf.floor(columns)
    down, right = rows - row, columns - column
    # One flat list of all pixels: a gather with a batch dimension takes half as long again.
    first = tf.range(tf.shape(images)[0])[:, tf.newaxis] * (side * side)
    corner = first + tf.cast(row, tf.int32) * side + tf.cast(column, tf.int32)
    upper_left, upper_right, lower_left, lower_right = (
        tf.gather(pixels, corner + offset) for offset in (0, 1, side, side + 1)
    )
    upper = upper_left + right * (upper_right - upper_left)
    lower = lower_left + right * (lower_right - lower_left)
    return upper + down * (lower - upper)
