"""Plain notebooks: the chapters as they were executed, for readers who have nothing but Jupyter, Colab or VS Code.

They are made from the executed notebooks that a build leaves, and hold no MyST: the numbers of the text are filled in,
admonitions are quotes, or, folded, `<details>`, solutions stand at the end, and what is of the site alone is gone.
What they use is rendered by JupyterLab (`tests/test_chapters_in_jupyterlab.py`) and, as far as it can be looked up:

- VS Code: Markdown with HTML in it, in a trusted folder (microsoft/vscode, `extensions/markdown-language-features/
  notebook/index.ts`), formulas between dollars (`extensions/markdown-math`), and widgets (the wiki of
  microsoft/vscode-jupyter, "Component: IPyWidgets").
- Colab: HTML in Markdown (googlecolab/colabtools, issue 5923), and headings that begin folded (`collapsed_sections`;
  shawnrhoads/gu-psyc-347, issue 165).
- Both, and JupyterLab: panels made with anywidget (Manz, Abdennur and Gehlenborg, "Any notebook served", Proceedings
  of the 23rd Python in Science Conference, 2024).
"""

import ast
import json
import re
import textwrap
from pathlib import Path

import nbformat
from markdown_it import MarkdownIt
from nbformat.v4 import new_code_cell, new_markdown_cell
from quotes import alt_of
from streams import as_printed

from mnist_helpers.figure import svg_image

VALUE = re.compile(r"\{glue:text\}`([\w-]+)`")
ADMONITION = re.compile(r"^:::\{admonition\} (.+)\n:class: (\w+)\n(.*?)\n:::$", re.DOTALL | re.MULTILINE)
PAGE = re.compile(r"\[([^\]]+)\]\(\.\./([\w/]+)\.md(#[\w-]+)?\)")
SECTION = re.compile(r"(\.ipynb)#[\w-]+\)")
STILL = re.compile(r"<mnist-lab[^>]*>(.*)</mnist-lab>", re.DOTALL)
HOW = re.compile(r'<span class="panel-how">.*?</span>', re.DOTALL)
BESIDE = "\n# It lies beside the notebooks in the zip of all chapters, on the front page of the book."
SOLUTION, SOLUTIONS = "#### Solution", "solutions"
INSTALL = """\
# The helper package of the book, if it is missing.{where}
import importlib.util

if importlib.util.find_spec("mnist_helpers") is None:
    %pip install --quiet {wheel}"""


def plain(
    executed: nbformat.NotebookNode, values: dict[str, str | int], chapter: int | None, wheel: str, site: str
) -> nbformat.NotebookNode:
    """Make a plain notebook of a chapter.

    Parameters
    ----------
    executed : NotebookNode
        The chapter as it was read for the site, with outputs.
    values : dict of str to str or int
        What its text quotes, by key.
    chapter : int or None
        Its number, for its figures; None if it has none.
    wheel : str
        The file name of the helper package's wheel.
    site : str
        The address of the site, with a slash at its end; empty as long as there is none. Links to pages of the site
        are then text, and the wheel is looked for beside the notebook.
    """
    cells, solutions = [new_code_cell(_install(wheel, site), id="install")], []
    place, exercise, figures = cells, "", 0
    for cell in executed.cells:
        if "remove-cell" in cell.metadata.get("tags", ()):
            continue
        if cell.cell_type == "markdown":
            text = in_plain_markdown(cell.source, values, site)
            if text == SOLUTION:
                place, text = solutions, f"### Solution: {exercise}"
            elif heading := re.match(r"#{1,3} (.+)", text):
                place, exercise = cells, heading[1]
            place.append(new_markdown_cell(text, id=cell.id))
            continue
        options = cell.metadata.get("mystnb", {})
        alt = in_plain_markdown(alt_of(cell), values, site)
        outputs = [in_plain_output(output, alt) for output in as_printed(cell.outputs)]
        place.append(new_code_cell(cell.source, id=cell.id, outputs=outputs, execution_count=cell.execution_count))
        if "figure" in options:
            figures += 1
            number = f"{chapter}.{figures}" if chapter else f"{figures}"
            caption = f"**Figure {number}.** {options['figure']['caption']}"
            place.append(new_markdown_cell(caption, id=f"{cell.id}-caption"))
    if solutions:
        folded = {"jp-MarkdownHeadingCollapsed": True, "id": SOLUTIONS}  # JupyterLab's word for it, and Colab's
        cells += [new_markdown_cell("## Solutions", id=SOLUTIONS, metadata=folded), *solutions]
    # The title comes first; a reader's first cell to run is the one that installs.
    cells[0], cells[1] = cells[1], cells[0]
    kept = {name: executed.metadata[name] for name in ("kernelspec", "language_info")}
    notebook = nbformat.v4.new_notebook(cells=cells, metadata=kept | {"colab": {"collapsed_sections": [SOLUTIONS]}})
    nbformat.validate(notebook)
    return nbformat.from_dict(notebook)


def in_plain_markdown(text: str, values: dict[str, str | int], site: str) -> str:
    """Fill in values, and write admonitions and links as plain Markdown."""
    text = VALUE.sub(lambda match: str(values[match[1]]), text)
    text = PAGE.sub(lambda match: f"[{match[1]}]({site}{match[2]}.html{match[3] or ''})" if site else match[1], text)
    return ADMONITION.sub(_quoted, SECTION.sub(r"\1)", text))


def in_plain_output(output: nbformat.NotebookNode, alt: str) -> nbformat.NotebookNode:
    """Give an output as it is shown without the site, and without a kernel.

    A figure is an image in HTML, because no notebook shows an alt text otherwise, and a live panel is its still.
    """
    data = output.get("data", {})
    if still := STILL.search(data.get("text/html", "")):
        page = HOW.sub("This is a still: run the cell, and the panel is live.", still[1])
        return output | {"data": {"text/html": page, "text/plain": data["text/plain"]}}
    if svg := data.get("image/svg+xml"):
        if not alt:
            raise ValueError(
                'A cell draws a figure without alt text. Give it in the metadata: {"mystnb": {"image": {"alt": "…"}}}.'
            )
        return output | {"data": {"text/html": svg_image(svg, alt), "text/plain": alt}, "metadata": {}}
    return output


def _install(wheel: str, site: str) -> str:
    if site:
        return INSTALL.format(where="", wheel=f"{site}downloads/{wheel}")
    return INSTALL.format(where=BESIDE, wheel=wheel)


def quoted_values(path: Path) -> dict[str, str | int]:
    """Give what the text of an executed chapter quotes, by key; myst-nb leaves it in a file beside the notebook."""
    glued = path.with_suffix(".glue.json")
    outputs = json.loads(glued.read_text(encoding="utf-8")) if glued.exists() else {}
    return {
        key: ast.literal_eval(output["data"]["text/plain"])
        for key, output in outputs.items()
        if key.startswith("quote-")
    }


def _quoted(match: re.Match) -> str:
    title, kind, body = match.groups()
    if kind == "dropdown":  # all of it HTML: jupyterlab-myst takes a tag and its end apart if Markdown is between
        return f"<details><summary>{title}</summary>{MarkdownIt().render(body).rstrip()}</details>"
    return textwrap.indent(f"**{title}**\n\n{body}", "> ", lambda line: True)
