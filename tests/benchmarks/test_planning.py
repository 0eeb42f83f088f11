"""The scripts about planning still run; what they print is for reading, times are never asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parents[2] / "scripts"


def ran(name: str, *words: str) -> str:
    command = [sys.executable, str(SCRIPTS / name), *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_a_model_is_evaluated_once_for_all_devices() -> None:
    said = json.loads(ran("bench_planning.py", "--students", "9", "--tasks", "4", "--devices", "3", "--repeat", "1"))
    assert said["evaluations"] == 10 * 4
    assert said["measurement_cells"] == 3 * 3  # nine students, four beside their teacher at a time, on three devices
    assert said["measured"].startswith("27 measurements of students on cpu, cuda:0, cuda:1")


def test_the_simulation_of_the_order_runs() -> None:
    assert "informative: decided at" in ran("simulate_planning.py", "6", "0")
