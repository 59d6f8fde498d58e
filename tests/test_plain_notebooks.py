"""A plain notebook has all that its chapter has, and needs nothing but Jupyter."""

import base64
import json

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from plain_notebooks import plain, quoted_values
from quotes import key_of

WHEEL = "mnist_helpers-0.1.0-py3-none-any.whl"
SITE = "https://book.example/digits/"
KEY = key_of("share")
OPENING = f"""# Training

:::{{admonition}} The question of this chapter
:class: question
Is it right?

Or wrong?
:::

It reads {{glue:text}}`{KEY}` of them ([Deon, 2023](../bibliography.md)), as [Overfitting](06_overfitting.ipynb#why)
says, and [the ledger](../what_held_up.md#claim-1)."""


def executed():
    """A chapter as a build leaves it, with one of everything."""
    hidden = {"tags": ["remove-cell"]}
    alt = f'It "rises" to {{glue:text}}`{KEY}`.'
    figure = {"mystnb": {"figure": {"caption": "A curve.", "name": "fig-a"}, "image": {"alt": alt}}}
    still = '<mnist-lab view="a"><figure>a picture, <span class="panel-how">live there</span></figure></mnist-lab>'
    panel = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/html": still, "text/plain": "Panel()"}
    drawn = {"image/svg+xml": "<svg/>", "text/plain": "<Figure>"}
    cells = [
        new_code_cell("quote('share')", metadata=hidden),
        new_markdown_cell(OPENING),
        new_code_cell("1 + 1", outputs=[new_output("stream", name="stderr", text="a progress bar")]),
        new_code_cell(
            "plots.curve()",
            metadata=figure,
            outputs=[new_output("execute_result", drawn)],
        ),
        new_code_cell("retrain_panel()", outputs=[new_output("execute_result", panel)]),
        new_markdown_cell(":::{admonition} A hint\n:class: dropdown\nWider.\n:::"),
        new_markdown_cell("## Exercises"),
        new_markdown_cell("### How many?\n\nHow many are there?"),
        new_markdown_cell("#### Solution"),
        new_code_cell("print(3)", outputs=[new_output("stream", text="3")]),
        new_markdown_cell("Three."),
        new_markdown_cell("## Take-away\n\n* All is well."),
        new_code_cell("check_quotes()", metadata=hidden),
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


@pytest.fixture(params=["", SITE], ids=["no address", "an address"])
def site_address(request):
    return request.param


@pytest.fixture
def notebook(site_address):
    return plain(executed(), {KEY: "50.0%"}, 4, WHEEL, site_address)


def sources(notebook):
    return [cell.source for cell in notebook.cells]


def outputs(notebook, source):
    (cell,) = [cell for cell in notebook.cells if cell.source == source]
    return cell.outputs


def test_it_is_a_valid_notebook_without_what_is_of_the_site(notebook):
    nbformat.validate(notebook)
    text = "\n".join(sources(notebook))
    assert not any(word in text for word in ("{glue", ":::", "quote(", "check_quotes", "#### Solution"))
    assert all(not cell.metadata.get("tags") and "mystnb" not in cell.metadata for cell in notebook.cells)


def test_numbers_are_filled_in_and_links_lead_where_they_can(notebook, site_address):
    opening = sources(notebook)[0]
    assert "It reads 50.0% of them" in opening
    assert "[Overfitting](06_overfitting.ipynb)" in opening
    if site_address:
        assert f"[Deon, 2023]({SITE}bibliography.html)" in opening
        assert f"[the ledger]({SITE}what_held_up.html#claim-1)" in opening
    else:
        assert "(Deon, 2023)" in opening
        assert "and the ledger." in opening


def test_admonitions_are_quotes_and_hints_are_folded(notebook):
    assert "> **The question of this chapter**\n> \n> Is it right?\n> \n> Or wrong?\n" in sources(notebook)[0]
    assert "<details><summary>A hint</summary><p>Wider.</p></details>" in sources(notebook)


def test_the_first_code_cell_installs_the_package_if_it_is_missing(notebook, site_address):
    assert notebook.cells[1].cell_type == "code"
    assert (
        f"%pip install --quiet {site_address}{'downloads/' if site_address else ''}{WHEEL}" in notebook.cells[1].source
    )


def test_solutions_stand_at_the_end_folded_with_their_code(notebook):
    texts = sources(notebook)
    assert texts[texts.index("## Solutions") :] == ["## Solutions", "### Solution: How many?", "print(3)", "Three."]
    assert texts.index("## Solutions") == texts.index("## Take-away\n\n* All is well.") + 1
    (heading,) = [cell for cell in notebook.cells if cell.source == "## Solutions"]
    assert heading.metadata["jp-MarkdownHeadingCollapsed"]
    assert notebook.metadata.colab.collapsed_sections == [heading.metadata["id"]]


def test_a_figure_keeps_its_alt_text_and_its_caption(notebook):
    (shown,) = outputs(notebook, "plots.curve()")
    packed = base64.b64encode(b"<svg/>").decode()
    assert shown.data["text/html"] == (
        f'<img src="data:image/svg+xml;base64,{packed}" alt="It &quot;rises&quot; to 50.0%.">'
    )
    texts = sources(notebook)
    assert texts[texts.index("plots.curve()") + 1] == "**Figure 4.1.** A curve."


def test_a_panel_is_its_still_and_progress_bars_are_gone(notebook):
    (shown,) = outputs(notebook, "retrain_panel()")
    assert list(shown.data) == ["text/html", "text/plain"]
    assert "<mnist-lab" not in shown.data["text/html"]
    assert "run the cell, and the panel is live" in shown.data["text/html"]
    assert outputs(notebook, "1 + 1") == []


def test_values_come_from_the_file_that_a_build_leaves(tmp_path):
    outputs = {KEY: "'50.0%'", "quote-whole": "784", "C1": "np.True_"}
    left = {key: {"output_type": "display_data", "data": {"text/plain": text}} for key, text in outputs.items()}
    (tmp_path / "05_training.glue.json").write_text(json.dumps(left), encoding="utf-8")
    assert quoted_values(tmp_path / "05_training.ipynb") == {KEY: "50.0%", "quote-whole": 784}
    assert quoted_values(tmp_path / "retrain_lab.ipynb") == {}
