"""Links from the chapters to the glossary: on each page, the first place of a term leads to its entry.

The glossary (`book/glossary.md`) is Sphinx's own. The first paragraph of an entry is the definition, which a link shows
as its tooltip. The second one links to the section that explains the term, if there is one: from there on, its page has
no link for it. In the second paragraph the role `forms` holds what else counts as the term, such as plurals, with
commas between, and, after "not", words in which it means something else. Nothing else knows of these forms.
"""

import re
from dataclasses import dataclass

from docutils import nodes
from sphinx import addnodes
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxRole

GLOSSARY = "glossary"
CHAPTER = re.compile(r"notebooks/\d+_")
# Of what paragraphs may hold, or be in; titles and captions are no paragraphs.
NOT_RUNNING_TEXT = (
    nodes.Admonition,  # which stand apart: a chapter's question, how it speaks of chance, solutions
    nodes.figure,
    nodes.literal,
    nodes.math,
    nodes.raw,
    nodes.reference,
    nodes.table,
)


@dataclass(frozen=True)
class Entry:
    """A term of the glossary: where its entry is, what it says, and how the term is written in the text.

    `explained_in` is the page and the heading's slug of the section that explains the term: the slug is None for a
    whole page, and the page is None as long as no section does.
    """

    anchor: str
    definition: str
    forms: tuple[str, ...]
    passed_over: tuple[str, ...]
    explained_in: tuple[str | None, str | None]


class forms_of_term(nodes.Invisible, nodes.Inline, nodes.Element):
    """What else counts as a term; taken out again when the page has been read."""


class Forms(SphinxRole):
    """Hold the forms of a term: ``{forms}`units, not different units```."""

    def run(self):
        forms = [form.strip() for form in self.text.split(",")]
        passed_over = [form.removeprefix("not ") for form in forms if form.startswith("not ")]
        forms = [form for form in forms if not form.startswith("not ")]
        return [forms_of_term(forms=forms, passed_over=passed_over)], []


def take_forms_out(app, doctree) -> None:
    """Move the forms from an entry's text to the entry."""
    for node in list(doctree.findall(forms_of_term)):
        item, paragraph = node, node.parent
        while not isinstance(item, nodes.definition_list_item):
            item = item.parent
        item["forms"], item["passed_over"] = node["forms"], node["passed_over"]
        paragraph.remove(node)
        if not paragraph.astext().strip():
            paragraph.parent.remove(paragraph)


def read_entries(glossary: nodes.document) -> list[Entry]:
    """Read the entries of a glossary that Sphinx has read, and not yet resolved."""
    entries = []
    for listed in glossary.findall(addnodes.glossary):
        for item in listed.findall(nodes.definition_list_item):
            terms = [child for child in item.children if isinstance(child, nodes.term)]
            definition = item[-1]
            places = [
                (link["reftarget"], link["reftargetid"] or None)
                for paragraph in definition.children[1:]
                for link in paragraph.findall(addnodes.pending_xref)
                if link["refdomain"] == "doc"
            ]
            forms = [*(term.astext() for term in terms), *item.get("forms", ())]
            entries.append(
                Entry(
                    anchor=terms[0]["ids"][0],
                    definition=definition[0].astext().replace("\n", " "),
                    forms=tuple(forms),
                    passed_over=tuple(item.get("passed_over", ())),
                    explained_in=places[0] if places else (None, None),
                )
            )
    return entries


class Terms:
    """Finds terms in a text, the longest first: no "batch" is found within "batch normalisation"."""

    def __init__(self, entries: list[Entry]):
        self.by_form: dict[str, Entry | None] = {}
        for entry in entries:
            for form in entry.forms:
                if form in self.by_form:
                    raise ExtensionError(f"In the glossary, “{form}” is a form of two terms. Leave it to one of them.")
                self.by_form[form] = entry
        for entry in entries:
            self.by_form |= dict.fromkeys(entry.passed_over)
        longest_first = sorted(self.by_form, key=len, reverse=True)
        self.pattern = re.compile(rf"(?<![\w-])(?:{'|'.join(map(_also_capital, longest_first))})(?![\w-])")

    def found(self, text: str):
        """Give the place of each term of a text, and its entry; None in place of that where it is passed over."""
        for match in self.pattern.finditer(text):
            words = " ".join(match[0].split())
            yield match.span(), self.by_form.get(words, self.by_form.get(words[0].lower() + words[1:]))


def _also_capital(form: str) -> str:
    """Give a pattern for a form as it is, and at the beginning of a sentence, however its lines are broken."""
    first, rest = form[0], r"\s+".join(map(re.escape, form[1:].split(" ")))
    return (f"[{first.upper()}{first}]" if first.islower() else re.escape(first)) + rest


def link_terms(doctree: nodes.document, docname: str, entries: list[Entry], address: str) -> None:
    """Make the first place of each term in the running text of a page a link to its entry.

    Parameters
    ----------
    doctree : nodes.document
        The page, with its references resolved.
    docname : str
        The page's name.
    entries : list of Entry
        The glossary's entries.
    address : str
        The glossary's address as seen from the page.
    """
    _join_texts(doctree)
    terms, seen, begun = Terms(entries), set(), set()
    for text in list(doctree.findall(nodes.Text)):
        around = list(_ancestors(text))
        begun |= {node.get("slug") for node in around if isinstance(node, nodes.section)}
        if not any(isinstance(node, nodes.paragraph) for node in around) or any(map(_is_apart, around)):
            continue
        pieces, done = [], 0
        for (start, end), entry in terms.found(text):
            if entry is None or entry in seen:
                continue
            seen.add(entry)
            page, slug = entry.explained_in
            if page == docname and (slug is None or slug in begun):
                continue
            pieces += [nodes.Text(text[done:start]), _link(text[start:end], entry, address)]
            done = end
        if pieces:
            text.parent.replace(text, [*pieces, nodes.Text(text[done:])])


def _join_texts(doctree: nodes.document) -> None:
    """Join what stands in several nodes because its lines are broken, so that a term of two words is found in one."""
    for parent in list({id(text.parent): text.parent for text in doctree.findall(nodes.Text)}.values()):
        joined = []
        for child in parent.children:
            if joined and isinstance(child, nodes.Text) and isinstance(joined[-1], nodes.Text):
                joined[-1] = nodes.Text(joined[-1] + child)
            else:
                joined.append(child)
        parent[:] = joined


def _ancestors(node: nodes.Node):
    while node.parent is not None:
        node = node.parent
        yield node


def _is_apart(node: nodes.Node) -> bool:
    return isinstance(node, NOT_RUNNING_TEXT) or "cell_output" in node.get("classes", ())


def _link(words: str, entry: Entry, address: str) -> nodes.reference:
    return nodes.reference(
        words,
        words,
        internal=True,
        refuri=f"{address}#{entry.anchor}",
        reftitle=entry.definition,
        classes=["glossary-link"],
    )


def link_chapter(app, doctree, docname) -> None:
    """Link a chapter's terms, if the book has a glossary."""
    if CHAPTER.match(docname) and GLOSSARY in app.env.found_docs:
        entries = read_entries(app.env.get_doctree(GLOSSARY))
        link_terms(doctree, docname, entries, app.builder.get_relative_uri(docname, GLOSSARY))


def chapters_to_link_anew(app, env, added, changed, removed) -> list[str]:
    """Have Sphinx do the chapters again when the glossary was edited."""
    return [name for name in env.found_docs if CHAPTER.match(name)] if GLOSSARY in added | changed else []


def setup(app):
    app.add_node(forms_of_term)
    app.add_role("forms", Forms())
    app.connect("doctree-read", take_forms_out)
    app.connect("env-get-outdated", chapters_to_link_anew)
    app.connect("doctree-resolved", link_chapter)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
