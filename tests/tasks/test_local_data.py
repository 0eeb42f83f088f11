"""Local data files: what is wrong is said with file and line before a model is loaded."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from distbench.errors import RunError, UsageError
from distbench.schema.suite import TaskSpec
from distbench.tasks.lm_eval import LMEvalTask
from distbench.tasks.local_data import check_data_file

GOOD = '{"sentence_good": "a cat", "sentence_bad": "a cats"}\n'


@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (GOOD + '{"sentence_good": \n', UsageError, r"d\.jsonl:2: not JSON"),
        (GOOD + "\n" + GOOD + "[1]\n", UsageError, r"d\.jsonl:4: a line holds one JSON object, not list"),
        ("", RunError, r"d\.jsonl: 0 examples"),
        ("\n \n", RunError, r"d\.jsonl: 0 examples"),
        (GOOD + "\xff", UsageError, r"d\.jsonl:2: not JSON"),
    ],
)
def test_a_broken_file_is_refused_at_plan_time(
    tmp_path: Path, content: str, error: type[Exception], message: str
) -> None:
    (tmp_path / "d.jsonl").write_bytes(content.encode("latin-1"))
    spec = TaskSpec(use="lm-eval", name="blimp_adjunct_island", data={"train": "d.jsonl"})
    with pytest.raises(error, match=message):
        LMEvalTask.resolve(spec, tmp_path)


def test_a_file_is_read_again_when_it_changed(tmp_path: Path) -> None:
    file = tmp_path / "d.jsonl"
    file.write_text(GOOD, encoding="utf-8")
    check_data_file(file)
    file.write_text(GOOD[:-2] + " \n", encoding="utf-8")
    os.utime(file, ns=(1, 1))
    with pytest.raises(UsageError, match="not JSON"):
        check_data_file(file)
