"""`run --max-time`: no cell begins that would not end in time; what was left out is said, and a later start runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from distbench.execute.budget import Budget, TimedQueue, in_order
from distbench.execute.run import Runner
from distbench.executors.job import Ended, Job
from distbench.plan.arrange import Bundle
from distbench.schema.cell import EvaluateCell, MakeCell, ModelRef, Settings
from distbench.schema.suite import TaskSpec
from distbench.store.cache import Cache
from distbench.store.run_dir import RunDir
from tests.command import here

CPU = Settings(seed=0, device="cpu", dtype="float32", threads=1)
PAIR = [Bundle(("T", "S"), 0, 1.0), Bundle(("T2", "S2"), 0, 1.0)]


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def ref(name: str) -> ModelRef:
    return ModelRef(name=name, role="student", use="mlp", identity=name)


def evaluation(name: str, model: str = "m", needs: tuple[str, ...] = ()) -> EvaluateCell:
    task = TaskSpec(use="classification", name="t")
    return EvaluateCell(
        id=name, title=name, needs=list(needs), model=ref(model), task=task, settings=CPU, decided_by=[]
    )  # fmt: skip


def budget(clock: Clock, seconds: float = 100.0, **costs: float) -> Budget:
    return Budget(seconds, PAIR, {"T": 30.0, "S": 30.0, "T2": 30.0, "S2": 30.0} | costs, clock)


def test_a_pair_begins_only_where_both_its_cells_have_the_time() -> None:
    clock = Clock()
    time = budget(clock)
    assert time.allows(evaluation("T"))
    clock.now += 45.0  # 55 s are left, and a pair takes 60
    assert not time.allows(evaluation("T2"))
    time.settled(["T"])
    assert time.allows(evaluation("S"))  # what is left of the pair that has begun fits


def test_side_by_side_a_pair_takes_its_longest_chain_and_its_share_of_the_slots() -> None:
    clock = Clock()
    time = budget(clock)
    clock.now += 45.0
    time.side_by_side(2, [evaluation("T2"), evaluation("S2")])
    assert time.allows(evaluation("T2"))  # both in 30 s
    time.side_by_side(2, [evaluation("S2", needs=("T2",))])
    assert not time.allows(evaluation("T2"))  # one after the other


def test_estimates_are_corrected_by_what_cells_really_take() -> None:
    clock = Clock()
    time = budget(clock, T3=10.0, T4=10.0, T5=10.0)
    for cell in ("T3", "T4", "T5"):
        time.settle(cell, 20.0)
    clock.now += 10.0
    assert not time.allows(evaluation("T"))  # 60 s were expected, 120 s are likely
    quick = budget(clock, T3=10.0, T4=10.0, T5=10.0)
    for cell in ("T3", "T4", "T5"):
        quick.settle(cell, 5.0)
    clock.now += 60.0
    assert quick.allows(evaluation("T"))


def test_the_grace_is_a_minute_or_a_tenth() -> None:
    clock = Clock()
    time = budget(clock)
    clock.now += 159.0
    assert not time.over()
    clock.now += 2.0
    assert time.over()


def test_what_has_no_time_is_left_out_with_what_needs_it() -> None:
    clock = Clock()
    time = budget(clock, 50.0)
    queue = TimedQueue([[evaluation("T"), evaluation("S")], [evaluation("X", needs=("T",))], [evaluation("Y")]], time)
    assert [cell.id for cell in queue.next(set()) or []] == ["Y"]
    assert queue.next(set()) is None
    assert time.left_out.keys() == {"T", "S", "X"}
    assert "needs a cell that was left out" in time.left_out["X"]


def test_evaluations_of_a_batch_are_sorted_by_model_and_batches_keep_their_order() -> None:
    cells = [evaluation("a1", "a"), evaluation("b1", "b"), evaluation("a2", "a"), evaluation("b2", "b")]
    make = MakeCell(id="mk", title="mk", needs=[], role="student", use="mlp", teachers=[], settings=CPU, decided_by=[])
    order = [Bundle(("a1", "b1"), 0, 1.0), Bundle(("mk", "a2", "b2"), 0, 1.0)]
    costs = dict.fromkeys(("a1", "b1", "a2", "b2", "mk"), 10.0)
    together = in_order([*cells, make], order, costs, batch=1000.0)
    assert [cell.id for cell in together] == ["mk", "a1", "a2", "b1", "b2"]
    apart = in_order([*cells, make], order, costs, batch=10.0)
    assert [cell.id for cell in apart] == ["a1", "b1", "mk", "a2", "b2"]


class Abreast:
    """Two slots, and jobs of which nothing is heard but what a test says; `cancel` ends them."""

    slots, retries = 2, 0

    def __init__(self, run: RunDir, clock: Clock, script: list[tuple[float, int, str]]) -> None:
        self.run, self.clock, self.script = run, clock, script
        self.jobs: list[Job] = []
        self.cancelled: list[str] = []

    def submit(self, job: Job) -> None:
        self.jobs.append(job)
        assert len(self.jobs) - len(self.cancelled) <= 4

    def wait(self, on_event: Callable[[Job, dict[str, Any]], None]) -> tuple[Job, Ended]:
        """Play the script: (seconds that pass, number of the job, what it says)."""
        while True:
            passes, number, said = self.script.pop(0)
            self.clock.now += passes
            job = self.jobs[number]
            if said == "ended":
                return job, Ended(0, "")
            if said == "committed":
                folder = self.run.workplace(job.ids[0])
                (folder / "record.json").write_text("{}")
                self.run.commit(job.ids[0], folder)
            on_event(job, {"event": said, "cell": job.ids[0], "done": 1, "total": 2, "what": ""})

    def cancel(self, jobs: list[Job]) -> None:
        self.cancelled += [job.ids[0] for job in jobs]

    def stop(self) -> None:
        assert not self.script


def played(folder: Path, script: list[tuple[float, int, str]]) -> tuple[Runner, Abreast]:
    """Run four independent cells of 30 s each in 100 s on two slots."""
    run, clock = RunDir.prepare(folder / "run"), Clock()
    cells: list[Any] = [evaluation(name, name) for name in ("T", "S", "T2", "S2")]
    executor = Abreast(run, clock, script)
    runner = Runner(cells, run, Cache(folder / "cache"), executor, mock.MagicMock())
    runner.budget = budget(clock)
    runner.execute()
    return runner, executor


def test_with_several_slots_nothing_waits_elsewhere_and_what_has_no_time_is_left_out(tmp_path: Path) -> None:
    first = [(0, 0, "started"), (0, 1, "started"), (80, 0, "committed"), (0, 0, "ended")]
    runner, executor = played(tmp_path, [*first, (10, 1, "committed"), (0, 1, "ended")])  # the others need 30 s
    assert [job.ids for job in executor.jobs] == [["T"], ["S"]]
    assert runner.state.done == {"T", "S"}
    assert runner.budget is not None
    assert runner.budget.left_out.keys() == {"T2", "S2"}
    assert executor.cancelled == []


def test_with_several_slots_those_at_work_have_the_grace_and_are_ended_then(tmp_path: Path) -> None:
    begun = [(0, 0, "started"), (0, 1, "placed"), (159, 0, "progress")]
    runner, executor = played(tmp_path, [*begun, (2, 0, "clock")])  # nobody says a word, and time passes
    assert executor.cancelled == ["T", "S"]
    assert runner.budget is not None
    why = runner.budget.left_out
    assert why["T"] == "it was ended: the time and its grace were over"
    assert all(why[cell].startswith("not expected to end in time") for cell in ("S", "T2", "S2"))
    assert runner.state.done == set()


def test_a_job_that_waited_too_long_for_its_place_is_taken_back_alone(tmp_path: Path) -> None:
    late = [(0, 0, "started"), (80, 1, "started"), (1, 0, "committed"), (0, 0, "ended")]
    runner, executor = played(tmp_path, late)
    assert executor.cancelled == ["S"]
    assert runner.state.done == {"T"}


# -- the command ------------------------------------------------------------------------------------------------------

SUITE = """
version: 1
name: timed
device: cpu
threads: 1
teachers:
  t: {use: mlp, hidden: [8], fit: {use: hard-labels, data: {use: sklearn-digits}, epochs: 1}}
students:
  - name: s
    of: t
    init: {use: mlp, hidden: [4]}
    distil: {use: soft-labels, temperature: 2.0, data: {use: sklearn-digits}, epochs: 1}
tasks: [{use: classification, name: digits, data: {use: sklearn-digits}}]
gate: {retained: 0.01, task_floor: 0.01}
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "suite.yaml").write_text(SUITE)
    return tmp_path


def command(place: Path, *words: str, check: int | None = None) -> Any:
    return here(place, *words, check=check, DISTBENCH_CACHE=str(place / "cache"))


def test_a_run_whose_time_is_over_is_undecided_and_goes_on_later(place: Path) -> None:
    slow = mock.patch("distbench.execute.budget.Budget.allows", lambda self, cell: "control" not in cell.title
                      and "no-teacher" not in cell.title and "s on" not in cell.title)  # fmt: skip
    with slow:
        done = command(place, "run", "suite.yaml", "--out", "r", "--max-time", "1h", check=3)
    assert "no time for 3 cells, 3 of them needed for a verdict" in done.stderr
    noted = json.loads((place / "r" / "left_out.json").read_text())
    assert len(noted["cells"]) == 3
    assert "Cannot be decided yet: s" in command(place, "gate", "r", check=3).stdout
    compared = " ".join(command(place, "compare", "r", check=0).stdout.split())  # lines end where the terminal does
    assert "--max-time 1 h left no time for them" in compared
    again = command(place, "run", "suite.yaml", "--out", "r", "--json", check=0)
    result = json.loads(again.stdout)
    assert {cell["status"] for cell in result["cells"]} == {"done"}
    assert not (place / "r" / "left_out.json").exists()


def test_time_enough_changes_nothing(place: Path) -> None:
    command(place, "run", "suite.yaml", "--out", "plain", "--quiet", check=0)
    command(place, "run", "suite.yaml", "--out", "timed", "--quiet", "--max-time", "10h", check=0)
    plain, timed = (json.loads((place / name / "result.json").read_text()) for name in ("plain", "timed"))
    assert plain["students"][0]["tasks"] == timed["students"][0]["tasks"]
    assert plain["verdict"] == timed["verdict"]


@pytest.mark.parametrize("time", ["soon", "0", "-5m"])
def test_a_wrong_time_is_a_usage_error_and_nothing_is_written(place: Path, time: str) -> None:
    for verb in ("run", "plan", "distil"):
        done = command(place, verb, "suite.yaml", "--out", "r", f"--max-time={time}", check=2)
        assert "--max-time" in done.stderr
    assert not (place / "r").exists()


def test_a_time_in_which_nothing_fits_is_refused_where_that_is_known(place: Path) -> None:
    command(place, "run", "suite.yaml", "--out", "first", "--quiet", check=0)
    done = here(place, "run", "suite.yaml", "--out", "r", "--history", "first", "--max-time", "0.000001", check=2,
                DISTBENCH_CACHE=str(place / "other"))  # fmt: skip
    assert "is too short" in done.stderr
    done = here(place, "distil", "suite.yaml", "--out", "r", "--history", "first", "--max-time", "0.000001", check=2,
                DISTBENCH_CACHE=str(place / "other"))  # fmt: skip
    assert "is too short: 'make s' alone takes about" in done.stderr
    assert not (place / "r").exists()


def test_a_plan_names_what_there_is_no_time_for(place: Path) -> None:
    command(place, "run", "suite.yaml", "--out", "first", "--quiet", check=0)
    records = [json.loads(path.read_text()) for path in (place / "first").glob("cells/*/record.json")]
    long = max(record["seconds"] for record in records if record["title"] != "make t")
    known = ("plan", "suite.yaml", "--history", "first", "--max-time")

    def lines(limit: float) -> list[str]:
        said = here(place, *known, f"{limit}", check=0, DISTBENCH_CACHE=str(place / "other")).stdout.splitlines()
        return [line for line in said if line.startswith(("in ", "left out", "  without", "  the gate"))]

    (all_of_it,) = lines(1e6)
    assert "everything is expected to finish (the start of processes comes on top)" in all_of_it
    short, out, gated = lines(long / 2)
    assert " of 6 cells (the start of processes comes on top)" in short
    assert out == "left out: 's on digits', and what they need: 6 cells"
    assert gated == "  without 's on digits' there is no pass: the gate asks for it"


def test_what_does_not_fit_is_refused_before_anything_is_written(place: Path) -> None:
    small = mock.patch("distbench.plan.outlook.misfits", return_value=["'t' needs at least 9 TiB of memory"])
    with small:
        planned = command(place, "plan", "suite.yaml", check=5)
        refused = command(place, "run", "suite.yaml", "--out", "r", check=5)
        assert "does not fit: 't' needs at least 9 TiB" in planned.stdout
        assert "error[E005] 't' needs at least 9 TiB of memory; --force begins all the same" in refused.stderr
        assert command(place, "distil", "suite.yaml", "--out", "r", check=5).stderr == refused.stderr
        assert not (place / "r").exists()
        command(place, "distil", "suite.yaml", "--out", "d", "--force", "--quiet", check=0)
        command(place, "run", "suite.yaml", "--out", "r", "--force", "--quiet", check=0)


def test_a_distillation_asks_only_whether_its_own_cells_fit(place: Path) -> None:
    """Row: the disk has room for the models, and not for what comes after them."""
    asked: list[str] = []

    def misfits(cells: Any, *_: Any) -> list[str]:
        asked.extend(cell.kind for cell in cells)
        return ["too much"]

    with mock.patch("distbench.plan.outlook.misfits", misfits):
        command(place, "distil", "suite.yaml", "--out", "r", check=5)
    assert asked == ["make"] * 3


def test_a_distillation_whose_time_is_over_names_what_was_not_made_and_goes_on_later(place: Path) -> None:
    with mock.patch("distbench.execute.budget.Budget.allows", lambda _, cell: "no-teacher" not in cell.title):
        done = command(place, "distil", "suite.yaml", "--out", "r", "--max-time", "1h", "--json", check=3)
    assert "no time to make s-no-teacher (" in done.stderr
    assert "goes on" in done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)["models"]}
    assert Path(rows["s"]["checkpoint"]).is_dir()
    assert rows["s-no-teacher"]["checkpoint"] is None
    assert "not expected to end in time" in rows["s-no-teacher"]["left_out"]
    later = command(place, "distil", "suite.yaml", "--out", "r", "--max-time", "1h", "--json", check=0)
    assert "3 cells, 2 of them finished before" in later.stderr
    assert all(row["checkpoint"] for row in json.loads(later.stdout)["models"])


DEVICES = (
    SUITE.replace("threads: 1\n", 'threads: 1\ndevices: [cpu, "cuda:7"]\n') + "measure: {latency: {launches: 1}}\n"
)


def test_one_evaluation_serves_all_devices_and_one_that_is_not_here_is_named(place: Path) -> None:
    (place / "suite.yaml").write_text(DEVICES)
    cells = json.loads(command(place, "plan", "suite.yaml", "--json", check=0).stdout)["cells"]
    assert sum(cell["kind"] == "evaluate" for cell in cells) == 3
    measured = {cell["device"]: cell["elsewhere"] for cell in cells if cell["kind"] == "measure"}
    assert measured["cpu"] is None
    assert "cuda:7" in (measured["cuda:7"] or "")
    text = command(place, "plan", "suite.yaml", check=0).stdout
    assert "2 measurements of students on cpu, cuda:7" in text
    assert "for another machine: 1 cell: " in text
    refused = command(place, "run", "suite.yaml", "--out", "r", check=5)
    assert "belongs to another machine" in refused.stderr
    assert not (place / "r").exists()


def test_two_names_of_one_device_are_a_usage_error(place: Path) -> None:
    (place / "suite.yaml").write_text(DEVICES.replace('"cuda:7"', "cpu"))
    assert "listed already" in command(place, "plan", "suite.yaml", check=2).stderr
