"""Several processes train one model: the student that one would have made, and nothing left behind when one dies."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate.data_loader import BatchSamplerShard
from torch.utils.data import BatchSampler

from distbench.cell.torchrun import first_failure
from distbench.data.signal_file import save_signal
from distbench.data.teacher_sampled import TeacherSampledOptions, sample
from distbench.errors import UsageError
from distbench.executors.job import Job
from distbench.executors.local import LocalExecutor
from distbench.models.hf_causal import HFCausal
from distbench.protocols import SignalRequest
from distbench.schema.training import Launch
from distbench.training.dealing import ABSENT, Dealer
from distbench.training.processes import Processes
from tests.command import here
from tests.conftest import CPU, save_tiny_lm
from tests.training import one_of_several
from tests.warm import answer

ROOT = Path(__file__).parents[2]
SECONDS = 600  # a busy machine is no failure
SOFT, HARD = {"use": "forward-kl", "temperature": 1.0}, {"use": "labels"}
# 22 rows in batches of 7: the last one has a single row, so that the second process has none.
BUDGET = {"batch_size": 7, "steps": 8, "learning_rate": 1e-3, "precision": "float32", "look_every": 4}


@dataclass(frozen=True)
class Ended:
    """What a training left: its report and weights, or how it ended."""

    code: int
    log: str
    report: dict[str, Any] = field(default_factory=dict)
    weights: dict[str, Any] = field(default_factory=dict)

    @property
    def losses(self) -> list[float]:
        return [loss for _, loss in self.report["loss"]]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Write a teacher that is sure of itself, and what it thinks of 22 rows of its own."""
    folder = tmp_path_factory.mktemp("launch")
    teacher = HFCausal.open(save_tiny_lm(folder / "teacher"), CPU)
    with torch.no_grad():
        teacher.module.get_decoder().norm.weight.mul_(20.0)
    teacher.save(folder / "teacher")
    options = TeacherSampledOptions(sequences=22, length=12, heldout=4)
    handle = one_of_several.Handle(folder / "teacher")
    save_signal(sample([teacher], options, SignalRequest([handle])), folder)  # type: ignore[list-item]
    return {"teacher": str(folder / "teacher"), "signal": str(folder)}


class Forks:
    """Starts the processes of a training by forking one that has imported everything."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.training.one_of_several", "--forks"], cwd=ROOT, text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip

    def start(self, file: Path, count: int) -> tuple[int, str]:
        """Train to the end; return exit code and log."""
        code = answer(self.process, [str(file), count], SECONDS)
        return code, file.with_suffix(".log").read_text("utf-8")


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    found = Forks()
    with found.process as process:
        yield found
        assert process.stdin is not None
        process.stdin.close()


def torchrun(file: Path, count: int) -> tuple[int, str]:
    """Train as cells do; return exit code and log."""
    prefix = ["distbench.cell.torchrun", "--nproc-per-node", str(count), "--max-restarts", "0", "--standalone"]
    done = subprocess.run(
        [sys.executable, "-m", *prefix, "-m", "--", "tests.training.one_of_several", str(file)],
        env=os.environ | {"OMP_NUM_THREADS": "1"}, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


def alone_here(file: Path, _: int) -> tuple[int, str]:
    one_of_several.main(file)
    return 0, ""


def train(
    folder: Path, files: dict[str, str], start: Any = alone_here, options: dict[str, Any] | None = None, **asked: Any
) -> Ended:
    """Train in this process, or in the two that `start` begins."""
    folder.mkdir(exist_ok=True)
    launch = None if start is alone_here else Launch.model_validate({"processes": 2} | (options or {}))
    told = {"terms": [SOFT, HARD], "online": False, "scratch": str(folder / "scratch"), "budget": BUDGET}
    file = folder / "asked.json"
    file.write_text(json.dumps(files | told | {"launch": launch.model_dump() if launch else None} | asked))
    code, log = start(file, 2)
    if code:
        return Ended(code, log)
    return Ended(0, log, json.loads(file.with_suffix(".report").read_text()), torch.load(file.with_suffix(".pt")))


def check_same(one: Ended, several: Ended) -> None:
    """Compare what each step saw, and what came out of it."""
    assert several.code == 0, several.log
    assert several.losses == pytest.approx(one.losses, rel=1e-5)
    assert len(one.losses) == BUDGET["steps"]
    for name, expected in one.weights.items():
        torch.testing.assert_close(several.weights[name], expected, atol=1e-5, rtol=0)
    for (_, a), (_, b) in zip(one.report["heldout"], several.report["heldout"], strict=True):
        assert b == pytest.approx(a, rel=1e-5)
    assert several.report["heldout_after"] == pytest.approx(one.report["heldout_after"], rel=1e-5)


# -- the same student --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def alone(files: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Ended:
    return train(tmp_path_factory.mktemp("alone"), files)


@pytest.mark.parametrize("sharding", ["none", "fsdp2"])
def test_two_processes_make_the_student_that_one_makes(
    files: dict[str, str], alone: Ended, forks: Forks, tmp_path: Path, sharding: str
) -> None:
    assert alone.losses[-1] != pytest.approx(alone.losses[0], rel=1e-2)  # it learned: equality says something
    check_same(alone, train(tmp_path, files, forks.start, {"sharding": sharding}))


def test_a_teacher_that_is_asked_online_is_divided_too(files: dict[str, str], forks: Forks, tmp_path: Path) -> None:
    budget = BUDGET | {"accumulate": 2}
    one = train(tmp_path / "one", files, online=True, budget=budget)
    assert one.report["options"]["teacher"] == "online"
    check_same(one, train(tmp_path / "two", files, forks.start, online=True, budget=budget))


def test_a_killed_process_ends_all_and_the_training_goes_on_from_its_checkpoint(
    files: dict[str, str], alone: Ended, forks: Forks, tmp_path: Path
) -> None:
    budget = BUDGET | {"checkpoint_every": 2}
    began = time.monotonic()
    killed = train(tmp_path, files, torchrun, budget=budget, kill=[1, 5])
    assert time.monotonic() - began < SECONDS / 2
    assert killed.code != 0
    assert killed.log.strip().splitlines()[-1] == "process 1 was killed by signal 9, likely out of memory"
    resumed = train(tmp_path, files, forks.start, budget=budget)
    assert resumed.report["resumed_from"] == 4
    check_same(alone, resumed)


def test_texts_that_the_student_writes_need_whole_weights(files: dict[str, str], forks: Forks, tmp_path: Path) -> None:
    refused = train(tmp_path, files, forks.start, online=True, on_policy=1.0)
    assert refused.code != 0
    assert "use sharding: none" in refused.log


# -- who gets which rows -----------------------------------------------------------------------------------------------


def dealt(rows: int, batch: int, count: int, at: int = 0) -> list[list[list[int]]]:
    """Return the rows of each step and process, as accelerate deals them."""
    dealer = Dealer(rows, batch, seed=3, present=lambda: at, processes=Processes(0, count))
    sampler = BatchSampler(dealer, dealer.width, drop_last=False)
    parts = [list(BatchSamplerShard(sampler, count, rank)) if count > 1 else list(sampler) for rank in range(count)]
    assert len({len(part) for part in parts}) == 1  # else one of them waits for ever
    return [list(step) for step in zip(*parts, strict=True)]


@pytest.mark.parametrize(("rows", "batch"), [(24, 8), (22, 7), (15, 7), (3, 8), (29, 4)])
@pytest.mark.parametrize("count", [2, 3])
def test_every_step_sees_the_same_rows_however_many_processes(rows: int, batch: int, count: int) -> None:
    one, several = dealt(rows, batch, 1), dealt(rows, batch, count)
    present = [sorted(row for part in step for row in part if row != ABSENT) for step in several]
    assert present == [sorted(step[0]) for step in one]
    assert sorted(row for step in present for row in step) == list(range(rows))


def test_every_pass_has_an_order_of_its_own() -> None:
    assert dealt(24, 8, 2, at=0) != dealt(24, 8, 2, at=1)
    assert dealt(24, 8, 2, at=1) == dealt(24, 8, 2, at=1)


# -- processes ---------------------------------------------------------------------------------------------------------


def test_a_process_has_its_own_device_and_its_part_of_the_threads() -> None:
    gpu = CPU.model_copy(update={"device": "cuda:0", "threads": 8})
    assert Processes(3, 4, 1).own(gpu).device == "cuda:1"
    assert Processes(3, 4, 1).own(gpu).threads == 2
    assert Processes(1, 2, 1).own(CPU).device == "cpu"
    assert Processes(1, 2, 1).own(CPU).threads == 1
    assert Processes().own(gpu) == gpu


def test_another_number_of_processes_than_the_suite_asks_for_is_refused() -> None:
    Processes(0, 2).check(Launch(processes=2))
    Processes().check(None)
    with pytest.raises(
        UsageError, match=r"asks for 2 processes .* one of 1; start it with torchrun --nproc-per-node 2"
    ):
        Processes().check(Launch(processes=2))
    with pytest.raises(UsageError, match=r"asks for 1 process .* one of 4"):
        Processes(0, 4).check(None)


def test_the_process_that_was_killed_is_named_not_those_that_missed_it() -> None:
    failures = {0: SimpleNamespace(exitcode=1), 1: SimpleNamespace(exitcode=-9), 2: SimpleNamespace(exitcode=1)}
    failures[3] = SimpleNamespace(exitcode=-15)
    assert first_failure(failures) == "process 1 was killed by signal 9, likely out of memory"
    ended = {0: SimpleNamespace(exitcode=-15), 1: SimpleNamespace(exitcode=1)}
    assert first_failure(ended) == "process 1 ended with exit code 1"
    assert first_failure({2: SimpleNamespace(exitcode=1)}) == "process 2 ended with exit code 1"
    assert first_failure({0: SimpleNamespace(exitcode=-11)}) == "process 0 was killed by signal 11 (SIGSEGV)"


SLEEPER = """
import os, sys, time
from pathlib import Path
from distbench.cell.events import die_with_parent
die_with_parent()
Path(sys.argv[1], os.environ["RANK"]).write_text(str(os.getpid()))
time.sleep(600)
"""


def alive(pid: int) -> bool:
    """Say whether a process runs; one that nobody has waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(true: Any, seconds: float = 120.0) -> bool:
    """Wait until something is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's parent-death signal")
@pytest.mark.parametrize("sign", [signal.SIGKILL, signal.SIGTERM])
def test_when_torchrun_is_ended_its_processes_are_too(tmp_path: Path, sign: signal.Signals) -> None:
    script, pids = tmp_path / "sleeper.py", tmp_path / "pids"
    script.write_text(SLEEPER)
    pids.mkdir()
    command = [sys.executable, "-m", "distbench.cell.torchrun", "--nproc-per-node", "2", "--standalone"]
    parent = subprocess.Popen([*command, str(script), str(pids)], stderr=subprocess.DEVNULL, cwd=ROOT)
    assert until(lambda: len([file for file in pids.iterdir() if file.read_text()]) == 2)
    ranks = [int(file.read_text()) for file in pids.iterdir()]
    assert all(alive(pid) for pid in ranks)
    parent.send_signal(sign)
    parent.wait(SECONDS)
    assert until(lambda: not any(alive(pid) for pid in ranks))


def test_a_cell_of_one_process_is_started_as_ever(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started: list[tuple[list[str], str]] = []

    def popen(command: list[str], env: dict[str, str], **_: Any) -> Any:
        started.append((command, env["OMP_NUM_THREADS"]))
        raise OSError("not in a test")

    (tmp_path / "logs").mkdir()
    monkeypatch.setattr(subprocess, "Popen", popen)
    for job in (Job(["a"], 4), Job(["a"], 4, processes=2)):
        with pytest.raises(OSError, match="not in a test"):
            LocalExecutor(tmp_path).execute(job, lambda _: None)
    (one, threads), (two, each) = started
    assert (threads, each) == ("4", "2")
    assert one[1:3] == ["-m", "distbench.cell"]
    assert two[1:3] == ["-m", "distbench.cell.torchrun"]
    assert two[two.index("--") :] == ["--", *one[2:]]
    assert two[two.index("--") - 1] == "-m"


# -- from a suite ------------------------------------------------------------------------------------------------------

SUITE = """\
version: 1
name: together
device: cpu
threads: 2
teachers:
  big: {use: hf-causal, source: ./teacher}
students:
  - name: kd
    of: big
    init: {use: layer-drop, keep: 2}
    distil:
      use: soft-labels
      data: {use: teacher-sampled, sequences: 10, length: 8, heldout: 2}
      control: none
      steps: 3
      batch_size: 4
      launch: {processes: 2, sharding: none}
tasks:
  - {use: lm-eval, name: distbench_facts, samples: 4}
"""


def test_a_run_starts_several_processes_and_evaluates_what_they_made(files: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(SUITE.replace("./teacher", files["teacher"]))
    done = here(tmp_path, "run", "suite.yaml", "--out", "run", "-q")  # what several processes do is done by several
    cells = [json.loads(file.read_text()) for file in (tmp_path / "run").glob("cells/*/cell.json")]
    assert sorted(cell["title"] for cell in cells if cell["kind"] == "make") == ["make kd"], done.stderr
    assert len([cell for cell in cells if cell["kind"] == "evaluate"]) == 2
    journal = (tmp_path / "run" / "journal.jsonl").read_text()
    assert '"failed"' not in journal
    (record,) = [
        json.loads((file.parent / "record.json").read_text())
        for file in (tmp_path / "run").glob("cells/*/cell.json")
        if json.loads(file.read_text())["kind"] == "make"
    ]
    training = record["result"]["training"]
    assert training["steps"] == 3
    assert training["units"] == 3 * 4 * 8
