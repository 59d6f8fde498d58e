"""A file is there whole or not at all."""

import pytest

from mnist_helpers.whole_files import write_atomically


@pytest.mark.parametrize("before", [{}, {"run.json": b"what was there"}])
def test_a_write_that_breaks_off_leaves_what_was_there(tmp_path, monkeypatch, before):
    def break_off(path, content):
        # Beside its place, so that it can be moved there in one step, under a name that tells a rest from a file.
        assert path.parent.parent == tmp_path and path.parent.suffix == ".part"
        with path.open("wb") as file:
            file.write(content[:3])
        raise OSError("broken off")

    def there():
        return {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    for name, content in before.items():
        write_atomically(tmp_path / name, content)
    assert there() == before
    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.write_bytes", break_off)
        with pytest.raises(OSError, match="broken off"):
            write_atomically(tmp_path / "run.json", b"what comes")
    assert there() == before
    write_atomically(tmp_path / "run.json", b"what comes")
    assert there() == {"run.json": b"what comes"}
