"""Images of the reader's own in the page: it takes the files that load_mnist takes, and refuses what that refuses."""

import gzip
import io
import re
import struct

import numpy as np
import pytest
from browsing import SECONDS, Visit
from light import HEAD
from playwright.sync_api import expect

from mnist_helpers.data import _FILES, DataError, load_mnist, to_idx

IDX = _FILES["idx_names"]
(FASHION,) = _FILES["known_by_first_labels"]
SESSION = "document.querySelector('mnist-lab').session"
PANELS = f"""<!doctype html><html lang="en">{HEAD}<title>Panels</title><link rel="icon" href="data:,"></head>
    <body><main>
    <link rel="stylesheet" href="lab/panel/panel.css">
    <mnist-lab view="retrain"></mnist-lab><mnist-lab view="draw"></mnist-lab><mnist-lab view="explore"></mnist-lab>
    <mnist-lab view="challenge" which="smallest"></mnist-lab>
    <script type="module" src="lab/lab_element.js"></script></main>"""


def pictures(seed):
    """Arrays of MNIST's shape: a pattern for each class, with one changed pixel in each image."""
    random = np.random.default_rng(seed)
    patterns = random.integers(0, 256, (10, 28, 28), dtype=np.uint8) * (random.random((10, 28, 28)) < 0.3)
    arrays = {}
    for split, number in (("train", 60_000), ("test", 10_000)):
        labels = random.integers(0, 10, number, dtype=np.uint8)
        images = patterns[labels].astype(np.uint8)
        images[np.arange(number), random.integers(0, 28, number), random.integers(0, 28, number)] = 255
        arrays |= {f"x_{split}": images, f"y_{split}": labels}
    return arrays


def written_as_idx(folder, arrays):
    folder.mkdir()
    for name, array in arrays.items():
        (folder / f"{IDX[name]}.gz").write_bytes(gzip.compress(to_idx(array), compresslevel=1))
    return folder


@pytest.fixture(scope="module")
def clothes(tmp_path_factory):
    """A folder as that of Fashion-MNIST, with its first labels, and files of its format and size."""
    arrays = pictures(0)
    arrays["y_train"][:20] = [int(digit) for digit in FASHION["first_labels"]]
    return written_as_idx(tmp_path_factory.mktemp("own") / "fashion", arrays)


@pytest.fixture(scope="module")
def page(browser, lab_address):
    """A page with panels, under the policy of the site's pages."""
    visit = Visit(browser, lab_address)
    visit.page.route("**/panels.html", lambda route: route.fulfill(body=PANELS, content_type="text/html"))
    page = visit.open(lab_address + "panels.html")
    for element in page.locator("mnist-lab").all():
        element.scroll_into_view_if_needed()
        expect(element).to_have_attribute("open", "")
    yield page
    assert visit.faults == []
    page.context.close()


def choose(page, paths):
    page.locator("input[type=file]").set_input_files(paths)


def status(page):
    return page.locator(".images-note [role=status]").last


def train(page):
    """Train for one epoch, and give the validation accuracy."""
    page.evaluate(f"{SESSION}.set('epochs', 1)")
    page.get_by_role("button", name="Train", exact=True).click()
    expect(page.locator(".retrain .message")).to_contain_text("has finished", timeout=120 * SECONDS)
    return page.evaluate(f"{SESSION}.trials.at(-1).history.val_accuracy[0]")


def sample(page, split, places):
    """Some images of a split and their labels, as the page's worker has them."""
    ask = f"([split, places]) => {SESSION}.ask('images', null, {{split, places}})"
    found = page.evaluate(
        f"(args) => ({ask})(args).then((all) => all.map(({{pixels, label}}) => [[...pixels], label]))",
        [split, places],
    )
    return [pixels for pixels, _ in found], [label for _, label in found]


def test_fashion_mnists_files_are_trained_on_with_its_names(page, clothes):
    on_digits = train(page)
    choose(page, sorted(clothes.iterdir()))
    message = page.locator(".retrain .message")
    expect(message).to_contain_text(
        "Fashion-MNIST is here: 54,000 images to train on, 6,000 for validation; the test set"
    )
    mine = load_mnist(clothes)
    assert mine.class_names == tuple(FASHION["class_names"])
    for name, split in (("training", mine.train), ("validation", mine.validation)):
        places = np.linspace(0, len(split) - 1, 40).astype(int).tolist()
        pixels, labels = sample(page, name, places)
        np.testing.assert_array_equal(pixels, split.images[places].reshape(40, 784))
        np.testing.assert_array_equal(labels, split.labels[places])
    rows, band = page.locator(".trials tbody tr"), page.locator("path.band").first
    expect(rows).to_have_count(0)
    expect(band).to_have_count(0)
    assert train(page) > 0.99
    expect(rows).to_have_count(1)
    expect(page.locator(".draw .shares b")).to_have_text(FASHION["class_names"])
    expect(page.locator(".confusion tbody th")).to_have_text(FASHION["class_names"])
    expect(page.locator(".images-note").first).to_contain_text("54,000 of Fashion-MNIST's images with 6,000 for")
    # The challenges are about digits.
    expect(page.locator(".challenge")).to_have_text(f"none yet; the best so far is {on_digits:.2%}")

    page.get_by_role("button", name="Back to MNIST").click()
    expect(page.locator(".draw .shares b")).to_have_text(list("0123456789"))
    expect(rows).to_have_count(1)
    expect(rows.locator("td").nth(3)).to_have_text(f"{on_digits:.2%}")
    page.get_by_role("button", name="Back to Fashion-MNIST").click()
    expect(page.locator(".draw .shares b").first).to_have_text("T-shirt")
    page.get_by_role("button", name="Back to MNIST").click()


# An .npz file of patterns that the page makes and drops on its panel; the classes are lines at ten places.
DROP = """async () => {
    const base = new URL('lab/', location);
    const { writeNpz } = await import(new URL('npz.js', base));
    const arrays = {};
    for (const [split, number] of [['train', 60000], ['test', 10000]]) {
        const labels = Uint8Array.from({ length: number }, (_, i) => (7 * i + (i >> 4)) % 10);
        const images = new Uint8Array(784 * number);
        labels.forEach((label, i) => images.fill(255, 784 * i + 56 * label, 784 * i + 56 * label + 28));
        arrays[`x_${split}`] = { shape: [number, 28, 28], values: images };
        arrays[`y_${split}`] = { shape: [number], values: labels };
    }
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([writeNpz(arrays)], 'lines.npz'));
    const panel = document.querySelector('.mnist-panel.retrain');
    for (const type of ['dragover', 'drop'])
        panel.dispatchEvent(new DragEvent(type, { dataTransfer, bubbles: true, cancelable: true }));
    const message = () => document.querySelector('.mnist-panel.retrain .message').textContent;
    for (let i = 0; i < 600 && !/here/.test(message()); i++) await new Promise((resolve) => setTimeout(resolve, 100));
    return message();
}"""


def test_an_npz_file_is_dropped_on_the_panel(page):
    assert page.evaluate(DROP).startswith("lines.npz is here: 54,000 images")
    assert train(page) > 0.99
    expect(page.locator(".draw .shares b")).to_have_text(list("0123456789"))
    page.get_by_role("button", name="Back to MNIST").click()


def npz(arrays, **changed):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **{name: array for name, array in (arrays | changed).items() if array is not None})
    return buffer.getvalue()


@pytest.fixture(scope="module")
def broken(clothes):
    """Twenty-odd ways to be wrong: the files, by their names."""
    idx = {path.name: path.read_bytes() for path in clothes.iterdir()}
    names = {name: f"{idx_name}.gz" for name, idx_name in IDX.items()}
    blank = {name: np.zeros(shape, np.uint8) for name, shape in _FILES["shapes"].items()}
    labels = blank["y_test"]

    def instead(name, content):
        return idx | {names[name]: content}

    def raw(name, content):
        return {key: value for key, value in idx.items() if key != names[name]} | {IDX[name]: content}

    def zipped(array):
        return gzip.compress(to_idx(array), compresslevel=1)

    whole = npz(blank)
    return {
        "one of four is missing": {key: value for key, value in idx.items() if key != names["y_test"]},
        "one of four alone": {names["x_train"]: idx[names["x_train"]]},
        "gzip is cut": instead("x_train", idx[names["x_train"]][:100_000]),
        "gzip with a changed byte": instead("y_test", zipped(labels)[:-6] + b"\0\1\2\3\4\5"),
        "text called gzip": instead("y_train", b"not packed at all"),
        "cut short": raw("y_test", to_idx(labels)[:-1]),
        "bytes to spare": raw("y_test", to_idx(labels) + b"\0"),
        "empty": raw("y_train", b""),
        "images for labels": instead("y_train", idx[names["x_test"]]),
        "of another type": raw("y_test", struct.pack(">HBBI", 0, 13, 1, 10_000) + bytes(40_000)),
        "27 x 27": instead("x_train", zipped(np.zeros((60_000, 27, 27), np.uint8))),
        "a label less": instead("y_train", zipped(np.zeros(59_999, np.uint8))),
        "training and test exchanged": idx | {names["y_train"]: idx[names["y_test"]]},
        "a label of 10": instead("y_train", zipped(np.full(60_000, 10, np.uint8))),
        "text called npz": {"text.npz": b"x_train, y_train\n1, 2\n"},
        "empty npz": {"empty.npz": b""},
        "npz that is cut": {"cut.npz": whole[: len(whole) // 2]},
        "npz with a changed byte": {"changed.npz": whole[:5_000] + bytes([whole[5_000] ^ 255]) + whole[5_001:]},
        "npz without y_test": {"three.npz": npz(blank, y_test=None)},
        "npz of int64": {"wide.npz": npz(blank, y_train=np.zeros(60_000, np.int64))},
        "npz of fractions": {"fractions.npz": npz(blank, x_test=np.zeros((10_000, 28, 28), np.float32))},
        "npz of rows": {"rows.npz": npz(blank, x_train=np.zeros((60_000, 784), np.uint8))},
        "npz of 27 x 27": {"small.npz": npz(blank, x_test=np.zeros((10_000, 27, 27), np.uint8))},
        "npz with a label of 255": {"letters.npz": npz(blank, y_test=labels + np.uint8(255))},
        "npz of objects": {"pickled.npz": npz(blank, y_train=np.array([{}, None], dtype=object))},
        "a picture": {"me.png": b"\x89PNG\r\n\x1a\n" + bytes(100)},
        "too large": {"large.npz": bytes(201_000_000)},
    }


def test_what_load_mnist_refuses_is_refused_with_its_sentence(page, broken, tmp_path):
    assert len(broken) >= 20
    for case, files in broken.items():
        folder = tmp_path / case
        folder.mkdir()
        for name, content in files.items():
            (folder / name).write_bytes(content)
        only = folder / next(iter(files))
        with pytest.raises(DataError) as caught:
            load_mnist(only if len(files) == 1 and only.suffix != ".gz" else folder)
        choose(page, sorted(folder.iterdir()))
        shown = status(page)
        expect(shown).to_have_text(re.compile(r"^(?!Your files are being read).+: .+\.$"))
        where, said = shown.inner_text().split(": ", 1)
        assert where in files or where == f"your {len(files)} files", case
        # The page's reader of npz files has its own words for what is wrong in there; all else is said alike.
        if not said.startswith(("This is no whole .npz file", "The array ", "has 201 MB")):
            why = re.compile(r"(?<=^cannot be read) \(.*?\)(?=; expected)")
            assert why.sub("", said) == why.sub("", str(caught.value).split(": ", 1)[1]), case
    assert page.evaluate(f"{SESSION}.setup.title ?? 'MNIST'") == "MNIST"
    page.evaluate(f"{SESSION}.set('seed', 1)")
    assert train(page) > 0.7


IN_FIREFOX = """async () => {
    document.body.innerHTML = '<mnist-lab view="retrain"></mnist-lab>';
    await import(new URL('lab/lab_element.js', location));
    while (!document.querySelector('.mnist-panel.retrain')) await new Promise((resolve) => setTimeout(resolve, 100));
    return (DROP)();
}"""


def test_firefox_takes_own_images_too(firefox, lab_address):
    firefox.open(lab_address + "blank.html")
    assert firefox.evaluate(IN_FIREFOX.replace("DROP", DROP)).startswith("lines.npz is here")
    assert firefox.faults == []
