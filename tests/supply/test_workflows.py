"""The workflows of the public repository: pinned actions, least permissions, and commands that exist."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"^\s*-?\s*uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
SHELL = {"python", "test", "grep"}  # what the steps call besides files of the repository


def load(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # `on` is no boolean
    return document


def test_there_are_workflows() -> None:
    assert {path.stem for path in WORKFLOWS} == {"ci", "fuzz", "release"}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_action_is_pinned_by_commit_and_says_its_version(path: Path) -> None:
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if "uses:" in line]
    assert lines
    assert [line for line in lines if not PINNED.match(line)] == []


def test_one_action_has_one_commit_everywhere() -> None:
    found: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for name, commit in re.findall(r"uses: ([\w./-]+)@(\w+ # \S+)", path.read_text(encoding="utf-8")):
            found.setdefault(name, set()).add(commit)
    assert {name: commits for name, commits in found.items() if len(commits) > 1} == {}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_permissions_are_none_but_what_a_job_names(path: Path) -> None:
    workflow = load(path)
    assert workflow["permissions"] == {}
    assert "pull_request_target" not in workflow["on"]
    assert workflow["concurrency"]["group"]
    for name, job in workflow["jobs"].items():
        assert set(job["permissions"]) <= {"contents", "id-token", "attestations"}, name
        assert job["permissions"].get("contents", "read") == "read", name
        assert 0 < int(job["timeout-minutes"]) <= 120, name
        for step in job["steps"]:
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"]["persist-credentials"] == "false", name
            assert "${{" not in step.get("run", ""), (
                f"{name}: what others may write reaches the shell as variables only"
            )
            assert "secrets." not in str(step), f"{name}: no stored secret is needed"


def test_only_publishing_may_speak_for_the_project() -> None:
    jobs = load(ROOT / ".github" / "workflows" / "release.yml")["jobs"]
    assert jobs["publish"]["permissions"] == {"id-token": "write"}
    assert jobs["publish"]["environment"] == "pypi"
    assert jobs["publish"]["needs"] == "build"
    assert not [step for step in jobs["publish"]["steps"] if "run" in step], "no code of ours runs where it publishes"


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_every_command_is_there(path: Path) -> None:
    for job in load(path)["jobs"].values():
        for step in job["steps"]:
            for line in step.get("run", "").splitlines():
                assert_exists(line)


def assert_exists(line: str) -> None:
    words = line.split()
    assert words[0] in SHELL or words[0].startswith(".venv/bin/") or (ROOT / words[0]).is_file(), line
    for word in words:
        if word.startswith("scripts/"):
            assert (ROOT / word).is_file(), line
    if words[0].startswith("scripts/"):
        assert (ROOT / words[0]).stat().st_mode & 0o111, f"{words[0]} cannot be executed"


def test_options_that_the_workflows_use() -> None:
    said = subprocess.run(
        [sys.executable, "scripts/fuzz/run.py", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    command = next(line for line in (ROOT / ".github/workflows/fuzz.yml").read_text().splitlines() if "run.py" in line)
    for option in re.findall(r"--[a-z]+", command):
        assert option in said


def test_ci_of_both_places_runs_the_same_checks() -> None:
    steps = [step.get("run") for step in load(ROOT / ".github" / "workflows" / "ci.yml")["jobs"]["check"]["steps"]]
    assert "scripts/check" in steps
    assert "exec scripts/check" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")


def test_an_auditor_finds_nothing() -> None:
    zizmor = shutil.which("zizmor", path=Path(sys.executable).parent) or shutil.which("zizmor")
    assert zizmor is not None, "zizmor is a dependency of development"
    done = subprocess.run(
        [zizmor, "--offline", "--no-progress", ".github", "action.yml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_auditor_would_find_something(tmp_path: Path) -> None:
    zizmor = shutil.which("zizmor", path=Path(sys.executable).parent) or shutil.which("zizmor")
    bad = tmp_path / ".github" / "workflows" / "bad.yml"
    bad.parent.mkdir(parents=True)
    text = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    bad.write_text(re.sub(r"checkout@[0-9a-f]{40} # \S+", "checkout@main", text), encoding="utf-8")
    done = subprocess.run(
        [str(zizmor), "--offline", "--no-progress", str(bad)], capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    assert "unpinned" in done.stdout
