"""Change the panels' programs in small ways, one at a time, and count the changes that some test in a browser notices.

    python tests/mutants/javascript.py                 # every module
    python tests/mutants/javascript.py session.js      # one of them

`make check` leaves browsers out; these programs run in one, so here those of its tests take part that `MODULES` names.
The browser stays open, and is served the changed program in the place of the one that is there. The site has to be
built (`make book`), for the tests that open its pages.

What is changed are signs, comparisons, numbers up to ten, truth values, conditions, words in small letters, and
statements and calls that are left out. What is seen alone is left as it is: the attributes and texts of elements,
styles, classes, where in a drawing something stands, and sentences for readers; so are tables of more than ten values.
Of a module with more than `MOST` changes as many are drawn, the same each time.
"""

import functools
import hashlib
import http.server
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import tree_sitter_javascript
from playwright.sync_api import Browser, Error, expect
from record import Mutant, measure, mutant
from tree_sitter import Language, Node, Parser
from trials import Trials

MOST = 25  # changes of a module
ROOT = Path(__file__).parents[2]
SITE = ROOT / "book" / "_build" / "html"
FOLDERS = {"lab/panel/": ROOT / "mnist_helpers" / "panel", "lab/": ROOT / "book" / "lab"}
# Which tests run a module; jupyter_widget.js runs in JupyterLab alone, and takes no part.
MODULES = {
    "session.js": "session kept_runs",
    "engine_protocol.js": "protocol session",
    "npz.js": "npz",
    "run_file.js": "network_file",
    "kept_runs.js": "kept_runs",
    "own_images.js": "own_images",
    "setting_in_address.js": "setting_in_address runs_table hostile_input",
    "keras_program.js": "protocol lab",
    "training_worker.js": "protocol session lab",
    "charts.js": "charts predicting runs_table lab",
    "recipe_settings.js": "session lab",
    "runs_table.js": "runs_table predicting",
    "challenge_view.js": "challenges",
    "compare_view.js": "runs_table",
    "step_view.js": "learning_panels",
    "descent_view.js": "learning_panels",
    "run_files.js": "runs_table",
    "drawn_digit.js": "session hostile_input",
    "network_asked.js": "session own_images",
    "worker_engine.js": "session lab",
    "small_network.js": "small_network lab",
    "elements.js": "learning_panels predicting runs_table",
    "gradients_chart.js": "gradients_chart lab",
    "retrain_view.js": "predicting runs_table lab",
    "draw_view.js": "lab own_images",
    "explore_view.js": "lab own_images",
    "images_note.js": "own_images",
    "keras_band.js": "lab own_images",
    "retrain_in_page.js": "own_images runs_table lab",
    "lab_element.js": "own_images runs_table lab",
}
PARSER = Parser(Language(tree_sitter_javascript.language()))


# ---------------------------------------------------------------- the changes

SIGNS = {
    "<": "<=", "<=": "<", ">": ">=", ">=": ">", "===": "!==", "!==": "===", "==": "!=", "!=": "==",
    "+": "-", "-": "+", "*": "/", "/": "*", "%": "*", "**": "*", "&": "|", "|": "&", "^": "&", ">>": "<<", ">>>": "<<",
    "+=": "-=", "-=": "+=", "*=": "/=", "/=": "*=", "??=": "=", "||=": "=",
    "&&": "||", "||": "&&", "++": "--", "--": "++",
}  # fmt: skip
METHODS = {
    "min": "max", "max": "min", "floor": "ceil", "ceil": "floor",
    "some": "every", "every": "some", "find": "findLast", "findLast": "find",
}  # fmt: skip
FORGOTTEN = {"filter", "sort", "reverse", "slice", "trim", "flat"}  # calls that one may leave out
TEXTS = {"string", "template_string"}
DRAWN = {"class", "style", "d", "x", "y", "cx", "cy", "r", "width", "height", "viewBox"}
PLACED = {"x", "y", "left", "right", "top", "bottom", "width", "height", "along", "straight", "anchor"}


def changes(node: Node) -> Iterator[tuple[Node, bytes]]:
    """Give what could be put into a node's place, or a part of it, by mistake."""
    operator = node.child_by_field_name("operator")
    sign = operator.text.decode() if operator else ""
    match node.type:
        case "binary_expression" if sign == "??":
            yield node, node.child_by_field_name("left").text
        case "binary_expression" | "augmented_assignment_expression" if sign in SIGNS and not is_text(node):
            yield operator, SIGNS[sign].encode()
        case "unary_expression" if sign in ("!", "-"):
            yield node, node.child_by_field_name("argument").text
        case "update_expression" if node.parent.type != "for_statement":
            yield operator, SIGNS[sign].encode()
        case "true" | "false":
            yield node, b"false" if node.type == "true" else b"true"
        case "number" if re.fullmatch(r"\d|10", node.text.decode()):
            yield node, b"%d" % (int(node.text) + 1)
        case "string" if re.fullmatch(r"\"[a-z][\w-]*\"", node.text.decode()):
            yield node, b'""'
        case "property_identifier" if node.text.decode() in METHODS and node.parent.type == "member_expression":
            yield node, METHODS[node.text.decode()].encode()
        case "call_expression" if called(node) in FORGOTTEN:
            yield node, node.child_by_field_name("function").child_by_field_name("object").text
        case "ternary_expression":
            if not is_turned_elsewhere(node.child_by_field_name("condition")):
                first, second = (node.child_by_field_name(name) for name in ("consequence", "alternative"))
                between = node.text[first.end_byte - node.start_byte : second.start_byte - node.start_byte]
                head = node.text[: first.start_byte - node.start_byte]
                yield node, head + second.text + between + first.text
        case "if_statement":
            condition = node.child_by_field_name("condition")
            if not is_turned_elsewhere(condition.named_child(0)):
                yield condition, b"(!" + condition.text + b")"
        case "throw_statement":
            yield node, b";"
        case "return_statement" if not node.named_child_count:
            yield node, b";"
        case "expression_statement" if node.named_child(0).type not in TEXTS and called(node.named_child(0)) != "super":
            yield node, b";"


def is_text(node: Node) -> bool:
    """Say whether a sum puts texts together."""
    if node.text.startswith(b"(") and node.named_child_count == 1:
        return is_text(node.named_child(0))
    sides = [node.child_by_field_name(name) for name in ("left", "right")]
    return node.type in TEXTS or (None not in sides and any(map(is_text, sides)))


def is_turned_elsewhere(condition: Node) -> bool:
    """Say whether another change turns this condition round."""
    operator = condition.child_by_field_name("operator")
    return operator is not None and operator.text in (b"!", b"===", b"!==", b"==", b"!=")


def called(node: Node) -> str:
    """Give the name of what a call calls, or an empty text."""
    function = node.child_by_field_name("function") if node.type == "call_expression" else None
    return re.split(rb"[.?]", function.text)[-1].decode() if function else ""


def places(node: Node) -> Iterator[Node]:
    """Go through the nodes in which a change is a mistake that counts, and not one of looks or of words."""
    parts = list(node.named_children)
    if node.type in ("import_statement", "comment", "regex", "template_string"):
        return
    if node.type == "array" and len(parts) > 10:  # a table
        return
    if node.type == "variable_declarator" and is_placed(node):
        return
    if node.type == "expression_statement" and re.search(rb"\.(style|classList|className)\b", node.text):
        return
    if node.type == "call_expression":
        arguments = list(node.child_by_field_name("arguments").named_children)
        match called(node):
            case "h" | "button" | "field" | "slider" | "picture" | "sample":
                parts = [part for argument in arguments for part in shown(argument)]
            case "say" | "querySelector" | "querySelectorAll" | "Error":
                parts = [argument for argument in arguments if argument.type not in TEXTS]
            case "write" | "box":
                parts = [argument for argument in arguments if argument.type not in (*TEXTS, "binary_expression")]
            case "setAttribute" | "toggleAttribute" if arguments[0].text.decode().strip('"') in DRAWN:
                return
    if node.type == "new_expression" and node.child_by_field_name("constructor").text == b"Error":
        return
    yield node
    for part in parts:
        if not (node.type == "pair" and part == node.child_by_field_name("key")):
            yield from places(part)


def is_placed(declarator: Node) -> bool:
    """Say whether a name is that of a place in a drawing, and not of a function, which places what was measured."""
    name, value = (declarator.child_by_field_name(part) for part in ("name", "value"))
    return name.text.decode() in PLACED and value is not None and value.type != "arrow_function"


def shown(argument: Node) -> list[Node]:
    """Give of an argument of what makes an element the parts that are no looks: of attributes, what it listens to."""
    if argument.type == "object":
        pairs = [child for child in argument.named_children if child.type == "pair"]
        return [pair for pair in pairs if pair.child_by_field_name("key").text.startswith(b"on")]
    return [] if argument.type in TEXTS else [argument]


def blocks(node: Node) -> Iterator[Node]:
    """Go through what is run as a whole: the blocks, and the expressions that are a function."""
    body = node.child_by_field_name("body") if node.type == "arrow_function" else None
    if node.type == "statement_block":
        yield node
    elif body and body.type != "statement_block":
        yield body
    for child in node.named_children:
        yield from blocks(child)


class Program:
    """A module's text and its blocks, which are counted from 1; 0 is the module itself."""

    def __init__(self, name: str):
        self.name = name
        below, folder = next(pair for pair in FOLDERS.items() if (pair[1] / name).exists())
        self.address, self.path = below + name, folder / name
        self.content = self.path.read_bytes()
        self.tree = PARSER.parse(self.content).root_node
        self.blocks = [self.tree, *blocks(self.tree)]

    @functools.cached_property
    def mutants(self) -> dict[str, tuple[Mutant, int]]:
        """Give at most ``MOST`` mutants, each with the number of its block.

        Their names stay as long as that block stays, or, outside of all, the statement or the field.
        """
        found = {}
        for place in places(self.tree):
            for node, new in changes(place):
                start, end = node.start_byte, node.end_byte
                after = self.content[:start] + new + self.content[end:]
                if PARSER.parse(after).root_node.has_error:
                    continue
                number = max(i for i, block in enumerate(self.blocks) if block.start_byte <= start < block.end_byte)
                outer = self.blocks[number] if number else node
                while not number and outer.parent.type not in ("program", "class_body"):
                    outer = outer.parent
                changed = self.content[outer.start_byte : start] + new + self.content[end : outer.end_byte]
                name = hashlib.sha256(self.name.encode() + changed).hexdigest()
                found[name] = mutant(self.name, self.content.decode(), after.decode()), number
        return dict(sorted(found.items())[:MOST])

    def watched(self) -> bytes:
        """Give the text with a word to the console, said once in a test, for each block that is run."""
        told = f"ran {self.name} "
        said = f'const ran__ = (block, what = "{told}" + block, all = (globalThis.ran__ ??= new Set())) => {{ '
        parts = [(0, said + "if (!all.has(what)) all.add(what), console.debug(what); }; ran__(0); ")]
        for number, block in list(enumerate(self.blocks))[1:]:
            if block.type == "statement_block":
                parts.append((block.start_byte + 1, f" ran__({number}); "))
            else:
                parts += [(block.start_byte, f"(ran__({number}), "), (block.end_byte, ")")]
        result, place = b"", 0
        for at, text in sorted(parts, key=lambda part: part[0]):
            result += self.content[place:at] + text.encode()
            place = at
        return result + self.content[place:]


# ---------------------------------------------------------------- the tests, in a browser


class Bench:
    """Serves changed programs to the browser, and hears from it which blocks a test ran (trials.py)."""

    name = "javascript"
    starts_anew = False  # the browser stays
    options = ("-k", "not firefox and not kernel")  # of what runs in another browser, or in none, nothing is heard here

    def __init__(self, names: list[str]):
        names = dict.fromkeys(name for module in names for name in MODULES[module].split())
        self.files = [ROOT / "tests" / f"test_{name}.py" for name in names]
        self.programs = [Program(name).path for name in MODULES]

    def start(self) -> None:
        self.changed = {name: Program(name) for name in MODULES}
        self.folder = Path(os.environ["TMPDIR"])
        self.instead = {}  # by the end of an address, the file that is served
        self.contexts, self.ran = [], set()
        self.patience = None  # milliseconds that a page may take; a mutant often keeps its tests waiting
        find, open_context = http.server.SimpleHTTPRequestHandler.translate_path, Browser.new_context

        def translate_path(handler, path):
            changed = (str(file) for end, file in self.instead.items() if path.partition("?")[0].endswith(end))
            return next(changed, None) or find(handler, path)

        def new_context(browser, **options):
            context = open_context(browser, **options)
            if self.patience:
                context.set_default_timeout(self.patience)
            context.on("console", self.hear)
            self.contexts.append(context)
            return context

        http.server.SimpleHTTPRequestHandler.translate_path = translate_path
        Browser.new_context = new_context

    def serve(self, texts: dict[str, bytes]) -> None:
        self.instead = {}
        for name, text in texts.items():
            file = self.folder / name
            file.write_bytes(text)
            self.instead[f"/{self.changed[name].address}"] = file

    def watch(self) -> None:
        self.serve({name: program.watched() for name, program in self.changed.items()})

    def take(self, one: Mutant) -> None:
        self.patience = 8_000
        expect.set_options(timeout=self.patience)
        self.serve({one.module: one.source.encode()})

    def place(self, one: Mutant) -> str:
        return f"{one.module} {dict(self.changed[one.module].mutants.values())[one]}"

    def hear(self, message) -> None:
        if found := re.fullmatch(r"ran ((\S+) \d+)", message.text):
            self.ran |= {found[1], f"{found[2]} 0"}

    def places(self) -> set:
        """Give what ran since the last call, and have each page say it again when it runs next."""
        for context in self.contexts:
            for page in context.pages:
                for where in (page, *page.workers):
                    with suppress(Error):
                        where.evaluate("() => globalThis.ran__?.clear()")
        self.contexts = [context for context in self.contexts if context.pages]
        ran, self.ran = self.ran, set()
        return ran

    @pytest.hookimpl(tryfirst=True)
    def pytest_fixture_setup(self, fixturedef, request):
        """Take the site that `make book` has built."""
        if fixturedef.argname == "site":
            fixturedef.cached_result = (SITE, fixturedef.cache_key(request), None)
            return SITE
        return None


def main() -> None:
    names = sys.argv[1:] or list(MODULES)
    with Trials(Bench(names)) as trials:
        for name in names:
            mutants = {key: one for key, (one, _) in Program(name).mutants.items()}
            measure(name, mutants, trials.notices)


if __name__ == "__main__":
    main()
