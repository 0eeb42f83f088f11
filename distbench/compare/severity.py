"""What several outcomes say together."""

from __future__ import annotations

from collections.abc import Sequence

from distbench.schema.result import Verdict

# Worst first: what a combination of several outcomes says.
SEVERITY: tuple[Verdict, ...] = ("INVALID", "FAIL", "NO_SIGNAL", "INCONCLUSIVE", "PASS")


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """Return the outcome that decides a conjunction; nothing at all is INCONCLUSIVE, never a pass."""
    return next((v for v in SEVERITY if v in verdicts), "INCONCLUSIVE")
