"""Student and teacher at a few positions, and what several losses compute of them: once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

from distbench.losses.target import Full, Softened, Target, TopK, at_least_float32, softened

FLOOR = -87.3  # log of the smallest normal float32: what a teacher rules out is this unlikely, never impossible


class Pair:
    """The teacher's and the student's log-probabilities over the same buckets, each [n, B]: here all V tokens.

    `rise` maps a derivative by the student's log-probabilities to one by its (softened) logits.
    """

    def __init__(self, teacher: Any, student: Any, probabilities: Callable[[], Any], p: Any = None) -> None:
        self.teacher, self.student = teacher.clamp_min(FLOOR), student
        self.probabilities = probabilities  # of the student, [n, V]
        self._p = p

    @cached_property
    def p(self) -> Any:
        """The teacher's probabilities."""
        return self.teacher.exp() if self._p is None else self._p

    @cached_property
    def q(self) -> Any:
        """The student's probabilities."""
        return self.probabilities()

    def rise(self, slopes: Any) -> Any:
        """Return the derivative by the logits, [n, V], given that by the log-probabilities; may reuse `slopes`."""
        return slopes.addcmul_(self.q, slopes.sum(-1, keepdim=True), value=-1.0)


class Coarse(Pair):
    """The same over k + 1 buckets: the teacher's k likeliest tokens and the rest, [n, k + 1].

    The student's rest is summed over its own tokens, not taken as 1 − Σ q: that rounds to 0 for a student that is sure.
    """

    def __init__(self, known: TopK, tokens: Any, probabilities: Callable[[], Any]) -> None:
        import torch

        self.ids = known.ids
        logp = at_least_float32(known.logp).to(tokens.dtype)
        left = 1.0 - logp.exp().sum(-1, keepdim=True)
        rest = left.clamp_min(torch.finfo(torch.float32).tiny).log()
        self.others = tokens.scatter(-1, known.ids, -torch.inf)
        student = torch.cat([tokens.gather(-1, known.ids), self._mass_of_others()], -1)
        super().__init__(torch.cat([logp, rest], -1), student, probabilities)

    @cached_property
    def q(self) -> Any:
        """The student's probabilities of the buckets."""
        return self.student.exp()

    def _mass_of_others(self) -> Any:
        """Return the log of the student's mass outside the k tokens, [n, 1].

        Where no gradient is traced, the softmax that `rise` needs gives it too: its maximum is exp(maximum − mass).
        """
        import torch

        if self.others.requires_grad:
            return torch.logsumexp(self.others, -1, keepdim=True)
        self.shares = torch.softmax(self.others, -1)
        self.shares.div_(self.shares.sum(-1, keepdim=True))  # as in `normalised`
        return self.others.amax(-1, keepdim=True) - self.shares.amax(-1, keepdim=True).log()

    def rise(self, slopes: Any) -> Any:
        """Return the derivative by the logits, [n, V]: the rest's is spread over its tokens by their share of it."""
        total = slopes.sum(-1, keepdim=True)
        spread = self.shares.mul_(slopes[:, -1:]).addcmul_(self.probabilities(), total, value=-1.0)
        return spread.scatter_add_(-1, self.ids, slopes[:, :-1])


def normalised(logp: Any) -> tuple[Any, Any]:
    """Return log-probabilities (changed in place) and probabilities, [n, V], that sum to 1 more exactly.

    torch's softmax sums a row in float32 lane by lane: over 49,152 tokens that is wrong by some 4 × 10⁻⁶, for all of
    the row alike, and what is wanted is the small difference of two such rows. `sum` adds pairwise.
    """
    p = logp.exp()
    total = p.sum(-1, keepdim=True)
    return logp.sub_(total.log()), p.div_(total)


class Positions:
    """The student's logits [n, V] and the target at the same positions; nothing is computed before it is asked for."""

    def __init__(self, logits: Any, target: Target) -> None:
        self.logits, self.target = at_least_float32(logits), target
        self._logs: dict[float, Any] = {}
        self._probabilities: dict[float, Any] = {}

    def log(self, temperature: float) -> Any:
        """Return the student's log-probabilities, [n, V]."""
        import torch

        if temperature not in self._logs:
            logp = torch.log_softmax(softened(self.logits, temperature), dim=-1)
            if not logp.requires_grad:
                logp, self._probabilities[temperature] = normalised(logp)
            self._logs[temperature] = logp
        return self._logs[temperature]

    def probabilities(self, temperature: float) -> Any:
        """Return the student's probabilities, [n, V]."""
        if temperature not in self._probabilities:
            self._probabilities[temperature] = self.log(temperature).exp()
        return self._probabilities[temperature]

    def pair(self, temperature: float) -> Pair:
        """Return teacher and student over the same buckets. Raises UsageError for a temperature not recorded."""
        import torch

        teacher, tokens = self.target.teacher, self.log(temperature)
        assert teacher is not None, "a divergence is computed where a teacher was asked"
        probabilities = partial(self.probabilities, temperature)
        if isinstance(teacher, Full):
            logp, p = normalised(teacher.log_probabilities(temperature).detach())
            return Pair(logp, tokens, probabilities, p)
        if isinstance(teacher, Softened):
            return Pair(teacher.log_probabilities(temperature), tokens, probabilities)
        teacher.check(temperature)
        if teacher.ids.shape[-1] < tokens.shape[-1]:
            return Coarse(teacher, tokens, probabilities)
        everything = torch.empty_like(tokens).scatter(-1, teacher.ids, at_least_float32(teacher.logp).to(tokens.dtype))
        return Pair(everything, tokens, probabilities)
