#!/usr/bin/env python3
"""How much two workers of a Ray cluster save, and what the harness adds to a cell; all on this machine.

    scripts/scale_out/bench_ray.py --out reports/scale-out/ray.json [--seconds 4] [--cells 16] [--repeats 12]

Cells ask a model that sleeps, so that two of them do not compete for the cores of one machine: the ratio is what the
scheduling reaches, not what a second machine computes. What the harness adds is measured with a model that answers at
once (harness.py).
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
import harness  # noqa: E402

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


def run(place: Path, address: str) -> list[dict[str, Any]]:
    """Run a suite on a cluster with an empty cache; return the lines of its journal."""
    out = place / f"run-{len(list(place.glob('run-*')))}"
    words = [sys.executable, "-m", "distbench", "run", "suite.yaml", "--quiet", "--out", str(out)]
    words += ["--engine", "ray", "--ray-address", address]
    cache = {"DISTBENCH_CACHE": str(out) + ".cache"}
    subprocess.run(words, cwd=place, check=True, capture_output=True, env=os.environ | cache)
    return [json.loads(line) for line in (out / "journal.jsonl").read_text(encoding="utf-8").splitlines()]


@contextlib.contextmanager
def cluster(workers: int = 1) -> Iterator[str]:
    """Give the address of a cluster at rest: a head without CPUs and `workers` nodes of one CPU."""
    made = small_cluster()
    try:
        for _ in range(workers):
            add_node(made, 1)
        made.wait_for_nodes()
        harness.settle()
        yield made.address
    finally:
        made.shutdown()


def spread(journal: list[dict[str, Any]]) -> float:
    """Return the seconds from the first cell's place to the last one's end, on the clock of this machine."""
    ended = max(each["clock"] for each in journal if each["event"] == "left")
    return float(ended - min(each["clock"] for each in journal if each["event"] == "placed"))


def between(journal: list[dict[str, Any]]) -> list[float]:
    """Return the seconds from each job's end to the next one's beginning on its node."""
    began = {each["cells"][0]: each for each in journal if each["event"] == "placed"}
    ended = {each["cells"][0]: each for each in journal if each["event"] == "left"}
    found = []
    for node in {each["node"] for each in began.values()}:
        mine = sorted((began[c]["clock"], ended[c]["clock"]) for c in began if began[c]["node"] == node)
        found += [after[0] - before[1] for before, after in itertools.pairwise(mine)]
    return found


def measure(place: Path, seconds: float, cells: int, repeats: int) -> dict[str, Any]:
    """Do everything, in an order in which what is compared stands side by side."""
    found: dict[str, Any] = {}
    if seconds:
        sleeping, journals = suite(place / "sleeping", seconds, cells), {}
        for workers in (1, 2):
            with cluster(workers) as address:
                journals[str(workers)] = run(sleeping, address)
        times = {workers: spread(journal) for workers, journal in journals.items()}
        found["sixteen_cells"] = {
            "cells": cells, "seconds_a_cell": seconds, "wall_seconds": {k: round(v, 2) for k, v in times.items()},
            "ratio": round(times["1"] / times["2"], 3),
            "between_two_jobs_of_a_node": harness.summary([each for j in journals.values() for each in between(j)]),
        }  # fmt: skip
    idle = suite(place / "idle", 0.0, repeats + 1)
    names = harness.modules(harness.prepared(idle, "modules"))
    return found | {
        "modules_imported": len(names),
        "local": harness.locally(idle, names),
        "ray": harness.on_ray(idle, names, cluster),
        "fresh_cluster": harness.fresh(idle, names, cluster, max(1, repeats // 4)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=4.0, help="that a model takes; 0: only the overhead")
    parser.add_argument("--cells", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=12)
    chosen = parser.parse_args()
    before = os.getloadavg()
    with tempfile.TemporaryDirectory() as folder:
        package = str(install(Path(folder) / "package"))
        sys.path.insert(0, package)
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
