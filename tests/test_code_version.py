"""The digest of the code that makes a run changes with what the code does, and with nothing else."""

import re
from pathlib import Path

import pytest

from mnist_helpers import code_version
from mnist_helpers.code_version import TRAINING_CODE, digest_of, what_it_does

PROGRAM = '''"""A module."""

import math  # for pi


class Circle:
    """A circle."""

    def area(self, radius):
        """Give the area.

        Twice.
        """

        # as in school
        return f"# {radius:#x} {math.pi * radius ** 2}"
'''
WORDS_ALONE = {
    "docstring": ("A circle.", "A ring."),
    "longer docstring": ("Twice.", "Once.\n\n        And no more."),
    "comment": ("# as in school", "# as Euclid has it"),
    "no comment": ("        # as in school\n", ""),
    "blanks": ("import math  # for pi", "import math\n\n"),
}
WHAT_IT_DOES = {"code": ("radius ** 2", "radius ** 3"), "text that looks like a comment": ("# {", "## {")}


def test_what_is_left_of_a_program_is_its_code():
    assert what_it_does(PROGRAM).splitlines() == [
        "import math",
        "class Circle:",
        "    def area(self, radius):",
        '        return f"# {radius:#x} {math.pi * radius ** 2}"',
    ]


@pytest.mark.parametrize("change", WORDS_ALONE.values(), ids=WORDS_ALONE)
def test_words_for_a_reader_do_not_count(change):
    changed = PROGRAM.replace(*change)
    assert changed != PROGRAM
    assert what_it_does(changed) == what_it_does(PROGRAM)


@pytest.mark.parametrize("change", WHAT_IT_DOES.values(), ids=WHAT_IT_DOES)
def test_what_it_does_counts(change):
    assert what_it_does(PROGRAM.replace(*change)) != what_it_does(PROGRAM)


def test_a_digest_is_16_hexadecimal_digits():
    assert re.fullmatch("[0-9a-f]{16}", digest_of(TRAINING_CODE))


def test_each_module_counts():
    digests = {digest_of(TRAINING_CODE[:number]) for number in range(len(TRAINING_CODE) + 1)}
    assert len(digests) == len(TRAINING_CODE) + 1


def test_the_training_code_is_all_that_training_needs():
    """But for what imports TensorFlow, which decides nothing."""
    needed, waiting = set(), {"training"}
    while waiting:
        needed |= waiting
        texts = [
            Path(code_version.__file__).with_name(f"{module}.py").read_text(encoding="utf-8") for module in waiting
        ]
        waiting = set(re.findall(r"^(?:from|import) mnist_helpers\.(\w+)", "\n".join(texts), re.MULTILINE)) - needed
    assert set(TRAINING_CODE) == needed - {"quiet"}


def test_the_libraries_that_compute_count(monkeypatch):
    asked, before = [], code_version.code_version()
    monkeypatch.setattr(code_version, "version", lambda library: asked.append(library) or "another")
    assert code_version.code_version.__wrapped__() != before
    assert set(asked) == {"tensorflow", "keras", "numpy"}
