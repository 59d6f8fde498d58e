"""A million inputs for each reader of the page: it gives what it should, or an error of its own in one sentence.

The inputs are changes of small valid ones, the same in every run. What is inside an archive is changed under the
checksum that belongs to it. The page, its worker and its browser have to live through all of them.
"""

import base64
import gzip
import json
import random
import re
import time
from dataclasses import replace

import numpy as np
import pytest
from browsing import blank_page
from figures import keep
from fuzz_readers import INPUTS, MOST_SECONDS, a_run, archive_with, members_of, saved
from test_hostile_input import hostile_address

from mnist_helpers.data import _FILES, to_idx
from mnist_helpers.model import build_model
from mnist_helpers.network_file import packed

AT_ONCE = 500
SECONDS_A_BATCH = 60
NUMBERS = [0, 1, 2, 255, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1, 2**53, 2**63, 2**64 - 1]
WORDS = [b"-1", b"1e999", b"4294967295", b"9" * 30, b"null", b"NaN", b'"', b"{", b"]", b"\\ud800", b"<U0", b"__proto__"]


def changed(chance, content):
    """Change bytes here and there; now and then leave all as it is."""
    content = bytearray(content)
    for _ in range(chance.choice([0, 1, 1, 1, 2, 3, 8])):
        start = chance.randrange(len(content) + 1)
        end = min(len(content), start + chance.choice([1, 1, 2, 4, 8, 40]))
        size = chance.choice([1, 2, 4, 8])
        number = (chance.choice(NUMBERS) % 256**size).to_bytes(size, chance.choice(["little", "big"]))
        content[start:end] = chance.choice(
            [
                bytes(byte ^ 1 << chance.randrange(8) for byte in content[start:end]),
                chance.randbytes(end - start),
                number,
                chance.choice(WORDS),
                content[start:end] * 2,
                b"",
            ]
        )
    digits = list(re.finditer(rb"\d+", content))
    if digits and chance.random() < 0.3:
        found = chance.choice(digits)
        content[found.start() : found.end()] = chance.choice([str(chance.choice(NUMBERS)).encode(), *WORDS])
    return bytes(content[: chance.randrange(len(content) + 1)] if chance.random() < 0.05 else content)


def base64_of(content):
    return base64.b64encode(content).decode()


def changed_archive(whole):
    """Give what makes a changed archive, outside or inside."""
    members = members_of(whole)

    def make(chance):
        if chance.random() < 0.3:
            return changed(chance, whole)
        name = chance.choice(list(members))
        return archive_with(members, name, changed(chance, members[name]))

    return make


KINDS = [np.arange(6).astype(name) for name in ("u1", "<i4", "<f2", "<f8", "<i8", "?")]
SOME = saved(
    np.savez_compressed, {"text": np.array(["ab", "c"])} | {f"x{place}": kind for place, kind in enumerate(KINDS)}
)
make_archive = changed_archive(SOME)


def npz_files(chance):
    return base64_of(make_archive(chance))


# What the page holds a reader's files to, with few images.
RULES = _FILES | {"shapes": {"x_train": [20, 28, 28], "y_train": [20], "x_test": [10, 28, 28], "y_test": [10]}}
SPLIT_ORDER = np.arange(20, dtype="<u2").tobytes()
IMAGES = {
    name: np.arange(np.prod(shape), dtype=np.uint32).reshape(shape).astype(np.uint8) % 10
    for name, shape in RULES["shapes"].items()
}
make_data_set = changed_archive(saved(np.savez_compressed, IMAGES))
IDX = {RULES["idx_names"][name]: to_idx(array) for name, array in IMAGES.items()}
ZIPPED = {f"{name}.gz": gzip.compress(content) for name, content in IDX.items()}


def own_images(chance):
    """Give files, by their names: an archive, or four files in IDX with one that is changed, packed or not."""
    if chance.random() < 0.5:
        return {"own.npz": base64_of(make_data_set(chance))}
    name = chance.choice(list(IDX))
    files = {each: content for each, content in ZIPPED.items() if each != f"{name}.gz"}
    files |= chance.choice(
        [
            {f"{name}.gz": changed(chance, ZIPPED[f"{name}.gz"])},
            {f"{name}.gz": gzip.compress(changed(chance, IDX[name]), 1)},
            {name: changed(chance, IDX[name])},
        ]
    )
    return {each: base64_of(content) for each, content in files.items()}


RUN = a_run()
make_run = changed_archive(packed(replace(RUN, model=build_model(RUN.recipe, 0))))


def saved_runs(chance):
    return base64_of(make_run(chance))


HEADER = (
    json.dumps({"version": 1, "pixels": 784, "splits": {"training": 2, "validation": 1, "test": 1}}).encode() + b"\n"
)
COLLECTION = HEADER + b"".join(bytes(784 * number) + bytes(range(number)) for number in (2, 1, 1))


def collections(chance):
    if chance.random() < 0.3:
        return base64_of(changed(chance, gzip.compress(COLLECTION)))
    content = chance.choice(
        [changed(chance, HEADER) + COLLECTION[len(HEADER) :], HEADER + changed(chance, COLLECTION[len(HEADER) :])]
    )
    return base64_of(gzip.compress(content, 1))


QUERY = (
    b"units=30&epochs=5&seed=7&compare=units%3D30%26dropout%3D0.2&with=epochs%3D5&training_images=2000&start=CRACK_99"
)


def addresses(chance):
    """Give a query as bytes, or as names and values."""
    return changed(chance, QUERY).decode("latin-1") if chance.random() < 0.5 else hostile_address(chance)


# What the readers fetch comes once, and then at once.
REMEMBER = """() => {
    const ask = fetch, answers = {};
    globalThis.fetch = async (address) => {
        if (String(address).startsWith("blob:")) return ask(address);
        return (answers[address] ??= await ask(address)).clone();
    };
}"""
OPEN = """async (base) => {
    const names = ["npz", "own_images", "worker_engine", "panel/session"];
    const modules = await Promise.all(names.map((name) => import(`${base}lab/${name}.js`)));
    // Which reads another address than the page's, because no browser changes that a thousand times a second.
    const reader = await fetch(`${base}lab/setting_in_address.js`).then((response) => response.text());
    const program = reader.replaceAll("location", "asked").replaceAll("./panel/", `${base}lab/panel/`);
    const ofAddresses = await import(URL.createObjectURL(new Blob([program], { type: "text/javascript" })));
    Object.assign(window, ...modules, ofAddresses);
    window.setup = await fetch(`${base}lab/setup.json`).then((response) => response.json());
    const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const all = setup.controls.map(({ name }) => name);

    // What a panel is to those who give it other images.
    const silent = { loading: new Set(), ask: async () => true, post() {}, forget() {}, prepare() {} };
    const mnist = new Session(setup, setup.article, 0, silent);
    const [element, holder, ownNote] = ["div", "div", "p"].map((tag) => document.createElement(tag));
    holder.innerHTML = "<button class=primary>Train</button>";
    ownNote.append("Your files");
    element.session = mnist;
    const panel = { element, holder, mnist, ownNote, follow() {}, show(session) { element.session = session; } };

    function expect(holds, what) {
        if (!holds) throw new TypeError(what);
    }

    function expectInRange(settings, { name, kind, choices }, given) {
        const value = settings[name], [lowest, highest] = choices;
        const whole = Number.isInteger(value) && value >= lowest && value <= highest;
        expect(kind === "number" ? whole : [...choices, given[name]].includes(value), `${name} is ${value}`);
    }

    window.readers = {
        async npz_files(text) {
            for (const { shape, values } of Object.values(await readNpz(bytesOf(text), setup.most_bytes)))
                expect(values.length === shape.reduce((product, length) => product * length, 1), "length");
        },
        async own_images(files) {
            silent.loading.clear();
            const chosen = Object.entries(files).map(([name, text]) => new File([bytesOf(text)], name));
            const said = await takeOwn(chosen, panel);
            if (said) throw new Error(said);
            const { training, validation } = element.session.images;
            expect(training + validation === 20, "number");
        },
        async saved_runs(file) {
            const id = crypto.randomUUID();
            const { recipe, weights, history } = await engine.ask({ do: "open", id, file });
            const pixels = new Uint8Array(784);
            const shares = await engine.ask({ do: "probabilities", id, recipe, weights, pixels });
            expect(shares.length === 10 && history.loss.length <= recipe.epochs, "a run");
            engine.forget(id);
        },
        async collections(text) {
            const address = URL.createObjectURL(new Blob([bytesOf(text)]));
            try {
                await engine.ask({ do: "load", address });
                for (const split of ["training", "validation", "test"]) {
                    const images = await engine.ask({ do: "images", address, split, places: [0] });
                    expect(images.every(({ label }) => label === undefined || label <= 9), "label");
                }
            } finally {
                engine.post({ do: "forget", address });
                engine.loaded.clear();
                URL.revokeObjectURL(address);
            }
        },
        async addresses(query) {
            window.asked = new URL(`?${new URLSearchParams(query)}`, base);
            const { origin } = mnist;
            const read = { ...origin, ...fromAddress(1, mnist, all) };
            for (const settings of [read, ...(comparedInAddress(1, mnist, all) ?? [])])
                for (const control of setup.controls) expectInRange(settings, control, origin);
        },
    };
    window.feed = async (name, inputs, sentence) => {
        const found = { read: 0, refused: 0, faults: [] };
        for (const input of inputs)
            try {
                await readers[name](input);
                found.read++;
            } catch (error) {
                if (error.constructor === Error && new RegExp(sentence).test(error.message)) found.refused++;
                else found.faults.push([String(error.stack), input]);
            }
        return found;
    };
}"""
OF_NPZ = (
    r"(numpy\.savez_compressed writes|Write or fetch the file again|before it is saved|truth values or texts|"
    r"fewer or smaller ones)\.$"
)
READERS = {
    "The page: .npz files": (npz_files, OF_NPZ),
    "The page: images of one's own": (
        own_images,
        rf"^(own\.npz|\S+ubyte|\S+ubyte\.gz|your 4 files): .*(expected .*\.$|{OF_NPZ})",
    ),
    "The page: saved runs": (saved_runs, rf"expected what write_network or a panel's Save wrote\.$|{OF_NPZ}"),
    "The page: its own images": (collections, r"^The images arrived damaged\. .*\.$"),
    "The page: addresses": (addresses, "^$"),
}


@pytest.fixture
def page(browser, lab_address):
    with blank_page(browser, lab_address, REMEMBER) as page:
        page.route("**/data_files.json", lambda route: route.fulfill(json=RULES))
        page.route("**/split_order.bin", lambda route: route.fulfill(body=SPLIT_ORDER))
        page.evaluate(OPEN, lab_address)
        with page.expect_event("worker") as started:
            page.evaluate("engine.post({ do: 'stop', id: 'none' })")
        started.value.evaluate(REMEMBER)
        yield page


@pytest.mark.timeout(MOST_SECONDS + 600)
@pytest.mark.parametrize("name", READERS)
def test_every_input_is_read_or_refused_in_a_sentence(name, page):
    make, sentence = READERS[name]
    chance = random.Random(21)
    memory = page.context.new_cdp_session(page)
    done = read = refused = 0
    began = time.monotonic()
    while done < INPUTS and time.monotonic() - began < MOST_SECONDS:
        inputs = json.dumps([make.__name__, [make(chance) for _ in range(AT_ONCE)], sentence])
        handed = time.monotonic()
        found = page.evaluate("(inputs) => feed(...JSON.parse(inputs))", inputs)
        assert not found["faults"], found["faults"][0]
        assert time.monotonic() - handed < SECONDS_A_BATCH
        memory.send("HeapProfiler.collectGarbage")  # a browser is in no hurry with what it unpacked
        done, read, refused = done + AT_ONCE, read + found["read"], refused + found["refused"]
    outcome = f"{read:,} read, {refused:,} refused in a sentence"
    keep(name, f"{done:,} inputs", time.monotonic() - began, outcome)
