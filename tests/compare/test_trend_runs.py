"""Releases in order: gaps stay gaps, and only what is more than chance is remarked."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from distbench.cli.trend_csv import COLUMNS, trend_csv
from distbench.compare.source import Source, opened
from distbench.compare.trend import trend
from distbench.errors import UsageError
from distbench.schema.trend import Trend
from distbench.store.files import write_text
from tests.compare.runs import STUDENT, TEACHER, flipped, simple, source, task


def releases(folder: Path) -> list[Source]:
    """January as it was, February without the student, March far better, April the same again."""
    better = flipped(STUDENT, won=30)
    other = {"teacher": {"t": task(TEACHER)}, "else": {"t": task(STUDENT)}}
    return [
        source(folder / "mar", simple(better), date="2026-03-01T00:00:00Z", identities={"student": "id-2"}),
        source(folder / "jan", simple(), date="2026-01-01T00:00:00Z"),
        source(folder / "apr", simple(better), date="2026-04-01T00:00:00Z", identities={"student": "id-2"}),
        source(folder / "feb", other, date="2026-02-01T00:00:00Z"),
    ]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Trend:
    return trend(releases(tmp_path_factory.mktemp("releases")))


def test_releases_stand_in_the_order_of_their_dates(found: Trend) -> None:
    assert [each.label for each in found.releases] == ["jan", "feb", "mar", "apr"]
    assert found.order == "created_at"


def test_a_release_without_the_student_is_a_gap(found: Trend) -> None:
    line = next(each for each in found.lines if each.name == "student")
    assert [point is None for point in line.points] == [False, True, False, False]
    assert [point.since for point in line.points if point] == [None, 0, 2]
    other = next(each for each in found.lines if each.name == "else")
    assert [point is None for point in other.points] == [True, False, True, True]


def test_only_what_is_more_than_chance_is_remarked(found: Trend) -> None:
    line = next(each for each in found.lines if each.name == "student")
    first, _, third, fourth = line.points
    assert (first.change, first.change_verdict) == (None, None)
    assert (third.basis, third.change_verdict) == ("paired", "better")
    assert third.p_holm >= third.p_value
    assert (fourth.basis, fourth.change_verdict) == ("identical", "unchanged")
    assert line.remarks == ["From jan to mar (nothing is known of it between them) it retains more."]


def test_it_says_when_the_content_changed(found: Trend) -> None:
    line = next(each for each in found.lines if each.name == "student")
    assert [point.same for point in line.points if point] == [None, False, True]


def test_the_order_given_can_be_kept(tmp_path: Path) -> None:
    a, b = source(tmp_path / "a", simple(), date="2026-02-01"), source(tmp_path / "b", simple(), date="2026-01-01")
    kept = trend([a, b], as_given=True)
    assert ([each.label for each in kept.releases], kept.order) == (["a", "b"], "given")
    undated = source(tmp_path / "c", simple(), date="")
    fallen = trend([a, undated])
    assert fallen.order == "given"
    assert "has no date" in fallen.notes[0]


def test_many_small_steps_are_corrected_for_their_number(tmp_path: Path) -> None:
    runs = [source(tmp_path / "r0", simple(), date="2026-01-01")]
    for month in range(1, 8):
        scores = flipped(STUDENT, lost=13, won=4) if month == 4 else STUDENT
        words = {"prediction": [f"release {month}: {k}" for k in range(400)]}
        models = {"teacher": {"t": task(TEACHER)}, "student": {"t": task(scores, **words)}}
        runs.append(source(tmp_path / f"r{month}", models, date=f"2026-01-0{month + 1}"))
    (line,) = trend(runs, margin=0.0).lines
    fourth = line.points[4]
    assert fourth is not None
    assert fourth.p_value < 0.05 < fourth.p_holm
    assert fourth.change_verdict == "cannot_be_told"
    assert line.remarks == []


def test_steps_between_documents_are_never_remarked(tmp_path: Path) -> None:
    paths = []
    for name, scores in (("a", STUDENT), ("b", flipped(STUDENT, lost=150))):
        run = source(tmp_path / name, simple(scores), date=f"2026-01-0{len(paths) + 1}")
        paths.append(tmp_path / f"{name}.json")
        write_text(paths[-1], run.result.model_dump_json())
    made = trend([opened(path) for path in paths])
    (line,) = made.lines
    assert line.points[1].basis == "independent"
    assert line.points[1].change_verdict == "worse"
    assert line.remarks == []
    assert "not paired by sample" in made.notes[0]


def test_two_runs_at_least_and_each_once(tmp_path: Path) -> None:
    one = source(tmp_path / "a", simple())
    with pytest.raises(UsageError, match="at least two"):
        trend([one])
    with pytest.raises(UsageError, match="given twice"):
        trend([one, one])


def test_csv_has_a_row_for_each_student_and_release(found: Trend) -> None:
    rows = list(csv.DictReader(io.StringIO(trend_csv(found))))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == len(found.releases) * len(found.lines)
    for row in rows:
        line = next(each for each in found.lines if each.name == row["student"])
        point = line.points[[each.label for each in found.releases].index(row["release"])]
        assert row["present"] == ("false" if point is None else "true")
        assert row["retained"] == ("" if point is None else repr(point.retained.value))
        assert row["speedup"] == ""  # nobody measured it: empty, never 0


def test_csv_runs_nothing(found: Trend) -> None:
    evil = found.lines[0].model_copy(update={"label": '=HYPERLINK("http://x")\r\n@a|b\x00\ud800'})
    text = trend_csv(found.model_copy(update={"lines": [evil]}))
    (row, *_) = list(csv.DictReader(io.StringIO(text)))
    assert row["label"].startswith("'=HYPERLINK")
    assert "\x00" not in text
    text.encode("utf-8")
