"""Files for the Hub: its own classes read them, what stood in a card stays, and nothing is made up."""

from pathlib import Path

import pytest
import yaml
from huggingface_hub import ModelCard, parse_eval_result_entries

from distbench.errors import RefusedError, UsageError
from distbench.exports.hf import RESULTS, HuggingFace
from distbench.protocols.export import Source
from distbench.report.visible import one_line

CARD = """---
# ours, by hand
license: mit   # keep this
tags: [a, "b"]
pipeline_tag: text-generation
model-index:
- name: my model
  results:
  - task: {type: text-generation}
    dataset: {type: org/other, name: Other, args: {k: 1}}
    metrics:
    - {type: acc, value: 0.5, verified: false}
# about the language
language: en
date: 2026-01-01
---
# Title

text --- more
---
end
"""


def export(result, folder: Path, student=None, **options):
    return HuggingFace(HuggingFace.Options(**options)).export(Source(result, None, student), folder)


def test_a_new_card_is_read_by_the_hub(synthetic, tmp_path):
    made = export(synthetic, tmp_path / "m", datasets={"topic": "org/topic@abc123#main"}, task_type="text-generation")
    card = ModelCard.load(tmp_path / "m" / "README.md")
    student = next(each for each in synthetic.students if each.name == "soft-23-int8")
    read = {(each.dataset_name, each.metric_type): each for each in card.data.eval_results}
    wanted = {(task.task, task.metric): task.student for task in student.tasks}
    assert {key: each.metric_value for key, each in read.items()} == wanted
    assert read["topic", "acc"].metric_name == "acc (teacher 0.880, retained 96.8 % [93.8, 99.8], n = 600)"
    assert (read["topic", "acc"].dataset_type, read["topic", "acc"].dataset_revision) == ("org/topic", "abc123")
    assert card.data.model_name == "23 layers, soft labels, int8"
    assert "It retains 96.8" in card.text
    (entry,) = parse_eval_result_entries(yaml.safe_load((tmp_path / "m" / RESULTS).read_text("utf-8")))
    topic = next(task for task in student.tasks if task.task == "topic")
    assert (entry.dataset_id, entry.task_id, entry.value) == ("org/topic", "main", topic.student)
    assert entry.notes.startswith("acc; teacher 0.880, retained 96.8 % [93.8, 99.8], n = 600")
    assert entry.date == "2026-01-01"
    assert "sentiment" in made.notes[0]
    assert "--set datasets.TASK" in made.notes[0]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_everything_else_in_a_card_stays_as_it_was(synthetic, tmp_path, end, mark):
    path = tmp_path / "README.md"
    before = (mark + CARD).replace("\n", end)
    path.write_bytes(before.encode())
    export(synthetic, tmp_path)
    after = path.read_bytes().decode()
    head, rest = before.split(f"model-index:{end}")
    tail = rest[rest.index("# about the language") :]
    assert after.startswith(f"{head}model-index:{end}")
    assert after.endswith(tail)
    card = ModelCard(after.removeprefix("\ufeff"))
    assert card.data.model_name == "my model"
    assert card.data.eval_results[0].dataset_args == {"k": 1}
    assert card.data.eval_results[0].verified is False
    assert len(card.data.eval_results) > 3
    export(synthetic, tmp_path)
    assert path.read_bytes().decode() == after  # again: replaced, not added


def test_another_student_takes_the_place_of_ours_only(synthetic, tmp_path):
    (tmp_path / "README.md").write_text(CARD, "utf-8")
    export(synthetic, tmp_path)
    export(synthetic, tmp_path, student="depth-12")
    results = ModelCard.load(tmp_path / "README.md").data.eval_results
    found = {each.dataset_name: each.metric_value for each in results}
    assert found["Other"] == 0.5
    assert found["topic"] == pytest.approx(0.5 + 0.346 * 0.38)
    assert [each.dataset_name for each in results].count("topic") == 1


@pytest.mark.parametrize("text", ["no metadata here\n", "---\nlicense: mit\n---\ntext\n", "---\n---\ntext\n", ""])
def test_cards_without_an_index_get_one(synthetic, tmp_path, text):
    path = tmp_path / "README.md"
    path.write_text(text, "utf-8")
    export(synthetic, tmp_path)
    after = ModelCard.load(path)
    assert len(after.data.eval_results) > 3
    assert path.read_text("utf-8").endswith(text.removeprefix("---\nlicense: mit\n---\n").removeprefix("---\n---\n"))
    assert after.data.to_dict().get("license") == ("mit" if "license" in text else None)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("---\na: [1\n---\n", "cannot be read"),
        ("---\n- a\n---\n", "no mapping"),
        ("---\nmodel-index: 3\n---\n", "several models"),
        ("---\nmodel-index: [{name: a, results: []}, {name: b, results: []}]\n---\n", "several models"),
        ("---\nmodel-index: [{name: a, results: [{task: 1}]}]\n---\n", "not in the Hub's format"),
        ("---\nx: &a {model-index: 1}\n? model-index\n: [{name: a, results: []}]\n---\n", "cannot replace"),
        ("\udcff", "UTF-8"),
    ],
)
def test_a_card_that_cannot_be_kept_is_refused_and_stays(synthetic, tmp_path, text, why):
    path = tmp_path / "README.md"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(RefusedError, match=why):
        export(synthetic, tmp_path, datasets={"topic": "org/topic"})
    assert path.read_bytes() == text.encode("utf-8", "surrogateescape")
    assert not (tmp_path / RESULTS).exists()


def test_hostile_names_stay_inside_their_strings(hostile, tmp_path):
    export(hostile, tmp_path, name="x\n---\nlicense: evil")
    card = ModelCard.load(tmp_path / "README.md")
    assert set(card.data.to_dict()) == {"model-index"}
    student = next(each for each in hostile.students if each.name == hostile.recommended)
    assert {each.dataset_name for each in card.data.eval_results} == {
        one_line(task.task, 120) for task in student.tasks if task.student is not None
    }
    assert "<b" not in card.text.replace("\\<b", "")


def test_what_does_not_fit_the_result_is_refused_before_anything_is_written(synthetic, empty, tmp_path):
    out = tmp_path / "new"
    for result, options, why in (
        (synthetic, {"datasets": {"topik": "org/x"}}, "did you mean 'topic'"),
        (synthetic, {"datasets": {"topic": "nonsense"}}, r"ORG/NAME\[@REVISION\]"),
        (synthetic, {"student": "from-scratch"}, "has no score"),
        (empty, {}, "no student is recommended"),
    ):
        with pytest.raises(UsageError, match=why):
            export(result, out, **options)
    assert not out.exists()
