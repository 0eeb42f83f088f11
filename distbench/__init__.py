"""distbench: is this smaller model good enough to replace that bigger one, and what does it buy?

import distbench
run = distbench.load("runs/mine")     # or its result.json
run.verdict, run.students, run.tasks  # see docs/python.md
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from distbench.api import Run as Run
    from distbench.api import load as load

_FROM_API = ("Run", "load")


def __getattr__(name: str) -> Any:
    """Import what reads results when it is first asked for: every command and every cell imports this module."""
    if name not in _FROM_API:
        raise AttributeError(f"module 'distbench' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("distbench.api"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_FROM_API])
