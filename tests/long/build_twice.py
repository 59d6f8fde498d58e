"""Two builds of the book from nothing give the same site, byte for byte but for what was measured.

The book has three chapters here, of which one measures its own time; the second build lies in another folder, and
counts its hashes from another number. What may differ, because it is measured anew, is named in `MEASURED`.
"""

import io
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from pypdf import PdfReader

pytestmark = pytest.mark.timeout(3_600)

ROOT = Path(__file__).parents[2]
LEFT = shutil.ignore_patterns(".git", ".venv", "__pycache__", "_build", "runs", "node_modules")
CHAPTERS = ("notebooks/01_data_structure", "notebooks/09_how_sure", "notebooks/10_convolution")
FIGURE_OF_A_CHAPTER = re.compile(r"^```\{chapter-figure\}.*?^```$", re.MULTILINE | re.DOTALL)
# What a page, a plain notebook or the printed book says of times, of memory, and of when a chapter was executed.
MEASURED = {
    "how long something took, or takes to run": re.compile(
        r"(\d+ hours?(\s\d+ minutes)?|\d[\d.,]*(</(span|em|strong)>)?\s(seconds|minutes|s))\b"
    ),
    "how much memory a chapter held": re.compile(r"\d+\.\d GB"),
    "when a chapter was executed": re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d"),
}
# What follows from it: numbers are words that the search finds, and the service worker knows a page by its hash.
DERIVED = {
    "searchindex.js": re.compile(r'"?\d+"?: (\d+|\[[\d, ]+\])(, |(?=\}))'),
    "service_worker.js": re.compile(r'(?<=",")[\w+/]{12}(?=")'),
}
OF_THE_FOLDER = ".buildinfo"  # Sphinx's note to itself, in which the paths of the book count


def a_book(folder: Path) -> Path:
    """Copy the book to a folder, with those chapters alone, and without what other pages take from the others."""
    shutil.copytree(ROOT, folder, ignore=LEFT, symlinks=True)
    (folder / "book" / "notebooks").unlink(missing_ok=True)

    def stays(page):
        return not page.startswith("notebooks/") or page in CHAPTERS

    contents = yaml.safe_load((folder / "book/_toc.yml").read_text(encoding="utf-8"))
    for part in contents["parts"]:
        part["chapters"] = [chapter for chapter in part["chapters"] if stays(chapter["file"])]
    (folder / "book/_toc.yml").write_text(yaml.safe_dump(contents, sort_keys=False), encoding="utf-8")
    config = yaml.safe_load((folder / "book/_config.yml").read_text(encoding="utf-8"))
    options = config["sphinx"]["config"]
    options["moved_pages"] = {former: page for former, page in options["moved_pages"].items() if stays(page)}
    (folder / "book/_config.yml").write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    for page in (folder / "book").glob("*.md"):
        page.write_text(FIGURE_OF_A_CHAPTER.sub("", page.read_text(encoding="utf-8")), encoding="utf-8")
    return folder


def build(folder: Path, **environment: str) -> Path:
    """Build a book, and print it; that links to other chapters lead nowhere here is no error."""
    environment = os.environ | {"PYTHONPATH": str(folder), "MNIST_HELPERS_RUNS": ""} | environment
    programs = Path(sys.executable).parent
    site = folder / "book" / "_build" / "html"
    commands = [[programs / "jupyter-book", "build", folder / "book", "--keep-going"]]
    commands += [[sys.executable, folder / "book" / "printed.py", kind, site] for kind in ("pdf", "epub")]
    for command in commands:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-4_000:] + done.stderr[-4_000:]
    return site


def without_measured(name: str, data: bytes) -> object:
    """Give what is in a file, with blanks where something measured stands."""
    if name.endswith((".zip", ".epub")):
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            dated = {each.filename: each.date_time for each in packed.infolist()}
            return [(name, date, without_measured(name, packed.read(name))) for name, date in dated.items()]
    if name.endswith(".pdf"):
        return [without_measured("a page", page.extract_text().encode()) for page in PdfReader(io.BytesIO(data)).pages]
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return data
    for pattern in (*MEASURED.values(), *(pattern for of, pattern in DERIVED.items() if of == name)):
        text = pattern.sub("", text)
    return text


def files(site: Path) -> dict[str, bytes]:
    return {path.relative_to(site).as_posix(): path.read_bytes() for path in site.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    return files(build(a_book(tmp_path_factory.mktemp("first") / "book")))


def test_two_builds_from_nothing_differ_in_nothing_but_what_was_measured(first, tmp_path):
    second = files(build(a_book(tmp_path / "elsewhere"), PYTHONHASHSEED="7"))
    assert set(first) == set(second)
    unlike = [name for name in first if first[name] != second[name] and name != OF_THE_FOLDER]
    assert [
        name for name in unlike if without_measured(name, first[name]) != without_measured(name, second[name])
    ] == []
    assert len(unlike) < 20
    assert "notebooks/10_convolution.html" in first


def test_a_build_with_one_thread_passes_all_checks(tmp_path):
    build(a_book(tmp_path / "book"), OMP_NUM_THREADS="1", TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1")
