"""`--trust-remote-code` and `--allow-pickle`: what one model may do, said on the command line, not in the suite."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from distbench import plugins
from distbench.errors import UsageError, did_you_mean
from distbench.report.visible import one_line
from distbench.schema.suite import StudentSpec, Suite, TeacherSpec
from distbench.suite.load import LoadedSuite, digest_of


@dataclass(frozen=True)
class Allowed:
    """Models, by name or by source, whose own Python may run, and whose weights may be a pickle."""

    code: Sequence[str] = ()
    pickle: Sequence[str] = ()

    def within(self, loaded: LoadedSuite) -> LoadedSuite:
        """Return a suite that says so itself: it is what the run records.

        Raises UsageError for a model that is not there, or of which nothing of the kind can be allowed.
        """
        suite = loaded.suite
        for key, wanted in (("trust_remote_code", self.code), ("allow_pickle", self.pickle)):
            for model in wanted:
                suite = _allowing(suite, key, model)
        return loaded if suite is loaded.suite else replace(loaded, suite=suite, digest=digest_of(suite))


def _allowing(suite: Suite, key: str, model: str) -> Suite:
    teachers = {
        name: _teacher(name, spec, key) if model in {name, spec.source} else spec
        for name, spec in suite.teachers.items()
    }
    students = [
        _student(spec, suite.teachers, key) if model in {spec.name, spec.source} else spec for spec in suite.students
    ]
    if teachers == suite.teachers and students == suite.students:
        known = {*suite.teachers, *(spec.name for spec in suite.students)}
        sources = {spec.source for spec in suite.teachers.values()} | {spec.source for spec in suite.students}
        if model not in known | sources:
            flag = f"--{key.replace('_', '-')} {one_line(model, 80)!r}"
            raise UsageError(f"{flag}: no model has this name or source{did_you_mean(model[:80], known)}")
    return suite.model_copy(update={"teachers": teachers, "students": students})


def _teacher(name: str, spec: TeacherSpec, key: str) -> TeacherSpec:
    _check(spec.use, name, key)
    return spec.model_copy(update={key: True})


def _student(spec: StudentSpec, teachers: dict[str, TeacherSpec], key: str) -> StudentSpec:
    if spec.source is None:
        raise UsageError(
            f"student {spec.name!r} is made from its teacher's files: what they may do is allowed to the teacher"
        )
    _check(spec.use or teachers[spec.teachers[0]].use, spec.name, key)
    return spec.model_copy(update={"options": spec.options | {key: True}})


def _check(use: str, name: str, key: str) -> None:
    if key not in getattr(plugins.load("models", use), "permits", ()):
        raise UsageError(f"model {name!r}: {use!r} has no {key}")
