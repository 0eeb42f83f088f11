"""A meter that searches does so in the first launch; the next ones are told what it found."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from distbench.cell.book import Book
from distbench.cell.measure import Measurement
from distbench.cell.probe import _due, _out_of_sight, _told
from distbench.meters.memory import MemoryMeter, MemoryOptions
from distbench.protocols import SEARCH, Quantity, Reading

BATCH = Quantity("saturated_batch", "samples", True, "tried")


class Searcher:
    """Remembers how it was begun."""

    repeats = True

    def __init__(self) -> None:
        self.begun: list[tuple[int, Mapping[str, float]]] = []

    def begin(self, launch: int, found: Mapping[str, float]) -> None:
        self.begun.append((launch, found))


def request(launch: int, *, once: bool = True, repeat: tuple[str, ...] = ("m",), **found: Any) -> dict[str, Any]:
    return {"launch": launch, "once": once, "repeat": list(repeat), "found": found}


def test_a_search_is_due_until_something_was_found() -> None:
    meter = Searcher()
    assert _due("m", meter, request(0))
    assert _due("m", meter, request(1, other={"saturated_batch": 2.0}))
    assert not _due("m", meter, request(2, m={"saturated_batch": 8.0}))
    assert meter.begun == [(0, {}), (1, {}), (2, {"saturated_batch": 8.0})]


def test_a_meter_that_wants_no_more_launches_does_not_search_again() -> None:
    meter = Searcher()
    assert not _due("m", meter, request(1, repeat=("other",)))
    assert meter.begun == []


@pytest.mark.parametrize("once", [True, False])
def test_a_meter_that_does_not_search_reads_once_in_every_launch(once: bool) -> None:
    assert _due("m", SimpleNamespace(repeats=False), request(3, once=once, repeat=())) is once


def test_only_what_a_search_ended_with_is_told_to_the_next_launch_and_to_its_own_model() -> None:
    book = Book()
    for model, batch in (("teacher", 4.0), ("student", 16.0)):
        book.once(model, _told("throughput", Reading(BATCH, batch, SEARCH)), 0)
        book.once(model, _told("throughput", Reading(BATCH, 99.0, "batch 1")), 0)
    for model, batch in (("teacher", 4.0), ("student", 16.0), ("nobody", None)):
        found = Measurement._found(SimpleNamespace(book=book), model)  # type: ignore[arg-type]
        assert found == ({} if batch is None else {"throughput": {"saturated_batch": batch}})


def test_a_meter_that_cannot_see_a_served_model_says_so_once() -> None:
    (reading,) = _out_of_sight(MemoryMeter(MemoryOptions()))
    assert reading.value is None
    assert "served by another process" in str(reading.reason)
