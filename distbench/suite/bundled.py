"""The suites that come with distbench, and how a suite is found by path or by name."""

from __future__ import annotations

from pathlib import Path

from distbench.errors import UsageError, did_you_mean
from distbench.schema.wording import shorten

FOLDERS = ("recipes", "studies")
_PACKAGE = Path(__file__).resolve().parent.parent


def bundled_suites() -> dict[str, Path]:
    """Return the suites that come with distbench, by name; those of a folder have it in their name, recipes/…"""
    root = _directory()
    found = [
        *sorted(root.glob("*.yaml")),
        *(path for folder in FOLDERS for path in sorted((root / folder).glob("*.yaml"))),
    ]
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in found}


def resolve_suite(argument: str) -> Path:
    """Return the suite file that an argument means: a file, else the name of a bundled suite."""
    path = Path(argument)
    if _is(path, "is_file"):
        return path
    bundled = bundled_suites()
    if argument in bundled:
        return bundled[argument]
    if _is(path, "exists"):  # a directory: reading it says what is wrong
        return path
    near = did_you_mean(argument[:80], bundled, 3)
    raise UsageError(f"no suite file or bundled suite {shorten(argument)!r} (working directory: {Path.cwd()}){near}")


def _directory() -> Path:
    """Return where the suites lie: in the wheel inside the package, in a checkout beside it."""
    packaged = _PACKAGE / "bundled_suites"
    checkout = _PACKAGE.parent
    if not packaged.is_dir() and (checkout / "pyproject.toml").is_file():
        return checkout / "suites"
    return packaged


def _is(path: Path, question: str) -> bool:
    try:
        return bool(getattr(path, question)())
    except (OSError, ValueError):  # a name that is too long, or has a NUL byte, is no file
        return False
