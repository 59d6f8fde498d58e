"""Widgets of ipywidgets in a page, where no kernel answers: what they showed when the chapter had run, as a still.

The panels of this book have a still of their own (`mnist_helpers/panels.py`). A reader's own panel has none, and a
page would show its ``repr``.
"""

import html
from pathlib import Path

import nbformat
from docutils import nodes
from jupyter_cache import get_cache

VIEW = "application/vnd.jupyter.widget-view+json"
STATE = "application/vnd.jupyter.widget-state+json"
HOW = "This is a still: run this notebook in JupyterLab (<code>make lab</code>), and it answers."


def stills(executed: nbformat.NotebookNode) -> dict[str, str]:
    """Give the still of each widget that a notebook shows without HTML of its own, by its ``repr``."""
    models = executed.metadata.get("widgets", {}).get(STATE, {}).get("state", {})
    shown = [output.get("data", {}) for cell in executed.cells for output in cell.get("outputs", ())]
    return {
        data["text/plain"]: f'<figure class="widget-still">{still(models, data[VIEW]["model_id"])}'
        f"<figcaption>{HOW}</figcaption></figure>"
        for data in shown
        if VIEW in data and "text/html" not in data
    }


def still(models: dict, name: str) -> str:
    """Write a widget, and what is in it, as HTML that cannot be moved.

    Raises
    ------
    KeyError
        If it is a kind of widget that has no still yet.
    """
    kind, state = models[name]["model_name"], models[name]["state"]
    label = html.escape(state.get("description") or "")
    match kind:
        case "VBoxModel":
            return "".join(still(models, child.removeprefix("IPY_MODEL_")) for child in state["children"])
        case "IntSliderModel":
            numbers = " ".join(f'{key}="{state[key]}"' for key in ("min", "max", "value"))
            return f'<div><label>{label} <input type="range" {numbers} disabled></label> {state["value"]}</div>'
        case "ButtonModel":
            return f"<div><button disabled>{label}</button></div>"
        case "OutputModel":
            text = "".join(output["text"] for output in state["outputs"] if output["output_type"] == "stream")
            return f"<pre>{html.escape(text)}</pre>"
    raise KeyError(f"there is no still of a {kind}; expected one in book/_ext/widget_stills.py.")


def put_stills(app, doctree, docname) -> None:
    """Put the stills into a page, in the place of the text that stands for a widget."""
    path = Path(app.outdir).parent / "jupyter_execute" / f"{docname}.ipynb"
    if app.builder.format != "html" or not path.exists():
        return
    # What myst-nb leaves there has no outputs if they came from the cache.
    cache = get_cache(app.config.nb_execution_cache_path)
    _, executed = cache.merge_match_into_notebook(nbformat.read(path, as_version=4))
    found = stills(executed)
    for text in list(doctree.findall(nodes.literal_block)):
        if text.astext() in found:
            text.replace_self(nodes.raw("", found[text.astext()], format="html"))


def setup(app):
    app.connect("doctree-resolved", put_stills)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
