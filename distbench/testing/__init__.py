"""A gate inside a team's own test suite: assertions about a run, and the pytest plug-in that opens it.

pytest imports this package whenever it starts, so nothing is imported here before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distbench.testing.assertions import InconclusiveWarning as InconclusiveWarning
    from distbench.testing.assertions import assert_less_energy as assert_less_energy
    from distbench.testing.assertions import assert_less_memory as assert_less_memory
    from distbench.testing.assertions import assert_lost_at_most as assert_lost_at_most
    from distbench.testing.assertions import assert_passes_gate as assert_passes_gate
    from distbench.testing.assertions import assert_retained as assert_retained
    from distbench.testing.assertions import assert_smaller as assert_smaller
    from distbench.testing.assertions import assert_speedup as assert_speedup

__all__ = [
    "InconclusiveWarning",
    "assert_less_energy",
    "assert_less_memory",
    "assert_lost_at_most",
    "assert_passes_gate",
    "assert_retained",
    "assert_smaller",
    "assert_speedup",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'distbench.testing' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("distbench.testing.assertions"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
