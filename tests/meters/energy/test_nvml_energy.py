"""The energy meter on a driver whose power is known: a library of the real name, loaded by unmodified pynvml."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.meters.energy.conftest import GPUS, StubDriver

TOKENS = ("gross_joules_per_token", "gross_joules_per_1000_requests", "net_joules_per_token", "mean_watts")
LOST, NOT_SUPPORTED, NO_PERMISSION = 15, 3, 4


def only(found: dict[str, Any], round_: int = 0) -> dict[str, Any]:
    return found["rounds"][round_]["batch 2"]  # type: ignore[no-any-return]


def reason(found: dict[str, Any], round_: int = 0, name: str = "gross_joules_per_token") -> str:
    value = only(found, round_)[name]
    assert isinstance(value, dict), f"{name} has a value: {value}"
    return str(value["reason"])


def test_a_known_power_is_read_from_the_counter_and_says_how(driver: StubDriver) -> None:
    found = driver.run("found = measure(rounds=2)")
    about = found["about"]["batch 2"]
    assert (about["scope"], about["status"]) == ("GPU board", "measured")
    facts = about["facts"]
    assert facts["source"] == "nvml-counter"
    assert facts["gpu_uuid"] == GPUS[0]
    assert facts["limit_watts"] == 400
    assert facts["update_period_seconds"] == pytest.approx(0.005, rel=0.5)
    assert facts["edge_error"] == pytest.approx(facts["update_period_seconds"] / facts["window_seconds"])
    assert found["once"]["idle_watts"] == pytest.approx(100, rel=0.15)
    for number in (0, 1):
        assert only(found, number)["mean_watts"] == pytest.approx(100, rel=0.15)
        assert "below 1.3 × the idle power" in reason(found, number, "net_joules_per_token")


def test_gross_and_net_differ_by_the_idle_power_of_the_window(driver: StubDriver) -> None:
    driver.set(busy_watts=2000, limit_watts=4000)
    found = driver.run("found = measure()")
    read, idle = only(found), found["once"]["idle_watts"]
    assert set(TOKENS) < set(read)
    assert idle < 0.5 * read["mean_watts"]
    share = 1 - idle / read["mean_watts"]
    assert read["net_joules_per_token"] / read["gross_joules_per_token"] == pytest.approx(share)
    # two samples a unit of work, 32 tokens each
    assert read["gross_joules_per_1000_requests"] == pytest.approx(32_000 * read["gross_joules_per_token"])


def test_prompts_alone_are_a_workload_of_their_own_and_samples_have_no_tokens(driver: StubDriver) -> None:
    found = driver.run("found = measure(prefill=True)")["rounds"][0]
    assert set(found) == {"batch 2", "batch 2, prefill"}
    assert "gross_joules_per_prompt_token" in found["batch 2, prefill"]
    rows = driver.run("found = measure(prefill=True, tokens=False)")["rounds"][0]
    assert set(rows) == {"batch 2"}
    assert "gross_joules_per_1000_samples" in rows["batch 2"]
    assert not any("token" in name for name in rows["batch 2"])


@pytest.mark.parametrize("instant", [1, 0])
def test_power_is_integrated(driver: StubDriver, instant: int) -> None:
    driver.set(instant=instant, watts=250)
    found = driver.run("found = measure(source='nvml-power')")
    facts = found["about"]["batch 2"]["facts"]
    assert facts["call"] == ("NVML_FI_DEV_POWER_INSTANT" if instant else "nvmlDeviceGetPowerUsage")
    assert only(found)["mean_watts"] == pytest.approx(250, rel=0.15)


def test_a_gpu_without_a_counter_is_read_by_its_power_and_the_record_says_why(driver: StubDriver) -> None:
    driver.set(("nvmlDeviceGetTotalEnergyConsumption", NOT_SUPPORTED))
    facts = driver.run("found = measure()")["about"]["batch 2"]["facts"]
    assert facts["source"] == "nvml-power"
    assert "no energy counter" in facts["chosen"]
    refused = driver.run("found = measure(source='nvml-counter')")
    assert "nvmlDeviceGetTotalEnergyConsumption" in reason(refused)


@pytest.mark.parametrize("mask", ["1", GPUS[1], "1,0"])
def test_the_gpu_of_the_model_is_read_and_not_the_drivers_first(driver: StubDriver, mask: str) -> None:
    driver.set(other_watts=1000, limit_watts=2000)
    found = driver.run("found = measure('cuda:0')", CUDA_VISIBLE_DEVICES=mask)
    assert found["about"]["batch 2"]["facts"]["gpu_uuid"] == GPUS[1]
    assert only(found)["mean_watts"] == pytest.approx(1000, rel=0.15)


@pytest.mark.parametrize(
    ("state", "words", "remedy"),
    [
        ({"frozen": 1}, "frozen", "restart"),
        ({"limit_watts": 50}, "more than 1.5 × the enforced limit", ""),
        ({"mig": 1}, "MIG is on", f"nvidia-smi -i {GPUS[0]} -mig 0"),
        ({"foreign_pid": 1}, "other processes compute on GPU", "nvidia-smi --query-compute-apps"),
        ({"lost_after": 0}, "nvmlDeviceGetTotalEnergyConsumption", "dmesg"),
    ],
)
def test_what_cannot_be_believed_is_refused_with_a_remedy(
    driver: StubDriver, state: dict[str, float], words: str, remedy: str
) -> None:
    driver.set(**state)
    found = driver.run("found = measure()")
    assert found["once"] == {}
    for name in TOKENS:
        missing = only(found)[name]
        assert words in missing["reason"]
        assert remedy in missing["remedy"]
        assert missing["final"] is ("foreign_pid" not in state), "somebody else's process ends some time"


def test_a_missing_permission_names_the_command(driver: StubDriver) -> None:
    driver.set(("nvmlDeviceGetTotalEnergyConsumption", NO_PERMISSION))
    found = driver.run("found = measure()")
    assert "chmod a+rw /dev/nvidia" in only(found)["gross_joules_per_token"]["remedy"]


def test_a_driver_that_lists_no_processes_is_measured_and_the_record_says_so(driver: StubDriver) -> None:
    driver.set(("nvmlDeviceGetComputeRunningProcesses_v3", NOT_SUPPORTED))
    found = driver.run("found = measure()")
    assert "does not list processes" in found["about"]["batch 2"]["facts"]["processes"]
    assert only(found)["mean_watts"] == pytest.approx(100, rel=0.15)


def test_torch_is_asked_which_gpu_it_computes_on(driver: StubDriver) -> None:
    """CUDA's first GPU is the fastest one, the driver's the one in the first slot."""
    code = f"""
import sys, types
properties = types.SimpleNamespace(uuid="{GPUS[1].removeprefix("GPU-")}")
cuda = types.SimpleNamespace(is_available=lambda: True, get_device_properties=lambda index: properties)
sys.modules["torch"] = types.SimpleNamespace(cuda=cuda)
found = measure()
"""
    assert driver.run(code)["about"]["batch 2"]["facts"]["gpu_uuid"] == GPUS[1]


def test_without_a_driver_the_reason_is_the_reading(driver: StubDriver) -> None:
    driver.set(("nvmlInitWithFlags", 9))
    assert "no NVIDIA driver" in reason(driver.run("found = measure()"))


@pytest.mark.parametrize(
    ("state", "words", "recovers"),
    [
        ("frozen 1", "frozen", False),
        ("backwards 1", "backwards", False),
        ("lost_after 0", "GPU is lost", False),
        ("foreign_pid 1", "other processes", True),
    ],
)
def test_a_fault_in_mid_run_costs_the_energy_and_not_the_work(
    driver: StubDriver, state: str, words: str, recovers: bool
) -> None:
    """The second of three windows goes wrong; what a wrong counter said before counts no more either."""
    key = state.partition(" ")[0]
    code = f"""
import os
state = os.environ["NVML_STUB"]
def between(number):
    with open(state, "a") as file:
        file.write(["", "{state}\\n", "{key} {"1e18" if key == "lost_after" else 0}\\n"][number])
found = measure(rounds=3, between=between)
"""
    found = driver.run(code)
    assert isinstance(only(found, 0)["gross_joules_per_token"], float)
    assert words in reason(found, 1)
    assert only(found, 1)["gross_joules_per_token"]["final"] is not recovers
    assert isinstance(only(found, 2)["gross_joules_per_token"], float) is recovers


def test_a_counter_that_only_runs_backwards_is_refused(driver: StubDriver) -> None:
    driver.set(backwards=1)
    assert "backwards" in reason(driver.run("found = measure()"))


def test_own_processes_are_no_strangers_and_a_container_hides_numbers(driver: StubDriver) -> None:
    code = "from distbench.meters.energy.neighbours import *\n"
    code += "found = [strangers([7], {7}, True), strangers([7, 8], {7}, True), strangers([70], {7}, False), "
    code += "strangers([70, 80], {7}, False), os.getpid() in family(), numbers_alike([os.getpid()])]"
    own, other, hidden, more, me, alike = driver.run(code)
    assert [own[0], other[0], hidden[0], more[0]] == [0, 1, 0, 1]
    assert "8" in other[1]
    assert "container" in hidden[1]
    assert me
    assert alike


def test_doctor_names_every_source(driver: StubDriver) -> None:
    code = "from distbench.meters.energy.sources import findings\nfound = [list(each) for each in findings('cuda:1')]"
    counter, power = driver.run(code)
    assert counter[:2] == ["energy of cuda:1 (nvml-counter)", True]
    assert GPUS[1] in counter[2]
    assert power[1] is True
    driver.set(mig=1)
    counter, power = driver.run(code)
    assert counter[1] is False
    assert "-mig 0" in counter[3]


def test_the_gpu_source_on_a_cpu_model_is_refused(driver: StubDriver) -> None:
    assert "computes on cpu" in reason(driver.run("found = measure('cpu', source='nvml-counter')"))
    assert "computes on a GPU" in reason(driver.run("found = measure('cuda:0', source='rapl')"))


def test_an_estimate_is_a_range_and_only_where_nothing_can_be_read(driver: StubDriver) -> None:
    assumed = "estimate={'watts': [50, 300]}, window_seconds=0.2"
    measured = driver.run(f"found = measure({assumed})")
    assert measured["about"]["batch 2"]["status"] == "measured"
    driver.set(mig=1)
    found = driver.run(f"found = measure({assumed})")
    about = found["about"]["batch 2"]
    assert (about["status"], about["scope"]) == ("estimated", "assumed power")
    assert "MIG" in about["facts"]["assumed_because"]
    low, high = only(found)["gross_joules_per_token"]
    assert high / low == pytest.approx(6)
    assert "net_joules_per_token" not in only(found)
    assert os.environ.get("NVML_STUB") is None, "the stand-in stays in the children"
