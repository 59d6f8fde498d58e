"""The panels as a reader of the notebooks meets them: a real JupyterLab in a real browser.

One notebook serves all tests, because a kernel takes seconds to start; each test leaves the panel at rest.
"""

import re
from pathlib import Path

import nbclient
import nbformat
import pytest
from browsing import SECONDS, Lab, jupyterlab, notebook
from playwright.sync_api import expect

LAB = nbformat.read(Path(__file__).parents[1] / "notebooks" / "retrain_lab.ipynb", as_version=4)
CELLS = [
    "from mnist_helpers.data import load_mnist\n"
    "from mnist_helpers.panels import draw_panel, explore_panel, retrain_panel\n"
    "mnist = load_mnist()",
    "lab = retrain_panel(data=mnist)\nlab",
    "print('six times seven is', 6 * 7)",
    "print('last', lab.runs[-1].history['val_accuracy'][-1])",
    "draw_panel(lab)",
    "explore_panel(mnist, lab)",
    "import time\ntime.sleep(10)",
    "lab",
    "from mnist_helpers.learning_panels import step_panel\nstep_panel()",
    "from mnist_helpers.learning_panels import descent_panel\n"
    "losses = [[1 + x * x + y * y for x in range(-2, 3)] for y in range(-2, 3)]\n"
    "descent_panel(losses, range(-2, 3), range(-2, 3), ('one', 'other'), (-1, 1))",
    "from mnist_helpers.recipe import ARTICLE, Recipe\ndraw_panel(Recipe(epochs=1), mnist)",
    "\n".join(cell.source for cell in LAB.cells if cell.id in ("own-imports", "own-widgets")),
    "from mnist_helpers.panels import challenge_panel\n"
    "display(challenge_panel('gap', lab), challenge_panel('dead', lab))",
]
TRAINING, OTHER, ACCURACY, DRAWING, EXPLORING, SLEEP, AGAIN, STEPPING, DESCENDING, OWN, BUILT, JUDGING = range(1, 13)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with jupyterlab(tmp_path_factory.mktemp("jupyter"), notebook(*CELLS)) as server:
        yield server


@pytest.fixture(scope="module")
def opened(browser, server):
    lab = Lab(browser, server[0])
    yield lab
    lab.page.context.close()


@pytest.fixture
def lab(opened):
    """The panel with the article's setting, and no run."""
    if opened.stop.is_enabled():
        opened.stop.click()
        opened.at_rest()
    opened.button("Reset to the article").click()
    expect(opened.panel.locator(".facts")).to_contain_text("130,010 parameters")
    if opened.rows.count():
        for pressed in opened.panel.locator(".trials button[aria-pressed=true]").all():
            pressed.click()
        opened.button("Clear all but the pinned").click()
    expect(opened.rows).to_have_count(0)
    yield opened
    assert opened.faults == []


def test_the_articles_run_grows_before_the_eyes_and_its_program_gives_the_same(lab):
    lab.button("Train").click()
    first = lab.longer_than(0)
    assert lab.stop.is_enabled()
    lab.longer_than(first)
    assert lab.stop.is_enabled(), "the curve must grow before training ends"
    lab.at_rest()
    expect(lab.rows).to_have_count(1)
    assert re.search(r"9[67]\.\d\d%", lab.rows.first.inner_text())
    expect(lab.panel.locator("circle.shown")).to_have_count(2 * 10)

    lab.run(ACCURACY)
    output = lab.cell(ACCURACY).locator(".jp-OutputArea-output")
    expect(output).to_contain_text("last 0.9")
    accuracy = float(output.inner_text().split()[-1])
    lab.panel.get_by_text("Show code").click()
    code = lab.panel.locator(".program code")
    expect(code).to_contain_text("model.fit(")
    program = notebook(code.inner_text() + "\nprint('last', history['val_accuracy'][-1])")
    lab.panel.get_by_text("Show code").click()
    nbclient.NotebookClient(program, timeout=300).execute()
    printed = "".join(output.text for output in program.cells[0].outputs if output.output_type == "stream")
    assert float(printed.split()[-1]) == pytest.approx(accuracy, abs=1e-6)


def test_the_test_set_is_opened_for_one_run_on_request(lab):
    lab.slide("Epochs", "Home")
    lab.button("Train").click()
    expect(lab.rows).to_have_count(1, timeout=60 * SECONDS)
    lab.rows.get_by_role("button", name=re.compile("Reveal test score of Run")).click()
    expect(lab.rows.locator("td").nth(4)).to_have_text(re.compile(r"^9\d\.\d\d%$"), timeout=30 * SECONDS)


def test_other_cells_run_while_it_trains_and_stop_keeps_what_was_reached(lab):
    lab.slide("Epochs", "End")
    expect(lab.panel.get_by_label("Epochs", exact=True)).to_have_attribute("aria-valuetext", "100")
    expect(lab.panel.locator(".facts")).not_to_have_text(re.compile(r"about \d\.\d s"))
    lab.button("Train").click()
    lab.longer_than(0)
    lab.run(OTHER)
    expect(lab.cell(OTHER).locator(".jp-OutputArea-output")).to_have_text(re.compile("six times seven is 42"))
    assert lab.stop.is_enabled(), "the cell must not have waited for the training"
    lab.page.wait_for_selector(".mnist-panel circle.shown")
    lab.stop.click()
    lab.at_rest()
    expect(lab.rows).to_have_count(1)
    expect(lab.rows.first).to_contain_text("epochs 100 (stopped)")


def test_everything_is_reached_and_moved_by_keyboard(lab):
    right = ["Units a layer", "Batch size", "Learning rate", "Dropout", "Weight decay"]
    names = [*right, "Hidden layers", "Training images"]
    for name in names:
        slider = lab.panel.get_by_role("slider", name=name, exact=True)
        lab.slide(name, "ArrowRight" if name in right else "ArrowLeft")
        assert slider.evaluate(
            "slider => document.getElementById(slider.getAttribute('aria-describedby').split(' ')[0])"
        )
    for name in ("Activation", "Last activation", "Augmentation", "Validation split"):
        assert lab.panel.get_by_role("combobox", name=name, exact=True).is_enabled()
    lab.panel.get_by_role("switch", name="Batch norm").focus()
    lab.page.keyboard.press("Space")
    assert lab.panel.get_by_role("switch", name="Batch norm").is_checked()
    lab.panel.get_by_role("spinbutton", name="Seed").fill("5")
    expect(lab.panel.locator(".facts")).to_contain_text(
        f"{(784 + 1) * 128 + 4 * (128 + 1) * 128 + 5 * 4 * 128 + 1290:,}"
    )

    lab.button("Reset to the article").focus()
    lab.page.keyboard.press("Enter")
    expect(lab.panel.locator(".facts")).to_contain_text("130,010 parameters")
    lab.slide("Epochs", "Home")
    lab.slide("Units a layer", "Home")
    # A press of the space bar may come before the panel has heard of the last move.
    expect(lab.panel.locator(".facts")).to_contain_text("6,730 parameters")
    lab.button("Train").focus()
    lab.page.keyboard.press("Space")
    expect(lab.rows).to_have_count(1, timeout=60 * SECONDS)
    expect(lab.rows.first).to_contain_text("units 8, epochs 1")


def test_a_change_while_training_offers_a_restart_and_never_queues(lab):
    lab.slide("Epochs", "End")
    expect(lab.panel.locator(".facts")).not_to_have_text(re.compile(r"about \d\.\d s"))
    lab.button("Train").click()
    lab.longer_than(0)
    lab.slide("Epochs", "Home")
    expect(lab.button("Restart with this setting")).to_be_enabled()
    lab.slide("Units a layer", "Home")
    expect(lab.panel.locator(".facts")).to_contain_text("6,730 parameters")
    lab.button("Restart with this setting").click()
    expect(lab.rows).to_have_count(1, timeout=60 * SECONDS)
    lab.at_rest()
    expect(lab.rows.first).to_contain_text("units 8, epochs 1")


def test_retrain_as_i_move(lab):
    switch = lab.panel.get_by_label("Retrain as I move")
    switch.check()
    lab.slide("Epochs", "Home")
    expect(lab.rows).not_to_have_count(0, timeout=60 * SECONDS)
    lab.at_rest()
    expect(lab.rows.first).to_contain_text("epochs 1")
    switch.uncheck()


def test_runs_can_be_named_pinned_hidden_compared_and_cleared(lab):
    lab.slide("Epochs", "Home")
    for seed in ("11", "12"):
        lab.panel.get_by_label("Seed").fill(seed)
        lab.page.keyboard.press("Tab")
        lab.button("Train").click()
        expect(lab.rows).to_have_count(int(seed) - 10, timeout=60 * SECONDS)
    newest, oldest = lab.rows.nth(0), lab.rows.nth(1)
    expect(newest).to_contain_text("seed 12")
    assert lab.panel.locator(".chart path.earlier.validation").count() == 2
    oldest.get_by_role("textbox").fill("the first")
    lab.page.keyboard.press("Tab")
    oldest.get_by_role("button", name=re.compile("^Pin")).click()
    expect(lab.panel.locator(".chart path.pinned.validation")).to_have_count(2)
    assert oldest.locator("path.pinned").count() == 1, "the row must have the colour of its curve"
    assert "the first" in lab.panel.locator(".chart path.pinned.validation title").first.text_content()
    newest.get_by_role("checkbox").uncheck()
    expect(lab.panel.locator("svg.chart path.shown")).to_have_count(0)

    lab.panel.get_by_label("Seed").fill("11")
    lab.page.keyboard.press("Tab")
    lab.button("Train").click()
    expect(lab.message).to_have_text("the first had this setting already: here it is again, at once.")
    lab.button("Clear all but the pinned").click()
    expect(lab.rows).to_have_count(1)
    expect(lab.rows.get_by_role("textbox")).to_have_value("the first")


def test_a_bad_setting_is_explained_beside_its_control(lab):
    lab.panel.get_by_label("Validation split").select_option("leaking")
    lab.slide("Training images", "ArrowLeft")
    problem = lab.panel.locator(".problem")
    expect(problem).to_contain_text("training_images is 40,000 with a leaking validation set; expected 54,000")
    expect(lab.button("Train")).to_be_disabled()
    assert lab.panel.get_by_label("Training images").get_attribute("aria-invalid") == "true"
    lab.slide("Training images", "ArrowRight")
    expect(problem).to_have_text("")
    expect(lab.button("Train")).to_be_enabled()


def trained_one(lab):
    lab.button("Train").click()
    expect(lab.rows).to_have_count(1, timeout=60 * SECONDS)
    lab.at_rest()


def test_a_seven_drawn_with_the_mouse_is_read_as_seven(lab):
    trained_one(lab)
    lab.run(DRAWING)
    panel = lab.page.locator(".mnist-panel.draw")
    sheet = panel.locator(".sheet")
    expect(sheet).to_be_visible(timeout=30 * SECONDS)
    sheet.scroll_into_view_if_needed()
    box = sheet.bounding_box()

    def at(x, y):
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    lab.page.mouse.move(*at(0.25, 0.2))
    lab.page.mouse.down()
    lab.page.mouse.move(*at(0.75, 0.2), steps=8)
    # The answer comes while the pen is still down.
    expect(panel.locator(".verdict")).to_have_text(re.compile("It reads"))
    lab.page.mouse.move(*at(0.45, 0.85), steps=8)
    lab.page.mouse.up()
    expect(panel.locator(".verdict")).to_have_text(re.compile("It reads 7"))
    expect(panel.locator(".shares .best")).to_contain_text("7")
    expect(panel.locator(".nearest figure")).to_have_count(5)
    assert panel.locator(".nearest figcaption").all_inner_texts().count("7") >= 3
    panel.get_by_role("button", name="Clear").click()
    expect(panel.locator(".verdict")).to_have_text("Draw a digit.")
    # And by keyboard: a vertical stroke is a 1.
    sheet.focus()
    for key in ["Space", *12 * ["ArrowDown"], "Space"]:
        lab.page.keyboard.press(key)
    expect(panel.locator(".verdict")).to_have_text(re.compile("It reads 1"))


def test_a_sheet_with_a_recipe_trains_its_network_when_something_is_drawn(lab):
    lab.run(OWN)
    panel = lab.page.locator(".mnist-panel.draw").last
    sheet = panel.locator(".sheet")
    expect(panel.locator(".answer")).to_contain_text("You ask no network yet.", timeout=30 * SECONDS)
    sheet.focus()
    for key in ["Space", *12 * ["ArrowDown"], "Space"]:
        lab.page.keyboard.press(key)
    expect(panel.locator(".verdict")).to_have_text(re.compile("It reads 1"), timeout=60 * SECONDS)
    expect(panel.locator(".answer")).to_contain_text("You ask Run 1, ")


def test_the_panel_that_a_reader_builds_trains(lab):
    lab.run(OWN)  # which brings the recipe
    lab.run(BUILT)
    built = lab.cell(BUILT)
    slider = built.get_by_role("slider")
    expect(slider).to_be_visible(timeout=30 * SECONDS)
    slider.focus()
    for _ in range(3):
        lab.page.keyboard.press("ArrowLeft")
    expect(built.locator(".widget-readout")).to_have_text("97")
    built.get_by_role("button", name="Train").click()
    told = built.locator(".widget-output")
    expect(told).to_contain_text(re.compile(r"epoch 2 of 10: accuracy \d"), timeout=120 * SECONDS)  # while it trains
    expect(told).to_have_text(re.compile(r"^\s*epoch 10 of 10: accuracy 9\d\.\d%\s*$"), timeout=120 * SECONDS)


def test_the_gradients_are_measured_when_they_are_wanted(lab):
    lab.slide("Epochs", "Home")
    trained_one(lab)
    switch = lab.panel.get_by_label("Gradients")
    switch.check()
    told, lines = lab.panel.locator("div.gradients p").first, lab.panel.locator("path.layer")
    without = r"Run \d+ was trained without measuring its gradients\. Train its setting again to see them\."
    expect(told).to_have_text(re.compile(without))
    lab.button("Train").click()
    expect(lab.rows).to_have_count(2, timeout=60 * SECONDS)
    expect(told).to_contain_text("orders of magnitude")
    expect(lines).to_have_count(7)
    switch.uncheck()
    expect(told).to_be_hidden()


def test_challenges_judge_the_runs_of_their_panel_and_remember_the_best(lab):
    lab.run(JUDGING)
    states = lab.cell(JUDGING).locator(".challenge")
    expect(states).to_have_text(["train something first"] * 2)
    lab.slide("Epochs", "Home")
    lab.button("Train").click()
    lab.at_rest()
    expect(states).to_have_text(
        [re.compile(r"^a gap of −?\d\.\d{3}$"), re.compile(r"^\d+% of the hidden units are dead$")]
    )
    expect(lab.cell(JUDGING).locator(".record").first).to_have_text(
        re.compile(r"^Your record, kept in this browser: a gap of .*, with epochs 1\. Forget it$")
    )


def test_a_cell_of_the_confusion_matrix_shows_its_images(lab):
    trained_one(lab)
    lab.run(EXPLORING)
    panel = lab.page.locator(".mnist-panel.explore")
    expect(panel).to_be_visible(timeout=30 * SECONDS)
    cell = panel.get_by_role("button", name=re.compile(r"^\d+ of 4 read as 9$"))
    expect(cell).to_have_text(re.compile(r"\d"))
    number = int(cell.inner_text())
    where = panel.locator(".where").first
    lab.until(where, f"of {number} of 4 that it reads as 9", cell.click)
    expect(panel.locator(".images figure")).to_have_count(min(number, 40))
    expect(cell).to_have_attribute("aria-pressed", "true")
    assert set(panel.locator(".images figcaption").all_inner_texts()) == {"is 4\nread as 9"}
    panel.get_by_label("Go to index").fill("41")
    lab.until(where, "Images 41 to 80 of 6,000", lambda: panel.get_by_label("Go to index").press("Enter"))
    assert panel.locator(".units canvas").count() == 24
    panel.get_by_role("button", name="Next units").click()
    expect(panel.get_by_label("Weights of unit 25", exact=True)).to_be_visible()


def pressed(lab, panel, name, key, said):
    """Press a key on a control until the panel says that it was heard: JupyterLab may take the focus to a cell."""
    control = panel.get_by_role("button", name=name, exact=True)

    def press():
        control.focus()
        lab.page.keyboard.press(key)

    lab.until(panel.get_by_role("status"), said, press)


def test_one_steps_through_a_network_by_keyboard_and_the_notebook_stays_where_it_is(lab):
    lab.run(STEPPING)
    panel = lab.page.locator(".mnist-panel.step")
    expect(panel).to_be_visible(timeout=30 * SECONDS)
    panel.scroll_into_view_if_needed()
    pressed(lab, panel, "Forward", "ArrowRight", "z1[0] = x[0] · W1[0,0]")
    pressed(lab, panel, "Forward", "ArrowRight", "a1[0] = tanh(z1[0])")
    pressed(lab, panel, "Forward", "ArrowLeft", "z1[0] = x[0] · W1[0,0]")
    expect(panel.locator(".network")).to_contain_text("⇒ 0.2")


def test_one_goes_down_a_loss_by_keyboard_in_the_notebook(lab):
    lab.run(DESCENDING)
    panel = lab.page.locator(".mnist-panel.descend")
    expect(panel).to_be_visible(timeout=30 * SECONDS)
    panel.scroll_into_view_if_needed()
    told = panel.get_by_role("status")
    pressed(lab, panel, "Step", "Enter", "Step 1: the loss fell, from 3 to")
    for _ in range(2):
        panel.get_by_role("application").focus()
        lab.page.keyboard.press("ArrowDown")
    expect(told).to_contain_text("At the start, one = −1, other = −1")


# Move a slider, and read at once, before anything else can happen in the page, what the panel says.
MOVE_AND_READ = """([label, value]) => {
    const panel = document.querySelector(".mnist-panel.retrain");
    const slider = [...panel.querySelectorAll("input")].find((input) => input.labels[0]?.textContent === label);
    slider.value = value;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    return [panel.querySelector(".facts").textContent, panel.querySelector(".problem").textContent];
}"""


def test_a_panel_answers_while_the_kernel_sleeps_and_trains_when_it_wakes(lab):
    lab.slide("Epochs", "Home")
    lab.cell(SLEEP).locator(".jp-InputArea-editor").click()
    lab.page.keyboard.press("Control+Enter")
    expect(lab.cell(SLEEP).locator(".jp-InputPrompt")).to_have_text("[*]:")
    facts, problem = lab.page.evaluate(MOVE_AND_READ, ["Units a layer", 0])
    assert facts.startswith("6,730 parameters") and problem == ""
    lab.panel.get_by_label("Validation split").select_option("leaking")
    facts, problem = lab.page.evaluate(MOVE_AND_READ, ["Training images", 0])
    assert facts == "" and problem.startswith("training_images is 10 with a leaking validation set")
    lab.button("Reset to the article").click()
    lab.slide("Epochs", "Home")
    lab.button("Train").click()
    expect(lab.panel.locator(".left")).to_contain_text("waits for a cell that runs")
    expect(lab.cell(SLEEP).locator(".jp-InputPrompt")).to_have_text("[*]:")
    expect(lab.rows).to_have_count(1, timeout=60 * SECONDS)


def test_two_views_of_a_panel_agree(lab):
    lab.run(AGAIN)
    second = lab.page.locator(".mnist-panel.retrain").nth(1)
    expect(second).to_be_visible()
    lab.slide("Units a layer", "Home")
    expect(second.locator(".facts")).to_contain_text("6,730 parameters")
    second.get_by_role("switch", name="Batch norm").check()
    expect(lab.panel.get_by_role("switch", name="Batch norm")).to_be_checked()
    lab.slide("Epochs", "Home")
    second.get_by_role("button", name="Train", exact=True).click()
    for panel in (lab.panel, second):
        expect(panel.locator(".trials tbody tr")).to_have_count(1, timeout=60 * SECONDS)
        expect(panel.locator(".message")).to_contain_text("has finished")
    curve = lab.panel.locator("path.shown.validation").first.get_attribute("d")
    expect(second.locator("path.shown.validation").first).to_have_attribute("d", curve)
    lab.cell(AGAIN).locator(".jp-InputArea-editor").click()
    lab.page.keyboard.press("Escape")
    lab.page.keyboard.press("r")
    lab.page.keyboard.press("y")


def test_a_page_that_is_loaded_again_has_its_runs_and_the_one_that_trains(lab):
    lab.slide("Epochs", "Home")
    lab.button("Train").click()
    expect(lab.rows).to_have_count(1, timeout=60 * SECONDS)
    lab.rows.first.get_by_role("textbox").fill("the first")
    lab.page.keyboard.press("Tab")
    lab.slide("Units a layer", "ArrowLeft")
    lab.slide("Epochs", "End")
    lab.button("Train").click()
    lab.longer_than(0)
    lab.page.get_by_role("button", name="Save and create checkpoint").click()
    lab.page.wait_for_timeout(1_000)
    lab.open()
    expect(lab.rows).to_have_count(1, timeout=60 * SECONDS)
    expect(lab.rows.first.get_by_role("textbox")).to_have_value("the first")
    expect(lab.panel.get_by_label("Units a layer")).to_have_attribute("aria-valuetext", "64")
    assert lab.stop.is_enabled()
    lab.longer_than(lab.longer_than(0))
    lab.stop.click()
    lab.at_rest()
    expect(lab.rows).to_have_count(2)
    expect(lab.message).to_contain_text("was stopped in epoch")


def test_a_prediction_is_typed_and_a_page_that_is_loaded_again_has_it(lab):
    lab.slide("Epochs", "Home")
    switch = lab.panel.get_by_label("Predict first")
    switch.check()
    lab.button("Train").click()
    answer = lab.panel.get_by_role("textbox", name=re.compile("I predict"))
    expect(answer).to_be_focused()
    lab.page.wait_for_timeout(500)  # JupyterLab may take the focus away a moment later
    lab.page.keyboard.type("91.5")
    lab.page.keyboard.press("Enter")
    expect(lab.rows).to_have_count(1, timeout=60 * SECONDS)
    said = re.compile(r"validation accuracy 9\d\.\d\d%, you predicted 91\.50%, \d\.\d\d points too (low|high)\.$")
    expect(lab.message).to_have_text(said)
    expect(lab.panel.locator("path.predicted")).to_have_count(1)
    lab.page.get_by_role("button", name="Save and create checkpoint").click()
    lab.page.wait_for_timeout(1_000)
    lab.open()
    expect(lab.rows.first).to_contain_text("predicted 91.50%", timeout=60 * SECONDS)
    expect(lab.panel.locator(".score")).to_contain_text("1 finished run predicted:")
    expect(lab.message).to_have_text(said)
    expect(switch).to_be_checked()
    switch.uncheck()


def test_a_notebook_that_is_closed_and_opened_again_has_its_panel(lab):
    lab.slide("Epochs", "Home")
    expect(lab.panel.locator("[data-control=epochs] .value")).to_have_text("1")
    trained_one(lab)
    lab.page.get_by_role("button", name="Save and create checkpoint").click()
    lab.page.wait_for_timeout(1_000)
    lab.page.locator(".lm-DockPanel-tabBar .lm-TabBar-tabCloseIcon").first.click()
    expect(lab.page.locator(".jp-Notebook")).to_have_count(0)
    lab.page.locator(".jp-DirListing-item", has_text="opened.ipynb").dblclick()
    expect(lab.panel).to_be_visible(timeout=60 * SECONDS)
    expect(lab.rows).to_have_count(1, timeout=60 * SECONDS)
    lab.slide("Units a layer", "Home")
    expect(lab.panel.locator(".facts")).to_contain_text("6,730 parameters")
    lab.button("Train").click()
    expect(lab.rows).to_have_count(2, timeout=60 * SECONDS)


def test_a_panel_whose_kernel_was_restarted_says_so(opened):
    opened.page.get_by_role("menuitem", name="Kernel").click()
    opened.page.get_by_text("Restart Kernel…", exact=True).first.click()
    opened.page.locator(".jp-Dialog button.jp-mod-accept").click()
    opened.page.wait_for_timeout(3_000)
    opened.panel.get_by_label("Seed").fill("77")
    opened.button("Train").click()
    expect(opened.message).to_contain_text("The kernel of this panel is gone, and its runs with it.")


# ipykernel's own: a kernel that is spoken to before it has begun to listen says this, and answers all the same.
TOO_EARLY = re.compile(
    r"^ERROR:tornado\.general:Uncaught exception in ZMQStream.*?'_control_lock' trait .*?$", re.M | re.S
)


def test_the_servers_log_has_no_error(server):
    _, log = server
    text = TOO_EARLY.sub("", log.read_text())
    assert "Traceback" not in text, text[text.index("Traceback") - 500 :][:3000]
    assert not re.search(r"^\[E ", text, re.M), text
