"""The lab in the page: the built site trains the network in a real browser, without help from a server."""

import gzip
import json
import re
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import SECONDS, Visit, draw, wait_for
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import expect

from mnist_helpers.controls import AUGMENTATIONS, CONTROLS
from mnist_helpers.keras_program import keras_program
from mnist_helpers.recipe import ARTICLE, CRACK_99, RULES, Recipe, RecipeError, parameter_count
from mnist_helpers.training import learning_rates, train

COSINE = replace(ARTICLE, schedule="cosine")
SESSION = "document.querySelector('mnist-lab').session"
WATCH = "Now watch one learn"
NETWORK = Path(__file__).parents[1] / "book" / "lab" / "generated" / "small_network.bin"
OF_THE_SHEET = {
    *("lab_element.js", "small_network.js", "small_network.bin"),
    *(f"panel/{name}" for name in ("panel.css", "draw_view.js", "drawn_digit.js", "elements.js", "network_asked.js")),
}
PLACES = """document.querySelector(".panel-still path").getAttribute("d").match(/[\\d ]+/g)
    .map((place) => place.split(" ").map((side) => side / 280))"""
DRAWINGS = json.loads(Path(__file__).with_name("drawings.json").read_text())


class Panel:
    """A retrain panel in a page."""

    def __init__(self, page, number=0):
        self.page = page
        element = page.locator('mnist-lab[view="retrain"]').nth(number)
        element.scroll_into_view_if_needed()
        self.node = element.locator(".mnist-panel.retrain")
        expect(self.node).to_be_visible(timeout=20 * SECONDS)
        self.rows = self.node.locator(".trials tbody tr")
        self.message = self.node.locator(".message")

    def button(self, name):
        return self.node.get_by_role("button", name=name, exact=True)

    def slide(self, label, key, times=1):
        slider = self.node.get_by_role("slider", name=label, exact=True)
        slider.focus()
        for _ in range(times):
            self.page.keyboard.press(key)

    def train(self):
        """Train, and give the best validation accuracy."""
        before = self.rows.count()
        self.button("Train").click()
        expect(self.rows).to_have_count(before + 1, timeout=120 * SECONDS)
        return float(self.rows.first.locator("td").nth(3).inner_text().rstrip("%")) / 100

    def loss(self):
        """The validation loss that stands over the chart."""
        text = self.node.locator(".chart .now").first.text_content()
        return float(re.search(r"([\d.]+)$", text)[1])


@pytest.fixture
def here(visit, address):
    """The page on which one trains."""
    visit.open(address + "train_here.html")
    return visit.page


@pytest.fixture
def panel(here):
    return Panel(here)


@pytest.fixture(scope="module")
def keras(site):
    return json.loads((site / "lab" / "keras_results.json").read_text())


def test_the_articles_setting_reaches_what_keras_reaches(panel, keras):
    accuracy = panel.train()
    (article,) = [run for run in keras["runs"] if not run["settings"]]
    mean, deviation = article["val_accuracy"][ARTICLE.epochs - 1]
    # Its best epoch is some tenths of a point above its last.
    assert mean - 3 * deviation - 0.005 < accuracy < mean + 3 * deviation + 0.01
    expect(panel.node.locator("path.band")).to_have_count(2)
    expect(panel.node.locator(".legend")).to_contain_text("Keras, this setting, mean ± standard deviation, 3 seeds")


def test_keras_was_asked_about_200_settings(keras):
    assert len(keras["runs"]) >= 200
    assert keras["seeds"] == 3
    assert keras["versions"].keys() >= {"tensorflow", "keras"}
    names = [control.name for control in CONTROLS if control.name != "seed"]
    assert sorted(keras["base"]) == sorted(names)
    for run in keras["runs"]:
        assert set(run["settings"]) <= set(names)
        assert np.array(run["val_loss"]).shape == np.array(run["val_accuracy"]).shape == (keras["base"]["epochs"], 2)


def test_the_nearest_setting_is_named(panel):
    panel.node.get_by_label("Activation", exact=True).select_option("tanh")
    panel.slide("Learning rate", "Home")
    legend = panel.node.locator(".legend")
    expect(legend).to_contain_text(re.compile(r"Keras, nearest setting \(.+\), mean ± standard deviation, 3 seeds"))


def test_a_leaking_split_flatters(panel):
    panel.train()
    held_out = panel.loss()
    panel.node.get_by_label("Validation split").select_option("leaking")
    panel.train()
    assert panel.loss() < 0.6 * held_out


def test_stop_keeps_what_was_reached(panel):
    panel.slide("Epochs", "End")
    panel.slide("Units a layer", "End")
    panel.button("Train").click()
    curve = panel.node.locator("path.shown.training").nth(1)
    expect(curve).to_have_attribute("d", re.compile("L.*L"), timeout=20 * SECONDS)
    panel.button("Stop").click()
    expect(panel.message).to_have_text(
        re.compile(r"^Run 1 was stopped in epoch \d+ of 100; what it reached is kept\.$")
    )
    expect(panel.rows).to_have_count(1)
    expect(panel.rows.first).to_contain_text("(stopped)")
    drawn = curve.get_attribute("d")
    panel.page.wait_for_timeout(300)
    assert curve.get_attribute("d") == drawn
    panel.slide("Epochs", "Home")
    panel.slide("Units a layer", "Home")
    assert panel.train() > 0.1


def test_a_change_while_training_offers_a_restart_and_never_queues(panel):
    panel.slide("Epochs", "End")
    panel.button("Train").click()
    panel.slide("Epochs", "Home")
    panel.button("Restart with this setting").click()
    expect(panel.rows).to_have_count(1, timeout=60 * SECONDS)
    expect(panel.rows.first).to_contain_text("epochs 1")
    panel.page.wait_for_timeout(500)
    expect(panel.rows).to_have_count(1)
    panel.button("Train").click()
    expect(panel.message).to_contain_text("had this setting already")


def test_the_test_set_is_opened_for_one_run_on_request(panel):
    panel.slide("Epochs", "Home")
    panel.train()
    panel.rows.get_by_role("button", name="Reveal test score of Run 1").click()
    expect(panel.rows.locator("td").nth(4)).to_have_text(re.compile(r"^[78]\d\.\d\d%$"))


def test_a_bad_setting_is_explained_beside_its_control(panel):
    panel.node.get_by_label("Validation split").select_option("leaking")
    panel.slide("Training images", "ArrowLeft")
    problem = panel.node.locator(".problem")
    expect(problem).to_contain_text("training_images is 6,000 with a leaking validation set; expected 10,000")
    expect(panel.button("Train")).to_be_disabled()
    panel.node.get_by_label("Seed").fill("-1")
    expect(panel.node.locator("[data-control=training_images] input")).to_have_attribute("aria-invalid", "false")
    expect(panel.node.locator("[data-control=seed] input")).to_have_attribute("aria-invalid", "true")
    expect(problem).to_contain_text("seed is -1; expected a whole number")
    expect(panel.node.get_by_label("Seed")).to_have_accessible_description(re.compile("shows what is luck.*seed is -1"))


SEEN = """node => [...node.querySelectorAll('.buttons > *, .where, .chart, .control')]
    .map((part) => part.getBoundingClientRect()).map(({top, bottom}) => [top, bottom])"""


@pytest.mark.parametrize("size", [(1440, 900), (1024, 768)], ids=lambda size: f"{size[0]} x {size[1]}")
def test_controls_buttons_and_charts_are_seen_at_once(visit, address, size):
    width, height = size
    visit.page.set_viewport_size({"width": width, "height": height})
    panel = Panel(visit.open(address + "train_here.html"))
    panel.train()
    panel.node.evaluate("node => node.scrollIntoView()")
    tops, bottoms = np.transpose(panel.node.evaluate(SEEN))
    header = visit.page.locator(".bd-header-article").bounding_box()
    assert header["y"] + header["height"] <= tops.min()
    assert bottoms.max() <= height


def test_on_a_phone_the_charts_stay_while_the_controls_pass_beneath(visit, address):
    visit.page.set_viewport_size({"width": 390, "height": 844})
    panel = Panel(visit.open(address + "train_here.html"))
    last = panel.node.locator(".control").last
    last.evaluate("node => node.scrollIntoView({block: 'center'})")
    for chart in panel.node.locator(".chart").all():
        expect(chart).to_be_in_viewport(ratio=1)
    expect(last).to_be_in_viewport(ratio=1)


@pytest.mark.parametrize("width", [1440, 390])
def test_nothing_moves_when_something_is_said(visit, address, width):
    visit.page.set_viewport_size({"width": width, "height": 900})
    panel = Panel(visit.open(address + "train_here.html"))
    places = """node => [...node.querySelectorAll('.buttons > *, .where, .control')]
        .map((part) => Math.round(part.getBoundingClientRect().top - node.getBoundingClientRect().top))"""
    before = panel.node.evaluate(places)
    panel.slide("Epochs", "Home")
    panel.button("Train").click()
    assert panel.node.evaluate(places) == before
    expect(panel.message).to_contain_text("has finished", timeout=60 * SECONDS)
    assert panel.node.evaluate(places) == before
    panel.node.get_by_label("Validation split").select_option("leaking")
    panel.slide("Training images", "ArrowLeft")
    expect(panel.node.locator(".problem")).to_contain_text("training_images is 6,000")
    assert panel.node.evaluate(places) == before


def test_what_a_control_does_is_said_on_demand(panel):
    help_text = panel.node.get_by_text("How deep: layers between pixels and answer.")
    expect(help_text).to_be_hidden()
    expect(panel.node.get_by_label("Hidden layers")).to_have_accessible_description(re.compile("How deep"))
    panel.button("Explain").click()
    expect(help_text).to_be_visible()
    expect(panel.button("Explain")).to_have_attribute("aria-pressed", "true")
    panel.button("Explain").click()
    expect(help_text).to_be_hidden()


def test_all_60000_images_can_be_had(panel):
    panel.node.get_by_role("button", name=re.compile("Load all 60,000 images")).click()
    expect(panel.message).to_contain_text("All 60,000 images are here", timeout=30 * SECONDS)
    expect(panel.node.get_by_label("Training images")).to_have_attribute("aria-valuetext", "54,000")
    panel.slide("Epochs", "Home")
    assert panel.train() > 0.9


def test_an_address_opens_with_its_setting(panel, visit):
    panel.slide("Units a layer", "Home")
    panel.node.get_by_label("Activation", exact=True).select_option("tanh")
    panel.node.get_by_role("switch", name="Batch norm").check()
    wait_for(panel.page, "location.search.includes('batch_norm')")
    again = Panel(visit.open(panel.page.url))
    expect(again.node.get_by_label("Units a layer")).to_have_attribute("aria-valuetext", "8")
    expect(again.node.get_by_label("Activation", exact=True)).to_have_value("tanh")
    expect(again.node.get_by_role("switch", name="Batch norm")).to_be_checked()
    again.button("Reset to the article").click()
    wait_for(again.page, "location.search === ''")
    nonsense = Panel(visit.open(panel.page.url.split("?")[0] + "?units=many&seed=%F0%9F%8E%B2&epochs=3"))
    expect(nonsense.node.get_by_label("Units a layer")).to_have_attribute("aria-valuetext", "100")
    expect(nonsense.node.get_by_label("Epochs", exact=True)).to_have_attribute("aria-valuetext", "3")


def test_the_address_tells_the_last_setting_and_no_other(panel):
    panel.page.evaluate(f"{SESSION}.set('units', 8), {SESSION}.set('epochs', 3), {SESSION}.reset()")
    panel.page.wait_for_timeout(400)
    assert "?" not in panel.page.url
    panel.page.evaluate(f"{SESSION}.set('units', 8)")
    wait_for(panel.page, "location.search === '?units=8'")
    panel.page.evaluate(f"{SESSION}.set('units', 16), {SESSION}.reset(), {SESSION}.set('seed', 3)")
    wait_for(panel.page, "location.search === '?seed=3'")


def test_the_address_tells_the_settings_of_all_panels(visit, address):
    page = visit.page
    page.route("**/six.html?*", lambda route: route.fulfill(body=SIX_PANELS, content_type="text/html"))
    page.goto(address + "six.html?other=kept")
    for number in range(6):
        Panel(page, number)
    page.evaluate(
        "[...document.querySelectorAll('mnist-lab')].forEach(({session}, i) => i % 2 && session.set('units', 24))"
    )
    wait_for(page, "location.search === '?other=kept&2.units=24&4.units=24&6.units=24'")


def test_the_link_to_99_opens_with_that_setting(panel):
    panel.page.get_by_role("link", name="open this page with a setting that gets there").click()
    panel.page.wait_for_url("**/train_here.html?*")
    opened = Panel(panel.page)
    job = "document.querySelector('mnist-lab').session.job"
    assert opened.page.evaluate(job) == [asdict(replace(CRACK_99, training_images=10_000)), 0]
    expect(opened.node.get_by_label("Schedule")).to_have_value("cosine")
    opened.node.get_by_role("button", name=re.compile("Load all 60,000 images")).click()
    expect(opened.message).to_contain_text("All 60,000 images are here", timeout=30 * SECONDS)
    assert opened.page.evaluate(job) == [asdict(CRACK_99), 0]
    expect(opened.button("Train")).to_be_enabled()


def test_forty_drawings_are_read_right_after_training(panel):
    panel.train()
    panel.page.locator('mnist-lab[view="draw"]').scroll_into_view_if_needed()
    expect(panel.page.locator(".mnist-panel.draw")).to_be_visible()
    right = 0
    for drawing in DRAWINGS:
        draw(panel.page, drawing["strokes"])
        expect(panel.page.locator(".nearest figure")).to_have_count(5)
        right += f"It reads {drawing['digit']}," in panel.page.locator(".verdict").inner_text()
        panel.page.locator(".mnist-panel.draw").get_by_role("button", name="Clear").click()
        expect(panel.page.locator(".nearest figure")).to_have_count(0)
    assert len(DRAWINGS) >= 40
    assert right >= 0.9 * len(DRAWINGS)


def draw_a_one(page):
    """With the keyboard."""
    page.locator('mnist-lab:is([view="draw"], [view="sheet"])').scroll_into_view_if_needed()
    sheet = page.locator(".sheet")
    expect(sheet).to_be_visible()
    sheet.focus()
    for key in ["Space", *12 * ["ArrowDown"], "Space"]:
        page.keyboard.press(key)


def test_a_drawing_sets_an_untrained_network_going(here):
    draw_a_one(here)
    expect(here.locator(".verdict")).to_have_text(re.compile("It reads 1"), timeout=60 * SECONDS)


def test_a_panel_to_draw_on_without_another_before_it_trains_a_network_of_its_own(visit, address):
    page = visit.open(address + "notebooks/09_how_sure.html")
    draw_a_one(page)
    expect(page.locator(".verdict")).to_have_text(re.compile("It reads 1"), timeout=60 * SECONDS)
    recipe = page.evaluate("document.querySelector('mnist-lab').session.job[0]")
    assert recipe == asdict(replace(CRACK_99, training_images=10_000))


def watch_one_learn(page):
    """Take the second click of the front page."""
    page.get_by_role("button", name=WATCH).click()
    return Panel(page)


def test_the_front_page_reads_before_anything_of_the_lab_is_there(visit, address):
    page = visit.open(address + "index.html")
    draw_a_one(page)
    expect(page.locator(".verdict")).to_have_text(re.compile("It reads 1"))
    stored = json.loads(gzip.decompress(NETWORK.read_bytes()).partition(b"\n")[0])
    expect(page.locator(".answer .help")).to_contain_text(f"{stored['validation_accuracy']:.1%} on the validation set")
    page.keyboard.press("Escape")
    expect(page.locator(".verdict")).to_have_text("Draw a digit.")
    # The digit of the still is one of those that it reads.
    draw(page, [page.evaluate(PLACES)])
    expect(page.locator(".verdict")).to_have_text(re.compile("It reads 3"))
    loaded = page.evaluate("performance.getEntriesByType('resource').map(({name}) => name)")
    assert {name.partition("/lab/")[2] for name in loaded if "/lab/" in name} == OF_THE_SHEET
    assert page.workers == []


def test_the_second_click_brings_the_lab_and_trains(visit, address, asked):
    page = visit.open(address + "index.html")
    begin = page.get_by_role("button", name=WATCH)
    begin.focus()
    page.keyboard.press("Enter")
    panel = Panel(page)
    expect(panel.message).to_contain_text("has finished", timeout=60 * SECONDS)
    expect(panel.node).to_be_focused()
    expect(begin).to_be_hidden()
    assert asked.count("images.bin.gz") == 1


def test_only_who_has_said_what_was_meant_has_fooled_it(here):
    challenge = here.locator('mnist-lab[which="fooled"]')
    challenge.scroll_into_view_if_needed()
    status, meant = challenge.locator(".challenge"), challenge.get_by_label("The digit that you meant")
    expect(status).to_have_text("draw something first")
    draw_a_one(here)
    expect(status).to_have_text(
        re.compile(r"^it reads 1, \d+% sure: which digit did you mean\?$"), timeout=60 * SECONDS
    )
    meant.select_option("1")
    expect(status).to_have_text(re.compile("not fooled yet$"))
    meant.select_option("7")
    expect(status).to_have_text(re.compile(r"((9\d|100)% sure: fooled!|([0-8]?\d|90)% sure: not fooled yet)$"))
    here.locator(".mnist-panel.draw").get_by_role("button", name="Clear").click()
    expect(status).to_have_text("draw something first")
    expect(meant).to_have_value("")


def test_a_cell_of_the_confusion_matrix_shows_its_images_and_weights_sharpen(panel):
    explorer = panel.page.locator(".mnist-panel.explore")
    panel.page.locator('mnist-lab[view="explore"]').scroll_into_view_if_needed()
    expect(explorer).to_be_visible()
    picture = "document.querySelector('.units canvas')?.toDataURL()"
    panel.slide("Epochs", "ArrowRight", 4)
    panel.button("Train").click()
    panel.page.locator('mnist-lab[view="explore"]').scroll_into_view_if_needed()
    wait_for(panel.page, picture)
    first = panel.page.evaluate(picture)
    wait_for(panel.page, f"{picture} !== {json.dumps(first)}")
    expect(panel.rows).to_have_count(1, timeout=60 * SECONDS)
    cell = explorer.get_by_role("button", name=re.compile(r"^\d+ of 4 read as 9$"))
    expect(cell).to_have_text(re.compile(r"\d"))
    number = int(cell.inner_text())
    cell.click()
    expect(explorer.locator(".where").first).to_contain_text(f"of {number} of 4 that it reads as 9")
    assert set(explorer.locator(".images figcaption").all_inner_texts()) == {"is 4\nread as 9"}
    total = sum(int(text or 0) for text in explorer.locator(".confusion td button").all_inner_texts())
    assert total == 2_000


def test_everything_is_reached_by_keyboard(panel):
    page = panel.page
    panel.button("Train").focus()
    wanted = [control.label for control in CONTROLS]
    seen = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        seen.add(page.evaluate("document.activeElement.labels?.[0]?.textContent ?? document.activeElement.textContent"))
    assert set(wanted) <= seen
    panel.slide("Epochs", "Home")
    panel.button("Train").focus()
    page.keyboard.press("Enter")
    expect(panel.rows).to_have_count(1, timeout=60 * SECONDS)


def challenges_of(page):
    challenges = page.locator('mnist-lab[view="challenge"]')
    for challenge in challenges.all():
        challenge.scroll_into_view_if_needed()
        expect(challenge.locator(".challenge")).to_be_visible()
    return challenges


def test_the_challenges_say_how_far_one_is_and_remember_how_that_was_reached(panel, visit):
    challenges = challenges_of(panel.page)
    assert challenges.count() == 6
    panel.slide("Learning rate", "End")
    panel.slide("Epochs", "Home")
    panel.node.get_by_label("Last activation").select_option("relu")
    accuracy = panel.train()
    status = challenges.locator(".challenge")
    expect(status.nth(0)).to_have_text(f"none yet; the best so far is {accuracy:.2%}")
    expect(status.nth(1)).to_have_text(re.compile(r"a gap of −?\d"))
    expect(status.nth(2)).to_have_text(re.compile(r"(9\d|100)% of the hidden units are dead"))
    record = challenges.nth(2).locator(".record")
    expect(record).to_have_text(re.compile(rf"^Your record, kept in this browser: {status.nth(2).inner_text()}, with "))
    expect(challenges.nth(0).locator(".record")).to_be_hidden()

    again = Panel(visit.open(record.get_by_role("link").evaluate("link => link.href")))
    expect(again.node.get_by_label("Learning rate")).to_have_attribute("aria-valuetext", "1")
    expect(again.node.get_by_label("Epochs", exact=True)).to_have_attribute("aria-valuetext", "1")
    record = challenges_of(again.page).nth(2).locator(".record")
    record.get_by_role("button", name="Forget it").click()
    expect(record).to_be_hidden()
    again.page.reload()
    records = challenges_of(again.page).locator(".record")
    expect(records.nth(1)).to_be_visible()
    expect(records.nth(2)).to_be_hidden()


SIX_PANELS = (
    '<!doctype html><html lang="en"><title>Cracking 99%</title><link rel="stylesheet" href="lab/panel/panel.css">'
    + "".join(
        f"""<mnist-lab view="retrain" controls="units" recipe='{{"epochs": 2, "units": {units}}}'></mnist-lab>"""
        for units in (8, 16, 32, 64, 100, 128)
    )
    + '<script type="module" src="lab/lab_element.js"></script>'
)


def test_six_panels_share_one_worker_and_one_copy_of_the_images(visit, address):
    page = visit.page
    requests = []
    page.on("request", lambda request: requests.append(request.url))
    visit.page.route("**/six.html", lambda route: route.fulfill(body=SIX_PANELS, content_type="text/html"))
    page.goto(address + "six.html")
    panels = [Panel(page, number) for number in range(6)]
    for panel in panels:
        panel.button("Train").click()
    for panel in panels:
        expect(panel.rows).to_have_count(1, timeout=120 * SECONDS)
    assert len(page.workers) == 1
    assert sum(url.endswith("/images.bin.gz") for url in requests) == 1
    assert not any("all-images" in url for url in requests)


@pytest.fixture
def asked(visit):
    """The names of the files that the page asks for."""
    asked = []
    visit.page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    return asked


def data_in(asked):
    return {name for name in asked if name.endswith((".bin.gz", ".wasm")) or name == "keras_results.json"}


def test_nothing_is_loaded_until_the_reader_comes_near(visit, address, asked):
    page = visit.open(address + "notebooks/06_overfitting.html")
    assert not {"setup.json", "session.js"} & set(asked)
    expect(Panel(page).button("Train")).to_be_enabled()
    assert {"setup.json", "session.js"} <= set(asked)


def test_the_programs_wait_until_the_page_has_loaded(visit, address):
    panel = Panel(visit.open(address + "train_here.html"))
    expect(panel.button("Train")).to_be_enabled()
    loaded = panel.page.evaluate("performance.getEntriesByType('navigation')[0].loadEventStart")
    files = panel.page.evaluate("performance.getEntriesByType('resource').map((it) => [it.name, it.startTime])")
    programs = [start for name, start in files if "/lab/" in name and not name.endswith(("lab_element.js", "css"))]
    assert len(programs) > 5 and min(programs) > loaded


def test_the_images_come_with_a_wish_and_not_before(visit, address, asked):
    page = visit.open(address + "train_here.html")
    panel = Panel(page)
    facts = panel.node.locator(".facts")
    expect(facts).to_have_text(re.compile(r"130,010 parameters, about [\d.]+ s to train \+ 2\.3 MB to load"))
    # Keras's curves of the article's setting are there at once, and no setting needs the images to be told of.
    expect(panel.node.locator("path.band")).to_have_count(2)
    # A page that passes beneath a resting pointer is no wish.
    x, hovered = panel.node.bounding_box()["x"] + 100, "document.querySelector('.mnist-panel').matches(':hover')"
    panel.node.evaluate("node => scrollBy(0, node.getBoundingClientRect().top - 400)")
    page.mouse.move(x, 300)
    assert not page.evaluate(hovered)
    page.evaluate("scrollBy(0, 200)")
    wait_for(page, hovered)
    assert data_in(asked) == set()
    page.mouse.move(x + 10, 300)
    expect(facts).to_have_text(re.compile(r"130,010 parameters, about [\d.]+ s to train$"))
    assert {"images.bin.gz", "keras_results.json"} < data_in(asked)
    assert panel.page.evaluate(f"{SESSION}.running") is None
    panel.train()
    assert asked.count("images.bin.gz") == 1


def test_focus_is_a_wish_too(visit, address, asked):
    panel = Panel(visit.open(address + "train_here.html"))
    panel.button("Train").focus()
    expect(panel.node.locator(".facts")).not_to_contain_text("to load")
    assert "images.bin.gz" in asked


def test_who_saves_data_has_to_press_a_button(visit, address, asked):
    visit.page.add_init_script("Object.defineProperty(navigator, 'connection', {value: {saveData: true}})")
    panel = Panel(visit.open(address + "train_here.html"))
    panel.button("Train").hover()
    panel.button("Train").focus()
    panel.page.mouse.move(9, 9)
    assert data_in(asked) == set()
    panel.train()
    assert "images.bin.gz" in asked


def test_no_panel_that_asks_another_one_loads_or_trains_by_itself(here, asked):
    here.reload(wait_until="networkidle")
    for element in here.locator("mnist-lab").all():
        element.scroll_into_view_if_needed()
        expect(element).to_have_attribute("open", "")
    here.wait_for_load_state("networkidle")
    assert data_in(asked) == set()
    assert here.evaluate(f"[{SESSION}.running, {SESSION}.trials.length]") == [None, 0]
    lines = here.locator(".lab-images")
    assert set(lines.all_inner_texts()) == {"This needs 2.3 MB of images, which come when you begin."}
    draw_a_one(here)
    expect(here.locator(".verdict")).to_have_text(re.compile("It reads 1"), timeout=60 * SECONDS)
    assert set(lines.all_inner_texts()) == {""}


def test_a_run_that_waits_for_the_images_says_how_many_have_come(panel):
    held = []
    panel.page.route("**/images.bin.gz", lambda route: held.append(route))
    panel.button("Train").click()
    expect(panel.message).to_have_text("The images come first.")
    bar = panel.node.get_by_role("progressbar", name="Training")
    expect(bar).to_have_attribute("aria-valuetext", "Run 1: 0% of 2.3 MB of images loaded")
    expect(panel.node.locator(".left")).to_have_text("Run 1: 0% of 2.3 MB of images loaded")
    panel.page.locator('mnist-lab[view="draw"]').scroll_into_view_if_needed()
    wait_for(panel.page, lambda: held)  # the page speaks of the images before the browser asks for them
    held[0].continue_()
    expect(panel.message).to_contain_text("has finished", timeout=60 * SECONDS)
    expect(panel.node.locator(".facts")).not_to_contain_text("to load")


@pytest.mark.skipif(sys.platform == "darwin", reason="no minifier there: the programs are served as they are written")
def test_what_it_takes_to_train_is_below_35_kilobytes(visit, address, site):
    loaded = set()
    visit.page.on("request", lambda request: loaded.add(request.url.removeprefix(address)))
    Panel(visit.open(address + "train_here.html#")).train()
    programs = [name for name in loaded if re.fullmatch(r"lab/.*\.(js|css|wasm)", name)]
    later = {
        "lab/keras_program.js",
        "lab/images_note.js",
        "lab/kept_runs.js",
        *(
            f"lab/panel/{name}.js"
            for name in ("draw_view", "drawn_digit", "explore_view", "network_asked", "challenge_view")
        ),
    }
    needed = {name: len(gzip.compress((site / name).read_bytes(), 9)) for name in programs if name not in later}
    assert {"lab/training_worker.js", "lab/panel/session.js", "lab/panel/panel.css"} < set(needed)
    assert any(name.endswith(".wasm") for name in needed)
    assert sum(needed.values()) < 35_000, needed


@pytest.mark.parametrize("name", ["03_building_the_model", "05_training", "06_overfitting", "retrain_lab"])
def test_a_chapters_panel_is_live_with_the_recipe_of_its_cell(visit, address, name):
    notebook = json.loads((Path(__file__).parents[1] / "notebooks" / f"{name}.ipynb").read_text())
    source = "".join(line for cell in notebook["cells"] for line in cell["source"])
    panel = Panel(visit.open(f"{address}notebooks/{name}.html"))
    shown = set(panel.node.locator("[data-control]").evaluate_all("nodes => nodes.map((node) => node.dataset.control)"))
    named = re.search(r"retrain_panel\((?:(?!\n\n).)*?controls=(\[[^\]]*\])", source, re.DOTALL)
    names = json.loads(re.sub(r",\s*\]", "]", named[1])) if named else [control.name for control in CONTROLS]
    assert shown == set(names)


@pytest.mark.parametrize("damage", ["missing", "cut", "garbled"])
def test_damaged_images_give_a_sentence_and_another_try_helps(browser, address, site, damage):
    visit = Visit(browser, address)
    body = (site / "lab" / "images.bin.gz").read_bytes()
    answers = {
        "missing": {"status": 404},
        "cut": {"body": body[: len(body) // 2]},
        "garbled": {"body": bytes(len(body))},
    }
    visit.page.route("**/images.bin.gz", lambda route: route.fulfill(**answers[damage]))
    panel = Panel(visit.open(address + "train_here.html"))
    panel.button("Train").click()
    sentence = "could not be loaded" if damage == "missing" else "arrived damaged"
    expect(panel.message).to_contain_text(f"Training failed: The images {sentence}")
    visit.page.unroute("**/images.bin.gz")
    panel.slide("Epochs", "Home")
    panel.button("Train").click()
    expect(panel.message).to_contain_text("has finished", timeout=60 * SECONDS)
    visit.page.context.close()


def test_a_worker_that_dies_is_replaced(panel):
    panel.slide("Epochs", "End")
    panel.button("Train").click()
    curve = panel.node.locator("path.shown.training").nth(1)
    expect(curve).to_have_attribute("d", re.compile("L"), timeout=20 * SECONDS)
    panel.page.workers[0].evaluate("setTimeout(() => { throw new Error('killed by the test') })")
    expect(panel.message).to_contain_text("stopped answering, and was started anew")
    panel.slide("Epochs", "Home")
    panel.button("Train").click()
    expect(panel.message).to_contain_text("has finished", timeout=60 * SECONDS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page_name", ["train_here.html", "index.html"])
def test_axe_finds_nothing_to_complain_of(browser, address, page_name, scheme):
    visit = Visit(browser, address, color_scheme=scheme)
    page = visit.open(address + page_name)
    if page_name == "index.html":
        draw_a_one(page)
        expect_nothing_to_complain_of(page)
        panel = watch_one_learn(page)
    else:
        panel = Panel(page)
        panel.slide("Epochs", "Home")
        panel.train()
        page.wait_for_timeout(1_000)
        # And of what is seen only while it trains.
        panel.slide("Epochs", "End")
        panel.button("Train").click()
        expect(panel.node.locator(".left")).to_contain_text("epoch")
    for element in page.locator("mnist-lab").all():
        element.scroll_into_view_if_needed()
        expect(element).to_have_attribute("open", "")
    expect_nothing_to_complain_of(page)
    visit.page.context.close()


def expect_nothing_to_complain_of(page):
    results = Axe().run(page, context="mnist-lab")
    assert results.violations_count == 0, results.generate_report()


def test_ten_thousand_random_events_leave_it_working(panel):
    page = panel.page
    panel.slide("Epochs", "Home")
    panel.slide("Units a layer", "Home")
    page.evaluate(RANDOM_EVENTS, 2_000)
    before = megabytes_in_use(page)
    page.evaluate(RANDOM_EVENTS, 8_000)
    assert megabytes_in_use(page) < before + 60
    panel.button("Stop").evaluate("(button) => button.click()")  # if it is enabled still: a run may end by itself
    panel.node.get_by_label("Retrain as I move").uncheck()
    panel.node.get_by_label("Predict first").uncheck()
    panel.button("Reset to the article").click()
    panel.slide("Epochs", "Home")
    panel.node.get_by_label("Seed").fill("123")
    # The worker may still have thousands of its started and stopped runs to go through.
    panel.button("Train").click(timeout=180 * SECONDS)
    expect(panel.message).to_contain_text("validation accuracy", timeout=60 * SECONDS)


def megabytes_in_use(page):
    """What the page's JavaScript holds when its rubbish has been collected."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    return session.send("Runtime.getHeapUsage")["usedSize"] / 1e6


RANDOM_EVENTS = """async (number) => {
    let state = 7;
    const random = (below) => (state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff) % below;
    const panel = document.querySelector('.mnist-panel.retrain');
    for (let i = 0; i < number; i++) {
        const nodes = [...panel.querySelectorAll('input, select, button:not([disabled])')].filter(
            (node) => !node.textContent.includes('60,000'));
        const node = nodes[random(nodes.length)];
        if (node.type === 'range') node.value = random(Math.min(3, Number(node.max) + 1));
        else if (node.tagName === 'SELECT') node.selectedIndex = random(node.options.length);
        else if (node.type === 'number') node.value = random(3);
        else if (node.type === 'checkbox') node.checked = random(2) === 1;
        else if (node.type === 'text') node.value = 'name ' + random(9);
        else node.click();
        node.dispatchEvent(new Event('input', {bubbles: true}));
        node.dispatchEvent(new Event('change', {bubbles: true}));
        if (i % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    }
}"""


# ---------------------------------------------------------------- what JavaScript and Python do alike


@pytest.fixture(scope="module")
def modules(browser, address):
    """A page with the lab's modules in reach."""
    visit = Visit(browser, address)
    page = visit.open(address + "bibliography.html")
    page.evaluate(
        """base => Promise.all(['keras_program', 'panel/recipe_settings'].map((it) => import(`${base}lab/${it}.js`)))
            .then((found) => { window.lab = Object.assign({}, ...found); })""",
        address,
    )
    page.evaluate(
        "base => fetch(`${base}lab/setup.json`).then((r) => r.json()).then((s) => { window.setup = s; })", address
    )
    yield page
    page.context.close()


BASES = [
    ARTICLE,
    replace(COSINE, warmup_epochs=1),
    replace(ARTICLE, label_smoothing=0.05, patience=3),
    replace(ARTICLE, ema_momentum=0.995),
]


@st.composite
def chosen(draw):
    """A recipe that the controls make of a base, and a seed."""
    names = [control for control in CONTROLS if control.kind != "number" and control.name != "augmentation"]
    values = {control.name: draw(st.sampled_from(control.choices)) for control in names}
    values |= AUGMENTATIONS[draw(st.sampled_from(list(AUGMENTATIONS)))]
    base = draw(st.sampled_from(BASES))
    if base.ema_momentum:
        values["validation"] = "held_out"
    if values["validation"] == "leaking":
        values["training_images"] = 54_000
    values["warmup_epochs"] = 0 if values["schedule"] == "constant" else base.warmup_epochs
    values["epochs"] = max(1 + values["warmup_epochs"], values["epochs"])
    return base, replace(base, **values), draw(st.integers(0, 2**31 - 1))


@settings(max_examples=60)
@given(case=chosen())
def test_a_recipe_goes_into_the_controls_and_out_again_and_its_program_is_the_helpers(modules, case):
    base, recipe, seed = case
    controls = modules.evaluate("([recipe, seed]) => lab.settingsOf(recipe, seed, setup)", [asdict(recipe), seed])
    assert list(controls) == [control.name for control in CONTROLS]
    assert all(controls[name] == getattr(recipe, name) for name in controls if hasattr(recipe, name))
    assert all(getattr(recipe, name) == size for name, size in AUGMENTATIONS[controls["augmentation"]].items())
    back = modules.evaluate("([settings, base]) => lab.recipeOf(settings, base, setup)", [controls, asdict(base)])
    assert Recipe(**back[0]) == recipe and back[1] == seed
    assert modules.evaluate("recipe => lab.parameterCount(recipe)", asdict(recipe)) == parameter_count(recipe)
    program = modules.evaluate("([recipe, seed]) => lab.kerasProgram(recipe, seed, 54000)", back)
    assert lines_that_count(program) == lines_that_count(keras_program(recipe, seed))


def test_the_learning_rates_of_the_page_are_those_of_the_helpers(visit, address):
    page = visit.open(address + "train_here.html")
    Panel(page).train()
    for recipe in (ARTICLE, COSINE, replace(COSINE, warmup_epochs=2)):
        steps = recipe.epochs * recipe.steps_per_epoch
        rates = page.workers[0].evaluate(
            "([recipe, a, b]) => Array.from({length: b}, (_, step) => learningRate(recipe, a, step))",
            [asdict(recipe), recipe.steps_per_epoch, steps],
        )
        np.testing.assert_allclose(rates, learning_rates(recipe, 0, steps), rtol=1e-5, atol=1e-9)


def panel_of(visit, address, recipe, controls="units"):
    """A panel in a page of its own, that starts from a recipe."""
    page = visit.page
    body = f"""<!doctype html><title>Cracking 99%</title><link rel="stylesheet" href="lab/panel/panel.css">
        <mnist-lab view="retrain" controls="{controls}" recipe='{json.dumps(recipe)}'></mnist-lab>
        <script type="module" src="lab/lab_element.js"></script>"""
    page.route("**/panel.html", lambda route: route.fulfill(body=body, content_type="text/html"))
    page.goto(address + "panel.html")
    return Panel(page)


# (The schedule's own control takes the warm-up away with the cosine.)
@pytest.mark.parametrize(
    "rule",
    [rule for rule in RULES if rule["case"][0][0] != "schedule"],
    ids=lambda rule: f"{rule['name']}, {rule['case'][0][2]}",
)
def test_what_does_not_go_together_is_refused_as_python_refuses_it(visit, address, rule):
    values = {"validation": "leaking", "warmup_epochs": 2, "ema_momentum": 0.5, "patience": 2, "training_images": 5_000}
    named = {name for name, _, _ in rule["case"]}
    recipe = {name: value for name, value in values.items() if name in named}
    if rule["case"][0][1] == ">=":
        recipe |= {"schedule": "cosine", "epochs": 2}
    panel = panel_of(visit, address, recipe)
    with pytest.raises(RecipeError) as caught:
        replace(ARTICLE, **recipe)
    expect(panel.node.locator(".problem")).to_have_text(str(caught.value).replace("54,000", "10,000"))
    expect(panel.button("Train")).to_be_disabled()


def test_of_two_rules_that_are_broken_the_page_names_the_one_that_python_names(modules):
    recipe = {"validation": "leaking", "ema_momentum": 0.5, "training_images": 5_000}
    with pytest.raises(RecipeError) as caught:
        replace(ARTICLE, **recipe)
    problem = modules.evaluate("recipe => lab.problemOf(recipe, 0, 54000, setup)", asdict(ARTICLE) | recipe)
    assert problem["sentence"] == str(caught.value)


def validated_again(panel):
    """Loss and accuracy of the first run's network, as it was kept, on the validation set."""
    ask = f"{SESSION}.ask('split', {SESSION}.trials[0], {{split: 'validation'}})"
    return panel.page.evaluate(f"{ask}.then(({{loss, accuracy}}) => ({{loss, accuracy}}))")


EVERYTHING = {
    "label_smoothing": 0.05, "shear": 0.1, "elastic": 1.0, "ema_momentum": 0.99, "training_images": 10_000, "units": 64
}  # fmt: skip


def test_a_recipe_with_all_that_there_is_learns_as_with_the_helpers(visit, address, mnist):
    """Averaged weights, smoothed labels, slanted and bent images: after two epochs, about what ``train`` reaches."""
    recipe = replace(ARTICLE, epochs=2, batch_size=50, **EVERYTHING)
    panel = panel_of(visit, address, asdict(recipe))
    accuracy = panel.train()
    runs = [train(recipe, mnist, seed, progress=False).history for seed in range(3)]
    reached = [history["val_accuracy"][-1] for history in runs]
    assert abs(accuracy - np.mean(reached)) < 0.04
    losses = panel.page.evaluate(f"{SESSION}.trials[0].history.loss")
    assert losses == pytest.approx(np.mean([history["loss"] for history in runs], axis=0), rel=0.1)
    # The network that answers is the one that was validated.
    assert validated_again(panel)["accuracy"] == pytest.approx(accuracy, abs=6e-5)


def test_early_stopping_ends_and_gives_the_best_weights_back(visit, address):
    panel = panel_of(visit, address, {"epochs": 60, "patience": 2, "training_images": 1_000, "batch_size": 50})
    panel.train()
    losses = panel.page.evaluate(f"{SESSION}.trials[0].history.val_loss")
    best = int(np.argmin(losses))
    assert len(losses) == best + 3 < 60
    assert validated_again(panel)["loss"] == pytest.approx(losses[best], rel=1e-5)


def lines_that_count(program):
    """Leave out what a page says otherwise: comments, compilation, and how far a leaking pool is shuffled."""
    others = ("#", "jit_compile", "pool = pool")
    return [line for line in program.splitlines() if not line.lstrip().startswith(others)]


def test_the_program_of_the_page_runs(modules, tmp_path, monkeypatch):
    recipe = replace(ARTICLE, hidden_layers=1, units=16, epochs=8, training_images=1_000)
    code = modules.evaluate("recipe => lab.kerasProgram(recipe, 3, 10000)", asdict(recipe))
    results = {}
    exec(code, results)
    assert 0.4 < results["history"]["val_accuracy"][0] < 0.9
    assert len(results["validation"][1]) == 2_000


EIGHT = {"hidden_layers": 8, "activation": "sigmoid", "last_activation": "sigmoid", "epochs": 1}


@pytest.mark.parametrize(("scheme", "width"), [("light", 1440), ("dark", 390)])
def test_the_gradients_of_eight_layers_are_seen(browser, lab_address, scheme, width):
    visit = Visit(browser, lab_address, color_scheme=scheme, viewport={"width": width, "height": 900})
    asked = []
    visit.page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
    panel = panel_of(visit, lab_address, EIGHT, "activation last_activation")
    if scheme == "dark":
        visit.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    panel.train()
    assert "gradients_chart.js" not in asked
    switch = panel.node.get_by_label("Gradients")
    switch.focus()
    visit.page.keyboard.press("Space")
    chart, text = panel.node.locator(".chart.gradients"), panel.node.locator("div.gradients")
    expect(chart).to_be_visible()
    assert asked.count("gradients_chart.js") == 1
    expect(chart.locator("path.layer")).to_have_count(9)
    assert chart.locator("text.layer").all_text_contents()[-1] in "19"
    sentence = text.locator("p").first
    orders = re.compile(r"Run \d, last measured: from .+ \(layer .+\) to .+ \(layer .+\), (.+) orders of magnitude\.$")
    assert float(orders.match(sentence.inner_text())[1]) >= 3
    text.locator("summary").focus()
    visit.page.keyboard.press("Enter")
    expect(text.locator("tbody tr")).to_have_count(9)
    expect(text.locator("tbody th").last).to_have_text("9, the output")
    results = Axe().run(visit.page, context="mnist-lab")
    assert results.violations_count == 0, results.generate_report()
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= width
    for name in ("Activation", "Last activation"):
        panel.node.get_by_label(name, exact=True).select_option("relu")
    panel.train()
    expect(sentence).to_contain_text("Run 2, last measured:")
    assert float(orders.match(sentence.inner_text())[1]) < 1.5
    switch.uncheck()
    expect(chart).to_be_hidden()
    expect(text).to_be_hidden()
    assert visit.faults == []
    visit.page.context.close()


def test_a_chart_that_does_not_come_costs_no_panel(browser, lab_address):
    visit = Visit(browser, lab_address)
    panel = panel_of(visit, lab_address, {"epochs": 1, "units": 8})
    visit.page.route("**/gradients_chart.js", lambda route: route.abort())
    switch = panel.node.get_by_label("Gradients")
    switch.click()
    expect(panel.message).to_have_text("The chart of the gradients could not be loaded. Try again.")
    expect(switch).not_to_be_checked()
    panel.train()
    visit.page.context.close()


# ---------------------------------------------------------------- another browser


TRAIN_ONCE = """async () => {
    const until = async (found) => {
        for (let i = 0; i < 600; i++) {
            const value = found();
            if (value) return value;
            await new Promise((resolve) => setTimeout(resolve, 100));
        }
        throw new Error('waited for a minute');
    };
    const train = await until(() => document.querySelector('.mnist-panel .primary'));
    train.click();
    await until(() => document.querySelector('.trials tbody tr'));
    return document.querySelector('.mnist-panel .message').textContent;
}"""


def test_firefox_trains_too(firefox, address, keras):
    firefox.open(address + "train_here.html")
    said = firefox.evaluate(TRAIN_ONCE)
    accuracy = float(re.fullmatch(r"Run 1 has finished: validation accuracy ([\d.]+)% after the last epoch\.", said)[1])
    (article,) = [run for run in keras["runs"] if not run["settings"]]
    mean, deviation = article["val_accuracy"][ARTICLE.epochs - 1]
    assert abs(accuracy / 100 - mean) < 3 * deviation + 0.01
    assert firefox.faults == []
