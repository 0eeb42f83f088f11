"""Slurm's scripts, run by a stand-in for Slurm: the run that comes of them is the one that `distbench run` makes."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from distbench.schedulers.slurm import ranges
from tests.command import here
from tests.schedulers.doubles import Cluster
from tests.schedulers.suites import MEASURED, SUITE, write

HOSTILE = 'it\'s $(touch pwned) `touch pwned` %A 50% ; & "x"'
ROOT = Path(__file__).parents[2]
PROGRAM = shlex.join(["env", f"PYTHONPATH={ROOT}", sys.executable, "-m", "tests.schedulers.program"])


def plan(folder: Path, *arguments: str, check: int = 0, **environment: str) -> str:
    done = here(
        folder, "plan", "suite.yaml", "--out", HOSTILE, "--format", "slurm", *arguments, check=check, **environment
    )
    return done.stdout if check == 0 else done.stderr


def submitted(folder: Path) -> Cluster:
    cluster = Cluster(folder / "cluster")
    cluster.submit(folder / HOSTILE / "slurm" / "submit.sh")
    return cluster


def samples(run: Path) -> dict[str, pd.DataFrame]:
    return {file.parent.name: pd.read_parquet(file) for file in run.glob("cells/*/samples.parquet")}


def timeless(value: Any) -> Any:
    """Return a result without what differs between any two runs: when, where and how long."""
    left_out = {"run", "created_at", "seconds", "teacher_seconds", "peak_memory_bytes", "seal"}  # it is over the record
    left_out |= {"weights"}  # of trees: skops names the members of its archive after addresses in memory
    if isinstance(value, dict):
        return {key: timeless(each) for key, each in value.items() if key not in left_out}
    return [timeless(each) for each in value] if isinstance(value, list) else value


def test_a_run_in_arrays_equals_a_local_one(tmp_path: Path) -> None:
    write(tmp_path, SUITE | {"students": SUITE["students"][:1]})
    here(tmp_path, "run", "suite.yaml", "--out", "local", check=0, DISTBENCH_CACHE=str(tmp_path / "one"))
    cache = str(tmp_path / "two")  # of its own, so that nothing is taken from there
    plan(tmp_path, "--with", f"program={PROGRAM}", DISTBENCH_CACHE=cache)
    cluster = submitted(tmp_path)
    order = cluster.work(seed=7)
    assert set(cluster.codes.values()) == {0}
    assert len(order) == 5  # 2 makes, 2 evaluations, the comparison
    local, arrays = tmp_path / "local", tmp_path / HOSTILE
    ours, theirs = samples(arrays), samples(local)
    assert len(ours) == 2
    assert ours.keys() == theirs.keys()
    for cell, frame in ours.items():
        pd.testing.assert_frame_equal(frame, theirs[cell])
    results = [json.loads((run / "result.json").read_text()) for run in (arrays, local)]
    assert timeless(results[0]) == timeless(results[1])
    assert (arrays / "report.html").is_file()
    assert not list(tmp_path.rglob("pwned"))
    logs = {file.name for file in (arrays / "slurm" / "logs").iterdir()}
    assert logs == {
        "trees-make-1-100_0.out", "trees-make-2-101_0.out", "trees-evaluate-2-102_0.out", "trees-evaluate-3-103_0.out",
        "trees-finish-104.out",
    }  # fmt: skip
    plan(tmp_path, "--with", f"program={PROGRAM}", DISTBENCH_CACHE=cache)
    again = (arrays / "slurm" / "submit.sh").read_text()
    assert "job.sh" not in again, "everything is finished"
    assert "finish.sh" in again


def test_stages_wait_for_those_that_make_what_they_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTBENCH_CACHE", str(tmp_path / "cache"))  # of its own: what is cached is left out
    write(tmp_path, MEASURED | {"resources": {"memory": "2GiB", "measure": {"cpus": 8}}})
    plan(tmp_path, "--sbatch", "--time=1:00 --partition='a b'", "--sbatch", "measure: --constraint=icelake")
    jobs = {job.options["job-name"]: job for job in submitted(tmp_path).jobs()}
    after = {name: {jobs_of(jobs, number) for number in job.after} for name, job in jobs.items()}
    assert after == {
        "trees-make-1": set(),
        "trees-make-2": {"trees-make-1"},
        "trees-evaluate-2": {"trees-make-1"},
        "trees-evaluate-3": {"trees-make-2"},
        "trees-measure-3": {"trees-make-1", "trees-make-2"},
        "trees-finish": {"trees-make-1", "trees-make-2", "trees-evaluate-2", "trees-evaluate-3", "trees-measure-3"},
    }
    measure, evaluate = jobs["trees-measure-3"].options, jobs["trees-evaluate-3"].options
    assert {"exclusive", "constraint"} <= measure.keys() - evaluate.keys()
    assert (measure["cpus-per-task"], evaluate["cpus-per-task"]) == ("8", "1")
    assert (measure["mem"], evaluate["partition"]) == ("2048M", "a b")
    assert jobs["trees-evaluate-3"].tasks == [0, 1]


def jobs_of(jobs: dict[str, Any], number: int) -> str:
    return next(name for name, job in jobs.items() if job.number == number)


def test_arrays_stay_below_the_largest_that_a_cluster_takes(tmp_path: Path) -> None:
    tasks = [{"use": "classification", "name": f"digits-{n}", "data": {"use": "sklearn-digits"}} for n in range(5)]
    write(tmp_path, SUITE | {"tasks": tasks})
    plan(tmp_path, "--with", "max_array=4", "--with", "parallel=3")
    cells = [job for job in submitted(tmp_path).jobs() if job.arguments[:1] == ["evaluate-3"]]
    assert [(job.options["array"], job.arguments[1]) for job in cells] == [
        ("0-3%3", "0"),
        ("0-3%3", "4"),
        ("0-1%3", "8"),
    ]
    assert all(task is not None and task < 4 for job in cells for task in job.tasks)


def test_a_part_that_fails_to_be_submitted_says_what_was(tmp_path: Path) -> None:
    write(tmp_path)
    plan(tmp_path)
    cluster = Cluster(tmp_path / "cluster")
    (cluster.bin / "sbatch").write_text(
        '#!/bin/bash\n[ -e "$FAKE_SPOOL/1" ] && { echo full >&2; exit 1; }\ntouch "$FAKE_SPOOL/1"; echo 41\n'
    )
    with pytest.raises(subprocess.CalledProcessError) as failed:
        cluster.submit(tmp_path / HOSTILE / "slurm" / "submit.sh")
    assert failed.value.stderr == "full\nto take back what was submitted: scancel 41\n"


def test_the_scripts_are_clean(tmp_path: Path) -> None:
    shellcheck = Path(sys.executable).with_name("shellcheck")
    write(tmp_path, MEASURED)
    here(tmp_path, "plan", "suite.yaml", "--out", "a b'c", "--format", "slurm", "--with", "parallel=2", check=0)
    scripts = sorted((tmp_path / "a b'c" / "slurm").glob("*.sh"))
    assert len(scripts) == 3
    found = subprocess.run([shellcheck, *scripts], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--with", "paralel=2"], "did you mean 'parallel'?"),
        (["--with", "parallel=0"], "greater than or equal to 1"),
        (["--with", "setup=a\nb"], "one line"),
        (["--with", "program=python '"], "No closing quotation"),
        (["--sbatch", "--array=1-9"], "the scripts set that themselves"),
        (["--sbatch", "--comment='"], "No closing quotation"),
        (["--device", "cuda:1"], "say cuda"),
        (["--set", "gate.sequential=true"], "distbench run"),
        (["--max-time", "1h"], "run on others"),
    ],
)
def test_what_a_script_cannot_be_is_refused_before_anything_is_written(
    tmp_path: Path, arguments: list[str], said: str
) -> None:
    write(tmp_path)
    assert said in plan(tmp_path, *arguments, check=2)
    assert not (tmp_path / HOSTILE).exists()


def test_numbers_as_slurm_writes_them() -> None:
    assert ranges([0, 1, 2, 7, 9, 10]) == "0-2,7,9-10"
    assert ranges([3]) == "3"
