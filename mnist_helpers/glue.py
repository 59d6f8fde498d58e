"""Hand values from a chapter's cells to its text, and to the other pages of the book. Floor 1 of the package.

A chapter quotes a number in place, as an expression: ``{eval}`f"{accuracy:.1%}"```. JupyterLab evaluates it with the
reader's own kernel, after the last cell has run. The build has `quote` evaluate it where it stands, and `check_quotes`
once more at the end, so that both show the same. Other pages quote by a name, which `glue` gives a value.

myst-nb's own ``glue`` leaves the same mark in a cell's output, and imports the whole of Sphinx for it, which takes two
seconds a chapter.
"""

import hashlib
import json
import re
from pathlib import Path

from IPython import get_ipython
from IPython.core.formatters import format_display_data
from IPython.display import display as show

QUOTE = re.compile(r"\{eval\}`([^`]+)`")
_HIDDEN = "application/papermill.record/"
_quoted: dict[str, str | int] = {}


def glue(name: str, value: object, display: bool = True) -> None:
    """Keep what Jupyter would display of a value under a name, for the pages of the book to quote.

    Parameters
    ----------
    name : str
        The key that ``{glue:text}`` and its kin quote it by.
    value : object
        Anything that can be displayed.
    display : bool
        Whether to display it here too.
    """
    bundle, metadata = format_display_data(value)
    prefix = "" if display else _HIDDEN
    mark = {"scrapbook": {"name": name, "mime_prefix": prefix}}
    show({prefix + kind: content for kind, content in bundle.items()}, raw=True, metadata=metadata | mark)


def key_of(expression: str) -> str:
    """Give the name under which the value of an expression is glued."""
    return "quote-" + hashlib.sha256(expression.encode()).hexdigest()[:12]


def quote(expression: str, chapter: str) -> None:
    """Evaluate an expression of the text among the notebook's names, and glue its value if it is quoted first here.

    Parameters
    ----------
    expression : str
        What stands between the backticks of ``{eval}`` in the text.
    chapter : str
        The title of the chapter whose text it is, which an error names.

    Raises
    ------
    ValueError
        If it cannot be evaluated, or gives anything but a string or an ``int`` (a NumPy number, for one, would be
        shown as ``np.float64(0.5)``), or another value than where it was quoted before. The message names the chapter
        and the sentence.
    """
    if expression in _quoted:
        _check(expression, chapter)
    else:
        _quoted[expression] = _evaluated(expression, chapter)
        glue(key_of(expression), _quoted[expression], display=False)


def check_quotes(chapter: str) -> None:
    """Evaluate each expression that the text of a chapter has quoted again.

    Raises
    ------
    ValueError
        If one gives another value now, as it would in JupyterLab, which evaluates the text when the last cell has run.
        The message names the chapter and the sentence.
    """
    for expression in _quoted:
        _check(expression, chapter)


def _check(expression: str, chapter: str) -> None:
    before, now = _quoted[expression], _evaluated(expression, chapter)
    if now != before:
        raise ValueError(
            f"{_place(expression, chapter)} quotes {expression}, which is {before} there and {now} further on; "
            "JupyterLab shows what it is when the last cell has run. Use the name for one thing only."
        )


def _evaluated(expression: str, chapter: str) -> str | int:
    try:
        value = eval(expression, get_ipython().user_ns)
    except Exception as error:
        raise ValueError(
            f"{_place(expression, chapter)} quotes {expression}, which cannot be evaluated: "
            f"{type(error).__name__}: {error}"
        ) from None
    if type(value) not in (str, int):
        raise ValueError(
            f"{_place(expression, chapter)} quotes {expression}, which is a {type(value).__name__}. Quote a string or "
            'an int: an f-string, such as f"{accuracy:.1%}", says how many digits are shown.'
        )
    return value


def _place(expression: str, chapter: str) -> str:
    """Name the chapter and the sentence that quote an expression; the kernel runs in the chapter's folder."""
    for path in Path().glob("*.ipynb"):
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        if title_of(cells) != chapter:
            continue
        for sentence in re.split(r"(?<=[.:!?|])\s+|\n\n", "\n\n".join("".join(cell["source"]) for cell in cells)):
            if f"{{eval}}`{expression}`" in sentence:
                return f"{chapter}: “{sentence}”"
    return chapter


def title_of(cells: list[dict]) -> str:
    """Give a chapter's title: the first heading of its first cell."""
    heading = re.match(r"# (.+)", "".join(cells[0]["source"]))
    return heading[1] if heading else "A chapter without a title"
