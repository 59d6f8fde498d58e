"""What several tests share: the real data set, loaded once."""

import pytest

from mnist_helpers.data import Mnist, load_mnist


@pytest.fixture(scope="session")
def mnist() -> Mnist:
    return load_mnist()
