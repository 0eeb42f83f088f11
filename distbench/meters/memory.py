"""Memory of a model at work in a process of its own: high-water marks, what stays, and the accelerator's allocator."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import Field

from distbench.meters import process_memory as host
from distbench.meters.device_memory import Allocator, allocator_of, process_bytes
from distbench.protocols import LoadFacts, Quantity, Reading, Shape, Usable, WorkAt, Workload
from distbench.schema.strict import Strict


def _bytes(name: str, method: str, unit: str = "bytes") -> Quantity:
    return Quantity(name, unit, False, method)


_PEAK = host.peak_method()
STATUS = "/proc/self/status after full passes"
ALLOCATOR = "torch.cuda.max_memory"
DEVICE = _bytes("device_peak_bytes", f"{ALLOCATOR}_allocated while it works")
PEAK = _bytes("peak_bytes", f"{_PEAK}; a fresh process while it works, counted anew after loading")
MODEL = _bytes("model_bytes", "the same peak minus the process's size before the model was loaded")
WEIGHTS = _bytes("weight_bytes", "parameters and buffers in the dtype they have in memory, tied ones once")
PREFILL = _bytes("prefill_peak_bytes", f"{_PEAK}; up to the first output token")
CACHE = _bytes("kv_bytes_per_token", "tensors of the key-value cache at two prompt lengths, per token", "bytes/token")
UNIQUE = _bytes("uss_bytes", "unique set size after full passes (psutil); a mapped file counts if nobody else maps it")
ANONYMOUS = _bytes("rss_anon_bytes", f"RssAnon of {STATUS}: what the process itself wrote")
MAPPED = _bytes("rss_file_bytes", f"RssFile of {STATUS}: mapped files, such as weights and libraries")
LOADING = _bytes("load_peak_bytes", f"{_PEAK}; from just before loading to its end")
DEVICE_PREFILL = _bytes("device_prefill_peak_bytes", f"{ALLOCATOR}_allocated up to the first output token")
RESERVED = _bytes("device_reserved_bytes", f"{ALLOCATOR}_reserved while it works")
DEVICE_PROCESS = _bytes("device_process_bytes", "NVML, after full passes: all that the driver counts for the process")
DEVICE_LOADING = _bytes("device_load_peak_bytes", f"{ALLOCATOR}_allocated up to the end of loading")
_LINUX_ONLY = "this system has no /proc/self/status"


class MemoryOptions(Strict):
    """Options of `measure: {memory: …}`: the work during which the peak is read."""

    prompt_tokens: int = Field(64, ge=1, le=1_048_576)
    output_tokens: int = Field(8, ge=1, le=1_048_576)
    batch_size: int = Field(1, ge=1, le=65_536)


@dataclass(frozen=True)
class _Peaks:
    """The largest sizes at a moment. Bytes."""

    host: float
    device: float | None


class MemoryMeter:
    """What the process needs at its peak and later, the model's part in it, and the price of a token of context."""

    Options = MemoryOptions
    repeats: ClassVar[bool] = False

    @classmethod
    def usable(cls) -> Usable:
        """Say whether peaks are exact here or polled."""
        if host.has_high_water():
            return Usable(True, host.EXACT)
        remedy = "measure on Linux with /proc/self/clear_refs for exact peaks"
        return Usable(True, host.POLLED, remedy)

    def __init__(self, options: MemoryOptions) -> None:
        self.options = options

    def quantities(self) -> list[Quantity]:
        """Return everything `once` may read."""
        on_host = [PEAK, MODEL, WEIGHTS, PREFILL, CACHE, UNIQUE, ANONYMOUS, MAPPED, LOADING]
        return [*on_host, DEVICE, DEVICE_PREFILL, RESERVED, DEVICE_PROCESS, DEVICE_LOADING]

    def workloads(self, model: Any, work_at: WorkAt) -> Iterator[Workload]:
        """Nothing is repeated."""
        yield from ()

    def once(self, model: Any, work_at: WorkAt, load: LoadFacts) -> list[Reading]:
        """Do the work three times and read the sizes. Weights load lazily: only a full pass touches all of them.

        What matters most comes first: the accelerator's peak where there is one, else the process's.
        """
        allocator = allocator_of(model)
        loading = _loading(load, allocator)
        first, peaks = self._work(work_at, allocator)
        name = f"batch {self.options.batch_size}"
        found = [*_allocated(DEVICE, peaks.device, name), Reading(PEAK, peaks.host, name)]
        if load.rss_before is not None:
            found.append(Reading(MODEL, peaks.host - load.rss_before, name))
        found.append(_weights(model, name))
        if first is not None:
            found.append(Reading(PREFILL, first.host, name))
            found += [*_allocated(DEVICE_PREFILL, first.device, name), self._cache(model, name)]
        return [*found, *_staying(name), *_device(allocator, name), *loading]

    def _work(self, work_at: WorkAt, allocator: Allocator | None) -> tuple[_Peaks | None, _Peaks]:
        """Return the peaks up to the first output token, for a model that has tokens, and the peaks of it all."""
        o = self.options
        prefill = work_at(Shape(o.batch_size, o.prompt_tokens, 1))
        work = work_at(Shape(o.batch_size, o.prompt_tokens, o.output_tokens))
        with host.watching() as watch:
            if allocator is not None:
                allocator.restart()

            def peaks() -> _Peaks:
                return _Peaks(float(watch.peak()), None if allocator is None else allocator.allocated())

            has_tokens = prefill().output_tokens is not None
            first = peaks() if has_tokens else None
            work()
            work()
            return first, peaks()

    def _cache(self, model: Any, name: str) -> Reading:
        """Return bytes a token and sequence; two lengths, so that a part that does not grow cancels."""
        if "cache" not in model.offers:
            return Reading(CACHE, None, name, "this kind of model does not show its key-value cache")
        long = max(2, self.options.prompt_tokens)
        short = long // 2
        small, large = (model.cache_bytes(model.prompts(1, length, 0)) for length in (short, long))
        return Reading(CACHE, float((large - small) / (long - short)), name)


def _weights(model: Any, name: str) -> Reading:
    if "weights" not in model.offers:
        return Reading(WEIGHTS, None, name, "this kind of model does not tell how large its weights are in memory")
    return Reading(WEIGHTS, float(model.weight_bytes()), name)


def _staying(name: str) -> list[Reading]:
    """Return what the process holds once it is warm: alone, written by itself, and mapped from files."""
    found = [_known(UNIQUE, host.unique_bytes(), name, "the system does not tell which pages are shared")]
    for quantity, field in ((ANONYMOUS, "RssAnon"), (MAPPED, "RssFile")):
        size = host.status_bytes(field)
        found.append(_known(quantity, size, name, _LINUX_ONLY))
    return found


def _known(quantity: Quantity, size: int | None, name: str, why: str) -> Reading:
    return Reading(quantity, None, name, why) if size is None else Reading(quantity, float(size), name)


def _device(allocator: Allocator | None, name: str) -> list[Reading]:
    if allocator is None:
        return []
    used, why = process_bytes(allocator.uuid())
    return [*_allocated(RESERVED, allocator.reserved(), name), _known(DEVICE_PROCESS, used, name, why)]


def _allocated(quantity: Quantity, size: float | None, name: str) -> list[Reading]:
    """Return what torch's allocator held; nothing at all means that the model computes through something else."""
    if size is None:
        return []
    why = None if size else "torch's allocator held nothing: the model computes through another library"
    return [Reading(quantity, size or None, name, why)]


def _loading(load: LoadFacts, allocator: Allocator | None) -> list[Reading]:
    """Return the peaks of loading; the allocator's is read before it is told to forget it."""
    found = [] if load.peak is None else [Reading(LOADING, float(load.peak), "loading")]
    return found if allocator is None else [*found, *_allocated(DEVICE_LOADING, allocator.allocated(), "loading")]
