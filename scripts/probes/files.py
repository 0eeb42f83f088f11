"""What a generator of task files does with them: write them, or say which of them on disk differ."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

DEFAULT_FOLDER: Final = Path(__file__).resolve().parents[2] / "suites" / "tasks"


def find_differences(folder: Path, files: dict[str, str], mine: Iterable[str]) -> list[str]:
    """Name the files that are missing, out of date, or no longer generated; `mine`: glob patterns of one's own."""
    paths = [path for pattern in mine for path in folder.glob(pattern) if path.is_file()]
    stale = {path.relative_to(folder).as_posix() for path in paths} - files.keys()
    wrong = {name for name, text in files.items() if _content(folder / name) != text.encode()}
    return sorted(stale | wrong)


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def run(arguments: list[str] | None, about: str, files: dict[str, str], mine: Iterable[str]) -> int:
    """Write the files, or with --check compare them with those on disk; return the exit code."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("folder", nargs="?", type=Path, default=DEFAULT_FOLDER, help="output folder")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if the folder is out of date")
    options = parser.parse_args(arguments)
    if options.check:
        differences = find_differences(options.folder, files, mine)
        for name in differences:
            print(f"out of date: {options.folder / name}", file=sys.stderr)
        return 1 if differences else 0
    for name, text in files.items():
        (options.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (options.folder / name).write_bytes(text.encode())
    return 0
