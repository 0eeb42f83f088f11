"""Output that lm-eval itself wrote, for random models: imported scores are the ones of `distbench run`."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from distbench.models.hf_causal import HFCausal
from distbench.schema.suite import TaskSpec
from distbench.store.run_dir import RunDir
from distbench.store.samples import read_samples
from distbench.tasks.lm_eval import LMEvalTask
from tests.command import here
from tests.conftest import CPU
from tests.importers.logs import choices, results_of, text_rows

DOCUMENTS = [
    {"goal": f"How to open jar {i}?", "sol1": "Turn the lid.", "sol2": f"Eat the lid {i} times.", "label": i % 2}
    for i in range(24)
]
SUMS = [{"question": f"{i} + 1?", "answer": f"#### {i + 1}"} for i in range(6)]


def lm_eval(model: Path, folder: Path, out: Path) -> None:
    """Evaluate as the lm_eval command does, and write as it writes; its index of all stock tasks is left out."""
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.loggers import EvaluationTracker
    from lm_eval.tasks import TaskManager

    tracker = EvaluationTracker(output_path=str(out))
    outcome: Any = simple_evaluate(
        model="hf",
        model_args={"pretrained": str(model), "dtype": "float32"},
        tasks=["piqa", "gsm8k"],
        task_manager=TaskManager(include_path=str(folder), include_defaults=False),
        batch_size=8,
        num_fewshot=0,
        gen_kwargs="max_gen_toks=4",
        device="cpu",
        evaluation_tracker=tracker,
        log_samples=True,
    )
    samples = outcome.pop("samples")
    tracker.save_results_aggregated(results=outcome, samples=samples)
    for name in outcome["configs"]:
        tracker.save_results_samples(task_name=name, samples=samples[name])


@pytest.fixture(scope="module")
def outputs(tiny_lm: Path, other_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """The data file, and the output folders of a teacher and a student."""
    folder = tmp_path_factory.mktemp("lm-eval")
    spec = find_spec("lm_eval")
    assert spec is not None
    stock = Path(next(iter(spec.submodule_search_locations or []))) / "tasks"
    for name, split, rows in (("piqa", "validation", DOCUMENTS), ("gsm8k", "test", SUMS)):
        data = folder / f"{name}.jsonl"
        data.write_text("".join(json.dumps(row) + "\n" for row in rows))
        task = {
            "include": str(stock / name / f"{name}.yaml"), "task": name, "dataset_path": "json", "dataset_name": None,
            "training_split": None, "test_split": None, "fewshot_split": None,
            "dataset_kwargs": {"data_files": {split: str(data)}}, f"{split}_split": split,
        }  # fmt: skip
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(task))
    for name, model in (("t", tiny_lm), ("s", other_lm)):
        lm_eval(model, folder, folder / name)
    return folder / "piqa.jsonl", folder / "t", folder / "s"


def imported(outputs: tuple[Path, Path, Path], out: Path) -> RunDir:
    sides = (str(outputs[1]), str(outputs[2]))
    done = here(out.parent, "import", "lm-eval", *sides, "--out", str(out), "--json", check=0)
    rows = json.loads(done.stdout)["imported"]
    assert {(r["task"], r["samples"]) for r in rows} == {("piqa", 24), ("gsm8k", 6)}
    return RunDir.existing(out)


def test_imported_scores_are_those_of_our_own_run(
    outputs: tuple[Path, Path, Path], tiny_lm: Path, tmp_path: Path
) -> None:
    run = imported(outputs, tmp_path / "run")
    cell = next(c for c in run.manifest().cells if c.title.endswith("on piqa"))
    rows = read_samples(run.cells / cell.id / "samples.parquet").to_pylist()
    spec = TaskSpec(use="lm-eval", name="piqa", data={"validation": str(outputs[0])})
    (resolved,) = LMEvalTask.resolve(spec, tmp_path)
    ours = LMEvalTask(resolved).run(HFCausal.open(tiny_lm, CPU), CPU, lambda *_: None)

    def told(prompt: str, metric: str, score: Any, prediction: str, label: str, confidence: Any) -> tuple[Any, ...]:
        return prompt, metric, score, prediction, label, round(confidence, 4)

    names = ("prompt", "metric", "score", "prediction", "label", "confidence")
    theirs = [told(*(row[name] for name in names)) for row in rows]
    assert theirs == [told(*(getattr(sample, name) for name in names)) for sample in ours.samples]
    assert {row["status"] for row in rows} == {"ok"}
    result = run.record(cell.id).result
    assert result.kind == "evaluate"
    assert [(m.name, m.primary, m.kind, m.baseline) for m in result.metrics] == [
        (m.name, m.primary, m.kind, m.baseline) for m in ours.metrics
    ]
    assert result.task_version == ours.version


def test_the_record_tells_the_evaluation(outputs: tuple[Path, Path, Path], tiny_lm: Path, tmp_path: Path) -> None:
    run = imported(outputs, tmp_path / "run")
    record = run.record(next(c.id for c in run.manifest().cells if c.title.endswith("on gsm8k")))
    assert record.imported is not None
    assert record.imported.model_name == str(tiny_lm)
    assert record.imported.num_fewshot == 0
    assert record.imported.gen_kwargs == {"max_gen_toks": 4}
    assert record.packages["lm-eval"] == record.imported.tool_version
    assert record.result.kind == "evaluate"
    assert [m.name for m in record.result.metrics] == ["exact_match,strict-match", "exact_match,flexible-extract"]
    assert record.result.footprint.params_unique


@pytest.mark.parametrize(("command", "code"), [("compare", 0), ("gate", 3), ("report", 0)])
def test_every_reader_takes_the_run(outputs: tuple[Path, Path, Path], tmp_path: Path, command: str, code: int) -> None:
    run = imported(outputs, tmp_path / "run")
    here(tmp_path, command, str(run.path), check=code)
    if command == "report":
        assert "imported" in (run.path / "report.html").read_text(encoding="utf-8")


def test_it_is_never_resumed(outputs: tuple[Path, Path, Path], tiny_lm: Path, other_lm: Path, tmp_path: Path) -> None:
    run = imported(outputs, tmp_path / "run")
    before = sorted(run.path.rglob("*"))
    models = ("--teacher", str(tiny_lm), "--student", str(other_lm))
    done = here(tmp_path, "run", *models, "--task", "piqa", "--out", str(run.path), check=2)
    assert "was imported from lm-eval output and cannot be run" in done.stderr
    assert [p for p in sorted(run.path.rglob("*")) if not p.name.startswith((".lock", ".claims"))] == before


def test_the_logs_that_other_tests_write_have_the_real_form(outputs: tuple[Path, Path, Path]) -> None:
    for task, fake in (("piqa", choices(1)), ("gsm8k", text_rows(0, right=True))):
        real = json.loads(next(outputs[1].rglob(f"samples_{task}_*")).read_text().splitlines()[0])
        assert set(fake[0]) == set(real)
        for name in ("resps", "filtered_resps", "arguments", "target", "metrics"):
            assert shape(fake[0][name]) == shape(real[name]), name
    results = json.loads(next(outputs[1].rglob("results_*")).read_text())
    ours = results_of("m", {"piqa": choices(1)})
    assert set(ours) <= set(results)
    assert set(ours["results"]["piqa"]) <= set(results["results"]["piqa"])
    assert set(ours["config"]) <= set(results["config"])


def shape(value: Any) -> Any:
    """The types of a value; lists and mappings by their first entry."""
    if isinstance(value, dict):
        return {key: shape(each) for key, each in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else type(value).__name__
