"""The page of the book's state: the memory that each notebook held, and which code made the published runs."""

import json
import subprocess
import sys
import time
from collections import defaultdict
from types import SimpleNamespace

import pytest
import status

from mnist_helpers import published

HELD = 200_000_000
PAGE = "notebooks/05_training"
HOLD = f"held = bytearray(b'1') * {HELD}; print(flush=True); input()"


@pytest.fixture
def app(tmp_path):
    """What the extension reads of an application, while it reads a notebook."""
    env = SimpleNamespace(docname=PAGE, temp_data={}, metadata=defaultdict(dict))
    return SimpleNamespace(env=env, config=SimpleNamespace(nb_execution_cache_path=str(tmp_path)))


def read_notebook(app, monkeypatch, while_it_is_read=lambda watch: None):
    monkeypatch.setattr(status, "SECONDS_BETWEEN_LOOKS", 0.01)
    status.begin_to_watch(app, PAGE, [])
    while_it_is_read(app.env.temp_data["memory watch"])
    status.keep_memory(app, None)
    return app.env.metadata[PAGE]["memory"]


def hold_memory(watch):
    """Hold memory in a process of its own, as a kernel does, until the watch has seen it."""
    with subprocess.Popen([sys.executable, "-c", HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        while watch.seen < HELD:
            time.sleep(0.01)
        process.communicate(b"\n")


def test_what_a_notebook_held_is_kept_and_known_when_it_comes_from_the_cache(app, monkeypatch, tmp_path):
    held = read_notebook(app, monkeypatch, hold_memory)
    assert HELD < held < 2 * HELD
    assert json.loads((tmp_path / "memory.json").read_text()) == {PAGE: held}
    app.env.metadata.clear()
    assert read_notebook(app, monkeypatch) == held


def test_of_a_notebook_that_was_executed_elsewhere_nothing_is_claimed(app, monkeypatch, tmp_path):
    assert read_notebook(app, monkeypatch) is None
    assert not (tmp_path / "memory.json").exists()


def test_other_pages_are_not_watched(app):
    status.begin_to_watch(app, "glossary", [])
    assert app.env.temp_data == {}


@pytest.mark.parametrize(
    ("made", "by"),
    [
        ({}, "older code, from before its digest was kept"),
        ({"code": "yesterday's"}, "older code"),
        (
            {"checked": {"code": "today's", "run": "A with seed 0"}},
            "older code; by this code, A with seed 0 came out the same",
        ),
        ({"code": "yesterday's", "checked": {"code": "yesterday's", "run": "A with seed 0"}}, "older code"),
        ({"code": "today's"}, "this code"),
    ],
)
def test_of_published_runs_the_page_and_the_build_say_which_code_made_them(made, by, monkeypatch, tmp_path):
    monkeypatch.setattr(published, "FOLDER", tmp_path)
    monkeypatch.setattr(published, "GROUPS", ("crack",))
    monkeypatch.setattr(published, "digest_of", lambda modules: "today's")
    content = {"date": "2026-11-23"} | made | {"runs": [{"seed": 0}, {"seed": 1}]}
    (tmp_path / "crack.json").write_text(json.dumps(content), encoding="utf-8")
    assert status.of_group("crack") == ["crack", "2", "2026-11-23", by]
    said = []
    monkeypatch.setattr(
        status.logging, "getLogger", lambda name: SimpleNamespace(info=lambda *parts: said.append(parts))
    )
    status.say_what_is_older(None)
    assert len(said) == ("this code" not in by)
