"""What happens on a learner's machine when something is amiss: `README.md` beside this file says which test shows what.

Nothing is lost or half-written, and each fault ends in a sentence that helps. Most of it needs a process of its own.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from browsing import SECONDS, another_like
from playwright.sync_api import expect

from mnist_helpers import sweep as sweeping
from mnist_helpers.recipe import ARTICLE
from mnist_helpers.run import Run
from mnist_helpers.sweep import SweepError, load_run, run_key, save_run, sweep
from mnist_helpers.training import train

ROOT = Path(__file__).parents[1]
SMALL = replace(ARTICLE, hidden_layers=1, units=16, training_images=2_000, batch_size=100, epochs=2)
START = """
from dataclasses import replace
from pathlib import Path
from mnist_helpers.data import load_mnist
from mnist_helpers.recipe import ARTICLE
from mnist_helpers.sweep import load_run, save_run, sweep
SMALL = replace(ARTICLE, hidden_layers=1, units=16, training_images=2_000, batch_size=100, epochs=2)
"""
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="There is no /proc, where not even root may write.")
NEEDS_MAKE = pytest.mark.skipif(shutil.which("make") is None, reason="the command is make's")
POSIX = pytest.mark.skipif(os.name != "posix", reason="Windows has no such limit, signal or folder")


def process(code, *, folder, **environment):
    """Start Python in a folder with a program that begins with START."""
    command = [sys.executable, "-c", START + code]
    return subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )


def said(code, *, folder, **environment):
    return process(code, folder=folder, **environment).communicate(timeout=200)[0]


@pytest.fixture(scope="module")
def run(mnist):
    return train(SMALL, mnist, progress=False)


@POSIX
def test_on_a_full_disk_a_sweep_says_so_and_leaves_nothing_half_written(tmp_path):
    # A file may grow to 1,000 bytes, fewer than a run's.
    code = """
import resource
sweep([SMALL], [0], load_mnist(), store="runs", workers=1)
resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, 1_000))
sweep([SMALL], [1], load_mnist(), store="runs", workers=1)
"""
    sentence = said(code, folder=tmp_path).splitlines()[-1]
    assert sentence.startswith("mnist_helpers.sweep.SweepError: runs: this store of runs cannot be written to (")
    assert "File too large" in sentence
    assert sentence.endswith("and make the same call again.")
    (only,) = (tmp_path / "runs").iterdir()
    assert Run.from_json(only.read_text()).seed == 0


@LINUX
def test_a_store_that_cannot_be_written_to_is_known_before_training(mnist, monkeypatch):
    monkeypatch.setattr(sweeping, "_in_parallel", None)
    with pytest.raises(SweepError, match=r"^/proc: this store of runs cannot be written to \("):
        sweep([SMALL], [0], mnist, "/proc")


@LINUX
def test_a_home_and_a_folder_in_which_one_cannot_write_do_no_harm(tmp_path):
    code = "print(sweep([SMALL], [0], load_mnist(), workers=1).epoch.max())"
    assert said(code, folder="/proc", HOME="/proc/home", MNIST_HELPERS_RUNS=str(tmp_path)).endswith("\n2\n")
    refusal = said(code, folder="/proc", HOME="/proc/home", MNIST_HELPERS_RUNS="").splitlines()[-1]
    assert "SweepError: runs: cannot be used as a store of runs (" in refusal
    assert refusal.endswith(
        "Name one that can be written to, as store or in the environment variable MNIST_HELPERS_RUNS."
    )


@pytest.mark.parametrize("name", ["Läufe und mehr, 手書き", "l" * 200])
def test_a_store_may_lie_in_any_folder(run, mnist, tmp_path, name):
    save_run(run, tmp_path / name)
    assert np.array_equal(load_run(SMALL, 0, mnist, tmp_path / name).model.get_weights()[0], run.model.get_weights()[0])


@POSIX
def test_a_process_killed_while_it_saves_leaves_whole_files(run, mnist, tmp_path):
    save_run(run, tmp_path)
    code = f"""
run = load_run(SMALL, 0, load_mnist(), {str(tmp_path)!r})
print("saving", flush=True)
while True:
    save_run(run, {str(tmp_path)!r})
"""
    saving = process(code, folder=tmp_path)
    while saving.stdout.readline() != "saving\n":
        assert saving.poll() is None
    for tenths in range(3):
        time.sleep(0.1 * tenths)
        kept = load_run(SMALL, 0, mnist, tmp_path)  # while it is written anew
        assert kept.history == run.history
    saving.kill()
    saving.wait()
    assert load_run(SMALL, 0, mnist, tmp_path).history == run.history


def test_a_damaged_model_is_set_aside_and_trained_again(run, mnist, tmp_path):
    save_run(run, tmp_path)
    path = tmp_path / f"{run_key(SMALL, 0, mnist)}.keras"
    path.write_bytes(path.read_bytes()[:5_000])
    with pytest.raises(
        SweepError, match=rf"set aside as {path.name}\.damaged; .* with this recipe and seed and models"
    ):
        load_run(SMALL, 0, mnist, tmp_path)
    assert path.with_name(f"{path.name}.damaged").stat().st_size == 5_000
    sweep([SMALL], [0], mnist, tmp_path, models=True)
    assert load_run(SMALL, 0, mnist, tmp_path).model is not None


def test_a_run_that_was_interrupted_does_not_spoil_the_next(run, mnist):
    def interrupt(report):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(SMALL, mnist, seed=1, report=interrupt, progress=False)
    again = train(SMALL, mnist, progress=False)
    assert all(map(np.array_equal, again.model.get_weights(), run.model.get_weights()))


@POSIX
@pytest.mark.slow
def test_a_sweep_that_is_interrupted_keeps_its_runs_and_goes_on(tmp_path):
    code = 'sweep([SMALL], range(60), load_mnist(), store="runs", workers=2); print("complete")'
    interrupted = process(code, folder=tmp_path)
    while len(list(tmp_path.glob("runs/*.json"))) < 3:
        assert interrupted.poll() is None
        time.sleep(0.02)
    interrupted.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in interrupted.communicate(timeout=100)[0]
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*")}
    assert 3 <= len(kept) < 60
    assert {path.suffix for path in kept} == {".json"}
    assert said(code, folder=tmp_path).endswith("complete\n")
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_no_clock_that_can_be_set_decides_anything():
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "mnist_helpers").glob("*.py"))
    assert "perf_counter" in sources
    assert not re.search(r"time\.time\(|datetime|st_mtime", sources)


def test_every_text_is_read_and_written_in_an_encoding_that_is_named():
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "mnist_helpers").glob("*.py"))
    calls = re.findall(r"\b(?:read_text|write_text)\([^()]*\)", sources)
    assert calls and [call for call in calls if "encoding=" not in call] == []


@POSIX
def test_a_locale_without_utf_8_changes_nothing(tmp_path):
    code = """
import locale
assert locale.getpreferredencoding() == "ANSI_X3.4-1968", locale.getpreferredencoding()
mnist = load_mnist()
sweep([SMALL], [0], mnist, "runs", workers=1, models=True)
load_run(SMALL, 0, mnist, "runs")
from mnist_helpers import keras_program, panels, plots
print(keras_program.keras_program(SMALL).isascii(), len(panels.retrain_panel(SMALL, mnist).name))
"""
    ascii_alone = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    assert said(code, folder=tmp_path, **ascii_alone).endswith("True 32\n")


def test_without_what_processes_share_a_sweep_trains_in_its_own(tmp_path):
    # What joblib does when it finds that there can be no locks between processes.
    code = "print(len(sweep([SMALL], range(2), load_mnist(), workers=2)))"
    assert said(code, folder=tmp_path, MNIST_HELPERS_RUNS=str(tmp_path), JOBLIB_MULTIPROCESSING="0").endswith("\n4\n")


def test_a_container_that_may_have_little_memory_gets_few_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(sweeping, "_CONTAINER", tmp_path)
    monkeypatch.setattr(sweeping.joblib, "cpu_count", lambda: 8)
    monkeypatch.setattr(sweeping.psutil, "virtual_memory", lambda: type("Memory", (), {"available": 64e9}))
    assert sweeping.workers_that_fit() == 8
    (tmp_path / "memory.max").write_text("8000000000\n")
    (tmp_path / "memory.stat").write_text("anon 2000000000\nfile 5000000000\n")
    assert sweeping.workers_that_fit() == 4
    (tmp_path / "memory.max").write_text("2000000000\n")
    assert sweeping.workers_that_fit() == 1
    (tmp_path / "memory.max").write_text("max\n")
    assert sweeping.workers_that_fit() == 8
    # the same, as the first version of control groups has it
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory" / "memory.stat").write_text("rss 1\ntotal_rss 2000000000\ntotal_rss_huge 7\n")
    (tmp_path / "memory" / "memory.limit_in_bytes").write_text("8000000000\n")
    assert sweeping.workers_that_fit() == 4


def test_no_two_files_differ_in_case_alone_and_none_has_a_name_that_windows_forbids():
    if not (ROOT / ".git").exists():
        pytest.skip("only a clone knows which files are the project's")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = listed.strip("\0").split("\0")
    assert len({name.casefold() for name in names}) == len(names) > 200
    forbidden = re.compile(r'[<>:"|?*\\]|[. ](/|$)|(^|/)(con|prn|aux|nul|com\d|lpt\d)(\.|/|$)', re.IGNORECASE)
    assert not [name for name in names if forbidden.search(name) or len(name) > 120]


@LINUX
@NEEDS_MAKE
@pytest.mark.parametrize("target", ["book", "test", "check"])
def test_a_folder_that_cannot_be_written_to_is_said_before_anything_is_done(target):
    command = ["make", "--no-print-directory", "-C", "/proc", "-f", ROOT / "Makefile", target]
    refused = subprocess.run(command, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    (sentence,) = refused.stdout.splitlines()
    assert sentence.startswith("Nothing can be written below /proc, as building and testing do. ")


@NEEDS_MAKE
def test_a_port_that_is_taken_is_said():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = ["make", "-o", "book", "serve", f"PORT={port}"]
        refused = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    assert refused.returncode != 0
    assert f"Port {port} is taken" in refused.stdout
    assert "make serve PORT=" in refused.stdout
    assert "Traceback" not in refused.stderr


def test_an_old_browser_trains_without_simd(browser, address):
    asked, without_simd = [], "--js-flags=--no-enable-sse4-1"
    with another_like(browser, without_simd) as old:
        page = old.new_context(service_workers="block").new_page()
        page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
        page.goto(f"{address}train_here.html")
        page.get_by_role("button", name="Train", exact=True).click(timeout=30 * SECONDS)
        expect(page.locator(".retrain .message")).to_contain_text("has finished", timeout=120 * SECONDS)
    assert [name for name in asked if name.endswith(".wasm")] == ["engine-plain.wasm"]


def test_a_browser_without_webassembly_keeps_the_still_and_says_why(browser, address):
    page = browser.new_context(service_workers="block").new_page()
    page.add_init_script("delete globalThis.WebAssembly")
    page.goto(f"{address}train_here.html")
    panel = page.locator("mnist-lab").first
    expect(panel).to_contain_text("This browser is too old for the live panel, so this is a picture.")
    expect(panel.get_by_role("img").first).to_be_visible()
    page.context.close()


def test_the_table_of_faults_names_tests_that_exist():
    table = (ROOT / "tests" / "README.md").read_text(encoding="utf-8")
    named = re.findall(r"`(test_\w+\.py)`: `(\w+)`", table)
    assert len(named) > 20
    for file, part in named:
        assert re.search(rf"^def test_\w*{part}", (ROOT / "tests" / file).read_text(encoding="utf-8"), re.MULTILINE), (
            part
        )
