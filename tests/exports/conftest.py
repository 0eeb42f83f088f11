"""SYNTHETIC results, as the report's tests make them; and the same with hostile texts everywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distbench.exports.json_document import json_text
from distbench.schema.result import Result
from tests.report.conftest import empty, many, sizes_only, synthetic  # noqa: F401 - fixtures

NASTY = (
    "</script><b onx=1>&amp;\"' =HYPERLINK(1) | a\nb\r\n\tc \u202ed \ud800 \x00 \x1b[31m \ufffe [l](http://x.y) "
    "![i](z) @all #1 www.x.y `code` ``` *s* ~~k~~ --- \\input{x} $y$ %z ~ ^ {q} ]]> <!-- <?xml ?> 中é\u2028 "
)
FORMULAS = ("=HYPERLINK(1)", "+1", "-1+2", "@SUM(1)", "\t=1", "\r=1", "\n=1", "  =1", "＝1")
_WORDS = ("label", "made_by", "verdict_reason", "reason", "suite", "run", "description", "prompt", "source", "note")


def poisoned(value: Any, key: str = "") -> Any:
    """Put hostile text at the end of every free text, and formulas in front of those of samples."""
    if isinstance(value, dict):
        return {name: poisoned(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [poisoned(each, key) for each in value]
    if isinstance(value, str) and key == "prompt":
        return f"{FORMULAS[len(value) % len(FORMULAS)]}{NASTY}"
    return f"{value} {NASTY}" if isinstance(value, str) and key in (*_WORDS, "warnings") else value


@pytest.fixture(scope="session")
def hostile(synthetic: Result) -> Result:  # noqa: F811
    """Hostile texts wherever a text is free, one of them of 100 kB, and in the names of tasks and students."""
    document = poisoned(synthetic.model_dump())
    names = {each["name"]: f"{each['name']} {NASTY}" for each in document["students"]}
    for each in document["students"]:
        each |= {key: names.get(each[key], each[key]) for key in ("name", "control", "control_of")}
        for task in each["tasks"]:
            task["task"] = f"{FORMULAS[len(task['task']) % len(FORMULAS)]} {task['task']} {NASTY}"
        each["suite"]["worst_task"] = each["tasks"][0]["task"] if each["tasks"] else None
    for point in (point for plane in document["trade_offs"] for point in plane["points"]):
        point["name"] = names.get(point["name"], point["name"])
    document["recommended"] = names[document["recommended"]]
    document["students"][1]["label"] = NASTY + "x" * 100_000
    return Result.model_validate(document, strict=False)


@pytest.fixture(scope="session")
def document(synthetic: Result, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """The synthetic result as a result.json."""
    path = tmp_path_factory.mktemp("result") / "result.json"
    path.write_text(json_text(synthetic), encoding="utf-8")
    return path
