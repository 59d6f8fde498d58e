"""A build that did not come to its end, because of a full disk, Ctrl-C or a warning, is done anew by the next one.

Such a build may leave pages that are half written, and newer than their sources, so that Sphinx would take them for
whole. Therefore a mark stands beside the site from a build's beginning to its good end. Where the next one finds it, it
makes all pages anew; chapters that were executed stay in their cache.
"""

import shutil
from pathlib import Path


def mark_of(app) -> Path:
    """Give the file that is there while a build is at work."""
    return Path(app.outdir).with_suffix(".unfinished")


def begin(app, config) -> None:
    """Set the mark; if an earlier build has left it, clear away what that build wrote."""
    mark = mark_of(app)
    if mark.exists():
        for folder in (app.outdir, app.doctreedir):
            shutil.rmtree(folder, ignore_errors=True)
            Path(folder).mkdir(parents=True)
    mark.touch()


def end(app, exception) -> None:
    """Take the mark away, if all went well."""
    if not exception and not app._warncount:
        mark_of(app).unlink()


def setup(app):
    app.connect("config-inited", begin, priority=0)
    app.connect("build-finished", end, priority=2_000)  # the last
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
