"""Import TensorFlow without the dozen log lines that it writes about your processor and its own start.

They come from C++, straight to file descriptor 2, and ``TF_CPP_MIN_LOG_LEVEL`` no longer stops them; so this
module points the descriptor elsewhere for the length of the import. Import it before ``tensorflow`` or ``keras``.
"""

import os
from contextlib import contextmanager


@contextmanager
def _silent_descriptor(descriptor: int):
    saved = os.dup(descriptor)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(saved, descriptor)
        os.close(saved)


with _silent_descriptor(2):
    import tensorflow

    # The first compilation through XLA, and the search for a GPU that it begins with, have log lines of their own.
    try:
        tensorflow.function(tensorflow.nn.relu, jit_compile=True)(tensorflow.zeros(1))
        XLA_WORKS = True
    except tensorflow.errors.OpError:  # reported of some builds for Macs
        XLA_WORKS = False
