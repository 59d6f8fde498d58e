"""TensorFlow starts, compiles and trains without a word, and errors can still be written afterwards."""

import subprocess
import sys

import pytest

SCRIPT = """
import os
from dataclasses import replace
from mnist_helpers.data import load_mnist
from mnist_helpers.recipe import ARTICLE
from mnist_helpers.training import train

train(replace(ARTICLE, training_images=7_000, batch_size=1, epochs=1), load_mnist(), progress=False)
os.write(2, b"still there")
"""


@pytest.mark.slow
def test_nothing_is_printed_and_the_descriptor_comes_back():
    finished = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True)
    assert finished.stdout == ""
    assert finished.stderr == "still there"


def test_the_data_do_not_wait_for_tensorflow():
    modules = "mnist_helpers.data, mnist_helpers.recipe, mnist_helpers.plots"
    check = f"import sys, {modules}; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
