"""A named device is used or refused; auto says why it chose."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from distbench import host
from distbench.errors import EnvironmentFault, UsageError
from distbench.executors.environment import child_environment
from distbench.meters import accelerators, nvml
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


@pytest.mark.parametrize(("name", "index"), [("cuda:GPU-bb", 1), ("cuda:GPU-B", 1), ("cuda:GPU-a", 0), ("cuda:1", 1)])
def test_a_gpu_is_found_by_the_beginning_of_its_uuid(monkeypatch: pytest.MonkeyPatch, name: str, index: int) -> None:
    machine(monkeypatch, 2, cuda_build=True)
    chosen = device.choose(SUITE, name)
    assert chosen.settings.device == f"cuda:{index}"
    assert chosen.reason == f"device {name} was asked for: cuda:{index} (H, {CARDS[index].uuid})"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cuda:GPU-aa", "means 2 GPUs; give more of the UUID"),
        ("cuda:GPU-cc", r"does not exist here.*cuda:1 \(H, GPU-bb\)"),
    ],
)
def test_a_uuid_that_fits_none_or_several_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, message: str) -> None:
    alike = [CARDS[0], GPU(1, "H", "GPU-bb", 1 << 30), GPU(2, "H", "GPU-aa2", 1 << 30)]
    machine(monkeypatch, 2, cuda_build=True)
    monkeypatch.setattr(device, "visible_gpus", lambda: (alike, "3 of 3"))
    with pytest.raises(EnvironmentFault, match=message):
        device.choose(SUITE, name)


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:x", "mps", "cuda:1:2", "cuda:-1"])
def test_a_name_that_is_none_is_never_taken_for_the_first_gpu(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    machine(monkeypatch, 2, cuda_build=True)
    with pytest.raises(UsageError, match="cuda:N"):
        device.choose(SUITE, name)


@pytest.mark.parametrize(
    ("line", "built"),
    [
        ("cuda: Optional[str] = None", None),
        ("cuda: Optional[str] = '13.0'", "13.0"),
        ('cuda = "12.8"', "12.8"),
        ("hip: Optional[str] = '6.4'", None),
    ],
)
def test_the_cuda_version_of_torch_is_read_from_its_files(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, line: str, built: str | None
) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text("raise ImportError('nobody may import it')", encoding="utf-8")
    (tmp_path / "torch" / "version.py").write_text(f"debug = False\n{line}\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert host.torch_cuda() == built


def test_the_record_names_the_gpu_that_was_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerators, "visible_gpus", lambda: (CARDS, "2 of 2"))
    assert accelerators.accelerators_of("cuda:1") == ("H (GPU-bb)",)
    assert accelerators.accelerators_of("cpu") == ()
    monkeypatch.setattr(accelerators, "visible_gpus", lambda: ([], "no driver"))
    assert accelerators.accelerators_of("cuda:1") == ("cuda:1, which the driver does not describe: no driver",)


def test_two_gpus_are_two_fingerprints() -> None:
    first, second, none = (host.host_facts(boards) for boards in (("H (GPU-aa)",), ("H (GPU-bb)",), ()))
    assert len({facts.fingerprint for facts in (first, second, none)}) == 3
    assert first.accelerators == ["H (GPU-aa)"]


def test_cells_count_gpus_as_the_driver_does() -> None:
    made = child_environment(1, {"CUDA_DEVICE_ORDER": "FASTEST_FIRST", "CUDA_VISIBLE_DEVICES": "1"})
    assert (made["CUDA_DEVICE_ORDER"], made["CUDA_VISIBLE_DEVICES"]) == ("PCI_BUS_ID", "1")


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
