"""Pages that are light and have nothing to fear: what is done to the site when its pages have been written.

One style sheet
    Theme and extensions bring nine, 480 KB of CSS. They become one, without the rules for classes, ids, properties and
    animations of which neither a page nor a script knows. Any word of a script counts as one that it may set.
One script
    Those that every page loads become one, which waits for the page. What sets the theme before the first paint stays
    apart, and waits for nothing. Sphinx's search is loaded by the page of the search alone.
Faces and icons
    The faces have the characters and weights that the site uses. The icon font has the icons that the style sheet
    names, and is a part of it.
Images
    Each has its size. Those to which a reader has to scroll wait until then.
A policy
    Each page begins with a Content-Security-Policy: nothing comes from elsewhere, and no script stands in the page.
What is left over
    A file of `_static` that no page, style sheet or script names is taken away.

A page that an earlier build made light stays as it is, but for the versions of the files that it names.
"""

import base64
import hashlib
import html
import io
import logging
import posixpath
import re
import string
from pathlib import Path

import lightningcss
from cracking import packed
from fontTools import subset
from fontTools.ttLib import TTFont
from fontTools.varLib import instancer
from PIL import Image

POLICY = {
    # Firefox asks this one for the next page, which it fetches in advance.
    "default-src": "'self'",
    "script-src": "'self' 'wasm-unsafe-eval'",  # the lab's engine is compiled WebAssembly
    "style-src": "'self' 'unsafe-inline'",  # figures and tables have style attributes
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "object-src": "'none'",
    "frame-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
}
# First in the head, and so the mark of a page that is light already.
HEAD = (
    f'<head>\n<meta http-equiv="Content-Security-Policy" content="{"; ".join(map(" ".join, POLICY.items()))}" />\n'
    '<meta name="referrer" content="no-referrer" />'
)
logging.getLogger("fontTools").setLevel(logging.WARNING)  # it tells of each table
HERE = Path(__file__).parent
LIGHT = "_static/light"
# In this order, because Sphinx marks the words of the last search on a page that does not search.
SEARCH = ("_static/searchtools.js", "_static/sphinx_highlight.js", "_static/language_data.js", "searchindex.js")
# The theme's icons as a script, half a megabyte beside the same icons as a font; and what only its switch of versions
# and this extension's own script do.
DROPPED = re.compile(r"fontawesome\.js|DOCUMENTATION_OPTIONS\.pagename|dataset\.theme = localStorage")
WEIGHTS = (300, 750)
# The faces that a page asks for in advance, by what its first screen has.
PRELOADED = {"atkinson-hyperlegible-next": "<body", "atkinson-hyperlegible-mono": "<code", "stix-two-math": "<math"}
FIRST_SCREEN = 600  # characters of an article's text

STYLE_LINK = re.compile(r'\s*<link\b(?=[^>]*\brel="stylesheet")[^>]*\bhref="(?:\.\./)*(_static/[^"?]*)[^>]*>')
SCRIPT_PRELOAD = re.compile(r'\s*<link\b[^>]*\bas="script"[^>]*>')
SCRIPT = re.compile(r"\s*<script\b([^>]*)>(.*?)</script>", re.DOTALL)
SOURCE = re.compile(r'\bsrc="(?:\.\./)*([^"?]*)')
WIDGET_STATE = re.compile(r'<script type="application/vnd\.jupyter\.widget-state\+json">.*?</script>', re.DOTALL)
IMAGE = re.compile(r"<img\b[^>]*>")
TEXT = re.compile(r">([^<]+)")
ATTRIBUTE = re.compile(r'([\w-]+)="([^"]*)"')
VERSION = re.compile(rf"({LIGHT}/([\w.-]+)\?v=)\w*")

NAMES = re.compile(r'\b(?:class|id)="([^"]*)"')
WORD = re.compile(r"-{0,2}[A-Za-z_][\w-]*")
PROPERTY_USED = re.compile(r"var\(\s*(--[\w-]+)")
ANIMATION_USED = re.compile(r"\banimation(?:-name)?:([^;}]*)")
CLASS_OR_ID = re.compile(r"[.#](-?[A-Za-z_][\w-]*)")
PROPERTY_OR_ANIMATION = re.compile(r"(?<![\w-])(--[\w-]+)\s*:|@keyframes\s+([\w-]+)")
LICENCE = re.compile(r"/\*!.*?\*/", re.DOTALL)
IMPORT = re.compile(r"""@import\s*["']([^"']+)["'];""")
ADDRESS = re.compile(r"""url\(["']?(?!data:|#)([^"')]+)["']?\)""")
ICON_FACE = re.compile(r"@font-face\s*\{[^}]*?url\(([^)]*/fontawesome/[^)]*\.woff2)\)[^}]*\}")
ICON = re.compile(r':"(.)"')


def lighten(app, exception) -> None:
    """Make the pages light that the build has written, and write the files that all of them share."""
    if exception or app.builder.name != "html":
        return
    site = Path(app.outdir)
    written = {path: path.read_text(encoding="utf-8") for path in pages_of(site)}
    example = written[site / "search.html"]
    if HEAD in example:  # a build that writes any page writes this one
        return
    shared = shared_scripts(example)
    pages = {path: text if HEAD in text else light_page(text, path, site, shared) for path, text in written.items()}
    publish(site, "first_paint.js", packed((HERE / "first_paint.js").read_text(encoding="utf-8"), ".js"))
    program = publish(site, "book.js", program_of(shared, site))
    apart = [*site.glob("lab/*.js"), *site.glob("lab/panel/*.js"), *(site / name for name in SEARCH[:-1])]
    scripts = "\n".join([program, *(path.read_text(encoding="utf-8") for path in apart)])
    markup = "".join(pages.values())
    publish_faces(site, {*string.printable, *html.unescape(markup), *scripts}, Path(app.doctreedir) / "faces")
    sheet = publish(site, "book.css", style_sheet(site, STYLE_LINK.findall(example), words(markup, scripts)))
    for path, text in pages.items():
        text = VERSION.sub(lambda found: found[1] + digest((site / LIGHT / found[2]).read_bytes()), text)
        if text != written[path]:
            path.write_text(text, encoding="utf-8")
    take_away(site, markup, sheet, program)


def pages_of(site: Path) -> list[Path]:
    """Give the pages of the site; what lies in these two folders is none."""
    return [path for path in site.rglob("*.html") if path.relative_to(site).parts[0] not in ("_static", "downloads")]


def publish(site: Path, name: str, text: str) -> str:
    """Write a text that pages share, and give it back."""
    (site / LIGHT).mkdir(exist_ok=True)
    (site / LIGHT / name).write_text(text, encoding="utf-8")
    return text


def digest(data: bytes) -> str:
    """Give the version of a file, by which a browser knows that its copy is an old one."""
    return hashlib.sha256(data).hexdigest()[:8]


# ---------------------------------------------------------------- pages


def light_page(text: str, path: Path, site: Path, shared: list[str]) -> str:
    """Give a page that names the shared files instead of what it did, with the sizes of its images and the policy."""
    root = "../" * (len(path.relative_to(site).parts) - 1)
    seen = text[: end_of_first_screen(text)]
    files = [f'<script src="{root}{LIGHT}/first_paint.js?v="></script>']
    files += [
        f'<link rel="preload" href="{root}{LIGHT}/{face}.woff2?v=" as="font" type="font/woff2" crossorigin />'
        for face, sign in PRELOADED.items()
        if sign in seen
    ]
    files += [f'<link rel="stylesheet" href="{root}{LIGHT}/book.css?v=" />']
    files += [f'<script defer src="{root}{LIGHT}/book.js?v="></script>']
    if path.stem == "search":
        files += [f'<script defer src="{name}"></script>' for name in SEARCH]
    text = SCRIPT_PRELOAD.sub("", STYLE_LINK.sub("", WIDGET_STATE.sub("", text)))
    text = SCRIPT.sub(lambda found: light_script(found, path, site, root, shared), text)
    # The mark stands before the article, and is shown on a wide screen alone, in one of two colours.
    beginning, end = text.find("<article"), end_of_first_screen(text)
    text = IMAGE.sub(lambda found: light_image(found[0], beginning < found.start() < end, path), text)
    text = text.replace('onclick="window.print()"', "data-print")
    return text.replace("<head>", HEAD, 1).replace("</title>", "\n".join(["</title>", *files]), 1)


def end_of_first_screen(text: str) -> int:
    """Give the place in a page at which what is seen at first has ended, by the text of its article."""
    left = FIRST_SCREEN
    for found in TEXT.finditer(text, max(0, text.find("<article"))):
        left -= len("".join(found[1].split()))
        if left < 0:
            return found.end()
    return len(text)


def light_script(found: re.Match, path: Path, site: Path, root: str, shared: list[str]) -> str:
    """Give what takes the place of a script: nothing if it is shared, and otherwise a file that waits for the page."""
    source, body = SOURCE.search(found[1]), found[2].strip()
    if "type=" in found[1]:  # a module, which waits by itself, or data
        return found[0]
    if (source[1] if source else body) in (*shared, *SEARCH) or DROPPED.search(found[0]):
        return ""
    if source:
        return f'\n<script defer src="{root}{source[1]}"></script>'
    publish(site, f"{path.stem}.js", body)
    return f'\n<script defer src="{root}{LIGHT}/{path.stem}.js?v="></script>'


def light_image(tag: str, seen: bool, path: Path) -> str:
    """Give an image with its size; it waits unless it is seen at first."""
    file = path.parent / dict(ATTRIBUTE.findall(tag))["src"]
    given = ""
    if " width=" not in tag and file.exists():
        given += ' width="{}" height="{}"'.format(*size_of(file))
    if not seen:
        given += ' loading="lazy"'
    return f"<img{given}{tag.removeprefix('<img')}"


def size_of(file: Path) -> tuple[int, int]:
    """Give width and height of an image; an SVG's are those of its box."""
    if file.suffix == ".svg":
        box = re.search(r'viewBox="[\d.]+ [\d.]+ ([\d.]+) ([\d.]+)"', file.read_text(encoding="utf-8"))
        return round(float(box[1])), round(float(box[2]))
    with Image.open(file) as image:
        return image.size


# ---------------------------------------------------------------- scripts and style sheets


def shared_scripts(page: str) -> list[str]:
    """Give the scripts that every page loads, from one: the address of a file, or the text of one in the head."""
    end, scripts = page.find("</head>"), {}
    for found in SCRIPT.finditer(page):
        source = SOURCE.search(found[1])
        if "type=" in found[1] or DROPPED.search(found[0]) or (source and source[1] in SEARCH):
            continue
        if source or found.start() < end:
            scripts[source[1] if source else found[2].strip()] = None
    return list(scripts)


def program_of(scripts: list[str], site: Path) -> str:
    """Make one program of the shared scripts, and of the book's own.

    Sphinx's options come first, then what stood in the pages and sets what the files read, and then the files.
    """
    options, *others = scripts
    in_order = [options, *sorted(others, key=lambda script: script.endswith(".js"))]
    files = [site / script if script.endswith(".js") else script for script in in_order] + [HERE / "page.js"]
    texts = [part.read_text(encoding="utf-8") if isinstance(part, Path) else part for part in files]
    # Without the notes that lead to the scripts' sources, which are taken away.
    return packed("\n;".join(re.sub(r"//# sourceMappingURL=.*", "", text) for text in texts), ".js")


def words(markup: str, scripts: str) -> set[str]:
    """Give all names that a style sheet can speak of: of classes, ids and properties."""
    named = {name for names in NAMES.findall(markup) for name in names.split()}
    return named | set(PROPERTY_USED.findall(markup)) | set(WORD.findall(scripts))


def style_sheet(site: Path, sheets: list[str], words: set[str]) -> str:
    """Make one style sheet of several, with what the words name and with no more of the icon font than that needs."""
    text = "\n".join(relocated(site, sheet) for sheet in sheets)
    licences = "".join(dict.fromkeys(LICENCE.findall(text)))
    text = lightningcss.process_stylesheet(text, unused_symbols=set(CLASS_OR_ID.findall(text)) - words)
    while True:  # what was taken away may have been the last that used a property, which may use others
        animations = {name for value in ANIMATION_USED.findall(text) for name in WORD.findall(value)}
        defined = {name for names in PROPERTY_OR_ANIMATION.findall(text) for name in names if name}
        unused = defined - words - animations - set(PROPERTY_USED.findall(text))
        if not unused:
            break
        text = lightningcss.process_stylesheet(text, unused_symbols=unused)
    icons, rules = {ord(icon) for icon in ICON.findall(text)}, ICON_FACE.sub("", text)
    return licences + ICON_FACE.sub(lambda found: icon_face(found, site, icons, rules), text)


def relocated(site: Path, sheet: str) -> str:
    """Give the text of a style sheet and of those that it imports, with addresses that hold in the shared folder."""

    def moved(found: re.Match) -> str:
        target = posixpath.normpath(posixpath.join(folder, found[1]))
        face = site / LIGHT / posixpath.basename(target)
        if face.suffix == ".woff2" and face.exists():  # by the same address as a page that asks for it in advance
            return f'url("{face.name}?v={digest(face.read_bytes())}")'
        return f'url("{posixpath.relpath(target, LIGHT)}")'

    text = (site / sheet).read_text(encoding="utf-8")
    folder = posixpath.dirname(sheet)
    parts = IMPORT.split(text)  # what stands between two, and the address of each
    parts[1::2] = [relocated(site, posixpath.normpath(posixpath.join(folder, part))) for part in parts[1::2]]
    parts[::2] = [ADDRESS.sub(moved, part) for part in parts[::2]]
    return "".join(parts)


# ---------------------------------------------------------------- faces


def publish_faces(site: Path, characters: set[str], cache: Path) -> None:
    """Write the faces with those characters; what was made for the same characters before is taken from a folder."""
    cache.mkdir(exist_ok=True)
    for face in (site / "_static" / "fonts").glob("*.woff2"):
        asked = f"{WEIGHTS}{''.join(sorted(characters))}".encode()
        made = cache / f"{digest(face.read_bytes() + asked)}.woff2"
        if not made.exists():
            made.write_bytes(smaller_face(face, characters))
        (site / LIGHT / face.name).write_bytes(made.read_bytes())


def smaller_face(face: Path, characters: set[str]) -> bytes:
    """Give a face with those characters, and with the weights that the site uses if it has several."""
    font = TTFont(face, recalcTimestamp=False)
    if "MATH" in font:  # a face for formulas, of which a browser takes what no text shows
        return face.read_bytes()
    pick(font, {ord(character) for character in characters})
    if "fvar" in font:
        instancer.instantiateVariableFont(font, {"wght": WEIGHTS}, inplace=True)
    return woff2(font)


def icon_face(found: re.Match, site: Path, icons: set[int], rules: str) -> str:
    """Give the rule of a face of icons with those of them that it has; or nothing, if no other rule asks for it."""
    kind = re.search(r"/fa-(\w+)-\d+", found[1])[1]
    if not re.search(rf"\bfa(?:-font)?-{kind}\b|\.fa{kind[0]}\b", rules):
        return ""
    font = TTFont((site / LIGHT / found[1]).resolve(), recalcTimestamp=False)
    pick(font, icons)
    data = base64.b64encode(woff2(font)).decode()
    return re.sub(r"src:[^;}]*", f'src:url("data:font/woff2;base64,{data}")format("woff2")', found[0])


def pick(font: TTFont, characters: set[int]) -> None:
    """Leave those characters in a face, with all that the face does for their looks."""
    options = subset.Options(layout_features=["*"], notdef_outline=True)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=characters)
    subsetter.subset(font)


def woff2(font: TTFont) -> bytes:
    """Give a face as the file that is sent to browsers."""
    font.flavor, written = "woff2", io.BytesIO()
    font.save(written)
    return written.getvalue()


# ---------------------------------------------------------------- what is left over


def take_away(site: Path, markup: str, sheet: str, program: str) -> None:
    """Delete what was put into `_static`, and is named neither by a page, nor by the style sheet, nor as a licence."""
    static = site / "_static"
    for path in sorted(static.rglob("*"), reverse=True):
        name = path.relative_to(static).as_posix()
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif not (
            path.parent == site / LIGHT
            or f"_static/{name}" in markup
            or f"../{name}" in sheet
            or (path.suffix == ".txt" and path.name in program)
        ):
            path.unlink()


def setup(app):
    # So that a change of this extension makes all pages anew.
    app.add_config_value("light", digest(Path(__file__).read_bytes()), "html", [str])
    # After the theme and myst-nb, which write into `_static` at this event too.
    app.connect("build-finished", lighten, priority=600)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
