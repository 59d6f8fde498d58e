"""Hand values from a chapter's cells to its text, and to the other pages of the book. Floor 1 of the package.

A chapter quotes a number in place, as an expression: ``{eval}`f"{accuracy:.1%}"```. JupyterLab evaluates it with the
reader's own kernel, after the last cell has run; the build does it where it stands and once more at the end, so that
both show the same (``book/_ext/quotes.py``). Other pages quote by a name, which `glue` gives a value.

A sentence that compares ends in a check, ``{eval}`holds(wide > narrow)```, of which the reader sees nothing as long as
it is true. Where it is not, JupyterLab says so after the sentence, and the build stops.

myst-nb's own ``glue`` leaves the same mark in a cell's output, and imports the whole of Sphinx for it, which takes two
seconds a chapter.
"""

import numpy as np
from IPython.core.formatters import format_display_data
from IPython.display import display as show

NOT_SO = " (not so in this run)"
_HIDDEN = "application/papermill.record/"
NOT_SO_ELSEWHERE: list[str] = []  # names under which a sentence of another page was found not to hold


def holds(condition: bool) -> str:
    """Bind a sentence to its numbers: give nothing if they bear it out, and a remark if they do not.

    Parameters
    ----------
    condition : bool
        What the sentence says, in terms of the chapter's names.

    Raises
    ------
    TypeError
        If it is anything else, which would count as true, whatever the numbers.
    """
    if not isinstance(condition, bool | np.bool_):
        raise TypeError(f"holds was given a {type(condition).__name__}; expected True or False, such as a comparison.")
    return "" if condition else NOT_SO


def glue(name: str, value: object, display: bool = True) -> None:
    """Keep what Jupyter would display of a value under a name, for the pages of the book to quote.

    Parameters
    ----------
    name : str
        The key that ``{glue:text}`` and its kin quote it by.
    value : object
        Anything that can be displayed; what ``holds`` gives belongs to a sentence of another page.
    display : bool
        Whether to display it here too.
    """
    if isinstance(value, str) and value == NOT_SO:
        NOT_SO_ELSEWHERE.append(name)
    bundle, metadata = format_display_data(value)
    prefix = "" if display else _HIDDEN
    mark = {"scrapbook": {"name": name, "mime_prefix": prefix}}
    show({prefix + kind: content for kind, content in bundle.items()}, raw=True, metadata=metadata | mark)
