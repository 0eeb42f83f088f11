"""`trend`: releases in order, and which steps from one to the next are more than chance."""

from __future__ import annotations

from collections.abc import Sequence

from distbench.compare.diff import MARGIN, diff
from distbench.compare.diff_facts import TRAINED_HERE
from distbench.compare.diff_judge import adjusted
from distbench.compare.measurements import headline_energy, headline_speedup
from distbench.compare.merge import machine_of
from distbench.compare.merge_names import run_labels
from distbench.compare.source import Source
from distbench.errors import UsageError
from distbench.schema.diff import ChangeVerdict, Diff, ModelChange
from distbench.schema.estimate import Estimate
from distbench.schema.result import Measurement, StudentResult
from distbench.schema.trend import Release, Trend, TrendLine, TrendPoint

_WHAT = {"weights": "weights", "recipe": "recipe", "training": "training", "size": "size"}


def trend(sources: Sequence[Source], *, as_given: bool = False, margin: float = MARGIN) -> Trend:
    """Return the trend over runs, in the order of their dates unless `as_given`.

    A student is followed by its name. The change from the release before is that of `diff`; its p-values are Holm's
    over the steps of the student. Raises UsageError for fewer than two runs, and for a run given twice.
    """
    if len(sources) < 2:
        raise UsageError("a trend needs at least two runs")
    for place, source in enumerate(sources):
        if any(source.result == other.result for other in sources[:place]):
            raise UsageError(f"the run {source.result.run} was given twice")
    undated = [source.result.run for source in sources if not source.result.created_at]
    in_time = not as_given and not undated
    ordered = sorted(sources, key=lambda source: source.result.created_at) if in_time else list(sources)
    steps = _Steps(ordered, margin)
    lines = [_line(ordered, name, steps) for name in _names(ordered)]
    notes = [f"{run} has no date, so the releases stand in the order given." for run in undated[:1] if not as_given]
    return Trend(
        order="created_at" if in_time else "given",
        alpha=min(source.result.alpha for source in ordered),
        margin=margin,
        thresholds=_thresholds(ordered),
        releases=_releases(ordered),
        lines=lines,
        notes=notes + _notes(ordered),
    )


class _Steps:
    """The diffs between releases, each made once and only where some student needs it."""

    def __init__(self, sources: Sequence[Source], margin: float) -> None:
        self.sources, self.margin = sources, margin
        self.made: dict[tuple[int, int], Diff] = {}

    def of(self, student: str, before: int, after: int) -> tuple[ModelChange, Diff]:
        """Return what changed in a student between two releases that both have it."""
        if (before, after) not in self.made:
            self.made[before, after] = diff(self.sources[before], self.sources[after], margin=self.margin)
        found = self.made[before, after]
        return next(each for each in found.students if each.name_b == student), found


def _names(sources: Sequence[Source]) -> list[str]:
    """Return students first, then controls, in the order in which the newest release names them."""
    every = [each for source in reversed(sources) for each in source.result.students]
    ordered = sorted(every, key=lambda each: each.role == "control")
    return list(dict.fromkeys(each.name for each in ordered))


def _line(sources: Sequence[Source], name: str, steps: _Steps) -> TrendLine:
    points: list[TrendPoint | None] = []
    last: StudentResult | None = None
    before: int | None = None
    for release, source in enumerate(sources):
        student = next((each for each in source.result.students if each.name == name), None)
        if student is None:
            points.append(None)
            continue
        points.append(_point(student, release, before, steps))
        last = student
        if student.suite.retained.value is not None:  # a step starts where something was retained
            before = release
    assert last is not None
    held = _held(points, steps)
    labels = run_labels([source.result for source in sources])
    return TrendLine(
        name=name,
        label=last.label,
        role=last.role,
        points=held,
        remarks=[_remark(point, labels) for point in held if point is not None and _sure(point)],
    )


def _point(student: StudentResult, release: int, before: int | None, steps: _Steps) -> TrendPoint:
    speed, energy = headline_speedup(student.measurements), headline_energy(student.measurements)
    memory = next((m for m in student.measurements if (m.meter, m.metric) == ("memory", "peak_bytes")), None)
    point = TrendPoint(
        release=release,
        retained=student.suite.retained,
        verdict=student.verdict,
        reason=student.verdict_reason,
        required=student.required,
        tasks=[task.task for task in student.tasks],
        bytes_on_disk=student.footprint.bytes_on_disk,
        compression=student.compression.get("bytes_on_disk"),
        speedup=_ratio(speed),
        memory=_ratio(memory),
        energy=_ratio(energy),
    )  # fmt: skip
    if before is None:
        return point
    found, whole = steps.of(student.name, before, release)
    teacher = next((each for each in whole.teachers if student.of and each.name_b == student.of[0]), None)
    return point.model_copy(
        update={
            "since": before,
            "change": found.retained_change,
            "basis": found.basis,
            "p_value": found.p_value,
            "change_verdict": found.verdict,
            "change_reason": found.reason,
            "same": found.same,
            "same_teacher": teacher.same if teacher is not None else None,
            "content": _content(found, whole),
        }
    )


def _ratio(found: Measurement | None) -> Estimate | None:
    return None if found is None else found.ratio


def _content(found: ModelChange, whole: Diff) -> list[str]:
    """Return what is not as before, in words."""
    facts = [fact for fact in found.facts if None not in {fact.a, fact.b} and not fact.about.endswith(TRAINED_HERE)]
    known = dict.fromkeys(fact.topic for fact in facts)
    said = [_WHAT[topic] for topic in known if topic in _WHAT]
    said += ["tasks"] if any(fact.topic == "task" for fact in whole.facts) else []
    said += ["gate"] if any(fact.topic == "gate" for fact in whole.facts) else []
    said += ["versions"] if any(fact.topic == "versions" for fact in whole.facts) else []
    return said + (["machine"] if found.same_surroundings is False else [])


def _held(points: Sequence[TrendPoint | None], steps: _Steps) -> list[TrendPoint | None]:
    """Give each step its p-value after Holm over the student's steps; a verdict that does not survive goes."""
    known = [point for point in points if point is not None and point.since is not None]
    holm = dict(zip([point.release for point in known], adjusted([point.p_value for point in known]), strict=True))
    many = sum(p is not None for p in holm.values())
    found: list[TrendPoint | None] = []
    for point in points:
        if point is None or point.release not in holm:
            found.append(point)
            continue
        p = holm[point.release]
        verdict, reason = point.change_verdict, point.change_reason
        if verdict in {"better", "worse"} and (p is None or p > _alpha(steps)):
            verdict, reason = "cannot_be_told", f"{reason}, but not after Holm over {many} steps"
        changed = {"p_holm": p, "change_verdict": verdict, "change_reason": reason}
        found.append(point.model_copy(update=changed))
    return found


def _alpha(steps: _Steps) -> float:
    return min(source.result.alpha for source in steps.sources)


def _sure(point: TrendPoint) -> bool:
    """Say whether a step is worth a remark: paired by sample, and more than chance."""
    return point.basis == "paired" and point.change_verdict in {"better", "worse"}


def _remark(point: TrendPoint, labels: Sequence[str]) -> str:
    word: dict[ChangeVerdict | None, str] = {"better": "retains more", "worse": "retains less"}
    assert point.since is not None
    gap = "" if point.since == point.release - 1 else " (nothing is known of it between them)"
    why = f"; not as before: {', '.join(point.content)}" if point.content else ""
    return f"From {labels[point.since]} to {labels[point.release]}{gap} it {word[point.change_verdict]}{why}."


def _releases(sources: Sequence[Source]) -> list[Release]:
    labels = run_labels([source.result for source in sources])
    return [
        Release(
            label=label, run=each.result.run, suite=each.result.suite, created_at=each.result.created_at,
            distbench=each.result.distbench, verdict=each.result.verdict, machine=machine_of(each.result),
        )
        for each, label in zip(sources, labels, strict=True)
    ]  # fmt: skip


def _thresholds(sources: Sequence[Source]) -> dict[str, float | None]:
    first = sources[0].result.thresholds
    return {k: v for k, v in first.items() if all(each.result.thresholds.get(k, ...) == v for each in sources)}


def _notes(sources: Sequence[Source]) -> list[str]:
    documents = [source.result.run for source in sources if source.evidence is None]
    if not documents:
        return []
    named = ", ".join(documents[:3]) + (" …" if len(documents) > 3 else "")
    text = f"Of {named} only the result document was given: steps from and to it are not paired by sample, "
    return [text + "and a remark is made only of paired ones."]
