"""Latency and rates at a grid of batch sizes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from time import get_clock_info
from typing import Annotated, Any, ClassVar

from pydantic import Field

from distbench.meters.repetition import Repetition
from distbench.protocols import LoadFacts, Quantity, Reading, Readings, Shape, Timing, Usable, WorkAt, Workload

CLOCK = "perf_counter_ns (CUDA events on a GPU) around each forward pass; output length fixed and asserted"
MILLISECOND = 1e-6  # of a nanosecond count
Batch = Annotated[int, Field(ge=1, le=65_536)]


class LatencyOptions(Repetition):
    """Options of `measure: {latency: …}`. Token counts apply to language models only."""

    prompt_tokens: int = Field(64, ge=1, le=1_048_576)
    output_tokens: int = Field(32, ge=1, le=1_048_576)
    batch_sizes: Annotated[list[Batch], Field(min_length=1, max_length=32)] = [1, 8]
    control: bool = Field(
        True, description="measure the teacher a second time beside itself: what the machine makes of two equal models"
    )


class LatencyMeter:
    """Time to the first output, gaps between outputs, end to end, and rates."""

    Options = LatencyOptions
    repeats: ClassVar[bool] = True
    at_a_distance: ClassVar[bool] = True
    headline: ClassVar[str] = "e2e_ms"  # the quantity whose ratio decides when to stop

    @classmethod
    def usable(cls) -> Usable:
        """Say how fine this machine's clock is."""
        step = get_clock_info("perf_counter").resolution
        return Usable(True, f"perf_counter_ns, steps of {step * 1e9:.0f} ns; CUDA events on a GPU")

    def __init__(self, options: LatencyOptions) -> None:
        self.options = options

    def quantities(self) -> list[Quantity]:
        """Return what a unit of work can tell."""
        return [
            Quantity("ttft_ms", "ms", False, CLOCK),
            Quantity("itl_ms", "ms", False, f"every gap between two tokens; {CLOCK}"),
            Quantity("tpot_ms", "ms", False, f"(e2e - ttft) / (tokens - 1); {CLOCK}"),
            Quantity("e2e_ms", "ms", False, CLOCK),
            Quantity("prefill_tokens_per_s", "tokens/s", True, CLOCK),
            Quantity("decode_tokens_per_s", "tokens/s", True, CLOCK),
            Quantity("samples_per_s", "samples/s", True, CLOCK),
        ]

    def workloads(self, model: Any, work_at: WorkAt) -> Iterator[Workload]:
        """Yield one workload a batch size."""
        o = self.options
        for batch in o.batch_sizes:
            work = work_at(Shape(batch, o.prompt_tokens, o.output_tokens))
            yield Workload(f"batch {batch}", lambda work=work: readings_of(work()))  # type: ignore[misc]

    def once(self, model: Any, work_at: WorkAt, load: LoadFacts) -> list[Reading]:
        """Nothing: times are repeated."""
        return []


def readings_of(timing: Timing) -> Readings:
    """Return the quantities of one unit of work.

    Work without tokens has an end and a rate of samples. With tokens: ttft is the first mark, itl every gap after it,
    tpot their mean by token; prefill and decode rates are over the whole batch.
    """
    total = timing.marks_ns[-1] * MILLISECOND
    readings: Readings = {"e2e_ms": total}
    if timing.output_tokens is None:
        readings["samples_per_s"] = timing.samples / total * 1e3
        return readings
    first = timing.marks_ns[0] * MILLISECOND
    readings["ttft_ms"] = first
    if timing.prompt_tokens is not None:
        readings["prefill_tokens_per_s"] = timing.prompt_tokens / first * 1e3
    gaps = [(late - early) * MILLISECOND for early, late in pairwise(timing.marks_ns)]
    if gaps:
        readings["itl_ms"] = gaps
        # not over the gaps: a piece of a server's text may hold several tokens
        tpot = (total - first) / (timing.output_tokens / timing.samples - 1)
        readings["tpot_ms"] = tpot
        readings["decode_tokens_per_s"] = timing.samples / tpot * 1e3
    return readings
