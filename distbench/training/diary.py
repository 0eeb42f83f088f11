"""What happened in a training: losses, looks, time, and why it ended."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

CURVE_POINTS = 100


@dataclass
class Diary:
    """What happened in a training; what a resumed one needs of it is sealed with every checkpoint."""

    curve: list[tuple[int, float]] = field(default_factory=list)
    looks: list[tuple[int, float]] = field(default_factory=list)
    seconds: float = 0.0
    stopped: str = "budget"

    @property
    def best(self) -> tuple[int, float] | None:
        """The look with the smallest value, the earliest of equal ones."""
        return min(self.looks, key=lambda one: one[1], default=None)

    @property
    def looks_without_progress(self) -> int:
        """How many looks there were since the best."""
        return len(self.looks) - 1 - self.looks.index(self.best) if self.best else 0

    def facts(self) -> dict[str, Any]:
        """Return what is sealed."""
        return {"curve": self.curve, "looks": self.looks, "seconds": self.seconds}

    @classmethod
    def read(cls, facts: dict[str, Any]) -> Diary:
        """Read what was sealed."""
        pairs = {name: [(int(step), float(value)) for step, value in facts[name]] for name in ("curve", "looks")}
        return cls(pairs["curve"], pairs["looks"], float(facts["seconds"]))


def thin(curve: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """Average a loss curve down to `CURVE_POINTS`."""
    width = max(1, -(-len(curve) // CURVE_POINTS))
    groups = [curve[i : i + width] for i in range(0, len(curve), width)]
    return [(group[-1][0], sum(loss for _, loss in group) / len(group)) for group in groups]
