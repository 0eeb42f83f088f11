"""A student's scores for the Hugging Face Hub: `.eval_results/*.yaml`, and the model-index of its card.

The formats are those of `huggingface_hub` (its `EvalResultEntry` and `EvalResult`); nothing is uploaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from distbench.errors import EnvironmentFault, UsageError, did_you_mean
from distbench.exports.hf_card import CARD, Card, read_card, updated_card, yaml_text
from distbench.exports.rows import made_folder
from distbench.protocols.export import Exported, Source, Writes
from distbench.report import numbers, words
from distbench.report.view import View
from distbench.report.visible import markdown_text, one_line
from distbench.schema.result import StudentResult, TaskResult
from distbench.schema.strict import Strict
from distbench.store.files import disk_faults, write_text

RESULTS = ".eval_results/distbench.yaml"
_ADDRESS = re.compile(r"(?P<id>[\w.-]+/[\w.-]+)(@(?P<revision>[\w.-]+))?(#(?P<task>[\w.:-]+))?")
_NOT_KNOWN = "other"


@dataclass(frozen=True)
class Benchmark:
    """A benchmark data set on the Hub, and the task within it."""

    id: str
    revision: str | None
    task: str

    @classmethod
    def read(cls, text: str, task: str) -> Benchmark:
        """Read ORG/NAME, with @REVISION and #TASK where they are wanted."""
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise UsageError(f"datasets.{task[:60]}: expected ORG/NAME[@REVISION][#TASK], got {text[:80]!r}")
        return cls(found["id"], found["revision"], found["task"] or task)


class HuggingFace:
    """`--format hf`: files for the repository of a student: `--student`, else the recommended one."""

    class Options(Strict):
        """Options of the format."""

        datasets: dict[str, str] = Field(
            {}, description="TASK=ORG/NAME[@REVISION][#TASK]: the benchmark data set that a task is, for .eval_results"
        )
        name: str | None = Field(
            None, min_length=1, max_length=200, description="name of the model in the card; else the student's"
        )
        task_type: str | None = Field(
            None, pattern=r"^[a-z0-9-]{1,60}$", description="the Hub's word, such as text-generation; else the card's"
        )
        source_url: str | None = Field(
            None, pattern=r"^https?://\S{1,500}$", description="where the report can be read"
        )

    summary: ClassVar[str] = "Hugging Face: .eval_results/distbench.yaml, and model-index of a README.md that is kept"
    writes: ClassVar[Writes] = "folder"
    of_one: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("huggingface_hub",)

    def __init__(self, options: Options) -> None:
        self.options = options

    def export(self, source: Source, to: Path | None) -> Exported:
        """Write the files into a local copy of the model's repository; whatever else is there stays as it is."""
        view = View(source.result)
        student = self._student(view, source)
        if to is None or to.is_file():
            raise UsageError("name the folder of the model's repository with --out")
        benchmarks = self._benchmarks(student)
        scored = [task for task in student.tasks if task.student is not None]
        if not scored:
            raise UsageError(f"{one_line(student.label, 80)} has no score: there is nothing to write")
        card = read_card(to / CARD)
        index = self._index(view, student, card, benchmarks)
        written = updated_card(card, self._name(card, student), index, _body(view, student))
        entries = list(self._entries(view, student, benchmarks))
        folder = made_folder(to)
        files = [folder / CARD]
        if entries:
            files.append(folder / RESULTS)
            made_folder(files[-1].parent)
            write_text(files[-1], _entries_yaml(entries))
        with disk_faults(files[0]):
            write_text(files[0], written)
        return Exported(files=files, notes=self._notes(card, student, benchmarks))

    def _student(self, view: View, source: Source) -> StudentResult:
        student = source.chosen() or view.recommended
        if student is None:
            names = ", ".join(each.name for each in view.candidates) or "none"
            raise UsageError(f"no student is recommended; name one with --student (there are: {names[:200]})")
        return student

    def _benchmarks(self, student: StudentResult) -> dict[str, Benchmark]:
        tasks = [task.task for task in student.tasks]
        for name in self.options.datasets:
            if name not in tasks:
                near = did_you_mean(name[:80], tasks)
                raise UsageError(f"datasets: {student.name} has no task {name[:80]!r}{near}")
        return {name: Benchmark.read(text, name) for name, text in self.options.datasets.items()}

    def _name(self, card: Card, student: StudentResult) -> str:
        return one_line(self.options.name or card.model_name or student.label, 200)

    def _task_type(self, card: Card) -> str:
        return self.options.task_type or card.pipeline or _NOT_KNOWN

    def _index(self, view: View, student: StudentResult, card: Card, at: Mapping[str, Benchmark]) -> list[Any]:
        """Return what the model-index says of this comparison, in the Hub's own class."""
        from huggingface_hub import EvalResult

        found = []
        for task in student.tasks:
            named, title = at.get(task.task), one_line(task.task, 120)
            about: dict[str, Any] = {
                "task_type": self._task_type(card),
                "dataset_type": named.id if named else title,
                "dataset_name": title,
                "dataset_config": named.task if named else None,  # two tasks of one data set stay two results
                "dataset_revision": named.revision if named else None,
                **self._source(),
            }
            for metric, value, said in _metrics(view, task):
                found.append(
                    EvalResult(metric_type=one_line(metric, 80), metric_value=value, metric_name=said, **about)
                )
        return found

    def _source(self) -> dict[str, str]:
        url = self.options.source_url
        return {} if url is None else {"source_url": url, "source_name": "distbench"}

    def _entries(self, view: View, student: StudentResult, benchmarks: Mapping[str, Benchmark]) -> Iterator[Any]:
        """Yield entries for `.eval_results`: of the primary metric, for tasks whose data set was named."""
        if not benchmarks:
            return
        try:
            from huggingface_hub import EvalResultEntry
        except ImportError as error:
            raise EnvironmentFault(
                ".eval_results needs a huggingface_hub that has EvalResultEntry; pip install -U huggingface_hub, "
                "or leave datasets out for the model card alone"
            ) from error
        for task in student.tasks:
            at = benchmarks.get(task.task)
            if at is None or task.student is None:
                continue
            notes = (
                f"{one_line(task.metric, 80)}; {_beside(view, task)}; distbench {one_line(view.result.distbench, 40)}"
            )
            about: dict[str, Any] = {"date": _date(view.result.created_at), "notes": notes, **self._source()}
            yield EvalResultEntry(at.id, at.task, task.student, dataset_revision=at.revision, **about)

    def _notes(self, card: Card, student: StudentResult, benchmarks: Mapping[str, Benchmark]) -> list[str]:
        left_out = [one_line(task.task, 60) for task in student.tasks if task.task not in benchmarks]
        notes = []
        if left_out:
            notes.append(
                f"not in .eval_results, whose entries name a data set of the Hub: {', '.join(left_out[:8])}"
                f"{', …' if len(left_out) > 8 else ''}; name it with --set datasets.TASK=ORG/NAME"
            )
        if self._task_type(card) == _NOT_KNOWN:
            notes.append("the card says no task type; name it with --set task_type=text-generation or the like")
        return notes


def _metrics(view: View, task: TaskResult) -> Iterator[tuple[str, float, str]]:
    """Yield (metric, the student's score, what stands beside it) of a task; a missing score is left out."""
    if task.student is not None:
        yield task.metric, task.student, f"{one_line(task.metric, 80)} ({_beside(view, task)})"
    for metric, (teacher, student) in task.other_metrics.items():
        yield metric, student, f"{one_line(metric, 80)} (teacher {numbers.plain(teacher)})"


def _beside(view: View, task: TaskResult) -> str:
    """Return the teacher's score, the retained share and the samples, in words."""
    teacher = numbers.optional(task.teacher, numbers.plain, "no score")
    kept = view.task_retained(task)
    retained = f"retained {kept}" if not kept.missing else f"retained {kept.text}"
    return f"teacher {teacher}, {retained}, {numbers.items(task.n)}".replace(numbers.SPACE, " ")


def _date(created_at: str) -> str | None:
    """Return the day of a run, None where it does not say."""
    found = re.match(r"\d{4}-\d{2}-\d{2}", created_at)
    return found[0] if found else None


def _entries_yaml(entries: list[Any]) -> str:
    from huggingface_hub import eval_result_entries_to_yaml

    return yaml_text(eval_result_entries_to_yaml(entries))


def _body(view: View, student: StudentResult) -> str:
    """Return the text of a card where there is none yet."""
    teacher = view.teacher_of(student)
    verdict = words.VERDICTS[student.verdict]
    of = f" of {one_line(teacher.label, 80)}" if teacher else ""
    kept = view.retained(student)
    retains = f"It retains {kept} of its teacher's skill" if not kept.missing else f"Retained: {kept.text}"
    said = f"{retains}; {verdict.meaning.lower()}."
    about = f"A student{of}, compared with distbench. {said}"
    return f"\n# {markdown_text(student.label, 80)}\n\n{markdown_text(about, 400)}\n"
