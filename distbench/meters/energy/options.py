"""Options of `measure: {energy: …}`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from distbench.meters.energy.rapl import POWERCAP
from distbench.meters.repetition import Repetition
from distbench.schema.strict import Strict

FEWEST_WINDOWS = 5  # a model
Batch = Annotated[int, Field(ge=1, le=65_536)]
Watts = Annotated[float, Field(gt=0, le=1e6)]
SourceName = Literal["auto", "nvml-counter", "nvml-power", "rapl", "external"]


class External(Strict):
    """An instrument outside the machine: a file that it appends to, or a page or file in Prometheus' text format."""

    path: str | None = Field(None, min_length=1, description="CSV or JSON lines of time and watts or joules")
    url: str | None = Field(
        None, pattern=r"^https?://[^/@]+(/.*)?$", description="Prometheus text format; needs metric; no password in it"
    )
    metric: str | None = Field(
        None, min_length=1, description="series of the Prometheus text, labels included; then path may name such a file"
    )
    unit: Literal["watts", "joules"] = Field("watts", description="of the metric; joules: a counter that only rises")
    scope: str = Field("wall", min_length=1, max_length=64, description="what the instrument covers")

    @model_validator(mode="after")
    def _one(self) -> External:
        if (self.path is None) == (self.url is None):
            raise ValueError("give either path or url")
        if self.url is not None and self.metric is None:
            raise ValueError("a url needs metric: the name of the series, such as 'node_hwmon_power_watt{chip=\"a\"}'")
        return self


class Assumed(Strict):
    """Power that is assumed, not read: (least, most) watts while the model works."""

    watts: tuple[Watts, Watts]

    @model_validator(mode="after")
    def _ordered(self) -> Assumed:
        if self.watts[0] >= self.watts[1]:
            raise ValueError("watts must be a range: [least, most]")
        return self


class EnergyOptions(Repetition):
    """Options of `measure: {energy: …}`. A round is one window; token counts apply to language models only."""

    rounds: int = Field(2, ge=1, le=10_000, description="windows per process launch and workload")
    launches: int = Field(5, ge=1, le=100, description="fresh processes per model, at least")
    max_seconds: float = Field(3600.0, gt=0, le=864_000, description="no new window starts after this")
    source: SourceName = Field("auto", description="auto: the GPU's counter for a GPU, RAPL for a CPU")
    batch_sizes: Annotated[list[Batch], Field(min_length=1, max_length=32)] = Field(default_factory=lambda: [1, 8])
    prompt_tokens: int = Field(64, ge=1, le=1_048_576)
    output_tokens: int = Field(32, ge=1, le=1_048_576)
    prefill: bool = Field(True, description="also measure prompts alone, with one token each; language models only")
    window_seconds: float | None = Field(
        None, gt=0, le=86_400, description="longer windows than the instrument needs; never shorter ones"
    )
    powercap: str = Field(str(POWERCAP), min_length=1, description="where Linux shows the RAPL counters")
    external: External | None = Field(None, description="the instrument of source: external")
    estimate: Assumed | None = Field(
        None, description="where nothing can be read: assumed watts × time, a range; never satisfies a gate"
    )
    control: bool = Field(False, description="measure the teacher a second time beside itself")

    @model_validator(mode="after")
    def _enough(self) -> EnergyOptions:
        if self.rounds * self.launches < FEWEST_WINDOWS:
            raise ValueError(
                f"{self.rounds} rounds × {self.launches} launches are fewer than the {FEWEST_WINDOWS} windows that an "
                "interval needs"
            )
        if (self.source == "external") != (self.external is not None):
            raise ValueError("source: external and external: {path: … | url: …} belong together")
        return self
