"""The plan as data, and the examples of the documentation that are made of it."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.command import here
from tests.schedulers.suites import MEASURED, SUITE, write

DOCS = Path(__file__).parents[2] / "docs" / "scale-out.md"


def plan(folder: Path, *words: str) -> dict[str, Any]:
    """Return the plan as data."""
    place = {"DISTBENCH_CACHE": str(folder / "cache")}
    done = here(folder, "plan", "suite.yaml", "--out", "a $run", "--format", "json", *words, check=0, **place)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def block(begins: str) -> str:
    """Return the code of the documentation that begins so."""
    (found,) = re.findall(rf"```\w+\n({re.escape(begins)}.*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    return str(found)


def test_every_job_says_what_it_is_needs_and_creates(tmp_path: Path) -> None:
    write(tmp_path, MEASURED | {"resources": {"memory": "1GiB"}})
    document = plan(tmp_path)
    jobs = {job["name"]: job for job in document["jobs"]}
    assert list(jobs) == [
        "make-1-0", "make-2-0", "make-2-1", "evaluate-2-0", "evaluate-3-0", "evaluate-3-1", "measure-3-0",
    ]  # fmt: skip
    assert jobs["evaluate-3-1"]["needs"] == ["make-2-1"]
    assert jobs["measure-3-0"]["needs"] == ["make-1-0", "make-2-0", "make-2-1"]
    assert jobs["measure-3-0"]["resources"] == {
        "cpus": 1, "gpus": 0, "memory_bytes": 2**30, "custom": {}, "whole_node": True,
    }  # fmt: skip
    job = jobs["make-1-0"]
    assert (job["kind"], job["device"]) == ("make", "cpu")
    assert job["forecasts"][0]["seconds"]["value"] is None or job["forecasts"][0]["seconds"]["value"] > 0
    assert job["command"] == [
        sys.executable,
        "-m",
        "distbench",
        "cell",
        str(tmp_path / "a $run"),
        "--id",
        *job["cells"],
    ]
    here(tmp_path, *job["command"][3:], check=0, DISTBENCH_CACHE=str(tmp_path / "cache"))
    assert Path(job["creates"][0]).is_file()
    left = {each["name"]: each["needs"] for each in plan(tmp_path)["jobs"]}
    assert "make-1-0" not in left
    assert left["evaluate-2-0"] == []


def test_the_rules_for_make_keep_the_order(tmp_path: Path) -> None:
    write(tmp_path, MEASURED)
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\necho "$*" >>told\n')  # in place of distbench
    program.chmod(0o755)
    document = plan(tmp_path, "--with", f"program={shlex.quote(str(program))}")
    (tmp_path / "rules.py").write_text(block("# rules.py"))
    rules = subprocess.run(
        [sys.executable, "rules.py"],
        cwd=tmp_path,
        input=json.dumps(document),
        capture_output=True,
        text=True,
        check=True,
    )
    (tmp_path / "Makefile").write_text(rules.stdout)
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    subprocess.run([make, "--keep-going", "--jobs", "4"], cwd=tmp_path, check=True, capture_output=True, timeout=60)
    told = (tmp_path / "told").read_text().splitlines()
    place = {job["cells"][0]: n for job in document["jobs"] for n, line in enumerate(told) if job["cells"][0] in line}
    names = {job["name"]: job["cells"][0] for job in document["jobs"]}
    for job in document["jobs"]:
        assert all(place[names[need]] < place[job["cells"][0]] for need in job["needs"])
    assert "--id " + names["measure-3-0"] in told[-2], "it has the machine alone"
    assert told[-1] == f"finish {tmp_path / 'a $run'}"
    assert len(told) == len(document["jobs"]) + 1


def test_evaluations_of_one_model_are_one_job_by_chunk(tmp_path: Path) -> None:
    tasks = [{"use": "classification", "name": f"digits-{n}", "data": {"use": "sklearn-digits"}} for n in range(200)]
    write(tmp_path, SUITE | {"tasks": tasks})
    document = plan(tmp_path, "--with", "chunk=50")
    sizes = [len(job["cells"]) for job in document["jobs"] if job["kind"] == "evaluate"]
    assert sizes == [50] * 12
