"""What several tests share: the real data set, loaded once, and property-based tests that draw the same each time."""

import pytest
from hypothesis import settings

from mnist_helpers.data import Mnist, load_mnist

settings.register_profile("the same each time", derandomize=True, deadline=None)
settings.load_profile("the same each time")


@pytest.fixture(scope="session")
def mnist() -> Mnist:
    return load_mnist()
