"""What cells will need: from the same work, from similar work, from files; no number where nothing is known."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from distbench.plan.estimates.asked import Asked
from distbench.plan.estimates.energy import energy_joules
from distbench.plan.estimates.fit import doubts, misfits, refuse
from distbench.plan.estimates.forecasts import Forecaster
from distbench.plan.estimates.history import finished, read_history
from distbench.plan.estimates.likeness import signature
from distbench.plan.estimates.machine import Machine
from distbench.plan.estimates.memory import held
from distbench.plan.estimates.past import Past
from distbench.plan.estimates.seconds import seconds_of
from distbench.plan.estimates.similar import Similar
from distbench.plan.expand import expand
from distbench.plan.outlook import Cell, _costs
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell, ModelRef, Settings
from distbench.schema.forecast import about, closest, unknown
from distbench.schema.strict import Use
from distbench.schema.suite import Suite, TaskSpec
from distbench.store.cache import Cache
from distbench.store.run_dir import RunDir
from tests.command import here

CPU = Settings(seed=0, device="cpu", dtype="float32", threads=1)
EMPTY = Machine(memory=2**40, free_memory=2**40, disk=2**40, cache_disk=None, devices={})


def past(task: str, model: str, seconds: float, **changes: object) -> Past:
    row = Past(
        id=f"{task}-{model}", kind="evaluate", title=f"{model} on {task}", host="here", device="cpu", dtype="float32",
        threads=1, seconds=seconds, memory_bytes=900 << 20, disk_bytes=1000, signature=task, model=model, use="hf",
        amount=100.0, tokens=1000, params=100_000_000, weight_bytes=400_000_000, watts={},
    )  # fmt: skip
    return dataclasses.replace(row, **changes)  # type: ignore[arg-type]


def ask(task: str, model: str, amount: float | None = 100.0, params: int | None = 100_000_000) -> Asked:
    return Asked("new", "evaluate", f"{model} on {task}", task, model, amount, params, "hf")


def similar(*rows: Past, settings: Settings = CPU) -> Similar:
    return Similar(rows, settings, host="here")


def test_the_same_work_takes_as_long_as_it_took() -> None:
    found = seconds_of(ask("t", "m"), similar(past("t", "m", 8.0), past("t", "other", 80.0)))
    assert (found.value, found.source) == (8.0, "record")
    assert found.lo is not None
    assert found.hi is not None
    assert found.lo < 8.0 < found.hi


def test_records_that_disagree_make_the_range_wider() -> None:
    rows = [past("t", "m", seconds, id=str(seconds)) for seconds in (4.0, 8.0, 40.0)]
    found = seconds_of(ask("t", "m"), similar(*rows))
    assert found.value == 8.0
    assert found.hi == pytest.approx(40.0)
    assert "3 times" in found.why


def test_a_task_and_a_model_that_never_met_are_put_together_from_others() -> None:
    rows = [past("slow", "other", 60.0), past("quick", "other", 6.0), past("quick", "m", 3.0)]
    found = seconds_of(ask("slow", "m"), similar(*rows))
    assert found.value == pytest.approx(30.0)  # half as long as the other model, wherever both were
    assert found.source == "scaled"


def test_another_model_counts_by_its_size_and_another_task_by_its_tokens() -> None:
    bigger = seconds_of(ask("t", "m", params=1_000_000_000), similar(past("t", "small", 5.0)))
    assert bigger.value is not None
    assert 30 < bigger.value < 50
    rows = [past("t", "m", 5.0), past("long", "m", 9.0, tokens=4000, host="there")]
    asked = seconds_of(ask("long", "m"), similar(*rows))
    assert asked.value == pytest.approx(20.0)
    assert asked.why.endswith("by tokens")


def test_what_all_samples_share_is_told_from_the_rest_by_two_sizes() -> None:
    rows = [
        past("t", "m", 2.0, amount=8.0, id="few", probe=True),
        past("t", "m", 3.0, amount=40.0, id="many", probe=True),
    ]
    found = seconds_of(ask("t", "m", amount=200.0), similar(*rows))
    assert found.value == pytest.approx(2.0 - 8 / 32 + 200 / 32)
    assert found.source == "probe"
    one = seconds_of(ask("t", "m", amount=200.0), similar(rows[0]))
    assert one.value == pytest.approx(50.0)


@pytest.mark.parametrize("change", [{"host": "there"}, {"device": "cuda:0"}, {"dtype": "bfloat16"}])
def test_records_of_another_machine_say_nothing(change: dict[str, str]) -> None:
    found = seconds_of(ask("t", "m"), similar(past("t", "m", 8.0, **change)))
    assert found.value is None
    assert found.source == "unknown"
    assert "1 records are of other machines" in found.why


def test_other_threads_count_with_a_wider_range() -> None:
    same = seconds_of(ask("t", "m"), similar(past("t", "m", 8.0)))
    other = seconds_of(ask("t", "m"), similar(past("t", "m", 8.0, threads=4)))
    assert other.source == "scaled"
    assert other.hi is not None
    assert same.hi is not None
    assert other.hi > same.hi


def evaluation(task: str = "t", threads: int = 1) -> EvaluateCell:
    settings = CPU.model_copy(update={"threads": threads})
    model = ModelRef(name="m", role="student", use="mlp", identity="m")
    spec = TaskSpec(use="classification", name=task, samples=100)
    return EvaluateCell(id="new", title="m on t", needs=[], model=model, task=spec, settings=settings)


def test_a_record_of_these_threads_does_not_hide_those_of_others() -> None:
    """Row: a run was interrupted after its first cell; the history was made with other threads."""
    cell = evaluation()
    others = past(signature(cell), "m", 8.0, threads=4)
    first = past("another task", "another model", 90.0, use="mlp")
    alone = Forecaster([cell], [others], host="here").forecast(cell)
    both = Forecaster([cell], [first, others], host="here").forecast(cell)
    assert alone.seconds.value == both.seconds.value == 8.0
    assert "with other threads" in both.seconds.why
    assert both.memory_bytes.value == alone.memory_bytes.value == 900 << 20
    same = Forecaster([cell], [past(signature(cell), "m", 9.0), others], host="here").forecast(cell)
    assert (same.seconds.value, same.seconds.source) == (9.0, "record")


def test_what_is_known_most_closely_counts() -> None:
    wide, close = about(1.0, 4.0, "record", "w"), about(2.0, 1.2, "scaled", "c")
    assert closest([wide, close]) is close
    assert closest([close, about(3.0, 1.2, "record", "r")]) == about(3.0, 1.2, "record", "r")
    assert closest([unknown("?"), wide]) is wide
    assert closest([None, None]) is None


def test_how_long_a_kind_takes_of_which_nothing_is_known_is_not_told_from_another() -> None:
    """Row: an earlier measurement was long, and for that no evaluation was begun."""
    cells = [evaluation(f"t{n}").model_copy(update={"id": f"e{n}"}) for n in range(3)]
    long = MeasureCell(id="m", title="m", needs=[], models=[cells[0].model], meters={}, workload=None, settings=CPU)

    def costs(*rows: Past) -> dict[str, float]:
        todo: list[Cell] = [*cells, long]
        forecaster = Forecaster(todo, rows, host="here")
        return _costs(todo, {cell.id: forecaster.forecast(cell) for cell in todo})

    measured = past(signature(long), "m", 900.0, id="m", kind="measure", amount=1.0)
    assert costs(measured) == {"m": 900.0, "e0": 1.0, "e1": 1.0, "e2": 1.0}
    assert costs(measured, past(signature(cells[0]), "m", 20.0, use="other"))["e0"] == 20.0


def test_a_measured_power_gives_joules_and_nothing_else_does() -> None:
    seconds = seconds_of(ask("t", "m"), similar(past("t", "m", 10.0)))
    assert energy_joules(seconds, similar(past("t", "m", 10.0))).value is None
    metered = past("x", "y", 1.0, kind="measure", watts={"CPU package": 30.0})
    found = energy_joules(seconds, similar(metered))
    assert found.value == pytest.approx(300.0)
    assert "CPU package" in found.why
    assert found.hi is not None
    assert seconds.hi is not None
    assert found.hi >= seconds.hi * 30


# -- from files -------------------------------------------------------------------------------------------------------


def language_suite(**changes: object) -> Suite:
    kd = {"use": "soft-labels", "temperature": 2.0, "data": {"use": "teacher-sampled", "sequences": 8}, "epochs": 1}
    return Suite.model_validate(
        {
            "version": 1, "name": "s", "device": "cpu", "threads": 1,
            "teachers": {"big": {"use": "hf-causal", "source": "./model"}},
            "students": [
                {"name": "drop", "of": "big", "init": {"use": "layer-drop", "keep": 2}},
                {"name": "kd", "of": "big", "init": {"use": "layer-drop", "keep": 2}, "distil": kd},
            ],
            "tasks": [{"use": "lm-eval", "name": "distbench_facts"}],
            "measure": {"latency": {}},
        } | changes
    )  # fmt: skip


@pytest.fixture
def place(tiny_lm: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_lm, tmp_path / "model")
    return tmp_path


def test_weights_are_certain_and_a_training_keeps_sixteen_bytes_a_parameter(place: Path) -> None:
    plan = expand(language_suite(), place)
    forecaster = Forecaster(plan.cells, [])
    needs = {cell.title: forecaster.forecast(cell) for cell in plan.cells}
    whole = forecaster.sizes.of(next(c for c in plan.cells if isinstance(c, EvaluateCell)).model)
    assert whole is not None
    assert whole.exact
    asked = needs["big on distbench_facts"].memory_bytes
    assert asked.sure == whole.params * 4
    assert asked.value is not None
    assert asked.value > asked.sure
    made = next(c for c in plan.cells if isinstance(c, MakeCell) and c.train)
    small = forecaster.sizes.made(made)
    assert small is not None
    assert whole.params / 2 < small.params < whole.params
    assert needs[made.title].memory_bytes.sure == max(small.params * 16, whole.params * 4)
    measured = next(c for c in plan.cells if isinstance(c, MeasureCell))
    together = sum(size.params * 4 for ref in measured.models if (size := forecaster.sizes.of(ref)))
    assert needs[measured.title].memory_bytes.sure == together
    assert needs[made.title].disk_bytes.value == pytest.approx(small.params * 4 + (4 << 20))
    assert needs[made.title].scratch_bytes.value == pytest.approx(small.params * 12)


def test_what_cannot_fit_is_refused_and_what_may_not_is_only_said(place: Path) -> None:
    plan = expand(language_suite(), place)
    forecaster = Forecaster(plan.cells, [])
    needs = {cell.id: forecaster.forecast(cell) for cell in plan.cells}
    assert misfits(plan.cells, needs, EMPTY) == doubts(plan.cells, needs, EMPTY) == []
    tiny = dataclasses.replace(EMPTY, memory=1000, free_memory=1000)
    found = misfits(plan.cells, needs, tiny)
    assert "'big on distbench_facts' needs at least" in "\n".join(found)
    assert "this machine has 1000 B" in found[0]
    with pytest.raises(Exception, match="--force begins all the same"):
        refuse(found)
    busy = dataclasses.replace(EMPTY, free_memory=1 << 20)
    assert misfits(plan.cells, needs, busy) == []
    assert "may need" in doubts(plan.cells, needs, busy)[0]
    assert "of disk" in misfits(plan.cells, needs, dataclasses.replace(EMPTY, disk=10))[0]


@pytest.mark.parametrize("init", [{"use": "hf-classifier", "hidden_size": 16}, {"use": "decision-tree"}])
def test_a_model_of_its_own_shape_needs_nothing_of_its_teachers_size_for_certain(
    place: Path, init: dict[str, object]
) -> None:
    suite = language_suite()
    plan = expand(suite, place)
    made = next(c for c in plan.cells if isinstance(c, MakeCell) and c.train)
    other = made.model_copy(update={"init": Use.model_validate(init), "use": init["use"]})
    forecaster = Forecaster([other], [])
    assert forecaster.sizes.made(other) is None
    whole = forecaster.sizes.of(other.teachers[0])
    assert whole is not None
    found = forecaster.forecast(other)
    assert found.memory_bytes.sure == whole.params * 4  # the teacher's weights, and no training of that size
    assert found.disk_bytes.value is None


def test_how_far_a_model_that_is_made_here_is_cut_is_not_certain(place: Path) -> None:
    """Its configuration is not there before it is made, so its layers cannot be counted."""
    plan = expand(language_suite(), place)
    first, second = (c for c in plan.cells if isinstance(c, MakeCell) and c.role == "student")
    parent = second.teachers[0].model_copy(update={"path": None, "cell": first.id})
    cut = second.model_copy(update={"teachers": [parent], "start": None})
    forecaster = Forecaster([first, cut], [])
    before, after = forecaster.sizes.made(first), forecaster.sizes.made(cut)
    assert before is not None
    assert after is not None
    assert (before.at_most, after.at_most) == (False, True)
    assert forecaster.forecast(first).disk_bytes.sure
    found = forecaster.forecast(cut)
    assert found.disk_bytes.sure is None
    assert found.disk_bytes.value
    assert found.memory_bytes.sure == before.params * 4, "what it starts from is loaded, whatever comes of it"
    assert held(cut, forecaster.sizes) == before.params * 16, "the estimate takes the most that it can be"


def test_a_gpu_that_is_too_small_is_refused_by_its_own_memory(place: Path) -> None:
    plan = expand(language_suite(), place)
    cell = next(c for c in plan.cells if isinstance(c, EvaluateCell))
    moved = cell.model_copy(update={"settings": cell.settings.model_copy(update={"device": "cuda:0"})})
    forecaster = Forecaster([moved], [], host="here")
    needs = forecaster.forecast(moved)
    assert needs.memory_bytes.sure is None  # weights pass through the host, shard by shard
    assert needs.device_memory_bytes is not None
    assert needs.device_memory_bytes.sure
    small = dataclasses.replace(EMPTY, devices={"cuda:0": 1000})
    assert "of cuda:0, which has 1000 B" in misfits([moved], {moved.id: needs}, small)[0]
    assert misfits([moved], {moved.id: needs}, EMPTY) == []  # a GPU that says nothing of its memory is not refused


# -- the history ------------------------------------------------------------------------------------------------------

DIGITS = """
version: 1
name: tiny
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
gate: {retained: 0.5}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ran")
    (folder / "suite.yaml").write_text(DIGITS)
    here(folder, "run", "suite.yaml", "--out", "one", "--quiet", check=0, DISTBENCH_CACHE=str(folder / "cache"))
    return folder


def test_the_index_says_what_records_say_and_is_made_again_when_damaged(ran: Path) -> None:
    cache = Cache(ran / "cache" / "v1")
    rows = {row.id: row for row in read_history(cache)}
    records = {row.id: row for row in finished(RunDir(ran / "one"))}
    assert rows == records
    assert len(rows) == 6
    index = cache.root / "history" / "cells.json"
    kept = index.read_bytes()
    for damaged in (
        b"",
        b"{",
        kept[:-40],
        kept.replace(b'"seconds":', b'"seconds":"x",'),
        b'{"version": 99, "rows": []}',
    ):
        index.write_bytes(damaged)
        assert {row.id: row for row in read_history(cache)} == records
        assert json.loads(index.read_bytes()) == json.loads(kept)


def test_what_leaves_the_cache_leaves_the_index_and_an_unreadable_cell_is_passed_over(
    ran: Path, tmp_path: Path
) -> None:
    shutil.copytree(ran / "cache" / "v1" / "cells", tmp_path / "cells")
    cache = Cache(tmp_path)
    before = read_history(cache)
    shutil.rmtree(tmp_path / "cells" / before[0].id)
    assert {row.id for row in read_history(cache)} == {row.id for row in before[1:]}
    strange = tmp_path / "cells" / before[1].id / "record.json"
    strange.unlink()
    (tmp_path / "history" / "cells.json").unlink()
    strange.write_text("{}")
    assert {row.id for row in read_history(cache)} == {row.id for row in before[2:]}
    assert {row.id for row in read_history(cache, [ran / "one"])} == {row.id for row in before}


def test_a_plan_of_work_that_ran_here_says_what_it_took(ran: Path, tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(DIGITS)
    done = here(tmp_path, "plan", "suite.yaml", "--json", "--history", str(ran / "one"), check=0,
                DISTBENCH_CACHE=str(tmp_path / "empty"))  # fmt: skip
    cells = json.loads(done.stdout)["cells"]
    took = {row.id: row.seconds for row in finished(RunDir(ran / "one"))}
    assert {cell["id"]: cell["forecast"]["seconds"]["value"] for cell in cells} == pytest.approx(took)
    assert {cell["forecast"]["seconds"]["source"] for cell in cells} == {"record"}
    assert all(cell["forecast"]["energy_joules"]["value"] is None for cell in cells)


def test_without_any_record_nothing_is_guessed(tmp_path: Path) -> None:
    (tmp_path / "suite.yaml").write_text(DIGITS)
    done = here(tmp_path, "plan", "suite.yaml", "--json", check=0, DISTBENCH_CACHE=str(tmp_path / "empty"))
    document = json.loads(done.stdout)
    assert {cell["forecast"]["seconds"]["value"] for cell in document["cells"]} == {None}
    assert document["totals"][-1]["seconds"] == {"value": None, "lo": None, "hi": None, "unknown": 6}
    text = here(tmp_path, "plan", "suite.yaml", check=0, DISTBENCH_CACHE=str(tmp_path / "empty")).stdout
    assert "no record of an evaluation on this machine" in text
