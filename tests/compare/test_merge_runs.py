"""Several runs as one comparison: merged on content; whatever differs stands apart and is said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distbench.compare.merge import merge
from distbench.errors import UsageError
from distbench.schema.record import HostFacts
from distbench.schema.result import Result, Surroundings
from tests.compare.runs import STUDENT, TEACHER, flipped, simple, source, task
from tests.report.made.estimates import TASKS
from tests.report.made.results import result_of
from tests.report.made.students import student, task_result
from tests.report.made.studies import add_study

KEPT = dict(zip(TASKS, (0.99, 0.98, 0.97), strict=True))
HOST = HostFacts(fingerprint="f" * 16, cpu="Example", cores=2, memory_bytes=1, os="Linux", python="3.11")


def run(name: str, *names: str, **more: object) -> Result:
    students = [student(each, KEPT, 2.0, "PASS", label=each) for each in names]
    return result_of(students, **{"run": name, "trade_offs": [], "recommended": names[0], **more})


def on(result: Result, host: HostFacts) -> Result:
    where = Surroundings(host=host, device="cpu", threads=2)
    students = [each.model_copy(update={"measured_on": where}) for each in result.students]
    return result.model_copy(update={"students": students, "host": host})


def test_students_of_several_runs_stand_beside_each_other_under_one_teacher() -> None:
    found = merge([run("first", "a", "b"), run("second", "c")])
    assert [each.name for each in found.students] == ["a", "b", "c"]
    assert [each.run for each in found.students] == ["first", "first", "second"]
    assert [each.label for each in found.students] == ["a", "b", "c"]
    assert [each.name for each in found.teachers] == ["teacher"]
    assert {each.of[0] for each in found.students} == {"teacher"}
    assert found.conflicts == []
    assert [(each.label, each.students) for each in found.runs] == [("first", ["a", "b"]), ("second", ["c"])]
    assert [[point.name for point in trade.points] for trade in found.trade_offs] == [["teacher", "a", "b", "c"]]
    assert found.recommended in {"a", "b", "c"}


def test_it_is_a_result_that_reads_back() -> None:
    found = merge([run("first", "a"), run("second", "a")])
    assert Result.model_validate_json(found.model_dump_json()) == found


def test_equal_names_of_two_runs_are_told_apart() -> None:
    control = {"role": "control", "control_of": "a", "label": "control"}
    first = result_of([student("a", KEPT, 2.0, "PASS"), student("k", KEPT, 2.0, "FAIL", **control)], run="same")
    second = first.model_copy(update={"created_at": "2026-02-01T10:20:30Z", "recommended": "a"})
    found = merge([first, second])
    assert len({each.name for each in found.students}) == 4
    assert len({each.label for each in found.students}) == 4
    assert [each.label for each in found.runs] == ["same of 2026-01-01 00:00", "same of 2026-02-01 10:20"]
    names = [each.name for each in found.students]
    assert [each.control_of for each in found.students] == [None, names[0], None, names[2]]
    assert found.runs[1].recommended == names[2]


def test_one_run_is_itself_and_the_same_run_twice_is_refused() -> None:
    one = run("first", "a")
    assert merge([one]) is one
    with pytest.raises(UsageError, match="given twice"):
        merge([one, one])
    with pytest.raises(UsageError, match="no run"):
        merge([])


def test_teachers_of_one_name_and_other_content_stand_apart() -> None:
    second = run("second", "b")
    other = second.teachers[0].model_copy(update={"identity": "sha256:else", "scores": dict.fromkeys(TASKS, 0.5)})
    found = merge([run("first", "a"), second.model_copy(update={"teachers": [other]})])
    assert [each.label for each in found.teachers] == ["Teacher-135M", "Teacher-135M of second"]
    assert len({each.name for each in found.teachers}) == 2
    assert found.students[1].of == [found.teachers[1].name]
    assert any("another model of that name" in text for text in found.conflicts)
    assert found.recommended is None  # compression and retention are relative to other teachers
    assert len(found.trade_offs) == 2


def test_one_teacher_on_two_machines_stands_apart_with_its_noise() -> None:
    there = HOST.model_copy(update={"fingerprint": "e" * 16, "cpu": "Elsewhere"})
    found = merge([on(run("first", "a"), HOST), on(run("second", "a"), there)])
    assert len(found.teachers) == 2
    assert [len(each.again) for each in found.teachers] == [2, 2]
    assert found.host is None
    machines = [each.machine for each in found.runs]
    assert "Example" in machines[0]
    assert "Elsewhere" in machines[1]
    assert all(each.run is not None and where in each.run for each, where in zip(found.students, machines, strict=True))
    assert any("different machines" in text for text in found.conflicts)
    # what is retained has no machine: both students share a front
    assert [len(trade.points) for trade in found.trade_offs] == [3]  # and their teacher


def test_another_task_of_one_name_stands_apart(tmp_path: Path) -> None:
    a = source(tmp_path / "a", simple())
    b = source(tmp_path / "b", simple(), record={'"task_version":"1"': '"task_version":"2"'})
    c = source(tmp_path / "c", simple(flipped(STUDENT, won=3)))
    found = merge([a.result, b.result, c.result])
    assert [each.tasks[0].task for each in found.students] == ["t of a", "t of b", "t of a"]
    assert [each.suite.worst_task for each in found.students] == ["t of a", "t of b", "t of a"]
    fronts = [{point.name for point in trade.points[1:]} for trade in found.trade_offs]
    assert fronts in ([set(), set()], [{"student@a", "student@c"}, {"student@b"}])
    (conflict,) = [text for text in found.conflicts if "not the same task" in text]
    assert "other versions: 1, 2" in conflict
    assert "a, c; b" in conflict
    assert set(found.teachers[0].scores) == {"t of a", "t of b"}


@pytest.mark.parametrize(
    ("record", "word"), [({'"d"': '"other"'}, "other data"), ({'"p"': '"other"'}, "other prompts")]
)
def test_other_data_or_prompts_are_another_task(tmp_path: Path, record: dict[str, str], word: str) -> None:
    a, b = source(tmp_path / "a", simple()), source(tmp_path / "b", simple(), record=record)
    found = merge([a.result, b.result])
    assert len({each.tasks[0].task for each in found.students}) == 2
    assert any(word in text for text in found.conflicts)


def test_results_that_do_not_record_what_they_asked_are_told_by_size_and_teacher() -> None:
    same = merge([run("first", "a"), run("second", "b")])
    assert len({task.task for each in same.students for task in each.tasks}) == len(TASKS) + 1
    other = student("b", {}, 2.0, "PASS", label="b").model_copy(update={"tasks": [task_result(TASKS[0], 0.9, n=77)]})
    apart = merge([run("first", "a"), result_of([other], run="second", trade_offs=[])])
    assert f"{TASKS[0]} of second" in {task.task for task in apart.students[1].tasks}
    assert any("does not record what it asked" in text for text in apart.conflicts)


def test_other_gates_are_said_and_have_no_line_in_a_chart() -> None:
    strict = run("second", "b", thresholds={"retained": 0.99, "task_floor": 0.90}, alpha=0.1)
    found = merge([run("first", "a"), strict])
    assert found.thresholds["retained"] is None
    assert found.thresholds["task_floor"] == 0.90
    (conflict,) = [text for text in found.conflicts if "gate" in text]
    assert "retained 0.95 in first, 0.99 in second" in conflict
    assert found.students[1].label == "b, intervals at 90 %"
    assert found.recommended is None
    assert [each.thresholds["retained"] for each in found.runs] == [0.95, 0.99]


def test_studies_follow_their_students() -> None:
    base = student("a", KEPT, 2.0, "PASS", label="a")
    studied = add_study(result_of([base], run="first", trade_offs=[], recommended=None), base, (30, 300))
    found = merge([studied, studied.model_copy(update={"run": "second"})])
    assert [each.name for each in found.studies] == [
        f"{studied.studies[0].name} of {run}" for run in ("first", "second")
    ]
    names = {each.name for each in found.students}
    for study in found.studies:
        assert {entry.student for entry in study.entries} <= names
        assert {entry.control for entry in study.entries if entry.control} <= names
        assert study.teacher in {each.name for each in found.teachers}
    assert found.studies[0].entries[0].student != found.studies[1].entries[0].student


def test_every_required_student_of_every_run_must_pass() -> None:
    failing = result_of([student("b", KEPT, 2.0, "FAIL")], run="second", trade_offs=[], verdict="FAIL")
    assert merge([run("first", "a"), failing]).verdict == "FAIL"
    assert merge([run("first", "a"), run("second", "c")]).verdict == "PASS"


def test_real_runs_keep_their_numbers(tmp_path: Path) -> None:
    a = source(tmp_path / "a", simple())
    b = source(tmp_path / "b", {"teacher": {"t": task(TEACHER)}, "tiny": {"t": task(np.zeros(400))}})
    found = merge([a.result, b.result])
    assert [each.suite.retained for each in found.students] == [
        a.result.students[0].suite.retained,
        b.result.students[0].suite.retained,
    ]
    assert [each.identity for each in found.students] == ["id-student", "id-tiny"]
