"""Assertions about a run, decided as the gate decides: by the ends of the interval, never by the value.

What cannot be decided (the interval holds the threshold, a number is missing, the teacher shows nothing to keep) fails
a test unless `on_inconclusive` says "skip" or "warn": it never passes silently. A comparison that is not valid always
fails. Every assertion raises UsageError for a student, a task or a measure that the run does not have.
"""

from __future__ import annotations

import os
import unittest
import warnings
from typing import Literal

from distbench.api import Run, load
from distbench.compare.judging import at_least as judged_at_least
from distbench.compare.judging import at_most as judged_at_most
from distbench.compare.measurements import headline_energy, headline_memory, headline_speedup
from distbench.compare.severity import worst
from distbench.errors import UsageError
from distbench.gate.exit import UNDECIDED
from distbench.report import numbers, words
from distbench.report.visible import one_line
from distbench.schema.estimate import Estimate, Verdict
from distbench.schema.result import Measurement, Result, StudentResult
from distbench.testing.lookup import measurement_named, student_named, task_named, unfinished_tasks
from distbench.testing.message import Claim, failure, what_would_decide

OnInconclusive = Literal["fail", "skip", "warn"]
AnyRun = Run | Result | str | os.PathLike[str]


class InconclusiveWarning(UserWarning):
    """A claim about a run could not be decided, and the test said that this is no failure."""


def assert_retained(
    run: AnyRun,
    student: str,
    task: str | None = None,
    margin: float = 0.95,
    *,
    on_inconclusive: OnInconclusive = "fail",
) -> None:
    """Assert that a student keeps at least `margin` of its teacher, over all tasks or on one.

    `margin` is a share: 0.95, not 95. Over all tasks this looks at the whole alone; floors of tasks are the gate's.
    """
    __tracebackhide__ = True
    result = _result(run)
    if not 0 < margin <= 2:
        raise UsageError(f"margin {margin:g} is not a share of the teacher: 0.95 means 95 %")
    found = student_named(result, student)
    if task is None:
        observed, where = found.suite.retained, "over all tasks"
        reason, absent = found.suite.reason, unfinished_tasks(result, found)
    else:
        row = task_named(found, task)
        observed, where, reason, absent = row.retained, f"on {one_line(task, 80)}", row.reason, []
    verdict, why = judged_at_least(_explained(observed, reason), margin)
    if verdict == "PASS" and absent:
        verdict, why = "INCONCLUSIVE", f"{', '.join(absent)} did not finish"
    claim = Claim(
        said=f"{_label(found)} retains {numbers.as_percent(observed, (margin,)).brief} of its teacher {where}",
        asked=f"≥ {numbers.whole_percent(margin)}",
        n=observed.n,
        verdict=verdict,
        why=why,
        more=what_would_decide(observed, margin, result.alpha, verdict),
    )
    _settle(claim, on_inconclusive)


def assert_passes_gate(run: AnyRun, student: str | None = None, *, on_inconclusive: OnInconclusive = "fail") -> None:
    """Assert that a student passes every required rule of the run's gate; without a name, that the whole run does."""
    __tracebackhide__ = True
    result = _result(run)
    if student is None:
        subject, verdict, why = "the run", result.verdict, result.verdict_reason
        asked = [each for each in result.students if each.role == "student" and each.required]
    else:
        found = student_named(result, student)
        subject, verdict, why, asked = _label(found), found.verdict, found.verdict_reason, [found]
    rules = [
        f"{_label(each)}: {check.verdict} {check.title} {check.sign} {check.threshold:g}: {check.reason}"
        for each in asked
        for check in each.gate
        if check.required and check.verdict != "PASS"
    ]
    said = "does not pass" if verdict == "FAIL" else "cannot be said to pass"
    claim = Claim(f"{subject} {said} the gate", None, None, verdict, why, "\n  ".join(rules))
    _settle(claim, on_inconclusive)


def assert_speedup(
    run: AnyRun,
    student: str,
    at_least: float = 1.0,
    *,
    metric: str | None = None,
    workload: str | None = None,
    on_inconclusive: OnInconclusive = "fail",
) -> None:
    """Assert that a student is at least so many times as fast as its teacher, measured side by side.

    Without `metric` and `workload` it is what the gate looks at: end-to-end latency at the smallest batch. Any measured
    ratio may be named, such as metric="tokens_per_s", workload="batch 8".
    """
    __tracebackhide__ = True
    result = _result(run)
    found = student_named(result, student)
    if metric is None and workload is None:
        measured = headline_speedup(found.measurements)
    else:
        measured = measurement_named(found, metric or "e2e_ms", workload)
    _settle_ratio(found, measured, at_least, "latency was not measured", on_inconclusive)


def assert_less_memory(
    run: AnyRun, student: str, at_least: float = 1.0, *, on_inconclusive: OnInconclusive = "fail"
) -> None:
    """Assert that the peak memory at work is at least so many times smaller than the teacher's."""
    __tracebackhide__ = True
    found = student_named(_result(run), student)
    _settle_ratio(found, headline_memory(found.measurements), at_least, "memory was not measured", on_inconclusive)


def assert_less_energy(
    run: AnyRun, student: str, at_least: float = 1.0, *, on_inconclusive: OnInconclusive = "fail"
) -> None:
    """Assert that the work takes at least so many times less energy (gross) than the teacher's."""
    __tracebackhide__ = True
    found = student_named(_result(run), student)
    _settle_ratio(found, headline_energy(found.measurements), at_least, "energy was not measured", on_inconclusive)


def assert_smaller(
    run: AnyRun,
    student: str,
    at_least: float = 1.0,
    *,
    kind: str = "bytes_on_disk",
    on_inconclusive: OnInconclusive = "fail",
) -> None:
    """Assert that a student is at least so many times smaller than its teacher, by size on disk or another kind."""
    __tracebackhide__ = True
    found = student_named(_result(run), student)
    if kind not in found.compression:
        raise UsageError(f"{kind!r} is no kind of size here (there are: {', '.join(found.compression)})")
    value = found.compression[kind]
    nothing = f"the {words.size_kind(kind)} is not known"
    observed = Estimate(value=value, lo=value, hi=value, method="exact", reason=None if value else nothing)
    verdict, why = judged_at_least(observed, at_least)
    shown = numbers.as_ratio(observed, (at_least,))
    said = f"{_label(found)} is {shown} smaller ({words.size_kind(kind)})" if value else f"{_label(found)}: {nothing}"
    _settle(Claim(said, f"≥ {numbers.whole_ratio(at_least)}", None, verdict, why), on_inconclusive)


def assert_lost_at_most(
    run: AnyRun, student: str, at_most: float, task: str | None = None, *, on_inconclusive: OnInconclusive = "fail"
) -> None:
    """Assert that of all answers at most this share is lost (teacher right, student wrong), on a task or on each.

    Where no task is named, every task that says which answers are right is asked; one that fails is enough, and no
    correction for their number is made, so name the task where there are many.
    """
    __tracebackhide__ = True
    result = _result(run)
    if not 0 <= at_most <= 1:
        raise UsageError(f"{at_most:g} is not a share of the answers: 0.05 means 5 %")
    found = student_named(result, student)
    tasks = [task_named(found, task)] if task is not None else [t for t in found.tasks if t.fidelity.negative_flips]
    nothing = Estimate(value=None, method="none", reason="no task says which answers are right")
    rows = [(each.task, each.fidelity.negative_flips or nothing) for each in tasks] or [("all tasks", nothing)]
    judged = [(name, observed, *judged_at_most(observed, at_most)) for name, observed in rows]
    verdict: Verdict = worst([each[2] for each in judged])
    name, observed, _, why = next(each for each in judged if each[2] == verdict)
    absent = unfinished_tasks(result, found) if task is None else []
    if verdict == "PASS" and absent:
        verdict, why = "INCONCLUSIVE", f"{', '.join(absent)} did not finish"
    shown = numbers.as_percent(observed, (at_most,)).brief
    said = f"{_label(found)} loses {shown} of the answers on {one_line(name, 80)}"
    more = what_would_decide(observed, at_most, result.alpha, verdict, least=False)
    _settle(Claim(said, f"≤ {numbers.whole_percent(at_most)}", observed.n, verdict, why, more), on_inconclusive)


def _settle_ratio(
    student: StudentResult,
    measured: Measurement | None,
    threshold: float,
    nothing: str,
    on_inconclusive: OnInconclusive,
) -> None:
    __tracebackhide__ = True
    if measured is None:
        observed, said = Estimate(value=None, method="none", reason=nothing), f"{_label(student)}: {nothing}"
    else:
        observed = _explained(measured.ratio, measured.reason)
        what = words.metric_words(measured.metric) + (f" ({measured.workload})" if measured.workload else "")
        shown = numbers.as_ratio(observed, (threshold,))
        better = f"is {shown} better than its teacher's" if observed.value is not None else "has no ratio"
        said = f"{_label(student)}: {one_line(what, 120)} {better}"
    verdict, why = judged_at_least(observed, threshold)
    more = "measure more launches, or on a quieter machine" if verdict == "INCONCLUSIVE" and observed.value else ""
    _settle(Claim(said, f"≥ {numbers.whole_ratio(threshold)}", observed.n or None, verdict, why, more), on_inconclusive)


def _settle(claim: Claim, on_inconclusive: OnInconclusive) -> None:
    """Pass, raise, skip or warn."""
    __tracebackhide__ = True
    if on_inconclusive not in {"fail", "skip", "warn"}:
        raise UsageError(f"on_inconclusive={on_inconclusive!r} is not one of: fail, skip, warn")
    if claim.verdict == "PASS":
        return
    message = failure(claim)
    if claim.verdict in UNDECIDED:
        if on_inconclusive == "skip":
            raise unittest.SkipTest(message)  # pytest knows it too
        if on_inconclusive == "warn":
            warnings.warn(message, InconclusiveWarning, stacklevel=3)
            return
    raise AssertionError(message)


def _result(run: AnyRun) -> Result:
    if isinstance(run, Result):
        return run
    return run.result if isinstance(run, Run) else load(run).result


def _label(student: StudentResult) -> str:
    return one_line(student.label, 60)


def _explained(found: Estimate, reason: str | None) -> Estimate:
    """Return a number that is missing with the reason that stands beside it."""
    return found.model_copy(update={"reason": reason}) if found.value is None and not found.reason else found
