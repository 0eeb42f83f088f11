"""Divergences between the teacher's distribution p and the student's q over the vocabulary, at a temperature.

Each is computed on all V tokens where the teacher is known on all, and on k + 1 buckets (its k likeliest tokens and the
rest) where only those were recorded: a coarsening, so a lower bound of the full value. T softens both distributions and
the sum is multiplied by T², so that gradients keep their size (Hinton et al. 2015, section 2); papers that define a
divergence for T = 1 do not multiply. A token that the teacher rules out counts as one of probability 10⁻³⁸: the reverse
divergences stay finite.

Besides being called, each can add its gradient in closed form (`accumulate`): that is what the chunked sum uses.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from pydantic import Field

from distbench.losses.positions import Pair, Positions
from distbench.losses.target import Target
from distbench.schema.strict import Strict


class Softness(Strict):
    """Options of a divergence."""

    temperature: float = Field(1.0, ge=0.05, le=100, description="softens both distributions; the loss is scaled by T²")


class Divergence:
    """T² Σ_positions D(p, q), in nats × T². Subclasses say what each bucket contributes, and its slope."""

    Options: ClassVar[type[Softness]] = Softness
    reads: ClassVar[str] = "logits"
    asks: ClassVar[str] = "distribution"

    def __init__(self, options: Any) -> None:
        self.options = options

    def terms(self, pair: Pair) -> Any:
        """Return what each bucket contributes, [n, B]."""
        raise NotImplementedError

    def slopes(self, pair: Pair) -> Any:
        """Return the derivative of the terms' sum by each of the student's log-probabilities, [n, B]: a new tensor."""
        raise NotImplementedError

    def __call__(self, logits: Any, target: Target) -> Any:
        """Return the sum over positions; logits [n, V]. Raises UsageError for a temperature that was not recorded."""
        t = self.options.temperature
        return self.terms(Positions(logits, target).pair(t)).sum() * t * t

    def accumulate(self, at: Positions, weight: float, into: Any) -> Any:
        """Add `weight` × the gradient by the logits to `into` [n, V]; return the loss, without the weight."""
        t = self.options.temperature
        pair = at.pair(t)
        value = self.terms(pair).sum() * t * t
        into.add_(pair.rise(self.slopes(pair)), alpha=weight * t)  # T² of the loss, 1/T of the softened logits
        return value


class ForwardKL(Divergence):
    """T² KL(p ‖ q) (Hinton et al. 2015, section 2)."""

    def terms(self, pair: Pair) -> Any:
        """Return p log(p / q)."""
        return pair.p * (pair.teacher - pair.student)

    def slopes(self, pair: Pair) -> Any:
        """Return −p."""
        return -pair.p


class ReverseKL(Divergence):
    """T² KL(q ‖ p): the student avoids what the teacher finds unlikely (MiniLLM, Gu et al. 2024, section 2.1).

    The token-level divergence of GKD; MiniLLM takes it over whole sampled sequences, by policy gradient.
    """

    def terms(self, pair: Pair) -> Any:
        """Return q log(q / p)."""
        return pair.q * (pair.student - pair.teacher)

    def slopes(self, pair: Pair) -> Any:
        """Return q (log(q / p) + 1)."""
        return (pair.student - pair.teacher).add_(1.0).mul_(pair.q)


class JSDOptions(Softness):
    """Options of `jsd`."""

    beta: float = Field(
        0.5, ge=0, le=1, description="weight of the teacher in the mixture; 0: forward KL, 1: reverse KL"
    )


class JSD(Divergence):
    """T² (β KL(p ‖ m) + (1 − β) KL(q ‖ m)), m = β p + (1 − β) q (Agarwal et al. 2024, GKD, section 2).

    β weighs the teacher, there as in TRL. The formula vanishes at β = 0 and 1; here, as in TRL, these stand for its
    limits divided by β and 1 − β: KL(p ‖ q) and KL(q ‖ p).
    """

    Options: ClassVar[type[Softness]] = JSDOptions

    def __init__(self, options: JSDOptions) -> None:
        super().__init__(options)
        self.beta = options.beta
        self._limit: Divergence | None = {0.0: ForwardKL(options), 1.0: ReverseKL(options)}.get(options.beta)

    def terms(self, pair: Pair) -> Any:
        """Return β p log(p / m) + (1 − β) q log(q / m)."""
        if self._limit is not None:
            return self._limit.terms(pair)
        mean = mixture(pair.teacher, pair.student, self.beta)
        towards_p = pair.p * (pair.teacher - mean)
        return self.beta * towards_p + (1.0 - self.beta) * (pair.q * (pair.student - mean))

    def slopes(self, pair: Pair) -> Any:
        """Return (1 − β) q log(q / m): what m adds by changing cancels."""
        if self._limit is not None:
            return self._limit.slopes(pair)
        mean = mixture(pair.teacher, pair.student, self.beta)
        return (pair.student - mean).mul_(pair.q).mul_(1.0 - self.beta)


class SkewOptions(Softness):
    """Options of `skew-kl` and `skew-reverse-kl`."""

    alpha: float = Field(0.1, ge=0, lt=1, description="how much of the left distribution is mixed into the right one")


class SkewKL(Divergence):
    """T² KL(p ‖ α p + (1 − α) q) (DistiLLM, Ko et al. 2024, section 3.1)."""

    Options: ClassVar[type[Softness]] = SkewOptions

    def terms(self, pair: Pair) -> Any:
        """Return p log(p / m)."""
        return pair.p * (pair.teacher - mixture(pair.teacher, pair.student, self.options.alpha))

    def slopes(self, pair: Pair) -> Any:
        """Return −(1 − α) p q / m."""
        alpha = self.options.alpha
        mean = mixture(pair.teacher, pair.student, alpha)
        return (pair.teacher + pair.student - mean).exp_().mul_(alpha - 1.0)


class SkewReverseKL(Divergence):
    """T² KL(q ‖ α q + (1 − α) p) (DistiLLM, Ko et al. 2024, section 3.1)."""

    Options: ClassVar[type[Softness]] = SkewOptions

    def terms(self, pair: Pair) -> Any:
        """Return q log(q / m)."""
        return pair.q * (pair.student - mixture(pair.student, pair.teacher, self.options.alpha))

    def slopes(self, pair: Pair) -> Any:
        """Return q (log(q / m) + 1 − α q / m)."""
        alpha = self.options.alpha
        over = pair.student - mixture(pair.student, pair.teacher, alpha)
        return (over + 1.0).sub_(over.exp(), alpha=alpha).mul_(pair.q)


class TotalVariation(Divergence):
    """T² × ½ Σ |p − q| (as a distillation loss: Wen et al. 2023, f-distill).

    T² is kept for uniformity. This distance is of first order in the difference of logits, not of second as the KL: its
    gradient grows with T where the KL's keeps its size, and the paper, at T = 1, has no such factor.
    """

    def terms(self, pair: Pair) -> Any:
        """Return ½ |p − q|."""
        return 0.5 * (pair.p - pair.q).abs()

    def slopes(self, pair: Pair) -> Any:
        """Return ½ q sign(q − p)."""
        return (pair.q - pair.p).sign_().mul_(pair.q).mul_(0.5)


def mixture(left: Any, right: Any, share: float) -> Any:
    """Return log(share × e^left + (1 − share) × e^right)."""
    import torch

    if share == 0.0:
        return right
    return torch.logaddexp(left + math.log(share), right + math.log1p(-share))
