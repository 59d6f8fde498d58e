"""What pages need to be open to everybody, and what Sphinx and the theme leave out, mended where a page is written.

The rest is in `_templates/sections/` (landmarks) and in `assets/cracking.css`; `tests/test_accessibility.py` holds
every page to it, and `accessibility.md` says what was tested and what is wanting.
"""

import re
from html import escape

from docutils import nodes
from sphinx.writers.html5 import HTML5Translator

EMPTY_HEAD = re.compile(r"<th([^>]*)>\s*(?:<p>\s*</p>)?\s*</th>")


def mend(html: str) -> str:
    """Give a page's body roles that exist, formulas that a keyboard scrolls, and no empty heading of a column."""
    html = html.replace('role="doc-biblioentry"', 'role="listitem"')  # deprecated in ARIA 1.2, and no child of a list
    # The theme's script gives what has this class a place in the keyboard's order, as long as it scrolls.
    html = html.replace('<div class="math', '<div class="pst-scrollable-table-container math')
    return EMPTY_HEAD.sub(r"<td\1></td>", html)


def mend_page(app, pagename, templatename, context, doctree) -> None:
    """Mend the body of a page before it is put into the theme."""
    if "body" in context:
        context["body"] = mend(context["body"])


def visit_admonition(translator, node) -> None:
    """Write a box that is to be unfolded as what keyboards, screen readers and paper know how to unfold."""
    if "dropdown" in node["classes"]:
        title = node.pop(0).astext()
        translator.body.append(translator.starttag(node, "details", CLASS="admonition"))
        translator.body.append(f'<summary class="admonition-title">{escape(title)}</summary>')
    else:
        HTML5Translator.visit_admonition(translator, node)


def depart_admonition(translator, node) -> None:
    """Close what was opened."""
    translator.body.append("</details>\n" if "dropdown" in node["classes"] else "</div>\n")


def setup(app):
    app.add_node(nodes.admonition, override=True, html=(visit_admonition, depart_admonition))
    app.connect("html-page-context", mend_page)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
