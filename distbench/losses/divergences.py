"""Divergences between the teacher's and the student's distribution over the vocabulary, at a temperature.

Each is computed on all V tokens where the teacher is known on all, and on k + 1 buckets (its k likeliest tokens and the
rest) where only those were recorded: a coarsening, so a lower bound of the full value.
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from distbench.losses.target import Target, TopK
from distbench.schema.strict import Strict

SMALLEST = 1e-7  # of the student's rest: its log stays finite where float32 rounds 1 − Σ q to 0


class Softness(Strict):
    """Options of a divergence."""

    temperature: float = Field(1.0, ge=0.05, le=100)


def log_pair(logits: Any, target: Target, temperature: float) -> tuple[Any, Any]:
    """Return (student, teacher) log-probabilities over the same buckets, [n, V] or [n, k + 1], float32."""
    import torch

    student = torch.log_softmax(logits.float() / temperature, dim=-1)
    teacher = target.teacher
    assert teacher is not None
    if not isinstance(teacher, TopK):
        return student, teacher.log_probabilities(temperature)
    teacher.check(temperature)
    chosen, known = student.gather(-1, teacher.ids), teacher.logp.float()
    tiny = torch.finfo(torch.float32).tiny
    rest = (1.0 - known.exp().sum(-1, keepdim=True)).clamp_min(tiny).log()
    student_rest = (1.0 - chosen.exp().sum(-1, keepdim=True)).clamp_min(SMALLEST).log()
    return torch.cat([chosen, student_rest], -1), torch.cat([known, rest], -1)


class ForwardKL:
    """T² KL(teacher ‖ student) (Hinton et al. 2015, section 2)."""

    Options = Softness
    reads: ClassVar[str] = "logits"
    asks: ClassVar[str] = "distribution"

    def __init__(self, options: Softness) -> None:
        self.options = options

    def __call__(self, logits: Any, target: Target) -> Any:
        """Return the sum over positions in nats × T²; logits [n, V]."""
        t = self.options.temperature
        student, teacher = log_pair(logits, target, t)
        return (teacher.exp() * (teacher - student)).sum() * t * t
