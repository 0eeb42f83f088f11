"""What an experiment tracker gets: one run a student, with numbers that are known and a list of those that are not."""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from distbench.errors import DistbenchError, EnvironmentFault
from distbench.exports.json_document import json_text
from distbench.exports.svg import key_chart
from distbench.protocols.export import Source
from distbench.report.text import markdown
from distbench.report.view import View
from distbench.report.visible import one_line, visible
from distbench.schema.result import Estimate, Measurement, Result, StudentResult, TaskResult

_LONGEST = 1_000


@dataclass
class Tracked:
    """One student as a tracker keeps it: settings, numbers, words; `missing` says which numbers are not known."""

    name: str
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def number(self, name: str, value: float | None) -> None:
        """Keep a number, or its name where it is not known: a tracker would show a 0 that nobody measured."""
        if value is None:
            self.missing.append(name)
        else:
            self.metrics[name] = float(value)

    def estimate(self, name: str, found: Estimate) -> None:
        """Keep a number with the limits that it has, and the samples behind it."""
        self.number(name, found.value)
        limits = {} if found.value is None else {"lo": found.lo, "hi": found.hi}
        self.metrics |= {f"{name}_{side}": value for side, value in limits.items() if value is not None}
        if found.n:
            self.metrics[f"{name}_n"] = float(found.n)


def tracked(result: Result) -> list[Tracked]:
    """Return a run for each student and control, in the order of the report."""
    view = View(result)
    return [_student(view, student) for student in view.students]


def _student(view: View, student: StudentResult) -> Tracked:
    found = Tracked(one_line(student.label, 120))
    found.params = _params(view, student)
    found.tags = _tags(view.result, student)
    found.estimate("retained", student.suite.retained)
    for kind, value in student.compression.items():
        found.number(f"compression/{kind}", value)
    for kind in ("bytes_on_disk", "params_unique", "params_non_embedding"):
        found.number(f"size/{kind}", getattr(student.footprint, kind))
    if student.gap_recovered is not None:
        found.estimate("gap_recovered", student.gap_recovered)
    for task in student.tasks:
        _task(found, task)
    for measured in student.measurements:
        _measurement(found, measured)
    return found


def _task(found: Tracked, task: TaskResult) -> None:
    at = f"task/{task.task}/{task.metric}"
    found.number(f"{at}/teacher", task.teacher)
    found.number(f"{at}/student", task.student)
    found.estimate(f"{at}/retained", task.retained)
    found.estimate(f"{at}/delta", task.delta)
    for metric, (teacher, student) in task.other_metrics.items():
        found.number(f"task/{task.task}/{metric}/teacher", teacher)
        found.number(f"task/{task.task}/{metric}/student", student)


def _measurement(found: Tracked, measured: Measurement) -> None:
    at = "/".join(part for part in (measured.meter, measured.metric, measured.workload) if part)
    found.number(f"{at}/teacher", measured.teacher)
    found.number(f"{at}/student", measured.student)
    found.estimate(f"{at}/ratio", measured.ratio)


def _params(view: View, student: StudentResult) -> dict[str, str]:
    teacher, training = view.teacher_of(student), student.training
    params = {
        "student": student.name,
        "label": student.label,
        "made_by": student.made_by,
        "teacher": teacher.label if teacher else "",
        "teacher_source": teacher.source if teacher else "",
        "dtype": student.footprint.dtype or "",
        "suite": view.result.suite,
        "alpha": str(view.result.alpha),
        **{f"gate/{name}": str(value) for name, value in view.result.thresholds.items() if value is not None},
        **({"objective": training.objective, "data": training.data, "method": training.method} if training else {}),
    }
    return {name: _short(value) for name, value in params.items() if value}


def _tags(result: Result, student: StudentResult) -> dict[str, str]:
    tags = {
        "verdict": student.verdict,
        "verdict_reason": student.verdict_reason,
        "role": student.role,
        "required": str(student.required).lower(),
        "recommended": str(student.name == result.recommended).lower(),
        "run": result.run,
        "distbench": result.distbench,
        "created_at": result.created_at,
        **({"control_of": student.control_of} if student.control_of else {}),
    }
    return {name: _short(value) for name, value in tags.items() if value}


def _short(text: str) -> str:
    shown = visible(text)
    return shown if len(shown) <= _LONGEST else shown[: _LONGEST - 1] + "…"


def missing_json(found: Tracked) -> str:
    """Return the names of the numbers that are not known, as JSON that fits a tag."""
    kept = [_short(name)[:120] for name in found.missing[:40]]
    more = len(found.missing) - len(kept)
    return json.dumps([*kept, *([f"and {more} more"] if more else [])], ensure_ascii=False)


def keys(names: list[str], allowed: str, limit: int) -> dict[str, str]:
    """Return the name under which a tracker keeps each of ours: only `allowed` characters, unique, never too long.

    `allowed` is the inside of a regular expression's set. Parts between slashes are never empty, "." or "..".
    """
    found: dict[str, str] = {}
    taken: set[str] = set()
    for name in names:
        parts = [re.sub(rf"[^{allowed}]", "_", part)[: limit // 3] for part in name.split("/")]
        clean = "/".join("_" if part.strip(". ") == "" else part for part in parts)[:limit].rstrip("/")
        number, unique = 1, clean
        while unique in taken:
            number += 1
            unique = f"{clean[: limit - 8]}-{number}"
        taken.add(unique)
        found[name] = unique
    return found


def documents(source: Source) -> dict[str, str]:
    """Return the files that go with a comparison, by name."""
    return {
        "result.json": json_text(source.result),
        "comparison.md": markdown(source.result),
        "key-chart.svg": key_chart(source.result),
    }


def write_documents(source: Source, folder: Path) -> list[Path]:
    """Write the files that go with a comparison for a tracker that copies files."""
    files = []
    for name, text in documents(source).items():
        files.append(folder / name)
        files[-1].write_text(text, encoding="utf-8")
    return files


@contextlib.contextmanager
def foreign(what: str) -> Iterator[None]:
    """Run another program's code: what it prints goes to standard error, what it raises becomes one line."""
    with contextlib.redirect_stdout(sys.stderr):
        try:
            yield
        except DistbenchError:
            raise
        except Exception as error:  # foreign code: whatever it raises, the service is at fault
            line = " ".join(f"{type(error).__name__}: {error}".split())
            said = without_credentials(f"{what} did not take the comparison: {line[:300]}")
            raise EnvironmentFault(said) from error


def without_credentials(text: str) -> str:
    """Return a text in which no address holds a user or a password."""
    return re.sub(r"(?<=://)[^/\s@]+@", "", text)


def accepted(call: Callable[..., object], **wanted: object) -> dict[str, object]:
    """Return those of our arguments that a function of another version knows."""
    import inspect

    known = inspect.signature(call).parameters
    return {name: value for name, value in wanted.items() if name in known}
