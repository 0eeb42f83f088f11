"""What a student's logits are compared with: labels, and the teacher's distribution in whatever form it is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distbench.errors import UsageError

IGNORED = -100  # a position without a label; as in torch


@dataclass(frozen=True)
class Full:
    """The logits of one or several teachers, each [n, V]; `weights` sum to 1. A token that is ruled out has −inf."""

    logits: Sequence[Any]
    weights: Sequence[float] = (1.0,)

    def log_probabilities(self, temperature: float) -> Any:
        """Return the log of the teachers' weighted mean distribution at a temperature, [n, V], at least float32."""
        import torch

        each = [torch.log_softmax(softened(one, temperature), dim=-1) for one in self.logits]
        if len(each) == 1:
            return each[0]
        weighted = [one + math.log(w) for one, w in zip(each, self.weights, strict=True)]
        return torch.logsumexp(torch.stack(weighted), dim=0)

    def rows(self, chosen: slice) -> Full:
        """Return some of the positions."""
        return Full([one[chosen] for one in self.logits], self.weights)


@dataclass(frozen=True)
class Softened:
    """All log-probabilities at one temperature: logp [n, V]."""

    logp: Any
    temperature: float

    def log_probabilities(self, temperature: float) -> Any:
        """Return `logp`; another temperature than the recorded one is a UsageError."""
        _same(self.temperature, temperature)
        return at_least_float32(self.logp)

    def rows(self, chosen: slice) -> Softened:
        """Return some of the positions."""
        return Softened(self.logp[chosen], self.temperature)


@dataclass(frozen=True)
class TopK:
    """The k most likely tokens at one temperature, never renormalised: ids [n, k] int64, distinct; logp [n, k].

    What is left of the mass is one rest bucket.
    """

    ids: Any
    logp: Any
    temperature: float

    def rows(self, chosen: slice) -> TopK:
        """Return some of the positions."""
        return TopK(self.ids[chosen], self.logp[chosen], self.temperature)

    def check(self, temperature: float) -> None:
        """Raise UsageError for another temperature than the recorded one."""
        _same(self.temperature, temperature)


@dataclass(frozen=True)
class Target:
    """Labels [n] int64 (`IGNORED`: none) and the teacher's distribution, of n positions that all count."""

    labels: Any
    teacher: Full | Softened | TopK | None = None

    def rows(self, chosen: slice) -> Target:
        """Return some of the positions."""
        return Target(self.labels[chosen], self.teacher.rows(chosen) if self.teacher is not None else None)


def at_least_float32(values: Any) -> Any:
    """Return values in float32, or as they are where they are more precise than that."""
    import torch

    return values if values.dtype == torch.float64 else values.float()


def softened(logits: Any, temperature: float) -> Any:
    """Return logits over a temperature, at least float32: themselves at 1, where a division would only cost time."""
    logits = at_least_float32(logits)
    return logits if temperature == 1.0 else logits / temperature


def _same(recorded: float, asked: float) -> None:
    if recorded != asked:
        raise UsageError(f"the teacher was recorded at temperature {recorded:g}, and the loss asks for {asked:g}")
