"""Runs tests on one mutant after another, in a process that keeps the browser and the data between them.

First all tests run on what is there, and what each of them runs is noted, and kept in `.mutants/` as long as neither
they nor the programs change. A mutant then meets the tests that ran its place, the quickest of a file first, until one
fails: it is noticed. What hangs or crashes is ended and is noticed too; the next mutant gets another process. Tests
that take longer than `MOST_SECONDS` together are left out, so a score is a lower bound.
"""

import hashlib
import json
import multiprocessing
import os
import tempfile
import time
from collections import defaultdict
from contextlib import redirect_stderr, redirect_stdout, suppress
from pathlib import Path

import psutil
import pytest
from _pytest.runner import runtestprotocol
from record import KEPT

ROOT = Path(__file__).parents[2]
MOST_SECONDS = 90  # of the tests for a mutant
SECONDS = 600  # for what is done before the first test, and for a test of which is not known how long it takes


class Loop:
    """A plugin of pytest, whose loop runs tests on the mutants that come through a pipe.

    Of each file whose tests have run, `known` has by name how long each took, and the places that it ran.
    """

    def __init__(self, bench, known, pipe):
        self.bench, self.known, self.pipe = bench, known, pipe
        self.watching = False
        self.own, self.shared = set(), set()  # the places that a test runs, and those that the fixtures of its file do

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(self, fixturedef, request):
        if not self.watching:
            return (yield)
        self.own |= self.bench.places()
        result = yield
        (self.shared if fixturedef.scope == "module" else self.own).update(self.bench.places())
        return result

    def pytest_runtestloop(self, session):
        by_file = defaultdict(list)
        for item in session.items:
            by_file[item.path.name].append(item)
        for name, items in by_file.items():
            if name not in self.known:
                self.known[name] = self.watch(items)
                self.pipe.send(("known", (name, self.known[name])))
        self.pipe.send(("ready", True))
        while mutant := self.pipe.recv():
            try:
                self.bench.take(mutant)
            except Exception as error:
                self.pipe.send(("trouble", f"This cannot be tried ({error}):\n{mutant}"))
            chosen = self.chosen(by_file, self.bench.place(mutant))
            failed = any(map(self.fails, chosen, [*chosen[1:], None]))
            with suppress(Exception):  # a page of a mutant may end with an error too
                session._setupstate.teardown_exact(None if self.bench.starts_anew else folder_of(session.items[0]))
            self.pipe.send(("noticed", failed))
        return True

    def watch(self, items):
        """Run the tests of a file on what is there."""
        self.bench.watch()
        self.watching, self.shared, runs = True, set(), {}
        for item, following in zip(items, [*items[1:], None], strict=True):
            self.pipe.send(("begun", SECONDS))
            self.own = set()
            started = time.monotonic()
            reports = runtestprotocol(item, log=False, nextitem=following or folder_of(item))
            seconds, ran = time.monotonic() - started, self.own | self.bench.places()
            if any(report.failed for report in reports):
                self.pipe.send(("left out", item.nodeid))
            elif not any(report.skipped for report in reports):
                runs[item.nodeid] = seconds, ran
        self.watching = False
        return {name: (seconds, sorted(ran | self.shared)) for name, (seconds, ran) in runs.items()}

    def chosen(self, by_file, place):
        """Give the tests that run a place, as (seconds, test)."""
        chosen, left = [], MOST_SECONDS
        for name, items in by_file.items():
            runs = self.known[name]
            meeting = [item for item in items if item.nodeid in runs and place in runs[item.nodeid][1]]
            for seconds, item in sorted(((runs[item.nodeid][0], item) for item in meeting), key=lambda pair: pair[0]):
                if not chosen or seconds <= left:
                    chosen.append((seconds, item))
                    left -= seconds
        return chosen

    def fails(self, chosen, following):
        seconds, item = chosen
        self.pipe.send(("begun", 15 + 4 * seconds))
        reports = runtestprotocol(item, log=False, nextitem=following[1] if following else folder_of(item))
        return any(report.failed for report in reports)


def folder_of(item):
    """Stands for a test that follows in another file: fixtures of a file end, those of the session stay."""
    return item.getparent(pytest.Module).parent


def work(pipe, bench, known):
    """Do it, in a process of its own."""
    bench.start()
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        arguments = [
            *map(str, bench.files),
            *bench.options,
            f"--rootdir={ROOT}",
            f"--basetemp={os.environ['TMPDIR']}/pytest",
        ]
        code = pytest.main(arguments, plugins=[Loop(bench, known, pipe), bench])
    pipe.send(("trouble", f"pytest ended with {code!r}"))


class Trials:
    """Tries mutants on a bench, which says which tests there are, and puts a mutant into its place."""

    def __init__(self, bench):
        self.bench, self.process = bench, None
        self.kept = KEPT / f"{bench.name}.json"
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in bench.programs)).hexdigest()
        self.digests = {path.name: digest + hashlib.sha256(path.read_bytes()).hexdigest() for path in bench.files}
        kept = json.loads(self.kept.read_text(encoding="utf-8")) if self.kept.exists() else {}
        self.kept_runs = {name: pair for name, pair in kept.items() if self.digests.get(name, pair[0]) == pair[0]}

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        os.environ["TMPDIR"] = self.folder.name
        return self

    def __exit__(self, *_):
        self.end()
        self.folder.cleanup()

    def begin(self):
        known = {name: runs for name, (_, runs) in self.kept_runs.items() if name in self.digests}
        context = multiprocessing.get_context("spawn")
        self.pipe, there = context.Pipe()
        self.process = context.Process(target=work, args=(there, self.bench, known))
        self.process.start()
        there.close()
        if not self.answer("ready"):
            raise SystemExit("The tests hang or crash on what is there.")
        if not any(runs for _, runs in self.kept_runs.values()):
            raise SystemExit("No test ran. If they need a browser, is there one? See tests/browsing.py.")

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
            elif what == "known":
                name, runs = value
                self.kept_runs[name] = self.digests[name], runs
                KEPT.mkdir(exist_ok=True)
                self.kept.write_text(json.dumps(self.kept_runs), encoding="utf-8")
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
        self.pipe.send(mutant)
        failed = self.answer("noticed")
        if failed is None:
            self.end()
        return failed is not False
