"""What the rows of a panel's runs offer: to take one home, to bring one back, and to compare two, as a link."""

import re
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import SECONDS
from playwright.sync_api import expect

from mnist_helpers.network_file import read_network, write_network

SESSION = "document.querySelector('mnist-lab').session"
RECIPE = '{"hidden_layers": 1, "units": 16, "epochs": 2, "training_images": 2000, "batch_size": 100}'
OPEN = f"""async (base) => {{
    document.body.innerHTML = `<link rel="stylesheet" href="${{base}}lab/panel/panel.css"><h1>The lab</h1><h2>Runs</h2>
        <mnist-lab view="retrain" recipe='{RECIPE}'></mnist-lab>`;
    await import(`${{base}}lab/lab_element.js`);
    await document.querySelector("mnist-lab").open();
}}"""


class Panel:
    def __init__(self, context, base, address="blank.html"):
        self.page = context.new_page()
        self.page.goto(address if address.startswith("http") else base + address)
        self.page.evaluate(OPEN, base)
        self.node = self.page.locator(".mnist-panel")
        self.rows = self.node.locator(".trials .scroll").first.locator("tbody tr")
        self.message = self.node.locator(".message")
        self.compared = self.node.get_by_role("region", name="Two runs compared")

    def button(self, name):
        return self.node.get_by_role("button", name=name, exact=True)

    def press(self, name):
        """With the keyboard."""
        self.button(name).focus()
        self.page.keyboard.press("Enter")

    def train(self, **settings):
        before = self.rows.count()
        for name, value in settings.items():
            self.page.evaluate(f"([name, value]) => {SESSION}.set(name, value)", [name, value])
        self.press("Train")
        expect(self.rows).to_have_count(before + 1, timeout=60 * SECONDS)


@pytest.fixture(params=["light", "dark"])
def context(browser, request):
    context = browser.new_context(color_scheme=request.param, viewport={"width": 390, "height": 844})
    yield context
    context.close()


def test_a_run_is_saved_and_opened_again(context, lab_address, tmp_path):
    panel = Panel(context, lab_address)
    panel.train()
    with panel.page.expect_download() as download:
        panel.press("Save Run 1")
    expect(panel.message).to_have_text(re.compile(r"^Run 1 was saved as Run_1\.npz\. In Python, "))
    path = tmp_path / download.value.suggested_filename
    download.value.save_as(path)
    run = read_network(path)
    assert f"{max(run.history['val_accuracy']):.2%}" in panel.rows.first.inner_text()

    from_python = tmp_path / "from Python, by a name of more than forty letters.npz"
    write_network(run, from_python)
    again = Panel(context, lab_address)
    panel.page.close()
    again.button("Forget my runs").evaluate("(button) => { window.confirm = () => true; button.click(); }")
    expect(again.rows).to_have_count(0)
    for file, said in (
        (from_python, f"{from_python.stem[:40]} is here, as it was saved."),
        (tmp_path / "none.npz", "none.npz: This is no whole .npz file. Expected what numpy.savez"),
    ):
        if not file.exists():
            file.write_bytes(b"nothing")
        with again.page.expect_file_chooser() as chooser:
            again.press("Open a saved run")
        chooser.value.set_files(file)
        expect(again.message).to_contain_text(said)
    expect(again.rows).to_have_count(1)
    expect(again.rows.first).to_contain_text("(saved, not trained now)")
    again.press("Train")  # of this setting, here is one
    expect(again.message).to_have_text(f"{from_python.stem[:40]} had this setting already: here it is again, at once.")


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ("Object.defineProperty(File.prototype, 'size', { value: 200e6 + 1 })", "This file is too large for a run; "),
        ("Object.defineProperty(File.prototype, 'size', { value: 200e6 })", "This is no whole .npz file. "),
        ("FileReader.prototype.readAsDataURL = function () { this.onerror(); }", "This file could not be read. "),
    ],
    ids=["too large", "as large as may be", "not to be read"],
)
def test_a_file_that_cannot_be_taken_in_is_refused_in_a_sentence(context, lab_address, tmp_path, trouble, said):
    (tmp_path / "mine.npz").write_bytes(b"nothing")
    panel = Panel(context, lab_address)
    panel.page.evaluate(f"() => {{ {trouble}; }}")
    with panel.page.expect_file_chooser() as chooser:
        panel.press("Open a saved run")
    chooser.value.set_files(tmp_path / "mine.npz")
    expect(panel.message).to_contain_text(f"mine.npz: {said}")


def test_two_runs_are_compared_and_the_comparison_is_a_link(browser, context, lab_address):
    panel = Panel(context, lab_address)
    panel.train()
    expect(panel.button("Compare Run 1")).to_be_hidden()  # with itself
    panel.train(units=24, learning_rate=0.002)
    panel.press("Compare Run 1")
    expect(panel.compared).to_be_focused()
    table = panel.compared.locator("tr")
    expect(table.nth(0)).to_have_text("SettingRun 2Run 1")
    assert table.nth(1).locator("> *").all_inner_texts() == ["Units a layer", "24", "16"]
    assert table.nth(2).locator("> *").all_inner_texts() == ["Learning rate", "0.002", "0.001"]
    expect(panel.compared.locator(".chart path.validation")).to_have_count(4)
    expect(panel.compared.get_by_text("All other settings are the same.")).to_be_visible()
    expect(panel.button("Train both")).to_have_count(0)
    best = table.nth(4).locator("> *").all_inner_texts()
    results = Axe().run(panel.page, context="mnist-lab")
    assert results.violations_count == 0, results.generate_report()
    assert panel.page.evaluate("document.documentElement.scrollWidth") <= 390

    panel.page.wait_for_function("location.search.includes('with=')")
    link = panel.page.evaluate(f"{SESSION}.link()")
    assert link == panel.page.url
    asked = {name: value for name, (value,) in parse_qs(urlsplit(link).query, keep_blank_values=True).items()}
    assert asked == {"units": "24", "learning_rate": "0.002", "compare": "units=24&learning_rate=0.002", "with": ""}

    # Somebody else opens it.
    other = browser.new_context()
    opened = Panel(other, lab_address, link)
    table = opened.compared.locator("tr")
    expect(table.nth(0)).to_have_text("Settingnot trained yetnot trained yet")
    opened.press("Train both")
    expect(opened.rows).to_have_count(2, timeout=60 * SECONDS)
    assert table.nth(4).locator("> *").all_inner_texts() == best
    expect(opened.button("Train both")).to_be_focused()
    expect(opened.button("Train both")).to_have_attribute("aria-disabled", "true")
    # And once more, with the runs that are here now.
    again = Panel(other, lab_address, link)
    expect(again.compared.locator("tr").first).to_have_text("SettingRun 1Run 2")
    again.press("Close the comparison")
    expect(again.compared).to_have_count(0)
    again.page.wait_for_function("!location.search.includes('with=')")
    other.close()


def test_a_row_says_what_its_run_is_and_acts_on_it(context, lab_address):
    panel = Panel(context, lab_address)
    empty, shown = panel.node.get_by_text("No run yet"), panel.node.get_by_role("checkbox", name="Show Run 1")
    expect(empty).to_be_visible()
    panel.train()
    expect(empty).to_be_hidden()
    expect(panel.rows.first).to_contain_text("nothing")  # was changed
    expect(shown).to_be_checked()
    shown.uncheck()
    assert panel.page.evaluate(f"{SESSION}.trials[0].hidden")
    for pressed in ("true", "false"):
        panel.press("Pin Run 1")
        expect(panel.button("Pin Run 1")).to_have_attribute("aria-pressed", pressed)
        expect(panel.button("Pin Run 1")).to_be_focused()
    panel.node.get_by_role("textbox", name="Name of run 1").fill("mine")
    panel.page.keyboard.press("Enter")
    panel.press("Reveal test score of mine")
    expect(panel.rows.first.locator("td").nth(4)).to_have_text(re.compile(r"^\d\d\.\d\d%$"))
    panel.page.evaluate(f"{SESSION}.set('units', 24)")
    panel.press("Restore settings of mine")
    assert panel.page.evaluate(f"{SESSION}.settings.units") == 16
    panel.press("Clear all but the pinned")
    expect(panel.rows).to_have_count(0)
    expect(empty).to_be_visible()
    panel.train()
    expect(panel.button("Pin Run 2")).to_have_attribute("aria-pressed", "false")


def test_a_part_of_the_panel_that_does_not_come_says_so(context, lab_address):
    context.route("**/run_files.js", lambda route: route.abort())
    panel = Panel(context, lab_address)
    panel.train()
    panel.press("Save Run 1")
    expect(panel.message).to_have_text("A part of the panel could not be loaded. Check the connection and try again.")


def test_training_both_ends_where_one_of_them_is_stopped(context, lab_address):
    panel = Panel(context, lab_address, "blank.html?compare=epochs%3D100%26units%3D512&with=epochs%3D5")
    panel.press("Train both")
    panel.page.wait_for_function(f"{SESSION}.running?.curve.length")
    panel.press("Stop")
    expect(panel.compared.locator("tr").first).to_have_text("SettingRun 1not trained yet")
    expect(panel.rows.first).to_contain_text("(stopped)")
    panel.page.wait_for_timeout(300)
    assert panel.rows.count() == 1 and not panel.page.evaluate(f"{SESSION}.running")
    expect(panel.button("Train both")).to_have_attribute("aria-disabled", "false")


def test_an_address_that_compares_nonsense_compares_the_start(context, lab_address):
    panel = Panel(context, lab_address, "blank.html?compare=units%3Dmany%26__proto__%3D1&with=epochs%3D5")
    assert panel.compared.locator("tbody tr").first.inner_text().split("\t") == ["Epochs", "2", "5"]
