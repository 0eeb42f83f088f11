from __future__ import annotations

from collections.abc import Callable

import pytest

from .fakes import CLASSIC, EXAMPLE, marked

HEAD = "version: 1\nname: x\nteachers:\n  t: {use: mlp, source: ./t}\n  u: {use: mlp, source: ./u}\n"
TAIL = "measure: {memory: {}}\n"


def suite(*students: str, tail: str = TAIL) -> str:
    return HEAD + "students:\n" + "".join(f"  - {{{student}}}\n" for student in students) + tail


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            suite("name: a, of: t, source: x", "name: b, of: t, source: x", "name: «a, of: t, source: x"),
            "two students are named 'a' (lines 7 and 9)",
        ),
        (suite("name: «t, of: u, source: x"), "student 't' has the name of a teacher (line 4); give it another"),
        (suite("name: a, of: «teach, source: x"), "unknown teacher 'teach'"),
        (suite("name: a, of: «b, source: x", "name: b, of: a, source: x"), "'b' is a student; a student can be of"),
        (suite("name: a, of: [t, «tt], source: x"), "unknown teacher 'tt'; did you mean 't'?"),
        (suite("name: a, of: [t, «t], source: x"), "teacher 't' is named twice"),
        (suite("name: a, of: t").replace("{name", "«{name"), "nothing to compare: student 'a' is the teacher itself"),
        (suite("name: a, of: t, init: null").replace("{name", "«{name"), "nothing to compare: student 'a'"),
        (suite("name: a, of: t, source: x, «init: {use: mlp}"), "source opens a model and init makes one"),
        (suite("name: a, of: t, deploy: {use: «qqq}"), "unknown deployment 'qqq' (installed: elsewhere)"),
        (suite("name: a, of: t, deploy: [{use: elsewhere, precision: «int3}]"), "expected 'float32' or 'int8'"),
        (suite("name: a, of: t, options: {«kernel: fast}"), "unknown key 'kernel'"),
        ("«" + suite("name: a, of: t, source: x", tail=""), "nothing to compare on: give tasks, measure or both"),
        ("«" + suite("name: a, of: t, source: x", tail="tasks: []\nmeasure: {}\n"), "nothing to compare on"),
        (
            suite("name: a, of: t, source: x", tail="tasks:\n- {use: classification}\n- {use: «classification}\n"),
            "two tasks are named 'classification' (lines 9 and 10)",
        ),
        (
            suite(
                "name: a, of: t, source: x",
                tail="tasks:\n- {use: lm-eval, name: q}\n- {use: classification, name: «q}\n",
            ),
            "two tasks are named 'q' (lines 9 and 10)",
        ),
        (
            suite(
                "name: a, of: t, source: x",
                tail="tasks:\n- {use: lm-eval, name: piqa}\ngate: {tasks: {«piqq: {floor: 0.8}}}\n",
            ),
            "gate.tasks names the unknown task 'piqq'; did you mean 'piqa'?",
        ),
        (
            CLASSIC.replace("other: {use: mlp, source: ./other}", "«other: {use: mlp, label: x}"),
            "teacher 'other' needs source (a model to load) or fit (how to train one)",
        ),
        (
            CLASSIC.replace("source: ./other", "source: x, «fit: {use: hard-labels, data: {use: sklearn-digits}}"),
            "teacher 'other' has both source and fit; leave one out",
        ),
    ],
)
def test_what_means_nothing(complaint: Callable[..., str], text: str, message: str) -> None:
    wrong, position = marked(text)
    assert complaint(wrong).startswith(f"s.yaml:{position}: {message}")


def test_a_step_with_a_typo_is_only_a_typo(complaint: Callable[..., str]) -> None:
    text, position = marked(suite("name: a, of: t, «sorce: x"))
    assert complaint(text) == f"s.yaml:{position}: unknown key 'sorce'; did you mean 'source'?"


@pytest.mark.parametrize(
    "student",
    ["quantise: {use: int8-dynamic}", "init: {use: mlp}", "source: x", "source: x, quantise: {use: int8-dynamic}"],
)
def test_every_way_to_make_a_student(load: Callable[..., object], student: str) -> None:
    load(suite(f"name: a, of: t, {student}"))


def test_the_same_task_under_two_names(load: Callable[..., object]) -> None:
    load(EXAMPLE.replace("measure:", "  - {use: lm-eval, name: other}\nmeasure:"))
