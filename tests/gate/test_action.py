"""The action and the documented GitLab job: their own shell, run here with the environment that a runner would give."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.gate.runs import losing, small_run, task, write_policy

ROOT = Path(__file__).parents[2]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))
STEPS: dict[str, Any] = {step["id"]: step for step in ACTION["runs"]["steps"]}
DOCS = (ROOT / "docs" / "gate.md").read_text(encoding="utf-8")
EXPRESSION = re.compile(r"\$\{\{ *(inputs|steps)\.([\w.-]+) *\}\}")
SHELL = ["bash", "--noprofile", "--norc", "-eo", "pipefail"]  # what GitHub runs for `shell: bash`


# The real command, on a machine without torch: whatever asks for it finds nothing.
REAL = """\
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "lm_eval"}:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Absent())
from distbench.cli import main
main()
"""
# One that only says how it was called, writes the files that it was asked for, and exits as it is told.
FAKE = """\
import os, sys
name = sys.argv[1]
open(f"called-{name}", "w").write("\\n".join(sys.argv[1:]))
for flag in sys.argv:
    if flag.startswith(("--junit=", "--markdown=", "--json-file=", "--out=")) and name != "run":
        open(flag.partition("=")[2], "w").write(name)
sys.exit(int(os.environ.get("FAKE_CODE", 0)) if name != "report" else 0)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with two runs, a policy, and the real and the pretended command."""
    folder = tmp_path_factory.mktemp("job")
    small_run(folder / "good run", {"small": {"t": task(losing(0.0025))}})
    small_run(folder / "runs" / "ci", {"small": {"t": task(losing(0.3))}})
    write_policy(folder / "policy.yaml", agreement=0.5)
    for name, code in (("real", REAL), ("fake", FAKE)):
        (folder / f"{name}.py").write_text(code, encoding="utf-8")
        shim = folder / name / "distbench"
        shim.parent.mkdir()
        shim.write_text(f'#!/bin/sh\nexec {sys.executable} {folder / name}.py "$@"\n', encoding="utf-8")
        shim.chmod(0o755)
    return folder


def environment(place: Path, command: str, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GITHUB_")}
    path = f"{place / command}{os.pathsep}{kept['PATH']}"
    return {**kept, "PATH": path, "PYTHONPATH": str(ROOT), **more}


def run_step(
    name: str, place: Path, inputs: dict[str, str], *, fake: str | None = None, **steps: str
) -> tuple[int, dict[str, str], str]:
    """Return a step's exit code, its outputs and what it printed. `fake`: what a pretended gate exits with."""
    step = STEPS[name]
    given = {name: each.get("default", "") for name, each in ACTION["inputs"].items()} | inputs

    def value(text: str) -> str:
        return EXPRESSION.sub(lambda found: given[found[2]] if found[1] == "inputs" else steps.get(found[2], ""), text)

    output = place / "github-output"
    output.write_text("", encoding="utf-8")
    env = environment(
        place, "real" if fake is None else "fake", FAKE_CODE=fake or "0", GITHUB_ACTIONS="true",
        GITHUB_OUTPUT=str(output), GITHUB_STEP_SUMMARY=str(place / "summary.md"),
        **{name: value(text) for name, text in step["env"].items()},
    )  # fmt: skip
    script = place / "step.sh"
    script.write_text(step["run"], encoding="utf-8")
    done = subprocess.run([*SHELL, str(script)], cwd=place, env=env, capture_output=True, text=True, check=False)
    lines = [line.partition("=") for line in output.read_text(encoding="utf-8").splitlines()]
    return done.returncode, {name: text for name, _, text in lines}, done.stdout + done.stderr


def test_the_action_is_well_formed() -> None:
    assert ACTION["runs"]["using"] == "composite"
    for step in ACTION["runs"]["steps"]:
        assert step["shell"] == "bash"
        assert "${{" not in step["run"], "what others may write reaches the shell as variables only"
        used = {found[2] for text in step["env"].values() for found in EXPRESSION.finditer(text)}
        assert {name for name in used if "." not in name} <= ACTION["inputs"].keys()
        assert subprocess.run(["bash", "-n"], input=step["run"], text=True, check=False).returncode == 0
    produced = {found[2] for each in ACTION["outputs"].values() for found in EXPRESSION.finditer(each["value"])}
    assert produced == {f"gate.outputs.{name}" for name in ACTION["outputs"]}
    called = set(
        re.findall(r"^\s*(?:\w+ \|\| )?(distbench \w+)", "\n".join(s["run"] for s in STEPS.values()), re.MULTILINE)
    )
    assert called == {"distbench run", "distbench gate", "distbench report"}


def test_a_good_run_passes_and_every_output_is_there(place: Path) -> None:
    inputs = {"run": "good run", "policy": "policy.yaml", "output": "out put"}
    code, outputs, printed = run_step("gate", place, inputs)
    assert code == 0, printed
    assert (outputs["verdict"], outputs["exit-code"]) == ("PASS", "0")
    for name in ("report", "junit", "markdown", "json"):
        assert (place / outputs[name]).stat().st_size > 100
    assert "## ✓ PASS" in (place / "summary.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("gate", "run", "code"), [("0", "", 0), ("1", "0", 1), ("3", "", 3), ("2", "", 2), ("0", "4", 4)]
)
def test_the_job_ends_as_the_gate_does_and_half_done_work_fails_it(place: Path, gate: str, run: str, code: int) -> None:
    found, outputs, printed = run_step("gate", place, {"output": f"out-{code}"}, fake=gate, **{"run.outputs.code": run})
    assert (found, outputs["exit-code"]) == (code, str(code)), printed
    assert outputs["report"] == f"out-{code}/report.html"
    called = (place / "called-gate").read_text(encoding="utf-8").split("\n")
    assert called[-2:] == ["--", "distbench-run"]
    assert not [flag for flag in called if flag.startswith(("--policy", "--baseline", "--on-inconclusive"))]


def test_hostile_inputs_are_names_and_nothing_else(place: Path) -> None:
    evil = "$(touch owned); `touch owned`"
    inputs = {
        "run": "--help",
        "policy": evil,
        "baseline": "-q",
        "on-inconclusive": '" ; touch owned',
        "output": "x\ny=z",
    }
    _, outputs, printed = run_step("gate", place, inputs, fake="0")
    called = (place / "called-gate").read_text(encoding="utf-8")
    for expected in (f"--policy={evil}", "--baseline=-q", '--on-inconclusive=" ; touch owned'):
        assert expected in called, printed
    assert called.endswith("\n--\n--help")
    assert "y" not in outputs
    assert not (place / "owned").exists()


@pytest.mark.parametrize(("fake", "code"), [("0", 0), ("4", 0), ("5", 5), ("2", 2)])
def test_the_run_step_hands_on_the_code_of_half_done_work(place: Path, fake: str, code: int) -> None:
    found, outputs, printed = run_step("run", place, {"run": "new", "suite": "suite.yaml"}, fake=fake)
    assert (found, outputs["code"]) == (code, fake), printed
    called = (place / "called-run").read_text(encoding="utf-8").split("\n")
    assert called == ["run", "--out=new", "--", "suite.yaml"]


def gitlab() -> dict[str, Any]:
    blocks = [block for block in re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL) if ".gitlab-ci.yml" in block]
    job: dict[str, Any] = yaml.safe_load(blocks[0])["distbench"]
    return job


@pytest.mark.parametrize(("fake", "code"), [("0", 0), ("4", 4), ("5", 5), ("2", 2)])
def test_the_documented_gitlab_job_ends_as_its_commands_do(place: Path, fake: str, code: int) -> None:
    script = "\n".join(gitlab()["script"])
    (place / "called-gate").unlink(missing_ok=True)
    env = environment(place, "fake", FAKE_CODE=fake)
    done = subprocess.run(["bash", "-eo", "pipefail", "-c", script], cwd=place, env=env, check=False)
    assert done.returncode == code
    assert (place / "called-gate").exists() == (fake in {"0", "4"})  # half-done work is decided on, nothing else is


def test_the_documented_gitlab_job_runs(place: Path) -> None:
    job = gitlab()
    gate = [line for line in job["script"] if line.startswith("distbench gate")]
    assert len(gate) == 1
    done = subprocess.run(
        ["bash", "-eo", "pipefail", "-c", "\n".join(gate)], cwd=place, env=environment(place, "real"),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert job["allow_failure"] == {"exit_codes": [3]}
    report = job["artifacts"]["reports"]["junit"]
    assert ET.parse(place / report).getroot().get("failures") == "1"
    for path in ("gate.xml", "gate.md"):
        assert path in job["artifacts"]["paths"]
        assert (place / path).is_file()
