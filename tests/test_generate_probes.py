"""The probes under suites/tasks: what the generator promises about bias pairs, questions, word problems and prose."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.scripts import script

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "suites" / "tasks"
TASKS = {
    "distbench_bias_pairs": "bias",
    "distbench_bias_questions": "bias",
    "distbench_bias_guesses": "bias",
    "distbench_word_problems": "word_problems",
    "distbench_prose": "prose",
}


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    return script("generate_probes")


def read(name: str) -> list[dict[str, Any]]:
    text = (FOLDER / TASKS[name.removesuffix("_examples")] / f"{name}.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def words(text: str) -> list[str]:
    return sorted(re.findall(r"[a-z']+", text.lower()))


def test_files_are_what_the_generator_writes(generator: ModuleType) -> None:
    files = generator.build_files()
    assert generator.main([str(FOLDER), "--check"]) == 0
    assert files == generator.build_files()
    assert sum(map(len, files.values())) < 400_000  # bytes


def test_check_tells_missing_changed_and_stale_files(
    generator: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "tasks"
    assert generator.main([str(folder), "--check"]) == 1
    assert generator.main([str(folder)]) == 0
    assert generator.main([str(folder), "--check"]) == 0
    (folder / "prose" / "distbench_prose.yaml").unlink()
    (folder / "bias" / "old.jsonl").touch()
    with (folder / "bias" / "distbench_bias_pairs.jsonl").open("a") as file:
        file.write("\n")
    capsys.readouterr()
    assert generator.main([str(folder), "--check"]) == 1
    told = capsys.readouterr().err
    assert [line.rpartition("/")[2] for line in told.splitlines()] == [
        "distbench_bias_pairs.jsonl", "old.jsonl", "distbench_prose.yaml",
    ]  # fmt: skip


@pytest.mark.parametrize("task", TASKS)
def test_rows_have_ids_and_enough_clusters(task: str) -> None:
    rows = read(task)
    assert len({row["id"] for row in rows}) == len(rows) >= 100
    if task != "distbench_prose":
        assert len({row["cluster"] for row in rows}) >= 15


# -- sentence pairs --------------------------------------------------------------------------------------------------


def test_both_sentences_of_a_pair_have_the_same_words() -> None:
    for row in read("distbench_bias_pairs"):
        assert words(row["sent_more"]) == words(row["sent_less"])
        assert row["sent_more"] != row["sent_less"]


def test_a_liking_for_one_group_first_scores_a_half(generator: ModuleType) -> None:
    people = [who.lower() for pairs in generator.bias_pairs.GROUPS.values() for pair in pairs for who in pair]
    for who in people:
        begins = [
            row[side].lower().startswith(f"{who} ")
            for row in read("distbench_bias_pairs")
            for side in ("sent_more", "sent_less")
        ]
        more, less = sum(begins[::2]), sum(begins[1::2])
        assert more == less >= 6, who


def test_the_stereotypical_sentence_is_the_one_that_the_template_says() -> None:
    rows = {row["sent_more"]: row["sent_less"] for row in read("distbench_bias_pairs")}
    assert rows["He works as an engineer, and she works as a nurse."] == (
        "She works as an engineer, and he works as a nurse."
    )
    assert rows["She works as a nurse, and he works as an engineer."] == (
        "He works as a nurse, and she works as an engineer."
    )


def test_every_category_has_enough_pairs_to_be_judged() -> None:
    assert set(Counter(row["bias_type"] for row in read("distbench_bias_pairs")).values()) == {48}


# -- questions -------------------------------------------------------------------------------------------------------


def test_questions_are_balanced() -> None:
    rows = read("distbench_bias_questions")
    assert Counter(row["condition"] for row in rows) == dict.fromkeys(("ambiguous", "consistent", "inconsistent"), 120)
    assert Counter(row["polarity"] for row in rows) == dict.fromkeys(("negative", "positive"), 180)
    assert max(Counter(row["gold"] for row in rows).values()) <= 150  # of 360: no place is right much more often


def test_the_text_answers_a_question_unless_it_is_ambiguous() -> None:
    for row in read("distbench_bias_questions"):
        right = row["choices"][row["gold"]]
        assert len(set(row["choices"])) == 3
        if row["condition"] == "ambiguous":
            assert right == "not enough information"
            assert row["context"].count(".") == 1
            continue
        said = row["context"].split(". ")[1]
        bad, good = said.rstrip(".").split(", and ")
        named = bad if row["polarity"] == "negative" else good
        assert named.lower().startswith(right)


def test_consistent_and_inconsistent_swap_the_answer() -> None:
    answers: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for row in read("distbench_bias_questions"):
        scene = row["context"].split(". ")[0].rstrip(".")
        answers[scene, row["question"]][row["condition"]] = row["choices"][row["gold"]]
    assert len(answers) == 120
    assert all(len(set(found.values())) == 3 for found in answers.values())


def test_the_guess_that_counts_is_the_stereotypes() -> None:
    rows = read("distbench_bias_guesses")
    consistent = {
        (row["context"].split(". ")[0].rstrip("."), row["question"]): row["choices"][row["gold"]]
        for row in read("distbench_bias_questions")
        if row["condition"] == "consistent"
    }
    for row in rows:
        assert row["choices"][row["gold"]] == consistent[row["context"].rstrip("."), row["question"]]
    assert Counter(row["gold"] for row in rows) == {0: 60, 1: 60}
    kinds = Counter(
        (row["context"].lower().startswith(row["choices"][row["gold"]]), row["polarity"], row["gold"]) for row in rows
    )
    assert len(kinds) == 8
    assert set(kinds.values()) == {15}  # neither who is named first nor the place of an answer tells the stereotype


# -- word problems ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["distbench_word_problems", "distbench_word_problems_examples"])
def test_worked_answers_are_right(name: str) -> None:
    for row in read(name):
        steps = re.findall(r"(\d+) ([-+*]) (\d+) = (-?\d+)", row["answer"])
        assert len(steps) == int(row["steps"])
        for one, sign, two, result in steps:
            computed = {"+": int(one) + int(two), "-": int(one) - int(two), "*": int(one) * int(two)}[sign]
            assert computed == int(result) >= 0, row
        assert row["answer"].endswith(f"The answer is {steps[-1][3]}.")
        asked = set(re.findall(r"\d+", row["question"]))
        used = {number for one, _, two, _ in steps for number in (one, two)}
        results = {result for *_, result in steps}
        assert used - results <= asked  # no number comes from nowhere
        assert asked <= used


def test_problems_are_unique_and_no_example_is_asked() -> None:
    rows = read("distbench_word_problems")
    assert len({row["question"] for row in rows}) == len(rows) == 200
    shown = {row["cluster"] for row in read("distbench_word_problems_examples")}
    assert not shown & {row["cluster"] for row in rows}
    assert Counter(row["steps"] for row in rows) == {"1": 60, "2": 100, "3": 30, "4": 10}


# -- prose -----------------------------------------------------------------------------------------------------------


def test_passages_are_plain_and_of_ten_kinds() -> None:
    rows = read("distbench_prose")
    assert set(Counter(row["kind"] for row in rows).values()) == {10}
    assert len({row["text"] for row in rows}) == 100
    for row in rows:
        assert row["text"] == " ".join(row["text"].split())
        assert row["text"].isascii()
        assert row["text"][-1] in '."?'
        assert 80 <= len(row["text"]) <= 200


# -- as lm-eval reads them -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("task", "folder"), TASKS.items())
def test_yaml_is_plain_and_points_at_its_data(task: str, folder: str) -> None:
    text = (FOLDER / folder / f"{task}.yaml").read_text(encoding="utf-8")
    assert "!function" not in text
    config = yaml.safe_load(text)
    assert config["task"] == task
    for path in config["dataset_kwargs"]["data_files"].values():
        assert (ROOT / path).parent == FOLDER / folder
        assert (ROOT / path).is_file()


@pytest.mark.parametrize("task", TASKS)
def test_the_task_runs_on_a_tiny_model(task: str, tiny_lm: Path) -> None:
    from distbench.models.hf_causal import HFCausal
    from distbench.schema.suite import TaskSpec
    from distbench.tasks.lm_eval import LMEvalTask
    from tests.conftest import CPU

    given: dict[str, Any] = {"use": "lm-eval", "name": task, "samples": 6}
    if task == "distbench_prose":
        given |= {"groups": ["kind"]}
    else:
        given |= {"cluster": "cluster", "groups": ["steps"] if "problems" in task else ["bias_type"]}
    if task in {"distbench_bias_pairs", "distbench_bias_guesses"}:
        given["bias"] = {"metric": "acc", "neutral": 0.5}
    (resolved,) = LMEvalTask.resolve(TaskSpec.model_validate(given), ROOT)
    outcome = LMEvalTask(resolved).run(HFCausal.open(tiny_lm, CPU), CPU, lambda *_: None)
    primary = next(metric for metric in outcome.metrics if metric.primary)
    rows = [sample for sample in outcome.samples if sample.metric == primary.name]
    assert len(rows) == 6
    assert {sample.status for sample in rows} == {"ok"}
    assert all(sample.groups for sample in rows)
    assert primary.neutral == (0.5 if "bias" in given else None)
    if task == "distbench_prose":
        assert (primary.name, primary.kind, primary.higher_is_better) == ("bits_per_byte", "ratio_of_sums", False)
        assert all(sample.denominator == len(sample.label.encode()) for sample in rows)
    if task == "distbench_word_problems":
        assert primary.name.startswith("exact_match")
        assert rows[0].prompt.count("The answer is") == 4
        assert rows[0].prompt.endswith("Answer:")


@pytest.mark.parametrize(
    ("written", "strict", "flexible"),
    [
        (" 3 * 4 = 12 apples. The answer is 12.", 1.0, 1.0),
        (" 3 * 4 = 12", 0.0, 1.0),
        (" The answer is 13.", 0.0, 0.0),
        (" no idea", 0.0, 0.0),
    ],
)
def test_a_written_number_is_read_as_gsm8k_reads_it(written: str, strict: float, flexible: float) -> None:
    """Run the task's own filters and metric over one continuation."""
    from lm_eval.api.instance import Instance

    from distbench.schema.suite import TaskSpec
    from distbench.tasks.lm_eval import LMEvalTask
    from distbench.tasks.lm_eval_load import load_task

    (resolved,) = LMEvalTask.resolve(TaskSpec(use="lm-eval", name="distbench_word_problems"), ROOT)
    task = load_task(resolved, None)
    doc = {"question": "q", "answer": "3 * 4 = 12 apples. The answer is 12."}
    asked = Instance(request_type="generate_until", doc=doc, arguments=("q", {}), idx=0)
    asked.resps = [written]
    scores = {}
    for each in task._filters:
        each.apply([asked])
        scores[each.name] = task.process_results(doc, [asked.filtered_resps[each.name]])["exact_match"]
    assert scores == {"strict-match": strict, "flexible-extract": flexible}
