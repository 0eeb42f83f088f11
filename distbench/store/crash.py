"""Named moments at which a test lets this process die, as SIGKILL would end it: off unless the environment says so.

`DISTBENCH_CRASH_AT=write.synced@manifest.json#2` is the second time that this process has forced a manifest.json to
the disk and not renamed it yet. Without `@` any file, without `#` the first time; `*#17` is the 17th moment of all.
"""

from __future__ import annotations

import os
import re
import signal
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path

VARIABLE = "DISTBENCH_CRASH_AT"
_SPELLING = re.compile(r"(?P<name>[^@#]+)(?:@(?P<file>[^#]+))?(?:#(?P<count>\d+))?")
_reached: Counter[str] = Counter()


def moment(name: str, path: Path) -> None:
    """Say that a moment is reached: `name` is what happened, `path` the file or folder that it happened to."""
    wanted = os.environ.get(VARIABLE)
    if wanted and (found := _SPELLING.fullmatch(wanted)) and _is(found, name, path):
        _reached[wanted] += 1
        if _reached[wanted] == int(found["count"] or 1):
            os.kill(os.getpid(), signal.SIGKILL)


def _is(wanted: re.Match[str], name: str, path: Path) -> bool:
    return fnmatchcase(name, wanted["name"]) and (wanted["file"] is None or fnmatchcase(path.name, wanted["file"]))
