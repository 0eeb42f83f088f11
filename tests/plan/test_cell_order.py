"""The most informative cells come first: pairs, cheap ones before dear ones, what is gated before what is not."""

from __future__ import annotations

import shutil
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from distbench.errors import UsageError
from distbench.plan.arrange import Bundle, arrange
from distbench.plan.expand import Cell, Plan, expand
from distbench.plan.order import NEEDED, REST, ordered
from distbench.plan.outlook import cut
from distbench.schema.durations import duration, duration_seconds
from distbench.schema.suite import Suite

PRICES = {"T1": 1.0, "T2": 10.0, "a1": 1.0, "a2": 10.0, "b1": 1.0, "b2": 10.0, "m": 5.0}
PAIRS = [Bundle((f"T{task}", f"{student}{task}"), 0, 1.0, f"{student}{task}") for student in "ab" for task in "12"]


def cells(bundles: list[Bundle]) -> list[str]:
    return list(chain.from_iterable(bundle.cells for bundle in bundles))


def test_cheap_pairs_come_first_and_what_they_share_is_paid_once() -> None:
    assert cells(arrange(PAIRS, PRICES)) == ["T1", "a1", "b1", "T2", "a2", "b2"]


def test_what_an_earlier_pair_paid_makes_the_next_one_cheap() -> None:
    bundles = [Bundle(("T", "a"), 0, 1.0), Bundle(("T", "b"), 0, 1.0), Bundle(("c",), 0, 1.0)]
    order = cells(arrange(bundles, {"T": 4.0, "a": 1.0, "b": 2.0, "c": 5.5}))
    assert order == ["T", "a", "b", "c"]  # b with T would be 6 s; T is there by then


def test_what_is_there_costs_nothing() -> None:
    found = arrange(PAIRS, PRICES, frozenset({"T2", "a2"}))
    assert cells(found) == ["T1", "a1", "b1", "b2"]


def test_a_lower_tier_comes_first_whatever_it_costs() -> None:
    cheap = Bundle(("m",), 3, 1e9)
    assert cells(arrange([cheap, *PAIRS], PRICES))[-1] == "m"


def test_a_dear_pair_that_says_much_goes_before_a_cheap_one_that_says_little() -> None:
    much = [Bundle(("a2",), 0, 100.0), Bundle(("a1",), 0, 1.0)]
    assert cells(arrange(much, PRICES)) == ["a2", "a1"]


def test_the_cut_leaves_out_what_does_not_fit_and_what_builds_on_it() -> None:
    order = arrange(PAIRS, PRICES)
    assert cells(cut(order, PRICES, 100.0)) == []
    assert cells(cut(order, PRICES, 3.0)) == ["T2", "a2", "b2"]
    assert cells(cut(order, PRICES, 23.0)) == ["b2"]
    assert cells(cut(order, PRICES, 13.0)) == ["T2", "a2", "b2"]  # b2 alone is 10 s, but without T2 it says nothing
    assert cells(cut(order, PRICES, 0.5)) == ["T1", "a1", "b1", "T2", "a2", "b2"]


# -- of a suite -------------------------------------------------------------------------------------------------------

KD: dict[str, Any] = {
    "use": "soft-labels",
    "temperature": 2.0,
    "epochs": 1,
    "data": {"use": "teacher-sampled", "sequences": 4},
}


@pytest.fixture(scope="module")
def plan(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    place = tmp_path_factory.mktemp("order")
    shutil.copytree(tiny_lm, place / "model")
    names = ("distbench_facts", "distbench_word_order", "distbench_verb_form")
    suite = Suite.model_validate(
        {
            "version": 1, "name": "s", "device": "cpu", "threads": 1,
            "teachers": {"big": {"use": "hf-causal", "source": "./model"}},
            "students": [
                {"name": "shown", "of": "big", "required": False, "init": {"use": "layer-drop", "keep": 3}},
                {"name": "kd", "of": "big", "init": {"use": "layer-drop", "keep": 2}, "distil": KD},
            ],
            "tasks": [{"use": "lm-eval", "name": name, "samples": 50} for name in names],
            "measure": {"latency": {}},
            "gate": {"retained": 0.9, "tasks": {"distbench_facts": {"required": False}}},
        }
    )  # fmt: skip
    return expand(suite, place)


def titles(plan: Plan, bundles: list[Bundle]) -> list[str]:
    by_id = {cell.id: cell.title for cell in plan.cells}
    return [by_id[cell_id] for cell_id in cells(bundles)]


def test_every_cell_comes_once_and_after_what_it_needs(plan: Plan) -> None:
    order = cells(ordered(plan, dict.fromkeys((cell.id for cell in plan.cells), 1.0)))
    assert sorted(order) == sorted(cell.id for cell in plan.cells)
    place = {cell_id: n for n, cell_id in enumerate(order)}
    assert all(place[need] < place[cell.id] for cell in plan.cells for need in cell.needs)


def test_required_students_on_gated_tasks_come_first_with_their_controls(plan: Plan) -> None:
    bundles = ordered(plan, dict.fromkeys((cell.id for cell in plan.cells), 1.0))
    needed = titles(plan, [bundle for bundle in bundles if bundle.tier == NEEDED])
    assert needed[0] == "big on distbench_word_order"  # the gated tasks are alike, and this one stands first
    assert {each.partition(" on ")[0] for each in needed if " on " in each} == {"big", "kd", "kd-no-teacher"}
    assert not any("facts" in each or "shown" in each or "measure" in each for each in needed)
    assert needed.index("kd-no-teacher on distbench_word_order") < needed.index("kd on distbench_verb_form")
    rest = titles(plan, [bundle for bundle in bundles if bundle.tier == REST])
    assert "shown on distbench_facts" in rest
    assert any(each.startswith("measure") for each in rest)


def test_of_models_alone_a_student_comes_with_its_control_and_required_ones_come_first(plan: Plan) -> None:
    makes: list[Cell] = [cell for cell in plan.cells if cell.kind == "make"]
    bundles = ordered(replace(plan, cells=makes), dict.fromkeys((cell.id for cell in makes), 1.0))
    assert [bundle.about for bundle in bundles] == ["make kd", "make shown"]
    assert titles(plan, bundles[:1]) == ["make kd", "make kd-no-teacher"]


def test_a_measurement_that_is_gated_is_needed(plan: Plan) -> None:
    gate = plan.suite.gate
    assert gate is not None
    plan.suite = plan.suite.model_copy(update={"gate": gate.model_copy(update={"speedup": 1.0})})
    bundles = ordered(plan, dict.fromkeys((cell.id for cell in plan.cells), 1.0))
    plan.suite = plan.suite.model_copy(update={"gate": gate})
    assert any(t.startswith("measure") for t in titles(plan, [each for each in bundles if each.tier == NEEDED]))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2h", 7200),
        ("90m", 5400),
        ("1h30m", 5400),
        ("45s", 45),
        ("7200", 7200),
        ("1.5 h", 5400),
        ("2d", 172800),
        ("5min", 300),
    ],
)
def test_times_are_read_as_people_write_them(text: str, seconds: float) -> None:
    assert duration_seconds(text, "--max-time") == seconds


@pytest.mark.parametrize("text", ["", "0", "-1", "2 hours or so", "h", "1h-", "nan", "inf", "1e3", "9" * 30])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--max-time"):
        duration_seconds(text, "--max-time")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.5, "0.5 s"), (42, "42 s"), (150, "2 min 30 s"), (3600, "1 h"), (200000, "2 d 7 h")],
)
def test_times_are_said_in_two_units(seconds: float, words: str) -> None:
    assert duration(seconds) == words
