"""The policy file: read as strictly as a suite, and every name in it must be one that the run has."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from distbench.errors import Position, UsageError
from distbench.schema.policy import Policy
from distbench.schema.wording import Document, Fault, drop_consequences, faults_of
from distbench.suite.yaml_source import Source, read_source

_NOT_HERE = {"sequential": "decides how a run asks its samples, so it stands in the suite's own gate, not in a policy"}
_ASKS_NOTHING = "this policy extends nothing and has no rule, so there would be nothing to decide"


@dataclass(frozen=True)
class LoadedPolicy:
    """A policy and where it came from; relative paths in it are relative to its folder."""

    policy: Policy
    source: Source
    path: Path

    @property
    def sha256(self) -> str:
        """The digest of the file's text."""
        return hashlib.sha256(self.source.text.encode()).hexdigest()


def load_policy(path: Path) -> LoadedPolicy:
    """Read a policy file. Raises UsageError with file, line and column for whatever is wrong with it."""
    source = read_source(path, "policy")
    tree = source.tree
    faults = list(_misplaced(tree))
    try:
        policy = Policy.model_validate(tree)
    except ValidationError as error:
        known = {fault.path for fault in faults}
        faults += [each for each in faults_of(error, Policy, Document(tree, source.plain)) if each.path not in known]
        raise_first(drop_consequences(faults), source)
    if faults:
        raise_first(faults, source)
    if policy.extends == "nothing" and not any(_asks(rules) for _, rules in policy.sections()):
        raise UsageError(_ASKS_NOTHING, at=source.position(("extends",)))
    return LoadedPolicy(policy, source, path)


def _misplaced(tree: dict[str, Any]) -> Iterable[Fault]:
    for name, why in _NOT_HERE.items():
        if name in tree:
            yield Fault((name,), lambda name=name, why=why: f"{name!r} {why}", on_key=True)  # type: ignore[misc]


def _asks(rules: Any) -> bool:
    """Say whether a section has any rule."""
    not_rules = {"version", "extends", "alpha", "on_inconclusive", "students", "required", "evidence"}
    return any(getattr(rules, name) not in (None, {}, []) for name in rules.model_fields_set - not_rules)


def raise_first(faults: list[Fault], source: Source) -> NoReturn:
    """Raise the first fault by its place in the file."""

    def at(fault: Fault) -> Position:
        return source.key_position(fault.path) if fault.on_key else source.position(fault.path)

    first = min(faults, key=lambda fault: (at(fault).line or 0, at(fault).column or 0))
    more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
    raise first.error(first.say() + more, at=at(first))
