"""The book's own state: the page `book/status.md` says with what, when and at what cost each notebook was executed.

It says too of the runs that come with the book which code made them, and the build says it if that is older code.

Seconds and dates are those of the execution cache. The memory is watched from outside while a notebook is executed, as
what its kernel and the processes below it hold together, and lies beside that cache; of a notebook that something else
executed, such as the tests, it is not known.
"""

import json
import platform
import threading
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil
from docutils import nodes
from myst_nb.sphinx_ import NbMetadataCollector
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from mnist_helpers import published
from mnist_helpers.whole_files import write_atomically

SECONDS_BETWEEN_LOOKS = 0.5
OF_THE_KERNELS = "notebooks/"


class MemoryWatch:
    """Looks again and again at how much memory the processes hold that are started meanwhile, below this one."""

    def __init__(self):
        self._others = set(psutil.Process().children(recursive=True))
        self.seen, self._done = 0, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._done.wait(SECONDS_BETWEEN_LOOKS):
            started = set(psutil.Process().children(recursive=True)) - self._others
            self.seen = max(self.seen, held_by(started))

    def most(self) -> int:
        """Give the most bytes that were held at once, and look no longer."""
        self._done.set()
        self._thread.join()
        return self.seen


def held_by(processes: Iterable[psutil.Process]) -> int:
    """Add up the memory of processes."""
    held = 0
    for process in processes:
        with suppress(psutil.Error):  # it has ended meanwhile
            held += process.memory_info().rss
    return held


def begin_to_watch(app, docname, source) -> None:
    """Watch the memory while a notebook is read, because that is when it is executed."""
    if docname.startswith(OF_THE_KERNELS):
        app.env.temp_data["memory watch"] = MemoryWatch()


def keep_memory(app, doctree) -> None:
    """Keep how much a notebook needed beside the cache, and take from there what an earlier build has seen."""
    watch = app.env.temp_data.pop("memory watch", None)
    if watch is None:
        return
    path = Path(app.config.nb_execution_cache_path) / "memory.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    if most := watch.most():  # nothing was started for a notebook that lay in the cache
        known[app.env.docname] = most
        write_atomically(path, json.dumps(known).encode())
    app.env.metadata[app.env.docname]["memory"] = known.get(app.env.docname)


class RunsMark(nodes.General, nodes.Element):
    """Where the notebooks' table is to stand, which is known when all of them have been read."""


class NotebookRuns(SphinxDirective):
    """A table of the notebooks: when each was executed, how long that took, and the most memory that it held."""

    def run(self):
        self.env.metadata[self.env.docname]["tells of notebooks"] = True
        return [RunsMark()]


class PublishedRuns(SphinxDirective):
    """A table of the groups of published runs: how many, when they were trained, and by which code."""

    def run(self):
        for path in (published.__file__, *published.FOLDER.glob("*.json")):
            self.env.note_dependency(path)
        return [table(["group", "runs", "trained", "by"], [of_group(group) for group in published.GROUPS])]


def of_group(group: str) -> list[str]:
    """Say of a group of published runs how many they are, when they were trained, and by which code."""
    runs = published.read(group)
    made = runs.attrs
    if made.get("code") == published.code_of(group):
        by = "this code"
    elif published.is_of_this_code(group):
        by = f"older code; by this code, {made['checked']['run']} came out the same"
    else:
        by = "older code" if "code" in made else "older code, from before its digest was kept"
    return [group, str(len(runs)), made["date"], by]


def say_what_is_older(app) -> None:
    """Name the groups of published runs for which today's code does not stand."""
    if older := [group for group in published.GROUPS if not published.is_of_this_code(group)]:
        logging.getLogger(__name__).info(
            "These published runs are older than the code: %s. `make crack-check`, and so for each group, trains one "
            "of them anew and compares; `make crack` trains all of a group.",
            ", ".join(older),
        )


class Versions(SphinxDirective):
    """A table of the versions of Python and of the packages that are named."""

    required_arguments = 1
    final_argument_whitespace = True

    def run(self):
        rows = [[name, version(name)] for name in self.arguments[0].split()]
        return [table(["package", "version"], [["Python", platform.python_version()], *rows])]


def table(heads: list[str], rows: list[list[str | nodes.Node]]) -> nodes.table:
    """Make a table of texts and links."""
    group, head, body = nodes.tgroup(cols=len(heads)), nodes.thead(), nodes.tbody()
    group += [nodes.colspec(colwidth=1) for _ in heads]
    for part, lines in ((head, [heads]), (body, rows)):
        for line in lines:
            cells = [nodes.Text(cell) if isinstance(cell, str) else cell for cell in line]
            part += nodes.row("", *(nodes.entry("", nodes.paragraph("", "", cell)) for cell in cells))
    group += [head, body]
    return nodes.table("", group)


def row(app, page: str, docname: str) -> list[str | nodes.Node]:
    """Say of a notebook, for a page, what its execution was."""
    title, address = app.env.titles[page].astext(), app.builder.get_relative_uri(docname, page)
    number = app.env.toc_secnumbers.get(page, {}).get("")
    link = nodes.reference("", f"{number[0]}. {title}" if number else title, internal=True, refuri=address)
    done, memory = NbMetadataCollector.get_exec_data(app.env, page), app.env.metadata[page]["memory"]
    executed = f"{datetime.fromtimestamp(done['mtime'], UTC):%Y-%m-%d %H:%M}"
    seconds = f"{done['runtime']:.0f} s" if done["runtime"] is not None else "not known"
    return [link, executed, seconds, f"{memory / 1e9:.1f} GB" if memory else "not known"]


def fill_in(app, doctree, docname) -> None:
    """Put the notebooks' table into its place."""
    for mark in list(doctree.findall(RunsMark)):
        pages = sorted(page for page in app.env.found_docs if page.startswith(OF_THE_KERNELS))
        heads = ["notebook", "executed (UTC)", "seconds", "memory"]
        mark.replace_self(table(heads, [row(app, page, docname) for page in pages]))


def pages_that_tell(app, env) -> list[str]:
    """Name the pages to be written anew, because a notebook may have been executed."""
    return [page for page, kept in env.metadata.items() if "tells of notebooks" in kept]


def setup(app):
    app.add_node(RunsMark)
    app.add_directive("notebook-runs", NotebookRuns)
    app.add_directive("published-runs", PublishedRuns)
    app.add_directive("versions", Versions)
    app.connect("builder-inited", say_what_is_older)
    app.connect("source-read", begin_to_watch)
    app.connect("doctree-read", keep_memory)
    app.connect("env-updated", pages_that_tell)
    app.connect("doctree-resolved", fill_in)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
