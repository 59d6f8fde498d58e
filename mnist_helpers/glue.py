"""Hand a value from a chapter's cell to its text. Floor 1 of the package.

myst-nb's own ``glue`` leaves the same mark in a cell's output, and imports the whole of Sphinx for it, which takes two
seconds a chapter.
"""

from IPython.core.formatters import format_display_data
from IPython.display import display as show

_HIDDEN = "application/papermill.record/"


def glue(name: str, value: object, display: bool = True) -> None:
    """Keep what Jupyter would display of a value under a name, for the text to quote.

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
