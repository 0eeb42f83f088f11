"""What a suite may ask of the energy meter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from distbench import plugins
from distbench.meters.energy.filling import Done, Filled
from distbench.meters.energy.meter import EnergyMeter
from distbench.meters.energy.options import EnergyOptions
from distbench.meters.energy.readings import names, quantities, readings_of
from distbench.protocols import Missing
from distbench.schema.strict import Use

DONE = Done(seconds=2.0, units=4, samples=8, prompt_tokens=80, output_tokens=40)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rounds": 2, "launches": 2}, "fewer than the 5 windows"),
        ({"external": {"path": "a"}}, "belong together"),
        ({"source": "external"}, "belong together"),
        ({"source": "external", "external": {}}, "either path or url"),
        ({"source": "external", "external": {"path": "a", "url": "http://b", "metric": "c"}}, "either path or url"),
        ({"source": "external", "external": {"url": "http://b"}}, "needs metric"),
        ({"source": "external", "external": {"url": "ftp://b", "metric": "c"}}, "pattern"),
        ({"source": "external", "external": {"url": "http://me:secret@b/m", "metric": "c"}}, "pattern"),
        ({"estimate": {"watts": [300, 50]}}, "must be a range"),
        ({"estimate": {"watts": [50]}}, "watts"),
        ({"window_seconds": 0}, "greater than 0"),
    ],
)
def test_options_that_mean_nothing_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        EnergyOptions.model_validate(options, strict=False)


def test_options_survive_the_plan() -> None:
    """A cell holds them as JSON, and the probe reads them again."""
    asked = {"estimate": {"watts": [50, 300]}, "source": "external", "external": {"path": "wall.csv"}}
    once = plugins.options("meters", Use(use="energy", **asked))
    again = plugins.options("meters", Use(use="energy", **once.model_dump(mode="json")))
    assert once == again
    assert EnergyMeter(again).at_a_distance  # type: ignore[arg-type]


def test_paths_start_at_the_folder_of_the_suite(tmp_path: Path) -> None:
    options = EnergyOptions.model_validate({"source": "external", "external": {"path": "wall.csv"}})
    located = EnergyMeter.located(options, tmp_path)
    assert located.external is not None
    assert located.external.path == str(tmp_path / "wall.csv")
    assert located.powercap == "/sys/class/powercap"


def test_every_reading_is_a_declared_quantity_that_says_how_its_ratio_is_formed() -> None:
    declared = {quantity.name: quantity for quantity in quantities()}
    assert EnergyMeter.headline in declared
    for tokens in (True, False):
        for prefill in (True, False):
            for name in names(tokens=tokens, prefill=prefill):
                assert declared[name].ratio == "windows"


def test_joules_are_divided_by_what_was_done() -> None:
    read = readings_of(Filled(DONE, 400.0, 2.0), 50.0, prefill=False)
    assert read == {
        "gross_joules_per_token": 10.0,
        "net_joules_per_token": 7.5,
        "gross_joules_per_1000_requests": 50_000.0,
        "net_joules_per_1000_requests": 37_500.0,
        "mean_watts": 200.0,
    }
    assert readings_of(Filled(DONE, 400.0, 2.0), 50.0, prefill=True)["gross_joules_per_prompt_token"] == 5.0


@pytest.mark.parametrize(("idle", "withheld"), [(153.0, False), (154.0, True), (Missing("it moved"), True)])
def test_net_is_withheld_near_idle_and_gross_is_not(idle: float | Missing, withheld: bool) -> None:
    read = readings_of(Filled(DONE, 400.0, 2.0), idle, prefill=False)
    assert isinstance(read["net_joules_per_token"], Missing) is withheld
    assert read["gross_joules_per_token"] == 10.0
