"""The charts of loss and accuracy: where what they are given is drawn, in a real browser."""

import re

import numpy as np
import pytest
from browsing import blank_page
from hypothesis import given, settings
from hypothesis import strategies as st

# What elements below a node say and have: their text, and attributes by name.
READ = """
    const reader = (node) => (selector, ...names) => [...node.querySelectorAll(selector)].map((each) =>
        ({ text: each.textContent, ...Object.fromEntries(names.map((name) => [name, each.getAttribute(name)])) }));
"""
OPEN = (
    f"async (base) => {{ {READ}"
    + """
    const charts = await import(`${base}lab/panel/charts.js`);
    window.drawn = ([kind, series, band]) => {
        const { node, draw } = charts[kind]();
        draw(series, band);
        const read = reader(node);
        return {
            label: node.getAttribute("aria-label"),
            now: read(".now")[0].text,
            axes: read(".axes line", "x1", "x2", "y1"),
            numbers: read(".axes text[text-anchor=end]").slice(0, -1).map(({ text }) => text),
            epochs: read(".axes text[text-anchor=middle]", "x"),
            paths: read("path", "class", "d"),
            dots: read("circle", "cx", "cy", "r"),
        };
    };
}"""
)
LOSS, ACCURACY = "lossChart", "accuracyChart"


@pytest.fixture(scope="module")
def page(browser, lab_address):
    with blank_page(browser, lab_address, OPEN) as page:
        yield page


def trial(losses, accuracies, **changed):
    """A run with a validation value for each epoch, and a training curve with one in the middle of each."""
    middles = [epoch + 0.5 for epoch in range(len(losses))]
    own = {"title": "Run 1", "epochs": len(losses), "predicted": None}
    return own | {"curve": [middles, losses, accuracies], "validation": [losses, accuracies]} | changed


def drawn(page, kind, *trials, looks=("shown", "earlier"), band=None):
    series = [{"trial": each, "look": look} for each, look in zip(trials, looks, strict=False)]
    return Drawn(page.evaluate("(what) => drawn(what)", [kind, series, band]), kind)


def points_of(path):
    """Give where a path goes, from point to point in straight lines, of shape (points, 2)."""
    return np.array(re.findall(r"([\d.]+) ([\d.]+)", path), float).reshape(-1, 2)


class Drawn:
    """What a chart shows, with where on it its own numbers say that a value is."""

    def __init__(self, found, kind):
        self.found, self.kind = found, kind
        self.ticks = [float(text.rstrip("%")) / (100 if text.endswith("%") else 1) for text in found["numbers"]]
        self.places = [float(line["y1"]) for line in found["axes"]]
        self.left, self.right = float(found["axes"][0]["x1"]), float(found["axes"][0]["x2"])

    def height(self, value):
        read = np.log if self.kind == LOSS else np.asarray
        return np.polyval(np.polyfit(read(self.ticks), self.places, 1), read(value))

    def points(self, look):
        (path,) = (path["d"] for path in self.found["paths"] if path["class"] == look)
        return points_of(path)

    def classes(self):
        return [path["class"] for path in self.found["paths"]]


values = st.lists(st.tuples(st.floats(-3.5, 1.9), st.floats(0.01, 1)), min_size=2, max_size=12)


@settings(max_examples=40)
@given(values)
def test_each_value_stands_where_the_numbers_of_the_axes_say(page, values):
    losses, accuracies = [10**power for power, _ in values], [share for _, share in values]
    for kind, given_values in ((LOSS, losses), (ACCURACY, accuracies)):
        chart = drawn(page, kind, trial(losses, accuracies))
        number = len(given_values)
        width = chart.right - chart.left
        for line, epochs in (("training", np.arange(number) + 0.5), ("validation", np.arange(number) + 1)):
            points = chart.points(f"shown {line}")
            np.testing.assert_allclose(points[:, 0], chart.left + epochs / number * width, atol=0.06)
            np.testing.assert_allclose(points[:, 1], chart.height(given_values), atol=0.6)
        assert len(chart.found["dots"]) == number
        assert chart.found["epochs"][0]["text"] == "0"
        for each in chart.found["epochs"]:
            assert float(each["x"]) == pytest.approx(chart.left + int(each["text"]) / number * width)
        distances = -np.diff(chart.places)
        assert len(distances) >= 1 and np.all(distances >= 11), "numbers lie on one another"


@pytest.mark.parametrize(
    ("losses", "numbers"),
    [
        ([0.6, 0.9], ["0.5", "1"]),
        ([0.3, 0.06], ["0.05", "0.1", "0.2", "0.5", "1"]),
        ([2.3, 0.04], ["0.02", "0.05", "0.1", "0.2", "0.5", "1", "2", "5"]),
        ([2.3, 0.002], ["0.01", "0.1", "1"]),
        ([90, 0.0001], ["0.0001", "0.001", "0.01", "0.1", "1", "10", "100"]),
    ],
)
def test_the_axis_of_the_loss_has_as_many_numbers_as_there_is_room_for(page, losses, numbers):
    assert drawn(page, LOSS, trial(losses, [0.5, 0.5])).found["numbers"] == numbers


@pytest.mark.parametrize(
    ("lowest", "numbers"),
    [
        (0.985, ["98.0%", "98.5%", "99.0%", "99.5%", "100.0%"]),
        (0.96, ["95%", "96%", "97%", "98%", "99%", "100%"]),
        (0.93, ["90%", "92%", "94%", "96%", "98%", "100%"]),
        (0.85, ["80%", "85%", "90%", "95%", "100%"]),
        (0.7, ["60%", "70%", "80%", "90%", "100%"]),
        (0.1, ["0%", "20%", "40%", "60%", "80%", "100%"]),
    ],
)
def test_the_axis_of_the_accuracy_begins_below_what_is_shown(page, lowest, numbers):
    assert drawn(page, ACCURACY, trial([1, 1], [lowest, 0.99])).found["numbers"] == numbers
    assert drawn(page, ACCURACY).found["numbers"] == ["0%", "20%", "40%", "60%", "80%", "100%"]


def test_what_is_said_is_the_last_value_of_the_run_that_is_shown(page):
    own = trial([0.5, 0.25], [0.8, 0.912], predicted=0.95)
    loss, accuracy = (drawn(page, kind, own, trial([1], [0.5])) for kind in (LOSS, ACCURACY))
    assert loss.found["now"] == "training 0.250 · validation 0.250"
    assert loss.found["label"] == "Loss by epoch. Run 1: training 0.250 · validation 0.250"
    assert accuracy.found["label"] == "Accuracy by epoch. Run 1: training 91.2% · validation 91.2%, predicted 95.00%"
    assert drawn(page, LOSS, own, looks=["earlier"]).found["label"] == "Loss by epoch. No run is shown."


def test_a_prediction_is_a_line_across_the_chart_of_the_accuracy_alone(page):
    own = trial([0.5, 0.25], [0.8, 0.9], predicted=0.95)
    assert "shown predicted" not in drawn(page, LOSS, own).classes()
    chart = drawn(page, ACCURACY, own)
    (path,) = (path["d"] for path in chart.found["paths"] if path["class"] == "shown predicted")
    left, height, right = map(float, re.fullmatch(r"M([\d.]+) ([\d.]+)H([\d.]+)", path).groups())
    assert (left, right) == (chart.left, chart.right)
    assert height == pytest.approx(chart.height(0.95), abs=0.01)
    assert drawn(page, ACCURACY, trial([1], [0.99], predicted=0.2)).found["numbers"][0] == "0%"


def test_the_band_goes_around_the_means_as_far_as_the_run_goes(page):
    band = {"epochs": 4, "validation": [[[0.4, 0.1]] * 4, [[0.9, 0.02], [0.94, 0.01], [0.95, 0.01], [0.96, 0]]]}
    chart = drawn(page, ACCURACY, trial([1, 1], [0.9, 0.95]), band=band)
    points = chart.points("band")
    np.testing.assert_allclose(points[:, 1], chart.height([0.92, 0.95, 0.93, 0.88]), atol=0.1)
    middle = (chart.left + chart.right) / 2
    np.testing.assert_allclose(points[:, 0], [middle, chart.right, chart.right, middle], atol=0.06)
    alone = drawn(page, ACCURACY, band=band)
    assert len(alone.points("band")) == 8 and alone.found["epochs"][-1]["text"] == "4"


def test_a_line_breaks_where_it_leaves_the_chart_and_dots_are_left_out_of_long_runs(page):
    chart = drawn(
        page,
        ACCURACY,
        trial([1] * 5, [0.985, 0.99, 0.99, 0.985, 0.99], curve=[[1, 2, 3, 4], [1] * 4, [0.99, 0.5, 0.985, 0.99]]),
    )
    (path,) = (path["d"] for path in chart.found["paths"] if path["class"] == "shown training")
    assert re.sub(r"[\d. ]", "", path) == "MML"
    assert [dot["r"] for dot in chart.found["dots"]] == ["3"] * 5
    assert [dot["r"] for dot in drawn(page, LOSS, trial([1], [1]), looks=["earlier"]).found["dots"]] == ["2"]
    assert len(drawn(page, LOSS, trial([1] * 40, [1] * 40)).found["dots"]) == 40
    assert drawn(page, LOSS, trial([1] * 41, [1] * 41)).found["dots"] == []


@pytest.mark.parametrize(
    ("epochs", "last", "step"), [(1, 1, 1), (10, 10, 1), (11, 10, 2), (100, 100, 10), (999, 900, 100)]
)
def test_the_epochs_are_numbered_in_round_steps(page, epochs, last, step):
    numbers = [int(each["text"]) for each in drawn(page, LOSS, trial([1] * epochs, [1] * epochs)).found["epochs"]]
    assert numbers == list(range(0, last + 1, step))
