"""Engines by name, and what is said where one cannot be had: before anything is written."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from distbench.errors import EnvironmentFault, UsageError
from distbench.executors import ending
from distbench.executors.apart import Input, Supplies, Workshop, inputs_of, visible
from distbench.executors.engine import engine_of
from distbench.executors.parcels import content, unwrap, wrap
from distbench.executors.ray_node import difference, surroundings
from distbench.schema.cell import EvaluateCell, ModelRef, Settings
from distbench.schema.suite import TaskSpec
from tests.command import here
from tests.schedulers.suites import SUITE, write


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--engine", "rya"], 2, "unknown executor 'rya'; did you mean 'ray'?"),
        (["--engine", "ray"], 5, "--engine ray needs a cluster: --ray-address auto"),
        (["--engine", "ray", "--ray-address", "nowhere"], 5, "expected auto, local or HOST:PORT"),
        (["--engine", "ray", "--ray-address", "ray://10.0.0.5:10001"], 2, "Ray Client is not supported"),
        (["--engine", "ray", "--ray-address", "127.0.0.1:99999999"], 5, "no Ray cluster answers"),
        (["--ray-address", "auto"], 2, "--ray-address means nothing on this machine alone"),
        (["--retries", "3"], 2, "--retries means nothing on this machine alone"),
    ],
)
def test_what_cannot_be_had_is_one_line(
    arguments: list[str], code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    write(tmp_path)
    done = here(tmp_path, "run", "suite.yaml", "--out", "run", *arguments, check=code)
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_client_address_of_the_environment_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    write(tmp_path)
    done = here(tmp_path, "run", "suite.yaml", "--out", "run", "--engine", "ray", check=2)
    assert "RAY_ADDRESS 'ray://head:10001': Ray Client" in done.stderr
    assert not (tmp_path / "run").exists()


def test_an_address_where_nobody_listens_is_refused_at_once(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        pytest.raises(EnvironmentFault, match="no Ray cluster answers"),
        engine_of("ray", {"address": f"[::1]:{port}"}),
    ):
        pass


def test_without_ray_the_extra_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    code = "import sys; sys.modules['ray'] = None\nfrom distbench.cli import main\nmain()"
    words = [sys.executable, "-c", code, "run", "suite.yaml", "--engine", "ray", "--ray-address", "auto"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert done.stderr.strip().endswith("needs 'ray', which is not installed; pip install 'distbench[ray]'")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["suite.yaml"]


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ({"cpus": 0.5}, "would reserve 0.5 CPUs and use 1 threads"),
        ({"gpus": 1}, "reserves 1 GPUs, and its device is cpu"),
        ({"memory": "much"}, "an amount of memory such as 8GiB"),
        ({"memory": "8"}, "an amount of memory such as 8GiB"),
        ({"cpu": 2}, "did you mean 'cpus'?"),
        ({"measure": {"cpus": 0}}, "must be greater than 0"),
    ],
)
def test_resources_that_contradict_the_suite_are_refused(
    resources: dict[str, object], said: str, tmp_path: Path
) -> None:
    write(tmp_path, SUITE | {"resources": resources})
    done = here(tmp_path, "run", "suite.yaml", "--out", "run", check=2)
    assert said in done.stderr
    assert not (tmp_path / "run").exists()


def test_another_version_on_a_node_is_told_apart() -> None:
    ours = surroundings()
    assert difference(ours, surroundings(), "cpu") is None
    theirs = ours | {"packages": ours["packages"] | {"numpy": "1.0"}}
    assert difference(ours, theirs, "cpu") == f"numpy is 1.0 there and {ours['packages']['numpy']} here"
    bare = ours | {"packages": {}}
    assert "not installed there" in str(difference(ours, bare, "cpu"))
    other = ours | {"bfloat16": not ours["bfloat16"]}
    assert "bfloat16" in str(difference(ours, other, "cpu"))
    assert difference(ours, other, "cuda:0") is None


# -- machines without a common disk ------------------------------------------------------------------------------------


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "models" / "m"
    (folder / "deep").mkdir(parents=True)
    (folder / "weights").write_bytes(bytes(range(256)) * 40_000)  # more than one piece
    (folder / "deep" / "link").symlink_to(folder / "weights")
    return folder


def cell(path: Path) -> EvaluateCell:
    return EvaluateCell(
        id="c",
        title="m on t",
        needs=[],
        model=ModelRef(name="m", role="student", use="decision-tree", identity="i", path=str(path)),
        task=TaskSpec.model_validate({"use": "x", "data": {"test": str(path / "weights")}, "note": "/etc"}),
        settings=Settings(seed=0, device="cpu", dtype="float32", threads=1),
    )


def test_files_arrive_as_they_were_and_paths_follow_them(model: Path) -> None:
    kept: list[bytes] = []

    def put(piece: bytes) -> int:
        kept.append(piece)
        return len(kept) - 1

    one = cell(model)
    paths = inputs_of(one)
    assert paths == [model, model / "weights"]
    supplies = Supplies((one.model_dump_json(),), {}, {str(path): wrap(path, put) for path in paths})
    assert len(kept) > 2
    with Workshop(["c"], supplies, kept.__getitem__) as shop:
        moved = json.loads((shop.run / "plan" / "c.json").read_text())
        there = Path(moved["model"]["path"])
        assert there != model
        assert content(there) == content(model)
        assert not (there / "deep" / "link").is_symlink()
        assert Path(moved["task"]["data"]["test"]).read_bytes() == (model / "weights").read_bytes()
        assert moved["task"]["note"] == "/etc"
    assert not shop.run.exists()


def test_what_a_killed_worker_left_on_its_machine_is_removed_by_the_next(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run directory with a half-built cell, and a half-fetched input in the node's own cache."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("DISTBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    words = "; ".join([
        "import os, signal",
        "from pathlib import Path",
        "from distbench.executors.apart import Supplies, Workshop",
        "from distbench.executors.parcels import wrap",
        f"path = Path({str(model / 'weights')!r})",
        "parcel = wrap(path, lambda piece: piece)",
        "shop = Workshop(['c'], Supplies((), {}, {str(path): parcel}), lambda p: os.kill(os.getpid(), signal.SIGKILL))",
        "shop.__enter__()",
    ])  # fmt: skip
    killed = subprocess.run([sys.executable, "-c", words], check=False)
    assert killed.returncode == -signal.SIGKILL

    def leftovers() -> list[Path]:
        return [*tmp_path.glob("distbench-workshop*"), *(tmp_path / "cache").rglob(".tmp-*")]

    assert len(leftovers()) == 2
    with Workshop(["c"], Supplies((cell(model).model_dump_json(),), {}, {}), lambda piece: b"") as shop:
        assert leftovers() == [shop.run]
    assert leftovers() == []


def test_what_arrives_changed_is_refused(model: Path, tmp_path: Path) -> None:
    kept: list[bytes] = []
    (model / "weights").write_bytes(b"not seen before" * 10_000)
    parcel = wrap(model / "weights", lambda piece: kept.append(piece) or len(kept) - 1)  # type: ignore[func-returns-value]
    kept[0] = kept[0][:5000] + b"x" + kept[0][5001:]
    supplies = Supplies((cell(model).model_dump_json(),), {}, {str(model): parcel})
    with pytest.raises(Exception, match="did not arrive as it was sent"), Workshop(["c"], supplies, kept.__getitem__):
        pass
    with pytest.raises(Exception, match="cannot be unpacked"):
        unwrap([b"no tar file" * 100], tmp_path / "folder")


def test_a_path_with_other_content_is_not_the_same_input(model: Path) -> None:
    seen = Input.of(model)
    assert visible([seen])
    (model / "weights").write_bytes(b"shorter")
    assert not visible([seen])
    assert not visible([Input("/not/here", 1, 1)])


def test_a_group_of_dead_processes_is_not_waited_for() -> None:
    child = subprocess.Popen(["true"], start_new_session=True)
    try:
        while psutil.Process(child.pid).status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)
        assert not ending._group_lives(child.pid)
        with subprocess.Popen(["sleep", "60"], start_new_session=True) as living:
            assert ending._group_lives(living.pid)
            living.kill()
    finally:
        child.wait()


def test_an_engine_has_no_other_options() -> None:
    with pytest.raises(UsageError):
        engine_of("local", {"address": "auto"})
