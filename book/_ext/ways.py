"""Finding one's way: the glossary's terms in the search, and pages where chapters stood under another number."""

from html import escape
from pathlib import Path

from light import HEAD
from sphinx import addnodes
from sphinx.domains.std import StandardDomain

MOVED = """\
<!DOCTYPE html>
<html lang="en">
{head}
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="0; url={address}">
<link rel="canonical" href="{address}">
<title>{title}</title>
</head>
<body><main><h1>{title}</h1><p>This chapter is <a href="{address}">at another address now</a>.</p></main></body>
</html>
"""


def list_terms_in_search(app, config) -> None:
    """Have the search find each term of the glossary by its name, and lead to its entry; Sphinx leaves terms out."""
    StandardDomain.object_types["term"].attrs["searchprio"] = 0


def take_index_out(app, doctree, docname) -> None:
    """Take out what is for an index of the book, which has none: the search would list terms a second time."""
    for node in list(doctree.findall(addnodes.index)):
        node.parent.remove(node)


def write_moved_pages(app, exception) -> None:
    """Write a page at each former address, which leads on to the page that is there no more."""
    if exception or app.builder.format != "html":
        return
    for former, page in app.config.moved_pages.items():
        address, title = app.builder.get_relative_uri(former, page), escape(app.env.titles[page].astext())
        path = Path(app.outdir) / f"{former}.html"
        path.write_text(MOVED.format(head=HEAD, address=address, title=title), encoding="utf-8")


def setup(app):
    app.add_config_value("moved_pages", {}, "html", [dict])
    app.connect("config-inited", list_terms_in_search)
    app.connect("doctree-resolved", take_index_out)
    app.connect("build-finished", write_moved_pages, priority=900)  # they take nothing that pages are given
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
