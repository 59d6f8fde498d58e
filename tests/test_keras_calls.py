"""Which calls of Keras are found in the chapters' code, and what the page about them says of each."""

import ast
import json

import pytest
from keras_calls import Calls
from small_book import build_small_book, built_page
from sphinx.errors import ExtensionError

PAGE = """\
# Calls

```{keras-calls}
`keras.Sequential(layers)`
: A model.

`model.fit(images, labels)`
: Trains.
```
"""
CODE = {
    "02_two": ["import keras", "%config x = 1\nm = keras.Sequential([])"],
    "10_ten": ["import keras\nm = keras.Sequential([])", "h = m.fit(1, 2).history"],
    "lab": ["import keras\nkeras.Sequential([])"],
}


def found(code):
    calls = Calls()
    calls.visit(ast.parse(code))
    return calls.found


@pytest.mark.parametrize(
    ("code", "calls"),
    [
        ("import keras\nkeras.utils.set_random_seed(0)", {"keras.utils.set_random_seed"}),
        ("from keras import layers\nlayers.Dense(1)(x)", {"keras.layers.Dense", "layer"}),
        ("from keras import layers as parts\nparts.Dense(1)", {"keras.layers.Dense"}),
        ("n = keras.Sequential([])\nn.add(1)\nn(2)", {"keras.Sequential", "model.add", "model"}),
        ("a, b = build_model(1), build_model(2)\nb.fit(3)", {"model.fit"}),
        ("def net():\n    n = keras.Sequential([])\n    return n\nnet().fit(1)", {"keras.Sequential", "model.fit"}),
        ("trained = train(1).model\ntrained.predict(2)", {"model.predict"}),
        ("train(1).model.evaluate(2)", {"model.evaluate"}),
        ("m = build_model(1)\nm.optimizer.build(2)", {"optimizer.build"}),
        ("l = keras.losses.Some()\nl(1, 2)", {"keras.losses.Some", "loss"}),
        ("m = build_model(1)\nfor l in m.layers:\n    l.get_weights()", {"layer.get_weights"}),
        ("seen = set()\nseen.add(1)\nmnist.train.flat[:1].fit(2)\nlayers.pop()\nnp.add.at(1)", set()),
    ],
)
def test_calls_are_found_under_one_name_whatever_the_chapter_calls_the_object(code, calls):
    assert found(code) == calls


@pytest.mark.slow
def test_calls_in_a_program_that_a_chapter_prints_are_found():
    calls = found("print(keras_program(CRACK_99, seed=0))")
    assert {"keras.optimizers.schedules.CosineDecay", "keras.layers.BatchNormalization", "model.fit"} <= calls


def build(folder, page):
    (folder / "notebooks").mkdir()
    for name, cells in CODE.items():
        cells = [
            {"cell_type": "markdown", "source": "keras.Model(1)"},
            *({"cell_type": "code", "source": cell} for cell in cells),
        ]
        (folder / "notebooks" / f"{name}.ipynb").write_text(json.dumps({"cells": cells}), encoding="utf-8")
    pages = {f"notebooks/{name}": f"# {name}" for name in CODE}
    build_small_book(folder, pages | {"calls": page}, "keras_calls")


def test_each_call_leads_to_the_chapters_that_use_it(tmp_path):
    build(tmp_path, PAGE)
    sequential, fit = built_page(tmp_path, "calls").select("dt")
    assert sequential.get_text() == "keras.Sequential(layers) chapters 2, 10, the lab"
    assert [link["href"] for link in sequential("a")] == [f"notebooks/{name}.html" for name in CODE]
    assert fit.get_text() == "model.fit(images, labels) chapter 10"


def test_a_call_without_a_line_stops_the_build_with_a_sentence(tmp_path):
    page = PAGE.replace("`model.fit(images, labels)`\n: Trains.\n", "")
    with pytest.raises(ExtensionError, match=r"calls does not explain model.fit, which notebooks/10_ten.ipynb calls"):
        build(tmp_path, page)


def test_a_line_for_what_no_chapter_calls_stops_the_build_with_a_sentence(tmp_path):
    with pytest.raises(ExtensionError, match=r"calls explains model.save, which no chapter calls"):
        build(tmp_path, PAGE.replace("model.fit(images, labels)", "model.save(path)"))
