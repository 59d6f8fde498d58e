"""Runs tests on one mutant after another, in a process that keeps the browser and the data between them.

First all tests run on what is there, and what each of them runs is noted. A mutant then meets the tests that ran its
place, the quickest of a file first, until one fails: it is noticed. What hangs or crashes is ended and is noticed too;
the next mutant gets another process.
"""

import multiprocessing
import os
import tempfile
import time
from collections import defaultdict
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from _pytest.runner import runtestprotocol

ROOT = Path(__file__).parents[2]
SECONDS = 600  # for what is done before the first test, and for a test of which is not known how long it takes


@dataclass
class Run:
    """How a test went on what is there: its seconds, and the places that it ran."""

    seconds: float
    places: set


class Loop:
    """A plugin of pytest, whose loop runs tests on the mutants that come through a pipe."""

    def __init__(self, bench, runs, pipe):
        self.bench, self.runs, self.pipe, self.watching = bench, runs, pipe, False
        self.own, self.shared = set(), defaultdict(set)  # what a test runs; by file, what its fixtures run

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef, request):
        if not self.watching:
            return (yield)
        self.own |= self.bench.places()
        result = yield
        (self.shared[request.path] if fixturedef.scope == "module" else self.own).update(self.bench.places())
        return result

    def pytest_runtestloop(self, session):
        if not self.runs:
            self.run_all(session.items)
        self.pipe.send(("runs", self.runs))
        items = {item.nodeid: item for item in session.items}
        while mutant := self.pipe.recv():
            try:
                self.bench.take(mutant)
            except Exception as error:
                self.pipe.send(("trouble", f"This cannot be tried ({error}):\n{mutant}"))
            place = self.bench.place(mutant)
            chosen = [items[name] for name, run in self.runs.items() if place in run.places]
            files = list(dict.fromkeys(item.path for item in chosen))
            chosen.sort(key=lambda item: (files.index(item.path), self.runs[item.nodeid].seconds))
            failed = any(map(self.fails, chosen, [*chosen[1:], None]))
            with suppress(Exception):  # a page of a mutant may end with an error too
                session._setupstate.teardown_exact(None if self.bench.starts_anew else folder_of(session.items[0]))
            self.pipe.send(("noticed", failed))
        return True

    def run_all(self, items):
        self.bench.watch()
        self.watching = True
        for item, following in zip(items, [*items[1:], None], strict=True):
            self.pipe.send(("begun", SECONDS))
            self.own = set()
            started = time.monotonic()
            reports = runtestprotocol(item, log=False, nextitem=following or folder_of(item))
            run = Run(time.monotonic() - started, self.own | self.bench.places())
            if any(report.failed for report in reports):
                self.pipe.send(("left out", item.nodeid))
            elif not any(report.skipped for report in reports):
                self.runs[item.nodeid] = run
        for name, run in self.runs.items():
            run.places |= self.shared[ROOT / name.partition("::")[0]]
        self.watching = False

    def fails(self, item, following):
        self.pipe.send(("begun", 15 + 4 * self.runs[item.nodeid].seconds))
        reports = runtestprotocol(item, log=False, nextitem=following or folder_of(item))
        return any(report.failed for report in reports)


def folder_of(item):
    """Stands for a test that follows in another file: fixtures of a file end, those of the session stay."""
    return item.getparent(pytest.Module).parent


def work(pipe, bench, runs):
    """Do it, in a process of its own."""
    bench.start()
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        arguments = [*bench.tests, f"--rootdir={ROOT}", f"--basetemp={os.environ['TMPDIR']}/pytest"]
        code = pytest.main(arguments, plugins=[Loop(bench, runs, pipe), bench])
    pipe.send(("trouble", f"pytest ended with {code!r}"))


class Trials:
    """Tries mutants on a bench, which says which tests there are, and puts a mutant into its place."""

    def __init__(self, bench):
        self.bench, self.runs, self.process = bench, {}, None

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        os.environ["TMPDIR"] = self.folder.name
        return self

    def __exit__(self, *_):
        self.end()
        self.folder.cleanup()

    def begin(self):
        context = multiprocessing.get_context("spawn")
        self.pipe, there = context.Pipe()
        self.process = context.Process(target=work, args=(there, self.bench, self.runs))
        self.process.start()
        there.close()
        self.runs = self.answer("runs")

    def answer(self, to):
        """Wait for a word of the process; None if it hangs or crashes."""
        limit = SECONDS
        while self.pipe.poll(limit):
            try:
                what, value = self.pipe.recv()
            except EOFError:
                return None
            if what == to:
                return value
            if what == "begun":
                limit = value
            elif what == "left out":
                print(f"Left out, because it fails on what is there: {value}", flush=True)
            else:
                raise SystemExit(value)
        return None

    def end(self):
        """End the process and all that it began."""
        if not self.process:
            return
        with suppress(psutil.NoSuchProcess):
            for one in [*psutil.Process(self.process.pid).children(recursive=True), psutil.Process(self.process.pid)]:
                with suppress(psutil.NoSuchProcess):
                    one.kill()
        self.process.join()
        self.process = None

    def notices(self, mutant):
        """Say whether a test notices a mutant."""
        if not self.process:
            self.begin()
            if not self.runs:
                raise SystemExit("The tests hang or crash on what is there.")
        self.pipe.send(mutant)
        failed = self.answer("noticed")
        if failed is None:
            self.end()
        return failed is not False
