"""The data come as promised, from each kind of source, and no broken file gets through."""

import gzip
import io
import pickle
import re
import struct
import tracemalloc
import zipfile
from dataclasses import FrozenInstanceError
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mnist_helpers import data
from mnist_helpers.data import DataError, load_mnist, to_idx

SMALL = {"x_train": (60, 28, 28), "y_train": (60,), "x_test": (10, 28, 28), "y_test": (10,)}
reuse_folder = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])


def arrays_of(shapes):
    random = np.random.default_rng(0)
    return {
        name: random.integers(0, 10 if name.startswith("y") else 256, shape, dtype=np.uint8)
        for name, shape in shapes.items()
    }


def write_idx(folder, arrays, zipped=False):
    for name, array in arrays.items():
        path = folder / data._IDX_NAMES[name]
        if zipped:
            path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(to_idx(array), compresslevel=1))
        else:
            path.write_bytes(to_idx(array))


@pytest.fixture
def small(monkeypatch):
    """Arrays of a data set small enough to be broken hundreds of times, and a package that expects that size."""
    monkeypatch.setattr(data, "_SHAPES", SMALL)
    return arrays_of(SMALL)


def refused(source):
    """Load what has to be refused, and give the message after checking that it is one helpful sentence."""
    with pytest.raises(DataError) as caught:
        load_mnist(source)
    message = str(caught.value)
    assert str(source) in message
    assert "expected" in message
    assert "\n" not in message
    return message


def test_three_splits_of_the_promised_size_and_type(mnist):
    test = mnist.open_test_set("to check its shape")
    for split, number in ((mnist.train, 54_000), (mnist.validation, 6_000), (test, 10_000)):
        assert split.images.shape == (number, 28, 28)
        assert split.images.dtype == np.uint8
        assert split.labels.shape == (number,)
        assert split.flat.shape == (number, 784)
        assert split.flat.dtype == np.float32
        assert 0 == split.flat.min() < split.flat.max() == 1
    np.testing.assert_allclose(test.flat[7] * 255, test.images[7].reshape(784), atol=1e-4)
    assert mnist.class_names == tuple("0123456789")


def test_the_test_set_is_handed_out_only_for_a_purpose_which_is_noted():
    mnist = load_mnist()
    assert mnist.openings == []
    assert len(mnist.open_test_set("to judge a frozen recipe")) == 10_000
    for nothing in ("", "  ", None):
        with pytest.raises(DataError, match="expected words that say what the test set is opened for"):
            mnist.open_test_set(nothing)
    assert mnist.openings == ["to judge a frozen recipe"]
    assert not hasattr(mnist, "test")


def test_published_facts_about_mnist_hold(mnist):
    counts = np.bincount(mnist.train.labels) + np.bincount(mnist.validation.labels)
    assert counts.tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    test = mnist.open_test_set("to count its classes")
    assert np.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


def test_validation_is_a_stratified_tenth_and_stays_the_same(mnist):
    total = np.bincount(mnist.train.labels) + np.bincount(mnist.validation.labels)
    assert np.abs(np.bincount(mnist.validation.labels) - total / 10).max() <= 1
    np.testing.assert_array_equal(load_mnist().validation.images, mnist.validation.images)


def test_the_split_is_the_one_that_the_published_runs_were_judged_by(mnist):
    """Another one would be as good, but no number of the book could be had again."""
    assert mnist.digest == "100db38498c8454d3cd3ff81939380c7c366aafb39fd6da2749c0ba3bed48249"


def test_a_data_set_says_what_it_is_and_that_the_test_set_is_closed(mnist):
    assert repr(mnist) == "Mnist(train=54,000, validation=6,000, test: closed)"
    assert repr(mnist.train) == "Split(54,000 images)"


def test_arrays_cannot_be_written_to(mnist):
    for array in (mnist.train.images, mnist.train.labels, mnist.train.flat):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_a_data_set_cannot_be_changed_and_can_be_looked_up(mnist):
    for each, name in ((mnist, "train"), (mnist.train, "images")):
        with pytest.raises(FrozenInstanceError):
            setattr(each, name, None)
    assert {mnist: 1, mnist.train: 2}[mnist.train] == 2


def test_every_source_gives_the_same_data(mnist, tmp_path, monkeypatch):
    with np.load(data._BUNDLED) as file:
        arrays = dict(file)
    np.savez(tmp_path / "mine.npz", **arrays)
    for zipped in (False, True):
        folder = tmp_path / f"zipped {zipped}"
        folder.mkdir()
        write_idx(folder, arrays, zipped)
        assert load_mnist(folder).digest == mnist.digest
    assert load_mnist(str(tmp_path / "mine.npz")).digest == mnist.digest
    arrays["x_train"] = 255 - arrays["x_train"]
    np.savez(tmp_path / "inverted.npz", **arrays)
    monkeypatch.setenv(data.SOURCE_VARIABLE, str(tmp_path / "inverted.npz"))
    names = ["T-shirt", *"abcdefghi"]
    other = load_mnist(class_names=names)
    assert other.digest != mnist.digest
    assert other.class_names == tuple(names)


def test_one_changed_pixel_in_the_bundled_file_is_noticed(tmp_path, monkeypatch):
    with np.load(data._BUNDLED) as file:
        arrays = dict(file)
    arrays["x_train"][0, 0, 0] ^= 1
    np.savez(tmp_path / "mnist.npz", **arrays)
    monkeypatch.setattr(data, "_BUNDLED", tmp_path / "mnist.npz")
    with pytest.raises(DataError, match="SHA-256"):
        load_mnist()


def test_fashion_mnist_is_known_by_its_first_labels(tmp_path, small):
    """The names are those that its repository gives, in the order of the labels; first_labels are its first twenty."""
    small["y_train"][:20] = [9, 0, 0, 3, 0, 2, 7, 2, 5, 5, 0, 9, 5, 5, 7, 9, 1, 0, 6, 4]
    np.savez(tmp_path / "clothes.npz", **small)
    names = load_mnist(tmp_path / "clothes.npz").class_names
    assert names[0] == "T-shirt" and names[9] == "Ankle boot" and len(set(names)) == 10
    assert load_mnist(tmp_path / "clothes.npz", class_names=list("abcdefghij")).class_names == tuple("abcdefghij")
    small["y_train"][19] = 5
    np.savez(tmp_path / "others.npz", **small)
    assert load_mnist(tmp_path / "others.npz").class_names == tuple("0123456789")


@pytest.mark.parametrize("names", [["a", "b"], "abcdefghij", 5, list(range(10))])
def test_class_names_must_be_ten(names):
    with pytest.raises(DataError, match="ten names"):
        load_mnist(class_names=names)


def test_to_idx_takes_bytes_alone():
    with pytest.raises(TypeError, match="int64"):
        to_idx(np.arange(3))


def test_missing_files_are_named(tmp_path, small):
    assert "no such file" in refused(tmp_path / "nowhere.npz")
    write_idx(tmp_path, small)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    assert "t10k-labels-idx1-ubyte" in refused(tmp_path)


@reuse_folder
@given(st.data())
def test_truncated_idx_files_are_refused(tmp_path, small, choices):
    zipped = choices.draw(st.booleans())
    write_idx(tmp_path, small, zipped)
    victim = choices.draw(st.sampled_from(sorted(tmp_path.glob("*.gz" if zipped else "*ubyte"))))
    content = victim.read_bytes()
    victim.write_bytes(content[: choices.draw(st.integers(0, len(content) - 1))])
    try:
        assert victim.name in refused(tmp_path)
    finally:
        for path in tmp_path.iterdir():
            path.unlink()


@reuse_folder
@given(st.data())
def test_damaged_files_are_refused_or_harmless(tmp_path, small, choices):
    """A flipped byte is noticed by the checksums of zip and gzip, unless it changes nothing that is read."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **small)
    content = bytearray(buffer.getvalue())
    place = choices.draw(st.integers(0, len(content) - 1))
    content[place] ^= choices.draw(st.integers(1, 255))
    path = tmp_path / "damaged.npz"
    path.write_bytes(content)
    try:
        loaded = load_mnist(path)
    except DataError as error:
        assert str(path) in str(error)
    else:
        np.testing.assert_array_equal(loaded.open_test_set("to compare it").images, small["x_test"])


@reuse_folder
@given(st.integers(0, 2**16))
def test_truncated_npz_files_are_refused(tmp_path, small, keep):
    np.savez(tmp_path / "whole.npz", **small)
    content = (tmp_path / "whole.npz").read_bytes()
    (tmp_path / "part.npz").write_bytes(content[: min(keep, len(content) - 1)])
    refused(tmp_path / "part.npz")


@reuse_folder
@given(
    name=st.sampled_from(sorted(SMALL)),
    shape=st.lists(st.integers(0, 30), min_size=0, max_size=4),
    dtype=st.sampled_from(["uint8", "int64", "float32", "bool"]),
)
def test_wrong_shapes_and_types_are_refused(tmp_path, small, name, shape, dtype):
    if tuple(shape) == SMALL[name] and dtype == "uint8":
        return
    path = tmp_path / "odd.npz"
    np.savez(path, **small | {name: np.zeros(shape, dtype)})
    assert name in refused(path)


def test_a_missing_array_is_named(tmp_path, small):
    del small["y_test"]
    np.savez(tmp_path / "three.npz", **small)
    assert "y_test" in refused(tmp_path / "three.npz")


def test_labels_beyond_nine_are_refused(tmp_path, small):
    small["y_train"][3] = 47
    np.savez(tmp_path / "letters.npz", **small)
    assert "47" in refused(tmp_path / "letters.npz")


def test_renamed_files_are_refused(tmp_path, small):
    write_idx(tmp_path, small)
    images, labels = (tmp_path / data._IDX_NAMES[name] for name in ("x_train", "y_train"))
    labels.write_bytes(images.read_bytes())
    assert labels.name in refused(tmp_path)
    (tmp_path / "picture.npz").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    refused(tmp_path / "picture.npz")


def test_bytes_to_spare_are_refused(tmp_path, small):
    write_idx(tmp_path, small)
    path = tmp_path / data._IDX_NAMES["y_test"]
    path.write_bytes(path.read_bytes() + b"\0")
    assert "to spare" in refused(tmp_path)


class Tripwire:
    """An object whose unpickling is noticed."""

    def __reduce__(self):
        return exec, ("raise SystemExit('a pickle from a data file was run')",)


def test_pickles_are_refused_and_never_run(tmp_path, small):
    (tmp_path / "bare.npz").write_bytes(pickle.dumps(Tripwire()))
    refused(tmp_path / "bare.npz")
    np.savez(tmp_path / "inside.npz", **small | {"x_train": np.array([Tripwire()], dtype=object)})
    refused(tmp_path / "inside.npz")


@pytest.mark.parametrize(
    "header",
    [
        b"{'descr': (((",
        b"{",
        b"\xff\xfe",
        b"[1, 2]",
        b"{'descr': 3, 'fortran_order': 1, 'shape': 2}",
        b"{'descr': (), 'fortran_order': False, 'shape': (2,)}",
        b"{'descr': '|u1', 'fortran_order': False, 'shape': (%d,)}" % 10**30,
    ],
)
def test_a_header_that_is_no_header_is_refused(tmp_path, small, header):
    path = tmp_path / "odd.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x_train.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
    assert "x_train" in refused(path)


def test_a_header_that_lies_about_the_size_is_refused(tmp_path, small):
    np.savez(tmp_path / "lie.npz", **small)
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, {"descr": "|u1", "fortran_order": False, "shape": (10**9, 10**9)})
    with zipfile.ZipFile(tmp_path / "lie.npz", "w") as archive:
        archive.writestr("x_train.npy", member.getvalue())
    refused(tmp_path / "lie.npz")


def test_a_small_file_cannot_fill_the_memory(tmp_path, small, monkeypatch):
    monkeypatch.setattr(data, "MOST_BYTES", 10**6)
    np.savez_compressed(tmp_path / "large.npz", **small | {"x_train": np.zeros(10**7, np.uint8)})
    content = (tmp_path / "large.npz").read_bytes()
    assert len(content) < 20_000 and "GB unpacked" in refused(tmp_path / "large.npz")
    # It may also say that it holds less than it does.
    lie = content.replace(struct.pack("<I", 10**7 + 128), struct.pack("<I", 1_000))
    (tmp_path / "lie.npz").write_bytes(lie)
    tracemalloc.start()
    refused(tmp_path / "lie.npz")
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2 * 10**6


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_numpy_does_not_write_is_not_unpacked(tmp_path, small, method):
    with zipfile.ZipFile(tmp_path / "other.npz", "w", method) as archive:
        archive.writestr("x_train.npy", bytes(100))
    assert "packed in another way" in refused(tmp_path / "other.npz")


def test_the_four_files_that_the_page_on_fashion_mnist_has_readers_fetch_are_loaded(tmp_path, small):
    page = (Path(__file__).parents[1] / "book" / "fashion.md").read_text(encoding="utf-8")
    fetched = re.findall(r'"([\w-]+-ubyte)"', re.search(r"\$names = (.+\n.+)", page)[1])
    assert len(fetched) == 4 and all(f"| `{name}.gz` |" in page for name in fetched)
    by_name = dict(zip(data._IDX_NAMES.values(), small.values(), strict=True))
    for name in fetched:
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(to_idx(by_name[name])))
    assert len(load_mnist(tmp_path).train) == 54


@given(st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_to_idx_writes_what_the_format_says(shape):
    array = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    written = to_idx(array)
    assert struct.unpack(f">HBB{len(shape)}I", written[: 4 + 4 * len(shape)]) == (0, 8, len(shape), *shape)
    assert written[4 + 4 * len(shape) :] == array.tobytes()


@pytest.mark.parametrize("index", [0, 17, 5_000])
def test_an_image_is_closest_to_itself(mnist, index):
    found = mnist.train.closest(mnist.train.images[index].ravel(), 3)
    assert found[0] == index
    distances = [np.linalg.norm(mnist.train.flat[i] - mnist.train.flat[index]) for i in found]
    assert distances == sorted(distances)
