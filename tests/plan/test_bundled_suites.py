"""The suites that come with distbench: valid offline, of tasks that exist, with fields that the data have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distbench.cli.suites import list_suites, validate_suite
from distbench.models.hf_causal import HFCausal
from distbench.plan.tasks import resolve_tasks
from distbench.schema.suite import TaskSpec
from distbench.suite.bundled import bundled_suites
from distbench.suite.load import load_suite
from distbench.tasks.lm_eval import LMEvalTask
from distbench.tasks.lm_eval_index import find_task, stock_fields
from tests.conftest import CPU

SUITES = {"bias", "calibration", "digits", "endpoints", "generation", "llm-core", "long-context", "smollm2-quickstart"}


def test_every_suite_is_listed_with_what_it_shows(capsys: pytest.CaptureFixture[str]) -> None:
    list_suites(as_json=False)
    listed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert set(listed) >= SUITES
    assert all(80 <= len(listed[name]) <= 300 for name in SUITES)


@pytest.mark.parametrize("name", sorted(SUITES))
def test_a_suite_is_valid_offline_and_its_tasks_exist(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Validated, and every task found with its options and bundled files: all that needs no model and no network."""
    validate_suite(name, [], as_json=False)
    assert "valid" in capsys.readouterr().out
    loaded = load_suite(bundled_suites()[name])
    tasks = resolve_tasks(loaded.suite, loaded.directory, [])
    assert len(tasks) >= len(loaded.suite.tasks)
    assert tasks or loaded.suite.measure
    for task in tasks:
        assert all(Path(file).is_file() for file in (task.data or {}).values() if task.use == "lm-eval")


def _rows(task: TaskSpec) -> list[dict[str, object]]:
    files = stock_fields(find_task(task.title))["dataset_kwargs"]["data_files"]
    root = bundled_suites()["bias"].parent.parent
    return [json.loads(line) for line in (root / files["test"]).read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("name", sorted(SUITES - {"digits"}))
def test_fields_that_a_suite_names_are_in_the_bundled_data(name: str) -> None:
    for task in load_suite(bundled_suites()[name]).suite.tasks:
        if task.use != "lm-eval" or not task.title.startswith("distbench_"):
            continue
        for field in [task.options.get("cluster"), *task.options.get("groups", [])]:
            assert field is None or all(row.get(field) for row in _rows(task)), (task.title, field)


def test_the_core_suite_weighs_a_benchmark_once_whatever_its_parts() -> None:
    loaded = load_suite(bundled_suites()["llm-core"])
    tasks = resolve_tasks(loaded.suite, loaded.directory, [])
    weights = {"mmlu": 0.0, "blimp": 0.0}
    for task in tasks:
        family = task.group or task.title.split("_")[0]
        if family in weights:
            weights[family] += task.weight
    assert weights == pytest.approx({"mmlu": 1.0, "blimp": 1.0}, abs=1e-3)
    assert sum(task.group == "mmlu" for task in tasks) == 57


def test_models_of_the_core_suite_are_given_on_the_command_line() -> None:
    given = ["teachers.teacher.source=a/b", "students.student.source=./mine", "tasks.multi-key.lengths=[4096]"]
    suite = load_suite(bundled_suites()["llm-core"], given).suite
    assert (suite.teachers["teacher"].source, suite.students[0].source) == ("a/b", "./mine")
    assert next(task for task in suite.tasks if task.title == "multi-key").options["lengths"] == [4096]


CROWS = next(Path(__file__).parents[2].parent.glob("*/data/crows_pairs/test.jsonl"), None)


@pytest.mark.shareddata
@pytest.mark.skipif(CROWS is None, reason="no benchmark data beside the checkout")
def test_crows_pairs_runs_on_local_data_as_the_bias_suite_says(tiny_lm: Path) -> None:
    assert CROWS is not None
    spec = TaskSpec.model_validate(
        {
            "use": "lm-eval", "name": "crows_pairs_english", "samples": 12, "data": {"test": str(CROWS)},
            "groups": ["bias_type"], "bias": {"metric": "pct_stereotype", "neutral": 0.5},
        }
    )  # fmt: skip
    (resolved,) = LMEvalTask.resolve(spec, Path.cwd())
    outcome = LMEvalTask(resolved).run(HFCausal.open(tiny_lm, CPU), CPU, lambda *_: None)
    primary = next(metric for metric in outcome.metrics if metric.primary)
    assert (primary.name, primary.neutral) == ("pct_stereotype", 0.5)
    rows = [sample for sample in outcome.samples if sample.metric == primary.name]
    assert {sample.score for sample in rows} <= {0.0, 1.0}
    assert len(rows) == 12
    assert all(sample.groups["bias_type"] for sample in rows)
