"""What changed between two runs: on records written by hand, of which the truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distbench import stats
from distbench.compare.diff import diff
from distbench.compare.source import Source, opened
from distbench.errors import UsageError
from distbench.schema.diff import Diff, TaskChange
from distbench.schema.record import MetricFacts
from distbench.store.files import write_text
from tests.compare.records import ACC
from tests.compare.runs import STUDENT, TEACHER, flipped, sample_ids, simple, source, task


def only(found: Diff) -> TaskChange:
    (student,) = found.students
    (change,) = student.tasks
    return change


def document(folder: Path, run: Source) -> Source:
    path = folder / f"{run.result.run}.json"
    write_text(path, run.result.model_dump_json())
    return opened(path)


def test_the_same_samples_are_paired(tmp_path: Path) -> None:
    after = flipped(STUDENT, lost=4, won=30)
    found = diff(source(tmp_path / "a", simple()), source(tmp_path / "b", simple(after)))
    change = only(found)
    expected = stats.paired_change(after, STUDENT)
    assert (change.basis, change.verdict) == ("paired", "better")
    assert change.change.value == pytest.approx(26 / 400)
    assert (change.change.lo, change.change.hi) == pytest.approx((expected.estimate.lo, expected.estimate.hi))
    assert change.p_value == pytest.approx(expected.p_value)
    assert found.students[0].verdict == "better"
    assert found.students[0].retained_change.value == pytest.approx(
        found.students[0].retained_b.value - found.students[0].retained_a.value
    )


def test_a_diff_turned_round_turns_its_signs(tmp_path: Path) -> None:
    a, b = source(tmp_path / "a", simple()), source(tmp_path / "b", simple(flipped(STUDENT, won=25)))
    there, back = only(diff(a, b)), only(diff(b, a))
    assert (there.verdict, back.verdict) == ("better", "worse")
    assert there.change.value == -back.change.value
    assert (there.change.lo, there.change.hi) == pytest.approx((-back.change.hi, -back.change.lo))
    assert diff(b, a).worse() == ["student", "student, t"]
    assert diff(a, b).worse() == []


def test_equal_answers_are_no_change_at_all(tmp_path: Path) -> None:
    found = diff(source(tmp_path / "a", simple()), source(tmp_path / "b", simple()))
    change = only(found)
    assert (change.basis, change.verdict, change.change.lo, change.change.hi) == ("identical", "unchanged", 0.0, 0.0)
    assert (found.students[0].basis, found.students[0].verdict) == ("identical", "unchanged")


def test_equal_scores_of_other_answers_are_not_equal_answers(tmp_path: Path) -> None:
    words = {"prediction": [f"other {k}" for k in range(400)]}
    after = {"teacher": {"t": task(TEACHER)}, "student": {"t": task(STUDENT, **words)}}
    change = only(diff(source(tmp_path / "a", simple()), source(tmp_path / "b", after)))
    assert change.basis == "paired"
    assert change.change.lo < 0 < change.change.hi
    assert change.verdict == "unchanged"  # within ±2 points: z²/(n + z²) is 0.0095


def test_one_model_that_scores_alike_on_fewer_samples_has_not_changed(tmp_path: Path) -> None:
    fewer = {"teacher": {"t": task(TEACHER[:300])}, "student": {"t": task(STUDENT[:300])}}
    a = source(tmp_path / "a", simple())
    found = diff(a, source(tmp_path / "b", fewer))
    assert (only(found).basis, only(found).change.n, found.students[0].basis) == ("identical", 300, "identical")
    other = diff(a, source(tmp_path / "c", fewer, identities={"student": "id-else"}))
    assert (only(other).basis, other.students[0].basis) == ("paired", "paired")  # equal scores prove no equal models
    served = source(tmp_path / "d", fewer)
    for path in (served.path / "plan").iterdir():
        path.write_text(path.read_text("utf-8").replace('"address": null', '"address": "http://x"'), "utf-8")
    assert only(diff(a, opened(served.path))).basis == "paired"


def test_a_small_change_is_unchanged_only_within_the_margin(tmp_path: Path) -> None:
    a, b = source(tmp_path / "a", simple()), source(tmp_path / "b", simple(flipped(STUDENT, lost=2)))
    assert only(diff(a, b)).verdict == "unchanged"
    narrow = only(diff(a, b, margin=0.01))
    assert narrow.verdict == "cannot_be_told"
    assert "wider than ±0.01" in narrow.reason


def test_samples_are_paired_by_id_whatever_their_order_and_number(tmp_path: Path) -> None:
    after = flipped(STUDENT, won=25)
    backwards = {"sample_id": sample_ids(0, 400)[::-1], "prompt": [f"question {k}" for k in range(400)][::-1]}
    other = {
        "teacher": {"t": task(TEACHER[::-1], **backwards)},
        "student": {"t": task(after[::-1], **backwards)},
    }
    a = source(tmp_path / "a", simple())
    assert only(diff(a, source(tmp_path / "b", other))).change.value == pytest.approx(25 / 400)
    fewer = {"teacher": {"t": task(TEACHER[:300])}, "student": {"t": task(after[:300])}}
    found = only(diff(a, source(tmp_path / "c", fewer, record={'"d"': '"other"', '"p"': '"other"'})))
    assert found.basis == "paired"
    assert (found.change.n, found.n_a, found.n_b) == (300, 400, 300)
    assert "300 samples that both runs have (A has 400, B 300)" in found.reason


def test_other_samples_of_the_task_are_two_independent_samples(tmp_path: Path) -> None:
    elsewhere = {"sample_id": sample_ids(1000, 400)}
    other = {
        "teacher": {"t": task(TEACHER, **elsewhere)},
        "student": {"t": task(flipped(STUDENT, lost=60), **elsewhere)},
    }
    b = source(tmp_path / "b", other, record={'"d"': '"other"', '"p"': '"other"'})
    change = only(diff(source(tmp_path / "a", simple()), b))
    assert (change.basis, change.verdict) == ("independent", "worse")
    assert "two independent samples" in change.reason
    assert change.change.method == "newcombe"
    rates = [stats.rate(each) for each in (flipped(STUDENT, lost=60), STUDENT)]
    assert change.change.lo == pytest.approx(stats.independent_change(*rates).estimate.lo)


@pytest.mark.parametrize(
    ("record", "columns", "message"),
    [
        ({'"task_version":"1"': '"task_version":"2"'}, {}, "version 1 in A, 2 in B"),
        ({'"p"': '"other"'}, {"prompt": [f"please: question {k}" for k in range(400)]}, "asked in other words"),
        ({'"d"': '"other"'}, {"label": [f"label {k}" for k in range(400)]}, "other expected answers"),
        ({'"baseline":0.25': '"baseline":0.5'}, {}, "does not mean the same"),
    ],
)
def test_another_task_is_never_compared(
    tmp_path: Path, record: dict[str, str], columns: dict[str, Any], message: str
) -> None:
    after = {"teacher": {"t": task(TEACHER, **columns)}, "student": {"t": task(STUDENT, **columns)}}
    found = diff(source(tmp_path / "a", simple()), source(tmp_path / "b", after, record=record))
    change = only(found)
    assert (change.basis, change.verdict, change.change.value) == ("none", "cannot_be_told", None)
    assert message in change.reason
    assert found.students[0].basis == "none"
    assert found.students[0].verdict == "cannot_be_told"


def test_holm_over_the_tasks_of_a_model(tmp_path: Path) -> None:
    tasks = [f"t{k}" for k in range(6)]
    before = {
        "teacher": {name: task(TEACHER, name) for name in tasks},
        "student": {name: task(STUDENT, name) for name in tasks},
    }
    slightly, surely = flipped(STUDENT, lost=13, won=4), flipped(STUDENT, lost=60)
    worse = {"t0": surely, "t1": slightly}
    after = before | {"student": {name: task(worse.get(name, STUDENT), name) for name in tasks}}
    (student,) = diff(source(tmp_path / "a", before), source(tmp_path / "b", after)).students
    by_name = {each.task: each for each in student.tasks}
    assert by_name["t0"].verdict == "worse"
    assert by_name["t1"].p_value < 0.05 < by_name["t1"].p_holm
    assert by_name["t1"].verdict == "cannot_be_told"
    assert "after Holm over 6 tasks" in by_name["t1"].reason
    assert student.tasks_compared == tasks
    assert student.verdict == "worse"


def test_an_answer_that_crashed_counts_as_wrong_on_its_side(tmp_path: Path) -> None:
    crashed: list[Any] = [None] * 40 + list(STUDENT[40:])
    after = {"teacher": {"t": task(TEACHER)}, "student": {"t": task(crashed)}}
    change = only(diff(source(tmp_path / "a", simple()), source(tmp_path / "b", after)))
    assert change.score_b == pytest.approx(STUDENT[40:].sum() / 400)
    assert change.verdict == "worse"


def test_lower_is_better_and_scores_of_any_kind(tmp_path: Path) -> None:
    facts = MetricFacts(
        name="wer", primary=True, kind="mean", higher_is_better=False, baseline=1.0, best=0.0, n=0, mean=None
    )
    random = np.random.default_rng(4)
    teacher, student = random.uniform(0, 0.2, 200), random.uniform(0.1, 0.4, 200)
    runs = [
        {"teacher": {"t": task(teacher, facts=facts)}, "student": {"t": task(scores, facts=facts)}}
        for scores in (student, student - 0.05 + random.normal(0, 0.01, 200))
    ]
    change = only(diff(source(tmp_path / "a", runs[0]), source(tmp_path / "b", runs[1])))
    assert change.verdict == "better"
    assert change.change.value == pytest.approx(0.05, abs=0.005)
    assert change.score_b < change.score_a
    assert change.change.method == "paired_t"


def test_a_ratio_of_sums_changes_in_its_own_unit(tmp_path: Path) -> None:
    facts = MetricFacts(
        name="bits_per_byte", primary=True, kind="ratio_of_sums", higher_is_better=False, baseline=0.0, best=0.0, n=0,
        mean=None,
    )  # fmt: skip
    random = np.random.default_rng(5)
    size = random.integers(200, 400, 120).astype(float)
    bits = size * random.uniform(0.9, 1.1, 120)

    def run(extra: float) -> dict[str, Any]:
        recorded = {
            name: {"t": task(mine / size, facts=facts, numerator=list(mine), denominator=list(size))}
            for name, mine in (("teacher", bits), ("student", bits + size * extra))
        }
        return dict(recorded)

    worse = run(0.1)
    change = only(diff(source(tmp_path / "a", run(0.02)), source(tmp_path / "b", worse)))
    assert (change.metric, change.verdict, change.basis) == ("bits_per_byte", "cannot_be_told", "paired")
    assert change.change.value == pytest.approx(-0.08)  # every document alike: no spread, so no interval
    noisy = run(0.1)
    noise = size * random.normal(0, 0.01, 120)
    noisy["student"] = {
        "t": task(
            (bits + size * 0.1 + noise) / size, facts=facts, numerator=list(bits + size * 0.1 + noise),
            denominator=list(size),
        )
    }  # fmt: skip
    change = only(diff(source(tmp_path / "c", run(0.02)), source(tmp_path / "d", noisy)))
    assert change.verdict == "worse", change.reason
    assert change.tolerance == pytest.approx(0.02 * change.score_a)


def test_two_documents_are_compared_as_unrelated_samples(tmp_path: Path) -> None:
    a, b = source(tmp_path / "a", simple()), source(tmp_path / "b", simple(flipped(STUDENT, lost=80)))
    found = diff(document(tmp_path, a), document(tmp_path, b))
    change = only(found)
    assert (change.basis, change.judged_by, change.verdict) == ("independent", "retained", "worse")
    assert change.change.value == pytest.approx(-0.2)
    assert change.change.lo is None
    wide = change.retained_change.hi - change.retained_change.lo
    paired = only(diff(a, b)).retained_change
    assert wide > paired.hi - paired.lo
    assert not found.a.samples
    assert len(found.notes) == 2
    assert only(diff(a, document(tmp_path, b))).basis == "independent"


def test_documents_at_other_levels_have_no_interval_of_a_change(tmp_path: Path) -> None:
    a = source(tmp_path / "a", simple())
    b = source(tmp_path / "b", simple(flipped(STUDENT, lost=80)), gate={"alpha": 0.1})
    change = only(diff(document(tmp_path, a), document(tmp_path, b)))
    assert (change.verdict, change.retained_change.value) == ("cannot_be_told", None)
    assert "alpha is 0.05 in A, 0.1 in B" in change.reason
    assert diff(a, b).alpha == 0.05


def test_who_came_and_who_went_and_who_has_another_name(tmp_path: Path) -> None:
    before = simple() | {"old": {"t": task(STUDENT)}}
    after = simple() | {"new": {"t": task(flipped(STUDENT, won=5))}}
    a = source(tmp_path / "a", before)
    found = diff(a, source(tmp_path / "b", after))
    assert ([each.name for each in found.removed], [each.name for each in found.added]) == (["old"], ["new"])
    b = source(tmp_path / "c", after, identities={"new": "id-old"})
    found = diff(a, b)
    assert any("--match old=new" in note for note in found.notes)
    matched = diff(a, b, match={"old": "new"})
    assert [(each.name_a, each.name_b, each.same) for each in matched.students] == [
        ("student", "student", True),
        ("old", "new", True),
    ]
    assert (matched.added, matched.removed) == ([], [])
    with pytest.raises(UsageError, match="did you mean 'new'"):
        diff(a, b, match={"old": "nwe"})


def test_what_is_not_the_same_is_said(tmp_path: Path) -> None:
    a = source(tmp_path / "a", simple(), gate={"retained": 0.9, "speedup": 1.2})
    b = source(
        tmp_path / "b", simple(), gate={"retained": 0.95, "tasks": {"t": {"floor": 0.8}}},
        identities={"student": "id-else", "teacher": "id-bigger"},
    )  # fmt: skip
    found = diff(a, b)
    said = {(fact.topic, fact.about): (fact.a, fact.b) for fact in found.facts}
    assert said["gate", "retained"] == ("0.9", "0.95")
    assert said["gate", "speedup"] == ("1.2", None)
    assert said["gate", "floor of t"] == (None, "0.8")
    assert found.students[0].same is False
    assert found.teachers[0].same is False
    own = {fact.about: (fact.a, fact.b) for fact in found.students[0].facts}
    assert own["student: identity"] == ("id-student", "id-else")


def test_the_same_run_differs_in_nothing(tmp_path: Path) -> None:
    a = source(tmp_path / "a", simple())
    found = diff(a, a)
    assert found.facts == []
    assert all(not model.facts for model in (*found.students, *found.teachers))


def test_a_teacher_that_answers_otherwise_is_shown_and_counted_in(tmp_path: Path) -> None:
    better = flipped(TEACHER, won=25)
    found = diff(source(tmp_path / "a", simple()), source(tmp_path / "b", simple(teacher=better)))
    (teacher,) = found.teachers
    assert teacher.tasks[0].verdict == "better"
    (student,) = found.students
    assert student.tasks[0].verdict == "unchanged"  # the student itself answers alike
    assert student.retained_change.value < 0  # and keeps less of a teacher that knows more
    assert student.retained_change.hi < 0


def test_tasks_that_only_one_run_has(tmp_path: Path) -> None:
    both = {
        "teacher": {"t": task(TEACHER), "u": task(TEACHER, "u")},
        "student": {"t": task(STUDENT), "u": task(STUDENT, "u")},
    }
    found = diff(source(tmp_path / "a", simple()), source(tmp_path / "b", both))
    assert [(each.task, each.verdict) for each in found.students[0].tasks] == [
        ("t", "unchanged"),
        ("u", "cannot_be_told"),
    ]
    assert "only B has this task" in found.students[0].tasks[1].reason
    assert found.students[0].tasks_compared == ["t"]


def test_too_few_samples_decide_nothing(tmp_path: Path) -> None:
    facts = ACC.model_copy(update={"kind": "mean"})
    some = np.linspace(0.5, 0.9, 20)
    few = {"teacher": {"t": task(some, facts=facts)}, "student": {"t": task(some, facts=facts)}}
    none = {"teacher": {"t": task(some, facts=facts)}, "student": {"t": task(some**2, facts=facts)}}
    change = only(diff(source(tmp_path / "a", few), source(tmp_path / "b", none)))
    assert change.p_value < 1e-6
    assert change.verdict == "cannot_be_told"
    assert "below the floor" in change.reason


def test_it_is_the_metric_that_is_compared(tmp_path: Path) -> None:
    other = ACC.model_copy(update={"name": "acc_norm"})
    after = {"teacher": {"t": task(TEACHER, facts=other)}, "student": {"t": task(STUDENT, facts=other)}}
    change = only(diff(source(tmp_path / "a", simple()), source(tmp_path / "b", after)))
    assert "A was scored by acc, B by acc_norm" in change.reason
