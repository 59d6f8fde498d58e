"""What tests share: the data set, the browser, the built site, and property-based tests that draw alike each time."""

import functools
import http.server
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from browsing import NO_BROWSER, Visit, launched
from hypothesis import settings

from mnist_helpers.data import Mnist, load_mnist

ROOT = Path(__file__).parents[1]
SUB_PATH = "/courses/digits/"

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


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of a site that was built from an empty output folder, with every warning an error."""
    out = tmp_path_factory.mktemp("site")
    jupyter_book = shutil.which("jupyter-book", path=Path(sys.executable).parent)
    build = [jupyter_book, "build", str(ROOT / "book"), "--path-output", str(out)]
    finished = subprocess.run(
        [*build, "-W", "--keep-going"], capture_output=True, text=True, encoding="utf-8", errors="replace", check=False
    )
    assert finished.returncode == 0, finished.stdout[-4000:] + finished.stderr[-8000:]
    return out / "_build" / "html"


@pytest.fixture(scope="session")
def address(site, tmp_path_factory):
    """Where the site is served, below a path, as on a course's server."""
    root = tmp_path_factory.mktemp("server")
    shutil.copytree(site, root / SUB_PATH.strip("/"))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=root)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{SUB_PATH}"
        server.shutdown()


@pytest.fixture
def visit(browser, address):
    visit = Visit(browser, address)
    yield visit
    assert visit.faults == []
    visit.page.context.close()
