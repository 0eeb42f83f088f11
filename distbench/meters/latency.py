"""Latency and throughput at a grid of batch sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, ClassVar

from pydantic import Field

from distbench.meters.steps import step_of
from distbench.protocols import LoadFacts, Quantity, Reading, Workload
from distbench.schema.strict import Strict

CLOCK = "perf_counter_ns around each forward pass, device synchronised, output length fixed and asserted"
Batch = Annotated[int, Field(ge=1, le=65_536)]


class LatencyOptions(Strict):
    """Options of `measure: {latency: …}`. Token counts apply to language models only."""

    prompt_tokens: int = Field(64, ge=1, le=1_048_576)
    output_tokens: int = Field(32, ge=1, le=1_048_576)
    batch_sizes: Annotated[list[Batch], Field(min_length=1, max_length=32)] = [1, 8]
    rounds: int = Field(6, ge=2, le=10_000, description="rounds per process launch; in each, every model runs once")
    launches: int = Field(2, ge=1, le=100, description="fresh processes per model")
    max_seconds: float = Field(
        600.0, gt=0, le=864_000, description="no new round starts after this; the record says so"
    )


class LatencyMeter:
    """Time to first token, gap between tokens, end to end, and rates; for classifiers end to end and samples/s."""

    Options = LatencyOptions
    needs: ClassVar[frozenset[str]] = frozenset({"causal-lm", "classify"})
    repeats: ClassVar[bool] = True

    def __init__(self, options: LatencyOptions) -> None:
        self.options = options

    def quantities(self) -> list[Quantity]:
        """Return what a step can read."""
        return [
            Quantity("ttft_ms", "ms", False, CLOCK),
            Quantity("itl_ms", "ms", False, CLOCK),
            Quantity("e2e_ms", "ms", False, CLOCK),
            Quantity("prefill_tokens_per_s", "tokens/s", True, CLOCK),
            Quantity("decode_tokens_per_s", "tokens/s", True, CLOCK),
            Quantity("samples_per_s", "samples/s", True, CLOCK),
        ]

    def workloads(self, model: Any, items: Callable[[int], Any], seed: int) -> Iterator[Workload]:
        """Yield one workload a batch size, warmed up with its own shapes."""
        shape = (self.options.prompt_tokens, self.options.output_tokens)
        for batch in self.options.batch_sizes:
            step = step_of(model, batch, shape, items)
            step()
            step()
            yield Workload(f"batch {batch}", step)

    def once(self, model: Any, load: LoadFacts) -> list[Reading]:
        """Nothing: times are repeated."""
        return []
