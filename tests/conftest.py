"""What several tests share: the data set, the browser, and property-based tests that draw the same each time."""

import os
import tempfile

import pytest
from browsing import NO_BROWSER, launched
from hypothesis import settings

from mnist_helpers.data import Mnist, load_mnist

settings.register_profile("the same each time", derandomize=True, deadline=None)
settings.load_profile("the same each time")

# The chapters run twice, on their own and in the site; the second time they find their training runs. Starting empty.
_runs = tempfile.TemporaryDirectory()
os.environ["MNIST_HELPERS_RUNS"] = _runs.name


@pytest.fixture(scope="session")
def mnist() -> Mnist:
    return load_mnist()


@pytest.fixture(scope="session")
def browser():
    with launched() as browser:
        if browser is None:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(NO_BROWSER)
        yield browser
