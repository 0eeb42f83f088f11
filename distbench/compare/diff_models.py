"""Which models of two runs belong together: teachers by content, then by name; students by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from distbench.errors import UsageError, did_you_mean
from distbench.schema.diff import NamedModel
from distbench.schema.result import Result, StudentResult, TeacherResult


@dataclass(frozen=True)
class Matched:
    """The pairs (in A, in B)."""

    teachers: list[tuple[TeacherResult, TeacherResult]]
    students: list[tuple[StudentResult, StudentResult]]
    notes: list[str] = field(default_factory=list)


def matched(a: Result, b: Result, match: Mapping[str, str]) -> Matched:
    """Return the models that both runs have. Raises UsageError where `match` names one that a run does not have."""
    for which, result, names in (("A", a, match.keys()), ("B", b, match.values())):
        known = [each.name for each in result.students]
        for name in names:
            if name not in known:
                raise UsageError(f"{which} has no student {name!r}{did_you_mean(name, known)}")
    by_name = {each.name: each for each in b.students}
    wanted = {each.name: match.get(each.name, each.name) for each in a.students}
    taken = set(match.values())
    students = [
        (each, by_name[wanted[each.name]])
        for each in a.students
        if wanted[each.name] in by_name and (each.name in match or wanted[each.name] not in taken)
    ]
    return Matched(_teachers(a, b), students, _renamed(a, b, students))


def _teachers(a: Result, b: Result) -> list[tuple[TeacherResult, TeacherResult]]:
    """Pair teachers of one content; those that are left, by name; a single one on each side belongs together."""
    found, left = [], list(b.teachers)
    rest = []
    for one in a.teachers:
        other = next((each for each in left if each.identity == one.identity), None)
        if other is None:
            rest.append(one)
            continue
        found.append((one, other))
        left.remove(other)
    for one in list(rest):
        other = next((each for each in left if each.name == one.name), None)
        if other is not None:
            found.append((one, other))
            left.remove(other)
            rest.remove(one)
    if len(a.teachers) == len(b.teachers) == 1 and rest and left:
        found.append((rest[0], left[0]))
    return found


def _renamed(a: Result, b: Result, students: list[tuple[StudentResult, StudentResult]]) -> list[str]:
    """Say that a model of one content goes by two names: nobody should take it for one removed and one added."""
    paired = ({one.name for one, _ in students}, {other.name for _, other in students})
    alone = [
        {each.identity: each for each in result.students if each.name not in names and each.identity}
        for result, names in zip((a, b), paired, strict=True)
    ]
    return [
        f"{alone[0][identity].label} in A and {alone[1][identity].label} in B are one model under two names; to "
        f"compare them: --match {alone[0][identity].name}={alone[1][identity].name}."
        for identity in alone[0]
        if identity in alone[1]
    ]


def only_in(result: Result, paired: Collection[str]) -> list[NamedModel]:
    """Return the models of a run that have no counterpart."""
    found = [NamedModel(name=t.name, label=t.label, role="teacher") for t in result.teachers if t.name not in paired]
    return found + [
        NamedModel(name=each.name, label=each.label, role=each.role, verdict=each.verdict)
        for each in result.students
        if each.name not in paired
    ]
