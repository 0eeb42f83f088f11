"""When requests arrive: decided before the first is sent, so that no answer can hold up the next request."""

from __future__ import annotations

import random


def poisson(requests: int, per_second: float, seed: str) -> tuple[int, ...]:
    """Return the arrival times of `requests` requests in ns, ascending: a Poisson process of `per_second`.

    One seed gives one pattern, which another rate only stretches: two models, or two rates, meet the same bursts.
    """
    draw = random.Random(seed)  # noqa: S311 - a load, not a secret
    clock, times = 0.0, []
    for _ in range(requests):
        clock += draw.expovariate(1.0)
        times.append(round(clock / per_second * 1e9))
    return tuple(times)
