"""Names: groups and tags stand for their tasks; data paths name tasks and configurations; own folders need trust."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from distbench.errors import RefusedError, RunError, UsageError
from distbench.models.hf_causal import HFCausal
from distbench.plan.tasks import resolve_tasks
from distbench.schema.suite import Suite, TaskSpec
from distbench.tasks.lm_eval import LMEvalTask
from distbench.tasks.lm_eval_index import index_of, members
from tests.command import Done, here
from tests.conftest import CPU
from tests.tasks.harness import lines, quiet, scores, task, task_file


def resolve(name: str, directory: Path, **given: Any) -> list[TaskSpec]:
    return LMEvalTask.resolve(TaskSpec(use="lm-eval", name=name, **given), directory)


# -- groups and tags ---------------------------------------------------------------------------------------------------


def test_groups_and_tags_of_stock_lm_eval() -> None:
    assert members("ai2_arc") == ["arc_challenge", "arc_easy"]
    assert len(members("blimp")) == 67
    assert len(members("mmlu")) == 57
    assert len(members("mmlu_stem")) == 19
    assert {"mmlu_astronomy", "mmlu_world_religions"} < set(members("mmlu"))


def test_stock_lm_eval_expands_to_the_same_tasks() -> None:
    from lm_eval.tasks import TaskManager

    entries = TaskManager().task_index
    for name in ("ai2_arc", "glue", "lambada", "math_word_problems"):
        assert members(name) == sorted(task for task, entry in entries.items() if name in entry.tags)


def test_a_group_shares_its_weight_and_its_tasks_know_it(tmp_path: Path) -> None:
    for paradigm in (name.removeprefix("blimp_") for name in members("blimp")):
        lines(tmp_path / f"blimp_{paradigm}.jsonl", [{"sentence_good": "a", "sentence_bad": "b"}])
    specs = resolve("blimp", tmp_path, data={"train": "{task}.jsonl"}, weight=2.0, samples=5)
    assert len(specs) == 67
    assert {spec.group for spec in specs} == {"blimp"}
    assert sum(spec.weight for spec in specs) == pytest.approx(2.0)
    assert {spec.samples for spec in specs} == {5}
    first = next(spec for spec in specs if spec.name == "blimp_adjunct_island")
    assert first.data == {"train": str(tmp_path / "blimp_adjunct_island.jsonl")}


def test_config_stands_for_the_configuration_of_the_data(tmp_path: Path) -> None:
    for config in ("ARC-Easy", "ARC-Challenge"):
        lines(tmp_path / f"{config}.jsonl", [{"x": 1}])
    specs = resolve("ai2_arc", tmp_path, data={"test": "{config}.jsonl"})
    found = {spec.name: Path(str((spec.data or {})["test"])).name for spec in specs}
    assert found == {"arc_easy": "ARC-Easy.jsonl", "arc_challenge": "ARC-Challenge.jsonl"}
    (tmp_path / "ARC-Easy.jsonl").unlink()
    with pytest.raises(UsageError, match=r"ARC-Easy\.jsonl does not exist"):
        resolve("ai2_arc", tmp_path, data={"test": "{config}.jsonl"})


def test_a_group_that_changes_its_tasks_is_an_error_not_another_task(tmp_path: Path) -> None:
    (tmp_path / "g.yaml").write_text(yaml.safe_dump({"group": "g", "task": [{"task": "t", "num_fewshot": 3}]}))
    (tmp_path / "n.yaml").write_text(
        yaml.safe_dump({"group": "n", "task": [{"group": "inner", "task": ["t", {"task": "t", "num_fewshot": 1}]}]})
    )
    task_file(tmp_path, "t", output_type="multiple_choice")
    for name in ("g", "n"):
        with pytest.raises(UsageError, match="redefines its tasks"):
            members(name, tmp_path)
    with pytest.raises(UsageError, match="redefines its tasks"):
        members("openllm")


def test_nested_groups_tags_and_includes(tmp_path: Path) -> None:
    (tmp_path / "base_yaml").write_text("tag:\n  - 'tagged'\n  - other\noutput_type: multiple_choice\n")
    for name in ("a", "b"):
        (tmp_path / f"{name}.yaml").write_text(f"include: base_yaml\ntask: {name}\n")
    (tmp_path / "c.yaml").write_text("task: c\ntag: [tagged]\n")
    (tmp_path / "outer.yaml").write_text(yaml.safe_dump({"group": "outer", "task": ["inner", "c", {"task": "a"}]}))
    (tmp_path / "inner.yaml").write_text(yaml.safe_dump({"group": "inner", "task": ["tagged"]}))
    assert members("tagged", tmp_path) == ["a", "b", "c"]
    assert members("other", tmp_path) == ["a", "b"]
    assert members("outer", tmp_path) == ["a", "b", "c"]
    with pytest.raises(UsageError, match="unknown lm-eval task 'outr'; nearest: outer"):
        members("outr", tmp_path)


def test_a_group_that_holds_itself_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "loop.yaml").write_text(yaml.safe_dump({"group": "loop", "task": ["loop"]}))
    with pytest.raises(UsageError):
        members("loop", tmp_path)


def suite(*tasks: dict[str, Any]) -> Suite:
    return Suite.model_validate({
        "version": 1, "name": "s", "teachers": {"big": {"use": "hf-causal", "source": "m"}},
        "students": [{"name": "s", "of": "big", "source": "m"}],
        "tasks": [{"use": "lm-eval", **each} for each in tasks],
    })  # fmt: skip


def test_a_task_named_by_itself_and_by_a_group_is_an_error() -> None:
    with pytest.raises(UsageError, match="'arc_easy' is named twice: by 'ai2_arc' and 'itself'"):
        resolve_tasks(suite({"name": "ai2_arc"}, {"name": "arc_easy"}), Path.cwd(), [])


# -- code of others ----------------------------------------------------------------------------------------------------

PAYLOAD = """\
from pathlib import Path
Path(__file__).with_name("RAN").touch()

def target(doc):
    return doc["y"]
"""


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Return a folder whose task runs code as soon as it is loaded."""
    folder = tmp_path / "foreign"
    folder.mkdir()
    (folder / "payload.py").write_text(PAYLOAD)
    task_file(
        folder, "mine", output_type="multiple_choice", test_split="test", doc_to_text="{{q}}",
        doc_to_target="!function payload.target", doc_to_choice="{{c}}", metric_list=[{"metric": "acc"}],
    )  # fmt: skip
    rows = [{"q": f"the doctor {i}", "c": ["was kind", "on the mat"], "y": i % 2} for i in range(6)]
    lines(tmp_path / "data.jsonl", rows)
    return folder


def test_a_folder_of_tasks_needs_to_be_trusted_on_the_command_line(foreign: Path, tmp_path: Path) -> None:
    named = suite({"name": "mine", "include": "foreign", "data": {"test": "data.jsonl"}})
    for trusted in ([], [tmp_path], [foreign / ".." / "other"]):
        with pytest.raises(RefusedError, match=f"allow it with --trust-task-code {foreign}"):
            resolve_tasks(named, tmp_path, trusted)
    (spec,) = resolve_tasks(named, tmp_path, [tmp_path / "x" / ".." / "foreign"])
    assert spec.options["include"] == str(foreign)
    assert not (foreign / "RAN").exists()


def test_code_decides_the_identity(foreign: Path, tmp_path: Path) -> None:
    (spec,) = resolve("mine", tmp_path, include="foreign", data={"test": "data.jsonl"})
    before = LMEvalTask.identity(spec)
    (foreign / "payload.py").write_text(PAYLOAD + "\n")
    assert LMEvalTask.identity(spec) != before
    assert str(tmp_path) not in str(before)
    assert not (foreign / "RAN").exists()


SUITE = """\
version: 1
name: own-tasks
device: cpu
teachers:
  big: {use: hf-causal, source: MODEL}
students:
  - {name: drop, of: big, init: {use: layer-drop, keep: 2}}
tasks:
  - {use: lm-eval, name: mine, include: foreign, data: {test: data.jsonl}}
"""


def test_from_the_command_line_refused_with_6_and_accepted_with_the_flag(
    foreign: Path, tmp_path: Path, tiny_lm: Path
) -> None:
    (tmp_path / "suite.yaml").write_text(SUITE.replace("MODEL", str(tiny_lm)))

    def run(*more: str) -> Done:
        return here(tmp_path, "run", "suite.yaml", "--out", "run", *more)

    before = sorted(path.name for path in tmp_path.iterdir())
    refused = run()
    assert refused.returncode == 6, refused.stderr
    assert f"--trust-task-code {foreign}" in refused.stderr
    assert len(refused.stderr.strip().splitlines()) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert not (foreign / "RAN").exists()
    accepted = run("--trust-task-code", "foreign")
    assert accepted.returncode == 0, accepted.stderr
    assert (foreign / "RAN").exists()


def test_a_trusted_task_runs(foreign: Path, tmp_path: Path, tiny_lm: Path) -> None:
    (spec,) = resolve("mine", tmp_path, include="foreign", data={"test": "data.jsonl"})
    outcome = LMEvalTask(spec).run(HFCausal.open(tiny_lm, CPU), CPU, quiet)
    assert len(scores(outcome)) == 6


def test_a_folder_that_is_none_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a folder"):
        resolve("mine", tmp_path, include="nowhere")


@pytest.mark.parametrize("name", ["humaneval", "mbpp"])
def test_tasks_that_execute_what_the_model_writes_are_refused_before_anything_is_loaded(
    name: str, tmp_path: Path
) -> None:
    with pytest.raises(RefusedError, match="executes code that the model writes"):
        resolve(name, tmp_path)


def test_a_loaded_task_that_says_so_is_refused_too(
    tmp_path: Path, tiny_lm: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lm_eval.api.task import ConfigurableTask

    monkeypatch.setattr(ConfigurableTask, "UNSAFE_CODE", True, raising=False)
    with pytest.raises(RefusedError, match="executes code"):
        task("distbench_facts").run(HFCausal.open(tiny_lm, CPU), CPU, quiet)


# -- data that cannot be loaded ----------------------------------------------------------------------------------------


def test_a_loading_script_is_named_as_the_reason(tmp_path: Path, tiny_lm: Path) -> None:
    """The datasets library no longer runs them; dozens of stock tasks still name one."""
    scripted = tmp_path / "scripted"
    scripted.mkdir()
    (scripted / "scripted.py").write_text("raise SystemExit('ran')\n")
    folder = tmp_path / "tasks"
    folder.mkdir()
    task_file(
        folder, "old", dataset_path=str(scripted), output_type="multiple_choice", test_split="test", doc_to_text="q",
        doc_to_target=0, doc_to_choice=["a", "b"], metric_list=[{"metric": "acc"}],
    )  # fmt: skip
    with pytest.raises(RunError, match=r"is a loading script, which datasets 4 no longer runs; map it to a local file"):
        task("old", include=str(folder)).run(HFCausal.open(tiny_lm, CPU), CPU, quiet)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"q": 1}\n{"q": \n', "cannot be loaded .JSON parse error"),
        ("", "cannot be loaded|0 documents"),
        ("[]\n", "cannot be loaded"),
    ],
)
def test_damaged_data_are_an_error_with_the_tasks_name(tmp_path: Path, tiny_lm: Path, text: str, match: str) -> None:
    """After the plan has seen them whole: a file can change until a cell reads it."""
    path = tmp_path / "d.jsonl"
    path.write_text(text)
    spec = TaskSpec(use="lm-eval", name="piqa", data={"validation": str(path)})
    with pytest.raises(RunError, match=f"task 'piqa': .*({match})"):
        LMEvalTask(spec).run(HFCausal.open(tiny_lm, CPU), CPU, quiet)


@pytest.mark.parametrize(
    ("data", "match"),
    [
        ({"validation": "x.csv"}, "x.csv is not JSON Lines"),
        ({"validation": ["x.jsonl"]}, "must be the path of a local file"),
        ({"validation": "https://example.org/x.jsonl"}, "does not exist"),
    ],
)
def test_data_must_be_local_json_lines(tmp_path: Path, data: dict[str, Any], match: str) -> None:
    (tmp_path / "x.csv").touch()
    with pytest.raises(UsageError, match=match):
        resolve("piqa", tmp_path, data=data)


def test_the_index_reads_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of stock files name Python functions; looking a name up imports none of them, nor lm-eval."""
    code = (
        "import sys; from distbench.tasks.lm_eval_index import members; members('mmlu'); "
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'lm_eval', 'torch', 'datasets', 'transformers'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert len(index_of().tasks) > 5000
