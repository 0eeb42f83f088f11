"""doctor asks the machine and the plug-ins; here both are fakes with a known truth."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from distbench import plugins
from distbench.cli import doctor
from distbench.cli.doctor import abilities, devices, machine
from distbench.cli.doctor.finding import Finding
from distbench.cli.doctor.noise import measure_noise, turns
from distbench.host import host_facts
from distbench.meters.accelerators import DriverFacts
from distbench.meters.nvml import GPU
from distbench.protocols import Usable
from distbench.schema.record import HostFacts


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.what: finding for finding in findings}


def facts(monkeypatch: pytest.MonkeyPatch, **changed: object) -> None:
    made = host_facts().model_copy(update=changed)
    monkeypatch.setattr(machine, "host_facts", lambda: made)


def test_governor_turbo_affinity_and_load_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    facts(monkeypatch, governor="powersave", turbo=True, affinity=[2, 3], cores=2)
    monkeypatch.setattr("os.getloadavg", lambda: (3.0, 0.0, 0.0), raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    found = by_name(machine.read_machine())
    assert found["frequency governor"].seen == "powersave"
    assert "cpupower" in found["frequency governor"].remedy
    assert found["turbo"].facts == {"turbo": "true"}
    assert found["affinity"].seen == "2 (number 2, 3) of 8 CPUs"
    assert (found["load average"].usable, found["load average"].facts) == (False, {"one_minute": 3.0})
    facts(monkeypatch, governor="performance", turbo=False, affinity=None, cores=8)
    found = by_name(machine.read_machine())
    assert not any(found[name].remedy for name in ("frequency governor", "turbo", "affinity"))
    assert found["load average"].usable


def test_what_is_not_exposed_is_said_to_be_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    facts(monkeypatch, governor=None, turbo=None)
    found = by_name(machine.read_machine())
    assert found["turbo"].seen == found["frequency governor"].seen == "not exposed by this machine"
    assert found["turbo"].facts == {"turbo": None}


@pytest.mark.parametrize(
    ("files", "quota", "limit"),
    [
        ({"cpu.max": "150000 100000\n", "memory.max": "1073741824\n"}, 1.5, 1 << 30),
        ({"cpu.max": "max 100000\n", "memory.max": "max\n"}, None, None),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, None, None),
        ({"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 0.5, None),
        ({}, None, None),
    ],
)
def test_a_containers_limits_are_read(
    tmp_path: Path, files: dict[str, str], quota: float | None, limit: int | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="ascii")
    assert machine.cpu_quota(tmp_path) == quota
    assert machine.memory_limit(tmp_path) == limit


def test_a_halted_container_is_told_how_many_threads_to_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "cpu_quota", lambda: 1.5)
    monkeypatch.setattr(machine, "default_threads", lambda: 4)
    threads = by_name(machine.read_machine())["threads of a cell"]
    assert "1.5 cores" in threads.seen
    assert threads.remedy == "threads: 1 in the suite"


def test_gpus_are_shown_with_uuid_driver_and_mig(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "visible_gpus", lambda: ([GPU(0, "H", "GPU-aa", 80 << 30)], "1 of 1"))
    monkeypatch.setattr(devices, "driver_facts", lambda _: DriverFacts("580.1", True))
    monkeypatch.setattr(devices, "torch_cuda", lambda: "13.0")
    gpu = by_name(devices.read_devices())["cuda:0"]
    assert gpu.usable
    assert gpu.facts == {"name": "H", "uuid": "GPU-aa", "bytes": 80 << 30, "driver": "580.1", "mig": "true"}
    assert "split into MIG instances" in gpu.seen
    monkeypatch.setattr(devices, "torch_cuda", lambda: None)
    gpu = by_name(devices.read_devices())["cuda:0"]
    assert (gpu.usable, gpu.remedy) == (False, "install a CUDA build of torch")


def test_every_meter_is_asked_and_a_silent_one_is_not_said_to_work(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        @classmethod
        def usable(cls) -> Usable:
            return Usable(False, "no such instrument", "buy one")

    kinds = {"broken": Broken, "silent": object}
    monkeypatch.setattr(plugins, "names", lambda _: [*kinds])
    monkeypatch.setattr(plugins, "load", lambda _, name: kinds[name])
    broken, silent = abilities.meters()
    assert (broken.usable, broken.seen, broken.remedy) == (False, "no such instrument", "buy one")
    assert "does not say" in silent.seen


def test_the_installed_meters_all_say_whether_they_work() -> None:
    found = by_name(abilities.meters())
    assert {"latency", "load", "memory"} <= set(found)
    assert not [finding for finding in found.values() if "does not say" in finding.seen]


def test_a_missing_extra_names_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["numpy>=2", "numpy>=2 ; extra == 'here'", 'nonesuch>=1; extra == "gone"', "ruff ; extra == 'dev'"]
    monkeypatch.setattr(abilities.metadata, "requires", lambda _: wanted)
    found = by_name(abilities.extras())
    assert set(found) == {"here", "gone"}
    assert found["here"].usable
    assert found["here"].seen.startswith("numpy 2")
    assert (found["gone"].seen, found["gone"].remedy) == (
        "nonesuch not installed",
        "pip install 'distbench[gone]'",
    )


class Clock:
    """A time that moves only when somebody works."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now


def workers(slowness: Callable[[int], float]) -> tuple[Clock, Callable[[int], object]]:
    """Return a clock, and a loop of which each turn takes a known time; `slowness` is asked with the turn's number."""
    clock, turn = Clock(), -1

    def work(size: int) -> None:
        nonlocal turn
        turn += 1
        clock.now += round(size * 1000 * slowness(turn))

    return clock, work


def test_a_quiet_machine_is_called_quiet() -> None:
    clock, work = workers(lambda _: 1.0)
    found = measure_noise(0.2, clock, work)
    assert found.usable
    assert found.facts["ratio"] == 1.0
    assert (found.facts["low"], found.facts["high"]) == (1.0, 1.0)


def test_a_noisy_machine_is_called_noisy_though_its_median_is_one() -> None:
    clock, work = workers(lambda turn: 1.5 if turn % 7 == 3 else 1.0)
    found = measure_noise(1.0, clock, work)
    assert not found.usable
    assert found.facts["ratio"] == pytest.approx(1.0, abs=0.01)
    assert found.facts["high"] == pytest.approx(1.5)
    assert "more launches" in found.remedy


def test_what_drifts_cancels_because_turns_are_mirrored() -> None:
    clock, work = workers(lambda turn: 1.0 + 0.001 * turn)
    first, second = turns(0.2, clock, work)
    assert sum(first.values()) == pytest.approx(sum(second.values()), rel=1e-3)
    assert len(first) == len(second) >= 20


def test_the_document_is_one_list_and_exits_0(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "distbench", "doctor", "--json", "--check"],
        cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {each["group"] for each in found} >= {"machine", "devices", "meters", "energy", "extras", "disk", "noise"}
    assert all(set(each) == {"group", "what", "usable", "seen", "remedy", "facts"} for each in found)
    assert [each for each in found if not each["usable"] and not each["remedy"]] == [], "no dead end without advice"


def test_lines_tell_good_better_and_bad_apart(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        Finding("g", "fine", True, "yes"),
        Finding("g", "fair", True, "well", "better"),
        Finding("g", "gone", False, "no", "get it"),
    ]
    monkeypatch.setattr(doctor, "LOOKS", (lambda: found,))
    doctor.show_doctor(as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "g"
    assert [line.split()[0] for line in lines[2:]] == ["ok", "note", "no"]
    assert lines[3].endswith("→  better")


def test_host_facts_stay_readable_by_older_code() -> None:
    old = {"fingerprint": "f", "cpu": "c", "cores": 1, "memory_bytes": 1, "os": "o", "python": "3"}
    assert HostFacts.model_validate(old).turbo is None
