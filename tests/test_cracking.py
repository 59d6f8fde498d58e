"""What the book's own Sphinx extension does before a page is written."""

import shutil
from pathlib import Path

import cracking
import nbformat
import pytest
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn

ROOT = Path(__file__).parents[1]


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """The book's Sphinx extension, looking at a copy of what it looks at."""
    for folder in ("mnist_helpers", "notebooks"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    (tmp_path / "book").mkdir()
    monkeypatch.setattr(cracking, "ROOT", tmp_path)


class Stub:
    """What the extension reads of an application and writes of its configuration."""

    def __init__(self, outdir):
        self.outdir = outdir


@pytest.mark.parametrize("name", ["global.db", "executed/*/base.ipynb"])
def test_a_damaged_cache_is_cleared_and_a_whole_one_kept(copied, tmp_path, name):
    app = Stub(tmp_path / "_build" / "html")
    cracking.set_cache_path(app, app)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", execution_count=1)])
    nbformat.write(notebook, tmp_path / "opened.ipynb")
    cache = Path(app.nb_execution_cache_path)
    get_cache(cache).cache_notebook_bundle(CacheBundleIn(notebook, str(tmp_path / "opened.ipynb")))
    cracking.set_cache_path(app, app)
    (kept,) = cache.glob(name)
    kept.write_bytes(kept.read_bytes()[:40])
    cracking.set_cache_path(app, app)
    assert not cache.exists()


def test_an_edit_in_a_helper_gives_the_chapters_a_new_cache(copied, tmp_path):
    def cache_path():
        app = Stub(tmp_path / "_build" / "html")
        cracking.set_cache_path(app, app)
        Path(app.nb_execution_cache_path).mkdir(parents=True, exist_ok=True)
        return app.nb_execution_cache_path

    first = cache_path()
    assert cache_path() == first
    (tmp_path / "notebooks" / "01_data_structure.ipynb").write_text("{}")  # jupyter-cache's own concern
    assert cache_path() == first
    seen = {first}
    for edited in ("mnist_helpers/plots.py", "mnist_helpers/data/README.md", "requirements.txt"):
        with (tmp_path / edited).open("a") as file:
            file.write("\n# edited\n")
        seen.add(cache_path())
    assert len(seen) == 4
    assert [path.name for path in (tmp_path / "_build" / ".jupyter_cache").iterdir()] == [Path(cache_path()).name]


@pytest.mark.parametrize("links_allowed", [True, False])
def test_the_chapters_are_brought_below_the_book(copied, tmp_path, monkeypatch, links_allowed):
    def refuse(*_, **__):
        raise OSError("a required privilege is not held")

    if not links_allowed:
        monkeypatch.setattr(Path, "symlink_to", refuse)
    chapter = tmp_path / "book" / "notebooks" / "01_data_structure.ipynb"
    cracking.link_notebooks(tmp_path / "book")
    (tmp_path / "notebooks" / chapter.name).write_text("changed")
    cracking.link_notebooks(tmp_path / "book")
    assert chapter.read_text() == "changed"
    assert (tmp_path / "book" / "notebooks").is_symlink() == links_allowed
