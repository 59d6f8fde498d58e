"""What can be taken away from the site: a plain notebook of each chapter, and all of them with the helper package.

For a class there are also the exercises without their solutions, and the figures as slides.

The site's download button gives the notebooks, which take the place of their sources in `_sources/`.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from chapters import read
from cracking import ROOT
from handout import HANDOUT, handout
from jupyter_cache import get_cache
from minutes import line, with_line
from plain_notebooks import plain, quoted_values
from slides import SLIDES, slides

from mnist_helpers.whole_files import write_atomically

ZIP = "cracking-99-notebooks.zip"
# The date of what is packed, so that the same content makes the same file: the first that a zip can say.
FIRST_OF_ZIP = int(datetime(1980, 1, 1, tzinfo=UTC).timestamp())
OF_THE_PACKAGE = ("mnist_helpers", "pyproject.toml", "README.md", "LICENSE")


def write_downloads(app, exception) -> None:
    """Put the plain notebooks in place of their sources, and beside the pages a zip of them, handout and slides."""
    if exception or app.builder.format != "html":
        return
    site = Path(app.outdir)
    downloads = site / "downloads"
    downloads.mkdir(exist_ok=True)
    remove_wheels(downloads)
    cache = app.config.nb_execution_cache_path
    wheel = Path(shutil.copy(helper_wheel(Path(cache)), downloads))
    chapters = {}
    with zipfile.ZipFile(downloads / ZIP, "w", zipfile.ZIP_DEFLATED) as everything:
        everything.writestr(zipfile.ZipInfo(wheel.name), wheel.read_bytes(), zipfile.ZIP_STORED)  # packed already
        for page in sorted(name for name in app.env.found_docs if name.startswith("notebooks/")):
            path = site.parent / "jupyter_execute" / f"{page}.ipynb"
            # From the cache, because myst-nb leaves no outputs there for a chapter that it found in the cache itself.
            chapter = read(Path(app.env.doc2path(page)).read_text(encoding="utf-8"))
            _, executed = get_cache(cache).merge_match_into_notebook(chapter, cell_meta=())
            values = quoted_values(path)
            number = chapter_number(path.stem)
            timed = with_line(executed, line(app.env, page))
            notebook = plain(timed, values, number, wheel.name, app.config.html_baseurl)
            written = site / "_sources" / "notebooks" / path.name
            nbformat.write(notebook, written)
            everything.writestr(zipfile.ZipInfo(path.name), written.read_bytes(), zipfile.ZIP_DEFLATED)
            if number:
                chapters[path.name] = notebook
    title, author = app.config.html_title, app.config.author
    nbformat.write(handout(title, chapters), downloads / HANDOUT)
    pages = [site / "notebooks" / f"{Path(name).stem}.html" for name in chapters]
    (downloads / SLIDES).write_text(slides(title, author, pages), encoding="utf-8")


def chapter_number(name: str) -> int | None:
    """Give the number that a chapter's file name begins with, if it does."""
    match = re.match(r"(\d\d)_", name)
    return int(match[1]) if match else None


def helper_wheel(folder: Path) -> Path:
    """Build the helper package's wheel in a folder, unless it is there, from a copy, because building leaves litter."""
    for found in folder.glob("*.whl"):
        if found.stat().st_mtime > (ROOT / "pyproject.toml").stat().st_mtime:
            return found
    remove_wheels(folder)
    with TemporaryDirectory() as copy:
        for name in OF_THE_PACKAGE:
            source = ROOT / name
            if source.is_dir():
                shutil.copytree(source, Path(copy) / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy)
        offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
        command = [sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", copy, copy]
        subprocess.run(command, env=os.environ | {"SOURCE_DATE_EPOCH": str(FIRST_OF_ZIP)}, check=True)
        (wheel,) = Path(copy).glob("*.whl")
        write_atomically(folder / wheel.name, wheel.read_bytes())
    return folder / wheel.name


def remove_wheels(folder: Path) -> None:
    """Clear away the wheels of earlier versions."""
    for wheel in folder.glob("*.whl"):
        wheel.unlink()


def setup(app):
    app.connect("build-finished", write_downloads)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
