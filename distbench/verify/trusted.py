"""What had to be allowed: whose code ran, which weights were a pickle, and is it the same wherever it is written?"""

from __future__ import annotations

from distbench.data.trust import code_named, identity_of, python_files
from distbench.schema.cell import ModelRef, models_of
from distbench.schema.trusted import Trusted, trusted_lines
from distbench.verify.looking import Look
from distbench.verify.subject import Subject


def found(subject: Subject, look: Look) -> None:
    """Code and pickles are those that the model's identity was made of, in manifest, plan, records and models."""
    look.saw(len(subject.manifest.models))
    refs = {"manifest.json": [model.ref for model in subject.manifest.models]}
    refs |= {f"plan/{name}.json": models_of(cell) for name, cell in subject.planned.items()}
    for where, each in refs.items():
        for ref in each:
            if not _is_content(ref):
                look.damaged(where, f"the code or pickle of model {ref.name!r} is not what its content is the hash of")
    _recorded(subject, look)
    _kept(subject, look)
    for line in trusted_lines((model.name, model.ref.trusted) for model in subject.manifest.models):
        look.warning("manifest.json", line)


def _is_content(ref: ModelRef) -> bool:
    """Say whether a source's content is the hash of its files with what was allowed; a made model has no such hash."""
    if ref.trusted is None or ref.path is None:
        return True
    return identity_of(ref.trusted) == (ref.content or ref.identity)


def _recorded(subject: Subject, look: Look) -> None:
    """What ran says the same as what was planned."""
    for name, record in subject.records.items():
        cell = subject.planned.get(name)
        if cell is None:
            continue
        if _allowed([ref.trusted for ref in models_of(cell)]) != _allowed(record.trusted):
            look.damaged(subject.title(name), "its record and its plan differ in whose code or pickle was let in")


def _kept(subject: Subject, look: Look) -> None:
    """The Python beside a model that was made here is its parent's."""
    allowed = {found for model in subject.manifest.models if model.ref.trusted for found in _code(model.ref.trusted)}
    allowed |= {code for cell in subject.planned.values() for ref in models_of(cell) for code in _code(ref.trusted)}
    for name in subject.records:
        folder = subject.run.cells / name / "model"
        if not folder.is_dir() or not code_named(folder):
            continue
        for file, found in python_files(folder).items():
            if found not in allowed:
                look.damaged(f"cells/{name}/model/{file}", "no model of this run was allowed to run this code")


def _code(trusted: Trusted | None) -> set[str]:
    return set(trusted.code.values()) if trusted else set()


def _allowed(each: list[Trusted | None] | list[Trusted]) -> set[str]:
    return {trusted.model_dump_json() for trusted in each if trusted is not None}
