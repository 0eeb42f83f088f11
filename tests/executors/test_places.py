"""Which node holds a job, what is said where none does, and which cells share a process."""

from __future__ import annotations

from typing import Any

import pytest

from distbench.execute.queue import Queue, grouped
from distbench.executors.job import Resources
from distbench.executors.ray_places import Node, holders, missing, nodes_of, quiet_node, slots
from distbench.schema.cell import EvaluateCell, ModelRef, Settings
from distbench.schema.suite import TaskSpec

GIB = 1 << 30
HEAD = {"node:__internal_head__": 1.0}


def node(name: str, cpus: float, memory: float = 16.0, **more: float) -> Node:
    return Node(name, f"10.0.0.{name}", {"CPU": cpus, "memory": memory * GIB, **more})


def test_dead_nodes_are_none() -> None:
    told: list[dict[str, Any]] = [
        {"NodeID": name, "NodeManagerAddress": "a", "Resources": {"CPU": 2.0}, "Alive": alive}
        for name, alive in (("x", True), ("y", False))
    ]
    assert [each.id for each in nodes_of(told)] == ["x"]


@pytest.mark.parametrize(
    ("wanted", "able"),
    [
        (Resources(cpus=2), ["1", "2"]),
        (Resources(cpus=4), ["2"]),
        (Resources(cpus=1, gpus=1), ["2"]),
        (Resources(cpus=1, memory=20 * GIB), ["1"]),
        (Resources(cpus=4, memory=20 * GIB), []),
        (Resources(cpus=1, custom=(("quiet", 1.0),)), ["1"]),
    ],
)
def test_a_node_holds_what_it_has_all_of(wanted: Resources, able: list[str]) -> None:
    nodes = [node("1", 2, memory=32, quiet=1.0), node("2", 8, memory=8, GPU=1.0)]
    assert [each.id for each in holders(wanted, nodes)] == able


def test_what_is_missing_is_named_with_what_there_is() -> None:
    nodes = [node("1", 2), node("2", 4)]
    said = missing(Resources(cpus=1, gpus=2), nodes)
    assert said.startswith("needs 1 CPUs, 2 GPUs, and no node has GPUs enough: the cluster has 10.0.0.1 (2 CPUs")
    apart = [node("1", 8, memory=4), node("2", 1, memory=64)]
    assert "no single node has all of it" in missing(Resources(cpus=8, memory=32 * GIB), apart)
    assert "the cluster has no node" in missing(Resources(), [])


def test_measurements_stay_on_one_node_and_off_the_head() -> None:
    nodes = [Node("h", "a", {"CPU": 64.0, **HEAD}), node("1", 4), node("2", 8)]

    def chosen(cpus: float, before: str | None = None, avoid: frozenset[str] = frozenset()) -> str | None:
        found = quiet_node(Resources(cpus=cpus, alone=True), nodes, before, avoid)
        return found.id if found else None

    assert chosen(2) == "2"
    assert chosen(2, before="1") == "1"
    assert chosen(2, before="gone") == "2"
    assert chosen(2, avoid=frozenset({"2"})) == "1"
    assert chosen(32) == "h"
    assert chosen(32, avoid=frozenset({"h"})) == "h"  # better there again than nowhere
    assert chosen(100) is None


def test_slots_are_what_fits_at_once() -> None:
    nodes = [node("1", 3), node("2", 4, memory=4)]
    assert slots([Resources(cpus=1)], nodes) == 7
    assert slots([Resources(cpus=2)], nodes) == 3
    assert slots([Resources(cpus=1, memory=4 * GIB)], nodes) == 4
    assert slots([Resources(cpus=1, gpus=1)], nodes) == 1
    assert slots([], nodes) == 1


def cells(models: int, tasks: int) -> list[EvaluateCell]:
    settings = Settings(seed=0, device="cpu", dtype="float32", threads=1)
    return [
        EvaluateCell(
            id=f"{model}-{task}",
            title="",
            needs=[f"make-{model}"],
            model=ModelRef(name=str(model), role="student", use="decision-tree", identity=str(model)),
            task=TaskSpec(use="x"),
            settings=settings,
        )
        for model in range(models)
        for task in range(tasks)
    ]


@pytest.mark.parametrize(
    ("slots", "lengths"),
    [(1, [12]), (2, [1] * 12), (12, [1] * 12)],
)
def test_few_evaluations_are_spread_and_one_slot_takes_them_all(slots: int, lengths: list[int]) -> None:
    assert [len(job) for job in grouped(cells(3, 4), slots)] == lengths


def test_many_evaluations_of_one_model_share_a_process_and_two_models_never() -> None:
    jobs = grouped(cells(100, 50), 16)
    assert [len(job) for job in jobs] == [50] * 100
    assert {len(job) for job in grouped(cells(10, 50), 16)} == {7, 1}
    assert all(len({cell.model.identity for cell in job if isinstance(cell, EvaluateCell)}) == 1 for job in jobs)


def test_a_job_waits_for_its_own_needs_alone() -> None:
    one, two = cells(2, 1)
    queue = Queue([[one], [two]])
    assert queue.next(set()) is None
    assert queue.next({"make-1"}) == [two]
    assert queue.next({"make-0"}) == [one]
    assert len(queue) == 0
    queue.put_back([one])
    assert queue.next({"make-0"}) == [one]
