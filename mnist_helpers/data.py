"""MNIST as arrays: the file that travels with the package, or the reader's own, checked and split in three.

Floor 1 of the package: it needs NumPy alone, so that looking at the data never waits for TensorFlow.
"""

import gzip
import hashlib
import io
import json
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np

SOURCE_VARIABLE = "MNIST_HELPERS_DATA"
SPLIT_SEED = 0

_BUNDLED = Path(__file__).parent / "data" / "mnist.npz"
_SHA256 = {
    "x_train": "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    "y_train": "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    "x_test": "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    "y_test": "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
}
# What data files have to be, and what is said of those that are not: the page holds a reader's files to the same.
_FILES = json.loads(Path(__file__).with_name("data_files.json").read_text(encoding="utf-8"))
_SHAPES = {name: tuple(shape) for name, shape in _FILES["shapes"].items()}
_IDX_NAMES = _FILES["idx_names"]
# Of all arrays of a file, unpacked, so that no small file fills the memory.
MOST_BYTES = _FILES["most_bytes"]
_DIGIT_NAMES = tuple("0123456789")


class DataError(ValueError):
    """A data file is missing, damaged, or not MNIST-shaped; the message names the file and the remedy."""


@dataclass(frozen=True, eq=False)
class Split:
    """Images with their labels: the training, the validation or the test set.

    Attributes
    ----------
    images : numpy.ndarray
        Grey values 0 (background) to 255 (ink), uint8, shape (n, 28, 28), read-only.
    labels : numpy.ndarray
        Class of each image, 0 to 9, uint8, shape (n,), read-only.
    """

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self):
        self.images.flags.writeable = False
        self.labels.flags.writeable = False

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"Split({len(self):,} images)"

    @cached_property
    def flat(self) -> np.ndarray:
        """The images as a dense network wants them, float32 from 0 to 1, shape (n, 784), read-only.

        Made on first use and kept; it takes 3,136 bytes an image (169 MB for the 54,000 training images).
        """
        flat = np.multiply(self.images.reshape(len(self), -1), np.float32(1 / 255), dtype=np.float32)
        flat.flags.writeable = False
        return flat

    def closest(self, picture: np.ndarray, number: int) -> np.ndarray:
        """Find the images that are closest to a picture by Euclidean distance, nearest first.

        Parameters
        ----------
        picture : numpy.ndarray
            Grey values 0 to 255, shape (784,).
        number : int
            How many to find.

        Returns
        -------
        numpy.ndarray
            Their indices, shape (number,).
        """
        pixels = picture.astype(np.float32) / 255
        distances = np.einsum("ij,ij->i", self.flat, self.flat) - 2 * (self.flat @ pixels)
        return np.argsort(distances)[:number]


@dataclass(frozen=True, eq=False)
class Mnist:
    """The whole data set, split in three.

    The 10,000 test images are closed: what has been chosen by looking at them is no longer judged by them. Only
    ``open_test_set`` hands them out.

    Attributes
    ----------
    train, validation : Split
        54,000 and 6,000 images. Validation is a tenth of the original 60,000 training images, with each class in its
        own proportion, fixed by ``SPLIT_SEED``.
    class_names : tuple of str
        Ten names, in the order of the labels.
    openings : list of str
        What the test set was opened for, each time.
    """

    train: Split
    validation: Split
    _test: Split | None
    class_names: tuple[str, ...]
    openings: list[str] = field(default_factory=list)

    def open_test_set(self, purpose: str) -> Split:
        """Hand out the 10,000 test images, and note in ``openings`` what for.

        Parameters
        ----------
        purpose : str
            Why they are looked at, in words; never to choose something by what they say.

        Raises
        ------
        DataError
            If no purpose is given.
        """
        if not isinstance(purpose, str) or not purpose.strip():
            raise DataError(f"the purpose is {purpose!r}; expected words that say what the test set is opened for.")
        self.openings.append(purpose)
        return self._test

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the training and the validation set, in hexadecimal; it names what a network was trained on."""
        digest = hashlib.sha256()
        for split in (self.train, self.validation):
            digest.update(np.ascontiguousarray(split.images))
            digest.update(np.ascontiguousarray(split.labels))
        return digest.hexdigest()

    def __repr__(self) -> str:
        return f"Mnist(train={len(self.train):,}, validation={len(self.validation):,}, test: closed)"


def load_mnist(source: str | os.PathLike | None = None, class_names: Sequence[str] | None = None) -> Mnist:
    """Load MNIST, or a data set of the same shape, and split it in three.

    Takes about 0.3 s for the bundled file, most of it to unpack 55 MB and to verify them.

    Parameters
    ----------
    source : path, optional
        An ``.npz`` file in the layout of Keras's own ``mnist.npz``, or a folder with the four IDX files,
        raw or gzipped. By default the path in the environment variable ``MNIST_HELPERS_DATA``, and
        without one the MNIST that comes with the package.
    class_names : sequence of str, optional
        Ten names for the labels 0 to 9, for data that are not digits. By default those of Fashion-MNIST, if it is
        that, which its first labels tell, and otherwise the digits.

    Returns
    -------
    Mnist
        Training, validation and test set.

    Raises
    ------
    DataError
        If a file is missing, damaged or of another shape, or the names are not ten.
    """
    names = tuple(class_names) if isinstance(class_names, Sequence) else ()
    named = not isinstance(class_names, str) and len(names) == 10 and all(isinstance(name, str) for name in names)
    if class_names is not None and not named:
        raise DataError(f"class_names is {class_names!r}; expected ten names, one for each of the labels 0 to 9.")

    path = Path(source or os.environ.get(SOURCE_VARIABLE) or _BUNDLED).expanduser()
    arrays = _read(path)
    digests = {name: hashlib.sha256(array).hexdigest() for name, array in arrays.items()}
    if path == _BUNDLED and digests != _SHA256:
        raise DataError(
            f"{path}: the images or labels differ from the published MNIST (their SHA-256 does not match); "
            "install the package again to get the original file."
        )

    held_out = _one_in_ten(arrays["y_train"])
    return Mnist(
        train=Split(arrays["x_train"][~held_out], arrays["y_train"][~held_out]),
        validation=Split(arrays["x_train"][held_out], arrays["y_train"][held_out]),
        _test=Split(arrays["x_test"], arrays["y_test"]),
        class_names=names or _names_by(arrays["y_train"]),
    )


def to_idx(array: np.ndarray) -> bytes:
    """Write an array in the IDX format, in which MNIST was first published.

    Parameters
    ----------
    array : numpy.ndarray
        Any shape of at least one dimension, uint8.

    Returns
    -------
    bytes
        Two zero bytes, the type code 8 (unsigned byte), the number of dimensions, each size as a
        big-endian 32-bit integer, and then the values, the last index running fastest.

    Raises
    ------
    TypeError
        If the array is not of unsigned bytes.
    """
    if array.dtype != np.uint8:
        raise TypeError(f"the array has type {array.dtype}; expected uint8, the only type that MNIST's files hold.")
    return _idx_header(array.shape) + array.tobytes()


def _idx_header(shape: tuple[int, ...]) -> bytes:
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape)


def split_order(number: int) -> np.ndarray:
    """Give the places of so many images in the order in which the split goes through them, shape (number,)."""
    return np.random.default_rng(SPLIT_SEED).permutation(number)


def _one_in_ten(labels: np.ndarray) -> np.ndarray:
    """Mark a stratified tenth: shuffle, sort by class (keeping the shuffled order), take every tenth."""
    shuffled = split_order(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    chosen = np.zeros(len(labels), dtype=bool)
    chosen[by_class[::10]] = True
    return chosen


def _names_by(labels: np.ndarray) -> tuple[str, ...]:
    for known in _FILES["known_by_first_labels"]:
        if known["first_labels"] == "".join(map(str, labels[: len(known["first_labels"])])):
            return tuple(known["class_names"])
    return _DIGIT_NAMES


def _read(path: Path) -> dict[str, np.ndarray]:
    if path.is_dir():
        return {name: _read_idx(_find_idx(path, idx_name), name) for name, idx_name in _IDX_NAMES.items()}
    if not path.exists():
        raise DataError(
            f"{path}: there is no such file or folder; "
            f"expected an .npz file in Keras's layout or a folder with the four IDX files."
        )
    return {name: _read_npz_array(path, name) for name in _SHAPES}


def _find_idx(folder: Path, idx_name: str) -> Path:
    for path in (folder / idx_name, folder / f"{idx_name}.gz"):
        if path.is_file():
            return path
    raise _trouble("no_idx", file=folder, idx_name=idx_name, names=", ".join(_IDX_NAMES.values()))


def _read_idx(path: Path, name: str) -> np.ndarray:
    shape = _SHAPES[name]
    header = _idx_header(shape)
    size = len(header) + math.prod(shape)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            content = file.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise _trouble("unreadable_idx", path, name, why=error) from error
    if not content.startswith(header):
        begins = content[: len(header)].hex(" ") or "(none)"
        raise _trouble("other_header", path, name, bytes=begins, header=header.hex(" "))
    if len(content) != size:
        fault = "to_spare" if len(content) > size else "cut_short"
        raise _trouble(fault, path, name, length=f"{len(content):,}", size=f"{size:,}")
    return _checked(path, name, np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape))


def _read_npz_array(path: Path, name: str) -> np.ndarray:
    try:
        arrays = read_npz(path, {name})
    except ValueError as error:
        raise DataError(
            f"{path}: the array {name} cannot be read ({error}); "
            f"expected an .npz file in Keras's layout, with {_described(name)}."
        ) from error
    if name not in arrays:
        raise _trouble("no_array", path, name, names=", ".join(_SHAPES))
    return _checked(path, name, arrays[name])


def read_npz(file: Path | BinaryIO, names: Container[str] | None = None) -> dict[str, np.ndarray]:
    """Read the arrays of an ``.npz`` file, or those of these names; nothing in it is executed.

    Raises
    ------
    ValueError
        If the file is damaged, or small but made to fill the memory.
    """
    arrays, room = {}, MOST_BYTES
    try:
        with zipfile.ZipFile(file) as archive:
            for entry in archive.infolist():
                name = entry.filename.removesuffix(".npy")
                if names is not None and name not in names:
                    continue
                room -= entry.file_size
                if room < 0:
                    raise ValueError(f"its arrays take more than {MOST_BYTES / 2**30:g} GB unpacked")
                if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise ValueError("it is packed in another way than NumPy's")
                # All that it says to hold at once, so that its checksum is tested before its header is parsed, and no
                # more, whatever it is packed to.
                with archive.open(entry) as packed:
                    content = packed.read(entry.file_size + 1)
                arrays[name] = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    except Exception as error:  # zipfile, its unpackers and NumPy have a dozen kinds for what is not what it says
        raise ValueError(f"{error}" or type(error).__name__) from error
    return arrays


def _checked(path: Path, name: str, array: np.ndarray) -> np.ndarray:
    if array.shape != _SHAPES[name] or array.dtype != np.uint8:
        raise _trouble("other_array", path, name, shape=array.shape, type=array.dtype)
    if name.startswith("y_") and array.max() > 9:
        raise _trouble("other_label", path, name, label=array.max())
    return np.ascontiguousarray(array)


def _trouble(which: str, file: Path, name: str = "", **values) -> DataError:
    expected = _described(name) if name else ""
    return DataError(_FILES["sentences"][which].format(file=file, name=name, expected=expected, **values))


def _described(name: str) -> str:
    return _FILES["expected"][name[0]].format(shape=_SHAPES[name])
