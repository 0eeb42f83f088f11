"""Paths as people write them."""

from __future__ import annotations

from pathlib import Path

from distbench.errors import EnvironmentFault
from distbench.schema.wording import harmless


def at_home(given: str | Path) -> Path:
    """Return a path with `~` replaced by a home directory. Raises EnvironmentFault where nobody has that one."""
    try:
        return Path(given).expanduser()
    except RuntimeError:
        raise EnvironmentFault(f"{harmless(str(given))}: there is no such home directory") from None
