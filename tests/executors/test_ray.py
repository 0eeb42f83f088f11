"""The same cells on a Ray cluster of several nodes: equal results, losses, measurements, interrupts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from distbench import plugins
from distbench.store.files import damage
from tests.command import Done, distbench, here
from tests.executors.small_cluster import add_node, small_cluster
from tests.executors.steady_model import install, write_model
from tests.schedulers.suites import SUITE, write

ray = pytest.importorskip("ray", reason="needs the extra 'ray'")
SLOW = 4.0  # seconds that a model takes to answer


BLIND = """
from distbench.cli import main
from distbench.executors.ray_executor import RayExecutor
RayExecutor._mark = lambda self: None
main()
"""


class Ground:
    """A cluster, a place for runs, and suites whose cells take as long as is said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cluster = small_cluster()
        self.nodes = [self.add(1), self.add(2)]

    def add(self, cpus: int) -> Any:
        return add_node(self.cluster, cpus)

    def suite(self, name: str, seconds: float, *, students: int = 3, **more: Any) -> Path:
        """Write a suite in a folder of its own, where its runs go as well."""
        place = self.folder / name
        place.mkdir(exist_ok=True)
        for number in range(students + 1):
            write_model(place / f"m{number}.json", seconds if number else 0.0, number)
        suite = {
            "version": 1, "name": name, "device": "cpu", "threads": 1,
            "teachers": {"t": {"use": "steady", "source": "m0.json"}},
            "students": [{"name": f"s{n}", "of": "t", "source": f"m{n}.json"} for n in range(1, students + 1)],
            "tasks": [{"use": "classification", "name": "digits", "data": {"use": "sklearn-digits"}}],
        }  # fmt: skip
        (place / "suite.yaml").write_text(json.dumps(suite | more), encoding="utf-8")
        return place

    def run(self, place: Path, *arguments: str, cache: str = "cache", check: int | None = 0) -> Done:
        """Run a suite on the cluster."""
        words = ["run", "suite.yaml", "--engine", "ray", "--ray-address", self.cluster.address, *arguments]
        return distbench(place, *words, check=check, timeout=240, DISTBENCH_CACHE=str(place / cache))

    def apart(self, place: Path, *arguments: str) -> Done:
        """Run a suite as if no node saw the run directory, nor what the suite names."""
        words = ["run", "suite.yaml", "--engine", "ray", "--ray-address", self.cluster.address, *arguments]
        done = subprocess.run(
            [sys.executable, "-c", BLIND, *words], cwd=place, text=True, capture_output=True, timeout=300, check=False,
            env=os.environ | {"DISTBENCH_CACHE": str(place / "cache")},
        )  # fmt: skip
        return Done(done.returncode, done.stdout, done.stderr)

    def begin(self, place: Path, *arguments: str) -> subprocess.Popen[str]:
        """Begin a run that a test will disturb."""
        words = ["run", "suite.yaml", "--engine", "ray", "--ray-address", self.cluster.address, *arguments]
        return subprocess.Popen(
            [sys.executable, "-m", "distbench", *words], cwd=place, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=os.environ | {"DISTBENCH_CACHE": str(place / "cache")},
        )  # fmt: skip


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("ray")
    before = os.environ.get("PYTHONPATH")
    package = str(install(folder / "package"))
    os.environ["PYTHONPATH"] = os.pathsep.join([package, *([before] if before else [])])  # nodes inherit it
    ground = Ground(folder)
    try:
        yield ground
    finally:
        ground.cluster.shutdown()
        os.environ.pop("PYTHONPATH") if before is None else os.environ.update(PYTHONPATH=before)


def journal(run: Path, event: str) -> list[dict[str, Any]]:
    path = run / "journal.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return [each for each in map(json.loads, lines) if each["event"] == event]


def answers(run: Path, *, stopped: bool = False) -> dict[str, bytes]:
    """Return what was found out, by cell: the samples, byte by byte. What a `stopped` run began is not seen."""
    cells = {path.name: path for path in (run / "cells").iterdir() if not (stopped and path.name.startswith(".tmp-"))}
    assert not [name for name in cells if name.startswith(".")]
    assert not [why for path in cells.values() if (why := damage(path))]
    found = {name: path / "samples.parquet" for name, path in cells.items()}
    return {name: path.read_bytes() for name, path in found.items() if path.exists()}


def until(what: Callable[[], Any], seconds: float = 200) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := what():
            return found
        time.sleep(0.1)
    raise AssertionError("it did not happen in time")


def workers_of(run: Path) -> list[psutil.Process]:
    """Return the processes of cells of a run, wherever they were started from."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if "distbench.cell" in words and str(run) in words:
            found.append(process)
    return found


def test_a_lost_node_costs_nothing_but_time(ground: Ground) -> None:
    """Equal to a local run: ids, samples, comparison; also where a node is lost and a worker is killed on the way."""
    place = ground.suite("equal", SLOW)
    begun = ground.begin(place, "--out", "ray")
    run = place / "ray"
    until(lambda: len(journal(run, "placed")) >= 3 and len(workers_of(run)) >= 2)
    ground.cluster.remove_node(ground.nodes.pop(0), allow_graceful=False)
    until(lambda: journal(run, "lost"))
    worker = psutil.Process(until(lambda: workers_of(run))[0].ppid())
    assert "ray::" in worker.cmdline()[0]
    worker.kill()
    _, told = begun.communicate(timeout=240)
    ground.nodes.insert(0, ground.add(1))
    assert begun.returncode == 0, told
    assert len(journal(run, "lost")) == 2, told
    assert "it is tried again" in told
    distbench(place, "run", "suite.yaml", "--out", "local", check=0, DISTBENCH_CACHE=str(place / "other"))
    assert answers(run) == answers(place / "local")
    ray_side, local = (
        json.loads(distbench(place, "compare", name, "--json", check=0).stdout) for name in ("ray", "local")
    )
    assert ray_side["students"] == local["students"]


def test_a_measurement_has_its_node_for_itself(ground: Ground) -> None:
    place = ground.suite("alone", 1.0, measure={"load": {}})
    ground.run(place, "--out", "run")
    run = place / "run"
    began = {tuple(each["cells"]): each for each in journal(run, "placed")}
    ended = {tuple(each["cells"]): each for each in journal(run, "left")}
    assert began.keys() == ended.keys()
    records = {cell: json.loads((run / "cells" / cell / "record.json").read_text()) for ids in began for cell in ids}
    (measured,) = [ids for ids in began if records[ids[0]]["result"]["kind"] == "measure"]
    assert "a whole node" in records[measured[0]]["placed"]
    beside = [
        ids for ids in began
        if ids != measured and began[ids]["node"] == began[measured]["node"]
        and began[ids]["clock"] < ended[measured]["clock"] and began[measured]["clock"] < ended[ids]["clock"]
    ]  # fmt: skip
    assert not beside
    assert len(began) >= 4


def test_what_no_node_can_hold_is_refused_at_once(ground: Ground) -> None:
    place = ground.suite("huge", 0.0, resources={"memory": "900GiB"})
    began = time.monotonic()
    done = ground.run(place, "--out", "run", check=5)
    assert time.monotonic() - began < 60  # 30 are promised; this machine may be busy
    assert "needs 1 CPUs, 900.0 GiB of memory" in done.stderr
    assert "the cluster has" in done.stderr
    assert not (place / "run").exists()
    cuda = ground.run(place, "--device", "cuda", "--out", "run", check=5)
    assert "1 GPUs" in cuda.stderr
    assert "no node has GPUs" in cuda.stderr


def test_a_second_driver_is_refused_and_an_interrupt_leaves_nothing_behind(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ground.suite("stopped", 2 * SLOW, students=2)
    monkeypatch.syspath_prepend(ground.folder / "package")
    plugins.forget()
    begun = ground.begin(place, "--out", "run")
    run = place / "run"
    until(lambda: workers_of(run) and journal(run, "done"))
    second = here(place, "run", "suite.yaml", "--out", "run", check=5)  # the lock asks nobody for the engine
    assert "run" in second.stderr
    begun.send_signal(signal.SIGINT)
    _, told = begun.communicate(timeout=120)
    assert begun.returncode == 130, told
    assert "--engine ray" in told  # how to go on
    until(lambda: not workers_of(run), 20)
    kept = answers(run, stopped=True)
    assert 1 <= len(kept) < 3
    ground.run(place, "--out", "run")
    assert kept.items() < answers(run).items()
    plugins.forget()


def test_nodes_without_a_common_disk_are_brought_what_they_need(ground: Ground) -> None:
    place = ground.folder / "apart"
    write(place, SUITE)
    done = ground.apart(place, "--out", "run")
    assert done.returncode == 0, done.stderr
    assert not any(each["shared"] for each in journal(place / "run", "placed"))
    assert (place / "run" / "logs").iterdir()
    distbench(place, "run", "suite.yaml", "--out", "local", check=0, DISTBENCH_CACHE=str(place / "other"))
    assert answers(place / "run") == answers(place / "local")
    for path in (place / "run" / "cells").glob("*/cell.json"):  # paths are ours again, whatever they were there
        assert path.read_text() == (place / "local" / path.relative_to(place / "run")).read_text()
    assert not list((place / "run").rglob(".tmp-*"))
