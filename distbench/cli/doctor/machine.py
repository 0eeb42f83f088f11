"""Processor, memory, disk and versions: what decides how fast this machine is, and how steadily."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from distbench.cli.doctor.finding import Finding
from distbench.host import cache_dir, default_threads, host_facts, package_versions
from distbench.schema.record import HostFacts

GIB = 2**30
LEAST_FREE = 5 * GIB
CGROUP = Path("/sys/fs/cgroup")
STEADY = "performance"
BUSY = 0.5  # of a core: more is another program's work


def read_machine() -> list[Finding]:
    """Return what a measurement depends on besides the models."""
    facts = host_facts()
    return [
        Finding("machine", "processor", True, f"{facts.cpu}, {facts.cores} cores", facts={"cores": facts.cores}),
        _memory(facts),
        _threads(),
        _affinity(facts),
        _governor(facts),
        _turbo(facts),
        _load(facts),
    ]


def _memory(facts: HostFacts) -> Finding:
    limit = memory_limit()
    words = f"{facts.memory_bytes / GIB:.1f} GiB"
    if limit is not None and limit < facts.memory_bytes:
        words += f", of which this container may use {limit / GIB:.1f} GiB"
    return Finding("machine", "memory", True, words, facts={"bytes": facts.memory_bytes, "limit_bytes": limit})


def _threads() -> Finding:
    quota = cpu_quota()
    threads = default_threads()
    facts = {"threads": float(threads), "quota_cores": quota}
    if quota is not None and quota < threads:
        seen = f"{threads}, but this container may use {quota:g} cores: it is halted again and again"
        return Finding(
            "machine", "threads of a cell", True, seen, f"threads: {max(1, int(quota))} in the suite", {**facts}
        )
    return Finding("machine", "threads of a cell", True, str(threads), facts={**facts})


def _affinity(facts: HostFacts) -> Finding:
    allowed, there = facts.affinity, os.cpu_count() or 0
    if allowed is None:
        return Finding("machine", "affinity", True, "not exposed by this system")
    words = "all" if len(allowed) == there else f"{len(allowed)} (number {', '.join(map(str, allowed))})"
    return Finding("machine", "affinity", True, f"{words} of {there} CPUs", facts={"cpus": allowed})


def _governor(facts: HostFacts) -> Finding:
    name = facts.governor
    if name is None:
        return Finding("machine", "frequency governor", True, "not exposed by this machine", facts={"governor": None})
    remedy = "" if name == STEADY else f"for steadier times: sudo cpupower frequency-set -g {STEADY}"
    return Finding("machine", "frequency governor", True, name, remedy, {"governor": name})


def _turbo(facts: HostFacts) -> Finding:
    if facts.turbo is None:
        return Finding("machine", "turbo", True, "not exposed by this machine", facts={"turbo": None})
    words = "on: the frequency follows the temperature" if facts.turbo else "off"
    remedy = "switch it off for times that repeat; ratios are interleaved and stand it" if facts.turbo else ""
    return Finding("machine", "turbo", True, words, remedy, {"turbo": str(facts.turbo).lower()})


def _load(facts: HostFacts) -> Finding:
    if not hasattr(os, "getloadavg"):
        return Finding("machine", "load average", True, "not exposed by this system", facts={"one_minute": None})
    load = os.getloadavg()[0]
    busy = load > BUSY
    remedy = "other programs disturb measurements; end them or expect wider intervals" if busy else ""
    seen = f"{load:.1f} in the last minute"
    return Finding("machine", "load average", load <= facts.cores, seen, remedy, {"one_minute": load})


def cpu_quota(root: Path = CGROUP) -> float | None:
    """Return how many cores a container may use (cgroup v2, else v1); None: no limit, or no cgroups."""
    try:
        quota, period = (root / "cpu.max").read_text(encoding="ascii").split()
    except (OSError, ValueError):
        try:
            quota, period = ((root / "cpu" / f"cpu.cfs_{name}_us").read_text("ascii") for name in ("quota", "period"))
        except OSError:
            return None
    return None if quota == "max" or int(quota) < 0 else int(quota) / int(period)


def memory_limit(root: Path = CGROUP) -> int | None:
    """Return how many bytes a container may use (cgroup v2, else v1); None: no limit, or no cgroups."""
    for path in (root / "memory.max", root / "memory" / "memory.limit_in_bytes"):
        try:
            text = path.read_text(encoding="ascii").strip()
        except OSError:
            continue
        return None if text == "max" else int(text)
    return None


def disk() -> list[Finding]:
    """Return the free space of the cache and of the folder that runs are written to."""
    places = {"cache": (cache_dir(), "set DISTBENCH_CACHE to"), "working folder": (Path.cwd(), "choose with --out")}
    return [_space(what, folder, advice) for what, (folder, advice) in places.items()]


def _space(what: str, folder: Path, advice: str) -> Finding:
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(existing).free
    writable = os.access(existing, os.W_OK)
    remedy = "" if free > LEAST_FREE and writable else f"{advice} a folder with {LEAST_FREE // GIB} GiB or more"
    seen = f"{folder}, {free / GIB:.1f} GiB free" + ("" if writable else ", not writable")
    return Finding("disk", what, not remedy, seen, remedy, {"free_bytes": free})


def software() -> list[Finding]:
    """Return the versions that can change a score or a time."""
    python = Finding("versions", "python", True, host_facts().python)
    system = Finding("versions", "system", True, host_facts().os)
    return [system, python, *(Finding("versions", name, True, found) for name, found in package_versions().items())]
