"""A file is there whole or not at all."""

import pytest

from mnist_helpers.whole_files import write_atomically


def test_a_write_that_breaks_off_leaves_what_was_there(tmp_path, monkeypatch):
    def break_off(path, content):
        with path.open("wb") as file:
            file.write(content[:3])
        raise OSError("broken off")

    path = tmp_path / "run.json"
    path.write_bytes(b"what was there")
    monkeypatch.setattr("pathlib.Path.write_bytes", break_off)
    with pytest.raises(OSError, match="broken off"):
        write_atomically(path, b"what comes")
    assert [(each, each.read_bytes()) for each in tmp_path.iterdir()] == [(path, b"what was there")]
