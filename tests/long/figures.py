"""What the long tests found, a row for each, which the book's page of its own state shows."""

import datetime
from pathlib import Path

import pandas as pd
from conftest import SHARED
from filelock import FileLock

FILE = Path(__file__).with_name("figures.csv")


def keep(what: str, how_much: str, seconds: float, outcome: str) -> None:
    """Write a row, in the place of an earlier one of the same name."""
    date = f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}"
    with FileLock(SHARED / "figures.lock"):
        table = pd.read_csv(FILE, index_col="what", dtype=str)
        table.loc[what] = [how_much, f"{seconds / 60:.0f}", outcome, date]
        table.to_csv(FILE, lineterminator="\n")
