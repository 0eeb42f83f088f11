"""One run with many bad models: each measurement fails with its reason, and the others are whole."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distbench import plugins
from tests import command
from tests.command import Done, here
from tests.meters.hungry import MIB, install

FAILURES = {
    "host memory": r"memory: out of memory at a peak of \d+\.\d\d GiB of the host; cannot allocate 1 TiB",
    "device memory": r"memory: out of memory at a peak of .* GiB of the host; CUDA out of memory\. Tried to allocate",
    "allocator": r"memory: out of memory at a peak of .* GiB of the host; DefaultCPUAllocator: can't allocate",
    "killed": r"killed by signal 9, likely out of memory \(peak \d+\.\d of \d+\.\d GiB\)",
    "answers one token": "generated 1 tokens in 1 steps, expected 2",
    "meter": "rusage: ValueError: the instrument fell off",
}
MEASURE = {"memory": {"prompt_tokens": 4, "output_tokens": 2}, "rusage": {}, "load": {}}


def distbench(place: Path, *arguments: str) -> Done:
    return command.distbench(place, *arguments, PYTHONPATH=str(place / "plugin"))


def suite(place: Path, sources: dict[str, dict[str, Any]], **more: Any) -> None:
    """Write a suite of one teacher for each source, each with a sound student."""
    (place / "sound.json").write_text("{}", encoding="utf-8")
    for name, facts in sources.items():
        (place / name).write_text(json.dumps(facts), encoding="utf-8")
    names = {f"t{number}": source for number, source in enumerate(sources)}
    written = {
        "version": 1,
        "name": "bad",
        "device": "cpu",
        "teachers": {name: {"use": "hungry", "source": source} for name, source in names.items()},
        "students": [{"name": f"s-{name}", "of": name, "source": "sound.json", "use": "hungry"} for name in names],
        "measure": MEASURE,
        **more,
    }
    (place / "suite.yaml").write_text(json.dumps(written), encoding="utf-8")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    install(tmp_path / "plugin")
    return tmp_path


@pytest.fixture
def known(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder, whose plug-ins are known in this process too: for what ends before anything runs."""
    monkeypatch.syspath_prepend(place / "plugin")
    plugins.forget()
    yield place
    monkeypatch.undo()
    plugins.forget()


def records(place: Path) -> list[dict[str, Any]]:
    found = [json.loads(path.read_text("utf-8")) for path in (place / "run" / "cells").glob("*/record.json")]
    return [record for record in found if record["result"]["kind"] == "measure"]


def test_a_bad_model_fails_its_own_cell_only(place: Path) -> None:
    bad = {f"bad-{number}.json": {"fails": how} for number, how in enumerate(FAILURES)}
    suite(place, {**bad, "good.json": {}})
    done = distbench(place, "run", "suite.yaml", "--out", "run", "--quiet")
    assert done.returncode == 4, done.stderr
    attempts = [json.loads(path.read_text("utf-8")) for path in (place / "run" / "attempts").rglob("*.json")]
    messages = {attempt["title"]: attempt["message"] for attempt in attempts}
    assert len(messages) == len(FAILURES)
    for (how, pattern), message in zip(
        FAILURES.items(), (messages[f"measure t{i}, s-t{i}"] for i in range(6)), strict=True
    ):
        assert re.search(f"measuring 't\\d': .*{pattern}", message), (how, message)
        assert "Traceback" not in message
    (good,) = records(place)
    assert set(good["result"]["models"]) == {"t6", "s-t6"}
    assert {series["metric"] for series in good["result"]["series"] if series["values"]} >= {
        "peak_bytes",
        "load_seconds",
        "maxrss_bytes",
    }
    assert (place / "run" / "report.html").exists()
    assert (place / "run" / "result.json").exists()


def test_a_conversion_leaves_nothing_in_what_is_measured(place: Path) -> None:
    suite(place, {"model.raw": {"conversion": 400, "weights": 8}}, measure={"memory": MEASURE["memory"]})
    done = distbench(place, "run", "suite.yaml", "--out", "run", "--quiet")
    assert done.returncode == 0, done.stderr
    (record,) = records(place)
    read = {(s["model"], s["metric"]): s["values"] for s in record["result"]["series"]}
    converted, sound = (read[name, "load_peak_bytes"][0] for name in ("t0", "s-t0"))
    assert converted - sound == pytest.approx(8 * MIB, abs=4 * MIB)
    makes = [json.loads(path.read_text("utf-8")) for path in (place / "run" / "cells").glob("*/record.json")]
    (made,) = [each for each in makes if each["result"]["kind"] == "make"]
    assert made["peak_memory_bytes"] > 400 * MIB, "the conversion took place, in the process of its own cell"


@pytest.mark.parametrize(
    ("meter", "options", "message"),
    [
        ("memory", {"output_tokens": 0}, "must be at least 1, got 0"),
        ("latency", {"output_tokens": 0}, "must be at least 1, got 0"),
        ("latency", {"batch_sizes": []}, "must have at least 1 entry"),
        ("latency", {"batch_sizes": [0]}, "must be at least 1, got 0"),
    ],
)
def test_impossible_work_is_refused_before_anything_is_written(
    known: Path, meter: str, options: dict[str, Any], message: str
) -> None:
    suite(known, {"good.json": {}}, measure={meter: options})
    done = here(known, "run", "suite.yaml", "--out", "run")
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.strip().splitlines()
    assert message in line
    assert "suite.yaml:1:" in line
    assert not (known / "run").exists()


@pytest.mark.parametrize("device", ["cuda", "cuda:3", "cuda:GPU-0123abcd"])
def test_a_gpu_that_is_not_there_writes_nothing(known: Path, device: str) -> None:
    suite(known, {"good.json": {}})
    done = here(known, "run", "suite.yaml", "--out", "run", "--device", device)
    assert done.returncode == 5, done.stderr
    assert f"device '{device}' does not exist here" in done.stderr
    assert "devices seen: cpu" in done.stderr
    assert not (known / "run").exists()


def test_a_device_that_is_none_is_a_usage_error(known: Path) -> None:
    suite(known, {"good.json": {}})
    done = here(known, "run", "suite.yaml", "--out", "run", "--device", "gpu")
    assert done.returncode == 2, done.stderr
    assert "cuda:GPU-" in done.stderr
