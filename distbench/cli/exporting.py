"""`export`: a comparison in the format of another tool."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distbench import plugins
from distbench.cli.output import err, out, print_json
from distbench.compare.reading import read_result
from distbench.errors import DistbenchError, EnvironmentFault, Position, UsageError
from distbench.protocols.export import Exported, Source, Writes
from distbench.schema.strict import Use
from distbench.schema.wording import harmless
from distbench.store.files import write_text
from distbench.suite.yaml_source import parse_text

GROUP = "exports"
_WHERE: dict[Writes, str] = {
    "text": "standard output, or --out FILE",
    "file": "--out FILE",
    "folder": "--out FOLDER",
    "service": "a service; --out FOLDER keeps it here",
}


@dataclass(frozen=True)
class Wish:
    """What the command line asks for."""

    runs: Sequence[Path]
    name: str | None
    to: Path | None = None
    student: str | None = None
    sets: Sequence[str] = ()


def list_exports(*, as_json: bool) -> None:
    """Print every format: where it goes, whether it works here, its options."""
    rows = [_facts(name) for name in plugins.names(GROUP)]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        missing = f"  [not usable here: {row['missing']}]" if row["missing"] else ""
        out().print(f"{row['name']:<17} {row['summary']}{missing}", markup=False, soft_wrap=True)
        out().print(f"{'':<17} to {row['to']}", markup=False, soft_wrap=True)
        for name, about in row["options"].items():
            given = "…" if about["default"] in {None, "{}"} else about["default"]
            out().print(f"{'':<17} --set {name}={given}  {about['meaning']}", markup=False, soft_wrap=True)


def _facts(name: str) -> dict[str, Any]:
    try:
        kind = plugins.load(GROUP, name)
        writes: Writes = kind.writes
        about = {"summary": kind.summary, "to": _WHERE[writes], "options": _options(name)}
    except DistbenchError as error:
        return {"name": name, "summary": "", "to": "", "options": {}, "missing": str(error)}
    return {"name": name, **about, "missing": _missing(name)}


def _options(name: str) -> dict[str, dict[str, str | None]]:
    """Return the options of a format: what each means, and what it is where it is left out, as it would be typed."""
    return {
        key: {"meaning": field.description or "", "default": _typed(field.get_default(call_default_factory=True))}
        for key, field in plugins.options_type(GROUP, name).model_fields.items()
    }


def _typed(value: object) -> str | None:
    return str(value).lower() if isinstance(value, bool) else None if value is None else str(value)


def _missing(name: str) -> str | None:
    try:
        plugins.check_installed(GROUP, name)
    except EnvironmentFault as error:
        return str(error)
    return None


def export_run(wish: Wish, *, as_json: bool) -> None:
    """Write a comparison in one format, and say on standard output what was written where.

    A document goes to standard output itself where no file is named. Nothing is written before the format, its
    options, the student and the run are known to be right.
    """
    name = wish.name or _by_suffix(wish.to)
    kind = plugins.load(GROUP, name)
    if wish.student and not getattr(kind, "of_one", False):
        raise UsageError(f"format {name!r} is about all students; leave --student out")
    given = _given(wish.sets)
    exporter = kind(plugins.options(GROUP, Use.model_validate({"use": name, **given}), at=_at(wish.sets)))
    plugins.check_installed(GROUP, name)
    if exporter.writes in {"file", "folder"} and wish.to is None:
        raise UsageError(f"format {name!r} writes {_what(exporter.writes)}; name it with --out")
    source = _source(wish)
    source.chosen()
    made = exporter.export(source, wish.to)
    files = list(made.files)
    if made.text is not None and wish.to is not None:
        write_text(wish.to, made.text)
        files.append(wish.to)
    _say(name, made, files, as_json=as_json)


def _source(wish: Wish) -> Source:
    """Return one run, or several merged as `report A B C` merges them; samples are those of a single run."""
    if len(wish.runs) == 1:
        (run,) = wish.runs
        return Source(read_result(run), run if run.is_dir() else None, wish.student)
    from distbench.compare.merge import merge

    return Source(merge([read_result(run) for run in wish.runs]), None, wish.student)


def _what(writes: Writes) -> str:
    return "a file" if writes == "file" else "a folder"


def _say(name: str, made: Exported, files: list[Path], *, as_json: bool) -> None:
    shown = made.text if not files else None
    if as_json:
        document = {"format": name, "files": list(map(str, files)), "place": made.place, "notes": made.notes}
        print_json(document | ({"text": shown} if shown is not None else {}))
        return
    for note in made.notes:
        err().print(note, markup=False, soft_wrap=True)
    if shown is not None:
        _write_out(shown)
    for each in [*files, *([made.place] if made.place else [])]:
        out().print(str(each), markup=False, soft_wrap=True)


def _write_out(text: str) -> None:
    """Write a document to standard output as UTF-8, whatever the locale: its reader is a program or a file."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.write(text)


def _by_suffix(to: Path | None) -> str:
    """Return the format that a file's ending means."""
    found = {getattr(kind, "suffix", None): name for name, kind in _kinds()} if to else {}
    if to is not None and to.suffix in found:
        return found[to.suffix]
    names = ", ".join(plugins.names(GROUP))
    raise UsageError(f"name a format with --format, or a file with a known ending with --out; there are: {names}")


def _kinds() -> list[tuple[str, type[Any]]]:
    found = []
    for name in plugins.names(GROUP):
        try:
            found.append((name, plugins.load(GROUP, name)))
        except DistbenchError:  # a format of another package that cannot be loaded has no ending that counts
            continue
    return found


def _at(sets: Sequence[str]) -> Position | None:
    return Position(" ".join(f"--set {harmless(each)}" for each in sets)) if sets else None


def _given(sets: Sequence[str]) -> dict[str, Any]:
    """Return options from `key=value` and `key.name=value`, values as YAML reads them."""
    given: dict[str, Any] = {}
    for each in sets:
        at = Position(f"--set {harmless(each)}")
        dotted, equals, text = each.partition("=")
        key, dot, inner = dotted.strip().partition(".")
        if not equals or not key or (dot and not inner) or key == "use":
            raise UsageError("expected OPTION=VALUE, for example --set table=students", at=at)
        try:
            value = parse_text(text, at.file).tree
        except DistbenchError as error:
            raise type(error)(error.message, at=at) from None
        if not dot:
            given[key] = value
            continue
        if not isinstance(given.setdefault(key, {}), dict):
            raise UsageError(f"{key} is given twice", at=at)
        given[key][inner] = value
    return given
