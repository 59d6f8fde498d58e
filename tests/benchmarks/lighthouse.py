"""Measure each page of the built site with Lighthouse, as on a phone, and print a row for each.

Run it with ``make lighthouse`` on a machine that does nothing else; it needs npm. The site is served from this machine,
packed as usual hosts do it. Lighthouse computes what a middling phone on a slow network would see (four times slower
than this machine, 1.6 megabits a second, 150 milliseconds a request): a busy machine lowers the first score.
"""

import argparse
import functools
import gzip
import http.server
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "book" / "_ext"))
from browsing import BROWSERS, NO_BROWSER
from light import pages_of

SITE = Path(__file__).parents[2] / "book" / "_build" / "html"
PACKAGE = "lighthouse@12.8.2"  # the last for Node 18 and 20
RUNS = 5
SCORES = ("performance", "accessibility", "best-practices", "seo")
PAINTS = ("first-contentful-paint", "largest-contentful-paint")
HEADINGS = ("page", *SCORES, "first paint", "largest", "blocked", "shift", "KB before images")
PACKED = (".html", ".css", ".js", ".json", ".svg", ".txt", ".wasm", ".xml")  # as usual hosts pack them


class Packing(http.server.SimpleHTTPRequestHandler):
    """Serve a folder, with gzip where it helps."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = Path(self.translate_path(self.path))
        if not path.is_file() or path.suffix not in PACKED:
            super().do_GET()
            return
        data = packed(path)
        self.send_response(200)
        self.send_header("Content-Type", self.guess_type(path))
        self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    """Let a browser close its connections when it has seen enough."""

    def handle_error(self, *_):
        pass


@functools.cache
def packed(path: Path) -> bytes:
    """Give a file's bytes, packed."""
    return gzip.compress(path.read_bytes())


@contextmanager
def served(site: Path):
    """Serve a folder; give the server's address."""
    handler = functools.partial(Packing, directory=site)
    with Server(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def measure(program: Path, browser: str, url: str) -> list[float]:
    """Open a page once, and give its scores, its seconds to each paint, the milliseconds it was blocked, its shift
    and its KB before images."""
    flags = ["--headless=new", *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else [])]
    command = [program, url, "--quiet", "--output=json", f"--chrome-flags={' '.join(flags)}"]
    done = subprocess.run(
        command, env=os.environ | {"CHROME_PATH": browser}, capture_output=True, text=True, encoding="utf-8", check=True
    )
    report = json.loads(done.stdout)
    audits = report["audits"]
    asked = audits["network-requests"]["details"]["items"]
    return [
        *(100 * report["categories"][name]["score"] for name in SCORES),
        *(audits[name]["numericValue"] / 1000 for name in PAINTS),
        audits["total-blocking-time"]["numericValue"],
        audits["cumulative-layout-shift"]["numericValue"],
        sum(request["transferSize"] for request in asked if request["resourceType"] != "Image") / 1000,
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--site", type=Path, default=SITE, help="the built book")
    parser.add_argument("--runs", type=int, default=RUNS, help="of which a row gives the median")
    parser.add_argument("pages", nargs="*", help="as notebooks/05_training.html; all, if none is named")
    options = parser.parse_args()
    npm = shutil.which("npm")
    browser = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not npm or not browser:
        sys.exit(
            NO_BROWSER if npm else "npm was not found. Install Node.js, which brings it; Lighthouse comes from there."
        )
    read = [path for path in pages_of(options.site) if 'http-equiv="refresh"' not in path.read_text(encoding="utf-8")]
    pages = options.pages or sorted(path.relative_to(options.site).as_posix() for path in read)
    with tempfile.TemporaryDirectory() as folder, served(options.site) as address:
        quiet = ("--silent", "--no-audit", "--no-fund", "--ignore-scripts")
        subprocess.run([npm, "install", *quiet, "--prefix", folder, PACKAGE], check=True)
        program = Path(folder) / "node_modules" / ".bin" / "lighthouse"
        print("| " + " | ".join(HEADINGS) + " |\n" + "| --- " * len(HEADINGS) + "|", flush=True)
        for page in pages:
            runs = [measure(program, browser, address + page) for _ in range(options.runs)]
            *scores, first, largest, blocked, shift, size = map(statistics.median, zip(*runs, strict=True))
            cells = [f"{score:.0f}" for score in scores]
            cells += [f"{first:.1f} s", f"{largest:.1f} s", f"{blocked:.0f} ms", f"{shift:.3f}", f"{size:.0f}"]
            print("| " + " | ".join([page, *cells]) + " |", flush=True)


if __name__ == "__main__":
    main()
