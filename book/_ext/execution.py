"""How the chapters are executed for the site: each once for all that its results depend on, two at a time."""

import hashlib
import os
import re
import shutil
import sys
from pathlib import Path

import joblib
import nbformat
import psutil
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from jupyter_cache.executors.utils import single_nb_execution
from sphinx.errors import ExtensionError
from sphinx.util import logging

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = ROOT / "notebooks"
CHAPTER_MEMORY = 4e9  # the most that a chapter's kernel and workers took together was 3.0 GB
# What a chapter times would be disturbed by another one beside it.
MEASURES_TIME = re.compile(r'perf_counter|\["seconds"\]')

logger = logging.getLogger(__name__)


def execution_cache(build: Path) -> Path:
    """Give the folder of executed chapters, named by all that their results depend on besides their own cells."""
    helpers = sorted((ROOT / "mnist_helpers").glob("[!_]*/*")) + sorted((ROOT / "mnist_helpers").glob("*.py"))
    digest = hashlib.sha256(sys.version.encode())
    for path in [*helpers, ROOT / "requirements.txt"]:
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return build / ".jupyter_cache" / digest.hexdigest()[:16]


def set_cache_path(app, config) -> None:
    """Point myst-nb to the cache, and clear away what was cached for other helpers."""
    build = Path(app.outdir).parent
    current = execution_cache(build)
    config.nb_execution_cache_path = str(current)
    # Training runs are kept under names of their own, which change with the code; no other run is mixed in.
    os.environ.setdefault("MNIST_HELPERS_RUNS", str(build / ".runs"))
    for stale in current.parent.glob("*"):
        if stale != current:
            shutil.rmtree(stale)


def execute_ahead(app) -> None:
    """Execute the chapters that are not in the cache, two at a time; myst-nb executes what is left, one by one.

    A chapter leaves a core idle where it imports, plots, or waits for the last run of a sweep.
    """
    config = app.config
    at_once = min(2, os.cpu_count() or 1, int(psutil.virtual_memory().available / CHAPTER_MEMORY))
    if config.nb_execution_mode != "cache" or at_once < 2:
        return
    cache = get_cache(config.nb_execution_cache_path)
    cached = {record.hashkey for record in cache.list_cache_records()}

    def execute(path: Path, notebook):
        logger.info(f"{path.name}: executing")
        result = single_nb_execution(
            notebook, cwd=str(path.parent), timeout=config.nb_execution_timeout, allow_errors=False
        )
        return path, notebook, result

    waiting = {path: nbformat.read(path, as_version=4) for path in sorted(NOTEBOOKS.glob("*.ipynb"))}
    jobs = [
        joblib.delayed(execute)(path, notebook)
        for path, notebook in waiting.items()
        if cache.create_hashed_notebook(notebook)[1] not in cached
        and not any(MEASURES_TIME.search(cell.source) for cell in notebook.cells if cell.cell_type == "code")
    ]
    for path, notebook, result in joblib.Parallel(at_once, "threading", return_as="generator_unordered")(jobs):
        if result.err:
            raise ExtensionError(f"{path.name}: its execution failed.\n{result.exc_string}") from result.err
        logger.info(f"{path.name}: executed in {result.time:.0f} seconds")
        keep_executed(cache, path, notebook, result.time)


def keep_executed(cache, path: Path, notebook, seconds: float) -> None:
    """Put an executed notebook into the cache, where myst-nb finds it."""
    bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds})
    cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def setup(app):
    app.connect("config-inited", set_cache_path)
    app.connect("builder-inited", execute_ahead)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
