"""Make the mistakes of ``engine.toml`` in ``engine.c``, one at a time, and count those that its tests notice.

The tests are those of `tests/test_engine.py` that `make check` runs, but for the one that holds the committed modules
to their source, which would notice everything: here each mistake is compiled, as `make engine` would do it.
"""

import hashlib
import os
import tempfile
import tomllib
from pathlib import Path

from record import Mutant, measure, mutant
from trials import Trials

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "mnist_helpers" / "engine.c"


def mutants() -> dict[str, Mutant]:
    """Give the mutants of the list by a name; stop if one does not fit the source any more."""
    source = SOURCE.read_text(encoding="utf-8")
    found = {}
    for mistake in tomllib.loads((HERE / "engine.toml").read_text(encoding="utf-8"))["mistake"]:
        here, instead = mistake["here"], mistake["instead"]
        if source.count(here) != 1:
            raise SystemExit(f"engine.toml: {here!r} stands {source.count(here)} times in engine.c; expected once.")
        name = hashlib.sha256(f"{here}\n{instead}".encode()).hexdigest()
        found[name] = mutant(SOURCE.name, source, source.replace(here, instead))
    return found


class Bench:
    """Compiles mutants, and has the tests load what comes of them (trials.py)."""

    name = "engine"
    starts_anew = True  # the native build is loaded once for all tests of a mutant
    programs = (SOURCE,)
    files = (HERE.parent / "test_engine.py",)
    options = ("-m", "not slow", "-k", "not committed_modules")

    def start(self) -> None:
        pass

    def watch(self) -> None:
        pass

    def places(self) -> set:
        return {"engine"}

    def place(self, mutant: Mutant) -> str:
        return "engine"

    def take(self, mutant: Mutant) -> None:
        import build_engine  # which pytest puts on the path
        import test_engine

        folder = Path(tempfile.mkdtemp(dir=os.environ["TMPDIR"]))
        build_engine.SOURCE = folder / mutant.module
        build_engine.SOURCE.write_text(mutant.source, encoding="utf-8")
        build_engine.build(folder, build_engine.SOURCE)
        test_engine.MADE = folder


def main() -> None:
    with Trials(Bench()) as trials:
        measure(SOURCE.name, mutants(), trials.notices)


if __name__ == "__main__":
    main()
