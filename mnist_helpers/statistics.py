"""How far a number could be off: scatter over seeds, and 95% intervals for means, differences and shares of images.

The arithmetic is SciPy's; here stands which method the book uses for what. An interval is written in square brackets.
Floor 1 of the package.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A number with its interval; a format specification holds for all three numbers, as in ``f"{estimate:+.2f}"``.

    Attributes
    ----------
    value, low, high : float
        What was estimated, and the ends of its interval.
    """

    value: float
    low: float
    high: float

    @property
    def points(self) -> "Estimate":
        """A share, or a difference of shares, in percentage points."""
        return Estimate(100 * self.value, 100 * self.low, 100 * self.high)

    def within(self, margin: float) -> bool:
        """Tell whether the whole interval lies less than a margin from 0, to either side."""
        return bool(-margin < self.low and self.high < margin)

    def __format__(self, spec: str) -> str:
        return f"{self.value:{spec}} [{self.low:{spec}}, {self.high:{spec}}]"


def mean_and_deviation(values: Sequence[float], spec: str = ".3f") -> str:
    """Write how runs scatter: ``mean ± standard deviation`` over seeds, each in the given format.

    Parameters
    ----------
    values : sequence of float
        One value a seed, at least two.
    spec : str
        Format specification of both numbers, such as ``".3f"`` or ``".1%"``.
    """
    _check_number(values)
    return f"{np.mean(values):{spec}} ± {np.std(values, ddof=1):{spec}}"


def mean(values: Sequence[float], comparisons: int = 1) -> Estimate:
    """Estimate a mean over seeds, with Student's interval.

    Parameters
    ----------
    values : sequence of float
        One value a seed, at least two; a single one raises ``ValueError``.
    comparisons : int
        How many intervals are looked at together. Each is widened (Bonferroni: its confidence is 1 − 0.05 divided by
        their number), so that all of them hold at once in 95 of 100 repetitions.
    """
    _check_number(values)
    return _estimate(stats.ttest_1samp(values, 0.0), np.mean(values), comparisons)


def difference(after: Sequence[float], before: Sequence[float], paired: bool = False, comparisons: int = 1) -> Estimate:
    """Estimate by how much one mean over seeds lies above another.

    Parameters
    ----------
    after, before : sequence of float
        One value a seed, at least two.
    paired : bool
        Whether the two values of a seed belong together, as those of one run at two epochs do; then Student's interval
        of their differences, otherwise Welch's (Welch 1947), which lets both scatter differently.
    comparisons : int
        As for ``mean``.
    """
    _check_number(after, before)
    test = stats.ttest_rel(after, before) if paired else stats.ttest_ind(after, before, equal_var=False)
    return _estimate(test, np.mean(after) - np.mean(before), comparisons)


def share(right: int, images: int) -> Estimate:
    """Estimate the share of all such images that one network reads, from those that it did (Clopper and Pearson 1934).

    Parameters
    ----------
    right, images : int
        How many were read, and of how many.
    """
    interval = stats.binomtest(int(right), int(images)).proportion_ci(CONFIDENCE, method="exact")
    return Estimate(right / images, interval.low, interval.high)


def difference_on_same_images(after: ArrayLike, before: ArrayLike) -> Estimate:
    """Estimate how much larger a share of images some networks read than others, judged on the same images.

    Most images are read by both, and tell nothing about the difference; so the interval is that of the mean over
    images of the difference between the shares of networks that read an image.

    Parameters
    ----------
    after, before : array_like of bool
        Whether an image was read; shape (networks, images), or (images,) for one network.
    """
    after, before = (np.atleast_2d(each).mean(axis=0) for each in (after, before))
    return difference(after, before, paired=True)


def mcnemar(first: ArrayLike, second: ArrayLike) -> float:
    """Give the probability that two equally good networks disagree as unevenly on the same images (McNemar 1947).

    The exact test: of the images that only one of the two reads, each would be read by either with probability 1/2.

    Parameters
    ----------
    first, second : array_like of bool
        Whether each of the two read an image, shape (images,).

    Returns
    -------
    float
        The two-sided p-value; 1 if they never disagree.
    """
    first, second = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    if not only_first + only_second:
        return 1.0
    return float(stats.binomtest(only_first, only_first + only_second).pvalue)


def verdict(*parts: bool) -> str:
    """Judge a claim by its parts: ``"holds"``, ``"holds in part"`` or ``"does not hold"``."""
    return "holds" if all(parts) else "holds in part" if any(parts) else "does not hold"


def _check_number(*groups: Sequence[float]) -> None:
    if min(len(values) for values in groups) < 2:
        raise ValueError("there is a single value, which says nothing of scatter; expected those of two seeds or more.")


def _estimate(test, value: float, comparisons: int) -> Estimate:
    interval = test.confidence_interval(1 - (1 - CONFIDENCE) / comparisons)
    ends = [float(value)] * 2 if np.isnan(interval.low) else [float(interval.low), float(interval.high)]  # no scatter
    return Estimate(float(value), *ends)
