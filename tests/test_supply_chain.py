"""What is installed, bundled and run is what it should be: versions, hashes, checksums, and nothing that runs data."""

import hashlib
import itertools
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from jupyter_server.auth import IdentityProvider
from jupyter_server.serverapp import ServerApp
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
needs_make = pytest.mark.skipif(not shutil.which("make"), reason="There is no make here.")


def commands(*target: str) -> list[str]:
    """Give the lines that ``make`` would run for a target."""
    make = ["make", "--dry-run", "--no-print-directory", *target]
    return subprocess.run(make, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()


# ---------------------------------------------------------------- what is installed


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-audit.txt"])
def test_each_requirement_is_one_version_with_its_hashes(file):
    text = (ROOT / file).read_text(encoding="utf-8").replace("\\\n", "")
    requirements = [line for line in text.splitlines() if not line.startswith("#")]
    assert requirements
    for line in requirements:
        assert re.fullmatch(r"[\w.-]+==[\w.!+-]+( ; [^#]+?)?( +--hash=sha256:[0-9a-f]{64})+", line), line[:80]


def test_the_lock_has_what_pyproject_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *itertools.chain(*project["optional-dependencies"].values())]
    locked = re.findall(r"^([\w.-]+)==(\S+)", (ROOT / "requirements.txt").read_text(encoding="utf-8"), re.MULTILINE)
    for requirement in map(Requirement, asked):
        versions = [version for name, version in locked if name == canonicalize_name(requirement.name)]
        assert versions and all(map(requirement.specifier.contains, versions)), f"{requirement}: `make requirements`"


@needs_make
def test_make_installs_nothing_without_a_hash_but_the_folder_itself():
    lines = commands("-W", "pyproject.toml", "-W", "requirements-audit.txt", ".venv/audit/installed")
    installing = [line for line in lines if " pip install " in line]
    assert len(installing) == 4
    for line in installing:
        assert "--require-hashes -r" in line or "--no-deps --no-build-isolation --editable ." in line, line


# ---------------------------------------------------------------- what is bundled


def test_files_from_elsewhere_are_the_ones_that_were_looked_at():
    """The engine's programs, which come from here, are compared with new ones in ``test_engine.py``."""
    lines = (ROOT / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    sums = {path: digest for digest, path in (line.split(maxsplit=1) for line in lines)}
    bundled = [*ROOT.glob("mnist_helpers/fonts/*.ttf"), *ROOT.glob("book/assets/**/*.woff2")]
    bundled.append(ROOT / "mnist_helpers/data/mnist.npz")
    digests = {path.relative_to(ROOT).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in bundled}
    assert sums == digests


# ---------------------------------------------------------------- what is run


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        ("import pickle\n\npickle.loads(b'')\n", "S301"),
        ("import marshal\n\nmarshal.loads(b'')\n", "S302"),
        ("eval('1')\n", "S307"),
        ("exec('1')\n", "S102"),
        ("import subprocess\n\nsubprocess.run('ls', shell=True)\n", "S602"),
        ("import os\n\nos.system('ls')\n", "S605"),
    ],
)
def test_ruff_keeps_code_that_runs_data_out_of_the_package(code, rule):
    command = [sys.executable, "-m", "ruff", "check", "--output-format", "concise", "--stdin-filename"]
    finished = subprocess.run(
        [*command, "mnist_helpers/new.py", "-"], cwd=ROOT, input=code, capture_output=True, text=True, check=False
    )
    assert rule in finished.stdout


def test_the_package_has_no_exception_to_that_and_reads_no_pickled_array():
    for path in (ROOT / "mnist_helpers").glob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"noqa: *S|allow_pickle=True|import (pickle|marshal|shelve)|safe_mode", text), path.name


@needs_make
def test_jupyter_listens_on_this_machine_alone_and_asks_for_its_token(monkeypatch):
    monkeypatch.delenv("JUPYTER_TOKEN", raising=False)
    [options] = [line.partition("jupyter lab ")[2].split() for line in commands("lab") if "jupyter lab " in line]
    server = ServerApp()
    server.parse_command_line(options)
    assert server.ip == "127.0.0.1"
    identity = IdentityProvider(parent=server)
    assert identity.auth_enabled
    assert len(identity.token) >= 40


def test_every_server_of_files_listens_on_this_machine_alone():
    for file in ("Makefile", "README.md"):
        for line in (ROOT / file).read_text(encoding="utf-8").splitlines():
            assert "-m http.server" not in line or "--bind 127.0.0.1" in line, f"{file}: {line}"
