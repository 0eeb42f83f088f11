"""Memory of a model at work in a process of its own: exact high-water marks, and the accelerator's allocator."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from pydantic import Field

from distbench.meters.process_memory import reset_high_water, status_bytes
from distbench.meters.steps import step_of
from distbench.protocols import LoadFacts, Quantity, Reading, Workload
from distbench.schema.strict import Strict

PEAK = Quantity("peak_bytes", "bytes", False, "VmHWM of a fresh process while it works, reset after loading")
MODEL = Quantity("model_bytes", "bytes", False, "the same peak minus the process's size before the model was loaded")
LOADING = Quantity("load_peak_bytes", "bytes", False, "VmHWM of a fresh process up to the end of loading")
DEVICE = Quantity("device_peak_bytes", "bytes", False, "torch.cuda.max_memory_allocated while it works")


class MemoryOptions(Strict):
    """Options of `measure: {memory: …}`: the work during which the peak is read."""

    prompt_tokens: int = Field(64, ge=1, le=1_048_576)
    output_tokens: int = Field(8, ge=1, le=1_048_576)
    batch_size: int = Field(1, ge=1, le=65_536)


class MemoryMeter:
    """Peak memory of the whole process and of the model's share in it."""

    Options = MemoryOptions
    needs: ClassVar[frozenset[str]] = frozenset({"causal-lm", "classify"})
    repeats: ClassVar[bool] = False

    def __init__(self, options: MemoryOptions) -> None:
        self.options = options
        self.step: Callable[[], dict[str, float]] | None = None

    def quantities(self) -> list[Quantity]:
        """Return everything `once` may read."""
        return [PEAK, MODEL, LOADING, DEVICE]

    def workloads(self, model: Any, items: Callable[[int], Any], seed: int) -> Iterator[Workload]:
        """Nothing is repeated; the work of `once` is prepared here."""
        o = self.options
        self.step = step_of(model, o.batch_size, (o.prompt_tokens, o.output_tokens), items)
        yield from ()

    def once(self, model: Any, load: LoadFacts) -> list[Reading]:
        """Do the work twice and read the peaks. Weights load lazily: only a full pass touches all of them."""
        assert self.step is not None, "workloads() prepares the step"
        name = f"batch {self.options.batch_size}"
        loading = status_bytes("VmHWM")
        if loading is None or not reset_high_water():
            why = "the kernel offers no /proc/self/status or clear_refs; memory is measured on Linux only"
            return [Reading(quantity, None, name, why) for quantity in (PEAK, MODEL, LOADING)]
        device = self._device_reset(model)
        self.step()
        self.step()
        peak = float(status_bytes("VmHWM") or 0)
        readings = [Reading(PEAK, peak, name)]
        if load.rss_before is not None:
            readings.append(Reading(MODEL, peak - load.rss_before, name))
        if device is not None:
            readings.append(Reading(DEVICE, float(device()), name))
        readings.append(Reading(LOADING, float(loading), "loading"))
        return readings

    @staticmethod
    def _device_reset(model: Any) -> Callable[[], int] | None:
        settings = getattr(model, "settings", None)
        if settings is None or not str(settings.device).startswith("cuda"):
            return None
        import torch

        torch.cuda.reset_peak_memory_stats(settings.device)
        return lambda: int(torch.cuda.max_memory_allocated(settings.device))
