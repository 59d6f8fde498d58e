"""A drawing becomes a picture such as MNIST holds, wherever and however large it was drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_helpers.drawing import BOX, SIDE, centred, closest, picture_of

SEVEN = [[(0.2, 0.15), (0.8, 0.15), (0.45, 0.9)]]
points = st.tuples(st.floats(0, 1), st.floats(0, 1))
drawings = st.lists(st.lists(points, max_size=12), max_size=4)


def centre_of_mass(picture):
    return np.array([(np.indices(picture.shape)[axis] * picture).sum() / picture.sum() for axis in (0, 1)])


@given(drawings)
def test_any_drawing_makes_a_picture(strokes):
    picture = picture_of(strokes)
    assert picture.shape == (SIDE, SIDE)
    assert picture.dtype == np.uint8
    assert picture.any() == any(strokes)


@given(drawings.filter(any))
def test_the_ink_fits_the_box_and_lies_in_the_middle(strokes):
    picture = picture_of(strokes)
    rows, columns = np.flatnonzero(picture.any(axis=1)), np.flatnonzero(picture.any(axis=0))
    # A faint row more at either end, where the pen's edge does not fall on that of a pixel.
    assert np.ptp(rows) <= BOX + 1
    assert np.ptp(columns) <= BOX + 1
    for inked, place in zip((rows, columns), centre_of_mass(picture), strict=True):
        assert abs(place - SIDE / 2) <= 0.5 + 1e-9 or inked[0] == 0 or inked[-1] == SIDE - 1


@given(drawings, st.integers(-9, 9), st.integers(-9, 9))
def test_no_ink_is_lost_on_the_way_to_the_middle(strokes, down, right):
    picture = np.roll(np.pad(picture_of(strokes), 9), (down, right), axis=(0, 1))[9:-9, 9:-9]
    assert np.array_equal(np.sort(centred(picture), axis=None), np.sort(picture, axis=None))


def test_a_drawing_with_all_its_weight_on_one_side_stops_at_the_edge():
    lopsided = picture_of([[(0.0, 0.0), (0.0, 1.0)], [(1.0, 0.0)]])
    assert lopsided[:, 0].any() or lopsided[:, -1].any()
    assert np.ptp(np.flatnonzero(lopsided.any(axis=0))) >= BOX - 1


@given(st.floats(0.05, 3), st.floats(-2, 2), st.floats(-2, 2))
def test_size_and_place_of_the_drawing_do_not_matter(size, right, down):
    moved = [[(x * size + right, y * size + down) for x, y in stroke] for stroke in SEVEN]
    # But for one pixel, where the centre of mass is rounded; and of 255, since a pixel is the mean of 64 on an edge.
    shifts = [(down, right) for down in (0, 1, -1) for right in (0, 1, -1)]
    differences = [np.roll(picture_of(moved), by, axis=(0, 1)).astype(int) - picture_of(SEVEN) for by in shifts]
    assert min(np.abs(difference).max() for difference in differences) <= 60


def test_a_drawing_is_as_bold_as_mnist(mnist):
    def ink_a_pixel_of_stroke(picture):
        return picture.sum() / max(picture.any(axis=0).sum(), picture.any(axis=1).sum())

    sevens = mnist.train.images[mnist.train.labels == 7][:500]
    low, high = np.quantile([ink_a_pixel_of_stroke(image) for image in sevens], [0.1, 0.9])
    assert low < ink_a_pixel_of_stroke(picture_of(SEVEN)) < high


def test_mnist_is_centred_already(mnist):
    moved = [not np.array_equal(centred(image), image) for image in mnist.validation.images[:300]]
    assert np.mean(moved) < 0.01


@pytest.mark.parametrize("index", [0, 17, 5_000])
def test_an_image_is_closest_to_itself(mnist, index):
    found = closest(mnist.train.images[index], mnist.train.flat, number=3)
    assert found[0] == index
    distances = [np.linalg.norm(mnist.train.flat[i] - mnist.train.flat[index]) for i in found]
    assert distances == sorted(distances)
