"""The book without a network: what a browser keeps of it after one visit, and what it makes of a new edition."""

import functools
import http.server
import os
import shutil
import threading
import time

import pytest
from playwright.sync_api import expect
from small_book import build_small_book

PAGES = {
    "first": "# First\n\nIt is about pelicans.\n",
    "second": "# Second\n\nIt is about cormorants.\n",
    "third": "# Third\n\nWill not stay.\n",
}
SUB_PATH = "courses/digits"
IMAGES = "lab/images.bin.gz"
READY = "() => navigator.serviceWorker.ready.then(({ active }) => active.scriptURL)"
TEXT = "() => document.body.innerText"
ASK = "() => fetch('{}').then(({{ status }}) => status, () => 'no answer')"
# The newest worker there is, once it has taken over.
UPDATED = """async () => {
    const registration = await navigator.serviceWorker.ready;
    await registration.update();
    const worker = registration.installing ?? registration.waiting ?? registration.active;
    const change = () => new Promise((resolve) => worker.addEventListener("statechange", resolve, { once: true }));
    while (worker.state !== "activated") await change();
    return (await (await caches.open((await caches.keys())[0])).keys()).map(({ url }) => url);
}"""
# How many workers there are when the page has had time for more than its own.
SETTLED = """async () => {
    for (let i = 0; i < 3; i++) await new Promise((resolve) => requestIdleCallback(resolve));
    return (await navigator.serviceWorker.getRegistrations()).length;
}"""
FOUND = """async () => {
    for (let i = 0; i < 200; i++) {
        const found = [...document.querySelectorAll("#search-results li a")].map(({ textContent }) => textContent);
        if (found.length) return found;
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
}"""


class Server:
    """Serves a folder, can be stopped and started again at the same address, and notes what it was asked for."""

    def __init__(self, root):
        asked = self.asked = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *_):
                pass

            def send_head(self):
                asked.append(self.path)
                return super().send_head()

        self.root = root
        self._handler = functools.partial(Handler, directory=root)
        self._port = 0
        self.start()

    def start(self):
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self._port), self._handler)
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        self._server.shutdown()
        self._server.server_close()

    @property
    def address(self):
        return f"http://127.0.0.1:{self._port}/"


class Chromium:
    """A page of Chromium with the two methods of ``Firefox``."""

    def __init__(self, browser):
        self.page = browser.new_context().new_page()
        self.open, self.evaluate = self.page.goto, self.page.evaluate


@pytest.fixture(params=["chromium", "firefox"])
def reader(request):
    if request.param == "firefox":
        yield request.getfixturevalue("firefox")
        return
    chromium = Chromium(request.getfixturevalue("browser"))
    yield chromium
    chromium.page.context.close()


@pytest.fixture(scope="module")
def editions(tmp_path_factory):
    """Two editions of a small book: in the second a page has changed, and another is gone."""
    folders = []
    changed = PAGES["first"].replace("pelicans", "penguins")
    for pages in (PAGES, {"first": changed, "second": PAGES["second"]}):
        folder = tmp_path_factory.mktemp("book")
        (folder / "_out" / "lab").mkdir(parents=True)
        (folder / "_out" / IMAGES).write_bytes(b"images")
        build_small_book(folder, pages, "offline")
        folders.append(folder / "_out")
    return folders


@pytest.fixture
def server(editions, tmp_path):
    server = Server(tmp_path)
    server.publish = functools.partial(publish, tmp_path / SUB_PATH)
    server.publish(editions[0], days=2)
    server.book = f"{server.address}{SUB_PATH}/"
    yield server
    server.stop()


def publish(place, edition, days):
    """Put an edition of some days ago in the place of what is there; browsers keep a day-old page for two hours."""
    if place.exists():
        shutil.rmtree(place)
    shutil.copytree(edition, place)
    for path in place.rglob("*"):
        os.utime(path, times=(time.time() - 86_400 * days,) * 2)


def test_after_one_visit_the_book_is_read_and_searched_without_the_server(reader, server):
    reader.open(f"{server.book}index.html")
    assert reader.evaluate(READY) == f"{server.book}service_worker.js"
    server.stop()
    for page, text in {"first.html?a=b#c": "pelicans", "second.html": "cormorants", "": "Third"}.items():
        reader.open(server.book + page)
        assert text in reader.evaluate(TEXT)
        # With its looks.
        assert reader.evaluate("() => [...document.styleSheets].some(({ cssRules }) => cssRules.length > 50)")
    reader.open(f"{server.book}search.html?q=pelican")
    assert reader.evaluate(FOUND) == ["First"]
    server.start()


def test_the_images_are_kept_when_they_were_asked_for_and_not_before(reader, server):
    reader.open(f"{server.book}first.html")
    reader.evaluate(READY)
    assert not any(IMAGES in path for path in server.asked)
    server.stop()
    assert reader.evaluate(ASK.format(IMAGES)) == "no answer"
    server.start()
    assert reader.evaluate(ASK.format(IMAGES)) == 200
    reader.evaluate(UPDATED)
    server.stop()
    assert reader.evaluate(ASK.format(IMAGES)) == 200
    server.start()


def test_a_changed_page_is_shown_from_the_next_visit_on_and_a_deleted_one_is_gone(reader, server, editions):
    reader.open(f"{server.book}third.html")
    reader.evaluate(READY)
    server.publish(editions[1], days=1)
    server.asked.clear()
    reader.open(f"{server.book}first.html")
    assert "penguins" in reader.evaluate(TEXT)
    assert reader.evaluate(ASK.format("third.html")) == 404
    kept = reader.evaluate(UPDATED)
    assert sum("first.html" in url for url in kept) == 1
    assert not any("third.html" in url for url in kept)
    # What has not changed was not fetched again.
    assert not any("searchtools.js" in path for path in server.asked)
    server.stop()
    reader.open(f"{server.book}second.html")
    assert reader.evaluate(ASK.format("third.html")) == "no answer"
    reader.open(f"{server.book}first.html")
    assert "penguins" in reader.evaluate(TEXT)
    server.start()


def test_a_page_that_is_newer_than_the_list_of_files_is_kept_as_it_was_seen(reader, server):
    reader.open(f"{server.book}second.html")
    reader.evaluate(READY)
    page = server.root / SUB_PATH / "first.html"
    page.write_text(page.read_text(encoding="utf-8").replace("pelicans", "puffins"), encoding="utf-8")
    reader.open(f"{server.book}first.html")
    assert "puffins" in reader.evaluate(TEXT)
    server.stop()
    reader.open(f"{server.book}first.html")
    assert "puffins" in reader.evaluate(TEXT)
    server.start()


def test_nothing_is_kept_for_who_saves_data(browser, server):
    reader = Chromium(browser)
    saving = reader.page.context.new_cdp_session(reader.page)
    saving.send("Emulation.setDataSaverOverride", {"dataSaverEnabled": True})
    reader.page.goto(f"{server.book}second.html", wait_until="networkidle")
    assert reader.evaluate(SETTLED) == 0
    saving.send("Emulation.setDataSaverOverride", {"dataSaverEnabled": False})
    reader.page.reload(wait_until="networkidle")
    assert reader.evaluate(SETTLED) == 1
    reader.page.context.close()


def test_on_a_disk_nothing_happens_and_nothing_is_complained_of(browser, editions):
    reader, said = Chromium(browser), []
    reader.page.on("console", lambda message: said.append(message.text))
    reader.page.on("pageerror", lambda error: said.append(str(error)))
    reader.page.goto((editions[0] / "index.html").as_uri(), wait_until="networkidle")
    reader.page.wait_for_timeout(200)
    assert said == []
    reader.page.context.close()


def test_the_book_itself_is_read_searched_and_trains_without_the_server(browser, site):
    server, reader = Server(site), Chromium(browser)
    reader.open(f"{server.address}notebooks/06_overfitting.html")
    reader.evaluate(READY)
    for seed, visit in enumerate(["with the server", "without it"]):
        reader.open(f"{server.address}train_here.html")
        reader.page.get_by_role("spinbutton", name="Seed").fill(str(seed))  # another run than the one that is kept
        reader.page.get_by_role("button", name="Train", exact=True).click()
        expect(reader.page.locator(".mnist-panel.retrain .message")).to_contain_text("has finished", timeout=60_000)
        if visit == "with the server":
            assert any(url.endswith("images.bin.gz") for url in (url.split("?")[0] for url in reader.evaluate(UPDATED)))
            server.stop()
    reader.open(f"{server.address}notebooks/03_building_the_model.html")
    # Those too that would not be loaded yet; one that does not come throws.
    assert reader.evaluate(
        """() => Promise.all([...document.images].map((image) => {
            image.loading = "eager";
            return image.decode();
        })).then(({ length }) => length)"""
    )
    assert reader.evaluate("() => document.fonts.check('16px \"Atkinson Hyperlegible Next\"')")
    reader.open(f"{server.address}search.html?q=permutation")
    assert "2. Flattening" in reader.evaluate(FOUND)
    reader.page.context.close()
