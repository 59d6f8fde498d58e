"""Measure the lab in the page against Keras and against two libraries for browsers, and write a page of the book.

Run it with ``make bench-lab`` on a machine that does nothing else. Everything is served from this machine, and the
candidates take turns, so that a machine that slows down slows all of them down.
"""

import argparse
import datetime
import functools
import gzip
import http.server
import json
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlencode

from run import PAUSE, Turns, markdown

sys.path.insert(0, str(Path(__file__).parents[1]))
from browsing import NO_BROWSER, SECONDS, draw, launched
from playwright.sync_api import expect

from mnist_helpers.data import load_mnist
from mnist_helpers.recipe import ARTICLE, CRACK_99

HERE = Path(__file__).parent
BOOK = HERE.parents[1] / "book"
PAGE = BOOK / "lab_speed.md"
DRAWINGS = json.loads((HERE.parent / "drawings.json").read_text(encoding="utf-8"))
SLOWER = 4  # as Lighthouse slows a machine down to that of a middling phone
WATCH_ONE_LEARN = "Now watch one learn"
RECIPE = replace(ARTICLE, training_images=10_000)
ROUNDS = 7
CRACKED = 0.99  # validation accuracy of the last challenge
SEEDS = range(3)
LONGEST = 60  # seconds; a candidate whose ten epochs take longer is left out
PACKAGES = json.loads((HERE / "package.json").read_text(encoding="utf-8"))["dependencies"]
OURS = "the page's lab, from click to message"
EPOCHS = "the page's lab, its epochs alone"
CRACKING = "Cracking 99% in the page"
# Page, its function that trains, its backend, and whether its server lets it share memory between threads.
RIVALS = {
    "jax-js, wasm": ("jax.html", "train", "wasm", False),
    "jax-js, wasm, isolated page": ("jax.html", "train", "wasm", True),
    "TensorFlow.js, wasm": ("tfjs.html", "train", "wasm", False),
    "TensorFlow.js, wasm, isolated page": ("tfjs.html", "train", "wasm", True),
    "TensorFlow.js, wasm, model.fit": ("tfjs.html", "fit", "wasm", False),
    "TensorFlow.js, cpu": ("tfjs.html", "train", "cpu", False),
}

# ---------------------------------------------------------------- what happens in the page

# Click a button; give the milliseconds until something holds of the page.
CLICK_UNTIL = """([name, holds, argument]) => new Promise((resolve) => {
    const panel = document.querySelector(".mnist-panel.retrain");
    const condition = new Function("panel", "argument", `return ${holds}`);
    let started = null;
    const watch = new MutationObserver(() => {
        if (started === null || !condition(panel, argument)) return;
        watch.disconnect();
        resolve(performance.now() - started);
    });
    watch.observe(panel, {subtree: true, childList: true, characterData: true, attributes: true});
    started = performance.now();
    [...panel.querySelectorAll("button")].find((button) => button.textContent === name).click();
})"""
SAYS = 'panel.querySelector(".message").textContent.includes(argument)'
DRAWN = """[...panel.querySelectorAll("svg.chart path.shown.training")].some(
    (path) => path.textContent === argument && path.getAttribute("d"))"""
PANEL_IS_THERE = """() => [...document.querySelectorAll(".mnist-panel.retrain button")].some(
    (button) => button.textContent === "Train")"""
HISTORY = "() => document.querySelector('mnist-lab[view=retrain]').session.shown.history"
JOB = "() => document.querySelector('mnist-lab[view=retrain]').session.job[0]"
WATCH = """() => {
    const seen = (window.seen = {task: 0, gap: 0, on: true});
    const started = performance.now();
    const note = (entries) => {
        const own = entries.filter(({startTime}) => startTime >= started);
        seen.task = Math.max(seen.task, ...own.map(({duration}) => duration));
    };
    const observer = new PerformanceObserver((list) => note(list.getEntries()));
    observer.observe({type: "longtask", buffered: true});
    seen.end = () => note(observer.takeRecords());
    let last = started;
    requestAnimationFrame(function frame(now) {
        seen.gap = Math.max(seen.gap, now - last);
        last = now;
        if (seen.on) requestAnimationFrame(frame);
    });
}"""
# From each touch of the sheet to the frame that shows its answer.
ANSWERS = """() => {
    window.waited = [];
    let touched = null;
    const touch = ({timeStamp}) => (touched ??= timeStamp);
    for (const type of ["pointerdown", "pointermove", "pointerup"])
        document.querySelector(".sheet").addEventListener(type, touch, {capture: true});
    document.addEventListener("drawn", () => {
        const since = touched;
        touched = null;
        if (since !== null) requestAnimationFrame(() => setTimeout(() => waited.push(performance.now() - since)));
    });
}"""
SEEN = "() => ((seen.on = false), seen.end(), [seen.task, seen.gap])"


class LabPage:
    """The page with the retrain panel, in a browser context of its own."""

    def __init__(self, browser, address, **settings):
        # What is measured is told by functions made of text, which the page's policy would forbid.
        self.page = browser.new_context(viewport={"width": 1400, "height": 1300}, bypass_csp=True).new_page()
        self.requests = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(f"{address}?{urlencode(settings)}", wait_until="domcontentloaded")
        self.page.locator('mnist-lab[view="retrain"]').first.scroll_into_view_if_needed()
        self.page.wait_for_function(PANEL_IS_THERE, polling="raf")
        self.runs = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.page.context.close()

    def click_until(self, name, holds, argument):
        return self.page.evaluate(CLICK_UNTIL, [name, holds, argument]) / SECONDS

    def set_seed(self):
        """Set a seed that this page has not had."""
        seed = self.page.get_by_label("Seed").first
        seed.fill(str(100 + self.runs))
        seed.press("Enter")

    def train(self):
        """Train with a new seed; give the seconds from the click to the message."""
        self.set_seed()
        self.runs += 1
        return self.click_until("Train", SAYS, f"Run {self.runs} has finished")

    def load_all(self):
        self.page.get_by_role("button", name=re.compile("^Load all")).click()
        message = self.page.locator(".mnist-panel.retrain .message").first
        expect(message).to_contain_text("All 60,000 images are here", timeout=LONGEST * SECONDS)

    def first_point(self):
        """Click Train; give the seconds until the curve has a point."""
        self.runs += 1
        return self.click_until("Train", DRAWN, f"Run {self.runs}, training")

    def stop(self):
        return self.click_until("Stop", SAYS, f"Run {self.runs} was stopped")


class Rival:
    """Another library's page, which trains the same network on the same images."""

    def __init__(self, browser, address, function, backend):
        self.function = function
        self.page = browser.new_context().new_page()
        self.page.goto(address)
        self.page.evaluate("(given) => prepare(...given)", [asdict(RECIPE), "book/lab/images.bin.gz", backend])
        self.epoch = self.train(1)[0]

    def train(self, epochs=RECIPE.epochs):
        result = self.page.evaluate("([name, epochs]) => window[name](epochs)", [self.function, epochs])
        return result["seconds"], result["accuracy"]


def keras_fit():
    """Prepare to train with Keras from the same first weights each time; gives seconds and validation accuracy."""
    from mnist_helpers.model import build_model, compile_model

    mnist = load_mnist()
    images, labels = mnist.train.flat[: RECIPE.training_images], mnist.train.labels[: RECIPE.training_images]
    held_out = mnist.validation.flat[::3], mnist.validation.labels[::3]
    model = compile_model(build_model(RECIPE, 0), RECIPE)
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    fresh = [variable.numpy() for variable in variables]

    def work():
        for variable, value in zip(variables, fresh, strict=True):
            variable.assign(value)
        time.sleep(PAUSE)
        started = time.perf_counter()
        fitted = model.fit(images, labels, RECIPE.batch_size, RECIPE.epochs, verbose=0, validation_data=held_out)
        return time.perf_counter() - started, fitted.history["val_accuracy"][-1]

    return work


# ---------------------------------------------------------------- the tables


def ten_epochs(browser, lab, rivals, rounds):
    """The article's ten epochs with each candidate, and sentences about those that are left out."""
    with ExitStack() as stack:
        page = stack.enter_context(LabPage(browser, lab))
        job = page.page.evaluate(JOB)
        assert job == asdict(RECIPE), f"the page's setting is {job}; expected {asdict(RECIPE)}"
        page.train()

        def ours():
            seconds = page.train()
            history = page.page.evaluate(HISTORY)
            accuracy = history["val_accuracy"][-1]
            measured[EPOCHS].append((sum(history["seconds"]), accuracy))
            return seconds, accuracy

        keras = stack.enter_context(Turns(keras_fit))
        candidates = {OURS: ours, "Keras, model.fit": keras.take}
        left_out = []
        for name, (file, function, backend, isolated) in RIVALS.items() if rivals else ():
            rival = Rival(browser, f"{rivals[isolated]}/{file}", function, backend)
            stack.callback(rival.page.context.close)
            if rival.epoch * RECIPE.epochs < LONGEST:
                candidates[name] = rival.train
            else:
                left_out.append(f"{name} would have taken more than {LONGEST} seconds, and is left out.")
        measured = {name: [] for name in (OURS, EPOCHS, *candidates)}
        for _ in range(rounds):
            for name, candidate in candidates.items():
                time.sleep(PAUSE)
                measured[name].append(candidate())
    table = [["candidate", "seconds", "times ours", "validation accuracy"]]
    reference = statistics.median(seconds for seconds, _ in measured[OURS])
    for name, results in measured.items():
        seconds, accuracy = (statistics.median(column) for column in zip(*results, strict=True))
        if not accuracy > 0.9:
            sys.exit(
                f"{name} reached a validation accuracy of {accuracy:.3f}; expected more than 0.9 if it really learns."
            )
        table.append([name, f"{seconds:.2f}", f"{seconds / reference:.2f}", f"{accuracy:.1%}"])
    return table, left_out


def cracking(browser, lab):
    """How long it takes to meet the challenge of 99% with the setting to which its page links."""
    table = [
        [
            "seed",
            f"seconds to the first {CRACKED:.1%}",
            "seconds of the whole run",
            "validation accuracy after the last epoch",
        ]
    ]
    for seed in SEEDS:
        with LabPage(browser, lab, start="CRACK_99", seed=seed) as page:
            page.load_all()
            job = page.page.evaluate(JOB)
            assert job == asdict(CRACK_99), f"the page's setting is {job}; expected {asdict(CRACK_99)}"
            seconds = page.click_until("Train", SAYS, "Run 1 has finished")
            history = page.page.evaluate(HISTORY)
        first = seconds_to(CRACKED, history)
        reached = "not reached" if first is None else f"{first:.0f}"
        table.append([str(seed), reached, f"{seconds:.0f}", f"{history['val_accuracy'][-1]:.2%}"])
    return table


def seconds_to(accuracy, history):
    """Give the seconds that all epochs took up to the first with a validation accuracy; None if there is none."""
    enough = [epoch for epoch, value in enumerate(history["val_accuracy"], 1) if value >= accuracy]
    return sum(history["seconds"][: enough[0]]) if enough else None


def waits(browser, lab, rounds):
    """What a reader waits for: the first point, and Stop."""
    cold, warm, article, largest = [], [], [], []
    for number in range(rounds):
        with LabPage(browser, lab) as page:
            cold.append(page.first_point())
            page.page.wait_for_function("() => !document.querySelector('mnist-lab[view=retrain]').session.running")
            page.set_seed()
            warm.append(page.first_point())
        moment = 0.2 + 0.8 * number / rounds  # seconds into training at which Stop is clicked, so that each is another
        for settings, seconds in (
            ({"epochs": 100}, article),
            ({"epochs": 100, "hidden_layers": 8, "units": 512, "batch_size": 10_000}, largest),
        ):
            with LabPage(browser, lab, **settings) as page:
                page.first_point()
                time.sleep(moment)
                seconds.append(page.stop())
    rows = {
        "click to first point, first click": cold,
        "click to first point, second click": warm,
        "Stop to stopped, the article's network": article,
        "Stop to stopped, 8 layers of 512 units, batch size 10,000": largest,
    }
    table = [["what", "median", "longest"]]
    return table + [[name, milliseconds(statistics.median(all)), milliseconds(max(all))] for name, all in rows.items()]


def milliseconds(seconds):
    return f"{1000 * seconds:.0f} ms"


def drawing(browser, front_page):
    """How long the forty drawings wait for the answer of the front page's network, on a machine as slow as a phone."""
    page = browser.new_context(viewport={"width": 390, "height": 844}, bypass_csp=True).new_page()
    page.goto(front_page)
    page.locator('mnist-lab[view="sheet"]').scroll_into_view_if_needed()
    expect(page.locator(".sheet")).to_be_visible(timeout=LONGEST * SECONDS)
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    page.evaluate(ANSWERS)
    for each in DRAWINGS:
        draw(page, each["strokes"])
        page.get_by_role("button", name="Clear").click()
    waited = [each / SECONDS for each in page.evaluate("waited")]
    page.context.close()
    return [
        ["answers", "median", "longest"],
        [f"{len(waited):,}", milliseconds(statistics.median(waited)), milliseconds(max(waited))],
    ]


def stutter(browser, lab, rounds):
    """How long the page's own thread is busy at a stretch while the article's network is trained."""
    tasks, gaps = [], []
    with LabPage(browser, lab) as page:
        for _ in range(rounds):
            page.page.evaluate(WATCH)
            page.train()
            page.page.wait_for_timeout(200)  # long tasks are reported a little later
            task, gap = page.page.evaluate(SEEN)
            tasks.append(task / SECONDS)
            gaps.append(gap / SECONDS)
    return [
        ["what", "median", "longest"],
        ["longest task (0: none over 50 ms)", milliseconds(statistics.median(tasks)), milliseconds(max(tasks))],
        ["longest time between two frames", milliseconds(statistics.median(gaps)), milliseconds(max(gaps))],
    ]


def sizes(browser, front_page, folder):
    """What a reader's browser loads to draw and to train on the front page, and what it loads only for other panels."""
    page = browser.new_page()
    requests = set()
    page.on("request", lambda request: requests.add(request.url.partition("?")[0]))
    page.goto(front_page, wait_until="networkidle")
    page.get_by_role("button", name=WATCH_ONE_LEARN).click()
    message = page.locator(".mnist-panel.retrain .message")
    expect(message).to_contain_text("has finished", timeout=LONGEST * SECONDS)
    page.close()
    at = front_page.rpartition("/")[0] + "/lab/"
    programs = [path for path in sorted(folder.rglob("*")) if path.suffix in (".js", ".css", ".wasm", ".txt")]
    programs = [path for path in programs if folder / "source" not in path.parents]
    first = [path for path in programs if at + path.relative_to(folder).as_posix() in requests]
    later = [path for path in programs if path not in first and path.suffix != ".wasm"]
    table = [["file", "bytes", "after gzip -9"]]
    for paths, name in ((first, "to draw and to train"), (later, "for exploring, the program and the rest")):
        packed = [len(gzip.compress(path.read_bytes(), 9, mtime=0)) for path in paths]
        for path, size in zip(paths, packed, strict=True):
            table.append([path.relative_to(folder).as_posix(), f"{path.stat().st_size:,}", f"{size:,}"])
        table.append([f"together, {name}", f"{sum(path.stat().st_size for path in paths):,}", f"{sum(packed):,}"])
    packed_already = [folder / name for name in ("small_network.bin", "images.bin.gz")]
    return table + [[path.name, f"{path.stat().st_size:,}", "packed already"] for path in packed_already]


# ---------------------------------------------------------------- the surroundings


@contextmanager
def served(root, isolated=False):
    """Serve a folder; give its address. Pages of an isolated server may share memory between threads."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def end_headers(self):
            if isolated:
                self.send_header("Cross-Origin-Opener-Policy", "same-origin")
                self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
            super().end_headers()

    handler = functools.partial(Handler, directory=root)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def install_packages(root, ready):
    """Put the other libraries into ``root/node_modules``; give whether they are there."""
    if ready:
        (root / "node_modules").symlink_to(ready.resolve(), target_is_directory=True)
        return True
    npm = shutil.which("npm")
    if not npm:
        return False
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, root)
    subprocess.run([npm, "ci", "--silent", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=root, check=True)
    return True


def machine(browser, rivals):
    code = "from mnist_helpers import training; print(training.hardware())"
    hardware = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    versions = [f"Chromium {browser.version}", *(f"{name} {version(name)}" for name in ("tensorflow", "keras"))]
    return f"{hardware}; " + ", ".join(versions + [f"{name} {number}" for name, number in PACKAGES.items() if rivals])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--site", type=Path, default=BOOK / "_build" / "html", help="the built book")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--packages", type=Path, help="a node_modules folder to use instead of installing one")
    parser.add_argument("--page", type=Path, default=PAGE, help="where the results are written")
    options = parser.parse_args()
    file = next((name for name in ("train_here.html", "index.html") if (options.site / name).is_file()), None)
    if not file or not (options.site / "lab" / "lab_element.js").is_file():
        sys.exit(f"{options.site}: there is no built book with the lab in this folder; run `make book` first.")
    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        shutil.copytree(options.site, root / "book")
        for name in ("tfjs.html", "jax.html", "images.js"):
            shutil.copy(HERE / name, root)
        notes = []
        rivals = [stack.enter_context(served(root, isolated)) for isolated in (False, True)]
        lab, front_page = (f"{rivals[0]}/book/{name}" for name in (file, "index.html"))
        if not install_packages(root, options.packages):
            rivals = []
            notes.append("npm was not found on this machine, so the other libraries for browsers are left out.")
        browser = stack.enter_context(launched())
        if browser is None:
            sys.exit(NO_BROWSER)
        trained, left_out = ten_epochs(browser, lab, rivals, options.rounds)
        tables = {
            "Ten epochs": trained,
            CRACKING: cracking(browser, lab),
            "What a reader waits for": waits(browser, lab, options.rounds),
            "While it trains": stutter(browser, lab, options.rounds),
            "A drawing": drawing(browser, front_page),
            "What is loaded": sizes(browser, front_page, options.site / "lab"),
        }
        text = PAGE_HEAD.format(
            date=datetime.date.today().isoformat(), machine=machine(browser, rivals), rounds=options.rounds
        )
    notes = {"Ten epochs": " ".join(notes + left_out)}
    for title, table in tables.items():
        note = f"\n{notes[title]}\n" if notes.get(title) else ""
        text += f"\n## {title}\n\n{EXPLANATIONS[title]}\n\n{markdown(table)}\n{note}"
    print(text)
    options.page.write_text(text, encoding="utf-8")


PAGE_HEAD = """\
# How fast the lab in the page is

These are the measurements behind the page on which one trains in the browser, as `make bench-lab` wrote them on {date}:
everything was served from the machine itself, candidates took turns, and each figure is the median of {rounds} rounds
unless it says otherwise.

*Machine and versions:* {machine}. Other machines give other seconds, and may give other ratios.
"""
EXPLANATIONS = {
    "Ten epochs": "The article's network, batch size and learning rate, on the page's own "
    f"{RECIPE.training_images:,} training images, with a look at its 2,000 validation images after each epoch; every "
    "run begins with fresh weights, and a first run of each candidate is left out as warm-up. The lab draws its curves "
    "meanwhile, and trains with one thread. Keras has a process of its own, all cores, and the same first weights each "
    "time. TensorFlow.js and jax-js, two libraries for training in a browser, have a page each, with the images as "
    "32-bit floats in memory, and draw nothing; *wasm* is WebAssembly, compiled code that a browser runs, as the lab's "
    "engine is; an *isolated* page is one whose server lets it use several threads, which an ordinary web server does "
    "not. TensorFlow.js is trained by its `model.fit` where that is said, and otherwise in a loop of our own, in which "
    "the gradients of the matrix product are computed in the way that suits its wasm backend.",
    CRACKING: "The last challenge of the page, with the setting to which the page itself links. All 60,000 images are "
    "loaded, which is not counted: 54,000 to train on and 6,000 for validation. Each row is one run, in a page of its "
    "own. The first time is that of the epochs, each with its look at the validation images, up to the first whose "
    "validation accuracy is at least 99.0%; the second is that from the click on *Train* to the message that the run "
    "has finished.",
    "What a reader waits for": "The first click comes as soon as the button is there, in a browser that has loaded "
    "nothing before; because the server is the same machine, no time of a network is in it. *Stop* is clicked at "
    "another moment of the training in each round.",
    "While it trains": "On the page's main thread, which has to answer the reader, during ten epochs of the article's "
    "network. Sixty frames a second are 17 ms apart.",
    "A drawing": f"The {len(DRAWINGS)} drawings that the tests use, drawn on the sheet of the front page with the "
    f"processor slowed down {SLOWER} times, as Lighthouse does it to see what a phone would: from a touch of the pen "
    "to the frame that shows what the network makes of it.",
    "What is loaded": "What the front page needs, for its sheet and then to train, with the engine's variant that this "
    "browser takes, and what comes only with other panels. A server that packs files on their way sends about the "
    "second figure; the small network and the images are packed as they are.",
}


if __name__ == "__main__":
    main()
