"""What students do on tasks, beside their teachers: scores, groups, context lengths, bias, calibration, divergence."""

from __future__ import annotations

from collections.abc import Iterator

from distbench.schema.result import Beside, Result, StudentResult, TaskResult
from distbench.tables.table import Column, Row, Table, estimated, flag, number, spread, text, whole

_WHERE: tuple[Column, ...] = (text("student", "name of the student"), text("task", "name of the task"))
_BOTH: tuple[Column, ...] = (
    number("teacher_score", "mean score of the teacher, in the unit of the metric"),
    number("student_score", "mean score of the student, in the unit of the metric"),
)
_MEANS_ONLY = "not the task's primary metric: means only"
_NO_FLIPS = "the task does not say which answers are right or the same"
_FIDELITY = ("agreement", "negative_flips", "positive_flips")

_TASK: tuple[Column, ...] = (
    *_WHERE,
    text("label", "what people call the student"),
    text("role", "student or control"),
    text("of", "the teacher it is compared with"),
    text("metric", "what is scored"),
    flag("primary", "the metric that is compared; of others there are means only"),
    flag("higher_is_better", "a higher score is better"),
    number("baseline", "score of chance or of a trivial system, in the unit of the metric"),
    whole("n", "samples that both answered"),
    *_BOTH,
    *estimated("retained", "(student − baseline) ÷ (teacher − baseline), paired; 1 = as good as the teacher"),
    *estimated("retained_raw", "student ÷ teacher without the correction for chance"),
    *estimated("delta", "student − teacher, + is better, in the unit of the metric"),
    *estimated("gap_recovered", "share of the gap between the control and the teacher that it closes"),
    *estimated("agreement", "share of samples with the same answer"),
    *estimated("negative_flips", "share of samples that the teacher gets right and the student wrong"),
    *estimated("positive_flips", "share of samples that the teacher gets wrong and the student right"),
    whole("failed", "answers of either side that crashed or could not be parsed; they count as the worst score"),
    flag("gated", "a rule of the gate asks for this metric"),
    text("verdict", "against the task's floor; INCONCLUSIVE where no rule asks"),
    text("reason", "the sentence that explains the verdict"),
    text("task_version", "version of the task that was asked"),
    text("data_digest", "digest of the data that was asked"),
)


def _tasks(result: Result) -> Iterator[Row]:
    for student in result.students:
        for task in student.tasks:
            yield _primary(student, task)
            for metric, scores in task.other_metrics.items():
                yield _other(student, task, metric, scores)


def _primary(student: StudentResult, task: TaskResult) -> Row:
    row = {
        **_named(student, task),
        "metric": task.metric,
        "primary": True,
        "higher_is_better": task.higher_is_better,
        "baseline": task.baseline,
        "n": task.n,
        "teacher_score": task.teacher,
        "student_score": task.student,
        **spread("retained", task.retained, ""),
        **spread("retained_raw", task.retained_raw, ""),
        **spread("delta", task.delta, ""),
        **spread("gap_recovered", task.gap_recovered, "no control without the teacher"),
    }
    for name in _FIDELITY:
        row |= spread(name, getattr(task.fidelity, name), _NO_FLIPS)
    return row | {
        "failed": task.failed,
        "gated": task.gated,
        "verdict": task.verdict,
        "reason": task.reason,
        **_asked(task),
    }


def _other(student: StudentResult, task: TaskResult, metric: str, scores: tuple[float, float]) -> Row:
    """Return the row of a metric of which only the means are known: nothing else may stand there."""
    row: Row = {column.name: None for column in _TASK}
    row |= {f"{name}_reason": _MEANS_ONLY for name in ("retained", "retained_raw", "delta", "gap_recovered")}
    row |= {f"{name}_reason": _MEANS_ONLY for name in _FIDELITY}
    row |= {
        **_named(student, task),
        **_asked(task),
        "metric": metric,
        "primary": False,
        "gated": False,
        "reason": _MEANS_ONLY,
    }
    return row | {"teacher_score": scores[0], "student_score": scores[1]}


def _asked(task: TaskResult) -> Row:
    return {"task_version": task.asked.version, "data_digest": task.asked.data}


def _named(student: StudentResult, task: TaskResult) -> Row:
    of = student.of[0] if student.of else None
    return {"student": student.name, "task": task.task, "label": student.label, "role": student.role, "of": of}


_GROUP: tuple[Column, ...] = (
    *_WHERE,
    text("dimension", "what the groups differ in"),
    text("group", "the group"),
    whole("n", "samples of the group"),
    *_BOTH,
    *estimated("retained", "share of the teacher kept in the group; 1 = as good as the teacher"),
    number("floor", "share that every judged group must keep"),
    flag("judged", "the group has samples enough for a verdict"),
    text("verdict", "against the floor, FAIL only after Holm; empty where it is not judged"),
    text("reason", "the sentence that explains the verdict, or why there is none"),
)


def _groups(result: Result) -> Iterator[Row]:
    for student, task in _each(result):
        for dimension in task.groups:
            for group in dimension.groups:
                yield {
                    "student": student.name,
                    "task": task.task,
                    "dimension": dimension.dimension,
                    "group": group.group,
                    "n": group.n,
                    "teacher_score": group.teacher,
                    "student_score": group.student,
                    **spread("retained", group.retained, ""),
                    "floor": dimension.floor,
                    "judged": group.judged,
                    "verdict": group.verdict,
                    "reason": group.reason,
                }


_LENGTH: tuple[Column, ...] = (
    *_WHERE,
    whole("length", "nominal context length, tokens"),
    whole("n", "samples of this length"),
    *_BOTH,
    *estimated("retained", "share of the teacher kept at this length; 1 = as good as the teacher"),
    text("verdict", "against the task's floor"),
)


def _lengths(result: Result) -> Iterator[Row]:
    for student, task in _each(result):
        for bucket in task.context.buckets if task.context else []:
            yield {
                "student": student.name,
                "task": task.task,
                "length": bucket.length,
                "n": bucket.n,
                "teacher_score": bucket.teacher,
                "student_score": bucket.student,
                **spread("retained", bucket.retained, ""),
                "verdict": bucket.verdict,
            }


_BIAS: tuple[Column, ...] = (
    *_WHERE,
    text("metric", "the bias rate"),
    number("neutral", "the unbiased value of the rate"),
    whole("n", "samples"),
    *estimated("teacher_rate", "rate of the teacher, 0 to 1"),
    *estimated("student_rate", "rate of the student, 0 to 1"),
    *estimated("transfer", "student − teacher"),
    *estimated("drift", "how much further from neutral the student is than the teacher; above 0 it is further"),
    *estimated("inherited", "P(student biased | teacher biased)"),
)


def _bias(result: Result) -> Iterator[Row]:
    for student, task in _each(result):
        for each in task.bias:
            yield {
                "student": student.name,
                "task": task.task,
                "metric": each.metric,
                "neutral": each.neutral,
                "n": each.n,
                **spread("teacher_rate", each.teacher, ""),
                **spread("student_rate", each.student, ""),
                **spread("transfer", each.transfer, ""),
                **spread("drift", each.drift, ""),
                **spread("inherited", each.inherited, ""),
            }


_CALIBRATION: tuple[Column, ...] = (
    *_WHERE,
    text("measure", "brier, nll (nats), ece, ace, aurc, or accuracy on the most confident share of the samples"),
    whole("n", "samples"),
    number("teacher_value", "of the teacher"),
    number("student_value", "of the student"),
    *estimated("delta", "student − teacher, paired, + is better"),
)


def _calibration(result: Result) -> Iterator[Row]:
    for student, task in _each(result):
        found = task.calibration
        if found is None:
            continue
        measures: dict[str, Beside | None] = {name: getattr(found, name) for name in _MEASURES}
        measures |= {f"accuracy at {share}": beside for share, beside in found.accuracy_at.items()}
        for name, beside in measures.items():
            if beside is not None:
                yield {
                    "student": student.name,
                    "task": task.task,
                    "measure": name,
                    "n": found.n,
                    "teacher_value": beside.teacher,
                    "student_value": beside.student,
                    **spread("delta", beside.delta, beside.reason or "for display: it has no interval"),
                }


_MEASURES = ("brier", "nll", "ece", "ace", "aurc")

_DIVERGENCE: tuple[Column, ...] = (
    *_WHERE,
    text("metric", "the statement about the student against its teacher; KL and JS in nats per token"),
    flag("primary", "the metric that is quoted"),
    flag("higher_is_better", "a higher value is better"),
    whole("n", "documents"),
    *estimated("value", "mean over documents"),
    whole("infinite", "documents whose value is infinite; they are counted, never clipped"),
)


def _divergences(result: Result) -> Iterator[Row]:
    for student in result.students:
        for each in student.divergence:
            yield {
                "student": student.name,
                "task": each.task,
                "metric": each.metric,
                "primary": each.primary,
                "higher_is_better": each.higher_is_better,
                "n": each.n,
                **spread("value", each.value, ""),
                "infinite": each.infinite,
            }


def _each(result: Result) -> Iterator[tuple[StudentResult, TaskResult]]:
    for student in result.students:
        for task in student.tasks:
            yield student, task


TASKS = Table("tasks", "a student on a task under a metric", _TASK, _tasks)
GROUPS = Table("groups", "a student on one group of a task", _GROUP, _groups)
CONTEXT = Table("context", "a student on a task at one context length", _LENGTH, _lengths)
BIAS = Table("bias", "a student under one bias rate of a task", _BIAS, _bias)
CALIBRATION = Table("calibration", "a student on a task under one measure of calibration", _CALIBRATION, _calibration)
DIVERGENCES = Table("divergences", "a student under one divergence from its teacher", _DIVERGENCE, _divergences)
