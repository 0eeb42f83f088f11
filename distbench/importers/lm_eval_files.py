"""Which of lm-eval's output files hold a model's newest results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from distbench.errors import EnvironmentFault, UsageError, did_you_mean
from distbench.importers.lm_eval_results import DATED, Results, TaskFacts, read_results

HOW_TO_LOG = "evaluate again with: lm_eval … --output_path DIR --log_samples"


@dataclass(frozen=True)
class TaskFiles:
    """One task of one model: what was reported, and the log of its samples."""

    results: Results
    facts: TaskFacts
    samples: Path


@dataclass
class Output:
    """What lm-eval wrote about one model."""

    folder: Path
    model_name: str
    tasks: dict[str, TaskFiles]
    notes: list[str] = field(default_factory=list)

    @property
    def newest(self) -> Results:
        """The newest results file that is used."""
        return max((files.results for files in self.tasks.values()), key=lambda results: results.date)


def find_output(folder: Path, only: Sequence[str] = ()) -> Output:
    """Return the newest logged result of every task (or of those in `only`) below `folder`, or in a results file.

    Raises UsageError where there is none, where several models lie below the folder, where a task has no log, and
    where two logs of one task bear the same date.
    """
    found = [read_results(path) for path in _results_files(folder)]
    names = sorted({results.model_name for results in found})
    if len(names) > 1:
        raise UsageError(
            f"{folder} holds results of {len(names)} models ({', '.join(names[:4])}); name the folder of one"
        )
    output = Output(folder, names[0], {})
    tasks = list(dict.fromkeys(task for results in sorted(found, key=lambda r: r.date) for task in results.tasks))
    for task in tasks:
        if not only or task in only:
            output.tasks[task] = _newest(task, [r for r in found if task in r.tasks], output)
    if not output.tasks:
        near = did_you_mean(only[0], tasks, 3)
        raise UsageError(f"{folder} has no results of {', '.join(only)}{near or '; it has ' + _some(tasks)}")
    return output


def _results_files(folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise UsageError(f"no results at {folder} (working directory {Path.cwd()})")
    try:
        found = sorted(path for path in folder.rglob("*.json") if DATED.match(path.name) and path.is_file())
    except OSError as error:
        raise EnvironmentFault(f"{folder} cannot be read: {error.strerror}") from error
    if not found:
        raise UsageError(f"{folder} holds no results_<date>.json; name the folder that lm_eval --output_path wrote")
    return found


def _newest(task: str, candidates: list[Results], output: Output) -> TaskFiles:
    """Choose the newest result that has a log, and note what was passed over."""
    logged = [(results, log) for results in candidates if (log := _log_of(results, task)) is not None]
    newest = max(candidates, key=lambda results: results.date)
    if not logged:
        raise UsageError(
            f"task {task!r} has no log of its samples ({newest.path.parent / _log_name(newest, task)}): without "
            f"samples nothing can be paired; {HOW_TO_LOG}"
        )
    chosen, log = max(logged, key=lambda pair: pair[0].date)
    same = [path for results, path in logged if results.date == chosen.date]
    if len(same) > 1:
        raise UsageError(f"task {task!r}: {same[0]} and {same[1]} hold the same documents; name one folder")
    if len(candidates) > 1:
        output.notes.append(f"{task}: the newest of {len(candidates)} results is used, {chosen.date}")
    if newest.date != chosen.date:
        output.notes.append(f"{task}: the result of {newest.date} is newer, but its samples were not logged")
    return TaskFiles(chosen, chosen.tasks[task], log)


def _log_name(results: Results, task: str) -> str:
    return f"samples_{task}_{results.date}.jsonl"


def _log_of(results: Results, task: str) -> Path | None:
    path = results.path.parent / _log_name(results, task)
    return path if path.is_file() else None


def _some(names: Iterable[str]) -> str:
    known = list(names)
    return ", ".join(known[:8]) + (" …" if len(known) > 8 else "")
