"""What the mutation tests of all languages share: what a mutant is, which ones stand with a reason, and the scores.

What was noticed once is kept in `.mutants/noticed.txt`, so that a call that was interrupted goes on, and the next one
tries again only what no test noticed.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

HERE = Path(__file__).parent
KEPT = HERE.parents[1] / ".mutants"
SCORES = HERE / "scores.csv"


@dataclass(frozen=True)
class Mutant:
    """A module with one small change.

    Attributes
    ----------
    module : str
        The module's file name.
    number : int
        The changed line's, from 1.
    line, change : str
        The first line that differs, without the blanks around it, before and after.
    source : str
        The whole text of the changed module.
    """

    module: str
    number: int
    line: str
    change: str
    source: str

    def __str__(self) -> str:
        return f"{self.module}:{self.number}\n- {self.line}\n+ {self.change}\n"


def mutant(module: str, before: str, after: str) -> Mutant:
    """Make a mutant of a module's text before and after a change."""
    lines, changed = ([line.strip() for line in text.splitlines()] for text in (before, after))
    pairs = enumerate(zip(lines, [*changed, ""], strict=False), 1)
    number, (line, change) = next((number, pair) for number, pair in pairs if pair[0] != pair[1])
    return Mutant(module, number, line, change, after)


def measure(module: str, mutants: Mapping[str, Mutant], notices: Callable[[Mutant], bool]) -> None:
    """Try a module's mutants, print those that stand without a reason, and write the module's score.

    Parameters
    ----------
    module : str
        Its file name.
    mutants : mapping of str to Mutant
        By names that stay as they are while the mutant means the same, such as a hash of the changed function.
    notices : callable
        Tells whether a test notices a mutant.
    """
    KEPT.mkdir(exist_ok=True)
    with (KEPT / "noticed.txt").open("a+", encoding="utf-8") as file:
        file.seek(0)
        known, stands = set(file.read().split()), _standing()
        equivalent = noticed = 0
        for name, each in mutants.items():
            is_equivalent = stands.get((each.module, each.line, each.change))
            if is_equivalent:
                equivalent += 1
            elif name in known or notices(each):
                noticed += 1
                if name not in known:
                    file.write(f"{name}\n")
                    file.flush()
            elif is_equivalent is None:
                print(each, flush=True)
    score = f"{noticed / max(1, len(mutants) - equivalent):.0%}"
    table = pd.read_csv(SCORES, index_col="module", dtype=str)
    table.loc[module] = [str(len(mutants)), str(equivalent), str(noticed), score]
    table.sort_index().to_csv(SCORES, lineterminator="\n")
    print(f"{module}: {noticed} of {len(mutants) - equivalent} are noticed, {score}\n", flush=True)


def _standing() -> dict[tuple[str, str, str], bool]:
    """Give, by module, line and change of each mutant in `standing.toml`, whether it is equivalent."""
    entries = tomllib.loads((HERE / "standing.toml").read_text(encoding="utf-8")).get("stands", [])
    return {(each["module"], each["line"], each["change"]): each["equivalent"] for each in entries}
