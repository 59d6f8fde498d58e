"""Change the Python package in small ways, one at a time, and count the changes that some test of `make check` notices.

    python tests/mutants/python.py                # every module
    python tests/mutants/python.py training.py    # one of them

The changes are mutmut's and a few of our own; not its runner, which forks after tests have run, when TensorFlow's
threads are lost. Here each change is written into a copy of the repository, and a process that has imported TensorFlow
and computed nothing is forked, in which pytest runs the module's tests until one fails, first those that pass over the
changed line, the quickest first. What takes longer than SECONDS together is left out, and so are the tests of other
modules: a score is a lower bound. The width of a line, the size of a marker and the like are looks, and stay.

Of a module with more than MOST changes as many are drawn, the same each time. Which lines the tests of a file pass over
is kept in `.mutants/` as long as the file is the same.
"""

import contextlib
import functools
import hashlib
import importlib
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import coverage
import libcst as cst
import pytest
from libcst.metadata import ByteSpanPositionProvider, MetadataWrapper
from mutmut.mutation.mutators import mutation_operators, operator_arg_removal, operator_assignment
from record import KEPT, Mutant, measure, mutant

MOST = 20  # changes of a module
SECONDS = 30  # of tests for a change
ROOT = Path(__file__).parents[2]
TREE = KEPT / "tree"
PACKAGE = TREE / "mnist_helpers"
PLUGINS = ("nbmake.pytest_plugin", "_hypothesis_pytestplugin", "pytest_timeout", "xdist.plugin")
# Imported once, before the forks.
SLOW_TO_IMPORT = (
    "tensorflow keras matplotlib.figure scipy.stats pandas joblib IPython anywidget ipywidgets hypothesis nbformat "
    "jupyter_cache playwright.sync_api"
)
# Arguments that ruff, and a test of all files, ask for; and, of figures, those that are looks alone.
LEFT = re.compile(r"strict|encoding|alpha|capsize|linewidths?|markersize|markeredge\w+|pad|zorder")
# The modules in the order of their weight, and the test files of those that have not, or not only, one of their name.
MODULES = (
    "recipe keras_program model data augment run sweep training code_version whole_files statistics network_file "
    "published controls kernel_engine figure pictures plots panels learning_panels glue ideas quiet convolution"
)
TESTED_IN = {
    "recipe": ("recipe", "model", "published", "controls"),
    "sweep": ("sweep", "faults"),
    "kernel_engine": ("kernel_engine", "protocol"),
    "pictures": ("pictures", "figure"),
    "plots": ("plots", "figure"),
    "ideas": ("published",),
}


# ---------------------------------------------------------------- the changes


def changes(node: cst.CSTNode) -> Iterator[tuple[cst.CSTNode, cst.CSTNode]]:
    """Give what could be put into a node's place, or a part of it, by mistake."""
    for kind, operator in mutation_operators:
        if isinstance(node, kind) and operator not in (operator_assignment, operator_arg_removal):
            for new in operator(node):
                yield node, new
                if isinstance(node, cst.BaseString):
                    break  # of its three changes of a text one is enough
    match node:
        case cst.Expr(value=cst.Call() | cst.Yield()) | cst.AugAssign() | cst.Raise() | cst.Del():
            yield node, cst.Pass()
        case cst.Assign(targets=[cst.AssignTarget(target=cst.Attribute() | cst.Subscript()), *_]):
            yield node, cst.Pass()
        case cst.Return(value=cst.BaseExpression()):
            yield node, cst.Return()
        case cst.If() | cst.While() if isinstance(node.test, cst.Name | cst.Attribute | cst.Call):
            yield node.test, cst.UnaryOperation(cst.Not(), node.test)
        case cst.Call():
            for number, argument in enumerate(node.args):
                if argument.keyword and not LEFT.fullmatch(argument.keyword.value):
                    yield node, node.with_changes(args=[*node.args[:number], *node.args[number + 1 :]])
        case cst.List() | cst.Tuple() | cst.Set() | cst.Dict() if len(node.elements) > 1:
            for number in range(len(node.elements)):
                yield node, node.with_changes(elements=[*node.elements[:number], *node.elements[number + 1 :]])


def places(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """Go through the nodes in which a change is a mistake that counts: no annotations, and no words for a person."""
    match node:
        case cst.Annotation() | cst.Import() | cst.ImportFrom() | cst.AssignTarget():
            return
        case cst.Arg(keyword=cst.Name(value=name)) if LEFT.fullmatch(name):
            return
        case cst.Expr(value=cst.SimpleString() | cst.ConcatenatedString()):
            return
        case cst.SimpleString() if " " in node.value:
            return
    yield node
    if not isinstance(node, cst.Raise):
        for child in node.children:
            yield from places(child)


def mutants_of(module: str) -> dict[str, Mutant]:
    """Give at most ``MOST`` mutants, by names that depend on nothing outside of the changed function or class."""
    text = (ROOT / "mnist_helpers" / module).read_text(encoding="utf-8")
    content = text.encode()
    wrapper = MetadataWrapper(cst.parse_module(text), unsafe_skip_copy=True)
    spans = wrapper.resolve(ByteSpanPositionProvider)
    found = {}
    for statement in wrapper.module.body:
        outer = spans[statement]
        for place in places(statement):
            for old, new in changes(place):
                if getattr(old, "lpar", ()):  # a span is what lies between the parentheses
                    new = new.with_changes(lpar=[], rpar=[])
                start, length = spans[old].start, spans[old].length
                code = wrapper.module.code_for_node(new).encode()
                after = content[:start] + code + content[start + length :]
                try:
                    compile(after, module, "exec")
                except SyntaxError:
                    continue
                end = outer.start + outer.length - length + len(code)
                name = hashlib.sha256(module.encode() + after[outer.start : end]).hexdigest()
                if after != content:
                    found[name] = mutant(module, text, after.decode())
    return dict(sorted(found.items())[:MOST])


# ---------------------------------------------------------------- the tests, each time in a fork


class Watch:
    """A plugin that notes which lines each test that passes runs through, and how long it takes."""

    def __init__(self, file):
        self.file, self.seconds, self.failed = file, {}, set()

    def pytest_sessionstart(self):
        self.coverage = coverage.Coverage(data_file=None, config_file=False, include=[f"{PACKAGE}/*.py"])
        self.coverage.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item):
        started = sum(os.times()[:4])  # the processor's, of this process and its children: others may be at work
        self.coverage.switch_context(item.nodeid)
        try:
            return (yield)
        finally:
            self.coverage.switch_context("")
            self.seconds[item.nodeid] = sum(os.times()[:4]) - started

    def pytest_runtest_logreport(self, report):
        if not report.passed:  # skipped, too
            self.failed.add(report.nodeid)

    def pytest_sessionfinish(self):
        self.coverage.stop()
        seconds = {name: spent for name, spent in self.seconds.items() if name not in self.failed}
        self.file.write_text(json.dumps({"seconds": seconds, "lines": self.lines(), "failed": sorted(self.failed)}))

    def lines(self) -> dict[str, dict[str, list[str]]]:
        """Give for each module and line, by its text, because lines may move, the tests."""
        tests, data = defaultdict(lambda: defaultdict(set)), self.coverage.get_data()
        for file in data.measured_files():
            text = Path(file).read_text(encoding="utf-8").splitlines()
            for number, contexts in data.contexts_by_lineno(file).items():
                tests[Path(file).name][text[number - 1].strip()] |= set(contexts) - {"", *self.failed}
        return {module: {line: sorted(names) for line, names in lines.items()} for module, lines in tests.items()}


class Chosen:
    """A plugin that runs the chosen tests alone, in their order."""

    def __init__(self, tests):
        self.order = {name: number for number, name in enumerate(tests)}

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items):
        items[:] = sorted((item for item in items if item.nodeid in self.order), key=lambda i: self.order[i.nodeid])


def pytest_in_a_fork(files, plugin, limit, *options) -> int | None:
    """Run pytest on files of the copy; give its exit code, None if it took longer than the limit."""

    def work():
        os.setsid()
        os.chdir(TREE)
        with (KEPT / "output.txt").open("w") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        sys.path[0] = str(TREE)
        sys.dont_write_bytecode, tempfile.tempdir = True, folder
        os.environ |= {"PYTHONPATH": str(TREE), "TMPDIR": folder, "PYTHONDONTWRITEBYTECODE": "1"}
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # to look for plugins takes as long as many a test
        named = [each for name in PLUGINS for each in ("-p", name)]
        code = pytest.main([*named, *files, *options, "-q", "-m", "not browser and not slow"], plugins=[plugin])
        sys.stdout.flush()
        os._exit(code)

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        process = multiprocessing.get_context("fork").Process(target=work)
        process.start()
        try:
            process.join(limit)
            code = process.exitcode
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # and what its tests have started
            process.join()
    return code


@functools.cache
def watched(file: Path) -> dict:
    """Give what is known of a test file, which is run if it has changed since it was run."""
    kept = KEPT / "tests" / f"{file.stem} {hashlib.sha256(file.read_bytes()).hexdigest()[:16]}.json"
    if not kept.exists():
        pytest_in_a_fork([str(file)], Watch(kept), 600)
    found = json.loads(kept.read_text())
    for name in found["failed"]:
        print(f"left out, because it fails or is skipped without any change: {name}", flush=True)
    return found


def chosen_for(mutant: Mutant) -> dict[str, float]:
    """Give the tests for a mutant and the seconds of each, first those that pass over its line, the quickest first."""
    stem = mutant.module.removesuffix(".py")
    tests = [watched(TREE / "tests" / f"test_{each}.py") for each in TESTED_IN.get(stem, (stem,))]
    seconds = {name: spent for each in tests for name, spent in each["seconds"].items()}
    passing = {name for each in tests for name in each["lines"].get(mutant.module, {}).get(mutant.line, ())}
    # The others too: what runs on import, in another process, as a graph or once for all is not seen to be passed.
    chosen, left = {}, SECONDS
    for name in sorted(seconds, key=lambda name: (name not in passing, seconds[name])):
        if seconds[name] <= left:
            chosen[name] = seconds[name]
            left -= seconds[name]
    return chosen


def is_noticed(mutant: Mutant) -> bool:
    """Tell whether one of the tests fails, or does not end, with the change."""
    tests = chosen_for(mutant)
    if not tests:
        return False
    file = PACKAGE / mutant.module
    before = file.read_text(encoding="utf-8")
    file.write_text(mutant.source, encoding="utf-8")
    try:
        files = dict.fromkeys(name.partition("::")[0] for name in tests)
        return pytest_in_a_fork(files, Chosen(tests), 60 + 10 * sum(tests.values()), "-x") not in (0, 5)
    finally:
        file.write_text(before, encoding="utf-8")


# ---------------------------------------------------------------- all of it


def copy_the_repository() -> None:
    shutil.rmtree(TREE, ignore_errors=True)
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, encoding="utf-8", check=True)
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (TREE / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, TREE / name)


def main() -> None:
    (KEPT / "tests").mkdir(parents=True, exist_ok=True)
    copy_the_repository()
    for name in (*SLOW_TO_IMPORT.split(), *PLUGINS):
        importlib.import_module(name)
    for module in sys.argv[1:] or [f"{name}.py" for name in MODULES.split()]:
        measure(module, mutants_of(module), is_noticed)


if __name__ == "__main__":
    main()
