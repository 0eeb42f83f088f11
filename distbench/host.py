"""The machine: facts that can change a number, and where the cache lies. No third-party accelerator library here."""

from __future__ import annotations

import functools
import importlib.util
import os
import platform
import re
import sys
from importlib import metadata
from pathlib import Path

import platformdirs
import psutil

from distbench.hashing import short_digest
from distbench.schema.record import HostFacts

PACKAGES = ("distbench", "torch", "transformers", "tokenizers", "lm-eval", "datasets", "numpy", "scipy", "scikit-learn")
PARENT = "DISTBENCH_PARENT"  # environment variable of a worker: the process with which it ends

TURBO = {  # where the CPU's driver says whether it may go faster than its base frequency, and its word for yes
    Path("/sys/devices/system/cpu/intel_pstate/no_turbo"): "0",
    Path("/sys/devices/system/cpu/cpufreq/boost"): "1",
}


def cache_dir() -> Path:
    """Return the folder of everything distbench caches: $DISTBENCH_CACHE, else the platform's cache folder.

    Where $DISTBENCH_CACHE is the URL of a cache that machines share, this machine's copy of it lies in
    $DISTBENCH_LOCAL_CACHE, else in the platform's cache folder.
    """
    override = os.environ.get("DISTBENCH_LOCAL_CACHE" if cache_url() else "DISTBENCH_CACHE", "")
    override = re.sub(r"^(file|local)://", "", override)
    root = Path(override).expanduser() if override else Path(platformdirs.user_cache_dir("distbench"))
    return root.absolute() / "v1"


def cache_url() -> str | None:
    """Return the URL of the cache that machines share; None: it is a folder."""
    place = os.environ.get("DISTBENCH_CACHE", "")
    return place if "://" in place and not place.startswith(("file://", "local://")) else None


def default_threads() -> int:
    """Return how many CPU threads a cell uses: the physical cores this process may run on."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(psutil.cpu_count(logical=False) or allowed, allowed))


def package_versions() -> dict[str, str]:
    """Return the versions of the installed packages that can change a score or a time."""
    return dict(_versions())


@functools.cache  # a plan asks once for each of thousands of cells
def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def _governor() -> str | None:
    try:
        return Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor").read_text(encoding="ascii").strip()
    except OSError:
        return None


def turbo() -> bool | None:
    """Say whether the CPU may raise its frequency while it is cool; None: this machine does not tell."""
    for path, on in TURBO.items():
        try:
            return path.read_text(encoding="ascii").strip() == on
        except OSError:
            continue
    return None


def affinity() -> list[int] | None:
    """Return the CPUs that this process may run on; None: the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None


def torch_cuda() -> str | None:
    """Return the CUDA version that the installed torch was built for; None: a CPU-only build, or no torch.

    It is read from torch's files: importing torch takes a second.
    """
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    try:
        text = Path(spec.origin).with_name("version.py").read_text(encoding="utf-8")
    except OSError:
        return None
    found = re.search(r"^cuda\b[^=]*=\s*['\"]([^'\"]+)", text, re.MULTILINE)
    return found[1] if found else None


@functools.cache
def host_facts(accelerators: tuple[str, ...] = ()) -> HostFacts:
    """Describe this machine and the accelerators that were used.

    Its host name is not recorded: a fingerprint is enough to tell machines, and accelerators, apart.
    """
    cpu, cores, memory = _cpu_name(), default_threads(), psutil.virtual_memory().total
    system = f"{platform.system()} {platform.release()}"
    return HostFacts(
        fingerprint=short_digest([cpu, cores, memory, platform.node(), list(accelerators)]),
        cpu=cpu,
        cores=cores,
        memory_bytes=memory,
        os=system,
        python=".".join(map(str, sys.version_info[:3])),
        accelerators=list(accelerators),
        governor=_governor(),
        turbo=turbo(),
        affinity=affinity(),
    )


BFLOAT16_FLAGS = frozenset({"amx_bf16", "avx512_bf16"})  # without them bfloat16 takes three times as long as float32


@functools.cache
def cpu_has_bfloat16() -> bool:
    """Return whether this CPU multiplies bfloat16 in hardware; False where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    flags = next((line.partition(":")[2].split() for line in lines if line.startswith("flags")), [])
    return not BFLOAT16_FLAGS.isdisjoint(flags)
