"""The question before a training, as the retrain panel of the page shows it: the lab alone, without the book."""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import SECONDS, Visit
from playwright.sync_api import expect

PAGE = """<!doctype html><html lang="en" data-theme="{theme}"><title>The lab</title><link rel="icon" href="data:,">
    <meta name="viewport" content="width=device-width"><link rel="stylesheet" href="lab/panel/panel.css">
    <style>[data-theme="dark"] {{
        --pst-color-background: #121a2b; --pst-color-surface: #1b2540; --pst-color-text-base: #e8e8f0;
    }}</style>
    <main><mnist-lab view="retrain" recipe='{{"epochs": 3}}'></mnist-lab></main>
    <script type="module" src="lab/lab_element.js"></script>"""
PLACES = """node => [...node.querySelectorAll('.buttons > *, .where, .legend, .chart, .control')]
    .map((part) => Math.round(part.getBoundingClientRect().top - node.getBoundingClientRect().top))"""

# The question between what is said above it and what follows, and no wider than the panel.
FITS = """node => {
    const box = (name) => node.querySelector(name).getBoundingClientRect();
    return [...node.querySelectorAll('.question *')].map((part) => part.getBoundingClientRect()).every((part) =>
        part.top >= box('.facts').bottom - 2 && part.bottom <= box('.legend').top && part.right <= box('.where').right);
}"""


class Panel:
    def __init__(self, browser, address, theme="light", width=1_000):
        self.visit = Visit(browser, address, viewport={"width": width, "height": 900})
        self.page = self.visit.page
        body = PAGE.format(theme=theme)
        self.page.route("**/panel.html", lambda route: route.fulfill(body=body, content_type="text/html"))
        self.node = self.visit.open(address + "panel.html").locator(".mnist-panel")
        self.train = self.node.get_by_role("button", name="Train", exact=True)
        self.switch = self.node.get_by_role("checkbox", name="Predict first")
        self.answer = self.node.get_by_role("textbox", name=re.compile("I predict .*% validation accuracy"))
        self.skip = self.node.get_by_role("button", name="Skip")
        self.message = self.node.get_by_role("status").filter(has_text=re.compile(r".")).first
        self.rows = self.node.locator(".trials tbody tr")
        self.lines = self.node.locator("path.predicted")
        expect(self.train).to_be_enabled()

    def close(self):
        assert self.visit.faults == []
        self.page.context.close()


@pytest.fixture
def panel(browser, lab_address):
    panel = Panel(browser, lab_address)
    yield panel
    panel.close()


def test_nobody_is_asked_who_does_not_want_to_be(panel):
    expect(panel.switch).not_to_be_checked()
    expect(panel.answer).to_be_hidden()
    panel.train.click()
    expect(panel.message).to_have_text(re.compile("^Run 1 has finished"), timeout=60 * SECONDS)
    expect(panel.lines).to_have_count(0)
    expect(panel.node.locator(".score")).to_have_text("")


def test_a_prediction_is_typed_drawn_and_judged_with_the_keyboard_alone(panel):
    press = panel.page.keyboard.press
    panel.switch.focus()
    press("Space")
    panel.train.focus()
    press("Enter")
    expect(panel.answer).to_be_focused()
    panel.page.keyboard.type("lots")
    press("Enter")
    expect(panel.message).to_have_text("Enter a number from 0 to 100, or press Skip.")
    expect(panel.answer).to_be_focused()
    expect(panel.answer).to_have_attribute("aria-invalid", "true")
    press("ControlOrMeta+A")
    panel.page.keyboard.type("85.5")
    press("Enter")
    # The question is gone, and the focus is not lost with it.
    expect(panel.answer).to_be_hidden()
    expect(panel.switch).to_be_focused()
    expect(panel.lines).to_have_count(1)
    said = r"^Run 1: validation accuracy (\d\d\.\d\d)%, you predicted 85\.50%, (\d+\.\d\d points too (?:low|high))\.$"
    expect(panel.message).to_have_text(re.compile(said), timeout=60 * SECONDS)
    accuracy, miss = re.search(said, panel.message.inner_text()).groups()
    expect(panel.node.locator(".score")).to_have_text(f"1 finished run predicted: {miss}.")
    best = panel.rows.first.locator("td").nth(3)
    assert re.fullmatch(r"[\d.]+%\npredicted 85\.50%", best.inner_text())
    chart = panel.node.get_by_role("img", name=re.compile("^Accuracy by epoch.*predicted 85.50%$"))
    expect(chart.locator("text.predicted")).to_have_text("··· predicted 85.50%")
    # At its height on the axis, which the last circle is above or below as the words say.
    line = panel.lines.bounding_box()["y"]
    circle = chart.locator("circle.shown").last.bounding_box()
    assert (line > circle["y"] + circle["height"] / 2) == (float(accuracy) > 85.5)


def test_one_click_skips_the_question(panel):
    panel.switch.check()
    panel.train.click()
    panel.skip.click()
    expect(panel.answer).to_be_hidden()
    expect(panel.message).to_have_text(re.compile("^Run 1 has finished"), timeout=60 * SECONDS)
    expect(panel.lines).to_have_count(0)


def test_what_was_typed_for_one_setting_is_not_taken_for_another(panel):
    panel.switch.check()
    panel.train.click()
    panel.answer.fill("12")
    panel.node.get_by_label("Seed").fill("5")
    expect(panel.answer).to_be_hidden()
    panel.train.click()
    expect(panel.answer).to_be_focused()
    expect(panel.answer).to_have_value("")
    # The button that asks is also the one that trains.
    panel.answer.fill("90")
    panel.train.click()
    expect(panel.message).to_contain_text("you predicted 90.00%", timeout=60 * SECONDS)


@pytest.mark.parametrize("width", [1_000, 600, 390])
def test_nothing_moves_when_the_question_comes_and_goes(browser, lab_address, width):
    panel = Panel(browser, lab_address, width=width)
    before = panel.node.evaluate(PLACES)
    panel.switch.check()
    panel.train.click()
    assert panel.node.evaluate(PLACES) == before
    assert panel.node.evaluate(FITS)
    panel.answer.press("Enter")
    expect(panel.message).to_have_text("Enter a number from 0 to 100, or press Skip.")
    assert panel.node.evaluate(PLACES) == before
    panel.answer.fill("97")
    panel.answer.press("Enter")
    expect(panel.lines).to_have_count(1)
    assert panel.node.evaluate(PLACES) == before
    expect(panel.message).to_contain_text("you predicted 97.00%", timeout=60 * SECONDS)
    assert panel.node.evaluate(PLACES) == before
    panel.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing_in_the_question_and_in_what_comes_of_it(browser, lab_address, theme):
    panel = Panel(browser, lab_address, theme)
    panel.switch.check()
    panel.train.click()
    for answer, said in (("high", "Enter a number"), ("97", "you predicted 97.00%")):
        panel.answer.fill(answer)
        panel.answer.press("Enter")
        expect(panel.message).to_contain_text(said, timeout=60 * SECONDS)
        results = Axe().run(panel.page, context="mnist-lab")
        assert results.violations_count == 0, results.generate_report()
    panel.close()
