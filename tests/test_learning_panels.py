"""The panels that show how a network learns: their arithmetic against NumPy and TensorFlow, and the live page."""

import html
import json
import re
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import tensorflow as tf
from axe_playwright_python.sync_playwright import Axe
from browsing import Visit
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import expect

from mnist_helpers.learning_panels import (
    SmallNetwork,
    contour_levels,
    descent_panel,
    settling_rate,
    step_panel,
)
from mnist_helpers.panels import PanelError

X, Y = np.linspace(-2, 3, 21), np.linspace(-1, 1, 17)
VALLEY = 0.1 + 0.2 * (X - 0.5) ** 2 + 2 * (Y[:, None] - 0.1 * X) ** 2
NAMES = ("weight one", "weight two")
STEPS = 18


def valley(**changed):
    return descent_panel(**{"losses": VALLEY, "x": X, "y": Y, "names": NAMES, "start": (-1.5, 0.8)} | changed)


# ---- As Python sees them ----


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"x": [1, 2, 3]}, r"x has shape \(3,\); expected \(2,\)\."),
        ({"W1": [1, 2]}, r"W1 has shape \(2,\); expected \(2, 2\)\."),
        ({"b2": [0, np.nan]}, "b2 has a value that is not finite"),
        ({"W2": [[1, 2], [3]]}, r"W2 is no array of numbers; expected one of shape \(2, 2\)\."),
        ({"W2": [[1, 2], [3, 21]]}, r"W2 has a value of 21 in size; expected 20 at most\."),
        ({"label": 2}, "the label is 2; expected 0 or 1"),
    ],
)
def test_a_small_network_that_cannot_be_shown_is_refused(given, sentence):
    with pytest.raises(PanelError, match=sentence):
        SmallNetwork(**given)


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"losses": VALLEY.T}, r"losses has shape \(21, 17\); expected \(17, 21\)\."),
        ({"losses": np.where(VALLEY > 2, np.inf, VALLEY)}, "losses has a value that is not finite"),
        ({"losses": np.ones_like(VALLEY)}, "losses is 1 everywhere"),
        ({"x": X[::-1]}, r"x does not rise evenly; expected at least 4 numbers, the same step apart\."),
        ({"y": np.sign(Y) * Y**2}, "y does not rise evenly"),
        ({"y": 3.0}, r"y has shape \(\); expected \(4,\)"),
        ({"names": "ab"}, "names is 'ab'; expected two"),
        ({"start": (0, 1.2)}, r"the start has y = 1\.2; expected -1 to 1, on the map"),
        ({"learning_rate": 0}, "the learning rate is 0; expected a number above 0"),
    ],
)
def test_a_landscape_that_cannot_be_shown_is_refused(given, sentence):
    with pytest.raises(PanelError, match=sentence):
        valley(**given)
    with pytest.raises(PanelError, match=r"the learning rate is 0; expected a number from 0\.01 to 10"):
        step_panel(learning_rate=0)


def test_the_page_is_told_all_that_it_shows():
    network = SmallNetwork(x=np.array([0.25, -1]), label=0)
    for panel, view in ((step_panel(network, 0.2), "step"), (valley(), "descent")):
        bundle, _ = panel._repr_mimebundle_()
        page = bundle["text/html"]
        told = json.loads(html.unescape(re.search(r'setup="([^"]*)"', page)[1]))
        assert told == {name: value for name, value in panel.setup.items() if name not in ("view", "name")}
        assert page.startswith(f'<mnist-lab view="{view}"') and '<img src="data:image/svg+xml;base64,' in page
        assert "trains the network itself" not in page and "run this notebook on your own machine" in page
        assert bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == panel.model_id
    assert step_panel(network, 0.2).setup["network"]["x"] == [0.25, -1]
    assert "It is lowest, 0.105, at 0.5 and 0 (diamond)" in valley()._html()


def test_the_rates_go_from_too_small_to_diverging():
    highest = settling_rate(VALLEY, X, Y)
    # Along y the curvature is 4, and the bend of the valley adds a little.
    assert highest == pytest.approx(2 / 4, rel=0.05)
    low, high = valley().setup["rates"]
    assert low < highest / 100 and high > 5 * highest
    flat = np.zeros((5, 5)) + np.arange(5)
    assert 0 < settling_rate(flat, np.arange(5.0), np.arange(5.0)) < 100


def test_the_lowest_point_is_found_next_to_every_edge_of_a_map():
    places = np.arange(7.0)
    bowl = 1 - np.exp(-np.add.outer((places - 1) ** 2, (places - 1) ** 2) / 2)
    turned = [settling_rate(np.rot90(bowl, quarters), places, places) for quarters in range(4)]
    assert turned == pytest.approx([turned[0]] * 4)


def test_the_lines_of_a_map_are_at_round_losses_between_its_lowest_and_its_highest():
    assert contour_levels(np.array([0.03, 4.0])) == [0.03, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 4.0]
    assert contour_levels(np.array([0.36, 4.4])) == [0.36, 0.4, 0.5, 0.6, 0.8, 1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 4.4]
    assert contour_levels(np.array([0.1, 4.0])) == [0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 4.0]
    assert contour_levels(np.array([0.3, 0.7])) == [0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7]


def test_a_landscape_is_told_with_its_axes_start_and_lines():
    setup = valley().setup
    assert (setup["x"], setup["y"], setup["start"], setup["names"]) == ([-2, 3], [-1, 1], [-1.5, 0.8], list(NAMES))
    np.testing.assert_allclose(setup["losses"], VALLEY, rtol=1e-5)
    assert setup["levels"] == contour_levels(VALLEY)
    assert setup["learningRate"] == pytest.approx(settling_rate(VALLEY, X, Y) / 4)


def test_the_small_network_begins_with_the_wrong_answer_and_cannot_be_changed():
    network = SmallNetwork()
    logits = np.tanh(network.x @ network.W1 + network.b1) @ network.W2 + network.b2
    assert logits.argmax() != network.label
    with pytest.raises(FrozenInstanceError):
        network.label = 0


# ---- The arithmetic of the live panels ----


@pytest.fixture(scope="module")
def program(browser, lab_address):
    """A page with the functions of both views."""
    visit = Visit(browser, lab_address)
    page = visit.open(f"{lab_address}blank.html")
    page.evaluate(
        """async (base) => {
            const load = (name) => import(`${base}lab/panel/${name}.js`);
            Object.assign(window, await load("elements"), await load("step_view"), await load("descent_view"));
        }""",
        lab_address,
    )
    yield page
    assert visit.faults == []
    page.context.close()


numbers = st.floats(-3, 3, allow_subnormal=False)
pairs = st.tuples(numbers, numbers)
networks = st.builds(
    SmallNetwork,
    x=pairs,
    label=st.integers(0, 1),
    W1=st.tuples(pairs, pairs),
    b1=pairs,
    W2=st.tuples(pairs, pairs),
    b2=pairs,
)


def passed_by_tensorflow(network):
    parameters = {name: tf.Variable(getattr(network, name)) for name in ("W1", "b1", "W2", "b2")}
    with tf.GradientTape() as tape:
        z1 = tf.constant(network.x)[None] @ parameters["W1"] + parameters["b1"]
        a1 = tf.tanh(z1)
        z2 = a1 @ parameters["W2"] + parameters["b2"]
        loss = tf.nn.sparse_softmax_cross_entropy_with_logits([network.label], z2)[0]
    slopes = tape.gradient(loss, {"z1": z1, "a1": a1, "z2": z2} | parameters)
    values = {"z1": z1[0], "a1": a1[0], "z2": z2[0], "p": tf.nn.softmax(z2)[0], "L": loss}
    values |= {f"d{name}": slope[0] if name in ("z1", "a1", "z2") else slope for name, slope in slopes.items()}
    return {name: value.numpy() for name, value in values.items()}


@settings(max_examples=60)
@given(network=networks)
def test_a_pass_gives_what_tensorflow_gives(program, network):
    computed = program.evaluate("(network) => passThrough(network)", step_panel(network).setup["network"])
    for name, value in passed_by_tensorflow(network).items():
        np.testing.assert_allclose(computed[name], value, rtol=1e-9, atol=1e-12, err_msg=name)
    np.testing.assert_allclose(computed["products1"], network.x[:, None] * network.W1)
    np.testing.assert_allclose(computed["products2"], np.array(computed["a1"])[:, None] * network.W2)


@settings(max_examples=30)
@given(network=networks, learning_rate=st.floats(0.01, 10))
def test_an_update_goes_against_every_gradient(program, network, learning_rate):
    told = step_panel(network, learning_rate).setup["network"]
    updated = program.evaluate(
        "([network, rate]) => updatedNetwork(network, passThrough(network), rate)", [told, learning_rate]
    )
    gradients = passed_by_tensorflow(network)
    for name in ("W1", "b1", "W2", "b2"):
        expected = getattr(network, name) - learning_rate * gradients[f"d{name}"]
        np.testing.assert_allclose(updated[name], expected, rtol=1e-9, atol=1e-12, err_msg=name)
    assert updated["x"] == told["x"] and updated["label"] == told["label"]


def test_a_network_that_is_sure_and_wrong_has_a_finite_loss(program):
    network = SmallNetwork(W2=((20, -20), (20, -20)), b2=(20, -20), W1=((20, 20), (20, 20)))
    script = "(network) => passThrough({ ...network, b2: [2000, -2000] })"
    found = program.evaluate(script, step_panel(network).setup["network"])
    assert found["L"] == pytest.approx(4_000 + 80)
    assert found["p"] == [1, 0]


def number_in(text):
    return float(text.replace("−", "-").strip("()"))


@settings(max_examples=25)
@given(network=networks)
def test_the_formulas_hold_with_the_numbers_that_fill_them(program, network):
    """Each formula's numbers, put through its own operations, give its result to the decimals that are shown."""
    steps = program.evaluate(
        "(network) => stepsThrough(network, passThrough(network), 0.5)", step_panel(network).setup["network"]
    )
    assert len(steps) == STEPS
    checked = 0
    for step in steps:
        for line in step["formulas"]:
            filled, *result = [part.strip() for part in line.split(" = ")][-2:]
            if not result or not re.fullmatch(r"[−\d.e()·+ /]+", filled.removeprefix("= ")):
                continue
            program_text = filled.removeprefix("= ").replace("−", "-").replace("·", "*")
            assert eval(program_text) == pytest.approx(number_in(result[0]), rel=0.02, abs=0.02), line
            checked += 1
    assert checked >= 12


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (-0.0, "0"), (0.5, "0.5"), (-1.23456, "−1.235"), (0.00123, "0.0012"), (-0.00009, "−9.0e−5"),
     (123.456, "123.5"), (98765.4, "98765"), (100_000, "1.0e5"), (1.5e26, "1.5e26")],
)  # fmt: skip
def test_numbers_are_written_short(program, value, text):
    assert program.evaluate("(value) => readable(value)", value) == text


def test_grey_values_are_painted_as_ink_and_weights_in_red_and_blue(program):
    painted = """([values, signed]) => {
        const canvas = picture(values, { signed });
        return Array.from(canvas.getContext("2d").getImageData(0, 0, 28, 28).data);
    }"""
    values = np.arange(28 * 28) % 256
    expected = np.column_stack([255 - values] * 3 + [np.full(28 * 28, 255)])
    np.testing.assert_array_equal(program.evaluate(painted, [values.tolist(), False]), expected.ravel())
    weights = [1.5, 1, 0.2, 0, -0.2, -1] + [0.0] * (28 * 28 - 6)
    colours = np.reshape(program.evaluate(painted, [weights, True]), (-1, 4))[:6]
    np.testing.assert_array_equal(
        colours[:, :3],
        [[255, 0, 0], [255, 0, 0], [255, 204, 204], [255, 255, 255], [204, 204, 255], [0, 0, 255]],
    )


def test_a_field_is_done_with_on_enter_and_on_leaving_it_changed(program):
    program.evaluate("window.done = [], document.body.append(field({ id: 'name' }, (value) => done.push(value)))")
    name = program.locator("#name")
    name.focus()
    name.blur()
    name.press_sequentially("a")
    name.blur()
    name.press_sequentially("b")
    name.press("Enter")
    name.blur()
    assert program.evaluate("done") == ["a", "ba"]


def test_jupyterlab_leaves_the_keys_to_what_can_have_the_focus(program):
    kept = 'hasAttribute("data-lm-suppress-shortcuts")'
    made = f'[button("Stop", null).{kept}, h("div", {{ tabindex: 0 }}).{kept}, h("p").{kept}]'
    assert program.evaluate(made) == [True, True, False]


def test_what_waits_for_calls_to_stop_is_done_once_with_the_last(program):
    script = """async () => {
        const told = [], tell = later(20, (value) => told.push(value));
        [1, 2, 3].forEach(tell);
        await new Promise((resolve) => setTimeout(resolve, 200));
        return told;
    }"""
    assert program.evaluate(script) == [3]


def losses_at(program, panel, points):
    script = "([setup, points]) => points.map((point) => lossAt(setup, point))"
    return program.evaluate(script, [panel.setup, [list(map(float, point)) for point in points]])


@settings(max_examples=20)
@given(losses=st.lists(st.floats(0.01, 10), min_size=30, max_size=30, unique=True))
def test_the_map_goes_through_the_points_of_the_grid(program, losses):
    x, y = np.linspace(-1, 2, 6), np.linspace(0, 0.5, 5)
    grid = np.reshape(losses, (5, 6))
    panel = descent_panel(grid, x, y, NAMES, (0, 0))
    found = losses_at(program, panel, [(across, up) for up in y for across in x])
    np.testing.assert_allclose([each["loss"] for each in found], losses, rtol=1e-5)


@settings(max_examples=20)
@given(
    losses=st.lists(st.floats(0.01, 10), min_size=30, max_size=30, unique=True),
    points=st.lists(st.tuples(st.floats(-0.99, 1.99), st.floats(0.01, 0.49)), min_size=5, max_size=5),
)
def test_the_slope_is_that_of_the_map(program, losses, points):
    panel = descent_panel(np.reshape(losses, (5, 6)), np.linspace(-1, 2, 6), np.linspace(0, 0.5, 5), NAMES, (0, 0))
    step = 1e-5
    for across, up in points:
        here, right, left, above, below = losses_at(
            program, panel,
            [(across, up), (across + step, up), (across - step, up), (across, up + step), (across, up - step)],
        )  # fmt: skip
        differences = [right["loss"] - left["loss"], above["loss"] - below["loss"]]
        np.testing.assert_allclose(here["slope"], np.array(differences) / (2 * step), rtol=1e-3, atol=0.05)


def test_the_slope_does_not_jump_where_the_cells_of_the_grid_meet(program):
    bumpy = np.random.default_rng(0).uniform(0.1, 1, VALLEY.shape)
    panel = valley(losses=bumpy)
    close = 1e-9
    for across in X[1:-1]:
        before, after = losses_at(program, panel, [(across - close, 0.03), (across + close, 0.03)])
        np.testing.assert_allclose(before["slope"], after["slope"], atol=1e-5)


def test_a_map_that_is_turned_round_has_the_same_loss_at_the_points_turned_round(program):
    bumpy = np.random.default_rng(0).uniform(0.1, 1, (4, 4))
    x, y = np.linspace(-2, 2, 4), np.linspace(-1, 1, 4)
    points = np.stack(np.meshgrid(np.linspace(-1.9, 1.9, 9), np.linspace(-0.9, 0.9, 9)), axis=-1).reshape(-1, 2)
    panels = (descent_panel(losses, x, y, NAMES, (0, 0)) for losses in (bumpy, bumpy[::-1, ::-1]))
    found, turned = (
        [each["loss"] for each in losses_at(program, panel, signs * points)]
        for panel, signs in zip(panels, (1, -1), strict=True)
    )
    np.testing.assert_allclose(found, turned)


def test_off_the_map_there_is_no_loss_and_on_its_edge_there_is(program):
    corners = [(-2, -1), (3, -1), (-2, 1), (3, 1)]
    assert all(losses_at(program, valley(), corners))
    assert losses_at(program, valley(), [(-2.01, 0), (3.01, 0), (0, 1.01), (0, -1.01)]) == [None] * 4


@settings(max_examples=40)
@given(loss=st.floats(0.1, 5))
def test_a_height_on_the_map_is_a_share_of_the_lines_below(program, loss):
    levels = [0.1, 0.2, 0.5, 1.0, 5.0]
    height = program.evaluate("([loss, levels]) => heightOf(loss, levels)", [loss, levels])
    assert height == pytest.approx(np.interp(loss, levels, np.linspace(0, 1, 5)), abs=1e-9)


# ---- The live page ----

PAGE = """<!doctype html><html lang="en" data-theme="{theme}"><title>Learning</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<link rel="stylesheet" href="lab/panel/panel.css"><script type="module" src="lab/lab_element.js"></script>
<style>:root {{ --pst-color-background: {paper}; --pst-color-text-base: {ink}; --pst-color-surface: {surface};
--pst-font-family-base: sans-serif }} body {{ margin: 16px; background: {paper}; color: {ink} }}
img {{ max-width: 100% }} mnist-lab[open] > :not(.lab-live) {{ display: none }}</style>
<main><h1>Learning</h1><h2>Step by step</h2><div style="height: {above}px"></div>{panel}</main>"""
THEMES = {
    "light": {"theme": "light", "paper": "#ffffff", "ink": "#222832", "surface": "#f3f4f5"},
    "dark": {"theme": "dark", "paper": "#14181e", "ink": "#ced6dd", "surface": "#222832"},
}


@pytest.fixture
def opened(browser, lab_address):
    """Open a page with a panel in it; gives the page, on which nothing may go wrong."""
    visits = []

    def open_page(panel, theme="light", width=1024, above=0):
        visit = Visit(browser, lab_address, viewport={"width": width, "height": 900})
        visits.append(visit)
        text = PAGE.format(panel=panel._html(), above=above, **THEMES[theme])
        visit.page.route("**/learning.html", lambda route: route.fulfill(body=text, content_type="text/html"))
        return visit.open(f"{lab_address}learning.html")

    yield open_page
    for visit in visits:
        assert visit.faults == []
        visit.page.context.close()


def live(page, name):
    panel = page.locator(f".mnist-panel.{name}")
    expect(panel).to_be_visible()
    return panel


@pytest.mark.parametrize(("panel", "name"), [(step_panel, "step"), (valley, "descend")])
def test_a_panel_costs_nothing_until_a_reader_comes_near_and_then_only_its_program(opened, panel, name):
    page = opened(panel(), above=3_000)
    asked = "performance.getEntriesByType('resource').map(({ name }) => name.split('/').at(-1))"
    assert set(page.evaluate(asked)) <= {"panel.css", "lab_element.js"}
    expect(page.locator(".panel-still img")).to_have_count(1)
    page.locator("mnist-lab").scroll_into_view_if_needed()
    live(page, name)
    view = {"step": "step_view.js", "descend": "descent_view.js"}[name]
    assert set(page.evaluate(asked)) == {"panel.css", "lab_element.js", view, "elements.js"}


def test_one_goes_forward_to_a_loss_backward_to_gradients_and_to_a_smaller_loss_by_keyboard(opened):
    page = opened(step_panel())
    panel = live(page, "step")
    told, drawing = panel.get_by_role("status"), panel.locator(".network")
    panel.get_by_role("button", name="Forward").focus()
    page.keyboard.press("ArrowRight")
    expect(told).to_contain_text("z1[0] = x[0] · W1[0,0] + x[1] · W1[1,0] + b1[0]")
    expect(told).to_contain_text("= 0.5 · 0.4 + 1 · 0.3 + 0.1 = 0.6")
    expect(drawing).to_contain_text("⇒ 0.2")
    assert "0.537" not in drawing.text_content(), "what comes later must not stand there yet"
    page.keyboard.press("Enter")
    expect(told).to_contain_text("a1[0] = tanh(z1[0]) = tanh(0.6) = 0.537")
    expect(drawing.locator(".fresh")).to_have_text(["0.537"])
    expect(drawing.locator("rect.lit")).to_have_count(1)
    page.keyboard.press("ArrowLeft")
    expect(told).to_contain_text("Sum of hidden unit 0")
    expect(drawing.locator("line.lit")).to_have_count(2)
    for _ in range(7):
        page.keyboard.press("ArrowRight")
    expect(told).to_contain_text("L = −ln p[1] = −ln 0.454 = 0.79")
    panel.get_by_role("button", name="Backward").press("ArrowRight")
    expect(told).to_contain_text("dz2[0] = p[0] − y[0] = 0.546 − 0 = 0.546")
    for _ in range(8):
        page.keyboard.press("ArrowRight")
    expect(told).to_contain_text("db1[1] = dz1[1] =")
    for kind in (".product", ".edge-slope"):  # on each of the eight connections
        expect(drawing.locator(kind).filter(has_text=re.compile("."))).to_have_count(8)
    panel.get_by_role("button", name="Update").press("ArrowRight")
    expect(told).to_contain_text("W1[0,0] ← 0.4 − 0.5 · 0.175 = 0.313")
    expect(drawing.locator(".new")).to_have_count(12)
    expect(panel.locator("li")).to_have_count(STEPS)
    page.keyboard.press("ArrowRight")
    expect(told).to_contain_text("The new weights")
    panel.get_by_role("button", name="Whole pass").click()
    losses = re.search(r"before each update: ([\d.]+), ([\d.]+)\.$", panel.locator(".losses").inner_text())
    assert float(losses[2]) < float(losses[1]) == 0.79
    for _ in range(STEPS + 9):
        page.keyboard.press("ArrowLeft")
    expect(panel.locator(".where")).to_have_text(f"Step 0 of {STEPS}")
    expect(panel.get_by_role("button", name="Back", exact=True)).to_have_attribute("aria-disabled", "true")


def test_inputs_and_learning_rate_change_every_number_and_reset_brings_them_back(opened):
    page = opened(step_panel(SmallNetwork(label=0), 0.3))
    panel = live(page, "step")
    told = panel.get_by_role("status")
    panel.get_by_role("button", name="Forward").click()
    panel.get_by_role("slider", name="Input x[1]").press("ArrowLeft")
    expect(told).to_contain_text("= 0.5 · 0.4 + 0.9 · 0.3 + 0.1 = 0.57")
    for key, end in (("Home", "−2"), ("End", "2")):
        panel.get_by_role("slider", name="Input x[1]").press(key)
        expect(told).to_contain_text(f"+ {end} · 0.3")
    for _ in range(3):
        panel.get_by_role("button", name="Whole pass").click()
    expect(told).to_contain_text("by η = 0.3 times")
    panel.get_by_role("slider", name="Learning rate η").press("End")
    expect(told).to_contain_text("by η = 10 times")
    panel.get_by_role("button", name="Reset").click()
    expect(told).to_contain_text("Before the first step")
    expect(panel.get_by_role("slider", name="Learning rate η")).to_have_attribute("aria-valuetext", "0.3")
    panel.get_by_role("button", name="Forward").click()
    expect(told).to_contain_text("= 0.5 · 0.4 + 1 · 0.3 + 0.1 = 0.6")


# Which texts of the drawing lie on one another, by more than the air between their letters, or stick out of the panel.
OVERLAPS = """() => {
    const boxes = [...document.querySelectorAll(".network text")].filter((node) => node.textContent)
        .map((node) => [node.textContent, node.getBoundingClientRect()]);
    const panel = document.querySelector(".mnist-panel").getBoundingClientRect();
    const inside = boxes.filter(([, box]) => box.left < panel.left + 1 || box.right > panel.right - 1);
    const pairs = boxes.flatMap(([one, a], i) => boxes.slice(i + 1).flatMap(([other, b]) => {
        const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
        const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
        return wide > 1 && high > 0.35 * a.height ? [`${one} and ${other}`] : [];
    }));
    return [...inside.map(([text]) => `${text} sticks out`), ...pairs];
}"""
WIDE = SmallNetwork((-1.234, -1.111), 0, ((-1.111, -2.222), (-1.414, -0.123)), (-0.777, -0.888),
                    ((-1.234, -2.345), (-0.111, -1.999)), (-0.111, -0.333))  # fmt: skip


@pytest.mark.parametrize("width", [390, 1024])
@pytest.mark.parametrize("network", [SmallNetwork(), WIDE], ids=["as it comes", "long numbers"])
def test_numbers_do_not_lie_on_one_another_and_nothing_moves(opened, network, width):
    page = opened(step_panel(network), width=width)
    panel = live(page, "step")
    heights = set()
    for step in range(2 * STEPS):
        assert page.evaluate(OVERLAPS) == [], f"step {step}"
        heights.add(panel.locator(".settings").bounding_box()["y"])
        panel.locator(".primary").click()
    assert len(heights) == 1
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_one_goes_down_a_loss_by_keyboard_and_off_the_map_without_an_error(opened):
    page = opened(valley(learning_rate=0.1))
    panel = live(page, "descend")
    told, path = panel.get_by_role("status"), panel.locator("path.descent").first
    expect(told).to_have_text("At the start, weight one = −1.5, weight two = 0.8: the loss is 2.705.")
    panel.get_by_role("button", name="Step", exact=True).focus()
    page.keyboard.press("Enter")
    expect(told).to_have_text(re.compile(r"^Step 1: the loss fell, from 2\.705 to "))
    assert path.get_attribute("d").count("L") == 1
    panel.get_by_role("button", name="10 steps").press("Enter")
    expect(told).to_have_text(re.compile(r"^Step 11: the loss fell"))
    expect(panel.locator("dd").first).to_have_text("11")
    expect(panel.locator(".fall")).to_have_attribute("aria-label", re.compile(r"from 2\.705 to 0\.\d+ in 11 steps"))
    before = panel.locator(".marker").first.get_attribute("cx")
    panel.get_by_role("application").focus()
    page.keyboard.press("ArrowRight")
    expect(told).to_have_text(re.compile(r"^At the start, weight one = −1\.25, weight two = 0\.8:"))
    assert panel.locator(".marker").first.get_attribute("cx") != before
    page.keyboard.press("ArrowDown")
    expect(told).to_have_text(re.compile(r"^At the start, weight one = −1\.25, weight two = 0\.675:"))
    panel.get_by_role("slider", name="Learning rate η").press("End")
    panel.get_by_role("button", name="Step", exact=True).press("Enter")
    expect(told).to_contain_text("led off the map")
    expect(told).to_contain_text("the loss there was not computed")
    expect(panel.get_by_role("button", name="Step", exact=True)).to_have_attribute("aria-disabled", "true")
    panel.get_by_role("button", name="Step", exact=True).press("Enter")
    expect(panel.locator("dd").first).to_have_text("1")
    panel.get_by_role("button", name="To the start").click()
    expect(told).to_contain_text("At the start")


def test_a_rate_between_settling_and_diverging_bounces_and_is_said_to_raise_the_loss(opened):
    panel = live(opened(valley(start=(0.5, 0.15), learning_rate=0.55)), "descend")
    panel.get_by_role("button", name="Step", exact=True).click()
    expect(panel.get_by_role("status")).to_contain_text("the loss rose")


def test_pressing_on_the_map_moves_the_start_and_so_does_dragging(opened):
    page = opened(valley())
    panel = live(page, "descend")
    told, box = panel.get_by_role("status"), panel.locator(".frame").bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.25 * box["height"])
    page.mouse.down()
    expect(told).to_have_text(re.compile(r"weight one = 0\.[45]\d*, weight two = 0\.[45]"))
    page.mouse.move(box["x"] + 2 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.up()
    expect(told).to_have_text(re.compile(r"weight one = 3, weight two = 0:"))


def test_what_a_map_shows_stands_where_its_loss_and_its_weights_are(opened):
    """On a loss that rises evenly to the right, each line is upright, at its loss, from the bottom to the top."""
    made = valley(losses=np.tile(3 + X, (len(Y), 1)), learning_rate=0.5)
    panel = live(opened(made), "descend")
    left, top, width, height = (
        float(panel.locator(".frame").get_attribute(name)) for name in ("x", "y", "width", "height")
    )

    def to_x(value):
        return left + (value + 2) / 5 * width

    def to_y(value):
        return top + (1 - value) / 2 * height

    def place(across, up):
        return pytest.approx((to_x(across), to_y(up)), abs=0.1)

    def read(selector, *names):
        script = (
            "(all, names) => all.map((node) => names.map((name) => node.getAttribute(name)).concat(node.textContent))"
        )
        return panel.locator(selector).evaluate_all(script, names)

    for level, (path, _) in zip(made.setup["levels"][1:-1], read(".contour", "d"), strict=True):
        points = [tuple(map(float, pair)) for pair in re.findall(r"([\d.]+) ([\d.]+)", path)]
        assert (min(points), max(points)) == (place(level - 3, 1), place(level - 3, -1))
        assert len(points) > 2 * len(Y)
    numbers = {"middle": {}, "end": {}}  # below the map, and at its left
    for anchor, x, y, text in read(".axes text:not(.name)", "text-anchor", "x", "y"):
        numbers[anchor][float(text.replace("−", "-"))] = float(x if anchor == "middle" else y)
    assert numbers["middle"] == pytest.approx({value: to_x(value) for value in (-2, -1, 0, 1, 2, 3)})
    assert numbers["end"] == pytest.approx({value: to_y(value) + 4 for value in (-1, -0.5, 0, 0.5, 1)})
    ((lowest, _),) = read(".lowest", "d")
    assert tuple(map(float, re.findall(r"[\d.]+", lowest)[:2])) == pytest.approx((left - 6, to_y(-1)))
    panel.get_by_role("button", name="Step", exact=True).click()  # half a unit to the left
    ((path, _),) = read("path.descent:not(.fall *)", "d")
    assert [tuple(map(float, point.split())) for point in path[1:].split("L")] == [place(-1.5, 0.8), place(-2, 0.8)]
    ((x, y, _),) = read(".map .marker", "cx", "cy")
    assert (float(x), float(y)) == place(-2, 0.8) and panel.locator(".dots circle").count() == 1


ALPHAS = """async (node) => {
    const picture = new Image();
    picture.src = node.style.maskImage.match(/"(.*)"/)[1];
    await picture.decode();
    const { width, height } = picture, canvas = document.createElement("canvas");
    Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    context.drawImage(picture, 0, 0);
    const values = Array.from(context.getImageData(0, 0, width, height).data.filter((_, place) => place % 4 === 3));
    return Array.from({ length: height }, (_, row) => values.slice(row * width, (row + 1) * width));
}"""


def test_colours_and_lines_reach_from_edge_to_edge_and_the_key_has_a_colour_between_each_two(opened):
    """On a loss that rises evenly upwards."""
    made = valley(losses=np.tile(2 + Y[:, None], len(X)))
    panel, levels = live(opened(made), "descend"), made.setup["levels"]
    left, width = (float(panel.locator(".frame").get_attribute(name)) for name in ("x", "width"))
    for contour in panel.locator(".contour").all():
        across = [float(value) for value in re.findall(r"([\d.]+) [\d.]+", contour.get_attribute("d"))]
        assert (min(across), max(across)) == pytest.approx((left, left + width))
    heights = np.interp(np.linspace(3, 1, 2 * len(Y) - 1), levels, np.linspace(0, 255, len(levels)))
    alphas = panel.locator(".heights").evaluate(ALPHAS)
    np.testing.assert_allclose(alphas, np.tile(heights[:, None], 2 * len(X) - 1), atol=1)
    assert panel.locator(".levels span").count() == len(levels) - 1


def test_a_descent_is_drawn_step_by_step_and_ends_after_a_thousand(opened):
    panel = live(opened(valley(learning_rate=0.1)), "descend")
    ten = panel.get_by_role("button", name="10 steps")
    ten.click()
    assert panel.locator(".fall path").get_attribute("d").count("L") == 10
    ten.evaluate("(node) => { for (let i = 0; i < 100; i++) node.click(); }")
    expect(panel.locator("dd").first).to_have_text("1000")
    expect(ten).to_have_attribute("aria-disabled", "true")


@pytest.mark.parametrize(("panel", "name"), [(step_panel, "step"), (valley, "descend")])
def test_all_that_is_in_a_drawing_is_drawn(opened, panel, name):
    within = live(opened(panel()), name).locator("svg *")
    others = "(all) => all.filter((node) => !(node instanceof SVGElement)).map((node) => node.localName)"
    assert within.count() and within.evaluate_all(others) == []


@pytest.mark.parametrize("width", [390, 1024])
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize(("panel", "name"), [(step_panel, "step"), (valley, "descend")])
def test_axe_finds_nothing_to_complain_of(opened, panel, name, theme, width):
    page = opened(panel(), theme=theme, width=width)
    for _ in range(12):
        live(page, name).locator(".primary").click()
    page.locator("details").evaluate_all("all => all.forEach((each) => (each.open = true))")
    results = Axe().run(page, context="mnist-lab")
    assert results.violations_count == 0, results.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
