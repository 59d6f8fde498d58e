"""What comes from outside is hostile: addresses, texts that are typed, drawings, queries. No script of them runs.

What a front end may say to the kernel is in `test_kernel_engine.py`.
"""

import json
import random
from urllib.parse import quote

import pytest
from browsing import SECONDS, blank_page, wait_for
from playwright.sync_api import expect

from mnist_helpers.controls import CONTROLS

CALL = "window.canary = 1"
SCRIPTS = [
    f'"><img src=x onerror="{CALL}">',
    f"<script>{CALL}</script>",
    f"</title></script><svg onload='{CALL}'>",
    f"javascript:{CALL}",
    f"';{CALL};//",
    f"${{{CALL}}}",
    f"<iframe srcdoc='<script>parent.{CALL}</script>'>",
    f"<a href='javascript:{CALL}' autofocus onfocus='{CALL}'>",
    f"data:text/html,<script>{CALL}</script>",
]
NAMES = ["__proto__", "constructor", "prototype", "hasOwnProperty", "toString", "__defineGetter__", "length", "then"]
NUMBERS = [
    "NaN",
    "Infinity",
    "-1",
    "1e999",
    "0x10",
    "1e3",
    "",
    " 5 ",
    "٣",
    "-0",
    "2147483648",
    "9" * 400,
    "1,5",
    "null",
]
SLOW = f"9{' ' * 100_000}9"  # for patterns that look for the end of many blanks
ODD = [
    SLOW,
    "\0",
    "%",
    "%F0%9F",
    "🎲",
    "\u202e",
    "a&b=c",
    "#",
    "\n",
    "1.units",
    " ",
    "A" * 100_000,
    "<" * 100_000,
    "\ud800",
]
HOSTILE = [*SCRIPTS, *NAMES, *NUMBERS, *ODD]


def some(number, make):
    """So many, the same each time."""
    chance = random.Random(19)
    return [make(chance) for _ in range(number)]


def hostile_text(chance):
    """One of the hostile texts, or some of them in a row, without the long ones."""
    if chance.random() < 0.5:
        return chance.choice(HOSTILE)
    return chance.choice(["", " ", "."]).join(text[:400] for text in chance.sample(HOSTILE, 3))


def hostile_address(chance):
    """Names and values of a query; some are good, so that the others are read too."""

    def text():
        # Now and then a long one: what browsers have to do for that takes its time.
        return hostile_text(chance)[: 2_000 if chance.random() < 0.95 else None]

    controls = chance.sample(CONTROLS, 5)
    good = [(control.name, str(chance.choice(control.choices))) for control in controls[:3]]
    bad = [(control.name, text()) for control in controls[3:]]
    return chance.sample([*good, *bad, ("start", text()), (text(), text()), (f"2.{controls[0].name}", "1")], 6)


OPEN = """async (base) => {
    const names = ["panel/session", "panel/drawn_digit", "retrain_in_page", "worker_engine"];
    const modules = await Promise.all(names.map((name) => import(`${base}lab/${name}.js`)));
    window.setup = await fetch(`${base}lab/setup.json`).then((response) => response.json());
    setup.collections.forEach((collection) => (collection.address = `${base}lab/${collection.file}`));
    Object.assign(window, ...modules);
    window.panelHere = async () => {
        const element = document.createElement("mnist-lab");
        element.setAttribute("view", "retrain");
        document.body.replaceChildren(element);
        element.append(await retrain(element, setup, () => {}));
        return element.session;
    };
    window.frames = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));
}"""


@pytest.fixture
def lab(browser, lab_address):
    """A page with the lab's modules, and nothing else; nothing has run in it, and no error come of it."""
    with blank_page(browser, lab_address, OPEN) as page:
        yield page
        assert page.evaluate("window.canary") is None


def test_a_thousand_addresses_leave_every_setting_in_its_range(lab):
    outside = lab.evaluate(
        """async (json) => {
            const addresses = JSON.parse(json);
            const outside = [];
            await panelHere();
            for (const [i, address] of addresses.entries()) {
                history.replaceState(null, "", `?${new URLSearchParams(address)}`);
                const session = sessionInAddress(document.querySelector("mnist-lab"), setup);
                for (const { name, kind, choices } of setup.controls) {
                    const value = session.settings[name], [lowest, highest] = choices;
                    const whole = Number.isInteger(value) && value >= lowest && value <= highest;
                    const fine = kind === "number" ? whole : [...choices, session.origin[name]].includes(value);
                    if (!fine) outside.push([name, value]);
                }
                if (!/^[0-9,]+$/.test(session.state.parameters)) outside.push(["parameters"]);
                if (i % 50 === 0) await panelHere(), await frames();
            }
            return outside;
        }""",
        json.dumps(some(1_000, hostile_address)),
    )
    assert outside == []
    lab.evaluate("history.replaceState(null, '', '?epochs=1&units=8&start=__proto__')")
    lab.evaluate("panelHere()")
    lab.get_by_role("button", name="Train", exact=True).click()
    expect(lab.locator(".message")).to_contain_text("Run 1 has finished", timeout=60 * SECONDS)


def test_a_thousand_texts_are_typed_as_predictions_and_as_names_of_runs(lab):
    shares, names = lab.evaluate(
        """async (json) => {
            const texts = JSON.parse(json);
            const shares = [], names = [];
            const session = await panelHere();
            session.set("epochs", 1);
            session.set("units", 8);
            session.train();
            await new Promise((resolve) => session.listen(() => session.running || resolve()));
            session.engine.train = () => "none"; // what is a percentage after all trains nothing here
            for (const [i, text] of texts.entries()) {
                session.set("seed", i + 1);
                session.train(text);
                if (session.running) shares.push(session.running.predicted);
                session.running = null;
                session.change(1, { name: text });
                const [row] = document.querySelectorAll(".trials tbody tr");
                names.push([row.querySelector("input[type=text]").value, row.children.length]);
                if (i % 100 === 0) await frames();
            }
            return [shares, names];
        }""",
        json.dumps(some(1_000, hostile_text)),
    )
    assert all(0 <= share <= 1 for share in shares)
    assert all(len(name.encode("utf-16-le", "surrogatepass")) <= 80 for name, _ in names)
    assert len({columns for _, columns in names}) == 1


def test_of_a_thousand_drawings_each_becomes_a_picture_or_a_blank(lab):
    lengths = lab.evaluate(
        """() => {
            const places = [NaN, Infinity, -1e308, 1e308, 0, -0, 0.5, 1, 5e-324, undefined];
            let state = 19;
            const next = () => (state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff) >>> 16;
            const some = (values) => values[next() % values.length];
            const several = (numbers, make) => Array.from({ length: some(numbers) }, make);
            const drawing = () => several([0, 1, 3], () => several([0, 1, 2, 20], () => [some(places), some(places)]));
            return Array.from({ length: 1000 }, () => pictureOf(drawing()).length);
        }"""
    )
    assert lengths == [784] * 1_000


def test_a_thousand_queries_find_pages_of_the_book_or_nothing(visit, address):
    page = visit.open(address + "search.html")
    wait_for(page, "Search.hasIndex()")
    strangers = page.evaluate(
        """(json) => JSON.parse(json).flatMap((query) => {
            const results = Search._performSearch(...Search._parseQuery(query.slice(0, 200)));
            return results.map(([name]) => name).filter((name) => !Search._index.docnames.includes(name));
        })""",
        json.dumps(some(1_000, hostile_text)),
    )
    assert strangers == []
    assert page.evaluate("window.canary") is None


WITHIN_A_SERVERS_LIMIT = [text[:2_000] for text in SCRIPTS + NAMES + ["🎲", "A" * 100_000, "a b " * 2_000, "#", "%"]]


@pytest.mark.parametrize("where", ["search.html?q=", "notebooks/05_training.html?highlight=", "train_here.html?start="])
def test_pages_open_with_hostile_addresses(visit, address, where):
    page = visit.page
    for text in some(4, lambda chance: chance.choice(WITHIN_A_SERVERS_LIMIT)):
        page.goto(f"{address}{where}{quote(text)}&units={quote(text)}#{quote(text, safe='<>')}")
        page.evaluate("new Promise((resolve) => requestIdleCallback(resolve))")
        assert page.evaluate("window.canary") is None
        assert page.locator("main h1:visible").count() == 1
    if "start" in where:
        panel = page.locator(".mnist-panel.retrain")
        panel.get_by_role("button", name="Train", exact=True).click()
        expect(panel.locator(".message")).to_contain_text("has finished", timeout=60 * SECONDS)
