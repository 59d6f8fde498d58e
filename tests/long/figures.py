"""What the long tests found, a row for each, which the book's page of its own state shows."""

import csv
import datetime
from pathlib import Path

from conftest import SHARED
from filelock import FileLock

FILE = Path(__file__).with_name("figures.csv")
HEADINGS = ("what", "how much", "minutes", "what came of it", "date")


def keep(what: str, how_much: str, seconds: float, outcome: str) -> None:
    """Write a row, in the place of an earlier one of the same name."""
    with FileLock(SHARED / "figures.lock"):
        with FILE.open(newline="", encoding="utf-8") as file:
            rows = {row[0]: row for row in list(csv.reader(file))[1:]}
        rows[what] = [what, how_much, f"{seconds / 60:.0f}", outcome, f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"]
        with FILE.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([HEADINGS, *rows.values()])
