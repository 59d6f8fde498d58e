"""What tests share: the data set, the browser, the built site, and property-based tests that draw alike each time.

The chapters are executed once: nbmake executes copies of them, and the site is built from what came out, in one
process or in several (`--numprocesses 2`). Where nbmake takes no part, the build executes them.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

import nbformat
import pytest
from browsing import NO_BROWSER, SECONDS, Firefox, Visit, launched, served
from chapters import let_kernels_find_quotes, read
from filelock import FileLock
from hypothesis import settings
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbmake.pytest_items import NotebookItem
from playwright.sync_api import expect
from xdist.scheduler.loadscope import LoadScopeScheduling

from mnist_helpers.data import Mnist, load_mnist

ROOT = Path(__file__).parents[1]
SUB_PATH = "/courses/digits/"
NEEDS_A_BROWSER = {"site", "address", "lab_address", "browser", "firefox", "visit"}

settings.register_profile("the same each time", derandomize=True, deadline=None)
settings.load_profile("the same each time")
expect.set_options(timeout=20 * SECONDS)  # the other process may leave a browser little time

# For all processes of one call of pytest, and empty at its start.
if "PYTEST_XDIST_WORKER" not in os.environ:
    _shared = tempfile.TemporaryDirectory()
    os.environ["CRACKING_TESTS"] = _shared.name
SHARED = Path(os.environ["CRACKING_TESTS"])
os.environ["MNIST_HELPERS_RUNS"] = str(SHARED / "runs")
let_kernels_find_quotes()


class FileByFile(LoadScopeScheduling):
    """Keep a file's tests in one process, in order."""

    def _split_scope(self, nodeid):
        return nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config, log):
    return FileByFile(config, log)


def pytest_collection_modifyitems(config, items):
    """Have nbmake execute copies, as the build reads them, and keep what comes out; put first what takes longest."""
    SHARED.joinpath("executed").mkdir(exist_ok=True)
    for item in items:
        if isinstance(item, NotebookItem):
            copy = SHARED / "executed" / Path(item.filename).name
            nbformat.write(read(Path(item.filename).read_text(encoding="utf-8")), copy)
            item.filename = str(copy)
            config.option.overwrite = True
        elif NEEDS_A_BROWSER & set(item.fixturenames):
            item.add_marker(pytest.mark.browser)
    items.sort(key=lambda item: (not isinstance(item, NotebookItem), not item.get_closest_marker("browser")))


def executed(path: Path) -> tuple[nbformat.NotebookNode, float] | None:
    """Give a notebook as nbmake left it, and the seconds that its cells took; None as long as it is at work."""
    try:
        notebook = nbformat.read(path, as_version=4)
    except ValueError:  # half written
        return None
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    # When each was executed; in the cache it would be another notebook's.
    moments = [datetime.fromisoformat(at) for cell in cells for at in cell.metadata.pop("execution", {}).values()]
    if any(output.output_type == "error" for cell in cells for output in cell.outputs):
        pytest.fail(f"{path.name} failed when nbmake executed it, and so there is no site to look at.")
    if not all(cell.execution_count for cell in cells):
        return None
    return notebook, (max(moments) - min(moments)).total_seconds()


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
def site(request):
    """The folder of the built site and its downloads; the first process that needs it builds it."""
    out, built = SHARED / "site", SHARED / "site is built"
    with FileLock(SHARED / "site.lock"):
        if not built.exists():
            build(out, request)
            built.touch()
    return out / "_build" / "html"


def build(out, request):
    """Build the site in an empty output folder, from what nbmake executed, with every warning an error."""
    from cracking import execution_cache  # here, because it brings Sphinx, which takes two seconds

    shutil.rmtree(out, ignore_errors=True)  # a build that failed
    chapters = [Path(item.filename) for item in request.session.items if isinstance(item, NotebookItem)]
    cache = get_cache(execution_cache(out / "_build"))
    for path in chapters:
        while (left := executed(path)) is None:
            time.sleep(0.5)
        notebook, seconds = left
        cache.cache_notebook_bundle(CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds}))
    jupyter_book = shutil.which("jupyter-book", path=Path(sys.executable).parent)
    command = [jupyter_book, "build", ROOT / "book", "--path-output", out, "-W", "--keep-going"]
    finished = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", errors="replace", check=False)
    assert finished.returncode == 0, finished.stdout[-4000:] + finished.stderr[-8000:]
    if chapters:
        assert finished.stdout.count("Using cached notebook") == len(chapters), finished.stdout
    for kind in ("pdf", "epub"):
        subprocess.run([sys.executable, ROOT / "book" / "printed.py", kind, out / "_build" / "html"], check=True)


@pytest.fixture(scope="session")
def address(site, tmp_path_factory):
    """Where the site is served, below a path, as on a course's server."""
    root = tmp_path_factory.mktemp("server")
    shutil.copytree(site, root / SUB_PATH.strip("/"))
    with served(root) as server:
        yield server + SUB_PATH


@pytest.fixture(scope="session")
def lab_address(tmp_path_factory):
    """Where the lab of the page is served without the book: a blank page, and the lab's folder beside it."""
    from cracking import write_lab  # here, because it brings Sphinx, which takes two seconds

    root = tmp_path_factory.mktemp("lab")
    write_lab(root / "lab")
    (root / "blank.html").write_text(
        '<!doctype html><html lang="en"><title>The lab</title><link rel="icon" href="data:,">'
    )
    with served(root) as server:
        yield server + "/"


@pytest.fixture(scope="session")
def firefox(tmp_path_factory):
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    if program is None:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)("No Firefox was found.")
    firefox = Firefox(program, tmp_path_factory.mktemp("firefox"))
    yield firefox
    firefox.close()


@pytest.fixture
def visit(browser, address):
    visit = Visit(browser, address)
    yield visit
    assert visit.faults == []
    visit.page.context.close()
