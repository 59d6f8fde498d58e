"""What of Keras the chapters call: the page `book/keras_calls.md` says what each call does, and this adds where.

The calls are read from the code of the notebooks, and from the programs that it prints. A call that the page leaves out
stops the build, and so does one that it explains and no chapter uses.
"""

import ast
import json
import re
from collections import defaultdict
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from mnist_helpers import recipe
from mnist_helpers.keras_program import keras_program

# What a call gives, where that is something of Keras that has calls of its own.
MADE_BY = {
    "keras.Sequential": "model",
    "keras.Model": "model",
    "build_model": "model",
    "compile_model": "model",
    "keras.layers": "layer",
    "keras.losses": "loss",
    "keras.optimizers": "optimizer",
}


class Calls(ast.NodeVisitor):
    """Collects the calls of Keras in a program: functions by their full names, and methods as ``model.fit``."""

    def __init__(self):
        self.found: set[str] = set()
        self.full_names: dict[str, str] = {"keras": "keras"}
        self.kinds: dict[str, str] = {}  # which names are a model, a layer, a loss or an optimiser

    def full_name(self, node: ast.expr) -> str:
        """Give a name with dots as it is without a short form, such as ``keras.layers.Dense``; empty for no name."""
        if isinstance(node, ast.Name):
            return self.full_names.get(node.id, node.id)
        if isinstance(node, ast.Attribute) and (before := self.full_name(node.value)):
            return f"{before}.{node.attr}"
        return ""

    def kind(self, node: ast.expr) -> str | None:
        """Tell what of Keras an expression is, as far as its names and calls show."""
        if isinstance(node, ast.Name):
            return self.kinds.get(node.id)
        if isinstance(node, ast.Attribute):
            return "model" if node.attr == "model" else "optimizer" if node.attr == "optimizer" else None
        if isinstance(node, ast.Call):
            name = self.full_name(node.func)
            return MADE_BY.get(name) or MADE_BY.get(name.rpartition(".")[0]) or self.kinds.get(f"{name}()")
        return None

    def name(self, target: ast.expr, value: ast.expr) -> None:
        """Note what a name stands for from here on."""
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
            for pair in zip(target.elts, value.elts, strict=True):
                self.name(*pair)
        elif isinstance(target, ast.Name) and (kind := self.kind(value)):
            self.kinds[target.id] = kind

    def visit_ImportFrom(self, node):
        if node.module and node.module.split(".")[0] == "keras":
            self.full_names |= {each.asname or each.name: f"{node.module}.{each.name}" for each in node.names}

    def visit_Assign(self, node):
        self.name(node.targets[0], node.value)
        self.generic_visit(node)

    def visit_For(self, node):
        if isinstance(node.iter, ast.Attribute) and node.iter.attr == "layers" and self.kind(node.iter.value):
            self.kinds[node.target.id] = "layer"
        self.generic_visit(node)

    def visit_FunctionDef(self, node):
        self.generic_visit(node)
        for inner in ast.walk(node):
            if isinstance(inner, ast.Return) and inner.value and (kind := self.kind(inner.value)):
                self.kinds[f"{node.name}()"] = kind

    def visit_Call(self, node):
        name = self.full_name(node.func)
        if name.startswith("keras."):
            self.found.add(name)
        elif kind := self.kind(node.func):
            self.found.add(kind)
        elif isinstance(node.func, ast.Attribute) and (kind := self.kind(node.func.value)):
            self.found.add(f"{kind}.{node.func.attr}")
        elif name == "keras_program":
            self.visit(ast.parse(_printed_program(node)))
        self.generic_visit(node)


def _printed_program(call: ast.Call) -> str:
    """Give the program that a chapter prints with ``keras_program``."""
    return keras_program(getattr(recipe, call.args[0].id))


def calls_of(notebook: Path) -> set[str]:
    """Give what of Keras a notebook's code calls, without the lines that are IPython's."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    calls = Calls()
    calls.visit(ast.parse(re.sub(r"^%.*$", "", code, flags=re.MULTILINE)))
    return calls.found


def chapters_by_call(folder: Path) -> dict[str, list[str]]:
    """Give for each call the notebooks of a folder that use it, without their endings, in the order of their names."""
    by_call = defaultdict(list)
    for path in sorted(folder.glob("*.ipynb")):
        for call in calls_of(path):
            by_call[call].append(path.stem)
    return dict(by_call)


class KerasCalls(SphinxDirective):
    """A list of calls, each with what it does, as a definition list; to each call the chapters are added."""

    has_content = True

    def run(self):
        folder = Path(self.env.srcdir) / "notebooks"
        for path in folder.glob("*.ipynb"):
            self.env.note_dependency(str(path))
        if "keras_calls" not in self.env.temp_data:
            self.env.temp_data["keras_calls"] = chapters_by_call(folder)
        by_call = self.env.temp_data["keras_calls"]
        box = nodes.container(classes=["keras-calls"])
        self.state.nested_parse(self.content, self.content_offset, box)
        explained = self.env.temp_data.setdefault("keras_calls_explained", set())
        for term in box.findall(nodes.term):
            call = term.astext().partition("(")[0]
            explained.add(call)
            if call not in by_call:
                raise ExtensionError(f"{self.env.docname} explains {call}, which no chapter calls. Take the line out.")
            term += [nodes.Text(" "), self.places(by_call[call])]
        return [box]

    def places(self, chapters: list[str]) -> nodes.inline:
        """Give links to chapters by their numbers, and to a notebook without one by its name."""
        numbered = [name for name in chapters if name[0].isdigit()]
        places = nodes.inline(classes=["keras-calls-in"])
        places += nodes.Text("chapter " if len(numbered) == 1 else "chapters " if numbered else "")
        for position, name in enumerate(chapters):
            text = str(int(name.partition("_")[0])) if name in numbered else "the lab"
            target = {"refdomain": "std", "reftype": "doc", "reftarget": f"/notebooks/{name}", "refexplicit": True}
            link = addnodes.pending_xref("", nodes.inline("", text), refdoc=self.env.docname, refwarn=True, **target)
            places += [nodes.Text(", " if position else ""), link]
        return places


def check_nothing_is_left_out(app, doctree) -> None:
    """Stop the build if a page explains calls, and a chapter uses one that it does not explain."""
    explained = app.env.temp_data.get("keras_calls_explained", ())
    for call, chapters in sorted(app.env.temp_data.get("keras_calls", {}).items()):
        if call not in explained:
            raise ExtensionError(
                f"{app.env.docname} does not explain {call}, which notebooks/{chapters[0]}.ipynb calls. Add a line."
            )


def setup(app):
    app.add_directive("keras-calls", KerasCalls)
    app.connect("doctree-read", check_nothing_is_left_out)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
