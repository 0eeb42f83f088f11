"""The shared-prefix scorer: exact answers, checked against the model itself, or a reason why not."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distbench.scoring.forward import TrieForward
from distbench.scoring.packing import pack
from distbench.scoring.requests import Answer, Request

CHECKED = 8  # requests of the first call that are scored a second time, by the model as it is; later calls: a quarter
# What two ways of computing one log-probability differ by (nats; in 16 bits: for one token, and growing as the square
# root of their number, since a logit near 20 is rounded to 1/8 in bfloat16 and to 1/64 in float16).
USUAL = {"float32": 1e-4, "float64": 1e-4, "float16": 0.02, "bfloat16": 0.1}
# A mask that is not honoured shows as whole nats. A checkpoint with massive activations can differ from itself by ten
# times the usual on single sequences (SmolLM2-135M in float32 does: 5e-4 against float64, however it is batched).
REFUSED = {"float32": 1e-2, "float64": 1e-2, "float16": 0.2, "bfloat16": 1.0}
ROW_TOKENS = {"cpu": 512, "cuda": 1024}
TOKENS_AT_ONCE = {"cpu": 512, "cuda": 16384}


class NotHonouredError(Exception):
    """This model cannot be scored with shared prefixes; the text says why."""


@dataclass(frozen=True)
class Check:
    """How closely packed and plain scoring agree (nats): requests compared, median and largest difference."""

    compared: int
    median: float
    largest: float

    def merged(self, other: Check) -> Check:
        """Return the check of both calls; the median is the larger one."""
        return Check(self.compared + other.compared, max(self.median, other.median), max(self.largest, other.largest))


@dataclass(frozen=True)
class Scores:
    """Answers in the order of the requests, the check, and how much was saved (tokens asked for, tokens run)."""

    answers: list[Answer]
    check: Check
    tokens_asked: int
    tokens_run: int


class SharedPrefixScorer:
    """Scores requests with each distinct prefix computed once.

    Idea: a batch of continuations is a token trie; tree attention as in speculative decoding (SpecInfer, Miao et al.
    2024) runs it in one pass. Raises NotHonouredError where the model's own answers differ.
    """

    def __init__(self, module: Any) -> None:
        device = next(module.parameters()).device.type
        self._forward = TrieForward(module, TOKENS_AT_ONCE.get(device, 16384))
        self._budget = ROW_TOKENS.get(device, 1024)
        self.dtype = str(self._forward.dtype).removeprefix("torch.")
        self.config = module.config
        self._to_check = CHECKED

    def score(self, requests: Sequence[Request], watch: Callable[[int, int], None] | None = None) -> Scores:
        """Return every request's answer."""
        self._refuse_window(max((len(request.tokens) for request in requests), default=0))
        found: dict[int, Answer] = {}
        segments = pack(requests, self._budget)
        early: list[int] = []
        check = Check(0, 0.0, 0.0)
        for number, segment in enumerate(segments):
            for index, answer in self._run(segment):
                found[index] = answer
                if watch is not None:
                    watch(len(found), len(requests))
            if number == 0:  # a model that does not honour the mask is found before the rest is computed in vain
                early = _some(sorted(found), 2)
                check = self._compare(requests, found, early)
        check = check.merged(self._compare(requests, found, self._chosen(requests, early)))
        self._to_check = CHECKED // 4
        return Scores(
            [found[i] for i in range(len(requests))],
            check,
            sum(len(request.tokens) for request in requests),
            sum(len(segment.prefix) + sum(len(row) for row in segment.rows) for segment in segments),
        )

    def _run(self, segment: Any) -> Any:
        try:
            yield from self._forward.run(segment)
        except (TypeError, ValueError, RuntimeError, NotImplementedError, AttributeError) as error:
            if "out of memory" in str(error).lower():
                raise
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            reason = f"a 4-D attention mask is refused ({type(error).__name__}: {first[:160]})"
            raise NotHonouredError(reason) from error

    def _chosen(self, requests: Sequence[Request], early: list[int]) -> list[int]:
        """Return what else to check: the longest request, and some of all the others."""
        if not requests:
            return []
        longest = max(range(len(requests)), key=lambda i: len(requests[i].tokens))
        rest = _some([i for i in range(len(requests)) if i not in early], self._to_check - len(early) - 1)
        return sorted({longest, *rest} - set(early))

    def _compare(self, requests: Sequence[Request], found: dict[int, Answer], chosen: list[int]) -> Check:
        """Score the chosen requests plainly. Raises NotHonouredError where the answers are not the same."""
        differences = []
        for index in chosen:
            request = requests[index]
            plain = self._forward.plain(request).logprob
            difference, most = abs(plain - found[index].logprob), self._most(REFUSED, request, plain)
            if not (difference <= most or plain == found[index].logprob):
                raise NotHonouredError(
                    f"its answers change when sequences share a row: by {difference:.3g} nats on a request of "
                    f"{len(request.tokens)} tokens (at most {most:.3g})"
                )
            differences.append(difference)
        if not differences:
            return Check(0, 0.0, 0.0)
        return Check(len(chosen), float(np.median(differences)), max(differences))

    def _most(self, limits: dict[str, float], request: Request, logprob: float) -> float:
        """Return what a log-probability may differ by: sums over long documents lose digits too."""
        scale = 1.0 if self.dtype in {"float32", "float64"} else len(request.targets) ** 0.5
        return limits.get(self.dtype, limits["float32"]) * scale + 1e-6 * abs(logprob)

    def _refuse_window(self, longest: int) -> None:
        """A 4-D mask replaces the sliding window: short requests would agree, and longer ones would not."""
        window = getattr(self.config, "sliding_window", None)
        if isinstance(window, int) and longest > window and _uses_window(self.config):
            raise NotHonouredError(f"its attention window of {window} tokens is shorter than a request of {longest}")


def _uses_window(config: Any) -> bool:
    kinds = getattr(config, "layer_types", None)
    return any("sliding" in kind for kind in kinds) if kinds else bool(getattr(config, "use_sliding_window", True))


def _some(indices: list[int], count: int) -> list[int]:
    return random.Random(0).sample(indices, min(max(count, 0), len(indices)))  # noqa: S311
