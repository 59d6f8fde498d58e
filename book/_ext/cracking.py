"""What the book asks of Sphinx beyond jupyter-book: a few small things, each for the reason given with it."""

import hashlib
import os
import re
import shutil
import sys
from pathlib import Path
from typing import ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from myst_nb.ext.glue.utils import create_pending_glue_ref
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
FONT_AWESOME = re.compile(r"\s*<script[^>]*scripts/fontawesome\.js[^>]*></script>")
WIDGET_STATE = re.compile(r'<script type="application/vnd\.jupyter\.widget-state\+json">.*?</script>', re.DOTALL)


class ChapterFigure(SphinxDirective):
    """Show a figure that a chapter glued, with alt text and a caption; myst-nb's own stays within one page."""

    required_arguments = 1
    has_content = True
    option_spec: ClassVar = {
        "doc": directives.unchanged_required,
        "alt": directives.unchanged_required,
        "name": directives.unchanged,
    }

    def run(self):
        figure = nodes.figure(alt=self.options["alt"])
        source, line = self.get_source_info()
        figure += create_pending_glue_ref(self.state.document, source, line, self.options["doc"], self.arguments[0])
        caption, _ = self.state.inline_text(" ".join(self.content), self.lineno)
        figure += nodes.caption("", "", *caption)
        self.add_name(figure)
        return [figure]


def give_alt_text(app, doctree, docname) -> None:
    """Hand a chapter figure's alt text to its image, which takes its place only after the page was read."""
    for figure in doctree.findall(nodes.figure):
        for image in figure.findall(nodes.image):
            image.setdefault("alt", figure.get("alt", ""))


def link_notebooks(source: Path) -> None:
    """Bring the chapters below the book's folder, because Sphinx reads nothing outside of it."""
    link = source / "notebooks"
    if link.is_symlink():
        return
    if link.exists():
        shutil.rmtree(link)
    try:
        link.symlink_to(os.path.relpath(ROOT / "notebooks", source), target_is_directory=True)
    except OSError:  # Windows without the right to make links
        shutil.copytree(ROOT / "notebooks", link)


def set_cache_path(app, config) -> None:
    """Tie the cache of executed notebooks to all that their results depend on besides their own cells."""
    helpers = sorted((ROOT / "mnist_helpers").glob("[!_]*/*")) + sorted((ROOT / "mnist_helpers").glob("*.py"))
    digest = hashlib.sha256(sys.version.encode())
    for path in [*helpers, ROOT / "requirements.txt"]:
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    caches = Path(app.outdir).parent / ".jupyter_cache"
    current = caches / digest.hexdigest()[:16]
    config.nb_execution_cache_path = str(current)
    # Training runs are kept under names of their own, which change with the code; no other run is mixed in.
    os.environ.setdefault("MNIST_HELPERS_RUNS", str(caches.parent / ".runs"))
    for stale in caches.glob("*"):
        if stale != current:
            shutil.rmtree(stale)


def mark_chapter(app, pagename, templatename, context, doctree) -> None:
    """Tell the stylesheet a chapter's number, which it writes as a digit from MNIST."""
    if match := re.match(r"notebooks/0(\d)_", pagename):
        context["body"] = context["body"].replace("<h1>", f'<h1 data-digit="{match[1]}">', 1)


def lighten(app, exception) -> None:
    """Take out of each page what it loads for nothing: half a megabyte of icon script, and the state of widgets."""
    if exception or app.builder.format != "html":
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        lighter = WIDGET_STATE.sub("", FONT_AWESOME.sub("", text))
        if lighter != text:
            page.write_text(lighter, encoding="utf-8")


def setup(app):
    link_notebooks(Path(app.srcdir))
    app.add_directive("chapter-figure", ChapterFigure)
    app.connect("doctree-resolved", give_alt_text)
    app.connect("config-inited", set_cache_path)
    app.connect("html-page-context", mark_chapter)
    app.connect("build-finished", lighten)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
