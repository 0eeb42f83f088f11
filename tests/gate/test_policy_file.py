"""The policy file: as strict as a suite, and every name in it must be one that the run has."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from distbench.compare.evidence import Evidence
from distbench.errors import RefusedError, UsageError
from distbench.gate.names import Known, check_names, known_of_plan, known_of_run
from distbench.gate.policy_file import load_policy
from distbench.schema.policy import BaselineRules, MeasuredRule, MetricRules, Policy, Rules, StudentRules, TaskRules
from distbench.schema.record import Series
from distbench.store.run_dir import RunDir
from distbench.suite.schema_export import policy_schema
from tests.gate.runs import TEACHER, losing, small_run, task

DOCS = (Path(__file__).parents[2] / "docs" / "gate.md").read_text(encoding="utf-8")
EXAMPLE = next(block for block in re.findall(r"```yaml\n(.*?)```", DOCS, re.DOTALL) if "# policy.yaml" in block)

FAULTS = [
    ("", "p.yaml: empty policy"),
    ("- a", "expected a mapping, got list"),
    ("version: 2", "p.yaml:1:10: expected 1"),
    ("version: 1\nretaned: 0.9", "p.yaml:2:1: unknown key 'retaned'; did you mean 'retained'?"),
    ("version: 1\nretained: 3", "p.yaml:2:11: must be at most 2, got 3"),
    ("version: 1\nretained: .nan", "p.yaml:2:11: must be a finite number, got .nan"),
    ("version: 1\nretained: {treshold: 0.9}", "p.yaml:2:11: missing key 'threshold'; is 'treshold' meant"),
    ("version: 1\nretained: {threshold: 0.9, required: 1}", "expected true or false"),
    ("version: 1\non_inconclusive: wrn", "did you mean 'warn'?"),
    ("version: 1\nsequential: true", "p.yaml:2:1: 'sequential' decides how a run asks"),
    ("version: 1\nextends: nothing", "nothing to decide"),
    ("version: 1\nextends: nothing\nstudents: {a: {required: true}}", "nothing to decide"),
    ("version: 1\ntasks: {t: {flor: 0.9}}", "p.yaml:2:13: unknown key 'flor'; did you mean 'floor'?"),
    ("version: 1\nmax_bytes: 1.5", "expected integer"),
    ("version: 1\nmeasured: [{at_least: 1}]", "missing key 'metric'"),
    ("version: 1\nretained: 0.9\nretained: 0.8", "duplicate key 'retained'"),
    ("version: 1\nbaseline: {retaind: 0.1}", "did you mean 'retained'?"),
]

UNKNOWN = [
    ("students: {smal: {retained: 0.9}}", "2:12: unknown student 'smal'; did you mean 'small'?"),
    ("students: {'x*': {retained: 0.9}}", "unknown student 'x*'; this run has: small"),
    ("students: {big: {retained: 0.9}}", "'big' is a teacher"),
    ("tasks: {arithmetik: {floor: 0.9}}", "2:9: unknown task 'arithmetik'; did you mean 'arithmetic'?"),
    ("students: {small: {tasks: {arith: {floor: 0.9}}}}", "unknown task 'arith'"),
    ("tasks: {arithmetic: {metrics: {acc_nrm: {floor: 0.9}}}}", "did you mean 'acc_norm' or 'acc'?"),
    ("measured: [{metric: e2e_mss, at_least: 1}]", "2:21: unknown metric 'e2e_mss'; did you mean 'e2e_ms'"),
    ("measured: [{metric: e2e_ms, meter: latncy, at_least: 1}]", "unknown meter 'latncy'; did you mean 'latency'"),
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunDir:
    student = {"arithmetic": task(losing(0.01), "arithmetic", losing(0.02)), "words": task(TEACHER, "words")}
    return small_run(tmp_path_factory.mktemp("names") / "run", {"small": student})


@pytest.mark.parametrize(("text", "message"), FAULTS)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError) as raised:
        load_policy(path)
    assert message in str(raised.value)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize(("text", "message"), UNKNOWN)
def test_a_name_that_the_run_lacks_is_an_error(run: RunDir, tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(f"version: 1\n{text}\n", encoding="utf-8")
    with pytest.raises(UsageError) as raised:
        check_names(load_policy(path), known_of_run(Evidence(run)))
    assert message in str(raised.value)
    assert f"{path}:2:" in str(raised.value)


def test_names_that_are_there_are_taken(run: RunDir, tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(
        "version: 1\nstudents: {'sm*': {tasks: {arithmetic: {metrics: {acc_norm: {floor: 0.9}}}}}}\n"
        "measured: [{metric: e2e_ms, meter: latency, workload: batch 1, at_least: 1}]\n",  # known, but not measured
        encoding="utf-8",
    )
    check_names(load_policy(path), known_of_run(Evidence(run)))


def test_before_a_run_only_its_metrics_are_unknown(run: RunDir, tmp_path: Path) -> None:
    manifest, path = run.manifest(), tmp_path / "p.yaml"
    known = known_of_plan(manifest.models, manifest.suite.tasks)
    path.write_text("version: 1\ntasks: {arithmetic: {metrics: {any: {floor: 0.9}}}}\n", encoding="utf-8")
    check_names(load_policy(path), known)
    path.write_text("version: 1\ntasks: {arithmetik: {floor: 0.9}}\n", encoding="utf-8")
    with pytest.raises(UsageError, match="did you mean 'arithmetic'"):
        check_names(load_policy(path), known)


def test_measurements_are_named_as_they_were_made(run: RunDir, tmp_path: Path) -> None:
    made = {"model": "small", "unit": "ms", "higher_is_better": False, "values": [1.0]}
    series = [
        Series(meter="latency", metric="e2e_ms", workload="batch 1", **made),
        Series(meter="memory", metric="peak_bytes", workload="batch 1", **made),
    ]
    known = Known(run.manifest().models, {}, series)
    path = tmp_path / "p.yaml"
    for rule, message in (
        (
            "{metric: e2e_ms, workload: batch 2, at_least: 1}",
            "unknown workload of e2e_ms 'batch 2'; did you mean 'batch 1'?",
        ),
        ("{metric: e2e_ms, meter: memory, at_least: 1}", "meter 'memory' does not measure 'e2e_ms'; latency does"),
    ):
        path.write_text(f"version: 1\nmeasured: [{rule}]\n", encoding="utf-8")
        with pytest.raises(UsageError) as raised:
            check_names(load_policy(path), known)
        assert message in str(raised.value)
    path.write_text("version: 1\nmeasured: [{metric: e2e_ms, workload: batch 1, at_least: 1}]\n", encoding="utf-8")
    check_names(load_policy(path), known)


def test_files_that_are_no_policy(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such policy file"):
        load_policy(tmp_path / "absent.yaml")
    with pytest.raises(UsageError, match="is a directory, not a policy file"):
        load_policy(tmp_path)
    tagged = tmp_path / "tagged.yaml"
    tagged.write_text("version: 1\nretained: !!python/object/apply:os.system ['x']\n", encoding="utf-8")
    with pytest.raises(RefusedError):
        load_policy(tagged)


def test_the_documented_example_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(EXAMPLE, encoding="utf-8")
    assert load_policy(path).policy.students["int8"].retained == 0.98
    Draft202012Validator(policy_schema()).validate(yaml.safe_load(EXAMPLE))


@pytest.mark.parametrize("model", [Policy, Rules, StudentRules, TaskRules, MetricRules, MeasuredRule, BaselineRules])
def test_every_key_is_documented(model: type[Policy]) -> None:
    named = {word for quoted in re.findall(r"`([^`\n]+)`", DOCS) for word in re.findall(r"\w+", quoted)}
    named |= set(re.findall(r"^\s*-? ?\{?(\w+):", EXAMPLE, re.MULTILINE))
    assert sorted(set(model.model_fields) - named) == []
