"""The runs of the page's panels are kept in the browser: they come back after a reload, and after a crash."""

import json
import shutil
from contextlib import contextmanager

import pytest
from browsing import SECONDS, Firefox
from playwright.sync_api import Error

SMALL = {"hidden_layers": 1, "units": 16, "epochs": 2, "training_images": 2_000, "batch_size": 100}
SESSION = "document.querySelector('mnist-lab').session"
OPEN = """async () => {
    document.body.innerHTML = `<mnist-lab view="retrain" recipe='RECIPE'></mnist-lab>`;
    await import("BASElab/lab_element.js");
    const element = document.querySelector("mnist-lab");
    await element.open();
    window.ended = () => new Promise((resolve) => element.session.listen(() => element.session.running || resolve()));
}"""
RUNS = f"""async () => Promise.all({SESSION}.trials.map(async (trial) => {{
    const {{ number, state, seed, name, history, curve, weights }} = trial;
    const answer = weights && (await {SESSION}.ask("probabilities", trial, {{ pixels: Array(784).fill(9) }}));
    return {{ number, state, seed, name, history, curve, answer }};
}}))"""
# The name of the browser's database, which is made in the background.
NAME = "let name; while (!name) [{ name } = {}] = await indexedDB.databases();"

# What is in that database, when all that was begun has been written.
KEPT = """async () => {
    NAME
    const open = indexedDB.open(name);
    await new Promise((resolve) => (open.onsuccess = resolve));
    const stores = open.result.transaction(["runs", "networks"], "readwrite");
    const counts = await Promise.all(["runs", "networks"].map((store) => new Promise((resolve) => {
        const count = stores.objectStore(store).count();
        count.onsuccess = () => resolve(count.result);
    })));
    open.result.close();
    return counts;
}""".replace("NAME", NAME)

# Change what is kept of the first two runs.
CHANGE = """async (change) => {
    NAME
    const open = indexedDB.open(name);
    await new Promise((resolve) => (open.onsuccess = resolve));
    const runs = open.result.transaction(["runs"], "readwrite").objectStore("runs"), all = runs.getAll();
    await new Promise((resolve) => (all.onsuccess = resolve));
    new Function("run", "other", change)(...all.result);
    for (const run of all.result) {
        const put = runs.put(run);
        await new Promise((resolve) => (put.onsuccess = resolve));
    }
    open.result.close();
}""".replace("NAME", NAME)


class Tab:
    """A page with one retrain panel; `evaluate` calls a JavaScript function in it."""

    def __init__(self, evaluate, base, recipe=SMALL):
        self.evaluate = evaluate
        evaluate(OPEN.replace("BASE", base).replace("RECIPE", json.dumps(recipe)))

    def train(self, **settings):
        steps = "".join(f"{SESSION}.set({json.dumps(name)}, {json.dumps(value)});" for name, value in settings.items())
        self.evaluate(f"async () => {{ {steps} {SESSION}.train(); await ended(); }}")

    def runs(self):
        return self.evaluate(RUNS)

    def numbers(self):
        return self.evaluate(f"() => {SESSION}.trials.map(({{number}}) => number)")

    def kept(self):
        return self.evaluate(KEPT)

    def said(self):
        return self.evaluate("() => document.querySelector('.kept [role=status]').textContent")

    def message(self):
        return self.evaluate("() => document.querySelector('.message').textContent")

    def forget(self):
        self.evaluate("() => { window.confirm = () => true; document.querySelector('.kept button').click(); }")


@pytest.fixture
def context(browser):
    context = browser.new_context(service_workers="block")
    yield context
    context.close()


def opened(context, base, recipe=SMALL):
    page = context.new_page()
    page.goto(f"{base}blank.html")
    return page, Tab(page.evaluate, base, recipe)


def test_runs_come_back_after_a_reload_and_are_forgotten_on_request(context, lab_address):
    page, tab = opened(context, lab_address)
    tab.train()
    tab.train(seed=1)
    tab.evaluate(f"() => {SESSION}.change(1, {{name: 'the first', pinned: true}})")
    before = tab.runs()
    assert tab.kept() == [2, 2]
    page.reload()
    tab = Tab(page.evaluate, lab_address)
    assert tab.runs() == before
    assert tab.message() == "Your runs are here again, with their networks."
    # What is trained now follows in the numbers; what is known comes at once.
    tab.train(seed=2)
    assert tab.numbers() == [1, 2, 3]
    tab.evaluate(f"() => {{ {SESSION}.set('seed', 0); {SESSION}.train(); }}")
    assert tab.message() == "the first had this setting already: here it is again, at once."
    # What is cleared does not come back, and what is pinned does.
    tab.evaluate(f"() => {SESSION}.clear()")
    assert tab.kept() == [1, 1]
    tab.forget()
    assert (tab.numbers(), tab.kept(), tab.message()) == ([], [0, 0], "Your runs are forgotten.")
    page.reload()
    assert Tab(page.evaluate, lab_address).runs() == []


def test_runs_come_back_after_a_crash_of_the_tab(context, lab_address):
    page, tab = opened(context, lab_address)
    tab.train()
    before = tab.runs()
    assert tab.kept() == [1, 1]
    with page.expect_event("crash"), pytest.raises(Error):
        page.goto("chrome://crash", timeout=5 * SECONDS)
    assert opened(context, lab_address)[1].runs() == before


@contextmanager
def firefox_with(profile, base):
    program = shutil.which("firefox-esr") or shutil.which("firefox")
    firefox = Firefox(program, profile)
    firefox.open(f"{base}blank.html")
    yield firefox, Tab(firefox.evaluate, base)


def test_runs_come_back_after_a_crash_of_firefox(firefox, lab_address, tmp_path):
    with firefox_with(tmp_path, lab_address) as (browser, tab):
        tab.train()
        before = tab.runs()
        assert tab.kept() == [1, 1]
        browser.kill()
    with firefox_with(tmp_path, lab_address) as (browser, tab):
        assert tab.runs() == before
        tab.forget()
        assert tab.kept() == [0, 0]
        assert browser.faults == []
        browser.close()


def test_two_tabs_of_a_page_keep_the_runs_of_both(context, lab_address):
    (first, one), (_, other) = opened(context, lab_address), opened(context, lab_address)
    one.train(seed=1)
    other.train(seed=2)
    one.evaluate(f"() => {SESSION}.change(1, {{name: 'of the first tab'}})")
    assert one.numbers() == other.numbers() == [1]
    assert one.kept() == [2, 2]
    first.reload()
    both = Tab(first.evaluate, lab_address).runs()
    assert [(run["number"], run["seed"], run["name"]) for run in both] == [(1, 1, "of the first tab"), (2, 2, "")]
    assert all(run["answer"] for run in both)


def test_runs_come_back_in_the_order_of_their_training(context, lab_address):
    page, tab = opened(context, lab_address)
    tab.train()
    tab.train(seed=1)
    tab.kept()
    page.evaluate(CHANGE, "[run.when, other.when] = [other.when, run.when]")
    page.reload()
    assert Tab(page.evaluate, lab_address).numbers() == [2, 1]


def test_a_run_without_a_network_comes_back_without_one(context, lab_address):
    page, tab = opened(context, lab_address)
    tab.train(learning_rate=1e30)
    assert tab.kept() == [1, 0]
    page.reload()
    tab = Tab(page.evaluate, lab_address)
    assert tab.evaluate(f"() => {SESSION}.trials.map((trial) => [trial.state, {SESSION}.view(trial).openable])") == [
        ["failed", False]
    ]


def test_who_deletes_what_the_browser_keeps_has_it_deleted_and_the_page_goes_on(context, lab_address):
    page, tab = opened(context, lab_address)
    tab.train()
    assert tab.kept() == [1, 1]
    page.evaluate(
        """async () => {
            NAME
            const deleted = indexedDB.deleteDatabase(name);
            await new Promise((resolve, reject) => Object.assign(deleted, { onsuccess: resolve, onblocked: reject }));
        }""".replace("NAME", NAME)
    )
    tab.train(seed=1)
    assert (tab.numbers(), tab.kept(), tab.said()) == ([1, 2], [1, 1], "")


@pytest.mark.parametrize(
    ("change", "back"),
    [
        ("run.recipe.magic = 1", []),
        ("run.recipe.label_smoothing = 0.1", []),  # which no control of this panel says
        ("delete run.history", []),
        ("run.images = 'others.bin.gz'", []),
        ("delete run.recipe.zoom", [1]),  # what recipes have had since then, the article's has as it was before
    ],
)
def test_runs_of_other_editions_come_back_if_they_are_understood_and_break_nothing(context, lab_address, change, back):
    page, tab = opened(context, lab_address)
    tab.train()
    tab.kept()
    page.evaluate(CHANGE, change)
    page.reload()
    tab = Tab(page.evaluate, lab_address)
    assert (tab.numbers(), tab.said()) == (back, "")
    tab.train(seed=5)
    assert tab.numbers() == [*back, len(back) + 1]


def test_a_full_disk_is_said_and_training_goes_on(context, lab_address):
    page, tab = opened(context, lab_address)
    quota = {"origin": lab_address.rstrip("/"), "quotaSize": 1_000}
    context.new_cdp_session(page).send("Storage.overrideQuotaForOrigin", quota)
    tab.train()
    tab.kept()
    assert tab.said() == (
        "There is no room left to keep your latest run: it lasts until you leave this page. Forgetting runs makes room."
    )
    tab.train(seed=1)
    assert tab.numbers() == [1, 2]


def test_a_browser_that_keeps_nothing_is_said_and_trains(context, lab_address):
    context.add_init_script(
        "Object.defineProperty(window, 'indexedDB', {get() { throw new DOMException('no', 'SecurityError'); }})"
    )
    _, tab = opened(context, lab_address)
    sentence = "This browser keeps nothing here, as in some private windows: your runs last until you leave this page."
    assert tab.said() == sentence
    tab.train()
    assert tab.numbers() == [1]
    tab.forget()
    assert (tab.numbers(), tab.said()) == ([], sentence)


def test_the_panel_opens_without_what_keeps_its_runs(context, lab_address):
    context.route("**/kept_runs.js", lambda route: route.abort())
    _, tab = opened(context, lab_address)
    tab.train()
    assert tab.numbers() == [1]
