"""Freed memory is kept while a training lasts, and given back afterwards."""

from __future__ import annotations

import platform
import resource
import subprocess
import sys

import pytest

from distbench.training import memory

FAULTS = """
import resource, torch
from distbench.training.memory import kept

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(8):
        torch.empty(12 * 2**20).fill_(1.0)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

outside = faults()
with kept():
    faults()
    inside = faults()
print(outside, inside)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_large_blocks_are_faulted_in_once() -> None:
    # A process of its own: what other tests allocated before decides where a block comes from.
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, timeout=300, check=True)
    outside, inside = map(int, done.stdout.split())
    pages = 8 * 48 * 2**20 // resource.getpagesize()
    assert inside < 0.3 * outside or outside < 0.1 * pages  # huge pages: there was nothing to save


def test_the_usual_thresholds_are_set_again_after_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[object, ...]] = []
    fake = type("Libc", (), {"mallopt": lambda *given: calls.append(given[1:]), "malloc_trim": lambda *_: None})()
    monkeypatch.setattr(memory, "_glibc", lambda: fake)
    with pytest.raises(ValueError, match="x"), memory.kept():
        raise ValueError("x")
    assert calls[:2] == [(memory.MMAP_THRESHOLD, memory.ABOVE_ANY_TENSOR), (memory.TRIM_THRESHOLD, memory.LARGEST)]
    assert calls[2:] == [(memory.MMAP_THRESHOLD, memory.USUAL), (memory.TRIM_THRESHOLD, 2 * memory.USUAL)]


def test_without_glibc_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "libc_ver", lambda: ("", ""))
    with memory.kept():
        pass
