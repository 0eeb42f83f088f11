"""The quick start's own lm-eval tasks: the generator, the files it wrote, and that lm-eval can read them."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from tests.scripts import script

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "suites" / "tasks"
PAIR_TASKS = [
    "distbench_anaphor",
    "distbench_argument_structure",
    "distbench_determiner_noun",
    "distbench_subject_verb",
    "distbench_verb_form",
    "distbench_word_order",
]
TASKS = [*PAIR_TASKS, "distbench_facts"]


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    return script("generate_tasks")


def read(task: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (FOLDER / f"{task}.jsonl").read_text(encoding="utf-8").splitlines()]


def difference(row: dict[str, Any]) -> tuple[list[str], list[str]]:
    """The words left of either sentence when their common beginning and end are cut off."""
    good, bad = row["sentence_good"].split(), row["sentence_bad"].split()
    while good and bad and good[0] == bad[0]:
        good, bad = good[1:], bad[1:]
    while good and bad and good[-1] == bad[-1]:
        good, bad = good[:-1], bad[:-1]
    return good, bad


def test_files_are_what_the_generator_writes(generator: ModuleType) -> None:
    files = generator.build_files()
    assert set(files) == {f"{task}{suffix}" for task in TASKS for suffix in (".jsonl", ".yaml")}
    assert generator.main([str(FOLDER), "--check"]) == 0
    assert files == generator.build_files()


def test_check_tells_missing_changed_and_stale_files(
    generator: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "tasks"
    assert generator.main([str(folder), "--check"]) == 1
    assert generator.main([str(folder)]) == 0
    assert generator.main([str(folder), "--check"]) == 0
    (folder / "distbench_facts.yaml").write_text("task: other\n", encoding="utf-8")
    (folder / "distbench_word_order.jsonl").unlink()
    shutil.copy(folder / "distbench_anaphor.yaml", folder / "distbench_old.yaml")
    capsys.readouterr()
    assert generator.main([str(folder), "--check"]) == 1
    told = capsys.readouterr().err
    assert re.findall(r"distbench_\w+\.\w+", told) == [
        "distbench_facts.yaml",
        "distbench_old.yaml",
        "distbench_word_order.jsonl",
    ]


@pytest.mark.parametrize("template", ["No slot.", "Two [a/b] and [c/d].", "Three [a/b/c]."])
def test_a_template_needs_one_critical_slot(generator: ModuleType, template: str) -> None:
    with pytest.raises(ValueError, match="exactly one critical slot"):
        generator.minimal_pairs.contrast(template, 0)


def test_a_template_needs_enough_fillings(generator: ModuleType) -> None:
    with pytest.raises(ValueError, match="too few fillings"):
        generator.minimal_pairs.draw_pairs("subject_verb", "dog", "The <dog/dogs> [barks/bark].")


def test_there_are_enough_items() -> None:
    counts = {task: len(read(task)) for task in TASKS}
    assert all(counts[task] == 100 for task in PAIR_TASKS)
    assert counts["distbench_facts"] >= 120
    assert sum(counts.values()) >= 700


@pytest.mark.parametrize("task", TASKS)
def test_rows_are_numbered_and_name_their_cluster(task: str) -> None:
    rows = read(task)
    phenomenon = task.removeprefix("distbench_")
    assert [row["id"] for row in rows] == [f"{phenomenon}-{index:03d}" for index in range(len(rows))]
    assert {row["phenomenon"] for row in rows} == {phenomenon}
    clusters = Counter(row["cluster"] for row in rows)
    assert all(cluster.startswith(f"{phenomenon}/") for cluster in clusters)
    assert len(clusters) >= 17
    assert max(clusters.values()) <= 16


@pytest.mark.parametrize("task", PAIR_TASKS)
def test_pairs_are_unique_and_differ_minimally(task: str) -> None:
    rows = read(task)
    good = [row["sentence_good"] for row in rows]
    bad = [row["sentence_bad"] for row in rows]
    assert len(set(good)) == len(good)
    assert not set(good) & set(bad)
    for row in rows:
        one, other = difference(row)
        assert one != other
        assert len(one) == len(other) <= 3, row
        for sentence in (row["sentence_good"], row["sentence_bad"]):
            assert re.fullmatch(r"[A-Z][A-Za-z', ]+[.?!]", sentence), sentence
            assert "  " not in sentence


@pytest.mark.parametrize("task", PAIR_TASKS)
def test_words_are_right_as_often_as_wrong(task: str) -> None:
    rows = read(task)
    good, bad = Counter[str](), Counter[str]()
    for row in rows:
        one, other = difference(row)
        good.update(word.strip(".?!") for word in one)
        bad.update(word.strip(".?!") for word in other)
    assert good == bad


@pytest.mark.parametrize("task", PAIR_TASKS)
def test_articles_fit_the_next_word(task: str) -> None:
    for row in read(task):
        assert not re.search(r"\b[Aa] [aeiou]|\b[Aa]n (?!hour)[^aeiou]", row["sentence_good"]), row


@pytest.mark.parametrize("task", PAIR_TASKS)
def test_subgroups_say_what_the_sentence_is(task: str) -> None:
    rows = read(task)
    assert {row["size"] == "7 words or more" for row in rows if len(row["sentence_good"].split()) >= 7} == {True}
    assert {row["size"] == "up to 6 words" for row in rows if len(row["sentence_good"].split()) < 7} == {True}
    numbers = Counter(row.get("number") for row in rows)
    if task in {"distbench_subject_verb", "distbench_determiner_noun"}:
        assert numbers == {"singular": 50, "plural": 50}
    else:
        assert numbers == {None: 100}


@pytest.mark.parametrize(("word", "number"), [("dogs", "plural"), ("dog", "singular"), ("geese", "plural")])
def test_the_number_is_that_of_the_subject_or_noun(word: str, number: str) -> None:
    rows = [*read("distbench_subject_verb"), *read("distbench_determiner_noun")]
    clusters = ("subject_verb/dog", "determiner_noun/goose")
    found = [row for row in rows if row["cluster"] in clusters and word in row["sentence_good"].split()]
    assert {row["number"] for row in found} == {number}


def test_facts_have_one_answer_and_balanced_places() -> None:
    rows = read("distbench_facts")
    stems = [row["stem"] for row in rows]
    assert len(set(stems)) == len(stems)
    for row in rows:
        assert len(row["choices"]) == 4
        assert row["choices"].count(row["choices"][row["gold"]]) == 1
        assert len(set(row["choices"])) == 4
        assert all(choice == choice.strip() and choice for choice in row["choices"])
        assert row["stem"] == row["stem"].strip()
    places = Counter(row["gold"] for row in rows)
    assert set(places) == {0, 1, 2, 3}
    assert all(0.15 <= count / len(rows) <= 0.35 for count in places.values())


def test_pooled_wrong_choices_obey_the_exclusions(generator: ModuleType) -> None:
    wrong = {row["stem"]: row["choices"] for row in read("distbench_facts")}
    for listing in generator.facts.POOLED_FACTS.values():
        stem, _, entries = listing.strip().partition("\n")
        for subject, excluded in re.findall(r"([^=;\n]+)=[^!;\n]+!([^;\n]+)", entries):
            assert not set(excluded.strip().split(",")) & set(wrong[stem.format(subject.strip())])


@pytest.mark.parametrize("task", TASKS)
def test_yaml_is_plain_and_points_at_its_data(task: str) -> None:
    text = (FOLDER / f"{task}.yaml").read_text(encoding="utf-8")
    assert "!function" not in text
    config = yaml.safe_load(text)
    assert config["task"] == task
    assert config["test_split"] == "test"
    assert config["output_type"] == "multiple_choice"
    assert config["metadata"] == {"version": 1.0}
    assert ROOT / config["dataset_kwargs"]["data_files"]["test"] == FOLDER / f"{task}.jsonl"


def test_lm_eval_loads_every_task(monkeypatch: pytest.MonkeyPatch) -> None:
    tasks = pytest.importorskip("lm_eval.tasks")
    monkeypatch.chdir(ROOT)
    manager = tasks.TaskManager(include_path=str(FOLDER), include_defaults=False)
    assert {name for name in manager.all_tasks if (FOLDER / f"{name}.yaml").is_file()} == set(TASKS)
    loaded = manager.load(TASKS)["tasks"]
    for name in TASKS:
        task, rows = loaded[name], read(name)
        documents = list(task.eval_docs)
        assert [document["id"] for document in documents] == [row["id"] for row in rows]
        for document, row in zip(documents[:8], rows, strict=False):
            if name == "distbench_facts":
                expected = (row["stem"], row["choices"], row["gold"])
            else:
                expected = ("", [row["sentence_good"], row["sentence_bad"]], 0)
            assert (task.doc_to_text(document), task.doc_to_choice(document), task.doc_to_target(document)) == expected
        assert task.config.target_delimiter == " "
        assert not task.has_training_docs()


def test_an_including_yaml_can_move_the_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As distbench runs them: from any folder, with absolute paths."""
    tasks = pytest.importorskip("lm_eval.tasks")
    monkeypatch.chdir(tmp_path)
    name = "distbench_facts"
    config = {
        "include": str(FOLDER / f"{name}.yaml"),
        "task": name,
        "dataset_kwargs": {"data_files": {"test": str(FOLDER / f"{name}.jsonl")}},
    }
    (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    manager = tasks.TaskManager(include_path=str(tmp_path), include_defaults=False)
    task = manager.load([name])["tasks"][name]
    assert len(list(task.eval_docs)) == len(read(name))
