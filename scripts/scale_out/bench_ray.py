#!/usr/bin/env python3
"""How much two workers of a Ray cluster save, and what the harness adds to a cell; all on this machine.

    scripts/scale_out/bench_ray.py --out reports/scale-out/ray.json [--seconds 8] [--cells 16] [--repeats 5]

Cells ask a model that sleeps, so that two of them do not compete for the cores of one machine: the ratio is what the
scheduling reaches, not what a second machine computes. What the harness adds is measured with a model that answers at
once, beside bare interpreters that import the same modules: start-up is taken off, and everything else counts.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
from tests.executors.small_cluster import add_node, small_cluster  # noqa: E402
from tests.executors.steady_model import install, write_model  # noqa: E402


def suite(place: Path, seconds: float, cells: int) -> Path:
    """Write a suite of `cells` equal evaluations: a teacher and its students, one task."""
    place.mkdir(parents=True)
    for number in range(cells):
        write_model(place / f"m{number}.json", seconds, number)
    made = {
        "version": 1, "name": place.name, "device": "cpu", "threads": 1,
        "teachers": {"t": {"use": "steady", "source": "m0.json"}},
        "students": [{"name": f"s{n}", "of": "t", "source": f"m{n}.json"} for n in range(1, cells)],
        "tasks": [{"use": "classification", "name": "digits", "data": {"use": "sklearn-digits"}}],
    }  # fmt: skip
    (place / "suite.yaml").write_text(json.dumps(made), encoding="utf-8")
    return place


def run(place: Path, *arguments: str) -> dict[str, Any]:
    """Run a suite with an empty cache; return the journal's lines by event, and the wall time of its cells (s)."""
    out = place / f"run-{len(list(place.glob('run-*')))}"
    words = [sys.executable, "-m", "distbench", "run", "suite.yaml", "--quiet", "--out", str(out), *arguments]
    cache = {"DISTBENCH_CACHE": str(out) + ".cache"}
    subprocess.run(words, cwd=place, check=True, capture_output=True, env=os.environ | cache)
    lines = [json.loads(line) for line in (out / "journal.jsonl").read_text(encoding="utf-8").splitlines()]
    return {name: [line for line in lines if line["event"] == name] for name in ("run", "placed", "left", "done")} | {
        "folder": out
    }


def modules(folder: Path, cell: str) -> list[str]:
    """Return what a cell imports, in order, by doing it once more in a run directory where it is not finished."""
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(folder / "plan", Path(place) / "plan")
        (Path(place) / "cells").mkdir()
        words = [sys.executable, "-X", "importtime", "-m", "distbench.cell", "--run", place, "--id", cell]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    names = re.findall(r"^import time:\s+\d+ \|\s+\d+ \|\s+(?P<name>\S+)$", done.stderr, re.MULTILINE)
    return [name for name in names if not name.startswith(("_", "encodings", "site", "distbench.cell.__main__"))]


def bare(names: list[str]) -> float:
    """Return the seconds of an interpreter that imports modules and ends."""
    each = "\nfor name in {!r}:\n with contextlib.suppress(Exception):\n  importlib.import_module(name)"
    code = "import contextlib, importlib" + each.format(names)
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def on_cluster(workers: int, use: Callable[[str], Any]) -> Any:
    """Use a cluster of a head without CPUs and `workers` nodes of one CPU."""
    cluster = small_cluster()
    try:
        for _ in range(workers):
            add_node(cluster, 1)
        cluster.wait_for_nodes()
        return use(cluster.address)
    finally:
        cluster.shutdown()


def spread(journal: dict[str, Any]) -> float:
    """Return the seconds from the first cell's place to the last one's end, on the clock of this machine."""
    return float(max(each["clock"] for each in journal["left"]) - min(each["clock"] for each in journal["placed"]))


def overhead_on_ray(journal: dict[str, Any]) -> tuple[list[float], list[float]]:
    """Return (seconds of each process with one cell, seconds between two of them on one node)."""
    began = {each["cells"][0]: each for each in journal["placed"]}
    ended = {each["cells"][0]: each for each in journal["left"]}
    inside = [ended[cell]["clock"] - began[cell]["clock"] for cell in began]
    between = []
    for node in {each["node"] for each in began.values()}:
        mine = sorted((began[c]["clock"], ended[c]["clock"]) for c in began if began[c]["node"] == node)
        between += [after[0] - before[1] for before, after in itertools.pairwise(mine)]
    return inside, between


def summary(values: list[float]) -> dict[str, Any]:
    """Return a list of seconds with its median."""
    return {"median": round(statistics.median(values), 3), "n": len(values), "all": [round(each, 3) for each in values]}


def measure(place: Path, seconds: float, cells: int, repeats: int) -> dict[str, Any]:
    """Do everything, in an order in which what is compared stands side by side."""
    sleeping, idle = suite(place / "sleeping", seconds, cells), suite(place / "idle", 0.0, 8)

    def ray(where: Path) -> Callable[[str], dict[str, Any]]:
        return lambda address: run(where, "--engine", "ray", "--ray-address", address)

    times = {str(workers): spread(on_cluster(workers, ray(sleeping))) for workers in (1, 2)}
    local = run(idle)
    first = local["done"][0]["cell"]
    names = modules(local["folder"], first)
    bares, firsts, next_ones = [], [local["done"][0]["seconds"]], [each["seconds"] for each in local["done"][1:]]
    for _ in range(repeats):
        bares.append(bare(names))
        again = run(idle)
        firsts.append(again["done"][0]["seconds"])
        next_ones += [each["seconds"] for each in again["done"][1:]]
    bares.append(bare(names))
    inside, between = overhead_on_ray(on_cluster(1, ray(idle)))  # one at a time, as the bare ones are
    beside = [bare(names) for _ in range(3)]
    start, start_beside = statistics.median(bares), statistics.median(beside)
    return {
        "sixteen_cells": {
            "cells": cells, "seconds_a_cell": seconds, "wall_seconds": {k: round(v, 2) for k, v in times.items()},
            "ratio": round(times["1"] / times["2"], 3),
        },
        "harness": {
            "bare_interpreter": summary(bares),
            "bare_interpreter_beside_ray": summary(beside),
            "modules_imported": len(names),
            "local_first_cell_of_a_process": summary(firsts),
            "local_next_cells": summary(next_ones),
            "local_overhead_first": round(statistics.median(firsts) - start, 3),
            "local_overhead_next": round(statistics.median(next_ones), 3),
            "ray_process_of_one_cell": summary(inside),
            "ray_between_two_jobs_of_a_node": summary(between),
            "ray_overhead": round(statistics.median(inside) - start_beside + statistics.median(between), 3),
        },
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--cells", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args()
    before = os.getloadavg()
    with tempfile.TemporaryDirectory() as folder:
        package = str(install(Path(folder) / "package"))
        os.environ["PYTHONPATH"] = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
        found = measure(Path(folder), chosen.seconds, chosen.cells, chosen.repeats)
    about = {
        "command": f"scripts/scale_out/bench_ray.py --seconds {chosen.seconds:g} --cells {chosen.cells} "
        f"--repeats {chosen.repeats}",
        "at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": {"cpus": os.cpu_count(), "system": platform.platform(), "python": platform.python_version()},
        "load_average": {"before": before, "after": os.getloadavg()},
    }
    chosen.out.parent.mkdir(parents=True, exist_ok=True)
    chosen.out.write_text(json.dumps(about | found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(about | found, indent=1))


if __name__ == "__main__":
    main()
