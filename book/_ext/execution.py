"""Where executed chapters are kept: each is executed once for all that its results depend on."""

import hashlib
import os
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


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


def setup(app):
    app.connect("config-inited", set_cache_path)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
