"""Every kind of lm-eval task on local data, next to stock `simple_evaluate`: the same decision on every document."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from distbench.errors import RunError
from distbench.models.hf_causal import HFCausal
from tests.conftest import CPU
from tests.tasks.harness import lines, quiet, scores, stock, stock_scores, task, task_file

WORDS = ["the", "doctor", "with", "a", "very", "kind", "patient", "was", "on", "the", "mat", "and", "cats", "were"]


def words(seed: int, count: int) -> str:
    return " ".join(WORDS[(seed * 7 + i * i * 3 + i * seed) % len(WORDS)] for i in range(count))


def arc(i: int) -> dict[str, Any]:
    texts = [words(i + k, 2 + k) for k in range(4)]
    return {"id": f"q{i}", "question": words(i, 9), "choices": {"text": texts, "label": list("ABCD")},
            "answerKey": "ABCD"[i % 4]}  # fmt: skip


def hellaswag(i: int) -> dict[str, Any]:
    endings = [words(i + k, 6 + k) + " [step]." for k in range(4)]
    return {"ctx_a": words(i, 12), "ctx_b": words(i, 3), "activity_label": "Cooking", "endings": endings,
            "label": str(i % 4)}  # fmt: skip


# what stock code expects of a document, and under which split
DOCUMENTS: dict[str, tuple[str, Any]] = {
    "piqa": (
        "validation",
        lambda i: {"goal": words(i, 6), "sol1": words(i, 4), "sol2": words(i + 5, 5), "label": i % 2},
    ),
    "arc_easy": ("test", arc),
    "hellaswag": ("validation", hellaswag),
    "winogrande": (
        "validation",
        lambda i: {"sentence": f"{words(i, 5)} _ {words(i + 3, 4)}", "option1": words(i, 1), "option2": words(i + 1, 2),
                   "answer": "12"[i % 2]},
    ),
    "mrpc": ("validation", lambda i: {"sentence1": words(i, 6), "sentence2": words(i + 1, 6), "label": i % 2}),
    "blimp_adjunct_island": ("train", lambda i: {"sentence_good": words(i, 6), "sentence_bad": words(i + 2, 6)}),
    "lambada_openai": ("test", lambda i: {"text": words(i, 20)}),
    "wikitext": ("test", lambda i: {"page": " = Title = \n " + words(i, 30 + 150 * (i % 3))}),
}  # fmt: skip


def data_of(name: str, tmp_path: Path, count: int = 12) -> dict[str, str]:
    split, document = DOCUMENTS[name]
    return {split: lines(tmp_path / f"{name}.jsonl", (document(i) for i in range(count)))}


@pytest.fixture(scope="module")
def model(tiny_lm: Path) -> HFCausal:
    return HFCausal.open(tiny_lm, CPU)


@pytest.mark.parametrize("scorer", ["shared-prefix", "hf"])
@pytest.mark.parametrize("name", DOCUMENTS)
def test_stock_tasks_decide_as_stock_code_does(model: HFCausal, tmp_path: Path, name: str, scorer: str) -> None:
    data = data_of(name, tmp_path)
    outcome = task(name, data=data, samples=9, scorer=scorer).run(model, CPU, quiet)
    ours = scores(outcome)
    assert len(ours) == 9
    rows = stock(model, name, data, sorted(ours))
    want = stock_scores(rows, {metric.name for metric in outcome.metrics})
    if name == "wikitext":
        for doc, row in want.items():
            nats, size = row["bits_per_byte"]
            bits, bytes_ = ours[doc]["bits_per_byte"]
            assert (bits, bytes_) == (pytest.approx(-nats / math.log(2), rel=1e-6), size)
    else:
        assert ours == want
    assert outcome.scorer is not None
    assert outcome.scorer.name == scorer
    assert all(sample.status == "ok" for sample in outcome.samples)


METRICS = {
    "piqa": {"acc": 0.5, "acc_norm": 0.5},
    "arc_easy": {"acc": 0.25, "acc_norm": 0.25},
    "winogrande": {"acc": 0.5},
    "mrpc": {"acc": 0.5},
    "lambada_openai": {"acc": 0.0},
    "wikitext": {"bits_per_byte": 0.0},
}


@pytest.mark.parametrize("name", METRICS)
def test_metrics_are_those_that_a_document_has_with_their_chance(model: HFCausal, tmp_path: Path, name: str) -> None:
    """MRPC's F1 is no property of a document; Winogrande scores one text after two, and chance is a half."""
    outcome = task(name, data=data_of(name, tmp_path)).run(model, CPU, quiet)
    assert {metric.name: metric.baseline for metric in outcome.metrics} == METRICS[name]
    kinds = {metric.name: (metric.kind, metric.higher_is_better) for metric in outcome.metrics}
    if name == "wikitext":
        assert kinds == {"bits_per_byte": ("ratio_of_sums", False)}
    else:
        assert set(kinds.values()) == {("binary", True)}


def test_winogrande_answers_are_told_apart(model: HFCausal, tmp_path: Path) -> None:
    data = data_of("winogrande", tmp_path)
    outcome = task("winogrande", data=data).run(model, CPU, quiet)
    rows = {row["doc_id"]: row for row in stock(model, "winogrande", data, list(range(12)))}
    for sample in outcome.samples:
        row = rows[int(sample.sample_id.split("-")[0])]
        logps = [answer[0] for answer in row["filtered_resps"]]
        contexts = [context for context, _ in row["arguments"]]
        assert sample.prediction == contexts[logps.index(max(logps))]
        gold = {"1": 0, "2": 1}[row["doc"]["answer"]]
        weight = [math.exp(each - max(logps)) for each in logps]
        assert sample.label_probability == pytest.approx(weight[gold] / sum(weight), abs=1e-4)
        assert sample.loglikelihood == pytest.approx(logps[gold], abs=1e-4)


def test_a_task_with_a_corpus_metric_alone_cannot_be_compared(model: HFCausal, tmp_path: Path) -> None:
    data = {"validation": lines(tmp_path / "c.jsonl", ({"sentence": words(i, 5), "label": i % 2} for i in range(4)))}
    with pytest.raises(RunError, match="no per-document metric"):
        task("cola", data=data).run(model, CPU, quiet)


def test_mutual_information_is_decided_as_stock_does(model: HFCausal, tmp_path: Path) -> None:
    folder = tmp_path / "tasks"
    folder.mkdir()
    task_file(
        folder, "mutual", output_type="multiple_choice", test_split="test", doc_to_text="{{q}}", doc_to_target="{{y}}",
        doc_to_choice="{{c}}", metric_list=[{"metric": "acc"}, {"metric": "acc_mutual_info"}],
    )  # fmt: skip
    rows = [{"q": words(i, 6), "c": [words(i, 2), words(i + 4, 3), words(i + 9, 1)], "y": i % 3} for i in range(10)]
    data = {"test": lines(tmp_path / "m.jsonl", rows)}
    outcome = task("mutual", include=str(folder), data=data).run(model, CPU, quiet)
    want = stock_scores(stock(model, "mutual", data, list(range(10)), folder), {"acc", "acc_mutual_info"})
    assert scores(outcome) == want
    for sample in outcome.samples:
        row = rows[int(sample.sample_id.split("-")[0])]
        assert sample.prediction.strip() in row["c"]
        assert sample.label.strip() == row["c"][row["y"]]
        assert 0 < (sample.confidence or 0) < 1
    assert [m.baseline for m in outcome.metrics if m.name == "acc"] == [pytest.approx(1 / 3)]


# -- generation --------------------------------------------------------------------------------------------------------


def sums(i: int) -> dict[str, Any]:
    return {"question": f"{words(i, 5)} {i} and {i + 1}?", "answer": f"{words(i, 3)}\n#### {2 * i + 1}"}


def test_generation_with_two_filters_is_filtered_as_stock_does(
    model: HFCausal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A random model writes no numbers: what it writes is replaced, the same for both, some of it right."""
    from lm_eval.models.huggingface import HFLM

    def written(self: Any, requests: Any, disable_tqdm: bool = False) -> list[str]:
        return [answer(int(request.args[0].rsplit(" and ", 1)[1].split("?")[0])) for request in requests]

    def answer(after: int) -> str:
        right = 2 * after - 1
        return [f"so it is {right}\n#### {right}", f"#### 5 or {right}", f"{right}", "none", "$1,001."][after % 5]

    data = {split: lines(tmp_path / f"{split}.jsonl", map(sums, range(9))) for split in ("train", "test")}
    monkeypatch.setattr(HFLM, "generate_until", written)
    outcome = task("gsm8k", data=data, num_fewshot=2).run(model, CPU, quiet)
    names = ["exact_match,strict-match", "exact_match,flexible-extract"]
    assert [metric.name for metric in outcome.metrics] == names
    assert [metric.primary for metric in outcome.metrics] == [True, False]
    want = stock_scores(stock(model, "gsm8k", data, list(range(9)), num_fewshot=2), set(names))
    assert scores(outcome) == want
    assert {score for row in want.values() for score in row.values()} == {0.0, 1.0}
    assert outcome.scorer is None
    strict, flexible = ({s.prediction for s in outcome.samples if s.metric == name} for name in names)
    assert "[invalid]" in strict & flexible
    assert "$1,001." in flexible - strict


def test_generated_text_is_the_models_own(model: HFCausal, tmp_path: Path) -> None:
    folder = tmp_path / "tasks"
    folder.mkdir()
    task_file(
        folder, "write", output_type="generate_until", test_split="test", doc_to_text="{{question}}",
        doc_to_target="{{answer}}", metric_list=[{"metric": "exact_match"}],
        generation_kwargs={"until": ["\n"], "max_gen_toks": 6, "do_sample": False},
    )  # fmt: skip
    data = {"test": lines(tmp_path / "w.jsonl", map(sums, range(7)))}
    heard: list[tuple[int, int]] = []
    outcome = task("write", include=str(folder), data=data, batch_size=2).run(
        model, CPU, lambda done, total, _: heard.append((done, total))
    )
    rows = stock(model, "write", data, list(range(7)), folder)
    written = {row["doc_id"]: row["filtered_resps"][0] for row in rows}
    assert {int(s.sample_id.split("-")[0]): s.prediction for s in outcome.samples} == written
    assert any(written.values())
    assert heard[-1] == (7, 7)
    assert [done for done, _ in heard] == sorted(done for done, _ in heard)


# -- few-shot ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sampler", ["default", "first_n"])
def test_few_shot_examples_are_stock_codes(model: HFCausal, tmp_path: Path, sampler: str) -> None:
    folder = tmp_path / "tasks"
    folder.mkdir()
    task_file(
        folder, "shots", output_type="multiple_choice", training_split="train", test_split="test",
        fewshot_split="train", fewshot_config={"sampler": sampler}, doc_to_text="{{goal}}\nAnswer:",
        doc_to_target="{{label}}", doc_to_choice="{{[sol1, sol2]}}",
        metric_list=[{"metric": "acc"}, {"metric": "acc_norm"}],
    )  # fmt: skip
    document = DOCUMENTS["piqa"][1]
    data = {
        "train": lines(tmp_path / "train.jsonl", (document(i) for i in range(20, 40))),
        "test": lines(tmp_path / "test.jsonl", (document(i) for i in range(12))),
    }
    asked = task("shots", include=str(folder), data=data, num_fewshot=5, samples=8)
    outcome = asked.run(model, CPU, quiet)
    ours = scores(outcome)
    rows = stock(model, "shots", data, sorted(ours), folder, num_fewshot=5)
    assert ours == stock_scores(rows, {"acc", "acc_norm"})
    assert {s.prompt for s in outcome.samples} == {row["arguments"][0][0] for row in rows}
    heads = {row["arguments"][0][0].rsplit("\n\n", 1)[0] for row in rows}
    assert (len(heads) == 1) == (sampler == "first_n")
    again = task("shots", include=str(folder), data=data, num_fewshot=5, samples=8, batch_size=7)
    assert scores(again.run(model, CPU, quiet)) == ours


def test_a_task_that_says_zero_examples_gets_none(model: HFCausal, tmp_path: Path) -> None:
    """Stock code honours a task's own 0, and so do we."""
    data = data_of("blimp_adjunct_island", tmp_path)
    outcome = task("blimp_adjunct_island", data=data, num_fewshot=3).run(model, CPU, quiet)
    assert {sample.prompt for sample in outcome.samples} == {""}


# -- edges -------------------------------------------------------------------------------------------------------------


def test_one_document_and_equal_documents(model: HFCausal, tmp_path: Path) -> None:
    document = DOCUMENTS["piqa"][1](1)
    one = task("piqa", data={"validation": lines(tmp_path / "1.jsonl", [document])}).run(model, CPU, quiet)
    assert len({sample.sample_id for sample in one.samples}) == 1
    many = task("piqa", data={"validation": lines(tmp_path / "9.jsonl", [document] * 9)}).run(model, CPU, quiet)
    ids = [sample.sample_id for sample in many.samples if sample.metric == "acc"]
    assert len(set(ids)) == 9
    assert len({sample.score for sample in many.samples if sample.metric == "acc"}) == 1


def test_a_choice_without_text_is_an_error_of_its_document(model: HFCausal, tmp_path: Path) -> None:
    folder = tmp_path / "tasks"
    folder.mkdir()
    task_file(
        folder, "pairs", output_type="multiple_choice", test_split="test", doc_to_text="", doc_to_target=0,
        doc_to_choice="{{[sentence_good, sentence_bad]}}", target_delimiter="", metric_list=[{"metric": "acc"}],
    )  # fmt: skip
    rows = [DOCUMENTS["blimp_adjunct_island"][1](i) for i in range(6)]
    rows[2]["sentence_bad"] = ""
    data = {"test": lines(tmp_path / "b.jsonl", rows)}
    outcome = task("pairs", include=str(folder), data=data).run(model, CPU, quiet)
    status = {int(s.sample_id.split("-")[0]): (s.status, s.score is None) for s in outcome.samples}
    assert status == {i: (("error", True) if i == 2 else ("ok", False)) for i in range(6)}


def test_a_continuation_longer_than_the_model_is_an_error_of_its_document(model: HFCausal, tmp_path: Path) -> None:
    rows = [DOCUMENTS["piqa"][1](i) for i in range(4)]
    rows[1]["sol1"] = words(1, 1500)
    for scorer in ("auto", "hf"):
        data = {"validation": lines(tmp_path / f"{scorer}.jsonl", rows)}
        outcome = task("piqa", data=data, scorer=scorer).run(model, CPU, quiet)
        errors = {int(s.sample_id.split("-")[0]) for s in outcome.samples if s.status == "error"}
        assert errors == {1}


def test_a_context_longer_than_the_model_is_cut_on_the_left_as_in_stock(model: HFCausal, tmp_path: Path) -> None:
    rows = [DOCUMENTS["piqa"][1](i) | {"goal": words(i, 400 + 300 * i)} for i in range(4)]
    data = {"validation": lines(tmp_path / "long.jsonl", rows)}
    outcome = task("piqa", data=data).run(model, CPU, quiet)
    assert scores(outcome) == stock_scores(stock(model, "piqa", data, [0, 1, 2, 3]), {"acc", "acc_norm"})
    assert outcome.scorer is not None
    assert outcome.scorer.name == "shared-prefix"


def test_nan_logits_are_errors(tiny_lm: Path, tmp_path: Path) -> None:
    """A NaN makes argmax take the first choice: half of the documents would count as right."""
    import torch

    broken = HFCausal.open(tiny_lm, CPU)
    with torch.no_grad():
        broken.module.model.norm.weight[0] = math.nan
    for scorer in ("auto", "hf"):
        outcome = task("piqa", data=data_of("piqa", tmp_path), scorer=scorer).run(broken, CPU, quiet)
        assert {(sample.status, sample.score) for sample in outcome.samples} == {("error", None)}
        assert outcome.scorer is not None
        assert outcome.scorer.largest_difference is None or math.isfinite(outcome.scorer.largest_difference)
