"""Chat templates: off, the teacher's for both, or each model's own; what was applied is in the record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from distbench.errors import RunError, UsageError
from distbench.hashing import text_digest
from distbench.models.hf_causal import HFCausal
from distbench.plan.expand import expand
from distbench.schema.cell import EvaluateCell, ModelRef
from distbench.schema.suite import Suite, TaskSpec
from distbench.tasks.chat import chat_template
from distbench.tasks.lm_eval import LMEvalTask
from tests.conftest import CPU, save_tiny_lm
from tests.tasks.harness import lines, quiet, scores, stock, stock_scores, task, task_file

ASK = "{% if add_generation_prompt %}<assistant>{% endif %}"
ONE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}" + ASK
TWO = ONE.replace("<", "[").replace(">", "]")
TWO = TWO.replace("[{{ m.role }}]", "[{{ m.role }}]{{ bos_token }}")


def ref(folder: Path | None, name: str = "big") -> ModelRef:
    return ModelRef(use="hf-causal", role="teacher", identity="i", path=str(folder) if folder else None, name=name)


@pytest.fixture
def asked(tmp_path: Path) -> dict[str, Any]:
    folder = tmp_path / "tasks"
    folder.mkdir()
    task_file(
        folder, "small", output_type="multiple_choice", training_split="train", test_split="test",
        fewshot_split="train", doc_to_text="{{q}}", doc_to_target="{{y}}", doc_to_choice="{{c}}",
        metric_list=[{"metric": "acc"}],
    )  # fmt: skip
    rows = [{"q": f"the doctor {i}", "c": ["was kind", "on the mat", f"very {i}"], "y": i % 3} for i in range(12)]
    data = {"test": lines(tmp_path / "d.jsonl", rows), "train": lines(tmp_path / "t.jsonl", rows[::-1])}
    return {"include": str(folder), "data": data}


def with_template(folder: Path, template: str | None) -> HFCausal:
    model = HFCausal.open(folder, CPU)
    model.tokenizer.chat_template = template
    return model


def bound(folder: Path, **given: Any) -> LMEvalTask:
    """Return the task as the planner hands it out: with the teacher's template in it."""
    spec = LMEvalTask.resolve(TaskSpec(use="lm-eval", name="small", **given), Path.cwd())[0]
    return LMEvalTask(LMEvalTask.bind(spec, ref(folder)))


@pytest.fixture
def teacher(tmp_path: Path) -> Path:
    folder = save_tiny_lm(tmp_path / "teacher")
    (folder / "chat_template.jinja").write_text(ONE)
    return folder


def test_off_applies_nothing(tiny_lm: Path, asked: dict[str, Any]) -> None:
    outcome = task("small", **asked).run(with_template(tiny_lm, ONE), CPU, quiet)
    assert outcome.chat_template is None
    assert {sample.prompt for sample in outcome.samples} == {f"the doctor {i}" for i in range(12)}


@pytest.mark.parametrize("shots", [0, 2])
def test_own_is_what_stock_code_does_with_apply_chat_template(tiny_lm: Path, asked: dict[str, Any], shots: int) -> None:
    model = with_template(tiny_lm, ONE)
    given = {"chat_template": "own", "system_instruction": "Be brief.", "num_fewshot": shots}
    outcome = task("small", **asked, **given).run(model, CPU, quiet)
    rows = stock(
        model, "small", asked["data"], list(range(12)), Path(asked["include"]), num_fewshot=shots,
        apply_chat_template=True, fewshot_as_multiturn=True, system_instruction="Be brief.",
    )  # fmt: skip
    assert scores(outcome) == stock_scores(rows, {"acc"})
    prompts = {int(s.sample_id.split("-")[0]): s.prompt for s in outcome.samples}
    assert prompts == {row["doc_id"]: row["arguments"][0][0] for row in rows}
    assert all(prompt.startswith("<system>Be brief.<user>") for prompt in prompts.values())
    assert outcome.chat_template == text_digest([ONE])[:16]


def test_the_teachers_template_reaches_a_student_that_has_another(
    teacher: Path, tiny_lm: Path, asked: dict[str, Any]
) -> None:
    given = {"chat_template": "teacher", **asked}
    both = [bound(teacher, **given).run(with_template(tiny_lm, own), CPU, quiet) for own in (ONE, TWO)]
    both.append(bound(teacher, **given).run(with_template(tiny_lm, None), CPU, quiet))
    assert {outcome.prompt_digest for outcome in both} == {both[0].prompt_digest}
    assert {outcome.chat_template for outcome in both} == {text_digest([ONE])[:16]}
    assert all(sample.prompt.startswith("<user>the doctor") for outcome in both for sample in outcome.samples)
    assert {s.sample_id for s in both[0].samples} == {s.sample_id for s in both[1].samples}


def test_own_templates_pair_although_the_prompts_differ(tiny_lm: Path, asked: dict[str, Any]) -> None:
    one, two = (
        task("small", **asked, chat_template="own").run(with_template(tiny_lm, each), CPU, quiet) for each in (ONE, TWO)
    )
    assert {s.prompt for s in one.samples}.isdisjoint({s.prompt for s in two.samples})
    assert [s.sample_id for s in one.samples] == [s.sample_id for s in two.samples]
    assert one.prompt_digest == two.prompt_digest
    assert one.chat_template != two.chat_template
    assert {s.prompt[:10] for s in two.samples} == {"[user]<|en"}


def test_a_missing_template_is_an_error_and_never_left_out(tiny_lm: Path, asked: dict[str, Any]) -> None:
    with pytest.raises(RunError, match="the tokenizer has none"):
        task("small", **asked, chat_template="own").run(with_template(tiny_lm, None), CPU, quiet)
    with pytest.raises(RunError, match="nobody has said what the teacher's is"):
        task("small", **asked, chat_template="teacher").run(with_template(tiny_lm, ONE), CPU, quiet)


def test_a_teachers_template_is_read_from_its_files(tmp_path: Path, teacher: Path) -> None:
    assert chat_template(ref(teacher)) == ONE
    (teacher / "chat_template.jinja").unlink()
    with pytest.raises(UsageError, match="has no chat template"):
        chat_template(ref(teacher))
    config = teacher / "tokenizer_config.json"
    fields = json.loads(config.read_text())
    config.write_text(json.dumps(fields | {"chat_template": TWO}))
    assert chat_template(ref(teacher)) == TWO
    named = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": ONE}]
    config.write_text(json.dumps(fields | {"chat_template": named}))
    assert chat_template(ref(teacher)) == ONE
    with pytest.raises(UsageError, match="as a folder with a tokenizer"):
        chat_template(ref(None))


def test_the_planner_writes_the_teachers_template_into_every_cell(
    teacher: Path, tiny_lm: Path, asked: dict[str, Any]
) -> None:
    suite = Suite.model_validate({
        "version": 1, "name": "s", "device": "cpu",
        "teachers": {"big": {"use": "hf-causal", "source": str(teacher)}},
        "students": [{"name": "small", "of": "big", "use": "hf-causal", "source": str(tiny_lm)}],
        "tasks": [{"use": "lm-eval", "name": "small", "chat_template": "teacher", **asked}],
    })  # fmt: skip
    plan = expand(suite, Path.cwd(), trusted=[Path(asked["include"])])
    cells = [cell for cell in plan.cells if isinstance(cell, EvaluateCell)]
    assert {cell.task.options["template"] for cell in cells} == {ONE}
    (teacher / "chat_template.jinja").write_text(TWO)
    after = expand(suite, Path.cwd(), trusted=[Path(asked["include"])])
    assert {cell.id for cell in cells}.isdisjoint({cell.id for cell in after.cells})
