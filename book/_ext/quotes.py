"""What evaluates the numbers and checks of a chapter's text in its kernel, while the book is built.

Cells that call this are inserted by ``chapters.py``; ``mnist_helpers/glue.py`` says what text may quote.
"""

import hashlib
import json
import re
from pathlib import Path

from IPython import get_ipython

from mnist_helpers.glue import NOT_SO, NOT_SO_ELSEWHERE, glue

QUOTE = re.compile(r"\{eval\}`([^`]+)`")
CHECK = re.compile(r"\{eval\}`holds\([^`]+\)`")
_quoted: dict[str, str | int] = {}


def key_of(expression: str) -> str:
    """Give the name under which the value of an expression is glued."""
    return "quote-" + hashlib.sha256(expression.encode()).hexdigest()[:12]


def is_check(expression: str) -> bool:
    """Tell whether what the text quotes is a check, of which nothing is shown."""
    return bool(CHECK.fullmatch(f"{{eval}}`{expression}`"))


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
        shown as ``np.float64(0.5)``), or another value than where it was quoted before; or if it is a check and does
        not hold. The message names the chapter and the sentence.
    """
    if expression in _quoted:
        _check(expression, chapter)
    else:
        _quoted[expression] = _evaluated(expression, chapter)
        if not is_check(expression):
            glue(key_of(expression), _quoted[expression], display=False)


def check_quotes(chapter: str) -> None:
    """Evaluate each expression that the text of a chapter has quoted again.

    Raises
    ------
    ValueError
        If one gives another value now, as it would in JupyterLab, which evaluates the text when the last cell has run;
        or if a sentence of another page, which this chapter checks, does not hold. The message names the chapter or the
        page, and the sentence.
    """
    for expression in _quoted:
        _check(expression, chapter)
    for name in NOT_SO_ELSEWHERE:
        raise ValueError(f"{_place_elsewhere(name, chapter)} does not hold: {name} is false in this build.")


def _check(expression: str, chapter: str) -> None:
    before, now = _quoted[expression], _evaluated(expression, chapter)
    if now != before:
        raise ValueError(
            f"{_place(expression, chapter)} quotes {expression}, which is {before} there and {now} further on; "
            "JupyterLab shows what it is when the last cell has run. Use the name for one thing only."
        )


def _evaluated(expression: str, chapter: str) -> str | int:
    try:
        value = eval(expression, get_ipython().user_ns)  # noqa: S307
    except Exception as error:
        raise ValueError(
            f"{_place(expression, chapter)} quotes {expression}, which cannot be evaluated: "
            f"{type(error).__name__}: {error}"
        ) from None
    if value == NOT_SO and is_check(expression):
        raise ValueError(f"{_place(expression, chapter)} does not hold in this build: {expression} is false.")
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
        if title_of(cells) == chapter:
            text = "\n\n".join(["".join(cell["source"]) for cell in cells] + [alt_of(cell) for cell in cells])
            return _with_sentence(chapter, text, f"{{eval}}`{expression}`")
    return chapter


def _place_elsewhere(name: str, chapter: str) -> str:
    """Name the page and the sentence that a name is glued for."""
    for path in Path("../book").glob("*.md"):
        text, mark = path.read_text(encoding="utf-8"), f"::{name}"
        if mark in text:
            return _with_sentence(path.name, text, mark)
    return f"{chapter}: a sentence of another page"


def _with_sentence(place: str, text: str, mark: str) -> str:
    for sentence in re.split(r"(?<=[.:!?|])\s+|\n\n", text):
        if mark in sentence:
            return f"{place}: “{CHECK.sub('', sentence)}”"
    return place


def alt_of(cell: dict) -> str:
    """Give the alt text of a cell's figure; empty if there is none."""
    return cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "")


def title_of(cells: list[dict]) -> str:
    """Give a chapter's title: the first heading of its first cell."""
    heading = re.match(r"# (.+)", "".join(cells[0]["source"]))
    return heading[1] if heading else "A chapter without a title"
