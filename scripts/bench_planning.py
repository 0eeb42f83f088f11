"""How long does `distbench plan` take for a large suite, and is a model evaluated once for all devices?

    python scripts/bench_planning.py [--students 100] [--tasks 50] [--devices 3] [--repeat 3]

Writes checkpoints of a few bytes, plans them against BLiMP tasks on local files, and prints one JSON line: the cells by
kind, the seconds of the whole command (interpreter and imports too; the best of `--repeat`) by the clock and of the
CPU, and those of the plan itself in a warm process. Nothing runs, no torch is imported.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import yaml
from safetensors.numpy import save_file

from distbench.plan.expand import expand
from distbench.suite.load import load_suite
from distbench.tasks.lm_eval_index import members

CONFIG = {"model_type": "llama", "num_hidden_layers": 1, "hidden_size": 4, "num_attention_heads": 1, "vocab_size": 8}
ROW = {"sentence_good": "a b", "sentence_bad": "b a", "UID": "x"}


def write_suite(place: Path, students: int, tasks: int, devices: int) -> Path:
    """Write checkpoints, data and the suite that names them; return its path."""
    names = members("blimp", None)[:tasks]
    if len(names) < tasks:
        raise SystemExit(f"BLiMP has {len(names)} tasks")
    for number in range(students + 1):
        folder = place / f"m{number}"
        folder.mkdir()
        save_file({"model.layers.0.w": np.full((4, 4), number, dtype=np.float32)}, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
    (place / "rows.jsonl").write_text((json.dumps(ROW) + "\n") * 100, encoding="utf-8")
    suite = {
        "version": 1,
        "name": "large",
        "device": "cpu",
        "devices": ["cpu", *(f"cuda:{n}" for n in range(devices - 1))],
        "teachers": {"big": {"use": "hf-causal", "source": "./m0"}},
        "students": [{"name": f"s{n}", "of": "big", "source": f"./m{n}"} for n in range(1, students + 1)],
        "tasks": [{"use": "lm-eval", "name": name, "data": {"train": "./rows.jsonl"}} for name in names],
        "measure": {"latency": {}},
    }
    path = place / "suite.yaml"
    path.write_text(yaml.safe_dump(suite), encoding="utf-8")
    return path


def main() -> None:
    """Write, plan, print."""
    parser = argparse.ArgumentParser()
    for name, default in (("students", 100), ("tasks", 50), ("devices", 3), ("repeat", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = write_suite(Path(folder), given.students, given.tasks, given.devices)
        seconds, worked, document = [], [], {}
        for _ in range(given.repeat):
            began, before = time.perf_counter(), os.times()
            command = [sys.executable, "-m", "distbench", "plan", str(path), "--json"]
            done = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
            after = os.times()
            seconds.append(time.perf_counter() - began)
            worked.append(after.children_user - before.children_user + after.children_system - before.children_system)
            document = json.loads(done.stdout)
        with contextlib.redirect_stdout(io.StringIO()):
            loaded = load_suite(path, ())
            expand(loaded.suite, loaded.directory)
            began = time.perf_counter()
            expand(loaded.suite, loaded.directory)
        counts = Counter(cell["kind"] for cell in document["cells"])
        measured = next(total["about"] for total in document["totals"] if total["kind"] == "measure")
        took = round(time.perf_counter() - began, 2)
        said = {
            "evaluations": counts["evaluate"],
            "measurement_cells": counts["measure"],
            "measured": measured,
            "command_seconds": round(min(seconds), 2),
            "command_cpu_seconds": round(min(worked), 2),
            "plan_seconds": took,
        }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
