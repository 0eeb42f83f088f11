"""NVIDIA GPUs as the driver sees them, without torch: for device selection and `doctor`."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass


@dataclass(frozen=True)
class GPU:
    """One visible GPU, in CUDA's order for this process. Memory in bytes."""

    index: int
    name: str
    uuid: str
    memory_bytes: int


def visible_gpus() -> tuple[list[GPU], str]:
    """Return (GPUs that CUDA_VISIBLE_DEVICES leaves visible, a sentence that says what was found or why none)."""
    try:
        import pynvml
    except ImportError:
        return [], "nvidia-ml-py is not installed"
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return [], f"no NVIDIA driver ({error})"
    try:
        everything = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            memory = 0
            with contextlib.suppress(pynvml.NVMLError):  # some devices share the host's memory and report none
                memory = int(pynvml.nvmlDeviceGetMemoryInfo(handle).total)
            everything.append(
                GPU(index, _text(pynvml.nvmlDeviceGetName(handle)), _text(pynvml.nvmlDeviceGetUUID(handle)), memory)
            )
    except pynvml.NVMLError as error:
        return [], f"the NVIDIA driver does not answer ({error})"
    finally:
        pynvml.nvmlShutdown()
    gpus = _masked(everything)
    mask = os.environ.get("CUDA_VISIBLE_DEVICES")
    because = f" (CUDA_VISIBLE_DEVICES={mask[:80]})" if mask is not None else ""
    return gpus, f"{len(gpus)} of {len(everything)} NVIDIA GPUs visible{because}"


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _masked(everything: list[GPU]) -> list[GPU]:
    """Apply CUDA_VISIBLE_DEVICES: indices or UUID prefixes, in order, ending at the first unknown one as CUDA does."""
    mask = os.environ.get("CUDA_VISIBLE_DEVICES")
    if mask is None:
        return everything
    chosen: list[GPU] = []
    for word in (part.strip() for part in mask.split(",")):
        found = [
            gpu
            for gpu in everything
            if word == str(gpu.index) or (word.startswith("GPU-") and gpu.uuid.startswith(word))
        ]
        if not found:
            break
        chosen.append(GPU(len(chosen), found[0].name, found[0].uuid, found[0].memory_bytes))
    return chosen
