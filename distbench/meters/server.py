"""The server scenario: requests arrive at their own times, whether or not the model keeps up."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, model_validator

from distbench.meters.arrivals import poisson
from distbench.meters.goodput import SLO, window_readings
from distbench.meters.open_loop import Request, serve_at_once, serve_batches
from distbench.meters.repetition import Repetition
from distbench.meters.sweep import METHOD, sweep
from distbench.protocols import SEARCH, About, LoadFacts, Quantity, Reading, Readings, Shape, Usable, WorkAt, Workload

PerSecond = Annotated[float, Field(gt=0, le=1e6)]
Load = Annotated[float, Field(gt=0, le=100)]
LOADS = (0.5, 0.8, 1.2)  # well below, near and above what the model can do
HOW = (
    "open loop, Poisson arrivals, counted from the scheduled arrival, queueing included; in this process one worker "
    "takes up to max_batch waiting requests as a static batch, a served model gets each request as it arrives"
)
CAPACITY = Quantity("capacity_per_s", "requests/s", True, f"closed loop; {METHOD}")
QUANTITIES = [
    Quantity("ttft_ms", "ms", False, f"of each request; {HOW}"),
    Quantity("itl_ms", "ms", False, f"every gap between two tokens, or pieces of a server's text; {HOW}"),
    Quantity("tpot_ms", "ms", False, f"of each request, (e2e - ttft) / (tokens - 1); {HOW}"),
    Quantity("e2e_ms", "ms", False, f"of each request; {HOW}"),
    Quantity("queue_ms", "ms", False, f"of each request, until its batch began; {HOW}"),
    Quantity("send_lag_ms", "ms", False, "of each request to a server: how late we ourselves sent it"),
    Quantity("requests_per_s", "requests/s", True, f"answered; {HOW}"),
    Quantity("tokens_per_s", "tokens/s", True, f"generated; {HOW}"),
    Quantity("offered_per_s", "requests/s", True, "arrived: the rate of this draw"),
    Quantity("goodput_per_s", "requests/s", True, f"answered within the slo; {HOW}"),
    Quantity("slo_met_share", "share of requests", True, f"answered within the slo; {HOW}"),
    Quantity("refused_share", "share of requests", False, "refused by the server (429, 503); not repeated"),
]


class ServerOptions(Repetition):
    """Options of `measure: {server: …}`. Token counts apply to language models only."""

    prompt_tokens: int = Field(64, ge=1, le=1_048_576)
    output_tokens: int = Field(32, ge=1, le=1_048_576)
    rates: Annotated[list[PerSecond], Field(min_length=1, max_length=32)] | None = Field(
        None, description="requests per second, the same for every model"
    )
    loads: Annotated[list[Load], Field(min_length=1, max_length=32)] | None = Field(
        None,
        description=f"in place of rates: parts of each model's own capacity; {list(LOADS)} where both are left out",
    )
    requests: int = Field(50, ge=2, le=10_000, description="of one window; a round is one window at each rate")
    seed: int = Field(0, ge=0, description="of the arrivals")
    slo: SLO | None = Field(None, description="what a request must meet to count as goodput")
    max_batch: int = Field(8, ge=1, le=4096, description="in this process: how many waiting requests are one batch")
    max_concurrency: int = Field(64, ge=1, le=4096, description="of the search for a server's capacity")
    rounds: int = Field(2, ge=2, le=10_000, description="windows at each rate per process launch")
    launches: int = Field(3, ge=1, le=100, description="fresh processes per model, at least")

    @model_validator(mode="after")
    def _one_of_two(self) -> ServerOptions:
        if self.rates is not None and self.loads is not None:
            raise ValueError("has both rates and loads; leave one out")
        return self


class ServerMeter:
    """Latency, rates and goodput under load. Each repetition is one window of requests at one rate."""

    Options = ServerOptions
    repeats: ClassVar[bool] = True
    at_a_distance: ClassVar[bool] = True
    headline: ClassVar[str] = "e2e_ms"

    @classmethod
    def usable(cls) -> Usable:
        """A clock is everywhere."""
        return Usable(True, "perf_counter_ns; requests of a served model are threads of one process")

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self._capacity, self._launch = 0.0, 0

    def quantities(self) -> list[Quantity]:
        """Return what a window can tell, and the capacity that loads are parts of."""
        return [*QUANTITIES, CAPACITY]

    def begin(self, launch: int, found: Mapping[str, float]) -> None:
        """Take the capacity that an earlier launch found; other launches meet other arrivals."""
        self._launch, self._capacity = launch, found.get(CAPACITY.name, 0.0)

    def once(self, model: Any, work_at: WorkAt, load: LoadFacts) -> list[Reading]:
        """Search the capacity, where loads are parts of it."""
        o = self.options
        if o.rates is not None:
            return []
        limit = "max_concurrency" if "answer" in model.offers else "max_batch"
        swept = sweep(work_at, self._shape(1), getattr(o, limit), limit=limit)
        self._capacity = swept.best.samples_per_s
        facts: dict[str, float | str] = {"batch": float(swept.best.batch), "ended": swept.ended}
        return [Reading(CAPACITY, self._capacity, SEARCH, about=About(facts=facts))]

    def workloads(self, model: Any, work_at: WorkAt) -> Iterator[Workload]:
        """Yield one workload a rate."""
        serve, warm, how = self._served(model) if "answer" in model.offers else self._in_process(work_at)
        for name, rate in self._rates():
            facts: dict[str, float | str] = {"requests_per_s": rate, "served": how}
            run = self._window(name, rate, serve, "answer" in model.offers)
            yield Workload(name, run, warm, about=About(facts=facts))

    def _rates(self) -> list[tuple[str, float]]:
        o = self.options
        if o.rates is not None:
            return [(f"rate {rate:g}/s", rate) for rate in o.rates]
        return [(f"load {load:g}", load * self._capacity) for load in o.loads or LOADS]

    def _window(
        self, name: str, rate: float, serve: Callable[[tuple[int, ...]], list[Request]], sent: bool
    ) -> Callable[[], Readings]:
        """Return the call that serves one window; each has arrivals of its own, the same for every model."""
        numbers = itertools.count()

        def run() -> Readings:
            arrivals = poisson(self.options.requests, rate, f"{self.options.seed}:{self._launch}:{next(numbers)}")
            requests = serve(arrivals)
            late = [(request.begun - request.scheduled) * 1e-6 for request in requests]
            return window_readings(requests, self.options.slo) | {"send_lag_ms" if sent else "queue_ms": late}

        return run

    def _in_process(
        self, work_at: WorkAt
    ) -> tuple[Callable[[tuple[int, ...]], list[Request]], Callable[[], object], str]:
        """Return how a window is served here. Every batch size has run once before: any of them may occur."""
        most = self.options.max_batch
        works = {batch: work_at(self._shape(batch)) for batch in range(1, most + 1)}
        for work in works.values():
            work()
        return (
            lambda arrivals: serve_batches(arrivals, works.__getitem__, most),
            works[most],
            f"static batches of up to {most} in this process",
        )

    def _served(self, model: Any) -> tuple[Callable[[tuple[int, ...]], list[Request]], Callable[[], object], str]:
        """Return how a window is served by a server that takes any number of requests at a time."""
        o = self.options
        (prompt,) = model.prompts(1, o.prompt_tokens, 0)

        def serve(arrivals: tuple[int, ...]) -> list[Request]:
            return serve_at_once(arrivals, lambda _: model.answer(prompt, o.output_tokens), o.output_tokens)

        return serve, lambda: model.decode([prompt], o.output_tokens), "by the endpoint, each request as it arrives"

    def _shape(self, batch: int) -> Shape:
        return Shape(batch, self.options.prompt_tokens, self.options.output_tokens)
