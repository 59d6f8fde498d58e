"""The setting of a panel in the page's address: what is read from there, and what is not believed."""

import pytest
from browsing import blank_page

OPEN = """async (base) => {
    const setup = await fetch(`${base}lab/setup.json`).then((response) => response.json());
    const address = await import(`${base}lab/setting_in_address.js`);
    const session = { setup, most: 10_000, origin: { units: 100, epochs: 10 } };
    window.read = (search, place, names = setup.controls.map(({ name }) => name)) => {
        history.replaceState(null, "", `?${search}`);
        return address.fromAddress(place, session, names);
    };
    window.written = (place, settings) => address.searchOf(place, settings, session.origin);
}"""


@pytest.fixture(scope="module")
def page(browser, lab_address):
    with blank_page(browser, lab_address, OPEN) as page:
        yield page


@pytest.mark.parametrize(
    ("search", "found"),
    [
        ("units=32&2.units=50", {"units": 32}),
        ("batch_norm=true&activation=tanh", {"batch_norm": True, "activation": "tanh"}),
        ("learning_rate=0.01", {"learning_rate": 0.01}),
        ("seed=0", {"seed": 0}),
        ("seed=2147483647", {"seed": 2_147_483_647}),
        ("seed=2147483648", {}),
        ("seed=-1", {}),
        ("seed=1.5", {}),
        ("units=33", {}),
        ("training_images=10000", {"training_images": 10_000}),
        ("training_images=20000", {}),  # more than there are
        ("magic=1", {}),
    ],
)  # fmt: skip
def test_what_a_control_offers_is_taken_from_the_address(page, search, found):
    assert page.evaluate("(search) => read(search, 1)", search) == found


def test_each_panel_has_its_own_place_in_the_address_and_takes_what_it_shows(page):
    search = "units=32&2.units=50&2.epochs=5"
    assert page.evaluate("(search) => read(search, 2)", search) == {"units": 50, "epochs": 5}
    assert page.evaluate("(search) => read(search, 2, ['epochs'])", search) == {"epochs": 5}


def test_an_address_says_what_is_not_as_at_the_start_and_keeps_the_rest(page):
    page.evaluate("read('units=32&2.units=50&other=kept', 1)")
    assert page.evaluate("written(1, { units: 100, epochs: 5 })") == "?2.units=50&other=kept&epochs=5"
    assert page.evaluate("written(2, { units: 100, epochs: 10 })") == "?units=32&other=kept"
