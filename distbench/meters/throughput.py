"""The offline scenario: how much work a second a model does at the batch that suits it best."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

from pydantic import Field

from distbench.meters.repetition import Repetition
from distbench.meters.sweep import METHOD, point_of, sweep
from distbench.protocols import SEARCH, About, LoadFacts, Quantity, Reading, Readings, Shape, Usable, WorkAt, Workload

OFFLINE = "offline"
RATE = "all requests at once at the model's own best batch, prefill included; a server gets as many requests at a time"
SAMPLES = Quantity("samples_per_s", "samples/s", True, RATE)
TOKENS = Quantity("tokens_per_s", "tokens/s", True, f"generated tokens; {RATE}")
BATCH = Quantity("saturated_batch", "samples", True, METHOD)
SWEPT_SAMPLES = Quantity("sweep_samples_per_s", "samples/s", True, METHOD)
SWEPT_TOKENS = Quantity("sweep_tokens_per_s", "tokens/s", True, f"generated tokens; {METHOD}")


class ThroughputOptions(Repetition):
    """Options of `measure: {throughput: …}`. Token counts apply to language models only."""

    prompt_tokens: int = Field(64, ge=1, le=1_048_576)
    output_tokens: int = Field(32, ge=1, le=1_048_576)
    max_batch: int = Field(256, ge=1, le=65_536, description="the sweep goes 1, 2, 4, … no further than this")
    rounds: int = Field(3, ge=2, le=10_000, description="rounds per process launch, at the best batch")


class ThroughputMeter:
    """Searches each model's best batch in the first launch, then repeats it: the ratio compares both at their best."""

    Options = ThroughputOptions
    repeats: ClassVar[bool] = True
    at_a_distance: ClassVar[bool] = True
    headline: ClassVar[str] = SAMPLES.name

    @classmethod
    def usable(cls) -> Usable:
        """A clock is everywhere."""
        return Usable(True, "rates of whole batches; memory that ends is seen on the GPU and forecast on Linux hosts")

    def __init__(self, options: ThroughputOptions) -> None:
        self.options = options
        self._best = 0

    def quantities(self) -> list[Quantity]:
        """Return the rates, and what the sweep saw."""
        return [SAMPLES, TOKENS, BATCH, SWEPT_SAMPLES, SWEPT_TOKENS]

    def begin(self, launch: int, found: Mapping[str, float]) -> None:
        """Take the batch that an earlier launch found."""
        self._best = int(found.get(BATCH.name, 0))

    def once(self, model: Any, work_at: WorkAt, load: LoadFacts) -> list[Reading]:
        """Sweep; return every rate, the best batch and why the sweep ended."""
        swept = sweep(work_at, self._shape(1), self.options.max_batch)
        self._best = swept.best.batch
        readings = [Reading(BATCH, float(self._best), SEARCH, about=About(facts={"ended": swept.ended}))]
        for point in swept.points:
            name = f"batch {point.batch}"
            readings.append(Reading(SWEPT_SAMPLES, point.samples_per_s, name))
            if point.tokens_per_s is not None:
                readings.append(Reading(SWEPT_TOKENS, point.tokens_per_s, name))
        return readings

    def workloads(self, model: Any, work_at: WorkAt) -> Iterator[Workload]:
        """Yield the one workload, at the best batch."""
        work = work_at(self._shape(self._best))

        def run() -> Readings:
            point = point_of(work())
            rates: Readings = {SAMPLES.name: point.samples_per_s}
            return rates if point.tokens_per_s is None else rates | {TOKENS.name: point.tokens_per_s}

        yield Workload(OFFLINE, run)

    def _shape(self, batch: int) -> Shape:
        return Shape(batch, self.options.prompt_tokens, self.options.output_tokens)
