"""A trend over releases in words: one wording for terminal, CSV and page."""

from __future__ import annotations

from collections.abc import Sequence

from distbench.report import numbers, words
from distbench.report.changes import VERDICTS
from distbench.report.numbers import Shown
from distbench.schema.estimate import Estimate
from distbench.schema.trend import Release, Trend, TrendLine, TrendPoint

NOT_THERE = "the release does not have this student"


def shown(trend: Trend) -> list[TrendLine]:
    """Return students first, then controls."""
    return sorted(trend.lines, key=lambda line: line.role == "control")


def retained(trend: Trend, point: TrendPoint | None) -> Shown:
    """Return what a student retains in a release; it never rounds across the gate."""
    limit = trend.thresholds.get("retained")
    against = () if limit is None else (limit,)
    return numbers.nothing(NOT_THERE) if point is None else numbers.as_percent(point.retained, against)


def ratio(point: TrendPoint | None, found: Estimate | None) -> Shown:
    """Return a measured ratio to the teacher."""
    if point is None:
        return numbers.nothing(NOT_THERE)
    return numbers.perhaps(found, lambda each: numbers.as_ratio(each, (1.0,)), "not measured")


def smaller(point: TrendPoint | None) -> Shown:
    """Return how many times smaller a student is than its teacher."""
    if point is None:
        return numbers.nothing(NOT_THERE)
    return numbers.optional(point.compression, numbers.ratio, "no size on disk of the model or its teacher")


def size(point: TrendPoint | None) -> Shown:
    """Return a student's size."""
    if point is None:
        return numbers.nothing(NOT_THERE)
    return numbers.optional(point.bytes_on_disk, numbers.size, "no size on disk")


def change(point: TrendPoint | None) -> Shown:
    """Return the change since the release before, in points."""
    if point is None or point.since is None:
        return numbers.nothing(NOT_THERE if point is None else "its first release")
    return numbers.perhaps(point.change, lambda each: numbers.as_points(each, (0.0,)), "no change could be formed")


def step(point: TrendPoint | None) -> str:
    """Return the verdict on the change in a word with its glyph."""
    if point is None or point.change_verdict is None:
        return numbers.DASH
    found = VERDICTS[point.change_verdict]
    return f"{found.glyph} {found.word}"


def model_words(point: TrendPoint | None) -> str:
    """Say whether a student is the model that it was, and what else is not as before."""
    if point is None or point.since is None:
        return ""
    said = {True: "the same model", False: "another model", None: "not recorded whether it is the same model"}[
        point.same
    ]
    teacher = {True: "", False: ", another teacher", None: ""}[point.same_teacher]
    return said + teacher + (f"; other {', '.join(point.content)}" if point.content else "")


def when(release: Release) -> str:
    """Return the day of a release."""
    return release.created_at[:10] or "no date"


def headline(trend: Trend) -> str:
    """Return the trend in a sentence: what the newest release is, and how many steps are more than chance."""
    newest = trend.releases[-1]
    remarks = sum(len(line.remarks) for line in trend.lines if line.role == "student")
    said = "no step of a student is more than chance" if not remarks else (
        f"{words.plural(remarks, 'step')} of students {'is' if remarks == 1 else 'are'} more than chance"
    )  # fmt: skip
    verdict = words.VERDICTS[newest.verdict]
    return f"{words.plural(len(trend.releases), 'release')}; the newest, {newest.label}: {verdict.word}; {said}."


def remarks(trend: Trend) -> Sequence[tuple[str, str]]:
    """Return (student, sentence) of every step that is more than chance."""
    return [(line.label, text) for line in shown(trend) for text in line.remarks]
