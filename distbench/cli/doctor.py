"""`doctor`: what this machine can do, and what to do about what it cannot."""

from __future__ import annotations

import importlib.util
import os
import shutil
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from distbench.cli.output import out, print_json
from distbench.host import cache_dir, default_threads, host_facts, package_versions
from distbench.meters.nvml import visible_gpus
from distbench.meters.process_memory import CLEAR_REFS, status_bytes


@dataclass(frozen=True)
class Finding:
    """One line: a thing, whether it is usable, what was seen, and the remedy where it is not."""

    what: str
    usable: bool
    seen: str
    remedy: str = ""


def _python() -> list[Finding]:
    facts = host_facts()
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    busy = load is not None and load > facts.cores
    return [
        Finding("cpu", True, f"{facts.cores} cores, {facts.cpu}"),
        Finding("memory", True, f"{facts.memory_bytes / 2**30:.1f} GiB"),
        Finding("threads of a cell", True, str(default_threads())),
        Finding("frequency governor", True, facts.governor or "not exposed by this machine"),
        Finding("load average", not busy, "unknown" if load is None else f"{load:.1f}",
                "other programs disturb measurements; end them or expect wider intervals" if busy else ""),
    ]  # fmt: skip


def _devices() -> list[Finding]:
    gpus, seen = visible_gpus()
    if not gpus:
        return [Finding("CUDA GPUs", False, seen, "none needed for device: cpu; for CUDA install the NVIDIA driver")]
    try:
        build = metadata.version("torch")
    except metadata.PackageNotFoundError:
        build = "not installed"
    usable = not build.endswith("+cpu") and build != "not installed"
    remedy = "" if usable else "install a CUDA build of torch"
    return [
        Finding(f"cuda:{g.index}", usable, f"{g.name}, {g.memory_bytes / 2**30:.0f} GiB, torch {build}", remedy)
        for g in gpus
    ]


def _meters() -> list[Finding]:
    memory = status_bytes("VmHWM") is not None and os.access(CLEAR_REFS, os.W_OK)
    powercap = next(iter(sorted(Path("/sys/class/powercap").glob("intel-rapl:*/energy_uj"))), None)
    readable = powercap is not None and os.access(powercap, os.R_OK)
    energy = "RAPL counters readable" if readable else "RAPL counters not readable" if powercap else "no RAPL counters"
    remedy = "" if readable else f"sudo chmod a+r {powercap}" if powercap else "not offered by this machine"
    return [
        Finding("latency meter", True, "perf_counter_ns"),
        Finding("memory meter", memory, "VmHWM of /proc/self/status" if memory else "no /proc/self/clear_refs",
                "" if memory else "memory is measured on Linux only"),
        Finding("energy (CPU package)", readable, f"{energy}; no energy meter in this version", remedy),
    ]  # fmt: skip


def _extras() -> list[Finding]:
    wanted = {"gguf": "reads GGUF files: pip install 'distbench[gguf]'"}
    found = []
    for module, why in wanted.items():
        there = importlib.util.find_spec(module) is not None
        found.append(Finding(f"extra {module}", there, "installed" if there else "not installed", "" if there else why))
    return found


def _disk() -> list[Finding]:
    folder = cache_dir()
    existing = next(p for p in [folder, *folder.parents] if p.exists())
    free = shutil.disk_usage(existing).free
    writable = os.access(existing, os.W_OK)
    enough = free > 5 << 30 and writable
    return [Finding("cache", enough, f"{folder}, {free / 2**30:.1f} GiB free" + ("" if writable else ", not writable"),
                    "" if enough else "set DISTBENCH_CACHE to a folder with 5 GiB or more")]  # fmt: skip


def show_doctor(*, as_json: bool) -> None:
    """Print all findings; a machine without a GPU is a finding, not an error."""
    versions = [Finding(name, True, version) for name, version in package_versions().items()]
    findings = [*_python(), *_devices(), *_meters(), *_extras(), *_disk(), *versions]
    if as_json:
        print_json([asdict(finding) for finding in findings])
        return
    for f in findings:
        mark = "ok     " if f.usable else "missing"
        out().print(
            f"{mark}  {f.what:<22} {f.seen}" + (f"  →  {f.remedy}" if f.remedy else ""), markup=False, soft_wrap=True
        )
