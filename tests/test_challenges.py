"""The challenges: what each counts, what is remembered of them, and that their text stands once."""

from pathlib import Path

import nbformat
import pytest
from browsing import Visit
from notebook_sections import TAKEN_OVER, section_of

from mnist_helpers.controls import CHALLENGES

ROOT = Path(__file__).parents[1]
LAB = nbformat.read(ROOT / "notebooks" / "retrain_lab.ipynb", as_version=4)
OPEN = """async (base) => {
    const lab = `${base}lab/`, names = ['panel/challenge_view.js', 'setting_in_address.js'];
    Object.assign(window, ...(await Promise.all(names.map((name) => import(lab + name)))));
    window.setup = await fetch(`${lab}setup.json`).then((response) => response.json());
    const settings = {units: 100, epochs: 10, training_images: 10000};
    // A run that went so; the last value of each is that of its last epoch.
    window.run = (reached, {gap = 0.1, dead, changed = {}, hidden_layers = 2} = {}) => ({
        recipe: {...setup.article, hidden_layers, ...changed}, settings: {...settings, ...changed}, weights: true, dead,
        images: setup.collections[0],
        history: {
            val_accuracy: reached, seconds: reached.map(() => 0.5), loss: [0], val_loss: reached.map(() => gap),
        },
    });
    window.session = (...trials) => {
        const listeners = [];
        return {
            trials, setup, origin: settings, network: trials.at(-1),
            listen: (listener) => (listeners.push(listener), () => {}),
            tell: () => listeners.forEach((tell) => tell('all')),
        };
    };
    window.view = (name, session) => {
        const search = (...setting) => searchOf(1, ...setting);
        document.body.replaceChildren(challengeView(session, name, setup.challenges[name], search).node);
    };
    window.said = async () => {
        await new Promise((resolve) => setTimeout(resolve, 20));
        return [...document.querySelectorAll('.challenge, .record:not([hidden])')].map((node) => node.textContent);
    };
}"""


@pytest.fixture
def page(browser, lab_address):
    visit = Visit(browser, lab_address)
    page = visit.open(lab_address + "blank.html")
    page.evaluate(OPEN, lab_address)
    yield page
    assert visit.faults == []
    page.context.close()


def judged(page, name, *runs):
    """What is said of a challenge with these runs: its state, and the record if there is one."""
    page.evaluate(f"view({name!r}, session({', '.join(runs)}))")
    return page.evaluate("said()")


# Of each: a run that does not do, and what is said of it; runs of which the second is the best, and what is said.
JUDGED = {
    "smallest": (
        "run([0.5, 0.9799])",
        "none yet; the best so far is 97.99%",
        ["run([0.98, 0.3])", "run([0.99], {changed: {units: 50}})"],
        "42,310 parameters",
    ),
    "gap": (
        "run([])",
        "train something first",
        ["run([0.5])", "run([0.5], {gap: 1.25})", "run([0.5], {gap: NaN})"],
        "a gap of 1.250",
    ),
    "dead": (
        "run([0.5], {hidden_layers: 0})",
        "no network with hidden layers yet",
        ["run([0.5], {dead: 0.2})", "run([0.5], {dead: 1})"],
        "100% of the hidden units are dead",
    ),
    "fastest": (
        "run([0.96])",
        "none yet; the best so far is 96.00%",
        ["run([0.1, 0.9, 0.97])", "run([0.9, 0.97, 0.99])"],
        "1.0 s of training",
    ),
    "cracked": (
        "run([0.9899])",
        "none yet; the best so far is 98.99%",
        ["run([0.99])", "run([0.9912, 0.2])"],
        "99.12% of the validation images read right",
    ),
}


@pytest.mark.parametrize("name", JUDGED)
def test_the_best_run_counts_of_those_that_reach_enough(page, name):
    too_little, none_yet, enough, state = JUDGED[name]
    assert judged(page, name) == ["train something first"]
    assert judged(page, name, too_little) == [none_yet]
    said, record = judged(page, name, *enough, too_little)
    assert said == state
    assert record.startswith(f"Your record, kept in this browser: {state}, with ")


def test_a_record_is_kept_until_it_is_beaten_or_forgotten(page):
    judged(page, "cracked", "run([0.991], {changed: {units: 200}})")
    assert "99.10% of" in judged(page, "cracked")[1]
    assert page.evaluate("Object.keys(localStorage)") == ["cracking-99-records"]  # for what is kept to be found again
    assert "99.10% of" in judged(page, "cracked", "run([0.9905])")[1]
    assert "units 200. Forget it" in judged(page, "cracked")[1]
    link = page.locator(".record a")
    assert link.evaluate("link => link.search") == "?units=200"
    assert "99.20% of" in judged(page, "cracked", "run([0.992])")[1]
    # What is still in the table is no new record after that.
    page.evaluate("window.last = session(run([0.992])), view('cracked', last)")
    page.get_by_role("button", name="Forget it").click()
    page.evaluate("last.tell()")
    assert len(page.evaluate("said()")) == 1
    assert len(judged(page, "cracked", "run([0.992])")) == 1
    assert "99.30% of" in judged(page, "cracked", "run([0.993])")[1]


def test_only_who_has_said_what_was_meant_has_fooled_it(page):
    draw = "(shares) => document.dispatchEvent(new CustomEvent('drawn', {detail: shares}))"
    assert judged(page, "fooled", "run([0.5])") == ["draw something first"]
    page.evaluate(draw, [0.04, 0.96, *[0] * 8])
    assert page.evaluate("said()") == ["it reads 1, 96% sure: which digit did you mean?"]
    meant = page.get_by_label("The digit that you meant")
    meant.select_option("1")
    assert page.evaluate("said()") == ["it reads 1, 96% sure: not fooled yet"]
    meant.select_option("7")
    said, record = page.evaluate("said()")
    assert said == "it reads 1, 96% sure: fooled!"
    assert "96% sure of another digit, with the setting at the start" in record
    page.evaluate(draw, [0.2, 0.8, *[0] * 8])
    assert page.evaluate("said()")[0] == "it reads 1, 80% sure: not fooled yet"
    page.evaluate(draw, None)
    assert page.evaluate("said()")[0] == "draw something first"
    assert meant.input_value() == ""


@pytest.mark.parametrize("kept", ["nonsense", "[1, 2]", "null", '{"gap": {"value": "large"}}', '{"gap": 3}'])
def test_what_another_page_has_written_there_does_no_harm(page, kept):
    page.evaluate("(kept) => localStorage.setItem('cracking-99-records', kept)", kept)
    assert judged(page, "gap") == ["train something first"]
    assert "a gap of 0.500" in judged(page, "gap", "run([0.5], {gap: 0.5})")[1]


def test_a_browser_that_keeps_nothing_judges_all_the_same(page):
    page.evaluate("Object.defineProperty(window, 'localStorage', {get() { throw new Error('not allowed'); }})")
    assert judged(page, "gap", "run([0.5], {gap: 0.5})") == ["a gap of 0.500"]


def test_the_six_stand_once_and_have_their_hints():
    page = (ROOT / "book" / "train_here.md").read_text(encoding="utf-8")
    ((title, path),) = TAKEN_OVER.findall(page)
    assert path == "notebooks/retrain_lab.ipynb"
    section = section_of(LAB, title)
    parts = section.split("\n### ")[1:]
    assert [part.split('which="')[1].split('"')[0] for part in parts] == list(CHALLENGES)
    assert all(":::{admonition} A hint\n:class: dropdown\n" in part for part in parts)
    assert "](0" not in section and "](notebooks/06_overfitting.ipynb)" in section
