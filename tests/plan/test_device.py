"""A named device is used or refused; auto says why it chose."""

from __future__ import annotations

import pytest

from distbench.errors import EnvironmentFault
from distbench.meters import nvml
from distbench.meters.nvml import GPU
from distbench.plan import device
from distbench.schema.suite import Suite

SUITE = Suite.model_validate(
    {
        "version": 1,
        "name": "s",
        "teachers": {"t": {"use": "hf-causal", "source": "x"}},
        "students": [{"name": "s", "of": "t", "source": "y"}],
    }
)
CARDS = [GPU(0, "H", "GPU-aa", 1 << 30), GPU(1, "H", "GPU-bb", 1 << 30)]


def machine(monkeypatch: pytest.MonkeyPatch, gpus: int, *, cuda_build: bool) -> None:
    monkeypatch.setattr(device, "visible_gpus", lambda: (CARDS[:gpus], f"{gpus} of {gpus} NVIDIA GPUs visible"))
    monkeypatch.setattr(device, "_torch_has_cuda", lambda: cuda_build)


def test_auto_without_a_gpu_is_the_cpu_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 0, cuda_build=True)
    chosen = device.choose(SUITE)
    assert (chosen.settings.device, chosen.settings.dtype) == ("cpu", "float32")
    assert "0 of 0" in chosen.reason


def test_auto_with_a_gpu_is_the_gpu_in_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 2, cuda_build=True)
    chosen = device.choose(SUITE)
    assert (chosen.settings.device, chosen.settings.dtype) == ("cuda:0", "bfloat16")


def test_auto_says_that_torch_cannot_use_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 1, cuda_build=False)
    chosen = device.choose(SUITE)
    assert chosen.settings.device == "cpu"
    assert "CPU-only build" in chosen.reason


@pytest.mark.parametrize(
    ("name", "gpus", "message"), [("cuda", 0, "devices seen: cpu"), ("cuda:7", 1, "devices seen: cpu, cuda:0")]
)
def test_a_named_device_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, gpus: int, message: str
) -> None:
    machine(monkeypatch, gpus, cuda_build=True)
    with pytest.raises(EnvironmentFault, match=message):
        device.choose(SUITE, name)


def test_a_named_gpu_without_a_cuda_build_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, 1, cuda_build=False)
    with pytest.raises(EnvironmentFault, match="CPU-only build"):
        device.choose(SUITE, "cuda:0")


@pytest.mark.parametrize(
    ("mask", "uuids"),
    [
        (None, ["GPU-aa", "GPU-bb"]),
        ("", []),
        ("1", ["GPU-bb"]),
        ("1,0", ["GPU-bb", "GPU-aa"]),
        ("GPU-b", ["GPU-bb"]),
        ("0,9,1", ["GPU-aa"]),
    ],
)
def test_cuda_visible_devices_is_read_as_cuda_reads_it(
    monkeypatch: pytest.MonkeyPatch, mask: str | None, uuids: list[str]
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if mask is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", mask)
    assert [gpu.uuid for gpu in nvml._masked(CARDS)] == uuids
