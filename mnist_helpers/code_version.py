"""Which code made a run: the digests under which runs are kept in a store, and that published runs carry.

Floor 1 of the package.
"""

import ast
import hashlib
import io
import tokenize
from functools import cache
from importlib.metadata import version
from pathlib import Path

TRAINING_CODE = ("data", "recipe", "run", "model", "augment", "training")
_LIBRARIES = ("tensorflow", "keras", "numpy")


@cache
def code_version() -> str:
    """Give the SHA-256 of the modules that decide a run's result, and of the versions of the libraries they use."""
    libraries = " ".join(version(library) for library in _LIBRARIES)
    return hashlib.sha256(f"{digest_of(TRAINING_CODE)} {libraries}".encode()).hexdigest()


@cache
def digest_of(modules: tuple[str, ...]) -> str:
    """Give a digest of what modules of this package do, 16 hex digits; the same under every version of Python."""
    digest = hashlib.sha256()
    for module in modules:
        source = Path(__file__).with_name(f"{module}.py").read_text(encoding="utf-8")
        digest.update(f"{module}\n{what_it_does(source)}\n".encode())
    return digest.hexdigest()[:16]


def what_it_does(source: str) -> str:
    """Give a program without what only a reader needs: docstrings, comments, blank lines, blanks at a line's end."""
    lines = source.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column]
    for node in ast.walk(ast.parse(source)):
        documented = isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        if documented and ast.get_docstring(node) is not None:
            docstring = node.body[0]
            lines[docstring.lineno - 1 : docstring.end_lineno] = [""] * (docstring.end_lineno - docstring.lineno + 1)
    return "\n".join(line.rstrip() for line in lines if line.strip())
