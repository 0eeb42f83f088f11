"""What a window of requests was like for those who sent them: times, rates, and how many were served well enough.

Goodput is the rate of requests that meet the stated limits, as in Gujarati et al. 2020, "Serving DNNs like Clockwork"
(OSDI). The highest rate at which, say, 90 % meet them (Zhong et al. 2024, "DistServe", arXiv:2401.09670) is read off
the share over a grid of rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from pydantic import Field, model_validator

from distbench.errors import RunError
from distbench.meters.open_loop import Request
from distbench.protocols import Readings
from distbench.schema.strict import Strict

MILLISECOND = 1e-6  # of a nanosecond count


class SLO(Strict):
    """Limits of one request, in ms. A request is good when it meets all that are stated."""

    ttft_ms: float | None = Field(None, gt=0, description="until its first token, from its arrival")
    itl_ms: float | None = Field(None, gt=0, description="of its longest gap between tokens")
    tpot_ms: float | None = Field(None, gt=0, description="of its mean time per token after the first")
    e2e_ms: float | None = Field(None, gt=0, description="until its last token, from its arrival")

    @model_validator(mode="after")
    def _states_something(self) -> SLO:
        if not self.limits:
            raise ValueError("states no limit: give ttft_ms, itl_ms, tpot_ms or e2e_ms")
        return self

    @property
    def limits(self) -> dict[str, float]:
        """Return the stated limits by name."""
        return {name: limit for name, limit in self if limit is not None}


def times_of(request: Request) -> dict[str, float | list[float]]:
    """Return the times of a request that was served, in ms: of tokens only where there are tokens."""
    moments = [(mark - request.scheduled) * MILLISECOND for mark in request.marks]
    times: dict[str, float | list[float]] = {"e2e_ms": moments[-1]}
    if request.tokens is None:
        return times
    times |= {"ttft_ms": moments[0], "itl_ms": [late - early for early, late in pairwise(moments)]}
    if request.tokens > 1:
        times["tpot_ms"] = (moments[-1] - moments[0]) / (request.tokens - 1)
    return times


def meets(request: Request, slo: SLO) -> bool:
    """Say whether a request was served within every limit; one that was refused was not."""
    if request.refused:
        return False
    times = times_of(request)
    if request.tokens is None and (missing := [name for name in slo.limits if name not in times]):
        raise RunError(f"slo limits {', '.join(missing)}, but this model answers at once; limit e2e_ms instead")
    worst = {name: max(value, default=0.0) if isinstance(value, list) else value for name, value in times.items()}
    return all(worst.get(name, 0.0) <= limit for name, limit in slo.limits.items())


def window_readings(requests: Sequence[Request], slo: SLO | None) -> Readings:
    """Return what one window read. Rates are over the time from the first arrival to the last answer or arrival."""
    served = [request for request in requests if not request.refused]
    first = min(request.scheduled for request in requests)
    last = max(request.scheduled if request.refused else request.marks[-1] for request in requests)
    seconds = (last - first) * 1e-9
    latest = max(request.scheduled for request in requests)
    readings: Readings = {
        "requests_per_s": len(served) / seconds,
        "refused_share": 1 - len(served) / len(requests),
    }
    if latest > first:
        readings["offered_per_s"] = (len(requests) - 1) / ((latest - first) * 1e-9)
    if any(request.tokens is not None for request in served):
        readings["tokens_per_s"] = sum(request.tokens or 0 for request in served) / seconds
    if slo is not None:
        good = sum(meets(request, slo) for request in requests)
        readings |= {"goodput_per_s": good / seconds, "slo_met_share": good / len(requests)}
    return readings | _times(served)


def _times(served: Sequence[Request]) -> Readings:
    """Return every single time, by quantity."""
    raw: dict[str, list[float]] = {}
    for request in served:
        for name, value in times_of(request).items():
            raw.setdefault(name, []).extend(value if isinstance(value, list) else [value])
    return dict(raw)
