"""The shared-prefix scorer: exact answers, checked against the model itself, or a reason why not."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from distbench.errors import is_out_of_memory
from distbench.protocols.batches import Batch
from distbench.scoring.forward import TrieForward
from distbench.scoring.limits import refuse_by_length
from distbench.scoring.packing import Segment, pack
from distbench.scoring.requests import Answer, NotHonouredError, Request

# Requests that are scored a second time, by the model as it is: one in EVERY, at least FEWEST, at most MOST. By the
# number of requests alone: what a record says must not depend on what the same process did before.
EVERY, FEWEST, MOST = 50, 5, 10
EARLY = 8  # answers after which the first two are looked at
# What two ways of computing one log-probability differ by (nats; in 16 bits: for one token, and growing as the square
# root of their number, since a logit near 20 is rounded to 1/8 in bfloat16 and to 1/64 in float16).
USUAL = {"float32": 1e-4, "float64": 1e-4, "float16": 0.02, "bfloat16": 0.1}
# A mask that is not honoured shows as whole nats. A checkpoint with massive activations can differ from itself by ten
# times the usual on single sequences (`scripts/check_float32.py`: SmolLM2-135M in float32 is up to 4e-4 from float64).
REFUSED = {"float32": 1e-2, "float64": 1e-2, "float16": 0.2, "bfloat16": 1.0}
ROW_TOKENS = {"cpu": 512, "cuda": 1024}
TOKENS_AT_ONCE = {"cpu": 512, "cuda": 16384}


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
        self._forward = TrieForward(module)
        self._batch = Batch(TOKENS_AT_ONCE.get(device, 16384), "tokens")
        self._budget = ROW_TOKENS.get(device, 1024)
        self.dtype = str(self._forward.dtype).removeprefix("torch.")
        self.config = module.config

    def score(self, requests: Sequence[Request], watch: Callable[[int, int], None] | None = None) -> Scores:
        """Return every request's answer."""
        if not requests:
            return Scores([], Check(0, 0.0, 0.0), 0, 0)
        refuse_by_length(self.config, max(len(request.tokens) for request in requests))
        self._refuse_head(min(requests, key=lambda request: len(request.tokens)))
        found: dict[int, Answer] = {}
        segments: list[Segment] = []
        differences: dict[int, float] = {}

        def rest(tokens: int) -> None:
            """Score what has no answer yet, so many tokens at once."""
            for segment in pack(requests, min(self._budget, tokens), found.keys()):
                shared, answered = segment.shared, []
                try:
                    for index, answer in self._run(segment, tokens):
                        found[index] = answer
                        if watch is not None:
                            watch(len(found), len(requests))
                        # a model that does not honour the mask is found before the rest is computed in vain
                        if differences or index not in shared:
                            continue
                        answered.append(index)
                        if len(answered) == EARLY:
                            some = sorted(answered, key=shared.__getitem__)[-2:]
                            differences.update(self._compare(requests, found, some))
                finally:
                    segments.append(segment.only(found))

        self._batch.run(rest)
        self._compare_more(requests, segments, found, differences)
        seen = [value for value in differences.values() if not math.isnan(value)]
        return Scores(
            [found[i] for i in range(len(requests))],
            Check(len(seen), float(np.median(seen)), max(seen)) if seen else Check(0, 0.0, 0.0),
            sum(len(request.tokens) for request in requests),
            sum(len(segment.prefix) + sum(len(row) for row in segment.rows) for segment in segments),
        )

    def _run(self, segment: Segment, tokens: int) -> Iterator[tuple[int, Answer]]:
        with _refusing("it cannot be asked with a mask and positions of our own"):
            yield from self._forward.run(segment, tokens)

    def _refuse_head(self, request: Request) -> None:
        with _refusing("its head cannot be asked by itself"):
            beside = self._forward.beside_head(request)
        if beside is not None:
            raise NotHonouredError(beside)

    def _compare_more(
        self,
        requests: Sequence[Request],
        segments: Sequence[Segment],
        found: dict[int, Answer],
        differences: dict[int, float],
    ) -> None:
        """Compare what is most likely to be wrong, and some of all.

        That is the longest request, the one that is most torn apart by others (a model may look at places in the row
        and see only so far), and those that share a row before those that have one for themselves.
        """
        shared = {index: strangers for segment in segments for index, strangers in segment.shared.items()}
        longest = max(range(len(requests)), key=lambda i: len(requests[i].tokens))
        worst = max(shared, key=shared.__getitem__, default=longest)
        ranked = [longest, worst, *_shuffled(shared), *_shuffled(set(range(len(requests))) - shared.keys())]
        chosen = [index for index in dict.fromkeys(ranked) if index not in differences]
        count = min(max(len(requests) // EVERY, FEWEST), MOST)
        differences |= self._compare(requests, found, chosen[: max(2, count - len(differences))])

    def _compare(
        self, requests: Sequence[Request], found: dict[int, Answer], chosen: Sequence[int]
    ) -> dict[int, float]:
        """Return {request: difference in nats}, NaN where there is no number to compare.

        Raises NotHonouredError where the answers are not the same.
        """
        differences = {}
        for index in chosen:
            request, packed = requests[index], found[index].logprob
            plain = self._forward.plain(request).logprob
            if plain == packed or (math.isnan(plain) and math.isnan(packed)):
                differences[index] = 0.0 if math.isfinite(plain) else math.nan
                continue
            difference, most = abs(plain - packed), self._most(request, plain)
            if not difference <= most:  # also where one of them is NaN
                raise NotHonouredError(
                    f"its answers change when sequences share a row: by {difference:.3g} nats on a request of "
                    f"{len(request.tokens)} tokens (at most {most:.3g})"
                )
            differences[index] = difference
        return differences

    def _most(self, request: Request, logprob: float) -> float:
        """Return what a log-probability may differ by: sums over long documents lose digits too."""
        scale = 1.0 if self.dtype in {"float32", "float64"} else len(request.targets) ** 0.5
        return REFUSED.get(self.dtype, REFUSED["float32"]) * scale + 1e-6 * abs(logprob)


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    """Turn what a model raises when it is asked in our way into a reason; running out of memory is none."""
    try:
        yield
    except NotHonouredError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise NotHonouredError(f"{what} ({type(error).__name__}: {first[:160]})") from error


def _shuffled(indices: Iterable[int]) -> list[int]:
    some = sorted(indices)
    random.Random(0).shuffle(some)  # noqa: S311
    return some
