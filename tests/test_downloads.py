"""What can be taken home is there whole or not at all."""

import subprocess
from pathlib import Path

import downloads
import pytest


def test_a_wheel_that_was_not_finished_is_not_found_again(tmp_path, monkeypatch):
    def stop_half_way(command, **_):
        Path(command[command.index("--wheel-dir") + 1], "mnist_helpers-0.1.0-py3-none-any.whl").write_bytes(b"half")
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(downloads.subprocess, "run", stop_half_way)
    with pytest.raises(subprocess.CalledProcessError):
        downloads.helper_wheel(tmp_path)
    assert list(tmp_path.iterdir()) == []
