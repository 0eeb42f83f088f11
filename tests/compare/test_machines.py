"""A run that went on elsewhere says so."""

from __future__ import annotations

from distbench.compare.warnings import _machines
from distbench.schema.record import HostFacts


def host(fingerprint: str, *boards: str, cores: int = 1) -> HostFacts:
    return HostFacts(
        fingerprint=fingerprint, cpu="c", cores=cores, memory_bytes=1, os="o", python="3", accelerators=list(boards)
    )


def test_one_machine_is_no_warning() -> None:
    assert _machines([]) == []
    assert _machines([host("a", "H (GPU-1)"), host("a", "H (GPU-1)")]) == []


def test_two_machines_and_two_gpus_are_named() -> None:
    (text,) = _machines([host("a"), host("b"), host("a")])
    assert text.startswith("The cells ran on 2 different machines;")
    (text,) = _machines([host("a"), host("b", cores=2)])
    assert "2 different machines or parts of one (1 and 2 cores)" in text
    (text,) = _machines([host("a", "H (GPU-1)"), host("b", "H (GPU-2)")])
    assert "2 different machines or accelerators (H (GPU-1), H (GPU-2))" in text
