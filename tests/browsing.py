"""A real browser, and a real JupyterLab in it; shared by tests and benchmarks.

The browser is any Chromium, Chrome or Edge of this machine; `CHROMIUM` names one that is not found by itself.
"""

import functools
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest
import websocket
from playwright.sync_api import expect, sync_playwright

SECONDS = 1_000  # of Playwright's milliseconds
BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "msedge",
    "microsoft-edge",
)
NO_BROWSER = (
    "No Chromium, Chrome or Edge was found. Install one (Debian and Ubuntu: apt-get install chromium; elsewhere: "
    "python -m playwright install chromium), or name yours in the environment variable CHROMIUM."
)
# Chromium's own errands would count as requests of the page.
QUIET_BROWSER = ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]


@contextmanager
def launched():
    """Start the browser, and close it at the end; gives None if there is none."""
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
        found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
        if not found and own.exists():
            found = str(own)
        if not found:
            yield None
            return
        with _of(playwright.chromium, found) as browser:
            yield browser


@contextmanager
def _of(kind, program, *options):
    as_root = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    browser = kind.launch(executable_path=program, args=[*QUIET_BROWSER, *as_root, *options])
    browser.program = program
    yield browser
    browser.close()


def another_like(browser, *options):
    """Start the same program beside it, with other options."""
    return _of(browser.browser_type, browser.program, *options)


def wait_for(page, holds):
    """Wait until an expression holds in a page, or a function of none here while the page goes on.

    Playwright's own way with an expression is eval, which the policy of the site forbids.
    """
    give_up = time.monotonic() + 20
    while not (holds() if callable(holds) else page.evaluate(holds)):
        assert time.monotonic() < give_up, f"{holds} did not come true"
        page.wait_for_timeout(50)


def draw(page, strokes):
    """Draw on the sheet of a page with the mouse; places go from 0 to 1."""
    sheet = page.locator(".sheet")
    sheet.scroll_into_view_if_needed()
    box = sheet.bounding_box()
    for stroke in strokes:
        first, *others = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*first)
        page.mouse.down()
        for place in others:
            page.mouse.move(*place)
        page.mouse.up()


@contextmanager
def served(root):
    """Serve a folder; give the server's address."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Handler, directory=root)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def notebook(*sources):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


@contextmanager
def jupyterlab(home, opened):
    """Run a JupyterLab on a notebook, with its own settings; give the notebook's address and the log."""
    nbformat.write(opened, home / "opened.ipynb")
    no_news = home / "settings" / "@jupyterlab" / "apputils-extension"
    no_news.mkdir(parents=True)
    (no_news / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "MNIST_HELPERS_RUNS": str(home / "runs"),
    }
    options = ["--no-browser", "--allow-root", "--ip=127.0.0.1", "--port=0", f"--ServerApp.root_dir={home}"]
    with (home / "log").open("w") as log:
        command = [sys.executable, "-m", "jupyterlab", *options]
        process = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        # With its kernel up: before that, JupyterLab forgets what it is asked to run, or asks which kernel to take.
        wish = {"path": "opened.ipynb", "name": "", "type": "notebook", "kernel": {"name": "python3"}}
        give_up = time.monotonic() + 120
        while True:
            assert process.poll() is None, (home / "log").read_text()
            assert time.monotonic() < give_up, (home / "log").read_text()
            time.sleep(0.1)
            if not (written := list((home / "runtime").glob("jpserver-*.json"))):
                continue
            about = json.loads(written[0].read_text())
            headers = {"Authorization": f"token {about['token']}"}
            request = urllib.request.Request(f"{about['url']}api/sessions", json.dumps(wish).encode(), headers)
            try:
                urllib.request.urlopen(request, timeout=60).close()
                break
            except urllib.error.URLError as error:  # the file is written before the server listens
                if not isinstance(error.reason, ConnectionRefusedError):
                    raise
        yield f"{about['url']}lab/tree/opened.ipynb?token={about['token']}", home / "log"
    finally:
        process.terminate()
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:  # it waits for a kernel that computes; the kernel ends with it
            process.kill()
            process.wait()


class Lab:
    """The notebook in the browser, and what went wrong in its console."""

    def __init__(self, browser, address):
        self.address = address
        self.page = browser.new_context(viewport={"width": 1400, "height": 1300}).new_page()
        self.faults = []
        self.page.on("console", lambda message: message.type == "error" and self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.open()
        for cell in (0, 1):  # the imports, and the panel
            self.run(cell)
        self.panel = self.page.locator(".mnist-panel.retrain").first
        expect(self.panel).to_be_visible(timeout=90 * SECONDS)
        self.rows = self.panel.locator(".trials tbody tr")
        self.message = self.panel.locator(".message")
        self.stop = self.button("Stop")

    def open(self):
        self.page.goto(self.address)
        expect(self.page.locator(".jp-Notebook .jp-Cell").first).to_be_visible(timeout=60 * SECONDS)
        expect(self.page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=60 * SECONDS)

    def cell(self, number):
        return self.page.locator(".jp-Notebook .jp-Cell").nth(number)

    def run(self, number):
        prompt = self.cell(number).locator(".jp-InputPrompt")
        before = prompt.inner_text()
        self.cell(number).locator(".jp-InputArea-editor").click()
        self.page.keyboard.press("Control+Enter")
        expect(prompt).not_to_have_text(before)
        expect(prompt).to_have_text(re.compile(r"\[\d+\]:"), timeout=60 * SECONDS)

    def button(self, name):
        return self.panel.get_by_role("button", name=name, exact=True)

    def slide(self, label, key):
        """Move a slider by a key. JupyterLab takes the focus to the cell a moment after a click, so hold on to it."""
        slider = self.panel.get_by_role("slider", name=label, exact=True)
        before = slider.get_attribute("aria-valuetext")
        for _ in range(20):
            slider.focus()
            self.page.wait_for_timeout(100)
            self.page.keyboard.press(key)
            if slider.get_attribute("aria-valuetext") != before:
                return
        pytest.fail(f"{label} does not move")

    def until(self, locator, text, act):
        """Act until an element says what it should: the page may scroll away under a click."""
        for _ in range(5):
            act()
            try:
                expect(locator).to_contain_text(text, timeout=2 * SECONDS)
                return
            except AssertionError:
                continue
        expect(locator).to_contain_text(text)

    def curve(self):
        """Length of the path of the training curve of the run that is shown."""
        return len(self.panel.locator("svg.chart path.shown.training").first.get_attribute("d") or "")

    def longer_than(self, length):
        self.page.wait_for_function(
            "length => document.querySelector('svg.chart path.shown.training')?.getAttribute('d').length > length",
            arg=length,
            timeout=60 * SECONDS,
        )
        return self.curve()

    def at_rest(self):
        expect(self.stop).to_be_disabled(timeout=60 * SECONDS)


class Visit:
    """A page, and what went wrong while it was open: errors in the console, requests that left or failed."""

    def __init__(self, browser, address, **context):
        # A service worker would fetch behind the page's back (`test_offline.py` wants that).
        self.page = browser.new_context(**{"service_workers": "block"} | context).new_page()
        self.faults = []
        self.page.on("console", lambda message: message.type == "error" and self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("requestfailed", self._failed)
        self.page.on("response", lambda r: r.status >= 400 and self.faults.append(f"{r.status}: {r.url}"))
        self.page.route("**/*", functools.partial(self._keep_in, urlsplit(address).netloc))

    def _failed(self, request):
        if request.failure != "net::ERR_ABORTED":  # the page was left before it had come
            self.faults.append(f"failed: {request.url} ({request.failure})")

    def _keep_in(self, server, route):
        if urlsplit(route.request.url).netloc in ("", server):
            route.continue_()
        else:
            self.faults.append(f"left the server: {route.request.url}")
            route.abort()

    def open(self, url):
        self.page.goto(url, wait_until="networkidle")
        return self.page


@contextmanager
def blank_page(browser, lab_address, program):
    """Open the blank page beside the lab and run a program in it that is given the address; no error may come of it."""
    visit = Visit(browser, lab_address)
    page = visit.open(f"{lab_address}blank.html")
    page.evaluate(program, lab_address)
    yield page
    assert visit.faults == []
    page.context.close()


class Firefox:
    """A page in a real Firefox, which speaks WebDriver BiDi by itself; ``faults`` has its console's errors."""

    def __init__(self, program, profile):
        self._log = (profile / "log").open("w+")
        options = ["--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
        self._process = subprocess.Popen([program, *options], stderr=self._log, stdout=self._log)
        self.faults = []
        self._number = 0
        self._socket = websocket.create_connection(f"{self._address()}/session", timeout=120, suppress_origin=True)
        self._ask("session.new", capabilities={})
        self._ask("session.subscribe", events=["log.entryAdded"])
        self._context = self._ask("browsingContext.getTree")["contexts"][0]["context"]

    def _address(self):
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up:
            if found := re.search(r"ws://\S+", Path(self._log.name).read_text()):
                return found[0]
            time.sleep(0.1)
        pytest.fail(Path(self._log.name).read_text())

    def _ask(self, method, **params):
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv())
            if message.get("method") == "log.entryAdded" and message["params"]["level"] == "error":
                self.faults.append(message["params"]["text"])
            if message.get("id") == self._number:
                assert message["type"] == "success", message
                return message["result"]

    def open(self, url):
        self.faults = []
        self._ask("browsingContext.navigate", context=self._context, url=url, wait="complete")

    def evaluate(self, function):
        """Call a JavaScript function in the page; it may be async, and gives something that JSON can hold."""
        script = f"Promise.resolve(({function})()).then((value) => JSON.stringify(value ?? null))"
        target = {"context": self._context}
        answer = self._ask("script.evaluate", expression=script, target=target, awaitPromise=True)
        assert answer["type"] == "success", answer
        return json.loads(answer["result"]["value"])

    def kill(self):
        """End it as a crash would."""
        self._process.kill()
        self.close()

    def close(self):
        self._socket.close()
        self._process.terminate()
        self._process.wait(timeout=60)
        self._log.close()
