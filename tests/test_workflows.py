"""What GitHub and its like are given: workflows, the Codespace and the citation, as far as they can be checked here.

actionlint, which knows more of workflows than a schema, is fetched by `tests.yml`, because no package here ships it.
"""

import itertools
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8")) for path in (ROOT / ".github/workflows").glob("*.yml")
}
STEPS = [
    pytest.param(step, id=f"{name}-{job}-{number}")
    for name, workflow in WORKFLOWS.items()
    for job, content in workflow["jobs"].items()
    for number, step in enumerate(content["steps"])
]
WITH_BASH = [param for param in STEPS if "run" in param.values[0] and "shell" not in param.values[0]]
BUILT = (".venv/", "book/_build/")
on_linux_and_macos = pytest.mark.skipif(os.name == "nt", reason="The workflows use bash on Linux and macOS alone.")


def words(step) -> list[str]:
    text = step.get("run", "") + " " + step.get("with", {}).get("args", "")
    return [word.strip("'\"()") for word in text.split()]


def block(workflow: str, job: str) -> str:
    """Give the last commands of a job."""
    return WORKFLOWS[workflow]["jobs"][job]["steps"][-1]["run"]


def bash(script: str, folder: Path, **environment) -> str:
    """Run commands as GitHub does; give what they print."""
    finished = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("vendor.github-workflows", ".github/workflows/*.yml"),
        ("custom.github-workflows-require-timeout", ".github/workflows/*.yml"),
        ("vendor.citation-file-format", "CITATION.cff"),
        ("vendor.dependabot", ".github/dependabot.yml"),
        ("vendor.github-issue-forms", ".github/ISSUE_TEMPLATE/*.yml"),
    ],
)
def test_a_file_fits_its_schema(schema, files):
    paths = list(ROOT.glob(files))
    assert paths
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, "--default-filetype", "yaml"]
    finished = subprocess.run([*check, *paths], capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr


@on_linux_and_macos
@pytest.mark.parametrize("step", WITH_BASH)
def test_the_commands_of_a_step_are_bash(step):
    script = re.sub(r"\$\{\{.*?\}\}", "value", step["run"])
    finished = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr


@pytest.mark.parametrize("step", STEPS)
def test_what_a_step_names_is_there(step):
    targets = re.findall(r"^([\w./-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    given = words(step)
    for command, target in itertools.pairwise(given):
        assert command != "make" or target in targets, target
    for word in given:
        word = word.removeprefix("--work-tree=")
        if re.fullmatch(r"[\w.-]+(/[\w./*-]+|\.(txt|md|toml))", word):
            assert word.startswith(BUILT) or (ROOT / word).exists(), word


@pytest.mark.parametrize("name", WORKFLOWS)
def test_an_action_is_pinned_to_a_commit_with_its_version_beside_it(name):
    """A tag can be moved to other code; a commit cannot."""
    for action in re.findall(r"uses: (.*)", (ROOT / f".github/workflows/{name}.yml").read_text(encoding="utf-8")):
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40}  # v\d+\.\d+\.\d+", action), action


def test_every_system_and_version_is_tested():
    job = WORKFLOWS["tests"]["jobs"]["tests"]
    given = job["strategy"]["matrix"]
    assert [name.split("-")[0] for name in given["os"]] == ["ubuntu", "macos", "windows"]
    assert given["python"] == ["3.11", "3.12", "3.13"]
    checks = [step for step in job["steps"] if "make" in words(step) or "pytest" in words(step)]
    for system in given["os"]:
        assert sum(f"== '{system}'" in step["if"] for step in checks) == (2 if system == "ubuntu-latest" else 1)


def test_windows_gets_the_commands_of_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = [step["run"] for step in WORKFLOWS["tests"]["jobs"]["tests"]["steps"] if step.get("shell") == "pwsh"]
    assert [command.removeprefix("python") for command in commands if command.startswith("python")] == [
        " -m venv .venv"
    ]
    for command in commands[1:]:
        # The README's goes on to check everything.
        assert command.removesuffix(' -m "not browser and not slow" tests') in readme.splitlines(), command


def test_the_extras_that_are_installed_anew_are_all_there_are():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = f'".[{",".join(project["optional-dependencies"])}]"'
    assert extras in " ".join(step.get("run", "") for step in WORKFLOWS["weekly"]["jobs"]["newest-versions"]["steps"])


@on_linux_and_macos
def test_publishing_puts_the_site_alone_on_its_branch(tmp_path):
    origin, clone = tmp_path / "origin.git", tmp_path / "clone"
    site = clone / "book" / "_build" / "html"
    subprocess.run(["git", "init", "--quiet", "--bare", origin], check=True)
    subprocess.run(["git", "clone", "--quiet", origin, clone], check=True, capture_output=True)
    (clone / ".gitignore").write_text("book/_build/\n")
    site.joinpath("_static").mkdir(parents=True)
    for name in (".nojekyll", "index.html", "_static/mark.svg"):
        (site / name).write_text(name)
    step = WORKFLOWS["publish"]["jobs"]["publish"]["steps"][-1]
    environment = step["env"] | {"GIT_INDEX_FILE": str(tmp_path / "site-index"), "GITHUB_SHA": "f00d"}
    for _ in range(2):  # the second time without a page that is gone
        bash(step["run"], clone, **environment)
        published = bash("git ls-tree -r --name-only gh-pages; git rev-list gh-pages", origin).split()
        *names, commit = published
        assert sorted(names) == sorted(str(path.relative_to(site)) for path in site.rglob("*") if path.is_file())
        assert len(commit) == 40
        (site / "index.html").unlink(missing_ok=True)
    assert bash("git status --short", clone).split() == ["??", ".gitignore"]


@on_linux_and_macos
@pytest.mark.parametrize(("open_issues", "opened"), [(0, 1), (1, 0)])
def test_a_failed_week_opens_one_issue(tmp_path, open_issues, opened):
    """`gh` is a stand-in that notes what it is asked for."""
    (tmp_path / "gh").write_text(
        f'#!/bin/sh\necho "$@" >> "{tmp_path}/asked"\n[ "$1 $2" = "issue list" ] && echo {open_issues}\nexit 0\n'
    )
    (tmp_path / "gh").chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    bash(block("weekly", "issue"), tmp_path, PATH=path, LABEL="weekly-links", RUN="https://run")
    asked = (tmp_path / "asked").read_text().splitlines()
    created = [line for line in asked if line.startswith("issue create")]
    assert len(created) == opened
    assert all("--label weekly-links" in line and "https://run" in line for line in created)


def test_the_week_reports_every_job_that_can_fail():
    jobs = WORKFLOWS["weekly"]["jobs"]
    others = [name for name in jobs if name != "issue"]
    assert jobs["issue"]["needs"] == others
    assert jobs["issue"]["strategy"]["matrix"]["job"] == others


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_write_no_more_than_it_must(name):
    writers = {"publish": {"publish": {"contents": "write"}}, "weekly": {"issue": {"issues": "write"}}}
    workflow = WORKFLOWS[name]
    assert workflow["permissions"] == {"contents": "read"}
    given = {job: content["permissions"] for job, content in workflow["jobs"].items() if "permissions" in content}
    assert given == writers.get(name, {})


@pytest.mark.parametrize("name", WORKFLOWS)
def test_the_key_to_the_repository_lies_in_the_job_alone_that_pushes(name):
    for job, content in WORKFLOWS[name]["jobs"].items():
        for step in content["steps"]:
            if "actions/checkout" in step.get("uses", ""):
                assert step.get("with", {}).get("persist-credentials", True) == (job == "publish"), job
    if name == "publish":
        *before, push = WORKFLOWS[name]["jobs"]["publish"]["steps"]
        assert all("run" not in step for step in before)
        assert re.findall(r"(?m)^(?:\w+=\$\()?([\w-]+)", push["run"]) == ["git"] * 4


def test_the_site_is_handed_from_the_job_that_builds_it_to_the_one_that_publishes_it():
    build, publish = (WORKFLOWS["publish"]["jobs"][job]["steps"] for job in ("build", "publish"))
    up, down = build[-1]["with"], publish[-2]["with"]
    assert (up["name"], up["path"]) == (down["name"], down["path"])
    assert up["include-hidden-files"]  # .nojekyll


def test_a_commit_is_put_in_order_as_make_format_does_it():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    assert [hook["id"] for hook in hooks] == ["ruff-check", "ruff-format", "nbstripout", "typos"]
    for hook in hooks:
        assert f"$(BIN)/{hook['entry'].removesuffix(' --force-exclude')}" in makefile


def test_a_codespace_installs_as_make_does():
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text(encoding="utf-8"))
    assert container["postCreateCommand"] == "make .venv/installed"
    assert container["forwardPorts"] == [8000, 8888]
    assert container["image"].endswith("/python:3.12")


def test_text_and_code_are_under_the_licences_that_every_place_names():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["license"] == "MIT"  # of the software; a list would leave the choice to the reader
    assert (ROOT / "LICENSE").read_text(encoding="utf-8").startswith("MIT License")
    for file in ("CITATION.cff", "LICENSE-TEXT.md", "README.md", "book/_config.yml"):
        assert "CC BY 4.0" in (ROOT / file).read_text(encoding="utf-8"), file
