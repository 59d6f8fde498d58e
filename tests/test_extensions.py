"""What the book's own Sphinx extensions do before a page is written."""

import os
import shutil
from pathlib import Path

import cracking
import execution
import nbformat
import pytest
from browsing import notebook
from jupyter_cache import get_cache
from sphinx.errors import ExtensionError

ROOT = Path(__file__).parents[1]


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """The book's Sphinx extensions, looking at a copy of what they look at."""
    for folder in ("mnist_helpers", "notebooks"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "requirements.txt", tmp_path)
    (tmp_path / "book").mkdir()
    for module in (cracking, execution):
        monkeypatch.setattr(module, "ROOT", tmp_path)


class Stub:
    """What the extension reads of an application and writes of its configuration."""

    nb_execution_mode, nb_execution_timeout = "cache", 60

    def __init__(self, outdir):
        self.outdir, self.config = outdir, self


def test_an_edit_in_a_helper_gives_the_chapters_a_new_cache(copied, tmp_path):
    def cache_path():
        app = Stub(tmp_path / "_build" / "html")
        execution.set_cache_path(app, app)
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


@pytest.fixture
def few_chapters(tmp_path, monkeypatch):
    """Four chapters of a line each in place of the book's, and an empty cache."""
    lines = {"slow": "import time\nprint(time.perf_counter())", "one": "print(1)", "two": "print(2)", "bad": "1 / 0"}
    for name, source in lines.items():
        nbformat.write(notebook(source), tmp_path / f"{name}.ipynb")
    monkeypatch.setattr(execution, "NOTEBOOKS", tmp_path)
    monkeypatch.setattr(execution, "CHAPTER_MEMORY", 1)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    app = Stub(tmp_path / "html")
    app.nb_execution_cache_path = str(tmp_path / "cache")
    return app


def test_chapters_are_executed_ahead_but_for_those_that_measure_time(few_chapters, tmp_path, monkeypatch):
    tmp_path.joinpath("bad.ipynb").unlink()
    execution.execute_ahead(few_chapters)
    cache = get_cache(few_chapters.nb_execution_cache_path)
    assert sorted(Path(record.uri).stem for record in cache.list_cache_records()) == ["one", "two"]
    _, merged = cache.merge_match_into_file(tmp_path / "one.ipynb")
    assert merged.cells[0].outputs[0].text == "1\n"
    # What is in the cache is not executed again.
    monkeypatch.setattr(execution, "single_nb_execution", None)
    execution.execute_ahead(few_chapters)


def test_a_chapter_that_fails_ahead_stops_the_build_with_its_name(few_chapters):
    with pytest.raises(ExtensionError, match=r"(?s)bad.ipynb: its execution failed.*ZeroDivisionError"):
        execution.execute_ahead(few_chapters)


@pytest.mark.parametrize("too_small", [{"CHAPTER_MEMORY": 1e15}, {"cores": 1}], ids=["memory", "cores"])
def test_on_a_small_machine_chapters_are_left_to_be_executed_one_by_one(few_chapters, monkeypatch, too_small):
    monkeypatch.setattr(os, "cpu_count", lambda: too_small.get("cores", 2))
    monkeypatch.setattr(execution, "CHAPTER_MEMORY", too_small.get("CHAPTER_MEMORY", 1))
    execution.execute_ahead(few_chapters)
    assert get_cache(few_chapters.nb_execution_cache_path).list_cache_records() == []


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
