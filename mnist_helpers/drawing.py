"""A drawn digit made into a picture such as MNIST holds. Floor 2 of the package."""

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw

SIDE, BOX = 28, 20  # MNIST's digits were fitted into a box of 20 × 20 and centred in 28 × 28 by their centre of mass
PEN = 2.6  # width of the pen after that, in pixels, about that of MNIST's
_FINER = 8  # drawn so many times larger, and averaged, for smooth edges


def picture_of(strokes: Sequence[Sequence[tuple[float, float]]]) -> np.ndarray:
    """Draw strokes as MNIST would show them: scaled into a box of 20 × 20, centred by their centre of mass.

    The strokes are scaled before they are drawn, so that the pen is as wide for a small drawing as for a large one.

    Parameters
    ----------
    strokes : sequence of sequence of pair of float
        Each stroke as its points (x to the right, y downwards), in any unit.

    Returns
    -------
    numpy.ndarray
        Grey values 0 (background) to 255 (ink), uint8, shape (28, 28); all 0 if there is no point.
    """
    strokes = [np.asarray(stroke, dtype=float).reshape(-1, 2) for stroke in strokes if len(stroke)]
    if not strokes:
        return np.zeros((SIDE, SIDE), np.uint8)
    points = np.concatenate(strokes)
    lowest, highest = points.min(axis=0), points.max(axis=0)
    scale = (BOX - PEN) / max(*(highest - lowest), 1e-9)
    if (highest == lowest).all():
        scale = 0.0  # a dot stays a dot
    fitted = [(stroke - (lowest + highest) / 2) * scale + SIDE / 2 for stroke in strokes]
    return centred(_drawn(fitted))


def centred(picture: np.ndarray) -> np.ndarray:
    """Move a picture by whole pixels until its centre of mass is nearest to row and column 14, as in MNIST.

    Where that would move ink out of the picture, it stops at the edge.

    Parameters
    ----------
    picture : numpy.ndarray
        Shape (28, 28), background 0.
    """
    if not picture.any():
        return picture
    shifts = []
    for other in (1, 0):
        mass = picture.sum(axis=other, dtype=float)
        inked = np.flatnonzero(mass)
        towards_middle = round(SIDE / 2 - float(mass @ np.arange(SIDE)) / mass.sum())
        shifts.append(int(np.clip(towards_middle, -inked[0], SIDE - 1 - inked[-1])))
    return np.roll(picture, shifts, axis=(0, 1))


def closest(picture: np.ndarray, flat_images: np.ndarray, number: int = 5) -> np.ndarray:
    """Find the images with the smallest Euclidean distance to a picture, nearest first.

    Takes some 30 ms for 54,000 images.

    Parameters
    ----------
    picture : numpy.ndarray
        Grey values 0 to 255, shape (28, 28).
    flat_images : numpy.ndarray
        ``Split.flat``: float32 from 0 to 1, shape (n, 784).
    number : int
        How many to find.

    Returns
    -------
    numpy.ndarray
        Their indices, shape (number,).
    """
    pixels = picture.reshape(-1).astype(np.float32) / 255
    distances = np.einsum("ij,ij->i", flat_images, flat_images) - 2 * (flat_images @ pixels)
    nearest = np.argpartition(distances, number)[:number]
    return nearest[np.argsort(distances[nearest])]


def _drawn(strokes):
    canvas = Image.new("L", (SIDE * _FINER, SIDE * _FINER))
    pen = ImageDraw.Draw(canvas)
    radius = PEN * _FINER / 2
    for stroke in strokes:
        points = stroke * _FINER
        pen.line([tuple(point) for point in points], fill=255, width=round(2 * radius))
        for x, y in points:
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    return np.asarray(canvas.reduce(_FINER))
