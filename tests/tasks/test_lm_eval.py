"""lm-eval as a task: stock decisions, seeded draws, local data, errors that stay errors."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from distbench.errors import RunError, UsageError
from distbench.models.hf_causal import HFCausal
from distbench.schema.suite import TaskSpec
from distbench.tasks.drawing import draw
from distbench.tasks.lm_eval import LMEvalTask
from distbench.tasks.lm_eval_index import find_task, stock_fields
from distbench.tasks.lm_eval_samples import Fields, rows_of
from tests.conftest import CPU
from tests.scripts import script
from tests.tasks.harness import quiet, task

ROOT = Path(__file__).parents[2]
DATA = next(ROOT.parent.glob("*/data/blimp/adjunct_island.jsonl"), None)


def test_a_draw_is_seeded_sorted_and_the_same_in_every_process() -> None:
    import subprocess

    chosen = draw(192, 10, 0, "distbench_facts").indices
    assert chosen == sorted(set(chosen))
    assert len(chosen) == 10
    assert chosen != list(range(10))
    code = "from distbench.tasks.drawing import draw\nprint(draw(192, 10, 0, 'distbench_facts').indices)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == chosen
    assert draw(192, 10, 1, "distbench_facts").indices != chosen
    assert draw(192, 10, 0, "another").indices != chosen
    assert draw(192, "all", 0, "distbench_facts").indices == list(range(192))
    assert draw(192, 500, 0, "distbench_facts").indices == list(range(192))


def test_local_data_runs_the_stock_task_with_stock_decisions(tiny_lm: Path, tmp_path: Path) -> None:
    rows = [
        {"goal": f"How to open jar {i}?", "sol1": "Turn the lid.", "sol2": f"Eat the lid {i} times.", "label": i % 2}
        for i in range(30)
    ]
    data = tmp_path / "piqa.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = HFCausal.open(tiny_lm, CPU)
    piqa = task("piqa", samples=12, data={"validation": str(data)})
    outcome = piqa.run(model, CPU, quiet)
    assert [m.name for m in outcome.metrics if m.primary] == ["acc_norm"]
    assert {m.baseline for m in outcome.metrics} == {0.5}
    ours: dict[int, dict[str, Any]] = {}
    for s in outcome.samples:
        ours.setdefault(int(s.sample_id.split("-")[0]), {})[s.metric] = s.score
    stock = script("check_stock_lm_eval").stock_scores(model, "piqa", {"validation": str(data)}, sorted(ours))
    assert ours == stock


def test_the_data_decides_the_identity(tmp_path: Path) -> None:
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    one.write_text("{}\n")
    two.write_text("{ }\n")
    specs = [TaskSpec(use="lm-eval", name="piqa", data={"validation": str(path)}) for path in (one, two)]
    assert LMEvalTask.identity(specs[0]) != LMEvalTask.identity(specs[1])
    assert str(tmp_path) not in json.dumps(LMEvalTask.identity(specs[0]))


def test_data_that_are_empty_by_the_time_they_are_read_are_an_error_not_a_score(tiny_lm: Path, tmp_path: Path) -> None:
    data = tmp_path / "empty.jsonl"
    data.touch()
    spec = TaskSpec(use="lm-eval", name="piqa", data={"validation": str(data)})
    with pytest.raises(RunError, match=r"0 documents|cannot be loaded"):
        LMEvalTask(spec).run(HFCausal.open(tiny_lm, CPU), CPU, quiet)


def test_a_hub_task_offline_names_the_way_out(tiny_lm: Path) -> None:
    with pytest.raises(RunError, match=r"data: \{split: file.jsonl\}"):
        task("piqa").run(HFCausal.open(tiny_lm, CPU), CPU, quiet)


def test_the_nearest_names_are_offered() -> None:
    with pytest.raises(UsageError, match="hellaswag"):
        find_task("helaswag")


def test_stock_fields_follow_includes_and_call_nothing() -> None:
    fields = stock_fields(find_task("blimp_adjunct_island"))
    assert (fields["dataset_name"], fields["validation_split"]) == ("adjunct_island", "train")
    assert stock_fields(find_task("hellaswag"))["process_docs"] is None


def logged(doc_id: int, logps: list[float], **given: Any) -> dict[str, Any]:
    """One row as lm-eval logs it for a multiple-choice document whose answer is the first choice."""
    return {
        "doc_id": doc_id, "doc": {"cluster": "c"}, "target": 0, "filter": "none", "metrics": ["acc"], "acc": 1.0,
        "arguments": [("stem", f" choice {i}") for i in range(len(logps))],
        "filtered_resps": [(x, False) for x in logps], "resps": [[(x, False)] for x in logps],
        "doc_hash": "d", "prompt_hash": "p", "target_hash": "t",
    } | given  # fmt: skip


CHOICE = SimpleNamespace(OUTPUT_TYPE="multiple_choice")


def test_rows_carry_answer_label_confidence_and_chance() -> None:
    fields = Fields(cluster="cluster")
    samples, metrics = rows_of("t", [logged(0, [-1.0, -2.0, -3.0, -4.0])], {"acc": True}, CHOICE, None, fields)
    assert samples[0].prediction == samples[0].label == " choice 0"
    assert samples[0].confidence == pytest.approx(1 / sum(math.exp(-k) for k in range(4)))
    assert samples[0].cluster == "c"
    assert (metrics[0].kind, metrics[0].baseline, metrics[0].primary) == ("binary", 0.25, True)


def test_a_nan_is_an_error_although_argmax_would_call_it_right() -> None:
    samples, _ = rows_of("t", [logged(0, [math.nan, math.nan])], {"acc": True}, CHOICE)
    assert (samples[0].score, samples[0].status) == (None, "error")


def test_bits_per_byte_is_a_ratio_of_sums_and_perplexities_are_left_out() -> None:
    rows = [
        logged(i, [-1.0], metrics=["bits_per_byte", "word_perplexity"], bits_per_byte=(-20.0 * math.log(2), 10),
               word_perplexity=(-13.0, 4), arguments=[("text",)], target="x")
        for i in range(2)
    ]  # fmt: skip
    samples, metrics = rows_of("t", rows, {"bits_per_byte": False}, SimpleNamespace(OUTPUT_TYPE="rolling"))
    assert [m.name for m in metrics] == ["bits_per_byte"]
    assert (metrics[0].kind, metrics[0].higher_is_better) == ("ratio_of_sums", False)
    assert (samples[0].numerator, samples[0].denominator) == (pytest.approx(20.0), 10.0)


def test_an_unknown_metric_is_named() -> None:
    with pytest.raises(RunError, match="has no metric 'f1'; it has acc"):
        rows_of("t", [logged(0, [-1.0, -2.0])], {"acc": True}, CHOICE, "f1")


@pytest.mark.shareddata
@pytest.mark.skipif(DATA is None, reason="no benchmark data beside the checkout")
def test_stock_decisions_on_real_benchmark_data(tiny_lm: Path) -> None:
    assert DATA is not None
    stock = script("check_stock_lm_eval")
    model, folder = HFCausal.open(tiny_lm, CPU), DATA.parent.parent
    found = stock.tasks_in(folder)
    for name in ("blimp_adjunct_island", "blimp_anaphor_gender_agreement", "piqa", "crows_pairs_english", "gsm8k"):
        assert stock.compare(model, name, found[name], 3 if name == "gsm8k" else 25) == 0
