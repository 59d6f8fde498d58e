"""A build that did not come to its end leaves nothing that passes for whole: the next one makes all pages anew."""

import sys
from contextlib import contextmanager
from io import StringIO

import pytest
from small_book import OPTIONS, build_small_book
from sphinx.application import Sphinx
from sphinx.util.docutils import docutils_namespace

PAGES = {"one": "# One\n\nThe first page.\n", "two": "# Two\n\nThe second page, as it was.\n"}
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="There is no /dev/full, on which nothing has room.")


@pytest.fixture
def book(tmp_path):
    build_small_book(tmp_path, PAGES, "unfinished")
    (tmp_path / "two.md").write_text("# Two\n\nThe second page, changed.\n", encoding="utf-8")
    return tmp_path


@contextmanager
def building(folder):
    """Give Sphinx as `make book` calls it, and what it complains of."""
    complaints = StringIO()
    options = OPTIONS | {"extensions": ["myst_parser", "unfinished"]}
    with docutils_namespace():
        yield (
            Sphinx(
                *(folder, None, folder / "_out", folder / "_trees", "html", options),
                status=None,
                warning=complaints,
                warningiserror=True,
                keep_going=True,
            ),
            complaints,
        )


def on_a_full_disk(folder):
    page = folder / "_out" / "two.html"
    page.unlink()
    page.symlink_to("/dev/full")
    with building(folder) as (app, complaints):
        app.build()
        assert app.statuscode == 1
        assert "No space left on device" in complaints.getvalue()
    page.unlink()


def interrupted(folder):
    def interrupt(app, page, template, context, doctree):
        if page == "two":
            raise KeyboardInterrupt

    with building(folder) as (app, _):
        app.connect("html-page-context", interrupt)
        with pytest.raises(KeyboardInterrupt):
            app.build()


@pytest.mark.parametrize("stop", [pytest.param(on_a_full_disk, marks=on_linux), interrupted])
def test_a_build_that_was_stopped_is_made_anew(book, stop):
    stop(book)
    (book / "_out" / "two.html").write_text("<html>The second pa", encoding="utf-8")  # half of it
    (book / "_out" / "one.html").write_text("<html>", encoding="utf-8")
    with building(book) as (app, _):
        app.build()
        assert app.statuscode == 0
    for name, text in {"one": "The first page.", "two": "The second page, changed."}.items():
        page = (book / "_out" / f"{name}.html").read_text(encoding="utf-8")
        assert text in page
        assert page.endswith("</html>")
    assert not (book / "_out.unfinished").exists()


def test_a_build_that_came_to_its_end_is_gone_on_from(book):
    before = (book / "_out" / "one.html").stat().st_mtime_ns
    with building(book) as (app, _):
        app.build()
    assert (book / "_out" / "one.html").stat().st_mtime_ns == before
    assert "changed" in (book / "_out" / "two.html").read_text(encoding="utf-8")
