"""What several tests share: the real data set, a real browser, and property-based tests that draw the same each time.

The browser is any Chromium, Chrome or Edge of this machine; `CHROMIUM` names one that is not found by itself.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from playwright.sync_api import sync_playwright

from mnist_helpers.data import Mnist, load_mnist

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
    "microsoft-edge",
)
NO_BROWSER = (
    "No Chromium, Chrome or Edge was found. Install one (Debian and Ubuntu: apt-get install chromium; elsewhere: "
    "python -m playwright install chromium), or name yours in the environment variable CHROMIUM."
)
# Chromium's own errands would count as requests of the page.
QUIET_BROWSER = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]

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
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
        if not found and own.exists():
            found = str(own)
        if not found:
            (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(NO_BROWSER)
        as_root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=found, args=[*QUIET_BROWSER, *as_root])
        yield browser
        browser.close()
