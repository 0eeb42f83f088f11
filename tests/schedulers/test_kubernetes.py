"""The Job manifests: what Kubernetes' own schema allows, what the pods may do, and the order that apply.sh keeps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.command import here
from tests.schedulers.suites import MEASURED, write

OPTIONS = ["--with", "image=example.org/distbench:1", "--with", "claim=models"]
KUBECTL = """\
#!/bin/bash
# A stand-in: a Job is at work when it was applied, and has ended when it was asked about twice.
echo "$*" >>"$FAKE_SPOOL/calls"
case $1 in
  apply) touch "$FAKE_SPOOL/$(basename "${@: -1}")" ;;
  get)
    name=${2#job/db-*-*-}; state=$FAKE_SPOOL/state-$name
    [ -e "$FAKE_SPOOL"/[0-9]*-"$name".yaml ] || exit 1
    if [ "${5:-}" = --output ]; then
      [ -e "$state" ] && echo "FailureTarget ${FAKE_END:-Complete} "
      touch "$state"
    fi ;;
esac
"""


def plan(folder: Path, *arguments: str, check: int = 0) -> str:
    words = ["plan", "suite.yaml", "--out", "the run", "--format", "kubernetes", *arguments]
    cache = str(folder / "cache")
    done = here(folder, *words, check=check, DISTBENCH_CACHE=cache)
    return done.stdout if check == 0 else done.stderr


def planned(folder: Path, *arguments: str, suite: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """Return the manifests by the name of their file."""
    write(folder, suite or MEASURED)
    plan(folder, *OPTIONS, "--with", f"mount={folder}", *arguments)
    files = sorted((folder / "the run" / "kubernetes").glob("*.yaml"))
    assert not any("&id" in file.read_text(encoding="utf-8") for file in files), "anchors are hard to read"
    return {file.stem: yaml.safe_load(file.read_text(encoding="utf-8")) for file in files}


def test_the_manifests_are_valid_and_ask_for_nothing_that_they_do_not_need(tmp_path: Path) -> None:
    jobs = planned(tmp_path, "--with", "secret=keys", "--with", "namespace=lab", "--with", "measure_node=pool=quiet",
                   suite=MEASURED | {"resources": {"memory": "3GiB"}})  # fmt: skip
    assert list(jobs) == ["01-make-1", "02-make-2", "03-evaluate-2", "04-evaluate-3", "05-measure-3", "06-finish"]
    for job in jobs.values():
        kubernetes_validate.validate(job, "1.33", strict=True)
        pod = job["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        assert job["spec"]["completionMode"] == "Indexed"
        assert job["spec"]["backoffLimitPerIndex"] == 2
        assert pod["restartPolicy"] == "Never"
        assert pod["securityContext"]["runAsNonRoot"]
        assert pod["securityContext"]["runAsUser"] > 0
        assert not pod["automountServiceAccountToken"]
        assert not container["securityContext"]["allowPrivilegeEscalation"]
        assert container["securityContext"]["readOnlyRootFilesystem"]
        assert container["envFrom"] == [{"secretRef": {"name": "keys"}}]
        assert len(job["metadata"]["name"]) + len("-99999") <= 63
    evaluate, measure = jobs["04-evaluate-3"]["spec"], jobs["05-measure-3"]["spec"]["template"]["spec"]
    assert (evaluate["completions"], evaluate["parallelism"]) == (2, 2)
    resources = evaluate["template"]["spec"]["containers"][0]["resources"]
    assert resources["limits"] == resources["requests"] == {"cpu": "1", "memory": "3072Mi"}
    (term,) = measure["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    labels = jobs["04-evaluate-3"]["spec"]["template"]["metadata"]["labels"]
    assert term["labelSelector"]["matchLabels"].items() <= labels.items(), "it keeps evaluations away"
    assert measure["nodeSelector"] == {"pool": "quiet"}
    assert "affinity" not in evaluate["template"]["spec"]


def test_a_pod_runs_the_cell_of_its_index(tmp_path: Path) -> None:
    """The command is run as a container would, with another program in distbench's place that writes down its words."""
    told = tmp_path / "told"
    program = tmp_path / "$(HOME) x" / "program"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{told}\n')
    program.chmod(0o755)
    jobs = planned(tmp_path, "--with", f"program='{program}'")
    command = jobs["04-evaluate-3"]["spec"]["template"]["spec"]["containers"][0]["command"]
    assert any("$$(HOME)" in word for word in command), "else Kubernetes would put a variable there"
    words = [word.replace("$$(", "$(") for word in command]
    subprocess.run(words, env=os.environ | {"JOB_COMPLETION_INDEX": "1"}, check=True, timeout=60)
    assert told.read_text().splitlines() == [
        "cell", str(tmp_path / "the run"), "--stage", "evaluate-3", "--chunk", "1", "--index", "1",
    ]  # fmt: skip


def test_jobs_of_one_stage_that_want_other_machines_keep_their_numbers(tmp_path: Path) -> None:
    suite = json.loads(json.dumps(MEASURED))
    suite["students"][1]["resources"] = {"cpus": 4}
    jobs = planned(tmp_path, suite=suite)
    large = next(job for name, job in jobs.items() if name.endswith("evaluate-3-2"))["spec"]
    (container,) = large["template"]["spec"]["containers"]
    assert large["completions"] == 1
    assert container["resources"]["requests"]["cpu"] == "4"
    shell = [*container["command"][:2], container["command"][2].replace("exec", "echo").replace("$$(", "$("), "sh"]
    said = subprocess.run(
        shell, env=os.environ | {"JOB_COMPLETION_INDEX": "0"}, capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == "--index 1"


def test_the_script_is_clean(tmp_path: Path) -> None:
    planned(tmp_path)
    shellcheck, script = Path(sys.executable).with_name("shellcheck"), tmp_path / "the run" / "kubernetes" / "apply.sh"
    found = subprocess.run([shellcheck, script], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("end", ["Complete", "Failed"])
def test_a_stage_begins_when_the_one_before_has_ended_however_it_did(tmp_path: Path, end: str) -> None:
    jobs = planned(tmp_path)
    spool, kubectl = tmp_path / "spool", tmp_path / "bin" / "kubectl"
    spool.mkdir()
    kubectl.parent.mkdir()
    kubectl.write_text(KUBECTL)
    kubectl.chmod(0o755)
    place = {"PATH": f"{kubectl.parent}{os.pathsep}{os.environ['PATH']}", "FAKE_SPOOL": str(spool), "FAKE_END": end}
    done = subprocess.run(
        ["bash", str(tmp_path / "the run" / "kubernetes" / "apply.sh")], capture_output=True, text=True, check=True,
        env=os.environ | place | {"DISTBENCH_POLL_SECONDS": "0.01"}, timeout=60,
    )  # fmt: skip
    assert done.stdout.count(f": {end}") == len(jobs)
    calls = (spool / "calls").read_text().splitlines()
    applied = [n for n, call in enumerate(calls) if call.startswith("apply")]
    assert [calls[n].rsplit(maxsplit=1)[1] for n in applied] == [f"{name}.yaml" for name in jobs]
    for one, other in pairwise(applied):
        assert any("--output" in call for call in calls[one:other]), "it asked whether the stage has ended"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "needs --with image"),
        ([*OPTIONS, "--with", "mount=/elsewhere"], "the run directory is at"),
        ([*OPTIONS, "--with", "mount=here"], "absolute"),
        ([*OPTIONS, "--with", "mount=/", "--with", "user=0"], "greater than or equal to 1"),
        ([*OPTIONS, "--with", "mount=/", "--with", "secret=A B"], "pattern"),
        ([*OPTIONS, "--with", "mount=/", "--with", "measure_node=x"], "LABEL=VALUE"),
        ([*OPTIONS, "--with", "mount=/", "--sbatch", "--time=1"], "--sbatch is for --format slurm"),
    ],
)
def test_what_pods_could_not_reach_or_may_not_be_is_refused(tmp_path: Path, arguments: list[str], said: str) -> None:
    write(tmp_path, MEASURED)
    assert said in plan(tmp_path, *arguments, check=2)
    assert not (tmp_path / "the run").exists()
