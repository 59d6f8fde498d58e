"""Half an hour of random use of the panels, in JupyterLab and in the page: memory, threads and file handles stay level.

Once a minute the panel is brought to rest, its runs cleared, and what is held then is noted. It is level if the median
of the last ten minutes is at most a twentieth, or the little that is given below, above that of the ten before; in the
first ten, what is loaded and compiled when it is first needed comes. Of a page that is the memory that its JavaScript
uses, and its nodes; what its process has of the system is given too, but not judged, since a browser keeps much of what
was freed. Sliders stay in their lower half, so that runs last for seconds; in JupyterLab no control makes more than a
few shapes of network, because TensorFlow keeps what it compiles for each. JupyterLab is asked to leave out its cells'
toolbars: 4.6 keeps each that it has shown, some 260 nodes whenever another cell is chosen, in a notebook without a
panel too (jupyterlab/jupyterlab, pull request 19370). It also keeps each key that was pressed, with the field and what
the field is in, until a shortcut is used; so the notebook is saved before each rest.
"""

import json
import random
import statistics
import time
from contextlib import contextmanager

import psutil
import pytest
from browsing import SECONDS, Lab, Visit, another_like, draw, jupyterlab, notebook
from figures import keep
from playwright.sync_api import expect

MINUTES = 30
LITTLE = {"MB": 10, "MB of JavaScript": 2, "nodes": 500, "threads": 3, "file handles": 5}
CELLS = [
    "from mnist_helpers.data import load_mnist\n"
    "from mnist_helpers.panels import draw_panel, explore_panel, retrain_panel\n"
    "mnist = load_mnist()",
    "names = 'batch_norm', 'dropout', 'epochs', 'learning_rate', 'seed'\n"
    "lab = retrain_panel(data=mnist, controls=names)\n"
    "lab",
    "draw_panel(lab)",
    "explore_panel(mnist, lab)",
]

# Choose a kind of control, one of that kind, and what to do with it, by three numbers from 0 to 1; give its name.
ACT = """([ofKinds, ofThese, how]) => {
    const some = (values, chance) => values[Math.floor(chance * values.length)];
    const kinds = new Map();
    for (const node of document.querySelectorAll(".mnist-panel :is(button, input, select, summary)")) {
        const label = node.labels?.[0]?.textContent ?? "";
        const called = label || node.textContent || node.closest("td")?.cellIndex;
        const name = `${node.type ?? ""} ${called}`.replace(/\\d+/g, "");
        if (!node.checkVisibility() || node.disabled || node.type === "file" || /Load all|Forget/.test(name)) continue;
        kinds.set(name, [...(kinds.get(name) ?? []), node]);
    }
    const kind = some([...kinds.keys()], ofKinds), node = some(kinds.get(kind), ofThese);
    const change = (name, value, ...events) => {
        node[name] = value;
        for (const event of events) node.dispatchEvent(new Event(event, { bubbles: true }));
    };
    if (node.localName === "select") change("selectedIndex", Math.floor(how * node.options.length), "change");
    else if (node.type === "range") change("value", Math.floor(how * (node.max / 2 + 1)), "input", "change");
    else if (node.type === "number") change("value", Math.floor(how * 1000), "input", "change");
    else if (node.type === "text") {
        node.focus();
        change("value", (100 * how).toFixed(1), "input", "change");
        node.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true }));
        node.blur();
    } else node.click();
    return kind;
}"""
REST = """async () => {
    const panel = document.querySelector(".mnist-panel.retrain");
    const named = (text) => [...panel.querySelectorAll("button")].find((node) => node.textContent === text);
    for (const node of panel.querySelectorAll(".buttons input")) if (node.checked) node.click();
    const stop = named("Stop");
    while (!stop.disabled) {
        stop.click();
        await new Promise((resolve) => setTimeout(resolve, 200));
    }
    for (const node of panel.querySelectorAll(".trials button[aria-pressed=true]")) node.click();
    named("Clear all but the pinned").click();
    panel.querySelector(".compared button.close")?.click();
}"""


def begun(word):
    """Give the processes below this one whose command has a word in it."""
    found = set()
    for process in psutil.Process().children(recursive=True):
        try:
            if any(word in part for part in process.cmdline()):
                found.add(process)
        except psutil.Error:  # it has ended
            continue
    return found


@contextmanager
def browser_of_its_own(browser):
    """A browser whose rubbish can be collected when it is asked for."""
    with another_like(browser, "--js-flags=--expose-gc") as own:
        yield own


def held_by(kernel):
    """Give what tells what a kernel holds."""

    def look():
        memory = kernel.memory_full_info().uss
        return {"MB": memory / 1e6, "threads": kernel.num_threads(), "file handles": kernel.num_fds()}

    return look


def held_by_page(page, others):
    """Give what tells what a page and its process hold; ``others`` are the browsers' processes of before."""
    process = max(begun("--type=renderer") - others, key=lambda process: process.memory_info().rss)
    session, look = page.context.new_cdp_session(page), held_by(process)
    session.send("Performance.enable")

    def look_at_both():
        metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
        inside = {"MB of JavaScript": metrics["JSHeapUsedSize"] / 1e6, "nodes": metrics["Nodes"]}
        of_process = look()
        return inside | {"MB of the process": of_process.pop("MB")} | of_process

    return look_at_both


def save_the_notebook(page):
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("Control+S")


def use(page, looks, tmp_path, chance, before_a_rest=lambda page: None):
    """Do something at random for as long as it takes; give how often, and what was held at each rest."""
    saved = tmp_path / "run.npz"

    def choose(chooser):
        if saved.exists():
            chooser.set_files(saved)
        chooser.element.dispose()  # which the browser would hold for Playwright

    page.on("download", lambda download: download.save_as(saved))
    page.on("filechooser", choose)
    actions, rests, began = 0, [], time.monotonic()
    while len(rests) < MINUTES:
        if time.monotonic() - began > 60 * (len(rests) + 1):
            before_a_rest(page)
            page.evaluate(REST)
            page.wait_for_timeout(2 * SECONDS)
            for place in (page, *page.workers):
                place.evaluate("gc()")
            page.wait_for_timeout(SECONDS)
            rests.append({name: look() for name, look in looks.items()})
        actions += 1
        what = chance.random()
        if what < 0.05:
            places = [[(chance.random(), chance.random()) for _ in range(4)] for _ in range(chance.randint(1, 3))]
            draw(page, places)
        elif what < 0.06:
            other = page.context.new_page()
            other.bring_to_front()
            other.wait_for_timeout(500)
            page.bring_to_front()
            other.close()
        else:
            page.evaluate(ACT, [chance.random() for _ in range(3)])
        page.wait_for_timeout(chance.choice([20, 100, 300, 1500]))
    return actions, rests


def thirds(values):
    size = len(values) // 3
    return [statistics.median(values[size * third : size * (third + 1)]) for third in range(3)]


def judge(what, actions, seconds, rests):
    """Keep the medians of three thirds, and hold the last one to the second."""
    found = {name: {unit: thirds([rest[name][unit] for rest in rests]) for unit in rests[0][name]} for name in rests[0]}
    told = [
        f"{name}: "
        + ", ".join(f"{' → '.join(f'{value:,.0f}' for value in values)} {unit}" for unit, values in units.items())
        for name, units in found.items()
    ]
    for units in found.values():
        for unit, (_, before, last) in units.items():
            level = unit not in LITTLE or last <= before + max(before / 20, LITTLE[unit])
            assert level, "\n".join([*told, json.dumps(rests)])
    keep(what, f"{actions:,} actions", seconds, "level. " + ". ".join(told))


def answers(panel, seed):
    """Hold a panel to training still; the seed is none that it may have trained from already."""
    panel.get_by_role("button", name="Reset to the article", exact=True).click()
    panel.get_by_role("slider", name="Epochs", exact=True).press("Home")
    panel.get_by_label("Seed").fill(str(seed))
    panel.get_by_role("button", name="Train", exact=True).click()
    expect(panel.locator(".message")).to_contain_text("has finished", timeout=120 * SECONDS)


def leave_out_the_toolbars_of_cells(home):
    settings = home / "config" / "labconfig"
    settings.mkdir(parents=True)
    (settings / "page_config.json").write_text('{"disabledExtensions": {"@jupyterlab/cell-toolbar-extension": true}}')


@pytest.mark.timeout(60 * MINUTES + 1_200)
def test_half_an_hour_of_the_panel_in_jupyterlab(browser, tmp_path):
    leave_out_the_toolbars_of_cells(tmp_path)
    before = begun("--type=renderer")
    with jupyterlab(tmp_path, notebook(*CELLS)) as (address, _), browser_of_its_own(browser) as own:
        lab = Lab(own, address)
        page = lab.page
        page.set_viewport_size({"width": 1400, "height": 5000})  # JupyterLab takes away what is out of sight
        answers(lab.panel, seed=1_000)  # because the other panels ask for a network
        for cell in (2, 3):
            lab.run(cell)
        expect(page.locator(".mnist-panel.explore")).to_be_visible(timeout=60 * SECONDS)
        (kernel,) = begun("ipykernel_launcher")
        looks = {"kernel": held_by(kernel), "page": held_by_page(page, before)}
        began = time.monotonic()
        actions, rests = use(page, looks, tmp_path, random.Random(21), save_the_notebook)
        seconds = time.monotonic() - began
        answers(lab.panel, seed=1_001)
        assert lab.faults == []
        page.context.close()
    judge("The panel in JupyterLab", actions, seconds, rests)


@pytest.mark.timeout(60 * MINUTES + 1_200)
def test_half_an_hour_of_the_panels_in_the_page(browser, address, tmp_path):
    before = begun("--type=renderer")
    with browser_of_its_own(browser) as own:
        visit = Visit(own, address)
        page = visit.open(address + "train_here.html")
        for element in page.locator("mnist-lab").all():
            element.scroll_into_view_if_needed()
            expect(element).to_have_attribute("open", "")
        began = time.monotonic()
        actions, rests = use(page, {"page": held_by_page(page, before)}, tmp_path, random.Random(21))
        seconds = time.monotonic() - began
        answers(page.locator(".mnist-panel.retrain"), seed=1_001)
        assert visit.faults == []
        page.context.close()
    judge("The panels of Train it here", actions, seconds, rests)
