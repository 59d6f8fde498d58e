"""A widget of a reader's own is a still in the page, with what it showed last."""

import nbclient
import pytest
from browsing import notebook
from bs4 import BeautifulSoup
from widget_stills import stills

PANEL = """import ipywidgets
units = ipywidgets.IntSlider(100, min=10, max=200, description="units & more")
button, output = ipywidgets.Button(description="Train"), ipywidgets.Output()
button.on_click(output.capture()(lambda _: print("accuracy <", units.value)))
ipywidgets.VBox([units, button, output])"""


def test_a_panel_is_a_still_of_what_it_showed_last():
    executed = nbclient.NotebookClient(notebook(PANEL, "units.value = 30\nbutton.click()")).execute()
    ((text, still),) = stills(executed).items()
    assert text.startswith("VBox(children=(IntSlider(")
    page = BeautifulSoup(still, "html.parser")
    slider, button = page.select_one("input"), page.select_one("button")
    assert {**slider.attrs} == {"type": "range", "min": "10", "max": "200", "value": "30", "disabled": ""}
    assert slider.parent.name == "label" and slider.parent.text.strip() == "units & more"
    assert button.text == "Train" and button.has_attr("disabled")
    assert page.select_one("pre").text == "accuracy < 30\n"
    assert "make lab" in page.select_one("figcaption").text


def test_a_widget_without_a_still_is_named():
    executed = nbclient.NotebookClient(notebook("import ipywidgets\nipywidgets.Text()")).execute()
    with pytest.raises(KeyError, match="no still of a TextModel"):
        stills(executed)


def test_the_readers_own_panel_is_a_still_in_the_built_page(site):
    page = BeautifulSoup((site / "notebooks" / "retrain_lab.html").read_text(encoding="utf-8"), "html.parser")
    still = page.select_one("figure.widget-still")
    assert still.select_one("pre").text.startswith("epoch 10 of 10: accuracy ")
    assert "VBox(children=" not in page.text
