"""A run as one file: Python reads what Python and the page wrote, the page what Python wrote."""

import base64
import io
import json
import tracemalloc
from dataclasses import asdict, replace

import keras
import numpy as np
import pytest
from browsing import blank_page
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Error

from mnist_helpers.network_file import CURVES, NetworkFileError, _history, packed, read_network, unpacked, write_network
from mnist_helpers.recipe import ARTICLE, Recipe
from mnist_helpers.training import learning_rates, train

SMALL = replace(ARTICLE, hidden_layers=2, units=13, epochs=2, training_images=2_000, batch_size=100)
RECIPES = {
    "plain": SMALL,
    "normalised": replace(SMALL, batch_norm=True, units=20, dropout=0.1, schedule="cosine", ema_momentum=0.9),
    "softmax regression": replace(SMALL, hidden_layers=0),
}


@pytest.fixture(scope="module")
def runs(mnist):
    return {name: train(recipe, mnist, 3, progress=False) for name, recipe in RECIPES.items()}


def probabilities(model, images):
    return keras.ops.softmax(model.predict(images, batch_size=1_000, verbose=0)).numpy()


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_comes_back_whole(runs, name, mnist, tmp_path):
    run, path = runs[name], tmp_path / "run.npz"
    write_network(run, path)
    again = read_network(path)
    assert (again.recipe, again.seed, again.history) == (run.recipe, run.seed, run.history)
    assert (again.digest, again.versions, again.hardware) == (run.digest, run.versions, run.hardware)
    assert again.model.evaluate(mnist.validation.flat, mnist.validation.labels, verbose=0, return_dict=True)[
        "accuracy"
    ] == pytest.approx(run.history["val_accuracy"][-1], abs=1e-6)
    for first, second in zip(run.model.weights, again.model.weights, strict=True):
        np.testing.assert_array_equal(first.numpy(), second.numpy())


def test_the_file_holds_what_is_written_of_it(runs):
    run = runs["normalised"]
    with np.load(io.BytesIO(packed(run)), allow_pickle=False) as file:
        about = json.loads(file["run"].item())
        assert about.keys() == {"version", "recipe", "seed", "digest", "versions", "hardware"}
        assert Recipe(**about["recipe"]) == run.recipe
        for name in CURVES:
            np.testing.assert_array_equal(file[name], run.history[name])
        kinds = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")
        layers = [f"layer_{layer}_{kind}" for layer in (1, 2) for kind in kinds] + ["layer_3_kernel", "layer_3_bias"]
        assert file.files == ["run", *CURVES, *layers]
        assert [file[name].shape for name in ("layer_1_kernel", "layer_3_kernel")] == [(784, 20), (20, 10)]


def test_what_cannot_be_written_leaves_what_was_there(runs, tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    path.write_bytes(b"what was there")
    with pytest.raises(NetworkFileError, match=r"has no model; expected a run that train"):
        write_network(replace(runs["plain"], model=None), path)
    with pytest.raises(NetworkFileError, match=r"cannot be written .*; expected a place for a file\."):
        write_network(runs["plain"], tmp_path / "nowhere" / "run.npz")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(NetworkFileError, match="No space left"):
        write_network(runs["plain"], path)
    assert [other.read_bytes() for other in tmp_path.iterdir()] == [b"what was there"]


def test_the_rates_of_a_long_curve_take_little_memory():
    recipe = replace(ARTICLE, batch_size=1, epochs=10_000, schedule="cosine")
    epochs = 300  # of 54,000 steps
    tracemalloc.start()
    history = _history(dict.fromkeys(CURVES, np.ones(epochs)), recipe)
    assert tracemalloc.get_traced_memory()[1] < 10**6
    tracemalloc.stop()
    assert history["learning_rate"] == learning_rates(recipe, 0, epochs * 54_000)[53_999::54_000].tolist()


def changed(run, /, **arrays):
    """A run's file with other arrays; one that is None is left out."""
    with np.load(io.BytesIO(packed(run))) as file:
        kept = {name: array for name, array in (dict(file) | arrays).items() if array is not None}
    content = io.BytesIO()
    np.savez(content, **kept)
    return content.getvalue()


def told(run, **values):
    with np.load(io.BytesIO(packed(run))) as file:
        return changed(run, run=np.array(json.dumps(json.loads(file["run"].item()) | values)))


BROKEN = {
    "empty": lambda run: b"",
    "cut": lambda run: packed(run)[:5_000],
    "no text": lambda run: changed(run, run=None),
    "no JSON": lambda run: changed(run, run=np.array("{")),
    "another version": lambda run: told(run, version=2),
    "an unknown setting": lambda run: told(run, recipe=asdict(run.recipe) | {"magic": 1}),
    "a wrong setting": lambda run: told(run, recipe=asdict(run.recipe) | {"epochs": -1}),
    "what does not go together": lambda run: told(run, recipe=asdict(run.recipe) | {"warmup_epochs": 1}),
    "a huge network": lambda run: told(run, recipe=asdict(run.recipe) | {"units": 8_192, "hidden_layers": 50}),
    "a seed that is none": lambda run: told(run, seed="1"),
    "no biases": lambda run: changed(run, layer_1_bias=None),
    "a kernel the other way": lambda run: changed(run, layer_1_kernel=np.zeros((13, 784), np.float32)),
    "numbers that are none": lambda run: changed(run, layer_3_bias=np.full(10, np.nan, np.float32)),
    "doubles": lambda run: changed(run, layer_3_bias=np.zeros(10)),
    "too many epochs": lambda run: changed(run, **dict.fromkeys(CURVES, np.zeros(3))),
    "curves of two lengths": lambda run: changed(run, val_loss=np.zeros(1)),
}
SENTENCE = r"[Tt]his is not a run with its network \(.+\); expected what write_network or a panel's Save wrote\."


@pytest.mark.parametrize("damage", BROKEN)
def test_a_file_that_is_no_run_gives_a_sentence(runs, damage, tmp_path):
    path = tmp_path / "run.npz"
    path.write_bytes(BROKEN[damage](runs["plain"]))
    with pytest.raises(NetworkFileError, match=f"run.npz: {SENTENCE}"):
        read_network(path)


def test_a_file_that_is_not_there_gives_a_sentence(tmp_path):
    with pytest.raises(NetworkFileError, match=r"none\.npz: .*No such file"):
        read_network(tmp_path / "none.npz")


@settings(max_examples=60)
@given(st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_a_changed_byte_changes_no_weight(runs, place, change):
    content = bytearray(packed(runs["plain"]))
    content[int(place * len(content))] ^= change
    try:
        again = unpacked(bytes(content))
    except NetworkFileError:
        return
    for first, second in zip(runs["plain"].model.weights, again.model.weights, strict=True):
        np.testing.assert_array_equal(first.numpy(), second.numpy())


# ---------------------------------------------------------------- the page

OPEN = """async (base) => {
    const [setup, { Session }, { engine }] = await Promise.all([
        fetch(`${base}lab/setup.json`).then((response) => response.json()),
        import(`${base}lab/panel/session.js`), import(`${base}lab/worker_engine.js`)]);
    setup.collections.forEach((collection) => (collection.address = `${base}lab/${collection.file}`));
    Object.assign(window, { setup, Session, engine });
    window.made = (recipe) => (window.session = new Session(setup, recipe, 3, engine));
    window.opened = async (file) => {
        const id = crypto.randomUUID();
        const trial = session.add({ ...(await session.ask("open", null, { id, file })), id });
        const { recipe, seed, history } = trial;
        return { recipe, seed, history };
    };
    window.probabilities = async (trial) => {
        const address = setup.collections[1].address;
        const places = Array.from({ length: 6000 }, (_, place) => place);
        const images = await engine.ask({ do: "images", address, split: "validation", places });
        return Promise.all(images.map(({ pixels }) => session.ask("probabilities", trial, { pixels })));
    };
}"""
TRAINED = """async () => {
    session.train();
    await new Promise((resolve) => session.listen(() => session.running || resolve()));
    const [trial] = session.trials, { seed, history } = trial;
    return [history, await session.ask("file", trial, { seed, history }), await probabilities(trial)];
}"""


@pytest.fixture(scope="module")
def page(browser, lab_address):
    with blank_page(browser, lab_address, OPEN) as page:
        yield page


@pytest.mark.parametrize("name", RECIPES)
def test_what_the_page_trained_keras_continues_with(page, mnist, name):
    page.evaluate("(recipe) => made(recipe) && null", asdict(RECIPES[name]))
    history, file, shares = page.evaluate(TRAINED)
    run = unpacked(base64.b64decode(file))
    assert (run.recipe, run.seed) == (RECIPES[name], 3)
    assert {name: run.history[name] for name in CURVES} == history
    np.testing.assert_allclose(probabilities(run.model, mnist.validation.flat), shares, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", RECIPES)
def test_what_keras_trained_the_page_answers_with(page, runs, mnist, name):
    run = runs[name]
    page.evaluate("(recipe) => made(recipe) && null", asdict(run.recipe))
    content = base64.b64encode(packed(run)).decode()
    found = page.evaluate("opened", content)
    assert (Recipe(**found["recipe"]), found["seed"]) == (run.recipe, run.seed)
    assert found["history"] == {name: run.history[name] for name in CURVES}
    shares = page.evaluate("() => probabilities(session.trials[0])")
    np.testing.assert_allclose(shares, probabilities(run.model, mnist.validation.flat), rtol=0, atol=1e-5)
    # And written again, it is the same to the last bit.
    back = unpacked(base64.b64decode(page.evaluate("() => session.ask('file', session.trials[0], session.trials[0])")))
    for first, second in zip(run.model.weights, back.model.weights, strict=True):
        np.testing.assert_array_equal(first.numpy(), second.numpy())


@pytest.mark.parametrize("damage", [name for name in BROKEN if name not in ("empty", "cut")])
def test_the_page_refuses_what_python_refuses(page, runs, damage):
    page.evaluate("(recipe) => made(recipe) && null", asdict(SMALL))
    with pytest.raises(Error, match=SENTENCE):
        page.evaluate("opened", base64.b64encode(BROKEN[damage](runs["plain"])).decode())
