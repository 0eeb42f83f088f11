"""Devices at the driver's real ABI: chosen by UUID, recorded, described by doctor, and their memory per process."""

from __future__ import annotations

import pytest

from tests.meters.energy.conftest import GPUS, StubDriver

CHOOSE = """
from distbench.plan import device
from distbench.plan.device import _resolved
from distbench.errors import EnvironmentFault
device._torch_has_cuda = lambda: True
try:
    found = _resolved({wanted!r})
except EnvironmentFault as fault:
    found = str(fault)
"""


@pytest.mark.parametrize(
    ("wanted", "mask", "name", "uuid"),
    [
        ("cuda:GPU-1111", None, "cuda:1", GPUS[1]),
        ("cuda:GPU-1111", "1", "cuda:0", GPUS[1]),
        ("cuda:1", "1,0", "cuda:1", GPUS[0]),
        ("cuda", GPUS[1], "cuda:0", GPUS[1]),
        ("auto", None, "cuda:0", GPUS[0]),
    ],
)
def test_a_gpu_is_the_same_one_under_every_name(
    driver: StubDriver, wanted: str, mask: str | None, name: str, uuid: str
) -> None:
    environment = {} if mask is None else {"CUDA_VISIBLE_DEVICES": mask}
    device, reason = driver.run(CHOOSE.format(wanted=wanted), **environment)
    assert device == name
    assert uuid in reason


def test_a_hidden_gpu_does_not_exist_and_the_visible_ones_are_named(driver: StubDriver) -> None:
    message = driver.run(CHOOSE.format(wanted="cuda:GPU-1111"), CUDA_VISIBLE_DEVICES="0")
    assert "does not exist here: 1 of 2 NVIDIA GPUs visible (CUDA_VISIBLE_DEVICES=0)" in message
    assert f"devices seen: cpu, cuda:0 (Stub 0, {GPUS[0]})" in message


def test_the_record_and_doctor_name_it(driver: StubDriver) -> None:
    driver.set(mig=1)
    code = (
        "from distbench.meters.accelerators import accelerators_of\n"
        "from distbench.cli.doctor.devices import read_devices\n"
        "found = [accelerators_of('cuda:1'), [[f.what, f.seen, f.facts] for f in read_devices()]]"
    )
    boards, (_, first, second) = driver.run(code)
    assert boards == [f"Stub 1 ({GPUS[1]})"]
    assert [first[0], second[0]] == ["cuda:0", "cuda:1"]
    assert second[2] == {"name": "Stub 1", "uuid": GPUS[1], "bytes": 8 << 30, "driver": "999.01", "mig": "true"}
    assert "split into MIG instances" in second[1]


def test_a_driver_that_answers_half_leaves_the_rest_unknown(driver: StubDriver) -> None:
    driver.set(("nvmlSystemGetDriverVersion", 999), ("nvmlDeviceGetMigMode", 3))
    code = f"from distbench.meters.accelerators import driver_facts\nfound = driver_facts({GPUS[0]!r})"
    assert driver.run(code) == [None, None]
    driver.set(("nvmlDeviceGetMigMode", 0))
    assert driver.run(code) == [None, False]


MEMORY = "from distbench.meters.device_memory import process_bytes\nfound = process_bytes({uuid!r})"


def test_the_driver_counts_the_memory_of_this_process(driver: StubDriver) -> None:
    driver.set(foreign_pid=1)
    assert driver.run(MEMORY.format(uuid=GPUS[1])) == [1 << 30, ""]


@pytest.mark.parametrize(
    ("numbers", "fails", "why"),
    [
        ({"own": 0, "foreign_pid": 4_000_000}, (), "not at all"),
        ({}, ("nvmlDeviceGetComputeRunningProcesses_v3", 4), "the driver lists no processes of"),
        ({}, ("nvmlDeviceGetHandleByUUID", 15), "the driver lists no processes of"),
        ({}, ("nvmlInitWithFlags", 9), "no NVIDIA driver"),
    ],
)
def test_what_the_driver_does_not_count_has_a_reason(
    driver: StubDriver, numbers: dict[str, float], fails: tuple[str, int], why: str
) -> None:
    driver.set(*([fails] if fails else []), **numbers)
    size, reason = driver.run(MEMORY.format(uuid=GPUS[0]))
    assert size is None
    assert why in reason
