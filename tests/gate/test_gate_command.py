"""`distbench gate` as a CI job calls it: outputs, exit codes, GitHub's files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from distbench.cli.app import app
from distbench.compare.run import compare
from distbench.errors import EnvironmentFault, UsageError
from tests.gate.runs import losing, small_run, task, write_policy
from tests.gate.test_hostile import assert_junit


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three runs: one passes, one fails, one cannot be decided; and the result document of the first."""
    folder = tmp_path_factory.mktemp("runs")
    for name, lost in (("pass", 0.0025), ("fail", 0.3), ("undecided", 0.025)):
        run = small_run(folder / name, {"small": {"t": task(losing(lost))}})
        if name == "pass":
            (folder / "result.json").write_text(compare(run).model_dump_json(), encoding="utf-8")
    return folder


def call(*arguments: str | Path, **env: str) -> Result:
    return CliRunner().invoke(app, ["gate", *map(str, arguments)], env={"GITHUB_ACTIONS": "", **env})


@pytest.mark.parametrize(
    ("run", "how", "code"),
    [
        ("pass", "fail", 0), ("fail", "fail", 1), ("undecided", "fail", 3),
        ("fail", "pass", 1), ("undecided", "warn", 0), ("undecided", "pass", 0),
    ],
)  # fmt: skip
def test_exit_codes(runs: Path, run: str, how: str, code: int) -> None:
    done = call(runs / run, "--on-inconclusive", how)
    assert done.exit_code == code
    word = {"pass": "PASS", "fail": "FAIL", "undecided": "INCONCLUSIVE"}[run]
    assert done.stdout.startswith(f"{word}: by-hand (exit code {code})\n")


def test_the_policy_says_how_and_the_flag_overrides_it(runs: Path, tmp_path: Path) -> None:
    policy = write_policy(tmp_path / "p.yaml", on_inconclusive="warn")
    assert call(runs / "undecided", "--policy", policy).exit_code == 0
    assert call(runs / "undecided", "--policy", policy, "--on-inconclusive", "fail").exit_code == 3


def test_several_outputs_at_once(runs: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "folder"
    done = call(
        runs / "fail", "--junit", out / "g.xml", "--markdown", out / "g.md", "--json-file", out / "g.json", "--json"
    )
    assert done.exit_code == 1
    document = json.loads(done.stdout)
    assert document == json.loads((out / "g.json").read_text(encoding="utf-8"))
    assert document["exit_code"] == 1
    assert_junit((out / "g.xml").read_text(encoding="utf-8"))
    assert (out / "g.md").read_text(encoding="utf-8").startswith("## ✗ FAIL: by-hand")
    quiet = call(runs / "fail", "--format", "junit", "--out", out / "h.xml")
    assert (quiet.exit_code, quiet.stdout) == (1, "")
    assert (out / "h.xml").read_text(encoding="utf-8") == (out / "g.xml").read_text(encoding="utf-8")
    assert call(runs / "fail", "-q").stdout == ""


def test_on_github_it_annotates_and_adds_to_the_runners_files(runs: Path, tmp_path: Path) -> None:
    summary, outputs = tmp_path / "summary", tmp_path / "outputs"
    summary.write_text("before\n", encoding="utf-8")
    files = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_OUTPUT": str(outputs)}
    done = call(runs / "undecided", "--json", "--on-inconclusive", "warn", GITHUB_ACTIONS="true", **files)
    assert json.loads(done.stdout)["verdict"] == "INCONCLUSIVE"
    assert done.stderr.startswith("::warning title=INCONCLUSIVE%3A by-hand (exit code 0)::")
    assert summary.read_text(encoding="utf-8").startswith("before\n## ? INCONCLUSIVE: by-hand")
    assert outputs.read_text(encoding="utf-8") == "verdict=INCONCLUSIVE\nexit-code=0\n"
    assert "::" not in call(runs / "fail", "--no-github", GITHUB_ACTIONS="true", **files).stderr
    printed = call(runs / "fail", "--format", "github", GITHUB_ACTIONS="true")
    assert printed.stdout.startswith("::error title=FAIL%3A by-hand")
    assert printed.stderr == ""


def test_a_result_document_is_decided_by_its_own_gate(runs: Path, tmp_path: Path) -> None:
    assert call(runs / "result.json").exit_code == 0
    done = call(runs / "result.json", "--policy", write_policy(tmp_path / "p.yaml", retained=0.1))
    assert isinstance(done.exception, UsageError)
    assert "needs the run directory" in str(done.exception)


def test_wrong_flags_and_files_that_cannot_be_written(runs: Path, tmp_path: Path) -> None:
    for flags, message in (
        (["--format", "jnuit"], "did you mean 'junit'?"),
        (["--json", "--format", "junit"], "leave one out"),
        (["--on-inconclusive", "ignore"], "one of fail, warn, pass"),
        (["--policy", str(tmp_path / "absent.yaml")], "no such policy file"),
        (["--baseline", str(tmp_path / "absent")], "no run at"),
    ):
        done = call(runs / "pass", *flags)
        assert isinstance(done.exception, UsageError)
        assert message in str(done.exception)
    for path in (tmp_path, Path("/dev/full/x"), Path("/proc/nothing/here")):
        assert isinstance(call(runs / "pass", "--junit", path).exception, EnvironmentFault)


def test_a_run_refuses_a_wrong_policy_before_it_begins(tmp_path: Path) -> None:
    out = tmp_path / "run"
    for rules, flags, message in (
        ({"students": {"mlp-61": {"retained": 0.5}}}, ["--gate"], "did you mean 'mlp-16'"),
        ({"tasks": {"digits-tset": {"floor": 0.5}}}, ["--gate"], "did you mean 'digits-test'"),
        ({"retained": 0.5}, [], "are for --gate"),
        ({"retained": 0.5}, ["--gate", "--baseline", str(tmp_path / "absent")], "no baseline at"),
    ):
        policy = write_policy(tmp_path / "p.yaml", **rules)
        arguments = ["run", "digits", "--out", str(out), "--policy", str(policy), *flags]
        done = CliRunner().invoke(app, arguments)
        assert isinstance(done.exception, UsageError), done.exception
        assert message in str(done.exception)
        assert not out.exists()
