"""Was everything done that the suite asks for, and was everything said that was done?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from distbench.errors import RefusedError
from distbench.schema.cell import EvaluateCell, MeasureCell
from distbench.verify.looking import Look
from distbench.verify.subject import Subject, read


def plan(subject: Subject, look: Look) -> None:
    """Every model is asked every task of the suite, and every student is measured where the suite measures."""
    manifest = subject.manifest
    if subject.unplanned:
        look.nothing("some planned cells cannot be read")
        return
    cells = [cell for cell in subject.planned.values() if isinstance(cell, EvaluateCell)]
    asked = {(cell.task.title, cell.model.identity) for cell in cells}
    compares = {cell.task.title for cell in cells if cell.reference is not None}
    asks = any(cell.kind != "make" for cell in manifest.cells)  # `distil` plans nothing but the making
    for task in manifest.task_order if asks else []:
        for model in manifest.models:
            if model.role == "teacher" and task in compares:
                continue
            look.saw()
            if (task, model.ref.identity) not in asked:
                look.damaged("manifest.json", f"no cell asks {model.name!r} task {task!r}")
    named = {name for cell in cells for name in (cell.task.title, cell.task.group) if name}
    for spec in manifest.suite.tasks:
        if asks and spec.title not in named:
            look.damaged("manifest.json", f"no cell asks task {spec.title!r} of the suite")
    _measured(subject, look)


def _measured(subject: Subject, look: Look) -> None:
    cells = [cell for cell in subject.planned.values() if isinstance(cell, MeasureCell)]
    evaluated = any(cell.kind == "evaluate" for cell in subject.planned.values())
    if not subject.manifest.suite.measure or not (cells or evaluated):
        return
    names = {ref.name for cell in cells for ref in cell.models}
    for model in subject.manifest.models:
        if model.role == "student" and model.seed_of is None:
            look.saw()
            if model.name not in names:
                look.damaged("manifest.json", f"no cell measures {model.name!r}, and the suite measures its students")


def cells(subject: Subject, look: Look) -> None:
    """Every planned cell is finished."""
    finished, planned = set(subject.finished), subject.manifest.cells
    for cell in planned:
        look.saw()
        if cell.id in finished:
            continue
        failure = _last_failure(subject, cell.id)
        look.warning(f"cells/{cell.id} ({cell.title})", f"failed: {failure}" if failure else "never ran to its end")
    added = sum(cell.added for cell in planned)
    if added:
        look.note = f"{added} of {len(planned)} cells were added while the run was at work, for undecided tasks"


def _last_failure(subject: Subject, cell_id: str) -> str | None:
    try:
        return subject.run.last_failure(cell_id)
    except (OSError, ValueError, AttributeError):
        return "and what is kept of it cannot be read"


def journal(subject: Subject, look: Look) -> None:
    """What the journal says is done is there, and what is there was said to be done."""
    path = subject.run.path / "journal.jsonl"
    if not path.exists():
        look.nothing("there is no journal")
        return
    done: set[str] = set()
    try:
        for event in _events(read(path)):
            look.saw()
            done |= _done(event)
    except (OSError, ValueError, RefusedError) as error:
        look.warning("journal.jsonl", f"it cannot be read: {str(error)[:200]}")
        return
    finished = set(subject.finished)
    for name in sorted(done - finished):
        look.damaged(f"cells/{name}", "the journal says that it was finished, and it is gone")
    silent = sorted(finished - done) if not subject.imported else []
    if silent:  # a kill between commit and journal leaves one, and jobs that nobody gathered leave all of theirs
        more = f" and {len(silent) - 3} more" if len(silent) > 3 else ""
        look.warning("journal.jsonl", f"it does not say that {', '.join(silent[:3])}{more} finished, and they have")


def _events(text: bytes) -> Iterator[dict[str, Any]]:
    """Yield the events. The last line may be cut where a process was killed while it wrote."""
    lines = [line for line in text.decode("utf-8", "replace").splitlines() if line.strip()]
    for number, line in enumerate(lines, 1):
        try:
            event = json.loads(line)
        except ValueError:
            if number == len(lines):
                return
            raise ValueError(f"line {number} is not JSON") from None
        if isinstance(event, dict):
            yield event


def _done(event: dict[str, Any]) -> set[str]:
    if event.get("event") == "done":
        return {str(event.get("cell"))}
    if event.get("event") == "run":
        return {str(each) for key in ("done", "cached") for each in event.get(key) or []}
    return set()


def surroundings(subject: Subject, look: Look) -> None:
    """All cells ran on one machine, with the same versions of everything."""
    records = subject.records.values()
    hosts = {record.host.fingerprint for record in records if record.host is not None}
    look.saw(sum(record.host is not None for record in records))
    if len(hosts) > 1:
        look.warning("cells", f"they ran on {len(hosts)} different machines, or parts of one")
    for package in sorted({name for record in records for name in record.packages}):
        used = {record.packages.get(package, "none") for record in records if record.packages}
        if len(used) > 1:
            look.warning("cells", f"they used different versions of {package}: {', '.join(sorted(used))}")


def provenance(subject: Subject, look: Look) -> None:
    """distbench itself asked the models, and knows what they are."""
    look.saw(len(subject.manifest.models))
    if subject.imported:
        look.unknown(
            "manifest.json",
            f"imported from {subject.manifest.imported}: whose answers these are, on which machine and with which "
            "weights they were computed stands nowhere but in what was imported",
        )
    for model in (each for each in subject.manifest.models if each.ref.address is not None):
        look.unknown("manifest.json", f"model {model.name!r} is served elsewhere: nobody can hash what answers there")
    for name, record in subject.records.items():
        cached = record.imported.response_cache if record.imported else None
        if cached:
            look.warning(
                subject.title(name), "lm-eval was told to use a cache of responses, whose key leaves out the model"
            )
