"""The book without a network: a service worker, written when all else is, with the list of what it keeps.

``offline/service_worker.js`` says what it does with the list, and ``offline/offline.js`` brings it into the browser.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path

from light import pages_of

PROGRAMS = Path(__file__).resolve().parents[1] / "offline"
# How a file names those that it needs: pages, style sheets and programs.
NAMES = {
    ".html": re.compile(r'(?:src|href)="([^"#?:]+)'),
    ".css": re.compile(r"url\([\"']?([^\"')#?:]+)"),
    ".js": re.compile(r"[\"'`]([\w./-]+\.\w+)[\"'`]"),
}
# What a reader takes home has no need to be kept in the browser too.
TAKEN_HOME = ("_sources", "downloads")
LATER = "lab/*.bin.gz"
MEGABYTES = "{kept-megabytes}"  # how much is kept, in a page's text


def reachable(site: Path) -> list[str]:
    """List the pages of a site, and all that they need to be read, by their paths."""
    waiting = sorted(pages_of(site))
    found = dict.fromkeys(waiting)  # in order, and each once
    while waiting:
        path = waiting.pop()
        if path.suffix not in NAMES:
            continue
        for name in NAMES[path.suffix].findall(path.read_text(encoding="utf-8", errors="ignore")):
            file = (path.parent / name).resolve()
            if file in found or not file.is_file() or not file.is_relative_to(site):
                continue
            if file.relative_to(site).parts[0] not in TAKEN_HOME:
                found[file] = None
                waiting.append(file)
    return [path.relative_to(site).as_posix() for path in found]


def hashes(site: Path, paths: Iterable[str]) -> str:
    """Give paths with the beginning of each file's hash, as the worker takes them."""
    beginnings = [
        [path, base64.b64encode(hashlib.sha256((site / path).read_bytes()).digest()).decode()[:12]] for path in paths
    ]
    return json.dumps(beginnings, separators=(",", ":"))


def say_how_much(site: Path, kept: list[str]) -> None:
    """Fill in how many megabytes are kept, wherever a page says it."""
    megabytes = f"{sum((site / path).stat().st_size for path in kept) / 1e6:.0f}"
    for page in (site / path for path in kept if path.endswith(".html")):
        text = page.read_text(encoding="utf-8")
        if MEGABYTES in text:
            page.write_text(text.replace(MEGABYTES, megabytes), encoding="utf-8")


def write_service_worker(app, exception) -> None:
    """Write the worker for the files of the site, at its root, because it serves nothing above its own place."""
    if exception or app.builder.name != "html":
        return
    site = Path(app.outdir).resolve()
    at_once = reachable(site)
    say_how_much(site, at_once)
    later = sorted(path.relative_to(site).as_posix() for path in site.glob(LATER))
    text = (PROGRAMS / "service_worker.js").read_text(encoding="utf-8")
    for place, paths in {"/* at once */": at_once, "/* later */": later}.items():
        text = text.replace(place, hashes(site, paths))
    (site / "service_worker.js").write_text(text, encoding="utf-8")


def setup(app):
    app.connect("config-inited", lambda app, config: config.html_static_path.append(str(PROGRAMS / "offline.js")))
    app.add_js_file("offline.js", loading_method="defer")
    # Behind all that still changes a file.
    app.connect("build-finished", write_service_worker, priority=1_000)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
