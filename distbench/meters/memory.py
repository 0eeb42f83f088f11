"""Memory of a model at work in a process of its own: exact high-water marks, and the accelerator's allocator."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import Field

from distbench.meters.process_memory import reset_high_water, status_bytes
from distbench.protocols import LoadFacts, Quantity, Reading, Shape, WorkAt, Workload
from distbench.schema.strict import Strict

PEAK = Quantity("peak_bytes", "bytes", False, "VmHWM of a fresh process while it works, reset after loading")
PREFILL = Quantity("prefill_peak_bytes", "bytes", False, "the same up to the first output token")
MODEL = Quantity("model_bytes", "bytes", False, "the same peak minus the process's size before the model was loaded")
LOADING = Quantity("load_peak_bytes", "bytes", False, "VmHWM of a fresh process up to the end of loading")
CACHE = Quantity(
    "kv_bytes_per_token",
    "bytes/token",
    False,
    "bytes of the key-value cache's tensors at two prompt lengths, per token",
)
DEVICE = Quantity("device_peak_bytes", "bytes", False, "torch.cuda.max_memory_allocated while it works")
RESERVED = Quantity("device_reserved_bytes", "bytes", False, "torch.cuda.max_memory_reserved while it works")
HOST = (PREFILL, PEAK, MODEL, LOADING)


class MemoryOptions(Strict):
    """Options of `measure: {memory: …}`: the work during which the peak is read."""

    prompt_tokens: int = Field(64, ge=1, le=1_048_576)
    output_tokens: int = Field(8, ge=1, le=1_048_576)
    batch_size: int = Field(1, ge=1, le=65_536)


class MemoryMeter:
    """Peak memory of the whole process and of the model's share in it, and what a token of context costs."""

    Options = MemoryOptions
    repeats: ClassVar[bool] = False

    def __init__(self, options: MemoryOptions) -> None:
        self.options = options

    def quantities(self) -> list[Quantity]:
        """Return everything `once` may read."""
        return [*HOST, CACHE, DEVICE, RESERVED]

    def workloads(self, model: Any, work_at: WorkAt) -> Iterator[Workload]:
        """Nothing is repeated."""
        yield from ()

    def once(self, model: Any, work_at: WorkAt, load: LoadFacts) -> list[Reading]:
        """Do the work twice and read the peaks. Weights load lazily: only a full pass touches all of them."""
        o = self.options
        name = f"batch {o.batch_size}"
        work = work_at(Shape(o.batch_size, o.prompt_tokens, o.output_tokens))
        loading = status_bytes("VmHWM")
        if loading is None or not reset_high_water():
            why = "the kernel offers no /proc/self/status or clear_refs; memory is measured on Linux only"
            return [Reading(quantity, None, name, why) for quantity in HOST]
        allocator = _allocator(model)
        readings = []
        if work_at(Shape(o.batch_size, o.prompt_tokens, 1))().output_tokens is not None:
            readings.append(Reading(PREFILL, float(status_bytes("VmHWM") or 0), name))
        work()
        work()
        peak = float(status_bytes("VmHWM") or 0)
        readings.append(Reading(PEAK, peak, name))
        if load.rss_before is not None:
            readings.append(Reading(MODEL, peak - load.rss_before, name))
        if allocator is not None:
            readings += [
                Reading(DEVICE, float(allocator.max_memory_allocated()), name),
                Reading(RESERVED, float(allocator.max_memory_reserved()), name),
            ]
        readings.append(Reading(LOADING, float(loading), "loading"))
        if "cache" in model.offers:
            readings.append(Reading(CACHE, self._cache(model), name))
        return readings

    def _cache(self, model: Any) -> float:
        """Return bytes a token and sequence; two lengths, so that a part that does not grow cancels."""
        o = self.options
        short, long = o.prompt_tokens, o.prompt_tokens + 32
        small, large = (model.cache_bytes(model.prompts(1, length, 0)) for length in (short, long))
        return float((large - small) / (long - short))


def _allocator(model: Any) -> Any:
    """Return torch.cuda with its peaks reset, for a model that computes there."""
    settings = getattr(model, "settings", None)
    if settings is None or not str(settings.device).startswith("cuda"):
        return None
    import torch

    torch.cuda.set_device(settings.device)
    torch.cuda.reset_peak_memory_stats()
    return torch.cuda
