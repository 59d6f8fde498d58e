"""What the book asks of Sphinx beyond jupyter-book: a few small things, each for the reason given with it."""

import hashlib
import itertools
import json
import os
import re
import shutil
import sys
import zlib
from pathlib import Path

import numpy as np
from chapters import let_kernels_find_quotes
from docutils import nodes
from jupyter_cache import get_cache
from sphinx.transforms import SphinxTransform

from mnist_helpers.controls import CHALLENGES, panel_setup
from mnist_helpers.data import MOST_BYTES, Mnist, Split, load_mnist, split_order

try:
    import minify
except ImportError:  # for macOS there is none; a book that is built there serves the programs as they are written
    minify = None

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "book" / "lab"


class FoldSolutions(SphinxTransform):
    """Make of each section named "Solution" a box that a reader unfolds."""

    default_priority = 400

    def apply(self):
        for section in list(self.document.findall(nodes.section)):
            if section[0].astext() == "Solution":
                box = nodes.admonition("", *section.children, classes=["solution", "dropdown"])
                section.replace_self(box)
                box["ids"] = [f"{box.parent['ids'][0]}-solution"]  # not one that is counted up in the page


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


def execution_cache(build: Path) -> Path:
    """Give the folder of executed chapters, named by all that their results depend on besides their own cells."""
    helpers = [sorted((ROOT / "mnist_helpers").glob(which)) for which in ("*.*", "data/*", "fonts/*")]
    digest = hashlib.sha256(sys.version.encode())
    for path in [*itertools.chain(*helpers), ROOT / "requirements.txt"]:
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return build / ".jupyter_cache" / digest.hexdigest()[:16]


def is_damaged(cache: Path) -> bool:
    """Say whether a cache of executed chapters cannot be read to its end, as after a full disk."""
    try:
        executed = get_cache(cache)
        for record in executed.list_cache_records():
            executed.get_cache_bundle(record.pk)
    except Exception:  # whatever SQLite and the reader of notebooks make of it
        return True
    return False


def set_cache_path(app, config) -> None:
    """Point myst-nb to the cache, and clear away what was cached for other helpers, or is damaged."""
    build = Path(app.outdir).parent
    current = execution_cache(build)
    config.nb_execution_cache_path = str(current)
    # Training runs are kept under names of their own, which change with the code; no other run is mixed in.
    os.environ.setdefault("MNIST_HELPERS_RUNS", str(build / ".runs"))
    let_kernels_find_quotes()
    for stale in current.parent.glob("*"):
        if stale != current or is_damaged(stale):
            shutil.rmtree(stale)


def mend_search(app, config) -> None:
    """Have the page of search look up words as the script says; what Sphinx meant for scores is the place for it."""
    config.html_search_scorer = str(Path(__file__).with_name("search_words.js"))


def mark_chapter(app, pagename, templatename, context, doctree) -> None:
    """Tell the stylesheet a chapter's number, which it writes as a digit from MNIST."""
    if match := re.match(r"notebooks/0*(\d+)_", pagename):
        context["body"] = context["body"].replace("<h1>", f'<h1 data-digit="{match[1]}">', 1)


# The lab in the page has two collections: of the first, enough images to learn from in a second; of the second, all.
# The test images are every fifth, because the first ones are harder than the rest.
COLLECTIONS = {
    "images.bin.gz": {"training": np.s_[:10_000], "validation": np.s_[::3], "test": np.s_[::5]},
    "all-images.bin.gz": {"training": np.s_[:], "validation": np.s_[:], "test": np.s_[:]},
}


def add_lab(app, pagename, templatename, context, doctree) -> None:
    """Give a page that has a live panel what makes it live."""
    if "<mnist-lab" in context.get("body", ""):
        script, style = (context["pathto"](f"lab/{name}", 1) for name in ("lab_element.js", "panel/panel.css"))
        context["body"] += f'<link rel="stylesheet" href="{style}"><script type="module" src="{script}"></script>'


def write_lab_of_site(app, exception) -> None:
    """Put the lab beside the pages."""
    if not exception and app.builder.format == "html":
        write_lab(Path(app.outdir) / "lab")


def write_lab(folder: Path) -> None:
    """Write the lab anew: its programs, its controls, and its images."""
    if folder.exists():
        shutil.rmtree(folder)
    # Twice: packed, to be loaded, and as they are written, to be read.
    for below, home in {"": LAB, "panel": ROOT / "mnist_helpers" / "panel"}.items():
        for place, write in ((folder / below, pack), (folder / "source" / below, shutil.copy)):
            place.mkdir()
            for path in [*home.glob("*.js"), *home.glob("*.css")]:
                if path.name != "jupyter_widget.js":
                    write(path, place / path.name)
    shutil.copy(ROOT / "mnist_helpers" / "engine.c", folder / "source")
    helpers = ROOT / "mnist_helpers"
    for path in [*(LAB / "generated").iterdir(), helpers / "keras_program.txt", helpers / "data_files.json"]:
        shutil.copy(path, folder)
    # For a reader's own images, which are as many as MNIST's, and split alike.
    (folder / "split_order.bin").write_bytes(split_order(60_000).astype("<u2").tobytes())
    mnist = load_mnist()
    collections = [
        {"file": name, "bytes": write_images(folder / name, mnist, chosen)} | lengths(mnist, chosen)
        for name, chosen in COLLECTIONS.items()
    ]
    keras = json.loads((LAB / "generated" / "keras_results.json").read_text(encoding="utf-8"))
    keras["runs"] = [run for run in keras["runs"] if not run["settings"]]  # the article's alone, to be there at once
    own = {"collections": collections, "names": mnist.class_names, "keras": keras, "most_bytes": MOST_BYTES}
    setup = panel_setup() | own | {"challenges": CHALLENGES}
    (folder / "setup.json").write_text(json.dumps(setup), encoding="utf-8")


def pack(source: Path, destination: Path) -> None:
    """Copy a program or a style sheet as `packed` gives it."""
    destination.write_text(packed(source.read_text(encoding="utf-8"), source.suffix), encoding="utf-8")


def packed(text: str, suffix: str) -> str:
    """Give a program or a style sheet without comments, long names and blanks, if there is a minifier."""
    kind = {".js": "application/javascript", ".css": "text/css"}[suffix]
    return text if minify is None else minify.string(kind, text)


def _splits(mnist: Mnist) -> dict[str, Split]:
    test = mnist.open_test_set("to be served to the lab in the page, which opens it when a reader does")
    return {"training": mnist.train, "validation": mnist.validation, "test": test}


def lengths(mnist: Mnist, chosen: dict[str, slice]) -> dict[str, int]:
    """Count the chosen images of each split."""
    return {name: len(split.labels[chosen[name]]) for name, split in _splits(mnist).items()}


def write_images(path: Path, mnist: Mnist, chosen: dict[str, slice]) -> int:
    """Write the chosen images of each split, gzipped, below a line that says what they are; give the file's size.

    The line is JSON: ``{"version": 1, "pixels": 784, "splits": {name: number}}``. Then come, for each split in that
    order, the images, a byte a pixel, and the labels, a byte each.
    """
    header = {"version": 1, "pixels": 784, "splits": lengths(mnist, chosen)}
    parts = [json.dumps(header).encode() + b"\n"]
    for name, split in _splits(mnist).items():
        parts += [split.images[chosen[name]].tobytes(), split.labels[chosen[name]].tobytes()]
    # In runs of one value, as images of strokes have them: 2% larger than the best and forty times as fast.
    packer = zlib.compressobj(wbits=zlib.MAX_WBITS | 16, strategy=zlib.Z_RLE)
    return path.write_bytes(packer.compress(b"".join(parts)) + packer.flush())


def setup(app):
    link_notebooks(Path(app.srcdir))
    app.add_transform(FoldSolutions)
    app.connect("config-inited", set_cache_path)
    app.connect("config-inited", mend_search)
    app.connect("html-page-context", mark_chapter)
    app.connect("html-page-context", add_lab)
    app.connect("build-finished", write_lab_of_site)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
