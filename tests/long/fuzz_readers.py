"""A million inputs for each of Python's readers: they give what they should, or an error of their own in one sentence.

atheris makes the inputs, led by the lines of a reader that each of them reaches, out of small valid ones; where bytes
alone would seldom be JSON, hypothesis makes documents out of them. A reader has a process of its own, since libFuzzer,
which is in atheris, ends its process. It also ends one that takes too long over an input, or too much memory. Such an
input, or one that another error came of, lies in a file whose name is said. To try one reader, or one input again:
``python tests/long/fuzz_readers.py "Run.from_json" -runs=1000``, or a file's name for ``-runs=1000``.
"""

import copy
import gzip
import importlib
import io
import json
import re
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from contextlib import suppress
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[1]))

INPUTS = 1_000_000
MOST_SECONDS = 3_600
LIBRARIES = ("zipfile", "gzip", "numpy.lib._format_impl", "numpy.lib.format")  # whose lines lead atheris too
SECONDS_AN_INPUT = 20
EXPECTED = r"; expected .*\.$"
MOST_MEGABYTES = 2_500  # of the whole process, of which TensorFlow takes a third where it is needed

# Valid data sets are that small here, so that there is time for many.
SHAPES = {"x_train": (20, 2, 2), "y_train": (20,), "x_test": (10, 2, 2), "y_test": (10,)}
ARRAYS = {name: np.arange(np.prod(shape), dtype=np.uint8).reshape(shape) % 10 for name, shape in SHAPES.items()}


# How many were read and how many refused; in a file, once it fuzzes, because libFuzzer leaves no time for a last word.
count = np.zeros(2, np.int64)


def counted(read, own_error, sentence):
    """Give a reader that counts, and lets no error out that is its own and says what it should."""

    def read_one(fed):
        try:
            read(fed)
        except own_error as error:
            assert re.search(sentence, str(error), re.S), error
            count[1] += 1
        else:
            count[0] += 1

    return read_one


def saved(save, arrays):
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


def archive_with(members, name, content):
    """Put other content into an archive, with the checksum that belongs to it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for each, own in (members | {name: content}).items():
            archive.writestr(each, own)
    return file.getvalue()


def members_of(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archives(content):
    """Give how to make an archive of an input's bytes, and inputs that make valid ones.

    The first byte says whether the others are an archive, or one of its members; after ``content``, a valid one.
    """
    members = members_of(content)
    names = list(members)

    def made(fed):
        which = fed[0] % (len(names) + 1)
        return archive_with(members, names[which - 1], fed[1:]) if which else fed[1:]

    return made, [bytes([place]) + member for place, member in enumerate([content, *members.values()])]


def data_sets_as_npz():
    from mnist_helpers import data

    data._SHAPES = SHAPES
    path = Path(tempfile.mkdtemp()) / "mine.npz"
    made, valid = archives(saved(np.savez, ARRAYS))

    def read(fed):
        path.write_bytes(made(fed))
        data.load_mnist(path)

    return counted(read, data.DataError, EXPECTED), [*valid, b"\0" + saved(np.savez_compressed, ARRAYS)]


def data_sets_as_idx():
    from mnist_helpers import data

    data._SHAPES = SHAPES
    folder = Path(tempfile.mkdtemp())
    names = list(data._IDX_NAMES.items())
    for name, file in names:
        (folder / file).write_bytes(data.to_idx(ARRAYS[name]))
    # As it is, packed, or to be packed here.
    kinds = {"": bytes, ".gz": bytes, " packed.gz": lambda content: gzip.compress(content, 1)}

    def read(fed):
        name, file = names[fed[0] % 4]
        suffix, pack = list(kinds.items())[fed[0] // 4 % 3]
        whole, other = folder / file, folder / f"{file}{suffix.removeprefix(' packed')}"
        whole.unlink()
        other.write_bytes(pack(fed[1:]))
        try:
            data.load_mnist(folder)
        finally:
            other.unlink()
            whole.write_bytes(data.to_idx(ARRAYS[name]))

    valid = [data.to_idx(ARRAYS[name]) for name, _ in names]
    packed = [gzip.compress(content) for content in valid]
    inputs = [bytes([place]) + content for place, content in enumerate([*valid, *packed, *valid])]
    return counted(read, data.DataError, EXPECTED), inputs


def a_run():
    from mnist_helpers.recipe import Recipe
    from mnist_helpers.run import HISTORY, Run

    recipe = Recipe(hidden_layers=1, units=1, batch_norm=True, epochs=2)
    history = {name: [0.5, 0.25] for name in HISTORY}
    return Run(recipe, 3, history, "digest", {"python": "3.11"}, "a machine")


def texts(whole, read):
    """Give a reader of bytes, as they are or as a change of a document; the first byte says which of the two."""
    from test_kernel_engine import HOSTILE

    def places(value, path=()):
        yield path
        for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
            yield from places(value[key], (*path, key))

    def changed(changes):
        document = {"": copy.deepcopy(whole)}
        for path, value in changes:
            *way, last = ("", *path)
            inner = document
            with suppress(KeyError, IndexError, TypeError):  # an earlier change has taken that place away
                for key in way:
                    inner = inner[key]
                inner[last] = value
        return json.dumps(document[""])

    @settings(database=None, deadline=None)
    @given(st.lists(st.tuples(st.sampled_from(list(places(whole))), HOSTILE), min_size=1, max_size=3).map(changed))
    def read_document(text):
        read(text)

    def read_either(fed):
        if fed[0] % 2:
            read_document.hypothesis.fuzz_one_input(fed[1:])
        else:
            read(fed[1:].decode(errors="replace"))

    return read_either, [b"\0" + json.dumps(whole).encode(), b"\1" + bytes(200)]


def runs_as_json():
    from mnist_helpers.run import Run

    def read(text):
        run = Run.from_json(text)
        assert Run.from_json(run.to_json()).to_json() == run.to_json()
        assert repr(run) and run.best_epoch != 0

    sentence = r"^this is not the JSON of a run .*expected what Run\.to_json wrote\.$"
    return texts(json.loads(a_run().to_json()), counted(read, ValueError, sentence))


def runs_in_a_store():
    """A file that cannot be read is set aside; what can gives the rows of a table."""
    from mnist_helpers import sweep

    folder = Path(tempfile.mkdtemp())
    path, aside = folder / "key.json", folder / "key.json.damaged"
    warnings.simplefilter("ignore")

    def read(text):
        path.write_bytes(text.encode(errors="replace"))
        found = sweep._read(folder, "key", models=False)
        if found is None:
            aside.unlink()
            raise sweep.SweepError("It is set aside.")
        sweep._rows({}, found, "key")

    read, valid = texts(json.loads(a_run().to_json()), counted(read, sweep.SweepError, "aside"))
    failure = {"error": "an error", "again": False, "recipe": asdict(a_run().recipe), "seed": 3}
    return read, [*valid, b"\0" + json.dumps(failure).encode()]


def networks():
    from dataclasses import replace

    from mnist_helpers import model, network_file

    # Keras takes a tenth of a second to build one.
    build = lru_cache(lambda recipe: model.build_model(recipe, 0))
    network_file.build_model = lambda recipe, seed: build(
        replace(a_run().recipe, hidden_layers=recipe.hidden_layers, units=recipe.units, batch_norm=recipe.batch_norm)
    )
    network_file.compile_model = lambda built, recipe: built
    content = network_file.packed(replace(a_run(), model=build(a_run().recipe)))
    made, valid = archives(content)
    read = counted(lambda fed: network_file.unpacked(made(fed)), network_file.NetworkFileError, EXPECTED)
    return read, valid


def messages():
    """What a page may say to the kernel; an error of another kind would come out of it."""
    from dataclasses import replace

    from test_kernel_engine import MESSAGES, Listened

    from mnist_helpers import kernel_engine
    from mnist_helpers.data import load_mnist
    from mnist_helpers.model import build_model

    kernel_engine.prepare = lambda *_: None
    kernel_engine.train = lambda *_, **__: (_ for _ in ()).throw(MemoryError("not here"))
    mnist = load_mnist()
    some = {name: split_of(getattr(mnist, name)) for name in ("train", "validation")}
    listened = Listened(replace(mnist, **some), tempfile.mkdtemp(), build_model(a_run().recipe, 0))

    obey = counted(listened.engine.obey, kernel_engine.MessageError, " ")

    @settings(database=None, deadline=None)
    @given(MESSAGES)
    def say(message):
        listened.told.clear()
        obey(message)

    return say.hypothesis.fuzz_one_input, [bytes(500)]


def split_of(split):
    return type(split)(split.images[:50].copy(), split.labels[:50].copy())


READERS = {
    "load_mnist, .npz": data_sets_as_npz,
    "load_mnist, IDX": data_sets_as_idx,
    "Run.from_json": runs_as_json,
    "The store of a sweep": runs_in_a_store,
    "read_network": networks,
    "A panel's messages to the kernel": messages,
}


def fuzz(name, options):
    """Feed a reader until libFuzzer ends this process, and say how often it read and how often it refused."""
    import atheris

    global count
    count = np.memmap("count", np.int64, "w+", shape=2)
    with atheris.instrument_imports(include=["mnist_helpers", *LIBRARIES]):
        for library in LIBRARIES:  # which are there already
            importlib.reload(sys.modules[library])
        read, valid = READERS[name]()

    corpus = Path(tempfile.mkdtemp())
    for place, content in enumerate(valid):
        (corpus / str(place)).write_bytes(content)
    limits = [f"-timeout={SECONDS_AN_INPUT}", f"-rss_limit_mb={MOST_MEGABYTES}", "-seed=21", "-max_len=8192"]
    atheris.Setup(
        [sys.argv[0], *limits, *options, *([] if Path(options[-1]).is_file() else [str(corpus)])],
        lambda content: content and read(content),
    )
    atheris.Fuzz()


@pytest.mark.timeout(MOST_SECONDS + 600)
@pytest.mark.parametrize("name", READERS)
def test_every_input_is_read_or_refused_in_a_sentence(name, tmp_path):
    from figures import keep

    began = time.monotonic()
    command = [sys.executable, __file__, name, f"-max_total_time={MOST_SECONDS}", f"-runs={INPUTS}"]
    with (tmp_path / "log").open("w") as log:
        status = subprocess.run(command, stdout=log, stderr=log, cwd=tmp_path, check=False).returncode
    said = (tmp_path / "log").read_text(errors="replace")
    assert status == 0, f"{said[-3000:]}\nin {tmp_path}"
    read, refused = np.fromfile(tmp_path / "count", np.int64)
    inputs = int(re.search(r"Done (\d+) runs", said)[1])
    outcome = f"{read:,} read, {refused:,} refused in a sentence"
    if left := inputs - 1 - read - refused:  # libFuzzer begins with an empty one
        outcome += f", {left:,} of which hypothesis could make no document"
    keep(name, f"{inputs:,} inputs", time.monotonic() - began, outcome)


if __name__ == "__main__":
    fuzz(sys.argv[1], sys.argv[2:])
