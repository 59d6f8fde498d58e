"""Formulas as MathML, which pandoc makes of their TeX while the book is built, so that no script sets them in the page.

The TeX stays in each formula as an annotation, for those who copy it, and for `book/printed.py`.
"""

import html
import re

import pypandoc
from docutils import nodes
from sphinx.errors import ExtensionError
from sphinx.util.math import get_node_equation_number

MATH = re.compile(r"<math\b.*?</math>", re.DOTALL)
# What pandoc leaves to be desired: a blank after ln and its like, unless a bracket follows; 54{,}000 as one number; and
# a prime, which faces have raised already, on the line.
APPLIED = re.compile(r"<mo>&#8289;</mo>(?!</mrow><mo[^>]*>[(\[])")
THOUSANDS = re.compile(r"</mn><mo>,</mo><mn>(?=\d{3}</mn>)")
PRIME = re.compile(r"<msup>(<mi>[^<]*</mi>)<mo>′</mo></msup>")
# So that a comma or a bracket after a formula stays in its line.
JOINED = "\u2060</span>"
READ = "html+tex_math_single_backslash"


def mathml(formulas: list[nodes.Node]) -> list[str]:
    """Give the MathML of each formula, all in one call of pandoc.

    Raises
    ------
    ExtensionError
        If pandoc cannot read one.
    """
    signs = {nodes.math: (r"\(", r"\)"), nodes.math_block: (r"\[", r"\]")}
    written = [node.astext().strip().join(signs[type(node)]) for node in formulas]
    text = "".join(f"<hr><p>{html.escape(tex)}</p>" for tex in written)
    made = pypandoc.convert_text(text, "html", READ, ["--mathml", "--wrap=none"]).split("<hr />")[1:]
    for tex, part in zip(written, made, strict=True):
        if not MATH.search(part):
            raise ExtensionError(f"pandoc cannot read the formula {tex}: write it in TeX that it knows.")
    return [improved(MATH.search(part)[0]) for part in made]


def improved(formula: str) -> str:
    """Give MathML of pandoc's as TeX would set it."""
    formula = PRIME.sub(r'<mrow>\1<mo lspace="0" rspace="0">′</mo></mrow>', formula)
    formula = APPLIED.sub('<mo lspace="0" rspace="0.167em">&#8289;</mo>', formula)
    return THOUSANDS.sub(",", formula) if "{,}" in formula else formula


def use_mathml(app, config) -> None:
    """Have Sphinx write all formulas so."""
    config.html_math_renderer = "mathml"


def convert(app, doctree, docname) -> None:
    """Give each formula of a page its MathML."""
    formulas = [*doctree.findall(nodes.math), *doctree.findall(nodes.math_block)]
    if app.builder.format == "html" and formulas:
        for node, made in zip(formulas, mathml(formulas), strict=True):
            node["mathml"] = made


def _written(node) -> str:
    # A title that stands in a list of contents is a copy, which was in no page when its formulas were converted.
    return node.get("mathml") or mathml([node])[0]


def write_inline(translator, node) -> None:
    translator.body.append(translator.starttag(node, "span", "", CLASS="math") + _written(node) + JOINED)
    raise nodes.SkipNode


def write_block(translator, node) -> None:
    translator.body.append(translator.starttag(node, "div", "", CLASS="math"))
    if node["number"]:
        translator.body.append(f'<span class="eqno">({get_node_equation_number(translator, node)})')
        translator.add_permalink_ref(node, "Link to this equation")
        translator.body.append("</span>")
    translator.body.append(_written(node) + "</div>\n")
    raise nodes.SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (write_inline, None), (write_block, None))
    app.connect("config-inited", use_mathml)
    app.connect("doctree-resolved", convert)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
