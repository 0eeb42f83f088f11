"""Is everything there that a run consists of, and nothing that nobody planned?"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from distbench.verify.looking import Look
from distbench.verify.subject import Subject, entries, is_link


def manifest(subject: Subject, look: Look) -> None:
    """The manifest was read; its ids are unique, its models are those of the suite."""
    found = subject.manifest
    look.saw()
    if (subject.run.path / "manifest.json").is_symlink():
        look.damaged("manifest.json", "it is a link: what it leads to can change while the run does not")
    _twice(look, "cell", [cell.id for cell in found.cells])
    _twice(look, "model", [model.name for model in found.models])
    names = {model.name for model in found.models}
    for student in found.suite.students:
        if student.name not in names:
            look.damaged("manifest.json", f"student {student.name!r} of the suite is not among the models")
    for model in found.models:
        for each in [name for name in (*model.of, model.control, model.control_of, model.seed_of) if name]:
            if each not in names:
                look.damaged("manifest.json", f"model {model.name!r} names {each!r}, which is not among the models")


def _twice(look: Look, what: str, names: list[str]) -> None:
    for name, number in Counter(names).items():
        if number > 1:
            look.damaged("manifest.json", f"{number} entries for {what} {name!r}")


def plan(subject: Subject, look: Look) -> None:
    """Every cell of the manifest has its JSON in plan/, under its own id, and says what the manifest says of it."""
    listed = {cell.id: cell for cell in subject.manifest.cells}
    for name, why in subject.unplanned.items():
        look.damaged(f"plan/{name}.json", why)
    for name, cell in subject.planned.items():
        look.saw()
        where, entry = f"plan/{name}.json", listed[name]
        if cell.id != name:
            look.damaged(where, f"it holds the cell {cell.id}")
        elif (cell.kind, cell.title) != (entry.kind, entry.title):
            look.damaged(where, f"it is '{cell.title}' ({cell.kind}); the manifest says '{entry.title}' ({entry.kind})")
        for need in cell.needs:
            if need not in listed:
                look.damaged(where, f"it needs cell {need}, which is not planned")
    finished = set(subject.finished)
    for path in entries(subject.run.path / "plan"):
        if path.suffix == ".json" and path.stem not in listed and path.stem not in finished:
            # a kill between two writes leaves this too: a further part of an undecided task that was never listed
            look.warning(f"plan/{path.name}", "the manifest does not list this cell; nothing reads it")


def folders(subject: Subject, look: Look) -> None:
    """Every finished cell is one that the manifest lists; nothing in the run is a link."""
    listed = {cell.id for cell in subject.manifest.cells}
    for name in subject.finished:
        look.saw()
        if name not in listed:
            look.damaged(
                f"cells/{name}", "the manifest does not list this finished cell: it was taken out, or put here"
            )
    for path in _own(subject.run.path):
        if is_link(path):
            look.damaged(str(path.relative_to(subject.run.path)), "it is a link: what it leads to can change")


def _own(run: Path) -> list[Path]:
    """Return everything of a run that is not inside a cell."""
    top = [path for path in entries(run) if path.name != "manifest.json"]
    return top + [path for name in ("plan", "attempts", "logs") for path in entries(run / name)]
