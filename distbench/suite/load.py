"""The whole way from a suite file to a validated suite: read, override, validate, check."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError

from distbench.errors import Position, UsageError
from distbench.schema.suite import Suite
from distbench.schema.wording import Document, Fault, KeyPath, drop_consequences, faults_of
from distbench.suite.checks import refuse_excess, semantic_faults
from distbench.suite.grids import Origin, expanded
from distbench.suite.overrides import apply
from distbench.suite.uses import plugin_faults
from distbench.suite.yaml_source import Source, read_source


@dataclass(frozen=True)
class LoadedSuite:
    """A suite and where it came from. Relative paths inside the suite are relative to `directory`."""

    suite: Suite
    directory: Path
    digest: str
    text: str


def load_suite(path: str | Path, overrides: Sequence[str] = ()) -> LoadedSuite:
    """Load a suite file; each override is `a.b=value`, as after `--set`."""
    source = read_source(Path(path))
    suite = validate(apply(source, overrides))
    return LoadedSuite(suite, Path(path).resolve().parent, digest_of(suite), source.text)


def digest_of(suite: Suite) -> str:
    """Return the SHA-256 of the suite's canonical JSON, with every default filled in."""
    document = suite.model_dump(mode="json")
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def validate(source: Source) -> Suite:
    """Validate a tree, or raise an error about the first fault by position."""
    refuse_excess(source)
    source, origin = expanded(replace(source, tree=_with_empty_meters(source.tree)))
    refuse_excess(source)
    suite, faults = _schema(source)
    faults = _distinct([*semantic_faults(source), *faults, *plugin_faults(source.tree, source.plain)])
    if faults or suite is None:
        _raise_first(drop_consequences(faults), source, origin)
    return suite


def _with_empty_meters(tree: dict[str, Any]) -> dict[str, Any]:
    """Read `memory:` as `memory: {}`."""
    measure = tree.get("measure")
    if not isinstance(measure, dict):
        return tree
    return {**tree, "measure": {name: {} if options is None else options for name, options in measure.items()}}


def _schema(source: Source) -> tuple[Suite | None, list[Fault]]:
    try:
        return Suite.model_validate(source.tree), []
    except ValidationError as error:
        return None, faults_of(error, Suite, Document(source.tree, source.plain))


def _distinct(faults: list[Fault]) -> list[Fault]:
    """Keep one fault a path: the check of the meaning, which comes first, explains better than the schema."""
    kept: dict[KeyPath, Fault] = {}
    for fault in faults:
        kept.setdefault(fault.path, fault)
    return list(kept.values())


def _raise_first(faults: list[Fault], source: Source, origin: Origin) -> NoReturn:
    def order(fault: Fault) -> tuple[bool, int, int]:
        at = _position(fault, source)
        return fault.error is not UsageError, at.line or 0, at.column or 0

    first = min(faults, key=order)
    places = {origin(fault.path) for fault in faults}  # a grid repeats what is wrong in each of its students
    more = f" (and {len(places) - 1} more)" if len(places) > 1 else ""
    raise first.error(first.say() + more, at=_position(first, source))


def _position(fault: Fault, source: Source) -> Position:
    return source.key_position(fault.path) if fault.on_key else source.position(fault.path)
