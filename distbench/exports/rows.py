"""The tidy tables of a result as files of rows: which table is meant, and texts that a file can hold."""

from __future__ import annotations

import re
from pathlib import Path

from distbench.errors import UsageError, did_you_mean
from distbench.store.files import disk_faults
from distbench.tables import TABLES, Table

ALL = "all"
_LONE = re.compile("[\ud800-\udfff]")


def table_of(name: str) -> Table:
    """Return a table by its name; raise UsageError for one that is not there."""
    if name not in TABLES:
        near = did_you_mean(name[:80], TABLES) or f"; there are: {', '.join(TABLES)}, {ALL}"
        raise UsageError(f"no table {name[:80]!r}{near}")
    return TABLES[name]


def utf8(text: str) -> str:
    """Return the text as UTF-8 can hold it: a lone surrogate is spelled out, as on the report page."""
    return _LONE.sub(lambda found: f"⟨U+{ord(found[0]):04X}⟩", text)


def made_folder(path: Path) -> Path:
    """Make the folder that files go into; raise EnvironmentFault where that cannot be."""
    with disk_faults(path):
        path.mkdir(parents=True, exist_ok=True)
    return path
