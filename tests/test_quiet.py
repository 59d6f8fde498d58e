"""TensorFlow starts, compiles and trains without a word, and errors can still be written afterwards."""

import os
import subprocess
import sys
from contextlib import suppress

import pytest

from mnist_helpers import quiet

SCRIPT = """
import os
from dataclasses import replace
from mnist_helpers.data import load_mnist
from mnist_helpers.recipe import ARTICLE
from mnist_helpers.training import train

train(replace(ARTICLE, training_images=7_000, batch_size=1, epochs=1), load_mnist(), progress=False)
os.write(2, b"still there")
"""


STARTED = """
import os
import mnist_helpers.quiet
import tensorflow as tf

tf.function(tf.nn.relu, jit_compile=True)(tf.zeros(1))
os.write(2, b"still there")
"""


def printed_by(script):
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return finished.stdout, finished.stderr


def test_a_descriptor_is_silent_for_a_while_and_nothing_is_left_open(tmp_path):
    with (tmp_path / "said").open("wb", buffering=0) as file:
        before = open_descriptors()
        os.write(file.fileno(), b"before, ")
        with quiet._silent_descriptor(file.fileno()):
            os.write(file.fileno(), b"meanwhile, ")
        os.write(file.fileno(), b"after")
        assert open_descriptors() == before
    assert (tmp_path / "said").read_bytes() == b"before, after"


def open_descriptors():
    found = set()
    for number in range(256):
        with suppress(OSError):
            os.fstat(number)
            found.add(number)
    return found


def test_tensorflow_starts_and_compiles_without_a_word():
    assert printed_by(STARTED) == ("", "still there")


def test_tensorflow_can_compile():
    assert quiet.XLA_WORKS or sys.platform == "darwin"


@pytest.mark.slow
def test_nothing_is_printed_and_the_descriptor_comes_back():
    assert printed_by(SCRIPT) == ("", "still there")


def test_the_data_do_not_wait_for_tensorflow():
    modules = "mnist_helpers.data, mnist_helpers.recipe, mnist_helpers.plots"
    check = f"import sys, {modules}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
