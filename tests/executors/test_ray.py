"""The same cells on a Ray cluster of several nodes: equal results, losses, measurements, interrupts."""

from __future__ import annotations

import json
import os
import platform
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
from distbench.executors.ray_executor import RayExecutor
from distbench.store.files import damage
from tests.command import Done, here
from tests.executors.small_cluster import add_node, small_cluster
from tests.executors.steady_model import install, write_model
from tests.schedulers.suites import SUITE, write

ray = pytest.importorskip("ray", reason="needs the extra 'ray'")
PATIENCE = 200.0  # seconds that a model waits for its gate at most
BRIEF = {"latency": {"batch_sizes": [1], "rounds": 2, "launches": 1, "max_launches": 1}}


class Ground:
    """A cluster, a place for runs, and suites whose cells are at work until a gate is opened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cluster = small_cluster(2)  # each node more is ten seconds of CPU time
        self.lost = add_node(self.cluster, 1, "127.0.0.2")  # one day

    def suite(self, name: str, *, students: int = 2, **more: Any) -> Path:
        """Write a suite in a folder of its own, where its runs go as well. The teacher waits for no gate."""
        place = self.folder / name
        place.mkdir(exist_ok=True)
        for number in range(students + 1):
            write_model(place / f"m{number}.json", PATIENCE if number else 0.0, number, place / "open")
        suite = {
            "version": 1, "name": name, "device": "cpu", "threads": 1,
            "teachers": {"t": {"use": "steady", "source": "m0.json"}},
            "students": [{"name": f"s{n}", "of": "t", "source": f"m{n}.json"} for n in range(1, students + 1)],
            "tasks": [{"use": "classification", "name": "digits", "data": {"use": "sklearn-digits"}}],
        }  # fmt: skip
        (place / "suite.yaml").write_text(json.dumps(suite | more), encoding="utf-8")
        return place

    def words(self, *arguments: str) -> list[str]:
        return ["run", "suite.yaml", "--engine", "ray", "--ray-address", self.cluster.address, *arguments]

    def run(self, place: Path, *arguments: str, check: int = 0) -> Done:
        """Run a suite on the cluster; the driver is this process."""
        return here(place, *self.words(*arguments), check=check, DISTBENCH_CACHE=str(place / "cache"))

    def begin(self, place: Path, *arguments: str) -> subprocess.Popen[str]:
        """Begin a run that a test will disturb."""
        return subprocess.Popen(
            [sys.executable, "-m", "distbench", *self.words(*arguments)], cwd=place, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=os.environ | {"DISTBENCH_CACHE": str(place / "cache")},
        )  # fmt: skip


def locally(place: Path, *arguments: str) -> None:
    """Run a suite in this process, with a cache of its own."""
    here(place, "run", "suite.yaml", *arguments, check=0, DISTBENCH_CACHE=str(place / "other"))


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    folder = tmp_path_factory.mktemp("ray")
    before = os.environ.get("PYTHONPATH")
    package = str(install(folder / "package"))
    os.environ["PYTHONPATH"] = os.pathsep.join([package, *([before] if before else [])])  # nodes inherit it
    sys.path.insert(0, package)
    plugins.forget()
    ground = Ground(folder)
    try:
        yield ground
    finally:
        ground.cluster.shutdown()
        sys.path.remove(package)
        plugins.forget()
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


def has_a_node(process: psutil.Process) -> bool:
    """Say whether the Ray worker of a cell's process still has its node: what a lost one leaves ends a moment later."""
    try:
        node = process.parent().parent()  # type: ignore[union-attr]
        return node is not None and "raylet" in " ".join(node.cmdline())
    except (AttributeError, psutil.Error):
        return False


def test_what_no_node_can_hold_is_refused_at_once(ground: Ground) -> None:
    place = ground.suite("huge", resources={"memory": "900GiB"})
    began = time.monotonic()
    done = ground.run(place, "--out", "run", check=5)
    assert time.monotonic() - began < 60  # 30 are promised; this machine may be busy
    assert "needs 1 CPUs, 900.0 GiB of memory" in done.stderr
    assert "the cluster has" in done.stderr
    assert not (place / "run").exists()
    cuda = ground.run(place, "--device", "cuda", "--out", "run", check=5)
    assert "1 GPUs" in cuda.stderr
    assert "no node has GPUs" in cuda.stderr


def test_nodes_without_a_common_disk_are_brought_what_they_need(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ground.folder / "apart"
    write(place, SUITE | {"students": SUITE["students"][:1]})
    with monkeypatch.context() as blind:
        blind.setattr(RayExecutor, "_mark", lambda self: None)
        ground.run(place, "--out", "run")
    assert not any(each["shared"] for each in journal(place / "run", "placed"))
    assert list((place / "run" / "logs").iterdir())
    locally(place, "--out", "local")
    assert answers(place / "run") == answers(place / "local")
    for path in (place / "run" / "cells").glob("*/cell.json"):  # paths are ours again, whatever they were there
        assert path.read_text() == (place / "local" / path.relative_to(place / "run")).read_text()
    assert not list((place / "run").rglob(".tmp-*"))


def test_a_run_whose_time_is_over_ends_what_is_at_work(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distbench.execute.budget.LEAST_GRACE", 0.0)
    place = ground.suite("timed", students=3)
    ground.run(place, "--out", "run", "--max-time", "10s", check=3)
    run = place / "run"
    assert not workers_of(run)
    left_out = json.loads((run / "left_out.json").read_text())["cells"]
    assert len(left_out) >= 3
    assert len(left_out) + len(answers(run)) == 4
    assert "it was ended: the time and its grace were over" in left_out.values()


def test_a_second_driver_is_refused_and_an_interrupt_leaves_nothing_behind(ground: Ground) -> None:
    """What is kept can be resumed, also on another engine."""
    place = ground.suite("stopped")
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
    assert len(kept) == 1
    (place / "open").touch()
    locally(place, "--out", "run")
    assert kept.items() < answers(run).items()


def test_a_lost_node_costs_nothing_but_time_and_a_measurement_has_its_node_for_itself(ground: Ground) -> None:
    """Equal to a local run: ids, samples, comparison; also where a node is lost and a worker is killed on the way."""
    place = ground.suite("equal", students=3, measure=BRIEF)
    begun = ground.begin(place, "--out", "ray")
    run = place / "ray"
    # a student on each CPU
    until(lambda: journal(run, "done") and len(at_work(run)) == 3 and len(workers_of(run)) >= 3)
    ground.cluster.remove_node(ground.lost, allow_graceful=False)
    until(lambda: losses(run) or begun.poll() is not None)
    assert begun.poll() is None, begun.communicate()[1]
    worker = psutil.Process(until(lambda: [each for each in workers_of(run) if has_a_node(each)])[0].ppid())
    assert "ray::" in worker.cmdline()[0]
    worker.kill()
    until(lambda: len(losses(run)) == 2)
    (place / "open").touch()
    _, told = begun.communicate(timeout=240)
    assert begun.returncode == 0, told
    assert len(losses(run)) == 2, told
    assert "it is tried again" in told
    suite = json.loads((place / "suite.yaml").read_text())
    (place / "suite.yaml").write_text(json.dumps({key: value for key, value in suite.items() if key != "measure"}))
    locally(place, "--out", "local")
    assert answers(run) == answers(place / "local")
    assert compared(run) == compared(place / "local")
    _check_alone(run)


def at_work(run: Path) -> list[dict[str, Any]]:
    """Return where jobs are, of one cell each, that has not ended."""
    over = {each["cell"] for each in journal(run, "done")}
    return [each for each in journal(run, "placed") if each["cells"][0] not in over]


def losses(run: Path) -> list[dict[str, Any]]:
    """Return the losses of jobs that had a place; a measurement may have waited for the node that went away."""
    return [each for each in journal(run, "lost") if each["message"].endswith(f" on {platform.node()}")]


def compared(run: Path) -> list[dict[str, Any]]:
    """Return what was found out about the students, without what was measured."""
    students = json.loads((run / "result.json").read_text())["students"]
    return [{k: v for k, v in student.items() if k not in {"measured_on", "measurements"}} for student in students]


def _check_alone(run: Path) -> None:
    """Nothing was at work on the node of the measurement while it was."""
    began = {tuple(each["cells"]): each for each in journal(run, "placed")}
    ended = {tuple(each["cells"]): each for each in journal(run, "left")}
    assert began.keys() == ended.keys()
    records = {cell: json.loads((run / "cells" / cell / "record.json").read_text()) for ids in began for cell in ids}
    (measured,) = [ids for ids in began if records[ids[0]]["result"]["kind"] == "measure"]
    assert "a whole node" in records[measured[0]]["placed"]
    assert len(began) == 5
    assert not [
        ids for ids in began
        if ids != measured and began[ids]["node"] == began[measured]["node"]
        and began[ids]["clock"] < ended[measured]["clock"] and began[measured]["clock"] < ended[ids]["clock"]
    ]  # fmt: skip
