"""The chart of the gradients at each layer: what it draws of a run, in a real browser."""

import numpy as np
import pytest
from browsing import blank_page
from hypothesis import given, settings
from hypothesis import strategies as st
from test_charts import READ, points_of

OPEN = (
    f"async (base) => {{ {READ}"
    + """
    const load = (name) => import(`${base}lab/panel/${name}.js`);
    const [{ gradientsChart }, { CHART }] = await Promise.all(["gradients_chart", "charts"].map(load));
    Object.assign(window, { gradientsChart, frame: CHART });
    window.drawn = (run) => {
        const { chart, text, draw } = gradientsChart();
        draw(run);
        const read = reader(chart);
        return {
            told: text.querySelector("p").textContent,
            ticks: read(".axes text[text-anchor=end]", "y").filter(({ text }) => /^1/.test(text)),
            axes: read(".axes line", "x1", "x2", "y1", "y2"),
            numbers: read("text.layer", "y"),
            lines: read("path.layer", "d"),
            epochs: read(".axes text[text-anchor=middle]", "x"),
            heads: read(".axes text").filter(({ text }) => text === "layer").length,
        };
    };
}"""
)
HEIGHT, NUMBER, TICK = 190, 12, 16  # of the chart as long as it is not on a page; between two numbers, two ticks


@pytest.fixture(scope="module")
def page(browser, lab_address):
    with blank_page(browser, lab_address, OPEN) as page:
        yield page


def run(*norms):
    """A run of which the gradients were measured in each of its epochs."""
    points = [[epoch, 0.5, 0.9, *each] for epoch, each in enumerate(norms)]
    return {"points": points, "epochs": len(points) - 1, "title": "Run 1", "none": "None was measured."}


def drawn(page, run):
    return page.evaluate("(run) => drawn(run)", run)


def test_how_far_apart_the_layers_are_is_said_of_the_last_measured(page):
    told = drawn(page, run([1, 1, 1], [0.5, 1, 1], [0.01, 0.1, 1]))["told"]
    assert told == "Run 1, last measured: from 0.01 (layer 1) to 1 (layer 3, the output), 2.0 orders of magnitude."
    assert drawn(page, run([1, 1], [0, 1]))["told"].endswith("No gradient at all in 1 of 2 layers.")
    assert drawn(page, None)["told"] == "Press Train to see the gradients."


def test_a_line_goes_from_the_first_epoch_to_the_last_and_ends_at_the_number_of_its_layer(page):
    found = drawn(page, run([1, 1, 1], [0.5, 1, 1], [1, 1e-4, 1e-2]))
    assert [tick["text"] for tick in found["ticks"]] == ["1", "10⁻¹", "10⁻²", "10⁻³", "10⁻⁴"]
    places = {number["text"]: float(number["y"]) - 4 for number in found["numbers"]}
    ticks = [float(tick["y"]) - 4 for tick in found["ticks"]]
    assert [places["1"], places["2"], places["3"]] == pytest.approx([ticks[0], ticks[4], ticks[2]], abs=0.1)
    frame = found["axes"][0]
    for layer, line in enumerate(found["lines"], 1):
        points = points_of(line["d"])
        assert len(points) == 3
        assert [points[0, 0], points[-1, 0]] == pytest.approx([float(frame["x1"]), float(frame["x2"])], abs=0.1)
        assert points[-1, 1] == pytest.approx(places[str(layer)], abs=0.1)
    assert found["heads"] == 1 and drawn(page, None)["heads"] == 0


def test_the_chart_is_as_wide_as_its_place_on_the_page(page):
    right = """async (width) => {
        const { chart, draw } = gradientsChart();
        chart.style.cssText = `display: block; height: 190px; width: ${width}px`;
        draw(null);
        document.body.append(chart);
        await new Promise((resolve) => setTimeout(resolve, 200));
        const [line] = chart.querySelectorAll(".axes line");
        chart.remove();
        return Number(line.getAttribute("x2"));
    }"""
    narrow, wide = page.evaluate(right, 300), page.evaluate(right, 500)
    assert wide - narrow == 200


@settings(max_examples=30)
@given(st.none() | st.tuples(st.floats(-30, 0), st.floats(-30, 0)), st.integers(1, 40))
def test_ticks_and_numbers_lie_within_the_chart_and_not_on_one_another(page, powers, layers):
    """Whatever the powers of ten of the first and the last layer; None is before a run."""
    norms = np.logspace(*powers, layers).tolist() if powers else []
    found = drawn(page, run(norms, norms) if norms else None)
    top, bottom = (page.evaluate(f"frame.{name}") for name in ("top", "bottom"))
    ticks = [float(tick["y"]) - 4 for tick in found["ticks"]]
    assert ticks[0] == top and np.all(np.diff(ticks) >= TICK - 1e-9) and ticks[-1] <= HEIGHT - bottom + 1e-9
    assert len(ticks) >= 4
    assert all(np.isfinite(float(line[name])) for line in found["axes"] for name in ("x1", "x2", "y1", "y2"))
    assert all(np.isfinite(float(epoch["x"])) for epoch in found["epochs"])
    places = sorted(float(number["y"]) - 4 for number in found["numbers"])
    assert np.all(np.diff(places) >= NUMBER - 1e-9)
    for line in found["lines"]:
        assert np.all((points_of(line["d"])[:, 1] >= top - 0.1) & (points_of(line["d"])[:, 1] <= HEIGHT - bottom + 0.1))
    if norms:
        assert places[0] >= top - 1e-9 and places[-1] <= HEIGHT - bottom + 1e-9
        assert {number["text"] for number in found["numbers"]} >= {"1", str(layers)}
        room = (HEIGHT - top - bottom) // NUMBER
        assert len(places) >= min(layers, room // 2)
