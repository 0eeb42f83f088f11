"""A checkpoint's own Python: what it names, what it is by content, and whether somebody allowed it to run.

Nothing here runs it. A configuration names code by `auto_map`: "module.Class" for a file that lies beside it.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distbench.errors import EnvironmentFault, RefusedError
from distbench.hashing import digest, file_digest
from distbench.schema.trusted import Trusted
from distbench.schema.wording import harmless

CONFIG = "config.json"
NAMING = (CONFIG, "tokenizer_config.json", "preprocessor_config.json", "processor_config.json")
LOCAL = re.compile(r"(?P<module>[A-Za-z_][\w-]*(/[A-Za-z_][\w-]*)*)\.[A-Za-z_]\w*")


@dataclass(frozen=True)
class Trust:
    """What somebody allowed about one checkpoint, by name: its Python to run, its weights to be a pickle."""

    code: bool = False
    pickle: bool = False


NOBODY = Trust()


def trust_of(options: Any) -> Trust:
    """Return what a plug-in's options allow."""
    return Trust(options.trust_remote_code, options.allow_pickle)


def code_named(folder: Path) -> list[str]:
    """Return what the configurations of a checkpoint name as code, "module.Class" each; a model's own come first."""
    found: dict[str, None] = {}
    for name in NAMING:
        try:
            config = json.loads((folder / name).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            continue  # what is wrong with it is said by who reads the rest of it
        if isinstance(config, dict):
            found |= dict.fromkeys(_references(config.get("auto_map")))
    return list(found)


def _references(auto_map: Any) -> list[str]:
    """Return the references of an `auto_map`: texts, and pairs of a slow and a fast tokenizer with gaps."""
    if isinstance(auto_map, dict):
        return [each for value in auto_map.values() for each in _references(value)]
    if isinstance(auto_map, list):
        return [each for value in auto_map for each in _references(value)]
    return [] if auto_map is None else [str(auto_map)]


def check_code(folder: Path) -> dict[str, str]:
    """Return the Python files of a checkpoint whose code may run, name → SHA-256; empty where it names none.

    All of them count, not only those that are named: they import one another. Raises RefusedError for code that lies
    elsewhere, EnvironmentFault for a file that is missing.
    """
    named = code_named(folder)
    for reference in named:
        local = LOCAL.fullmatch(reference)
        if "--" in reference:
            raise RefusedError(
                f"{folder}: auto_map names code of another repository ({harmless(reference)}), which can change at any "
                "time; copy its files beside the checkpoint and name them without the part before '--'"
            )
        if local is None:
            raise RefusedError(f"{folder}: auto_map names {harmless(reference)}, which is no file of the checkpoint")
        if not (folder / f"{local['module']}.py").is_file():
            raise EnvironmentFault(f"{folder / local['module']}.py is missing, which auto_map names")
    return python_files(folder) if named else {}


def python_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every Python file of a folder, by its name in it."""
    found = (path for path in sorted(folder.rglob("*.py")) if path.is_file())
    return {path.relative_to(folder).as_posix(): file_digest(path) for path in found}


def refuse_other_code(folder: Path, trusted: Trusted | None) -> None:
    """Raise RefusedError where a model's folder names code that nobody allowed: it came or changed after the plan."""
    if trusted is None or not trusted.code:
        return
    allowed = set(trusted.code.values())
    for name, found in python_files(folder).items():
        if found not in allowed:
            raise RefusedError(
                f"{folder / name} is not the code that was allowed when the run was planned (SHA-256 {found[:16]}…); "
                "look at it, then start the command again"
            )


def identity_of(trusted: Trusted) -> str | None:
    """Return the content hash of a checkpoint with what was allowed of it; None where it was made here."""
    return digest([trusted.besides, trusted.code]) if trusted.code and trusted.besides else trusted.besides
