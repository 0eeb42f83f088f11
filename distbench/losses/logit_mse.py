"""Squared differences of logits, before any softmax."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from distbench.errors import UsageError
from distbench.losses.target import Full, Target, at_least_float32
from distbench.schema.strict import Strict


class LogitMSEOptions(Strict):
    """Options of `logit-mse`."""

    centre: bool = Field(
        False, description="subtract each one's mean over the vocabulary first, which no softmax can see"
    )
    temperature: float = Field(1.0, ge=1, le=1, description="none but 1: softening both and scaling by T² cancels out")


class LogitMSE:
    """Σ_positions mean over the vocabulary of (z − v)² (Ba & Caruana 2014, section 2.3; Kim et al. 2021, section 2).

    Both papers compare raw logits, and sum over classes where this takes the mean, so that a weight means the same for
    every vocabulary. Hinton et al. 2015, section 2.1, compare centred ones: half of that is the limit of T² KL for
    high T. Tokens that the teacher rules out (−inf) are left out of both means.
    """

    Options = LogitMSEOptions
    reads: ClassVar[str] = "logits"
    asks: ClassVar[str] = "logits"

    def __init__(self, options: LogitMSEOptions) -> None:
        self.options = options

    def __call__(self, logits: Any, target: Target) -> Any:
        """Return the sum over positions; logits [n, V]. Raises UsageError where one teacher's logits are not known."""
        student, teacher = at_least_float32(logits), only_logits(target)
        known = teacher > -float("inf")
        counts = known.sum(-1, keepdim=True)
        gap = student.masked_fill(~known, 0.0) - teacher.masked_fill(~known, 0.0)
        if self.options.centre:
            gap = (gap - gap.sum(-1, keepdim=True) / counts).masked_fill(~known, 0.0)
        return (gap.square() / counts).sum()


def only_logits(target: Target) -> Any:
    """Return the logits of the one teacher, [n, V]."""
    teacher = target.teacher
    if not isinstance(teacher, Full):
        raise UsageError("logit-mse compares logits, and only probabilities of the teacher are known; ask it online")
    if len(teacher.logits) != 1:
        raise UsageError(f"logit-mse compares with one teacher, not with a mixture of {len(teacher.logits)}")
    return at_least_float32(teacher.logits[0])
