"""The index of stock tasks: read once, kept by version and place, never trusted beyond names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from distbench.errors import EnvironmentFault
from distbench.host import cache_dir
from distbench.tasks import lm_eval_index as module
from distbench.tasks.lm_eval_index import find_task, index_of, members


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("DISTBENCH_CACHE", str(tmp_path / "cache"))
    index_of.cache_clear()
    yield
    index_of.cache_clear()


def kept() -> Path:
    return next((cache_dir() / "lm-eval-index").glob("*.json"))


def test_the_second_start_reads_no_task_file(monkeypatch: pytest.MonkeyPatch) -> None:
    first = index_of()
    index_of.cache_clear()
    walked: list[Path] = []
    walk = module._walk
    monkeypatch.setattr(module, "_walk", lambda folder: walked.append(folder) or walk(folder))
    assert index_of() == first
    assert walked == [module.bundled_tasks()], "only the few tasks that ship with distbench"
    assert len(members("mmlu")) == 57
    assert members("ai2_arc") == ["arc_challenge", "arc_easy"], "a tag that comes from an included file"


@pytest.mark.parametrize("content", ["", "[]", '{"tasks": {}, "groups": {}, "tags": {}}', '{"tasks": 1}', "{"])
def test_a_damaged_file_is_made_again(content: str) -> None:
    first = index_of()
    kept().write_text(content, encoding="utf-8")
    index_of.cache_clear()
    assert index_of() == first
    assert json.loads(kept().read_text(encoding="utf-8"))["tasks"]


def test_a_cache_that_cannot_be_written_only_costs_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    monkeypatch.setenv("DISTBENCH_CACHE", str(tmp_path / "file"))
    assert find_task("hellaswag").name == "hellaswag.yaml"


def test_a_task_file_that_is_gone_says_what_to_do() -> None:
    index_of()
    names = json.loads(kept().read_text(encoding="utf-8"))
    names["tasks"]["hellaswag"] = "nowhere.yaml"
    kept().write_text(json.dumps(names), encoding="utf-8")
    index_of.cache_clear()
    with pytest.raises(EnvironmentFault, match="lm-eval has changed"):
        find_task("hellaswag")
